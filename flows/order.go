package flows

import (
	"time"

	"mapiscope/internal/wire"
)

// The order of the two directions. A capture that takes them from two queues,
// or from a tap with a clock for each, may hold an answer before its question:
// it acknowledges bytes that come later. Such an answer is held until they do.

// An answer is held for so long, capture time, and a stream so far behind what
// was acknowledged that the capture lost bytes is not waited for.
const (
	orderPatience = int64(5 * time.Second)
	maxEarly      = 1 << 24
)

// While the other side was not seen at all, few segments wait for it: it may
// never be.
const earlyPieces = 16

// early reports whether f, which has an acknowledgement, acknowledges bytes of the other side that are still
// to come. One byte may be a FIN, which orders nothing.
func (c *Conn) early(side wire.Side, f *Frame) bool {
	s, o := &c.streams[side], &c.streams[side.Other()]
	if s.hasty {
		return false
	}
	if !o.started {
		// The first acknowledgement behind a SYN tells where it starts.
		return s.acks && c.Sides[side].HasISN && int32(f.Ack-s.firstAck) > 1 && len(s.held) < earlyPieces
	}
	d := int32(f.Ack - o.base - uint32(o.next))
	return d > 1 && d < maxEarly && len(o.held) == 0 && o.fin < 0
}

// arrived reports whether the bytes have come that a held piece acknowledges,
// and notes that they came late.
func (c *Conn) arrived(side wire.Side, p *piece) bool {
	o := &c.streams[side.Other()]
	if !o.started || int32(p.ack-o.base-uint32(o.next)) > 1 {
		return false
	}
	stats := &c.Sides[side]
	if stats.Early == nil {
		stats.Early = &Early{Mark: p.mark}
	}
	stats.Early.Segments++
	stats.Early.By = max(stats.Early.By, time.Duration(o.dataAt-p.mark.Time))
	return true
}

// release hands on what was held for the sake of order: the bytes that it
// acknowledges were not captured, or not in time.
func (c *Conn) release(side wire.Side) {
	s := &c.streams[side]
	if len(s.held) == 0 {
		return
	}
	s.hasty = true
	for i := range s.held {
		s.held[i].early = false
	}
	c.drain(side)
}
