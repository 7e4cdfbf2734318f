package report

import (
	"fmt"
	"strings"

	"mapiscope/internal/document"
)

// legs joins what the points say of one pair, near first.
func legs[T any](p document.PerPoint[T], f func(*T) string) string {
	var out []string
	for _, v := range []*T{p.Edge, p.WAN, p.Core} {
		if v != nil {
			out = append(out, f(v))
		}
	}
	return strings.Join(out, " / ")
}

// pairTable lists the connections with both sides.
func (p *page) pairTable() {
	c := p.doc.Comparison
	t := table{columns: []col{
		{head: "pair", right: true}, {head: "conns"}, {head: "client > server", wrap: 2}, {head: "service"}, {head: "verdict"}, {head: "accel"},
		{head: "streams", wrap: 1}, {head: "bytes", right: true}, {head: "WAN", right: true}, {head: "RR", right: true}, {head: "ended by", wrap: 1},
	}}
	rows := cut(&t, c.Pairs, maxRows, "pair", "comparison.pairs in -o json")
	for i := range rows {
		x := &rows[i]
		ends := endpoint(x.Client) + " > " + endpoint(x.Server)
		if x.Rewritten {
			ends += fmt.Sprintf(" (at the %s %s > %s)", c.Far, endpoint(*x.FarClient), endpoint(*x.FarServer))
		}
		word, tone := strings.ReplaceAll(x.Verdict, "_", " "), plain
		switch {
		case x.Escaped:
			word, tone = "ESCAPED", bad
		case p.pairPossible(x):
			word, tone = "possibly escaped", warn
		case x.Verdict == "optimized":
			tone = good
		case x.Verdict == "unknown":
			tone = dim
		}
		if x.Quality == document.Heuristic {
			word += "~"
			t.note("~  heuristic")
		}
		wan, rr := "", ""
		if x.Bytes.WAN != nil {
			wan = tight(x.Bytes.WAN.Client + x.Bytes.WAN.Server)
			rr = fmt.Sprintf("%.1f%%", *orZero(x.Reduction))
		}
		near := x.Bytes.Edge
		if near == nil {
			near = x.Bytes.WAN
		}
		ended := "open"
		if x.EndedBy != nil {
			ended = *x.EndedBy
		}
		if x.ResetAt != nil {
			ended += ", reset at the " + *x.ResetAt + " alone"
		}
		streams := strings.ReplaceAll(x.Streams.Verdict, "_", " ")
		if x.HandedOff != nil {
			streams += ", handed over " + p.clock.day(*x.HandedOff)
		}
		if x.Lossy {
			streams += "*"
			t.note("*  a capture lost a part of it: its calls are not judged")
		}
		t.row(x.ID, legs(x.Connections, func(n *int) string { return fmt.Sprint(*n) }), ends, x.Service, piece{word, tone}, x.Accel,
			streams, pair(*near, tight), wan, rr, ended)
	}
	p.section("Connections on both sides")
	t.note("conns: ids at %s; bytes: client/server payload at the %s; RR: 1 - WAN/%s bytes", pointsOf(c, len(rows) > 0 && rows[0].Connections.WAN != nil), c.Near, c.Near)
	p.table(&t)
}

// pairPossible reports whether a connection possibly escaped.
func (p *page) pairPossible(x *document.ConnectionPair) bool {
	for _, id := range [...]*int{x.Connections.Edge, x.Connections.WAN, x.Connections.Core} {
		if id != nil {
			if c := p.conn(*id); c != nil && c.PossibleEscape != nil {
				return true
			}
		}
	}
	return false
}

func orZero(f *float64) *float64 {
	if f == nil {
		return new(float64)
	}
	return f
}

// pointsOf names the points in the order in which cells give them.
func pointsOf(c *document.Comparison, wan bool) string {
	if wan && c.Near != "wan" && c.Far != "wan" {
		return "edge / wan / core"
	}
	return c.Near + " / " + c.Far
}

// pathTable says how the path looks from each point.
func (p *page) pathTable() {
	c := p.doc.Comparison
	t := table{columns: []col{
		{head: "pair", right: true}, {head: "found by"}, {head: "one way", right: true}, {head: "to server", wrap: 1}, {head: "to client", wrap: 1},
		{head: "retransmitted", wrap: 1}, {head: "not captured", wrap: 1}, {head: "DSCP", wrap: 1},
	}}
	half := func(of func(*document.Handshake) *int64) func(*document.Handshake) string {
		return func(h *document.Handshake) string { return spanOf(of(h)) }
	}
	side := func(s *document.PerSide) string { return fmt.Sprintf("%d+%d", s.Client, s.Server) }
	rows := cut(&t, c.Pairs, maxRows, "pair", "comparison.pairs in -o json")
	for i := range rows {
		x := &rows[i]
		dscp := legs(x.DSCP, side)
		mark := piece{text: dscp}
		if x.Remarked {
			mark = piece{dscp + " re-marked", warn}
		}
		gaps := ""
		if x.Lossy {
			gaps = legs(x.GapBytes, func(s *document.PerSide) string { return tight(s.Client) + "+" + tight(s.Server) })
		}
		t.row(x.ID, x.Basis, spanOf(x.Delay.NearFar),
			legs(x.Handshake, half(func(h *document.Handshake) *int64 { return h.ToServer })),
			legs(x.Handshake, half(func(h *document.Handshake) *int64 { return h.ToClient })),
			legs(x.Retransmitted, side), gaps, mark)
	}
	p.section("Paths")
	t.note("one way: between %s and %s; to server, to client: halves of the handshake at %s; counts are client+server", c.Near, c.Far, pointsOf(c, len(rows) > 0 && rows[0].Connections.WAN != nil))
	p.table(&t)
}

// callTable says what became of the calls.
func (p *page) callTable() {
	c := p.doc.Comparison
	t := table{columns: []col{
		{head: "pair", right: true}, {head: "service"}, {head: "answered", right: true}, {head: "remote", right: true}, {head: "avg", right: true}, {head: "at server", right: true},
		{head: "local", right: true}, {head: "avg", right: true}, {head: "not sent", right: true}, {head: "ahead", right: true}, {head: "waited", right: true}, {head: "deferred", right: true},
		{head: "of nobody", right: true}, {head: "undecided", right: true},
	}}
	row := func(id, service string, x *document.PairedCalls) {
		if x.Remote == nil {
			t.row(id, service, x.Answered, notAvailable, "", "", notAvailable, "", "", "", "", "", notAvailable, x.Undecided)
			t.note("n/a  %s", x.Why)
			return
		}
		mark := ""
		if x.Quality == document.Heuristic {
			mark = "~"
			t.note("~  %s", x.Why)
		}
		r, l := x.Remote, x.Local
		t.row(id, service, x.Answered, fmt.Sprint(r.Count)+mark, blank(r.Avg), blank(r.ServerAvg), fmt.Sprint(l.Count)+mark, blank(l.Avg),
			l.Unforwarded, l.Prefetched, l.Waited, l.Deferred, *x.Originated, x.Undecided)
	}
	var some []document.ConnectionPair
	for i := range c.Pairs {
		if x := &c.Pairs[i]; x.Calls != nil && x.Calls.Answered+x.Calls.Undecided > 0 {
			some = append(some, *x)
		}
	}
	shown := cut(&t, some, maxRows, "pair", "comparison.pairs in -o json")
	for i := range shown {
		row(fmt.Sprint(shown[i].ID), shown[i].Service, shown[i].Calls)
	}
	if c.Calls.Answered > 0 {
		row("all", "mapi", &c.Calls)
	}
	if len(t.rows) == 0 {
		return
	}
	t.note("local: answered by an accelerator: not sent on, fetched ahead, waited for what was on its way, or sent on later; of nobody: at the %s, asked by no client", c.Far)
	p.section("Calls")
	p.table(&t)
	if a := c.ReadAhead; a.Max != nil && *a.Max > 0 {
		p.printf("Read ahead and not yet handed on: %s at least, %s at most, %s on average, sampled at each read of a client.", size(*a.Min), size(*a.Max), size(*a.Avg))
	}
}

func blank(us *int64) string {
	if us == nil {
		return ""
	}
	return span(*us)
}

// unpairedTable lists what one side alone saw.
func (p *page) unpairedTable() {
	c := p.doc.Comparison
	if len(c.Unpaired) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "conn", right: true}, {head: "only at"}, {head: "client > server", wrap: 2}, {head: "service"}, {head: "start"}, {head: "state"}, {head: "bytes", right: true}, {head: "why", wrap: 1},
	}}
	why := map[string]piece{
		"missing": {"the other captures should have it", bad}, "outside_captures": {"outside the time of the other captures", dim},
		"out_of_scope": {"the other captures show neither of its hosts", dim},
	}
	rows := cut(&t, c.Unpaired, maxRows, "connection", "comparison.unpaired in -o json")
	for i := range rows {
		u := &rows[i]
		t.row(u.Connection, u.At, endpoint(u.Client)+" > "+endpoint(u.Server), u.Service, p.clock.day(u.Start), strings.ReplaceAll(u.State, "_", " "), pair(u.Bytes, tight), why[u.Reason])
	}
	p.section("On one side only")
	p.table(&t)
}
