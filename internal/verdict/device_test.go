package verdict

import (
	"fmt"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
)

// TestAtADevice: one capture holds both sides of a device.
func TestAtADevice(t *testing.T) {
	const us = time.Microsecond
	router, device, next := [6]byte{2, 0, 0, 0, 1, 1}, [6]byte{2, 0, 0, 0, 1, 2}, [6]byte{2, 0, 0, 0, 1, 3}
	lan := []pcaptest.Option{pcaptest.MAC(router, device), pcaptest.Lag(0, 6*us)}
	wan := []pcaptest.Option{pcaptest.MAC(device, next), pcaptest.Lag(6*us, 0)}
	both := func(s *pcaptest.Scene, port uint16, asked uint32) *rpc {
		begin := s.Now()
		r := mail(dial(s, port, mdb, onWAN(), lan), asked, 0x2000)
		end := s.Now()
		s.Sleep(begin.Sub(end))
		tunnel(dial(s, port, mdb, onWAN(), wan, jumped(1, 2)), 2)
		s.Sleep(end.Sub(s.Now()))
		return r
	}
	check(t, []row{
		{name: "both passed", build: func(s *pcaptest.Scene) {
			a := both(s, 4001, 0)
			both(s, 4002, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 edge optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [other_leg/exact@1]",
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@2 synack_option/heuristic@3 sequence_jump/exact@6 sequence_jump/exact@9]",
			"4002 edge optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [other_leg/exact@27]",
			"4002 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@28 synack_option/heuristic@29 sequence_jump/exact@32 sequence_jump/exact@35]",
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 whole [4001 4002] creator",
			"  every captured connection passed the same optimizer pair",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
			"{lan:true wan:true mirrored:false} between true",
		}},
		{name: "one is the same on both sides", build: func(s *pcaptest.Scene) {
			a := both(s, 4001, 0)
			mail(dial(s, 4002, mdb, onWAN(), lan, []pcaptest.Option{pcaptest.Again(wan...)}), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 edge optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [other_leg/exact@1]",
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@2 synack_option/heuristic@3 sequence_jump/exact@6 sequence_jump/exact@9]",
			"4002 edge pass_through proven [no_option/heuristic@27]",
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: captured on both sides of the device: the same packets, without the discovery option that other connections carry",
			"1 0x2000 escaped [4001 4002] creator escaped [4002] heuristic",
			"  1 of 2 connections passed the optimizer pair, 1 did not",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
			"{lan:true wan:true mirrored:false} between true",
		}},
		{name: "near: one is seen once", build: func(s *pcaptest.Scene) {
			a := both(s, 4001, 0)
			mail(dial(s, 4002, mdb, onWAN(), lan), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 edge optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [other_leg/exact@1]",
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@2 synack_option/heuristic@3 sequence_jump/exact@6 sequence_jump/exact@9]",
			"4002 edge unknown []",
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator",
			"  1 of 2 connections passed the optimizer pair, the path of the others cannot be told",
			"  unproven: the path of one connection of 2 cannot be told",
			"not_assessable exact: the path of one connection of 2 cannot be told",
			"{lan:true wan:true mirrored:false} between true",
		}},
		{name: "near: the LAN is mirrored, and everything there seen twice", build: func(s *pcaptest.Scene) {
			lan := append([]pcaptest.Option{pcaptest.Again(append(lan, pcaptest.Lag(us, 7*us))...)}, lan...)
			begin := s.Now()
			r := mail(dial(s, 4001, mdb, onWAN(), lan), 0, 0x2000)
			end := s.Now()
			s.Sleep(begin.Sub(end))
			tunnel(dial(s, 4001, mdb, onWAN(), wan, jumped(1, 2)), 2)
			s.Sleep(end.Sub(s.Now()))
			mail(dial(s, 4002, mdb, onWAN(), lan), 0x2000, 0x2000).c.Close()
			r.c.Close()
		}, want: []string{
			"4001 edge optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [other_leg/exact@1]",
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@2 synack_option/heuristic@4 sequence_jump/exact@6 sequence_jump/exact@13]",
			"4002 edge unknown []",
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator",
			"  1 of 2 connections passed the optimizer pair, the path of the others cannot be told",
			"  unproven: the path of one connection of 2 cannot be told",
			"not_assessable exact: the path of one connection of 2 cannot be told",
			"{lan:true wan:true mirrored:true} between true",
		}},
	}, func(v *Verdicts) []string {
		all := append(evidenceOf(v), verdictsOf(v)...)
		for _, p := range v.Points {
			all = append(all, fmt.Sprintf("%+v between %v", p.device, p.between))
		}
		return all
	})
}
