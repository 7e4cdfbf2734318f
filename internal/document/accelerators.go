package document

import (
	"cmp"
	"math"
	"slices"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
)

// accelerators reproduces the counters of the device from packets, each with
// its quality. The rules are those of a single capture; a comparison of two
// capture points knows more.
func (b *builder) accelerators() {
	b.doc.Accelerators.MAPI = b.mapiAccelerator()
	b.doc.Accelerators.EPM = b.epmAccelerator()
}

func exact(n int64, why string) Figure     { return Figure{&n, Exact, why} }
func heuristic(n int64, why string) Figure { return Figure{&n, Heuristic, why} }
func atLeast(n int64, why string) Figure   { return Figure{&n, LowerBound, why} }
func none(why string) Figure               { return Figure{nil, Unavailable, why} }

// points ranks capture points by what a device's own counters are of: a device
// counts a connection once, and next to the clients it counts most.
var points = []string{"edge", "unknown", "core", "wan"}

// counted returns the connections that an accelerator's counters are made of:
// those of the wanted services, and of one capture point if there are several,
// since each of them saw the same connections.
func (b *builder) counted(wanted func(*Connection) bool) (conns []*assoc.Conn, point string, several bool) {
	at := make(map[string][]*assoc.Conn)
	b.each(func(c *assoc.Conn, d *Connection) {
		if wanted(d) {
			at[d.At] = append(at[d.At], c)
		}
	})
	for _, p := range points {
		if len(at[p]) > 0 {
			return at[p], p, len(at) > 1
		}
	}
	return nil, "", false
}

// mapiTally sums what the MAPI accelerator counts over all EMSMDB connections.
type mapiTally struct {
	handled, optimized, handedOff, dropped, active, secured int64
	guessed, hidden, sealed, readable, partial              int64 // connections
	sync, read                                              emsmdb.Sizes
	local, remote                                           assoc.Answers
	unjudged                                                int64
	buckets                                                 map[emsmdb.Bucket]int64
	connectsDropped                                         int64
	spans                                                   []span
}

func (b *builder) mapiTally(conns []*assoc.Conn) mapiTally {
	t := mapiTally{buckets: make(map[emsmdb.Bucket]int64)}
	for _, c := range conns {
		d := b.row(c)
		t.handled++
		t.spans = append(t.spans, spanOf(c, d))
		if d.ServiceBasis != "bind" {
			t.guessed++
		}
		if isHidden(c, d) {
			t.hidden++
		}
		switch {
		case d.State == "reset_by_server" && c.FirstAnswer.IsZero() && c.RPC != nil:
			t.dropped++
		case d.Disposition.Accelerator == "mapi", b.v.Leg(c).Path == verdict.Optimized && c.RPC == nil:
			t.optimized++
		case d.Disposition.Accelerator == "generic":
			t.handedOff++
		}
		if alive(d) {
			t.active++
		}
		if slices.ContainsFunc(d.Auth, func(a Auth) bool { return a.Level >= dcerpc.LevelIntegrity }) {
			t.secured++ // counts what is asked for, also in vain
		}
		t.local.Count += c.Local.Count
		t.local.Sum += c.Local.Sum
		t.remote.Count += c.Remote.Count
		t.remote.Sum += c.Remote.Sum
		t.unjudged += c.Unjudged
		if c.MAPI != nil {
			t.mapi(c.MAPI)
		} else if c.SealedShape().Requests > 0 {
			t.sealed++
		}
		if d.GapBytes.Client+d.GapBytes.Server > 0 || c.MAPI != nil && c.MAPI.Figures().RequestUnwalked > 0 {
			t.partial++
		}
	}
	return t
}

// reached reports whether the server took a connection.
func reached(d *Connection) bool { return d.State != "refused" && d.State != "unanswered" }

// isHidden reports whether a connection carries what cannot be read as
// DCE/RPC, as between the devices.
func isHidden(c *assoc.Conn, d *Connection) bool {
	return c.RPC == nil && d.Bytes.Client+d.Bytes.Server > 0
}

// alive reports whether a connection goes on after the end of the capture.
func alive(d *Connection) bool { return d.State == "open" || d.State == "half_closed" }

// span is the time of a connection.
type span struct{ first, last int64 }

func spanOf(c *assoc.Conn, d *Connection) span {
	s := span{c.Flow.First.Time, max(c.Flow.First.Time, c.Flow.Last.Time)}
	if alive(d) {
		s.last = math.MaxInt64
	}
	return s
}

func (b *builder) mapiAccelerator() MAPIAccelerator {
	conns, point, several := b.counted(func(d *Connection) bool { return isMAPI(d) && reached(d) })
	t := b.mapiTally(conns)
	seen := ""
	if several {
		seen = ", as seen at " + point
	}
	a := MAPIAccelerator{
		TotalHandledConnections:   exact(t.handled, "TCP connections bound to EMSMDB"+seen),
		TotalOptimizedConnections: heuristic(t.optimized, "handled without those that release "+b.rules.Name+" would hand off, those dropped and those seen to pass through"),
		TotalHandedOffConnections: heuristic(t.handedOff, "secured, NTLM and client version rules of release "+b.rules.Name),
		TotalDroppedConnections:   atLeast(t.dropped, "reset from the server's side before the first answer"),
		CurrentActiveConnections:  exact(t.active, "open at the end of the capture"),
		CurrentPendingConnections: none("a queue inside the device leaves no trace in packets"),
		MaximumActiveConnections:  exact(highWater(t.spans), "high-water mark in this capture"),
		ReadAheadMin:              none("needs captures on both sides of the pair"),
		ReadAheadMax:              none("needs captures on both sides of the pair"),
		ReadAheadAvg:              none("needs captures on both sides of the pair"),
		SecuredConnections:        exact(t.secured, "authentication level integrity or privacy asked for on EMSMDB"),
	}
	switch {
	case t.hidden > 0:
		a.TotalHandledConnections = atLeast(t.handled, "binds are hidden between the devices: known by port and siblings"+seen)
		a.SecuredConnections = atLeast(t.secured, "binds are hidden between the devices")
	case t.guessed > 0:
		a.TotalHandledConnections = heuristic(t.handled, "some binds were not captured: known by port, siblings or traffic"+seen)
		a.SecuredConnections = atLeast(t.secured, "some binds were not captured")
	}
	a.SyncGetBufferRequests, a.SyncGetBufferMin, a.SyncGetBufferMax, a.SyncGetBufferAvg = t.sizes(&t.sync, "RopFastTransferSourceGetBuffer")
	a.ReadStreamRequests, a.ReadStreamMin, a.ReadStreamMax, a.ReadStreamAvg = t.sizes(&t.read, "RopReadStream")
	r := responses(t.local, t.remote, t.unjudged)
	a.LocalResponseCount, a.LocalResponseAvg = r.LocalCount, r.LocalAvg
	a.RemoteResponseCount, a.RemoteResponseAvg = r.RemoteCount, r.RemoteAvg
	t.sessions(&a)
	b.pairedFigures(&a)
	return a
}

// unread says why plaintext figures lack all or a part of the traffic; both
// are "" when nothing is missing.
func (t *mapiTally) unread() (all, part string) {
	switch {
	case t.readable > 0 && t.sealed+t.hidden > 0:
		return "", "in the readable part of the traffic"
	case t.hidden > 0 && t.sealed == 0:
		return "the payload is not readable between the devices", ""
	case t.sealed+t.hidden > 0:
		return "the calls are sealed", ""
	case t.partial > 0:
		return "", "as far as the traffic was captured and could be walked"
	}
	return "", ""
}

// sizes gives the four figures of one kind of read. They need plaintext.
func (t *mapiTally) sizes(s *emsmdb.Sizes, rop string) (requests, least, most, mean Figure) {
	all, part := t.unread()
	if all != "" {
		f := none(all)
		return f, f, f, f
	}
	count, size, why := exact, exact, ""
	if part != "" {
		// The least and the most of a part may not be those of the whole.
		count, size, why = atLeast, heuristic, " "+part
	}
	if part != "" && s.Requests == 0 {
		f := none("no " + rop + why) // "at least 0" would say nothing
		return f, f, f, f
	}
	requests = count(s.Requests, rop+" requests"+why)
	if s.Answers.Count == 0 {
		f := none("no answer with data" + why)
		return requests, f, f, f
	}
	data := "bytes of data in the answers" + why
	return requests, size(s.Answers.Min, data), size(s.Answers.Max, data), size(s.Answers.Avg(), data)
}

// responses gives the figures of local and remote answers.
func responses(local, remote assoc.Answers, unjudged int64) Responses {
	if local.Count+remote.Count == 0 {
		why := "no answered EMSMDB call"
		if unjudged > 0 {
			why = "no handshake of 5 ms or more to compare with: this capture has no WAN in it"
		}
		f := none(why)
		return Responses{f, f, f, f}
	}
	rest := "all other answers, EcDoAsyncWaitEx apart"
	if unjudged > 0 {
		rest += "; without the answers that have no handshake of 5 ms or more to compare with"
	}
	out := Responses{
		LocalCount:  atLeast(local.Count, "answers sooner than 0.9 of the handshake round trip; an accelerator's answers may also wait"),
		RemoteCount: heuristic(remote.Count, rest),
		LocalAvg:    none("no such answer"), RemoteAvg: none("no such answer"),
	}
	if local.Count > 0 {
		out.LocalAvg = heuristic(local.Sum/local.Count, "over the answers counted as local")
	}
	if remote.Count > 0 {
		out.RemoteAvg = heuristic(remote.Sum/remote.Count, "over the answers counted as remote")
	}
	return out
}

// sessions counts the sessions of the capture by the generation of the client,
// also those that were closed again.
func (t *mapiTally) sessions(a *MAPIAccelerator) {
	all, part := t.unread()
	if t.connectsDropped > 0 && part == "" {
		part = "among those that are listed"
	}
	figure := func(bucket emsmdb.Bucket) Figure {
		switch n := t.buckets[bucket]; {
		case all != "":
			return none("the version words cannot be read: " + all)
		case part != "" && n == 0:
			return none("no such session " + part) // "at least 0" would say nothing
		case part != "":
			return atLeast(n, "sessions whose connect was answered, "+part)
		default:
			return exact(n, "sessions whose connect was answered in this capture")
		}
	}
	a.SessionsLowerThan2000 = figure(emsmdb.LowerThan2000)
	a.Sessions2000 = figure(emsmdb.Outlook2000)
	a.Sessions2003 = figure(emsmdb.Outlook2003)
	a.Sessions2007 = figure(emsmdb.Outlook2007)
	a.SessionsHigherThan2007 = figure(emsmdb.HigherThan2007)
}

// highWater returns the largest number of spans open at one time.
func highWater(spans []span) int64 {
	type edge struct {
		at   int64
		step int64
	}
	edges := make([]edge, 0, 2*len(spans))
	for _, s := range spans {
		edges = append(edges, edge{s.first, 1}, edge{s.last, -1})
	}
	// At the same instant connections open before others close: they met.
	slices.SortFunc(edges, func(x, y edge) int { return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(y.step, x.step)) })
	now, most := int64(0), int64(0)
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}

// policyMap is the default map of the device: the interfaces that it has a
// rule for.
var policyMap = map[wire.UUID]string{
	emsmdb.MDB:  "mapi",
	emsmdb.RFR:  "1544f5e0-613c-11d1-93df-00c04fd7bd09",
	emsmdb.NSPI: "f5cc5a18-4264-101a-8c59-08002b2f8426",
	wire.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2"): "ms-ad-replication",
	wire.MustUUID("f5cc59b4-4264-101a-8c59-08002b2f8426"): "ms-frs",
	wire.MustUUID("3f99b900-4d87-101b-99b7-aa0004007f07"): "ms-sql-rpc",
}

// policyRules are the dynamic match rules that the endpoint mapper answers
// would create: one for each server, port and interface.
func (b *builder) policyRules() {
	b.doc.PolicyRules = []PolicyRule{}
	for _, row := range b.dir.Rows() {
		if row.From != "ept_map" {
			continue
		}
		r := PolicyRule{
			Server: row.At.String(), Port: row.Port, UUID: row.Interface.String(), MapName: "uuid" + row.Interface.String(),
			Created: stamp(row.Mark.Time), Packet: ref(row.Mark),
		}
		for _, c := range row.Conns {
			if c.Flow.First.Before(row.Mark) {
				continue
			}
			r.Hits++
			r.LastHit = ptr(stamp(c.Flow.First.Time))
			switch c.Flow.State().String() {
			case "open", "half_closed":
				r.Flows++
			}
		}
		b.doc.PolicyRules = append(b.doc.PolicyRules, r)
	}
}
