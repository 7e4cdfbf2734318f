package document

import (
	"fmt"
	"strings"
	"time"

	"mapiscope/assoc"
	"mapiscope/internal/verdict"
	"mapiscope/pcaps"
)

// groupName says which association group a finding is about.
func groupName(g *verdict.Group) string {
	return fmt.Sprintf("group 0x%08x of %s at %s", g.AGID, g.Clients[0], g.Server)
}

// names lists connections with their client ports.
func (b *builder) names(cs []*verdict.Conversation) string {
	names := make([]string, 0, len(cs))
	for _, c := range cs {
		names = append(names, fmt.Sprintf("%d (client port %d)", b.ids[c.Main], c.Main.Client().Port()))
	}
	return strings.Join(names, ", ")
}

func (b *builder) findEscapes(add func(string) *Finding) {
	for _, g := range b.v.Groups {
		if len(g.Escaped) == 0 {
			continue
		}
		detail := fmt.Sprintf("%s: connection %s; %s; mixed since %s, %d payload bytes at risk", groupName(g), b.names(g.Escaped), g.Reason, stamp(g.Since.Time), g.Risk)
		if g.Cause != "" {
			detail += "; " + g.Cause
		}
		if o := g.Growth; o != nil {
			detail += fmt.Sprintf("; it looks like an overload: %d connections were optimized at that moment, and of the %d opened to the same servers within %v from then on none was",
				o.Optimized, o.Plain, time.Duration(o.Last.Time-o.Mark.Time).Round(time.Millisecond))
		}
		f := add(detail)
		f.Quality = Quality(g.Quality)
		f.proves(ref(g.Proof))
		if g.Growth != nil {
			f.proves(ref(g.Growth.Last))
			f.Advice = "Compare the connection limit with `show tfo detail` (Connection Limit, Effective Limit) and look for the alarm \"Entering overload state due to Max connections\" and syslog 445015 at that time. " + f.Advice
		}
		b.concern(f, g, g.Escaped)
	}
}

// concern enters conversations of a group into a finding.
func (b *builder) concern(f *Finding, g *verdict.Group, cs []*verdict.Conversation) {
	for _, c := range cs {
		f.concerns(b.row(c.Main), ref(c.Main.Flow.First))
	}
	f.Groups = append(f.Groups, b.groupIDs[g])
}

// findPossibleEscapes reports what the packets hint at and do not prove.
func (b *builder) findPossibleEscapes(add func(string) *Finding) {
	for _, g := range b.v.Groups {
		if len(g.Possible) > 0 {
			f := add(fmt.Sprintf("%s: possibly connection %s: %s", groupName(g), b.names(g.Possible), g.Possible[0].Possible.Reason))
			f.Quality = Heuristic
			f.proves(ref(g.Proof))
			b.concern(f, g, g.Possible)
		}
		if g.Missing > 0 && len(g.Escaped) == 0 && b.v.Optimizer() {
			f := add(fmt.Sprintf("%s: %d of its calls possibly went by a path that this capture does not see", groupName(g), g.Missing))
			f.Quality = Heuristic
			f.Groups = append(f.Groups, b.groupIDs[g])
			f.Clients, f.Servers = append(f.Clients, g.Clients[0].String()), append(f.Servers, g.Server.Addr().String())
		}
	}
}

// findPlaces reports capture points that were not where they were said to be.
func (b *builder) findPlaces(add func(string) *Finding) {
	seen := make(map[string]bool)
	for _, c := range b.v.Contradictions() {
		if c.Unrelated || seen[c.Detail] {
			continue
		}
		seen[c.Detail] = true
		detail := c.Detail
		if c.Order != "" {
			detail += "; " + c.Order
		} else if c.Likely != pcaps.Unknown {
			detail += fmt.Sprintf("; it looks like the %s", c.Likely)
		}
		add(detail)
	}
}

// findUnrelated reports captures that have nothing in common.
func (b *builder) findUnrelated(add func(string) *Finding) {
	for _, c := range b.v.Contradictions() {
		if c.Unrelated {
			add(c.Detail)
		}
	}
}

// findBlockedJumps reports sequence jumps that only one side took.
func (b *builder) findBlockedJumps(add func(string) *Finding) {
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if e, ok := b.v.Leg(c).First(verdict.JumpBlocked); ok {
			found.add(e.Detail, d, ref(e.Mark))
		}
	})
	found.report(add)
}

// proves enters a packet that shows what a finding says.
func (f *Finding) proves(p PacketRef) {
	if p.Packet != 0 {
		f.Packets = append(f.Packets, p)
	}
}

func (b *builder) findSplits(add func(string) *Finding) {
	for _, g := range b.v.Groups {
		if !g.Split {
			continue
		}
		var pairs []string
		for _, p := range g.Pairs {
			pairs = append(pairs, fmt.Sprintf("%s > %s (%d)", orUnknown(p.Edge), orUnknown(p.Core), len(p.Members)))
		}
		f := add(fmt.Sprintf("%s passed the device pairs %s; the ids are candidates read from TCP option 33", groupName(g), strings.Join(pairs, " and ")))
		for _, p := range g.Pairs {
			b.concern(f, g, p.Members)
		}
	}
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
		if e, ok := b.v.Leg(c).First(verdict.OptionUnanswered); ok {
			found.add(e.Detail, d, ref(e.Mark))
		}
	})
	found.report(add)
}
