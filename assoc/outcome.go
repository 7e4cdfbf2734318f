package assoc

import (
	"cmp"
	"fmt"
	"slices"

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
	Pairs   []DevicePair
	Split   bool // connections passed different pairs, whatever else holds
	Escaped []*Conn
	Since   wire.Mark // from when on some connections passed the pair and some did not
	Risk    int64     // payload bytes of the escaped connections
	Proof   wire.Mark // first packet that proves it
	Growth  *Growth   // set when the escape looks like an overload
}

// DevicePair is one pair of devices with the connections that passed it.
type DevicePair struct {
	Edge, Core string
	Conns      []*Conn
}

// group compares the paths of the EMSMDB connections of one group. RFR and
// NSPI pass through by default policy and never count.
func (j *judge) group(g *Group) Outcome {
	var through, past []*Conn
	members, surely := 0, 0
	for _, c := range g.Members() {
		if !c.MAPIBound() && !slices.Contains(g.Hidden, c) {
			continue
		}
		members++
		switch c.Optimizer.Path {
		case Optimized:
			through = append(through, c)
			if c.Optimizer.Proven {
				surely++
			}
		case PassThrough:
			past = append(past, c)
		}
	}
	out := Outcome{Verdict: GroupUnknown, Pairs: pairsOf(through)}
	out.Split = j.differ(out.Pairs)
	switch {
	case members == 0:
		out.Reason = "no EMSMDB connection: such traffic passes through by default policy"
	case surely > 0 && len(past) > 0:
		j.escape(&out, g, through, past, members)
	case out.Split:
		out.Verdict = SplitPair
		out.Since = later(earliest(out.Pairs[0].Conns), earliest(out.Pairs[1].Conns))
		out.Proof = out.Since
		out.Reason = fmt.Sprintf("its connections passed %d different device pairs", len(out.Pairs))
	case len(past) > 0 && len(through) > 0:
		out.Reason = fmt.Sprintf("the timing of %d of %d connections looks like an optimizer and that of %d does not: a hint, no proof", len(through), members, len(past))
	case len(through) == members && len(out.Pairs) > 1:
		out.Reason = "every connection passed an optimizer; the bytes taken for device ids differ, each seen once: whether that was one pair cannot be told"
	case len(through) == members:
		out.Verdict = Whole
		out.Reason = "every connection passed the same optimizer pair"
		switch {
		case surely < members:
			out.Reason = "by the times of acknowledgements every connection passed an optimizer or another proxy"
		case members == 1:
			out.Reason = "its one connection passed the optimizer pair"
		}
	case len(past) == members && g.Veiled:
		out.Reason = "its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told"
	case len(past) == members:
		out.Reason = "no connection passed an optimizer: nothing escaped, nothing is optimized"
	case len(through) > 0:
		out.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair, the path of the others cannot be told", len(through), members)
	case len(past) > 0:
		out.Reason = fmt.Sprintf("%d of %d connections passed no optimizer, the path of the others cannot be told", len(past), members)
	default:
		out.Reason = "this capture does not show whether an optimizer was passed"
	}
	return out
}

// escape fills in the verdict of a group that some connections escaped from.
func (j *judge) escape(out *Outcome, g *Group, through, past []*Conn, members int) {
	out.Verdict, out.Escaped = SomeEscaped, past
	out.Since = later(earliest(through), earliest(past))
	out.Proof = proofOf(past)
	for _, c := range past {
		out.Risk += c.Flow.Sides[0].Bytes + c.Flow.Sides[1].Bytes
	}
	out.Reason = fmt.Sprintf("%d of %d connections passed the optimizer pair, %d did not", len(through), members, len(past))
	if n := len(g.Hidden); n > 0 {
		out.Reason += fmt.Sprintf(" (%d counted in by inference: their binds are hidden on the WAN)", n)
	}
	if out.Split {
		out.Reason += fmt.Sprintf("; those that passed took %d different pairs", len(out.Pairs))
	}
	out.Growth = j.growth(g, past)
}

// proofOf returns the first packet that shows that a connection passed no
// optimizer.
func proofOf(past []*Conn) wire.Mark {
	var proof wire.Mark
	for _, c := range past {
		for _, e := range c.Optimizer.Evidence {
			switch e.Kind {
			case "no_option", "option_unanswered", "late_ack", "other_leg", "paired":
				if !e.Mark.IsZero() && (proof.IsZero() || e.Mark.Before(proof)) {
					proof = e.Mark
				}
			}
		}
	}
	return proof
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

// pairsOf sorts optimized connections by the devices that they name. A device
// that a connection does not name may be any.
func pairsOf(conns []*Conn) []DevicePair {
	same := func(a, b string) bool { return a == b || a == "" || b == "" }
	var pairs []DevicePair
	for _, c := range conns {
		v := c.Optimizer
		if v.Edge == "" && v.Core == "" {
			continue
		}
		i := slices.IndexFunc(pairs, func(p DevicePair) bool { return same(p.Edge, v.Edge) && same(p.Core, v.Core) })
		if i < 0 {
			pairs = append(pairs, DevicePair{Edge: v.Edge, Core: v.Core})
			i = len(pairs) - 1
		}
		p := &pairs[i]
		p.Edge, p.Core = cmp.Or(p.Edge, v.Edge), cmp.Or(p.Core, v.Core)
		p.Conns = append(p.Conns, c)
	}
	slices.SortStableFunc(pairs, func(a, b DevicePair) int { return byMark(earliest(a.Conns), earliest(b.Conns)) })
	return pairs
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

// Growth says that an escape looks like an overload: from its first
// connection on, what is opened to servers that the pair optimizes goes plain,
// while the number of optimized connections no longer rises.
type Growth struct {
	Optimized int       // connections that the pair held when the first one escaped
	Plain     int       // connections opened from then on that passed through
	Mark      wire.Mark // of the first one
	Last      wire.Mark // of the last
}

// The least that counts as growth that flattened.
const (
	growthHeld  = 3
	growthPlain = 3
)

// growth looks at all connections of the capture point to the servers that
// some connection reached through the pair.
func (j *judge) growth(g *Group, past []*Conn) *Growth {
	first := earliest(past)
	covered := make(map[string]bool)
	var all []*Conn
	for _, c := range j.conns {
		if c.Where() == past[0].Where() && c.Optimizer.Path != PathUnknown {
			all = append(all, c)
			if c.Optimizer.Path == Optimized {
				covered[c.Server().String()] = true
			}
		}
	}
	out := Growth{Mark: first}
	for _, c := range all {
		if !covered[c.Server().String()] {
			continue
		}
		optimized := c.Optimizer.Path == Optimized
		switch begun := c.Flow.First.Before(first); {
		case begun && optimized && !c.Flow.Last.Before(first):
			out.Optimized++
		case !begun && optimized:
			return nil
		case !begun:
			out.Plain++
			out.Last = later(out.Last, c.Flow.First)
		}
	}
	if out.Optimized < growthHeld || out.Plain < growthPlain {
		return nil
	}
	return &out
}
