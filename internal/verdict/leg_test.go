package verdict

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// evidenceOf says what each leg shows, and which of it is strong.
func evidenceOf(v *Verdicts) (all []string) {
	for _, c := range v.Conversations {
		for _, x := range c.Legs {
			l := v.Leg(x)
			var kinds []string
			for _, e := range l.Evidence {
				kinds = append(kinds, fmt.Sprintf("%s/%s@%d", e.Kind, e.Weight, e.Mark.Packet))
			}
			text := fmt.Sprintf("%d %v %s", x.Client().Port(), l.Place, l.Path)
			for _, flag := range []struct {
				is   bool
				name string
			}{{l.Proven, "proven"}, {l.Stripped, "stripped"}, {l.Blocked, "blocked"}, {l.Vendor != "", l.Vendor}, {l.Edge != "", l.Edge}, {l.Core != "", l.Core}} {
				if flag.is {
					text += " " + flag.name
				}
			}
			all = append(all, text+" "+fmt.Sprint(kinds))
		}
	}
	return all
}

// TestOneLeg: what one capture point shows of a connection.
func TestOneLeg(t *testing.T) {
	wan := oneFile(pcaps.WAN)
	none := oneFile()
	other := func(s *pcaptest.Scene) { hidden(s, 4999).Close() } // shows that the capture lies between devices
	server := []pcaptest.Option{pcaptest.Near(pcaptest.Server)}
	syn := []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...)}
	synAck := []pcaptest.Option{pcaptest.SynAckOptions(waasOption(2)...)}
	late := []pcaptest.Option{pcaptest.NoHandshake()}
	tls := func(c *pcaptest.Conn, lost int) *pcaptest.Conn {
		c.Drop(lost).Client(append([]byte{0x16, 3, 1, 0, 200}, noise(200, 1)...)).Server(append([]byte{0x16, 3, 3, 0, 200}, noise(200, 2)...))
		return c.Client(noise(3000, 4)).Server(noise(5000, 5))
	}
	check(t, []row{
		{name: "jump", from: wan, build: func(s *pcaptest.Scene) { hidden(s, 4001).Close() }, want: []string{
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5]",
		}},
		{name: "another jump than usual", from: wan, build: func(s *pcaptest.Scene) {
			tunnel(dial(s, 4001, mdb, onWAN(), pair(1, 2), []pcaptest.Option{pcaptest.Jump(1<<31 + 7)}), 1).Close()
		}, want: []string{
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5]",
		}},
		{name: "jump and readable", from: wan, build: func(s *pcaptest.Scene) { mail(dial(s, 4001, mdb, onWAN(), jumped(1, 2)), 0, 0x2000).c.Close() }, want: []string{
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 rpc_readable/heuristic@4 sequence_jump/exact@3 sequence_jump/exact@5 payload_untouched/heuristic@4]",
		}},
		{name: "jump that the other side never took", from: wan, build: func(s *pcaptest.Scene) {
			c := dial(s, 4001, mdb, onWAN(), pair(1, 2), []pcaptest.Option{pcaptest.AckEvery(0), pcaptest.ISNs(10, 20)})
			for range 2 {
				c.Segment(pcaptest.Client, 1<<31, noise(300, 1), pcaptest.ACK).Sleep(time.Second)
				c.Segment(pcaptest.Server, -1, nil, pcaptest.SYN|pcaptest.ACK)
			}
		}, want: []string{
			"4001 wan unknown blocked cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@4 jump_blocked/exact@4]",
		}},
		{name: "near: its SYN/ACK never came again", from: wan, build: func(s *pcaptest.Scene) {
			c := dial(s, 4001, mdb, onWAN(), pair(1, 2), []pcaptest.Option{pcaptest.AckEvery(0), pcaptest.ISNs(10, 20)})
			c.Segment(pcaptest.Client, 1<<31, noise(300, 1), pcaptest.ACK)
		}, want: []string{
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@4]",
		}},
		{name: "options both ways, readable", from: wan, build: func(s *pcaptest.Scene) { mail(dial(s, 4001, mdb, onWAN(), pair(1, 2)), 0, 0x2000).c.Close() }, want: []string{
			"4001 wan unknown cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 rpc_readable/heuristic@4 negotiated/lower_bound@2]",
		}},
		{name: "options both ways, unreadable", from: wan, build: func(s *pcaptest.Scene) { tunnel(dial(s, 4001, mdb, onWAN(), pair(1, 2)), 2).Close() }, want: []string{
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 rpc_unreadable/heuristic@2]",
		}},
		{name: "option on the SYN/ACK alone, unreadable", from: wan, build: func(s *pcaptest.Scene) { tunnel(dial(s, 4001, mdb, onWAN(), synAck), 2).Close() }, want: []string{
			"4001 wan optimized proven cisco_waas 00:14:5e:00:00:02 [synack_option/heuristic@2 rpc_unreadable/heuristic@2]",
		}},
		{name: "near: TLS with options both ways", from: wan, build: func(s *pcaptest.Scene) {
			tls(dial(s, 4001, exchange+":443", onWAN(), pair(1, 2)), 0).Close()
		}, want: []string{
			"4001 wan unknown cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 negotiated/lower_bound@2]",
		}},
		{name: "near: the same without its first segment", from: wan, build: func(s *pcaptest.Scene) {
			tls(dial(s, 4001, exchange+":443", onWAN(), pair(1, 2)), 1).Close()
		}, want: []string{
			"4001 wan unknown cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 negotiated/lower_bound@2]",
		}},
		{name: "option not answered", from: wan, build: func(s *pcaptest.Scene) { mail(dial(s, 4001, mdb, onWAN(), syn), 0, 0x2000).c.Close() }, want: []string{
			"4001 wan pass_through proven stripped cisco_waas 00:14:5e:00:00:01 [syn_option/heuristic@1 rpc_readable/heuristic@4 option_unanswered/exact@2]",
		}},
		{name: "near: nothing of the client behind the SYN/ACK", from: wan, build: func(s *pcaptest.Scene) {
			c := dial(s, 4001, mdb, onWAN(), syn, late)
			c.Segment(pcaptest.Client, -1, nil, pcaptest.SYN).Sleep(40*time.Millisecond).Segment(pcaptest.Server, -1, nil, pcaptest.SYN|pcaptest.ACK)
		}, want: []string{
			"4001 wan unknown []",
		}},
		{name: "near: not answered close to the server", from: none, build: func(s *pcaptest.Scene) {
			mail(dial(s, 4001, mdb, onWAN(), syn, server), 0, 0x2000).c.Close()
		}, want: []string{
			"4001 core unknown cisco_waas 00:14:5e:00:00:01 [syn_option/heuristic@1 rpc_readable/heuristic@4 option_delivered/lower_bound@1]",
		}},
		{name: "near: not answered at what is said to be the core", from: oneFile(pcaps.Core), build: func(s *pcaptest.Scene) {
			mail(dial(s, 4001, mdb, onWAN(), syn, []pcaptest.Option{pcaptest.TTL(126, 128)}), 0, 0x2000).c.Close()
		}, want: []string{
			"4001 core unknown cisco_waas 00:14:5e:00:00:01 [syn_option/heuristic@1 rpc_readable/heuristic@4 option_delivered/lower_bound@1]",
		}},
		{name: "no option between devices", from: none, build: func(s *pcaptest.Scene) {
			other(s)
			mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000).c.Close()
		}, want: []string{
			"4999 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5]",
			"4001 wan pass_through proven [rpc_readable/heuristic@19 no_option/heuristic@16]",
		}},
		{name: "no option, and of the handshake only the SYN/ACK", from: none, build: func(s *pcaptest.Scene) {
			other(s)
			c := dial(s, 4001, mdb, onWAN(), late).Segment(pcaptest.Server, -1, nil, pcaptest.SYN|pcaptest.ACK)
			mail(c, 0, 0x2000).c.Close()
		}, want: []string{
			"4999 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5]",
			"4001 wan pass_through proven [rpc_readable/heuristic@17 no_option/heuristic@16]",
		}},
		{name: "near: no handshake", from: none, build: func(s *pcaptest.Scene) {
			other(s)
			mail(dial(s, 4001, mdb, onWAN(), late), 0, 0x2000).c.Close()
		}, want: []string{
			"4999 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5]",
			"4001 wan unknown [rpc_readable/heuristic@16]",
		}},
		{name: "near: no option and no payload", from: none, build: func(s *pcaptest.Scene) {
			other(s)
			dial(s, 4001, mdb, onWAN()).Close()
		}, want: []string{
			"4999 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5]",
			"4001 wan unknown []",
		}},
		{name: "near: no option and nobody shows any", from: wan, build: func(s *pcaptest.Scene) { mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000).c.Close() }, want: []string{
			"4001 wan unknown []",
		}},
		{name: "near: unreadable without an option", from: none, build: func(s *pcaptest.Scene) {
			other(s)
			tunnel(dial(s, 4001, mdb, onWAN()), 2).Close()
		}, want: []string{
			"4999 wan optimized proven cisco_waas 00:14:5e:00:00:01 00:14:5e:00:00:02 [syn_option/heuristic@1 synack_option/heuristic@2 sequence_jump/exact@3 sequence_jump/exact@5]",
			"4001 wan unknown []",
		}},
		{name: "an option that no stack sends", from: none, build: func(s *pcaptest.Scene) {
			mail(dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.SynOptions(0xfd, 4, 1, 2)}), 0, 0x2000).c.Close()
		}, want: []string{
			"4001 edge unknown [other_option/lower_bound@1]",
		}},
	}, evidenceOf)
}

// TestEvidenceText: the details that name bytes and hosts.
func TestEvidenceText(t *testing.T) {
	detail := func(kind Kind) func(v *Verdicts) []string {
		return func(v *Verdicts) (all []string) {
			for _, c := range v.Conversations {
				if e, ok := v.Leg(c.Main).First(kind); ok {
					all = append(all, fmt.Sprintf("%d %s", portOf(c), e.Detail))
				}
			}
			return all
		}
	}
	for _, r := range []struct {
		kind Kind
		row  row
	}{
		{SequenceJump, row{name: "jump of another size", build: func(s *pcaptest.Scene) {
			tunnel(dial(s, 4001, mdb, onWAN(), pair(1, 2), []pcaptest.Option{pcaptest.Jump(1<<31 + 7)}), 1).Close()
		}, want: []string{
			"4001 sequence numbers of the client jump by 2147483655 from this segment on (2^31 is usual)",
		}}},
		{RPCUnreadable, row{name: "unreadable at an announced port", build: func(s *pcaptest.Scene) {
			mapper(s, 4000, onWAN())
			tunnel(dial(s, 4001, mdb, onWAN(), pair(1, 2)), 2).Close()
			tunnel(dial(s, 4002, exchange+":4000", onWAN(), []pcaptest.Option{pcaptest.SynAckOptions(waasOption(2)...)}), 2).Close()
			tunnel(dial(s, 4003, exchange+":135", onWAN(), pair(1, 2)), 2).Close()
		}, want: []string{
			"4001 both options on the handshake, and the payload is no DCE/RPC from its first byte, though port 59531 serves it",
			"4002 the SYN/ACK carries the option of the device at the server's side, and the payload is no DCE/RPC from its first byte",
			"4003 both options on the handshake, and the payload is no DCE/RPC from its first byte, though port 135 serves it",
		}}},
		{SynOption, row{name: "devices", build: func(s *pcaptest.Scene) {
			hidden(s, 4001).Close()
		}, want: []string{
			"4001 waas-ad(33) len=12 raw=010800145e0000010000, device id candidate 00:14:5e:00:00:01 (unverified)",
		}}},
		{NoOption, row{name: "no option", build: func(s *pcaptest.Scene) {
			hidden(s, 4001).Close()
			mail(dial(s, 4002, mdb, onWAN()), 0, 0x2000).c.Close()
			mail(dial(s, 4003, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake()}).Segment(pcaptest.Server, -1, nil, pcaptest.SYN|pcaptest.ACK), 0, 0x2001).c.Close()
		}, want: []string{
			"4002 no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4003 no discovery option on the SYN/ACK (the SYN was not captured) while other connections at this capture point carry it, and the payload is readable",
		}}},
	} {
		check(t, []row{r.row}, detail(r.kind))
	}
}

// TestUnknownLegs: what the job does not know has a verdict that says so.
func TestUnknownLegs(t *testing.T) {
	f := build(t, func(s *pcaptest.Scene) { hidden(s, 4001).Close(); hidden(s, 4002).Close() }, oneFile())
	gone := f.Result.Conns[1]
	f.Result.Conns = slices.Clone(f.Result.Conns[:1])
	v := Judge(f)
	if l := v.Leg(gone); l.Path != PathUnknown || l.Conn != gone || v.Of(gone) != nil {
		t.Errorf("%+v", l)
	}
	if v.Of(f.Result.Conns[0]) != v.Conversations[0] {
		t.Error("a leg without its conversation")
	}
}
