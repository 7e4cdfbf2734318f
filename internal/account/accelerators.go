package account

import (
	"cmp"
	"slices"

	"mapiscope/assoc"
	"mapiscope/emsmdb"
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

// mapiTally sums what the MAPI accelerator counts over all EMSMDB connections.
type mapiTally struct {
	handled, optimized, handedOff, dropped, active, secured int64
	guessed, hidden, sealed, readable                       int64
	sync, read                                              emsmdb.Sizes
	local, remote                                           assoc.Answers
	unjudged                                                int64
	buckets                                                 map[emsmdb.Bucket]int64
	spans                                                   []span
}

type span struct{ first, last int64 }

func (b *builder) mapiTally() mapiTally {
	t := mapiTally{buckets: make(map[emsmdb.Bucket]int64)}
	for i, c := range b.listed {
		d := &b.doc.Connections[i]
		if d.Service != "mapi" && d.Service != "mapi_async" || d.State == "refused" || d.State == "unanswered" {
			continue
		}
		t.handled++
		t.spans = append(t.spans, span{c.Flow.First.Time, c.Flow.Last.Time})
		if d.ServiceBasis != "bind" {
			t.guessed++
		}
		if c.RPC == nil {
			t.hidden++
		}
		switch d.Disposition.Accelerator {
		case "mapi":
			t.optimized++
		case "generic":
			t.handedOff++
		}
		if c.Optimizer.Path == assoc.Optimized && c.RPC == nil {
			t.optimized++
		}
		if d.State == "open" || d.State == "half_closed" {
			t.active++
		}
		if d.State == "reset_by_server" && c.FirstAnswer.IsZero() {
			t.dropped++
		}
		if secured(d) != nil {
			t.secured++
		}
		t.local.Count += c.Local.Count
		t.local.Sum += c.Local.Sum
		t.remote.Count += c.Remote.Count
		t.remote.Sum += c.Remote.Sum
		t.unjudged += c.Unjudged
		if c.MAPI == nil {
			continue
		}
		t.mapi(c.MAPI)
	}
	return t
}

func (b *builder) mapiAccelerator() MAPIAccelerator {
	t := b.mapiTally()
	a := MAPIAccelerator{
		TotalHandledConnections:   exact(t.handled, "TCP connections bound to EMSMDB"),
		TotalOptimizedConnections: heuristic(t.optimized, "handled without those that release "+b.rules.Name+" would hand off and those seen to pass through"),
		TotalHandedOffConnections: heuristic(t.handedOff, "secured, NTLM and client version rules of release "+b.rules.Name),
		TotalDroppedConnections:   atLeast(t.dropped, "reset from the server's side before the first answer"),
		CurrentActiveConnections:  exact(t.active, "open at the end of the capture"),
		CurrentPendingConnections: none("a queue inside the device leaves no trace in packets"),
		MaximumActiveConnections:  exact(highWater(t.spans), "high-water mark in this capture"),
		ReadAheadMin:              none("needs captures on both sides of the pair"),
		ReadAheadMax:              none("needs captures on both sides of the pair"),
		ReadAheadAvg:              none("needs captures on both sides of the pair"),
		SecuredConnections:        exact(t.secured, "authentication level integrity or privacy on EMSMDB"),
	}
	switch {
	case t.hidden > 0:
		a.TotalHandledConnections = atLeast(t.handled, "binds are hidden between the devices: known by port and siblings")
		a.SecuredConnections = atLeast(t.secured, "binds are hidden between the devices")
	case t.guessed > 0:
		a.TotalHandledConnections = heuristic(t.handled, "some binds were not captured: known by port, siblings or traffic")
	}
	a.SyncGetBufferRequests, a.SyncGetBufferMin, a.SyncGetBufferMax, a.SyncGetBufferAvg = t.sizes(&t.sync, "RopFastTransferSourceGetBuffer")
	a.ReadStreamRequests, a.ReadStreamMin, a.ReadStreamMax, a.ReadStreamAvg = t.sizes(&t.read, "RopReadStream")
	r := responses(t.local, t.remote, t.unjudged)
	a.LocalResponseCount, a.LocalResponseAvg = r.LocalCount, r.LocalAvg
	a.RemoteResponseCount, a.RemoteResponseAvg = r.RemoteCount, r.RemoteAvg
	t.sessions(&a)
	return a
}

// sizes gives the four figures of one kind of read. They need plaintext.
func (t *mapiTally) sizes(s *emsmdb.Sizes, rop string) (requests, least, most, mean Figure) {
	const sealed = "the calls are sealed"
	if t.readable == 0 && (t.sealed > 0 || t.hidden > 0) {
		f := none(sealed)
		return f, f, f, f
	}
	make := exact
	why := rop + " requests"
	if t.sealed > 0 || t.hidden > 0 {
		make, why = atLeast, why+" in the readable part of the traffic"
	}
	requests = make(s.Requests, why)
	if s.Answers.Count == 0 {
		f := none("no answer with data")
		return requests, f, f, f
	}
	const size = "bytes of data in the answers"
	return requests, exact(s.Answers.Min, size), exact(s.Answers.Max, size), exact(s.Answers.Avg(), size)
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
	out := Responses{
		LocalCount:  atLeast(local.Count, "answers sooner than 0.9 of the handshake round trip; an accelerator's answers may also wait"),
		RemoteCount: heuristic(remote.Count, "all other answers, EcDoAsyncWaitEx apart"),
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

func (t *mapiTally) sessions(a *MAPIAccelerator) {
	figure := func(bucket emsmdb.Bucket) Figure {
		n := t.buckets[bucket]
		switch {
		case t.readable == 0 && (t.sealed > 0 || t.hidden > 0):
			return none("the version words are sealed")
		case t.sealed > 0 || t.hidden > 0:
			return atLeast(n, "sessions whose connect is readable")
		}
		return exact(n, "sessions whose connect is in the capture")
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
