package run

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// TestScenesAtADevice: one capture holds both sides of a device.
func TestScenesAtADevice(t *testing.T) {
	const optimized, past = "optimized", "pass_through"
	router, device, next := [6]byte{2, 0, 0, 0, 1, 1}, [6]byte{2, 0, 0, 0, 1, 2}, [6]byte{2, 0, 0, 0, 1, 3}
	const us = time.Microsecond
	// Two ways to tell the segments apart, and one that only the jump tells.
	segments := map[string][2][]pcaptest.Option{
		"MAC": {
			{pcaptest.MAC(router, device), pcaptest.Lag(0, 6*us)},
			{pcaptest.MAC(device, next), pcaptest.Lag(6*us, 0)},
		},
		"VLAN": {
			{pcaptest.VLAN(10), pcaptest.Lag(0, 6*us)},
			{pcaptest.VLAN(20), pcaptest.Lag(6*us, 0)},
		},
		"WCCP": {
			{pcaptest.Lag(0, 6*us)},
			{pcaptest.WCCP("10.9.0.1", "10.9.0.2"), pcaptest.Lag(6*us, 0)},
		},
		"TTL": {
			{pcaptest.TTL(128, 120), pcaptest.Lag(0, 6*us)},
			{pcaptest.TTL(127, 121), pcaptest.Lag(6*us, 0)},
		},
		"nothing but the option and the jump": {
			{pcaptest.Lag(0, 6*us)},
			{pcaptest.Lag(6*us, 0)},
		},
	}
	for how, seg := range segments {
		lan, wan := seg[0], seg[1]
		// optimize writes both segments of an optimized connection.
		both := func(s *pcaptest.Scene, port uint16, asked uint32) {
			start := s.Now()
			r := mail(dial(s, port, mdb, onWAN(), lan), asked, 0x2000)
			end := s.Now()
			s.Sleep(start.Sub(end))
			c := tunnel(dial(s, port, mdb, onWAN(), wan, jumped(1, 2)), 2)
			s.Sleep(end.Sub(s.Now()))
			r.c.Close()
			c.Close()
		}
		through := func(s *pcaptest.Scene, port uint16, asked uint32) *pcaptest.Conn {
			return mail(dial(s, port, mdb, onWAN(), lan, []pcaptest.Option{pcaptest.Again(wan...)}), asked, 0x2000).c
		}
		t.Run(how, func(t *testing.T) {
			runScenes(t, []sceneRow{
				{
					name: "both segments of optimized connections",
					build: func(s *pcaptest.Scene) {
						mapper(s, 4000, onWAN(), lan)
						both(s, 4001, 0)
						both(s, 4002, 0x2000)
					},
					optimize: map[uint16]string{4001: optimized, 4002: optimized},
					groups:   []string{"whole"},
				},
				{
					name: "one passes through, seen twice",
					build: func(s *pcaptest.Scene) {
						mapper(s, 4000, onWAN(), lan)
						both(s, 4001, 0)
						through(s, 4002, 0x2000).Close()
					},
					findings: []string{"ESCAPED_CONNECTION"},
					optimize: map[uint16]string{4001: optimized, 4002: past},
					groups:   []string{"escaped"}, escaped: []uint16{4002},
				},
			})
		})
	}
	runScenes(t, []sceneRow{
		{
			name: "a connection that is seen once, where others are seen twice",
			build: func(s *pcaptest.Scene) {
				lan, wan := segments["MAC"][0], segments["MAC"][1]
				mapper(s, 4000, onWAN(), lan)
				start := s.Now()
				r := mail(dial(s, 4001, mdb, onWAN(), lan), 0, 0x2000)
				end := s.Now()
				s.Sleep(start.Sub(end))
				tunnel(dial(s, 4001, mdb, onWAN(), wan, jumped(1, 2)), 2)
				s.Sleep(end.Sub(s.Now()))
				mail(dial(s, 4002, mdb, onWAN(), lan), 0x2000, 0x2000).c.Close()
				r.c.Close()
			},
			optimize: map[uint16]string{4001: optimized},
			groups:   []string{"unknown"},
		},
	})
}

// TestCopiesAreNoRetransmissions: packets that a capture holds twice count
// once, and true retransmissions beside them still count.
func TestCopiesAreNoRetransmissions(t *testing.T) {
	const us = time.Microsecond
	routed := []pcaptest.Option{pcaptest.MAC([6]byte{2, 0, 0, 0, 1, 2}, [6]byte{2, 0, 0, 0, 1, 3}), pcaptest.TTL(127, 128), pcaptest.Lag(6*us, -6*us)}
	tests := []struct {
		name    string
		options []pcaptest.Option
	}{
		{"captured once", nil},
		{"mirrored in both directions", []pcaptest.Option{pcaptest.Again(pcaptest.Lag(3*us, 3*us))}},
		{"in and out of a router", []pcaptest.Option{pcaptest.Again(routed...)}},
		{"in and out, and wrapped to a redirected device", []pcaptest.Option{
			pcaptest.Again(pcaptest.WCCP("10.9.0.1", "10.9.0.2"), pcaptest.Lag(2*us, 2*us)), pcaptest.Again(routed...),
		}},
		{"in and out, hop limit alone tells", []pcaptest.Option{pcaptest.Again(pcaptest.TTL(127, 128), pcaptest.Lag(6*us, 6*us))}},
	}
	for _, tt := range tests {
		for _, midstream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, midstream %v", tt.name, midstream), func(t *testing.T) {
				s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
				options := opts(rtt(2*time.Millisecond), tt.options)
				if midstream {
					options = append(options, pcaptest.NoHandshake())
				}
				r := mail(s.Dial(outlook+":4001", mdb, options...), 0, 0x2000)
				r.c.Sleep(300 * time.Millisecond).Retransmit()
				r.polls(1).c.Close()
				doc := analyse(t, 1, s.WriteFile(t, "copies.pcap"))
				checkLedger(t, doc)
				if len(doc.Connections) != 1 {
					t.Fatalf("%d connections:\n%s", len(doc.Connections), explain(doc))
				}
				c := doc.Connections[0]
				if got := c.Retransmitted.Client + c.Retransmitted.Server; got != 1 {
					t.Errorf("%d retransmissions, want 1", got)
				}
				if c.GapBytes.Client+c.GapBytes.Server != 0 {
					t.Errorf("gaps %+v", c.GapBytes)
				}
				if want := int64(5); !midstream && (c.Calls.Requests != want-1 || c.Calls.Responses != want-1) {
					t.Errorf("calls %+v, want %d", c.Calls, want-1)
				}
				if doc.Totals.TCPConnections != 1 {
					t.Errorf("%d TCP connections", doc.Totals.TCPConnections)
				}
			})
		}
	}
}

// TestScenesOfManyPoints: a capture whose interfaces say where they are.
func TestScenesOfManyPoints(t *testing.T) {
	s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
	edge := s.Tap("edge-lan", pcaps.LinkEthernet, 0)
	wan := s.Tap("wan", pcaps.LinkEthernet, time.Millisecond)
	mapper(s, 4000, onWAN(), []pcaptest.Option{pcaptest.On(edge)})
	start := s.Now()
	r := mail(dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.On(edge)}), 0, 0x2000)
	end := s.Now()
	s.Sleep(start.Sub(end))
	c := tunnel(dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.On(wan)}, jumped(1, 2)), 2)
	s.Sleep(end.Sub(s.Now()))
	past := mail(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000).c
	for _, c := range []*pcaptest.Conn{r.c, c, past} {
		c.Close()
	}
	doc := analyse(t, 2, s.WriteFile(t, "points.pcapng"))
	checkScene(t, doc, sceneRow{
		findings: []string{"ESCAPED_CONNECTION"},
		optimize: map[uint16]string{4001: "optimized", 4002: "pass_through"},
		groups:   []string{"escaped"}, escaped: []uint16{4002},
	})
	if doc.Totals.EscapedConnections != 1 {
		t.Errorf("escaped_connections = %d, want 1: one connection, seen at two points", doc.Totals.EscapedConnections)
	}
}

// TestEvidence: every fact behind a verdict, with its packet and its quality,
// in the order in which it was weighed.
func TestEvidence(t *testing.T) {
	type fact struct {
		kind, quality string
		packet        int64
	}
	ack := []pcaptest.Option{pcaptest.AckOptions(waasOption(1)...)}
	tests := []struct {
		name  string
		build func(s *pcaptest.Scene)
		want  []fact // of the first connection
		edge  string
	}{
		{
			"jump", func(s *pcaptest.Scene) { tunnel(dial(s, 4001, mdb, onWAN(), jumped(1, 2), ack), 1).Close() },
			[]fact{
				{"syn_option", "heuristic", 1}, {"synack_option", "heuristic", 2}, {"ack_option", "heuristic", 3},
				{"sequence_jump", "exact", 3}, {"sequence_jump", "exact", 5},
			}, "00:14:5e:00:00:01",
		},
		{
			"no jump, unreadable", func(s *pcaptest.Scene) { tunnel(dial(s, 4001, mdb, onWAN(), pair(1, 2)), 1).Close() },
			[]fact{{"syn_option", "heuristic", 1}, {"synack_option", "heuristic", 2}, {"rpc_unreadable", "heuristic", 2}}, "00:14:5e:00:00:01",
		},
		{
			"nobody answers", func(s *pcaptest.Scene) {
				mail(dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...)}), 0, 0x2000).c.Close()
			},
			[]fact{{"syn_option", "heuristic", 1}, {"rpc_readable", "heuristic", 4}, {"option_unanswered", "exact", 2}}, "00:14:5e:00:00:01",
		},
		{
			"an option of nobody that is known", func(s *pcaptest.Scene) {
				mail(dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.SynOptions(0xfd, 4, 1, 2)}), 0, 0x2000).c.Close()
			},
			[]fact{{"other_option", "lower_bound", 1}}, "",
		},
		{
			"probe, info and response", func(s *pcaptest.Scene) {
				asks := pcaptest.SynOptions(append(append([]byte{}, probeQuery...), queryInfo...)...)
				tunnel(dial(s, 4001, mdb, onWAN(), []pcaptest.Option{asks, pcaptest.SynAckOptions(probeResponse...)}), 1).Close()
			},
			[]fact{{"riverbed_probe", "heuristic", 1}, {"riverbed_probe", "heuristic", 1}, {"riverbed_response", "heuristic", 2}}, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
			tt.build(s)
			c := analyse(t, 1, s.WriteFile(t, "evidence.pcap")).Connections[0]
			var got []fact
			for _, e := range c.Optimizer.Evidence {
				got = append(got, fact{e.Kind, string(e.Quality), e.Packet.Packet})
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(fact{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if edge := c.Optimizer.EdgeDevice; tt.edge != "" && (edge == nil || *edge != tt.edge) {
				t.Errorf("edge device %v, want %s", edge, tt.edge)
			}
		})
	}
}
