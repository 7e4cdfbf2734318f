package flows

import "mapiscope/internal/wire"

// Packets that the capture holds twice. What mirrors a packet keeps its IP
// identification, and a retransmission has another (see numbered). IPv6 has
// none, and many hosts put 0 into that of IPv4 (RFC 6864 4.1): there the bytes
// must be the same, and so soon that no timer can have sent them again.

// soonestRepeat is sooner than any timer repeats a segment: they start at
// 200 ms, those of the tail loss probe at 10 ms (RFC 8985 7.2). What comes
// sooner are retransmissions that duplicate acknowledgements asked for, which
// on a LAN take less than this.
const soonestRepeat = 1_000_000

// print is what identical packets have in common, and when one came. The
// checksum stands for the options and the payload.
type print struct {
	numbers uint64 // sequence and acknowledgement
	rest    uint64
	at      int64 // capture time
}

func (f *Frame) print() print {
	return print{
		uint64(f.Seq)<<32 | uint64(f.Ack),
		uint64(f.Window)<<48 | uint64(f.Sum)<<32 | uint64(f.Flags)<<24 | uint64(f.TTL)<<16 | uint64(uint16(f.Length)), f.Time,
	}
}

// remember notes a packet for numbered and identical.
func (s *stream) remember(f *Frame) {
	s.recent[s.recentPos%uint8(len(s.recent))] = f.ID
	if f.ID == 0 {
		if s.prints == nil {
			s.prints = new([8]print)
		}
		s.prints[s.recentPos%uint8(len(s.prints))] = f.print()
	}
	s.recentPos++
}

// identical returns when a packet like f, which has no identification, came
// that f is too close behind to be a repetition.
func (s *stream) identical(f *Frame) (at int64, ok bool) {
	if f.ID != 0 || s.prints == nil {
		return 0, false
	}
	like := f.print()
	for i := range s.prints {
		if p := &s.prints[i]; p.numbers == like.numbers && p.rest == like.rest && f.Time-p.at < soonestRepeat && p.at-f.Time < soonestRepeat {
			return p.at, true
		}
	}
	return 0, false
}

// mirrored reports whether f, which brings nothing new, is a packet captured
// before, once more: one with its identification was, or one like it, and the
// other side asked for no repetition since.
func (c *Conn) mirrored(f *Frame, side wire.Side) bool {
	s := &c.streams[side]
	if s.numbered(f) {
		return true
	}
	at, ok := s.identical(f)
	return ok && c.streams[side.Other()].dupAckAt < at
}

// repeatsAck notes an acknowledgement that says what the one before it said:
// the way to ask for a repetition (RFC 5681 2). A copy of the one before is
// none; without an identification that is known only once the capture has
// shown other copies.
func (c *Conn) repeatsAck(f *Frame, side wire.Side) {
	s, o := &c.streams[side], &c.streams[side.Other()]
	if f.Ack != o.base+uint32(o.acked) || !o.confirmed || o.top <= o.acked {
		return
	}
	if f.ID != 0 && s.numbered(f) {
		return
	}
	if _, ok := s.identical(f); ok && c.Sides[0].Copies+c.Sides[1].Copies > 0 {
		return
	}
	s.dupAckAt = f.Time
}
