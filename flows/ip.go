package flows

import (
	"encoding/binary"
	"net/netip"
)

// IP protocol numbers.
const (
	protoHop      = 0
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFrag     = 44
	protoGRE      = 47
	protoESP      = 50
	protoAH       = 51
	protoDest     = 60
	protoIPIPOld  = 94
	protoEtherIP  = 97
	protoMobility = 135
	protoMPLS     = 137
	protoHIP      = 139
	protoShim6    = 140
)

// completeProtocols are those above IP that are no way for TCP.
var completeProtocols = [...]uint8{
	1, 2, 58, 59, // ICMP, IGMP, ICMPv6, nothing
	3, 8, 9, 88, 89, 103, 112, 124, // GGP, EGP, IGRP, EIGRP, OSPF, PIM, VRRP, ISIS
	33, 46, 113, 132, 136, // DCCP, RSVP, PGM, SCTP, UDP-Lite
}

// rawIP decodes a packet that begins with an IP header.
func (d *Decoder) rawIP(b []byte, f *Frame) Kind {
	if !d.step() {
		return d.tooDeep()
	}
	if len(b) == 0 {
		return d.ends(hdrIP)
	}
	switch b[0] >> 4 {
	case 4:
		return d.ipv4(b, f)
	case 6:
		return d.ipv6(b, f)
	}
	return d.damaged(hdrIP)
}

// ipv4 reads an IPv4 header (RFC 791 3.1).
func (d *Decoder) ipv4(b []byte, f *Frame) Kind {
	if len(b) < 20 {
		return d.ends(hdrIPv4)
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		// Segmentation offload on the capturing host: the real length does not
		// fit or was not filled in yet, the frame has it.
		total = len(b) + d.unseen
	}
	if head < 20 || total < head {
		return d.damaged(hdrIPv4)
	}
	if head > len(b) {
		return d.ends(hdrIPv4)
	}
	f.TTL, f.DSCP, f.ID = b[8], b[1]>>2, binary.BigEndian.Uint16(b[4:])
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	proto := b[9]
	body, length := b[head:min(total, len(b))], total-head
	frag := binary.BigEndian.Uint16(b[6:])
	if offset, more := int(frag&0x1fff)*8, frag&0x2000 != 0; offset != 0 || more {
		key := fragmentKey{at: d.at, src: src, dst: dst, id: uint32(binary.BigEndian.Uint16(b[4:])), proto: proto}
		if body = d.frags.add(key, offset, body, length, more, f.Time); body == nil {
			return Other
		}
		length = len(body)
	}
	return d.transport(proto, src, dst, body, length, f)
}

// ipv6 reads an IPv6 header and its extension headers (RFC 8200 3, 4).
func (d *Decoder) ipv6(b []byte, f *Frame) Kind {
	if len(b) < 40 {
		return d.ends(hdrIPv6)
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 {
		length = len(b) - 40 + d.unseen // jumbogram or segmentation offload
	}
	f.TTL, f.DSCP = b[7], uint8(binary.BigEndian.Uint16(b)>>6)&0x3f
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	proto, body := b[6], b[40:min(40+length, len(b))]
	for d.step() {
		switch proto {
		case protoHop, protoRouting, protoDest, protoMobility, protoHIP, protoShim6:
			if len(body) < 8 {
				return d.ends(hdrIPv6)
			}
			n := (int(body[1]) + 1) * 8
			if n > len(body) {
				return d.ends(hdrIPv6)
			}
			proto, body, length = body[0], body[n:], length-n
		case protoFrag:
			if len(body) < 8 {
				return d.ends(hdrIPv6)
			}
			field := binary.BigEndian.Uint16(body[2:])
			key := fragmentKey{at: d.at, src: src, dst: dst, id: binary.BigEndian.Uint32(body[4:]), proto: body[0]}
			proto, body, length = body[0], body[8:], length-8
			if offset, more := int(field&^7), field&1 != 0; offset != 0 || more { // else an atomic fragment (RFC 6946)
				if body = d.frags.add(key, offset, body, length, more, f.Time); body == nil {
					return Other
				}
				length = len(body)
			}
		default:
			return d.transport(proto, src, dst, body, length, f)
		}
	}
	return d.tooDeep()
}

// transport decodes what an IP packet carries. length is what the network
// layer says the body is, body what was captured of it.
func (d *Decoder) transport(proto uint8, src, dst netip.Addr, body []byte, length int, f *Frame) Kind {
	for proto == protoAH { // RFC 4302 2: next header, length in words less 2
		if !d.step() {
			return d.tooDeep()
		}
		if len(body) < 12 || len(body) < (int(body[1])+2)*4 {
			return d.ends(hdrAH)
		}
		n := (int(body[1]) + 2) * 4
		proto, body, length = body[0], body[n:], length-n
	}
	switch proto {
	case protoTCP:
		return d.tcp(src, dst, body, length, f)
	case protoUDP:
		return d.udp(src, dst, body, length, f)
	case protoIPIP, protoIPIPOld, protoIPv6:
		return d.rawIP(body, f)
	case protoGRE:
		return d.gre(body, f)
	case protoMPLS:
		return d.mpls(body, f)
	case protoEtherIP: // RFC 3378 3: version 3, reserved bits
		if len(body) < 2 {
			return d.ends(hdrEthernet)
		}
		return d.ethernet(body[2:], f)
	case protoESP:
		return d.fail(hidden, uint32(hdrESP))
	}
	for _, p := range completeProtocols {
		if p == proto {
			return Other
		}
	}
	return d.fail(unreadProtocol, uint32(proto))
}

// tcp reads a TCP header (RFC 9293 3.1).
func (d *Decoder) tcp(src, dst netip.Addr, b []byte, length int, f *Frame) Kind {
	if length < 20 {
		return d.damaged(hdrTCP)
	}
	if len(b) < 20 {
		return d.ends(hdrTCP)
	}
	head := int(b[12]>>4) * 4
	if head < 20 || head > length {
		return d.damaged(hdrTCP)
	}
	f.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	f.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	f.Seq, f.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	f.Flags, f.Window, f.Sum = b[13], binary.BigEndian.Uint16(b[14:]), binary.BigEndian.Uint16(b[16:])
	f.Options = b[20:min(head, len(b))]
	f.Length, f.Payload = length-head, nil
	if head < len(b) {
		f.Payload = b[head:]
	}
	f.Cut = f.Cut || len(f.Payload) < f.Length
	return TCP
}
