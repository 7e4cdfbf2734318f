package finding

import (
	"fmt"
	"math"
	"testing"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/internal/compare"
	"mapiscope/internal/verdict"
	"mapiscope/pcaps"
)

// brief prints a figure without its reason.
func brief(f Figure) string {
	if f.Value == nil {
		return string(f.Quality)
	}
	return fmt.Sprintf("%d %s", *f.Value, f.Quality)
}

func TestHighWater(t *testing.T) {
	for _, row := range []struct {
		name  string
		spans []span
		want  int64
	}{
		{"none", nil, 0},
		{"one", []span{{1, 2}}, 1},
		{"one after the other", []span{{1, 2}, {3, 4}}, 1},
		{"one meets the next", []span{{1, 2}, {2, 3}}, 2},
		{"the same order turned round", []span{{2, 3}, {1, 2}}, 2},
		{"of one instant", []span{{1, 1}, {1, 1}, {1, 1}}, 3},
		{"two, then three, then one", []span{{1, 4}, {2, 5}, {4, 6}, {7, 8}}, 3},
		{"two that never end", []span{{1, math.MaxInt64}, {5, math.MaxInt64}, {2, 3}}, 2},
	} {
		if got := highWater(row.spans); got != row.want {
			t.Errorf("%s: %d at one time, want %d", row.name, got, row.want)
		}
	}
}

// TestMAPICounters shows each counter of connections with how far it goes.
func TestMAPICounters(t *testing.T) {
	type want struct{ handled, optimized, handedOff, dropped, active, most, secured string }
	for _, row := range []struct {
		name  string
		conns []*Conn
		want  want
	}{
		{"nothing", nil, want{"0 exact", "0 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "0 exact", "0 exact"}},
		{"one by rule", []*Conn{conn(1)}, want{"1 exact", "1 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 exact"}},
		{"one handed off", []*Conn{conn(1, by(Generic), secureBy(dcerpc.LevelIntegrity, NTLM))}, want{"1 exact", "0 heuristic", "1 heuristic", "0 lower_bound", "0 exact", "1 exact", "1 exact"}},
		{"one passed through", []*Conn{conn(1, by(PassThrough), through(verdict.PassThrough))}, want{"1 exact", "0 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 exact"}},
		{"one that was reset before its first answer", []*Conn{conn(1, reset, unanswered)}, want{"1 exact", "0 heuristic", "0 heuristic", "1 lower_bound", "0 exact", "1 exact", "0 exact"}},
		{"one that was reset behind it", []*Conn{conn(1, reset)}, want{"1 exact", "1 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 exact"}},
		{"two that stay open", []*Conn{conn(1, open), conn(2, open)}, want{"2 exact", "2 heuristic", "0 heuristic", "0 lower_bound", "2 exact", "2 exact", "0 exact"}},
		{"one that a port names", []*Conn{conn(1, guessed), conn(2)}, want{"2 heuristic", "2 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 lower_bound"}},
		{"one hidden between the devices", []*Conn{conn(1, hidden, guessed, by(UnknownAccelerator), through(verdict.Optimized))},
			want{"1 lower_bound", "1 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 lower_bound"}},
		{"one optimized that only the LAN could name", []*Conn{conn(1, by(UnknownAccelerator), through(verdict.Optimized))}, want{"1 exact", "0 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 exact"}},
		{"one hidden on an unknown path", []*Conn{conn(1, hidden, by(UnknownAccelerator))}, want{"1 lower_bound", "0 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 lower_bound"}},
		{"of another service", []*Conn{conn(1, of(assoc.NSPI))}, want{"0 exact", "0 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "0 exact", "0 exact"}},
		{"at two points: the edge counts", []*Conn{conn(1), conn(2, at(pcaps.Core)), conn(3, at(pcaps.WAN))}, want{"1 exact", "1 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 exact"}},
		{"at two points: the core counts", []*Conn{conn(1, at(pcaps.WAN)), conn(2, at(pcaps.Core)), conn(3, at(pcaps.Core))}, want{"2 exact", "2 heuristic", "0 heuristic", "0 lower_bound", "0 exact", "1 exact", "0 exact"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := job(facts{conns: row.conns}).mapiCounters()
			check(t, row.want, want{brief(a.TotalHandledConnections), brief(a.TotalOptimizedConnections), brief(a.TotalHandedOffConnections), brief(a.TotalDroppedConnections),
				brief(a.CurrentActiveConnections), brief(a.MaximumActiveConnections), brief(a.SecuredConnections)}, allow[want]())
			if p := brief(a.CurrentPendingConnections); p != "unavailable" {
				t.Errorf("pending %s", p)
			}
		})
	}
}

func TestEPMCounters(t *testing.T) {
	count := func(d *Conn) {
		d.Service = assoc.EPM
		d.EPM = assoc.EPMCounts{Requests: 7, RequestsParsed: 6, Responses: 5, ResponsesParsed: 3, RequestErrors: 1, ResponseErrors: 2, Unavailable: 4}
	}
	type want struct{ handled, optimized, dropped, active, requests, parsed, responses, parsedBack, errors, both, unavailable, notInMap string }
	for _, row := range []struct {
		name  string
		conns []*Conn
		maps  []assoc.Exchange
		want  want
	}{
		{"one", []*Conn{conn(1, count)}, []assoc.Exchange{{Interface: emsmdb.MDB}, {Interface: dcerpc.EPM}, {}, {Interface: dcerpc.EPM, Sequence: assoc.Lookup}},
			want{"1 exact", "1 heuristic", "0 lower_bound", "0 exact", "7 exact", "6 exact", "5 exact", "3 exact", "1 exact", "3 exact", "4 exact", "1 exact"}},
		{"one that is hidden", []*Conn{conn(1, count), conn(2, of(assoc.EPM), hidden, through(verdict.PassThrough))}, nil,
			want{"2 lower_bound", "1 heuristic", "0 lower_bound", "0 exact", "7 lower_bound", "6 lower_bound", "5 lower_bound", "3 lower_bound", "1 lower_bound", "3 lower_bound", "4 lower_bound", "0 lower_bound"}},
		{"reset without an answer", []*Conn{conn(1, of(assoc.EPM), reset), conn(2, count, reset), conn(3, of(assoc.EPM), open)}, nil,
			want{"3 exact", "3 heuristic", "1 lower_bound", "1 exact", "7 exact", "6 exact", "5 exact", "3 exact", "1 exact", "3 exact", "4 exact", "0 exact"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := job(facts{conns: row.conns})
			for i := range row.maps {
				row.maps[i].Conn = row.conns[0].Conn
			}
			b.Result.Maps = row.maps
			a := b.epmCounters()
			check(t, row.want, want{brief(a.TotalHandledConnections), brief(a.TotalOptimizedConnections), brief(a.TotalDroppedConnections), brief(a.CurrentActiveConnections),
				brief(a.TotalRequests), brief(a.TotalRequestsParsed), brief(a.TotalResponses), brief(a.TotalResponsesParsed), brief(a.RequestErrors), brief(a.ParseErrors),
				brief(a.ServiceUnavailableResponses), brief(a.RequestsNotInMap)}, allow[want]())
		})
	}
}

// TestReads shows how far the figures of reads go, by what could be read.
func TestReads(t *testing.T) {
	three := emsmdb.Sizes{Requests: 3, Answers: emsmdb.Range{Count: 2, Min: 10, Max: 30, Sum: 40}}
	for _, row := range []struct {
		name  string
		tally mapiTally
		sizes emsmdb.Sizes
		want  [4]string // requests, least, most, mean
	}{
		{"all readable", mapiTally{readable: 1}, three, [4]string{"3 exact", "10 exact", "30 exact", "20 exact"}},
		{"nothing sealed, no read", mapiTally{readable: 1}, emsmdb.Sizes{}, [4]string{"0 exact", "unavailable", "unavailable", "unavailable"}},
		{"a part sealed", mapiTally{readable: 1, sealed: 1}, three, [4]string{"3 lower_bound", "10 heuristic", "30 heuristic", "20 heuristic"}},
		{"a part hidden", mapiTally{readable: 1, hidden: 1}, three, [4]string{"3 lower_bound", "10 heuristic", "30 heuristic", "20 heuristic"}},
		{"a part lost", mapiTally{readable: 1, partial: 1}, three, [4]string{"3 lower_bound", "10 heuristic", "30 heuristic", "20 heuristic"}},
		{"a part lost, no read", mapiTally{readable: 1, partial: 1}, emsmdb.Sizes{}, [4]string{"unavailable", "unavailable", "unavailable", "unavailable"}},
		{"all sealed", mapiTally{sealed: 1}, three, [4]string{"unavailable", "unavailable", "unavailable", "unavailable"}},
		{"all hidden", mapiTally{hidden: 1}, three, [4]string{"unavailable", "unavailable", "unavailable", "unavailable"}},
	} {
		a, b, c, d := row.tally.sizes(&row.sizes, "RopX")
		check(t, row.want, [4]string{brief(a), brief(b), brief(c), brief(d)})
	}
}

func TestUnread(t *testing.T) {
	for _, row := range []struct {
		tally     mapiTally
		all, part string
	}{
		{mapiTally{readable: 1}, "", ""},
		{mapiTally{}, "", ""},
		{mapiTally{readable: 1, sealed: 1}, "", "in the readable part of the traffic"},
		{mapiTally{hidden: 1}, "the payload is not readable between the devices", ""},
		{mapiTally{hidden: 1, sealed: 1}, "the calls are sealed", ""},
		{mapiTally{sealed: 1}, "the calls are sealed", ""},
		{mapiTally{partial: 1}, "", "as far as the traffic was captured and could be walked"},
	} {
		if all, part := row.tally.unread(); all != row.all || part != row.part {
			t.Errorf("%+v: %q, %q", row.tally, all, part)
		}
	}
}

func TestSessionsByGeneration(t *testing.T) {
	buckets := map[emsmdb.Bucket]int64{emsmdb.LowerThan2000: 1, emsmdb.Outlook2000: 2, emsmdb.Outlook2003: 3, emsmdb.Outlook2007: 4}
	for _, row := range []struct {
		name  string
		tally mapiTally
		want  [5]string // lower, 2000, 2003, 2007, higher
	}{
		{"all", mapiTally{readable: 1}, [5]string{"1 exact", "2 exact", "3 exact", "4 exact", "0 exact"}},
		{"a part", mapiTally{readable: 1, sealed: 1}, [5]string{"1 lower_bound", "2 lower_bound", "3 lower_bound", "4 lower_bound", "unavailable"}},
		{"some connects dropped", mapiTally{readable: 1, connectsDropped: 1}, [5]string{"1 lower_bound", "2 lower_bound", "3 lower_bound", "4 lower_bound", "unavailable"}},
		{"none", mapiTally{sealed: 1}, [5]string{"unavailable", "unavailable", "unavailable", "unavailable", "unavailable"}},
	} {
		var a MAPICounters
		row.tally.buckets = buckets
		row.tally.sessions(&a)
		check(t, row.want, [5]string{brief(a.SessionsLowerThan2000), brief(a.Sessions2000), brief(a.Sessions2003), brief(a.Sessions2007), brief(a.SessionsHigherThan2007)})
	}
}

func TestResponses(t *testing.T) {
	const apart = "all other answers, EcDoAsyncWaitEx apart"
	for _, row := range []struct {
		name          string
		local, remote assoc.Answers
		unjudged      int64
		want          [4]string // local count and mean, remote count and mean
		why           string    // of the remote count
	}{
		{"none", assoc.Answers{}, assoc.Answers{}, 0, [4]string{"unavailable", "unavailable", "unavailable", "unavailable"}, "no answered EMSMDB call"},
		{"none, and one that can not be judged", assoc.Answers{}, assoc.Answers{}, 1, [4]string{"unavailable", "unavailable", "unavailable", "unavailable"}, "no handshake of 5 ms or more to compare with: this capture has no WAN in it"},
		{"one remote", assoc.Answers{}, assoc.Answers{Count: 1, Sum: 9}, 0, [4]string{"0 lower_bound", "unavailable", "1 heuristic", "9 heuristic"}, apart},
		{"none that can be judged", assoc.Answers{}, assoc.Answers{}, 3, [4]string{"unavailable", "unavailable", "unavailable", "unavailable"}, "no handshake of 5 ms or more to compare with: this capture has no WAN in it"},
		{"both", assoc.Answers{Count: 2, Sum: 10}, assoc.Answers{Count: 3, Sum: 90}, 0, [4]string{"2 lower_bound", "5 heuristic", "3 heuristic", "30 heuristic"}, apart},
		{"remote", assoc.Answers{}, assoc.Answers{Count: 3, Sum: 90}, 1, [4]string{"0 lower_bound", "unavailable", "3 heuristic", "30 heuristic"}, apart + "; without the answers that have no handshake of 5 ms or more to compare with"},
		{"local", assoc.Answers{Count: 1, Sum: 7}, assoc.Answers{}, 0, [4]string{"1 lower_bound", "7 heuristic", "0 heuristic", "unavailable"}, apart},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := ResponsesOf(&assoc.Conn{Local: row.local, Remote: row.remote, Unjudged: row.unjudged})
			check(t, row.want, [4]string{brief(r.LocalCount), brief(r.LocalAvg), brief(r.RemoteCount), brief(r.RemoteAvg)})
			check(t, row.why, r.RemoteCount.Why)
		})
	}
}

// TestJudgeCalls shows how far figures of paired calls go.
func TestJudgeCalls(t *testing.T) {
	calls := compare.Calls{Answered: 5, Remote: compare.Tally{Count: 3, Sum: 300}, Unforwarded: compare.Tally{Count: 2, Sum: 20}}
	saved := int64(2*300/3 - 20)
	with := func(change func(*compare.Calls)) compare.Calls {
		c := calls
		change(&c)
		return c
	}
	for _, row := range []struct {
		name          string
		calls         compare.Calls
		lossy, sealed bool
		want          PairedCalls
	}{
		{"all", calls, false, false, PairedCalls{true, Exact, "questions matched between both captures", &saved}},
		{"sealed, and the same", calls, false, true, PairedCalls{true, Exact, "questions matched between both captures", &saved}},
		{"lossy", calls, true, false, PairedCalls{false, Unavailable, "a capture lost a part of the connection: a question without a counterpart says nothing", nil}},
		{"without clocks", with(func(c *compare.Calls) { c.Undecided = 5 }), false, false, PairedCalls{false, Unavailable, "nothing tells how the clocks of the two points differ", nil}},
		{"no calls", compare.Calls{}, false, false, PairedCalls{true, Exact, "questions matched between both captures", nil}},
		{"sealed and other", with(func(c *compare.Calls) { c.Differing = 1 }), false, true, PairedCalls{true, Heuristic, "the calls are sealed: matched by operation and order", &saved}},
		{"close", with(func(c *compare.Calls) { c.Uncertain = 1 }), false, false, PairedCalls{true, Heuristic, "some calls lie nearer to each other than the clocks are known", &saved}},
		{"past the other capture", with(func(c *compare.Calls) { c.Undecided = 1 }), false, false, PairedCalls{true, LowerBound, "some calls lie where the other capture has ended or not begun", &saved}},
		{"all remote", with(func(c *compare.Calls) { c.Unforwarded = compare.Tally{} }), false, false, PairedCalls{true, Exact, "questions matched between both captures", nil}},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, row.want, JudgeCalls(&row.calls, row.lossy, row.sealed))
		})
	}
}
