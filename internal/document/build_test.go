package document

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/auth"
	"mapiscope/dcerpc/epm"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/finding"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// mark is packet n, n seconds after 1970.
func mark(n int64) wire.Mark { return wire.Mark{Packet: n, Time: n * 1e9} }

const second = "1970-01-01T00:00:0"

// stampOf prints second n.
func stampOf(n string) string { return second + n + ".000000000Z" }

// conn makes a connection from a client's port to the server.
func conn(port uint16, begin, end int64) *assoc.Conn {
	f := &flows.Conn{
		A: netip.AddrPortFrom(netip.MustParseAddr("10.1.0.5"), port), B: netip.MustParseAddrPort("10.2.0.9:59531"), First: mark(begin), Last: mark(end),
	}
	return &assoc.Conn{Flow: f}
}

// found makes findings about connections.
func found(conns ...*assoc.Conn) *finding.Findings {
	res := &assoc.Result{Conns: conns}
	f := &finding.Findings{Facts: finding.Facts{Result: res, Dir: assoc.NewDirectory(res), Verdicts: &verdict.Verdicts{}, Release: finding.ReleaseOf("5.0")}}
	for _, c := range conns {
		f.Conns = append(f.Conns, &finding.Conn{Conn: c, Leg: &verdict.Leg{Conn: c, Path: verdict.PathUnknown}, Traits: finding.Traits{Service: assoc.Unknown}})
	}
	return f
}

func check(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFindings gives connections and groups numbers, and puts everything into
// order, each once.
func TestFindings(t *testing.T) {
	a, b := conn(1000, 1, 2), conn(1001, 3, 4)
	group := &verdict.Group{Members: []*verdict.Conversation{{Main: b, Legs: []*assoc.Conn{b}}}}
	f := found(a, b)
	f.Facts.Verdicts.Groups = []*verdict.Group{group}
	ip := netip.MustParseAddr
	f.All = []finding.Finding{{
		Code: finding.SlowCalls, Severity: finding.Info, Quality: finding.Heuristic, Title: "title", Advice: "advice",
		Detail: finding.Text{{Words: "see "}, {Conn: b}, {Words: " and "}, {Conn: a}},
		Conns:  []*assoc.Conn{b, a, b}, Groups: []*verdict.Group{group, group},
		Clients: []netip.Addr{ip("10.1.0.9"), ip("10.1.0.10"), ip("10.1.0.9")}, Servers: []netip.Addr{ip("10.2.0.9")}, Marks: []wire.Mark{mark(9), mark(3)},
	}, {Code: finding.CaptureLoss}}
	doc := build(f)
	check(t, []Finding{{
		Code: "SLOW_CALLS", Severity: Info, Quality: Heuristic, Title: "title", Detail: "see 2 and 1", Advice: "advice", Connections: []int{1, 2}, Groups: []int{1},
		Clients: []string{"10.1.0.10", "10.1.0.9"}, Servers: []string{"10.2.0.9"}, Packets: []PacketRef{{Packet: 9, Time: 9e9}, {Packet: 3, Time: 3e9}},
	}, {Code: "CAPTURE_LOSS", Connections: []int{}, Groups: []int{}, Clients: []string{}, Servers: []string{}, Packets: []PacketRef{}}}, doc.Findings)
}

// build makes a document without a group's figures, which need its members.
func build(f *finding.Findings) *Document {
	b := &builder{f: f, res: f.Facts.Result, v: f.Facts.Verdicts, uuids: map[wire.UUID]uuidText{}, ids: map[*assoc.Conn]int{}, at: map[*assoc.Conn]int{}, groupIDs: map[*verdict.Group]int{}, doc: &Document{}}
	b.number()
	b.connections()
	b.accelerators()
	b.policyRules()
	b.encryption()
	b.kerberosErrors()
	b.findings()
	b.events()
	b.totals()
	b.assess()
	b.limits()
	return b.doc
}

func TestFindingsByCode(t *testing.T) {
	all := FindingSeverities()
	if len(all) != len(finding.Severities()) || all["ESCAPED_CONNECTION"] != Error {
		t.Errorf("%v", all)
	}
}

func TestTally(t *testing.T) {
	f := found()
	for s, n := range map[finding.Severity]int{finding.Info: 1, finding.Warning: 2, finding.Error: 3} {
		for range n {
			f.All = append(f.All, finding.Finding{Severity: s})
		}
	}
	check(t, SeverityTally{Info: 1, Warning: 2, Error: 3}, build(f).Totals.Findings)
}

// TestCountersKeepTheirNames sets each counter apart and looks for it under the
// same name.
func TestCountersKeepTheirNames(t *testing.T) {
	for _, counters := range []any{new(finding.MAPICounters), new(finding.EPMCounters)} {
		from := reflect.ValueOf(counters).Elem()
		for i := range from.NumField() {
			n := int64(i + 1)
			from.Field(i).Set(reflect.ValueOf(finding.Figure{Value: &n, Quality: finding.LowerBound, Why: from.Type().Field(i).Name}))
		}
		var to reflect.Value
		switch x := counters.(type) {
		case *finding.MAPICounters:
			to = reflect.ValueOf(mapiAccelerator(x))
		case *finding.EPMCounters:
			to = reflect.ValueOf(epmAccelerator(x))
		}
		if to.NumField() != from.NumField() {
			t.Errorf("%d counters, want %d", to.NumField(), from.NumField())
		}
		for i := range from.NumField() {
			name := from.Type().Field(i).Name
			n := int64(i + 1)
			check(t, Figure{Value: &n, Quality: LowerBound, Why: name}, to.FieldByName(name).Interface())
		}
	}
}

func TestKerberosErrors(t *testing.T) {
	c := conn(1000, 1, 2)
	f := found(conn(999, 1, 1), c)
	skew := 1500 * time.Millisecond
	f.Kerberos = []finding.KRBError{
		{Mark: mark(3), Client: netip.MustParseAddr("10.1.0.5"), Server: netip.MustParseAddr("10.2.0.9"), Code: 37, Name: "KRB_AP_ERR_SKEW", Realm: "R", SPN: "S", Skew: &skew, ClientSkew: new(-skew), Conn: c},
		{Mark: mark(4), Client: netip.MustParseAddr("10.1.0.5"), Server: netip.MustParseAddr("10.2.0.9"), Code: 7, Name: "X"},
	}
	check(t, []KerberosError{
		{Time: stampOf("3"), Client: "10.1.0.5", Server: "10.2.0.9", Code: 37, Name: "KRB_AP_ERR_SKEW", Realm: new("R"), SPN: new("S"), Skew: new(int64(1_500_000)), ClientSkew: new(int64(-1_500_000)), Connection: new(2), Packet: PacketRef{Packet: 3, Time: 3e9}},
		{Time: stampOf("4"), Client: "10.1.0.5", Server: "10.2.0.9", Code: 7, Name: "X", Packet: PacketRef{Packet: 4, Time: 4e9}},
	}, build(f).Kerberos)
}

func TestEncryption(t *testing.T) {
	c := conn(1000, 1, 2)
	f := found(c)
	ip := netip.MustParseAddr
	f.Encryption = []finding.Protection{
		{Client: ip("10.1.0.5"), Server: ip("10.2.0.9"), Service: assoc.MAPI, User: `D\u`, Asked: 6, Offered: []string{"ntlm"}, Used: 5, Mechanism: finding.NTLM, SealedPDUs: 3, Conns: []*assoc.Conn{c}, Refused: 1, Unfinished: 2, Fallback: true, Dropped: 4,
			Changes: []finding.Change{{Conn: c, Auth: &dcerpc.Auth{Type: 10, Level: 5, State: dcerpc.Established, Facts: auth.Facts{Mechanism: "ntlm"}, Mark: mark(2)}, Accelerator: finding.Generic}}},
		{Client: ip("10.1.0.5"), Server: ip("10.2.0.9"), Service: assoc.NSPI, Asked: 2},
	}
	check(t, []Encryption{
		{Client: "10.1.0.5", Server: "10.2.0.9", Service: "mapi", User: new(`D\u`), Asked: "privacy", Offered: []string{"ntlm"}, Used: new("integrity"), Mechanism: new("ntlm"), SealedPDUs: 3, Connections: []int{1}, Refused: 1, Unfinished: 2, Fallback: true, Dropped: 4,
			Changes: []EncryptionChange{{Time: stampOf("2"), Connection: 1, Packet: PacketRef{Packet: 2, Time: 2e9}, Type: "ntlm", Mechanism: new("ntlm"), Level: "integrity", State: "established", Accelerator: new("generic")}}},
		{Client: "10.1.0.5", Server: "10.2.0.9", Service: "nspi", Asked: "connect", Offered: []string{}, Connections: []int{}, Changes: []EncryptionChange{}},
	}, build(f).Encryption)
}

func TestPolicyRules(t *testing.T) {
	row := &assoc.Learned{Answer: epm.Answer{Port: 59531, Interface: emsmdb.MDB, Mark: mark(3)}, At: netip.MustParseAddr("10.2.0.9")}
	f := found()
	f.Policy = []finding.PolicyRule{{Row: row}, {Row: row, Hits: 2, Last: mark(5), Live: 1}}
	want := PolicyRule{Server: "10.2.0.9", Port: 59531, MapName: "uuid" + emsmdb.MDB.String(), UUID: emsmdb.MDB.String(), Created: stampOf("3"), Packet: PacketRef{Packet: 3, Time: 3e9}}
	used := want
	used.Hits, used.LastHit, used.Flows = 2, new(stampOf("5")), 1
	check(t, []PolicyRule{want, used}, build(f).PolicyRules)
}

// TestEvents puts what was seen and what was found into one order of time.
func TestEvents(t *testing.T) {
	c, other := conn(1000, 1, 2), conn(1001, 1, 2)
	f := found(c)
	f.Facts.Timeline = true
	f.Facts.Result.Events = []assoc.Event{{Mark: mark(2), Conn: c, Kind: assoc.EventBind, Detail: assoc.Detail{State: "x"}}, {Mark: mark(3), Conn: other, Kind: assoc.EventBind}, {Mark: mark(5), Conn: c, Kind: "auth"}}
	f.Events = []finding.Event{{Kind: finding.EventHandoff, Mark: mark(5), Conn: c, Quality: finding.Heuristic, Reason: finding.Text{{Words: "of "}, {Conn: c}}}, {Kind: finding.EventDisconnect, Mark: mark(1), Conn: c}}
	event := func(n int64, kind string, d Detail) Event {
		return Event{Time: wire.Stamp(n * 1e9), Event: kind, Connection: 1, Client: Host{"10.1.0.5", 1000}, Server: Host{"10.2.0.9", 59531}, Packet: PacketRef{Packet: n, Time: n * 1e9}, Detail: d}
	}
	check(t, []Event{event(1, "repeated_disconnect", Detail{}), event(2, "bind", Detail{State: "x"}), event(5, "auth", Detail{}), event(5, "handoff", Detail{Quality: "heuristic", Reason: "of 1"})}, build(f).Events)
	f.Facts.Timeline = false
	check(t, []Event(nil), build(f).Events)
}

func TestAssessment(t *testing.T) {
	f := found()
	f.Facts.Verdicts.Escape = verdict.Escape{
		State: verdict.StatePossible, Quality: verdict.Heuristic, Reason: "r", Todo: "t", Groups: 1, NotAssessable: 2, Connections: 3, Possible: 4,
		Clients: []netip.Addr{{}, {}}, Affected: []netip.Addr{netip.MustParseAddr("10.1.0.5")}, Since: mark(3),
	}
	f.Assessment = finding.Assessment{
		Encryption:   finding.EncryptionAssessment{State: finding.Signed, Reason: "e", Encrypted: 1, Signed: 2, Readable: 3, Unknown: 4, Connections: 10},
		Acceleration: finding.AccelerationAssessment{State: finding.Partly, Observed: true, Reason: "a"},
		Capture:      finding.CaptureAssessment{State: finding.Incomplete, Reason: "c"}, Vendor: verdict.Riverbed, Places: []pcaps.Point{pcaps.Edge, pcaps.WAN},
	}
	check(t, Assessment{
		Escape:       EscapeAssessment{State: "possible", Quality: Heuristic, Reason: "r", Todo: new("t"), Groups: 1, GroupsNotAssessable: 2, EscapedConnections: 3, PossibleConnections: 4, Clients: 2, ClientsAffected: []string{"10.1.0.5"}, Since: new(stampOf("3"))},
		Encryption:   EncryptionAssessment{State: "signed", Reason: "e", Encrypted: 1, Signed: 2, Readable: 3, Unknown: 4, Connections: 10},
		Acceleration: AccelerationAssessment{State: "partly", By: "observed", Reason: "a"}, Capture: CaptureAssessment{State: "incomplete", Reason: "c"},
		Vendor: new("riverbed"), Places: []string{"edge", "wan"},
	}, build(f).Assessment)
	f = found()
	check(t, Assessment{Escape: EscapeAssessment{ClientsAffected: []string{}}, Acceleration: AccelerationAssessment{By: "rule"}, Places: []string{}}, build(f).Assessment)
}

// TestNumbers keeps the numbers of connections and groups over the documents of
// a live job.
func TestNumbers(t *testing.T) {
	a, b, c := conn(1000, 1, 9), conn(1001, 2, 9), conn(1002, 3, 9)
	var n Numbers
	for _, row := range []struct {
		name   string
		conns  []*assoc.Conn
		want   []int
		groups [][]int // members, by number
		taken  []int
	}{
		{"the first", []*assoc.Conn{a, c}, []int{1, 2}, [][]int{{1, 2}}, []int{1}},
		{"one between them", []*assoc.Conn{a, b, c}, []int{1, 3, 2}, [][]int{{1}, {2, 3}}, []int{1, 2}},
		{"one ended", []*assoc.Conn{b, c}, []int{3, 2}, [][]int{{3}, {2}}, []int{2, 3}},
		{"it is listed again", []*assoc.Conn{a, b}, []int{4, 3}, [][]int{{3, 4}}, []int{2}},
	} {
		var got []int
		for _, x := range row.conns {
			got = append(got, n.of(x))
		}
		check(t, row.want, got)
		taken := map[int]bool{}
		var groups []int
		for _, members := range row.groups {
			groups = append(groups, n.group(members, taken))
		}
		check(t, row.taken, groups)
		n.turn()
	}
	if n.Listed(c) || !n.Listed(a) {
		t.Error("what the latest document does not list is listed")
	}
}

func TestConnectionByNumber(t *testing.T) {
	for _, row := range []struct {
		name string
		ids  []int
	}{{"positions", []int{1, 2, 3}}, {"of a live job", []int{7, 2, 9}}} {
		var d Document
		for _, id := range row.ids {
			d.Connections = append(d.Connections, Connection{ID: id})
		}
		for _, indexed := range []bool{false, true} {
			if indexed {
				d.index()
			}
			for i, id := range row.ids {
				if at, ok := d.Position(id); at != i || !ok || d.Connection(id) != &d.Connections[i] {
					t.Errorf("%s: %d stands at %d, %v", row.name, id, at, ok)
				}
			}
			if d.Connection(0) != nil || d.Connection(4) != nil {
				t.Errorf("%s: a connection that is not there", row.name)
			}
		}
	}
}

// TestByRule asks each release about one connection of a document.
func TestByRule(t *testing.T) {
	f := found(conn(1000, 1, 2))
	f.Conns[0].Traits = finding.Traits{Service: assoc.EPM}
	d := build(f).Connections[0]
	for _, r := range Releases() {
		check(t, Disposition{Accelerator: "epm", Accel: "TEDL", Quality: Heuristic, Reason: "by rule: port 135 goes to the EPM accelerator"}, d.ByRule(r))
	}
}
