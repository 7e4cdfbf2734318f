package pcaptest

import (
	"encoding/binary"
	"net/netip"
)

// Opnums of the endpoint mapper ([C706] appendix O).
const (
	OpEptLookup = 2
	OpEptMap    = 3
)

// Endpoint is where an interface listens. The zero address and port are what
// a question has.
type Endpoint struct {
	Interface Syntax
	Addr      netip.Addr // IPv4; the zero Addr is 0.0.0.0
	Port      uint16
}

// Tower is the protocol tower of an endpoint over ncacn_ip_tcp ([C706]
// appendix L): five floors in little endian whatever the PDU, the port and
// the address in network byte order.
func (e Endpoint) Tower() []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, 5)
	floor := func(lhs, rhs []byte) {
		b = le.AppendUint16(b, uint16(len(lhs)))
		b = append(b, lhs...)
		b = le.AppendUint16(b, uint16(len(rhs)))
		b = append(b, rhs...)
	}
	for _, s := range []Syntax{e.Interface, NDR32} {
		lhs := s.UUID.append([]byte{0x0d}, false)
		floor(le.AppendUint16(lhs, uint16(s.Version)), le.AppendUint16(nil, uint16(s.Version>>16)))
	}
	addr := e.Addr
	if !addr.IsValid() {
		addr = netip.IPv4Unspecified()
	}
	floor([]byte{0x0b}, []byte{0, 0})                           // connection-oriented RPC, minor version 0
	floor([]byte{0x07}, be.AppendUint16(nil, e.Port))           // TCP
	floor([]byte{0x09}, append([]byte(nil), addr.AsSlice()...)) // IP
	return b
}

// EptMapRequest is the stub of an ept_map request for an interface, which
// takes up to max towers. Set Big in the NDR for a big-endian PDU, Wide for
// NDR64.
func EptMapRequest(n NDR, iface Syntax, max uint32) []byte {
	return EptMapMore(n, iface, nilUUID, max)
}

// EptMapMore is an ept_map request that goes on with the search of a handle.
func EptMapMore(n NDR, iface Syntax, handle UUID, max uint32) []byte {
	n.Size(1).UUID(nilUUID) // object
	n.Size(2)
	twr(&n, Endpoint{Interface: iface}.Tower())
	return n.Align(4).Handle(handle).U32(max).Bytes()
}

// EptMapResponse is the stub of an answer with some endpoints of max that
// were asked for. Status 0x16c9a0d6 is "not registered".
func EptMapResponse(n NDR, max, status uint32, endpoints ...Endpoint) []byte {
	count := uint32(len(endpoints))
	n.Handle(nilUUID).U32(count)
	n.Size(max, 0, count)
	for i := range endpoints {
		n.Size(uint32(i) + 3)
	}
	for _, e := range endpoints {
		twr(&n, e.Tower())
	}
	return n.U32(status).Bytes()
}

// EptLookupRequest is the stub of an ept_lookup request for all there is.
func EptLookupRequest(n NDR, max uint32) []byte {
	return n.U32(0).Size(0, 0).U32(1).Handle(nilUUID).U32(max).Bytes()
}

// EptLookupResponse is the stub of an answer with some endpoints, all of one
// annotation ([C706] appendix O, ept_entry_t).
func EptLookupResponse(n NDR, max, status uint32, annotation string, endpoints ...Endpoint) []byte {
	count := uint32(len(endpoints))
	n.Handle(nilUUID).U32(count)
	n.Size(max, 0, count)
	for i := range endpoints {
		if n.Wide {
			n.Align(8)
		}
		n.UUID(nilUUID).Size(uint32(i) + 3)
		n.Size(0, uint32(len(annotation)+1)).Raw(append([]byte(annotation), 0))
		if n.Wide {
			n.Align(8)
		}
	}
	for _, e := range endpoints {
		twr(&n, e.Tower())
	}
	return n.U32(status).Bytes()
}

// twr writes a twr_t: a conformant structure, so its size comes first.
func twr(n *NDR, tower []byte) {
	n.Size(uint32(len(tower))).U32(uint32(len(tower))).Raw(tower)
}
