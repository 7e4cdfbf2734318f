package verdict

import (
	"fmt"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// TestEscape: the answer for the whole job, and what it counts.
func TestEscape(t *testing.T) {
	edgeAndCore := twoFiles(pcaps.Edge, pcaps.Core)
	view := func(v *Verdicts) []string {
		e := v.Escape
		all := []string{fmt.Sprintf("%s %s: %s", e.State, e.Quality, e.Reason), "todo " + e.Todo,
			fmt.Sprintf("groups %d unclear %d escaped %d possible %d clients %v affected %v since %v", e.Groups, e.NotAssessable, e.Connections, e.Possible, e.Clients, e.Affected, since(e.Since)),
			fmt.Sprintf("optimizer %v", v.Optimizer())}
		for _, c := range v.Contradictions() {
			all = append(all, fmt.Sprintf("contradiction unrelated %v tap %d said %v likely %v: %s; %s", c.Unrelated, c.Tap, c.Said, c.Likely, c.Detail, c.Order))
		}
		for _, p := range v.Inferred() {
			all = append(all, fmt.Sprintf("inferred %d %v", p.Tap, p.Place))
		}
		return all
	}
	check(t, []row{
		{name: "nothing", build: func(s *pcaptest.Scene) { dial(s, 4001, exchange+":443").Close() }, want: []string{
			"no_mapi exact: there is no EMSMDB in these captures, nor anything that could be it",
			"todo ",
			"groups 0 unclear 0 escaped 0 possible 0 clients [] affected [] since -1ns",
			"optimizer false",
		}},
		{name: "another service", build: func(s *pcaptest.Scene) { mapper(s, 4001) }, want: []string{
			"no_mapi exact: there is no EMSMDB in these captures, nor anything that could be it",
			"todo ",
			"groups 0 unclear 0 escaped 0 possible 0 clients [] affected [] since -1ns",
			"optimizer false",
		}},
		{name: "no optimizer in sight", build: func(s *pcaptest.Scene) { mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000).c.Close() }, want: []string{
			"not_assessable exact: no packet shows an optimizer on the path",
			"todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
			"groups 1 unclear 1 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer false",
			"inferred 1 edge",
		}},
		{name: "hidden, and nothing names it", build: func(s *pcaptest.Scene) { hidden(s, 4001).Close(); hidden(s, 4002).Close() }, want: []string{
			"not_assessable exact: 2 connections may carry EMSMDB and cannot be read",
			"todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
			"groups 0 unclear 0 escaped 0 possible 0 clients [] affected [] since -1ns",
			"optimizer true",
			"inferred 1 wan",
		}},
		{name: "hidden on a port that everybody knows", build: func(s *pcaptest.Scene) {
			tunnel(dial(s, 4001, exchange+":445", onWAN(), jumped(1, 2)), 2).Close()
		}, want: []string{
			"no_mapi exact: there is no EMSMDB in these captures, nor anything that could be it",
			"todo ",
			"groups 0 unclear 0 escaped 0 possible 0 clients [] affected [] since -1ns",
			"optimizer true",
			"inferred 1 wan",
		}},
		{name: "hidden and announced", build: func(s *pcaptest.Scene) {
			mapper(s, 4000, onWAN())
			hidden(s, 4001).Close()
		}, want: []string{
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
			"todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
			"groups 0 unclear 0 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer true",
			"inferred 1 wan",
		}},
		{name: "the bind was refused", build: func(s *pcaptest.Scene) {
			hidden(s, 4001).Close()
			c := dial(s, 4002, "10.2.0.9:60000", onWAN())
			c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes()).Server(pcaptest.BindNak(4).Call(1).Bytes()).Close()
		}, want: []string{
			"not_assessable exact: one connection may carry EMSMDB and cannot be read",
			"todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
			"groups 0 unclear 0 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer true",
			"inferred 1 wan",
		}},
		{name: "begun late", build: func(s *pcaptest.Scene) {
			hidden(s, 4001).Close()
			(&rpc{c: dial(s, 4002, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake()}), call: 5}).polls(3)
		}, want: []string{
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
			"todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
			"groups 0 unclear 0 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer true",
			"inferred 1 wan",
		}},
		{name: "two clients, each with an escape", build: func(s *pcaptest.Scene) {
			for i := range 2 {
				client := fmt.Sprintf("10.1.0.%d", 6-i)
				a := mail(s.Dial(client+":4001", mdb, opts(onWAN(), jumped(1, 2))...), 0, uint32(0x2000+i))
				mail(s.Dial(client+":4002", mdb, onWAN()...), uint32(0x2000+i), uint32(0x2000+i)).c.Close()
				a.c.Close()
			}
			mail(s.Dial("10.1.0.9:4001", mdb, opts(onWAN(), jumped(1, 2))...), 0, 0x2009).c.Close()
		}, want: []string{
			"escaped heuristic: 2 EMSMDB connections of 2 clients escaped the optimizer pair",
			"todo ",
			"groups 3 unclear 1 escaped 2 possible 0 clients [10.1.0.6 10.1.0.5 10.1.0.9] affected [10.1.0.6 10.1.0.5] since 160ms",
			"optimizer true",
			"inferred 1 wan",
		}},
		{name: "one whole, at both places", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			split(s, 4001).mail(0, 0x2000, 3, 1).close()
		}, want: []string{
			"none exact: every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path",
			"todo ",
			"groups 1 unclear 0 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer true",
		}},
		{name: "one whole, and one that is readable nowhere", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			split(s, 4001).mail(0, 0x2000, 3, 1).close()
			e := split(s, 4002, pcaptest.SynAckOptions(0x4c, 14, 0x11, 0, 10, 1, 0, 2, 10, 2, 0, 2, 0x1e, 0x78))
			e.turn(same(noise(100, 1)), same(noise(200, 2)))
			e.close()
		}, want: []string{
			"not_assessable exact: the association group of one EMSMDB connection is not known: the bind was not captured, or is hidden between the devices",
			"todo capture at the client's LAN and at the server's LAN from before the clients start, and compare",
			"groups 1 unclear 0 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer true",
		}},
		{name: "a member that is captured nowhere", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			a := split(s, 4001)
			a.call, a.over = 1, true
			a.mail(0, 0x2000, 2, 1) // calls 2 to 5
			b := split(s, 4002)
			b.call, b.over = 9, true
			b.mail(0x2000, 0x2000, 2, 1).close()
			a.at = b.at + time.Second
			a.close()
		}, want: []string{
			"possible heuristic: calls of a group went by a path that the captures do not see",
			"todo capture at the client's LAN and at the server's LAN, and compare",
			"groups 1 unclear 1 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer true",
		}},
		{name: "given the wrong way round", from: source{taps: [][]int{{1}, {0}}, said: []pcaps.Point{pcaps.Edge, pcaps.Core}, asked: true}, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001), 0, 0x2000).c.Close()
		}, want: []string{
			"not_assessable exact: the packets contradict what was said of the capture points",
			"todo check which capture was taken where",
			"groups 1 unclear 1 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer false",
			"contradiction unrelated false tap 1 said core likely edge: the capture said to be taken at the core was not taken there: the clients answer at once and without a hop between, the servers late; what was given as the core looks like the edge",
			"contradiction unrelated false tap 2 said edge likely core: the capture said to be taken at the edge was not taken there: the servers answer at once and without a hop between, the clients late; what was given as the edge looks like the core",
			"inferred 1 edge",
			"inferred 2 core",
		}},
		{name: "one capture as both", from: source{taps: [][]int{{0}, {0}}, said: []pcaps.Point{pcaps.Edge, pcaps.Core}, asked: true}, build: func(s *pcaptest.Scene) {
			mail(whole(s, 4001), 0, 0x2000).c.Close()
		}, want: []string{
			"not_assessable exact: the packets contradict what was said of the capture points",
			"todo check which capture was taken where",
			"groups 1 unclear 1 escaped 0 possible 0 clients [10.1.0.5] affected [] since -1ns",
			"optimizer false",
			"contradiction unrelated false tap 1 said edge likely unknown: both capture points show the same packets in the same spacing: they are one; ",
			"contradiction unrelated false tap 2 said core likely edge: both capture points show the same packets in the same spacing: they are one; ",
			"inferred 2 edge",
		}},
		{name: "unrelated", from: edgeAndCore, build: func(s *pcaptest.Scene) {
			mail(s.Dial("10.1.0.5:4001", mdb, pcaptest.On(0), pcaptest.RTT(2*way)), 0, 0x2000).c.Close()
			mail(s.Dial("10.9.0.5:4001", "10.8.0.9:59531", pcaptest.On(1), pcaptest.ISNs(5, 6)), 0, 0x2001).c.Close()
		}, want: []string{
			"not_assessable exact: the packets contradict what was said of the capture points",
			"todo check which capture was taken where",
			"groups 2 unclear 2 escaped 0 possible 0 clients [10.1.0.5 10.9.0.5] affected [] since -1ns",
			"optimizer false",
			"contradiction unrelated true tap 0 said unknown likely unknown: no connection was captured at both points: the captures are of other times, other hosts or other links; ",
		}},
	}, view)
}

// TestCount words numbers.
func TestCount(t *testing.T) {
	for n, want := range []string{"0 clients", "one client", "2 clients"} {
		if got := clientsOf(n); got != want {
			t.Errorf("%q", got)
		}
	}
	for n, want := range []string{"0 connections", "one connection", "2 connections"} {
		if got := connections(n); got != want {
			t.Errorf("%q", got)
		}
	}
}
