package finding

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/epm"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

func (b *judge) findEncrypted(add func(Text) *Finding) {
	var found byReason
	b.each(func(d *Conn) {
		a := securedAuth(d.Conn)
		if a == nil || !isMAPI(d.Service) || d.rejectedAll() || b.Release.Encrypted && d.Secured.Mechanism != NTLM {
			return
		}
		mech := string(d.Secured.Mechanism)
		if mech == "" {
			mech = dcerpc.AuthTypeName(a.Type)
		}
		found.add(fmt.Sprintf("EMSMDB at level %s with %s, which release %s hands to the generic accelerator", dcerpc.AuthLevelName(a.Level), mech, b.Release.Name), d, a.Mark)
	})
	found.report(add)
}

// findUnencrypted reports connects that the server refused because the client
// did not ask for encryption ([MS-OXCDATA] 2.4, ecNotEncrypted).
func (b *judge) findUnencrypted(add func(Text) *Finding) {
	var found byReason
	b.each(func(d *Conn) {
		if d.MAPI == nil {
			return
		}
		connects := d.MAPI.Figures().Connects
		for i := range connects {
			if c := &connects[i]; c.Answered && !c.Fault && c.Status == emsmdb.NotEncrypted {
				name, _ := dcerpc.OperationName(emsmdb.MDB, c.Opnum)
				found.add(fmt.Sprintf("%s was answered with 0x%08x (%s)", name, c.Status, emsmdb.ReturnName(c.Status)), d, c.Mark)
			}
		}
	})
	found.report(add)
}

func (b *judge) findNTLM(add func(Text) *Finding) {
	if !b.Release.Encrypted {
		return
	}
	var found byReason
	b.each(func(d *Conn) {
		a := securedAuth(d.Conn)
		if a == nil || !isMAPI(d.Service) || d.rejectedAll() || a.Level != dcerpc.LevelPrivacy || d.Secured.Mechanism != NTLM {
			return
		}
		how := "bare NTLM"
		if a.Type == dcerpc.AuthSPNEGO {
			how = "NTLM inside SPNEGO"
			if slices.Contains(a.Facts.Offered, string(Kerberos)) {
				how += ", though the client offered Kerberos too"
			}
		}
		found.add(fmt.Sprintf("privacy with %s (Unsupported Auth Type :NTLM)%s", how, b.failedBefore(d)), d, a.Mark)
	})
	found.report(add)
}

// MaxDisconnects is how many disconnects in a row the device bears.
const MaxDisconnects = 4

// disconnected is a connection that ended one time too often, and what a
// finding says of that.
type disconnected struct {
	d      *Conn
	detail Text
}

// findDisconnects looks for clients whose connections to the EMSMDB service of
// one server end again and again before a call was answered. Of connections
// that several capture points saw those of the first count.
func (b *judge) findDisconnects(add func(Text) *Finding) {
	runs := make(map[hostsAt][]member)
	told := make(map[hosts]pcaps.Point)
	report := func(p hostsAt, after *Conn) {
		ms := runs[p]
		runs[p] = nil
		if at, known := told[p.hosts]; len(ms) <= MaxDisconnects || known && at != p.at {
			return
		}
		told[p.hosts] = p.at
		detail := say(fmt.Sprintf("%s: %d connections in a row to EMSMDB at %s ended before the first answered call", p.client, len(ms), p.server))
		if after != nil {
			detail = say(detail, "; connection ", after.Conn, " stays: the device has handed the client to the generic accelerator by then (likely)")
		}
		b.disconnected = append(b.disconnected, disconnected{ms[MaxDisconnects].d, detail})
		f := add(detail)
		for _, x := range ms {
			f.concerns(x.d, x.m)
		}
	}
	var order []hostsAt
	b.each(func(d *Conn) {
		if !isMAPI(d.Service) || !d.began() || !d.reached() || d.hidden() {
			return
		}
		p := d.hostsAt()
		if _, known := runs[p]; !known {
			runs[p], order = nil, append(order, p)
		}
		switch {
		case !d.FirstAnswer.IsZero():
			report(p, d)
		case d.alive():
			// Not over yet.
		default:
			runs[p] = append(runs[p], member{d, d.Flow.Last})
		}
	})
	for _, p := range order {
		report(p, nil)
	}
}

func (b *judge) findClients(add func(Text) *Finding) {
	var found byReason
	b.each(func(d *Conn) {
		if why := b.Release.unsupported(d.Version); why != "" {
			found.add(fmt.Sprintf("version %s: %s", d.Version, why), d, d.Flow.First)
		}
	})
	found.report(add)
}

func (b *judge) findHTTP(add func(Text) *Finding) {
	var found byReason
	b.each(func(d *Conn) {
		switch d.Service {
		case assoc.OverHTTP:
			found.add("RPC over HTTP", d, d.Flow.First)
		case assoc.MAPIHTTPSvc:
			found.add("MAPI over HTTP", d, d.Flow.First)
		}
	})
	found.report(add)
}

// Calls are slow when the slowest in twenty takes both a time that a person
// notices and several times what the network takes.
const (
	slowCalls  = 5                      // answered calls needed to say anything
	slowFloor  = 100 * time.Millisecond // floor where the network is fast
	slowFactor = 5                      // times the handshake round trip
	slowNoRTT  = 250 * time.Millisecond // floor where no handshake was captured
)

// slowFrom returns the response time from which on calls of a connection are
// slow.
func slowFrom(f *flows.Conn) time.Duration {
	if rtt, ok := f.RTT(); ok {
		return max(slowFloor, slowFactor*rtt.Truncate(time.Microsecond))
	}
	return slowNoRTT
}

func (b *judge) findSlow(add func(Text) *Finding) {
	var found byReason
	b.each(func(d *Conn) {
		if !isMAPI(d.Service) || d.RPC == nil {
			return
		}
		for _, op := range d.RPC.Ops {
			iface, known := b.dir.OperationOf(d.Conn, op)
			if op.Latency.Count() < slowCalls || !known || iface != emsmdb.MDB {
				continue
			}
			from := slowFrom(d.Flow)
			if time.Duration(op.Latency.Quantile(0.95))*time.Microsecond >= from {
				n := op.Latency.Count()
				slow := max(1, n-op.Latency.AtMost((from-1).Microseconds()))
				longest := time.Duration(op.Latency.Max()) * time.Microsecond
				found.add(fmt.Sprintf("%d of %d calls of %s took %v or more, the longest %v; %s", slow, n, opName(iface, op), from.Round(time.Millisecond), longest.Round(time.Millisecond), whereSpent(d)), d, d.Flow.First)
			}
		}
	})
	found.report(add)
}

// wanTrip is the handshake round trip from which it surely crosses more than a
// LAN.
const wanTrip = 5 * time.Millisecond

// whereSpent says what the handshake tells of the time that calls take: nothing
// where it was not captured, stayed on a LAN, or was answered by a device near
// by.
func whereSpent(d *Conn) string {
	rtt, ok := d.Flow.RTT()
	if !ok || rtt < wanTrip || d.Leg.Has(verdict.LocalHandshake) || d.Leg.Has(verdict.EarlyAck) {
		return "whether the network or the server takes that time does not show here"
	}
	return "the round trip of the handshake is far less, so that time is not spent on this network"
}

func opName(iface wire.UUID, op *dcerpc.Operation) string {
	if !op.OpnumKnown {
		return "an unknown operation"
	}
	if name, ok := dcerpc.OperationName(iface, op.Opnum); ok {
		return name
	}
	return fmt.Sprintf("opnum %d", op.Opnum)
}

// findNotRegistered reports endpoint mapper answers for EMSMDB that name no
// port. A client that asks for more towers gets such an answer at the end of
// the list, after it was told a port.
func (b *judge) findNotRegistered(add func(Text) *Finding) {
	var found byReason
	told := make(map[*assoc.Conn]bool)
	for i := range b.Result.Maps {
		ex := &b.Result.Maps[i]
		if !b.asksMAPI(ex) || !ex.Answered {
			continue
		}
		if len(ex.Ports) > 0 {
			told[ex.Conn] = true
			continue
		}
		if told[ex.Conn] {
			continue
		}
		what := fmt.Sprintf("ept_map for EMSMDB was answered with status 0x%08x (%s) and no tower", ex.Status, dcerpc.FaultName(ex.Status))
		if ex.Status == 0 {
			what = "ept_map for EMSMDB was answered with success and no tower"
		}
		found.add(what, b.conns[ex.Conn], ex.Mark)
	}
	found.report(add)
}

// asksMAPI reports whether an exchange asks for EMSMDB over TCP on a
// connection that is talked about.
func (b *judge) asksMAPI(ex *assoc.Exchange) bool {
	return ex.Interface == emsmdb.MDB && b.conns[ex.Conn] != nil && (ex.Sequence == epm.OverTCP || ex.Sequence == "")
}

func (b *judge) findUnannounced(add func(Text) *Finding) {
	// An endpoint mapper conversation that an optimizer hides may have
	// announced anything.
	hidden := make(map[netip.Addr]bool)
	b.each(func(d *Conn) {
		if d.Service == assoc.EPM && d.RPC == nil {
			hidden[d.Server().Addr()] = true
		}
	})
	var found byReason
	b.each(func(d *Conn) {
		if d.Service != assoc.MAPI || !d.began() || d.RPC == nil || hidden[d.Server().Addr()] || d.rejectedAll() {
			return
		}
		if !b.dir.Announced(d.Conn, emsmdb.MDB) {
			found.add("no captured ept_map answer names this port for EMSMDB", d, d.Flow.First)
		}
	})
	b.unansweredMaps(&found)
	found.report(add)
}

// unansweredMaps finds questions for EMSMDB that the endpoint mapper left
// without an answer, where the capture would have held it.
func (b *judge) unansweredMaps(found *byReason) {
	end := b.captureEnd()
	for i := range b.Result.Maps {
		ex := &b.Result.Maps[i]
		if !b.asksMAPI(ex) || ex.Answered {
			continue
		}
		d := b.conns[ex.Conn]
		waited := d.Flow.State() != flows.Open || end-ex.Mark.Time >= synPatience
		if d.whole() && waited {
			found.add("ept_map for EMSMDB was never answered", d, ex.Mark)
		}
	}
}
