package assoc

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// GroupVerdict is how a whole association group went through the optimizers.
type GroupVerdict string

// The verdicts. Unknown is no alarm: it says that the packets do not tell.
const (
	Whole        GroupVerdict = "whole"
	SomeEscaped  GroupVerdict = "escaped"
	SplitPair    GroupVerdict = "split_pair"
	GroupUnknown GroupVerdict = "unknown"
)

// Outcome is the verdict on a group with its reasons.
type Outcome struct {
	Verdict GroupVerdict
	Reason  string
	Pairs   []DevicePair
	Escaped []*Conn
	Since   wire.Mark // from when on some connections passed the pair and some did not
	Risk    int64     // payload bytes of the escaped connections
	Proof   wire.Mark // first packet that proves it
}

// DevicePair is one pair of devices with the connections that passed it.
type DevicePair struct {
	Edge, Core string
	Conns      []*Conn
}

// Judge fills in the verdicts of all connections and groups and the groups
// that are only inferred. It returns where each capture point was taken.
func Judge(conns []*Conn, groups []*Group, d *Directory) map[pcaps.Point]pcaps.Point {
	scenes := whereabouts(conns)
	for _, c := range conns {
		c.Optimizer = judgeConn(c, scenes[c.Flow.Point])
	}
	shareLegs(conns)
	infer(conns, groups, d)
	for _, g := range groups {
		g.Verdict = judgeGroup(g)
	}
	places := make(map[pcaps.Point]pcaps.Point)
	for p, sc := range scenes {
		places[p] = sc.Place()
	}
	return places
}

// legKey recognises a connection that was captured at several points: the
// SYN passes the path unchanged, so addresses and client ISN are the same.
type legKey struct {
	client, server netip.AddrPort
	isn            uint32
}

// shareLegs lets the other legs of a connection know what the WAN leg proved:
// on a LAN an optimized connection looks like any other.
func shareLegs(conns []*Conn) {
	proven := make(map[legKey]*Conn)
	for _, c := range conns {
		if key, ok := c.leg(); ok && c.Flow.Point == pcaps.WAN && c.Optimizer.Path != PathUnknown {
			proven[key] = c
		}
	}
	for _, c := range conns {
		key, ok := c.leg()
		if !ok || c.Flow.Point == pcaps.WAN || c.Optimizer.Path != PathUnknown {
			continue
		}
		if w := proven[key]; w != nil {
			v := &c.Optimizer
			v.Vendor, v.Path, v.Edge, v.Core = w.Optimizer.Vendor, w.Optimizer.Path, w.Optimizer.Edge, w.Optimizer.Core
			v.note("other_leg", fmt.Sprintf("the same connection on the WAN: %s", w.Optimizer.Path), "exact", w.Flow.First)
		}
	}
}

func (c *Conn) leg() (legKey, bool) {
	s := &c.Flow.Sides[c.Flow.Client]
	return legKey{c.Client(), c.Server(), s.ISN}, s.HasISN
}

// overlap reports whether two connections were open at the same time.
func overlap(a, b *Conn) bool {
	return a.Flow.First.Time <= b.Flow.Last.Time && b.Flow.First.Time <= a.Flow.Last.Time
}

// infer adds to groups the connections whose binds the optimizers hide. On
// the WAN an optimized connection is unreadable, so its group shows only
// through a readable sibling that asks to join a group which nobody readable
// opened. Candidates have the same client and server end point and were open
// at the same time. Where several such groups compete for them there must be
// at least one candidate for each, or nothing is inferred.
func infer(conns []*Conn, groups []*Group, _ *Directory) {
	type hostKey struct {
		point  pcaps.Point
		client netip.Addr
		server netip.AddrPort
	}
	hidden := make(map[hostKey][]*Conn)
	for _, c := range conns {
		if c.RPC == nil && c.Optimizer.Path == Optimized {
			key := hostKey{c.Flow.Point, c.Client().Addr(), c.Server()}
			hidden[key] = append(hidden[key], c)
		}
	}
	if len(hidden) == 0 {
		return
	}
	orphans := make(map[hostKey][]*Group)
	for _, g := range groups {
		if !g.Creator && slices.ContainsFunc(g.Conns, (*Conn).MAPIBound) {
			key := hostKey{g.Point, g.Client, g.Server}
			orphans[key] = append(orphans[key], g)
		}
	}
	for key, gs := range orphans {
		for _, g := range gs {
			var found []*Conn
			for _, c := range hidden[key] {
				if slices.ContainsFunc(g.Conns, func(m *Conn) bool { return overlap(m, c) }) {
					found = append(found, c)
				}
			}
			if rivals := competing(gs, g); len(found) > rivals {
				g.Hidden = found
			}
		}
	}
}

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

// judgeGroup compares the paths of the EMSMDB connections of one group.
func judgeGroup(g *Group) Outcome {
	var through, past []*Conn
	members := 0
	for _, c := range g.Members() {
		if !c.MAPIBound() && !slices.Contains(g.Hidden, c) {
			continue
		}
		members++
		switch c.Optimizer.Path {
		case Optimized:
			through = append(through, c)
		case PassThrough:
			past = append(past, c)
		}
	}
	out := Outcome{Verdict: GroupUnknown, Pairs: pairsOf(through)}
	switch {
	case members == 0:
		out.Reason = "no EMSMDB connection: such traffic passes through by default policy"
	case len(through) > 0 && len(past) > 0:
		out.Verdict = SomeEscaped
		out.Escaped = past
		out.Since = later(earliest(through), earliest(past))
		out.Proof = earliest(past)
		for _, c := range past {
			out.Risk += c.Flow.Sides[0].Bytes + c.Flow.Sides[1].Bytes
		}
		out.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair, %d did not", len(through), members, len(past))
		if len(g.Hidden) > 0 {
			out.Reason += fmt.Sprintf(" (%d counted in by inference: their binds are hidden on the WAN)", len(g.Hidden))
		}
	case len(out.Pairs) > 1:
		out.Verdict = SplitPair
		out.Since = later(out.Pairs[0].Conns[0].Flow.First, out.Pairs[1].Conns[0].Flow.First)
		out.Proof = out.Since
		out.Reason = fmt.Sprintf("connections passed %d different device pairs", len(out.Pairs))
	case len(through) == members:
		out.Verdict = Whole
		out.Reason = "every connection passed the same optimizer pair"
		if members == 1 {
			out.Reason = "its one connection passed the optimizer pair"
		}
	case len(past) == members:
		out.Reason = "no connection passed an optimizer: nothing escaped, nothing is optimized"
	case len(through) > 0:
		out.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair, the path of the others cannot be told", len(through), members)
	default:
		out.Reason = "this capture does not show whether an optimizer was passed"
	}
	return out
}

func earliest(conns []*Conn) wire.Mark {
	first := conns[0].Flow.First
	for _, c := range conns[1:] {
		if c.Flow.First.Before(first) {
			first = c.Flow.First
		}
	}
	return first
}

func later(a, b wire.Mark) wire.Mark {
	if a.Before(b) {
		return b
	}
	return a
}

// pairsOf sorts optimized connections by the devices that they name.
// Connections that name none say nothing about pairs.
func pairsOf(conns []*Conn) []DevicePair {
	var pairs []DevicePair
	for _, c := range conns {
		v := c.Optimizer
		if v.Edge == "" && v.Core == "" {
			continue
		}
		i := slices.IndexFunc(pairs, func(p DevicePair) bool { return p.Edge == v.Edge && p.Core == v.Core })
		if i < 0 {
			pairs = append(pairs, DevicePair{Edge: v.Edge, Core: v.Core})
			i = len(pairs) - 1
		}
		pairs[i].Conns = append(pairs[i].Conns, c)
	}
	slices.SortStableFunc(pairs, func(a, b DevicePair) int { return cmp.Compare(a.Conns[0].Flow.First.Time, b.Conns[0].Flow.First.Time) })
	return pairs
}
