package verdict

import (
	"slices"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// TestTwoPoints: what two captures of one connection say of what lies between,
// and of the places themselves.
func TestTwoPoints(t *testing.T) {
	edgeAndCore := twoFiles(pcaps.Edge, pcaps.Core)
	found := source{taps: [][]int{{0}, {1}}} // nobody said where they were taken
	view := func(v *Verdicts) []string { return slices.Concat(pointsOf(v), evidenceOf(v), verdictsOf(v)) }
	check(t, []row{
		{name: "nothing between", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge pass_through proven [paired/exact@1]",
			"4001 core pass_through proven [paired/exact@1]",
			"4001 pass_through exact proven: the same bytes in the same sequence space, acknowledged from end to end",
			"1 0x2000 unknown [4001] creator clear",
			"  no captured connection passed an optimizer",
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
		}},
		{name: "nothing between, places not said", from: found, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said unknown place edge inferred",
			"2 said unknown place core inferred",
			"4001 edge pass_through proven [paired/exact@1]",
			"4001 core pass_through proven [paired/exact@1]",
			"4001 pass_through exact proven: the same bytes in the same sequence space, acknowledged from end to end",
			"1 0x2000 unknown [4001] creator clear",
			"  no captured connection passed an optimizer",
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
		}},
		{name: "edge and core given in the wrong order", from: source{taps: [][]int{{1}, {0}}, said: []pcaps.Point{pcaps.Edge, pcaps.Core}, asked: true}, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said core place edge inferred, likely edge: the clients answer at once and without a hop between, the servers late",
			"2 said edge place core inferred, likely core: the servers answer at once and without a hop between, the clients late",
			"4001 core unknown []",
			"4001 edge unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the packets contradict what was said of the capture points",
			"not_assessable exact: the packets contradict what was said of the capture points",
		}},
		{name: "one capture as both points", from: source{taps: [][]int{{0}, {0}}, said: []pcaps.Point{pcaps.Edge, pcaps.Core}, asked: true}, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said edge place edge, likely unknown: both capture points show the same packets in the same spacing: they are one same as [2]",
			"2 said core place edge inferred, likely edge: both capture points show the same packets in the same spacing: they are one same as [1]",
			"4001 edge unknown []",
			"4001 edge unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the packets contradict what was said of the capture points",
			"not_assessable exact: the packets contradict what was said of the capture points",
		}},
		{name: "one capture twice, places not said", from: source{taps: [][]int{{0}, {0}}}, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said unknown place edge inferred",
			"4001 edge unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "two unrelated captures", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			mail(s.Dial("10.1.0.5:4001", mdb, pcaptest.On(0), pcaptest.RTT(2*way)), 0, 0x2000).c.Close()
			mail(s.Dial("10.9.0.5:4001", "10.8.0.9:59531", pcaptest.On(1), pcaptest.ISNs(5, 6)), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge optimized [paired/heuristic@1]",
			"4001 core optimized [paired/heuristic@1]",
			"4001 optimized heuristic: the calls at the two points differ, if they show one connection: both its ends have other addresses there",
			"1 0x2000 unknown [4001] creator",
			"  what two capture points show hints at an optimizer, or another proxy, on every connection, and does not prove it",
			"  unproven: what two capture points show of its connections hints at their path and does not prove it",
			"not_assessable exact: what two capture points show of its connections hints at their path and does not prove it",
		}},
		{name: "both captured at the clients", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			c := s.Dial("10.1.0.5:4001", mdb, pcaptest.On(0), pcaptest.RTT(2*way), pcaptest.TTL(128, 126),
				pcaptest.Again(pcaptest.On(1), pcaptest.Lag(400*time.Microsecond, -400*time.Microsecond), pcaptest.TTL(128, 126)))
			mail(c, 0, 0x2000).c.Close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place edge inferred, likely edge: the clients answer at once and without a hop between, the servers late",
			"4001 edge unknown []",
			"4001 edge unknown []",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the packets contradict what was said of the capture points",
			"not_assessable exact: the packets contradict what was said of the capture points",
		}},
		{name: "devices split TCP, bytes as they are", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			split(s, 4001).mail(0, 0x2000, 3, 0).close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge optimized proven [paired/exact@1]",
			"4001 core optimized proven [paired/exact@1]",
			"4001 optimized exact proven: TCP is terminated between the points, and the payload is the same: identical streams",
			"1 0x2000 whole [4001] creator clear",
			"  its one connection passed the optimizer pair",
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
		}},
		{name: "devices keep the numbers and acknowledge early", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			split(s, 4001, pcaptest.ISNs(500, 700)).mail(0, 0x2000, 3, 0).close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge optimized proven [paired/exact@1]",
			"4001 core optimized proven [paired/exact@1]",
			"4001 optimized exact proven: TCP is terminated between the points, and the payload is the same: identical streams",
			"1 0x2000 whole [4001] creator clear",
			"  its one connection passed the optimizer pair",
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
		}},
		{name: "calls are answered near the client", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			split(s, 4001).mail(0, 0x2000, 3, 2).close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge optimized proven [early_ack/heuristic@5 paired/exact@1]",
			"4001 core optimized proven [paired/exact@1]",
			"4001 optimized exact proven: the calls at the two points differ",
			"1 0x2000 whole [4001] creator clear",
			"  its one connection passed the optimizer pair",
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
		}},
		{name: "one of a group is taken, one is not", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			e := split(s, 4001).mail(0, 0x2000, 2, 1)
			mail(whole(s, 4002), 0x2000, 0x2000).c.Close()
			e.at = time.Duration(s.Now().Sub(start()))
			e.close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge optimized proven [paired/exact@1]",
			"4001 core optimized proven [paired/exact@1]",
			"4002 edge pass_through proven [paired/exact@20]",
			"4002 core pass_through proven [paired/exact@20]",
			"4001 optimized exact proven: the calls at the two points differ",
			"4002 pass_through exact proven: the same bytes in the same sequence space, acknowledged from end to end",
			"1 0x2000 escaped [4001 4002] creator escaped [4002] exact",
			"  1 of 2 connections passed the optimizer pair, 1 did not",
			"escaped exact: one EMSMDB connection of one client escaped the optimizer pair",
		}},
		{name: "one of a group stands at one point alone", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			e := split(s, 4001).mail(0, 0x2000, 2, 1)
			mail(s.Dial("10.1.0.5:4002", mdb, pcaptest.On(0), pcaptest.RTT(2*way), pcaptest.ISNs(5, 6), pcaptest.TTL(128, 126)), 0x2000, 0x2000).c.Close()
			e.at = time.Duration(s.Now().Sub(start()))
			e.mail(0, 0x2000, 1, 0).close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge optimized proven [early_ack/heuristic@5 paired/exact@1]",
			"4001 core optimized proven [early_ack/heuristic@7 paired/exact@1]",
			"4002 edge pass_through [late_ack/heuristic@21]",
			"4001 optimized exact proven: the calls at the two points differ",
			"4002 pass_through heuristic: the SYN is answered after 40.01ms and data acknowledged no sooner, as only the server itself does it, while TCP of other connections between these hosts is split near by",
			"1 0x2000 unknown [4001 4002] creator possible [4002]",
			"  the timing of 1 of 2 connections looks like an optimizer and that of 1 does not: a hint, no proof",
			"  unproven: one connection may have escaped: it is missing at the other capture point, which covers its time: it took another path, or the other capture is not complete",
			"possible heuristic: one EMSMDB connection may have escaped",
		}},
		{name: "WAN given as edge", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			c := s.Dial("10.1.0.5:4001", mdb, append(jumped(1, 2), pcaptest.On(0), pcaptest.RTT(2*way), pcaptest.TTL(127, 126))...)
			tunnel(c, 2).Close()
			s.At(way)
			mail(s.Dial("10.1.0.5:4001", mdb, pcaptest.On(1), pcaptest.TTL(126, 128)), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said edge place wan inferred, likely wan: 1 of 1 handshakes carry what only the path between two devices shows",
			"2 said core place core",
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5]",
			"4001 core optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [other_leg/exact@1]",
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 unknown [4001] creator",
			"  its one connection passed the optimizer pair",
			"  unproven: the packets contradict what was said of the capture points",
			"not_assessable exact: the packets contradict what was said of the capture points",
		}},
		{name: "a firewall rewrites numbers, acknowledgements from end to end", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			e := split(s, 4001)
			e.late = true
			e.mail(0, 0x2000, 3, 0).close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge pass_through [paired/heuristic@1]",
			"4001 core pass_through [paired/heuristic@1]",
			"4001 pass_through heuristic: the same bytes, acknowledged from end to end, in a sequence space that was rewritten",
			"1 0x2000 unknown [4001] creator",
			"  no captured connection passed an optimizer",
			"  unproven: what two capture points show of its connections hints at their path and does not prove it",
			"not_assessable exact: what two capture points show of its connections hints at their path and does not prove it",
		}},
		{name: "numbers rewritten, the same time stamps, no acknowledgement tells", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			stamps := []byte{1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0}
			e := split(s, 4001, pcaptest.SynOptions(stamps...), pcaptest.SynAckOptions(stamps...), pcaptest.RTT(time.Millisecond))
			e.turn(same(noise(100, 1)), [2][]byte{})
			e.close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge unknown []",
			"4001 core unknown []",
			"4001 unknown unavailable",
			"no_mapi exact: there is no EMSMDB in these captures, nor anything that could be it",
		}},
		{name: "other time stamps: two handshakes", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			for tap := range 2 {
				stamps := []byte{1, 1, 8, 10, 0, 0, 0, byte(tap), 0, 0, 0, 0}
				s.At(time.Duration(tap) * way)
				s.Dial("10.1.0.5:4001", mdb, pcaptest.On(tap), pcaptest.ISNs(uint32(tap), uint32(tap)+9), pcaptest.SynOptions(stamps...), pcaptest.AckEvery(0), pcaptest.TTL(128-byte(2*tap), 126+byte(2*tap))).
					Client(noise(60, 1)).Server(noise(60, 2)).Close()
			}
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge optimized proven [paired/exact@1]",
			"4001 core optimized proven [paired/exact@1]",
			"4001 optimized exact proven: the handshakes at the points are two: other sequence numbers and other time stamps, so TCP is terminated between",
			"not_assessable exact: one connection may carry EMSMDB and cannot be read",
		}},
		{name: "the far point lost a segment, nothing between", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			e := split(s, 4001, pcaptest.ISNs(500, 700))
			e.late = true
			e.mail(0, 0x2000, 2, 0)
			e.legs[1].Drop(1)
			e.mail(0, 0x2000, 2, 0).close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge pass_through proven [paired/exact@1]",
			"4001 core pass_through proven [paired/exact@1]",
			"4001 pass_through exact proven: the same bytes in the same sequence space, acknowledged from end to end",
			"1 0x2000 unknown [4001] creator clear",
			"  no captured connection passed an optimizer",
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
		}},
		{name: "the far point lost a segment, devices between", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			e := split(s, 4001).mail(0, 0x2000, 2, 0)
			e.legs[1].Drop(1)
			e.mail(0, 0x2000, 2, 0).close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge optimized proven [early_ack/heuristic@5 paired/exact@1]",
			"4001 core optimized proven [early_ack/heuristic@7 paired/exact@1]",
			"4001 optimized exact proven: TCP is terminated between the points, and the payload is the same: identical streams",
			"1 0x2000 whole [4001] creator clear",
			"  its one connection passed the optimizer pair",
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
		}},
		{name: "both captures begin late, nothing between", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			e := split(s, 4001, pcaptest.ISNs(500, 700), pcaptest.NoHandshake())
			e.late = true
			e.mail(0, 0x2000, 3, 0).close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge pass_through [paired/heuristic@1]",
			"4001 core pass_through [paired/heuristic@1]",
			"4001 pass_through heuristic: the same bytes, acknowledged from end to end",
			"1 0x2000 unknown [4001] creator",
			"  no captured connection passed an optimizer",
			"  unproven: what two capture points show of its connections hints at their path and does not prove it",
			"not_assessable exact: what two capture points show of its connections hints at their path and does not prove it",
		}},
		{name: "the edge shows packets of its LAN twice", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001, pcaptest.Again(pcaptest.On(0), pcaptest.TTL(127, 125), pcaptest.Lag(20*time.Microsecond, -20*time.Microsecond))), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said edge place edge",
			"2 said core place core",
			"4001 edge pass_through proven [paired/exact@1]",
			"4001 core pass_through proven [paired/exact@1]",
			"4001 pass_through exact proven: the same sequence numbers of both sides at both points, acknowledged from end to end",
			"1 0x2000 unknown [4001] creator clear",
			"  no captured connection passed an optimizer",
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
		}},
		{name: "both captured between the devices", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001, jumped(1, 2)...), 0, 0x2000).c.Close()
		}, want: []string{
			"1 said edge place wan inferred, likely wan: 1 of 1 handshakes carry what only the path between two devices shows",
			"2 said core place wan inferred, likely wan: 1 of 1 handshakes carry what only the path between two devices shows",
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 rpc_readable/heuristic@4 sequence_jump/exact@3 sequence_jump/exact@5 payload_untouched/heuristic@4]",
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 rpc_readable/heuristic@4 sequence_jump/exact@3 sequence_jump/exact@5 payload_untouched/heuristic@4]",
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 unknown [4001] creator",
			"  its one connection passed the optimizer pair",
			"  unproven: the packets contradict what was said of the capture points",
			"not_assessable exact: the packets contradict what was said of the capture points",
		}},
		{name: "devices on the way, one point between them", from: source{taps: [][]int{{0}, {1}}}, build: func(s *pcaptest.Scene) {
			e := split(s, 4001).mail(0, 0x2000, 2, 0)
			c := s.Dial("10.1.0.5:4002", mdb, append(pair(1, 2), pcaptest.On(1), pcaptest.RTT(2*way), pcaptest.ISNs(5, 7), pcaptest.TTL(127, 127), pcaptest.Jump(1<<31))...)
			tunnel(c, 1).Close()
			e.at = time.Duration(s.Now().Sub(start()))
			e.close()
		}, want: []string{
			"1 said unknown place edge inferred",
			"2 said unknown place wan inferred",
			"4001 edge unknown []",
			"4001 wan pass_through proven [rpc_readable/heuristic@4 no_option/heuristic@1]",
			"4002 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@16 synack_option/heuristic@17 sequence_jump/exact@18 sequence_jump/exact@20]",
			"4001 unknown unavailable: what its legs show contradicts each other",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
	}, view)
}
