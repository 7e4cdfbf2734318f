package pcaptest

import (
	"encoding/asn1"
	"strings"
	"time"
)

// KRBError is a KRB-ERROR (RFC 4120, 5.9.1).
type KRBError struct {
	Code   int
	STime  time.Time
	CTime  time.Time // zero if the server does not echo it
	Realm  string
	Server string // components joined with a slash
}

// Bytes returns the message, as a KDC sends it.
func (e KRBError) Bytes() []byte {
	b := krbHead(30)
	if !e.CTime.IsZero() {
		b = append(b, krbTime(2, e.CTime)...)
	}
	b = append(b, krbTime(4, e.STime)...)
	b = append(b, tlv(0xa5, derInt(0))...)
	b = append(b, tlv(0xa6, derInt(e.Code))...)
	b = append(b, tlv(0xa9, tlv(0x1b, []byte(e.Realm)))...)
	b = append(b, tlv(0xaa, principal(e.Server))...)
	return tlv(0x7e, tlv(0x30, b))
}

// Token returns the message as an acceptor sends it (RFC 1964, 1.1.1).
func (e KRBError) Token() []byte { return GSSToken(OIDKerberos, append([]byte{3, 0}, e.Bytes()...)) }

// APReq is an AP-REQ (RFC 4120, 5.5.1) in GSS framing with a ticket for a
// service, encrypted with AES256.
func APReq(realm, server string) []byte {
	ticket := tlv(0xa0, derInt(5))
	ticket = append(ticket, tlv(0xa1, tlv(0x1b, []byte(realm)))...)
	ticket = append(ticket, tlv(0xa2, principal(server))...)
	ticket = append(ticket, tlv(0xa3, sealedKRB(200))...)
	b := append(krbHead(14), tlv(0xa2, tlv(0x03, []byte{0, 0x20, 0, 0, 0}))...) // mutual authentication
	b = append(b, tlv(0xa3, tlv(0x61, tlv(0x30, ticket)))...)
	b = append(b, tlv(0xa4, sealedKRB(120))...)
	return GSSToken(OIDKerberos, append([]byte{1, 0}, tlv(0x6e, tlv(0x30, b))...))
}

// APRep is an AP-REP (RFC 4120, 5.5.2) as DCE style authentication sends it.
func APRep() []byte {
	return tlv(0x6f, tlv(0x30, append(krbHead(15), tlv(0xa2, sealedKRB(60))...)))
}

// KRBOverTCP puts a message behind its length (RFC 4120, 7.2.2).
func KRBOverTCP(message []byte) []byte {
	return append(be.AppendUint32(nil, uint32(len(message))), message...)
}

// krbHead begins a message: protocol version and type.

func krbHead(kind int) []byte {
	return append(tlv(0xa0, derInt(5)), tlv(0xa1, derInt(kind))...)
}

func krbTime(field byte, t time.Time) []byte {
	return tlv(0xa0|field, tlv(0x18, []byte(t.UTC().Format("20060102150405Z"))))
}

// sealedKRB is an EncryptedData with AES256 and n made up bytes.
func sealedKRB(n int) []byte {
	cipher := make([]byte, n)
	for i := range cipher {
		cipher[i] = byte(i*37 + n)
	}
	b := append(tlv(0xa0, derInt(18)), tlv(0xa1, derInt(2))...)
	return tlv(0x30, append(b, tlv(0xa2, tlv(0x04, cipher))...))
}

// principal is a PrincipalName of type NT-SRV-INST.
func principal(name string) []byte {
	var parts []byte
	for _, p := range strings.Split(name, "/") {
		parts = append(parts, tlv(0x1b, []byte(p))...)
	}
	return tlv(0x30, append(tlv(0xa0, derInt(2)), tlv(0xa1, tlv(0x30, parts))...))
}

func derInt(n int) []byte {
	b, err := asn1.Marshal(n)
	if err != nil {
		panic(err)
	}
	return b
}
