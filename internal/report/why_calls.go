package report

import (
	"fmt"
	"strings"

	"mapiscope/internal/document"
)

// calls tells how calls were answered and how fast.
func (y *why) calls() {
	c := y.c
	n := &c.Calls
	if len(c.Operations) == 0 && len(c.Faults) == 0 && n.Requests+n.Responses == 0 {
		return
	}
	y.section("Calls")
	y.say("counted", "%s, %s, %s, %s, %s", count(n.Requests, "request"), count(n.Responses, "response"), count(n.Faults, "fault"), count(n.Cancels, "cancel"),
		count(n.Unanswered, "request")+" without an answer")
	t := table{columns: []col{
		{head: "interface", wrap: 1}, {head: "op", right: true}, {head: "operation", wrap: 1, least: 24}, {head: "req", right: true}, {head: "resp", right: true}, {head: "faults", right: true},
		{head: "sent", right: true, drop: 2}, {head: "back", right: true, drop: 3}, {head: "min", right: true, drop: 4}, {head: "avg", right: true}, {head: "max", right: true}, {head: "p95", right: true},
	}}
	for i := range cutAt(&t, len(c.Operations), "operation", "operations of the connection in -o json") {
		o := &c.Operations[i]
		op := "?"
		if o.Opnum != nil {
			op = fmt.Sprint(*o.Opnum)
		}
		var w times
		w.add(&o.ResponseTime)
		l := w.cells()
		t.row(interfaceOf(o), op, orEmpty(o.Name), o.Requests, o.Responses, toned(int(o.Faults), warn), size(o.RequestBytes), size(o.ResponseBytes), l[0], l[1], l[2], l[3])
	}
	t.note("sent, back: stub bytes; times: end of the request to the start of the answer, at the capture point")
	y.table(&t)
	y.faults()
}

// faults lists the fault PDUs.
func (y *why) faults() {
	c := y.c
	if len(c.Faults) == 0 {
		return
	}
	t := table{columns: []col{{head: "time"}, {head: "packet", wrap: 2}, {head: "call", right: true}, {head: "op", right: true}, {head: "fault", wrap: 1}, {head: "display filter", drop: 1}}}
	for i := range cutAt(&t, len(c.Faults), "fault", "faults of the connection in -o json") {
		f := &c.Faults[i]
		op := "?"
		if f.Opnum != nil {
			op = fmt.Sprint(*f.Opnum)
		}
		t.row(y.when(f.Packet), y.ref(f.Packet), f.CallID, op, fmt.Sprintf("0x%08x %s", f.Status, f.StatusName), packetFilter(f.Packet))
	}
	t.note("all PDUs of one call: the filter of the connection, and %s", callFilter(c.Faults[0].CallID))
	y.table(&t)
}

// mapi tells what the EMSMDB calls carried.
func (y *why) mapi() {
	m := y.c.MAPI
	if m == nil {
		return
	}
	y.section("EMSMDB")
	if m.Unavailable != nil {
		y.say("n/a", "%s", *m.Unavailable)
	}
	if m.UserDN != nil {
		y.say("user", "%s", *m.UserDN)
	}
	if m.ClientVersion != nil {
		y.say("client", "%s", strings.TrimSpace(orEmpty(m.ClientProduct)+" "+*m.ClientVersion))
	}
	if m.ServerVersion != nil {
		y.say("server", "%s", strings.TrimSpace(orEmpty(m.ServerProduct)+" "+*m.ServerVersion))
	}
	var connects []fact
	for _, x := range m.Connects {
		status := "no answer captured"
		if x.Status != nil {
			status = fmt.Sprintf("0x%08x %s", *x.Status, orEmpty(x.StatusName))
		}
		connects = append(connects, fact{fmt.Sprintf("%s of %s, client %s: %s", x.Operation, x.UserDN, x.ClientVersion, status), x.Packet})
	}
	y.facts(connects[:min(len(connects), maxFacts)]...)
	for _, r := range m.Refusals {
		y.say("refused", "%s of %s with 0x%08x %s", count(r.Count, "answer"), r.Operation, r.Value, orEmpty(r.Name))
	}
	y.answerers(&m.Responses)
	if b := m.Buffers; b != nil && *b != (document.Buffers{}) {
		y.say("payloads", "%d plain, %d obfuscated, %d compressed, %d chained", b.Plain, b.Obfuscated, b.Compressed, b.Chained)
	}
	y.say("sessions", "%s opened on this connection; push notifications: %s", amount(m.Sessions), amount(m.PushNotifications))
	y.sizes("sync get", m.SyncGetBuffer)
	y.sizes("read stream", m.ReadStream)
	if len(m.Rops) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "ROP"}, {head: "name", wrap: 1, least: 30}, {head: "req", right: true}, {head: "resp", right: true}, {head: "failed", right: true},
		{head: "sent", right: true, drop: 2}, {head: "back", right: true, drop: 3}, {head: "min", right: true, drop: 4}, {head: "avg", right: true}, {head: "max", right: true}, {head: "p95", right: true},
	}}
	for _, r := range cut(&t, m.Rops, maxRows, "ROP", "mapi.rops of the connection in -o json") {
		var w times
		w.add(&r.ResponseTime)
		l := w.cells()
		t.row(fmt.Sprintf("0x%02x", r.ID), r.Name, r.Requests, r.Responses, toned(int(r.Failures), warn), size(r.RequestBytes), size(r.ResponseBytes), l[0], l[1], l[2], l[3])
	}
	if b := m.RopBytes; b != nil {
		reasons := make(map[string]int64)
		for _, r := range b.Reasons {
			reasons[r.Reason] += r.Bytes
		}
		t.note("a ROP takes the time of the call that carried it; %d of %d bytes of ROP lists were walked%s", b.Walked, b.Walked+b.Unwalked, because(reasons))
	}
	y.table(&t)
}

// answerers tells who answered: an accelerator close to the client, or the
// server.
func (y *why) answerers(r *document.Responses) {
	if r.LocalCount.Value == nil && r.RemoteCount.Value == nil {
		if r.LocalCount.Why != "" {
			y.say("answered by", "n/a: %s", r.LocalCount.Why)
		}
		return
	}
	for _, x := range []struct {
		label     string
		count     document.Figure
		avg       document.Figure
		responder string
	}{{"local", r.LocalCount, r.LocalAvg, "an accelerator on the near side"}, {"remote", r.RemoteCount, r.RemoteAvg, "the server"}} {
		switch {
		case x.count.Value == nil && x.count.Why != "":
			y.say(x.label, "n/a: %s", x.count.Why)
		case x.count.Value != nil && x.avg.Value != nil:
			y.say(x.label, "%s by %s, mean %s (%s: %s)", count(*x.count.Value, "answer"), x.responder, span(*x.avg.Value), strings.ReplaceAll(string(x.count.Quality), "_", " "), x.count.Why)
		case x.count.Value != nil:
			y.say(x.label, "%s by %s (%s: %s)", count(*x.count.Value, "answer"), x.responder, strings.ReplaceAll(string(x.count.Quality), "_", " "), x.count.Why)
		}
	}
}

func (y *why) sizes(label string, s *document.Sizes) {
	if s == nil || s.Requests == 0 {
		return
	}
	y.say(label, "%s; asked for %s to %s bytes, mean %s; answers of %s to %s bytes, mean %s", count(s.Requests, "request"),
		amount(s.AskedMin), amount(s.AskedMax), amount(s.AskedAvg), amount(s.Min), amount(s.Max), amount(s.Avg))
}

// losses tells what makes figures incomplete.
func (y *why) losses() {
	c := y.c
	y.section("Losses")
	var out []string
	side := func(p document.PerSide, what string, f func(int64) string) {
		if p.Client+p.Server > 0 {
			out = append(out, fmt.Sprintf("%s: client %s, server %s", what, f(p.Client), f(p.Server)))
		}
	}
	plain := func(n int64) string { return fmt.Sprint(n) }
	side(c.GapBytes, "bytes never captured", plain)
	side(c.Retransmitted, "segments sent again", plain)
	side(c.OutOfOrder, "segments out of order", plain)
	if c.Directions != "both" {
		out = append(out, "only one direction was captured ("+strings.ReplaceAll(c.Directions, "_", " ")+")")
	}
	if c.Calls.Lost > 0 {
		out = append(out, count(c.Calls.Lost, "call")+" lost in gaps")
	}
	if c.Calls.Orphaned > 0 {
		out = append(out, count(c.Calls.Orphaned, "call")+" orphaned by the client")
	}
	if c.FirstPacket.Capture < len(y.doc.Captures) {
		if cap := &y.doc.Captures[c.FirstPacket.Capture]; cap.TruncatedPackets > 0 {
			out = append(out, count(cap.TruncatedPackets, "packet")+" of the capture were cut by the snap length")
		}
	}
	if len(out) == 0 {
		y.printf("None: every byte of both directions was captured, in order and once.")
		return
	}
	for _, line := range out {
		y.printf("%s", line)
	}
}
