// Package dcerpc decodes connection-oriented DCE/RPC, protocol version 5, from
// the two byte streams of a TCP connection ([C706] chapter 12, [MS-RPCE]).
//
// It cuts the streams into PDUs, follows presentation contexts, association
// groups and authentication, and matches requests, responses and faults by call
// id. What a stub holds is for the packages above: a Handler says how much of
// it it wants, and nothing else is kept.
package dcerpc

import (
	"fmt"

	"mapiscope/internal/wire"
)

// PType is the type of a PDU ([C706] 12.6.1).
type PType uint8

// The PDU types of the connection-oriented protocol ([C706] 12.6.4,
// [MS-RPCE] 2.2.2.10, [MS-RPCH] 2.2.3.4).
const (
	TypeRequest          PType = 0
	TypeResponse         PType = 2
	TypeFault            PType = 3
	TypeBind             PType = 11
	TypeBindAck          PType = 12
	TypeBindNak          PType = 13
	TypeAlterContext     PType = 14
	TypeAlterContextResp PType = 15
	TypeAuth3            PType = 16
	TypeShutdown         PType = 17
	TypeCancel           PType = 18
	TypeOrphaned         PType = 19
	TypeRTS              PType = 20
)

var typeNames = map[PType]string{
	TypeRequest: "request", TypeResponse: "response", TypeFault: "fault", TypeBind: "bind", TypeBindAck: "bind_ack",
	TypeBindNak: "bind_nak", TypeAlterContext: "alter_context", TypeAlterContextResp: "alter_context_resp",
	TypeAuth3: "auth3", TypeShutdown: "shutdown", TypeCancel: "cancel", TypeOrphaned: "orphaned", TypeRTS: "rts",
}

// String returns the name of the type, or its number.
func (t PType) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// shortest is the least FragLength of each type: common header plus the fixed
// part of the body. A type that is not here does not exist over connections.
var shortest = [21]uint16{
	TypeRequest: 24, TypeResponse: 24, TypeFault: 24, TypeBind: 28, TypeBindAck: 26, TypeBindNak: 18, TypeAlterContext: 28,
	TypeAlterContextResp: 26, TypeAuth3: 16, TypeShutdown: 16, TypeCancel: 16, TypeOrphaned: 16, TypeRTS: 20,
}

// PDU flags ([C706] 12.6.3.1). Flag 0x04 has two meanings: in calls a cancel is
// pending, in bind and its answers the sender supports header signing
// ([MS-RPCE] 2.2.2.3).
const (
	FlagFirst         = 0x01
	FlagLast          = 0x02
	FlagHeaderSign    = 0x04
	FlagMultiplex     = 0x10
	FlagDidNotExecute = 0x20
	FlagMaybe         = 0x40
	FlagObject        = 0x80
)

// headerLength is the length of the common header, secTrailerLength that of the
// part of the authentication verifier before the token.
const (
	headerLength     = 16
	secTrailerLength = 8
	maxPDU           = 0xffff // FragLength has 16 bits
)

// Header is the common header of a PDU ([C706] 12.6.3.1).
type Header struct {
	Minor      uint8 // protocol version 5.Minor
	Type       PType
	Flags      uint8
	Order      wire.Order // of every integer of the PDU, this header's too
	FragLength uint16     // of the whole PDU, header and verifier included
	AuthLength uint16     // of the token alone
	CallID     uint32
}

// ParseHeader reads a common header and reports whether it can be true: the
// version, the type, the data representation and the lengths are all tested,
// because framing after a gap rests on it.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < headerLength || b[0] != 5 || b[1] > 1 || int(b[2]) >= len(shortest) || shortest[b[2]] == 0 {
		return h, false
	}
	// Integers are big or little endian, characters ASCII or EBCDIC, floats of
	// four kinds; two bytes are reserved ([C706] 14.1).
	if b[4]&0xee != 0 || b[5] > 3 || b[6] != 0 || b[7] != 0 {
		return h, false
	}
	h = Header{Minor: b[1], Type: PType(b[2]), Flags: b[3], Order: wire.Order(b[4]>>4 == 0)}
	h.FragLength, h.AuthLength, h.CallID = h.Order.Uint16(b[8:]), h.Order.Uint16(b[10:]), h.Order.Uint32(b[12:])
	if h.FragLength < shortest[h.Type] {
		return h, false
	}
	return h, h.AuthLength == 0 || int(h.AuthLength)+headerLength+secTrailerLength <= int(h.FragLength)
}

// mayBegin reports whether fewer bytes than a header can be the beginning of
// one.
func mayBegin(b []byte) bool {
	return (len(b) < 1 || b[0] == 5) && (len(b) < 2 || b[1] <= 1) && (len(b) < 3 || int(b[2]) < len(shortest) && shortest[b[2]] != 0)
}

// fromClient reports which end sends PDUs of a type; ok is false where both do.
func (t PType) fromClient() (client, ok bool) {
	switch t {
	case TypeRequest, TypeBind, TypeAlterContext, TypeAuth3, TypeCancel, TypeOrphaned:
		return true, true
	case TypeResponse, TypeFault, TypeBindAck, TypeBindNak, TypeAlterContextResp, TypeShutdown:
		return false, true
	}
	return false, false
}

// trailer is the authentication verifier at the end of a PDU
// ([MS-RPCE] 2.2.2.11).
type trailer struct {
	present   bool
	kind      uint8
	level     uint8
	padLength uint8
	contextID uint32
	token     []byte
}

// pdu is one whole PDU, cut into its parts.
type pdu struct {
	Header
	mark wire.Mark
	body []byte // behind the common header, without padding and verifier
	auth trailer
}

// cut splits a whole PDU. ok is false when the verifier's padding reaches into
// the body's fixed part, which no sender does.
func cut(h Header, raw []byte, m wire.Mark) (p pdu, ok bool) {
	p = pdu{Header: h, mark: m, body: raw[headerLength:]}
	if h.AuthLength == 0 {
		return p, true
	}
	at := len(raw) - int(h.AuthLength) - secTrailerLength
	t := raw[at:]
	p.auth = trailer{present: true, kind: t[0], level: t[1], padLength: t[2], contextID: h.Order.Uint32(t[4:]), token: t[secTrailerLength:]}
	end := at - int(t[2])
	if end < headerLength {
		return p, false
	}
	p.body = raw[headerLength:end]
	return p, true
}
