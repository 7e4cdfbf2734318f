// Package flows turns captured packets into TCP streams and accounts for every
// byte of them: link and network layers, IP fragments, the table of
// connections, and reassembly by sequence number.
//
// It knows nothing of what the streams carry. A Handler gets the bytes of each
// direction in order, each once, with the packet that carried them, and is told
// of every byte that was never captured.
package flows

import (
	"net/netip"

	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// TCP flags (RFC 9293 3.1).
const (
	FIN = 0x01
	SYN = 0x02
	RST = 0x04
	PSH = 0x08
	ACK = 0x10
)

// Kind says what Decode found in a packet.
type Kind uint8

// The kinds.
const (
	Undecoded Kind = iota // something in the way of TCP could not be read; Decoder.Reason says what
	Other                 // decoded, and neither TCP nor UDP; also a fragment of a datagram that is not yet whole
	TCP
	UDP
)

// Frame is one TCP segment or UDP datagram as it was captured.
type Frame struct {
	wire.Mark
	Point    pcaps.Point
	Tap      pcaps.Tap
	Src, Dst netip.AddrPort
	Seq, Ack uint32
	Flags    uint8
	Window   uint16 // as in the header, not scaled
	Sum      uint16 // checksum of TCP, as in the header
	Options  []byte // TCP options, raw
	Payload  []byte // what was captured of the payload
	Length   int    // payload bytes on the wire; more than len(Payload) when the packet was cut
	TTL      uint8  // or hop limit
	ID       uint16 // identification of IPv4, 0 in IPv6
	DSCP     uint8
	Lane              // link headers
	Cut      bool     // the capture cut the packet short
	Redirect Redirect // by WCCP
	Several  bool     // the job had shown several capture points by now
	Copy     bool     // another interface of the same capture point showed the very packet before
}

// HostPair returns a hash of the two addresses, the same for both directions
// and in every run: frames are spread over shards by it.
func (f *Frame) HostPair() uint64 {
	a, b := hashAddr(f.Src.Addr()), hashAddr(f.Dst.Addr())
	h := a ^ b + (a+b)*0x9e3779b97f4a7c15
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

func hashAddr(a netip.Addr) uint64 {
	b := a.As16()
	h := uint64(0xcbf29ce484222325)
	for i := 0; i < 16; i += 8 {
		h ^= wire.LittleEndian.Uint64(b[i:])
		h *= 0x9e3779b97f4a7c15
		h ^= h >> 32
	}
	return h
}
