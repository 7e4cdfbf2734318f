package screen

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
	"mapiscope/internal/report"
)

// columns are those of each list. Addresses get the room that IPv4 needs, the
// last column gets the rest; see addressRoom.
var columns = [...][]column{
	groups: {
		{head: "verdict", width: 15},
		{head: "client", width: 15, tail: true},
		{head: "server", width: 21, tail: true},
		{head: "at", width: 7, drop: 7},
		{head: "group", width: 10, drop: 3},
		{head: "service", width: 8, want: 12, drop: 4},
		{head: "conns", width: 5, right: true, drop: 6},
		{head: "bytes", width: 6, right: true, drop: 5},
		{head: "last", width: 8, drop: 2},
		{head: "why", width: 16, want: anyWidth, drop: 1},
	},
	connections: {
		{head: "path", width: 12, want: 16},
		{head: "client", width: 21, tail: true},
		{head: "server", width: 21, tail: true},
		{head: "at", width: 7, drop: 9},
		{head: "service", width: 8, want: 12, drop: 7},
		{head: "state", width: 11, drop: 3},
		{head: "bytes c/s", width: 11, right: true, drop: 8},
		{head: "calls", width: 11, right: true, drop: 6},
		{head: "rtt", width: 7, right: true, drop: 5},
		{head: "start", width: 8, drop: 4},
		{head: "auth", width: 14, want: anyWidth, drop: 1},
	},
	findings: {
		{head: "came", width: 8, drop: 1},
		{head: "severity", width: 8},
		{head: "code", width: 21},
		{head: "what it says", width: 16, want: anyWidth},
	},
}

// anyWidth is more than any terminal has.
const anyWidth = 1 << 16

// addressRoom is what an IPv6 address with its port takes.
const addressRoom = 47

// columnsOf returns the columns of a list, with more room for addresses where
// there are IPv6 ones, and the capture point where there are several.
func (x *index) columnsOf(k kind) []column {
	cols := slices.Clone(columns[k])
	for i := range cols {
		c := &cols[i]
		switch {
		case c.head == "at" && !x.several:
			c.width = 0
		case c.tail && x.ipv6:
			c.want = addressRoom
		}
	}
	return cols
}

// rows writes the rows of the page from one to before another.
func (m *Model) rows(f *frame, from, to int) {
	p := m.page()
	cols := m.shown.columnsOf(p.kind)
	widths := fit(cols, f.width-len(unmarked))
	heads := make([]cell, len(cols))
	for i, c := range cols {
		heads[i] = cell{c.head, dim}
	}
	f.row(unmarked, cols, widths, heads, plain)
	for i := from; i < min(to, len(p.rows)); i++ {
		mark, whole := unmarked, plain
		row := p.rows[i]
		if p.kind == findings && m.shown.fresh(row) {
			mark = "* "
		}
		if i == p.at {
			mark, whole = ">"+mark[:1], chosen
		}
		f.row(mark, cols, widths, m.cells(p.kind, row), whole)
	}
}

const unmarked = "  "

// cells formats one row.
func (m *Model) cells(k kind, i int) []cell {
	switch k {
	case groups:
		return m.groupCells(i)
	case findings:
		return m.findingCells(i)
	}
	return m.connCells(i)
}

var rankTones = map[report.Rank]tone{
	report.Escaped: bad, report.SplitPair: bad, report.Possible: warn, report.NotAccelerated: warn, report.Unknown: plain, report.SeenWhole: plain, report.Whole: good, report.NotJudged: dim,
}

func (m *Model) groupCells(i int) []cell {
	x := m.shown
	g := x.group(i)
	return []cell{
		{x.groups[i].rank.String(), rankTones[x.groups[i].rank]},
		{clientsOf(g), plain},
		{report.Endpoint(g.Server), plain},
		{g.At, plain},
		{groupNumber(g), plain},
		{x.words.GroupService(g), plain},
		{fmt.Sprint(len(g.Connections)), plain},
		{report.Tight(x.groups[i].bytes), plain},
		{x.words.Clock(g.Last), plain},
		{x.words.Reason(g), plain},
	}
}

func groupNumber(g *document.AssociationGroup) string { return fmt.Sprintf("0x%08x", g.AssocGroupID) }

// clientsOf names the first client and how many more there are.
func clientsOf(g *document.AssociationGroup) string {
	if n := len(g.Clients); n > 1 {
		return fmt.Sprintf("%s +%d", g.Clients[0], n-1)
	}
	return first(g.Clients)
}

func (m *Model) connCells(i int) []cell {
	x := m.shown
	c := &x.doc.Connections[i]
	path := cell{x.words.Path(c), plain}
	switch {
	case c.Escaped != nil:
		path.tone = bad
	case c.PossibleEscape != nil:
		path.tone = warn
	case c.Optimizer.Verdict == "optimized":
		path.tone = good
	}
	calls := "-"
	if n := &c.Calls; n.Requests+n.Responses+n.Faults > 0 {
		calls = report.Tight(n.Requests) + "/" + report.Tight(n.Responses+n.Faults)
	}
	rtt := "n/a"
	if c.RTT != nil {
		rtt = report.Span(*c.RTT)
	}
	return []cell{
		path,
		{report.Endpoint(c.Client), plain},
		{report.Endpoint(c.Server), plain},
		{c.At, plain},
		{x.words.Service(c), plain},
		{report.State(c.State), plain},
		{report.Tight(c.Bytes.Client) + "/" + report.Tight(c.Bytes.Server), plain},
		{calls, plain},
		{rtt, plain},
		{x.words.Clock(c.Start), plain},
		{x.words.Auth(c), plain},
	}
}

func (m *Model) findingCells(i int) []cell {
	x := m.shown
	f := &x.doc.Findings[i]
	return []cell{
		{m.clock(x.finds[i].came), plain},
		severityCell(f.Severity),
		{f.Code, plain},
		{f.Detail, plain},
	}
}

// severityCell is the word of a severity.
func severityCell(s document.Severity) cell {
	return cell{strings.ToUpper(string(s)), [...]tone{bad, warn, plain}[severityRank(s)]}
}
