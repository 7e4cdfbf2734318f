package finding

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/flows"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// facts is what a test says of a job.
type facts struct {
	release  string
	conns    []*Conn
	captures []pcaps.Capture
	verdicts verdict.Verdicts
	events   []assoc.Event
	timeline bool
}

// job makes a judge of what a test says, before any rule was applied.
func job(f facts) *judge {
	b := &judge{
		Facts:    Facts{Result: &assoc.Result{Events: f.events}, Dir: assoc.NewDirectory(&assoc.Result{}), Verdicts: &f.verdicts, Captures: f.captures, Release: ReleaseOf(f.release), Timeline: f.timeline},
		Findings: &Findings{Conns: f.conns, conns: make(map[*assoc.Conn]*Conn)},
	}
	b.dir, b.v = b.Facts.Dir, b.Facts.Verdicts
	b.Findings.Facts = b.Facts
	for _, d := range f.conns {
		b.conns[d.Conn] = d
	}
	return b
}

// Ways to shape a connection.
type shape func(d *Conn)

// conn makes a connection with an EMSMDB bind, from its handshake to its end,
// whose port is its number.
func conn(number uint16, shapes ...shape) *Conn {
	at := wire.Mark{Packet: int64(number) * 10, Time: int64(number) * 1e9}
	end := wire.Mark{Packet: at.Packet + 9, Time: at.Time + 5e8}
	f := &flows.Conn{
		A: netip.AddrPortFrom(netip.MustParseAddr("10.1.0.5"), 40000+number), B: netip.MustParseAddrPort("10.2.0.9:59531"),
		First: at, Last: end, Origin: flows.Handshake,
	}
	f.Sides = [2]flows.SideStats{{Packets: 9, Bytes: 90, Fin: end}, {Packets: 9, Bytes: 90, Fin: end}}
	d := &Conn{
		Conn:  &assoc.Conn{Flow: f, RPC: &dcerpc.Conn{Contexts: []dcerpc.Context{{Acked: true, Result: dcerpc.Acceptance}}}, FirstAnswer: wire.Mark{Packet: at.Packet + 5, Time: at.Time + 1e8}},
		Leg:   &verdict.Leg{Path: verdict.PathUnknown, Place: pcaps.Edge},
		Basis: assoc.ByBind, Traits: Traits{Service: assoc.MAPI}, Disposition: Disposition{Accelerator: MAPIAccelerator, Quality: Heuristic},
	}
	for _, s := range shapes {
		s(d)
	}
	return d
}

func unanswered(d *Conn) { d.FirstAnswer = wire.Mark{} }
func open(d *Conn)       { d.Flow.Sides[0].Fin, d.Flow.Sides[1].Fin = wire.Mark{}, wire.Mark{} }
func midstream(d *Conn)  { d.Flow.Origin = flows.Midstream }
func hidden(d *Conn)     { d.RPC = nil }
func silent(d *Conn)     { d.Flow.Sides[0].Bytes, d.Flow.Sides[1].Bytes = 0, 0 }
func guessed(d *Conn)    { d.Basis = assoc.ByEPM }
func gapped(d *Conn)     { d.Flow.Sides[1].GapBytes = 1 }
func clientOnly(d *Conn) { d.Flow.Sides[1].Packets = 0 }
func reset(d *Conn) {
	open(d)
	d.Flow.Sides[1].Rst = d.Flow.Last
}
func at(p pcaps.Point) shape       { return func(d *Conn) { d.Leg.Place = p } }
func of(s assoc.Service) shape     { return func(d *Conn) { d.Service = s } }
func by(a Accelerator) shape       { return func(d *Conn) { d.Disposition.Accelerator = a } }
func through(p verdict.Path) shape { return func(d *Conn) { d.Leg.Path = p } }
func secureBy(l uint8, m Mechanism) shape {
	return func(d *Conn) {
		d.Secured = Secured{l, m}
		d.Signed, d.Encrypted = l >= dcerpc.LevelIntegrity, l == dcerpc.LevelPrivacy
	}
}
func client(ip string) shape {
	return func(d *Conn) { d.Flow.A = netip.AddrPortFrom(netip.MustParseAddr(ip), d.Flow.A.Port()) }
}

// number names a connection as conn does.
func number(c *assoc.Conn) string { return fmt.Sprint(c.Flow.A.Port() - 40000) }

// told is a finding in brief.
type told struct {
	Code   Code
	Detail string
	Conns  string
	Marks  int
}

// apply tells what one rule finds.
func apply(b *judge, rule func(*judge, func(Text) *Finding)) []told {
	var all []*Finding
	rule(b, func(t Text) *Finding {
		all = append(all, &Finding{Detail: t})
		return all[len(all)-1]
	})
	var out []told
	for _, f := range all {
		x := told{Detail: f.Detail.With(number), Marks: len(f.Marks)}
		for _, c := range f.Conns {
			x.Conns += number(c) + " "
		}
		out = append(out, x)
	}
	return out
}

func check(t *testing.T, want, got any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestText(t *testing.T) {
	c := conn(7)
	text := say("connection ", c.Conn, say(" and ", 2), " more")
	if got, want := text.With(number), "connection 7 and 2 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOneFindingForAReason shows that connections share a finding, that one seen
// at two points counts once, and how many packets a finding names.
func TestOneFindingForAReason(t *testing.T) {
	var r byReason
	one, other := conn(1), conn(2)
	r.add("late", one, one.Flow.First)
	r.add("early", one, wire.Mark{})
	r.add("late", other, other.Flow.First)
	far := conn(3, at(pcaps.Core))
	x := &verdict.Conversation{Main: one.Conn, Legs: []*assoc.Conn{one.Conn, far.Conn}}
	one.Leg.Conversation, far.Leg.Conversation = x, x
	r.add("far", one, one.Flow.First)
	r.add("far", far, one.Flow.First)
	got := apply(job(facts{}), func(_ *judge, add func(Text) *Finding) { r.report(add) })
	check(t, []told{
		{Detail: "2 connections, first 1 (10.1.0.5:40001 to 10.2.0.9:59531): late", Conns: "1 2 ", Marks: 2},
		{Detail: "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): early", Conns: "1 "},
		{Detail: "connection 1 (10.1.0.5:40001 to 10.2.0.9:59531): far", Conns: "1 3 ", Marks: 2},
	}, got)
}

func TestFindingNamesEachPacketOnce(t *testing.T) {
	var f Finding
	for i := range int64(2 * (maxMarks + 5)) {
		f.proves(wire.Mark{Packet: i/2 + 1})
	}
	f.proves(wire.Mark{})
	f.bound()
	var want []wire.Mark
	for i := range int64(maxMarks) {
		want = append(want, wire.Mark{Packet: i + 1})
	}
	check(t, want, f.Marks)
	if maxMarks != 20 {
		t.Errorf("a finding names %d packets, the contract says 20", maxMarks)
	}
}

// TestGravestFirst applies all rules to a job without anything wrong, and one
// with things of each severity.
func TestGravestFirst(t *testing.T) {
	b := job(facts{conns: []*Conn{conn(1)}, captures: []pcaps.Capture{{Path: "x"}}})
	b.findings()
	check(t, []Code{EPMMissing}, codes(b.All))
	b = job(facts{conns: []*Conn{conn(1, of(assoc.OverHTTP)), conn(2, gapped, of(assoc.EPM)), conn(3, nak, of(assoc.NSPI))}})
	b.findings()
	check(t, []Code{BindRejected, CaptureLoss, HTTPTransport}, codes(b.All))
}

func nak(d *Conn) { d.RPC.Naks = []dcerpc.BindNak{{Reason: 4, Mark: d.Flow.First}} }

func codes(all []Finding) (out []Code) {
	for _, f := range all {
		out = append(out, f.Code)
	}
	return out
}

func TestSeverities(t *testing.T) {
	if all := Severities(); len(all) != len(rules) || all[EscapedConnection] != Error || all[PossibleEscape] != Warning || all[SlowCalls] != Info {
		t.Errorf("%v", all)
	}
	if Error.Rank() >= Warning.Rank() || Warning.Rank() >= Info.Rank() {
		t.Error("the ranks are not in order")
	}
}

// allow lets whole values of a test's own type be compared.
func allow[T any]() cmp.Option {
	var v T
	return cmp.AllowUnexported(v)
}

// samePointers compares connections and authentications by what they are, not
// by what they hold.
var samePointers = cmp.Options{
	cmp.Comparer(func(a, b *assoc.Conn) bool { return a == b }), cmp.Comparer(func(a, b *dcerpc.Auth) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".last" }, cmp.Ignore()),
}
