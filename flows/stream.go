package flows

import (
	"bytes"
	"slices"
	"time"

	"mapiscope/internal/wire"
)

// stream reassembles one direction. Sequence numbers are widened once, to the
// position nearest to what is expected next; everything after that is plain
// arithmetic on int64 positions, so wrap-around needs no case of its own.
// Position 0 is the first payload byte after the SYN, or the first one seen.
type stream struct {
	// What every segment reads stands together.
	base      uint32 // sequence number of position 0
	started   bool
	confirmed bool // the other side acknowledged any, position 0 included
	acks      bool // this side sent an acknowledgement
	hasty     bool // what it says is not held for its questions: they did not come
	recentPos uint8
	next      int64     // position of the next byte to deliver
	top       int64     // highest position seen
	fin       int64     // position of the FIN, -1 while unknown
	acked     int64     // highest position that the other side acknowledged
	dataAt    int64     // capture time of the latest data
	dataIn    int32     // its capture
	firstAck  uint32    // first acknowledgement number that this side sent
	held      []piece   // behind a hole, by position, not overlapping
	doubt     *piece    // bytes at top that may be padding, nil for none
	prints    *[8]print // of the latest packets without an identification, nil while none came
	sampleEnd int64     // end of the data segment whose acknowledgement is timed, 0 for none
	sampleAt  int64
	recent    [16]uint16 // IP identifications of the latest packets

	bytes    int   // payload bytes in held
	ackedAt  int64 // capture time at which the hole at next was acknowledged; 0 if not
	since    int   // segments of the connection since then
	stray    strayRun
	dupAckAt int64 // capture time of the latest acknowledgement that this side repeated
}

// piece is a run of held bytes. end may lie behind its data when the capture
// cut the packet: the rest is a gap already.
type piece struct {
	pos, end int64
	data     []byte
	mark     wire.Mark
	ack      uint32 // acknowledgement number of its packet
	early    bool   // which the other side's stream has not reached
}

// strayRun remembers segments far outside the window, which are believed only
// when several agree.
type strayRun struct {
	seq uint32
	n   int
}

// note counts a segment among those that agree.
func (r *strayRun) note(seq uint32) {
	if r.n > 0 && seq-r.seq < 1<<20 {
		r.n++
	} else {
		r.n = 1
	}
	r.seq = seq
}

// Positions further away than maxAhead are no position of this stream; a
// scaled window is at most 1 GiB (RFC 7323 2.3). maxBehind is how far before
// its first segment a stream that was captured from its middle may reach back.
const (
	maxAhead = 1 << 30
)

// A hole that the other side acknowledged was received there and is missing in
// the capture alone. The acknowledgement may have been captured before the
// bytes, so it is given up only after this much more.
const (
	ackedPatience = int64(time.Second)
	ackedSegments = 64
)

// start sets position 0.
func (s *stream) start(seq uint32) {
	s.base, s.started, s.next, s.top, s.fin = seq, true, 0, 0, -1
}

// position widens a sequence number.
func (s *stream) position(seq uint32) int64 {
	return s.next + int64(int32(seq-s.base-uint32(s.next)))
}

// data takes the payload of one segment. length is what the segment carried on
// the wire, payload what was captured of it.
func (c *Conn) data(side wire.Side, pos int64, f *Frame) {
	s, stats, led := &c.streams[side], &c.Sides[side], &c.tracker.ledger
	payload, length, m := f.Payload, f.Length, f.Mark
	end := pos + int64(length)
	captured := int64(len(payload))
	led.CapturedPayload += captured
	before, in := s.dataAt, s.dataIn
	s.dataAt, s.dataIn = m.Time, m.Capture
	if s.fin >= 0 && end > s.fin {
		// Nothing comes after a FIN.
		beyond := end - max(pos, s.fin)
		cut := min(max(beyond-(int64(length)-captured), 0), captured)
		led.OutOfWindow += cut
		payload, captured = payload[:captured-cut], captured-cut
		if end = s.fin; end <= pos {
			return
		}
	}
	switch {
	case end <= s.next:
		led.Duplicate += captured
		c.again(side, pos, end)
		return
	case end <= s.top && c.covered(s, pos, end):
		led.Duplicate += captured
		s.conflicts(stats, pos, payload)
		c.again(side, pos, end)
		return
	}
	if pos < s.top {
		stats.OutOfOrder++
	} else if m.Time < before-leastStep && m.Capture == in {
		c.tracker.step(m, before-m.Time)
	}
	s.top = max(s.top, end)
	o := &c.streams[side.Other()]
	early := f.Flags&ACK != 0 && (!o.started || int32(f.Ack-o.base-uint32(o.next)) > 1) && c.early(side, f)
	if pos <= s.next && len(s.held) == 0 && !early {
		old := min(s.next-pos, captured)
		led.Duplicate += old
		c.deliver(side, payload[old:], end, m)
		return
	}
	c.hold(side, piece{pos: pos, end: end, data: payload, mark: m, ack: f.Ack, early: early})
	c.drain(side)
	for s.overfull(&c.tracker.limits) {
		c.giveUp(side)
	}
}

// overfull reports whether a stream holds more than it may.
func (s *stream) overfull(l *Limits) bool {
	return s.bytes > l.HoldBytes || len(s.held) > l.HoldPieces
}

// giveUp gives up, for want of room, what the first held piece waits for.
func (c *Conn) giveUp(side wire.Side) {
	s := &c.streams[side]
	if s.held[0].pos > s.next {
		c.tracker.stats.ReassemblyHoles++
	}
	c.skipHole(side, s.held[0].mark)
}

// again counts a segment whose bytes had all been seen.
func (c *Conn) again(side wire.Side, pos, end int64) {
	s, stats := &c.streams[side], &c.Sides[side]
	if end-pos <= 1 && end == s.next && s.fin < 0 {
		stats.KeepAlives++
		return
	}
	stats.Retransmitted++
	if s.sampleEnd > pos {
		s.sampleEnd = 0
	}
}

// covered reports whether held pieces and delivered bytes have all of a range.
func (c *Conn) covered(s *stream, pos, end int64) bool {
	at := max(pos, s.next)
	for i := range s.held {
		if h := &s.held[i]; h.pos <= at && at < h.end {
			at = h.end
		}
	}
	return at >= end
}

// conflicts counts held bytes that came again with other content. Delivered
// bytes are gone and cannot be compared.
func (s *stream) conflicts(stats *SideStats, pos int64, payload []byte) {
	for i := range s.held {
		h := &s.held[i]
		from, to := max(pos, h.pos), min(pos+int64(len(payload)), h.pos+int64(len(h.data)))
		if from >= to {
			continue
		}
		a, b := payload[from-pos:to-pos], h.data[from-h.pos:to-h.pos]
		if bytes.Equal(a, b) {
			continue
		}
		for j := range a {
			if a[j] != b[j] {
				stats.Conflicts++
			}
		}
	}
}

// deliver hands on bytes that begin at s.next; end is where the segment ended
// on the wire, and what lies between is a gap.
func (c *Conn) deliver(side wire.Side, b []byte, end int64, m wire.Mark) {
	s, stats := &c.streams[side], &c.Sides[side]
	if n := int64(len(b)); n > 0 {
		c.tracker.ledger.Delivered += n
		stats.Bytes += n
		at := s.next
		s.next += n
		if c.handler != nil && !c.ignored {
			c.handler.Data(side, at, m, b)
		}
	}
	if end > s.next {
		c.gap(side, end-s.next, m)
	}
	s.top = max(s.top, s.next)
	s.ackedAt, s.since = 0, 0
}

// gap passes over n bytes that were not captured.
func (c *Conn) gap(side wire.Side, n int64, m wire.Mark) {
	s := &c.streams[side]
	c.Sides[side].GapBytes += n
	c.tracker.ledger.Gap += n
	at := s.next
	s.next += n
	if c.handler != nil && !c.ignored {
		c.handler.Gap(side, at, m, n)
	}
}

// hold files what is new of a piece behind the hole. First arrival wins.
func (c *Conn) hold(side wire.Side, p piece) {
	s, stats, led := &c.streams[side], &c.Sides[side], &c.tracker.ledger
	c.unsettled = true
	s.conflicts(stats, p.pos, p.data)
	if p.pos < s.next {
		n := min(s.next-p.pos, int64(len(p.data)))
		led.Duplicate += n
		p.data, p.pos = p.data[n:], s.next
	}
	at, i := p.pos, 0
	for at < p.end {
		for i < len(s.held) && s.held[i].end <= at {
			i++
		}
		stop := p.end
		if i < len(s.held) {
			h := &s.held[i]
			if h.pos <= at { // already there
				to := min(h.end, p.end)
				led.Duplicate += overlapLen(p, at, to)
				at = to
				continue
			}
			stop = min(stop, h.pos)
		}
		part := p.slice(at, stop)
		c.tracker.charge(&part, 1)
		s.bytes += len(part.data)
		s.held = slices.Insert(s.held, i, part)
		at = stop
	}
}

// overlapLen returns how many captured bytes of p lie in a range.
func overlapLen(p piece, from, to int64) int64 {
	have := p.pos + int64(len(p.data))
	return max(min(to, have)-max(from, p.pos), 0)
}

// slice copies a part of p, which shares the caller's buffer.
func (p piece) slice(from, to int64) piece {
	have := p.pos + int64(len(p.data))
	lo, hi := min(from, have), min(to, have)
	p.pos, p.end, p.data = from, to, bytes.Clone(p.data[lo-p.pos:hi-p.pos])
	return p
}

// drain delivers held pieces that have become contiguous.
func (c *Conn) drain(side wire.Side) {
	s := &c.streams[side]
	for len(s.held) > 0 && s.held[0].pos <= s.next {
		if s.held[0].early && !c.arrived(side, &s.held[0]) {
			return
		}
		p := s.held[0]
		s.held = slices.Delete(s.held, 0, 1)
		s.bytes -= len(p.data)
		c.tracker.charge(&p, -1)
		c.deliver(side, p.data, p.end, p.mark)
	}
	if len(s.held) == 0 {
		s.held = nil
	}
}

// skipHole gives up the hole in front of the first held piece, and the wait for
// what the piece answers.
func (c *Conn) skipHole(side wire.Side, m wire.Mark) {
	s := &c.streams[side]
	if len(s.held) == 0 {
		return
	}
	if n := s.held[0].pos - s.next; n > 0 {
		c.gap(side, n, m)
	}
	s.held[0].early = false
	c.drain(side)
}

// acknowledge takes the acknowledgement number of a segment from the other
// side.
func (c *Conn) acknowledge(side wire.Side, ack uint32, m wire.Mark) {
	s := &c.streams[side]
	if !s.started {
		return
	}
	pos := s.position(ack)
	if pos > s.next+maxAhead || pos < s.acked {
		return
	}
	s.confirmed = true
	if pos == s.acked {
		return
	}
	s.acked = pos
	if s.sampleEnd > 0 && pos >= s.sampleEnd && !m.Untimed {
		stats := &c.Sides[side]
		if d := time.Duration(m.Time - s.sampleAt); d >= 0 {
			stats.AckSamples++
			if stats.AckSamples == 1 || d < stats.MinAckDelay {
				stats.MinAckDelay, stats.MinAckMark = max(d, 1), m
			}
		}
		s.sampleEnd = 0
	}
}

// impatient gives up holes that the other side acknowledged long enough ago.
func (c *Conn) impatient(m wire.Mark) {
	for side := range c.streams {
		s := &c.streams[side]
		if len(s.held) == 0 {
			continue
		}
		if h := &s.held[0]; h.early && h.pos <= s.next {
			if m.Time-h.mark.Time > orderPatience {
				c.release(wire.Side(side))
			}
			continue
		}
		if s.acked <= s.next {
			continue
		}
		if s.ackedAt == 0 {
			s.ackedAt, s.since = m.Time, 0
			continue
		}
		if s.since++; s.since > ackedSegments || m.Time-s.ackedAt > ackedPatience {
			c.skipHole(wire.Side(side), m)
		}
	}
}

// finish delivers what is held and accounts for the hole at the end: bytes
// that the other side acknowledged and nobody captured.
func (c *Conn) finish(side wire.Side, m wire.Mark) {
	s := &c.streams[side]
	if s.doubt != nil {
		c.resolve(side, s.acked >= s.doubt.end || !zeros(s.doubt.data))
	}
	for len(s.held) > 0 {
		c.skipHole(side, s.held[0].mark)
	}
	end := s.acked
	if s.fin >= 0 {
		end = s.fin
	} else if end == s.next+1 {
		end = s.next // a FIN that was not captured has a number too
	}
	if s.started && end > s.next {
		c.gap(side, end-s.next, m)
	}
}
