package compare

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// TestConversationsByEnds ties legs of two points of which nothing was seen
// but their ends and times, s.
func TestConversationsByEnds(t *testing.T) {
	leg := func(tap pcaps.Tap, first, last int64) *assoc.Conn {
		at := func(s int64) wire.Mark { return wire.Mark{Time: s * 1e9, Packet: s} }
		return &assoc.Conn{Flow: &flows.Conn{Tap: tap, A: netip.MustParseAddrPort("10.1.0.5:4001"), B: netip.MustParseAddrPort("10.2.0.9:59531"), First: at(first), Last: at(last)}}
	}
	reused := func(n int, long bool) (legs []*assoc.Conn) {
		if long {
			legs = append(legs, leg(1, 0, 1e6))
		}
		for i := range int64(n) {
			legs = append(legs, leg(1, 10*i+10, 10*i+15), leg(2, 10*i+11, 10*i+16))
		}
		return legs
	}
	const some = 3 * maxCandidates
	for _, row := range []struct {
		name string
		legs []*assoc.Conn
		want map[int]int // conversations by their legs
	}{
		{"one at two points", []*assoc.Conn{leg(1, 0, 5), leg(2, 1, 6)}, map[int]int{2: 1}},
		{"a second apart", []*assoc.Conn{leg(1, 0, 5), leg(2, 6, 9)}, map[int]int{2: 1}},
		{"near: two seconds apart", []*assoc.Conn{leg(1, 0, 5), leg(2, 7, 9)}, map[int]int{1: 2}},
		{"near: at one point", []*assoc.Conn{leg(1, 0, 5), leg(1, 1, 6)}, map[int]int{1: 2}},
		{"near: two come into question", []*assoc.Conn{leg(1, 0, 9), leg(2, 1, 3), leg(2, 5, 9)}, map[int]int{1: 3}},
		{"a port used again a few times", reused(9, false), map[int]int{2: 9}},
		{"a port used again very often", reused(some, false), map[int]int{2: some}},
	} {
		got := make(map[int]int)
		for _, c := range Conversations(row.legs, nil) {
			got[len(c.Legs)]++
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
	// Where another one may have been open all the time nothing is tied.
	if got := len(Conversations(reused(some, true), nil)); got < 2*some-2*maxCandidates {
		t.Errorf("%d conversations", got)
	}
}

// BenchmarkConversations ties n uses of one port at two points.
func BenchmarkConversations(b *testing.B) {
	for _, n := range []int{1e3, 1e4, 1e5} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var legs []*assoc.Conn
			for i := range n {
				for tap := range pcaps.Tap(2) {
					at := wire.Mark{Time: int64(i)*10e9 + int64(tap), Packet: int64(i)}
					legs = append(legs, &assoc.Conn{Flow: &flows.Conn{Tap: tap + 1, A: netip.MustParseAddrPort("10.1.0.5:4001"), B: netip.MustParseAddrPort("10.2.0.9:59531"), First: at, Last: at}})
				}
			}
			b.ResetTimer()
			for range b.N {
				Conversations(legs, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/conversation")
		})
	}
}
