package account

import (
	"fmt"

	"mapiscope/assoc"
	"mapiscope/internal/compare"
	"mapiscope/pcaps"
)

// compare finishes a comparison and lets the verdicts on pairs count for their
// legs. It comes after the verdicts on single connections, which it knows
// more than, and has those on groups made anew.
func (b *builder) compare() {
	if b.in.Compare == nil {
		return
	}
	b.cmp = b.in.Compare.Finish(b.res.Conns, b.windows())
	b.pairOf = make(map[*assoc.Conn]*compare.Pair)
	for _, p := range b.cmp.Pairs {
		for _, c := range []*assoc.Conn{p.Near, p.Far, p.WAN} {
			if c != nil {
				b.pairOf[c] = p
			}
		}
	}
	b.cmp.Judge(b.pairService)
	for _, p := range b.cmp.Pairs {
		v := &p.Verdict
		for _, c := range []*assoc.Conn{p.Near, p.Far, p.WAN} {
			if c != nil {
				c.Paired = &assoc.Paired{Path: v.Path, Weight: v.Weight, Detail: v.Reason, Mark: p.Near.Flow.First}
			}
		}
	}
	b.places = assoc.Judge(b.res.Conns, b.groups, b.dir)
}

// pairService names what a connection carries by the leg that tells most.
func (b *builder) pairService(c *assoc.Conn) assoc.Service {
	s, _ := b.dir.Service(c)
	if p := b.pairOf[c]; p != nil && (s == assoc.Unknown || s == assoc.OtherRPC) {
		if o, _ := b.dir.Service(p.Far); o != assoc.Unknown {
			return o
		}
	}
	return s
}

// windows are the times that the captures of each point cover.
func (b *builder) windows() map[pcaps.Point]compare.Window {
	windows := make(map[pcaps.Point]compare.Window)
	for i := range b.in.Captures {
		c := &b.in.Captures[i]
		if c.First == 0 && c.Last == 0 {
			continue
		}
		for _, f := range c.Interfaces {
			if f.Packets == 0 {
				continue
			}
			w, known := windows[f.Point]
			if !known {
				w = compare.Window{First: c.First, Last: c.Last}
			}
			windows[f.Point] = compare.Window{First: min(w.First, c.First), Last: max(w.Last, c.Last)}
		}
	}
	return windows
}

// counts reports whether a connection stands for itself in figures: of a
// pair only the leg closest to the client does.
func (b *builder) counts(c *assoc.Conn) bool {
	p := b.pairOf[c]
	return p == nil || p.Near == c
}

// countsGroup reports the same of a group.
func (b *builder) countsGroup(g *assoc.Group) bool {
	for _, c := range g.Conns {
		if b.counts(c) {
			return true
		}
	}
	return false
}

// alsoListed adds to the connections that the document lists what a comparison
// talks about: the other legs of those, and Kerberos.
func (b *builder) alsoListed(listed map[*assoc.Conn]bool) {
	if b.cmp == nil {
		return
	}
	for _, c := range b.res.Conns {
		if c.Transport() == assoc.KDC {
			listed[c] = true
		}
	}
	for _, p := range b.cmp.Pairs {
		if listed[p.Near] || listed[p.Far] || listed[p.WAN] {
			listed[p.Near], listed[p.Far] = true, true
			if p.WAN != nil {
				listed[p.WAN] = true
			}
		}
	}
}

// pairDisposition says what became of a connection that was captured on both
// sides, if that tells.
func pairDisposition(p *compare.Pair) (Disposition, bool) {
	v := &p.Verdict
	if v.Path == assoc.PathUnknown || v.Accelerator == "unknown" {
		return Disposition{}, false
	}
	why := "captured on both sides: " + v.Reason
	if p.HandedOff != 0 {
		why += fmt.Sprintf("; handed over to the generic accelerator at %s", stamp(p.HandedOff))
	}
	return Disposition{v.Accelerator, accelOf(p), Quality(v.Weight), why}, true
}

// accelOf gives the letters of the device's Accel column as far as a pair
// tells them. DRE and LZ show only between the devices: payload that is not
// the same there.
func accelOf(p *compare.Pair) string {
	v := &p.Verdict
	if v.Path != assoc.Optimized {
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
		if p.Verdict.Path == assoc.PathUnknown {
			t.unknown++
		}
		if p.Verdict.ResetNear {
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
