package dcerpc

import "mapiscope/internal/wire"

// trailer is the authentication verifier at the end of a PDU: sec_trailer and
// the token behind it ([MS-RPCE] 2.2.2.11). It stays in clear when the stub is
// sealed.
type trailer struct {
	present   bool
	kind      uint8
	level     uint8
	contextID uint32
	token     []byte
}

// pdu is one whole PDU, cut into its parts.
type pdu struct {
	Header
	mark    wire.Mark
	body    []byte // behind the common header, without padding and verifier
	auth    trailer
	damaged bool // a length in it cannot be true
}

// Bytes says where the bytes of a connection's two streams went. The sum of
// all others is Delivered.
type Bytes struct {
	Delivered  int64
	Header     int64 // common headers, 16 bytes each
	BodyHeader int64 // what stands before a stub, and the bodies of PDUs that have none
	Stub       int64
	Padding    int64 // between a stub, or the body of an auth3, and the verifier
	Verifier   int64 // sec_trailers and tokens
	Skipped    int64 // outside any PDU: searched in vain, or no DCE/RPC at all
	Unfinished int64 // of PDUs that were not captured to their end
}

// Sum returns the sum of the parts.
func (b *Bytes) Sum() int64 {
	return b.Header + b.BodyHeader + b.Stub + b.Padding + b.Verifier + b.Skipped + b.Unfinished
}

// cut splits a whole PDU and books its bytes. The stub is what FragLength
// leaves when the headers and, with a verifier, its padding are off. A
// verifier or padding that does not fit makes the PDU damaged; the body then
// goes as far as the rest allows.
func (c *Conn) cut(h Header, raw []byte, m wire.Mark) (p pdu) {
	p = pdu{Header: h, mark: m, body: raw[headerLength:]}
	fixed := stubOffset(&h)
	pad, verifier := 0, 0
	if h.AuthLength > 0 {
		verifier = secTrailerLength + int(h.AuthLength)
		at := len(raw) - verifier
		if at < headerLength {
			verifier, p.damaged = 0, true
		} else {
			t := raw[at:]
			p.auth = trailer{present: true, kind: t[0], level: t[1], contextID: h.Order.Uint32(t[4:]), token: t[secTrailerLength:]}
			if pad = int(t[2]); pad > at-headerLength-fixed {
				pad, p.damaged = 0, true
			}
			p.body = raw[headerLength : at-pad : at-pad]
		}
	}
	b := &c.Bytes
	b.Header += headerLength
	b.Verifier += int64(verifier)
	body := int64(len(p.body))
	switch {
	case h.Type == TypeAuth3: // four bytes of any value ([MS-RPCE] 2.2.2.10)
		b.Padding += body + int64(pad)
	case fixed > 0:
		head := min(body, int64(fixed))
		b.BodyHeader += head
		b.Stub += body - head
		b.Padding += int64(pad)
	default:
		b.BodyHeader += body
		b.Padding += int64(pad)
	}
	return p
}

// The fixed parts of bodies with a stub, behind the common header: alloc_hint,
// context, opnum ([C706] 12.6.4.9); alloc_hint, context, cancel count and a
// reserved byte (12.6.4.10); the same, status and a reserved word (12.6.4.7).
const (
	callHead  = 8
	faultHead = 16
	objectLen = 16
)

// stubOffset returns where the stub begins in the body of a call's PDU, 0 for
// PDUs without a stub.
func stubOffset(h *Header) int {
	switch h.Type {
	case TypeRequest:
		if h.Flags&FlagObject != 0 {
			return callHead + objectLen
		}
		return callHead
	case TypeResponse:
		return callHead
	case TypeFault:
		return faultHead
	}
	return 0
}
