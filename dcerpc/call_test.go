package dcerpc

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

const (
	first = 0x01
	last  = 0x02
)

func TestCalls(t *testing.T) {
	long := strings.Repeat("0123456789", 20)
	req := func(id uint32, stub string) pcaptest.PDU { return pcaptest.Request(0, 11, []byte(stub)).Call(id) }
	resp := func(id uint32, stub string) pcaptest.PDU { return pcaptest.Response(0, []byte(stub)).Call(id) }
	tests := []struct {
		name string
		s    script
		want string
		n    Counts
	}{
		{
			"one call", join(client(request(2, "ask")), server(response(2, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			response 2 context 0 opnum 11 "answer"`,
			Counts{Requests: 1, Responses: 1},
		},
		{
			"no stub at all", join(client(request(2, "")), server(response(2, ""))), `
			request 2 context 0 opnum 11 ""
			response 2 context 0 opnum 11 ""`,
			Counts{Requests: 1, Responses: 1},
		},
		{
			"several calls open on one context", join(
				client(request(2, "a"), pcaptest.Request(0, 4, []byte("b")).Call(3).Bytes(), request(4, "c")),
				server(response(3, "B"), response(4, "C"), response(2, "A")),
			), `
			request 2 context 0 opnum 11 "a"
			request 3 context 0 opnum 4 "b"
			request 4 context 0 opnum 11 "c"
			response 3 context 0 opnum 4 "B"
			response 4 context 0 opnum 11 "C"
			response 2 context 0 opnum 11 "A"`,
			Counts{Requests: 3, Responses: 3},
		},
		{
			"two fragments", join(client(req(2, "abcdef").Fragmented(3)), server(resp(2, "ABCDEF").Fragmented(3))), `
			request 2 context 0 opnum 11 "abcdef"
			response 2 context 0 opnum 11 "ABCDEF"`,
			Counts{Requests: 1, Responses: 1, Fragments: 4},
		},
		{
			"many fragments", join(client(req(2, long).Fragmented(7)), server(resp(2, long).Fragmented(9))), `
			request 2 context 0 opnum 11 200 bytes/33037
			response 2 context 0 opnum 11 200 bytes/33037`,
			Counts{Requests: 1, Responses: 1, Fragments: 29 + 23},
		},
		{
			"fragments of two calls in turn", join(
				client(req(2, "abcd").Fragments(2)[0], req(3, "wxyz").Fragments(2)[0], req(2, "abcd").Fragments(2)[1], req(3, "wxyz").Fragments(2)[1]),
				server(resp(3, "WXYZ").Fragments(2)[0], resp(2, "ABCD").Fragments(2)[0], resp(3, "WXYZ").Fragments(2)[1], resp(2, "ABCD").Fragments(2)[1]),
			), `
			request 2 context 0 opnum 11 "abcd"
			request 3 context 0 opnum 11 "wxyz"
			response 3 context 0 opnum 11 "WXYZ"
			response 2 context 0 opnum 11 "ABCD"`,
			Counts{Requests: 2, Responses: 2, Fragments: 8},
		},
		{
			"no fragment flags is a whole message", join(client(req(2, "ask").Flags(0).Bytes()), server(resp(2, "answer").Flags(0).Bytes())), `
			request 2 context 0 opnum 11 "ask"
			response 2 context 0 opnum 11 "answer"`,
			Counts{Requests: 1, Responses: 1, Fragments: 2},
		},
		{
			"object UUID before the stub", join(client(req(2, "ask").Object("01020304-0506-0708-090a-0b0c0d0e0f10").Bytes()), server(response(2, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			response 2 context 0 opnum 11 "answer"`,
			Counts{Requests: 1, Responses: 1},
		},
		{
			"fault", join(client(request(2, "ask")), server(pcaptest.Fault(0, 0x1c010002).Call(2).Bytes())), `
			request 2 context 0 opnum 11 "ask"
			response 2 context 0 opnum 11 fault nca_s_op_rng_error
			fault 2`,
			Counts{Requests: 1, Faults: 1},
		},
		{
			"fault behind a part of the response", join(client(request(2, "ask")), server(resp(2, "abcd").Fragments(2)[0], pcaptest.Fault(0, 5).Call(2).Bytes())), `
			request 2 context 0 opnum 11 "ask"
			response 2 context 0 opnum 11 fault access denied
			fault 2`,
			Counts{Requests: 1, Responses: 1, Faults: 1, Fragments: 1},
		},
		{
			"cancel, answered by a fault", join(client(request(2, "ask"), pcaptest.CoCancel().Call(2).Bytes()), server(pcaptest.Fault(0, 0x1c00000d).Call(2).Bytes())), `
			request 2 context 0 opnum 11 "ask"
			co_cancel 2
			response 2 context 0 opnum 11 fault nca_s_fault_cancel
			fault 2`,
			Counts{Requests: 1, Faults: 1, Cancels: 1},
		},
		{
			"orphaned call is not unanswered", join(client(request(2, "ask"), request(3, "ask"), pcaptest.Orphaned().Call(2).Bytes())), `
			request 2 context 0 opnum 11 "ask"
			request 3 context 0 opnum 11 "ask"
			orphaned 2
			lost 2
			lost 3`,
			Counts{Requests: 2, Orphaned: 1, Unanswered: 1},
		},
		{
			"orphaned too late", join(client(request(2, "ask"), pcaptest.Orphaned().Call(2).Bytes()), server(response(2, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			orphaned 2
			response 2 context 0 opnum 11 "answer"`,
			Counts{Requests: 1, Responses: 1, Orphaned: 1},
		},
		{
			"shutdown", join(client(request(2, "ask")), server(response(2, "answer"), pcaptest.Shutdown().Bytes())), `
			request 2 context 0 opnum 11 "ask"
			response 2 context 0 opnum 11 "answer"
			shutdown 0`,
			Counts{Requests: 1, Responses: 1},
		},
		{
			"call id used again before the answer", join(client(request(2, "old"), request(2, "new")), server(response(2, "answer"))), `
			request 2 context 0 opnum 11 "old"
			lost 2
			request 2 context 0 opnum 11 "new"
			response 2 context 0 opnum 11 "answer"`,
			Counts{Requests: 2, Responses: 1, Unanswered: 1},
		},
		{
			"request that never ends", client(req(2, "abcd").Fragments(2)[0]), `
			lost 2`,
			Counts{Requests: 1, Lost: 1, Fragments: 1},
		},
		{
			"response that never ends", join(client(request(2, "ask")), server(resp(2, "abcd").Fragments(2)[0])), `
			request 2 context 0 opnum 11 "ask"
			lost 2`,
			Counts{Requests: 1, Responses: 1, Lost: 1, Fragments: 1},
		},
		{
			"last fragment of a request without a first", join(client(req(2, "abcd").Fragments(2)[1]), server(response(2, "answer"))), `
			lost 2`,
			Counts{Requests: 1, Responses: 1, Lost: 1, Fragments: 1},
		},
		{
			"last fragment behind a whole request of the same id", join(client(request(2, "ask"), req(2, "abcd").Fragments(2)[1]), server(response(2, "answer"))), `
			request 2 context 0 opnum 11 "ask"
			lost 2
			lost 2`,
			Counts{Requests: 2, Responses: 1, Unanswered: 1, Lost: 1, Fragments: 1},
		},
		{
			"first fragment of a response comes twice", join(client(request(2, "ask")), server(resp(2, "abcd").Fragments(2)[0], resp(2, "wxyz").Fragmented(2))), `
			request 2 context 0 opnum 11 "ask"
			lost 2`,
			Counts{Requests: 1, Responses: 1, Lost: 1, Fragments: 3},
		},
		{
			"fault before the last fragment of its request", join(
				client(req(2, "abcdef").Fragments(2)[0]), server(pcaptest.Fault(0, 5).Call(2).Bytes()),
				client(req(2, "abcdef").Fragments(2)[1], req(2, "abcdef").Fragments(2)[2], request(3, "ask")), server(response(3, "answer")),
			), `
			response 2 context 0 opnum 11 fault access denied
			fault 2
			request 3 context 0 opnum 11 "ask"
			response 3 context 0 opnum 11 "answer"`,
			Counts{Requests: 2, Responses: 1, Faults: 1, Fragments: 3},
		},
		{
			"fault before the last fragment, which never comes, and the id again", join(
				client(req(2, "abcd").Fragments(2)[0]), server(pcaptest.Fault(0, 5).Call(2).Bytes()),
				client(request(2, "ask")), server(response(2, "answer")), client(req(3, "abcd").Fragments(2)[0]), server(pcaptest.Fault(0, 5).Call(3).Bytes()),
			), `
			response 2 context 0 opnum 11 fault access denied
			fault 2
			request 2 context 0 opnum 11 "ask"
			response 2 context 0 opnum 11 "answer"
			response 3 context 0 opnum 11 fault access denied
			fault 3`,
			Counts{Requests: 3, Responses: 1, Faults: 2, Fragments: 2},
		},
		{
			"two faults before the last fragment", join(
				client(req(2, "abcd").Fragments(2)[0]), server(pcaptest.Fault(0, 5).Call(2).Bytes(), pcaptest.Fault(0, 5).Call(2).Bytes()),
			), `
			response 2 context 0 opnum 11 fault access denied
			fault 2
			response 2 context 0 opnum ? fault access denied
			fault 2`,
			Counts{Requests: 1, Faults: 2, Fragments: 1},
		},
		{
			"response to nothing", server(response(9, "answer")), `
			response 9 context 0 opnum ? "answer"`,
			Counts{Responses: 1},
		},
		{
			"fault to nothing", server(pcaptest.Fault(0, 5).Call(9).Bytes()), `
			response 9 context 0 opnum ? fault access denied
			fault 9`,
			Counts{Faults: 1},
		},
		{
			"sealed", join(client(req(2, "ciphertext").Auth(10, 6, 0, make([]byte, 16)).Bytes()), server(resp(2, "ciphertext").Auth(10, 6, 0, make([]byte, 16)).Bytes())), `
			request 2 context 0 opnum 11 sealed or not wanted
			response 2 context 0 opnum 11 sealed or not wanted`,
			Counts{Requests: 1, Responses: 1, Sealed: 2},
		},
		{
			"signed", join(client(req(2, "cleartext").Auth(10, 5, 0, make([]byte, 16)).Bytes()), server(resp(2, "cleartext").Auth(10, 5, 0, make([]byte, 16)).Bytes())), `
			request 2 context 0 opnum 11 "cleartext"
			response 2 context 0 opnum 11 "cleartext"`,
			Counts{Requests: 1, Responses: 1},
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
			if d := cmp.Diff(Stats{}, c.Stats); d != "" {
				t.Errorf("stats (-want +got):\n%s", d)
			}
			playing{}.anySegmentation(t, s, 20)
		})
	}
}

func TestCallBothOrders(t *testing.T) {
	for _, big := range []bool{false, true} {
		pdu := func(p pcaptest.PDU) []byte {
			if big {
				p = p.BigEndian()
			}
			return p.Bytes()
		}
		object := pcaptest.UUID("01020304-0506-0708-090a-0b0c0d0e0f10")
		h := &capture{}
		c := NewConn(DefaultLimits(), h)
		mark := func(n int64) wire.Mark { return wire.Mark{Time: n * 1e6, Packet: n} }
		c.Data(wire.SideA, 0, mark(1), pdu(pcaptest.Bind(0, pcaptest.Offer(7, pcaptest.EMSMDB)).Call(1)))
		c.Data(wire.SideB, 0, mark(2), pdu(pcaptest.BindAck(0xdead, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1)))
		c.Data(wire.SideA, 0, mark(3), pdu(pcaptest.Request(7, 10, []byte("ask")).Call(2).Object(object).Auth(9, 5, 3, make([]byte, 16))))
		c.Data(wire.SideB, 0, mark(4), pdu(pcaptest.Response(7, []byte("answer")).Call(2).Auth(9, 5, 3, make([]byte, 16))))
		c.Data(wire.SideA, 0, mark(5), pdu(pcaptest.Request(7, 11, nil).Call(3)))
		c.Data(wire.SideB, 0, mark(9), pdu(pcaptest.Fault(7, 0x1c000002).Call(3)))
		c.End(mark(9))

		order := wire.Order(big)
		want := Call{
			ID: 2, ContextID: 7, Opnum: 10, OpnumKnown: true, HasObject: true, Object: wire.MustUUID(string(object)),
			Request:  Message{First: mark(3), Last: mark(3), Stub: 3, PDUs: 1, Complete: true, Order: order, AuthType: 9, AuthLevel: 5},
			Response: Message{First: mark(4), Last: mark(4), Stub: 6, PDUs: 1, Complete: true, Order: order, AuthType: 9, AuthLevel: 5},
		}
		got := h.calls[0]
		context := got.Context
		got.Context = nil
		if d := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
			f, ok := p.Last().(cmp.StructField)
			return ok && f.Name()[0] >= 'a'
		}, cmp.Ignore())); d != "" {
			t.Errorf("big endian %v (-want +got):\n%s", big, d)
		}
		if context == nil || context.ID != 7 || context.Interface != (Syntax{UUID: EMSMDB, Minor: 81}) || !context.Accepted() {
			t.Errorf("big endian %v: context %+v", big, context)
		}
		if f := c.Faults[0]; f.Status != 0x1c000002 || *f.Opnum != 11 || f.Mark != mark(9) || f.CallID != 3 {
			t.Errorf("big endian %v: fault %+v", big, f)
		}
		if g := *c.Granted; g != 0xdead || c.SecondaryAddress != "1025" || c.MaxXmit != 5840 {
			t.Errorf("big endian %v: group %x, address %q, max_xmit_frag %d", big, g, c.SecondaryAddress, c.MaxXmit)
		}
		ops := c.Ops
		if len(ops) != 2 || ops[0].Requests != 1 || ops[0].Responses != 1 || ops[0].RequestBytes != 3 || ops[0].ResponseBytes != 6 ||
			ops[0].Latency.Count() != 1 || ops[0].Latency.Max() != 1000 || ops[1].Faults != 1 || ops[1].Opnum != 11 {
			t.Errorf("big endian %v: operations %+v %+v", big, ops[0], ops[1])
		}
	}
}

// capture keeps copies of answered calls.
type capture struct{ calls []Call }

func (h *capture) Want(*Call, bool) int          { return 1 << 20 }
func (h *capture) Request(*Call, []byte)         {}
func (h *capture) Response(call *Call, _ []byte) { h.calls = append(h.calls, *call) }
func (h *capture) Lost(*Call)                    {}
func (h *capture) Event(*Event)                  {}

// TestOtherPDUs checks the PDUs that are no call and no bind: those of the
// connection-oriented protocol have an event, those of the connectionless one
// are counted as well.
func TestOtherPDUs(t *testing.T) {
	pdu := func(kind PType) []byte {
		b := unhex(t, `05 00 00 03 10 00 00 00 18 00 00 00 09 00 00 00  00 00 00 00 00 00 00 00`)
		b[2] = byte(kind)
		return b
	}
	tests := []struct {
		kind PType
		want Counts
	}{
		{TypePing, Counts{Connectionless: 1}}, {TypeWorking, Counts{Connectionless: 1}}, {TypeNoCall, Counts{Connectionless: 1}},
		{TypeReject, Counts{Connectionless: 1}}, {TypeAck, Counts{Connectionless: 1}}, {TypeCLCancel, Counts{Connectionless: 1}},
		{TypeFack, Counts{Connectionless: 1}}, {TypeCancelAck, Counts{Connectionless: 1}},
		{TypeShutdown, Counts{}}, {TypeCoCancel, Counts{Cancels: 1}}, {TypeOrphaned, Counts{Orphaned: 1}}, {TypeRTS, Counts{}},
	}
	for _, tt := range tests {
		t.Run(tt.kind.String(), func(t *testing.T) {
			s := join(opening(), client(request(2, "ask"), pdu(tt.kind), request(3, "ask")), server(response(3, "answer"), response(2, "answer")))
			c, r := play(t, s)
			lines(t, r, opened+`
				request 2 context 0 opnum 11 "ask"
				`+tt.kind.String()+` 9
				request 3 context 0 opnum 11 "ask"
				response 3 context 0 opnum 11 "answer"
				response 2 context 0 opnum 11 "answer"`)
			tt.want.Requests, tt.want.Responses, tt.want.PDUs = 2, 2, 7
			if d := cmp.Diff(tt.want, c.Counts); d != "" {
				t.Errorf("counts (-want +got):\n%s", d)
			}
			playing{}.anySegmentation(t, s, 20)
		})
	}
}

func TestConnectionlessPDUBeginsNothing(t *testing.T) {
	for kind := TypePing; kind <= TypeCancelAck; kind++ {
		if kind == TypeResponse || kind == TypeFault {
			continue
		}
		b := request(1, "ask")
		b[2] = byte(kind)
		if c, _ := play(t, client(b, request(2, "ask"))); c.Counts.PDUs != 0 || c.Verdict() != NotRPC {
			t.Errorf("%v: %d PDUs, verdict %v", kind, c.Counts.PDUs, c.Verdict())
		}
	}
}

// TestStubBoundary has stubs whose length depends on every field that may stand
// around one.
func TestStubBoundary(t *testing.T) {
	object := pcaptest.UUID("01020304-0506-0708-090a-0b0c0d0e0f10")
	for n := range 40 {
		stub := bytes.Repeat([]byte{0x5a}, n)
		for _, auth := range []bool{false, true} {
			for _, obj := range []bool{false, true} {
				p, q := pcaptest.Request(0, 11, stub).Call(2), pcaptest.Response(0, stub).Call(2)
				var want Bytes
				want.Header, want.BodyHeader, want.Stub = 2*16, 2*8, 2*int64(n)
				if auth {
					p, q = p.Auth(10, 5, 0, make([]byte, 12)), q.Auth(10, 5, 0, make([]byte, 12))
					want.Verifier = 2 * (8 + 12)
				}
				if obj {
					p = p.Object(object)
					want.BodyHeader += 16
				}
				s := join(client(p.Bytes()), server(q.Bytes()))
				c, _ := play(t, s)
				want.Delivered = s.delivered()
				want.Padding = want.Delivered - want.Header - want.BodyHeader - want.Stub - want.Verifier
				if d := cmp.Diff(want, c.Bytes); d != "" {
					t.Errorf("%d bytes, verifier %v, object %v (-want +got):\n%s", n, auth, obj, d)
				}
				if auth && n > 0 && n%16 != 0 && c.Bytes.Padding == 0 {
					t.Errorf("%d bytes: no padding, the test tests nothing", n)
				}
				if c.Ops[0].RequestBytes != int64(n) || c.Ops[0].ResponseBytes != int64(n) {
					t.Errorf("%d bytes: stubs of %d and %d", n, c.Ops[0].RequestBytes, c.Ops[0].ResponseBytes)
				}
			}
		}
	}
}

func TestDamagedPDUs(t *testing.T) {
	padded := func(pad byte) []byte {
		b := pcaptest.Request(0, 11, []byte("0123456789abcdef")).Call(2).Auth(10, 5, 0, make([]byte, 16)).Bytes()
		b[len(b)-16-8+2] = pad
		return b
	}
	shorten := func(b []byte, n int) []byte { b = bytes.Clone(b[:n]); b[8], b[9] = byte(n), 0; return b }
	long := bytes.Clone(request(2, "0123456789"))
	long[10] = 200 // auth_length
	tests := []struct {
		name    string
		pdu     []byte
		damaged int64
		want    string
	}{
		{"padding that is the whole stub", padded(16), 0, `request 2 context 0 opnum 11 ""`},
		{"padding into the body header", padded(17), 1, `request 2 context 0 opnum 11 "0123456789abcdef"`},
		{"padding before the PDU", padded(255), 1, `request 2 context 0 opnum 11 "0123456789abcdef"`},
		{"verifier longer than the PDU", long, 1, `request 2 context 0 opnum 11 "0123456789"`},
		{"request without an opnum", shorten(request(2, ""), 22), 1, ``},
		{"request with half an object UUID", shorten(pcaptest.Request(0, 11, nil).Call(2).Object("01020304-0506-0708-090a-0b0c0d0e0f10").Bytes(), 32), 1, ``},
		{"response without a context", shorten(response(2, ""), 20), 1, ``},
		{"fault without a status", shorten(pcaptest.Fault(0, 5).Call(2).Bytes(), 26), 1, ``},
		{"bind_nak without a reason", shorten(pcaptest.BindNak(4).Call(2).Bytes(), 17), 1, ``},
		{"bind cut in its contexts", shorten(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(2).Bytes(), 60), 1, `bind 2`},
		{"bind_ack cut in its results", shorten(pcaptest.BindAck(1, "135", pcaptest.Accept(pcaptest.NDR32)).Call(2).Bytes(), 40), 1, `bind_ack 2`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := join(opening(), client(tt.pdu, pcaptest.Request(0, 4, nil).Call(9).Bytes()))
			c, r := play(t, s)
			r.lines = r.lines[:len(r.lines)-strings.Count(strings.Join(r.lines, "\n"), "lost")]
			lines(t, r, opened+"\n"+tt.want+"\n"+`request 9 context 0 opnum 4 ""`)
			if c.Stats.PDUsDamaged != tt.damaged {
				t.Errorf("%d damaged PDUs, want %d", c.Stats.PDUsDamaged, tt.damaged)
			}
			if c.Bytes.Skipped+c.Bytes.Unfinished != 0 {
				t.Errorf("a damaged PDU at a known place cost the framing: %+v", c.Bytes)
			}
			playing{}.anySegmentation(t, s, 20)
		})
	}
}

func TestNotWanted(t *testing.T) {
	s := join(opening(), client(request(2, "0123456789"), pcaptest.Request(0, 11, []byte("0123456789")).Call(3).Fragmented(4)), server(response(2, "0123456789")))
	_, r := playing{want: 5}.play(t, s)
	lines(t, r, opened+`
		request 2 context 0 opnum 11 "01234" cut
		request 3 context 0 opnum 11 "01234" cut
		response 2 context 0 opnum 11 "01234" cut
		lost 3`)
}

// TestOneSided captures the client alone: its calls are lost, and nobody says
// that the server left them unanswered.
func TestOneSided(t *testing.T) {
	for _, tt := range []struct {
		name     string
		oneSided bool
		want     Counts
	}{
		{"both directions captured", false, Counts{Requests: 2, PDUs: 2, Unanswered: 2}},
		{"the client's alone", true, Counts{Requests: 2, PDUs: 2, Lost: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{}
			c := NewConn(DefaultLimits(), r)
			for i := range uint32(2) {
				b := request(i+2, "ask")
				c.Data(wire.SideA, int64(i)*int64(len(b)), wire.Mark{Packet: int64(i + 1)}, b)
			}
			if tt.oneSided {
				c.OneSided()
			}
			c.End(wire.Mark{})
			if c.Counts != tt.want {
				t.Errorf("%+v, want %+v", c.Counts, tt.want)
			}
		})
	}
}
