package emsmdb

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// stub writes stubs in both transfer syntaxes and byte orders. Padding is not
// zero, as on the wire.
type stub struct {
	order  binary.AppendByteOrder
	syntax ndr.Syntax
	b      []byte
}

func (s *stub) align(n int) *stub {
	for len(s.b)%n != 0 {
		s.b = append(s.b, 0xa5)
	}
	return s
}

func (s *stub) u16(v ...uint16) *stub {
	for _, v := range v {
		s.b = s.order.AppendUint16(s.align(2).b, v)
	}
	return s
}

func (s *stub) u32(v ...uint32) *stub {
	for _, v := range v {
		s.b = s.order.AppendUint32(s.align(4).b, v)
	}
	return s
}

// size writes counts and referents.
func (s *stub) size(v ...int) *stub {
	for _, v := range v {
		if s.syntax == ndr.NDR64 {
			s.b = s.order.AppendUint64(s.align(8).b, uint64(v))
		} else {
			s.u32(uint32(v))
		}
	}
	return s
}

func (s *stub) handle(k sessionKey) *stub {
	s.b = append(s.align(4).b, k[:]...)
	return s
}

// array is a conformant array, varying one that varies too.
func (s *stub) array(b []byte) *stub   { s.size(len(b)); s.b = append(s.b, b...); return s }
func (s *stub) varying(b []byte) *stub { s.size(len(b), 0, len(b)); s.b = append(s.b, b...); return s }
func (s *stub) str(v string) *stub     { return s.varying(append([]byte(v), 0)) }

// forms are the four ways to write a stub.
var forms = []struct {
	name   string
	order  binary.AppendByteOrder
	wire   wire.Order
	syntax ndr.Syntax
}{
	{"NDR", binary.LittleEndian, wire.LittleEndian, ndr.NDR32},
	{"NDR, big endian", binary.BigEndian, wire.BigEndian, ndr.NDR32},
	{"NDR64", binary.LittleEndian, wire.LittleEndian, ndr.NDR64},
	{"NDR64, big endian", binary.BigEndian, wire.BigEndian, ndr.NDR64},
}

var aKey = sessionKey{4: 0x96, 0x57, 0x70, 0x3b, 0x05, 0x09, 0x2b, 0x45, 0x8e, 0xb2, 0x2f, 0x53, 0x83, 0x13, 0x30, 0x45}

const aDN = "/o=ORG/ou=SITE/cn=Recipients/cn=ALICE"

// connectRequest is the stub of EcDoConnect, or of EcDoConnectEx.
func (s *stub) connectRequest(ex bool, words [3]uint16) []byte {
	s.str(aDN).u32(0, 0x0032b2a8, 0, 1252, 0x409, 0x409, 0xffffffff).u16(1).u16(words[:]...).u32(0)
	if ex {
		s.array([]byte{0, 0, 4, 0, 0, 0, 0, 0}).u32(8, 0x1008)
	}
	return s.b
}

func (s *stub) connectResponse(ex bool, key sessionKey, server [3]uint16, status uint32) []byte {
	s.handle(key).u32(60000, 6, 10000).u16(245)
	s.size(0x20000).str("/O=ORG/OU=SITE/CN=RECIPIENTS/CN=")
	s.size(0x20004).str("Alice")
	s.u16(server[:]...).u16(5, 3144, 0).u32(0xf018aaee)
	if ex {
		s.varying(nil).u32(0)
	}
	return s.u32(status).b
}

// ropStubs are a request and an answer of the three operations that carry
// ROPs.
func ropStubs(opnum uint16, f func() *stub, request, response []byte, status uint32) (ask, tell []byte) {
	switch opnum {
	case opRPC:
		x := func(b []byte) []byte { out := make([]byte, len(b)); unxor(out, b); return out }
		ask = f().handle(aKey).u32(0x1600, 0).array(x(request)).u16(uint16(len(request)), 0x1600).b
		tell = f().handle(aKey).u32(0x1600, 0).array(x(response)).u16(uint16(len(response))).u32(status).b
	case opRPCExt:
		in, out := pcaptest.Xored(request), pcaptest.Packed(response)
		ask = f().handle(aKey).u32(0).array(in).u32(uint32(len(in)), 0x8007).varying(nil).u32(0).b
		tell = f().handle(aKey).u32(0).varying(out).u32(uint32(len(out))).varying(nil).u32(0, 7, status).b
	case opRPCExt2:
		in, out := pcaptest.Packed(request), pcaptest.Xored(response)
		ask = f().handle(aKey).u32(0).array(in).u32(uint32(len(in)), 0x8007).array([]byte{1, 2, 3}).u32(3, 0x1008).b
		tell = f().handle(aKey).u32(0).varying(out).u32(uint32(len(out))).varying([]byte{1}).u32(1, 7, status).b
	}
	return ask, tell
}

// someRops compress and have a response for each request.
func someRops(t testing.TB) (request, response []byte) {
	list := ""
	for range 12 {
		list += "02 00 00 01 0100000000001234 00 "
	}
	answers := ""
	for range 12 {
		answers += "02 01 00000000 00 00 "
	}
	return buffer(t, asked, list), buffer(t, answered, answers)
}

func TestConnect(t *testing.T) {
	for _, form := range forms {
		for _, ex := range []bool{false, true} {
			opnum := uint16(opConnect)
			if ex {
				opnum = opConnectEx
			}
			t.Run(fmt.Sprintf("%s, opnum %d", form.name, opnum), func(t *testing.T) {
				write := func() *stub { return &stub{order: form.order, syntax: form.syntax} }
				ask := write().connectRequest(ex, [3]uint16{12, 6206, 1000})
				tell := write().connectResponse(ex, aKey, [3]uint16{0x0800, 0x82b4, 3}, 0)
				s := NewStore(Limits{})
				c := newClient(t, s)
				m := wire.Mark{Time: 5, Packet: 7}
				p := c.conn.Request(MDB, opnum, form.wire, form.syntax, m, ask, false)
				c.conn.Response(p, form.wire, tell, false, 0)
				want := []Connect{{Mark: m, Opnum: opnum, UserDN: aDN, Client: Version{12, 0, 6206, 1000}, Server: Version{8, 0, 692, 3}, Answered: true}}
				f := c.conn.Figures()
				if diff := cmp.Diff(want, f.Connects); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if f.Sessions != 1 || f.DecodeErrors != 0 || f.UserDN != aDN || s.sessions[aKey] == nil || f.Client != want[0].Client || f.Server != want[0].Server {
					t.Errorf("%d sessions, %d errors, user %q", f.Sessions, f.DecodeErrors, f.UserDN)
				}
				for cut := range ask {
					c := NewStore(Limits{}).NewConn()
					p := c.Request(MDB, opnum, form.wire, form.syntax, m, ask[:cut:cut], false)
					c.Response(p, form.wire, tell, false, 0)
					if n := len(c.Figures().Connects); ex && n > 1 || !ex && cut < len(ask)-4-2 && n > 0 {
						t.Fatalf("request cut to %d of %d bytes: %d connects", cut, len(ask), n)
					}
				}
				for cut := range tell {
					c := NewStore(Limits{}).NewConn()
					p := c.Request(MDB, opnum, form.wire, form.syntax, m, ask, false)
					c.Response(p, form.wire, tell[:cut:cut], false, 0)
					if f := c.Figures(); f.Sessions != 0 || f.Connects[0].Answered || f.DecodeErrors != 1 {
						t.Fatalf("response cut to %d of %d bytes: %d sessions, %d errors", cut, len(tell), f.Sessions, f.DecodeErrors)
					}
				}
			})
		}
	}
}

// TestConnectRefused: return values of connects are kept and have names.
func TestConnectRefused(t *testing.T) {
	names := map[uint32]string{
		0x00000970: "not encrypted", 0x80040111: "login failure", 0x80040110: "version mismatch", 0x000004df: "client version disallowed",
		0x000003eb: "unknown user", 0x000004e1: "cached mode required", 0x000004e0: "RPC over HTTP disallowed",
		0x000007d8: "protocol disabled", 0x80070005: "access denied", 0x12345678: "",
	}
	write := func() *stub { return &stub{order: binary.LittleEndian} }
	for status, name := range names {
		s := NewStore(Limits{})
		c := newClient(t, s)
		for range 2 {
			p := c.conn.Request(MDB, opConnectEx, wire.LittleEndian, ndr.NDR32, wire.Mark{}, write().connectRequest(true, [3]uint16{12, 6206, 1000}), false)
			c.conn.Response(p, wire.LittleEndian, write().connectResponse(true, sessionKey{}, [3]uint16{}, status), false, 0)
		}
		f := c.conn.Figures()
		if f.Sessions != 0 || len(s.sessions) != 0 || f.Connects[1].Status != status || f.Server.Known() {
			t.Errorf("%#x: %d sessions, connects %+v", status, f.Sessions, f.Connects)
		}
		if diff := cmp.Diff([]Refusal{{Opnum: opConnectEx, Value: status, Count: 2}}, f.Refusals); diff != "" {
			t.Errorf("%#x (-want +got):\n%s", status, diff)
		}
		if got := ReturnName(status); got != name {
			t.Errorf("%#x is %q, want %q", status, got, name)
		}
	}
}

func TestConnectFault(t *testing.T) {
	c := newClient(t, NewStore(Limits{Connects: 1}))
	for range 2 {
		p := c.conn.Request(MDB, opConnectEx, wire.LittleEndian, ndr.NDR32, wire.Mark{}, (&stub{order: binary.LittleEndian}).connectRequest(true, [3]uint16{12, 6206, 1000}), false)
		c.conn.Fault(p, 5)
		c.conn.Fault(p, 5) // a Pending ends once
	}
	f := c.conn.Figures()
	if x := f.Connects[0]; !x.Answered || !x.Fault || x.Status != 5 || f.Faults != 2 || f.Sessions != 0 || f.ConnectsDropped != 1 {
		t.Errorf("%+v, %d faults, %d dropped", x, f.Faults, f.ConnectsDropped)
	}
}

// TestExecute reads the three operations that carry ROPs in every form.
func TestExecute(t *testing.T) {
	request, response := someRops(t)
	for _, form := range forms {
		for _, opnum := range []uint16{opRPC, opRPCExt, opRPCExt2} {
			t.Run(fmt.Sprintf("%s, opnum %d", form.name, opnum), func(t *testing.T) {
				ask, tell := ropStubs(opnum, func() *stub { return &stub{order: form.order, syntax: form.syntax} }, request, response, 0)
				run := func(ask, tell []byte) *Figures {
					c := NewStore(Limits{}).NewConn()
					p := c.Request(MDB, opnum, form.wire, form.syntax, wire.Mark{}, ask, false)
					c.Response(p, form.wire, tell, false, 0)
					return c.Figures()
				}
				f := run(ask, tell)
				if f.RequestWalked != 12*13 || f.ResponseWalked != 12*8 || f.DecodeErrors != 0 || f.RequestUnwalked+f.ResponseUnwalked != 0 {
					t.Errorf("walked %d and %d, unwalked %v, %d errors", f.RequestWalked, f.ResponseWalked, f.Unwalked, f.DecodeErrors)
				}
				for cut := 20; cut < len(ask); cut++ {
					if f := run(ask[:cut:cut], tell); f.RequestWalked == 0 && (f.RequestUnwalked != int64(cut) || f.DecodeErrors == 0) {
						t.Fatalf("request cut to %d of %d bytes: unwalked %d, %d errors", cut, len(ask), f.RequestUnwalked, f.DecodeErrors)
					}
				}
				for cut := range tell {
					if f := run(ask, tell[:cut:cut]); f.ResponseWalked != 0 || f.ResponseUnwalked != int64(cut) || f.DecodeErrors != 1 {
						t.Fatalf("response cut to %d of %d bytes: walked %d, unwalked %d, %d errors", cut, len(tell), f.ResponseWalked, f.ResponseUnwalked, f.DecodeErrors)
					}
				}
			})
		}
	}
}

// TestDistrust: where a length stands twice, both must agree.
func TestDistrust(t *testing.T) {
	request, response := someRops(t)
	write := func() *stub { return &stub{order: binary.LittleEndian} }
	for _, opnum := range []uint16{opRPC, opRPCExt2} {
		ask, tell := ropStubs(opnum, write, request, response, 0)
		for name, edit := range map[string]func(ask, tell []byte){
			"of the request": func(ask, _ []byte) {
				if opnum == opRPC {
					ask[len(ask)-4]++ // length
				} else {
					ask[(28+int(binary.LittleEndian.Uint32(ask[24:]))+3)&^3]++ // cbIn
				}
			},
			"of the response": func(_, tell []byte) {
				if opnum == opRPC {
					tell[32+len(response)+len(response)%2]++ // length
				} else {
					tell[(36+int(binary.LittleEndian.Uint32(tell[24:]))+3)&^3]++ // cbOut
				}
			},
		} {
			t.Run(fmt.Sprintf("opnum %d, %s", opnum, name), func(t *testing.T) {
				ask, tell := append([]byte(nil), ask...), append([]byte(nil), tell...)
				edit(ask, tell)
				c := NewStore(Limits{}).NewConn()
				c.Response(c.Request(MDB, opnum, wire.LittleEndian, ndr.NDR32, wire.Mark{}, ask, false), wire.LittleEndian, tell, false, 0)
				f := c.Figures()
				if (f.RequestWalked == 0) != (name == "of the request") || (f.ResponseWalked == 0) != (name == "of the response") || f.Unwalked[Malformed] == 0 || f.DecodeErrors != 1 {
					t.Errorf("walked %d and %d, unwalked %v, %d errors", f.RequestWalked, f.ResponseWalked, f.Unwalked, f.DecodeErrors)
				}
			})
		}
	}
}

func TestExecuteRefused(t *testing.T) {
	write := func() *stub { return &stub{order: binary.LittleEndian} }
	for _, opnum := range []uint16{opRPC, opRPCExt, opRPCExt2} {
		request, response := someRops(t)
		ask, tell := ropStubs(opnum, write, request, response, 0x480)
		c := NewStore(Limits{}).NewConn()
		c.Response(c.Request(MDB, opnum, wire.LittleEndian, ndr.NDR32, wire.Mark{}, ask, false), wire.LittleEndian, tell, false, 0)
		if diff := cmp.Diff([]Refusal{{Opnum: opnum, Value: 0x480, Count: 1}}, c.Figures().Refusals); diff != "" {
			t.Errorf("opnum %d (-want +got):\n%s", opnum, diff)
		}
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	var f Figures
	for i := range uint32(maxRefusals + 5) {
		f.refused(&Pending{iface: MDB, opnum: opRPCExt2}, i+1)
	}
	f.refused(&Pending{iface: MDB, opnum: opRPCExt2}, 1)
	if len(f.Refusals) != maxRefusals || f.RefusalsDropped != 5 || f.Refusals[0].Count != 2 {
		t.Errorf("%d kinds, %d dropped, first %+v", len(f.Refusals), f.RefusalsDropped, f.Refusals[0])
	}
}

// TestSecondPayloadOfRequest: no client sends one, so nothing is known of it.
func TestSecondPayloadOfRequest(t *testing.T) {
	list := buffer(t, known, release)
	first, second := pcaptest.HeaderExt(0, list, len(list)), pcaptest.Plain(list)
	ask := pcaptest.RpcExt2{Handle: aSession, In: append(first, second...), MaxOut: 0x8007}.Request(pcaptest.NDR{})
	c := NewStore(Limits{}).NewConn()
	c.Request(MDB, opRPCExt2, wire.LittleEndian, ndr.NDR32, wire.Mark{}, ask, false)
	if f := c.Figures(); f.rop(ropRelease).Requests != 1 || f.Unwalked[Unexpected] != int64(len(second)) || f.RequestUnwalked != int64(len(second)) {
		t.Errorf("%d releases, unwalked %v", f.rop(ropRelease).Requests, f.Unwalked)
	}
}

func TestAsyncWait(t *testing.T) {
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			c := NewStore(Limits{}).NewConn()
			for _, flags := range []uint32{0, 1, 1} {
				p := c.Request(AsyncMDB, opAsyncWait, form.wire, form.syntax, wire.Mark{}, nil, false)
				c.Response(p, form.wire, (&stub{order: form.order, syntax: form.syntax}).u32(flags, 0).b, false, 300e6)
			}
			p := c.Request(AsyncMDB, opAsyncWait, form.wire, form.syntax, wire.Mark{}, nil, false)
			c.Response(p, form.wire, []byte{1, 0, 0}, false, 0)
			if f := c.Figures(); f.AsyncWaits != 3 || f.AsyncPending != 2 || f.DecodeErrors != 1 || f.Calls != 4 {
				t.Errorf("%d waits, %d with news, %d errors", f.AsyncWaits, f.AsyncPending, f.DecodeErrors)
			}
		})
	}
}

func TestOtherCalls(t *testing.T) {
	write := func() *stub { return &stub{order: binary.LittleEndian} }
	c := NewStore(Limits{}).NewConn()
	call := func(opnum uint16, ask, tell []byte) {
		c.Response(c.Request(MDB, opnum, wire.LittleEndian, ndr.NDR32, wire.Mark{}, ask, false), wire.LittleEndian, tell, false, 0)
	}
	call(opRegisterPush, write().handle(aKey).u32(0).array(make([]byte, 8)).u16(8).u32(0xffffffff).array(make([]byte, 16)).u16(16).b, write().handle(aKey).u32(9, 0).b)
	call(opAsyncConnect, write().handle(aKey).b, write().handle(sessionKey{}).u32(0x7ee).b)
	call(opDisconnect, write().handle(aKey).b, write().handle(sessionKey{}).u32(0).b)
	if p := c.Request(MDB, 6, wire.LittleEndian, ndr.NDR32, wire.Mark{}, nil, false); p != nil {
		t.Error("EcDummyRpc has nothing to decode")
	}
	if p := c.Request(NSPI, 3, wire.LittleEndian, ndr.NDR32, wire.Mark{}, nil, false); p != nil {
		t.Error("NspiQueryRows is not decoded")
	}
	f := c.Figures()
	if f.PushNotifications != 1 || f.Disconnects != 1 || f.DecodeErrors != 0 || f.Calls != 3 {
		t.Errorf("%d pushes, %d disconnects, %d errors, %d calls", f.PushNotifications, f.Disconnects, f.DecodeErrors, f.Calls)
	}
	if diff := cmp.Diff([]Refusal{{Opnum: opAsyncConnect, Value: 0x7ee, Count: 1}}, f.Refusals); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSealed: headers tell these counts, and nothing is made up beside them.
func TestSealed(t *testing.T) {
	c := NewStore(Limits{}).NewConn()
	for _, opnum := range []uint16{opConnectEx, opRPCExt2, opRPCExt2, opRegisterPush} {
		c.SealedRequest(MDB, opnum)
		c.SealedResponse(MDB, opnum)
	}
	c.SealedRequest(AsyncMDB, opAsyncWait)
	c.SealedResponse(AsyncMDB, opAsyncWait)
	want := Figures{SealedCalls: 5, Sealed: SealedCounts{Connects: 1, PushNotifications: 1}}
	if diff := cmp.Diff(want, *c.Figures(), cmp.AllowUnexported(Figures{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOrphans: an answer whose request was not captured is read when it can be
// nothing else.
func TestOrphans(t *testing.T) {
	write := func() *stub { return &stub{order: binary.LittleEndian} }
	request, response := someRops(t)
	for _, opnum := range []uint16{opRPC, opRPCExt2} {
		_, tell := ropStubs(opnum, write, request, response, 0)
		if !IsExecuted(wire.LittleEndian, tell) || IsExecuted(wire.BigEndian, tell) {
			t.Errorf("opnum %d is not told by its layout", opnum)
		}
		c := NewStore(Limits{}).NewConn()
		c.Response(nil, wire.LittleEndian, tell, false, 0)
		if f := c.Figures(); f.ResponseWalked != 12*8 || f.Unpaired != 1 {
			t.Errorf("opnum %d: walked %d bytes", opnum, f.ResponseWalked)
		}
		for cut := range tell {
			if IsExecuted(wire.LittleEndian, tell[:cut]) {
				t.Errorf("opnum %d: told when cut to %d of %d bytes", opnum, cut, len(tell))
			}
		}
		if IsExecuted(wire.LittleEndian, append(tell[:len(tell):len(tell)], 0, 0, 0, 0)) {
			t.Errorf("opnum %d: told with bytes behind it", opnum)
		}
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "disconnect": write().handle(sessionKey{}).u32(0).b, "zeros": make([]byte, 64),
		"connect": write().connectResponse(true, aKey, [3]uint16{8, 1, 1}, 0),
	} {
		if IsExecuted(wire.LittleEndian, b) {
			t.Errorf("%s is taken for an answer with ROPs", name)
		}
	}
}

func TestWant(t *testing.T) {
	for _, x := range []struct {
		iface    wire.UUID
		opnum    uint16
		response bool
		least    int // 0: nothing is wanted
	}{
		{MDB, opRPCExt2, false, 0x40000}, {MDB, opRPCExt2, true, 1 << 20}, {MDB, opRPC, true, 0x10000}, {MDB, opConnectEx, true, 0x1008},
		{MDB, 3, false, 0}, {MDB, 6, true, 0}, {MDB, 200, false, 0}, {AsyncMDB, 0, true, 8}, {AsyncMDB, 0, false, 0}, {NSPI, 3, true, 0},
	} {
		if got := Want(x.iface, x.opnum, x.response); got < x.least || (got == 0) != (x.least == 0) {
			t.Errorf("Want(%v, %d, %v) = %d", x.iface, x.opnum, x.response, got)
		}
	}
}
