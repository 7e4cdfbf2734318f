package finding

import (
	"fmt"

	"mapiscope/internal/compare"
	"mapiscope/internal/verdict"
)

// pairedFigures replaces counters of the accelerator by what pairs know
// better.
func (b *judge) pairedFigures(a *MAPICounters) {
	if b.Compare == nil {
		return
	}
	t := b.TallyPairs()
	if t.Pairs == 0 {
		return
	}
	const both = "captured on both sides"
	of := exact
	why := both
	if t.alone > 0 || t.unknown > 0 {
		of, why = heuristic, fmt.Sprintf("%s; %d connections stand at one point alone or cannot be judged, by rule", both, t.alone+t.unknown)
	}
	a.TotalOptimizedConnections = of(*a.TotalOptimizedConnections.Value, why+": calls that differ between the points")
	a.TotalHandedOffConnections = of(*a.TotalHandedOffConnections.Value, why+": TCP is split and the PDUs are the same")
	a.TotalDroppedConnections = of(t.dropped, why+": reset towards the client while the server's side was not")
	b.pairedResponses(a, &t)
	if r := &t.Ahead; t.aheads > 0 && r.Samples > 0 {
		const how = "bytes fetched from the server and not yet handed on, sampled at each read of the client"
		a.ReadAheadMin, a.ReadAheadMax = heuristic(r.Min, how), heuristic(r.Max, how)
		a.ReadAheadAvg = heuristic(r.Sum/r.Samples, how)
	} else {
		f := none("no read that both captures hold")
		a.ReadAheadMin, a.ReadAheadMax, a.ReadAheadAvg = f, f, f
	}
}

func (b *judge) pairedResponses(a *MAPICounters, t *PairTally) {
	judged := t.Calls.Answered - t.Calls.Undecided
	if judged == 0 {
		return
	}
	of, why := exact, "questions matched between both captures"
	switch {
	case t.Lossy > 0 || t.Calls.Undecided > 0:
		of, why = atLeast, fmt.Sprintf("%s; %d answers on %d connections are left out because a capture lost or does not cover a part", why, t.Calls.Undecided, t.skipped)
	case t.Sealed > 0 || t.Calls.Uncertain > 0 || t.alone > 0:
		of, why = heuristic, why+"; some calls are sealed, stand in one capture alone, or lie too near to each other for the clocks"
	}
	local, remote := t.Calls.Local(), t.Calls.Remote
	a.LocalResponseCount = of(local.Count, why)
	a.RemoteResponseCount = of(remote.Count, why)
	a.LocalResponseAvg, a.RemoteResponseAvg = none("no such answer"), none("no such answer")
	if local.Count > 0 {
		a.LocalResponseAvg = of(local.Sum/local.Count, "response time at the client")
	}
	if remote.Count > 0 {
		a.RemoteResponseAvg = of(remote.Sum/remote.Count, "response time at the client")
	}
}

// PairTally sums over the paired EMSMDB connections.
type PairTally struct {
	Pairs, Lossy, Sealed int64
	Calls                compare.Calls
	Ahead                compare.Ahead

	alone, unknown, dropped, aheads int64
	skipped                         int64 // connections with undecided calls
}

// TallyPairs sums over the paired EMSMDB connections.
func (f *Findings) TallyPairs() PairTally {
	var t PairTally
	for _, p := range f.Facts.Compare.Pairs {
		if x := f.Facts.Verdicts.Of(p.Near); !isMAPI(f.PairService(p.Near)) || x == nil || x.Crossing == nil {
			continue // one place that was captured twice compares nothing
		}
		t.Pairs++
		if f.Crossing(p).Path == verdict.PathUnknown {
			t.unknown++
		}
		if f.Crossing(p).ResetNear {
			t.dropped++
		}
		if p.Lossy {
			t.Lossy++
		}
		if p.Sealed && p.Calls.Differing > 0 {
			t.Sealed++
		}
		if p.Calls.Undecided > 0 {
			t.skipped++
		}
		t.Calls.Add(&p.Calls)
		if p.Lossy || p.Ahead.Void {
			continue
		}
		t.aheads++
		t.Ahead.Add(&p.Ahead)
	}
	for _, u := range f.Facts.Compare.Unpaired {
		if isMAPI(f.PairService(u.Conn)) {
			t.alone++
		}
	}
	return t
}

// PairedCalls says how far the figures of paired calls go.
type PairedCalls struct {
	Judged    bool // else nothing but the counts at the near point can be said
	Quality   Quality
	Why       string
	TimeSaved *int64 // µs, by local answers; nil where it cannot be told
}

// JudgeCalls says that of the calls of one pair, or of several.
func JudgeCalls(c *compare.Calls, lossy, sealed bool) PairedCalls {
	switch {
	case lossy:
		return PairedCalls{Quality: Unavailable, Why: "a capture lost a part of the connection: a question without a counterpart says nothing"}
	case c.Answered > 0 && c.Undecided == c.Answered:
		return PairedCalls{Quality: Unavailable, Why: "nothing tells how the clocks of the two points differ"}
	}
	out := PairedCalls{Judged: true, Quality: Exact, Why: "questions matched between both captures"}
	if local := c.Local(); local.Count > 0 && c.Remote.Count > 0 {
		out.TimeSaved = new(local.Count*c.Remote.Sum/c.Remote.Count - local.Sum)
	}
	switch {
	case sealed && c.Differing > 0:
		out.Quality, out.Why = Heuristic, "the calls are sealed: matched by operation and order"
	case c.Uncertain > 0:
		out.Quality, out.Why = Heuristic, "some calls lie nearer to each other than the clocks are known"
	case c.Undecided > 0:
		out.Quality, out.Why = LowerBound, "some calls lie where the other capture has ended or not begun"
	}
	return out
}
