package auth

import (
	"bytes"
	encoding "encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The first byte of the tokens (RFC 2743 3.1, RFC 4178 4.2).
const (
	tagGSS          = 0x60 // [APPLICATION 0], a mechanism's first token
	tagNegTokenInit = 0xa0
	tagNegTokenResp = 0xa1
)

var negStates = [...]string{"accept-completed", "accept-incomplete", "reject", "request-mic"}

// gss reads the mechanism independent header of RFC 2743 3.1: the mechanism
// and then its own token.
func (f *Facts) gss(b []byte, depth int) {
	s := cryptobyte.String(b)
	var inner cryptobyte.String
	var oid encoding.ObjectIdentifier
	if !s.ReadASN1(&inner, tagGSS) || !inner.ReadASN1ObjectIdentifier(&oid) {
		f.salvage(b)
		return
	}
	switch name := MechanismName(oid); {
	case mechanismOf(name) == "kerberos":
		f.gssKerberos(inner)
	case name == "spnego", name == "ntlm":
		f.token(inner, depth+1)
	default: // nothing that DCE/RPC uses
		f.Malformed = true
	}
}

// salvage finds the NTLM message in a token that is not valid DER.
func (f *Facts) salvage(b []byte) {
	f.Malformed = true
	if i := bytes.Index(b, ntlmSignature); i >= 0 {
		f.ntlm(b[i:])
	}
}

// spnego reads a NegotiationToken (RFC 4178 4.2). A member that is not what
// it should be is passed over, so that those after it still count.
func (f *Facts) spnego(b []byte, depth int) {
	s := cryptobyte.String(b)
	var choice cryptobyte.String
	read, name := f.negTokenInit, "NegTokenInit"
	if b[0] == tagNegTokenResp {
		read, name = f.negTokenResp, "NegTokenResp"
	}
	f.message(name)
	if !s.ReadASN1(&choice, asn1.Tag(b[0])) || !members(choice, func(n int, v cryptobyte.String) bool { return read(n, v, depth) }) {
		f.salvage(b)
	}
}

// negTokenInit reads one member of a NegTokenInit (RFC 4178 4.2.1), or of the
// NegTokenInit2 of a server that speaks first ([MS-SPNG] 2.2.1), whose [3]
// are hints and whose [4] is the mechListMIC.
func (f *Facts) negTokenInit(n int, v cryptobyte.String, depth int) bool {
	switch n {
	case 0:
		var list cryptobyte.String
		return v.ReadASN1(&list, asn1.SEQUENCE) && f.offered(list)
	case 2:
		return f.octets(v, depth)
	case 3:
		f.MechListMIC = f.MechListMIC || v.PeekASN1Tag(asn1.OCTET_STRING)
	case 4:
		f.MechListMIC = true
	}
	return true
}

func (f *Facts) offered(list cryptobyte.String) bool {
	var names []string
	for !list.Empty() {
		var oid encoding.ObjectIdentifier
		if !list.ReadASN1ObjectIdentifier(&oid) || len(names) == maxOffered {
			f.Malformed = true
			break
		}
		names = append(names, MechanismName(oid))
	}
	if f.Offered == nil {
		f.Offered = names
	}
	return len(names) > 0
}

// negTokenResp reads one member of a NegTokenResp (RFC 4178 4.2.2).
func (f *Facts) negTokenResp(n int, v cryptobyte.String, depth int) bool {
	switch n {
	case 0:
		var state int
		if !v.ReadASN1Enum(&state) || state < 0 || state >= len(negStates) {
			return false
		}
		f.NegState = negStates[state]
	case 1:
		return f.supportedMech(v)
	case 2:
		return f.octets(v, depth)
	case 3:
		f.MechListMIC = true
	}
	return true
}

// supportedMech reads the selected mechanism. Some implementations wrap it in
// a SEQUENCE, as in a list of mechanisms.
func (f *Facts) supportedMech(v cryptobyte.String) bool {
	var oid encoding.ObjectIdentifier
	var list cryptobyte.String
	wrapped := v.PeekASN1Tag(asn1.SEQUENCE)
	if wrapped && v.ReadASN1(&list, asn1.SEQUENCE) {
		v = list
	}
	if !v.ReadASN1ObjectIdentifier(&oid) {
		return false
	}
	f.Selected = MechanismName(oid)
	if m := mechanismOf(f.Selected); m != "" {
		f.Mechanism = m
	}
	return !wrapped
}

// octets reads the mechanism's token out of an OCTET STRING.
func (f *Facts) octets(v cryptobyte.String, depth int) bool {
	var token cryptobyte.String
	if !v.ReadASN1(&token, asn1.OCTET_STRING) {
		return false
	}
	f.token(token, depth+1)
	return true
}
