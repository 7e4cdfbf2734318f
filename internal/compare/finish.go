package compare

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Window is the time that the captures of one point cover, ns of their clock.
type Window struct{ First, Last int64 }

// Windows returns what the captures of each point cover.
func Windows(captures []pcaps.Capture) map[pcaps.Tap]Window {
	windows := make(map[pcaps.Tap]Window)
	for i := range captures {
		c := &captures[i]
		if c.First == 0 && c.Last == 0 {
			continue
		}
		for _, f := range c.Interfaces {
			if f.Packets == 0 {
				continue
			}
			w, known := windows[f.Tap]
			if !known {
				w = Window{First: c.First, Last: c.Last}
			}
			windows[f.Tap] = Window{First: min(w.First, c.First), Last: max(w.Last, c.Last)}
		}
	}
	return windows
}

// Result is what a job found out.
type Result struct {
	Job      *Job
	Clock    Clock          // of the two points with the most round trips: far minus near
	Clocks   map[Taps]Clock // of every two points that were compared
	WANClock Clock          // between the devices minus near
	Pairs    []*Pair
	Unpaired []Unpaired // of points that were said
	Held     int64      // legs whose calls were forgotten before they found a partner
}

// ClockOf returns the clock between the points of a pair.
func (r *Result) ClockOf(p *Pair) Clock { return r.Clocks[p.Taps()] }

// Unpaired is a connection that stands at one of the two points alone.
type Unpaired struct {
	Conn *assoc.Conn
	// Outside says that the captures of the other point do not cover it: they
	// began later, or ended earlier.
	Outside bool
	// Elsewhere says that the other point saw neither its client nor its
	// server, so that its path may never lead there.
	Elsewhere bool
}

// Finish pairs what is left and settles everything. conns are all connections
// of the job, in order; windows are what the captures of each point cover.
func (j *Job) Finish(conns []*assoc.Conn, windows map[pcaps.Tap]Window) *Result {
	j.adopt()
	r := &Result{Job: j, Clocks: make(map[Taps]Clock)}
	all := make(map[Taps]*sampler)
	for _, s := range j.shards {
		for taps, c := range s.clocks {
			if all[taps] == nil {
				all[taps] = new(newSampler())
			}
			all[taps].merge(c)
		}
	}
	for _, taps := range slices.SortedFunc(maps.Keys(all), Taps.compare) {
		c := all[taps].fit()
		if r.Clocks[taps] = c; c.Known && c.Samples > r.Clock.Samples {
			r.Clock = c
		}
	}
	for _, s := range j.shards {
		for _, p := range s.pairs {
			clock := r.ClockOf(p)
			if !p.skew.known && clock.Known {
				t := p.Near.Flow.First.Time
				o, e := clock.OffsetAt(t), clock.Error()
				p.skew.bound(o-e, o+e, t, true)
			}
			p.finish()
			p.resolve(&clock)
			p.handedOff()
			p.closeTail(windows[p.Near.Flow.Tap], windows[p.Far.Flow.Tap])
			p.near, p.far = nil, nil
			r.Pairs = append(r.Pairs, p)
		}
	}
	slices.SortFunc(r.Pairs, func(a, b *Pair) int { return byMark(a.Near.Flow.First, b.Near.Flow.First) })
	known := r.fold(conns)
	r.attachWAN(conns)
	r.unpaired(windows, known)
	return r
}

func (t Taps) compare(o Taps) int {
	return cmp.Or(cmp.Compare(t.Near, o.Near), cmp.Compare(t.Far, o.Far))
}

// fold lets the pairs of copies stand for the connections that the copies were
// folded into, each once, and returns the connections that may be unpaired.
func (r *Result) fold(conns []*assoc.Conn) map[*assoc.Conn]bool {
	kept := make(map[*assoc.Conn]*assoc.Conn)
	known := make(map[*assoc.Conn]bool)
	for _, c := range conns {
		known[c] = c.Where() == c.Flow.Point
		for _, o := range c.Copies() {
			kept[o] = c
		}
	}
	used := make(map[*assoc.Conn]bool)
	pairs := r.Pairs[:0]
	for _, p := range r.Pairs {
		if c := kept[p.Near]; c != nil {
			p.Near = c
		}
		if c := kept[p.Far]; c != nil {
			p.Far = c
		}
		if used[p.Near] || used[p.Far] {
			continue
		}
		used[p.Near], used[p.Far] = true, true
		known[p.Near], known[p.Far] = false, false
		pairs = append(pairs, p)
	}
	r.Pairs = pairs
	return known
}

// closeTail decides about calls after the last packet of the other leg.
func (p *Pair) closeTail(near, far Window) {
	t := &p.tail
	if t.calls.Count > 0 {
		if t.last+p.margin() < far.Last {
			p.Calls.Unforwarded.plus(t.calls)
		} else {
			p.Calls.Undecided += t.calls.Count
		}
	}
	if t.originated > 0 && t.lastFar+p.margin() < near.Last {
		p.Calls.Originated += t.originated
		p.Calls.OriginatedBytes += t.bytes
	}
	if p.Lossy {
		// A call without a counterpart may have one that was not captured.
		p.Calls = Calls{Answered: p.Calls.Answered, Unanswered: p.Calls.Unanswered, Undecided: p.Calls.Answered,
			Identical: p.Calls.Identical, Differing: p.Calls.Differing}
		p.HandedOff = 0
	}
}

// unpaired lists what stands at one point alone, among known connections.
func (r *Result) unpaired(windows map[pcaps.Tap]Window, known map[*assoc.Conn]bool) {
	for _, s := range r.Job.shards {
		for _, l := range s.legs {
			if l.forgotten {
				r.Held++
			}
		}
	}
	if !r.Job.said() {
		return
	}
	seen := make(map[pcaps.Point]map[netip.Addr]bool) // hosts, by place
	for _, s := range r.Job.shards {
		for _, l := range s.legs {
			at := seen[l.conn.Flow.Point]
			if at == nil {
				at = make(map[netip.Addr]bool)
				seen[l.conn.Flow.Point] = at
			}
			at[l.conn.Client().Addr()], at[l.conn.Server().Addr()] = true, true
		}
	}
	covered := r.coverage(windows)
	for _, l := range r.Job.left() {
		if !known[l.conn] {
			continue
		}
		u := Unpaired{Conn: l.conn}
		other := r.Job.far
		if l.conn.Flow.Point == r.Job.far {
			other = r.Job.near
		}
		u.Outside = true
		for tap, c := range covered {
			if c.place != other {
				continue
			}
			taps, sign := Taps{l.conn.Flow.Tap, tap}, int64(1)
			if other == r.Job.near {
				taps, sign = Taps{tap, l.conn.Flow.Tap}, -1
			}
			clock, ok := r.Clocks[taps]
			if !ok {
				clock = r.Clock
			}
			u.Outside = u.Outside && c.misses(l, &clock, sign)
		}
		at := seen[other]
		u.Elsewhere = !at[l.conn.Client().Addr()] && !at[l.conn.Server().Addr()]
		r.Unpaired = append(r.Unpaired, u)
	}
}

// attachWAN finds the leg between the devices of each pair: by the sequence
// number of the client where a device keeps it, else by ends and order.
func (r *Result) attachWAN(conns []*assoc.Conn) {
	type isnKey struct {
		ends tuple
		isn  uint32
	}
	byISN := make(map[isnKey]*assoc.Conn)
	byEnds := make(map[tuple][]*assoc.Conn)
	used := make(map[*assoc.Conn]bool)
	for _, c := range conns {
		between := c.Flow.Point == pcaps.WAN
		if !r.Job.said() {
			between = c.Negotiated() || c.Jump() != nil
		}
		if !between || r.Job.near == pcaps.WAN || r.Job.far == pcaps.WAN {
			continue
		}
		ends := tuple{c.Client(), c.Server()}
		byEnds[ends] = append(byEnds[ends], c)
		if s := &c.Flow.Sides[c.Flow.Client]; s.HasISN {
			byISN[isnKey{ends, s.ISN}] = c
		}
	}
	take := func(p *Pair, c *assoc.Conn) {
		if p.WAN == nil && c != nil && !used[c] {
			p.WAN, used[c] = c, true
		}
	}
	clock := newSampler()
	for _, p := range r.Pairs {
		for _, leg := range [2]*assoc.Conn{p.Near, p.Far} {
			if s := &leg.Flow.Sides[leg.Flow.Client]; s.HasISN {
				take(p, byISN[isnKey{tuple{leg.Client(), leg.Server()}, s.ISN}])
			}
		}
		if p.WAN != nil {
			if x, ok := handshakeSample(p.Near.Flow, p.WAN.Flow); ok {
				clock.add(x)
			}
		}
	}
	r.WANClock = clock.fit()
	for _, p := range r.Pairs {
		for _, leg := range [2]*assoc.Conn{p.Near, p.Far} {
			for _, c := range byEnds[tuple{leg.Client(), leg.Server()}] {
				if p.WAN == nil && !used[c] && r.meets(p, c) {
					take(p, c)
				}
			}
		}
	}
}

// meets reports whether a connection between the devices was open at the time
// of a pair, as far as the clocks are known.
func (r *Result) meets(p *Pair, c *assoc.Conn) bool {
	if !r.WANClock.Known {
		return true
	}
	const tolerance = int64(5 * time.Second)
	o := r.WANClock.OffsetAt(p.Near.Flow.First.Time)
	return p.Near.Flow.First.Time+o <= c.Flow.Last.Time+tolerance && c.Flow.First.Time <= p.Near.Flow.Last.Time+o+tolerance
}

// handshakeSample compares the times of one handshake at two points.
func handshakeSample(a, b *flows.Conn) (sample, bool) {
	ac, as := &a.Sides[a.Client], &a.Sides[a.Client.Other()]
	bc, bs := &b.Sides[b.Client], &b.Sides[b.Client.Other()]
	if !ac.HasISN || !as.HasISN || !bc.HasISN || !bs.HasISN || ac.ISN != bc.ISN || as.ISN != bs.ISN ||
		a.SynToSynAck <= 0 || b.SynToSynAck <= 0 {
		return sample{}, false
	}
	out, back := bc.Syn.Time-ac.Syn.Time, as.Syn.Time-bs.Syn.Time
	if out+back < 0 {
		return sample{}, false
	}
	x := newSample(ac.Syn.Time, out, back)
	x.handshake = true
	return x, true
}

func byMark(a, b wire.Mark) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.Packet, b.Packet))
}

func portless(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }
