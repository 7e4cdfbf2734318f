package metrics

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mapiscope/internal/document"
	"mapiscope/internal/hist"
	"mapiscope/internal/live"
)

var update = flag.Bool("update", false, "rewrite golden files")

var zeros = regexp.MustCompile(`(?m)^mapiscope_(findings|limit_hits_total)\{.* 0\n`)

var start = time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// options are those of a job that started a minute ago.
func options() (Options, *clock) {
	c := &clock{start.Add(time.Minute)}
	return Options{Now: c.Now, Start: start, StaleAfter: 30 * time.Second, Version: "v1.2.3", Revision: "0123abcd", GoVersion: "go1.26"}, c
}

// status is a job with something of everything.
func status() live.Status {
	var times hist.Histogram
	for _, us := range []int64{300, 2_000, 2_600, 40_000, 40_000, 1_700_000, 75_000_000} {
		times.Add(us)
	}
	return live.Status{
		Time: start.Add(time.Minute), Running: time.Minute,
		Interfaces: []live.Interface{
			{Name: "eth1", At: "edge", Packets: 120, Bytes: 9_000, KernelReceived: new(int64(130)), KernelDropped: new(int64(10)), DriverDropped: new(int64(1))},
			{Name: "eth2", At: "wan", Packets: 80, Bytes: 7_000, Err: "the interface went down"},
		},
		Counts: live.Counts{
			Connections: 9, OpenConnections: 4, MAPIConnections: 5, EncryptedMAPI: 2, AssociationGroups: 3, EscapedConnections: 1,
			Findings:        map[string]int64{"ESCAPED_CONNECTION": 1, "CAPTURE_LOSS": 2},
			CapturedPayload: 5_000, Gap: 40,
			LimitsHit: map[string]int64{"calls_lost": 7},
		},
		Log:           live.Queue{Waiting: 3, Capacity: 1024, Written: 55, Lost: 2, Spooled: 6, Failing: "no space left on device"},
		Memory:        live.Memory{Heap: 30 << 20, Limit: 256 << 20},
		ResponseTimes: &times,
	}
}

// exposition is what a scrape answers.
func exposition(t *testing.T, c *collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	w := httptest.NewRecorder()
	(&Server{collector: c}).handler(defaultLimits).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestExposition compares what a scrape answers. Findings and limits that are
// 0 are left out: their names are tables of the document.
func TestExposition(t *testing.T) {
	empty := live.Status{Interfaces: []live.Interface{{Name: "eth0", At: "unknown"}}}
	full := status()
	for _, tt := range []struct {
		name   string
		status *live.Status
	}{{"before", nil}, {"empty", &empty}, {"full", &full}} {
		t.Run(tt.name, func(t *testing.T) {
			o, clock := options()
			c := newCollector(o)
			if tt.status != nil {
				c.set(tt.status)
			}
			clock.now = clock.now.Add(1500 * time.Millisecond)
			got := zeros.ReplaceAllString(exposition(t, c), "")
			path := filepath.Join("testdata", tt.name+".prom")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("metrics (-want +got):\n%s", d)
			}
		})
	}
}

// values returns the samples of a scrape by name and labels.
func values(t *testing.T, c *collector) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(exposition(t, c)) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			all[line[:i]] = strings.TrimSpace(line[i+1:])
		}
	}
	return all
}

// TestLabelsAreBounded gives names of any kind: a scrape must succeed, have no
// more series than the tables say, and lose no packet from its sums.
func TestLabelsAreBounded(t *testing.T) {
	var hostile live.Status
	hostile.Counts.Findings = map[string]int64{}
	hostile.Counts.LimitsHit = map[string]int64{}
	for i := range 1000 {
		name := fmt.Sprintf("%d\xff\"\n{}=\\%s", i/2, strings.Repeat("ü", 100))
		hostile.Interfaces = append(hostile.Interfaces, live.Interface{Name: name, At: name, Packets: 1, KernelDropped: new(int64(1))})
		hostile.Counts.Findings[name] = 1
		hostile.Counts.LimitsHit[name] = 1
	}
	o, _ := options()
	o.Version = "\xff"
	c := newCollector(o)
	c.set(&hostile)
	got := map[string]int{} // series by metric
	var packets, longest int
	for series, v := range values(t, c) {
		name, labels, _ := strings.Cut(series, "{")
		got[name]++
		longest = max(longest, len(labels))
		if name == "mapiscope_packets_total" {
			var n int
			if _, err := fmt.Sscan(v, &n); err != nil {
				t.Fatal(err)
			}
			packets += n
		}
	}
	want := map[string]int{
		"mapiscope_packets_total": maxInterfaces + 1, "mapiscope_bytes_total": maxInterfaces + 1,
		"mapiscope_interface_up": maxInterfaces + 1, "mapiscope_kernel_dropped_packets_total": maxInterfaces + 1,
		findingsName: len(document.FindingSeverities()) + 1, limitsName: len(limitNames()) + 1,
		responseTimeName + "_bucket": len(responseTimeBounds) + 1, responseTimeName + "_sum": 1, responseTimeName + "_count": 1,
		buildName: 1, startName: 1, ageName: 1,
	}
	for _, m := range scalars {
		want[m.name] = 1
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("series (-want +got):\n%s", d)
	}
	if packets != 1000 {
		t.Errorf("the interfaces have %d packets, want 1000", packets)
	}
	if longest > 250 {
		t.Errorf("labels take %d bytes", longest)
	}
}

func TestDistinctInterfaces(t *testing.T) {
	many := make([]live.Interface, maxInterfaces+2)
	for i := range many {
		many[i] = live.Interface{Name: fmt.Sprint(i), At: "core", Packets: 1, Bytes: 10}
	}
	summed := append(append([]live.Interface{}, many[:maxInterfaces]...), live.Interface{Name: other, At: "unknown", Packets: 2, Bytes: 20})
	for _, tt := range []struct {
		name     string
		in, want []live.Interface
	}{
		{"none", nil, nil},
		{"one name at two points", []live.Interface{{Name: "a", At: "edge"}, {Name: "a", At: "wan"}},
			[]live.Interface{{Name: "a", At: "edge"}, {Name: "a", At: "wan"}}},
		{"twice the same", []live.Interface{
			{Name: "a", At: "edge", Packets: 1, Bytes: 2, KernelReceived: new(int64(3)), KernelDropped: new(int64(4)), DriverDropped: new(int64(5))},
			{Name: "a", At: "edge", Packets: 10, Bytes: 20, KernelReceived: new(int64(30)), KernelDropped: new(int64(40)), DriverDropped: new(int64(50)), Err: "gone"},
		}, []live.Interface{{Name: "a", At: "edge", Packets: 11, Bytes: 22, KernelReceived: new(int64(33)), KernelDropped: new(int64(44)), DriverDropped: new(int64(55)), Err: "gone"}}},
		{"one of two tells of drops", []live.Interface{{Name: "a", At: "edge", Err: "gone"}, {Name: "a", At: "edge", KernelDropped: new(int64(4))}},
			[]live.Interface{{Name: "a", At: "edge", KernelDropped: new(int64(4)), Err: "gone"}}},
		{"a point that is none", []live.Interface{{Name: "a", At: "Edge"}, {Name: "b"}},
			[]live.Interface{{Name: "a", At: "unknown"}, {Name: "b", At: "unknown"}}},
		{"no UTF-8", []live.Interface{{Name: "a\xffb", At: "core"}}, []live.Interface{{Name: `a\xffb`, At: "core"}}},
		{"cut inside a character", []live.Interface{{Name: strings.Repeat("a", 63) + "ü", At: "core"}},
			[]live.Interface{{Name: strings.Repeat("a", 63), At: "core"}}},
		{"too many", many, summed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, distinct(tt.in)); d != "" {
				t.Errorf("interfaces (-want +got):\n%s", d)
			}
		})
	}
}

// TestCountersNeverFall lets every figure fall: gauges follow, counters stay.
func TestCountersNeverFall(t *testing.T) {
	o, _ := options()
	c := newCollector(o)
	s := status()
	c.set(&s)
	before := values(t, c)
	c.set(&live.Status{Interfaces: []live.Interface{{Name: "eth1", At: "edge", KernelDropped: new(int64(2)), Err: "gone"}}, ResponseTimes: new(hist.Histogram)})
	after := values(t, c)
	for series, v := range after {
		name, _, _ := strings.Cut(series, "{")
		if (strings.HasSuffix(name, "_total") || strings.HasPrefix(name, responseTimeName)) && v != before[series] {
			t.Errorf("%s went from %s to %s", series, before[series], v)
		}
	}
	for series, want := range map[string]string{
		`mapiscope_findings{code="ESCAPED_CONNECTION",severity="error"}`: "0",
		`mapiscope_interface_up{at="edge",interface="eth1"}`:             "0",
		`mapiscope_log_failing`: "0",
	} {
		if after[series] != want || before[series] == want {
			t.Errorf("%s went from %s to %s, want %s", series, before[series], after[series], want)
		}
	}
	c.set(&s)
	if d := cmp.Diff(before, values(t, c)); d != "" {
		t.Errorf("the first view again (-want +got):\n%s", d)
	}
}

// TestViewIsNotKept changes a view after it was set.
func TestViewIsNotKept(t *testing.T) {
	o, _ := options()
	c := newCollector(o)
	s := status()
	c.set(&s)
	before := exposition(t, c)
	s.Interfaces[0].Packets = 1 << 40
	*s.Interfaces[0].KernelDropped = 1 << 40
	s.Counts.Findings["ESCAPED_CONNECTION"] = 1 << 40
	s.ResponseTimes.Add(1)
	if after := exposition(t, c); after != before {
		t.Errorf("metrics changed with the view:\n%s", cmp.Diff(before, after))
	}
}
