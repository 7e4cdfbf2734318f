package dcerpc

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// fake is data that looks like the beginning of a PDU of n bytes.
func fake(n int) []byte {
	b := []byte{5, 0, 0, 3, 0x10, 0, 0, 0, byte(n), byte(n >> 8), 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0}
	return b
}

func TestResynchronisation(t *testing.T) {
	noise := bytes.Repeat([]byte{0xa5, 5, 0}, 30)
	tail := func(b []byte, n int) []byte { return b[len(b)-n:] }
	type want struct {
		pdus, resynced, damaged int64
		skipped                 int64
		verdict                 Verdict
	}
	tests := []struct {
		name string
		mid  bool
		s    script
		want
	}{
		{"from the middle, on a PDU", true, join(client(request(2, "ask")), server(response(2, "answer"))), want{2, 0, 0, 0, RPC}},
		{"from the middle, inside a PDU", true, join(client(tail(request(1, "a long question"), 9), request(2, "ask")), server(response(2, "answer"))), want{2, 1, 0, 9, RPC}},
		{"from the middle, the last bytes of a PDU alone", true, join(client(tail(request(1, "a long question"), 9)), server(response(1, "answer")), client(request(2, "ask"))), want{2, 1, 0, 9, RPC}},
		{"from the middle, inside a header", true, join(client(tail(request(1, "ask"), 20), request(2, "ask")), server(response(2, "answer"))), want{2, 1, 0, 20, RPC}},
		{"from the middle, one side only", true, server(tail(response(1, "a long answer"), 9), response(2, "answer"), response(3, "answer")), want{2, 1, 0, 9, RPC}},
		{"from the middle, a single PDU", true, client(request(2, "ask")), want{1, 0, 0, 0, RPC}},
		{"from the middle, an unfinished PDU alone is not believed", true, client(request(2, "a long question")[:30]), want{0, 0, 0, 30, Undecided}},
		{"from the middle, 05 00 all over", true, join(client(noise, request(2, "ask")), server(noise, response(2, "answer"))), want{2, 2, 0, 180, RPC}},
		{"from the middle, a header inside data and none behind its PDU", true, join(client(fake(60), noise, request(2, "ask")), server(response(2, "answer"))), want{2, 1, 0, 24 + 90, RPC}},
		{"from the middle, a header inside data whose PDU would end far away", true, join(client(fake(0xffff), noise, request(2, "ask")), server(response(2, "answer"))), want{2, 1, 0, 24 + 90, RPC}},
		{"from the middle, a header that would end in the next one", true, join(client(fake(40), request(2, "ask")), server(response(2, "answer"))), want{2, 1, 0, 24, RPC}},
		{"gap between PDUs", false, join(client(request(2, "ask")), clientGap(500), client(request(4, "ask"), request(5, "ask"))), want{3, 1, 0, 0, RPC}},
		{"gap, then a stretch that goes wrong again", false, join(client(request(2, "ask")), clientGap(500), client(slices.Concat(request(4, "ask"), request(5, "ask"), noise, request(6, "ask"), request(7, "ask")))), want{5, 2, 1, 90, RPC}},
		{"gap in what is no DCE/RPC", false, join(client(noise), clientGap(7), client(request(2, "ask"), request(3, "ask"))), want{0, 0, 0, 90 + 54, NotRPC}},
		{"gap of nothing", false, join(client(request(2, "ask")[:20]), script{{side: wire.SideA, gap: -1}}, client(request(2, "ask")[20:])), want{1, 0, 0, 0, RPC}},
		{"gap inside a PDU", false, join(client(request(2, "0123456789")[:26]), clientGap(8), client(request(3, "ask"))), want{2, 0, 1, 0, RPC}},
		{"gap inside a PDU, its end comes", false, join(client(request(2, "0123456789")[:26]), clientGap(4), client(tail(request(2, "0123456789"), 4), request(3, "ask"))), want{2, 0, 1, 0, RPC}},
		{"two gaps inside a PDU", false, join(client(request(2, "0123456789")[:26]), clientGap(2), client([]byte("x")), clientGap(5), client(request(3, "ask"))), want{2, 0, 1, 0, RPC}},
		{"gap over the end of a PDU", false, join(client(request(2, "0123456789")[:26]), clientGap(9), client(request(3, "ask")[1:], request(4, "ask"), request(5, "ask"))), want{3, 1, 1, 26, RPC}},
		{"gap inside a header", false, join(client(request(2, "ask"), request(3, "ask")[:10]), clientGap(17), client(request(4, "ask"), request(5, "ask"))), want{3, 1, 0, 0, RPC}},
		{"gap before the first byte of a side", false, join(client(request(2, "ask")), serverGap(100), server(response(3, "answer"))), want{2, 1, 0, 0, RPC}},
		{"no header where one must be", false, join(client(request(2, "ask"), noise, request(3, "ask"), request(4, "ask"))), want{3, 1, 1, 90, RPC}},
		{"no header where one must be, one byte at a time", false, join(client(request(2, "ask"), []byte{7}, []byte{8}, request(3, "ask"), request(4, "ask"))), want{3, 1, 1, 2, RPC}},
		{"frag_length below its type's", false, join(client(request(2, "ask"), fake(16)[:16], request(3, "ask"))), want{3, 0, 1, 0, RPC}},
		{"frag_length below the header", false, join(client(request(2, "ask"), fake(15), request(3, "ask"), request(4, "ask"))), want{3, 1, 1, 24, RPC}},
		{"never anything but noise", false, join(client(noise), server(noise)), want{0, 0, 0, 180, NotRPC}},
		{"the server is something else", false, join(client(request(2, "ask"), request(3, "ask")), server([]byte("HTTP/1.1 400 Bad Request\r\n"), response(2, "answer"))), want{2, 0, 0, 26 + 30, RPC}},
		{"a proper bind, then something else", false, join(opening(), client(noise, request(2, "ask"), request(3, "ask"))), want{4, 1, 1, 90, RPC}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := playing{midstream: tt.mid}.play(t, tt.s)
			got := want{c.Counts.PDUs, c.Stats.Resynchronised, c.Stats.PDUsDamaged, c.Bytes.Skipped, c.Verdict()}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			playing{midstream: tt.mid}.anySegmentation(t, tt.s, 50)
		})
	}
}

// TestPDUsKeepTheirPackets has PDUs that were believed only when later packets
// came: they belong to the packets that completed them.
func TestPDUsKeepTheirPackets(t *testing.T) {
	h := &capture{}
	c := NewConn(DefaultLimits(), h)
	c.Midstream()
	m := func(n int64) wire.Mark { return wire.Mark{Time: n * 1e6, Packet: n} }
	ask := request(2, "0123456789")
	c.Data(wire.SideA, 0, m(1), ask[:20])
	c.Data(wire.SideA, 0, m(2), ask[20:])
	c.Data(wire.SideB, 0, m(5), response(2, "answer"))
	c.Data(wire.SideA, 0, m(7), request(3, "ask"))
	c.Data(wire.SideB, 0, m(8), response(3, "answer"))
	c.End(m(9))
	want := [][4]int64{{2, 2, 5, 5}, {7, 7, 8, 8}}
	for i, call := range h.calls {
		got := [4]int64{call.Request.First.Packet, call.Request.Last.Packet, call.Response.First.Packet, call.Response.Last.Packet}
		if got != want[i] {
			t.Errorf("call %d: packets %v, want %v", call.ID, got, want[i])
		}
	}
	if len(h.calls) != 2 || c.FirstPDU() != m(2) {
		t.Errorf("%d calls, first PDU %v", len(h.calls), c.FirstPDU())
	}
	if us := c.Ops[0].Latency.Max(); us != 3000 {
		t.Errorf("response time %d µs, want 3000", us)
	}
}

// TestSearchIsBounded searches what is no DCE/RPC: after the limit the direction
// is given up, at the same byte however it came.
func TestSearchIsBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.Scan = 1000
	noise := bytes.Repeat([]byte{5, 0, 11, 3, 0x10, 0, 0, 7}, 200)
	tests := []struct {
		name    string
		noise   int
		pdus    int64
		verdict Verdict
	}{
		{"just below", 999, 2, RPC}, {"at the limit", 1000, 0, NotRPC}, {"beyond", 1500, 0, NotRPC},
	}
	for _, tt := range tests {
		s := client(noise[:tt.noise], request(2, "ask"), request(3, "ask"))
		p := playing{midstream: true, limits: limits}
		c, _ := p.play(t, s)
		if c.Counts.PDUs != tt.pdus || c.Verdict() != tt.verdict {
			t.Errorf("%s: %d PDUs, verdict %v", tt.name, c.Counts.PDUs, c.Verdict())
		}
		p.anySegmentation(t, s, 20)
	}
	// Once DCE/RPC was seen, the search goes on.
	s := join(server(response(1, "answer"), response(2, "answer")), client(noise[:1500], request(3, "ask"), request(4, "ask")))
	if c, _ := (playing{midstream: true, limits: limits}).play(t, s); c.Counts.PDUs != 4 {
		t.Errorf("%d PDUs beside a side that is known", c.Counts.PDUs)
	}
}

// busy is a conversation in which every stub is unmistakable: calls of one and
// of several fragments, open at the same time.
func busy() script {
	stub := func(id uint32, who string) []byte { return []byte(strings.Repeat(fmt.Sprintf("<%s %d>", who, id), 9)) }
	req := func(id uint32) pcaptest.PDU { return pcaptest.Request(0, 11, stub(id, "ask")).Call(id) }
	resp := func(id uint32) pcaptest.PDU { return pcaptest.Response(0, stub(id, "answer")).Call(id) }
	s := opening()
	for id := uint32(2); id < 14; id += 3 {
		a, b := req(id).Fragments(20), resp(id).Fragments(24)
		s = join(s, client(a[0], a[1], req(id+1).Bytes()), client(a[2:]...), client(req(id+2).Bytes()))
		s = join(s, server(resp(id+1).Bytes(), b[0], b[1], resp(id+2).Bytes()), server(b[2:]...))
	}
	return s
}

// TestGapsNeverJoinWrongly puts a gap of every size at every place of a
// conversation. What is handed over then is what was handed over without the
// gap, or less; and the other direction is heard out.
func TestGapsNeverJoinWrongly(t *testing.T) {
	s := busy()
	_, whole := play(t, s)
	known := map[string]bool{}
	for _, line := range whole.lines {
		known[line] = true
	}
	if n := strings.Count(strings.Join(whole.lines, "\n"), "response"); n != 12 {
		t.Fatalf("%d answers without a gap", n)
	}
	sizes := []int{1, 24, 59, 150, 333, 1000}
	step := 2
	if testing.Short() {
		step = 13
	}
	for _, side := range []wire.Side{wire.SideA, wire.SideB} {
		bounds := s.bounds(side)
		total := bounds[len(bounds)-1]
		other := int64(len(s.bounds(side.Other())) - 1)
		for at := 0; at < total; at += step {
			for _, n := range sizes {
				if at+n > total {
					break
				}
				c, r := play(t, s.gap(side, at, n))
				for _, line := range r.lines {
					// An answer whose request is missing has no opnum.
					orphan := strings.Replace(line, "opnum ?", "opnum 11", 1)
					if !strings.HasPrefix(line, "lost") && !known[line] && !known[orphan] && !strings.HasPrefix(line, "bind") {
						t.Fatalf("side %d, %d bytes missing at %d: %s", side, n, at, line)
					}
				}
				// Every PDU outside the gap counts, but for those next to it.
				var want int64
				for i, b := range bounds[:len(bounds)-1] {
					if bounds[i+1] <= at || b >= at+n {
						want++
					}
				}
				if got := c.Counts.PDUs - other; got < want || got > want+2 {
					t.Fatalf("side %d, %d bytes missing at %d: %d PDUs of it, want %d and up to 2 damaged ones", side, n, at, got, want)
				}
				ends := c.Counts.Lost + c.Counts.Unanswered
				for _, line := range r.lines {
					if strings.HasPrefix(line, "response") {
						ends++
					}
				}
				if n := callsOf(r.lines, c); ends != n {
					t.Fatalf("side %d, %d bytes missing at %d: %d calls, %d ends", side, n, at, n, ends)
				}
			}
		}
	}
}

// callsOf counts the calls that a script opened: those whose request was seen,
// and those that an answer alone opened.
func callsOf(lines []string, c *Conn) int64 {
	var n int64
	for _, o := range c.Ops {
		if o.OpnumKnown {
			n += o.Requests
		} else {
			n += o.Responses
		}
	}
	return n
}

// gap takes n bytes out of a side.
func (s script) gap(side wire.Side, at, n int) (out script) {
	for _, x := range s {
		if x.side != side || n == 0 || at >= len(x.data) {
			if x.side == side {
				at -= len(x.data)
			}
			out = append(out, x)
			continue
		}
		k := min(n, len(x.data)-at)
		if at > 0 {
			out = append(out, step{side: side, data: x.data[:at]})
		}
		out = append(out, step{side: side, gap: int64(k)})
		if at+k < len(x.data) {
			out = append(out, step{side: side, data: x.data[at+k:]})
		}
		n, at = n-k, 0
		if n == 0 {
			at = 1 << 30
		}
	}
	return out
}

// TestCallsTouchedByAGap says which calls a gap makes lost, and which not.
func TestCallsTouchedByAGap(t *testing.T) {
	req := pcaptest.Request(0, 11, []byte("abcdef")).Call(2).Fragments(2)
	resp := pcaptest.Response(0, []byte("ABCDEF")).Call(2).Fragments(2)
	tests := []struct {
		name string
		s    script
		want string
		n    Counts
	}{
		{
			"request in the gap, its answer comes", join(clientGap(60), server(response(2, "answer")), client(request(3, "ask"), request(4, "ask"))), `
			response 2 context 0 opnum ? "answer"
			request 3 context 0 opnum 11 "ask"
			request 4 context 0 opnum 11 "ask"
			lost 3
			lost 4`, Counts{Requests: 2, Responses: 1, Unanswered: 2},
		},
		{
			"answer in the gap: lost, not unanswered", join(client(request(2, "ask")), serverGap(60), client(request(3, "ask")), server(response(3, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			request 3 context 0 opnum 11 "ask"
			response 3 context 0 opnum 11 "answer"
			lost 2`, Counts{Requests: 2, Responses: 1, Lost: 1},
		},
		{
			"asked after the gap: unanswered", join(serverGap(60), client(request(2, "ask"))), `
			request 2 context 0 opnum 11 "ask"
			lost 2`, Counts{Requests: 1, Unanswered: 1},
		},
		{
			"middle fragment of a request", join(client(req[0]), clientGap(int64(len(req[1]))), client(req[2], request(3, "ask")), server(response(2, "answer"))), `
			lost 2
			request 3 context 0 opnum 11 "ask"
			lost 3`, Counts{Requests: 2, Responses: 1, Unanswered: 1, Lost: 1, Fragments: 2},
		},
		{
			"first fragment of a request", join(clientGap(int64(len(req[0]))), client(req[1], req[2], request(3, "ask")), server(response(2, "answer"))), `
			lost 2
			request 3 context 0 opnum 11 "ask"
			lost 3`, Counts{Requests: 2, Responses: 1, Unanswered: 1, Lost: 1, Fragments: 2},
		},
		{
			"last fragment of a request", join(client(req[0], req[1]), clientGap(int64(len(req[2]))), client(request(3, "ask"), request(4, "ask")), server(response(2, "answer"))), `
			lost 2
			request 3 context 0 opnum 11 "ask"
			request 4 context 0 opnum 11 "ask"
			lost 3
			lost 4`, Counts{Requests: 3, Responses: 1, Unanswered: 2, Lost: 1, Fragments: 2},
		},
		{
			"middle fragment of a response", join(client(request(2, "ask")), server(resp[0]), serverGap(int64(len(resp[1]))), server(resp[2], response(9, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			lost 2
			response 9 context 0 opnum ? "answer"`, Counts{Requests: 1, Responses: 2, Lost: 1, Fragments: 2},
		},
		{
			"first fragment of a response, flags of the next are 0", join(client(request(2, "ask")), serverGap(int64(len(resp[0]))), server(resp[1], resp[2], response(9, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			lost 2
			response 9 context 0 opnum ? "answer"`, Counts{Requests: 1, Responses: 2, Lost: 1, Fragments: 2},
		},
		{
			"part of a request's stub", join(client(request(2, "0123456789")[:28]), clientGap(6), client(request(3, "ask")), server(response(2, "answer"), response(3, "answer"))), `
			lost 2
			request 3 context 0 opnum 11 "ask"
			response 3 context 0 opnum 11 "answer"`, Counts{Requests: 2, Responses: 2, Lost: 1},
		},
		{
			"part of a response's stub", join(client(request(2, "ask"), request(3, "ask")), server(response(2, "0123456789")[:28]), serverGap(6), server(response(3, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			request 3 context 0 opnum 11 "ask"
			lost 2
			response 3 context 0 opnum 11 "answer"`, Counts{Requests: 2, Responses: 2, Lost: 1},
		},
		{
			"part of a fault", join(client(request(2, "ask")), server(pcaptest.Fault(0, 5).Call(2).Bytes()[:28]), serverGap(4), server(response(9, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			lost 2
			response 9 context 0 opnum ? "answer"`, Counts{Requests: 1, Responses: 1, Lost: 1},
		},
		{
			"part of a bind", join(client(pcaptest.Bind(0, pcaptest.Offer(1, pcaptest.NSPI)).Call(2).Bytes()[:30]), clientGap(42), client(request(3, "ask")), server(response(3, "answer"))), `
			request 3 context 0 opnum 11 "ask"
			response 3 context 0 opnum 11 "answer"`, Counts{Requests: 1, Responses: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := join(opening(), tt.s)
			c, r := play(t, s)
			lines(t, r, opened+tt.want)
			c.Counts.PDUs = 0
			if d := cmp.Diff(tt.n, c.Counts); d != "" {
				t.Errorf("counts (-want +got):\n%s", d)
			}
			playing{}.anySegmentation(t, s, 20)
		})
	}
}

// TestUnfinishedPDUs ends the streams inside PDUs of every type: what was
// captured of them is neither lost from the ledger nor taken for whole.
func TestUnfinishedPDUs(t *testing.T) {
	token := make([]byte, 16)
	pdus := []pcaptest.PDU{
		pcaptest.Request(0, 11, []byte("0123456789")).Auth(10, 5, 0, token), pcaptest.Request(0, 11, []byte("x")).Object("01020304-0506-0708-090a-0b0c0d0e0f10"),
		pcaptest.Response(0, []byte("0123456789")).Auth(10, 5, 0, token), pcaptest.Fault(0, 5),
		pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM, pcaptest.NDR32, pcaptest.NDR64)).Auth(10, 5, 0, token), pcaptest.BindAck(7, "135", pcaptest.Accept(pcaptest.NDR32)).Auth(10, 5, 0, token),
		pcaptest.BindNak(4), pcaptest.AlterContext(7, pcaptest.Offer(0, pcaptest.EPM)), pcaptest.AlterContextResp(7, pcaptest.Accept(pcaptest.NDR32)),
		pcaptest.Auth3().Auth(10, 5, 0, token), pcaptest.Shutdown(), pcaptest.CoCancel(), pcaptest.Orphaned(),
	}
	for _, p := range pdus {
		for _, b := range [][]byte{p.Call(3).Bytes(), p.Call(3).BigEndian().Bytes()} {
			kind := PType(b[2])
			fromClient, _ := kind.fromClient()
			for n := range b {
				side := client
				if !fromClient {
					side = server
				}
				for _, s := range []script{join(opening(), side(b[:n])), join(opening(), side(b[:n]), script{{side: side(b)[0].side, gap: int64(len(b) - n)}})} {
					c, _ := play(t, s)
					whole, begun := int64(2), int64(0)
					if n >= headerLength {
						begun = 1
					}
					if c.Counts.PDUs != whole+begun || c.Stats.PDUsDamaged != begun || c.Bytes.Unfinished != int64(n) {
						t.Errorf("%v cut to %d bytes: %d PDUs, %d damaged, %d bytes unfinished", kind, n, c.Counts.PDUs, c.Stats.PDUsDamaged, c.Bytes.Unfinished)
					}
				}
			}
		}
	}
}

func TestWindowKeepsPackets(t *testing.T) {
	c := NewConn(DefaultLimits(), nil)
	var w window
	var all []byte
	for i := range 3 * maxChunks {
		b := bytes.Repeat([]byte{byte(i)}, 1+i%7)
		w.add(c, b, wire.Mark{Packet: int64(i) + 1})
		all = append(all, b...)
		if i%3 == 2 {
			n := min(5, len(w.bytes())-1)
			w.drop(c, n)
			all = all[n:]
		}
		if !bytes.Equal(w.bytes(), all) {
			t.Fatalf("after %d packets: %d bytes, want %d", i+1, len(w.bytes()), len(all))
		}
		if len(w.chunks) > maxChunks {
			t.Fatalf("%d packets are kept", len(w.chunks))
		}
		if got := w.mark(len(all)); got.Packet != int64(i)+1 {
			t.Fatalf("the last byte belongs to packet %d, want %d", got.Packet, i+1)
		}
	}
	if !slices.IsSortedFunc(w.chunks, func(a, b chunk) int { return a.end - b.end }) {
		t.Error("packets out of order")
	}
	// What lies far behind is let go of.
	w.add(c, make([]byte, 3*compactAt), wire.Mark{Packet: 9999})
	w.drop(c, 2*compactAt)
	all = append(all, make([]byte, 3*compactAt)...)[2*compactAt:]
	if w.off != 0 || !bytes.Equal(w.bytes(), all) || w.mark(len(all)).Packet != 9999 {
		t.Errorf("moved to the front: %d bytes behind, %d left, want %d", w.off, len(w.bytes()), len(all))
	}
	w.drop(c, len(w.bytes()))
	if w.buf != nil || len(w.bytes()) != 0 {
		t.Error("an empty window holds a buffer")
	}
}
