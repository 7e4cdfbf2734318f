package assoc

import (
	"net/netip"
	"slices"

	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// endsAt names a client host and a server end point at one capture point.
type endsAt struct {
	point  pcaps.Point
	client netip.Addr
	server netip.AddrPort
}

func (c *Conn) ends() endsAt { return endsAt{c.Where(), c.Client().Addr(), c.Server()} }

// eitherEnds is ends, both ways round where it is a guess which is the client.
func (c *Conn) eitherEnds() []endsAt {
	ends := []endsAt{c.ends()}
	if !c.Flow.ClientKnown {
		ends = append(ends, endsAt{c.Where(), c.Server().Addr(), c.Client()})
	}
	return ends
}

// overlap reports whether two connections were open at the same time.
func overlap(a, b *Conn) bool {
	return a.Flow.First.Time <= b.Flow.Last.Time && b.Flow.First.Time <= a.Flow.Last.Time
}

// infer adds to groups the connections whose binds the optimizers hide. On
// the WAN an optimized connection is unreadable, so its group shows only
// through a readable sibling that asks to join a group which nobody readable
// opened. Then whoever opened it is among the hidden connections of the same
// client to the same end point that were open at that time, provided that
// nobody else may have: no connection from before the capture is in view.
// Where several such groups compete there must be at least one hidden opener
// for each, or nothing is inferred.
func infer(conns []*Conn, groups []*Group) {
	hidden := make(map[endsAt][]*Conn)
	older := make(map[endsAt][]*Conn)
	for _, c := range conns {
		switch {
		case c.RPC == nil && c.Optimizer.Path == Optimized:
			hidden[c.ends()] = append(hidden[c.ends()], c)
		case c.Flow.Origin == flows.Midstream:
			for _, key := range c.eitherEnds() {
				older[key] = append(older[key], c)
			}
		}
	}
	orphans := make(map[endsAt][]*Group)
	for _, g := range groups {
		if !slices.ContainsFunc(g.Conns, (*Conn).MAPIBound) {
			continue
		}
		key := g.Conns[0].ends()
		g.Veiled = slices.ContainsFunc(hidden[key], g.meets)
		if !g.Creator && !slices.ContainsFunc(older[key], g.meets) {
			orphans[key] = append(orphans[key], g)
		}
	}
	for key, gs := range orphans {
		for _, g := range gs {
			openers := 0
			var found []*Conn
			for _, c := range hidden[key] {
				if !g.meets(c) {
					continue
				}
				found = append(found, c)
				if c.Flow.First.Before(g.joined()) && !c.Flow.Last.Before(g.joined()) {
					openers++
				}
			}
			if openers > competing(gs, g) {
				g.Hidden = found
			}
		}
	}
}

// meets reports whether a connection was open together with one of the group.
func (g *Group) meets(c *Conn) bool {
	return slices.ContainsFunc(g.Conns, func(m *Conn) bool { return m != c && overlap(m, c) })
}

// joined returns the first captured bind of the group.
func (g *Group) joined() wire.Mark { return bindMark(g.Conns[0]) }

// competing counts the other groups that were open at the same time as g.
func competing(groups []*Group, g *Group) int {
	n := 0
	for _, o := range groups {
		if o != g && o.First().Time <= g.Last().Time && g.First().Time <= o.Last().Time {
			n++
		}
	}
	return n
}
