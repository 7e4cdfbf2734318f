package verdict

import (
	"testing"

	"mapiscope/assoc"
	"mapiscope/internal/pcaptest"
)

// TestMissing: what call ids say of connections that the captures do not hold,
// and of those whose bind they do not.
func TestMissing(t *testing.T) {
	at := func(s *pcaptest.Scene, port uint16, asked, first uint32, n int, options ...[]pcaptest.Option) *rpc {
		return bindAt(dial(s, port, mdb, append(options, onWAN())...), pcaptest.EMSMDB, asked, 0x2000, first).polls0(n)
	}
	few := oneFile()
	few.limit = func(cfg *assoc.Config) { cfg.Listed, cfg.Kept = 2, 2 }
	check(t, []row{
		{name: "all calls are here", build: func(s *pcaptest.Scene) {
			a := at(s, 4001, 0, 2, 3)
			at(s, 4002, 0x2000, 5, 3).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 unknown unavailable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of 2 connections of 2 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "five went elsewhere", build: func(s *pcaptest.Scene) {
			a := at(s, 4001, 0, 2, 3)
			at(s, 4002, 0x2000, 10, 3).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 unknown unavailable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator missing 5",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of 2 connections of 2 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "five went elsewhere, with an optimizer in sight", build: func(s *pcaptest.Scene) {
			a := at(s, 4001, 0, 2, 3, jumped(1, 2))
			at(s, 4002, 0x2000, 10, 3, jumped(1, 2)).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 unknown [4001 4002] creator missing 5",
			"  every captured connection passed the same optimizer pair",
			"  unproven: 5 of its calls went by a path that the captures do not see",
			"possible heuristic: calls of a group went by a path that the captures do not see",
		}},
		{name: "near: each connection counts for itself", build: func(s *pcaptest.Scene) {
			a := at(s, 4001, 0, 1, 3)
			at(s, 4002, 0x2000, 1, 9).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 unknown unavailable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of 2 connections of 2 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: what cannot be read may hold them", build: func(s *pcaptest.Scene) {
			a := at(s, 4001, 0, 2, 3)
			hidden(s, 4003).Close()
			at(s, 4002, 0x2000, 10, 3).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4003 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4001 4002] creator",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "the ids of one without a bind go on", build: func(s *pcaptest.Scene) {
			a := at(s, 4001, 0, 1002, 3)
			b := &rpc{c: dial(s, 4003, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake()}), call: 1004}
			b.polls(4)
			at(s, 4002, 0x2000, 1009, 3).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 unknown unavailable",
			"4003 unknown unavailable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002 4003] creator continued 1",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of 3 connections of 3 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: other hosts' ids", build: func(s *pcaptest.Scene) {
			a := at(s, 4001, 0, 1002, 3)
			b := &rpc{c: s.Dial("10.1.0.7:4003", mdb, append(onWAN(), pcaptest.NoHandshake())...), call: 1004}
			b.polls(4)
			at(s, 4002, 0x2000, 1009, 3).c.Close()
			a.c.Close()
		}, want: []string{
			"4001 unknown unavailable",
			"4003 unknown unavailable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator missing 4",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of 2 connections of 2 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
		{name: "near: a bound let connections go", from: few, build: func(s *pcaptest.Scene) {
			for port := range uint16(5) {
				at(s, 4100+port, 0, 1, 1).c.Close()
			}
			at(s, 4001, 0, 2, 3).c.Close()
			at(s, 4002, 0x2000, 10, 3).c.Close()
		}, want: []string{
			"4001 unknown unavailable",
			"4002 unknown unavailable",
			"1 0x2000 unknown [4001 4002] creator",
			"  the captures do not show whether an optimizer was passed",
			"  unproven: the path of 2 connections of 2 cannot be told",
			"not_assessable exact: no packet shows an optimizer on the path",
		}},
	}, verdictsOf)
}
