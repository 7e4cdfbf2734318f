package screen

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"mapiscope/internal/document"
	"mapiscope/internal/report"
)

// kind says what a page lists.
type kind int

// The lists, in the order of the Tab key.
const (
	groups kind = iota
	connections
	findings
)

var kindNames = [...]string{groups: "Groups", connections: "Connections", findings: "Findings"}

// page is a list, or the text of something that was opened with the
// connections that belong to it below.
type page struct {
	kind    kind      // of the rows
	subject *identity // what was opened; nil for a whole list
	order   int       // column of sorting, by orders
	reverse bool
	filter  string // rows that do not contain it are left out

	rows     []int     // places in the document, in order
	at       int       // the selected one of rows
	selected *identity // it sticks to this; nil is the first row, whatever that is
	first    int       // line on display first, the lines of the text counted too
	reading  bool      // the text is read, the selected row may be out of sight
}

// order is one way to sort a list.
type order struct {
	name       string
	down, up   string // what stands first, and first when reversed
	comparison func(x *index, a, b int) int
}

var orders = [...][]order{
	groups: {
		{"verdict", "worst first", "best first", func(x *index, a, b int) int {
			return cmp.Or(cmp.Compare(x.groups[a].rank, x.groups[b].rank), cmp.Compare(x.groups[b].bytes, x.groups[a].bytes))
		}},
		{"bytes", "most first", "fewest first", func(x *index, a, b int) int { return cmp.Compare(x.groups[b].bytes, x.groups[a].bytes) }},
		{"connections", "most first", "fewest first", func(x *index, a, b int) int {
			return cmp.Compare(len(x.group(b).Connections), len(x.group(a).Connections))
		}},
		{"last packet", "latest first", "earliest first", func(x *index, a, b int) int { return cmp.Compare(x.group(b).Last, x.group(a).Last) }},
		{"client", "lowest first", "highest first", func(x *index, a, b int) int {
			return byAddress(document.Host{IP: first(x.group(a).Clients)}, document.Host{IP: first(x.group(b).Clients)})
		}},
		{"server", "lowest first", "highest first", func(x *index, a, b int) int { return byAddress(x.group(a).Server, x.group(b).Server) }},
	},
	connections: {
		{"trouble", "worst first", "best first", func(x *index, a, b int) int {
			return cmp.Or(cmp.Compare(x.conns[a].worst, x.conns[b].worst), cmp.Compare(x.conns[b].bytes, x.conns[a].bytes))
		}},
		{"bytes", "most first", "fewest first", func(x *index, a, b int) int { return cmp.Compare(x.conns[b].bytes, x.conns[a].bytes) }},
		{"calls", "most first", "fewest first", func(x *index, a, b int) int {
			return cmp.Compare(x.doc.Connections[b].Calls.Requests, x.doc.Connections[a].Calls.Requests)
		}},
		{"start", "latest first", "earliest first", func(x *index, a, b int) int {
			return cmp.Compare(x.doc.Connections[b].Start, x.doc.Connections[a].Start)
		}},
		{"rtt", "longest first", "shortest first", func(x *index, a, b int) int {
			return cmp.Compare(orNone(x.doc.Connections[b].RTT), orNone(x.doc.Connections[a].RTT))
		}},
		{"client", "lowest first", "highest first", func(x *index, a, b int) int {
			return byAddress(x.doc.Connections[a].Client, x.doc.Connections[b].Client)
		}},
		{"server", "lowest first", "highest first", func(x *index, a, b int) int {
			return byAddress(x.doc.Connections[a].Server, x.doc.Connections[b].Server)
		}},
	},
	findings: {
		{"arrival", "newest first", "oldest first", func(x *index, a, b int) int { return x.finds[b].came.Compare(x.finds[a].came) }},
		{"severity", "worst first", "mildest first", func(x *index, a, b int) int {
			return cmp.Compare(severityRank(x.doc.Findings[a].Severity), severityRank(x.doc.Findings[b].Severity))
		}},
		{"code", "A first", "Z first", func(x *index, a, b int) int { return cmp.Compare(x.doc.Findings[a].Code, x.doc.Findings[b].Code) }},
	},
}

// orNone puts figures that are missing below all others.
func orNone(n *int64) int64 {
	if n == nil {
		return -1
	}
	return *n
}

// byAddress orders hosts as numbers, what is no address behind them.
func byAddress(a, b document.Host) int {
	x, errX := netip.ParseAddr(a.IP)
	y, errY := netip.ParseAddr(b.IP)
	switch {
	case errX != nil || errY != nil:
		return strings.Compare(a.IP, b.IP)
	case x != y:
		return x.Compare(y)
	}
	return cmp.Compare(a.Port, b.Port)
}

// sorted says how the rows are sorted.
func (p *page) sorted() string {
	o := orders[p.kind][p.order]
	if p.reverse {
		return "by " + o.name + ", " + o.up
	}
	return "by " + o.name + ", " + o.down
}

// arrange collects and sorts the rows, and finds the selected one again. Where
// that is gone, the row in its place is selected.
func (p *page) arrange(x *index) {
	p.rows = p.collect(x)
	compare := orders[p.kind][p.order].comparison
	slices.SortFunc(p.rows, func(a, b int) int {
		c := compare(x, a, b)
		if p.reverse {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a, b))
	})
	if p.selected == nil {
		p.at = 0
		return
	}
	for i, row := range p.rows {
		if x.id(p.kind, row) == *p.selected {
			p.at = i
			return
		}
	}
	p.choose(x, p.at)
}

// choose selects a row, or the nearest that there is.
func (p *page) choose(x *index, at int) {
	p.at, p.selected = max(min(at, len(p.rows)-1), 0), nil
	if len(p.rows) > 0 {
		id := x.id(p.kind, p.rows[p.at])
		p.selected = &id
	}
}

// collect returns the rows that the page is about and that its filter lets
// through.
func (p *page) collect(x *index) []int {
	m := matcher{needle: strings.ToLower(p.filter)}
	if p.subject == nil {
		rows := make([]int, 0, x.size(p.kind))
		for i := range x.size(p.kind) {
			if x.stands(p.kind, i) && (p.filter == "" || m.row(x, p.kind, i)) {
				rows = append(rows, i)
			}
		}
		return rows
	}
	var rows []int
	for _, id := range p.members(x) {
		if at, ok := x.doc.Position(id); ok && (p.filter == "" || m.row(x, connections, at)) {
			rows = append(rows, at)
		}
	}
	return rows
}

// members returns the numbers of the connections of what was opened.
func (p *page) members(x *index) []int {
	at := x.find(*p.subject)
	switch {
	case at < 0:
		return nil
	case p.subject.kind == groups:
		return x.group(at).Connections
	case p.subject.kind == findings:
		return x.doc.Findings[at].Connections
	}
	return nil
}

// matcher finds rows that contain a text, in either case of letters.
type matcher struct{ needle string } // in lower case

func (m *matcher) row(x *index, k kind, i int) bool {
	switch k {
	case groups:
		g := x.group(i)
		return slices.ContainsFunc(g.Clients, m.text) || m.host(g.Server) || m.text(x.groups[i].rank.String()) || m.text(g.Service) || m.text(groupNumber(g))
	case findings:
		f := &x.doc.Findings[i]
		return m.text(f.Code) || m.text(string(f.Severity)) || m.text(f.Detail) || m.text(f.Title) ||
			slices.ContainsFunc(f.Clients, m.text) || slices.ContainsFunc(f.Servers, m.text)
	}
	c := &x.doc.Connections[i]
	return m.host(c.Client) || m.host(c.Server) || m.text(x.words.Service(c)) || m.text(x.words.Path(c)) || m.text(x.words.Auth(c)) || slices.ContainsFunc(c.Auth, m.auth)
}

func (m *matcher) auth(a document.Auth) bool {
	return a.User != nil && m.text(*a.User) || a.Workstation != nil && m.text(*a.Workstation)
}

// text looks for the needle in text, host in an address with its port.
func (m *matcher) text(s string) bool { return strings.Contains(strings.ToLower(s), m.needle) }

func (m *matcher) host(h document.Host) bool { return m.text(report.Endpoint(h)) }

// scroll moves the page so that rows lines of text and list hold the selected
// row, or, when the text is read, stay in bounds.
func (p *page) scroll(text, room int) {
	line := text + p.at
	last := max(text+len(p.rows)-room, 0)
	if !p.reading && len(p.rows) > 0 {
		switch {
		case line < p.first:
			p.first = line
		case line >= p.first+room:
			p.first = line - room + 1
		}
	}
	p.first = max(min(p.first, last), 0)
	p.reading = len(p.rows) > 0 && (line < p.first || line >= p.first+room)
}

// move goes n rows down, or up where n is negative. Above the first row it
// goes through the text; a row that is out of sight comes into sight first.
func (p *page) move(x *index, n, text, room int) {
	line := text + p.at
	switch {
	case len(p.rows) == 0:
		p.first += n
	case n > 0 && line >= p.first+room:
		p.first, p.reading = min(p.first+n, line-room+1), true
	case n < 0 && p.at == 0:
		p.first, p.reading = p.first+n, true
	default:
		p.choose(x, p.at+n)
		p.reading = false
	}
}
