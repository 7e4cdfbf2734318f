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

// broken reports whether a RST was captured.
func (c *Conn) broken() bool { return !c.Sides[0].Rst.IsZero() || !c.Sides[1].Rst.IsZero() }

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
