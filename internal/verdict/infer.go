package verdict

import (
	"container/heap"
	"slices"

	"mapiscope/assoc"
	"mapiscope/flows"
)

// candidate is a connection that may have opened a group which nobody readable
// opened.
type candidate struct {
	*Conversation
	sure bool // it was seen from its handshake, and a device at the server's side answered it
}

// maxInferred bounds the connections that are listed as inferred members.
const maxInferred = 64

// infer adds to groups the connections whose binds the optimizers hide. On
// the WAN an optimized connection is unreadable, so its group shows only
// through a readable sibling that asks to join a group which nobody readable
// opened. Then whoever opened it is among the other connections of the same
// client to the same end point that were open at that time. If each of these
// was seen from its handshake and answered by a device at the server's side,
// the opener passed the pair, whichever of them it was. Where several such
// groups compete there must be at least one hidden opener for each, a
// different one, or nothing is inferred.
func (j *judge) infer(conversations []*Conversation, groups []*Group) {
	hidden := make(map[ends][]candidate)
	for _, c := range conversations {
		if c.Group != nil || !c.talked() && c.Main.Flow.Origin != flows.Midstream {
			continue
		}
		switch {
		case !c.Main.FromStart() && (c.Path == Optimized && c.Proven || c.Path == PathUnknown && j.answered(c)):
			k := endsOf(c.Main)
			hidden[k] = append(hidden[k], candidate{c, j.answered(c)})
		case c.Readable() && !c.MAPI() && c.Basis == assoc.ByBind:
			// It is bound to something else.
		case c.Main.Transport() == assoc.SMB || c.Main.Transport() == assoc.KDC:
		default:
			// It may be a member, and who tells whether it passed?
			k := endsOf(c.Main)
			hidden[k] = append(hidden[k], candidate{c, false})
			if !c.Main.Flow.ClientKnown {
				k = ends{c.Main.Server().Addr(), c.Main.Client()}
				hidden[k] = append(hidden[k], candidate{c, false})
			}
		}
	}
	byEnds := make(map[ends][]*Group)
	for _, g := range groups {
		if g.MAPI() {
			k := endsOf(g.Members[0].Main)
			byEnds[k] = append(byEnds[k], g)
		}
	}
	for k, gs := range byEnds {
		if len(hidden[k]) > 0 {
			inferOpeners(hidden[k], gs)
		}
	}
}

// answered reports whether a leg between the devices shows the handshake with
// the option of the device at the server's side, or a sequence jump: then the
// connection surely passed the pair from its beginning.
func (j *judge) answered(c *Conversation) bool {
	return slices.ContainsFunc(c.Legs, func(l *assoc.Conn) bool {
		return l.Flow.Origin == flows.Handshake && (answeredByDevice(l) || l.Jump() != nil)
	})
}

// inferOpeners sweeps over the groups of one client at one end point in order
// of time, with the candidates that are open at each moment.
func inferOpeners(candidates []candidate, groups []*Group) {
	slices.SortStableFunc(candidates, func(a, b candidate) int { return compareMarks(a.first(), b.first()) })
	slices.SortStableFunc(groups, func(a, b *Group) int { return compareMarks(a.joinedAt(), b.joinedAt()) })
	starts, stops := spansOf(candidates, func(c candidate) bool { return c.Path == Optimized })
	orphanStarts, orphanStops := spansOf(groups, func(g *Group) bool { return !g.Creator })
	ends := make([]int64, len(candidates))
	for i, c := range candidates {
		ends[i] = c.openUntil(surelyOpen)
	}
	slices.Sort(ends)
	var open, free openSet // free are those of open that opened none of the groups so far
	var openers []opener
	unsure, next, settled := 0, 0, 0
	for _, g := range groups {
		g.veiled = between(starts, stops, g.First().Time, g.Last().Time) > 0
		at := g.joinedAt()
		for next < len(candidates) && candidates[next].first().Before(at) {
			heap.Push(&open, candidates[next])
			heap.Push(&free, candidates[next])
			if !candidates[next].sure {
				unsure++
			}
			next++
		}
		for len(open) > 0 && open[0].openUntil(maybeOpen) < at.Time {
			if c := heap.Pop(&open).(candidate); !c.sure {
				unsure--
			}
		}
		ended, _ := slices.BinarySearch(ends, at.Time)
		stale := len(open) - (next - ended) // silent for so long that nobody knows whether they still are open
		g.openers = len(open) - unsure
		if g.Creator || len(open) == 0 {
			continue
		}
		competing := between(orphanStarts, orphanStops, g.First().Time, g.Last().Time) - 1
		switch {
		case unsure > 0 || stale > 0:
			// One that may have opened the group was not seen from its handshake,
			// or nothing shows that a device answered it.
		case len(open) <= competing:
			// There are fewer hidden connections than groups that nobody opened.
		default:
			for len(free) > 0 && free[0].openUntil(maybeOpen) < at.Time {
				heap.Pop(&free)
			}
			if len(free) == 0 {
				// Each connection is in one group, and all that are open opened another.
				for _, o := range openers[settled:] {
					if o.of.openUntil(maybeOpen) >= at.Time {
						o.group.contended = true
					}
				}
				settled = len(openers)
				continue
			}
			openers = append(openers, opener{heap.Pop(&free).(candidate), g, slices.Clone(open[:min(len(open), maxInferred)])})
		}
	}
	for _, o := range openers {
		if o.group.contended {
			continue
		}
		slices.SortFunc(o.open, func(a, b candidate) int { return compareMarks(a.first(), b.first()) })
		for _, c := range o.open {
			o.group.Inferred = append(o.group.Inferred, c.Conversation)
			if c.Conversation.Group == nil {
				c.Conversation.Group = o.group
			}
		}
	}
}

// opener is a candidate that stands for the one that opened a group, so that it
// opened no other, with all that come into question for that group.
type opener struct {
	of    candidate
	group *Group
	open  []candidate
}

// openSet is a heap of candidates, the one that ends first on top.
type openSet []candidate

func (s openSet) Len() int           { return len(s) }
func (s openSet) Less(i, k int) bool { return s[i].openUntil(maybeOpen) < s[k].openUntil(maybeOpen) }
func (s openSet) Swap(i, k int)      { s[i], s[k] = s[k], s[i] }
func (s *openSet) Push(x any)        { *s = append(*s, x.(candidate)) }

// Pop takes the last element, as the heap wants it.
func (s *openSet) Pop() any {
	last := len(*s) - 1
	x := (*s)[last]
	*s = (*s)[:last]
	return x
}

// timed is what has a first and a last packet.
type timed interface{ span() (first, last int64) }

func (c candidate) span() (first, last int64) { return c.first().Time, c.last().Time }
func (g *Group) span() (first, last int64)    { return g.First().Time, g.Last().Time }

// spansOf returns the times at which those that are wanted begin and end, each
// in order.
func spansOf[T timed](all []T, wanted func(T) bool) (starts, stops []int64) {
	for _, x := range all {
		if wanted(x) {
			first, last := x.span()
			starts, stops = append(starts, first), append(stops, last)
		}
	}
	slices.Sort(starts)
	slices.Sort(stops)
	return starts, stops
}

// between counts the spans that meet the time from first to last: those that
// began by its end, without those that had ended before it.
func between(starts, stops []int64, first, last int64) int {
	begun, _ := slices.BinarySearchFunc(starts, last, func(x, t int64) int {
		if x <= t {
			return -1
		}
		return 1
	})
	ended, _ := slices.BinarySearch(stops, first)
	return begun - ended
}
