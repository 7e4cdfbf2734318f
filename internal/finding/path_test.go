package finding

import (
	"net/netip"
	"testing"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// tied makes one conversation of some legs.
func tied(group *verdict.Group, legs ...*Conn) *verdict.Conversation {
	c := &verdict.Conversation{Main: legs[0].Conn, Service: legs[0].Service, Path: legs[0].Leg.Path, Group: group}
	for _, d := range legs {
		c.Legs = append(c.Legs, d.Conn)
		d.Group = group
		d.Leg.Conversation = c
	}
	if group != nil {
		group.Members = append(group.Members, c)
	}
	return c
}

func group() *verdict.Group {
	return &verdict.Group{AGID: 0x10000, Server: netip.MustParseAddrPort("10.2.0.9:59531"), Clients: []netip.Addr{netip.MustParseAddr("10.1.0.5")}}
}

// judged makes a judge of conversations.
func judged(conns []*Conn, cs ...*verdict.Conversation) *judge {
	b := job(facts{conns: conns})
	b.v = verdict.Told(cs...)
	b.Facts.Verdicts, b.Findings.Facts.Verdicts = b.v, b.v
	return b
}

func TestEscapes(t *testing.T) {
	g, a, c := group(), conn(1), conn(2)
	x, y := tied(g, a), tied(g, c)
	g.Escaped, g.Reason, g.Since, g.Risk, g.Quality, g.Proof = []*verdict.Conversation{x, y}, "it left", wire.Mark{Time: 1e9}, 70, verdict.Heuristic, wire.Mark{Packet: 99}
	b := judged([]*Conn{a, c}, x, y)
	const detail = "group 0x00010000 of 10.1.0.5 at 10.2.0.9:59531: connection 1 (client port 40001), 2 (client port 40002); it left; mixed since 1970-01-01T00:00:01.000000000Z, 70 payload bytes at risk"
	check(t, []told{{Detail: detail, Conns: "1 2 ", Marks: 3}}, apply(b, (*judge).findEscapes))
	check(t, []told(nil), apply(b, (*judge).findPossibleEscapes))

	g.Cause, g.Growth = "because", &verdict.Growth{Optimized: 5, Plain: 3, Mark: wire.Mark{Time: 1e9}, Last: wire.Mark{Time: 3e9, Packet: 4}}
	check(t, []told{{Detail: detail + "; because; it looks like an overload: 5 connections were optimized at that moment, and of the 3 opened to the same servers within 2s from then on none was", Conns: "1 2 ", Marks: 4}}, apply(b, (*judge).findEscapes))

	g.Escaped = nil
	check(t, []told(nil), apply(b, (*judge).findEscapes))
	g.Possible = []*verdict.Conversation{y}
	y.Possible = &verdict.Escaped{Reason: "hidden"}
	check(t, []told{{Detail: "group 0x00010000 of 10.1.0.5 at 10.2.0.9:59531: possibly connection 2 (client port 40002): hidden", Conns: "2 ", Marks: 2}}, apply(b, (*judge).findPossibleEscapes))
}

// TestGroupOfAFinding shows that a finding about a group names it.
func TestGroupOfAFinding(t *testing.T) {
	g, a := group(), conn(1)
	x := tied(g, a)
	g.Escaped = []*verdict.Conversation{x}
	b := judged([]*Conn{a}, x)
	b.findings()
	f := b.All[0]
	if f.Code != EscapedConnection || len(f.Groups) != 2 || f.Groups[0] != g || f.Severity != Error || f.Quality != g.Quality {
		t.Errorf("%+v", f)
	}
	check(t, []netip.Addr{netip.MustParseAddr("10.1.0.5")}, f.Clients, samePointers)
	check(t, []netip.Addr{netip.MustParseAddr("10.2.0.9")}, f.Servers, samePointers)
}

func TestSplitPairs(t *testing.T) {
	g, a, c := group(), conn(1), conn(2)
	x, y := tied(g, a), tied(g, c)
	g.Pairs = []verdict.DevicePair{{Edge: "e1", Core: "c1", Members: []*verdict.Conversation{x}}, {Edge: "e2", Members: []*verdict.Conversation{y}}}
	b := judged([]*Conn{a, c}, x, y)
	check(t, []told(nil), apply(b, (*judge).findSplits))
	g.Split = true
	check(t, []told{{Detail: "group 0x00010000 of 10.1.0.5 at 10.2.0.9:59531 passed the device pairs e1 > c1 (1) and e2 > unknown (1); the ids are candidates read from TCP option 33", Conns: "1 2 ", Marks: 2}}, apply(b, (*judge).findSplits))
}

func TestContradictions(t *testing.T) {
	v := verdict.Verdicts{Compared: verdict.Compared{Unrelated: true}, Points: map[pcaps.Tap]*verdict.Point{
		1: {Tap: 1, Said: pcaps.Edge, Likely: pcaps.Core, Conflict: "x"}, 2: {Tap: 2, Said: pcaps.Edge, Likely: pcaps.Core, Conflict: "x"}, 3: {Tap: 3, Said: pcaps.Core, Conflict: "y"},
	}}
	b := job(facts{verdicts: v})
	check(t, []told{
		{Detail: "the capture said to be taken at the edge was not taken there: x; it looks like the core"}, {Detail: "the capture said to be taken at the core was not taken there: y"},
	}, apply(b, (*judge).findPlaces))
	check(t, []told{{Detail: "no connection was captured at both points: the captures are of other times, other hosts or other links"}}, apply(b, (*judge).findUnrelated))
}

// TestAtOnePointAlone looks for connections that one side of a comparison lacks.
func TestAtOnePointAlone(t *testing.T) {
	near := func(d *Conn) { d.Flow.Point = pcaps.Edge }
	far := func(d *Conn) { d.Flow.Point = pcaps.Core }
	const text = "captured at the edge and not at the core"
	for _, row := range []struct {
		name      string
		conn      *Conn
		unpaired  compare.Unpaired
		near, far []told
	}{
		{"near", conn(1, near), compare.Unpaired{}, one(text), nil},
		{"far", conn(1, far), compare.Unpaired{}, nil, one("captured at the core and not at the edge")},
		{"of one direction", conn(1, near, clientOnly), compare.Unpaired{}, one(text + "; one of its directions takes yet another path"), nil},
		{"of a group", conn(1, near, func(d *Conn) { d.Group = &verdict.Group{Members: make([]*verdict.Conversation, 2)} }), compare.Unpaired{}, one(text + ", unlike others of its association group"), nil},
		{"a group of its own", conn(1, near, func(d *Conn) { d.Group = &verdict.Group{Members: make([]*verdict.Conversation, 1)} }), compare.Unpaired{}, one(text), nil},
		{"past the other capture", conn(1, near), compare.Unpaired{Outside: true}, nil, nil},
		{"of other hosts", conn(1, near), compare.Unpaired{Elsewhere: true}, nil, nil},
		{"hidden EMSMDB", conn(1, near, hidden), compare.Unpaired{}, one(text), nil},
		{"no DCE/RPC", conn(1, near, hidden, of(assoc.Unknown)), compare.Unpaired{}, nil, nil},
		{"other DCE/RPC", conn(1, near, of(assoc.OtherRPC)), compare.Unpaired{}, one(text), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := judged([]*Conn{row.conn})
			row.unpaired.Conn = row.conn.Conn
			b.Compared = true
			b.Compare = &compare.Result{Job: compare.NewJob(pcaps.Edge, pcaps.Core), Unpaired: []compare.Unpaired{row.unpaired, {Conn: conn(9).Conn}}}
			check(t, row.near, apply(b, (*judge).findOnlyNear))
			check(t, row.far, apply(b, (*judge).findOnlyFar))
			b.v.Compared.Unrelated = true
			check(t, []told(nil), apply(b, (*judge).findOnlyNear))
			b.Compare = nil
			check(t, []told(nil), apply(b, (*judge).findOnlyFar))
		})
	}
}

// TestPairs shows what two legs say of one connection.
func TestPairs(t *testing.T) {
	cross := func(path verdict.Path, a Accelerator) *verdict.Crossing {
		return &verdict.Crossing{Path: path, Weight: verdict.Exact, Reason: "r", Accelerator: string(a)}
	}
	for _, row := range []struct {
		name    string
		crossed *verdict.Crossing
		handed  int64
		wan     *Conn
		want    Disposition
	}{
		{"nothing", nil, 0, nil, Disposition{UnknownAccelerator, "-", Unavailable, "nothing tells what it carries"}},
		{"the MAPI accelerator", cross(verdict.Optimized, MAPIAccelerator), 0, nil, Disposition{MAPIAccelerator, "TM", Exact, "captured on both sides: r"}},
		{"compressed between", cross(verdict.Optimized, EPMAccelerator), 0, conn(3, hidden), Disposition{EPMAccelerator, "TEDL", Exact, "captured on both sides: r"}},
		{"readable between", cross(verdict.Optimized, Generic), 0, conn(3), Disposition{Generic, "TG", Exact, "captured on both sides: r"}},
		{"handed over", cross(verdict.Optimized, Generic), 1e9, nil, Disposition{Generic, "TG", Exact, "captured on both sides: r; handed over to the generic accelerator at 1970-01-01T00:00:01.000000000Z"}},
		{"passed through", cross(verdict.PassThrough, PassThrough), 0, nil, Disposition{PassThrough, "-", Exact, "captured on both sides: r"}},
		{"by what nobody knows", cross(verdict.Optimized, UnknownAccelerator), 0, nil, Disposition{UnknownAccelerator, "-", Unavailable, "nothing tells what it carries"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, c := conn(1), conn(2)
			a.Service = assoc.Unknown
			x := tied(nil, a, c)
			x.Pair, x.Crossing = &compare.Pair{Near: a.Conn, Far: c.Conn, HandedOff: row.handed}, row.crossed
			if row.wan != nil {
				x.Pair.WAN = row.wan.Conn
			}
			check(t, row.want, judged([]*Conn{a, c}, x).dispose(a))
		})
	}
}

// TestPairedFigures replaces counters by what pairs know better.
func TestPairedFigures(t *testing.T) {
	type want struct{ optimized, handedOff, dropped, local, localAvg, remote, remoteAvg, least, most, mean string }
	calls := compare.Calls{Answered: 5, Remote: compare.Tally{Count: 3, Sum: 300}, Unforwarded: compare.Tally{Count: 2, Sum: 20}}
	ahead := compare.Ahead{Samples: 2, Min: 1, Max: 9, Sum: 10}
	for _, row := range []struct {
		name  string
		pair  compare.Pair
		path  verdict.Path
		alone bool
		want  want
	}{
		{"all", compare.Pair{Calls: calls, Ahead: ahead}, verdict.Optimized, false, want{"1 exact", "0 exact", "1 exact", "2 exact", "10 exact", "3 exact", "100 exact", "1 heuristic", "9 heuristic", "5 heuristic"}},
		{"one alone", compare.Pair{Calls: calls}, verdict.Optimized, true, want{"1 heuristic", "0 heuristic", "1 heuristic", "2 heuristic", "10 heuristic", "3 heuristic", "100 heuristic", "unavailable", "unavailable", "unavailable"}},
		{"unknown", compare.Pair{Calls: calls}, verdict.PathUnknown, false, want{"1 heuristic", "0 heuristic", "1 heuristic", "2 exact", "10 exact", "3 exact", "100 exact", "unavailable", "unavailable", "unavailable"}},
		{"lossy", compare.Pair{Calls: calls, Lossy: true, Ahead: ahead}, verdict.Optimized, false, want{"1 exact", "0 exact", "1 exact", "2 lower_bound", "10 lower_bound", "3 lower_bound", "100 lower_bound", "unavailable", "unavailable", "unavailable"}},
		{"sealed", compare.Pair{Calls: func() compare.Calls { c := calls; c.Differing = 1; return c }(), Sealed: true}, verdict.Optimized, false, want{"1 exact", "0 exact", "1 exact", "2 heuristic", "10 heuristic", "3 heuristic", "100 heuristic", "unavailable", "unavailable", "unavailable"}},
		{"undecided", compare.Pair{Calls: compare.Calls{Answered: 5, Undecided: 5}}, verdict.Optimized, false, want{"1 exact", "0 exact", "1 exact", "unavailable", "unavailable", "unavailable", "unavailable", "unavailable", "unavailable", "unavailable"}},
		{"void read-ahead", compare.Pair{Calls: calls, Ahead: compare.Ahead{Samples: 2, Void: true}}, verdict.Optimized, false, want{"1 exact", "0 exact", "1 exact", "2 exact", "10 exact", "3 exact", "100 exact", "unavailable", "unavailable", "unavailable"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, c, d := conn(1), conn(2, at(pcaps.Core)), conn(3)
			x := tied(nil, a, c)
			row.pair.Near, row.pair.Far = a.Conn, c.Conn
			x.Pair, x.Crossing = &row.pair, &verdict.Crossing{Path: row.path, ResetNear: true}
			b := judged([]*Conn{a, c}, x, tied(nil, d))
			b.Compared = true
			b.Compare = &compare.Result{Job: compare.NewJob(pcaps.Edge, pcaps.Core), Pairs: []*compare.Pair{&row.pair}}
			if row.alone {
				b.Compare.Unpaired = []compare.Unpaired{{Conn: d.Conn}}
			}
			b.Findings.Facts.Compare = b.Compare
			m := b.mapiCounters()
			check(t, row.want, want{brief(m.TotalOptimizedConnections), brief(m.TotalHandedOffConnections), brief(m.TotalDroppedConnections), brief(m.LocalResponseCount), brief(m.LocalResponseAvg),
				brief(m.RemoteResponseCount), brief(m.RemoteResponseAvg), brief(m.ReadAheadMin), brief(m.ReadAheadMax), brief(m.ReadAheadAvg)}, allow[want]())
		})
	}
}

// TestTalkedAbout shows which connections a document lists.
func TestTalkedAbout(t *testing.T) {
	for _, row := range []struct {
		name   string
		shapes []shape
		all    bool
		want   int
	}{
		{"DCE/RPC", nil, false, 1},
		{"nothing that is known", []shape{hidden}, false, 0},
		{"nothing, and all are wanted", []shape{hidden}, true, 1},
	} {
		d := conn(1, row.shapes...)
		res := &assoc.Result{Conns: []*assoc.Conn{d.Conn}}
		f := Judge(Facts{Result: res, Dir: assoc.NewDirectory(res), Verdicts: verdict.Told(), Release: ReleaseOf(""), AllConnections: row.all})
		if len(f.Conns) != row.want {
			t.Errorf("%s: %d connections", row.name, len(f.Conns))
		}
	}
	// Another leg of one that is listed is listed too.
	a, c := conn(1, hidden), conn(2)
	res := &assoc.Result{Conns: []*assoc.Conn{a.Conn, c.Conn}}
	f := Judge(Facts{Result: res, Dir: assoc.NewDirectory(res), Verdicts: verdict.Told(tied(nil, a, c)), Release: ReleaseOf("")})
	if len(f.Conns) != 2 || f.Conns[0].Conn != a.Conn {
		t.Errorf("%d legs", len(f.Conns))
	}
}

// TestConn takes together what rules need to know of a connection.
func TestConn(t *testing.T) {
	d := conn(1, func(d *Conn) {
		d.RPC.Contexts[0].Interface.UUID = emsmdb.MDB
		d.RPC.Auths = []dcerpc.Auth{{Level: dcerpc.LevelPrivacy, Type: 10, State: dcerpc.Rejected}, {Level: dcerpc.LevelIntegrity, Type: 10}}
		d.MAPI = new(emsmdb.Conn)
		f := d.MAPI.Figures()
		f.Client, f.Calls = outlook2007, 1
	})
	got := job(facts{}).conn(d.Conn)
	check(t, Traits{Service: assoc.MAPI, Secured: Secured{dcerpc.LevelIntegrity, NTLM}, Version: outlook2007}, got.Traits)
	if got.Basis != assoc.ByBind || got.Encrypted || !got.Signed || got.Unseen {
		t.Errorf("%+v", got)
	}
	d.MAPI.Figures().Calls = 0 // nothing was readable
	if v := job(facts{}).conn(d.Conn).Version; v.Known() {
		t.Errorf("the version of sealed calls is %v", v)
	}
}

func TestUnreadAndSessions(t *testing.T) {
	figures := func(f emsmdb.Figures) shape {
		return func(d *Conn) { d.MAPI = new(emsmdb.Conn); *d.MAPI.Figures() = f }
	}
	for _, row := range []struct {
		name             string
		shape            shape
		why              string
		some             bool
		sessions, pushes int64
		known            bool
	}{
		{"hidden", hidden, UnreadHidden, false, 0, 0, false},
		{"no call", func(*Conn) {}, UnreadNoCall, false, 0, 0, false},
		{"readable", figures(emsmdb.Figures{Calls: 2, Sessions: 1, PushNotifications: 3}), "", true, 1, 3, true},
		{"answers alone", figures(emsmdb.Figures{Unpaired: 1}), "", true, 0, 0, true},
		{"sealed", figures(emsmdb.Figures{SealedCalls: 1, Sealed: emsmdb.SealedCounts{Connects: 2, PushNotifications: 4}}), UnreadSealed, false, 2, 4, true},
		{"a part sealed", figures(emsmdb.Figures{Calls: 1, SealedCalls: 1, Sessions: 1, Sealed: emsmdb.SealedCounts{Connects: 2}}), UnreadPart, true, 3, 0, true},
		{"none at all", figures(emsmdb.Figures{}), "", false, 0, 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := conn(1, row.shape)
			why, some := d.Unread()
			sessions, pushes, known := d.Sessions()
			if why != row.why || some != row.some || sessions != row.sessions || pushes != row.pushes || known != row.known {
				t.Errorf("%q, %v; %d, %d, %v", why, some, sessions, pushes, known)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	d := conn(1)
	check(t, span{d.Flow.First.Time, d.Flow.Last.Time}, d.span(), allow[span]())
	d.Flow.Last.Time = 0 // a clock that was set back
	check(t, span{d.Flow.First.Time, d.Flow.First.Time}, d.span(), allow[span]())
	if d = conn(1, open); d.span().last <= d.Flow.Last.Time {
		t.Error("an open connection ends")
	}
	if d = conn(1, reset); d.alive() || d.Flow.State() != flows.ResetByServer {
		t.Error("a connection goes on after its reset")
	}
}
