package pcaps

import (
	"math"
	"slices"
	"time"
)

// Two interfaces show the same packets where at least twinPackets, and four of
// five of either within the time that both cover, are identical and come at a
// constant spacing: it changes by no more than twinJitter, and by what clocks
// drift apart, from one packet to the next. At two places of a path the
// packets of one direction come later and those of the other sooner, so the
// two directions may lie twinTurn apart at most; where only one direction is
// there, the spacing has to be as steady as only one clock makes it.
const (
	twinPackets = 4
	twinJitter  = int64(100 * time.Microsecond)
	twinSteady  = int64(10 * time.Microsecond)
	twinTurn    = int64(20 * time.Microsecond)
	twinDrift   = 5000 // of a second, which is 200 ppm
)

// match is a packet of a newcomer and its like on another interface.
type match struct {
	at, other int64
	forward   bool
	steady    bool
}

func (m *match) spacing() int64 { return m.at - m.other }

// candidate is an interface that a newcomer is compared with.
type candidate struct {
	st      *strand
	times   []int64 // of all its packets in the window
	matches []match
	taken   []bool // packets of the newcomer
}

// twin looks for an interface that shows the same packets as a newcomer among
// those that were read ahead, and returns it with how far the newcomer's clock
// is ahead of its, nil when there is none.
func (r *Reader) twin(st *strand) (*strand, int64) {
	var mine []*early
	byHead := make(map[uint64][]int)
	rest := r.look.rest()
	for i := range rest {
		p := &rest[i]
		if !p.known {
			p.print, p.known = fingerprintOf(r.seed, &p.head), true
		}
		if p.src == st.src && p.head.Interface == st.iface && p.print.ok {
			byHead[p.print.head] = append(byHead[p.print.head], len(mine))
			mine = append(mine, p)
		}
	}
	if len(mine) == 0 {
		return nil, 0
	}
	var all []*candidate
	compare := func(other *strand, f *fingerprint, at int64) {
		if other == st || other.tap == 0 || !f.ok {
			return
		}
		i := slices.IndexFunc(all, func(c *candidate) bool { return c.st == other })
		if i < 0 {
			i = len(all)
			all = append(all, &candidate{st: other, taken: make([]bool, len(mine))})
		}
		c := all[i]
		c.times = append(c.times, at)
		for _, n := range byHead[f.head] {
			if p := mine[n]; !c.taken[n] && p.print.same(f) {
				c.taken[n] = true
				c.matches = append(c.matches, match{at: p.head.Time, other: at, forward: f.forward})
				break
			}
		}
	}
	from, to := rest[0].head.Time, rest[len(rest)-1].head.Time
	if r.recent.on {
		from = min(from, r.recent.from)
	}
	if len(r.queue) == 0 {
		to = math.MaxInt64
	}
	r.recent.each(func(e *remembered) { compare(e.st, &e.fingerprint, e.at) })
	for i := range rest {
		p := &rest[i]
		compare(p.src.strands[p.head.Interface], &p.print, p.head.Time)
	}
	var best *strand
	most, ahead := 0, int64(0)
	for _, c := range all {
		if n, spacing := c.judge(st, mine, from, to); n > most {
			best, most, ahead = c.st, n, spacing
		}
	}
	return best, ahead
}

// judge returns how many packets prove that the candidate shows what the
// newcomer shows, 0 where they do not, and their spacing. The window has all
// packets between two times.
func (c *candidate) judge(st *strand, mine []*early, from, to int64) (int, int64) {
	if len(c.matches) == 0 {
		return 0, 0
	}
	slices.SortStableFunc(c.matches, func(a, b match) int { return int(min(max(a.at-b.at, -1), 1)) })
	n := c.steady(twinJitter)
	turns, known := c.turns()
	switch {
	case known && turns > twinTurn:
		return 0, 0
	case !known:
		n = c.steady(twinSteady)
	}
	spacing, ok := c.spacing()
	if !ok {
		return 0, 0
	}
	within := func(at int64, o *strand) bool {
		last := to
		if o.ended() {
			last = o.read
		}
		return at >= max(from, o.first) && at <= last
	}
	own, others := 0, 0
	for _, p := range mine {
		if within(p.head.Time-spacing, c.st) {
			own++
		}
	}
	for _, at := range c.times {
		if within(at+spacing, st) {
			others++
		}
	}
	whole := st.ended() && c.st.ended() && c.st.first >= from && n == own && n == others
	if n < twinPackets && !whole || 5*n < 4*own && 5*n < 4*others {
		return 0, 0
	}
	return n, spacing
}

// steady marks the matches whose spacing is that of a neighbour and counts
// them.
func (c *candidate) steady(jitter int64) int {
	near := func(i, j int) bool {
		if i < 0 || j >= len(c.matches) {
			return false
		}
		a, b := &c.matches[i], &c.matches[j]
		return magnitude(b.spacing()-a.spacing()) <= jitter+(b.at-a.at)/twinDrift
	}
	n := 0
	for i := range c.matches {
		c.matches[i].steady = len(c.matches) == 1 || near(i-1, i) || near(i, i+1)
		if c.matches[i].steady {
			n++
		}
	}
	return n
}

// turns returns how far the spacings of the two directions lie apart, by the
// median of the places where the direction changes.
func (c *candidate) turns() (int64, bool) {
	var all []int64
	var last *match
	for i := range c.matches {
		m := &c.matches[i]
		if last != nil && last.forward != m.forward {
			d := m.spacing() - last.spacing()
			if last.forward {
				d = -d
			}
			drift := (m.at - last.at) / twinDrift
			all = append(all, d-min(max(d, -drift), drift))
		}
		last = m
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return magnitude(all[len(all)/2]), true
}

// spacing returns the median of the steady spacings.
func (c *candidate) spacing() (int64, bool) {
	var all []int64
	for i := range c.matches {
		if c.matches[i].steady {
			all = append(all, c.matches[i].spacing())
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return all[len(all)/2], true
}

func magnitude(n int64) int64 { return max(n, -n) }
