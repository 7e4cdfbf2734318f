package device

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

// sample returns a block that the vendor's documents print.
func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "waas", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func figure(n int64) document.Figure {
	return document.Figure{Value: &n, Quality: document.Exact, Why: "given"}
}

func text(t testing.TB, write func(b *strings.Builder) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// captured is a document with one capture of a period.
func captured(waas, first, last string) *document.Document {
	return &document.Document{WAAS: waas, Captures: []document.Capture{{Path: "a.pcap", First: &first, Last: &last}}}
}

// TestMAPIPrintsTheSample: with the figures of the vendor's sample the plain
// text is the sample, byte by byte.
func TestMAPIPrintsTheSample(t *testing.T) {
	doc := captured("4.1", "2009-11-05T19:45:19Z", "2009-11-05T19:50:00Z")
	doc.Accelerators.MAPI = document.MAPIAccelerator{
		TotalHandledConnections: figure(8615), TotalOptimizedConnections: figure(8614), TotalHandedOffConnections: figure(0),
		TotalDroppedConnections: figure(1), CurrentActiveConnections: figure(20), CurrentPendingConnections: figure(0),
		MaximumActiveConnections: figure(512),
		SyncGetBufferRequests:    figure(1052), SyncGetBufferMin: figure(31680), SyncGetBufferMax: figure(31680), SyncGetBufferAvg: figure(31680),
		ReadStreamRequests: figure(3844), ReadStreamMin: figure(19), ReadStreamMax: figure(31744), ReadStreamAvg: figure(14556),
		ReadAheadMin: figure(0), ReadAheadMax: figure(1172480), ReadAheadAvg: figure(594385),
		LocalResponseCount: figure(20827), LocalResponseAvg: figure(250895), RemoteResponseCount: figure(70486), RemoteResponseAvg: figure(277036),
		Sessions2000: figure(0), Sessions2003: figure(1), Sessions2007: figure(0), SecuredConnections: figure(1),
		SessionsLowerThan2000: figure(0), SessionsHigherThan2007: figure(0),
	}
	got := text(t, func(b *strings.Builder) error { return New(doc, Options{}).MAPI(false).WriteText(b, true) })
	if diff := cmp.Diff(sample(t, "accelerator-mapi.txt"), got); diff != "" {
		t.Errorf("(-sample +ours):\n%s", diff)
	}
}

// TestEPMPrintsTheLabels: the vendor's list of labels has no values.
func TestEPMPrintsTheLabels(t *testing.T) {
	got := text(t, func(b *strings.Builder) error {
		return New(&document.Document{}, Options{}).EPM(false).WriteText(b, true)
	})
	var labels strings.Builder
	for line := range strings.Lines(got) {
		label, value, ok := strings.Cut(strings.TrimRight(line, "\n"), ":")
		if ok {
			label += ":"
			if value = strings.TrimSpace(value); value != "" && value != unavailable {
				t.Errorf("%s the value %q came from nowhere", label, value)
			}
			if at := strings.Index(line, unavailable); at >= 0 && at != 69 {
				t.Errorf("%s the value stands in column %d, want 69", label, at)
			}
		}
		labels.WriteString(label + "\n")
	}
	if diff := cmp.Diff(sample(t, "accelerator-epm.txt"), labels.String()); diff != "" {
		t.Errorf("(-sample +ours):\n%s", diff)
	}
}

// TestPolicyEnginePrintsTheLabels compares the block of the detail with all
// values taken out.
func TestPolicyEnginePrintsTheLabels(t *testing.T) {
	doc := captured("5.3", "2009-11-05T19:45:19Z", "2009-11-05T19:50:00Z")
	doc.Accelerators.MAPI.TotalHandledConnections, doc.Accelerators.MAPI.CurrentActiveConnections = figure(7766), figure(3)
	all := text(t, func(b *strings.Builder) error { return New(doc, Options{}).MAPI(true).WriteText(b, true) })
	_, block, _ := strings.Cut(all, "\n\n")
	shape := func(s string) []string {
		var out []string
		for line := range strings.Lines(s) {
			if strings.HasPrefix(line, "Rejected") || strings.HasPrefix(line, "Auto-Discovery") || strings.HasPrefix(line, "Drops") {
				continue // continued in ways that are not documented
			}
			line = regexp.MustCompile(`n/a|[0-9][0-9.:]*`).ReplaceAllString(line, "#")
			out = append(out, strings.Join(strings.Fields(line), " "))
		}
		return out
	}
	if diff := cmp.Diff(shape(sample(t, "policy-engine.txt")), shape(block)); diff != "" {
		t.Errorf("(-sample +ours):\n%s", diff)
	}
	for _, want := range []string{"Hits:                  7766,", "Active Connections:       3,  Completed Connections:            7763"} {
		if !strings.Contains(block, want) {
			t.Errorf("no line %q in\n%s", want, block)
		}
	}
}

func TestListPrintsTheSample(t *testing.T) {
	v := New(&document.Document{WAAS: "4.1"}, Options{})
	l := &ConnectionList{Legend: v.legend(), Rows: []Row{{
		ConnID: 342, Source: document.Host{IP: "10.56.94.101", Port: 4506}, Dest: document.Host{IP: "10.10.100.100", Port: 1456},
		PeerID: heuristic(peerID("00:1a:64:d3:2f:b8", false), "given"), Accel: exact("TMDL"), RR: exact("61.0%"), State: "open",
	}}}
	for i, n := range []int64{2, 1, 1, 0, 0, 12, 0, 161} {
		l.Head = append(l.Head, Field{v.head()[i].Label, exact(n)})
	}
	got := text(t, func(b *strings.Builder) error { return l.WriteText(b, true) })
	if diff := cmp.Diff(sample(t, "connection-list.txt"), got); diff != "" {
		t.Errorf("(-sample +ours):\n%s", diff)
	}
}

// TestDetailPrintsTheSample compares with the sample but for its DRE block,
// which packets do not give, and its cut end.
func TestDetailPrintsTheSample(t *testing.T) {
	want := sample(t, "connection-detail.txt")
	want = regexp.MustCompile(`(?s)   \[DRE: .*?miss\]\n`).ReplaceAllString(want, "   [DRE: n/a]\n")
	want, _, _ = strings.Cut(want, "   [ . . .")
	fields := func(pairs ...any) []Field {
		var out []Field
		for i := 0; i < len(pairs); i += 2 {
			value := pairs[i+1]
			if n, ok := value.(int); ok {
				value = int64(n)
			}
			out = append(out, Field{pairs[i].(string), exact(value)})
		}
		return out
	}
	counters := Counters{4612, 4086, 1973, 2096}
	percent, _ := counters.ReductionRatio()
	d := Detail{
		ConnID: 1830,
		Connection: fields(labelID, 1830, labelPeer, peerID("0:14:5e:84:24:5f", true), labelType, "EXTERNAL CLIENT", labelStart, "Thu Jun 25 06:32:27 2009",
			labelSource, "10.10.10.10", labelSourcePort, 3774, labelDest, "10.10.100.101", labelDestPort, 1146, labelApp, appMail,
			labelClassifier, classMap, labelMap, "uuid"+emsmdb, labelDirected, "FALSE", labelPreposed, "FALSE"),
		Policy:      fields("Configured", policyFull, "Derived", policyFull, "Peer", policyFull, "Negotiated", policyFull, "Applied", policyFull),
		Accelerator: fields("Configured", "MAPI", "Derived", "MAPI", "Applied", "MAPI", "Hist", "None"),
		Read:        Pair{exact(counters.OriginalRead), exact(counters.OptimizedRead)},
		Written:     Pair{exact(counters.OriginalWritten), exact(counters.OptimizedWritten)},
		RR:          exact(DetailRatio(percent)),
		MAPI: fields(labelReset, "Thu Jun 25 06:32:27 2009", "Total Bytes Read", 46123985, "Total Bytes Written", 40864046,
			"Number of Synch Get Buffer Requests", 0, "Minimum Synch Get Buffer Size (bytes)", 0, "Maximum Synch Get Buffer Size (bytes)", 0,
			"Average Synch Get Buffer Size (bytes)", 0, "Number of Read Stream Requests", 0, "Minimum Read Stream Buffer Size (bytes)", 0,
			"Maximum Read Stream Buffer Size (bytes)", 0, "Average Read Stream Buffer Size (bytes)", 0, labelAheadMin, 0, labelAheadMax, 0, labelAheadAvg, 0,
			labelLocalCount, 0, labelLocalAvg, 0, labelRemoteCount, 19, labelRemoteAvg, 89005),
	}
	got := text(t, func(b *strings.Builder) error {
		return (&ConnectionDetail{Connections: []Detail{d}}).WriteText(b, true)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-sample +ours):\n%s", diff)
	}
	// What the views print has the labels of the sample in its order.
	host := document.Host{IP: "10.0.0.1", Port: 1}
	doc := captured("5.3", "2009-06-25T06:32:27Z", "2009-06-25T06:33:00Z")
	doc.Connections = []document.Connection{{ID: 1, Client: host, Server: host, Service: "mapi", ServiceBasis: "bind", Start: "2009-06-25T06:32:27Z", State: "open"}}
	v := New(doc, Options{})
	own := v.detail(v.flows[0])
	for _, pair := range [][2][]Field{{d.Connection, own.Connection}, {d.Policy, own.Policy}, {d.Accelerator, own.Accelerator}, {d.MAPI, own.MAPI}} {
		if diff := cmp.Diff(labelsOf(pair[0]), labelsOf(pair[1])); diff != "" {
			t.Errorf("labels (-sample +ours):\n%s", diff)
		}
	}
}

func labelsOf(fields []Field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Label)
	}
	return out
}

// TestRulesPrintTheSample compares with the sample; what the device alone
// knows is n/a.
func TestRulesPrintTheSample(t *testing.T) {
	want := strings.NewReplacer("Allocated: 32768", "Allocated: n/a", "32764", "n/a", "0x00000000", "n/a").Replace(sample(t, "policy-dynamic.txt"))
	d := &DynamicRules{
		Freelist: []Field{{"Allocated", none("")}, {"In Use", exact(int64(3))}, {"Max In Use", exact(int64(4))}, {"Allocations", exact(int64(380))}},
		Rules: []Rule{{Number: 1, Dst: document.Host{IP: "10.10.100.101", Port: 1146}, MapName: "uuid" + emsmdb,
			Remaining: exact(notAging), Hits: exact(int64(13)), Flows: exact(int64(7))}},
	}
	for _, m := range matchTypes {
		n := int64(0)
		if m == anyToHost {
			n = 3
		}
		d.Types = append(d.Types, Field{m, exact(n)})
	}
	got := text(t, func(b *strings.Builder) error { return d.WriteText(b, true) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-sample +ours):\n%s", diff)
	}
}

// TestHeadOfReleases: the lines of the head block and the letters of the legend
// differ between releases.
func TestHeadOfReleases(t *testing.T) {
	tests := []struct {
		release                string
		reserved, single, wide bool
	}{
		{"4.0", false, false, false},
		{"4.1.1", false, false, false},
		{"4.1.5", true, false, false},
		{"4.1", true, false, false}, // the last of its line
		{"4.5", true, false, false},
		{"5.0", true, false, true},
		{"5.3", true, false, true},
		{"6.2", true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.release, func(t *testing.T) {
			v := New(&document.Document{WAAS: tt.release}, Options{})
			labels := strings.Join(labelsOf(v.head()), "\n")
			for _, line := range []struct {
				label string
				want  bool
			}{{headReserved, tt.reserved}, {headSingle, tt.single}, {headPreposition, true}, {headHistorical, true}} {
				if got := strings.Contains(labels, line.label); got != line.want {
					t.Errorf("%q printed: %v, want %v", line.label, got, line.want)
				}
			}
			if got := strings.Contains(v.legend()[1], "W:WAN SECURE"); got != tt.wide {
				t.Errorf("legend %q", v.legend()[1])
			}
		})
	}
}

func TestPeerID(t *testing.T) {
	for _, tt := range []struct{ id, bare, full string }{
		{"00:1a:64:d3:2f:b8", "0:1a:64:d3:2f:b8", "00:1a:64:d3:2f:b8"},
		{"0:1A:64:D3:2F:B8", "0:1a:64:d3:2f:b8", "00:1a:64:d3:2f:b8"},
		{"02:4d:09:00:00:02", "2:4d:9:0:0:2", "02:4d:09:00:00:02"},
		{"something", "something", "something"},
	} {
		if got := peerID(tt.id, false); got != tt.bare {
			t.Errorf("peerID(%q) = %q, want %q", tt.id, got, tt.bare)
		}
		if got := peerID(tt.id, true); got != tt.full {
			t.Errorf("peerID(%q) with zeros = %q, want %q", tt.id, got, tt.full)
		}
	}
}

func TestLetters(t *testing.T) {
	for _, tt := range []struct {
		in, out string
		ok      bool
	}{
		{"TMDL", "TMDL", true}, {"LDMT", "TMDL", true}, {"TMWDL", "TMWDL", true}, {"TWMDL", "TMWDL", true},
		{"T", "T", true}, {"TG", "TG", true}, {"TMDLE", "TEMDL", true},
		{"MDL", "", false}, {"", "", false}, {"n/a", "", false}, {"TCP", "", true}, {"TTTTTTTTTTTT", "", false},
	} {
		got, ok := ParseLetters(tt.in)
		if ok != tt.ok || tt.out != "" && got.String() != tt.out {
			t.Errorf("ParseLetters(%q) = %v, %v, want %q, %v", tt.in, got, ok, tt.out, tt.ok)
		}
	}
}

// TestNothingIsZero: a document without a packet gives n/a everywhere, but for
// the counts of what is in it.
func TestNothingIsZero(t *testing.T) {
	v := New(&document.Document{WAAS: "5.3"}, Options{})
	for _, a := range []*Accelerator{v.MAPI(true), v.EPM(true)} {
		for _, f := range append(a.Fields, a.Policy...) {
			if f.V != nil {
				t.Errorf("%s %s = %v", a.Name, f.Label, f.V)
			}
		}
	}
	if got := fmt.Sprint(v.ConnectionList().Rows); got != "[]" {
		t.Errorf("rows %s", got)
	}
}
