package assoc

import (
	"net/netip"

	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// spanTaps makes legs of what several taps at one place show of a connection,
// as one capture over several segments of its path would: nothing else says
// yet which of them lies where.
func (r *Result) spanTaps() {
	taps := make(map[pcaps.Point]pcaps.Tap)
	several := false
	for _, c := range r.Conns {
		first, found := taps[c.Flow.Point]
		if !found {
			taps[c.Flow.Point] = c.Flow.Tap
		}
		several = several || found && first != c.Flow.Tap
	}
	if !several {
		return
	}
	type ends struct {
		low, high netip.AddrPort
		point     pcaps.Point
	}
	type set []*Conn
	sets := make(map[ends][]set)
	for _, c := range r.Conns {
		k := ends{c.Flow.A, c.Flow.B, c.Flow.Point}
		if k.high.Compare(k.low) < 0 {
			k.low, k.high = k.high, k.low
		}
		entered := false
		for i, s := range sets[k] {
			for _, o := range s {
				if entered = c.legOf(o); entered {
					sets[k][i] = append(s, c)
					break
				}
			}
			if entered {
				break
			}
		}
		if !entered {
			sets[k] = append(sets[k], set{c})
		}
	}
	standsFor := make(map[*Conn]*Conn)
	for _, all := range sets {
		for _, s := range all {
			spans := false
			for _, c := range s {
				spans = spans || c.Flow.Tap != s[0].Flow.Tap
			}
			if !spans {
				continue
			}
			var root *flows.Conn
			for i, c := range s {
				leg := c.clone()
				if root == nil {
					root = leg.Flow
				}
				leg.Flow.Root = root
				for _, o := range s[:i] {
					leg.Flow.Repeats = leg.Flow.Repeats || sameNumbers(c.Flow, o.Flow)
				}
				standsFor[c] = leg
			}
		}
	}
	r.replace(standsFor)
}

// openingTime is how soon a device that answers handshakes itself opens its own
// connection, ns.
const openingTime = 3e9

// legOf reports whether c and o, which have the same ends, are one connection
// at two taps, or two legs of it at one.
func (c *Conn) legOf(o *Conn) bool {
	a, b := &c.Flow.Sides[c.Flow.Client], &o.Flow.Sides[o.Flow.Client]
	switch {
	case c.Flow.Tap == o.Flow.Tap:
		return c.Flow.Root != nil && c.Flow.Root == o.Flow.Root
	case c.Client() == o.Client() && a.HasISN && b.HasISN:
		d := c.Flow.First.Time - o.Flow.First.Time
		return a.ISN == b.ISN || max(d, -d) < openingTime
	}
	return overlap(c, o)
}

// sameNumbers reports whether the sequence numbers of two sightings of a
// connection lie near each other.
func sameNumbers(a, b *flows.Conn) bool {
	for side := range a.Sides {
		to := wire.Side(side)
		if a.A != b.A {
			to = to.Other()
		}
		x, y := &a.Sides[side], &b.Sides[to]
		switch {
		case x.HasISN && y.HasISN:
			return x.ISN == y.ISN
		case x.Packets > 0 && y.Packets > 0:
			d := int32(x.Base - y.Base)
			return max(d, -d) < 1<<30
		}
	}
	return false
}
