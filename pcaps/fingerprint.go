package pcaps

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// fingerprint tells a packet, from its network header on: link
// headers and padding differ between interfaces that capture one wire.
type fingerprint struct {
	head, body uint64 // of the first printHead bytes, and of all
	cut        bool   // not all bytes were captured, so that body tells nothing
	forward    bool   // one of its two directions
	ok         bool   // it tells its place: a unicast packet
}

// printHead is what the least snap length that is in use, 68, keeps of a
// datagram in Ethernet. The checksum of TCP over IPv4 stands in it, so that
// packets with other payload differ also where they were cut.
const printHead = 54

// same reports whether two packets are identical in all bytes that both have.
func (p *fingerprint) same(o *fingerprint) bool {
	return p.head == o.head && (p.cut || o.cut || p.body == o.body)
}

// fingerprintOf returns the fingerprint of a packet. Broadcasts and multicasts
// are seen at many places at once and have none.
func fingerprintOf(seed maphash.Seed, p *Packet) fingerprint {
	b, ip, ok := network(p.Link, p.Data)
	if !ok {
		return fingerprint{}
	}
	f := fingerprint{cut: p.WireLen > len(p.Data), ok: true}
	if ip {
		var src, dst []byte
		if b, src, dst = datagram(b, &f.cut); src == nil || spreads(dst) {
			return fingerprint{}
		}
		f.forward = bytes.Compare(src, dst) < 0
	}
	f.head = maphash.Bytes(seed, b[:min(len(b), printHead)])
	if !f.cut {
		f.body = maphash.Bytes(seed, b)
	}
	return f
}

// network returns a packet from its network header on, and whether that is IP.
// Link types that are not known here are taken as a whole. It reports false
// for frames that are sent to many or that no router forwards.
func network(link LinkType, b []byte) (rest []byte, ip, ok bool) {
	var kind uint16
	switch link {
	case LinkEthernet:
		if len(b) < 14 || b[0]&1 == 1 {
			return nil, false, false
		}
		kind, b = binary.BigEndian.Uint16(b[12:]), b[14:]
	case LinkLinuxSLL:
		if len(b) < 16 {
			return nil, false, false
		}
		kind, b = binary.BigEndian.Uint16(b[14:]), b[16:]
	case LinkLinuxSLL2:
		if len(b) < 20 {
			return nil, false, false
		}
		kind, b = binary.BigEndian.Uint16(b), b[20:]
	case LinkRaw, LinkIPv4, LinkIPv6:
		return b, true, len(b) > 0
	case LinkNull, LinkLoop:
		if len(b) < 4 {
			return nil, false, false
		}
		return b[4:], true, true
	default:
		return b, false, len(b) > 0
	}
	for (kind == 0x8100 || kind == 0x88a8 || kind == 0x9100) && len(b) >= 4 { // IEEE 802.1Q
		kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	switch {
	case kind == 0x0800 || kind == 0x86dd:
		return b, true, true
	case kind == 0x8847 || kind == 0x8864: // MPLS, PPPoE
		return b, false, true
	}
	return nil, false, false
}

// datagram cuts the padding off an IP packet and returns its addresses, nil
// where it is none. It sets cut where the packet goes on behind b.
func datagram(b []byte, cut *bool) (rest, src, dst []byte) {
	size := 0
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		size, src, dst = int(binary.BigEndian.Uint16(b[2:])), b[12:16], b[16:20]
	case len(b) >= 40 && b[0]>>4 == 6:
		src, dst = b[8:24], b[24:40]
		if n := binary.BigEndian.Uint16(b[4:]); n > 0 {
			size = 40 + int(n)
		}
	default:
		return b, nil, nil
	}
	// Hosts that let their adapter cut segments may leave the length at 0.
	switch {
	case size > len(b):
		*cut = true
	case size > 0:
		b, *cut = b[:size], false
	}
	return b, src, dst
}

// spreads reports whether an address is a multicast or, as far as an address
// shows it, a broadcast.
func spreads(dst []byte) bool {
	if len(dst) == 16 {
		return dst[0] == 0xff
	}
	return dst[0] >= 224 || dst[3] == 255
}
