package report

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// groupTable lists the association groups.
func (p *page) groupTable() {
	if len(p.doc.AssociationGroups) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "group", right: true}, {head: "at"}, {head: "wire id", drop: 1}, {head: "client > server", wrap: 2}, {head: "service"}, {head: "members", wrap: 1, drop: 4},
		{head: "open", drop: 2}, {head: "sessions", right: true, drop: 3}, {head: "verdict"},
	}}
	// Groups with EMSMDB first, they are what the page is about.
	var rows, others []*document.AssociationGroup
	for i := range p.doc.AssociationGroups {
		g := &p.doc.AssociationGroups[i]
		if len(p.members(g)) > 0 {
			rows = append(rows, g)
		} else {
			others = append(others, g)
		}
	}
	rows = cut(&t, append(rows, others...), maxRows, "group", "association_groups in -o json")
	for _, g := range rows {
		sessions := amount(g.Sessions)
		word := piece{text: "-"}
		if len(p.members(g)) > 0 {
			r, _ := p.rank(g)
			word = piece{strings.ToLower(verdictWords[r].text), verdictWords[r].tone}
			if g.Sessions == nil {
				t.note("n/a  sessions: no readable EcDoConnectEx in the group")
			}
		} else {
			sessions = ""
		}
		t.row(g.ID, p.point(g.At), fmt.Sprintf("0x%08x", g.AssocGroupID), list(g.Clients, 2)+" > "+endpoint(g.Server), p.groupLabel(g), p.groupMembers(&t, g),
			p.open(g), sessions, word)
	}
	p.section("Association groups")
	p.table(&t)
}

// groupMembers lists the connections of a group with their marks.
func (p *page) groupMembers(t *table, g *document.AssociationGroup) string {
	out := numbers(g.Connections, 12)
	if len(g.Inferred) > 0 {
		out += "*"
		t.note("*  some connections are counted in by inference: same client and server, open at the same time, their binds hidden")
	}
	return out
}

// open says from when and how long a group was open.
func (p *page) open(g *document.AssociationGroup) string {
	a, okA := p.clock.parse(g.First)
	b, okB := p.clock.parse(g.Last)
	if !okA || !okB {
		return ""
	}
	if b.Before(a) { // a clock was set back: how long is not known
		return a.Format("15:04:05")
	}
	return fmt.Sprintf("%s + %s", a.Format("15:04:05"), span(b.Sub(a).Microseconds()))
}

// point is a capture point where there are several, else nothing.
func (p *page) point(at string) string {
	if p.points() > 1 {
		return at
	}
	return ""
}

// connectionTable lists the connections; of many, those that findings name
// come first.
func (p *page) connectionTable() {
	if len(p.doc.Connections) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "id", right: true}, {head: "at"}, {head: "client > server", wrap: 2}, {head: "service"}, {head: "grp", right: true}, {head: "auth", wrap: 1},
		{head: "also as", wrap: 1}, {head: "state", drop: 3}, {head: "bytes c / s", right: true, drop: 4}, {head: "calls", right: true, drop: 2}, {head: "rtt", right: true, drop: 1}, {head: "path"},
	}}
	several := p.points() > 1
	for _, c := range p.shown(&t) {
		at := ""
		if several {
			at = c.At
		}
		group := "-"
		if c.AssocGroup.Group != nil {
			group = fmt.Sprint(*c.AssocGroup.Group)
		}
		rtt := spanOf(c.RTT)
		if c.RTT == nil {
			t.note("n/a  rtt: the handshake was not captured in full")
		}
		t.row(c.ID, at, ends(c), p.serviceName(c)+t.basis(c.ServiceBasis, c.Service), group, p.authCell(&t, c), p.alsoAs(&t, c), stateWord(c.State),
			pair(c.Bytes, tight), t.calls(c), rtt, t.path(c))
	}
	p.section("Connections")
	t.note("calls: requests/answers; rtt: handshake round trip at the capture point")
	t.note("path: what the packets show; letters: the device's Accel column by the rules of release %s (T TCP, M MAPI, E EPM, G generic, D DRE, L LZ), alone where the packets do not show the path", p.doc.WAAS)
	p.table(&t)
}

// alsoAs names the rows of a connection at other capture points.
func (p *page) alsoAs(t *table, c *document.Connection) string {
	var words []string
	for _, o := range p.doc.Legs(c) {
		words = append(words, fmt.Sprintf("%d %s", o.ID, o.At))
	}
	if len(words) > 0 {
		t.note("also as: the ids of the same connection at other capture points; connections in -o json has a row for each")
	}
	return list(words, 3)
}

// shown picks the connections that the page lists.
func (p *page) shown(t *table) []*document.Connection {
	var named, rest []*document.Connection
	hit := make(map[int]bool)
	for i := range p.doc.Findings {
		for _, id := range p.doc.Findings[i].Connections {
			if c := p.conn(id); c != nil {
				hit[c.Stands()] = true
			}
		}
	}
	for _, c := range p.mains() {
		if hit[c.ID] {
			named = append(named, c)
		} else {
			rest = append(rest, c)
		}
	}
	all := append(named, rest...)
	if len(all) <= maxRows {
		slices.SortFunc(all, func(a, b *document.Connection) int { return a.ID - b.ID })
		return all
	}
	t.note("%d more of %d connections: see -o csv or -o json; those that findings name are listed first", len(all)-maxRows, len(all))
	return all[:maxRows]
}

// basis marks a service that no bind names, with a footnote.
func (t *table) basis(b, service string) string {
	switch {
	case service == "unknown" || b == "bind":
		return ""
	case b == "epm":
		t.note("e  service by an endpoint mapper answer for the port, no bind was captured")
		return " e"
	}
	t.note("~  service by siblings, port or traffic, no bind was captured")
	return " ~"
}

// calls prints requests and answers, with the faults and what got lost.
func (t *table) calls(c *document.Connection) string {
	n := &c.Calls
	if n.Requests+n.Responses+n.Faults == 0 {
		return "-"
	}
	out := fmt.Sprintf("%d/%d", n.Requests, n.Responses+n.Faults)
	if n.Faults > 0 {
		out += fmt.Sprintf(" f%d", n.Faults)
		t.note("f  answers that are faults")
	}
	return out
}

// authCell sums up the authentication of a connection.
func (p *page) authCell(t *table, c *document.Connection) string {
	var words []string
	for i := range c.Auth {
		word := authWord(&c.Auth[i])
		switch c.Auth[i].State {
		case "rejected":
			word = "x " + word
			t.note("x  the server refused it")
		case "incomplete":
			word = ".. " + word
			t.note("..  not finished in this capture")
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) > 0 {
		return list(words, 2)
	}
	if len(c.Interfaces) == 0 {
		return notAvailable
	}
	return "none"
}

// authWord names an authentication: its type, what it carried, its level.
func authWord(a *document.Auth) string {
	name := a.TypeName
	if a.Mechanism != nil && *a.Mechanism != a.TypeName {
		name += ":" + *a.Mechanism
	}
	return name + " " + a.LevelName
}

// stateWord shortens the state of a connection.
func stateWord(s string) string {
	switch s {
	case "half_closed":
		return "half closed"
	case "reset_by_client":
		return "RST client"
	case "reset_by_server":
		return "RST server"
	case "unanswered":
		return "no answer"
	}
	return s
}

// path says how a connection went, as far as packets show it, and what the
// accelerator takes by its rules.
func (t *table) path(c *document.Connection) piece {
	letters, known := c.Disposition.Accel, c.Disposition.Quality != document.Unavailable && c.Disposition.Accel != "-"
	switch {
	case c.Escaped != nil:
		return piece{"escaped", bad}
	case c.PossibleEscape != nil:
		return piece{"possibly escaped", warn}
	case c.Optimizer.Verdict == "pass_through":
		return piece{text: "pass-through"}
	case c.Optimizer.Verdict == "optimized" && known:
		return piece{"optimized " + letters, good}
	case c.Optimizer.Verdict == "optimized":
		return piece{"optimized", good}
	case isMAPI(c) && c.Disposition.Accelerator == "generic":
		return piece{letters, warn}
	case known:
		return piece{text: letters}
	}
	t.note("-  path: the packets do not show it and no rule covers it, or the default policy passes it through")
	return piece{text: "-"}
}
