package finding

import (
	"cmp"
	"slices"

	"mapiscope/assoc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/verdict"
)

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

func (b *judge) mapiTally(conns []*Conn) mapiTally {
	t := mapiTally{buckets: make(map[emsmdb.Bucket]int64)}
	for _, d := range conns {
		t.handled++
		t.spans = append(t.spans, d.span())
		if d.Basis != assoc.ByBind {
			t.guessed++
		}
		if d.hidden() {
			t.hidden++
		}
		switch {
		case d.Flow.State() == flows.ResetByServer && d.FirstAnswer.IsZero() && d.RPC != nil:
			t.dropped++
		case d.Disposition.Accelerator == MAPIAccelerator, d.Leg.Path == verdict.Optimized && d.RPC == nil:
			t.optimized++
		case d.Disposition.Accelerator == Generic:
			t.handedOff++
		}
		if d.alive() {
			t.active++
		}
		if d.Secured.Level > 0 {
			t.secured++ // counts what is asked for, also in vain
		}
		t.local.Count += d.Local.Count
		t.local.Sum += d.Local.Sum
		t.remote.Count += d.Remote.Count
		t.remote.Sum += d.Remote.Sum
		t.unjudged += d.Unjudged
		if d.MAPI != nil {
			t.mapi(d.MAPI)
		} else if d.SealedShape().Requests > 0 {
			t.sealed++
		}
		if d.Flow.Gapped() || d.MAPI != nil && d.MAPI.Figures().RequestUnwalked > 0 {
			t.partial++
		}
	}
	return t
}

// mapiCounters reproduces the counters of the MAPI accelerator, each with its
// quality. The rules are those of a single capture; a comparison of two capture
// points knows more.
func (b *judge) mapiCounters() MAPICounters {
	conns, seen := b.counted(func(d *Conn) bool { return isMAPI(d.Service) && d.reached() })
	t := b.mapiTally(conns)
	a := MAPICounters{
		TotalHandledConnections:   exact(t.handled, "TCP connections bound to EMSMDB"+seen),
		TotalOptimizedConnections: heuristic(t.optimized, "handled without those that release "+b.Release.Name+" would hand off, those dropped and those seen to pass through"),
		TotalHandedOffConnections: heuristic(t.handedOff, "secured, NTLM and client version rules of release "+b.Release.Name),
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
func (t *mapiTally) sessions(a *MAPICounters) {
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

// ResponsesOf splits the answered calls of one connection.
func ResponsesOf(c *assoc.Conn) Responses { return responses(c.Local, c.Remote, c.Unjudged) }

// mapi adds the figures of one connection.
func (t *mapiTally) mapi(c *emsmdb.Conn) {
	f := c.Figures()
	if f.SealedCalls > 0 {
		t.sealed++
	}
	if f.Calls > 0 {
		t.readable++
	}
	t.connectsDropped += f.ConnectsDropped
	t.sync.Requests += f.SyncGetBuffer.Requests
	t.sync.Answers.Merge(f.SyncGetBuffer.Answers)
	t.read.Requests += f.ReadStream.Requests
	t.read.Answers.Merge(f.ReadStream.Answers)
	for i := range f.Connects {
		x := &f.Connects[i]
		if x.Answered && x.Status == 0 && x.Client.Known() {
			t.buckets[x.Client.Bucket()]++
		}
	}
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
