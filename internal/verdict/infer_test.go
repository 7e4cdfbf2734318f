package verdict

import (
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
)

// TestInferred: whose bind may be hidden between two devices.
func TestInferred(t *testing.T) {
	late := []pcaptest.Option{pcaptest.NoHandshake()}
	escapee := func(s *pcaptest.Scene, port uint16, id uint32) *pcaptest.Conn {
		return mail(dial(s, port, mdb, onWAN()), id, id).c
	}
	check(t, []row{
		{name: "a hidden opener, an escaped member", build: func(s *pcaptest.Scene) {
			a := hidden(s, 4001)
			escapee(s, 4003, 0x2000).Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4003] inferred [4001] escaped [4003] heuristic",
			"  1 of 2 connections passed the optimizer pair, 1 did not (1 inferred: their binds are hidden between the devices)",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
		}},
		{name: "two that may have opened it", build: func(s *pcaptest.Scene) {
			a, b := hidden(s, 4001), hidden(s, 4002)
			escapee(s, 4003, 0x2000).Close()
			a.Close()
			b.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4003] inferred [4001 4002] escaped [4003] heuristic",
			"  2 of 3 connections passed the optimizer pair, 1 did not (2 inferred: their binds are hidden between the devices)",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
		}},
		{name: "near: it opened the group itself", build: func(s *pcaptest.Scene) {
			a := hidden(s, 4001)
			mail(dial(s, 4003, mdb, onWAN()), 0, 0x2000).c.Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003] creator",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "near: the hidden one was over", build: func(s *pcaptest.Scene) {
			hidden(s, 4001).Close()
			s.Sleep(time.Second)
			escapee(s, 4003, 0x2000).Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: whoever opened the group was not captured",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "near: the hidden one came later", build: func(s *pcaptest.Scene) {
			c := mail(dial(s, 4003, mdb, onWAN()), 0x2000, 0x2000)
			a := hidden(s, 4001)
			c.polls(1).c.Close()
			a.Close()
		}, want: []string{
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"1 0x2000 unknown [4003]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: whoever opened the group was not captured",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "silent for nine minutes", build: func(s *pcaptest.Scene) {
			hidden(s, 4001)
			s.Sleep(9 * time.Minute)
			escapee(s, 4003, 0x2000)
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4003] inferred [4001] escaped [4003] heuristic",
			"  1 of 2 connections passed the optimizer pair, 1 did not (1 inferred: their binds are hidden between the devices)",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
		}},
		{name: "near: silent for eleven minutes, and not seen to end", build: func(s *pcaptest.Scene) {
			hidden(s, 4001)
			s.Sleep(11 * time.Minute)
			escapee(s, 4003, 0x2000)
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003] possible [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"possible heuristic: one EMSMDB connection may have escaped",
		}},
		{name: "near: silent for three hours", build: func(s *pcaptest.Scene) {
			hidden(s, 4001)
			s.Sleep(3 * time.Hour)
			escapee(s, 4003, 0x2000)
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: whoever opened the group was not captured",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "near: one of two is silent", build: func(s *pcaptest.Scene) {
			hidden(s, 4001)
			s.Sleep(11 * time.Minute)
			hidden(s, 4002)
			escapee(s, 4003, 0x2000)
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003] possible [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"possible heuristic: one EMSMDB connection may have escaped",
		}},
		{name: "near: the opener is midstream", build: func(s *pcaptest.Scene) {
			hidden(s, 4001).Close()
			old := tunnel(dial(s, 4002, mdb, onWAN(), late), 1)
			escapee(s, 4003, 0x2000).Close()
			tunnel(old, 1).Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"59531 unknown unavailable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: whoever opened the group was not captured",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "near: a hidden one and one that is midstream", build: func(s *pcaptest.Scene) {
			a, old := hidden(s, 4001), tunnel(dial(s, 4002, mdb, onWAN(), late), 1)
			escapee(s, 4003, 0x2000).Close()
			tunnel(old, 1).Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"59531 unknown unavailable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003] possible [4003]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"possible heuristic: one EMSMDB connection may have escaped",
		}},
		{name: "near: unreadable, and no device answered it", build: func(s *pcaptest.Scene) {
			hidden(s, 4001).Close()
			a := tunnel(dial(s, 4002, mdb, onWAN()), 2)
			escapee(s, 4003, 0x2000).Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 unknown unavailable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: whoever opened the group was not captured",
			"not_assessable exact: the association group of 2 EMSMDB connections is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "near: another client's", build: func(s *pcaptest.Scene) {
			a := tunnel(s.Dial("10.1.0.6:4001", mdb, opts(onWAN(), jumped(1, 2))...), 2)
			escapee(s, 4003, 0x2000).Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: whoever opened the group was not captured",
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
		}},
		{name: "near: to another port", build: func(s *pcaptest.Scene) {
			a := tunnel(dial(s, 4001, exchange+":59600", onWAN(), jumped(1, 2)), 2)
			escapee(s, 4003, 0x2000).Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: whoever opened the group was not captured",
			"not_assessable exact: whoever opened the group was not captured",
		}},
		{name: "near: two groups, one hidden opener", build: func(s *pcaptest.Scene) {
			a := hidden(s, 4001)
			b, c := escapee(s, 4002, 0x2000), escapee(s, 4003, 0x3000)
			b.Close()
			c.Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4002] possible [4002]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"2 0x3000 unknown [4003] possible [4003]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"possible heuristic: 2 EMSMDB connections may have escaped",
		}},
		{name: "two groups, two hidden openers", build: func(s *pcaptest.Scene) {
			a, d := hidden(s, 4001), hidden(s, 4004)
			b, c := escapee(s, 4002, 0x2000), escapee(s, 4003, 0x3000)
			b.Close()
			c.Close()
			a.Close()
			d.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4004 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4002] inferred [4001 4004] escaped [4002] heuristic",
			"  2 of 3 connections passed the optimizer pair, 1 did not (2 inferred: their binds are hidden between the devices)",
			"2 0x3000 escaped [4003] inferred [4001 4004] escaped [4003] heuristic",
			"  2 of 3 connections passed the optimizer pair, 1 did not (2 inferred: their binds are hidden between the devices)",
			"escaped heuristic: 2 EMSMDB connections of one client escaped the optimizer pair",
		}},
		{name: "near: two groups, one after the other, one hidden opener", build: func(s *pcaptest.Scene) {
			a := hidden(s, 4001)
			escapee(s, 4002, 0x2000).Close()
			s.Sleep(time.Minute)
			escapee(s, 4003, 0x3000).Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 unknown [4002] possible [4002]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"2 0x3000 unknown [4003] possible [4003]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"possible heuristic: 2 EMSMDB connections may have escaped",
		}},
		{name: "two groups, one after the other, each with an opener", build: func(s *pcaptest.Scene) {
			a := hidden(s, 4001)
			escapee(s, 4002, 0x2000).Close()
			b := hidden(s, 4004)
			a.Close()
			s.Sleep(time.Minute)
			escapee(s, 4003, 0x3000).Close()
			b.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4004 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4002] inferred [4001] escaped [4002] heuristic",
			"  1 of 2 connections passed the optimizer pair, 1 did not (1 inferred: their binds are hidden between the devices)",
			"2 0x3000 escaped [4003] inferred [4004] escaped [4003] heuristic",
			"  1 of 2 connections passed the optimizer pair, 1 did not (1 inferred: their binds are hidden between the devices)",
			"escaped heuristic: 2 EMSMDB connections of one client escaped the optimizer pair",
		}},
		{name: "near: three groups, the last two of which share one opener", build: func(s *pcaptest.Scene) {
			a := hidden(s, 4001)
			escapee(s, 4002, 0x2000).Close()
			a.Close()
			b := hidden(s, 4004)
			escapee(s, 4003, 0x3000).Close()
			s.Sleep(time.Minute)
			escapee(s, 4005, 0x4000).Close()
			b.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4004 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4005 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4002] inferred [4001] escaped [4002] heuristic",
			"  1 of 2 connections passed the optimizer pair, 1 did not (1 inferred: their binds are hidden between the devices)",
			"2 0x3000 unknown [4003] possible [4003]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"3 0x4000 unknown [4005] possible [4005]",
			"  its readable connections passed no optimizer; optimized ones of the same client are open at this server, and whether they belong to it cannot be told",
			"  unproven: one connection may have escaped: it joined a group that a hidden connection of the same client may have opened, and those passed the pair",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
		}},
		{name: "near: what passed the pair and can be read is bound elsewhere", build: func(s *pcaptest.Scene) {
			a := mail(dial(s, 4001, mdb, onWAN(), jumped(1, 2)), 0, 0x3000)
			escapee(s, 4003, 0x2000).Close()
			a.polls(1).c.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x3000 whole [4001] creator",
			"  its one connection passed the optimizer pair",
			"  unproven: its connections were captured at one place only: a member that takes another path would not be seen",
			"2 0x2000 unknown [4003]",
			"  no captured connection passed an optimizer",
			"  unproven: whoever opened the group was not captured",
			"not_assessable exact: its connections were captured at one place only: a member that takes another path would not be seen",
		}},
		{name: "near: RFR and NSPI never escape", build: func(s *pcaptest.Scene) {
			a := hidden(s, 4001)
			for i, iface := range []pcaptest.Syntax{pcaptest.RFR, pcaptest.NSPI} {
				bind(dial(s, 4002+uint16(i), mdb, onWAN()), iface, 0x2000, 0x2000).do(0, noise(40, 1), noise(60, 2)).c.Close()
			}
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"no_mapi exact: there is no EMSMDB in these captures, nor anything that could be it",
		}},
		{name: "RFR and NSPI beside an escaped member", build: func(s *pcaptest.Scene) {
			a := hidden(s, 4001)
			bind(dial(s, 4002, mdb, onWAN()), pcaptest.NSPI, 0x2000, 0x2000).do(0, noise(40, 1), noise(60, 2)).c.Close()
			escapee(s, 4003, 0x2000).Close()
			a.Close()
		}, want: []string{
			"4001 optimized exact proven: sequence numbers of the client jump by 2147483648 from this segment on",
			"4002 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"4003 pass_through heuristic proven: no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable",
			"1 0x2000 escaped [4002 4003] inferred [4001] escaped [4003] heuristic",
			"  1 of 2 connections passed the optimizer pair, 1 did not (1 inferred: their binds are hidden between the devices)",
			"escaped heuristic: one EMSMDB connection of one client escaped the optimizer pair",
		}},
	}, verdictsOf)
}

// TestBetween counts spans that meet a time.
func TestBetween(t *testing.T) {
	starts, stops := []int64{1, 5, 9}, []int64{4, 6, 12}
	for _, row := range []struct{ first, last, want int64 }{
		{0, 0, 0}, {0, 1, 1}, {1, 1, 1}, {4, 4, 1}, {4, 5, 2}, {5, 5, 1}, {7, 8, 0}, {6, 9, 2}, {0, 20, 3}, {12, 13, 1}, {13, 14, 0},
	} {
		if got := between(starts, stops, row.first, row.last); got != int(row.want) {
			t.Errorf("%d of them meet %d to %d, want %d", got, row.first, row.last, row.want)
		}
	}
}

// TestGroupOfAnOpener: a connection that may have opened several groups is
// listed with the first.
func TestGroupOfAnOpener(t *testing.T) {
	v := Judge(build(t, func(s *pcaptest.Scene) {
		a, d := hidden(s, 4001), hidden(s, 4004)
		b, c := mail(dial(s, 4002, mdb, onWAN()), 0x2000, 0x2000).c, mail(dial(s, 4003, mdb, onWAN()), 0x3000, 0x3000).c
		for _, c := range []*pcaptest.Conn{b, c, a, d} {
			c.Close()
		}
	}, oneFile()))
	for _, c := range v.Conversations {
		want := 1
		if portOf(c) == 4003 {
			want = 2
		}
		if c.Group == nil || c.Group.ID != want {
			t.Errorf("%d is in %+v, want group %d", portOf(c), c.Group, want)
		}
	}
}
