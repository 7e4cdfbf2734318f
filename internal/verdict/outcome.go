package verdict

import (
	"cmp"
	"fmt"
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/wire"
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
	// Clear says that nothing escaped: the path of each member is proven at two
	// places, all took the same, and whoever opened the group was captured.
	Clear bool
	// Unproven says why Clear does not hold, "" where something escaped.
	Unproven string
	Quality  Quality // of SomeEscaped
	Pairs    []DevicePair
	// PairsDropped counts connections whose pair Pairs had no room for.
	PairsDropped int64
	Split        bool // connections passed different pairs, whatever else holds
	Escaped      []*Conversation
	Possible     []*Conversation
	Since        wire.Mark // from when on some connections passed the pair and some did not
	Risk         int64     // payload bytes of the escaped connections
	Proof        wire.Mark // first packet that proves it
	Growth       *Growth   // set when the escape looks like an overload
	Cause        string    // why it took another path, where the captures show it
	Missing      int64     // calls that went over connections that the captures do not hold
}

// DevicePair is one pair of devices with the connections that passed it.
type DevicePair struct {
	Edge, Core string
	Members    []*Conversation
}

// outcomes judges all groups.
func (j *judge) outcomes(all []*Conversation, groups []*Group) {
	j.growths = newGrowths(j, all)
	alone := j.alone()
	for _, g := range groups {
		j.outcome(g, alone)
	}
}

// alone returns the conversations that a capture point shows and the one that
// it is compared with does not, though it covers them.
func (j *judge) alone() map[*assoc.Conn]bool {
	if j.Compare == nil || j.conflict {
		return nil
	}
	alone := make(map[*assoc.Conn]bool)
	for _, u := range j.Compare.Unpaired {
		alone[u.Conn] = !u.Outside && !u.Elsewhere
	}
	return alone
}

// tally sorts the EMSMDB members of a group by their paths.
type tally struct {
	through, past, unknown []*Conversation
	surely                 int // proven to have passed
	exactly                int // proven at two places
	crossed                int // captured at two places that were compared
	members                int
}

// outcome compares the paths of the EMSMDB connections of one group. RFR and
// NSPI pass through by default policy and never count.
func (j *judge) outcome(g *Group, alone map[*assoc.Conn]bool) {
	var t tally
	var gone []*Conversation
	for i, c := range g.All() {
		if inferred := i >= len(g.Members); !c.MAPI() && !inferred {
			continue
		}
		t.members++
		if len(c.Legs) == 1 && alone[c.Main] {
			gone = append(gone, c)
		}
		switch c.Path {
		case Optimized:
			t.through = append(t.through, c)
			if c.Proven {
				t.surely++
			}
		case PassThrough:
			t.past = append(t.past, c)
		default:
			t.unknown = append(t.unknown, c)
		}
		if c.Crossing != nil {
			t.crossed++
			if c.Path != PathUnknown && c.Quality == Exact {
				t.exactly++
			}
		}
	}
	out := &g.Outcome
	out.Verdict = GroupUnknown
	out.Pairs, out.PairsDropped = pairsOf(t.through)
	out.Split = j.differ(out.Pairs)
	proven := slices.DeleteFunc(slices.Clone(t.past), func(c *Conversation) bool { return !c.Proven })
	switch {
	case t.members == 0:
		out.Reason = "no EMSMDB connection: such traffic passes through by default policy"
		return
	case t.surely > 0 && len(proven) > 0 && g.Across == 0:
		j.escaped(g, &t, proven)
	case out.Split:
		out.Verdict = SplitPair
		out.Since = later(earliest(out.Pairs[0].Members), earliest(out.Pairs[1].Members))
		out.Proof = out.Since
		out.Reason = fmt.Sprintf("its connections passed %d different device pairs", len(out.Pairs))
		out.Unproven = out.Reason
	default:
		j.unescaped(g, &t)
		j.possible(g, &t, gone)
	}
}

// unescaped words the verdict on a group that no escape is proven of.
func (j *judge) unescaped(g *Group, t *tally) {
	out := &g.Outcome
	switch {
	case len(t.past) > 0 && len(t.through) > 0 && g.Across > 0:
		out.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair and %d did not; they come from %d addresses", len(t.through), t.members, len(t.past), len(g.Clients))
	case len(t.past) > 0 && len(t.through) > 0:
		out.Reason = fmt.Sprintf("the timing of %d of %d connections looks like an optimizer and that of %d does not: a hint, no proof", len(t.through), t.members, len(t.past))
	case len(t.through) == t.members && len(out.Pairs) > 1:
		out.Reason = "every connection passed an optimizer; the bytes taken for device ids differ, each seen once: whether that was one pair cannot be told"
	case len(t.through) == t.members:
		out.Verdict = Whole
		out.Reason = "every captured connection passed the same optimizer pair"
		switch {
		case t.surely < t.members:
			out.Verdict = GroupUnknown
			out.Reason = "what one capture point shows hints at an optimizer, or another proxy, on every connection, and does not prove it"
			if t.crossed == t.members {
				out.Reason = "what two capture points show hints at an optimizer, or another proxy, on every connection, and does not prove it"
			}
		case t.members == 1:
			out.Reason = "its one connection passed the optimizer pair"
		}
	case len(t.past) == t.members && g.veiled:
		out.Reason = "its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told"
	case len(t.past) == t.members:
		out.Reason = "no captured connection passed an optimizer"
	case len(t.through) > 0:
		out.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair, the path of the others cannot be told", len(t.through), t.members)
	case len(t.past) > 0:
		out.Reason = fmt.Sprintf("%d of %d connections passed no optimizer, the path of the others cannot be told", len(t.past), t.members)
	default:
		out.Reason = "the captures do not show whether an optimizer was passed"
	}
	switch {
	case j.conflict:
		out.Unproven = "the packets contradict what was said of the capture points"
	case !g.Creator:
		out.Unproven = "whoever opened the group was not captured"
	case len(t.unknown) > 0:
		out.Unproven = fmt.Sprintf("the path of %s of %d cannot be told", connections(len(t.unknown)), t.members)
	case t.exactly < t.members && t.crossed == t.members:
		out.Unproven = "what two capture points show of its connections hints at their path and does not prove it"
	case t.exactly < t.members:
		out.Unproven = "its connections were captured at one place only: a member that takes another path would not be seen"
	case len(t.through) > 0 && len(t.past) > 0:
		out.Unproven = out.Reason
	case g.Missing > 0:
		out.Unproven = fmt.Sprintf("%d of its calls went over connections that the captures do not hold", g.Missing)
	case g.Across > 0:
		out.Unproven = "it joins connections of several addresses"
	default:
		out.Clear = true
	}
	if out.Verdict == Whole && !out.Clear && (j.conflict || g.Missing > 0) {
		out.Verdict = GroupUnknown
	}
}

func connections(n int) string {
	if n == 1 {
		return "one connection"
	}
	return fmt.Sprintf("%d connections", n)
}

// possible finds connections that may have escaped: the packets hint at it and
// do not prove it.
func (j *judge) possible(g *Group, t *tally, gone []*Conversation) {
	out := &g.Outcome
	may := func(cs []*Conversation, reason string) {
		for _, c := range cs {
			if c.Possible == nil && c.Escaped == nil {
				c.Possible = &Escaped{Reason: reason, Quality: Heuristic, Group: g, Proof: proofOf(j, []*Conversation{c})}
				out.Possible = append(out.Possible, c)
			}
		}
		out.Clear = false
	}
	switch {
	case len(gone) > 0 && len(gone) < t.members:
		may(gone, "it is missing at the other capture point, which covers its time: it took another path, or the other capture is not complete")
	case len(t.past) > 0 && len(t.through) > 0 && g.Across > 0:
		may(t.past, "it joined from another address a group whose other connections passed the pair")
	case len(t.past) > 0 && len(t.through) > 0:
		may(t.past, "its timing is that of a connection that no device splits, and other connections of its group are split near by")
	case len(t.past) > 0 && len(t.past) == t.members && !g.Creator && g.openers > 0:
		may(t.past, "it joined a group that a hidden connection of the same client may have opened, and those passed the pair")
	case g.Missing > 0 && (len(t.through) > 0 || j.anyOptimizer()):
		// The connections that carried them were not captured.
		out.Unproven = fmt.Sprintf("%d of its calls went by a path that the captures do not see", g.Missing)
	}
	if len(out.Possible) > 0 {
		out.Unproven = fmt.Sprintf("%s may have escaped: %s", connections(len(out.Possible)), out.Possible[0].Possible.Reason)
		out.Proof = proofOf(j, out.Possible)
		if out.Verdict == Whole {
			out.Verdict = GroupUnknown
		}
	}
}

// anyOptimizer reports whether some leg of the job passed an optimizer.
func (j *judge) anyOptimizer() bool {
	if j.optimizer == nil {
		seen := false
		for _, l := range j.legs {
			if l.Vendor != "" || l.Path == Optimized {
				seen = true
				break
			}
		}
		j.optimizer = &seen
	}
	return *j.optimizer
}

// escaped fills in the verdict of a group that some connections escaped from.
func (j *judge) escaped(g *Group, t *tally, past []*Conversation) {
	out := &g.Outcome
	out.Verdict, out.Escaped, out.Quality = SomeEscaped, past, Exact
	out.Since = later(earliest(t.through), earliest(past))
	out.Proof = proofOf(j, past)
	for _, c := range past {
		out.Risk += c.bytes()
		if c.Quality != Exact {
			out.Quality = Heuristic
		}
	}
	out.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair, %d did not", len(t.through), t.members, len(past))
	if n := len(g.Inferred); n > 0 {
		out.Quality = Heuristic
		out.Reason += fmt.Sprintf(" (%d inferred: their binds are hidden between the devices)", n)
	}
	if out.Split {
		out.Reason += fmt.Sprintf("; those that passed took %d different pairs", len(out.Pairs))
	}
	if n := len(t.unknown); n > 0 {
		out.Reason += fmt.Sprintf("; the path of %s cannot be told", connections(n))
	}
	out.Growth = j.growths.of(past)
	out.Cause = j.cause(t.through, past)
	for _, c := range past {
		c.Escaped = &Escaped{Reason: j.escapeReason(c), Quality: out.Quality, Group: g, Proof: proofOf(j, []*Conversation{c})}
	}
}

// escapeReason says in one line why a connection counts as escaped.
func (j *judge) escapeReason(c *Conversation) string {
	return cmp.Or(c.Reason, "it passed no optimizer while others of its group did")
}

// cause names what two places show of why connections took another path.
func (j *judge) cause(through, past []*Conversation) string {
	for _, c := range past {
		if c.Crossing == nil {
			return ""
		}
		for _, l := range c.Legs {
			switch leg := j.legs[l]; {
			case leg.Stripped:
				return "the discovery option was not answered: it was stripped on the way, or the peer did not take the connection"
			case leg.Has(NoOption) && !l.HandshakeMarks()[0].IsZero():
				return "the edge device did not offer optimization: its SYN carries no discovery option (overload, policy or interception)"
			}
		}
	}
	for _, c := range past {
		if c.Pair != nil && through[0].Pair != nil && otherNeighbour(c, through[0]) {
			return "another path: at the " + place(c.Pair.Far, "far point") + " its packets come from another neighbour than those of the others"
		}
	}
	return ""
}

// otherNeighbour reports whether the client's packets reach the far point from
// another hardware address, or through another VLAN.
func otherNeighbour(c, o *Conversation) bool {
	f, g := c.Pair.Far.Flow, o.Pair.Far.Flow
	a, b := &f.Sides[f.Client], &g.Sides[g.Client]
	return a.Lane.SrcMAC != b.Lane.SrcMAC || a.Lane.VLAN != b.Lane.VLAN
}

// proofOf returns the first packet that shows that a connection passed no
// optimizer.
func proofOf(j *judge, past []*Conversation) wire.Mark {
	var proof wire.Mark
	for _, c := range past {
		for _, l := range c.Legs {
			for _, e := range j.legs[l].Evidence {
				switch e.Kind {
				case NoOption, OptionUnanswered, OptionDropped, LateAck, OtherLeg, Paired:
					if !e.Mark.IsZero() && (proof.IsZero() || e.Mark.Before(proof)) {
						proof = e.Mark
					}
				}
			}
		}
	}
	if proof.IsZero() {
		proof = earliest(past)
	}
	return proof
}

func earliest(cs []*Conversation) wire.Mark {
	first := cs[0].first()
	for _, c := range cs[1:] {
		if c.first().Before(first) {
			first = c.first()
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

// maxPairs bounds the pairs of devices of one group: bytes that differ on every
// connection are no devices, and would cost the square of the connections.
const maxPairs = 64

// pairsOf sorts optimized connections by the devices that they name. A device
// that a connection does not name may be any. Connections past maxPairs pairs
// are only counted.
func pairsOf(cs []*Conversation) (pairs []DevicePair, dropped int64) {
	same := func(a, b string) bool { return a == b || a == "" || b == "" }
	for _, c := range cs {
		if c.Edge == "" && c.Core == "" {
			continue
		}
		i := slices.IndexFunc(pairs, func(p DevicePair) bool { return same(p.Edge, c.Edge) && same(p.Core, c.Core) })
		if i < 0 {
			if len(pairs) == maxPairs {
				dropped++
				continue
			}
			pairs = append(pairs, DevicePair{Edge: c.Edge, Core: c.Core})
			i = len(pairs) - 1
		}
		p := &pairs[i]
		p.Edge, p.Core = cmp.Or(p.Edge, c.Edge), cmp.Or(p.Core, c.Core)
		p.Members = append(p.Members, c)
	}
	slices.SortStableFunc(pairs, func(a, b DevicePair) int { return assoc.ByMark(earliest(a.Members), earliest(b.Members)) })
	return pairs, dropped
}

// differ reports whether pairs are surely those of different devices.
func (j *judge) differ(pairs []DevicePair) bool {
	for i, a := range pairs {
		for _, b := range pairs[i+1:] {
			if j.ids.distinct(false, a.Edge, b.Edge) || j.ids.distinct(true, a.Core, b.Core) {
				return true
			}
		}
	}
	return false
}
