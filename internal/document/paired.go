package document

import (
	"fmt"
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/compare"
	"mapiscope/internal/verdict"
	"mapiscope/pcaps"
)

// conversation returns what a pair belongs to.
func (b *builder) conversation(p *compare.Pair) *verdict.Conversation { return b.v.Of(p.Near) }

// crossing returns the verdict on a pair; unknown where nothing may be said.
func (b *builder) crossing(p *compare.Pair) *verdict.Crossing {
	if x := b.conversation(p); x != nil && x.Pair == p && x.Crossing != nil {
		return x.Crossing
	}
	return &verdict.Crossing{Path: verdict.PathUnknown, Weight: verdict.Unavailable, Streams: verdict.UnknownStreams, Accelerator: "unknown",
		Reason: "the packets contradict what was said of the capture points"}
}

// pairService names what a connection carries by the leg that tells most.
func (b *builder) pairService(c *assoc.Conn) assoc.Service {
	if x := b.v.Of(c); x != nil {
		return x.Service
	}
	s, _ := b.dir.Service(c)
	return s
}

// windows are the times that the captures of each point cover.
func (b *builder) windows() map[pcaps.Tap]compare.Window {
	windows := make(map[pcaps.Tap]compare.Window)
	for i := range b.in.Captures {
		c := &b.in.Captures[i]
		if c.First == 0 && c.Last == 0 {
			continue
		}
		for _, f := range c.Interfaces {
			if f.Packets == 0 {
				continue
			}
			w, known := windows[f.Tap]
			if !known {
				w = compare.Window{First: c.First, Last: c.Last}
			}
			windows[f.Tap] = compare.Window{First: min(w.First, c.First), Last: max(w.Last, c.Last)}
		}
	}
	return windows
}

// counts reports whether a leg stands for its conversation in figures.
func (b *builder) counts(c *assoc.Conn) bool {
	x := b.v.Of(c)
	return x == nil || x.Main == c
}

// alsoListed adds to the connections that the document lists the other legs of
// those, and what a comparison talks about: Kerberos.
func (b *builder) alsoListed(listed map[*assoc.Conn]bool) {
	for _, x := range b.v.Conversations {
		if len(x.Legs) > 1 && slices.ContainsFunc(x.Legs, func(c *assoc.Conn) bool { return listed[c] }) {
			for _, c := range x.Legs {
				listed[c] = true
			}
		}
	}
	if b.cmp == nil || !b.in.Compared {
		return
	}
	for _, c := range b.res.Conns {
		if c.Transport() == assoc.KDC {
			listed[c] = true
		}
	}
}

// pairDisposition says what became of a connection that was captured on both
// sides, if that tells.
func (b *builder) pairDisposition(p *compare.Pair) (Disposition, bool) {
	v := b.crossing(p)
	if v.Path == verdict.PathUnknown || v.Accelerator == "unknown" {
		return Disposition{}, false
	}
	why := "captured on both sides: " + v.Reason
	if p.HandedOff != 0 {
		why += fmt.Sprintf("; handed over to the generic accelerator at %s", stamp(p.HandedOff))
	}
	return Disposition{v.Accelerator, b.accelOf(p), Quality(v.Weight), why}, true
}

// accelOf gives the letters of the device's Accel column as far as a pair
// tells them. DRE and LZ show only between the devices: payload that is not
// the same there.
func (b *builder) accelOf(p *compare.Pair) string {
	v := b.crossing(p)
	if v.Path != verdict.Optimized {
		return "-"
	}
	letters := "T"
	switch v.Accelerator {
	case "mapi":
		letters += "M"
	case "generic":
		letters += "G"
	case "epm":
		letters += "E"
	}
	if w := p.Between(); w != nil && w.RPC == nil && p.Original().RPC != nil {
		letters += "DL"
	}
	return letters
}

// pairedFigures replaces counters of the accelerator by what pairs know
// better.
func (b *builder) pairedFigures(a *MAPIAccelerator) {
	if b.cmp == nil {
		return
	}
	t := b.tallyPairs()
	if t.pairs == 0 {
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
	if r := &t.ahead; t.aheads > 0 && r.Samples > 0 {
		const how = "bytes fetched from the server and not yet handed on, sampled at each read of the client"
		a.ReadAheadMin, a.ReadAheadMax = heuristic(r.Min, how), heuristic(r.Max, how)
		a.ReadAheadAvg = heuristic(r.Sum/r.Samples, how)
	} else {
		f := none("no read that both captures hold")
		a.ReadAheadMin, a.ReadAheadMax, a.ReadAheadAvg = f, f, f
	}
}

func (b *builder) pairedResponses(a *MAPIAccelerator, t *pairTally) {
	judged := t.calls.Answered - t.calls.Undecided
	if judged == 0 {
		return
	}
	of, why := exact, "questions matched between both captures"
	switch {
	case t.lossy > 0 || t.calls.Undecided > 0:
		of, why = atLeast, fmt.Sprintf("%s; %d answers on %d connections are left out because a capture lost or does not cover a part", why, t.calls.Undecided, t.skipped)
	case t.sealed > 0 || t.calls.Uncertain > 0 || t.alone > 0:
		of, why = heuristic, why+"; some calls are sealed, stand in one capture alone, or lie too near to each other for the clocks"
	}
	local, remote := t.calls.Local(), t.calls.Remote
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

// pairTally sums over the paired EMSMDB connections.
type pairTally struct {
	pairs, alone, unknown          int64
	dropped, lossy, sealed, aheads int64
	skipped                        int64 // connections with undecided calls
	calls                          compare.Calls
	ahead                          compare.Ahead
}

func (b *builder) tallyPairs() pairTally {
	var t pairTally
	for _, p := range b.cmp.Pairs {
		if !b.isMAPIPair(p) {
			continue
		}
		t.pairs++
		if b.crossing(p).Path == verdict.PathUnknown {
			t.unknown++
		}
		if b.crossing(p).ResetNear {
			t.dropped++
		}
		if p.Lossy {
			t.lossy++
		}
		if p.Sealed && p.Calls.Differing > 0 {
			t.sealed++
		}
		if p.Calls.Undecided > 0 {
			t.skipped++
		}
		t.calls.Add(&p.Calls)
		if p.Lossy || p.Ahead.Void {
			continue
		}
		t.aheads++
		t.ahead.Add(&p.Ahead)
	}
	for _, u := range b.cmp.Unpaired {
		if s := b.pairService(u.Conn); s == assoc.MAPI || s == assoc.MAPIAsync {
			t.alone++
		}
	}
	return t
}

func (b *builder) isMAPIPair(p *compare.Pair) bool {
	s := b.pairService(p.Near)
	return s == assoc.MAPI || s == assoc.MAPIAsync
}
