package finding

import (
	"errors"
	"testing"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/internal/verdict"
	"mapiscope/pcaps"
)

// conversations makes one conversation of each connection.
func conversations(conns []*Conn) (v verdict.Verdicts) {
	for _, d := range conns {
		v.Conversations = append(v.Conversations, &verdict.Conversation{Legs: []*assoc.Conn{d.Conn}, Main: d.Conn, Service: d.Service, Path: d.Leg.Path})
	}
	return v
}

func TestAssessEncryption(t *testing.T) {
	privacy, integrity := secureBy(dcerpc.LevelPrivacy, Kerberos), secureBy(dcerpc.LevelIntegrity, NTLM)
	unbound := func(d *Conn) { d.RPC.Contexts = nil }
	for _, row := range []struct {
		name  string
		conns []*Conn
		want  EncryptionAssessment
	}{
		{"nothing", nil, EncryptionAssessment{State: EncryptionUnknown, Reason: "no EMSMDB connection"}},
		{"another service", []*Conn{conn(1, privacy, of(assoc.NSPI))}, EncryptionAssessment{State: EncryptionUnknown, Reason: "no EMSMDB connection"}},
		{"readable", []*Conn{conn(1)}, EncryptionAssessment{Readable, "no EMSMDB connection asks for signing or encryption", 0, 0, 1, 0, 1}},
		{"one encrypted", []*Conn{conn(1, privacy)}, EncryptionAssessment{Encrypted, "the one EMSMDB connection at level privacy", 1, 0, 0, 0, 1}},
		{"the worst decides", []*Conn{conn(1), conn(2, privacy), conn(3, integrity), conn(4, hidden)}, EncryptionAssessment{Encrypted, "1 of 4 EMSMDB connections at level privacy", 1, 1, 1, 1, 4}},
		{"signed before unknown", []*Conn{conn(1), conn(2, integrity), conn(3, hidden)}, EncryptionAssessment{Signed, "1 of 3 EMSMDB connections at level integrity", 0, 1, 1, 1, 3}},
		{"unknown before readable", []*Conn{conn(1), conn(2, hidden), conn(3, unbound)}, EncryptionAssessment{EncryptionUnknown, "the bind of 2 of 3 EMSMDB connections was not captured or is hidden", 0, 0, 1, 2, 3}},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, row.want, job(facts{conns: row.conns, verdicts: conversations(row.conns)}).assessEncryption())
		})
	}
}

// TestAnyLegTellsTheEncryption shows that what one leg hides another may show.
func TestAnyLegTellsTheEncryption(t *testing.T) {
	near, far := conn(1, hidden), conn(2, secureBy(dcerpc.LevelPrivacy, Kerberos))
	v := verdict.Verdicts{Conversations: []*verdict.Conversation{{Legs: []*assoc.Conn{near.Conn, far.Conn, conn(3).Conn}, Main: near.Conn, Service: assoc.MAPI}}}
	check(t, EncryptionAssessment{Encrypted, "the one EMSMDB connection at level privacy", 1, 0, 0, 0, 1}, job(facts{conns: []*Conn{near, far}, verdicts: v}).assessEncryption())
}

func TestAssessAcceleration(t *testing.T) {
	for _, row := range []struct {
		name  string
		conns []*Conn
		want  AccelerationAssessment
	}{
		{"nothing", nil, AccelerationAssessment{AccelerationNotAssessable, false, "nothing tells which accelerator takes the connections"}},
		{"all", []*Conn{conn(1), conn(2)}, AccelerationAssessment{Accelerated, false, "release 5.3 takes all of them"}},
		{"all, and an optimizer shows", []*Conn{conn(1), conn(2, through(verdict.Optimized))}, AccelerationAssessment{Accelerated, true, "release 5.3 takes all of them"}},
		{"some", []*Conn{conn(1), conn(2, by(Generic)), conn(3, by(UnknownAccelerator))}, AccelerationAssessment{Partly, false, "1 of 3 EMSMDB connections under the MAPI accelerator"}},
		{"none", []*Conn{conn(1, by(PassThrough)), conn(2, by(Generic))}, AccelerationAssessment{NotAccelerated, false, "none of them is under the MAPI accelerator"}},
		{"none that is known", []*Conn{conn(1, by(PassThrough)), conn(2, by(UnknownAccelerator))}, AccelerationAssessment{AccelerationNotAssessable, false, "nothing tells which accelerator took 1 of 2 EMSMDB connections"}},
		{"nothing known", []*Conn{conn(1, by(UnknownAccelerator))}, AccelerationAssessment{AccelerationNotAssessable, false, "nothing tells which accelerator takes the connections"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, row.want, job(facts{conns: row.conns, verdicts: conversations(row.conns)}).assessAcceleration())
		})
	}
}

func TestAssessCapture(t *testing.T) {
	n := int64(1)
	incomplete := func(why string) CaptureAssessment { return CaptureAssessment{Incomplete, why} }
	complete := CaptureAssessment{Complete, "both directions, from the handshakes on, without a gap"}
	for _, row := range []struct {
		name     string
		conns    []*Conn
		captures []pcaps.Capture
		want     CaptureAssessment
	}{
		{"nothing", nil, nil, CaptureAssessment{Complete, "it holds nothing to judge"}},
		{"a filter that nothing matches", nil, []pcaps.Capture{{Filtered: 3}}, incomplete("no packet matches the filter")},
		{"all", []*Conn{conn(1)}, []pcaps.Capture{{}}, complete},
		{"an error", []*Conn{conn(1, gapped)}, []pcaps.Capture{{Err: errors.New("cut")}}, incomplete("cut")},
		{"a snap length", nil, []pcaps.Capture{{}, {Truncated: 1}}, incomplete("packets were cut by the snap length")},
		{"drops", nil, []pcaps.Capture{{Interfaces: []pcaps.Interface{{Dropped: &n}}}}, incomplete("packets were lost while capturing")},
		{"a gap", []*Conn{conn(1), conn(2, gapped)}, nil, incomplete("bytes of connections were never captured")},
		{"one direction", []*Conn{conn(1, clientOnly)}, nil, incomplete("only one direction of some connections was captured")},
		{"its middle", []*Conn{conn(1, midstream)}, nil, incomplete("some connections began before the capture")},
		{"the middle of what is not known", []*Conn{conn(1, midstream, hidden, of(assoc.Unknown))}, nil, complete},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, row.want, job(facts{conns: row.conns, captures: row.captures}).assessCapture())
		})
	}
	v := verdict.Verdicts{Compared: verdict.Compared{Unrelated: true}}
	b := job(facts{captures: []pcaps.Capture{{Packets: 5}}})
	b.Unread = 2
	check(t, incomplete("2 of 5 packets could not be read"), b.assessCapture())
	if got := job(facts{verdicts: v}).assessCapture(); got.State != Contradictory {
		t.Errorf("unrelated captures: %+v", got)
	}
}

func TestAssessPlaces(t *testing.T) {
	vendor := func(d *Conn) { d.Leg.Vendor = verdict.CiscoWAAS }
	b := job(facts{conns: []*Conn{conn(1, at(pcaps.WAN)), conn(2, at(pcaps.Core), vendor), conn(3, at(pcaps.WAN)), conn(4)}})
	b.assess()
	check(t, []pcaps.Point{pcaps.Core, pcaps.Edge, pcaps.WAN}, b.Assessment.Places)
	check(t, verdict.CiscoWAAS, b.Assessment.Vendor)
}

func TestLost(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	for _, row := range []struct {
		name       string
		interfaces []pcaps.Interface
		want       int64
		told       bool
	}{
		{"nothing tells", []pcaps.Interface{{}}, 0, false},
		{"none", []pcaps.Interface{{Dropped: n(0)}}, 0, true},
		{"system and driver", []pcaps.Interface{{Dropped: n(2), DriverDropped: n(3)}}, 5, true},
		{"statistics see more", []pcaps.Interface{{Dropped: n(2), Lost: n(1)}}, 2, true},
		{"packets see more", []pcaps.Interface{{Dropped: n(2), Lost: n(7)}}, 7, true},
		{"two interfaces", []pcaps.Interface{{Dropped: n(2)}, {Lost: n(7)}, {}}, 9, true},
	} {
		if got, told := Lost(&pcaps.Capture{Interfaces: row.interfaces}); got != row.want || told != row.told {
			t.Errorf("%s: %d, %v", row.name, got, told)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	v := verdict.Verdicts{Points: map[pcaps.Tap]*verdict.Point{1: {Place: pcaps.Edge}, 2: {Place: pcaps.Core}, 3: {Place: pcaps.Edge}}}
	face := func(tap pcaps.Tap, packets int64) pcaps.Interface { return pcaps.Interface{Tap: tap, Packets: packets} }
	for _, row := range []struct {
		name  string
		faces []pcaps.Interface
		want  pcaps.Point
	}{
		{"none", nil, pcaps.Unknown},
		{"one", []pcaps.Interface{face(1, 1)}, pcaps.Edge},
		{"two that agree", []pcaps.Interface{face(1, 1), face(3, 1)}, pcaps.Edge},
		{"two that do not", []pcaps.Interface{face(1, 1), face(2, 1)}, pcaps.Unknown},
		{"one without packets", []pcaps.Interface{face(2, 0), face(1, 1)}, pcaps.Edge},
		{"one that nobody judged", []pcaps.Interface{face(9, 1)}, pcaps.Unknown},
	} {
		if got := job(facts{verdicts: v}).PlaceOf(&pcaps.Capture{Interfaces: row.faces}); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

func TestGroupOf(t *testing.T) {
	connected := func(n int64) shape {
		return func(d *Conn) { d.MAPI = new(emsmdb.Conn); d.MAPI.Figures().Sessions = n }
	}
	version := func(v emsmdb.Version) shape { return func(d *Conn) { d.Version = v } }
	for _, row := range []struct {
		name  string
		conns []*Conn
		want  Group
	}{
		{"NSPI and RFR", []*Conn{conn(1, of(assoc.RFR)), conn(2, of(assoc.NSPI))}, Group{Service: assoc.NSPI}},
		{"the most telling service", []*Conn{conn(1, of(assoc.NSPI)), conn(2, of(assoc.MAPIAsync)), conn(3)}, Group{Service: assoc.MAPI}},
		{"unknown", []*Conn{conn(1, of(assoc.OverHTTP))}, Group{Service: assoc.Unknown}},
		{"sessions of all", []*Conn{conn(1, connected(2)), conn(2, connected(3), of(assoc.MAPIAsync)), conn(3)}, Group{Service: assoc.MAPI, Sessions: 5, Readable: true}},
		{"encrypted by one", []*Conn{conn(1), conn(2, of(assoc.NSPI), secureBy(dcerpc.LevelPrivacy, NTLM))}, Group{Service: assoc.MAPI, Encrypted: true}},
		{"the first product", []*Conn{conn(1), conn(2, version(outlook2007)), conn(3, version(outlook2016))}, Group{Service: assoc.MAPI, ClientProduct: outlook2007.Product()}},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := conversations(row.conns)
			check(t, row.want, job(facts{conns: row.conns}).GroupOf(&verdict.Group{Members: v.Conversations}))
		})
	}
}
