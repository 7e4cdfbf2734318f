package account

import (
	"fmt"
	"strings"
	"time"

	"mapiscope/assoc"
)

// groupName says which association group a finding is about.
func groupName(g *assoc.Group) string {
	return fmt.Sprintf("group 0x%08x of %s at %s", g.AGID, g.Client, g.Server)
}

// oncePerGroup calls f for the groups that meet a condition. A group that
// several capture points saw is one: f gets all its sightings.
func (b *builder) oncePerGroup(meets func(*assoc.Group) bool, f func(seen []*assoc.Group)) {
	type key struct {
		client, server string
		agid           uint32
	}
	var order []key
	seen := make(map[key][]*assoc.Group)
	for _, g := range b.groups {
		if !meets(g) || !b.countsGroup(g) {
			continue
		}
		k := key{g.Client.String(), g.Server.String(), g.AGID}
		// The same id may name another group later on.
		if all := seen[k]; len(all) > 0 && all[len(all)-1].Point == g.Point {
			f(all)
			delete(seen, k)
		}
		if _, ok := seen[k]; !ok {
			order = append(order, k)
		}
		seen[k] = append(seen[k], g)
	}
	for _, k := range order {
		if all := seen[k]; len(all) > 0 {
			f(all)
			delete(seen, k)
		}
	}
}

func (b *builder) findEscapes(add func(string) *Finding) {
	escaped := func(g *assoc.Group) bool { return g.Verdict.Verdict == assoc.SomeEscaped }
	b.oncePerGroup(escaped, func(seen []*assoc.Group) {
		g := seen[0]
		v := g.Verdict
		names := make([]string, 0, len(v.Escaped))
		for _, c := range v.Escaped {
			names = append(names, fmt.Sprintf("%d (client port %d)", c.ID, c.Client().Port()))
		}
		detail := fmt.Sprintf("%s: connection %s; %s; mixed since %s, %d payload bytes at risk",
			groupName(g), strings.Join(names, ", "), v.Reason, stamp(v.Since.Time), v.Risk)
		if o := v.Growth; o != nil {
			detail += fmt.Sprintf("; it looks like an overload: %d connections were optimized at that moment, and of the %d opened to the same servers within %v from then on none was",
				o.Optimized, o.Plain, time.Duration(o.Last.Time-o.Mark.Time).Round(time.Millisecond))
		}
		f := add(detail)
		f.proves(ref(v.Proof))
		if v.Growth != nil {
			f.proves(ref(v.Growth.Last))
			f.Advice = "Compare the connection limit with `show tfo detail` (Connection Limit, Effective Limit) and look for the alarm \"Entering overload state due to Max connections\" and syslog 445015 at that time. " + f.Advice
		}
		for _, g := range seen {
			for _, c := range g.Verdict.Escaped {
				f.concerns(&b.doc.Connections[c.ID-1], ref(c.Flow.First))
			}
			f.Groups = append(f.Groups, g.ID)
		}
	})
}

// proves enters a packet that shows what a finding says.
func (f *Finding) proves(p PacketRef) {
	if p.Packet != 0 {
		f.Packets = append(f.Packets, p)
	}
}

func (b *builder) findSplits(add func(string) *Finding) {
	split := func(g *assoc.Group) bool { return g.Verdict.Split }
	b.oncePerGroup(split, func(seen []*assoc.Group) {
		g := seen[0]
		var pairs []string
		for _, p := range g.Verdict.Pairs {
			pairs = append(pairs, fmt.Sprintf("%s > %s (%d)", orUnknown(p.Edge), orUnknown(p.Core), len(p.Conns)))
		}
		f := add(fmt.Sprintf("%s passed the device pairs %s; the ids are candidates read from TCP option 33", groupName(g), strings.Join(pairs, " and ")))
		for _, g := range seen {
			for _, p := range g.Verdict.Pairs {
				for _, c := range p.Conns {
					f.concerns(&b.doc.Connections[c.ID-1], ref(c.Flow.First))
				}
			}
			f.Groups = append(f.Groups, g.ID)
		}
	})
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func (b *builder) findStripped(add func(string) *Finding) {
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if !c.Optimizer.Stripped {
			return
		}
		for _, e := range c.Optimizer.Evidence {
			if e.Kind == "option_unanswered" {
				found.add(e.Detail, d, ref(e.Mark))
				return
			}
		}
	})
	found.report(add)
}
