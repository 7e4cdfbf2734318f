package verdict

import (
	"testing"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// TestTiming: what answers and acknowledgements that come too soon say on a
// LAN.
func TestTiming(t *testing.T) {
	near := []pcaptest.Option{pcaptest.SplitTCP(300 * time.Microsecond)}
	server := []pcaptest.Option{pcaptest.Near(pcaptest.Server)}
	remote := func(c *pcaptest.Conn, asked, granted uint32, n int) *pcaptest.Conn {
		r := bind(c, pcaptest.EMSMDB, asked, granted)
		for range n {
			request, response := poll()
			r.slow(pcaptest.OpEcDoRpcExt2, 45*ms, request, response)
		}
		return r.c
	}
	view := func(v *Verdicts) []string { return append(evidenceOf(v), verdictsOf(v)...) }
	check(t, []row{
		{name: "data is acknowledged next door", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000, 8).Close()
		}, want: []string{
			"4001 edge optimized [early_ack/heuristic@5]",
			"4001 optimized heuristic: data of the client is acknowledged after 310µs at best, over 9 segments, where the handshake needed 40.01ms: TCP is split on the path",
			"1 0x2000 unknown [4001] creator",
			"  what one capture point shows hints at an optimizer, or another proxy, on every connection, and does not prove it",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "five segments are enough", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000, 4).Close()
		}, want: []string{
			"4001 edge optimized [early_ack/heuristic@5]",
			"4001 optimized heuristic: data of the client is acknowledged after 310µs at best, over 5 segments, where the handshake needed 40.01ms: TCP is split on the path",
			"1 0x2000 unknown [4001] creator",
			"  what one capture point shows hints at an optimizer, or another proxy, on every connection, and does not prove it",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "near: four are not", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000, 3).Close()
		}, want: []string{
			"4001 edge unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: half of the way", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, rtt(9*ms), []pcaptest.Option{pcaptest.SplitTCP(4600 * time.Microsecond)}), 0, 0x2000, 8).Close()
		}, want: []string{
			"4001 edge unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "less than half of the way", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, rtt(9*ms), []pcaptest.Option{pcaptest.SplitTCP(4400 * time.Microsecond)}), 0, 0x2000, 8).Close()
		}, want: []string{
			"4001 edge optimized [early_ack/heuristic@5]",
			"4001 optimized heuristic: data of the client is acknowledged after 4.41ms at best, over 9 segments, where the handshake needed 9.01ms: TCP is split on the path",
			"1 0x2000 unknown [4001] creator",
			"  what one capture point shows hints at an optimizer, or another proxy, on every connection, and does not prove it",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "near: no WAN in the handshake", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, rtt(4*ms), near), 0, 0x2000, 8).Close()
		}, want: []string{
			"4001 unknown unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: acknowledged from behind a WAN", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, rtt(100*ms), []pcaptest.Option{pcaptest.SplitTCP(6 * ms)}), 0, 0x2000, 8).Close()
		}, want: []string{
			"4001 edge optimized proven [local_answers/heuristic@10]",
			"4001 optimized heuristic proven: 8 answers came sooner than the server can give them, 100.01ms away by the handshake",
			"1 0x2000 whole [4001] creator",
			"  its one connection passed the optimizer pair",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "the same near the server", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, onWAN(), server, near), 0, 0x2000, 8).Close()
		}, want: []string{
			"4001 core optimized [early_ack/heuristic@7]",
			"4001 optimized heuristic: data of the server is acknowledged after 310µs at best, over 9 segments, where the handshake needed 40.01ms: TCP is split on the path",
			"1 0x2000 unknown [4001] creator",
			"  what one capture point shows hints at an optimizer, or another proxy, on every connection, and does not prove it",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "near: a server next door answers at once", build: func(s *pcaptest.Scene) {
			mail(dial(s, 4001, mdb, onWAN(), server), 0, 0x2000).polls(8).c.Close()
		}, want: []string{
			"4001 core unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: one handshake waited, another did not", build: func(s *pcaptest.Scene) {
			dial(s, 4000, mdb, rtt(ms)).Client(noise(10, 1)).Close()
			remote(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000, 8).Close()
		}, want: []string{
			"4000 unknown unknown []",
			"4001 unknown unknown []",
			"4000 unknown unavailable",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "answers that no server can give", build: func(s *pcaptest.Scene) {
			bind(dial(s, 4001, mdb, onWAN(), near), pcaptest.EMSMDB, 0, 0x2000).polls(3).c.Close()
		}, want: []string{
			"4001 edge optimized proven [local_answers/heuristic@10]",
			"4001 optimized heuristic proven: 3 answers came sooner than the server can give them, 40.01ms away by the handshake",
			"1 0x2000 whole [4001] creator",
			"  its one connection passed the optimizer pair",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "near: two of them", build: func(s *pcaptest.Scene) {
			bind(dial(s, 4001, mdb, onWAN(), near), pcaptest.EMSMDB, 0, 0x2000).polls(2).c.Close()
		}, want: []string{
			"4001 edge unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: a later handshake shows that the first one waited", build: func(s *pcaptest.Scene) {
			bind(dial(s, 4001, mdb, onWAN(), near), pcaptest.EMSMDB, 0, 0x2000).polls(4).c.Close()
			bind(dial(s, 4002, mdb, rtt(ms)), pcaptest.EMSMDB, 0, 0x2001).polls(1).c.Close()
		}, want: []string{
			"4001 unknown unknown []",
			"4002 unknown unknown []",
			"4001 unknown unavailable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"2 0x2001 unknown [4002] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: on the WAN times tell nothing", from: oneFile(pcaps.WAN), build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000, 8).Close()
		}, want: []string{
			"4001 wan unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "early, and the option of the peer", build: func(s *pcaptest.Scene) {
			remote(dial(s, 4001, mdb, onWAN(), near, []pcaptest.Option{pcaptest.SynAckOptions(waasOption(2)...)}), 0, 0x2000, 8).Close()
		}, want: []string{
			"4001 edge optimized proven cisco_waas 00:14:5e:00:00:02 [synack_option/heuristic@2 rpc_readable/heuristic@4 early_ack/heuristic@5]",
			"4001 optimized heuristic proven: data of the client is acknowledged after 310µs at best, over 9 segments, where the handshake needed 40.01ms: TCP is split on the path",
			"1 0x2000 whole [4001] creator",
			"  its one connection passed the optimizer pair",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "one of a group is split, one is not", build: func(s *pcaptest.Scene) {
			a := remote(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000, 8)
			remote(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000, 8).Close()
			a.Close()
		}, want: []string{
			"4001 edge optimized [early_ack/heuristic@5]",
			"4002 edge pass_through [late_ack/heuristic@44]",
			"4001 optimized heuristic: data of the client is acknowledged after 310µs at best, over 9 segments, where the handshake needed 40.01ms: TCP is split on the path",
			"4002 pass_through heuristic: data of the client is acknowledged after 40.01ms at best, over 9 segments, as late as the server itself can do it, while other connections between these hosts are acknowledged early",
			"1 0x2000 unknown [4001 4002] creator possible [4002]",
			"  the timing of 1 of 2 connections looks like an optimizer and that of 1 does not: a hint, no proof",
			"  unproven: one connection may have escaped: its timing is that of a connection that no device splits, and other connections of its group are split near by",
			"possible heuristic: one EMSMDB connection may have escaped",
		}},
		{name: "a late handshake and one late segment", build: func(s *pcaptest.Scene) {
			a := remote(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000, 8)
			dial(s, 4002, mdb, onWAN(), []pcaptest.Option{pcaptest.AckEvery(0)}).Client(noise(20, 1)).Close()
			a.Close()
		}, want: []string{
			"4001 edge optimized [early_ack/heuristic@5]",
			"4002 edge pass_through [late_ack/heuristic@41]",
			"4001 optimized heuristic: data of the client is acknowledged after 310µs at best, over 9 segments, where the handshake needed 40.01ms: TCP is split on the path",
			"4002 pass_through heuristic: the SYN is answered after 40.01ms and data acknowledged no sooner, as only the server itself does it, while TCP of other connections between these hosts is split near by",
			"1 0x2000 unknown [4001] creator",
			"  what one capture point shows hints at an optimizer, or another proxy, on every connection, and does not prove it",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "one handshake is answered next door, one is not", build: func(s *pcaptest.Scene) {
			a := remote(dial(s, 4001, mdb, rtt(42*time.Microsecond)), 0, 0x2000, 8)
			remote(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000, 8).Close()
			a.Close()
		}, want: []string{
			"4001 edge optimized [local_handshake/heuristic@2]",
			"4002 edge pass_through [late_ack/heuristic@44]",
			"4001 optimized heuristic: the SYN is answered after 52µs, where others between these hosts wait 40.01ms: TCP is split on the path",
			"4002 pass_through heuristic: data of the client is acknowledged after 40.01ms at best, over 9 segments, as late as the server itself can do it, while other connections between these hosts are acknowledged early",
			"1 0x2000 unknown [4001 4002] creator possible [4002]",
			"  the timing of 1 of 2 connections looks like an optimizer and that of 1 does not: a hint, no proof",
			"  unproven: one connection may have escaped: its timing is that of a connection that no device splits, and other connections of its group are split near by",
			"possible heuristic: one EMSMDB connection may have escaped",
		}},
		{name: "near: next door is a tenth of the way at most", build: func(s *pcaptest.Scene) {
			a := remote(dial(s, 4001, mdb, rtt(4500*time.Microsecond)), 0, 0x2000, 8)
			remote(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000, 8).Close()
			a.Close()
		}, want: []string{
			"4001 edge unknown []",
			"4002 edge unknown []",
			"4001 unknown unavailable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of 2 connections of 2 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: both are split", build: func(s *pcaptest.Scene) {
			a := remote(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000, 8)
			remote(dial(s, 4002, mdb, onWAN(), near), 0x2000, 0x2000, 8).Close()
			a.Close()
		}, want: []string{
			"4001 edge optimized [early_ack/heuristic@5]",
			"4002 edge optimized [early_ack/heuristic@44]",
			"4001 optimized heuristic: data of the client is acknowledged after 310µs at best, over 9 segments, where the handshake needed 40.01ms: TCP is split on the path",
			"4002 optimized heuristic: data of the client is acknowledged after 310µs at best, over 9 segments, where the handshake needed 40.01ms: TCP is split on the path",
			"1 0x2000 unknown [4001 4002] creator",
			"  what one capture point shows hints at an optimizer, or another proxy, on every connection, and does not prove it",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
	}, view)
}

// TestTimingBounds: the guards of the timing tests at their edges.
func TestTimingBounds(t *testing.T) {
	const wan = 5 * ms // assoc.MinWANRoundTrip
	for _, row := range []struct {
		name  string
		trip  trip
		leg   *assoc.Conn
		local int64
		want  Path
	}{
		{"early", trip{40 * ms, ms}, legAt(acks(0, 5, ms)), 0, Optimized},
		{"four samples", trip{40 * ms, ms}, legAt(acks(0, 4, ms)), 0, PathUnknown},
		{"just below a WAN", trip{40 * ms, ms}, legAt(acks(0, 5, wan-1)), 0, Optimized},
		{"a WAN", trip{40 * ms, ms}, legAt(acks(0, 5, wan)), 0, PathUnknown},
		{"just below half of the way", trip{8 * ms, 1}, legAt(acks(0, 5, 4*ms-1)), 0, Optimized},
		{"half of the way", trip{8 * ms, 1}, legAt(acks(0, 5, 4*ms)), 0, PathUnknown},
		{"not near the client", trip{40 * ms, 8 * ms}, legAt(acks(0, 5, ms)), 0, PathUnknown},
		{"the server's side", trip{ms, 40 * ms}, legAt(acks(1, 5, ms)), 0, Optimized},
		{"the other side's", trip{ms, 40 * ms}, legAt(acks(0, 5, ms)), 0, PathUnknown},
		{"local answers over a WAN", trip{wan, 1}, legAt(), 3, Optimized},
		{"two local answers", trip{wan, 1}, legAt(), 2, PathUnknown},
		{"local answers over no WAN", trip{wan - 1, 1}, legAt(), 3, PathUnknown},
	} {
		row.leg.Local.Count = row.local
		j := &judge{trips: map[hostsAt]trip{hostsOf(row.leg): row.trip}}
		l := &Leg{Conn: row.leg, Path: PathUnknown}
		if j.timing(row.leg, l); l.Path != row.want {
			t.Errorf("%s: %s", row.name, l.Path)
		}
	}
}

// TestContrastBounds: the same of what connections between two hosts say of
// each other.
func TestContrastBounds(t *testing.T) {
	const wan = 5 * ms
	handshake := func(f *flows.Conn) {
		f.Sides[0].Syn, f.Sides[1].Syn = wire.Mark{Packet: 1, Time: 1}, wire.Mark{Packet: 2, Time: 2}
	}
	split := func() *assoc.Conn { return legAt(handshake, trips(40*ms, ms), acks(0, 5, ms)) }
	for _, row := range []struct {
		name       string
		one, other *assoc.Conn
		early      bool // of one
		want       [2]Path
	}{
		{"one early, one late", split(), legAt(handshake, trips(40*ms, ms), acks(0, 5, 40*ms)), true, [2]Path{Optimized, PassThrough}},
		{"nine tenths of the way", split(), legAt(trips(40*ms, ms), acks(0, 5, 36*ms)), true, [2]Path{Optimized, PassThrough}},
		{"not quite", split(), legAt(acks(0, 5, 36*ms-1)), true, [2]Path{Optimized, PathUnknown}},
		{"five samples", split(), legAt(acks(0, 5, 40*ms)), true, [2]Path{Optimized, PassThrough}},
		{"four samples", split(), legAt(acks(0, 4, 40*ms)), true, [2]Path{Optimized, PathUnknown}},
		{"none is split", split(), legAt(acks(0, 5, 40*ms)), false, [2]Path{PathUnknown, PathUnknown}},
		{"answered next door", legAt(handshake, trips(4*ms-1, ms)), legAt(handshake, trips(40*ms, ms), acks(0, 5, 40*ms)), false, [2]Path{Optimized, PassThrough}},
		{"answered at a tenth of the way", legAt(handshake, trips(4*ms, ms)), legAt(handshake, trips(40*ms, ms), acks(0, 5, 40*ms)), false, [2]Path{PathUnknown, PathUnknown}},
		{"answered at almost a WAN", legAt(handshake, trips(wan-1, ms)), legAt(handshake, trips(100*ms, ms), acks(0, 5, 100*ms)), false, [2]Path{Optimized, PassThrough}},
		{"answered at a WAN", legAt(handshake, trips(wan, ms)), legAt(handshake, trips(100*ms, ms), acks(0, 5, 100*ms)), false, [2]Path{PathUnknown, PathUnknown}},
		{"the way is just a WAN", legAt(handshake, trips(1, ms)), legAt(handshake, trips(wan, ms)), false, [2]Path{Optimized, PathUnknown}},
		{"the way is almost a WAN", legAt(handshake, trips(1, ms)), legAt(handshake, trips(wan-1, ms)), false, [2]Path{PathUnknown, PathUnknown}},
	} {
		conns := []*assoc.Conn{row.one, row.other}
		j := &judge{trips: roundTrips(conns), legs: map[*assoc.Conn]*Leg{}}
		for i, c := range conns {
			j.legs[c] = &Leg{Conn: c, Path: PathUnknown}
			if i == 0 && row.early {
				j.legs[c].Path = Optimized
				j.legs[c].note(EarlyAck, "", Heuristic, wire.Mark{})
			}
		}
		j.contrast(conns)
		if got := [2]Path{j.legs[row.one].Path, j.legs[row.other].Path}; got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}
