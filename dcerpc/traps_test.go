package dcerpc

import (
	"strings"
	"testing"

	"mapiscope/internal/pcaptest"
)

// TestTraps has a row for each mistake that other analyzers of DCE/RPC were
// seen to make.
func TestTraps(t *testing.T) {
	token := make([]byte, 16)
	mdb, nspi, ndr32, ndr64 := pcaptest.EMSMDB, pcaptest.NSPI, pcaptest.NDR32, pcaptest.NDR64
	tests := []struct {
		name  string
		s     script
		mid   bool
		check func(t *testing.T, c *Conn, r *recorder)
	}{
		{
			"01 padding and verifier are no stub", join(
				client(pcaptest.Request(0, 11, []byte("0123456789")).Call(2).Auth(10, 5, 0, token).Bytes()),
				server(pcaptest.Response(0, []byte("01234")).Call(2).Auth(10, 5, 0, token).Bytes()),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				if o := c.Ops[0]; o.RequestBytes != 10 || o.ResponseBytes != 5 || c.Bytes.Padding != 6+11 || c.Bytes.Verifier != 2*24 {
					t.Errorf("stubs of %d and %d bytes, %+v", o.RequestBytes, o.ResponseBytes, c.Bytes)
				}
			},
		},
		{
			"02 answers are matched by call id, not by context", join(
				client(pcaptest.Request(0, 4, nil).Call(2).Bytes(), pcaptest.Request(0, 9, nil).Call(3).Bytes()),
				server(response(2, ""), response(3, "")),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					request 2 context 0 opnum 4 ""
					request 3 context 0 opnum 9 ""
					response 2 context 0 opnum 4 ""
					response 3 context 0 opnum 9 ""`)
			},
		},
		{
			"03 faults, refusals, cancels and shutdowns end what they end", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Bytes()), server(pcaptest.BindNak(4).Call(1).Bytes()),
				client(request(2, ""), request(3, ""), pcaptest.CoCancel().Call(2).Bytes(), pcaptest.Orphaned().Call(3).Bytes()),
				server(pcaptest.Fault(0, 0x1c00000d).Call(2).Bytes(), pcaptest.Shutdown().Bytes()),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					bind 1 [0 EMSMDB NDR]
					bind_nak 1
					request 2 context 0 opnum 11 ""
					request 3 context 0 opnum 11 ""
					co_cancel 2
					orphaned 3
					response 2 context 0 opnum 11 fault nca_s_fault_cancel
					fault 2
					shutdown 0
					lost 3`)
			},
		},
		{
			"04 several transfer syntaxes in one context", client(
				pcaptest.Bind(0, pcaptest.Offer(0, mdb, ndr32, ndr64, pcaptest.Features), pcaptest.Offer(1, nspi, ndr64)).Call(1).Bytes(),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `bind 1 [0 EMSMDB NDR] [1 NSPI NDR64]`)
				if n := len(c.Contexts[0].Transfers); n != 3 {
					t.Errorf("%d transfer syntaxes", n)
				}
			},
		},
		{
			"05 every PDU has its own byte order", join(
				client(pcaptest.Bind(0, pcaptest.Offer(258, mdb)).Call(1).BigEndian().Bytes()),
				server(pcaptest.BindAck(0x01020304, "1025", pcaptest.Accept(ndr32)).Call(1).Bytes()),
				client(pcaptest.Request(258, 11, []byte("ask")).Call(2).BigEndian().Bytes()),
				server(pcaptest.Response(258, []byte("answer")).Call(2).Bytes()),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					bind 1 [258 EMSMDB NDR]
					bind_ack 1 [258 EMSMDB NDR acceptance]
					request 2 context 258 opnum 11 "ask"
					response 2 context 258 opnum 11 "answer"`)
				if *c.Granted != 0x01020304 {
					t.Errorf("group %x", *c.Granted)
				}
			},
		},
		{
			"06 an object UUID stands before the stub", client(
				pcaptest.Request(0, 11, []byte("ask")).Object("01020304-0506-0708-090a-0b0c0d0e0f10").Call(2).Bytes(),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					request 2 context 0 opnum 11 "ask"
					lost 2`)
			},
		},
		{
			"07 flag 0x04 is a pending cancel in calls and header signing in binds", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Bytes()), server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr32)).Call(1).Bytes()),
				client(pcaptest.Request(0, 11, nil).Call(2).Flags(first|last|FlagPendingCancel).Bytes()),
				server(pcaptest.Response(0, nil).Call(2).Flags(first|last|FlagPendingCancel).Bytes()),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				if c.HeaderSigning || c.Counts.Responses != 1 {
					t.Errorf("header signing %v, %d answers", c.HeaderSigning, c.Counts.Responses)
				}
			},
		},
		{
			"08 tokens over several binds, four bytes of padding in an auth3", join(
				client(fragmented(
					func(part []byte) pcaptest.PDU {
						return pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Auth(10, 6, 0, part)
					},
					func(part []byte) pcaptest.PDU { return pcaptest.Bind(0).Call(1).Auth(10, 6, 0, part) },
					pcaptest.NTLMNegotiate(), 16)...),
				client(pcaptest.Auth3().Call(1).Auth(10, 6, 0, pcaptest.NTLMAuthenticate("CORP", "alice", "WS01")).Bytes()),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					bind 1 [0 EMSMDB NDR] ntlm/privacy/0
					auth3 1 ntlm/privacy/0`)
				if f := c.Auths[0].Facts; f.User != "alice" || f.Malformed || strings.Join(f.Messages, ",") != "ntlm negotiate,ntlm authenticate" {
					t.Errorf("%+v", f)
				}
				if c.Bytes.Padding != 4 {
					t.Errorf("%d bytes of padding", c.Bytes.Padding)
				}
			},
		},
		{
			"09 a call over a bound loses its stub, not its connection", join(
				client(pcaptest.Request(0, 11, make([]byte, 300_000)).Call(2).Fragmented(5000)),
				client(request(3, "ask")), server(response(2, "answer"), response(3, "answer")),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					request 2 context 0 opnum 11 262144 bytes/0 cut
					request 3 context 0 opnum 11 "ask"
					response 2 context 0 opnum 11 "answer"
					response 3 context 0 opnum 11 "answer"`)
				if c.Stats.StubsCut != 1 || c.Ops[0].RequestBytes != 300_003 {
					t.Errorf("%d stubs cut, %d bytes", c.Stats.StubsCut, c.Ops[0].RequestBytes)
				}
			},
		},
		{
			"10 a gap silences neither direction, and 05 00 in data is no PDU", join(
				client(request(2, "ask"), request(3, "ask")[:20]), clientGap(1000),
				client([]byte("\x05\x00\x00\x03 ... \x05\x00"), request(5, "ask"), request(6, "ask")),
				server(response(2, "answer"), response(5, "answer"), response(6, "answer")),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					request 2 context 0 opnum 11 "ask"
					lost 3
					request 5 context 0 opnum 11 "ask"
					request 6 context 0 opnum 11 "ask"
					response 2 context 0 opnum 11 "answer"
					response 5 context 0 opnum 11 "answer"
					response 6 context 0 opnum 11 "answer"`)
			},
		},
		{
			"11 from the middle, without a bind", join(
				client(pcaptest.Request(5, 11, []byte("ask")).Call(2).Bytes()), server(pcaptest.Response(5, []byte("answer")).Call(2).Bytes()),
			), true, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					request 2 context 5 opnum 11 "ask"
					response 2 context 5 opnum 11 "answer"`)
				if c.Stats != (Stats{}) || c.Ops[0].Known {
					t.Errorf("%+v, interface known %v", c.Stats, c.Ops[0].Known)
				}
			},
		},
		{
			"12 the verifier of a sealed call is in clear", client(
				pcaptest.Request(5, 11, []byte("secret")).Call(2).Auth(16, 6, 0x1234, token).Bytes(),
			), true, func(t *testing.T, c *Conn, r *recorder) {
				if a := c.Auths[0]; a.Type != 16 || a.Level != LevelPrivacy || a.ContextID != 0x1234 || a.State != Established {
					t.Errorf("%+v", a)
				}
				if c.Counts.Sealed != 1 {
					t.Errorf("%d sealed", c.Counts.Sealed)
				}
			},
		},
		{
			"13 segments above the MTU, and packets that the capture cut", join(
				client(append(pcaptest.Request(0, 11, make([]byte, 4000)).Call(2).Bytes(), request(3, "ask")...)),
				server(response(2, "0123456789")[:30]), serverGap(4), server(response(3, "answer")),
			), false, func(t *testing.T, c *Conn, r *recorder) {
				lines(t, r, `
					request 2 context 0 opnum 11 4000 bytes/0
					request 3 context 0 opnum 11 "ask"
					lost 2
					response 3 context 0 opnum 11 "answer"`)
				if c.Bytes.Unfinished != 30 || c.Bytes.Skipped != 0 || c.Stats.Resynchronised != 0 {
					t.Errorf("%+v", c.Bytes)
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := playing{midstream: tt.mid, want: 1 << 18}
			c, r := p.play(t, tt.s)
			tt.check(t, c, r)
			playing{midstream: tt.mid}.anySegmentation(t, tt.s, 3)
		})
	}
}
