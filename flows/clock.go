package flows

import (
	"cmp"
	"slices"
	"time"

	"mapiscope/internal/wire"
)

// pace is the time that expiry goes by. It never runs back and believes no
// single packet: one that is a day ahead would else end every connection, and
// a clock that was set back would keep all of them.
type pace struct {
	clock   int64 // capture time of what is believed
	elapsed int64 // time that passed, ns; only this decides who was silent too long
	running bool
	far     uint8 // packets in a row that lie far from clock
}

// Packets further than leap from each other jump in time; so many in a row
// are believed.
const (
	leap     = int64(time.Minute)
	believed = 3
)

func (p *pace) tick(now int64) {
	d := now - p.clock
	switch {
	case !p.running:
		p.clock, p.running = now, true
	case d >= 0 && d <= leap:
		p.clock, p.far = now, 0
		p.elapsed += d
	case d < 0 && d >= -leap:
		p.far = 0
	default:
		if p.far++; p.far >= believed {
			p.elapsed += max(d, 0)
			p.clock, p.far = now, 0
		}
	}
}

// silent reports whether a connection had no packet for longer than limit. One
// whose latest packet was among those that moved the clock is not.
func (p *pace) silent(c *Conn, limit time.Duration) bool {
	d := p.clock - c.Last.Time
	return p.elapsed-c.seen > int64(limit) && (d > int64(limit) || d < -int64(limit))
}

// ClockStep says that the times of a capture stepped back: in the order of one
// stream, later bytes have an earlier time.
type ClockStep struct {
	Capture int32
	Streams int64         // that show a step, each as often as it does
	First   wire.Mark     // first packet behind a step
	By      time.Duration // largest, at least: time passed between the two packets too
	At      wire.Mark     // the packet behind that one
}

// leastStep is how far times must step back to count. Packets of one queue may
// be stamped a little out of order.
const leastStep = int64(500 * time.Microsecond)

// step notes that new bytes of a stream are earlier by so much than those
// before them.
func (t *Tracker) step(m wire.Mark, by int64) {
	i, ok := slices.BinarySearchFunc(t.steps, m.Capture, func(s ClockStep, capture int32) int { return cmp.Compare(s.Capture, capture) })
	if !ok {
		t.steps = slices.Insert(t.steps, i, ClockStep{Capture: m.Capture, First: m})
	}
	t.steps[i].add(ClockStep{Streams: 1, First: m, By: time.Duration(by), At: m})
}

// add adds what o says of the same capture. Packets are in order of capture,
// whatever their times.
func (s *ClockStep) add(o ClockStep) {
	s.Streams += o.Streams
	if o.First.Packet < s.First.Packet {
		s.First = o.First
	}
	if o.By > s.By || o.By == s.By && o.At.Packet < s.At.Packet {
		s.By, s.At = o.By, o.At
	}
}

// Steps returns where times stepped back so far, one for each capture, in
// order.
func (t *Tracker) Steps() []ClockStep { return slices.Clone(t.steps) }

// MergeSteps joins the steps of several Trackers.
func MergeSteps(a, b []ClockStep) []ClockStep {
	out := slices.Clone(a)
	for _, s := range b {
		i, ok := slices.BinarySearchFunc(out, s.Capture, func(s ClockStep, capture int32) int { return cmp.Compare(s.Capture, capture) })
		if ok {
			out[i].add(s)
		} else {
			out = slices.Insert(out, i, s)
		}
	}
	return out
}
