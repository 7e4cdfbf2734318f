package pcaptest

import (
	"encoding/binary"
	"net/netip"
	"time"

	"mapiscope/pcaps"
)

// be writes network byte order.
var be = binary.BigEndian

// encap is all that stands around an IP packet.
type encap struct {
	taps     []int
	srcMAC   [6]byte
	dstMAC   [6]byte
	vlans    []uint16
	labels   []uint32
	gre      bool
	wccp     bool
	greSrc   netip.Addr
	greDst   netip.Addr
	pad      bool
	lag      time.Duration
	from     Side
	wrap     func(ip []byte) []byte
	fragment int // IP payload bytes of a fragment, a multiple of 8; 0 is never
}

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	etherMPLS = 0x8847
	etherWCCP = 0x883e

	protoTCP      = 6
	protoUDP      = 17
	protoGRE      = 47
	protoFragment = 44
)

// frame puts link-layer headers in front of an IP packet.
func (e *encap) frame(link pcaps.LinkType, ip []byte) []byte {
	if e.wrap != nil {
		return e.wrap(ip)
	}
	if e.gre || e.wccp {
		ip = e.tunnel(ip)
	}
	etherType := etherTypeOf(ip)
	payload := ip
	if len(e.labels) > 0 { // RFC 3032: label, traffic class, bottom of stack, TTL
		var stack []byte
		for i, label := range e.labels {
			entry := label<<12 | 64
			if i == len(e.labels)-1 {
				entry |= 1 << 8
			}
			stack = be.AppendUint32(stack, entry)
		}
		payload, etherType = append(stack, ip...), etherMPLS
	}
	for i := len(e.vlans) - 1; i >= 0; i-- { // IEEE 802.1Q: priority and id, type of what follows
		tag := be.AppendUint16(nil, e.vlans[i])
		payload = append(be.AppendUint16(tag, etherType), payload...)
		etherType = etherVLAN
		if i == 0 && len(e.vlans) > 1 {
			etherType = etherQinQ
		}
	}
	var b []byte
	switch link {
	case pcaps.LinkEthernet:
		b = append(b, e.dstMAC[:]...)
		b = append(b, e.srcMAC[:]...)
		b = be.AppendUint16(b, etherType)
	case pcaps.LinkLinuxSLL: // packet type, ARPHRD, address length, address, protocol
		b = append(b, 0, 0, 0, 1, 0, 6)
		b = append(b, e.srcMAC[:]...)
		b = append(b, 0, 0)
		b = be.AppendUint16(b, etherType)
	case pcaps.LinkLinuxSLL2: // protocol, reserved, interface, ARPHRD, packet type, address length, address
		b = be.AppendUint16(b, etherType)
		b = append(b, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6)
		b = append(b, e.srcMAC[:]...)
		b = append(b, 0, 0)
	case pcaps.LinkPPP: // address, control, protocol
		b = append(b, 0xff, 0x03, 0x00, map[uint16]byte{etherIPv4: 0x21, etherIPv6: 0x57}[etherType])
	case pcaps.LinkNull:
		b = binary.LittleEndian.AppendUint32(b, familyOf(ip))
	case pcaps.LinkLoop:
		b = be.AppendUint32(b, familyOf(ip))
	case pcaps.LinkRaw, pcaps.LinkIPv4, pcaps.LinkIPv6:
	default:
		panic("pcaptest: no frames for link type " + link.String())
	}
	b = append(b, payload...)
	if e.pad && link == pcaps.LinkEthernet && len(b) < 60 {
		b = append(b, make([]byte, 60-len(b))...)
	}
	return b
}

// familyOf returns an address family as BSD counts them.
func familyOf(ip []byte) uint32 {
	if ip[0]>>4 == 6 {
		return 30
	}
	return 2
}

func etherTypeOf(ip []byte) uint16 {
	if ip[0]>>4 == 6 {
		return etherIPv6
	}
	return etherIPv4
}

// tunnel wraps an IP packet in GRE (RFC 2784), with the redirect header of
// WCCP version 2 if asked.
func (e *encap) tunnel(ip []byte) []byte {
	b := []byte{0, 0} // no checksum, version 0
	if e.wccp {
		b = be.AppendUint16(b, etherWCCP)
		b = append(b, 0, 0, 0, 0) // dynamic service, service id, alternate and primary bucket
	} else {
		b = be.AppendUint16(b, etherTypeOf(ip))
	}
	return ipHeader(e.greSrc, e.greDst, protoGRE, 255, 0, append(b, ip...))
}

// ipHeader puts an IPv4 header without options (RFC 791) or an IPv6 header
// (RFC 8200) in front of a payload.
func ipHeader(src, dst netip.Addr, proto, ttl byte, id uint16, payload []byte) []byte {
	if src.Is4() {
		return append(ip4Header(src, dst, proto, ttl, id, 0x4000, len(payload)), payload...) // don't fragment
	}
	return append(ip6Header(src, dst, proto, ttl, len(payload)), payload...)
}

// ip4Header builds the header alone; frag is its flags and fragment offset.
func ip4Header(src, dst netip.Addr, proto, ttl byte, id, frag uint16, n int) []byte {
	if 20+n > 0xffff {
		panic("pcaptest: an IPv4 packet over 65535 bytes")
	}
	b := []byte{0x45, 0} // version, length in words; type of service
	b = be.AppendUint16(b, uint16(20+n))
	b = be.AppendUint16(b, id)
	b = be.AppendUint16(b, frag)
	b = append(b, ttl, proto, 0, 0)
	b = append(b, src.AsSlice()...)
	b = append(b, dst.AsSlice()...)
	be.PutUint16(b[10:], checksum(0, b))
	return b
}

func ip6Header(src, dst netip.Addr, next, hops byte, n int) []byte {
	if n > 0xffff {
		panic("pcaptest: an IPv6 packet over 65535 bytes")
	}
	b := []byte{0x60, 0, 0, 0} // version, traffic class, flow label
	b = be.AppendUint16(b, uint16(n))
	b = append(b, next, hops)
	b = append(b, src.AsSlice()...)
	return append(b, dst.AsSlice()...)
}

// ipPackets returns the packet or its fragments.
func (e *encap) ipPackets(src, dst netip.Addr, proto, ttl byte, id uint16, payload []byte) [][]byte {
	if e.fragment == 0 || len(payload) <= e.fragment {
		return [][]byte{ipHeader(src, dst, proto, ttl, id, payload)}
	}
	var all [][]byte
	for at := 0; at < len(payload); at += e.fragment {
		part := payload[at:min(at+e.fragment, len(payload))]
		more := at+len(part) < len(payload)
		if src.Is4() {
			frag := uint16(at / 8)
			if more {
				frag |= 0x2000
			}
			all = append(all, append(ip4Header(src, dst, proto, ttl, id, frag, len(part)), part...))
			continue
		}
		frag := uint16(at) // in bytes, the low three bits are flags
		if more {
			frag |= 1
		}
		b := ip6Header(src, dst, protoFragment, ttl, 8+len(part))
		b = append(b, proto, 0)
		b = be.AppendUint16(b, frag)
		b = be.AppendUint32(b, uint32(id))
		all = append(all, append(b, part...))
	}
	return all
}

// checksum is the Internet checksum (RFC 1071) of b after a sum of other
// things.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(be.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// pseudoSum is the sum of the pseudo header of TCP and UDP.
func pseudoSum(src, dst netip.Addr, proto byte, n int) uint32 {
	sum := uint32(proto) + uint32(n)
	for _, a := range [][]byte{src.AsSlice(), dst.AsSlice()} {
		for ; len(a) > 0; a = a[2:] {
			sum += uint32(be.Uint16(a))
		}
	}
	return sum
}

// udpDatagram builds a datagram (RFC 768).
func udpDatagram(src, dst netip.AddrPort, payload []byte) []byte {
	b := be.AppendUint16(nil, src.Port())
	b = be.AppendUint16(b, dst.Port())
	b = be.AppendUint16(b, uint16(8+len(payload)))
	b = append(b, 0, 0)
	b = append(b, payload...)
	sum := checksum(pseudoSum(src.Addr(), dst.Addr(), protoUDP, len(b)), b)
	if sum == 0 {
		sum = 0xffff
	}
	be.PutUint16(b[6:], sum)
	return b
}

// tcpSegment builds a segment (RFC 9293). Options are padded with zeros.
func tcpSegment(src, dst netip.AddrPort, seq, ack uint32, flags Flags, window uint16, options, payload []byte) []byte {
	words := 5 + (len(options)+3)/4
	if words > 15 {
		panic("pcaptest: more than 40 bytes of TCP options")
	}
	b := be.AppendUint16(nil, src.Port())
	b = be.AppendUint16(b, dst.Port())
	b = be.AppendUint32(b, seq)
	b = be.AppendUint32(b, ack)
	b = append(b, byte(words<<4), byte(flags))
	b = be.AppendUint16(b, window)
	b = append(b, 0, 0, 0, 0) // checksum, urgent pointer
	b = append(b, options...)
	b = append(b, make([]byte, words*4-len(b))...)
	b = append(b, payload...)
	be.PutUint16(b[16:], checksum(pseudoSum(src.Addr(), dst.Addr(), protoTCP, len(b)), b))
	return b
}
