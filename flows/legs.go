package flows

import (
	"time"

	"mapiscope/internal/wire"
)

// A capture taken at a WAN optimizer, or on a span port over both of its
// sides, holds each connection on several segments of its path: two TCP
// connections with one 5-tuple when the device terminates TCP, or every packet
// twice when it does not. Each segment becomes a leg, a Conn of its own, so
// that no packet of one is taken for a retransmission on the other. A SYN that
// comes again too soon for a retransmission shows a second leg; where the
// handshake was not captured, data that comes again at once with other link
// headers, or numbers that lie the sequence jump apart.

// Lane is what the link layer says of a packet: packets of one direction of a
// connection differ in it when they were captured on different segments.
type Lane struct {
	SrcMAC, DstMAC [6]byte
	VLAN           uint16 // outermost tag, 0 for none
	GRE            bool   // came wrapped in GRE, as WCCP redirects it
}

// maxLegs bounds the legs of one connection: client LAN, the way to a
// redirected device and back, WAN.
const maxLegs = 4

// No stack repeats a SYN within soonestSYN or data within soonestData: the
// retransmission timers start at 1 s and 200 ms. Within certainCopy even a
// packet with the same headers is a copy. A device that answers handshakes
// itself opens its own connection within openingTime.
const (
	certainCopy = int64(50 * time.Millisecond)
	soonestSYN  = int64(900 * time.Millisecond)
	soonestData = int64(50 * time.Millisecond)
	openingTime = int64(3 * time.Second)
)

// Leg returns which segment of its path the connection was captured on when
// one capture holds several: 0 for the one that was seen first.
func (c *Conn) Leg() int { return int(c.leg) }

func (c *Conn) sideOf(f *Frame) wire.Side {
	if f.Src == c.A {
		return wire.SideA
	}
	return wire.SideB
}

// elsewhere reports whether the packets of a side had other link headers or
// another hop limit than f has.
func (s *SideStats) elsewhere(f *Frame) bool {
	return s.Packets > 0 && (s.Lane != f.Lane || s.TTL != f.TTL)
}

// numbered reports whether exactly one of the latest packets of the stream had
// the IP identification of f: what forwards or mirrors a packet keeps it, and a
// retransmission has another. Some hosts number all packets alike, which tells
// nothing.
func (s *stream) numbered(f *Frame) bool {
	n := 0
	for _, id := range s.recent {
		if id == f.ID {
			n++
		}
	}
	return n == 1 && f.ID != 0
}

// sight says how a segment relates to what its connection holds so far.
type sight uint8

const (
	here   sight = iota // captured where the connection was
	copied              // the very packet was captured there before
	apart               // captured on another segment of the path
)

// sight compares f with what c holds. Segments in the order of the stream take
// the first way out.
func (c *Conn) sight(f *Frame, side wire.Side) sight {
	s, stats := &c.streams[side], &c.Sides[side]
	switch {
	case f.Flags&SYN != 0:
		return c.sightSYN(f, side)
	case f.Flags&RST != 0:
		return here
	case !s.started:
		if c.Origin == Midstream && !c.acknowledges(f, side) {
			return apart
		}
		return here
	}
	d := int64(int32(f.Seq - s.base - uint32(s.next)))
	switch {
	case d >= 0 && d <= maxAhead || f.Length == 0:
		return here
	case d > maxAhead || d < -maxAhead:
		again := stats.elsewhere(f) || s.stray.n > 0 && f.Seq-s.stray.seq < 1<<20
		if again && !c.canJump(f, side) && jumpApart(uint32(d)) {
			return apart
		}
		return here
	case s.next+d < 0 || s.next+d+int64(f.Length) > s.top || f.Time-s.dataAt >= soonestData, s.dataAt-f.Time >= soonestData:
		return here
	}
	switch numbered := s.numbered(f); {
	case !stats.elsewhere(f) && c.mirrored(f, side):
		return copied
	case numbered, stats.Lane != f.Lane && f.Src.Addr().Is6():
		return apart
	}
	return here
}

// sightSYN does the same for a SYN or SYN/ACK. A SYN/ACK that waited on the
// path may arrive together with its retransmissions, so time alone proves
// nothing.
func (c *Conn) sightSYN(f *Frame, side wire.Side) sight {
	stats, s := &c.Sides[side], &c.streams[side]
	if !stats.HasISN || stats.ISN != f.Seq {
		return here
	}
	d := max(f.Time-stats.Syn.Time, stats.Syn.Time-f.Time)
	switch {
	case d >= soonestSYN:
		return here
	case stats.Lane != f.Lane:
		return apart
	case d >= certainCopy:
		return here
	case !sameKinds(stats.SynOptions, f.Options):
		return apart
	case s.numbered(f) && stats.elsewhere(f):
		return apart
	case s.numbered(f):
		return copied
	case stats.elsewhere(f) || f.Flags&ACK != 0 && !c.promptly(f, side):
		return here
	}
	if _, same := s.identical(f); same {
		return copied
	}
	return here
}

// promptly reports whether a SYN/ACK came so soon behind its SYN that the
// server cannot have sent it twice.
func (c *Conn) promptly(f *Frame, side wire.Side) bool {
	syn := c.Sides[side.Other()].Syn
	return !syn.IsZero() && f.Time-syn.Time < soonestSYN
}

// copied counts a packet that was captured a second time at the same place.
func (c *Conn) copied(f *Frame, side wire.Side) {
	led := &c.tracker.ledger
	led.CapturedPayload += int64(len(f.Payload))
	led.Duplicate += int64(len(f.Payload))
	c.Sides[side].Packets++
	c.Sides[side].Copies++
	c.Last = f.Mark
}

// twin takes a packet that another interface of the same capture point showed
// before. It reports false where the connection is not known any more.
func (t *Tracker) twin(f *Frame) bool {
	c := t.conns.find(t.conns.hash(f.Src, f.Dst), f.Src, f.Dst, f.Tap, 0)
	if c == nil {
		return false
	}
	if c.legs != nil {
		c = c.route(f)
	}
	side := c.sideOf(f)
	c.copied(f, side)
	c.Sides[side].Twins++
	return true
}

// sameKinds reports whether two lists of TCP options hold the same kinds.
func sameKinds(a, b []byte) bool {
	for {
		kindA, restA := nextOption(a)
		kindB, restB := nextOption(b)
		if kindA != kindB {
			return false
		}
		if kindA == 0 {
			return true
		}
		a, b = restA, restB
	}
}

// nextOption returns the kind of the first option that is no padding and what
// follows it, 0 at the end of the list or where it is damaged.
func nextOption(b []byte) (kind uint8, rest []byte) {
	for len(b) > 0 && b[0] == 1 {
		b = b[1:]
	}
	if len(b) < 2 || b[0] == 0 || b[1] < 2 || int(b[1]) > len(b) {
		return 0, nil
	}
	return b[0], b[b[1]:]
}

// parallel reports whether a SYN with another number than c's is the other
// half of a connection that a device terminates: it comes soon after, on
// another segment, while c is open.
func (c *Conn) parallel(f *Frame) bool {
	stats := &c.Sides[c.sideOf(f)]
	return f.Flags&(SYN|ACK) == SYN && stats.HasISN && !c.over() && f.Time-stats.Syn.Time < openingTime &&
		stats.Lane != f.Lane
}

// acknowledges reports whether f, the first packet of its side, acknowledges
// a number that the other side's stream is near.
func (c *Conn) acknowledges(f *Frame, side wire.Side) bool {
	o := &c.streams[side.Other()]
	if f.Flags&ACK == 0 || !o.started {
		return true
	}
	return !jumpApart(f.Ack - o.base - uint32(o.next))
}

// jumpApart reports whether two sequence numbers, given their difference, lie
// the jump apart in either order.
func jumpApart(d uint32) bool {
	return d >= minJump && d <= maxJump || -d >= minJump && -d <= maxJump
}

// canJump reports whether f may be the first packet behind the sequence jump
// of its side.
func (c *Conn) canJump(f *Frame, side wire.Side) bool {
	stats, s := &c.Sides[side], &c.streams[side]
	if f.Flags&SYN != 0 || !stats.HasISN || stats.Jump != nil || s.top > 0 || s.acked > 1 {
		return false
	}
	d := f.Seq - (stats.ISN + 1)
	return d >= minJump && d <= maxJump
}

// split starts a leg for f beside those of c, nil when there are too many.
func (t *Tracker) split(c *Conn, f *Frame) *Conn {
	root := c
	if c.Root != nil {
		root = c.Root
	}
	if root.legs == nil {
		root.Root, root.legs = root, []*Conn{root}
	}
	if len(root.legs) == maxLegs || root.ended {
		t.stats.LegsRefused++
		return nil
	}
	n := uint8(len(root.legs))
	if stale := t.conns.find(root.hash, root.A, root.B, root.Tap, n); stale != nil {
		t.end(stale)
	}
	side := c.sideOf(f)
	repeats := f.Flags&SYN == 0 && !c.outside(f, side) || f.Flags&SYN != 0 && c.Sides[side].ISN == f.Seq
	leg := t.start(root.hash, n, f)
	leg.Root, leg.Repeats = root, repeats
	if !leg.ClientKnown {
		leg.Client, leg.ClientKnown = root.clientIn(leg), root.ClientKnown
	}
	root.legs = append(root.legs, leg)
	return leg
}

// clientIn returns which side of a leg is the client of c.
func (c *Conn) clientIn(leg *Conn) wire.Side {
	if c.A == leg.A {
		return c.Client
	}
	return c.Client.Other()
}

// outside reports whether the numbers of f lie far from c's.
func (c *Conn) outside(f *Frame, side wire.Side) bool {
	s := &c.streams[side]
	if !s.started {
		return !c.acknowledges(f, side)
	}
	d := int64(int32(f.Seq - s.base - uint32(s.next)))
	return d > maxAhead || d < -maxAhead
}

// route returns the leg that f belongs to: of those whose numbers it fits the
// one with the same link headers, then one that has not seen it, then the one
// with fewer packets; a SYN goes to one that has not seen it first of all.
// Packets of the client come to leg 0 first, those of the server to the last
// leg.
func (c *Conn) route(f *Frame) *Conn {
	best := c
	var bestRank [4]int
	found := false
	for i, leg := range c.legs {
		if leg.ended || !leg.fits(f) {
			continue
		}
		side := leg.sideOf(f)
		rank := [4]int{leg.likeness(f, side), 0, -int(leg.Sides[side].Packets), -i}
		if leg.unseen(f, side) {
			rank[1] = 1
			if f.Flags&SYN != 0 {
				rank[0] += 100
			}
		}
		if side != leg.Client {
			rank[3] = i
		}
		if !found || higher(rank, bestRank) {
			best, bestRank, found = leg, rank, true
		}
	}
	return best
}

func higher(a, b [4]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}

// fits reports whether the numbers of f have a place on the leg.
func (c *Conn) fits(f *Frame) bool {
	side := c.sideOf(f)
	s, stats, other := &c.streams[side], &c.Sides[side], &c.Sides[side.Other()]
	switch {
	case f.Flags&SYN != 0:
		if stats.HasISN {
			return stats.ISN == f.Seq
		}
		return f.Flags&ACK == 0 || !other.HasISN || f.Ack == other.ISN+1
	case f.Flags&RST != 0 && f.Seq == 0:
		return true
	case c.canJump(f, side):
		// Both sides jump, the client first.
		return other.Jump != nil || c.fresh
	case !s.started:
		return c.acknowledges(f, side)
	}
	return !c.outside(f, side)
}

// likeness scores how well the headers of f match those of the leg's side, or,
// when the side has not spoken yet, mirror those of the other side.
func (c *Conn) likeness(f *Frame, side wire.Side) int {
	stats := &c.Sides[side]
	src, dst := stats.Lane.SrcMAC, stats.Lane.DstMAC
	mirrored := stats.Packets == 0
	if mirrored {
		stats = &c.Sides[side.Other()]
		src, dst = stats.Lane.DstMAC, stats.Lane.SrcMAC
	}
	score := 0
	if src == f.Lane.SrcMAC && dst == f.Lane.DstMAC {
		score += 8
	}
	if stats.Lane.VLAN == f.Lane.VLAN && stats.Lane.GRE == f.Lane.GRE {
		score += 4
	}
	if !mirrored && stats.TTL == f.TTL {
		score++
	}
	return score
}

// unseen reports whether f is new to the leg.
func (c *Conn) unseen(f *Frame, side wire.Side) bool {
	s := &c.streams[side]
	switch {
	case f.Flags&SYN != 0:
		return !c.Sides[side].HasISN
	case !s.started:
		return true
	case f.Length > 0:
		return s.position(f.Seq)+int64(f.Length) > s.top
	case f.Flags&FIN != 0:
		return s.fin < 0
	}
	o := &c.streams[side.Other()]
	return !o.started || o.position(f.Ack) > o.acked
}
