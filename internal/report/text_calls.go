package report

import (
	"cmp"
	"fmt"
	"slices"

	"mapiscope/internal/document"
)

// times joins the response times of several connections. Least, mean and most
// are exact; of the percentiles only the worst of one connection is known.
type times struct {
	count, sum, min, max, worst int64
}

func (t *times) add(l *document.Latency) {
	if l.Count == 0 || l.Min == nil || l.Avg == nil || l.Max == nil || l.P95 == nil {
		return
	}
	if t.count == 0 || *l.Min < t.min {
		t.min = *l.Min
	}
	t.max = max(t.max, *l.Max)
	t.worst = max(t.worst, *l.P95)
	t.sum += *l.Avg * l.Count
	t.count += l.Count
}

// cells prints least, mean, most and the worst 95th percentile.
func (t *times) cells() [4]string {
	if t.count == 0 {
		return [4]string{notAvailable, notAvailable, notAvailable, notAvailable}
	}
	return [4]string{span(t.min), span(t.sum / t.count), span(t.max), span(t.worst)}
}

// timeNotes explain the columns of response times, and why some have none.
func (t *table) timeNotes(none string) {
	t.note("times: end of the request to the start of the answer, at the capture point; p95 is that of the slowest connection")
	if slices.ContainsFunc(t.rows, func(r []piece) bool { return r[len(r)-1].text == notAvailable }) {
		t.note("n/a  %s", none)
	}
}

// callRow sums up one operation over the connections of one capture point.
type callRow struct {
	at, iface, name    string
	opnum              int
	requests, answers  int64
	faults, sent, back int64
	conns              int
	times              times
}

// byWeight sorts operations by their calls, the busiest first; the rows of one
// operation at several capture points stay together.
func byWeight(rows []*callRow) {
	type key struct {
		iface string
		opnum int
	}
	weight := make(map[key]int64)
	for _, r := range rows {
		weight[key{r.iface, r.opnum}] = max(weight[key{r.iface, r.opnum}], r.requests+r.answers)
	}
	slices.SortStableFunc(rows, func(a, b *callRow) int {
		x, y := key{a.iface, a.opnum}, key{b.iface, b.opnum}
		return cmp.Or(cmp.Compare(weight[y], weight[x]), cmp.Compare(x.iface, y.iface), cmp.Compare(x.opnum, y.opnum))
	})
}

// operationTable sums up the calls by interface and opnum.
func (p *page) operationTable() {
	type key struct {
		at, iface string
		opnum     int
	}
	found := make(map[key]*callRow)
	var rows []*callRow
	for _, c := range p.mains() {
		for j := range c.Operations {
			o := &c.Operations[j]
			k := key{p.point(c.At), interfaceOf(o), -1}
			if o.Opnum != nil {
				k.opnum = int(*o.Opnum)
			}
			r := found[k]
			if r == nil {
				r = &callRow{at: k.at, iface: k.iface, opnum: k.opnum, name: orEmpty(o.Name)}
				found[k] = r
				rows = append(rows, r)
			}
			r.conns++
			r.requests += o.Requests
			r.answers += o.Responses
			r.faults += o.Faults
			r.sent += o.RequestBytes
			r.back += o.ResponseBytes
			r.times.add(&o.ResponseTime)
		}
	}
	if len(rows) == 0 {
		return
	}
	byWeight(rows)
	t := table{columns: []col{
		{head: "at"}, {head: "interface", wrap: 1}, {head: "op", right: true}, {head: "operation", wrap: 1, least: 24}, {head: "conns", right: true, drop: 1}, {head: "req", right: true}, {head: "resp", right: true}, {head: "faults", right: true},
		{head: "sent", right: true, drop: 2}, {head: "back", right: true, drop: 3}, {head: "min", right: true, drop: 4}, {head: "avg", right: true, drop: 5}, {head: "max", right: true}, {head: "p95", right: true},
	}}
	for _, r := range cut(&t, rows, maxRows, "operation", "operations of each connection in -o json") {
		op := "?"
		if r.opnum >= 0 {
			op = fmt.Sprint(r.opnum)
		}
		w := r.times.cells()
		t.row(r.at, r.iface, op, r.name, r.conns, r.requests, r.answers, toned(int(r.faults), warn), size(r.sent), size(r.back), w[0], w[1], w[2], w[3])
	}
	t.note("sent, back: stub bytes of requests and answers")
	t.timeNotes("no request was captured together with an answer that is no fault")
	p.section("Operations")
	p.table(&t)
}

func interfaceOf(o *document.Operation) string {
	switch {
	case o.Interface != nil:
		return *o.Interface
	case o.InterfaceUUID != nil:
		return *o.InterfaceUUID
	}
	return "unknown"
}

// ropTable sums up the remote operations inside the EMSMDB calls.
func (p *page) ropTable() {
	type key struct {
		at string
		id uint8
	}
	found := make(map[key]*callRow)
	var rows []*callRow
	for _, c := range p.mains() {
		if c.MAPI == nil {
			continue
		}
		for j := range c.MAPI.Rops {
			o := &c.MAPI.Rops[j]
			k := key{p.point(c.At), o.ID}
			r := found[k]
			if r == nil {
				r = &callRow{at: k.at, opnum: int(o.ID), name: o.Name}
				found[k] = r
				rows = append(rows, r)
			}
			r.conns++
			r.requests += o.Requests
			r.answers += o.Responses
			r.faults += o.Failures
			r.sent += o.RequestBytes
			r.back += o.ResponseBytes
			r.times.add(&o.ResponseTime)
		}
	}
	if len(rows) == 0 {
		return
	}
	byWeight(rows)
	t := table{columns: []col{
		{head: "at"}, {head: "ROP"}, {head: "name", wrap: 1, least: 30}, {head: "conns", right: true, drop: 1}, {head: "req", right: true}, {head: "resp", right: true}, {head: "failed", right: true},
		{head: "sent", right: true, drop: 2}, {head: "back", right: true, drop: 3}, {head: "min", right: true, drop: 4}, {head: "avg", right: true, drop: 5}, {head: "max", right: true}, {head: "p95", right: true},
	}}
	for _, r := range cut(&t, rows, maxRows, "ROP", "mapi.rops of each connection in -o json") {
		w := r.times.cells()
		t.row(r.at, fmt.Sprintf("0x%02x", r.opnum), r.name, r.conns, r.requests, r.answers, toned(int(r.faults), warn), size(r.sent), size(r.back), w[0], w[1], w[2], w[3])
	}
	walked, unwalked, sealed := int64(0), int64(0), 0
	reasons := make(map[string]int64)
	for _, c := range p.mains() {
		if c.MAPI == nil {
			continue
		}
		if c.MAPI.RopBytes != nil {
			walked += c.MAPI.RopBytes.Walked
			unwalked += c.MAPI.RopBytes.Unwalked
			for _, r := range c.MAPI.RopBytes.Reasons {
				reasons[r.Reason] += r.Bytes
			}
		}
		if c.MAPI.Unavailable != nil {
			sealed++
		}
	}
	t.note("a ROP takes the time of the call that carried it; %d of %d bytes of ROP lists were walked%s", walked, walked+unwalked, because(reasons))
	if sealed > 0 {
		t.note("%s with unreadable calls are not, or not fully, in this table", count(int64(sealed), "connection"))
	}
	t.timeNotes("no request was captured together with its answer, or the ROP has none (RopRelease, RopNotify)")
	p.section("Remote operations (ROPs)")
	p.table(&t)
}

// because lists why bytes were not walked, the most first.
func because(reasons map[string]int64) string {
	words := make([]string, 0, len(reasons))
	for r := range reasons {
		words = append(words, r)
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b)) })
	for i, r := range words {
		words[i] = fmt.Sprintf("%s %d", r, reasons[r])
	}
	if len(words) == 0 {
		return ""
	}
	return "; not walked: " + list(words, 4)
}

// returnTable sums up the return values that are not 0: what the server
// refused inside calls that DCE/RPC calls answered.
func (p *page) returnTable() {
	type key struct {
		at, operation string
		value         uint32
	}
	type row struct {
		name  string
		count int64
		conns []int
	}
	found := make(map[key]*row)
	var order []key
	for _, c := range p.mains() {
		if c.MAPI == nil {
			continue
		}
		for _, r := range c.MAPI.Refusals {
			k := key{p.point(c.At), r.Operation, r.Value}
			if found[k] == nil {
				found[k] = &row{name: orEmpty(r.Name)}
				order = append(order, k)
			}
			found[k].count += r.Count
			found[k].conns = append(found[k].conns, c.ID)
		}
	}
	if len(order) == 0 {
		return
	}
	t := table{columns: []col{{head: "at"}, {head: "operation", wrap: 1}, {head: "return value"}, {head: "name", wrap: 1}, {head: "answers", right: true}, {head: "connections", wrap: 1}}}
	for _, k := range cut(&t, order, maxRows, "value", "return_values of each connection in -o json") {
		r := found[k]
		t.row(k.at, k.operation, fmt.Sprintf("0x%08x", k.value), r.name, r.count, numbers(r.conns, 8))
	}
	p.section("Calls that the server refused by their return value")
	p.table(&t)
}
