package finding

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// groupName says which association group a finding is about.
func groupName(g *verdict.Group) string {
	return fmt.Sprintf("group 0x%08x of %s at %s", g.AGID, g.Clients[0], g.Server)
}

// names lists connections with their client ports.
func names(cs []*verdict.Conversation) Text {
	var t Text
	for i, c := range cs {
		if i > 0 {
			t = say(t, ", ")
		}
		t = say(t, c.Main, fmt.Sprintf(" (client port %d)", c.Main.Client().Port()))
	}
	return t
}

func (b *judge) findEscapes(add func(Text) *Finding) {
	for _, g := range b.v.Groups {
		if len(g.Escaped) == 0 {
			continue
		}
		detail := fmt.Sprintf("; %s; mixed since %s, %d payload bytes at risk", g.Reason, wire.Stamp(g.Since.Time), g.Risk)
		if g.Cause != "" {
			detail += "; " + g.Cause
		}
		if o := g.Growth; o != nil {
			detail += fmt.Sprintf("; it looks like an overload: %d connections were optimized at that moment, and of the %d opened to the same servers within %v from then on none was",
				o.Optimized, o.Plain, time.Duration(o.Last.Time-o.Mark.Time).Round(time.Millisecond))
		}
		f := add(say(groupName(g), ": connection ", names(g.Escaped), detail))
		f.Quality = g.Quality
		f.proves(g.Proof)
		if g.Growth != nil {
			f.proves(g.Growth.Last)
			f.Advice = "Compare the connection limit with `show tfo detail` (Connection Limit, Effective Limit) and look for the alarm \"Entering overload state due to Max connections\" and syslog 445015 at that time. " + f.Advice
		}
		b.concern(f, g, g.Escaped)
	}
}

// concern enters conversations of a group into a finding.
func (b *judge) concern(f *Finding, g *verdict.Group, cs []*verdict.Conversation) {
	for _, c := range cs {
		f.concerns(b.conns[c.Main], c.Main.Flow.First)
	}
	f.Groups = append(f.Groups, g)
}

// findPossibleEscapes reports what the packets hint at and do not prove.
func (b *judge) findPossibleEscapes(add func(Text) *Finding) {
	for _, g := range b.v.Groups {
		if len(g.Possible) > 0 {
			f := add(say(groupName(g), ": possibly connection ", names(g.Possible), ": ", g.Possible[0].Possible.Reason))
			f.Quality = Heuristic
			f.proves(g.Proof)
			b.concern(f, g, g.Possible)
		}
		if g.Missing > 0 && len(g.Escaped) == 0 && b.v.Optimizer() {
			f := add(say(fmt.Sprintf("%s: %d of its calls possibly went by a path that this capture does not see", groupName(g), g.Missing)))
			f.Quality = Heuristic
			f.Groups = append(f.Groups, g)
			f.between(hosts{g.Clients[0], g.Server.Addr()})
		}
	}
}

// findPlaces reports capture points that were not where they were said to be.
func (b *judge) findPlaces(add func(Text) *Finding) {
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
		add(say(detail))
	}
}

// findUnrelated reports captures that have nothing in common.
func (b *judge) findUnrelated(add func(Text) *Finding) {
	for _, c := range b.v.Contradictions() {
		if c.Unrelated {
			add(say(c.Detail))
		}
	}
}

// findBlockedJumps reports sequence jumps that only one side took.
func (b *judge) findBlockedJumps(add func(Text) *Finding) {
	var found byReason
	b.each(func(d *Conn) {
		if e, ok := d.Leg.First(verdict.JumpBlocked); ok {
			found.add(e.Detail, d, e.Mark)
		}
	})
	found.report(add)
}

func (b *judge) findSplits(add func(Text) *Finding) {
	for _, g := range b.v.Groups {
		if !g.Split {
			continue
		}
		var pairs []string
		for _, p := range g.Pairs {
			pairs = append(pairs, fmt.Sprintf("%s > %s (%d)", orUnknown(p.Edge), orUnknown(p.Core), len(p.Members)))
		}
		f := add(say(fmt.Sprintf("%s passed the device pairs %s; the ids are candidates read from TCP option 33", groupName(g), strings.Join(pairs, " and "))))
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

// findDropped reports servers whose connections begin only without the
// discovery option: on one connection, or on a later one than those that
// nothing answered.
func (b *judge) findDropped(add func(Text) *Finding) {
	var found byReason
	vanished := make(map[serverAt]*Conn)
	told := make(map[serverAt]bool)
	b.each(func(d *Conn) {
		if e, ok := d.Leg.First(verdict.OptionDropped); ok {
			found.add(e.Detail, d, e.Mark)
			return
		}
		k := serverAt{d.Server(), d.Flow.Tap}
		_, option := assoc.FindOption(d.HandshakeOptions()[0], assoc.OptionWAAS)
		switch {
		case d.Flow.Sides[d.Flow.Client].Syn.IsZero():
		case option && d.Flow.State() == flows.Unanswered && d.Flow.Sides[d.Flow.Client].SynAgain > 0:
			if vanished[k] == nil {
				vanished[k] = d
			}
		case option:
			delete(vanished, k) // the option passes
		case vanished[k] != nil && d.reached() && !told[k]:
			told[k] = true
			was := vanished[k]
			f := add(say("nothing answers the SYNs with the discovery option of connection ", was.Conn, fmt.Sprintf(" to %s", ends(d.Server())), ", and the server answers one without it, connection ", d.Conn))
			f.Quality = Heuristic
			f.concerns(was, was.Flow.First)
			f.concerns(d, d.Flow.First)
		}
	})
	found.report(add)
}

// serverAt is a server as one capture point shows it.
type serverAt struct {
	server netip.AddrPort
	at     pcaps.Tap
}

func (b *judge) findStripped(add func(Text) *Finding) {
	var found byReason
	b.each(func(d *Conn) {
		if e, ok := d.Leg.First(verdict.OptionUnanswered); ok {
			found.add(e.Detail, d, e.Mark)
		}
	})
	found.report(add)
}
