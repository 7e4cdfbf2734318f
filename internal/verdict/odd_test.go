package verdict

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// TestOddFacts: whatever a job hands over, the judgement goes through.
func TestOddFacts(t *testing.T) {
	judge := func(f Facts) *Verdicts {
		if f.Dir == nil {
			f.Dir = assoc.NewDirectory(f.Result)
		}
		return Judge(f)
	}
	t.Run("nothing at all", func(t *testing.T) {
		v := judge(Facts{Result: new(assoc.Result)})
		if v.Escape.State != StateNoMAPI || len(v.Conversations)+len(v.Groups)+len(v.Points) > 0 {
			t.Errorf("%+v", v.Escape)
		}
	})
	t.Run("asked to compare nothing", func(t *testing.T) {
		job := compare.NewJob(pcaps.Edge, pcaps.Core)
		v := judge(Facts{Result: new(assoc.Result), Compare: job.Finish(nil, nil), Asked: true})
		if !v.Compared.Unrelated {
			t.Errorf("%+v", v.Compared)
		}
	})
	t.Run("a connection of which only addresses are known", func(t *testing.T) {
		c := &assoc.Conn{Flow: &flows.Conn{Tap: 1, A: netip.MustParseAddrPort("10.1.0.5:4001"), B: netip.MustParseAddrPort(mdb)}}
		v := judge(Facts{Result: &assoc.Result{Conns: []*assoc.Conn{c}}})
		if len(v.Conversations) != 1 || v.Leg(c).Path != PathUnknown {
			t.Errorf("%+v", v.Conversations)
		}
	})
	t.Run("bounds let go of all that one point shows", func(t *testing.T) {
		f := build(t, func(s *pcaptest.Scene) { mail(whole(s, 4001), 0, 0x2000).c.Close() }, twoFiles(pcaps.Edge, pcaps.Core))
		if len(f.Compare.Pairs) != 1 {
			t.Fatal("no pair")
		}
		f.Result.Conns = slices.DeleteFunc(f.Result.Conns, func(c *assoc.Conn) bool { return c == f.Compare.Pairs[0].Far })
		v := Judge(f)
		if len(v.Conversations) != 1 || v.Escape.State == StateNone {
			t.Errorf("%+v", v.Escape)
		}
	})
	t.Run("everything twice, and while it goes on", func(t *testing.T) {
		// A Snapshot may be judged again and again: nothing is written to facts.
		f := build(t, func(s *pcaptest.Scene) {
			mail(dial(s, 4001, mdb, onWAN(), jumped(1, 2)), 0, 0x2000)
			mail(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000)
		}, oneFile())
		if diff := cmp.Diff(verdictsOf(Judge(f)), verdictsOf(Judge(f))); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSameEveryTime: nothing rests on the order of a map.
func TestSameEveryTime(t *testing.T) {
	f := build(t, func(s *pcaptest.Scene) {
		for i := range 12 {
			client := fmt.Sprintf("10.1.0.%d", i%5+1)
			a := tunnel(s.Dial(fmt.Sprintf("%s:%d", client, 4000+i), mdb, opts(onWAN(), jumped(byte(i%3), 9))...), 1)
			mail(s.Dial(fmt.Sprintf("%s:%d", client, 5000+i), mdb, onWAN()...), uint32(0x2000+i%4), uint32(0x2000+i%4)).c.Close()
			if i%2 == 0 {
				a.Close()
			}
		}
	}, oneFile())
	view := func() []string {
		v := Judge(f)
		return slices.Concat(pointsOf(v), verdictsOf(v), evidenceOf(v))
	}
	first := view()
	for range 20 {
		if diff := cmp.Diff(first, view()); diff != "" {
			t.Fatal(diff)
		}
	}
}

// TestThreePoints: each point is held against each other one in one order.
func TestThreePoints(t *testing.T) {
	s := pcaptest.New(start())
	for _, name := range []string{"edge", "middle", "core"} {
		s.Tap(name, pcaps.LinkEthernet, 0)
	}
	for port := range uint16(3) {
		c := s.Dial(fmt.Sprintf("%s:%d", outlook, 4001+port), mdb, pcaptest.On(0), pcaptest.RTT(2*way+time.Millisecond), pcaptest.ISNs(uint32(port)*1000, uint32(port)*3000),
			pcaptest.TTL(128, 125), pcaptest.Again(pcaptest.On(1), pcaptest.Lag(way/2, -way/2), pcaptest.TTL(127, 126)),
			pcaptest.Again(pcaptest.On(2), pcaptest.Lag(way, -way), pcaptest.TTL(125, 128)))
		mail(c, 0, 0x2000+uint32(port)).c.Close()
	}
	v := Judge(gather(t, s, source{taps: [][]int{{0}, {1}, {2}}}))
	want := []string{"1 said unknown place edge inferred", "2 said unknown place unknown", "3 said unknown place core inferred"}
	if diff := cmp.Diff(want, pointsOf(v)); diff != "" || len(v.Conversations) != 3 || len(v.Conversations[0].Legs) != 3 {
		t.Errorf("%d conversations (-want +got):\n%s", len(v.Conversations), diff)
	}
	if diff := cmp.Diff([]int{-1, 0, 1, -1, 1}, []int{
		byTaps(compare.Taps{Near: 1, Far: 5}, compare.Taps{Near: 2, Far: 3}), byTaps(compare.Taps{Near: 1, Far: 5}, compare.Taps{Near: 1, Far: 5}),
		byTaps(compare.Taps{Near: 2, Far: 3}, compare.Taps{Near: 1, Far: 5}), byTaps(compare.Taps{Near: 1, Far: 2}, compare.Taps{Near: 1, Far: 3}),
		byTaps(compare.Taps{Near: 1, Far: 3}, compare.Taps{Near: 1, Far: 2}),
	}); diff != "" {
		t.Error(diff)
	}
}

// TestFarClocks: the clock of a point is what most round trips tell of it.
func TestFarClocks(t *testing.T) {
	clock := func(n int, offset int64) compare.Clock { return compare.Clock{Known: true, Samples: n, Offset: offset} }
	r := &compare.Result{Clocks: map[compare.Taps]compare.Clock{
		{Near: 1, Far: 3}: clock(2, 10), {Near: 2, Far: 3}: clock(5, 20), {Near: 4, Far: 3}: clock(5, 30), {Near: 1, Far: 2}: {Samples: 9},
	}}
	want := map[pcaps.Tap]compare.Clock{3: clock(5, 20)}
	if diff := cmp.Diff(want, farClocks(r)); diff != "" {
		t.Error(diff)
	}
	if len(farClocks(nil)) != 0 {
		t.Error("a clock of nothing")
	}
}

// TestGrowth: when an escape looks like an overload.
func TestGrowth(t *testing.T) {
	at := func(n int64) wire.Mark { return wire.Mark{Time: n, Packet: n} }
	plain := func(n int64) *Conversation { return &Conversation{Main: &assoc.Conn{Flow: &flows.Conn{First: at(n)}}} }
	for _, row := range []struct {
		name          string
		starts, stops []int64
		plain         []wire.Mark
		want          *Growth
	}{
		{"three held, three plain", []int64{1, 2, 3}, []int64{90, 91, 92}, []wire.Mark{at(10), at(11), at(12)}, &Growth{Optimized: 3, Plain: 3, Mark: at(10), Last: at(12)}},
		{"what was plain before does not count", []int64{1, 2, 3}, []int64{90, 91, 92}, []wire.Mark{at(5), at(10), at(11)}, nil},
		{"two held", []int64{2, 3}, []int64{90, 91}, []wire.Mark{at(10), at(11), at(12)}, nil},
		{"one of the held was over", []int64{1, 2, 3}, []int64{9, 91, 92}, []wire.Mark{at(10), at(11), at(12)}, nil},
		{"one more afterwards", []int64{1, 2, 3, 11}, []int64{90, 91, 92, 93}, []wire.Mark{at(10), at(11), at(12)}, nil},
		{"one more at that moment", []int64{1, 2, 3, 10}, []int64{90, 91, 92, 93}, []wire.Mark{at(10), at(11), at(12)}, nil},
		{"none held", nil, nil, []wire.Mark{at(10), at(11), at(12)}, nil},
	} {
		g := &growths{starts: row.starts, stops: row.stops, plain: row.plain}
		if diff := cmp.Diff(row.want, g.of([]*Conversation{plain(12), plain(10)})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
	if got := later(at(3), at(2)); got != at(3) || later(at(2), at(3)) != at(3) {
		t.Errorf("%v", got)
	}
}
