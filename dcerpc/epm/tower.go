// Package epm decodes the endpoint mapper, interface
// e1af8308-5d1f-11c9-91a4-08002b14a0fa version 3.0 ([C706] appendix O,
// [MS-RPCE] 2.2.1.2): who asked for which interface and where the answer
// said that it lives. It works on stubs, in NDR and in NDR64.
package epm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"

	"mapiscope/internal/wire"
)

// The protocol identifiers of tower floors ([C706] appendix I, [MS-RPCE]
// 2.2.1.2.3 for those that Windows added).
const (
	ProtocolTCP       uint8 = 0x07
	ProtocolUDP       uint8 = 0x08
	ProtocolIP        uint8 = 0x09
	ProtocolNCADG     uint8 = 0x0a
	ProtocolNCACN     uint8 = 0x0b
	ProtocolNCALRPC   uint8 = 0x0c
	ProtocolUUID      uint8 = 0x0d
	ProtocolSMB       uint8 = 0x0f
	ProtocolNamedPipe uint8 = 0x10
	ProtocolNetBIOS   uint8 = 0x11
	ProtocolHTTP      uint8 = 0x1f
)

// Floor is one floor of a protocol tower: a layer of the protocol stack and
// its address data. LHS is what follows the protocol identifier on the left
// hand side, RHS the right hand side. Both share the buffer that was parsed.
type Floor struct {
	Protocol uint8
	LHS, RHS []byte
}

// Tower is a protocol tower: floor 1 is the interface, floor 2 the transfer
// syntax, floor 3 the RPC protocol and those below are its transport ([C706]
// appendix L).
type Tower struct{ Floors []Floor }

// maxFloors bounds the floors of a tower: six are the most in use.
const maxFloors = 32

var (
	errTower  = errors.New("epm: malformed tower")
	errFloors = errors.New("epm: tower of too many floors")
)

// ParseTower reads a tower octet string ([C706] appendix L): little-endian
// counts whatever the byte order of the PDU. The floors share b. Bytes after
// the last floor are padding and ignored.
func ParseTower(b []byte) (Tower, error) {
	c := wire.NewCursor(b, wire.LittleEndian)
	n := int(c.Uint16())
	if n > maxFloors {
		return Tower{}, errFloors
	}
	if n > c.Len()/4 { // two counts each
		return Tower{}, errTower
	}
	t := Tower{Floors: make([]Floor, n)}
	for i := range t.Floors {
		lhs := c.Bytes(int(c.Uint16()))
		rhs := c.Bytes(int(c.Uint16()))
		if !c.OK() || len(lhs) == 0 {
			return Tower{}, errTower
		}
		t.Floors[i] = Floor{Protocol: lhs[0], LHS: lhs[1:], RHS: rhs}
	}
	if !c.OK() {
		return Tower{}, errTower
	}
	return t, nil
}

// find returns the right hand side of the first transport floor of a protocol.
func (t Tower) find(protocol uint8) ([]byte, bool) {
	for i := 2; i < len(t.Floors); i++ {
		if t.Floors[i].Protocol == protocol {
			return t.Floors[i].RHS, true
		}
	}
	return nil, false
}

// syntax reads floor 1 or 2: UUID and major version on the left, minor
// version on the right, little endian. A short right hand side is minor 0.
func (t Tower) syntax(i int) (id wire.UUID, major, minor uint16, ok bool) {
	if i >= len(t.Floors) || t.Floors[i].Protocol != ProtocolUUID || len(t.Floors[i].LHS) < 18 {
		return id, 0, 0, false
	}
	c := wire.NewCursor(t.Floors[i].LHS, wire.LittleEndian)
	id, major = c.UUID(), c.Uint16()
	if rhs := t.Floors[i].RHS; len(rhs) >= 2 {
		minor = binary.LittleEndian.Uint16(rhs)
	}
	return id, major, minor, true
}

// Interface returns the interface of floor 1 and its version.
func (t Tower) Interface() (id wire.UUID, major, minor uint16, ok bool) { return t.syntax(0) }

// Transfer returns the transfer syntax of floor 2 and its version.
func (t Tower) Transfer() (id wire.UUID, major, minor uint16, ok bool) { return t.syntax(1) }

// port reads a port number, big endian.
func (t Tower) port(protocol uint8) (uint16, bool) {
	rhs, ok := t.find(protocol)
	if !ok || len(rhs) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(rhs), true
}

// TCPPort returns the port of ncacn_ip_tcp. It is 0 in a request.
func (t Tower) TCPPort() (uint16, bool) { return t.port(ProtocolTCP) }

// UDPPort returns the port of ncadg_ip_udp.
func (t Tower) UDPPort() (uint16, bool) { return t.port(ProtocolUDP) }

// HTTPPort returns the port of ncacn_http.
func (t Tower) HTTPPort() (uint16, bool) { return t.port(ProtocolHTTP) }

// IPv4 returns the address of the IP floor, which may be 0.0.0.0: the host
// that answered. Towers have no form for IPv6.
func (t Tower) IPv4() (netip.Addr, bool) {
	rhs, ok := t.find(ProtocolIP)
	if !ok || len(rhs) != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(rhs)), true
}

// Pipe returns the name of the pipe of ncacn_np, e.g. `\PIPE\samr`, or the
// name of the local end point of ncalrpc.
func (t Tower) Pipe() (string, bool) {
	rhs, ok := t.find(ProtocolSMB)
	if !ok {
		rhs, ok = t.find(ProtocolNamedPipe)
	}
	return text(rhs), ok
}

// text cuts at the first NUL and replaces what is not UTF-8.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
}

// OverTCP is the protocol sequence of DCE/RPC over TCP ([MS-RPCE] 2.1.1.1).
const OverTCP = "ncacn_ip_tcp"

// ProtocolSequence returns the protocol sequence of floors 3 and 4, e.g.
// "ncacn_ip_tcp" ([C706] appendix B, [MS-RPCE] 2.1), "" if unknown.
func (t Tower) ProtocolSequence() string {
	if len(t.Floors) < 4 {
		if len(t.Floors) == 3 && t.Floors[2].Protocol == ProtocolNCALRPC {
			return "ncalrpc"
		}
		return ""
	}
	return sequences[[2]uint8{t.Floors[2].Protocol, t.Floors[3].Protocol}]
}

var sequences = map[[2]uint8]string{
	{ProtocolNCACN, ProtocolTCP}:         OverTCP,
	{ProtocolNCACN, ProtocolSMB}:         "ncacn_np",
	{ProtocolNCACN, ProtocolNamedPipe}:   "ncacn_np",
	{ProtocolNCACN, ProtocolHTTP}:        "ncacn_http",
	{ProtocolNCACN, 0x04}:                "ncacn_dnet_nsp",
	{ProtocolNCACN, 0x12}:                "ncacn_nb_nb",
	{ProtocolNCACN, 0x13}:                "ncacn_spx",
	{ProtocolNCACN, 0x16}:                "ncacn_at_dsp",
	{ProtocolNCACN, 0x1a}:                "ncacn_vns_spp",
	{ProtocolNCACN, 0x20}:                "ncacn_unix_stream",
	{ProtocolNCADG, ProtocolUDP}:         "ncadg_ip_udp",
	{ProtocolNCADG, 0x0e}:                "ncadg_ipx",
	{ProtocolNCADG, 0x17}:                "ncadg_at_ddp",
	{ProtocolNCADG, 0x1b}:                "ncadg_vns_ipc",
	{ProtocolNCADG, 0x1d}:                "ncadg_mq",
	{ProtocolNCADG, 0x20}:                "ncadg_unix_dgram",
	{ProtocolNCALRPC, ProtocolNamedPipe}: "ncalrpc",
}
