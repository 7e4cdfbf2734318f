package flows

import (
	"bytes"

	"mapiscope/internal/wire"
)

// Padding that IP counts. Ethernet frames carry 46 bytes at least; some senders
// and devices fill up a bare acknowledgement and count the padding in the
// length of IP, so that it looks like data (RFC 894 asks them not to). The next
// segment then begins at the same number, with other content. Such a segment is
// held until something tells what it was.

// maxPadded is how long header, options and padding of TCP are at most: 46
// bytes without the header of IPv4.
const maxPadded = 46 - 20

// small reports whether the payload of f may be padding. Data that a program
// wrote ends with PSH.
func (f *Frame) small() bool {
	return 20+len(f.Options)+f.Length <= maxPadded && f.Flags&PSH == 0 && f.Flags&(SYN|ACK) != 0 && len(f.Payload) == f.Length
}

// zeros reports whether there is nothing else in b.
func zeros(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// doubt holds a payload that may be padding.
func (c *Conn) doubt(side wire.Side, pos int64, f *Frame) {
	s, led := &c.streams[side], &c.tracker.ledger
	led.CapturedPayload += int64(f.Length)
	switch d := s.doubt; {
	case d == nil:
	case pos == d.pos && f.Length > len(d.data) && bytes.HasPrefix(f.Payload, d.data):
		// The same and more, as doubtful: it stands for both.
		led.Duplicate += int64(len(d.data))
		c.tracker.charge(d, -1)
	default: // the same, or as doubtful
		led.Duplicate += int64(f.Length)
		return
	}
	p := piece{pos: pos, end: pos + int64(f.Length), data: bytes.Clone(f.Payload), mark: f.Mark, ack: f.Ack}
	s.doubt, c.unsettled = &p, true
	c.tracker.charge(&p, 1)
}

// settle looks whether a segment tells what the held payload of either side
// was: what a side sends next shows where its stream stands, what the other
// side acknowledges shows what reached it.
func (c *Conn) settle(f *Frame, side wire.Side, pos int64) {
	if d := c.streams[side].doubt; d != nil {
		switch n := int64(f.Length); {
		case pos >= d.end:
			c.resolve(side, true)
		case n == 0:
			if f.Flags&FIN != 0 && pos == d.pos {
				c.resolve(side, false)
			}
		case pos+n <= d.pos, pos == d.pos && f.small():
		default:
			from, to := max(pos, d.pos), min(pos+int64(len(f.Payload)), d.end)
			if from < to {
				c.resolve(side, bytes.Equal(f.Payload[from-pos:to-pos], d.data[from-d.pos:to-d.pos]))
			}
		}
	}
	o := &c.streams[side.Other()]
	if d := o.doubt; d != nil && f.Flags&ACK != 0 {
		switch ack := o.position(f.Ack); {
		case ack == d.end:
			c.resolve(side.Other(), true)
		case o.fin == d.end && (ack == d.pos+1 || ack == d.end+1):
			c.resolve(side.Other(), ack == d.end+1)
		}
	}
}

// resolve decides that a held payload is data, or padding.
func (c *Conn) resolve(side wire.Side, data bool) {
	s, led := &c.streams[side], &c.tracker.ledger
	d := s.doubt
	s.doubt = nil
	c.tracker.charge(d, -1)
	n := int64(len(d.data))
	if !data {
		led.Skipped += n
		c.Sides[side].Padding += int32(n)
		if s.fin == d.end {
			s.fin = d.pos
		}
		return
	}
	led.CapturedPayload -= n // data counts it
	c.data(side, d.pos, &Frame{Mark: d.mark, Payload: d.data, Length: len(d.data), Flags: ACK, Ack: d.ack})
}
