package verdict

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

const ms = time.Millisecond

// TestTrips: which end a handshake was seen close to.
func TestTrips(t *testing.T) {
	for _, row := range []struct {
		name                 string
		toServer, toClient   time.Duration
		nearClient, nearServ bool
	}{
		{"not known", 0, 0, false, false},
		{"a WAN to the server", 40 * ms, ms, true, false},
		{"a WAN to the client", ms, 40 * ms, false, true},
		{"the client at once", 40 * ms, 1, true, false},
		{"the client's time is not known", 40 * ms, 0, false, false},
		{"the server's time is not known", 0, 40 * ms, false, false},
		{"no WAN to the server", 5 * ms, 1, false, false},
		{"just a WAN to the server", 5*ms + 1, 1, true, false},
		{"just a WAN to the client", 1, 5*ms + 1, false, true},
		{"no WAN to the client", 1, 5 * ms, false, false},
		{"in the middle", 40 * ms, 4 * ms, false, false},
		{"not quite in the middle", 40 * ms, 4*ms - 1, true, false},
		{"nor there", 4*ms - 1, 40 * ms, false, true},
		{"in the middle, nearer to the server", 4 * ms, 40 * ms, false, false},
	} {
		trip := trip{row.toServer, row.toClient}
		if a, b := trip.nearClient(), trip.nearServer(); a != row.nearClient || b != row.nearServ {
			t.Errorf("%s: near the client %v, the server %v", row.name, a, b)
		}
	}
}

func TestLeast(t *testing.T) {
	for _, row := range [][3]time.Duration{{0, 0, 0}, {0, 3, 3}, {3, 0, 3}, {3, 2, 2}, {2, 3, 2}, {2, 2, 2}} {
		if got := least(row[0], row[1]); got != row[2] {
			t.Errorf("of %d and %d: %d", row[0], row[1], got)
		}
	}
}

// TestCloser: handshakes as they are, and acknowledgements.
func TestCloser(t *testing.T) {
	for _, row := range []struct {
		toServer, toClient time.Duration
		want               bool
	}{{0, 40 * ms, false}, {ms, 2 * ms, false}, {ms, 2*ms + 1, true}, {ms, 0, false}} {
		if got := closerToServer(legAt(trips(row.toServer, row.toClient))); got != row.want {
			t.Errorf("%v and %v: %v", row.toServer, row.toClient, got)
		}
	}
	for _, row := range []struct {
		name               string
		toServer, toClient time.Duration
		side               int
		n                  int64
		delay              time.Duration
		want               bool
	}{
		{"as far as the server", 40 * ms, 0, 0, 1, 40 * ms, true},
		{"half of the way", 40 * ms, 0, 0, 1, 20 * ms, false},
		{"a little more", 40 * ms, 0, 0, 1, 20*ms + 1, true},
		{"no samples", 40 * ms, 0, 0, 0, 40 * ms, false},
		{"no WAN", 5 * ms, 0, 0, 1, 40 * ms, false},
		{"just a WAN", 5*ms + 1, 0, 0, 1, 40 * ms, true},
		{"as far as the client", 0, 40 * ms, 1, 1, 40 * ms, true},
		{"half of that way", 0, 40 * ms, 1, 1, 20 * ms, false},
		{"a little more of that way", 0, 40 * ms, 1, 1, 20*ms + 1, true},
		{"no samples of the server", 0, 40 * ms, 1, 0, 40 * ms, false},
		{"no WAN to the client", 0, 5 * ms, 1, 1, 40 * ms, false},
		{"just a WAN to the client", 0, 5*ms + 1, 1, 1, 40 * ms, true},
	} {
		if got := acknowledgedFar(legAt(trips(row.toServer, row.toClient), acks(row.side, row.n, row.delay))); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

// TestSettle decides about a place by what was counted.
func TestSettle(t *testing.T) {
	said := func(all ...pcaps.Point) Point { return Point{Said: all[0], saids: all} }
	between := func(p Point) Point { p.between = true; return p }
	both := func(p Point) Point { p.device = deviceView{lan: true, wan: true}; return p }
	for _, row := range []struct {
		name string
		of   Point
		v    votes
		want Point
	}{
		{"nothing tells", said(pcaps.Unknown), votes{all: 1}, Point{}},
		{"close to the client", said(pcaps.Unknown), votes{client: 1}, Point{Place: pcaps.Edge, Inferred: true}},
		{"close to the server", said(pcaps.Unknown), votes{server: 1}, Point{Place: pcaps.Core, Inferred: true}},
		{"close to both", said(pcaps.Unknown), votes{client: 1, server: 1}, Point{}},
		{"between devices", between(said(pcaps.Unknown)), votes{client: 1}, Point{Place: pcaps.WAN, Inferred: true}},
		{"on both sides of a device", both(between(said(pcaps.Unknown))), votes{client: 1}, Point{}},
		{"said, and nothing tells", said(pcaps.Edge), votes{}, Point{Said: pcaps.Edge, Place: pcaps.Edge}},
		{"said of one file alone", said(pcaps.Unknown, pcaps.Core), votes{}, Point{Said: pcaps.Core, Place: pcaps.Core}},
		{"said twice, and not the same", said(pcaps.Edge, pcaps.Core), votes{}, Point{Said: pcaps.Edge, Conflict: "the same packets are said to come from the edge and from the core"}},
		{"edge, between devices", between(said(pcaps.Edge)), votes{synAck: 3, syn: 2, all: 4}, Point{Said: pcaps.Edge, Place: pcaps.WAN, Inferred: true, Likely: pcaps.WAN,
			Conflict: "3 of 4 handshakes carry what only the path between two devices shows"}},
		{"edge, on both sides of a device", both(between(said(pcaps.Edge))), votes{syn: 1, all: 1}, Point{Said: pcaps.Edge, Place: pcaps.Edge}},
		{"edge, behind a device", said(pcaps.Edge), votes{syn: 1, all: 2}, Point{Said: pcaps.Edge, Conflict: "the SYN of 1 of 2 connections carries the option that an edge device adds behind this place"}},
		{"edge, close to the server behind hops", said(pcaps.Edge), votes{server: 2, hopsBefore: 1}, Point{Said: pcaps.Edge, Place: pcaps.Core, Inferred: true, Likely: pcaps.Core,
			Conflict: "the servers answer at once and without a hop between, the clients late"}},
		{"edge, close to the server, and no hop tells", said(pcaps.Edge), votes{server: 2}, Point{Said: pcaps.Edge, Place: pcaps.Edge}},
		{"core, between devices", between(said(pcaps.Core)), votes{jumped: 1, all: 4}, Point{Said: pcaps.Core, Place: pcaps.WAN, Inferred: true, Likely: pcaps.WAN,
			Conflict: "1 of 4 handshakes carry what only the path between two devices shows"}},
		{"core, on both sides of a device", both(between(said(pcaps.Core))), votes{jumped: 1, all: 4}, Point{Said: pcaps.Core, Place: pcaps.Core}},
		{"core, the option comes through", said(pcaps.Core), votes{syn: 1, all: 2}, Point{Said: pcaps.Core, Place: pcaps.Core}},
		{"core, close to the client behind hops", said(pcaps.Core), votes{client: 2, hopsBehind: 2, all: 3}, Point{Said: pcaps.Core, Place: pcaps.Edge, Inferred: true, Likely: pcaps.Edge,
			Conflict: "the clients answer at once and without a hop between, the servers late"}},
		{"core, half of it close to the client", said(pcaps.Core), votes{client: 2, hopsBehind: 2, all: 4}, Point{Said: pcaps.Core, Place: pcaps.Core}},
		{"core, some of it close to the server", said(pcaps.Core), votes{client: 2, server: 1, hopsBehind: 2, all: 3}, Point{Said: pcaps.Core, Place: pcaps.Core}},
		{"WAN, whatever it shows", said(pcaps.WAN), votes{client: 2, hopsBehind: 2, all: 2}, Point{Said: pcaps.WAN, Place: pcaps.WAN}},
	} {
		p := row.of
		p.settle(&row.v)
		if diff := cmp.Diff(row.want, p, cmpopts.IgnoreUnexported(Point{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}

// TestPlaces: where one capture was taken.
func TestPlaces(t *testing.T) {
	server := []pcaptest.Option{pcaptest.Near(pcaptest.Server)}
	syn := []pcaptest.Option{pcaptest.SynOptions(waasOption(1)...)}
	synAck := []pcaptest.Option{pcaptest.SynAckOptions(waasOption(2)...)}
	ttl := []pcaptest.Option{pcaptest.TTL(126, 128)}
	plain := func(options ...[]pcaptest.Option) func(s *pcaptest.Scene) {
		return func(s *pcaptest.Scene) { mail(dial(s, 4001, mdb, options...), 0, 0x2000).c.Close() }
	}
	check(t, []row{
		{name: "near the clients", build: plain(onWAN()), want: []string{
			"1 said unknown place edge inferred",
		}},
		{name: "near the servers", build: plain(onWAN(), server), want: []string{
			"1 said unknown place core inferred",
		}},
		{name: "no WAN", build: plain(rtt(2 * ms)), want: []string{
			"1 said unknown place unknown",
		}},
		{name: "both options", build: plain(onWAN(), pair(1, 2)), want: []string{
			"1 said unknown place wan inferred",
		}},
		{name: "a jump", build: plain(onWAN(), []pcaptest.Option{pcaptest.Jump(1 << 31)}), want: []string{
			"1 said unknown place wan inferred",
		}},
		{name: "near: the option of the edge device", build: plain(onWAN(), syn), want: []string{
			"1 said unknown place edge inferred",
		}},
		{name: "near: the option of the core device", build: plain(onWAN(), synAck), want: []string{
			"1 said unknown place edge inferred",
		}},
		{name: "the option of the core device, the SYN not captured", build: func(s *pcaptest.Scene) {
			c := dial(s, 4001, mdb, onWAN(), []pcaptest.Option{pcaptest.NoHandshake(), pcaptest.SegmentOptions(waasOption(2)...)})
			c.Segment(pcaptest.Server, -1, nil, pcaptest.SYN|pcaptest.ACK)
		}, want: []string{
			"1 said unknown place wan inferred",
		}},
		{name: "said edge, and that is so", from: oneFile(pcaps.Edge), build: plain(onWAN()), want: []string{
			"1 said edge place edge",
		}},
		{name: "said edge, taken near the servers", from: oneFile(pcaps.Edge), build: plain(onWAN(), server, ttl), want: []string{
			"1 said edge place core inferred, likely core: the servers answer at once and without a hop between, the clients late",
		}},
		{name: "said edge, near the servers by time alone", from: oneFile(pcaps.Edge), build: plain(onWAN(), server), want: []string{
			"1 said edge place edge",
		}},
		{name: "said core, taken near the clients", from: oneFile(pcaps.Core), build: plain(onWAN()), want: []string{
			"1 said core place edge inferred, likely edge: the clients answer at once and without a hop between, the servers late",
		}},
		{name: "said core, near the clients by time alone", from: oneFile(pcaps.Core), build: plain(onWAN(), ttl), want: []string{
			"1 said core place core",
		}},
		{name: "said edge, behind the edge device", from: oneFile(pcaps.Edge), build: plain(onWAN(), syn), want: []string{
			"1 said edge place unknown, likely unknown: the SYN of 1 of 1 connections carries the option that an edge device adds behind this place",
		}},
		{name: "one handshake waited", build: func(s *pcaptest.Scene) {
			plain(rtt(ms))(s)
			mail(dial(s, 4002, mdb, onWAN(), []pcaptest.Option{pcaptest.AckEvery(0)}), 0, 0x2001).c.Close()
		}, want: []string{
			"1 said unknown place edge inferred",
		}},
		{name: "a device answers some handshakes, others cross the WAN", build: func(s *pcaptest.Scene) {
			plain(rtt(ms))(s)
			mail(dial(s, 4002, mdb, onWAN()), 0, 0x2001).c.Close()
		}, want: []string{
			"1 said unknown place edge inferred",
		}},
	}, pointsOf)
}
