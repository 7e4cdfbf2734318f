package finding

import (
	"fmt"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
)

// What the times and the order of packets in a capture are worth.

// path names a capture in words.
func (b *judge) path(capture int32) string {
	if i := int(capture); i >= 0 && i < len(b.Captures) {
		return b.Captures[i].Path
	}
	return fmt.Sprintf("capture %d", capture)
}

func earlyOf(c *assoc.Conn) (early [2]*flows.Early) {
	return [2]*flows.Early{c.Flow.Sides[0].Early, c.Flow.Sides[1].Early}
}

// timeless counts the calls of a connection that have no response time, because
// they were answered before they were asked by the times of the capture.
func timeless(c *assoc.Conn) int64 {
	if c.RPC == nil {
		return 0
	}
	return c.RPC.Counts.Backward
}

func withoutTime(calls int64) string {
	if calls == 0 {
		return ""
	}
	return fmt.Sprintf("; calls without a response time for it: %d", calls)
}

func (b *judge) findClockSteps(add func(Text) *Finding) {
	for _, s := range b.Result.Steps {
		calls := int64(0)
		for _, d := range b.Findings.Conns {
			if d.Flow.First.Capture == s.Capture && earlyOf(d.Conn) == [2]*flows.Early{} {
				calls += timeless(d.Conn)
			}
		}
		f := add(say(fmt.Sprintf("%s: times step back by at least %v at packet %d, streams that show a step: %d%s",
			b.path(s.Capture), s.By.Round(time.Microsecond), s.At.Packet, s.Streams, withoutTime(calls))))
		f.proves(s.First)
		f.proves(s.At)
	}
}

// findCaptureOrder tells of connections whose directions were not captured in
// the order in which they happened.
func (b *judge) findCaptureOrder(add func(Text) *Finding) {
	type order struct {
		segments, calls int64
		by              time.Duration
		members         []member
	}
	var captures []int32
	found := make(map[int32]*order)
	for _, d := range b.Findings.Conns {
		for _, e := range earlyOf(d.Conn) {
			if e == nil {
				continue
			}
			o := found[e.Mark.Capture]
			if o == nil {
				o = &order{}
				found[e.Mark.Capture] = o
				captures = append(captures, e.Mark.Capture)
			}
			if n := len(o.members); n == 0 || o.members[n-1].d != d {
				o.members = append(o.members, member{d, e.Mark})
				o.calls += timeless(d.Conn)
			}
			o.segments += e.Segments
			o.by = max(o.by, e.By)
		}
	}
	for _, capture := range captures {
		o := found[capture]
		apart := "their times are in order all the same"
		if o.by > 0 {
			apart = fmt.Sprintf("by up to %v, so the times of the two directions are apart by at least that", o.by.Round(time.Microsecond))
		}
		f := add(say(b.path(capture), ", ", describe(o.members), ": segments captured before what they answer: ", o.segments, ", ", apart, withoutTime(o.calls)))
		for _, x := range o.members {
			f.concerns(x.d, x.m)
		}
	}
}
