package flows

import "mapiscope/internal/wire"

// Where one connection ends and the next between the same ports begins.

// succeeded reports whether a segment opens a new connection between the same
// ports: a SYN that is no repetition of the one that opened c. A SYN/ACK with
// another number opens nothing while its client still waits for one.
func (c *Conn) succeeded(f *Frame) bool {
	if f.Flags&SYN == 0 || f.Flags&RST != 0 {
		return false
	}
	side := c.sideOf(f)
	s, o := &c.Sides[side], &c.Sides[side.Other()]
	if f.Flags&ACK != 0 {
		return c.over() && !c.late(f, side) && (!s.HasISN || s.ISN != f.Seq) && (!o.HasISN || o.ISN+1 != f.Ack)
	}
	if s.HasISN {
		return s.ISN != f.Seq
	}
	return (c.streams[side].started || c.over()) && !c.late(f, side)
}

// late reports whether a SYN was captured behind what followed it, be it the
// end of the connection: its number is the one before the first byte.
func (c *Conn) late(f *Frame, side wire.Side) bool {
	s, stats := &c.streams[side], &c.Sides[side]
	if !s.started || stats.HasISN {
		return false
	}
	if stats.Jump != nil {
		return s.base-stats.Jump.Delta == f.Seq+1
	}
	return s.base == f.Seq+1
}

// end returns the highest position of the stream, its FIN counted.
func (s *stream) end() int64 { return max(s.top, s.fin) }

// survives takes back a RST that nobody took: a segment of side acknowledges
// what the other end sent after the RST, so both went on. What was on its way
// at that time, and is captured behind it, has lower numbers.
func (c *Conn) survives(f *Frame, side wire.Side) {
	o := &c.streams[side.Other()]
	if !o.started {
		return
	}
	pos := o.position(f.Ack)
	if pos > o.next+maxAhead {
		return
	}
	for from := range c.breaks {
		stats := &c.Sides[from]
		if stats.Rst.IsZero() {
			continue
		}
		sent := 1 // what the end that got the RST sent since
		if wire.Side(from) == side.Other() {
			sent = 0
		}
		if pos > c.breaks[from][sent] {
			stats.Rst = wire.Mark{}
			stats.RstsIgnored++
		}
	}
}

// Numbers of both directions that lie further than strangeness from what was
// seen belong to another connection: the ports were used again and the SYN was
// not captured. A hole in the capture moves the numbers of one direction; those
// of the other follow by little. One packet proves nothing, it may be late,
// forged or damaged; the two ends that agree do, or several packets of one.
const (
	strangeness = 1 << 24
	agreement   = 1 << 16 // how near the numbers must be that agree
	strangers   = 3
	strayLimit  = 8 // segments that agree where the other direction tells nothing
)

// stranger is the latest segment that did not fit.
type stranger struct {
	side     wire.Side
	n        int8 // of one side that agreed, 0 for none
	end, ack uint32
}

// near reports whether a number lies where the stream stands.
func (s *stream) near(seq uint32) bool {
	d := int32(seq - s.base - uint32(s.next))
	if d > -strangeness && d < strangeness {
		return true
	}
	e, top := int32(seq-s.base-uint32(s.acked)), int32(seq-s.base-uint32(s.top))
	return e > -strangeness && e < strangeness || top > -strangeness && top < strangeness
}

// strange reports whether a segment fits neither stream of its connection. The
// sequence jump and what lies it apart is for shift and legs.
func (c *Conn) strange(f *Frame, side wire.Side) bool {
	s, o := &c.streams[side], &c.streams[side.Other()]
	if !s.started || s.near(f.Seq) || f.Flags&RST != 0 {
		return false
	}
	if alone := s.stray.n >= strayLimit; !alone && (f.Flags&ACK == 0 || !o.started || o.near(f.Ack)) {
		return false
	}
	return c.legs == nil && c.Root == nil && c.Sides[0].Jump == nil && c.Sides[1].Jump == nil &&
		!jumpApart(f.Seq-s.base-uint32(s.next)) && !jumpApart(f.Ack-o.base-uint32(o.next))
}

// replaced reports whether a strange segment is proof of another connection.
func (c *Conn) replaced(f *Frame, side wire.Side) bool {
	x := &c.stranger
	end := f.Seq + uint32(f.Length)
	if f.Flags&(SYN|FIN) != 0 {
		end++
	}
	fits := func(a, b uint32) bool { return a-b+agreement < 2*agreement }
	switch {
	case c.over(), c.streams[side].stray.n >= strayLimit:
		return true
	case x.n > 0 && x.side != side && fits(f.Seq, x.ack) && fits(f.Ack, x.end):
		return true
	case x.n > 0 && x.side == side && fits(f.Seq, x.end) && fits(f.Ack, x.ack) && end != x.end:
		x.n++
	default:
		x.n = 1
	}
	x.side, x.end, x.ack = side, end, f.Ack
	return x.n >= strangers
}

// stray counts a segment that fits nowhere.
func (c *Conn) stray(f *Frame, side wire.Side) {
	led, n := &c.tracker.ledger, int64(len(f.Payload))
	led.CapturedPayload += n
	led.OutOfWindow += n
	c.Sides[side].Packets++
	c.Last = f.Mark
}
