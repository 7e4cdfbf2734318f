package auth

import (
	"slices"
	"strings"
	"testing"

	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	oidSPNEGO     = "1.3.6.1.5.5.2"
	oidNTLM       = "1.3.6.1.4.1.311.2.2.10"
	oidNegoEx     = "1.3.6.1.4.1.311.2.2.30"
	oidKerberos   = "1.2.840.113554.1.2.2"
	oidMSKerberos = "1.2.840.48018.1.2.2"
	oidUser2User  = "1.2.840.113554.1.2.2.3"
)

// negInit writes a NegTokenInit without the GSS header.
func negInit(members ...[]byte) []byte { return member(0, sequence(members...)) }

func negResp(members ...[]byte) []byte { return member(1, sequence(members...)) }

func mechTypes(oids ...string) []byte {
	var list [][]byte
	for _, o := range oids {
		list = append(list, oid(o))
	}
	return member(0, sequence(list...))
}

func negState(n byte) []byte { return member(0, der(casn1.ENUM, []byte{n})) }

func gssWrap(mechanism string, token ...[]byte) []byte {
	return der(tagGSS, append([][]byte{oid(mechanism)}, token...)...)
}

func TestSPNEGO(t *testing.T) {
	ntlm := newNTLM(1, 16).bytes()
	wrapped := ntlm
	for range maxDepth + 1 {
		wrapped = negResp(member(2, octetString(wrapped)))
	}
	many := slices.Repeat([]string{oidNTLM}, maxOffered+1)
	said := func(f Facts, messages ...string) Facts {
		f.Messages = messages
		return f
	}
	checkRows(t, []row{
		{"with the GSS header", 9, gssWrap(oidSPNEGO, negInit(mechTypes(oidMSKerberos, oidKerberos, oidNegoEx, oidNTLM))),
			said(Facts{Offered: []string{"ms-kerberos", "kerberos", "negoex", "ntlm"}}, "NegTokenInit")},
		{"without the GSS header", 9, negInit(mechTypes(oidKerberos, oidUser2User)),
			said(Facts{Offered: []string{"kerberos", "kerberos-user2user"}}, "NegTokenInit")},
		{"unknown mechanism", 9, negInit(mechTypes("1.3.9999.1")), said(Facts{Offered: []string{"1.3.9999.1"}}, "NegTokenInit")},
		{"flags and mechListMIC", 9, negInit(mechTypes(oidNTLM), member(1, der(casn1.BIT_STRING, []byte{1, 0})), member(3, octetString([]byte{1}))),
			said(Facts{Offered: []string{"ntlm"}, MechListMIC: true}, "NegTokenInit")},
		{"hints of a server", 9, negInit(mechTypes(oidNTLM), member(3, sequence(member(0, str("not_defined_in_RFC4178@please_ignore"))))),
			said(Facts{Offered: []string{"ntlm"}}, "NegTokenInit")},
		{"hints and mechListMIC", 9, negInit(mechTypes(oidNTLM), member(3, sequence()), member(4, octetString([]byte{1}))),
			said(Facts{Offered: []string{"ntlm"}, MechListMIC: true}, "NegTokenInit")},
		{"too many mechanisms", 9, negInit(mechTypes(many...)),
			said(Facts{Offered: slices.Repeat([]string{"ntlm"}, maxOffered), Malformed: true}, "NegTokenInit")},
		{"no mechanism", 9, negInit(mechTypes()), said(Facts{Malformed: true}, "NegTokenInit")},
		{"list that is none", 9, negInit(member(0, integer(1)), member(2, octetString(ntlm))),
			said(Facts{Mechanism: "ntlm", Malformed: true}, "NegTokenInit", "ntlm negotiate")},

		{"completed", 9, negResp(negState(0)), said(Facts{NegState: "accept-completed"}, "NegTokenResp")},
		{"rejected", 9, negResp(negState(2)), said(Facts{NegState: "reject"}, "NegTokenResp")},
		{"request-mic selects NTLM", 9, negResp(negState(3), member(1, oid(oidNTLM))),
			said(Facts{NegState: "request-mic", Selected: "ntlm", Mechanism: "ntlm"}, "NegTokenResp")},
		{"selects a mechanism that is neither", 9, negResp(negState(1), member(1, oid(oidNegoEx))),
			said(Facts{NegState: "accept-incomplete", Selected: "negoex"}, "NegTokenResp")},
		{"unknown state", 9, negResp(negState(4), member(1, oid(oidKerberos))),
			said(Facts{Selected: "kerberos", Mechanism: "kerberos", Malformed: true}, "NegTokenResp")},
		{"OID in a sequence, no state", 9, negResp(member(1, sequence(oid(oidNTLM))), member(2, octetString(ntlm))),
			said(Facts{Selected: "ntlm", Mechanism: "ntlm", Malformed: true}, "NegTokenResp", "ntlm negotiate")},
		{"empty response token", 9, negResp(member(2, octetString(nil))), said(Facts{}, "NegTokenResp")},
		{"token that is no octet string", 9, negResp(member(2, ntlm)), said(Facts{Mechanism: "ntlm", Malformed: true}, "NegTokenResp", "ntlm negotiate")},
		{"member without a number", 9, negResp(integer(1), negState(0)), said(Facts{NegState: "accept-completed", Malformed: true}, "NegTokenResp")},
		{"choice of a wrong size around NTLM", 9, append([]byte{0xa1, 0x82, 0x7f, 0xff}, ntlm...),
			said(Facts{Mechanism: "ntlm", Malformed: true}, "NegTokenResp", "ntlm negotiate")},
		{"too deep", 9, wrapped, said(Facts{Malformed: true}, "NegTokenResp")},

		{"GSS header of a wrong size around NTLM", 9, append([]byte{0x60, 0x82, 0x7f, 0xff}, ntlm...),
			said(Facts{Mechanism: "ntlm", Malformed: true}, "ntlm negotiate")},
		{"NTLM in a GSS header", 9, gssWrap(oidNTLM, ntlm), said(Facts{Mechanism: "ntlm"}, "ntlm negotiate")},
		{"GSS mechanism that DCE/RPC does not use", 9, gssWrap("1.3.6.1.5.5.14", []byte("n,,n=user")), Facts{Malformed: true}},
	})
}

// TestLatestSelectionWins: a server may select NTLM after a Kerberos token
// that the client sent at a venture; the first offer stands.
func TestLatestSelectionWins(t *testing.T) {
	var f Facts
	f.Add(9, negInit(mechTypes(oidKerberos, oidNTLM), member(2, octetString(der(tagAPRep, sequence())))))
	if f.Mechanism != "kerberos" {
		t.Errorf("after a Kerberos token: %q", f.Mechanism)
	}
	f.Add(9, negResp(negState(1), member(1, oid(oidNTLM))))
	f.Add(9, negInit(mechTypes(oidNTLM)))
	f.Add(9, negResp(negState(2)))
	if f.Mechanism != "ntlm" || f.Selected != "ntlm" || f.NegState != "reject" || strings.Join(f.Offered, " ") != "kerberos ntlm" {
		t.Errorf("%+v", f)
	}
}

func TestMechanismNameIsBounded(t *testing.T) {
	if got := MechanismName(make([]int, 1000)); len(got) != 2*maxArcs-1 {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
