package verdict

import (
	"fmt"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
)

// TestGroups: which connections are one group.
func TestGroups(t *testing.T) {
	from := func(s *pcaptest.Scene, client string, server string, asked, granted uint32) *rpc {
		return mail(s.Dial(client, server, onWAN()...), asked, granted)
	}
	check(t, []row{
		{name: "one opens, one joins", build: func(s *pcaptest.Scene) {
			a := from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			from(s, "10.1.0.5:4002", mdb, 0x2000, 0x2000).c.Close()
			a.c.Close()
		}, want: []string{
			"1 0x2000 unknown [4001 4002] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 400ms",
		}},
		{name: "two processes of one host", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			from(s, "10.1.0.5:4002", mdb, 0, 0x2001)
		}, want: []string{
			"1 0x2000 unknown [4001] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 160ms",
			"2 0x2001 unknown [4002] creator clients [10.1.0.5] server 10.2.0.9:59531 from 160ms to 320ms",
		}},
		{name: "the id is given again", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000).c.Close()
			from(s, "10.1.0.5:4002", mdb, 0, 0x2000).c.Close()
			from(s, "10.1.0.5:4003", mdb, 0x2000, 0x2000).c.Close()
		}, want: []string{
			"1 0x2000 unknown [4001] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 200ms",
			"2 0x2000 unknown [4002 4003] creator clients [10.1.0.5] server 10.2.0.9:59531 from 200ms to 601ms",
		}},
		{name: "joined within half a minute of the last member's end", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000).c.Close()
			s.Sleep(29 * time.Second)
			from(s, "10.1.0.5:4002", mdb, 0x2000, 0x2000).c.Close()
		}, want: []string{
			"1 0x2000 unknown [4001 4002] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 29.4s",
		}},
		{name: "near: an hour later the id is stale", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000).c.Close()
			s.Sleep(time.Hour)
			from(s, "10.1.0.5:4002", mdb, 0x2000, 0x2000).c.Close()
		}, want: []string{
			"1 0x2000 unknown [4001] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 200ms",
			"2 0x2000 unknown [4002] clients [10.1.0.5] server 10.2.0.9:59531 from 1h0m0.2s to 1h0m0.4s",
		}},
		{name: "a member that was not seen to end lives on", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			s.Sleep(time.Hour)
			from(s, "10.1.0.5:4002", mdb, 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001 4002] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 1h0m0.32s",
		}},
		{name: "near: not for three hours", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			s.Sleep(3 * time.Hour)
			from(s, "10.1.0.5:4002", mdb, 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 160ms",
			"2 0x2000 unknown [4002] clients [10.1.0.5] server 10.2.0.9:59531 from 3h0m0.16s to 3h0m0.32s",
		}},
		{name: "another address joins a group whose opener was captured", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			from(s, "10.1.0.6:4002", mdb, 0x2000, 0x2000)
			from(s, "10.1.0.6:4003", mdb, 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001 4002 4003] creator across 2 clients [10.1.0.5 10.1.0.6] server 10.2.0.9:59531 from 0s to 480ms",
		}},
		{name: "near: not one whose opener was not", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0x2000, 0x2000)
			from(s, "10.1.0.6:4002", mdb, 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001] clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 160ms",
			"2 0x2000 unknown [4002] clients [10.1.0.6] server 10.2.0.9:59531 from 160ms to 320ms",
		}},
		{name: "near: not one that is over", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000).c.Close()
			s.Sleep(time.Minute)
			from(s, "10.1.0.6:4002", mdb, 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 200ms",
			"2 0x2000 unknown [4002] clients [10.1.0.6] server 10.2.0.9:59531 from 1m0.2s to 1m0.36s",
		}},
		{name: "the own group before that of another address", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			from(s, "10.1.0.6:4002", mdb, 0, 0x2000)
			from(s, "10.1.0.5:4003", mdb, 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001 4003] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 480ms",
			"2 0x2000 unknown [4002] creator clients [10.1.0.6] server 10.2.0.9:59531 from 160ms to 320ms",
		}},
		{name: "near: one id at two servers", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			from(s, "10.1.0.5:4002", "10.2.0.10:59531", 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 160ms",
			"2 0x2000 unknown [4002] clients [10.1.0.5] server 10.2.0.10:59531 from 160ms to 320ms",
		}},
		{name: "another port of the server that was asked for the id", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			from(s, "10.1.0.5:4002", "10.2.0.9:59600", 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001 4002] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 320ms",
		}},
		{name: "near: another port, granted what nobody asked for", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			from(s, "10.1.0.5:4002", "10.2.0.9:59600", 0x3000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 160ms",
			"2 0x2000 unknown [4002] clients [10.1.0.5] server 10.2.0.9:59600 from 160ms to 320ms",
		}},
		{name: "what the server granted counts", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			from(s, "10.1.0.5:4002", mdb, 0x9999, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001 4002] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 320ms",
		}},
		{name: "near: a bind that was refused is in none", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			c := s.Dial("10.1.0.5:4002", mdb, onWAN()...)
			c.Client(pcaptest.Bind(0x2000, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes()).Server(pcaptest.BindNak(4).Call(1).Bytes()).Close()
		}, want: []string{
			"1 0x2000 unknown [4001] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 160ms",
		}},
		{name: "the bind's answer was not captured", build: func(s *pcaptest.Scene) {
			from(s, "10.1.0.5:4001", mdb, 0, 0x2000)
			mail(s.Dial("10.1.0.5:4002", mdb, append(onWAN(), pcaptest.OneWay(pcaptest.Client))...), 0x2000, 0x2000)
		}, want: []string{
			"1 0x2000 unknown [4001 4002] creator clients [10.1.0.5] server 10.2.0.9:59531 from 0s to 320ms",
		}},
	}, func(v *Verdicts) (all []string) {
		for _, g := range v.Groups {
			all = append(all, fmt.Sprintf("%s clients %v server %v from %v to %v", groupText(g), g.Clients, g.Server, since(g.First()), since(g.Last())))
		}
		return all
	})
}

// TestCrowdedID: of very many groups with one id the newest may be joined.
func TestCrowdedID(t *testing.T) {
	var groups []*Group
	for i := range maxLiving + 3 {
		groups = keepNewest(append(groups, &Group{ID: i}))
	}
	if len(groups) != maxLiving || groups[0].ID != 3 || groups[maxLiving-1].ID != maxLiving+2 {
		t.Errorf("%d groups from %d", len(groups), groups[0].ID)
	}
}
