package document

import (
	"testing"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/pcaps"
)

func TestReduction(t *testing.T) {
	for _, row := range []struct {
		original, optimized int64
		want                *float64
	}{
		{0, 10, nil}, {100, 25, new(75.0)}, {100, 100, new(0.0)}, {100, 300, new(0.0)}, {100, 0, new(100.0)},
	} {
		check(t, row.want, reduction(row.original, row.optimized))
	}
}

func TestClockDifference(t *testing.T) {
	check(t, ClockDifference{Basis: "none"}, clockDifference(&compare.Clock{Offset: 5}))
	c := compare.Clock{Known: true, Offset: 1_500, Spread: 2_499, Delay: 20e6, At: 3e9, Samples: 7, Basis: "calls", Drift: 1.5, DriftSpread: 0.5}
	want := ClockDifference{
		Offset: new(int64(2)), Error: new(int64(2)), Asymmetry: new(int64(20_000)), At: new(stampOf("3")), OneWayDelay: new(int64(20_000)), Samples: 7, Basis: "calls",
	}
	check(t, want, clockDifference(&c))
	c.Drifts = true
	want.Drift, want.DriftError = new(1.5), new(0.5)
	check(t, want, clockDifference(&c))
}

func TestPerPoint(t *testing.T) {
	at := func(p pcaps.Point, n int64) *assoc.Conn {
		c := conn(1000, n, n)
		c.Flow.Point = p
		return c
	}
	number := func(c *assoc.Conn) *int64 { return new(c.Flow.First.Packet) }
	for _, row := range []struct {
		name string
		pair compare.Pair
		want PerPoint[int64]
	}{
		{"said", compare.Pair{Near: at(pcaps.Edge, 1), Far: at(pcaps.Core, 2), WAN: at(pcaps.WAN, 3)}, PerPoint[int64]{Edge: new(int64(1)), Core: new(int64(2)), WAN: new(int64(3))}},
		{"the WAN is the far one", compare.Pair{Near: at(pcaps.Edge, 1), Far: at(pcaps.WAN, 2)}, PerPoint[int64]{Edge: new(int64(1)), WAN: new(int64(2))}},
		{"not said", compare.Pair{Near: at(pcaps.Unknown, 1), Far: at(pcaps.Unknown, 2), WAN: at(pcaps.Unknown, 3)}, PerPoint[int64]{Edge: new(int64(1)), Core: new(int64(2)), WAN: new(int64(3))}},
	} {
		check(t, row.want, perPoint(&row.pair, number))
	}
}

func TestHandshake(t *testing.T) {
	check(t, &Handshake{}, handshake(conn(1000, 1, 2)))
	c := conn(1000, 1, 2)
	c.Flow.SynToSynAck, c.Flow.SynAckToAck = 40*time.Millisecond, 600*time.Nanosecond
	check(t, &Handshake{ToServer: new(int64(40_000)), ToClient: new(int64(1))}, handshake(c))
}

func TestRemarked(t *testing.T) {
	with := func(client, server uint8) *assoc.Conn {
		c := conn(1000, 1, 2)
		c.Flow.Sides = [2]flows.SideStats{{DSCP: client}, {DSCP: server}}
		return c
	}
	for _, row := range []struct {
		name string
		pair compare.Pair
		want bool
	}{
		{"the same", compare.Pair{Near: with(1, 2), Far: with(1, 2)}, false},
		{"at the far point", compare.Pair{Near: with(1, 2), Far: with(1, 3)}, true},
		{"on the WAN alone", compare.Pair{Near: with(1, 2), Far: with(1, 2), WAN: with(0, 2)}, true},
	} {
		if got := remarked(&row.pair); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestPairedCalls(t *testing.T) {
	c := compare.Calls{
		Answered: 10, Unanswered: 1, Remote: compare.Tally{Count: 4, Sum: 400}, Server: compare.Tally{Count: 4, Sum: 40}, Unforwarded: compare.Tally{Count: 1, Sum: 1},
		Prefetched: compare.Tally{Count: 2, Sum: 2}, Waited: compare.Tally{Count: 2, Sum: 5}, Deferred: compare.Tally{Count: 1, Sum: 4}, Originated: 7, OriginatedBytes: 70,
	}
	check(t, PairedCalls{
		Answered: 10, Unanswered: 1, Remote: &RemoteCalls{Count: 4, Avg: new(int64(100)), ServerAvg: new(int64(10))},
		Local:      &LocalCalls{Count: 6, Avg: new(int64(2)), Unforwarded: 1, Prefetched: 2, Waited: 2, Deferred: 1},
		Originated: new(int64(7)), OriginatedData: new(int64(70)), TimeSaved: new(int64(588)), Quality: Exact, Why: "questions matched between both captures",
	}, pairedCalls(&c, false, false))
	check(t, PairedCalls{Answered: 10, Unanswered: 1, Quality: Unavailable, Why: "a capture lost a part of the connection: a question without a counterpart says nothing"}, pairedCalls(&c, true, false))
}
