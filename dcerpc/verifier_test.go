package dcerpc

import (
	"encoding/asn1"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
)

// A conversation with authentication, step by step.
type leg struct {
	kind, level byte
	context     uint32
}

func (l leg) bind(id uint32, token []byte) script {
	p := pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(id)
	return client(p.Auth(l.kind, l.level, l.context, token).Bytes())
}

func (l leg) ack(id uint32, token []byte) script {
	p := pcaptest.BindAck(7, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(id)
	if token != nil {
		p = p.Auth(l.kind, l.level, l.context, token)
	}
	return server(p.Bytes())
}

func (l leg) alter(id uint32, token []byte) script {
	return client(pcaptest.AlterContext(7, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(id).Auth(l.kind, l.level, l.context, token).Bytes())
}

func (l leg) alterResp(id uint32, token []byte) script {
	p := pcaptest.AlterContextResp(7, pcaptest.Accept(pcaptest.NDR32)).Call(id)
	if token != nil {
		p = p.Auth(l.kind, l.level, l.context, token)
	}
	return server(p.Bytes())
}

func (l leg) auth3(id uint32, token []byte) script {
	return client(pcaptest.Auth3().Call(id).Auth(l.kind, l.level, l.context, token).Bytes())
}

// call is a request with a signature, and its answer.
func (l leg) call(id uint32) script {
	return join(l.ask(id), server(pcaptest.Response(0, []byte("answer")).Call(id).Auth(l.kind, l.level, l.context, make([]byte, 16)).Bytes()))
}

func (l leg) ask(id uint32) script {
	return client(pcaptest.Request(0, 11, []byte("ask")).Call(id).Auth(l.kind, l.level, l.context, make([]byte, 16)).Bytes())
}

func fault(id, status uint32) script { return server(pcaptest.Fault(0, status).Call(id).Bytes()) }

// plain is an answered call without a verifier.
func plain(id uint32) script {
	return join(client(request(id, "ask")), server(response(id, "answer")))
}

// authFacts is what a test says of one authentication context.
type authFacts struct {
	Type, Level, State, Error string
	Context                   uint32
	Mechanism, Selected, User string
	Packet, ErrorPacket       int64
}

func TestAuthentication(t *testing.T) {
	nego, challenge, authenticate := pcaptest.NTLMNegotiate(), pcaptest.NTLMChallenge("CORP", "MAIL1", [8]byte{1}), pcaptest.NTLMAuthenticate("CORP", "alice", "WS01")
	mechs := []asn1.ObjectIdentifier{pcaptest.OIDMSKerb, pcaptest.OIDKerberos, pcaptest.OIDNTLM}
	// The real tokens of a Kerberos exchange that first fails with a skewed clock.
	recorded := conversations(t)["krb5_skew"]
	token := func(step int) []byte {
		b := recorded[step].data
		h, ok := ParseHeader(b)
		if !ok {
			t.Fatalf("step %d is no PDU", step)
		}
		return b[int(h.FragLength)-int(h.AuthLength):]
	}
	whole := script{}
	for _, x := range recorded { // put PDUs together that took several segments
		if h, ok := ParseHeader(x.data); ok && h.plausible() {
			whole = append(whole, x)
		} else {
			whole[len(whole)-1].data = append(append([]byte(nil), whole[len(whole)-1].data...), x.data...)
		}
	}
	recorded = whole
	apReq, krbError, apReq2, apRep := token(0), token(1), token(2), token(3)

	ntlm, ntlmSeal, spnego, krb := leg{10, 2, 0}, leg{10, 6, 1}, leg{9, 6, 1}, leg{16, 5, 2}
	tests := []struct {
		name string
		s    script
		want []authFacts
	}{
		{"no authentication", join(opening(), plain(2)), nil},
		{
			"ntlm, three legs, answered calls", join(ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge), ntlmSeal.auth3(1, authenticate), ntlmSeal.call(2)),
			[]authFacts{{"ntlm", "privacy", "established", "", 1, "ntlm", "", "alice", 1, 0}},
		},
		{
			"ntlm, three legs, no call", join(ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge), ntlmSeal.auth3(1, authenticate)),
			[]authFacts{{"ntlm", "privacy", "established", "", 1, "ntlm", "", "alice", 1, 0}},
		},
		{
			"ntlm, offered only", ntlmSeal.bind(1, nego),
			[]authFacts{{"ntlm", "privacy", "incomplete", "", 1, "ntlm", "", "", 1, 0}},
		},
		{
			"ntlm, challenged only", join(ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge)),
			[]authFacts{{"ntlm", "privacy", "incomplete", "", 1, "ntlm", "", "", 1, 0}},
		},
		{
			"ntlm, first call denied", join(ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge), ntlmSeal.auth3(1, authenticate), ntlmSeal.ask(2), fault(2, 5)),
			[]authFacts{{"ntlm", "privacy", "rejected", "fault 0x00000005 access denied", 1, "ntlm", "", "alice", 1, 5}},
		},
		{
			"ntlm, every call denied", join(ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge), ntlmSeal.auth3(1, authenticate), ntlmSeal.ask(2), fault(2, 5), ntlmSeal.ask(3), fault(3, 5)),
			[]authFacts{{"ntlm", "privacy", "rejected", "fault 0x00000005 access denied", 1, "ntlm", "", "alice", 1, 5}},
		},
		{
			"ntlm, one call denied and another answered: not the fault of who called", join(ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge), ntlmSeal.auth3(1, authenticate), ntlmSeal.ask(2), fault(2, 5), ntlmSeal.call(3)),
			[]authFacts{{"ntlm", "privacy", "established", "", 1, "ntlm", "", "alice", 1, 0}},
		},
		{
			"ntlm, denied after calls that were answered", join(ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge), ntlmSeal.auth3(1, authenticate), ntlmSeal.call(2), ntlmSeal.ask(3), fault(3, 5)),
			[]authFacts{{"ntlm", "privacy", "established", "", 1, "ntlm", "", "alice", 1, 0}},
		},
		{
			"ntlm, another fault", join(ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge), ntlmSeal.auth3(1, authenticate), ntlmSeal.ask(2), fault(2, 0x6f7)),
			[]authFacts{{"ntlm", "privacy", "established", "", 1, "ntlm", "", "alice", 1, 0}},
		},
		{
			"ntlm at level connect, calls without verifiers", join(ntlm.bind(1, nego), ntlm.ack(1, challenge), ntlm.auth3(1, authenticate), plain(2)),
			[]authFacts{{"ntlm", "connect", "established", "", 0, "ntlm", "", "alice", 1, 0}},
		},
		{
			"ntlm at level connect, denied without verifiers", join(ntlm.bind(1, nego), ntlm.ack(1, challenge), ntlm.auth3(1, authenticate), client(request(2, "ask")), fault(2, 5)),
			[]authFacts{{"ntlm", "connect", "rejected", "fault 0x00000005 access denied", 0, "ntlm", "", "alice", 1, 5}},
		},
		{
			"ntlm at privacy, a call without a verifier says nothing about it", join(ntlmSeal.bind(1, nego), plain(2)),
			[]authFacts{{"ntlm", "privacy", "incomplete", "", 1, "ntlm", "", "", 1, 0}},
		},
		{
			"ntlm, refused by bind_nak", join(ntlmSeal.bind(1, nego), server(pcaptest.BindNak(8).Call(1).Bytes())),
			[]authFacts{{"ntlm", "privacy", "rejected", "bind_nak: authentication type not recognized", 1, "ntlm", "", "", 1, 2}},
		},
		{
			"bind_nak of another bind", join(ntlmSeal.bind(1, nego), server(pcaptest.BindNak(8).Call(2).Bytes())),
			[]authFacts{{"ntlm", "privacy", "incomplete", "", 1, "ntlm", "", "", 1, 0}},
		},
		{
			"ntlm in spnego, completed", join(
				spnego.bind(1, pcaptest.SPNEGOInit(nil, mechs...)), spnego.ack(1, pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, challenge)),
				spnego.alter(2, pcaptest.SPNEGOResp(1, nil, authenticate)), spnego.alterResp(2, pcaptest.SPNEGOResp(0, nil, nil)),
			),
			[]authFacts{{"spnego", "privacy", "established", "", 1, "ntlm", "ntlm", "alice", 1, 0}},
		},
		{
			"ntlm in spnego, last answer missing", join(
				spnego.bind(1, pcaptest.SPNEGOInit(nego, pcaptest.OIDNTLM)), spnego.ack(1, pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, challenge)),
				spnego.alter(2, pcaptest.SPNEGOResp(1, nil, authenticate)),
			),
			[]authFacts{{"spnego", "privacy", "incomplete", "", 1, "ntlm", "ntlm", "alice", 1, 0}},
		},
		{
			"spnego, rejected in its own words", join(
				spnego.bind(1, pcaptest.SPNEGOInit(nego, pcaptest.OIDNTLM)), spnego.ack(1, pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, challenge)),
				spnego.alter(2, pcaptest.SPNEGOResp(1, nil, authenticate)), spnego.alterResp(2, pcaptest.SPNEGOResp(2, nil, nil)),
			),
			[]authFacts{{"spnego", "privacy", "rejected", "SPNEGO: reject", 1, "ntlm", "ntlm", "alice", 1, 4}},
		},
		{
			"spnego, alter_context refused by a fault", join(
				spnego.bind(1, pcaptest.SPNEGOInit(nego, pcaptest.OIDNTLM)), spnego.ack(1, pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, challenge)),
				spnego.alter(2, pcaptest.SPNEGOResp(1, nil, authenticate)), fault(2, 5),
			),
			[]authFacts{{"spnego", "privacy", "rejected", "fault 0x00000005 access denied", 1, "ntlm", "ntlm", "alice", 1, 4}},
		},
		{
			"kerberos in spnego, selected at once", join(spnego.bind(1, pcaptest.SPNEGOInit(apReq, mechs...)), spnego.ack(1, pcaptest.SPNEGOResp(0, pcaptest.OIDMSKerb, apRep)), spnego.call(2)),
			[]authFacts{{"spnego", "privacy", "established", "", 1, "kerberos", "ms-kerberos", "", 1, 0}},
		},
		{
			"kerberos in spnego, third leg missing", join(spnego.bind(1, pcaptest.SPNEGOInit(apReq, mechs...)), spnego.ack(1, pcaptest.SPNEGOResp(1, pcaptest.OIDMSKerb, apRep))),
			[]authFacts{{"spnego", "privacy", "incomplete", "", 1, "kerberos", "ms-kerberos", "", 1, 0}},
		},
		{
			"kerberos offered, ntlm selected", join(
				spnego.bind(1, pcaptest.SPNEGOInit(apReq, mechs...)), spnego.ack(1, pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, nil)),
				spnego.alter(2, pcaptest.SPNEGOResp(1, nil, nego)), spnego.alterResp(2, pcaptest.SPNEGOResp(1, nil, challenge)),
				spnego.alter(3, pcaptest.SPNEGOResp(1, nil, authenticate)), spnego.alterResp(3, pcaptest.SPNEGOResp(0, nil, nil)), spnego.call(4),
			),
			[]authFacts{{"spnego", "privacy", "established", "", 1, "ntlm", "ntlm", "alice", 1, 0}},
		},
		{
			"kerberos, two legs", join(krb.bind(1, apReq), krb.ack(1, apRep)),
			[]authFacts{{"kerberos", "integrity", "established", "", 2, "kerberos", "", "", 1, 0}},
		},
		{
			"kerberos, ticket refused", join(krb.bind(1, apReq), krb.ack(1, krbError)),
			[]authFacts{{"kerberos", "integrity", "rejected", "KRB_AP_ERR_SKEW", 2, "kerberos", "", "", 1, 2}},
		},
		{
			"kerberos, refused and given up for ntlm", join(krb.bind(1, apReq), krb.ack(1, krbError), ntlmSeal.alter(2, nego), ntlmSeal.alterResp(2, challenge), ntlmSeal.auth3(2, authenticate), ntlmSeal.call(3)),
			[]authFacts{
				{"kerberos", "integrity", "rejected", "KRB_AP_ERR_SKEW", 2, "kerberos", "", "", 1, 2},
				{"ntlm", "privacy", "established", "", 1, "ntlm", "", "alice", 3, 0},
			},
		},
		{
			"kerberos, refused, second ticket taken", join(krb.bind(1, apReq), krb.ack(1, krbError), krb.alter(2, apReq2), krb.alterResp(2, apRep)),
			[]authFacts{{"kerberos", "integrity", "established", "KRB_AP_ERR_SKEW", 2, "kerberos", "", "", 1, 2}},
		},
		{
			"kerberos, refused, second ticket not answered", join(krb.bind(1, apReq), krb.ack(1, krbError), krb.alter(2, apReq2)),
			[]authFacts{{"kerberos", "integrity", "rejected", "KRB_AP_ERR_SKEW", 2, "kerberos", "", "", 1, 2}},
		},
		{
			"kerberos, refused, second ticket taken, then a fault", join(krb.bind(1, apReq), krb.ack(1, krbError), krb.alter(2, apReq2), krb.alterResp(2, apRep), krb.ask(3), fault(3, 0x1c01000b)),
			[]authFacts{{"kerberos", "integrity", "rejected", "KRB_AP_ERR_SKEW, then fault 0x1c01000b nca_s_proto_error", 2, "kerberos", "", "", 1, 2}},
		},
		{
			"two contexts at once", join(
				ntlm.bind(1, nego), ntlm.ack(1, challenge), ntlm.auth3(1, authenticate), krb.alter(2, apReq), krb.alterResp(2, apRep), ntlm.call(3), krb.ask(4), fault(4, 5), ntlm.call(5),
			),
			[]authFacts{
				{"ntlm", "connect", "established", "", 0, "ntlm", "", "alice", 1, 0},
				{"kerberos", "integrity", "rejected", "fault 0x00000005 access denied", 2, "kerberos", "", "", 4, 9},
			},
		},
		{
			"one type and level, two context ids", join(
				leg{10, 6, 1}.bind(1, nego), leg{10, 6, 1}.ack(1, challenge), leg{10, 6, 1}.auth3(1, authenticate),
				leg{10, 6, 2}.alter(2, nego), leg{10, 6, 2}.alterResp(2, challenge), leg{10, 6, 2}.call(3),
			),
			[]authFacts{
				{"ntlm", "privacy", "established", "", 1, "ntlm", "", "alice", 1, 0},
				{"ntlm", "privacy", "established", "", 2, "ntlm", "", "", 4, 0},
			},
		},
		{
			"refused, then another user under the same context id", join(
				ntlmSeal.bind(1, nego), ntlmSeal.ack(1, challenge), ntlmSeal.auth3(1, authenticate), ntlmSeal.ask(2), fault(2, 5),
				ntlmSeal.alter(3, nego), ntlmSeal.alterResp(3, challenge), ntlmSeal.auth3(3, pcaptest.NTLMAuthenticate("CORP", "bob", "WS01")), ntlmSeal.call(4),
			),
			[]authFacts{
				{"ntlm", "privacy", "rejected", "fault 0x00000005 access denied", 1, "ntlm", "", "alice", 1, 5},
				{"ntlm", "privacy", "established", "", 1, "ntlm", "", "bob", 6, 0},
			},
		},
		{
			"established, then refused as another user under the same context id", join(
				spnego.bind(1, pcaptest.SPNEGOInit(nego, pcaptest.OIDNTLM)), spnego.ack(1, pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, challenge)),
				spnego.alter(2, pcaptest.SPNEGOResp(1, nil, authenticate)), spnego.alterResp(2, pcaptest.SPNEGOResp(0, nil, nil)), spnego.call(3),
				spnego.alter(4, pcaptest.SPNEGOInit(nego, pcaptest.OIDNTLM)), spnego.alterResp(4, pcaptest.SPNEGOResp(1, pcaptest.OIDNTLM, challenge)),
				spnego.alter(5, pcaptest.SPNEGOResp(1, nil, pcaptest.NTLMAuthenticate("CORP", "bob", "WS01"))), fault(5, 5),
			),
			[]authFacts{
				{"spnego", "privacy", "established", "", 1, "ntlm", "ntlm", "alice", 1, 0},
				{"spnego", "privacy", "rejected", "fault 0x00000005 access denied", 1, "ntlm", "ntlm", "bob", 7, 10},
			},
		},
		{
			"netlogon secure channel, one token each way", join(leg{68, 6, 0}.bind(1, []byte("\x00\x00\x00\x00\x03\x00\x00\x00CORP\x00WS01\x00")), leg{68, 6, 0}.ack(1, []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))),
			[]authFacts{{"netlogon", "privacy", "established", "", 0, "", "", "", 1, 0}},
		},
		{
			"verifiers of a session from before the capture", ntlmSeal.call(7),
			[]authFacts{{"ntlm", "privacy", "established", "", 1, "", "", "", 1, 0}},
		},
		{
			"a session from before the capture, call denied", join(ntlmSeal.ask(7), fault(7, 5)),
			[]authFacts{{"ntlm", "privacy", "established", "", 1, "", "", "", 1, 0}},
		},
		{
			"a session from before the capture, call not answered", ntlmSeal.ask(7),
			[]authFacts{{"ntlm", "privacy", "established", "", 1, "", "", "", 1, 0}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := play(t, tt.s)
			var got []authFacts
			for i := range c.Auths {
				a := &c.Auths[i]
				got = append(got, authFacts{
					AuthTypeName(a.Type), AuthLevelName(a.Level), a.State.String(), a.Error, a.ContextID,
					a.Facts.Mechanism, a.Facts.Selected, a.Facts.User, a.Mark.Packet, a.ErrorMark.Packet,
				})
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			playing{}.anySegmentation(t, tt.s, 5)
		})
	}
}
