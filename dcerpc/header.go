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

// The PDU types ([C706] 12.6.1, [MS-RPCE] 2.2.2.10, [MS-RPCH] 2.2.3.4). Those
// from ping to cancel_ack belong to the connectionless protocol: over a
// connection they stand for nothing, are counted and passed over.
const (
	TypeRequest          PType = 0
	TypePing             PType = 1
	TypeResponse         PType = 2
	TypeFault            PType = 3
	TypeWorking          PType = 4
	TypeNoCall           PType = 5
	TypeReject           PType = 6
	TypeAck              PType = 7
	TypeCLCancel         PType = 8
	TypeFack             PType = 9
	TypeCancelAck        PType = 10
	TypeBind             PType = 11
	TypeBindAck          PType = 12
	TypeBindNak          PType = 13
	TypeAlterContext     PType = 14
	TypeAlterContextResp PType = 15
	TypeAuth3            PType = 16
	TypeShutdown         PType = 17
	TypeCoCancel         PType = 18
	TypeOrphaned         PType = 19
	TypeRTS              PType = 20
)

// types holds, for each type, its name and the least FragLength: common header
// and the fixed part of the body. The length is 0 for the types that do not
// exist over connections.
var types = [21]struct {
	name     string
	shortest uint16
}{
	TypeRequest: {"request", 24}, TypePing: {"ping", 0}, TypeResponse: {"response", 24}, TypeFault: {"fault", 28},
	TypeWorking: {"working", 0}, TypeNoCall: {"nocall", 0}, TypeReject: {"reject", 0}, TypeAck: {"ack", 0},
	TypeCLCancel: {"cl_cancel", 0}, TypeFack: {"fack", 0}, TypeCancelAck: {"cancel_ack", 0},
	TypeBind: {"bind", 28}, TypeBindAck: {"bind_ack", 26}, TypeBindNak: {"bind_nak", 18},
	TypeAlterContext: {"alter_context", 28}, TypeAlterContextResp: {"alter_context_resp", 26}, TypeAuth3: {"auth3", 16},
	TypeShutdown: {"shutdown", 16}, TypeCoCancel: {"co_cancel", 16}, TypeOrphaned: {"orphaned", 16}, TypeRTS: {"rts", 20},
}

// String returns the name of the type, or its number.
func (t PType) String() string {
	if int(t) < len(types) {
		return types[t].name
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// PDU flags ([C706] 12.6.3.1). Flag 0x04 has two meanings: in calls a cancel is
// pending, in bind and its answers the sender supports header signing
// ([MS-RPCE] 2.2.2.3).
const (
	FlagFirst         = 0x01
	FlagLast          = 0x02
	FlagHeaderSign    = 0x04 // of bind, alter_context and their answers
	FlagPendingCancel = 0x04 // of all others
	flagReserved      = 0x08
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

// ParseHeader reads a common header and reports whether it can be one: version
// 5.0 or 5.1, a type that exists, a data representation that exists
// ([C706] 14.1) and a FragLength that has room for the header itself.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < headerLength || !mayBegin(b[:headerLength]) {
		return h, false
	}
	h = Header{Minor: b[1], Type: PType(b[2]), Flags: b[3], Order: wire.Order(b[4]>>4 == 0)}
	h.FragLength, h.AuthLength, h.CallID = h.Order.Uint16(b[8:]), h.Order.Uint16(b[10:]), h.Order.Uint32(b[12:])
	return h, h.FragLength >= headerLength
}

// mayBegin reports whether bytes can be the beginning of a header, as far as
// they go.
func mayBegin(b []byte) bool {
	for i, v := range b[:min(len(b), 8)] {
		ok := true
		switch i {
		case 0:
			ok = v == 5
		case 1:
			ok = v <= 1
		case 2:
			ok = int(v) < len(types)
		case 4: // integers big or little endian, characters ASCII or EBCDIC
			ok = v&0xee == 0
		case 5: // four kinds of floats
			ok = v <= 3
		case 6, 7:
			ok = v == 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// plausible reports whether everything in a header fits together. Where the
// place of a header is known, ParseHeader is enough and a PDU that does not
// fit is a damaged one; where it has to be found, nothing less than this is
// believed.
func (h *Header) plausible() bool {
	least := types[h.Type].shortest
	if h.continues() {
		least = headerLength
	}
	if least == 0 || h.FragLength < least || h.Flags&flagReserved != 0 || h.Flags&FlagObject != 0 && h.Type != TypeRequest {
		return false
	}
	return h.AuthLength == 0 || int(least)+secTrailerLength+int(h.AuthLength) <= int(h.FragLength)
}

// continues reports whether a PDU is a later fragment of a bind, an
// alter_context or an answer, which needs hold nothing but a part of the token.
// Only minor version 1 has such ([C706] 12.6.4).
func (h *Header) continues() bool {
	if h.Minor == 0 || h.AuthLength == 0 || h.Flags&FlagFirst != 0 {
		return false
	}
	switch h.Type {
	case TypeBind, TypeBindAck, TypeAlterContext, TypeAlterContextResp:
		return true
	}
	return false
}

// fromClient reports which end sends PDUs of a type; ok is false where both do.
func (t PType) fromClient() (client, ok bool) {
	switch t {
	case TypeRequest, TypeBind, TypeAlterContext, TypeAuth3, TypeCoCancel, TypeOrphaned:
		return true, true
	case TypeResponse, TypeFault, TypeBindAck, TypeBindNak, TypeAlterContextResp, TypeShutdown:
		return false, true
	}
	return false, false
}
