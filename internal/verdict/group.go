package verdict

import (
	"cmp"
	"net/netip"
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/wire"
)

// Group is one association group: the connections that one client process
// holds to one server end point and that share context handles
// ([C706] 9.3.2.1, [MS-RPCE] 3.3.1.5.4). A group is what the server granted.
type Group struct {
	ID      int            // position among the groups, from 1
	Server  netip.AddrPort // of the connection that opened the group, as far as captured
	AGID    uint32         // the id on the wire, unique per server process and time only
	Clients []netip.Addr   // more than one where a host has several, or behind a NAT pool
	Members []*Conversation
	// Inferred are optimized connections counted in by inference: their binds
	// are hidden between the devices.
	Inferred  []*Conversation
	Creator   bool // the bind that opened the group (with id 0) was captured
	Continued int  // members whose bind was not captured, and whose call ids go on from those of others
	Counted   bool // its client counts call ids over all connections, so that missing calls show
	Across    int  // members that joined from another address than the opener's

	Outcome

	clients   map[netip.Addr]bool // of Clients
	first     wire.Mark           // earliest packet of any member
	last      wire.Mark           // latest packet of any member
	until     int64               // when the last member was open at the latest
	openers   int                 // hidden connections that were open when the first member joined
	veiled    bool                // optimized connections that may belong to it are unreadable here
	contended bool                // as many groups or more need the connections that may have opened it
}

// groupKey finds the groups that a connection may join. The id is unique per
// server only, so the same number at two servers is two groups.
type groupKey struct {
	server netip.Addr
	agid   uint32
}

// linger is how long a group outlives its last connection: the server keeps
// its context handles for about 20 s ([MS-RPCE] 3.3.1.5.4 leaves it open).
const linger = int64(30e9)

// groups forms the association groups of all conversations. A bind that asks
// for group 0 opens one, so an id that comes back later is a new group. A bind
// that asks for an id, and is granted it, joins the group that has it and is
// alive: that of the same client, else, where the one who opened it was
// captured, that of another address. The server end point is that of the
// opener: a server process with several ports lets connections to any of them
// join.
func (j *judge) groups(conversations []*Conversation) []*Group {
	bound := make([]*Conversation, 0, len(conversations))
	for _, c := range conversations {
		if id, _ := bindOf(c); id != 0 {
			bound = append(bound, c)
		}
	}
	slices.SortStableFunc(bound, func(a, b *Conversation) int {
		return cmp.Or(cmp.Compare(a.bound(), b.bound()), assoc.ByMark(a.Main.BindMark(), b.Main.BindMark()))
	})
	living := make(map[groupKey][]*Group) // the latest last
	var groups []*Group
	for _, c := range bound {
		id, asked := bindOf(c)
		key := groupKey{c.Main.Server().Addr(), id}
		opens := asked != nil && *asked == 0
		var g *Group
		if !opens {
			g = joined(living[key], c, asked != nil && *asked == id)
		}
		if g == nil {
			g = &Group{Server: c.Main.Server(), AGID: id, Creator: opens, clients: make(map[netip.Addr]bool, 1)}
			living[key] = keepNewest(append(living[key], g))
			groups = append(groups, g)
		}
		g.add(c)
	}
	slices.SortStableFunc(groups, func(a, b *Group) int { return assoc.ByMark(a.First(), b.First()) })
	for i, g := range groups {
		g.ID = i + 1
	}
	return groups
}

// bindOf returns the id that the server granted, else the one that the client
// asked for, else 0; and what the client asked for, nil when no bind was
// captured at any place. A bind that was refused is in no group.
func bindOf(c *Conversation) (id uint32, asked *uint32) {
	for _, l := range c.Legs {
		if l.RPC == nil {
			continue
		}
		if id == 0 {
			id = l.GroupID()
		}
		if g := l.RPC.Granted; g != nil && *g != 0 {
			id = *g
		}
		if asked == nil {
			asked = l.RPC.Requested
		}
	}
	if r := c.Main.RPC; r != nil && r.Granted == nil && len(r.Naks) > 0 {
		return 0, asked
	}
	return id, asked
}

// maxLiving bounds the groups with one id at one server that a bind may join.
const maxLiving = 64

func keepNewest(groups []*Group) []*Group {
	if n := len(groups) - maxLiving; n > 0 {
		groups = slices.Delete(groups, 0, n)
	}
	return groups
}

// joined picks the group that a bind joins, nil for one that was not captured.
// named says that the client asked for this very id.
func joined(groups []*Group, c *Conversation, named bool) *Group {
	client, at := c.Main.Client().Addr(), c.bound()
	for _, own := range [2]bool{true, false} {
		for i := len(groups) - 1; i >= 0; i-- {
			g := groups[i]
			if g.clients[client] != own || g.until+linger < at {
				continue
			}
			if g.Server.Port() != c.Main.Server().Port() && !named {
				continue
			}
			if own || named && g.Creator {
				return g
			}
		}
	}
	return nil
}

func (g *Group) add(c *Conversation) {
	client := c.Main.Client().Addr()
	if !g.clients[client] {
		g.clients[client] = true
		g.Clients = append(g.Clients, client)
	}
	if client != g.Clients[0] {
		g.Across++
	}
	g.Members = append(g.Members, c)
	if len(g.Members) == 1 || c.first().Before(g.first) {
		g.first = c.first()
	}
	if g.last.Before(c.last()) {
		g.last = c.last()
	}
	g.until = max(g.until, c.openUntil(maybeOpen))
	if c.Group == nil {
		c.Group = g
	}
}

// First returns the first packet of the group's connections.
func (g *Group) First() wire.Mark { return g.first }

// Last returns the last packet of the group's connections.
func (g *Group) Last() wire.Mark { return g.last }

// All returns all connections of the group, the inferred ones last.
func (g *Group) All() []*Conversation { return append(slices.Clone(g.Members), g.Inferred...) }

// MAPI reports whether some member carries EMSMDB.
func (g *Group) MAPI() bool { return slices.ContainsFunc(g.Members, (*Conversation).MAPI) }

// joinedAt returns the bind of the first captured member.
func (g *Group) joinedAt() wire.Mark { return g.Members[0].Main.BindMark() }

// ends names a client host and a server end point at one capture point.
type ends struct {
	client netip.Addr
	server netip.AddrPort
}

func endsOf(c *assoc.Conn) ends { return ends{c.Client().Addr(), c.Server()} }

func compareMarks(a, b wire.Mark) int { return cmp.Or(cmp.Compare(a.Time, b.Time), assoc.ByMark(a, b)) }
