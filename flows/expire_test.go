package flows

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

// endTold tells when its connection ends.
type endTold struct {
	recorder
	told func()
}

func (e *endTold) End(wire.Mark) { e.told() }

// TestExpiry: who ends when a connection was silent too long, or when the
// table is full, by the order of the scene's connections.
func TestExpiry(t *testing.T) {
	type step struct {
		at    time.Duration
		conn  int
		back  bool // from the server
		flags uint8
	}
	open := func(conn int, at time.Duration) []step {
		return []step{{at, conn, false, SYN}, {at, conn, true, SYN | ACK}, {at, conn, false, ACK}}
	}
	shut := func(conn int, at time.Duration) []step {
		return []step{{at, conn, false, FIN | ACK}, {at, conn, true, FIN | ACK}}
	}
	join := func(steps ...[]step) (out []step) {
		for _, s := range steps {
			out = append(out, s...)
		}
		return out
	}
	syn := func(conn int, at time.Duration) []step { return []step{{at: at, conn: conn, flags: SYN}} }
	eager := DefaultLimits()
	eager.Eager = true
	full := DefaultLimits()
	full.Connections = 3
	tests := []struct {
		name   string
		limits Limits
		steps  []step
		ended  []int // before the end of the capture, in order
		want   Stats
	}{
		{"silence of three hours in a small capture", DefaultLimits(), join(open(1, 0), open(2, 3*time.Hour)), nil, Stats{Connections: 2}},
		{"silence of three hours", eager, join(open(1, 0), open(2, 3*time.Hour)), []int{1}, Stats{Connections: 2, Expired: 1}},
		{"silence of two hours", eager, join(open(1, 0), open(2, 2*time.Hour)), nil, Stats{Connections: 2}},
		{"a SYN without an answer", eager, join(syn(1, 0), open(2, 0), open(3, 6*time.Minute)), []int{1}, Stats{Connections: 3, Expired: 1}},
		{"one packet a day ahead", eager, join(open(1, 0), open(2, 0), syn(3, 24*time.Hour), open(4, time.Second), shut(1, 2*time.Second), open(5, 3*time.Second)), nil, Stats{Connections: 5}},
		{"a clock set back by a day", eager, join(open(1, 24*time.Hour), open(2, time.Minute), open(3, time.Minute+3*time.Hour)), []int{1, 2}, Stats{Connections: 3, Expired: 2}},
		{"a SYN that comes again", eager, join(syn(1, 0), syn(1, time.Minute), syn(1, 3*time.Minute), open(2, 6*time.Minute)), nil, Stats{Connections: 2}},
		{"closed is no loss", eager, join(open(1, 0), shut(1, 1), open(2, 3*time.Minute)), []int{1}, Stats{Connections: 2}},
		{"a full table ends closed ones first", full, join(open(1, 0), syn(2, 0), open(3, 0), shut(3, 1), open(4, 2)), []int{3}, Stats{Connections: 4, Evicted: 1}},
		{"then half-open ones", full, join(open(1, 0), syn(2, 0), syn(3, 0), open(4, 2), open(5, 3)), []int{2, 3}, Stats{Connections: 5, Evicted: 2}},
		{"then the one silent longest", full, join(open(1, 0), open(2, 0), open(3, 0), open(1, 1), open(4, 2)), []int{2}, Stats{Connections: 4, Evicted: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ended []int
			tr := NewTracker(tt.limits, func(c *Conn) Handler {
				port := c.A.Port() - 40000
				return &endTold{recorder: recorder{t: t}, told: func() { ended = append(ended, int(port)) }}
			})
			for i, s := range tt.steps {
				f := Frame{
					Src: netip.MustParseAddrPort(fmt.Sprintf("10.0.0.1:%d", 40000+s.conn)), Dst: serverEnd, Flags: s.flags, Seq: 100, Ack: 500,
				}
				if s.back {
					f.Src, f.Dst, f.Seq, f.Ack = f.Dst, f.Src, 499, 101
				}
				if s.flags&SYN == 0 {
					f.Seq++
				}
				f.Time, f.Packet = int64(s.at), int64(i+1)
				tr.Segment(&f)
			}
			if diff := cmp.Diff(tt.ended, ended); diff != "" {
				t.Errorf("ended (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, tr.Stats()); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
		})
	}
}
