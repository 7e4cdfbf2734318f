package assoc

import (
	"net/netip"
	"slices"

	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Group is one association group: the connections that one client process
// holds to one server end point and that share context handles
// ([C706] 9.3.2.1, [MS-RPCE] 3.3.1.5.4).
type Group struct {
	ID      int // position in the report, from 1
	Point   pcaps.Point
	Client  netip.Addr
	Server  netip.AddrPort // of the connection that opened the group
	AGID    uint32         // the id on the wire, unique per server end point and time only
	Conns   []*Conn        // in order of their binds
	Hidden  []*Conn        // optimized connections counted in by inference
	Creator bool           // the bind that opened the group (with id 0) was captured
	Veiled  bool           // optimized connections that may belong to it are unreadable here

	Verdict Outcome // filled in by Judge
}

// groupKey finds the group that a connection joins. The id is unique per
// server end point only, so the same number at two servers is two groups.
type groupKey struct {
	point  pcaps.Point
	client netip.Addr
	server netip.Addr
	agid   uint32
}

// Groups forms the association groups of all connections. A bind that asks
// for group 0 opens a new one, so an id that comes back later is a new group;
// a bind that asks for an id joins the group that last had it. The server end
// point is that of the opener: a server process with several ports lets
// connections to any of them join.
func Groups(conns []*Conn) []*Group {
	bound := make([]*Conn, 0, len(conns))
	for _, c := range conns {
		if c.RPC != nil && groupID(c) != 0 {
			bound = append(bound, c)
		}
	}
	slices.SortStableFunc(bound, func(a, b *Conn) int { return byMark(bindMark(a), bindMark(b)) })

	latest := make(map[groupKey]*Group)
	var groups []*Group
	for _, c := range bound {
		id, asked := groupID(c), c.RPC.Requested
		key := groupKey{c.Where(), c.Client().Addr(), c.Server().Addr(), id}
		g := latest[key]
		opens := asked != nil && *asked == 0
		joins := g != nil && !opens && (g.Server.Port() == c.Server().Port() || asked != nil && *asked == id)
		if !joins {
			g = &Group{Point: c.Where(), Client: c.Client().Addr(), Server: c.Server(), AGID: id, Creator: opens}
			latest[key] = g
			groups = append(groups, g)
		}
		g.Conns = append(g.Conns, c)
	}
	slices.SortStableFunc(groups, func(a, b *Group) int { return byMark(a.First(), b.First()) })
	for i, g := range groups {
		g.ID = i + 1
	}
	return groups
}

// groupID returns the id that the server granted, else the one that the
// client asked for, else 0.
func groupID(c *Conn) uint32 {
	if g := c.RPC.Granted; g != nil && *g != 0 {
		return *g
	}
	if r := c.RPC.Requested; r != nil {
		return *r
	}
	return 0
}

// bindMark returns the packet of the first bind.
func bindMark(c *Conn) wire.Mark {
	if len(c.RPC.Contexts) > 0 {
		return c.RPC.Contexts[0].Mark
	}
	return c.Flow.First
}

// First returns the first packet of the group's connections.
func (g *Group) First() wire.Mark {
	first := g.Conns[0].Flow.First
	for _, c := range g.Conns[1:] {
		if c.Flow.First.Before(first) {
			first = c.Flow.First
		}
	}
	return first
}

// Last returns the last packet of the group's connections.
func (g *Group) Last() wire.Mark {
	last := g.Conns[0].Flow.Last
	for _, c := range g.Conns[1:] {
		if last.Before(c.Flow.Last) {
			last = c.Flow.Last
		}
	}
	return last
}

// Members returns all connections of the group, the inferred ones last.
func (g *Group) Members() []*Conn {
	return append(slices.Clone(g.Conns), g.Hidden...)
}

// MAPIBound reports whether a connection carries, or asks for, EMSMDB: only such
// connections can escape, as RFR and NSPI pass through by default policy.
func (c *Conn) MAPIBound() bool {
	if c.MAPI != nil || c.shape.named() {
		return true
	}
	if c.RPC == nil {
		return false
	}
	return slices.ContainsFunc(c.RPC.Contexts, func(x dcerpc.Context) bool {
		return x.Interface.UUID == emsmdb.MDB || x.Interface.UUID == emsmdb.AsyncMDB
	})
}
