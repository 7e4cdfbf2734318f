package document

import (
	"slices"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/finding"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// comparison writes the comparison into the document.
func (b *builder) comparison() {
	r := b.f.Facts.Compare
	if r == nil || !b.f.Facts.Compared {
		return
	}
	near, far := r.Job.Near(), r.Job.Far()
	if near == pcaps.Unknown {
		near, far = pcaps.Edge, pcaps.Core
	}
	out := &Comparison{
		Near: near.String(), Far: far.String(), Clock: clockDifference(&r.Clock),
		Pairs: []ConnectionPair{}, Unpaired: []UnpairedConn{}, Groups: []GroupPair{},
	}
	b.doc.Comparison = out
	if r.WANClock.Known {
		out.WANClock = ptr(clockDifference(&r.WANClock))
	}
	b.pairID = make(map[*compare.Pair]int)
	for _, p := range r.Pairs {
		b.addPair(&out.Totals, p)
		if b.ids[p.Near] == 0 {
			continue // carries nothing that the document talks about
		}
		b.pairID[p] = len(out.Pairs) + 1
		x := b.v.Of(p.Near)
		out.Pairs = append(out.Pairs, b.connectionPair(p, x != nil && x.Escaped != nil))
	}
	for _, u := range r.Unpaired {
		b.unpairedConn(out, u)
	}
	alone := make(map[*assoc.Conn]bool)
	for _, u := range r.Unpaired {
		alone[u.Conn] = !u.Outside && !u.Elsewhere
	}
	for _, g := range b.v.Groups {
		if x, ok := b.groupPair(len(out.Groups)+1, g, alone); ok {
			out.Groups = append(out.Groups, x)
		}
	}
	t := b.f.TallyPairs()
	out.Calls = pairedCalls(&t.Calls, t.Lossy > 0 && t.Calls.Answered == t.Calls.Undecided, t.Sealed > 0)
	if a := &t.Ahead; a.Samples > 0 {
		out.ReadAhead = ReadAhead{ptr(a.Min), ptr(a.Max), ptr(a.Sum / a.Samples)}
	}
	out.Totals.ForgottenLegs = r.Held
	b.reduce(&out.Totals)
}

func (b *builder) addPair(t *ComparisonTotals, p *compare.Pair) {
	t.Pairs++
	switch b.f.Crossing(p).Path {
	case verdict.Optimized:
		t.Optimized++
	case verdict.PassThrough:
		t.PassThrough++
	default:
		t.Unknown++
	}
	if p.Lossy {
		t.LossyPairs++
	}
}

// reduce sums the bytes of the optimized pairs with a leg on the WAN.
func (b *builder) reduce(t *ComparisonTotals) {
	var original, optimized int64
	for _, p := range b.f.Facts.Compare.Pairs {
		w := p.Between()
		if w == nil || b.f.Crossing(p).Path != verdict.Optimized {
			continue
		}
		original += streamBytes(p.Original().Flow)
		optimized += streamBytes(w.Flow)
	}
	if original > 0 {
		t.OriginalBytes, t.OptimizedBytes, t.ReductionPercent = &original, &optimized, reduction(original, optimized)
	}
}

// streamBytes counts the bytes of both streams, captured or not.
func streamBytes(f *flows.Conn) int64 {
	a, b := &f.Sides[0], &f.Sides[1]
	return a.Bytes + a.GapBytes + b.Bytes + b.GapBytes
}

// reduction is the reduction ratio of the device in percent: one minus the
// bytes on the optimized side over those on the original side. The device
// prints negative ones as 0.
func reduction(original, optimized int64) *float64 {
	if original == 0 {
		return nil
	}
	return ptr(max(0, 100*(1-float64(optimized)/float64(original))))
}

func clockDifference(c *compare.Clock) ClockDifference {
	if !c.Known {
		return ClockDifference{Basis: "none"}
	}
	d := ClockDifference{
		Offset: ptr(micro(c.Offset)), Error: ptr(micro(c.Spread)), Asymmetry: ptr(micro(c.Delay)), At: ptr(wire.Stamp(c.At)),
		OneWayDelay: ptr(micro(c.Delay)), Samples: c.Samples, Basis: c.Basis,
	}
	if c.Drifts {
		d.Drift, d.DriftError = ptr(c.Drift), ptr(c.DriftSpread)
	}
	return d
}

// micro rounds ns to µs.
func micro(ns int64) int64 { return time.Duration(ns).Round(time.Microsecond).Microseconds() }

// perPoint makes one value for each leg of a pair.
func perPoint[T any](p *compare.Pair, of func(c *assoc.Conn) *T) PerPoint[T] {
	var out PerPoint[T]
	for i, c := range []*assoc.Conn{p.Near, p.Far, p.WAN} {
		if c == nil {
			continue
		}
		at := c.Flow.Point
		if at == pcaps.Unknown {
			at = [...]pcaps.Point{pcaps.Edge, pcaps.Core, pcaps.WAN}[i]
		}
		switch v := of(c); at {
		case pcaps.Edge:
			out.Edge = v
		case pcaps.WAN:
			out.WAN = v
		case pcaps.Core:
			out.Core = v
		}
	}
	return out
}

// sides makes a pair of counts for each leg.
func sides(p *compare.Pair, of func(s *flows.SideStats) int64) PerPoint[PerSide] {
	return perPoint(p, func(c *assoc.Conn) *PerSide { return ptr(perSide(c.Flow, of)) })
}

func (b *builder) connectionPair(p *compare.Pair, escaped bool) ConnectionPair {
	v := b.f.Crossing(p)
	out := ConnectionPair{
		ID: b.pairID[p], Client: host(p.Near.Client()), Server: host(p.Near.Server()), Rewritten: p.Rewritten, Basis: string(p.Basis),
		Connections: perPoint(p, func(c *assoc.Conn) *int { return ptr(b.ids[c]) }), Service: string(b.f.PairService(p.Near)),
		Verdict: string(v.Path), Accelerator: v.Accelerator, Accel: b.f.Accel(p), Quality: v.Weight, Reason: v.Reason,
		Evidence: evidence(v.Evidence), Lossy: p.Lossy, Escaped: escaped,
		Streams: StreamComparison{
			Verdict: string(v.Streams), Client: streamCompare(&p.Client), Server: streamCompare(&p.Server),
			IdenticalCalls: p.Calls.Identical, DifferingCalls: p.Calls.Differing, FirstDiffering: stampOrNil(p.FirstDiffering),
		},
		HandedOff: stampOrNil(p.HandedOff),
		State:     perPoint(p, func(c *assoc.Conn) *string { return ptr(c.Flow.State().String()) }),
		EndedBy:   text(v.EndedBy),
		Bytes:     sides(p, func(s *flows.SideStats) int64 { return s.Bytes + s.GapBytes }),
		GapBytes:  sides(p, func(s *flows.SideStats) int64 { return s.GapBytes }),
		DSCP:      sides(p, func(s *flows.SideStats) int64 { return int64(s.DSCP) }),
		Handshake: perPoint(p, handshake),
	}
	out.Retransmitted = sides(p, func(s *flows.SideStats) int64 { return s.Retransmitted })
	if p.Rewritten {
		out.FarClient, out.FarServer = ptr(host(p.Far.Client())), ptr(host(p.Far.Server()))
	}
	switch {
	case v.ResetNear:
		out.ResetAt = ptr(p.Near.Flow.Point.String())
	case v.ResetFar:
		out.ResetAt = ptr(p.Far.Flow.Point.String())
	}
	if w := p.Between(); w != nil {
		out.Reduction = reduction(streamBytes(p.Original().Flow), streamBytes(w.Flow))
	}
	out.Remarked = remarked(p)
	out.Delay = b.pathDelay(p)
	if p.Near.RPC != nil || p.Far.RPC != nil {
		out.Calls = ptr(pairedCalls(&p.Calls, p.Lossy, p.Sealed))
	}
	return out
}

func streamCompare(s *compare.Sameness) StreamCompare {
	out := StreamCompare{Compared: s.Compared, Identical: s.Identical, Resegmented: s.Recut, Uncompared: s.Uncompared}
	if s.Differs {
		out.FirstDifference = ptr(s.First)
	}
	return out
}

func handshake(c *assoc.Conn) *Handshake {
	var h Handshake
	if d := c.Flow.SynToSynAck; d > 0 {
		h.ToServer = ptr(micro(int64(d)))
	}
	if d := c.Flow.SynAckToAck; d > 0 {
		h.ToClient = ptr(micro(int64(d)))
	}
	return &h
}

// remarked reports whether the DSCP of either side changes on the way.
func remarked(p *compare.Pair) bool {
	for _, c := range []*assoc.Conn{p.WAN, p.Far} {
		if c == nil {
			continue
		}
		a := perSide(p.Near.Flow, func(s *flows.SideStats) int64 { return int64(s.DSCP) })
		if d := perSide(c.Flow, func(s *flows.SideStats) int64 { return int64(s.DSCP) }); d != a {
			return true
		}
	}
	return false
}

// pathDelay is the time of one way between the points: the pair's own where
// its handshake or its calls tell, and what the WAN captures add.
func (b *builder) pathDelay(p *compare.Pair) PathDelay {
	var d PathDelay
	if p.Delay > 0 {
		d.NearFar = ptr(micro(p.Delay))
	}
	if p.WAN == nil || !b.f.Facts.Compare.WANClock.Known {
		return d
	}
	d.NearWAN = ptr(micro(b.f.Facts.Compare.WANClock.Delay))
	if b.f.Facts.Compare.Clock.Known {
		d.WANFar = ptr(micro(max(b.f.Facts.Compare.Clock.Delay-b.f.Facts.Compare.WANClock.Delay, 0)))
	}
	return d
}

func pairedCalls(c *compare.Calls, lossy, sealed bool) PairedCalls {
	v := finding.JudgeCalls(c, lossy, sealed)
	out := PairedCalls{Answered: c.Answered, Unanswered: c.Unanswered, Undecided: c.Undecided, TimeSaved: v.TimeSaved, Quality: v.Quality, Why: v.Why}
	if !v.Judged {
		return out
	}
	local := c.Local()
	out.Remote = &RemoteCalls{Count: c.Remote.Count, Avg: mean(c.Remote), ServerAvg: mean(c.Server)}
	out.Local = &LocalCalls{
		Count: local.Count, Avg: mean(local), Unforwarded: c.Unforwarded.Count, Prefetched: c.Prefetched.Count,
		Waited: c.Waited.Count, Deferred: c.Deferred.Count,
	}
	out.Originated, out.OriginatedData = ptr(c.Originated), ptr(c.OriginatedBytes)
	return out
}

func mean(t compare.Tally) *int64 {
	if t.Count == 0 {
		return nil
	}
	return ptr(t.Sum / t.Count)
}

func (b *builder) unpairedConn(out *Comparison, u compare.Unpaired) {
	c, t := u.Conn, &out.Totals
	reason := "missing"
	switch {
	case u.Outside:
		reason = "outside_captures"
		t.OutsideCaptures++
	case u.Elsewhere:
		reason = "out_of_scope"
		t.OutOfScope++
	case c.Flow.Point == b.f.Facts.Compare.Job.Near():
		t.UnpairedNear++
	default:
		t.UnpairedFar++
	}
	if b.ids[c] == 0 {
		return
	}
	out.Unpaired = append(out.Unpaired, UnpairedConn{
		Connection: b.ids[c], At: c.Flow.Point.String(), Client: host(c.Client()), Server: host(c.Server()), Service: string(b.f.PairService(c)),
		Start: wire.Stamp(c.Flow.First.Time), State: c.Flow.State().String(), Reason: reason,
		Bytes: perSide(c.Flow, func(s *flows.SideStats) int64 { return s.Bytes + s.GapBytes }),
	})
}

// groupPair describes a group as the compared points saw it; ok is false for
// one without a connection at them.
func (b *builder) groupPair(id int, g *verdict.Group, alone map[*assoc.Conn]bool) (out GroupPair, ok bool) {
	out = GroupPair{
		ID: id, Client: g.Clients[0].String(), Server: host(g.Server), AssocGroupID: g.AGID, Pairs: []int{}, Alone: []int{},
		Verdict: string(g.Verdict), Reason: g.Reason, Escaped: b.idsOf(mains(g.Escaped)), Cause: text(g.Cause),
	}
	if !g.Since.IsZero() {
		out.MixedSince = ptr(wire.Stamp(g.Since.Time))
	}
	for _, x := range g.All() {
		for _, l := range x.Legs {
			switch b.v.Leg(l).Place {
			case pcaps.Edge:
				out.Groups.Edge = ptr(b.groupIDs[g])
			case pcaps.WAN:
				out.Groups.WAN = ptr(b.groupIDs[g])
			case pcaps.Core:
				out.Groups.Core = ptr(b.groupIDs[g])
			}
		}
		switch n := b.pairID[x.Pair]; {
		case x.Pair != nil && n != 0:
			out.Pairs = append(out.Pairs, n)
		case len(x.Legs) == 1 && alone[x.Main]:
			out.Alone = append(out.Alone, b.ids[x.Main])
		}
	}
	slices.Sort(out.Pairs)
	slices.Sort(out.Alone)
	if len(g.Escaped) > 0 {
		out.BytesAtRisk = ptr(g.Risk)
	}
	return out, len(out.Pairs)+len(out.Alone) > 0
}

func stampOrNil(ns int64) *string {
	if ns == 0 {
		return nil
	}
	return ptr(wire.Stamp(ns))
}
