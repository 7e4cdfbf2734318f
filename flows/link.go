package flows

import (
	"encoding/binary"

	"mapiscope/pcaps"
)

// Decoder takes packets through the link and network layers. It owns the table
// of IP fragments; one reader uses it.
type Decoder struct {
	frags  fragments
	at     origin
	left   int    // headers that this packet may still have
	reason Reason // why this packet could not be read
	unseen int    // bytes of the packet that the capture cut off
}

// NewDecoder returns a Decoder.
func NewDecoder(l Limits) *Decoder { return &Decoder{frags: newFragments(l)} }

// Dropped returns how many fragments of IP datagrams were given up.
func (d *Decoder) Dropped() int64 { return d.frags.dropped }

// Reason returns why the latest Decode returned Undecoded.
func (d *Decoder) Reason() Reason { return d.reason }

// Ethertypes (IEEE 802 numbers).
const (
	etherIPv4    = 0x0800
	etherTEB     = 0x6558 // Ethernet inside GRE and its relatives
	etherRelay   = 0x6559 // frame relay inside GRE
	etherVLAN    = 0x8100
	etherPPP     = 0x880b // PPP inside GRE version 1
	etherWCCP    = 0x883e
	etherMPLS    = 0x8847
	etherMPLSMC  = 0x8848
	etherPPPoE   = 0x8864
	etherIPv6    = 0x86dd
	etherQinQ    = 0x88a8
	etherERSPAN  = 0x88be
	etherERSPAN3 = 0x22eb
	etherMACsec  = 0x88e5
	etherPBB     = 0x88e7 // 802.1ah
	etherCMD     = 0x8909 // Cisco metadata: the security group tag
	etherVNTag   = 0x8926
	etherETag    = 0x893f // 802.1BR
	etherHSR     = 0x892f
	etherNSH     = 0x894f
	etherQinQ1   = 0x9100
	etherQinQ2   = 0x9200
	etherQinQ3   = 0x9300
)

// smallestType is the least ethertype; what is less is the length of an LLC
// frame (IEEE 802.3 3.2.6).
const smallestType = 0x600

// complete are the ethertypes of protocols that are no way for TCP: what is
// in them need not be read.
var complete = [...]uint16{
	0x0806, 0x8035, // ARP, RARP
	0x88cc, 0x8808, 0x8809, 0x888e, 0x88c7, 0x9000, // LLDP, pause, LACP and its kind, 802.1X, loop test
	0x8863, 0x88f7, 0x8902, 0x88f5, 0x88f6, 0x22ea, 0x88fb, // PPPoE discovery, PTP, CFM, MVRP, MMRP, SRP, PRP
	0x2000, 0x2001, 0x2003, 0x2004, // CDP, NHRP or CGMP, VTP, DTP
	0x8137, 0x8138, 0x809b, 0x80f3, 0x6000, 0x6001, 0x6002, 0x6003, 0x6004, 0x6007, // IPX, AppleTalk, DEC
	0x0842, 0x8899, 0x88e1, 0x887b, 0x88d9, 0x893a, // wake on LAN, Realtek, HomePlug, LLTD, IEEE 1905
	0x8906, 0x8914, 0x88a2, 0x8915, 0x8892, 0x88a4, 0x88b8, 0x88b9, 0x88ba, 0x22f0, // storage, field buses, AVTP
	0xfefe, // ISIS of Cisco HDLC
}

// maxHeaders bounds the headers of a packet: tags, labels, extension headers
// and tunnels.
const maxHeaders = 256

// Decode fills f from p and says what it holds. Slices in f share p.Data, or a
// buffer of the decoder when IP fragments were joined; they are valid until the
// next Decode. It allocates nothing unless a datagram is fragmented.
func (d *Decoder) Decode(p *pcaps.Packet, f *Frame) Kind {
	*f = Frame{Mark: p.Mark, Point: p.Point, Tap: p.Tap, Copy: p.Copy, Cut: p.WireLen > len(p.Data)}
	d.at = origin{p.Capture, p.Interface}
	d.unseen = max(p.WireLen-len(p.Data), 0)
	d.left, d.reason = maxHeaders, Reason{}
	if len(d.frags.given) > 0 {
		d.frags.takeBack()
	}
	if p.Link == pcaps.LinkEthernet { // most are
		return d.ethernet(p.Data, f)
	}
	return d.link(p.Link, p.Data, f)
}

// step counts a header and reports whether there may be one more.
func (d *Decoder) step() bool {
	d.left--
	return d.left >= 0
}

func (d *Decoder) fail(c reasonCode, number uint32) Kind {
	d.reason = Reason{c, number}
	return Undecoded
}

func (d *Decoder) ends(h header) Kind    { return d.fail(ended, uint32(h)) }
func (d *Decoder) damaged(h header) Kind { return d.fail(damaged, uint32(h)) }
func (d *Decoder) tooDeep() Kind         { return d.fail(deep, 0) }

func (d *Decoder) ethernet(b []byte, f *Frame) Kind {
	if len(b) < 14 {
		return d.ends(hdrEthernet)
	}
	copy(f.DstMAC[:], b[:6])
	copy(f.SrcMAC[:], b[6:12])
	kind := binary.BigEndian.Uint16(b[12:])
	if kind == etherIPv4 {
		return d.rawIP(b[14:], f)
	}
	if kind < smallestType && isISL(b) {
		return d.isl(b, f)
	}
	return d.ether(kind, b[14:], f)
}

// isISL tells a frame of Cisco's Inter-Switch Link by the 40 bits of its
// destination.
func isISL(b []byte) bool {
	return (b[0] == 0x01 || b[0] == 0x03) && b[1] == 0 && b[2] == 0x0c && b[3] == 0 && b[4] == 0
}

// isl skips the header of Inter-Switch Link: 26 bytes, with the VLAN in the
// upper 15 bits of two of them, then a whole frame.
func (d *Decoder) isl(b []byte, f *Frame) Kind {
	const head = 26
	switch {
	case !d.step():
		return d.tooDeep()
	case len(b) < head:
		return d.ends(hdrTag)
	case f.VLAN == 0:
		f.VLAN = binary.BigEndian.Uint16(b[20:]) >> 1 & 0xfff
	}
	return d.ethernet(b[head:], f)
}

// ether follows ethertypes through tags and labels to the network layer.
func (d *Decoder) ether(kind uint16, b []byte, f *Frame) Kind {
	for d.step() {
		tag := 0 // bytes in front of the next ethertype
		switch kind {
		case etherIPv4, etherIPv6:
			return d.rawIP(b, f)
		case etherVLAN, etherQinQ, etherQinQ1, etherQinQ2, etherQinQ3: // IEEE 802.1Q 9.6
			if len(b) >= 2 && f.VLAN == 0 {
				f.VLAN = binary.BigEndian.Uint16(b) & 0xfff
			}
			tag = 2
		case etherVNTag, etherHSR:
			tag = 4
		case etherETag:
			tag = 6
		case etherCMD: // version, options of 4 bytes each
			if len(b) < 2 {
				return d.ends(hdrTag)
			}
			tag = 2 + 4*int(b[1])
		case etherMACsec:
			n, clear := secTag(b)
			if !clear {
				return d.fail(hidden, uint32(hdrMACsec))
			}
			tag = n
		case etherMPLS, etherMPLSMC:
			return d.mpls(b, f)
		case etherPPPoE:
			return d.pppoe(b, f)
		case etherPBB: // the tag of a service instance, then a whole frame
			if len(b) < 4 {
				return d.ends(hdrTag)
			}
			return d.ethernet(b[4:], f)
		case etherNSH:
			return d.nsh(b, f)
		case etherTEB:
			return d.ethernet(b, f)
		case etherRelay:
			return d.frameRelay(b, f)
		default:
			if kind < smallestType {
				return d.llc(b[:min(int(kind), len(b))], f)
			}
			return d.other(kind)
		}
		if len(b) < tag+2 {
			return d.ends(hdrTag)
		}
		kind, b = binary.BigEndian.Uint16(b[tag:]), b[tag+2:]
	}
	return d.tooDeep()
}

// other says of an ethertype that is not followed whether it needs to be.
func (d *Decoder) other(kind uint16) Kind {
	for _, k := range complete {
		if k == kind {
			return Other
		}
	}
	return d.fail(unreadType, uint32(kind))
}

// secTag returns the length of a MACsec tag behind its ethertype, and whether
// what follows is in clear text (IEEE 802.1AE 9.3). The check value at the end
// of the packet lies behind what IP counts.
func secTag(b []byte) (n int, clear bool) {
	const encrypted, changed, identified = 0x08, 0x04, 0x20
	if len(b) == 0 {
		return 0, true
	}
	if n = 6; b[0]&identified != 0 {
		n = 14
	}
	return n, b[0]&(encrypted|changed) == 0
}

// mpls skips the label stack. What follows is not named: IP by its version
// nibble, else Ethernet, with or without the control word that begins with a
// zero nibble (RFC 4385), or the channel of its management.
func (d *Decoder) mpls(b []byte, f *Frame) Kind {
	for d.step() {
		if len(b) < 4 {
			return d.ends(hdrMPLS)
		}
		bottom := b[2]&1 == 1
		b = b[4:]
		if !bottom {
			continue
		}
		if len(b) == 0 {
			return d.ends(hdrMPLS)
		}
		switch b[0] >> 4 {
		case 4, 6:
			return d.rawIP(b, f)
		case 1:
			return Other
		case 0:
			if len(b) < 18 {
				return d.ends(hdrMPLS)
			}
			if commonType(b[16:]) || !commonType(b[12:]) {
				b = b[4:]
			}
		}
		return d.ethernet(b, f)
	}
	return d.tooDeep()
}

// commonType reports whether an ethertype is one that most frames have.
func commonType(b []byte) bool {
	switch binary.BigEndian.Uint16(b) {
	case etherIPv4, etherIPv6, etherVLAN, etherQinQ, etherMPLS, 0x0806:
		return true
	}
	return false
}

// nsh skips the header of a service function chain (RFC 8300 2.2).
func (d *Decoder) nsh(b []byte, f *Frame) Kind {
	for d.step() {
		if len(b) < 8 {
			return d.ends(hdrNSH)
		}
		n, next := int(b[1]&0x3f)*4, b[3]
		if n < 8 {
			return d.damaged(hdrNSH)
		}
		if n > len(b) {
			return d.ends(hdrNSH)
		}
		if b = b[n:]; next != nextNSH {
			return d.nextProtocol(hdrNSH, next, b, f)
		}
	}
	return d.tooDeep()
}

// The protocol numbers that NSH (RFC 8300 2.2) and VXLAN-GPE share.
const (
	nextIPv4 = 1 + iota
	nextIPv6
	nextEthernet
	nextNSH
	nextMPLS
)

func (d *Decoder) nextProtocol(h header, next byte, b []byte, f *Frame) Kind {
	switch next {
	case nextIPv4, nextIPv6:
		return d.rawIP(b, f)
	case nextEthernet:
		return d.ethernet(b, f)
	case nextNSH:
		return d.nsh(b, f)
	case nextMPLS:
		return d.mpls(b, f)
	}
	return d.damaged(h)
}
