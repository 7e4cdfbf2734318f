package verdict

import (
	"net/netip"
	"testing"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// TestSteelHeads: what probes, ports and channels of SteelHeads say.
func TestSteelHeads(t *testing.T) {
	query := []pcaptest.Option{pcaptest.SynOptions(0x4c, 10, 0x01, 0, 10, 1, 0, 2, 0, 5, 0x4c, 4, 0x0c, 0x01)}
	response := []pcaptest.Option{pcaptest.SynAckOptions(0x4c, 14, 0x11, 0, 10, 1, 0, 2, 10, 2, 0, 2, 0x1e, 0x78)}
	inner := []pcaptest.Option{pcaptest.SynOptions(0x4e, 16, 0x00, 0x01, 10, 1, 0, 2, 10, 2, 0, 2, 0x9c, 0x40, 0x1e, 0x78)}
	announce := func(s *pcaptest.Scene, port uint16) {
		c := dial(s, 4000, exchange+":135", onWAN())
		found := pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Addr: netip.MustParseAddr(exchange), Port: port}
		bind(c, pcaptest.EPM, 0, 0x9c41).do(pcaptest.OpEptMap, pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4),
			pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0, found)).c.Close()
	}
	check(t, []row{
		{name: "probe and response", build: func(s *pcaptest.Scene) { tunnel(dial(s, 4001, mdb, onWAN(), query, response), 1).Close() }, want: []string{
			"4001 edge optimized proven riverbed [riverbed_probe/heuristic@1 riverbed_probe/heuristic@1 riverbed_response/heuristic@2]",
			"4001 optimized exact proven: riverbed(76) version 1 probe response, prober 10.1.0.2, proxy 10.2.0.2:7800",
			"not_assessable exact: one connection may carry EMSMDB and cannot be read",
		}},
		{name: "probe without response", build: func(s *pcaptest.Scene) { mail(dial(s, 4001, mdb, onWAN(), query), 0, 0x2000).c.Close() }, want: []string{
			"4001 edge pass_through stripped riverbed [riverbed_probe/heuristic@1 riverbed_probe/heuristic@1 option_unanswered/exact@2]",
			"4001 pass_through heuristic: discovery option 76 on the SYN, none on the SYN/ACK",
			"1 0x2000 unknown [4001] creator",
			"  no captured connection passed an optimizer",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "near: without response at the core", from: oneFile(pcaps.Core), build: func(s *pcaptest.Scene) {
			mail(dial(s, 4001, mdb, onWAN(), query, []pcaptest.Option{pcaptest.Near(pcaptest.Server)}), 0, 0x2000).c.Close()
		}, want: []string{
			"4001 core unknown riverbed [riverbed_probe/heuristic@1 riverbed_probe/heuristic@1]",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: the path of one connection of 1 cannot be told",
		}},
		{name: "transparent inner connection", build: func(s *pcaptest.Scene) { tunnel(dial(s, 4001, mdb, onWAN(), inner), 1).Close() }, want: []string{
			"4001 wan optimized proven riverbed [riverbed_inner/exact@1]",
			"4001 optimized exact proven: riverbed(78) port transparency, inner connection 10.1.0.2:40000 > 10.2.0.2:7800",
			"not_assessable exact: one connection may carry EMSMDB and cannot be read",
		}},
		{name: "inner channel that a response names", build: func(s *pcaptest.Scene) {
			dial(s, 4001, mdb, onWAN(), query, response).Reset(pcaptest.Client)
			tunnel(s.Dial("10.1.0.2:40000", "10.2.0.2:7800", onWAN()...), 2).Close()
		}, want: []string{
			"4001 edge optimized proven riverbed [riverbed_probe/heuristic@1 riverbed_probe/heuristic@1 riverbed_response/heuristic@2]",
			"40000 edge optimized proven riverbed [riverbed_channel/exact@5]",
			"4001 optimized exact proven: riverbed(76) version 1 probe response, prober 10.1.0.2, proxy 10.2.0.2:7800",
			"40000 optimized exact proven: inner channel to 10.2.0.2:7800, which a probe response of this capture names",
			"not_assessable exact: one connection may carry EMSMDB and cannot be read",
		}},
		{name: "near: the port alone names nobody", build: func(s *pcaptest.Scene) { tunnel(s.Dial("10.1.0.2:40000", "10.2.0.2:7800", onWAN()...), 2).Close() }, want: []string{
			"40000 edge unknown []",
			"40000 unknown unavailable",
			"no_mapi exact: there is no EMSMDB in these captures, nor anything that could be it",
		}},
		{name: "endpoint mapper answer rewritten", build: func(s *pcaptest.Scene) {
			announce(s, 7830)
			mail(dial(s, 4001, exchange+":7830", onWAN()), 0, 0x2000).c.Close()
		}, want: []string{
			"4000 edge unknown []",
			"4001 edge optimized riverbed [riverbed_epm/heuristic@10]",
			"4000 unknown unavailable",
			"4001 optimized heuristic: the endpoint mapper answer was rewritten to port 7830 (MAPI): the server's own port is behind the appliance",
			"2 0x2000 unknown [4001] creator",
			"  what one capture point shows hints at an optimizer, or another proxy, on every connection, and does not prove it",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "near: DCE/RPC at the port, and no answer names it", build: func(s *pcaptest.Scene) { mail(dial(s, 4001, exchange+":7830", onWAN()), 0, 0x2000).c.Close() }, want: []string{
			"4001 edge unknown riverbed [riverbed_port/lower_bound@4]",
			"4001 unknown unavailable",
			"1 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: the path of one connection of 1 cannot be told",
		}},
		{name: "near: an answer names another port", build: func(s *pcaptest.Scene) {
			announce(s, 59531)
			mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000).c.Close()
		}, want: []string{
			"4000 edge unknown []",
			"4001 edge unknown []",
			"4000 unknown unavailable",
			"4001 unknown unavailable",
			"2 0x2000 unknown [4001] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of one connection of 1 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "both vendors on one handshake: the jump counts", build: func(s *pcaptest.Scene) {
			o := append([]byte{0x4c, 10, 0x01, 0, 10, 1, 0, 2, 0, 5}, waasOption(1)...)
			tunnel(dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.SynOptions(o...), pcaptest.SynAckOptions(waasOption(2)...), pcaptest.Jump(1 << 31)}), 1).Close()
		}, want: []string{
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5 riverbed_probe/heuristic@1]",
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"not_assessable exact: one connection may carry EMSMDB and cannot be read",
		}},
	}, func(v *Verdicts) []string { return append(evidenceOf(v), verdictsOf(v)...) })
}
