package pcaps

import "encoding/binary"

// hosts remembers which pairs of hosts a tap showed and which SYNs, of each a
// hash; two may share a slot, and the later one stays. It tells whether a file
// goes on where another ended: files of two sites may follow each other as
// well, and those of two points whose clocks differ, where SYNs come again.
type hosts [hostSlots]uint64

const hostSlots = 1 << 12

// add enters a packet.
func (h *hosts) add(p *Packet) {
	found := hostsOf(p)
	for _, n := range found {
		if n != 0 {
			h[n%hostSlots] = n
		}
	}
}

func (h *hosts) has(n uint64) bool { return n != 0 && h[n%hostSlots] == n }

// What hostsOf returns.
const (
	pairIP  = iota // the two IP addresses, the same for either direction
	pairMAC        // the two MAC addresses, likewise
	openSYN        // a SYN without ACK
	hostsKinds
)

// hostsOf returns hashes of what a packet shows, 0 for what it does not.
func hostsOf(p *Packet) (found [hostsKinds]uint64) {
	b, isIP, ok := network(p.Link, p.Data)
	if !ok || !isIP {
		return found
	}
	if p.Link == LinkEthernet {
		found[pairMAC] = pairOf(p.Data[:6], p.Data[6:12])
	}
	src, dst, tcp := segment(b)
	if src == nil {
		return found
	}
	found[pairIP] = pairOf(src, dst)
	if len(tcp) >= 20 && tcp[13]&0x12 == 0x02 {
		found[openSYN] = (pairOf(src, dst)*31 + pairOf(tcp[:4], tcp[4:8])) | 1<<63
	}
	return found
}

// pairOf returns a hash of two runs of 4, 6 or 16 bytes in either order.
func pairOf(a, b []byte) uint64 {
	x, y := wordOf(a), wordOf(b)
	h := (x+y)*0x9e3779b97f4a7c15 + (x ^ y)
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32 | 1<<63
}

func wordOf(b []byte) uint64 {
	switch len(b) {
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 6:
		return uint64(binary.BigEndian.Uint32(b))<<16 | uint64(binary.BigEndian.Uint16(b[4:]))
	}
	return binary.BigEndian.Uint64(b)*0x9e3779b97f4a7c15 ^ binary.BigEndian.Uint64(b[8:])
}
