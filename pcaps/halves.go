package pcaps

import "encoding/binary"

// A full-duplex tap gives each direction of a wire to an interface of its own.
// Two interfaces are the halves of one point where every connection shows one
// direction on each and never the same on both, and where what one
// acknowledges is what the other sends. At two places of a path both
// directions are seen at both.

// halfPackets is how many packets of common connections each has to show.
const halfPackets = 4

// nearNumbers is how far an acknowledgement may lie from what the other
// direction sends at that time.
const nearNumbers = 1 << 26

// half is what an interface shows of one connection.
type half struct {
	packets           int
	forward, backward bool
	seq, ack          uint32 // of the latest packet
	acked             bool
}

// otherHalf looks for the interface that shows the other direction of what a
// newcomer shows, among the packets that were read ahead.
func (r *Reader) otherHalf(st *strand) *strand {
	shown := make(map[*strand]map[uint64]*half)
	rest := r.look.rest()
	for i := range rest {
		p := &rest[i]
		key, forward, seq, ack, acked, ok := segmentOf(&p.head)
		if !ok {
			continue
		}
		s := p.src.strands[p.head.Interface]
		if shown[s] == nil {
			shown[s] = make(map[uint64]*half)
		}
		h := shown[s][key]
		if h == nil {
			h = new(half)
			shown[s][key] = h
		}
		h.packets++
		h.forward, h.backward = h.forward || forward, h.backward || !forward
		h.seq, h.ack, h.acked = seq, ack, acked
	}
	for _, t := range r.taps {
		for _, o := range t.open {
			if t.holds(st) && o != st && o.of().Link == st.of().Link && halves(shown[st], shown[o]) {
				return o
			}
		}
	}
	return nil
}

// halves reports whether two interfaces show one direction each of the same
// connections.
func halves(a, b map[uint64]*half) bool {
	ours, theirs := 0, 0
	for _, all := range [2]map[uint64]*half{a, b} {
		for _, h := range all {
			if h.forward && h.backward {
				return false
			}
		}
	}
	for key, x := range a {
		y := b[key]
		if y == nil {
			continue
		}
		if x.forward == y.forward || x.acked && !near(x.ack, y.seq) || y.acked && !near(y.ack, x.seq) {
			return false
		}
		ours, theirs = ours+x.packets, theirs+y.packets
	}
	return ours >= halfPackets && theirs >= halfPackets
}

func near(a, b uint32) bool { return a-b < nearNumbers || b-a < nearNumbers }

// segmentOf returns what a TCP packet says: a hash of its two ends, the same
// for either direction, which of the directions, and its numbers.
func segmentOf(p *Packet) (key uint64, forward bool, seq, ack uint32, acked, ok bool) {
	b, isIP, ok := network(p.Link, p.Data)
	if !ok || !isIP {
		return 0, false, 0, 0, false, false
	}
	src, dst, tcp := segment(b)
	if len(tcp) < 20 {
		return 0, false, 0, 0, false, false
	}
	from, to := wordOf(src)<<16+uint64(binary.BigEndian.Uint16(tcp)), wordOf(dst)<<16+uint64(binary.BigEndian.Uint16(tcp[2:]))
	forward = from < to
	if !forward {
		from, to = to, from
	}
	return from*0x9e3779b97f4a7c15 ^ to, forward, binary.BigEndian.Uint32(tcp[4:]), binary.BigEndian.Uint32(tcp[8:]), tcp[13]&0x10 != 0, true
}

// segment returns the addresses of an IP packet, nil where it is none, and what
// was captured of the TCP segment in it.
func segment(b []byte) (src, dst, tcp []byte) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		src, dst = b[12:16], b[16:20]
		if b[9] == 6 && binary.BigEndian.Uint16(b[6:])&0x1fff == 0 {
			tcp = b[min(int(b[0]&0xf)*4, len(b)):]
		}
	case len(b) >= 40 && b[0]>>4 == 6:
		src, dst = b[8:24], b[24:40]
		if b[6] == 6 {
			tcp = b[40:]
		}
	}
	return src, dst, tcp
}
