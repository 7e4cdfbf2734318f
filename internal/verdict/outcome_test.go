package verdict

import (
	"fmt"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// TestOutcomes: what becomes of a group at one capture point.
func TestOutcomes(t *testing.T) {
	taken := func(s *pcaptest.Scene, port uint16, asked uint32, edge, core byte) *rpc {
		return mail(dial(s, port, mdb, onWAN(), jumped(edge, core)), asked, 0x2000)
	}
	other := func(s *pcaptest.Scene) { tunnel(dial(s, 4999, exchange+":60000", onWAN(), jumped(1, 2)), 1).Close() }
	view := func(v *Verdicts) []string {
		all := verdictsOf(v)
		for _, g := range v.Groups {
			if !g.MAPI() {
				continue
			}
			text := fmt.Sprintf("since %v proof %v risk %d", since(g.Since), since(g.Proof), g.Risk)
			if g.Growth != nil {
				text += fmt.Sprintf(" growth %d %d %v %v", g.Growth.Optimized, g.Growth.Plain, since(g.Growth.Mark), since(g.Growth.Last))
			}
			for _, p := range g.Pairs {
				text += fmt.Sprintf(" pair %s %s %v", p.Edge, p.Core, portsOf(p.Members))
			}
			all = append(all, text, "cause "+g.Cause)
		}
		for _, c := range v.Conversations {
			for name, x := range map[string]*Escaped{"escaped": c.Escaped, "possible": c.Possible} {
				if x != nil {
					all = append(all, fmt.Sprintf("%d %s %s in %d at %d: %s", portOf(c), name, x.Quality, x.Group.ID, x.Proof.Packet, x.Reason))
				}
			}
		}
		return append(all, fmt.Sprintf("clients %v affected %v since %v groups %d unclear %d escaped %d possible %d todo %s", v.Escape.Clients, v.Escape.Affected,
			since(v.Escape.Since), v.Escape.Groups, v.Escape.NotAssessable, v.Escape.Connections, v.Escape.Possible, v.Escape.Todo))
	}
	check(t, []row{
		{name: "one of two passed", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			mail(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			a.polls(1).c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4001 4002] creator escaped [4002] heuristic",
			"  1 of 2 connections passed the optimizer pair, 1 did not",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
			"since 160ms proof 160ms risk 500 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001]",
			"cause ",
			"4002 escaped heuristic in 1 at 16: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"clients [10.1.0.5] affected [10.1.0.5] since 160ms groups 1 unclear 0 escaped 1 possible 0 todo ",
		}},
		{name: "two of three passed, the third was not answered", build: func(s *pcaptest.Scene) {
			a, b := taken(s, 4001, 0, 1, 2), taken(s, 4002, 0x2000, 1, 2)
			mail(dial(s, 4003, mdb, onWAN(), []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...)}), 0x2000, 0x2000).c.Close()
			a.c.Close()
			b.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through exact proven: discovery option on the SYN, none on the SYN/ACK, and no sequence jump",
			"1 0x2000 escaped [4001 4002 4003] creator escaped [4003] exact",
			"  2 of 3 connections passed the optimizer pair, 1 did not",
			"escaped exact: one EMSMDB connection of one client escaped the optimizer pair",
			"since 320ms proof 360ms risk 500 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001 4002]",
			"cause ",
			"4003 escaped exact in 1 at 32: discovery option on the SYN, none on the SYN/ACK, and no sequence jump",
			"clients [10.1.0.5] affected [10.1.0.5] since 320ms groups 1 unclear 0 escaped 1 possible 0 todo ",
		}},
		{name: "all passed one pair", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			taken(s, 4002, 0x2000, 1, 2).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 whole [4001 4002] creator",
			"  every captured connection passed the same optimizer pair",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
			"since -1ns proof -1ns risk 0 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001 4002]",
			"cause ",
			"clients [10.1.0.5] affected [] since -1ns groups 1 unclear 1 escaped 0 possible 0 todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
		}},
		{name: "one alone passed", build: func(s *pcaptest.Scene) { taken(s, 4001, 0, 1, 2).c.Close() }, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 whole [4001] creator",
			"  its one connection passed the optimizer pair",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
			"since -1ns proof -1ns risk 0 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001]",
			"cause ",
			"clients [10.1.0.5] affected [] since -1ns groups 1 unclear 1 escaped 0 possible 0 todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
		}},
		{name: "two pairs", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			taken(s, 4002, 0x2000, 1, 3).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 split_pair [4001 4002] creator",
			"  its connections passed 2 different device pairs",
			"not_assessable exact: its connections passed 2 different device pairs",
			"since 160ms proof 160ms risk 0 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001] pair 00:14:5e:00:00:01 00:14:5e:00:00:03 [4002]",
			"cause ",
			"clients [10.1.0.5] affected [] since -1ns groups 1 unclear 1 escaped 0 possible 0 todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
		}},
		{name: "two pairs, and one escaped", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			taken(s, 4002, 0x2000, 1, 3).c.Close()
			mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4001 4002 4003] creator escaped [4003] heuristic",
			"  2 of 3 connections passed the optimizer pair, 1 did not; those that passed took 2 different pairs",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
			"since 360ms proof 360ms risk 500 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001] pair 00:14:5e:00:00:01 00:14:5e:00:00:03 [4002]",
			"cause ",
			"4003 escaped heuristic in 1 at 35: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"clients [10.1.0.5] affected [10.1.0.5] since 360ms groups 1 unclear 0 escaped 1 possible 0 todo ",
		}},
		{name: "near: bytes that differ on every connection", build: func(s *pcaptest.Scene) {
			option := func(seed byte) []pcaptest.Option {
				o := append([]byte{0x21, 12}, noise(11, seed)[1:]...)
				return []pcaptest.Option{pcaptest.SynOptions(o...), pcaptest.SynAckOptions(o...), pcaptest.Jump(1 << 31)}
			}
			a := mail(dial(s, 4001, mdb, onWAN(), option(1)), 0, 0x2000)
			mail(dial(s, 4002, mdb, onWAN(), option(2)), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 unknown [4001 4002] creator",
			"  every connection passed an optimizer; the bytes taken for device ids differ, each seen once: whether that was one pair cannot be told",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
			"since -1ns proof -1ns risk 0 pair bf:7b:20:cf:a5:2b bf:7b:20:cf:a5:2b [4001] pair 28:99:9c:9b:f4:78 28:99:9c:9b:f4:78 [4002]",
			"cause ",
			"clients [10.1.0.5] affected [] since -1ns groups 1 unclear 1 escaped 0 possible 0 todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
		}},
		{name: "none passed", build: func(s *pcaptest.Scene) {
			other(s)
			a := mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000)
			mail(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4999 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4001 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4001 4002] creator",
			"  no captured connection passed an optimizer",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
			"since -1ns proof -1ns risk 0",
			"cause ",
			"clients [10.1.0.5] affected [] since -1ns groups 1 unclear 1 escaped 0 possible 0 todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
		}},
		{name: "one passed, nothing tells of the other", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			mail(dial(s, 4002, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake()}), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator",
			"  1 of 2 connections passed the optimizer pair, the path of the others cannot be told",
			"  unproven: the path of one connection of 2 cannot be told",
			"not_assessable exact: the path of one connection of 2 cannot be told",
			"since -1ns proof -1ns risk 0 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001]",
			"cause ",
			"clients [10.1.0.5] affected [] since -1ns groups 1 unclear 1 escaped 0 possible 0 todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
		}},
		{name: "one did not pass, nothing tells of the other", build: func(s *pcaptest.Scene) {
			other(s)
			a := mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000)
			mail(dial(s, 4002, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake()}), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4999 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4001 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator",
			"  1 of 2 connections passed no optimizer, the path of the others cannot be told",
			"  unproven: the path of one connection of 2 cannot be told",
			"not_assessable exact: the path of one connection of 2 cannot be told",
			"since -1ns proof -1ns risk 0",
			"cause ",
			"clients [10.1.0.5] affected [] since -1ns groups 1 unclear 1 escaped 0 possible 0 todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
		}},
		{name: "one of three passed, one did not, nothing tells of the third", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			mail(dial(s, 4002, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake()}), 0x2000, 0x2000).c.Close()
			mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 unknown unavailable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4001 4002 4003] creator escaped [4003] heuristic",
			"  1 of 3 connections passed the optimizer pair, 1 did not; the path of one connection cannot be told",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
			"since 320ms proof 320ms risk 500 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001]",
			"cause ",
			"4003 escaped heuristic in 1 at 32: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"clients [10.1.0.5] affected [10.1.0.5] since 320ms groups 1 unclear 0 escaped 1 possible 0 todo ",
		}},
		{name: "near: it joined from another address", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			mail(s.Dial("10.1.0.6:4002", mdb, onWAN()...), 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4001 4002] creator across 1 possible [4002]",
			"  1 of 2 connections passed the optimizer pair and 1 did not; they come from 2 addresses",
			"  unproven: one connection may have escaped: it joined from another address a group whose other connections passed the pair",
			"possible heuristic: one EMSMDB connection may have escaped",
			"since -1ns proof 160ms risk 0 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001]",
			"cause ",
			"4002 possible heuristic in 1 at 16: it joined from another address a group whose other connections passed the pair",
			"clients [10.1.0.5 10.1.0.6] affected [10.1.0.6] since -1ns groups 1 unclear 0 escaped 0 possible 1 todo capture at the client's LAN and at the server's LAN, and compare",
		}},
		{name: "near: the opener midstream, behind no proof", build: func(s *pcaptest.Scene) {
			a, b := hidden(s, 4001), tunnel(dial(s, 4002, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake()}), 1)
			mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			tunnel(b, 1).Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"59531 unknown unavailable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003] possible [4003]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"possible heuristic: one EMSMDB connection may have escaped",
			"since -1ns proof 160ms risk 0",
			"cause ",
			"4003 possible heuristic in 1 at 16: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"clients [10.1.0.5] affected [10.1.0.5] since -1ns groups 1 unclear 0 escaped 0 possible 1 todo capture at the client's LAN and at the server's LAN, and compare",
		}},
		{name: "a jump blocked", from: oneFile(pcaps.WAN), build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			c := dial(s, 4002, mdb, onWAN(), pair(1, 2), []pcaptest.Option{pcaptest.AckEvery(0), pcaptest.ISNs(10, 20)})
			for range 2 {
				c.Segment(pcaptest.Client, 1<<31, noise(300, 1), pcaptest.ACK).Sleep(time.Second)
				c.Segment(pcaptest.Server, -1, nil, pcaptest.SYN|pcaptest.ACK)
			}
			a.polls(1).c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 unknown unavailable",
			"1 0x2000 whole [4001] creator",
			"  its one connection passed the optimizer pair",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
			"since -1ns proof -1ns risk 0 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001]",
			"cause ",
			"clients [10.1.0.5] affected [] since -1ns groups 1 unclear 1 escaped 0 possible 0 todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
		}},
		{name: "optimized ones no longer grow", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			b, c := taken(s, 4002, 0x2000, 1, 2), taken(s, 4003, 0x2000, 1, 2)
			for port := range uint16(3) {
				mail(dial(s, 4010+port, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			}
			for _, r := range []*rpc{a, b, c} {
				r.c.Close()
			}
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4010 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4011 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4012 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4001 4002 4003 4010 4011 4012] creator escaped [4010 4011 4012] heuristic",
			"  3 of 6 connections passed the optimizer pair, 3 did not",
			"escaped heuristic: 3 EMSMDB connections of one client escaped the optimizer pair",
			"since 480ms proof 480ms risk 1500 growth 3 3 480ms 881ms pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001 4002 4003]",
			"cause ",
			"4010 escaped heuristic in 1 at 46: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4011 escaped heuristic in 1 at 65: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4012 escaped heuristic in 1 at 84: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"clients [10.1.0.5] affected [10.1.0.5] since 480ms groups 1 unclear 0 escaped 3 possible 0 todo ",
		}},
		{name: "near: two plain ones are too few", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			b, c := taken(s, 4002, 0x2000, 1, 2), taken(s, 4003, 0x2000, 1, 2)
			for port := range uint16(2) {
				mail(dial(s, 4010+port, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			}
			for _, r := range []*rpc{a, b, c} {
				r.c.Close()
			}
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4010 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4011 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4001 4002 4003 4010 4011] creator escaped [4010 4011] heuristic",
			"  3 of 5 connections passed the optimizer pair, 2 did not",
			"escaped heuristic: 2 EMSMDB connections of one client escaped the optimizer pair",
			"since 480ms proof 480ms risk 1000 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001 4002 4003]",
			"cause ",
			"4010 escaped heuristic in 1 at 46: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4011 escaped heuristic in 1 at 65: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"clients [10.1.0.5] affected [10.1.0.5] since 480ms groups 1 unclear 0 escaped 2 possible 0 todo ",
		}},
		{name: "near: the optimized ones are two", build: func(s *pcaptest.Scene) {
			a, b := taken(s, 4001, 0, 1, 2), taken(s, 4002, 0x2000, 1, 2)
			for port := range uint16(3) {
				mail(dial(s, 4010+port, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			}
			a.c.Close()
			b.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4010 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4011 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4012 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4001 4002 4010 4011 4012] creator escaped [4010 4011 4012] heuristic",
			"  2 of 5 connections passed the optimizer pair, 3 did not",
			"escaped heuristic: 3 EMSMDB connections of one client escaped the optimizer pair",
			"since 320ms proof 320ms risk 1500 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001 4002]",
			"cause ",
			"4010 escaped heuristic in 1 at 31: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4011 escaped heuristic in 1 at 50: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4012 escaped heuristic in 1 at 69: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"clients [10.1.0.5] affected [10.1.0.5] since 320ms groups 1 unclear 0 escaped 3 possible 0 todo ",
		}},
		{name: "near: one more is optimized afterwards", build: func(s *pcaptest.Scene) {
			a := taken(s, 4001, 0, 1, 2)
			b, c := taken(s, 4002, 0x2000, 1, 2), taken(s, 4003, 0x2000, 1, 2)
			for port := range uint16(3) {
				mail(dial(s, 4010+port, mdb, onWAN()), 0x2000, 0x2000).c.Close()
			}
			taken(s, 4020, 0x2000, 1, 2).c.Close()
			for _, r := range []*rpc{a, b, c} {
				r.c.Close()
			}
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4010 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4011 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4012 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4020 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 escaped [4001 4002 4003 4010 4011 4012 4020] creator escaped [4010 4011 4012] heuristic",
			"  4 of 7 connections passed the optimizer pair, 3 did not",
			"escaped heuristic: 3 EMSMDB connections of one client escaped the optimizer pair",
			"since 480ms proof 480ms risk 1500 pair 00:14:5e:00:00:01 00:14:5e:00:00:02 [4001 4002 4003 4020]",
			"cause ",
			"4010 escaped heuristic in 1 at 46: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4011 escaped heuristic in 1 at 65: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4012 escaped heuristic in 1 at 84: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"clients [10.1.0.5] affected [10.1.0.5] since 480ms groups 1 unclear 0 escaped 3 possible 0 todo ",
		}},
	}, view)
}

// TestManyPairs: bytes that differ on every connection cost no square, and the
// pairs that are told apart come in order of time.
func TestManyPairs(t *testing.T) {
	f := build(t, func(s *pcaptest.Scene) {
		for i := range uint16(maxPairs + 10) {
			o := []byte{0x21, 12, 1, 8, 0, 0x14, 0x5e, 0, 0, byte(i), 0, 0}
			dial(s, 4000+i, mdb, onWAN(), []pcaptest.Option{pcaptest.SynOptions(o...), pcaptest.SynAckOptions(o...), pcaptest.Jump(1 << 31)}).Client(noise(30, 1)).Close()
		}
	}, oneFile())
	v := Judge(f)
	pairs, dropped := pairsOf(v.Conversations)
	if len(pairs) != maxPairs || dropped != 10 || pairs[0].Edge != "00:14:5e:00:00:00" || pairs[maxPairs-1].Edge != fmt.Sprintf("00:14:5e:00:00:%02x", maxPairs-1) {
		t.Errorf("%d pairs, %d dropped: %+v", len(pairs), dropped, pairs[0])
	}
}
