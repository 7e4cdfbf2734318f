// Package continuity tells from call ids which calls of an association group
// went over connections that a capture does not hold, and to which group a
// connection belongs whose bind was not captured. Windows clients count call
// ids over all connections of a group; others count them on each connection,
// and of those it says nothing. It knows no packets, writes into nobody and
// words nothing for a report.
package continuity

import (
	"cmp"
	"math"
	"slices"

	"mapiscope/dcerpc"
)

// Member is a connection as far as its call ids matter.
type Member struct {
	// IDs is nil for a connection that carries what cannot be read here, as
	// between two WAN optimizers: it may hold any call.
	IDs *dcerpc.CallIDs
	// Joined says that its bind asked for a group that was there: its
	// association group id was not 0.
	Joined bool
	// Cut says that its last PDUs may not have been captured, because it was
	// given up before it ended and before the capture did.
	Cut bool
	// Start and End are the times of its first and last PDU, ns. Those of its
	// first and last packet will do.
	Start, End int64
}

// Counting says what a client counts call ids over.
type Counting uint8

// The ways of counting.
const (
	Unknown        Counting = iota
	PerConnection           // Samba, impacket
	PerAssociation          // Windows
)

// String returns the name.
func (c Counting) String() string {
	switch c {
	case PerConnection:
		return "per_connection"
	case PerAssociation:
		return "per_association"
	}
	return "unknown"
}

// Result is what the call ids of a group say.
type Result struct {
	Counting Counting
	// Lowest and Highest are the least and the greatest call id that was seen,
	// both 0 when there is none.
	Lowest, Highest uint32
	// Missing is how many ids between them were seen nowhere and cannot have
	// been lost in what is missing of a captured connection: as many calls, or
	// attempts at one, went over connections that the capture does not hold.
	// 0 unless counting is per association.
	Missing int64
}

const (
	// reach is how far ids of one counter may be out of order in time: threads
	// take an id first and send a little later. Windows clients were seen to be
	// out by 1.
	reach = 64
	// implausible is from how many missing calls on something else than a
	// counter is the likelier cause.
	implausible = 1_000_000
)

// Cover is what may explain ids that the members of a group do not show.
type Cover struct {
	ids ranges
	all bool // any id
}

// Explain returns the ids that connections carried or may have carried. For
// the connections between two hosts that belong to no group of theirs, or asked
// for another than they were granted, or cannot be read, it is to be worked out
// once and given to Judge with each group of these hosts.
func Explain(others []Member) Cover {
	var c Cover
	for i := range others {
		m := &others[i]
		if m.IDs == nil {
			return Cover{all: true}
		}
		c.ids = m.lost(m.seen(c.ids))
	}
	c.ids = union(c.ids)
	return c
}

// seen appends the ids that a connection carried.
func (m *Member) seen(out ranges) ranges {
	return append(append(out, m.IDs.Calls.Ranges()...), m.IDs.Others.Ranges()...)
}

// lost appends the ids that may have been in what was not captured of a
// connection.
func (m *Member) lost(out ranges) ranges {
	for _, x := range m.IDs.Lost.Ranges() {
		out = append(out, widen(x, m.IDs.Disorder))
	}
	if !m.IDs.Spoke {
		return append(out, dcerpc.IDRange{Last: math.MaxUint32})
	}
	if m.IDs.Torn || m.Cut {
		_, high, _ := m.bounds()
		out = append(out, widen(dcerpc.IDRange{First: high, Last: math.MaxUint32}, m.IDs.Disorder))
	}
	return out
}

// bounds returns the least and the greatest id that a connection carried.
func (m *Member) bounds() (low, high uint32, ok bool) {
	low = math.MaxUint32
	for _, s := range [2]*dcerpc.IDSet{&m.IDs.Calls, &m.IDs.Others} {
		if a, b, some := s.Bounds(); some {
			low, high, ok = min(low, a), max(high, b), true
		}
	}
	if !ok {
		return 0, 0, false
	}
	return low, high, true
}

// Judge works out what the members of one association group say. elsewhere is
// what connections between the same hosts explain that are members of none.
//
// Counting is per association only where the ids of at least two members agree
// with it, or one that joined the group has holes. Ids below the lowest are
// never missing: they may have been used before the capture began.
func Judge(members []Member, elsewhere Cover) Result {
	g := gather(members)
	r := Result{Counting: g.counting}
	if len(g.seen) == 0 {
		return r
	}
	hull := g.hull()
	r.Lowest, r.Highest = hull.First, hull.Last
	if g.counting == PerConnection {
		return r
	}
	if g.counting == Unknown && (g.barred || g.carry != 1 || !g.telling || len(g.seen) == 1) {
		return r
	}
	r.Counting = PerAssociation
	if elsewhere.all || g.opaque {
		return r
	}
	known := slices.Clone(g.seen)
	for i := range members {
		known = union(members[i].lost(nil)).within(known, hull)
	}
	known = union(elsewhere.ids.within(known, hull))
	missing := int64(hull.Last) - int64(hull.First) + 1 - known.count()
	if missing > implausible {
		r.Counting = Unknown
		return r
	}
	r.Missing = missing
	return r
}

// group is what the members of a group say together.
type group struct {
	counting Counting
	barred   bool   // something contradicts counting per association
	telling  bool   // a member joined it, with the id of its first call on its bind
	opaque   bool   // a member cannot be read
	inexact  bool   // ranges of ids were joined
	seen     ranges // all ids
	carry    int    // members with ids
	timeline timeline
}

func (g *group) hull() dcerpc.IDRange {
	return dcerpc.IDRange{First: g.seen[0].First, Last: g.seen[len(g.seen)-1].Last}
}

// gather puts the members of a group together and decides how they count.
func gather(members []Member) group {
	g := group{timeline: newTimeline(members)}
	beginning := 0 // members that begin to count
	var calls []owned
	for i := range members {
		m := &members[i]
		if m.IDs == nil {
			g.opaque = true
			continue
		}
		low, _, ok := m.bounds()
		if !ok {
			continue
		}
		g.carry++
		g.seen = m.seen(g.seen)
		g.inexact = g.inexact || m.IDs.Calls.Joined() || m.IDs.Others.Joined()
		if low <= 1 {
			if beginning++; m.Joined || beginning > 1 {
				g.counting, g.barred = PerConnection, true
			}
		}
		own := m.ownBind()
		g.barred = g.barred || own || m.IDs.Disorder > reach
		g.telling = g.telling || m.Joined && m.IDs.Bind != nil && !own
		for _, x := range m.IDs.Calls.Ranges() {
			calls = append(calls, owned{x, i})
		}
	}
	g.seen = union(g.seen)
	switch {
	case overlap(calls):
		if g.barred = true; !g.inexact {
			g.counting = PerConnection
		}
	case !g.timeline.orderly(members):
		g.barred = true
	}
	if !g.barred && g.carry > 1 {
		g.counting = PerAssociation
	}
	return g
}

// ownBind reports whether the first bind of a connection had an id that no
// call has: such clients count per connection, or over all that a process
// does. With parts of the connection missing that cannot be told.
func (m *Member) ownBind() bool {
	ids := m.IDs
	calls := ranges(ids.Calls.Ranges())
	if ids.Bind == nil || len(calls) == 0 || ids.Torn || len(ids.Lost.Ranges()) > 0 {
		return false
	}
	return !calls.has(*ids.Bind)
}

// owned is a range of ids of one member.
type owned struct {
	dcerpc.IDRange
	member int
}

// overlap reports whether two members have an id in common.
func overlap(r []owned) bool {
	slices.SortFunc(r, func(a, b owned) int { return cmp.Compare(a.First, b.First) })
	for i := 1; i < len(r); i++ {
		// The ranges of one member do not meet, so those that do are neighbours.
		if r[i].First <= r[i-1].Last {
			return true
		}
	}
	return false
}
