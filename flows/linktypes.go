package flows

import (
	"encoding/binary"

	"mapiscope/pcaps"
)

// link reads a packet of a link type.
func (d *Decoder) link(link pcaps.LinkType, b []byte, f *Frame) Kind {
	if !d.step() {
		return d.tooDeep()
	}
	skip := 0
	switch link {
	case pcaps.LinkEthernet:
		return d.ethernet(b, f)
	case pcaps.LinkRaw, pcaps.LinkIPv4, pcaps.LinkIPv6:
		return d.rawIP(b, f)
	case pcaps.LinkNull, pcaps.LinkLoop:
		return d.loopback(b, 4, f)
	case pcaps.LinkEnc: // family, parameters of the IPsec session
		return d.loopback(b, 12, f)
	case pcaps.LinkLinuxSLL:
		if len(b) < 16 {
			return d.ends(hdrLink)
		}
		copy(f.SrcMAC[:], b[6:12])
		return d.cooked(binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[14:]), b[16:], f)
	case pcaps.LinkLinuxSLL2:
		if len(b) < 20 {
			return d.ends(hdrLink)
		}
		copy(f.SrcMAC[:], b[12:18])
		return d.cooked(binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b), b[20:], f)
	case pcaps.LinkPPP, pcaps.LinkPPPHDLC:
		return d.ppp(b, f)
	case pcaps.LinkPPPoE:
		return d.pppoe(b, f)
	case pcaps.LinkCiscoHDLC:
		return d.ciscoHDLC(b, f)
	case pcaps.LinkFrameRelay:
		return d.frameRelay(b, f)
	case pcaps.LinkPPPWithDir, pcaps.LinkPPPD, pcaps.LinkCiscoHDLCWithDir, pcaps.LinkFrameRelayWithDir:
		if len(b) == 0 {
			return d.ends(hdrLink)
		}
		switch b = b[1:]; link { // behind the direction
		case pcaps.LinkCiscoHDLCWithDir:
			return d.ciscoHDLC(b, f)
		case pcaps.LinkFrameRelayWithDir:
			return d.frameRelay(b, f)
		}
		return d.ppp(b, f)
	case pcaps.LinkATM: // RFC 2684
		return d.llc(b, f)
	case pcaps.LinkTokenRing:
		return d.tokenRing(b, f)
	case pcaps.LinkFDDI:
		return d.fddi(b, f)
	case pcaps.LinkWiFi:
		return d.wifi(b, 0, f)
	case pcaps.LinkRadiotap:
		return d.radiotap(b, f)
	case pcaps.LinkWiFiPrism, pcaps.LinkWiFiAVS:
		return d.prism(b, f)
	case pcaps.LinkPPI: // version, flags, length, link type
		if len(b) < 8 {
			return d.ends(hdrLink)
		}
		skip, link = int(binary.LittleEndian.Uint16(b[2:])), pcaps.LinkType(binary.LittleEndian.Uint32(b[4:]))
	case pcaps.LinkPKTAP: // length, type of record, link type
		if len(b) < 12 {
			return d.ends(hdrLink)
		}
		skip, link = int(min(binary.LittleEndian.Uint32(b), 1<<16)), pcaps.LinkType(binary.LittleEndian.Uint32(b[8:]))
	case pcaps.LinkPFLOG: // length, family; padded
		if len(b) < 2 {
			return d.ends(hdrLink)
		}
		if skip = (int(b[0]) + 3) &^ 3; skip > len(b) {
			return d.ends(hdrLink)
		}
		return d.rawIP(b[skip:], f)
	case pcaps.LinkNFLOG:
		return d.nflog(b, f)
	default:
		return d.fail(unreadLink, uint32(link))
	}
	if skip < 8 {
		return d.damaged(hdrLink)
	}
	if skip > len(b) {
		return d.ends(hdrLink)
	}
	return d.link(pcaps.FromDLT(link), b[skip:], f)
}

// cooked reads what follows a header of Linux cooked capture: its protocol is
// an ethertype, or one of the kernel's own numbers below them.
func (d *Decoder) cooked(hardware, kind uint16, b []byte, f *Frame) Kind {
	const (
		hardwareNetlink = 824
		kindRaw802      = 1 // IPX without LLC
		kindLLC         = 4
	)
	switch {
	case hardware == hardwareNetlink, kind == kindRaw802:
		return Other
	case kind == kindLLC:
		return d.llc(b, f)
	case kind < smallestType:
		return d.fail(unreadType, uint32(kind))
	}
	return d.ether(kind, b, f)
}

// loopback reads the address family of BSD loopback frames. It is in the byte
// order of the host that captured; families for IPv6 differ between systems.
func (d *Decoder) loopback(b []byte, head int, f *Frame) Kind {
	if len(b) < head {
		return d.ends(hdrLink)
	}
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case 2, 10, 24, 28, 30:
		return d.rawIP(b[head:], f)
	}
	return Other
}

// pppoe reads the header of a PPPoE session (RFC 2516 4).
func (d *Decoder) pppoe(b []byte, f *Frame) Kind {
	if len(b) < 6 {
		return d.ends(hdrPPP)
	}
	if b[1] != 0 {
		return Other // discovery
	}
	return d.ppp(b[6:], f)
}

// ppp reads PPP, with or without address and control bytes and with the
// protocol in one byte or two (RFC 1661 2, RFC 1662 3.1).
func (d *Decoder) ppp(b []byte, f *Frame) Kind {
	const (
		ipv4, ipv6, mpls, mplsMC = 0x21, 0x57, 0x281, 0x283
		multilink                = 0x3d
		control                  = 0x4000 // and above: what negotiates
	)
	if !d.step() {
		return d.tooDeep()
	}
	if len(b) >= 2 && (b[0] == hdlcUnicast || b[0] == hdlcMulticast) && b[1] == 0 {
		return d.ciscoHDLC(b, f)
	}
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) < 2 {
		return d.ends(hdrPPP)
	}
	proto := uint16(b[0])
	if b[0]&1 == 1 {
		b = b[1:]
	} else {
		proto, b = binary.BigEndian.Uint16(b), b[2:]
	}
	switch proto {
	case ipv4, ipv6, etherIPv4, etherIPv6:
		return d.rawIP(b, f)
	case mpls, mplsMC:
		return d.mpls(b, f)
	case multilink: // RFC 1990 3: begin and end bits, a number of 24 bits
		if len(b) < 4 {
			return d.ends(hdrPPP)
		}
		if b[0]&0xc0 != 0xc0 {
			return d.fail(divided, uint32(hdrPPP))
		}
		return d.ppp(b[4:], f)
	}
	if proto >= control {
		return Other
	}
	return d.fail(unreadPPP, uint32(proto))
}

// The address bytes of Cisco HDLC.
const (
	hdlcUnicast   = 0x0f
	hdlcMulticast = 0x8f
)

// ciscoHDLC reads address, control and ethertype.
func (d *Decoder) ciscoHDLC(b []byte, f *Frame) Kind {
	if len(b) < 4 {
		return d.ends(hdrLink)
	}
	return d.ether(binary.BigEndian.Uint16(b[2:]), b[4:], f)
}

// frameRelay reads an address of 2 to 4 bytes, then the encapsulation of RFC
// 2427 3, which begins with the control byte 3, or an ethertype, as Cisco's
// does.
func (d *Decoder) frameRelay(b []byte, f *Frame) Kind {
	const (
		unnumbered = 3
		nlpidSNAP  = 0x80
		nlpidIPv6  = 0x8e
		nlpidIPv4  = 0xcc
		nlpidPPP   = 0xcf
	)
	if !d.step() {
		return d.tooDeep()
	}
	n := 0
	for n < 4 && n < len(b) && b[n]&1 == 0 {
		n++
	}
	n++
	if len(b) < n+2 {
		return d.ends(hdrLink)
	}
	if b = b[n:]; b[0] != unnumbered {
		return d.ether(binary.BigEndian.Uint16(b), b[2:], f)
	}
	if b = b[1:]; b[0] == 0 { // padding
		b = b[1:]
	}
	if len(b) == 0 {
		return d.ends(hdrLink)
	}
	switch b[0] {
	case nlpidIPv4, nlpidIPv6:
		return d.rawIP(b[1:], f)
	case nlpidSNAP:
		return d.snap(b[1:], f)
	case nlpidPPP:
		return d.ppp(b[1:], f)
	case 0x08, 0x09, 0x81, 0x82, 0x83: // signalling, OSI
		return Other
	}
	return d.fail(unreadLLC, uint32(b[0]))
}

// nflog looks for the packet among the attributes of a message of Linux's
// netfilter log. Their lengths are in the byte order of the host that
// captured.
func (d *Decoder) nflog(b []byte, f *Frame) Kind {
	const payload = 9
	var order binary.ByteOrder = binary.LittleEndian
	if len(b) < 8 {
		return d.ends(hdrLink)
	}
	if binary.LittleEndian.Uint16(b[6:]) > 0xff { // types are small
		order = binary.BigEndian
	}
	for b = b[4:]; d.step(); {
		if len(b) < 4 {
			return d.ends(hdrLink)
		}
		n, kind := int(order.Uint16(b)), order.Uint16(b[2:])&0x3fff
		if n < 4 {
			return d.damaged(hdrLink)
		}
		if kind == payload {
			return d.rawIP(b[4:min(n, len(b))], f)
		}
		if n = (n + 3) &^ 3; n > len(b) {
			return d.ends(hdrLink)
		}
		b = b[n:]
	}
	return d.tooDeep()
}
