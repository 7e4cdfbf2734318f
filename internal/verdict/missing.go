package verdict

import (
	"net/netip"

	"mapiscope/assoc"
	"mapiscope/internal/continuity"
)

// members turns conversations into what their call ids are judged by. One that
// cannot be read may hold any call.
func (j *judge) members(cs []*Conversation) []continuity.Member {
	out := make([]continuity.Member, 0, len(cs))
	for _, c := range cs {
		m := continuity.Member{Start: c.first().Time, End: c.last().Time}
		if r := c.Main.RPC; r != nil {
			m.IDs, m.Start = &r.CallIDs, r.FirstPDU().Time
			m.Joined = r.Requested != nil && *r.Requested != 0
			m.Cut = !over(c.Main) && j.gaveUp()
		}
		out = append(out, m)
	}
	return out
}

// gaveUp reports whether bounds ended connections before they ended.
func (j *judge) gaveUp() bool { return j.Result.Flows.Evicted+j.Result.Flows.Expired > 0 }

// continuity uses the call ids of Windows clients, which count over all
// connections of a group: it joins connections whose bind was not captured to
// the group that their ids fit into, and counts the calls of each group that
// went over connections which the captures do not hold.
func (j *judge) continuity(conversations []*Conversation, groups []*Group) {
	byEnds := make(map[ends][]*Group)
	for _, g := range groups {
		k := endsOf(g.Members[0].Main)
		byEnds[k] = append(byEnds[k], g)
	}
	unbound := make(map[ends][]*Conversation)
	for _, c := range conversations {
		k := endsOf(c.Main)
		if c.Group == nil && c.Readable() && len(c.Main.RPC.Contexts) == 0 && len(byEnds[k]) > 0 {
			unbound[k] = append(unbound[k], c)
		}
	}
	for k, cs := range unbound {
		gs := byEnds[k]
		all := make([][]continuity.Member, len(gs))
		for i, g := range gs {
			all[i] = j.members(g.Members)
		}
		for i, at := range continuity.Join(all, j.members(cs)) {
			if at >= 0 {
				gs[at].add(cs[i])
				gs[at].Continued++
			}
		}
	}
	if j.Result.Stats.ConnsUnlisted > 0 {
		return // what is missing may be among those that a bound let go
	}
	type hosts struct{ client, server netip.Addr }
	pair := func(c *Conversation) hosts { return hosts{c.Main.Client().Addr(), c.Main.Server().Addr()} }
	loose := make(map[hosts][]*Conversation)
	for _, c := range conversations {
		if c.Group == nil && c.talked() && (c.Readable() || c.Path == Optimized || c.Main.Transport() == assoc.Undecided) {
			loose[pair(c)] = append(loose[pair(c)], c)
		}
	}
	covers := make(map[hosts]continuity.Cover)
	for _, g := range groups {
		if len(g.Members) == 1 && g.Creator {
			continue // it may be all there is
		}
		k := pair(g.Members[0])
		cover, known := covers[k]
		if !known {
			cover = continuity.Explain(j.members(loose[k]))
			covers[k] = cover
		}
		if r := continuity.Judge(j.members(g.Members), cover); r.Counting == continuity.PerAssociation {
			g.Counted, g.Missing = true, r.Missing
		}
	}
}
