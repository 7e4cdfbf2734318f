package run

import (
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
)

// TestScenesBetweenDevices: what a capture on the WAN shows of optimized
// connections and of those that escaped, and what it must not be taken for.
func TestScenesBetweenDevices(t *testing.T) {
	const optimized, past = "optimized", "pass_through"
	runScenes(t, []sceneRow{
		{
			name: "everything passes the pair",
			build: func(s *pcaptest.Scene) {
				tunnel(dial(s, 4000, exchange+":135", onWAN(), jumped(1, 2)), 1).Close()
				a, b := hidden(s, 4001), hidden(s, 4002)
				a.Close()
				b.Close()
			},
			optimize: map[uint16]string{4000: optimized, 4001: optimized, 4002: optimized},
		},
		{
			name: "sequence jump without options, numbers wrap",
			build: func(s *pcaptest.Scene) {
				c := dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.ISNs(0x7fffff00, 0xffffff80), pcaptest.Jump(1 << 31)})
				tunnel(c, 3).Close()
			},
			optimize: map[uint16]string{4001: optimized},
		},
		{
			name: "a jump that is none: the capture lost 100 kB of a plain connection",
			build: func(s *pcaptest.Scene) {
				r := mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000)
				r.c.Drop(70).Client(noise(100_000, 1))
				r.c.Close()
			},
			findings: []string{"CAPTURE_LOSS", "EPM_MISSING"},
			groups:   []string{"unknown"},
		},
		{
			name: "jump, and the payload is readable",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				mail(dial(s, 4001, mdb, onWAN(), jumped(1, 2)), 0, 0x2000).c.Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized},
			groups:   []string{"whole"},
		},
		{
			name: "options both ways, no jump, payload readable: nobody knows",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN(), pair(1, 2))
				mail(dial(s, 4001, mdb, onWAN(), pair(1, 2)), 0, 0x2000).c.Close()
			},
			groups: []string{"unknown"},
		},
		{
			name: "options both ways, no jump, TLS inside: nobody knows",
			build: func(s *pcaptest.Scene) {
				c := dial(s, 4001, exchange+":443", onWAN(), pair(1, 2))
				c.Client(append([]byte{0x16, 3, 1, 0, 200}, noise(200, 1)...)).Server(append([]byte{0x16, 3, 3, 0, 200}, noise(200, 2)...)).Close()
			},
		},
		{
			name: "a member of a hidden group escapes",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a, b := hidden(s, 4001), hidden(s, 4002)
				c := mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000).c
				for _, c := range []*pcaptest.Conn{tunnel(a, 1), b, c} {
					c.Close()
				}
			},
			findings: []string{"ESCAPED_CONNECTION"},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: optimized, 4003: past},
			groups:   []string{"escaped"}, escaped: []uint16{4003},
			detail: "2 of 3 connections passed the optimizer pair, 1 did not (2 inferred: their binds are hidden",
		},
		{
			name: "near: it opened a group of its own",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := hidden(s, 4001)
				mail(dial(s, 4003, mdb, onWAN()), 0, 0x2000).c.Close()
				tunnel(a, 1).Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4003: past},
			groups:   []string{"unknown"},
		},
		{
			name: "near: the hidden connection is another client's",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := tunnel(s.Dial("10.1.0.6:4001", mdb, opts(onWAN(), jumped(1, 2))...), 2)
				mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000).c.Close()
				tunnel(a, 1).Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4003: past},
			groups:   []string{"unknown"},
		},
		{
			name: "near: the hidden connection goes to another port",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := tunnel(dial(s, 4001, exchange+":59600", onWAN(), jumped(1, 2)), 2)
				mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000).c.Close()
				tunnel(a, 1).Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4003: past},
			groups:   []string{"unknown"},
		},
		{
			name: "near: the hidden connection was over before",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				hidden(s, 4001).Close()
				s.Sleep(time.Second)
				mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4003: past},
			groups:   []string{"unknown"},
		},
		{
			name: "near: the hidden connection came after the bind",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				c := mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000)
				a := hidden(s, 4001)
				c.polls(1).c.Close()
				a.Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4003: past},
			groups:   []string{"unknown"},
		},
		{
			name: "near: a connection from before the capture may have opened the group",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				old := dial(s, 3999, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake()})
				tunnel(old, 1)
				a := hidden(s, 4001)
				mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000).c.Close()
				tunnel(old, 1).Close()
				tunnel(a, 1).Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4003: past},
			groups:   []string{"unknown"},
			findings: []string{"POSSIBLE_ESCAPE"},
		},
		{
			name: "near: RFR and NSPI pass through by policy",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := hidden(s, 4001)
				for i, iface := range []pcaptest.Syntax{pcaptest.RFR, pcaptest.NSPI} {
					c := dial(s, 4002+uint16(i), mdb, onWAN())
					bind(c, iface, 0x2000, 0x2000).do(0, noise(40, 1), noise(60, 2))
					c.Close()
				}
				tunnel(a, 1).Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: past, 4003: past},
		},
		{
			name: "near: two groups ask to join, one hidden opener",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := hidden(s, 4001)
				b := mail(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000).c
				c := mail(dial(s, 4003, mdb, onWAN()), 0x3000, 0x3000).c
				for _, c := range []*pcaptest.Conn{b, c, tunnel(a, 1)} {
					c.Close()
				}
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: past, 4003: past},
			groups:   []string{"unknown", "unknown"},
			findings: []string{"POSSIBLE_ESCAPE", "POSSIBLE_ESCAPE"},
		},
		{
			name: "two groups ask to join, two hidden openers: both escape",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a, d := hidden(s, 4001), hidden(s, 4004)
				b := mail(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000).c
				c := mail(dial(s, 4003, mdb, onWAN()), 0x3000, 0x3000).c
				for _, c := range []*pcaptest.Conn{b, c, tunnel(a, 1), d} {
					c.Close()
				}
			},
			findings: []string{"ESCAPED_CONNECTION", "ESCAPED_CONNECTION"},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: past, 4003: past, 4004: optimized},
			groups:   []string{"escaped", "escaped"}, escaped: []uint16{4002, 4003},
		},
		{
			name: "the group id is given again: only the first group escaped",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := hidden(s, 4001)
				mail(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000).c.Close()
				tunnel(a, 1).Close()
				s.Sleep(time.Minute)
				b := mail(dial(s, 4003, mdb, onWAN()), 0, 0x2000)
				c := mail(dial(s, 4004, mdb, onWAN()), 0x2000, 0x2000)
				c.c.Close()
				b.c.Close()
			},
			findings: []string{"ESCAPED_CONNECTION"},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: past, 4003: past, 4004: past},
			groups:   []string{"escaped", "unknown"}, escaped: []uint16{4002},
		},
		{
			name: "one group over two core devices",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := mail(dial(s, 4001, mdb, onWAN(), jumped(1, 2)), 0, 0x2000)
				mail(dial(s, 4002, mdb, onWAN(), jumped(1, 3)), 0x2000, 0x2000).c.Close()
				a.polls(1).c.Close()
			},
			findings: []string{"SPLIT_PAIR"},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: optimized},
			groups:   []string{"split_pair"},
		},
		{
			name: "near: bytes that differ on every connection are no device",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				option := func(seed byte) []pcaptest.Option {
					o := append([]byte{0x21, 12}, noise(11, seed)[1:]...)
					return []pcaptest.Option{pcaptest.SynOptions(o...), pcaptest.SynAckOptions(o...), pcaptest.Jump(1 << 31)}
				}
				a := mail(dial(s, 4001, mdb, onWAN(), option(1)), 0, 0x2000)
				mail(dial(s, 4002, mdb, onWAN(), option(2)), 0x2000, 0x2000).c.Close()
				a.polls(1).c.Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: optimized},
			groups:   []string{"unknown"},
		},
		{
			name: "near: two processes, each with a pair of its own",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := mail(dial(s, 4001, mdb, onWAN(), jumped(1, 2)), 0, 0x2000)
				mail(dial(s, 4002, mdb, onWAN(), jumped(1, 3)), 0, 0x2001).c.Close()
				a.polls(1).c.Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: optimized},
			groups:   []string{"whole", "whole"},
		},
		{
			name: "nobody answers the discovery",
			build: func(s *pcaptest.Scene) {
				out := []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...)}
				mapper(s, 4000, onWAN(), out)
				mail(dial(s, 4001, mdb, onWAN(), out), 0, 0x2000).c.Close()
			},
			findings: []string{"OPTION_STRIPPED"},
			optimize: map[uint16]string{4000: past, 4001: past},
			groups:   []string{"unknown"},
		},
		{
			name: "near: the option reaches the server's LAN",
			build: func(s *pcaptest.Scene) {
				out := []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...), pcaptest.Near(pcaptest.Server)}
				mapper(s, 4000, onWAN(), out)
				mail(dial(s, 4001, mdb, onWAN(), out), 0, 0x2000).c.Close()
			},
			groups: []string{"unknown"},
		},
		{
			name: "near: the option comes back to the client's LAN",
			build: func(s *pcaptest.Scene) {
				back := []pcaptest.Option{pcaptest.SynAckOptions(waasOption(2)...)}
				mapper(s, 4000, onWAN(), back)
				mail(dial(s, 4001, mdb, onWAN(), back), 0, 0x2000).c.Close()
			},
			groups: []string{"unknown"},
		},
		{
			name: "near: discovery under way when the capture ends",
			build: func(s *pcaptest.Scene) {
				out := []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...), pcaptest.NoHandshake()}
				dial(s, 4001, mdb, onWAN(), out).Segment(pcaptest.Client, -1, nil, pcaptest.SYN)
			},
		},
		{
			name: "the capture begins in the middle of everything",
			build: func(s *pcaptest.Scene) {
				late := []pcaptest.Option{pcaptest.NoHandshake()}
				a := dial(s, 4001, mdb, onWAN(), late)
				(&rpc{c: a, call: 5, seal: func(p pcaptest.PDU) pcaptest.PDU { return p }}).polls(3)
				tunnel(dial(s, 4002, mdb, onWAN(), late), 3)
			},
		},
		{
			name: "one direction was captured",
			build: func(s *pcaptest.Scene) {
				r := mail(dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.OneWay(pcaptest.Client)}), 0, 0x2000)
				r.polls(1).c.Close()
			},
			findings: []string{"ASYMMETRIC", "EPM_MISSING"},
		},
		{
			name: "new connections go plain while the optimized ones no longer grow",
			build: func(s *pcaptest.Scene) {
				var open []*pcaptest.Conn
				for port := range uint16(4) {
					open = append(open, hidden(s, 4000+port))
				}
				for port := range uint16(3) {
					open = append(open, mail(dial(s, 4010+port, mdb, onWAN()), 0x2000, 0x2000).c)
				}
				for _, c := range open {
					c.Close()
				}
			},
			// The endpoint mapper was asked before the capture.
			findings: []string{"EPM_MISSING", "ESCAPED_CONNECTION"},
			optimize: map[uint16]string{4000: optimized, 4001: optimized, 4002: optimized, 4003: optimized, 4010: past, 4011: past, 4012: past},
			groups:   []string{"escaped"}, escaped: []uint16{4010, 4011, 4012},
			detail: "it looks like an overload: 4 connections were optimized at that moment, and of the 3 opened",
		},
		{
			name: "near: another one is optimized in between, no overload",
			build: func(s *pcaptest.Scene) {
				var open []*pcaptest.Conn
				for port := range uint16(4) {
					open = append(open, hidden(s, 4000+port))
				}
				for port := range uint16(3) {
					open = append(open, mail(dial(s, 4010+port, mdb, onWAN()), 0x2000, 0x2000).c)
				}
				open = append(open, hidden(s, 4020))
				for _, c := range open {
					c.Close()
				}
			},
			findings: []string{"EPM_MISSING", "ESCAPED_CONNECTION"},
			optimize: map[uint16]string{4000: optimized, 4001: optimized, 4002: optimized, 4003: optimized, 4010: past, 4011: past, 4012: past, 4020: optimized},
			escaped:  []uint16{4010, 4011, 4012},
			detail:   "(4 inferred: their binds are hidden between the devices); mixed since 2009-06-01",
		},
	})
}

// riverbed options: kind, length, version and type, then what the type has.
var (
	probeQuery    = []byte{0x4c, 10, 0x01, 0, 10, 1, 0, 2, 0, 5}
	queryInfo     = []byte{0x4c, 4, 0x0c, 0x01}
	probeResponse = []byte{0x4c, 14, 0x11, 0, 10, 1, 0, 2, 10, 2, 0, 2, 0x1e, 0x78}
	innerOption   = []byte{0x4e, 16, 0x00, 0x01, 10, 1, 0, 2, 10, 2, 0, 2, 0x9c, 0x40, 0x1e, 0x78}
)

func TestScenesOfSteelHeads(t *testing.T) {
	const optimized, past = "optimized", "pass_through"
	asks := []pcaptest.Option{pcaptest.SynOptions(append(append([]byte{}, probeQuery...), queryInfo...)...)}
	runScenes(t, []sceneRow{
		{
			name: "probe and response",
			build: func(s *pcaptest.Scene) {
				c := dial(s, 4001, mdb, onWAN(), asks, []pcaptest.Option{pcaptest.SynAckOptions(probeResponse...)})
				tunnel(c, 1).Close()
			},
			optimize: map[uint16]string{4001: optimized},
		},
		{
			name: "probe without response",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN(), asks)
				mail(dial(s, 4001, mdb, onWAN(), asks), 0, 0x2000).c.Close()
			},
			findings: []string{"OPTION_STRIPPED"},
			optimize: map[uint16]string{4000: past, 4001: past},
			groups:   []string{"unknown"},
		},
		{
			name: "near: the probe reaches the server's LAN",
			build: func(s *pcaptest.Scene) {
				near := append(append([]pcaptest.Option{}, asks...), pcaptest.Near(pcaptest.Server))
				mapper(s, 4000, onWAN(), near)
				mail(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000).c.Close()
			},
			groups: []string{"unknown"},
		},
		{
			name: "transparent inner connection: its payload is never DCE/RPC",
			build: func(s *pcaptest.Scene) {
				c := dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.SynOptions(innerOption...)})
				c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes()).Server(noise(300, 1)).Close()
			},
			optimize: map[uint16]string{4001: optimized},
		},
		{
			name: "inner channel that a probe response names",
			build: func(s *pcaptest.Scene) {
				c := dial(s, 4001, mdb, onWAN(), asks, []pcaptest.Option{pcaptest.SynAckOptions(probeResponse...)})
				c.Reset(pcaptest.Client)
				tunnel(s.Dial("10.1.0.2:40000", "10.2.0.2:7800", onWAN()...), 2).Close()
			},
			optimize: map[uint16]string{4001: optimized, 40000: optimized},
		},
		{
			name: "near: port 7800 alone names nobody",
			build: func(s *pcaptest.Scene) {
				tunnel(s.Dial("10.1.0.2:40000", "10.2.0.2:7800", onWAN()...), 2).Close()
			},
		},
		{
			name: "the endpoint mapper answer is rewritten to 7830",
			build: func(s *pcaptest.Scene) {
				c := dial(s, 4000, exchange+":135", onWAN())
				bind(c, pcaptest.EPM, 0, 0x9c41).ask(pcaptest.EMSMDB, 7830, 0)
				c.Close()
				mail(dial(s, 4001, exchange+":7830", onWAN()), 0, 0x2000).c.Close()
			},
			optimize: map[uint16]string{4001: optimized},
			groups:   []string{"unknown"},
		},
		{
			name: "near: port 7830 without an answer that names it",
			build: func(s *pcaptest.Scene) {
				mail(dial(s, 4001, exchange+":7830", onWAN()), 0, 0x2000).c.Close()
			},
			findings: []string{"EPM_MISSING"},
			groups:   []string{"unknown"},
		},
	})
}

// TestScenesOfTiming: what acknowledgements and answers that come too soon say
// on a LAN.
func TestScenesOfTiming(t *testing.T) {
	const optimized, past = "optimized", "pass_through"
	split := []pcaptest.Option{pcaptest.SplitTCP(300 * time.Microsecond)}
	forwarded := []pcaptest.Option{pcaptest.SynAckOptions(waasOption(2)...)}
	// Answers come after the way to the server and back.
	remote := func(c *pcaptest.Conn, asked uint32) *rpc {
		r := bind(c, pcaptest.EMSMDB, asked, 0x2000)
		for range 8 {
			request, response := poll()
			r.slow(pcaptest.OpEcDoRpcExt2, 45*time.Millisecond, request, response)
		}
		return r
	}
	runScenes(t, []sceneRow{
		{
			name: "data is acknowledged next door",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				remote(dial(s, 4001, mdb, onWAN(), split), 0).c.Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized},
			groups:   []string{"unknown"},
		},
		{
			name: "the same near the server",
			build: func(s *pcaptest.Scene) {
				near := []pcaptest.Option{pcaptest.Near(pcaptest.Server)}
				mapper(s, 4000, onWAN(), near)
				remote(dial(s, 4001, mdb, onWAN(), near, split), 0).c.Close()
			},
			optimize: map[uint16]string{4001: optimized},
			groups:   []string{"unknown"},
		},
		{
			name: "near: a server next door answers at once",
			build: func(s *pcaptest.Scene) {
				near := []pcaptest.Option{pcaptest.Near(pcaptest.Server)}
				mapper(s, 4000, onWAN(), near)
				mail(dial(s, 4001, mdb, onWAN(), near), 0, 0x2000).polls(8).c.Close()
			},
			groups: []string{"unknown"},
		},
		{
			name: "near: no WAN in the handshake",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000)
				remote(dial(s, 4001, mdb, rtt(2*time.Millisecond), split), 0).c.Close()
			},
			groups: []string{"unknown"},
		},
		{
			name: "near: one handshake waited, another did not",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, rtt(time.Millisecond))
				remote(dial(s, 4001, mdb, onWAN(), split), 0).c.Close()
			},
			groups: []string{"unknown"},
		},
		{
			name: "near: four samples are too few",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				r := bind(dial(s, 4001, mdb, onWAN(), split), pcaptest.EMSMDB, 0, 0x2000)
				request, response := poll()
				r.slow(pcaptest.OpEcDoRpcExt2, 45*time.Millisecond, request, response)
				r.c.Close()
			},
			groups: []string{"unknown"},
		},
		{
			name: "timing alone proves no escape",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := remote(dial(s, 4001, mdb, onWAN(), split), 0)
				remote(dial(s, 4002, mdb, onWAN()), 0x2000).c.Close()
				a.c.Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: past},
			groups:   []string{"unknown"},
			findings: []string{"POSSIBLE_ESCAPE"},
		},
		{
			name: "timing and a forwarded option at one LAN prove none",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				a := remote(dial(s, 4001, mdb, onWAN(), split, forwarded), 0)
				remote(dial(s, 4002, mdb, onWAN()), 0x2000).c.Close()
				a.c.Close()
			},
			findings: []string{"POSSIBLE_ESCAPE"},
			optimize: map[uint16]string{4000: past, 4001: optimized, 4002: past},
			groups:   []string{"unknown"},
		},
		{
			name: "answers that no server can give",
			build: func(s *pcaptest.Scene) {
				mapper(s, 4000, onWAN())
				r := mail(dial(s, 4001, mdb, onWAN(), split), 0, 0x2000)
				r.polls(4).c.Close()
			},
			optimize: map[uint16]string{4000: past, 4001: optimized},
			groups:   []string{"whole"},
		},
	})
}
