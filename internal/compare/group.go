package compare

import (
	"fmt"
	"slices"

	"mapiscope/assoc"
)

// Group is one association group as the two points saw it.
type Group struct {
	Near, Far *assoc.Group // nil where the point saw none of it
	Pairs     []*Pair
	Alone     []*assoc.Conn // members that stand at one point only, though the other capture covers them
	Verdict   assoc.GroupVerdict
	Reason    string
	Escaped   []*assoc.Conn // as seen nearest to the clients
	Since     int64         // since when some passed and some did not, ns; 0: never
	Bytes     int64         // payload of the escaped ones
	Cause     string        // "" where the captures do not show it
}

// Groups puts the association groups of the two points together and judges
// them.
func (r *Result) Groups(groups []*assoc.Group) []*Group {
	pairs := make(map[*assoc.Conn]*Pair)
	for _, p := range r.Pairs {
		pairs[p.Near], pairs[p.Far] = p, p
	}
	alone := make(map[*assoc.Conn]bool)
	for _, u := range r.Unpaired {
		alone[u.Conn] = !u.Outside && !u.Elsewhere
	}
	of := make(map[*assoc.Conn]*assoc.Group)
	for _, g := range groups {
		for _, c := range g.Conns {
			of[c] = g
		}
	}
	var out []*Group
	joined := make(map[*assoc.Group]bool)
	for _, g := range groups {
		if g.Point != r.Job.near {
			continue
		}
		x := &Group{Near: g}
		for _, c := range g.Conns {
			p := pairs[c]
			if p == nil {
				if alone[c] {
					x.Alone = append(x.Alone, c)
				}
				continue
			}
			x.Pairs = append(x.Pairs, p)
			if f := of[p.Far]; f != nil && x.Far == nil && !joined[f] {
				x.Far, joined[f] = f, true
			}
		}
		x.addFar(pairs, alone, of)
		out = append(out, x)
	}
	for _, g := range groups {
		if g.Point == r.Job.far && !joined[g] {
			x := &Group{Far: g}
			x.addFar(pairs, alone, of)
			if len(x.Alone)+len(x.Pairs) > 0 {
				out = append(out, x)
			}
		}
	}
	for _, x := range out {
		r.judgeGroup(x)
	}
	return out
}

// addFar adds the members of the far group that the near point did not see,
// or saw unreadable.
func (g *Group) addFar(pairs map[*assoc.Conn]*Pair, alone map[*assoc.Conn]bool, of map[*assoc.Conn]*assoc.Group) {
	if g.Far == nil {
		return
	}
	for _, c := range g.Far.Conns {
		switch p := pairs[c]; {
		case p == nil && alone[c]:
			g.Alone = append(g.Alone, c)
		case p != nil && of[p.Near] == nil:
			g.Pairs = append(g.Pairs, p)
		}
	}
}

// judgeGroup compares the paths of the EMSMDB connections of a group.
func (r *Result) judgeGroup(g *Group) {
	var through, past []*Pair
	members := 0
	for _, p := range g.Pairs {
		if !p.Near.MAPIBound() && !p.Far.MAPIBound() {
			continue
		}
		members++
		switch p.Verdict.Path {
		case assoc.Optimized:
			through = append(through, p)
		case assoc.PassThrough:
			past = append(past, p)
		}
	}
	g.Alone = slices.DeleteFunc(g.Alone, func(c *assoc.Conn) bool { return !c.MAPIBound() })
	members += len(g.Alone)
	devices := devicesOf(through)
	g.Verdict = assoc.GroupUnknown
	switch {
	case members == 0:
		g.Reason = "no EMSMDB connection: such traffic passes through by default policy"
	case len(through) > 0 && len(past)+len(g.Alone) > 0:
		g.Verdict = assoc.SomeEscaped
		g.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair, %d did not", len(through), members, len(past)+len(g.Alone))
		r.escaped(g, through, past)
	case len(g.Alone) > 0 && len(g.Pairs) > 0:
		g.Verdict = assoc.SomeEscaped
		g.Reason = fmt.Sprintf("%d of %d connections stand at one capture point only", len(g.Alone), members)
		r.escaped(g, g.Pairs, nil)
	case len(g.Alone) > 0:
		g.Reason = "the whole group stands at one capture point only"
	case len(devices) > 1:
		g.Verdict = assoc.SplitPair
		g.Reason = fmt.Sprintf("connections passed %d different device pairs", len(devices))
		g.Since = through[0].Near.Flow.First.Time
	case len(through) == members:
		g.Verdict = assoc.Whole
		g.Reason = "every connection passed the optimizer pair"
	case len(past) == members:
		g.Reason = "no connection passed an optimizer: nothing escaped, nothing is optimized"
	default:
		g.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair, the path of the others cannot be told", len(through), members)
	}
}

// escaped fills in what escaped, since when and why.
func (r *Result) escaped(g *Group, through, past []*Pair) {
	for _, p := range past {
		g.Escaped = append(g.Escaped, p.Near)
	}
	g.Escaped = append(g.Escaped, g.Alone...)
	first := func(c *assoc.Conn) int64 { // in the clock of the near point
		t := c.Flow.First.Time
		if c.Flow.Point == r.Job.far && r.Clock.Known {
			t -= r.Clock.OffsetAt(t)
		}
		return t
	}
	begin, escape := first(through[0].Near), first(g.Escaped[0])
	for _, p := range through {
		begin = min(begin, first(p.Near))
	}
	for _, c := range g.Escaped {
		escape = min(escape, first(c))
		g.Bytes += c.Flow.Sides[0].Bytes + c.Flow.Sides[1].Bytes
	}
	g.Since = max(begin, escape)
	g.Cause = r.cause(g, through, past)
}

// cause names what the captures show of why connections took another path.
func (r *Result) cause(g *Group, through, past []*Pair) string {
	for _, c := range g.Alone {
		if c.Flow.Sides[0].Packets == 0 || c.Flow.Sides[1].Packets == 0 {
			return "asymmetric routing: only one direction of an escaped connection was captured"
		}
	}
	if len(g.Alone) > 0 && len(past) == 0 {
		if g.Alone[0].Flow.Point == r.Job.near {
			return "another path: an escaped connection never reaches the " + r.Job.far.String() + " capture point"
		}
		return "another path: an escaped connection never crosses the " + r.Job.near.String() + " capture point"
	}
	for _, p := range past {
		w := p.Between()
		switch {
		case w == nil:
		case w.Optimizer.Stripped:
			return "the discovery option was not answered: it was stripped on the way, or the peer did not take the connection"
		case w.Optimizer.Path == assoc.PassThrough:
			return "the edge device did not offer optimization: its SYN carries no discovery option (overload, policy or interception)"
		}
	}
	for _, p := range past {
		if o := through[0]; otherNeighbour(p, o) {
			return "another path: at the " + r.Job.far.String() + " its packets come from another neighbour than those of the others"
		}
	}
	return ""
}

// otherNeighbour reports whether the client's packets reach the far point from
// another hardware address, or through another VLAN.
func otherNeighbour(p, o *Pair) bool {
	a, b := &p.Far.Flow.Sides[p.Far.Flow.Client], &o.Far.Flow.Sides[o.Far.Flow.Client]
	return a.Lane.SrcMAC != b.Lane.SrcMAC || a.Lane.VLAN != b.Lane.VLAN
}

// devicesOf returns the device pairs that connections name between the
// devices.
func devicesOf(pairs []*Pair) [][2]string {
	var found [][2]string
	for _, p := range pairs {
		c := p.Between()
		if c == nil {
			c = p.Near
		}
		if d := [2]string{c.Optimizer.Edge, c.Optimizer.Core}; d != [2]string{} && !slices.Contains(found, d) {
			found = append(found, d)
		}
	}
	return found
}
