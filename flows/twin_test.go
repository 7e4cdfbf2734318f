package flows

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTwinsCountOnce shows a connection by two interfaces of one capture
// point: what the second one shows again is a copy, whatever it looks like.
func TestTwinsCountOnce(t *testing.T) {
	type result struct {
		Bytes, Packets, Copies, Twins, Retransmitted int64
		Legs                                         bool
		Delivered, Duplicate                         int64
	}
	for _, tt := range []struct {
		name string
		copy bool
		want result
	}{
		{"copies", true, result{Bytes: 10, Packets: 8, Copies: 4, Twins: 4, Delivered: 10, Duplicate: 10}},
		{"not known to be copies", false, result{Bytes: 10, Packets: 8, Retransmitted: 2, Delivered: 10, Duplicate: 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tap := newTap(t, DefaultLimits())
			for i, f := range []Frame{
				{Seq: 99, Flags: SYN}, {Seq: 100, Flags: ACK},
				{Seq: 100, Flags: ACK | PSH, Payload: []byte("01234"), Length: 5}, {Seq: 105, Flags: ACK | PSH, Payload: []byte("56789"), Length: 5},
			} {
				f.Src, f.Dst, f.Tap = clientEnd, serverEnd, 1
				for again := range 2 {
					f.Time, f.Packet, f.Capture = int64(2e9)*int64(i)+1e9*int64(again), int64(i+1), int32(again)
					f.Copy = again == 1 && tt.copy
					tap.tracker.Segment(&f)
				}
			}
			conn, led := tap.conn, tap.tracker.Ledger()
			tap.tracker.Flush()
			s := &conn.Sides[0]
			got := result{s.Bytes, s.Packets, s.Copies, s.Twins, s.Retransmitted, conn.Root != nil, led.Delivered, led.Duplicate}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
