package pcaptest

import (
	"encoding/asn1"
	"encoding/binary"
	"unicode/utf16"
)

// NTLM negotiate flags ([MS-NLMP] 2.2.2.5) that the messages here carry:
// Unicode, request target, sign, seal, NTLM, always sign, extended session
// security, version, 128 bit, key exchange, 56 bit. A challenge says also
// that its target is a domain and has information.
const (
	ntlmFlags          = 0xe2088235
	ntlmChallengeFlags = ntlmFlags | 0x00010000 | 0x00800000
)

// ntlmVersion is Windows 6.1 build 7601, NTLM revision 15.
var ntlmVersion = []byte{6, 1, 0xb1, 0x1d, 0, 0, 0, 15}

// NTLMNegotiate is the first message of NTLM ([MS-NLMP] 2.2.1.1), without
// names.
func NTLMNegotiate() []byte {
	m := ntlmMessage{headLen: 40}
	m.start(1)
	m.head = binary.LittleEndian.AppendUint32(m.head, ntlmFlags)
	m.field(nil)
	m.field(nil)
	m.head = append(m.head, ntlmVersion...)
	return m.bytes()
}

// NTLMChallenge is the second message ([MS-NLMP] 2.2.1.2): the domain as
// target and, as target information, the names of domain and server.
func NTLMChallenge(domain, server string, challenge [8]byte) []byte {
	var info []byte
	for _, av := range []struct {
		id   uint16
		text string
	}{{2, domain}, {1, server}, {0, ""}} {
		value := utf16Text(av.text)
		info = binary.LittleEndian.AppendUint16(info, av.id)
		info = binary.LittleEndian.AppendUint16(info, uint16(len(value)))
		info = append(info, value...)
	}
	m := ntlmMessage{headLen: 56}
	m.start(2)
	m.field(utf16Text(domain))
	m.head = binary.LittleEndian.AppendUint32(m.head, ntlmChallengeFlags)
	m.head = append(m.head, challenge[:]...)
	m.head = append(m.head, make([]byte, 8)...)
	m.field(info)
	m.head = append(m.head, ntlmVersion...)
	return m.bytes()
}

// NTLMAuthenticate is the third message ([MS-NLMP] 2.2.1.3). Its responses
// and session key are made up and prove nothing.
func NTLMAuthenticate(domain, user, workstation string) []byte {
	filler := func(n int, v byte) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = v
		}
		return b
	}
	m := ntlmMessage{headLen: 72}
	m.start(3)
	m.field(filler(24, 0x11)) // LM response
	m.field(filler(24, 0x22)) // NTLM response, version 1
	m.field(utf16Text(domain))
	m.field(utf16Text(user))
	m.field(utf16Text(workstation))
	m.field(filler(16, 0x33)) // session key
	m.head = binary.LittleEndian.AppendUint32(m.head, ntlmFlags)
	m.head = append(m.head, ntlmVersion...)
	return m.bytes()
}

// ntlmMessage is a fixed part with fields of length, size and offset and the
// payload that they point into.
type ntlmMessage struct {
	headLen int
	head    []byte
	payload []byte
}

func (m *ntlmMessage) start(kind uint32) {
	m.head = binary.LittleEndian.AppendUint32([]byte("NTLMSSP\x00"), kind)
}

func (m *ntlmMessage) field(value []byte) {
	n := uint16(len(value))
	m.head = binary.LittleEndian.AppendUint16(m.head, n)
	m.head = binary.LittleEndian.AppendUint16(m.head, n)
	m.head = binary.LittleEndian.AppendUint32(m.head, uint32(m.headLen+len(m.payload)))
	m.payload = append(m.payload, value...)
}

func (m *ntlmMessage) bytes() []byte {
	if len(m.head) != m.headLen {
		panic("pcaptest: wrong length of an NTLM message")
	}
	return append(m.head, m.payload...)
}

func utf16Text(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// Mechanisms of SPNEGO, and SPNEGO itself.
var (
	OIDSPNEGO   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}
	OIDNTLM     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
	OIDKerberos = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	OIDMSKerb   = asn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2} // as Windows misspells it
)

// SPNEGOInit is a NegTokenInit (RFC 4178, 4.2.1) in GSS framing: mechanisms
// in order of preference and the token of the first.
func SPNEGOInit(token []byte, mechs ...asn1.ObjectIdentifier) []byte {
	var list []byte
	for _, m := range mechs {
		list = append(list, oid(m)...)
	}
	init := tlv(0xa0, tlv(0x30, list))
	if token != nil {
		init = append(init, tlv(0xa2, tlv(0x04, token))...)
	}
	return GSSToken(OIDSPNEGO, tlv(0xa0, tlv(0x30, init)))
}

// SPNEGOResp is a NegTokenResp (RFC 4178, 4.2.2): a state (0 completed, 1
// incomplete, 2 reject), the mechanism taken if any, and a token if any.
func SPNEGOResp(state byte, mech asn1.ObjectIdentifier, token []byte) []byte {
	resp := tlv(0xa0, tlv(0x0a, []byte{state}))
	if mech != nil {
		resp = append(resp, tlv(0xa1, oid(mech))...)
	}
	if token != nil {
		resp = append(resp, tlv(0xa2, tlv(0x04, token))...)
	}
	return tlv(0xa1, tlv(0x30, resp))
}

// GSSToken is the initial token framing of RFC 2743, 3.1.
func GSSToken(mech asn1.ObjectIdentifier, token []byte) []byte {
	return tlv(0x60, append(oid(mech), token...))
}

func oid(o asn1.ObjectIdentifier) []byte {
	b, err := asn1.Marshal(o)
	if err != nil {
		panic(err)
	}
	return b
}

// tlv is one element of DER.
func tlv(tag byte, value []byte) []byte {
	b := []byte{tag}
	switch n := len(value); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = be.AppendUint16(append(b, 0x82), uint16(n))
	}
	return append(b, value...)
}
