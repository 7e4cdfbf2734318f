package account

import (
	"fmt"
	"slices"
	"time"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/internal/verdict"
)

func (b *builder) findEncrypted(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		if !isMAPI(d) || rejectedAll(d) {
			return
		}
		a := secured(d)
		if a == nil || b.rules.Encrypted && mechanismOf(a) != "ntlm" {
			return
		}
		mech := mechanismOf(a)
		if mech == "" {
			mech = a.TypeName
		}
		found.add(fmt.Sprintf("EMSMDB at level %s with %s, which release %s hands to the generic accelerator", a.LevelName, mech, b.rules.Name), d, a.Packet)
	})
	found.report(add)
}

func (b *builder) findNTLM(add func(string) *Finding) {
	if !b.rules.Encrypted {
		return
	}
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if a := secured(d); isMAPI(d) && !rejectedAll(d) && a != nil && a.Level == dcerpc.LevelPrivacy && mechanismOf(a) == "ntlm" {
			how := "bare NTLM"
			if a.TypeName == "spnego" {
				how = "NTLM inside SPNEGO"
				if slices.Contains(a.MechanismsOffered, "kerberos") {
					how += ", though the client offered Kerberos too"
				}
			}
			found.add(fmt.Sprintf("privacy with %s (Unsupported Auth Type :NTLM)%s", how, b.failedBefore(c, d)), d, a.Packet)
		}
	})
	found.report(add)
}

// maxDisconnects is how many disconnects in a row the device bears.
const maxDisconnects = 4

// disconnects follows the connections of one client to one server in order.
type disconnects struct{ row []member }

// findDisconnects looks for clients whose connections to the EMSMDB service of
// one server end again and again before a call was answered. Of connections
// that several capture points saw those of the first count.
func (b *builder) findDisconnects(add func(string) *Finding) {
	type pair struct{ client, server, at string }
	runs := make(map[pair]*disconnects)
	told := make(map[[2]string]string)
	report := func(p pair, run *disconnects, after *Connection) {
		ms := run.row
		run.row = nil
		if at, known := told[[2]string{p.client, p.server}]; len(ms) <= maxDisconnects || known && at != p.at {
			return
		}
		told[[2]string{p.client, p.server}] = p.at
		detail := fmt.Sprintf("%s: %d connections in a row to EMSMDB at %s ended before the first answered call", p.client, len(ms), p.server)
		if after != nil {
			detail += fmt.Sprintf("; connection %d stays: the device has handed the client to the generic accelerator by then (likely)", after.ID)
		}
		f := add(detail)
		for _, m := range ms {
			f.concerns(m.d, m.p)
		}
	}
	var order []pair
	b.each(func(c *assoc.Conn, d *Connection) {
		silent := d.Bytes == (PerSide{})
		if !isMAPI(d) || d.Origin != "handshake" || d.State == "refused" || d.State == "unanswered" || c.RPC == nil && !silent {
			return
		}
		p := pair{d.Client.IP, d.Server.IP, d.At}
		run := runs[p]
		if run == nil {
			run = new(disconnects)
			runs[p], order = run, append(order, p)
		}
		switch {
		case !c.FirstAnswer.IsZero():
			report(p, run, d)
		case d.State == "open" || d.State == "half_closed":
			// Not over yet.
		default:
			run.row = append(run.row, member{d, d.LastPacket})
		}
	})
	for _, p := range order {
		report(p, runs[p], nil)
	}
}

func (b *builder) findClients(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		if d.MAPI == nil || d.MAPI.major == nil {
			return
		}
		if why := b.unsupported(*d.MAPI.major, *d.MAPI.build); why != "" {
			found.add(fmt.Sprintf("version %s: %s", *d.MAPI.ClientVersion, why), d, d.FirstPacket)
		}
	})
	found.report(add)
}

func (b *builder) findHTTP(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		switch d.Service {
		case "rpc_http":
			found.add("RPC over HTTP", d, d.FirstPacket)
		case "mapi_http":
			found.add("MAPI over HTTP", d, d.FirstPacket)
		}
	})
	found.report(add)
}

// Calls are slow when the slowest in twenty takes both a time that a person
// notices and several times what the network takes.
const (
	slowCalls  = 5                      // answered calls needed to say anything
	slowFloor  = 100_000                // µs
	slowFactor = 5                      // times the handshake round trip
	slowNoRTT  = 250 * time.Millisecond // floor where no handshake was captured
)

func (b *builder) findSlow(add func(string) *Finding) {
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if !isMAPI(d) || c.RPC == nil {
			return
		}
		for i := range d.Operations {
			op := &d.Operations[i]
			t := &op.ResponseTime
			if t.Count < slowCalls || op.InterfaceUUID == nil || *op.InterfaceUUID != emsmdb.MDB.String() {
				continue
			}
			floor := int64(slowNoRTT / time.Microsecond)
			if d.RTT != nil {
				floor = max(slowFloor, slowFactor**d.RTT)
			}
			if *t.P95 >= floor {
				slow := max(1, t.Count-c.RPC.Ops[i].Latency.AtMost(floor-1))
				found.add(fmt.Sprintf("%d of %d calls of %s took %v or more, the longest %v; %s", slow, t.Count, opName(op), (time.Duration(floor)*time.Microsecond).Round(time.Millisecond),
					(time.Duration(*t.Max)*time.Microsecond).Round(time.Millisecond), b.whereSpent(c, d)), d, d.FirstPacket)
			}
		}
	})
	found.report(add)
}

// wanTrip is the handshake round trip, µs, from which it surely crosses more
// than a LAN.
const wanTrip = 5000

// whereSpent says what the handshake tells of the time that calls take: nothing
// where it was not captured, stayed on a LAN, or was answered by a device near
// by.
func (b *builder) whereSpent(c *assoc.Conn, d *Connection) string {
	leg := b.v.Leg(c)
	if d.RTT == nil || *d.RTT < wanTrip || leg.Has(verdict.LocalHandshake) || leg.Has(verdict.EarlyAck) {
		return "whether the network or the server takes that time does not show here"
	}
	return "the round trip of the handshake is far less, so that time is not spent on this network"
}

func opName(op *Operation) string {
	switch {
	case op.Name != nil:
		return *op.Name
	case op.Opnum != nil:
		return fmt.Sprintf("opnum %d", *op.Opnum)
	}
	return "an unknown operation"
}

// findNotRegistered reports endpoint mapper answers for EMSMDB that name no
// port. A client that asks for more towers gets such an answer at the end of
// the list, after it was told a port.
func (b *builder) findNotRegistered(add func(string) *Finding) {
	var found byReason
	told := make(map[*assoc.Conn]bool)
	for i := range b.res.Maps {
		ex := &b.res.Maps[i]
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
		found.add(what, b.row(ex.Conn), ref(ex.Mark))
	}
	found.report(add)
}

// asksMAPI reports whether an exchange asks for EMSMDB over TCP on a listed
// connection.
func (b *builder) asksMAPI(ex *assoc.Exchange) bool {
	return ex.Interface == emsmdb.MDB && b.ids[ex.Conn] != 0 && (ex.Sequence == "ncacn_ip_tcp" || ex.Sequence == "")
}

func (b *builder) findUnannounced(add func(string) *Finding) {
	// An endpoint mapper conversation that an optimizer hides may have
	// announced anything.
	hidden := make(map[string]bool)
	b.each(func(c *assoc.Conn, d *Connection) {
		if d.Service == "epm" && c.RPC == nil {
			hidden[d.Server.IP] = true
		}
	})
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if d.Service != "mapi" || d.Origin != "handshake" || c.RPC == nil || hidden[d.Server.IP] || rejectedAll(d) {
			return
		}
		if !b.dir.Announced(c, emsmdb.MDB) {
			found.add("no captured ept_map answer names this port for EMSMDB", d, d.FirstPacket)
		}
	})
	b.unansweredMaps(&found)
	found.report(add)
}

// unansweredMaps finds questions for EMSMDB that the endpoint mapper left
// without an answer, where the capture would have held it.
func (b *builder) unansweredMaps(found *byReason) {
	for i := range b.res.Maps {
		ex := &b.res.Maps[i]
		if !b.asksMAPI(ex) || ex.Answered {
			continue
		}
		d := b.row(ex.Conn)
		waited := d.State != "open" || b.captureEnd()-ex.Mark.Time >= synPatience
		if d.Directions == "both" && d.GapBytes == (PerSide{}) && waited {
			found.add("ept_map for EMSMDB was never answered", d, ref(ex.Mark))
		}
	}
}

// captureEnd is the time of the last packet.
func (b *builder) captureEnd() int64 {
	end := int64(0)
	for i := range b.in.Captures {
		end = max(end, b.in.Captures[i].Last)
	}
	return end
}
