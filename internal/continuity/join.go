package continuity

import (
	"math"
	"slices"
)

const (
	// low is below what one meeting of ids says nothing: every client process
	// begins to count anew, so that low ids are common to all.
	low = 64
	// rounds bounds how long a chain of connections is that are known only by
	// one another.
	rounds = 16
	// crowd is how many groups may have used ids next to the same free one.
	// Where more did, as at low ids, it is not asked which.
	crowd = 8
)

// Join says for each connection whose bind was not captured to which group it
// belongs, as an index, -1 for none, in time linear in their ids. All are connections of one client to one
// server end point, at one capture point.
//
// A connection belongs to a group when its ids interlock with those of exactly
// one: none of them was used there, all lie in holes between the group's ids or
// adjoin its ends, and two adjoin at least, or one that is not among the low
// ones that every process uses; and times agree. A connection that joined so
// counts as a member for those that are still left. Of two connections that
// contend for the same ids neither belongs to it.
func Join(groups [][]Member, unbound []Member) []int {
	j := joiner{edges: make(map[uint32][]int)}
	for i := range groups {
		g := gather(groups[i])
		if g.barred || g.inexact || len(g.seen) == 0 {
			g.seen = nil
		}
		j.groups = append(j.groups, g)
		j.enter(i)
	}
	to := make([]int, len(unbound))
	var left []int
	joined := make(map[int][]Member) // by group
	ids := make([]ranges, len(unbound))
	for i := range unbound {
		to[i] = -1
		m := &unbound[i]
		if m.IDs == nil || m.IDs.Calls.Joined() || m.IDs.Others.Joined() || m.IDs.Disorder > reach {
			continue
		}
		if ids[i] = union(m.seen(nil)); len(ids[i]) > 0 {
			left = append(left, i)
		}
	}
	for range rounds {
		claims := make(map[int][]int) // connections by group
		var order, waiting []int
		for _, i := range left {
			switch found := j.find(&unbound[i], ids[i]); len(found) {
			case 0:
				waiting = append(waiting, i)
			case 1:
				g := found[0]
				if len(claims[g]) == 0 {
					order = append(order, g)
				}
				claims[g] = append(claims[g], i)
			}
		}
		left = waiting
		for _, g := range order {
			x := &j.groups[g]
			for _, i := range uncontended(claims[g], ids) {
				to[i] = g
				x.seen = append(x.seen, ids[i]...)
				joined[g] = append(joined[g], unbound[i])
			}
			x.seen = union(x.seen)
			x.timeline = newTimeline(slices.Concat(groups[g], joined[g]))
			j.enter(g)
		}
		if len(order) == 0 {
			break
		}
	}
	return to
}

// uncontended returns those connections that have no id in common with
// another.
func uncontended(claims []int, ids []ranges) []int {
	var all []owned
	for _, i := range claims {
		for _, x := range ids[i] {
			all = append(all, owned{x, i})
		}
	}
	slices.SortFunc(all, func(a, b owned) int { return int(int64(a.First) - int64(b.First)) })
	contends := make(map[int]bool)
	for i, widest := 1, 0; i < len(all); i++ {
		if all[i].First <= all[widest].Last {
			contends[all[i].member], contends[all[widest].member] = true, true
		}
		if all[i].Last > all[widest].Last {
			widest = i
		}
	}
	return slices.DeleteFunc(slices.Clone(claims), func(i int) bool { return contends[i] })
}

// joiner finds groups by the free ids next to those that they used.
type joiner struct {
	groups []group
	edges  map[uint32][]int
}

// enter enters the free ids next to those of a group. Entries that are no
// longer true do no harm: find looks at the ids themselves.
func (j *joiner) enter(g int) {
	add := func(id uint32) {
		if at := j.edges[id]; len(at) <= crowd && !slices.Contains(at, g) {
			j.edges[id] = append(at, g)
		}
	}
	for _, x := range j.groups[g].seen {
		if x.First > 0 {
			add(x.First - 1)
		}
		if x.Last < math.MaxUint32 {
			add(x.Last + 1)
		}
	}
}

// find returns the groups that a connection interlocks with.
func (j *joiner) find(m *Member, ids ranges) (found []int) {
	for _, x := range ids {
		for _, id := range [2]uint32{x.First, x.Last} {
			at := j.edges[id]
			if len(at) > crowd {
				return nil
			}
			for _, g := range at {
				if !slices.Contains(found, g) {
					found = append(found, g)
				}
			}
		}
	}
	return slices.DeleteFunc(found, func(g int) bool { return !j.groups[g].interlocks(m, ids) })
}

// interlocks reports whether the ids of a connection fit between those of the
// group and touch them.
func (g *group) interlocks(m *Member, ids ranges) bool {
	if len(g.seen) == 0 {
		return false
	}
	hull := g.hull()
	touching, highest := 0, uint32(0)
	for _, x := range ids {
		if g.seen.meets(x) {
			return false
		}
		before := x.First > 0 && g.seen.has(x.First-1)
		behind := x.Last < math.MaxUint32 && g.seen.has(x.Last+1)
		if (x.First < hull.First || x.First > hull.Last) && !before && !behind {
			return false
		}
		if before {
			touching, highest = touching+1, max(highest, x.First)
		}
		if behind {
			touching, highest = touching+1, max(highest, x.Last)
		}
	}
	return (touching > 1 || touching == 1 && highest >= low) && g.orderly(m, ids)
}

// orderly reports whether the connection has higher ids than all members that
// were over before it began, and lower ones than all that began when it was
// over.
func (g *group) orderly(m *Member, ids ranges) bool {
	if id, ok := g.timeline.before(m.Start); ok && id > ids[0].First {
		return false
	}
	id, ok := g.timeline.after(m.End)
	return !ok || id > ids[len(ids)-1].Last
}
