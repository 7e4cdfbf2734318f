package flows

import (
	"encoding/binary"

	"mapiscope/pcaps"
)

// Decoder takes packets through the link and network layers. It owns the table
// of IP fragments; one reader uses it.
type Decoder struct {
	frags fragments
}

// NewDecoder returns a Decoder.
func NewDecoder(l Limits) *Decoder { return &Decoder{frags: newFragments(l)} }

// Dropped returns how many fragments of IP datagrams were given up.
func (d *Decoder) Dropped() int64 { return d.frags.dropped }

// Link types, by the numbers of the registry of capture link types.
const (
	linkNull     = 0
	linkEthernet = 1
	linkPPP      = 9
	linkRawBSD   = 12
	linkRawOld   = 14
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// Ethertypes (IEEE 802 numbers).
const (
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	etherVLAN   = 0x8100
	etherQinQ   = 0x88a8
	etherQinQ1  = 0x9100
	etherMPLS   = 0x8847
	etherMPLSMC = 0x8848
	etherPPPoE  = 0x8864
	etherTEB    = 0x6558 // Ethernet inside GRE
	etherWCCP   = 0x883e
	etherERSPAN = 0x88be
)

// maxNesting bounds tags, labels and tunnels inside one packet.
const maxNesting = 12

// Decode fills f from p and says what it holds. Slices in f share p.Data, or a
// buffer of the decoder when IP fragments were joined; they are valid until the
// next Decode. It allocates nothing unless a datagram is fragmented.
func (d *Decoder) Decode(p *pcaps.Packet, f *Frame) Kind {
	*f = Frame{Mark: p.Mark, Point: p.Point, Tap: p.Tap, Copy: p.Copy, Cut: p.WireLen > len(p.Data)}
	b := p.Data
	switch p.Link {
	case linkEthernet:
		return d.ethernet(b, f, 0)
	case linkRawBSD, linkRawOld, linkRaw, linkIPv4, linkIPv6:
		return d.rawIP(b, f, 0)
	case linkNull, linkLoop:
		return d.loopback(b, f)
	case linkSLL:
		if len(b) < 16 {
			return Undecoded
		}
		copy(f.SrcMAC[:], b[6:12])
		return d.ether(binary.BigEndian.Uint16(b[14:]), b[16:], f, 0)
	case linkSLL2:
		if len(b) < 20 {
			return Undecoded
		}
		copy(f.SrcMAC[:], b[12:18])
		return d.ether(binary.BigEndian.Uint16(b), b[20:], f, 0)
	case linkPPP:
		return d.ppp(b, f)
	}
	return Other
}

func (d *Decoder) ethernet(b []byte, f *Frame, depth int) Kind {
	if len(b) < 14 {
		return Undecoded
	}
	copy(f.DstMAC[:], b[:6])
	copy(f.SrcMAC[:], b[6:12])
	return d.ether(binary.BigEndian.Uint16(b[12:]), b[14:], f, depth)
}

// ether follows ethertypes through tags and labels to the network layer.
func (d *Decoder) ether(kind uint16, b []byte, f *Frame, depth int) Kind {
	for ; depth < maxNesting; depth++ {
		switch kind {
		case etherIPv4, etherIPv6:
			return d.rawIP(b, f, depth)
		case etherVLAN, etherQinQ, etherQinQ1:
			if len(b) < 4 {
				return Undecoded
			}
			if f.VLAN == 0 {
				f.VLAN = binary.BigEndian.Uint16(b) & 0xfff
			}
			kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		case etherMPLS, etherMPLSMC:
			return d.mpls(b, f, depth)
		case etherPPPoE:
			if len(b) < 8 {
				return Undecoded
			}
			return d.ppp(b[6:], f)
		default:
			return Other
		}
	}
	return Undecoded
}

// mpls skips the label stack. What follows is not named: IP by its version
// nibble, else Ethernet, with or without the control word that begins with a
// zero nibble (RFC 4385).
func (d *Decoder) mpls(b []byte, f *Frame, depth int) Kind {
	for range maxNesting {
		if len(b) < 4 {
			return Undecoded
		}
		bottom := b[2]&1 == 1
		b = b[4:]
		if !bottom {
			continue
		}
		if len(b) == 0 {
			return Undecoded
		}
		switch b[0] >> 4 {
		case 4, 6:
			return d.rawIP(b, f, depth+1)
		case 0:
			if len(b) >= 4 {
				return d.ethernet(b[4:], f, depth+1)
			}
			return Undecoded
		}
		return d.ethernet(b, f, depth+1)
	}
	return Undecoded
}

// loopback reads the address family of BSD loopback frames. It is in the byte
// order of the host that captured; families for IPv6 differ between systems.
func (d *Decoder) loopback(b []byte, f *Frame) Kind {
	if len(b) < 4 {
		return Undecoded
	}
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case 2, 10, 24, 28, 30:
		return d.rawIP(b[4:], f, 0)
	}
	return Other
}

// ppp reads PPP, with or without address and control bytes and with the
// protocol in one byte or two (RFC 1661 2, RFC 1662 3.1).
func (d *Decoder) ppp(b []byte, f *Frame) Kind {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) < 2 {
		return Undecoded
	}
	proto := uint16(b[0])
	if b[0]&1 == 1 {
		b = b[1:]
	} else {
		proto, b = binary.BigEndian.Uint16(b), b[2:]
	}
	switch proto {
	case 0x21, 0x57, etherIPv4, etherIPv6:
		return d.rawIP(b, f, 0)
	}
	return Other
}
