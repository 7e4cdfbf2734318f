package flows

import (
	"encoding/binary"
	"net/netip"
)

// gre unwraps GRE (RFC 2784, RFC 2890, RFC 1701), its version 1 that carries
// PPP (RFC 2637 4.1), and what mirrors and redirects packets with it.
func (d *Decoder) gre(b []byte, f *Frame) Kind {
	const (
		checksum, routing, key, sequence, acknowledged = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	)
	if !d.step() {
		return d.tooDeep()
	}
	if len(b) < 4 {
		return d.ends(hdrGRE)
	}
	flags, kind := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	version := flags & 7
	n := 4
	if flags&(checksum|routing) != 0 && version == 0 {
		n += 4
	}
	for _, bit := range [2]uint16{key, sequence} {
		if flags&bit != 0 {
			n += 4
		}
	}
	if version == 1 && flags&acknowledged != 0 {
		n += 4
	}
	if n > len(b) {
		return d.ends(hdrGRE)
	}
	b = b[n:]
	for routed := flags&routing != 0 && version == 0; routed; { // family, offset, length; an empty one ends the list
		if !d.step() {
			return d.tooDeep()
		}
		if len(b) < 4 || len(b) < 4+int(b[3]) {
			return d.ends(hdrGRE)
		}
		routed = b[0]|b[1]|b[3] != 0
		b = b[4+int(b[3]):]
	}
	f.GRE = true
	switch {
	case version == 1 && kind == etherPPP:
		if flags&sequence == 0 {
			return Other // an acknowledgement
		}
		return d.ppp(b, f)
	case version != 0:
		return d.damaged(hdrGRE)
	}
	switch kind {
	case 0: // keepalive
		return Other
	case etherWCCP:
		return d.wccp(b, f)
	case etherERSPAN:
		if flags&sequence == 0 { // type I has no header
			return d.ethernet(b, f)
		}
		return d.erspan(b, f)
	case etherERSPAN3:
		return d.erspan(b, f)
	}
	return d.ether(kind, b, f)
}

// erspan reads the header of a mirrored frame (draft-foschiano-erspan-03 4.2,
// 4.3): type II has version 1 and 8 bytes, type III version 2 and 12 bytes, 20
// with a subheader of the platform.
func (d *Decoder) erspan(b []byte, f *Frame) Kind {
	const subheader, frameIP = 0x01, 2
	if len(b) < 8 {
		return d.ends(hdrERSPAN)
	}
	switch b[0] >> 4 {
	case 1:
		return d.ethernet(b[8:], f)
	case 2:
	default:
		return d.damaged(hdrERSPAN)
	}
	if len(b) < 12 {
		return d.ends(hdrERSPAN)
	}
	n := 12
	if b[11]&subheader != 0 {
		n = 20
	}
	if len(b) < n {
		return d.ends(hdrERSPAN)
	}
	if b[10]>>2&0x1f == frameIP {
		return d.rawIP(b[n:], f)
	}
	return d.ethernet(b[n:], f)
}

// UDP ports of tunnels.
const (
	portL2TP     = 1701
	portGTP      = 2152
	portIPsec    = 4500
	portVXLAN    = 4789
	portVXLANGPE = 4790
	portGENEVE   = 6081
	portMPLS     = 6635
	portVXLANOld = 8472 // of Linux before the number was assigned
	portTZSP     = 37008
)

// udp reads a UDP datagram (RFC 768). One to the port of a tunnel whose header
// fits is followed; any other is a datagram like all.
func (d *Decoder) udp(src, dst netip.Addr, body []byte, length int, f *Frame) Kind {
	if length < 8 {
		return d.damaged(hdrUDP)
	}
	if len(body) < 8 {
		return d.ends(hdrUDP)
	}
	f.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(body))
	f.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(body[2:]))
	if n := int(binary.BigEndian.Uint16(body[4:])); n >= 8 && n < length {
		length = n
	}
	f.Length, f.Payload = length-8, body[8:min(length, len(body))]
	b, kind := f.Payload, UDP
	switch f.Dst.Port() {
	case portVXLAN, portVXLANOld, portVXLANGPE:
		kind = d.vxlan(b, f)
	case portGENEVE:
		kind = d.geneve(b, f)
	case portGTP:
		kind = d.gtp(b, f)
	case portTZSP:
		kind = d.tzsp(b, f)
	case portL2TP:
		kind = d.l2tp(b, f)
	case portMPLS:
		kind = d.mpls(b, f)
	case portIPsec:
		// IKE has four zero bytes in front, a keepalive is one byte (RFC 3948 2).
		if f.Length > 8 {
			if len(b) < 4 {
				return d.ends(hdrESP)
			}
			if binary.BigEndian.Uint32(b) != 0 {
				return d.fail(hidden, uint32(hdrESP))
			}
		}
	}
	return kind
}

// short says of a tunnel's header that is not all there whether the capture
// cut it, or the datagram is none of the tunnel's.
func (d *Decoder) short(f *Frame, n int, h header) Kind {
	if f.Length < n {
		return UDP
	}
	return d.ends(h)
}

// vxlan reads the header of RFC 7348 5, and that of its generic extension
// (draft-ietf-nvo3-vxlan-gpe 3), which names what follows.
func (d *Decoder) vxlan(b []byte, f *Frame) Kind {
	const valid, named = 0x08, 0x04
	if len(b) < 8 {
		return d.short(f, 8, hdrVXLAN)
	}
	switch {
	case !d.step():
		return d.tooDeep()
	case b[0]&valid == 0:
		return UDP
	case b[0]&named != 0:
		return d.nextProtocol(hdrVXLAN, b[3], b[8:], f)
	}
	return d.ethernet(b[8:], f)
}

// geneve reads the header of RFC 8926 3.4.
func (d *Decoder) geneve(b []byte, f *Frame) Kind {
	if len(b) < 8 {
		return d.short(f, 8, hdrGENEVE)
	}
	n := 8 + int(b[0]&0x3f)*4
	switch {
	case !d.step():
		return d.tooDeep()
	case b[0]>>6 != 0 || n > f.Length:
		return UDP
	case n > len(b):
		return d.ends(hdrGENEVE)
	case b[1]&0x80 != 0:
		return Other // of the tunnel itself
	}
	return d.ether(binary.BigEndian.Uint16(b[2:]), b[n:], f)
}

// gtp reads the header of a user packet (3GPP TS 29.281 5.1).
func (d *Decoder) gtp(b []byte, f *Frame) Kind {
	const userPacket, extended, more = 255, 0x04, 0x07
	if len(b) < 8 {
		return d.short(f, 8, hdrGTP)
	}
	if b[0]>>4 != 3 || b[1] != userPacket { // version 1, GTP and not GTP'
		return UDP
	}
	flags := b[0]
	b = b[8:]
	if flags&more == 0 {
		return d.rawIP(b, f)
	}
	if len(b) < 4 {
		return d.ends(hdrGTP)
	}
	next := b[3]
	b = b[4:]
	for flags&extended != 0 && next != 0 { // length in words, content, next
		if !d.step() {
			return d.tooDeep()
		}
		if len(b) < 4 || len(b) < 4*int(b[0]) {
			return d.ends(hdrGTP)
		}
		if b[0] == 0 {
			return d.damaged(hdrGTP)
		}
		n := 4 * int(b[0])
		next, b = b[n-1], b[n:]
	}
	return d.rawIP(b, f)
}

// tzsp reads the header of TZSP and its tags. What it carries is told by
// numbers that are those of link types but for 802.11.
func (d *Decoder) tzsp(b []byte, f *Frame) Kind {
	const (
		received, transmit            = 0, 1
		ethernet, wifi, prism, avs    = 1, 18, 119, 127
		tagPadding, tagEnd, headBytes = 0, 1, 4
	)
	if len(b) < headBytes {
		return d.short(f, headBytes, hdrTZSP)
	}
	if b[0] != 1 || b[1] != received && b[1] != transmit {
		return UDP
	}
	carries := binary.BigEndian.Uint16(b[2:])
	for b = b[headBytes:]; ; {
		if !d.step() {
			return d.tooDeep()
		}
		if len(b) == 0 {
			return d.ends(hdrTZSP)
		}
		tag := b[0]
		b = b[1:]
		if tag == tagEnd {
			break
		}
		if tag == tagPadding {
			continue
		}
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return d.ends(hdrTZSP)
		}
		b = b[1+int(b[0]):]
	}
	switch carries {
	case ethernet:
		return d.ethernet(b, f)
	case wifi:
		return d.wifi(b, 0, f)
	case prism, avs:
		return d.prism(b, f)
	}
	return d.fail(unreadLink, uint32(carries))
}

// l2tp reads the header of a data message of version 2 (RFC 2661 3.1).
func (d *Decoder) l2tp(b []byte, f *Frame) Kind {
	const control, length, sequence, offset = 0x8000, 0x4000, 0x0800, 0x0200
	if len(b) < 6 {
		return d.short(f, 6, hdrL2TP)
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&control != 0 || flags&15 != 2 {
		return UDP
	}
	n := 6
	if flags&length != 0 {
		n += 2
	}
	if flags&sequence != 0 {
		n += 4
	}
	if flags&offset != 0 {
		if len(b) < n+2 {
			return d.ends(hdrL2TP)
		}
		n += 2 + int(binary.BigEndian.Uint16(b[n:]))
	}
	if len(b) < n {
		return d.ends(hdrL2TP)
	}
	return d.ppp(b[n:], f)
}
