package flows

import (
	"encoding/binary"
	"net/netip"
)

// IP protocol numbers.
const (
	protoHop     = 0
	protoIPIP    = 4
	protoTCP     = 6
	protoUDP     = 17
	protoIPv6    = 41
	protoRouting = 43
	protoFrag    = 44
	protoGRE     = 47
	protoAH      = 51
	protoDest    = 60
)

// rawIP decodes a packet that begins with an IP header.
func (d *Decoder) rawIP(b []byte, f *Frame, depth int) Kind {
	if len(b) == 0 || depth >= maxNesting {
		return Undecoded
	}
	switch b[0] >> 4 {
	case 4:
		return d.ipv4(b, f, depth)
	case 6:
		return d.ipv6(b, f, depth)
	}
	return Undecoded
}

// ipv4 reads an IPv4 header (RFC 791 3.1).
func (d *Decoder) ipv4(b []byte, f *Frame, depth int) Kind {
	if len(b) < 20 {
		return Undecoded
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		// Segmentation offload on the capturing host: the real length does not
		// fit or was not filled in yet, the frame has it.
		total = len(b) + d.short
	}
	if head < 20 || total < head || head > len(b) {
		return Undecoded
	}
	f.TTL, f.DSCP, f.ID = b[8], b[1]>>2, binary.BigEndian.Uint16(b[4:])
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	proto := b[9]
	body, length := b[head:min(total, len(b))], total-head
	frag := binary.BigEndian.Uint16(b[6:])
	if offset, more := int(frag&0x1fff)*8, frag&0x2000 != 0; offset != 0 || more {
		key := fragmentKey{src: src, dst: dst, id: uint32(binary.BigEndian.Uint16(b[4:])), proto: proto}
		if body = d.frags.add(key, offset, body, length, more, f.Time); body == nil {
			return Other
		}
		length = len(body)
	}
	return d.transport(proto, src, dst, body, length, f, depth)
}

// ipv6 reads an IPv6 header and its extension headers (RFC 8200 3, 4).
func (d *Decoder) ipv6(b []byte, f *Frame, depth int) Kind {
	if len(b) < 40 {
		return Undecoded
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 {
		length = len(b) - 40 + d.short // jumbogram or segmentation offload
	}
	f.TTL, f.DSCP = b[7], uint8(binary.BigEndian.Uint16(b)>>6)&0x3f
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	proto, body := b[6], b[40:min(40+length, len(b))]
	for range maxNesting {
		switch proto {
		case protoHop, protoRouting, protoDest, protoAH:
			if len(body) < 8 {
				return Undecoded
			}
			n := (int(body[1]) + 1) * 8
			if proto == protoAH {
				n = (int(body[1]) + 2) * 4
			}
			if n > len(body) {
				return Undecoded
			}
			proto, body, length = body[0], body[n:], length-n
		case protoFrag:
			if len(body) < 8 {
				return Undecoded
			}
			field := binary.BigEndian.Uint16(body[2:])
			key := fragmentKey{src: src, dst: dst, id: binary.BigEndian.Uint32(body[4:]), proto: body[0]}
			proto, body, length = body[0], body[8:], length-8
			if offset, more := int(field&^7), field&1 != 0; offset != 0 || more { // else an atomic fragment (RFC 6946)
				if body = d.frags.add(key, offset, body, length, more, f.Time); body == nil {
					return Other
				}
				length = len(body)
			}
		default:
			return d.transport(proto, src, dst, body, length, f, depth)
		}
	}
	return Undecoded
}

// transport decodes what an IP packet carries. length is what the network
// layer says the body is, body what was captured of it.
func (d *Decoder) transport(proto uint8, src, dst netip.Addr, body []byte, length int, f *Frame, depth int) Kind {
	switch proto {
	case protoTCP:
		return tcp(src, dst, body, length, f)
	case protoUDP:
		if len(body) < 8 || length < 8 {
			return Undecoded
		}
		f.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(body))
		f.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(body[2:]))
		if n := int(binary.BigEndian.Uint16(body[4:])); n >= 8 && n < length {
			length = n
		}
		f.Length, f.Payload = length-8, body[8:min(length, len(body))]
		return UDP
	case protoIPIP, protoIPv6:
		return d.rawIP(body, f, depth+1)
	case protoGRE:
		return d.gre(body, f, depth)
	}
	return Other
}

// gre unwraps GRE (RFC 2784, RFC 2890), also as WCCP uses it to redirect
// packets, with or without its redirect header of 4 bytes.
func (d *Decoder) gre(b []byte, f *Frame, depth int) Kind {
	if len(b) < 4 {
		return Undecoded
	}
	flags, kind := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if flags&7 != 0 {
		return Other // version 1, PPTP
	}
	n := 4
	for _, bit := range [3]uint16{0x8000, 0x2000, 0x1000} { // checksum, key, sequence number
		if flags&bit != 0 {
			n += 4
		}
	}
	if n > len(b) {
		return Undecoded
	}
	b = b[n:]
	f.GRE = true
	switch kind {
	case etherWCCP:
		if len(b) >= 5 && b[0]>>4 != 4 {
			b = b[4:]
		}
		return d.rawIP(b, f, depth+1)
	case etherTEB:
		return d.ethernet(b, f, depth+1)
	case etherERSPAN:
		if flags&0x1000 != 0 && len(b) >= 8 {
			b = b[8:]
		}
		return d.ethernet(b, f, depth+1)
	}
	return d.ether(kind, b, f, depth+1)
}

// tcp reads a TCP header (RFC 9293 3.1).
func tcp(src, dst netip.Addr, b []byte, length int, f *Frame) Kind {
	if len(b) < 20 || length < 20 {
		return Undecoded
	}
	head := int(b[12]>>4) * 4
	if head < 20 || head > length {
		return Undecoded
	}
	f.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	f.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	f.Seq, f.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	f.Flags, f.Window, f.Sum = b[13], binary.BigEndian.Uint16(b[14:]), binary.BigEndian.Uint16(b[16:])
	f.Options = b[20:min(head, len(b))]
	f.Length = length - head
	if head < len(b) {
		f.Payload = b[head:]
	}
	f.Cut = f.Cut || len(f.Payload) < f.Length
	return TCP
}
