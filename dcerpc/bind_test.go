package dcerpc

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// ident is an Syntax of package pcaptest as this package reads it.
func ident(s pcaptest.Syntax) Syntax {
	return Syntax{UUID: wire.MustUUID(string(s.UUID)), Major: uint16(s.Version), Minor: uint16(s.Version >> 16)}
}

func TestBinds(t *testing.T) {
	mdb, nspi, ndr32, ndr64, features := pcaptest.EMSMDB, pcaptest.NSPI, pcaptest.NDR32, pcaptest.NDR64, pcaptest.Features
	group := func(n uint32) *uint32 { return &n }
	row := func(id uint16, abstract pcaptest.Syntax, packet, ack int64, r Result, reason uint16, callID uint32, accepted pcaptest.Syntax, offered ...pcaptest.Syntax) Context {
		x := Context{ID: id, Interface: ident(abstract), CallID: callID, Mark: wire.Mark{Time: (packet - 1) * 1e6, Packet: packet}, Transfer: ident(offered[0])}
		for _, o := range offered {
			x.Transfers = append(x.Transfers, ident(o))
		}
		x.Negotiation = offered[0] == features
		if ack > 0 {
			x.Acked, x.Result, x.Reason, x.AckMark = true, r, reason, wire.Mark{Time: (ack - 1) * 1e6, Packet: ack}
			if r == Acceptance {
				x.Transfer = ident(accepted)
			}
		}
		return x
	}
	tests := []struct {
		name               string
		s                  script
		contexts           []Context
		requested, granted *uint32
	}{
		{
			"one interface", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Bytes()),
				server(pcaptest.BindAck(0x02a46c81, "1025", pcaptest.Accept(ndr32)).Call(1).Bytes()),
			),
			[]Context{row(0, mdb, 1, 2, Acceptance, 0, 1, ndr32, ndr32)}, group(0), group(0x02a46c81),
		},
		{
			"join a group", join(
				client(pcaptest.Bind(0x02a46c81, pcaptest.Offer(0, mdb)).Call(1).Bytes()),
				server(pcaptest.BindAck(0x02a46c81, "1025", pcaptest.Accept(ndr32)).Call(1).Bytes()),
			),
			[]Context{row(0, mdb, 1, 2, Acceptance, 0, 1, ndr32, ndr32)}, group(0x02a46c81), group(0x02a46c81),
		},
		{
			"NDR, NDR64 and the feature negotiation in contexts of their own", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb, ndr32), pcaptest.Offer(1, mdb, ndr64), pcaptest.Offer(2, mdb, features)).Call(1).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Reject(2), pcaptest.Accept(ndr64), pcaptest.NegotiateAck(3)).Call(1).Bytes()),
			),
			[]Context{
				row(0, mdb, 1, 2, ProviderRejection, 2, 1, ndr32, ndr32), row(1, mdb, 1, 2, Acceptance, 0, 1, ndr64, ndr64),
				row(2, mdb, 1, 2, NegotiateAck, 3, 1, features, features),
			}, group(0), group(7),
		},
		{
			"several transfer syntaxes in one context", join(
				client(pcaptest.Bind(0, pcaptest.Offer(4, mdb, ndr32, ndr64), pcaptest.Offer(5, nspi, ndr64, ndr32)).Call(1).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr64), pcaptest.Accept(ndr32)).Call(1).Bytes()),
			),
			[]Context{row(4, mdb, 1, 2, Acceptance, 0, 1, ndr64, ndr32, ndr64), row(5, nspi, 1, 2, Acceptance, 0, 1, ndr32, ndr64, ndr32)}, group(0), group(7),
		},
		{
			"altered twice", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr32)).Call(1).Bytes()),
				client(pcaptest.AlterContext(7, pcaptest.Offer(1, nspi)).Call(2).Bytes()),
				server(pcaptest.AlterContextResp(0, pcaptest.Accept(ndr32)).Call(2).Bytes()),
				client(pcaptest.AlterContext(7, pcaptest.Offer(2, pcaptest.RFR)).Call(3).Bytes()),
				server(pcaptest.AlterContextResp(0, pcaptest.Reject(1)).Call(3).Bytes()),
			),
			[]Context{
				row(0, mdb, 1, 2, Acceptance, 0, 1, ndr32, ndr32), row(1, nspi, 3, 4, Acceptance, 0, 2, ndr32, ndr32),
				row(2, pcaptest.RFR, 5, 6, ProviderRejection, 1, 3, ndr32, ndr32),
			}, group(0), group(7),
		},
		{
			"caught behind its bind: the group is in the answer to an alteration", join(
				client(pcaptest.AlterContext(9, pcaptest.Offer(1, nspi)).Call(2).Bytes()),
				server(pcaptest.AlterContextResp(0, pcaptest.Accept(ndr32)).Call(2).Bytes()),
				client(pcaptest.AlterContext(9, pcaptest.Offer(2, mdb)).Call(3).Bytes()),
				server(pcaptest.AlterContextResp(7, pcaptest.Accept(ndr32)).Call(3).Bytes()),
			),
			[]Context{row(1, nspi, 1, 2, Acceptance, 0, 2, ndr32, ndr32), row(2, mdb, 3, 4, Acceptance, 0, 3, ndr32, ndr32)}, nil, group(7),
		},
		{
			"a bind_ack behind the answer to an alteration stands", join(
				client(pcaptest.AlterContext(9, pcaptest.Offer(1, nspi)).Call(2).Bytes()),
				server(pcaptest.AlterContextResp(9, pcaptest.Accept(ndr32)).Call(2).Bytes(), pcaptest.BindAck(7, "1025").Call(3).Bytes()),
			),
			[]Context{row(1, nspi, 1, 2, Acceptance, 0, 2, ndr32, ndr32)}, nil, group(7),
		},
		{
			"not answered", client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Bytes()),
			[]Context{row(0, mdb, 1, 0, 0, 0, 1, ndr32, ndr32)}, group(0), nil,
		},
		{
			"answer to another call id", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr32)).Call(2).Bytes()),
			),
			[]Context{row(0, mdb, 1, 0, 0, 0, 1, ndr32, ndr32)}, group(0), group(7),
		},
		{
			"second answer to one bind", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr32)).Call(1).Bytes(), pcaptest.BindAck(8, "1025", pcaptest.Reject(1)).Call(1).Bytes()),
			),
			[]Context{row(0, mdb, 1, 2, Acceptance, 0, 1, ndr32, ndr32)}, group(0), group(7),
		},
		{
			"fewer results than contexts", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb), pcaptest.Offer(1, nspi)).Call(1).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr32)).Call(1).Bytes()),
			),
			[]Context{row(0, mdb, 1, 2, Acceptance, 0, 1, ndr32, ndr32), row(1, nspi, 1, 0, 0, 0, 1, ndr32, ndr32)}, group(0), group(7),
		},
		{
			"more results than contexts", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr32), pcaptest.Reject(1)).Call(1).Bytes()),
			),
			[]Context{row(0, mdb, 1, 2, Acceptance, 0, 1, ndr32, ndr32)}, group(0), group(7),
		},
		{
			"answer without its bind", server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr32)).Call(1).Bytes()), nil, nil, group(7),
		},
		{
			"bind without fragment flags", join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, mdb)).Call(1).Flags(0).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Accept(ndr32)).Call(1).Flags(0).Bytes()),
			),
			[]Context{row(0, mdb, 1, 2, Acceptance, 0, 1, ndr32, ndr32)}, group(0), group(7),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := play(t, tt.s)
			if d := cmp.Diff(tt.contexts, c.Contexts); d != "" {
				t.Errorf("contexts (-want +got):\n%s", d)
			}
			if d := cmp.Diff([2]*uint32{tt.requested, tt.granted}, [2]*uint32{c.Requested, c.Granted}); d != "" {
				t.Errorf("group asked for and granted (-want +got):\n%s", d)
			}
			if c.Stats != (Stats{}) {
				t.Errorf("%+v", c.Stats)
			}
			playing{}.anySegmentation(t, tt.s, 10)

			// The same in big endian.
			big := slices.Clone(tt.s)
			for i := range big {
				big[i].data = swap(t, big[i].data)
			}
			b, _ := play(t, big)
			if d := cmp.Diff(c.Contexts, b.Contexts); d != "" {
				t.Errorf("in big endian (-little +big):\n%s", d)
			}
		})
	}
}

// swap turns a little endian bind, alter_context or answer into big endian.
func swap(t *testing.T, b []byte) []byte {
	t.Helper()
	b = bytes.Clone(b)
	turn := func(at int, sizes ...int) int {
		for _, n := range sizes {
			slices.Reverse(b[at : at+n])
			at += n
		}
		return at
	}
	syntax := func(at int) int { return turn(turn(at, 4, 2, 2)+8, 4) }
	kind := PType(b[2])
	b[4] = 0
	turn(8, 2, 2, 4)
	at := turn(16, 2, 2, 4)
	switch kind {
	case TypeBind, TypeAlterContext:
		n := int(b[at])
		for at += 4; n > 0; n-- {
			transfers := int(b[at+2])
			at = syntax(turn(at, 2) + 2)
			for range transfers {
				at = syntax(at)
			}
		}
	case TypeBindAck, TypeAlterContextResp:
		at += 2 + int(b[at]) + int(b[at+1])<<8
		slices.Reverse(b[24:26])
		at = (at + 3) &^ 3
		n := int(b[at])
		for at += 4; n > 0; n-- {
			at = syntax(turn(at, 2, 2))
		}
	default:
		t.Fatalf("cannot swap a %v", kind)
	}
	return b
}

func TestBindNak(t *testing.T) {
	s := join(
		client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(9, 6, 0, pcaptest.SPNEGOInit(nil, pcaptest.OIDKerberos)).Bytes()),
		server(pcaptest.BindNak(8).Call(1).Bytes()),
	)
	c, r := play(t, s)
	lines(t, r, `
		bind 1 [0 EMSMDB NDR] spnego/privacy/0
		bind_nak 1`)
	if len(c.Naks) != 1 || c.Naks[0].Reason != 8 || c.Naks[0].CallID != 1 || c.Naks[0].Mark.Packet != 2 || c.Granted != nil {
		t.Errorf("naks %+v, granted %v", c.Naks, c.Granted)
	}
	if a := c.Auths[0]; a.State != Rejected || a.Error != "bind_nak: authentication type not recognized" || a.ErrorMark.Packet != 2 {
		t.Errorf("%v %q %v", a.State, a.Error, a.ErrorMark)
	}
}

// TestSecondBindNak refuses a second bind of a connection that works.
func TestSecondBindNak(t *testing.T) {
	ntlm := make([]byte, 16)
	s := join(
		client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(10, 2, 0, pcaptest.NTLMNegotiate()).Bytes()),
		server(pcaptest.BindAck(7, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Auth(10, 2, 0, pcaptest.NTLMChallenge("CORP", "MAIL1", [8]byte{1})).Bytes()),
		client(pcaptest.Auth3().Call(1).Auth(10, 2, 0, pcaptest.NTLMAuthenticate("CORP", "alice", "WS01")).Bytes()),
		client(pcaptest.Request(0, 11, nil).Call(2).Auth(10, 2, 0, ntlm).Bytes()), server(response(2, "")),
		client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(3).Bytes()), server(pcaptest.BindNak(0).Call(3).Bytes()),
	)
	c, _ := play(t, s)
	if len(c.Naks) != 1 || *c.Granted != 7 || c.Auths[0].State != Established || len(c.Auths) != 1 {
		t.Errorf("naks %+v, granted %v, auths %+v", c.Naks, *c.Granted, c.Auths)
	}
}

func TestHeaderSigningAndMultiplexing(t *testing.T) {
	token := pcaptest.NTLMNegotiate()
	tests := []struct {
		name                    string
		asked, granted          byte
		onConn, onAuth, multipl bool
	}{
		{"neither", 0x03, 0x03, false, false, false},
		{"header signing asked and granted", 0x07, 0x07, true, true, false},
		{"header signing asked, not granted", 0x07, 0x03, false, false, false},
		{"header signing granted, not asked", 0x03, 0x07, true, false, false},
		{"multiplexing granted", 0x13, 0x13, false, false, true},
		{"multiplexing asked, not granted", 0x13, 0x03, false, false, false},
		{"both", 0x17, 0x17, true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := play(t, join(
				client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Flags(tt.asked).Auth(10, 5, 0, token).Bytes()),
				server(pcaptest.BindAck(7, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Flags(tt.granted).Bytes()),
			))
			if c.HeaderSigning != tt.onConn || c.Auths[0].HeaderSigning != tt.onAuth || c.Multiplexed != tt.multipl {
				t.Errorf("connection %v, auth %v, multiplexed %v", c.HeaderSigning, c.Auths[0].HeaderSigning, c.Multiplexed)
			}
		})
	}
}

// fragmented cuts a bind or auth3 with a token into fragments ([C706] 12.6.4.3,
// minor version 1): the body in the first, the token over all.
func fragmented(p func(token []byte) pcaptest.PDU, empty func(token []byte) pcaptest.PDU, token []byte, size int) (pdus [][]byte) {
	for at := 0; at < len(token); at += size {
		end := min(at+size, len(token))
		make, flags := empty, byte(0)
		if at == 0 {
			make, flags = p, first
		}
		if end == len(token) {
			flags |= last
		}
		pdus = append(pdus, make(token[at:end]).Minor(1).Flags(flags).Bytes())
	}
	return pdus
}

func TestFragmentedBind(t *testing.T) {
	token := pcaptest.NTLMAuthenticate("CORP", "alice", "WS01")
	bind := func(part []byte) pcaptest.PDU {
		return pcaptest.Bind(5, pcaptest.Offer(0, pcaptest.EMSMDB), pcaptest.Offer(1, pcaptest.NSPI)).Call(1).Auth(10, 6, 3, part)
	}
	rest := func(part []byte) pcaptest.PDU { return pcaptest.Bind(5).Call(1).Auth(10, 6, 3, part) }
	auth3 := func(part []byte) pcaptest.PDU { return pcaptest.Auth3().Call(1).Auth(10, 6, 3, part) }
	ack := server(pcaptest.BindAck(7, "1025", pcaptest.Accept(pcaptest.NDR32), pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	for _, size := range []int{1, 7, 40, len(token) - 1, len(token)} {
		s := join(client(fragmented(bind, rest, token, size)...), ack, client(fragmented(auth3, auth3, token, size)...), client(request(2, "ask")))
		c, r := play(t, s)
		lines(t, r, `
			bind 1 [0 EMSMDB NDR] [1 NSPI NDR] ntlm/privacy/3
			bind_ack 1 [0 EMSMDB NDR acceptance] [1 NSPI NDR acceptance]
			auth3 1 ntlm/privacy/3
			request 2 context 0 opnum 11 "ask"
			lost 2`)
		if a := c.Auths[0]; a.Facts.User != "alice" || a.Facts.Malformed || a.State != Established {
			t.Errorf("size %d: user %q, malformed %v, %v", size, a.Facts.User, a.Facts.Malformed, a.State)
		}
		if c.Stats != (Stats{}) {
			t.Errorf("size %d: %+v", size, c.Stats)
		}
		playing{}.anySegmentation(t, s, 5)
	}
}

// TestFragmentedTokens cuts every leg of an exchange, and of a second one under
// the same id: what the fragments carry is one token.
func TestFragmentedTokens(t *testing.T) {
	offer, accept := pcaptest.Offer(0, pcaptest.EMSMDB), pcaptest.Accept(pcaptest.NDR32)
	verified := func(p pcaptest.PDU, call uint32) func([]byte) pcaptest.PDU {
		return func(part []byte) pcaptest.PDU { return p.Call(call).Auth(9, 6, 1, part) }
	}
	nego, challenge := pcaptest.NTLMNegotiate(), pcaptest.NTLMChallenge("CORP", "MAIL1", [8]byte{1})
	// Fragments of nothing but a token, as [C706] has them.
	bare := func(pdus [][]byte) [][]byte {
		for i, p := range pdus[1:] {
			auth := int(wire.LittleEndian.Uint16(p[10:]))
			short := append(bytes.Clone(p[:headerLength]), p[len(p)-secTrailerLength-auth:]...)
			short[8], short[9] = byte(len(short)), byte(len(short)>>8)
			short[headerLength+2] = 0 // padding
			pdus[i+1] = short
		}
		return pdus
	}
	for _, size := range []int{1, 8, 60, 1000, -1, -8, -60} {
		fragmented := func(p, empty func([]byte) pcaptest.PDU, token []byte, size int) [][]byte {
			if size < 0 {
				return bare(fragmented(p, empty, token, -size))
			}
			return fragmented(p, empty, token, size)
		}
		legs := func(call uint32, first, answer pcaptest.PDU, empty, emptyAnswer pcaptest.PDU, user string) script {
			authenticate := pcaptest.SPNEGOResp(1, nil, pcaptest.NTLMAuthenticate("CORP", user, "WS01"))
			return join(
				client(fragmented(verified(first, call), verified(empty, call), pcaptest.SPNEGOInit(nego, pcaptest.OIDNTLM), size)...),
				server(fragmented(verified(answer, call), verified(emptyAnswer, call), pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, challenge), size)...),
				client(fragmented(verified(pcaptest.AlterContext(7, offer), call+1), verified(pcaptest.AlterContext(7), call+1), authenticate, size)...),
				server(fragmented(verified(pcaptest.AlterContextResp(7, accept), call+1), verified(pcaptest.AlterContextResp(7), call+1), pcaptest.SPNEGOResp(0, nil, nil), size)...),
			)
		}
		s := join(
			legs(1, pcaptest.Bind(0, offer), pcaptest.BindAck(7, "1025", accept), pcaptest.Bind(0), pcaptest.BindAck(7, ""), "alice"),
			legs(3, pcaptest.AlterContext(7, offer), pcaptest.AlterContextResp(7, accept), pcaptest.AlterContext(7), pcaptest.AlterContextResp(7), "bob"),
		)
		c, _ := play(t, s)
		var users []string
		for i := range c.Auths {
			a := &c.Auths[i]
			users = append(users, a.Facts.User)
			if a.Facts.Malformed || a.State != Established || a.Facts.NetBIOSDomain != "CORP" {
				t.Errorf("size %d: %+v", size, a)
			}
		}
		if d := cmp.Diff([]string{"alice", "bob"}, users); d != "" {
			t.Errorf("size %d: users (-want +got):\n%s", size, d)
		}
		if c.Stats != (Stats{}) || c.Granted == nil || *c.Granted != 7 || len(c.Contexts) != 4 || !c.Contexts[3].Accepted() {
			t.Errorf("size %d: %+v, contexts %+v", size, c.Stats, c.Contexts)
		}
	}
}

func TestFragmentedBindGivenUp(t *testing.T) {
	token := bytes.Repeat([]byte{0x60}, 60000)
	part := func(flags byte, id uint32) []byte {
		return pcaptest.Bind(5, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(id).Auth(10, 6, 3, token).Minor(1).Flags(flags).Bytes()
	}
	tests := []struct {
		name    string
		s       script
		events  string
		damaged int64
	}{
		{"over the bound", client(part(first, 1), part(0, 1), part(0, 1), part(last, 1)), `bind 1 [0 EMSMDB NDR] ntlm/privacy/3`, 1},
		{"begins anew", client(part(first, 1), part(first, 2), part(last, 2)), `bind 2 [0 EMSMDB NDR] ntlm/privacy/3`, 0},
		{"never ends", client(part(first, 1), part(0, 1)), ``, 0},
		{"gap inside", join(client(part(first, 1)), clientGap(100), client(part(last, 1), request(2, "ask"), request(3, "ask"))), `
			request 2 context 0 opnum 11 "ask"
			request 3 context 0 opnum 11 "ask"
			lost 2
			lost 3`, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, r := play(t, tt.s)
			lines(t, r, tt.events)
			if c.Stats.PDUsDamaged != tt.damaged {
				t.Errorf("%d damaged PDUs", c.Stats.PDUsDamaged)
			}
		})
	}
}

// TestCallsFindTheirContext has context ids that are altered while they are in
// use: a call runs on the latest interface that was not refused.
func TestCallsFindTheirContext(t *testing.T) {
	alter := func(id uint32, iface pcaptest.Syntax, r ...pcaptest.Result) script {
		s := client(pcaptest.AlterContext(7, pcaptest.Offer(0, iface)).Call(id).Bytes())
		if len(r) > 0 {
			s = join(s, server(pcaptest.AlterContextResp(0, r...).Call(id).Bytes()))
		}
		return s
	}
	tests := []struct {
		name string
		s    script
		want wire.UUID
	}{
		{"as bound", nil, EMSMDB},
		{"altered", alter(2, pcaptest.NSPI, pcaptest.Accept(pcaptest.NDR32)), NSPI},
		{"alteration refused", alter(2, pcaptest.NSPI, pcaptest.Reject(1)), EMSMDB},
		{"alteration whose answer was not captured", alter(2, pcaptest.NSPI), NSPI},
		{"altered twice, then refused", join(alter(2, pcaptest.NSPI, pcaptest.Accept(pcaptest.NDR32)), alter(3, pcaptest.RFR, pcaptest.Reject(1))), NSPI},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := play(t, join(opening(), tt.s, client(request(9, "ask")), server(response(9, "answer"))))
			if got := c.Ops[0].Interface; got != tt.want || !c.Ops[0].Known {
				t.Errorf("interface %v, want %v", got, tt.want)
			}
		})
	}
	c, _ := play(t, join(client(pcaptest.Request(3, 11, nil).Call(9).Bytes()), server(pcaptest.Response(3, nil).Call(9).Bytes())))
	if o := c.Ops[0]; o.Known || !o.Interface.IsZero() || o.Opnum != 11 || o.Responses != 1 {
		t.Errorf("without a bind: %+v", o)
	}
}
