package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mapiscope/internal/document"
	"mapiscope/pcaps"
)

// triple is one optimizer scenario of the lab in the words of its tables: how
// it looks at the edge, and how on the WAN.
type triple struct {
	name      string
	optimized map[string]bool    // by client end
	reduction map[string]float64 // percent, from payload bytes
	escaped   []uint16
}

// triples reads what CONNECTIONS.tsv says of the optimizer captures. The
// devices mark the SYN and the SYN/ACK of what they take with option 33.
func triples(t *testing.T, dir string) []triple {
	t.Helper()
	escaped := map[string][]uint16{"wo_mapi_sign_escape": {40413}, "wo_mapi_seal_escape": {40555}}
	var out []triple
	index := map[string]int{}
	bytes := map[string]float64{}
	sum := func(cell string) float64 {
		var c, s float64
		if _, err := fmt.Sscanf(cell, "%f/%f", &c, &s); err != nil {
			t.Fatalf("payload %q: %v", cell, err)
		}
		return c + s
	}
	rows := table(t, filepath.Join(dir, "CONNECTIONS.tsv"))
	for _, row := range rows {
		name, edge := strings.CutSuffix(row["file"], "_edge-lan.pcap")
		if !edge || !strings.HasPrefix(name, "wo_") {
			continue
		}
		if _, known := index[name]; !known {
			index[name] = len(out)
			out = append(out, triple{name, map[string]bool{}, map[string]float64{}, escaped[name]})
		}
		out[index[name]].optimized[row["client"]] = false
		bytes[name+row["client"]] = sum(row["payload_bytes_c2s/s2c"])
	}
	for _, row := range rows {
		name, wan := strings.CutSuffix(row["file"], "_wan.pcap")
		if !wan || !strings.HasPrefix(name, "wo_") {
			continue
		}
		x := &out[index[name]]
		x.optimized[row["client"]] = row["tcp_option_33"] == "syn=1,synack=1"
		x.reduction[row["client"]] = 100 * (1 - sum(row["payload_bytes_c2s/s2c"])/bytes[name+row["client"]])
	}
	if len(out) != 4 {
		t.Fatalf("%d optimizer scenarios in the tables, want 4", len(out))
	}
	return out
}

// rewrite copies a capture; edit may change the time of a packet, which is
// counted from 0, and reports whether it is kept.
func rewrite(t *testing.T, from string, edit func(n int, ns int64) (int64, bool)) string {
	t.Helper()
	r, err := pcaps.Open([]string{from}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), filepath.Base(from))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcaps.NewPcapWriter(f, r.Captures()[0].Link, 0, true)
	var p pcaps.Packet
	for n := 0; ; n++ {
		if err := r.Next(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		at, keep := edit(n, p.Time)
		if !keep {
			continue
		}
		if err := w.WritePacket(0, at, p.Data, p.WireLen); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// compared runs a comparison of captures at their points.
func compared(t *testing.T, workers int, edge, core, wan string) *document.Document {
	t.Helper()
	c := Config{Paths: []string{edge, core}, At: []pcaps.Point{pcaps.Edge, pcaps.Core}, Workers: workers, Compare: true}
	if wan != "" {
		c.Paths, c.At = append(c.Paths, wan), append(c.At, pcaps.WAN)
	}
	doc, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Comparison == nil {
		t.Fatal("no comparison in the document")
	}
	return doc
}

// checkPaths compares the verdicts with the tables.
func (x *triple) checkPaths(t *testing.T, doc *document.Document, wan bool) {
	t.Helper()
	c := doc.Comparison
	if len(c.Unpaired) > 0 {
		t.Errorf("unpaired: %+v", c.Unpaired)
	}
	if len(c.Pairs) != len(x.optimized) {
		t.Errorf("%d pairs, want %d", len(c.Pairs), len(x.optimized))
	}
	for _, p := range c.Pairs {
		end := endpoint(p.Client)
		want := "pass_through"
		if x.optimized[end] {
			want = "optimized"
		}
		if p.Verdict != want {
			t.Errorf("%s: verdict %s (%s), want %s", end, p.Verdict, p.Reason, want)
		}
		if p.Connections.Edge == nil || p.Connections.Core == nil || wan != (p.Connections.WAN != nil) {
			t.Errorf("%s: legs %+v", end, p.Connections)
		}
		if wan {
			if p.Reduction == nil || math.Abs(*p.Reduction-max(0, x.reduction[end])) > 0.0005 {
				t.Errorf("%s: reduction %v, want %.3f %%", end, p.Reduction, x.reduction[end])
			}
		} else if p.Reduction != nil {
			t.Errorf("%s: a reduction of %v without a leg on the WAN", end, *p.Reduction)
		}
	}
	x.checkEscapes(t, doc)
}

func (x *triple) checkEscapes(t *testing.T, doc *document.Document) {
	t.Helper()
	var escaped, named []uint16
	for _, p := range doc.Comparison.Pairs {
		if p.Escaped {
			escaped = append(escaped, p.Client.Port)
		}
	}
	for _, g := range doc.Comparison.Groups {
		if (g.Verdict == "escaped") != (len(g.Escaped) > 0) {
			t.Errorf("group %d is %s with the escaped connections %v", g.ID, g.Verdict, g.Escaped)
		}
	}
	for _, f := range doc.Findings {
		switch f.Code {
		case "ESCAPED_CONNECTION":
			for _, id := range f.Connections {
				named = append(named, doc.Connections[id-1].Client.Port)
			}
		case "CLIENT_ONLY_AT_EDGE", "CLIENT_ONLY_AT_CORE", "SPLIT_PAIR":
			t.Errorf("%s: %s", f.Code, f.Detail)
		}
	}
	if !slices.Equal(escaped, x.escaped) || !slices.Equal(named, x.escaped) {
		t.Errorf("escaped %v, named in findings %v, want %v", escaped, named, x.escaped)
	}
}

// checkCalls asserts what holds in the lab, where nothing is answered locally.
func checkCalls(t *testing.T, doc *document.Document) {
	t.Helper()
	for _, p := range doc.Comparison.Pairs {
		c := p.Calls
		if c == nil {
			continue
		}
		if c.Remote == nil || c.Local == nil {
			t.Errorf("%s: calls not judged: %s", endpoint(p.Client), c.Why)
			continue
		}
		if c.Local.Count != 0 || c.Remote.Count+c.Undecided != c.Answered || *c.Originated != 0 {
			t.Errorf("%s: %+v, remote %+v, local %+v", endpoint(p.Client), c, c.Remote, c.Local)
		}
	}
}

// checkClock compares the clock with what was done to the core capture.
func checkClock(t *testing.T, c *document.ClockDifference, offset int64) {
	t.Helper()
	const tolerance = 700 // µs; the link copies frames in user space
	if c.Offset == nil || abs(*c.Offset-offset) > tolerance {
		t.Errorf("clock offset %s µs, want %d", show(c.Offset), offset)
	}
	if c.OneWayDelay == nil || *c.OneWayDelay < 20_000 || *c.OneWayDelay > 22_000 {
		t.Errorf("one-way delay %s µs, want about 20 ms", show(c.OneWayDelay))
	}
}

func abs(n int64) int64 { return max(n, -n) }

func show(n *int64) string {
	if n == nil {
		return "null"
	}
	return fmt.Sprint(*n)
}

func TestComparisonOfTheLab(t *testing.T) {
	dir := corpus(t, "lab")
	for _, x := range triples(t, dir) {
		edge, core, wan := filepath.Join(dir, x.name+"_edge-lan.pcap"), filepath.Join(dir, x.name+"_core-lan.pcap"), filepath.Join(dir, x.name+"_wan.pcap")
		t.Run(x.name, func(t *testing.T) {
			doc := compared(t, 2, edge, core, wan)
			x.checkPaths(t, doc, true)
			checkCalls(t, doc)
			checkClock(t, &doc.Comparison.Clock, 0)
			checkLedger(t, doc)
		})
		t.Run(x.name+" without the WAN", func(t *testing.T) {
			doc := compared(t, 1, edge, core, "")
			x.checkPaths(t, doc, false)
			checkCalls(t, doc)
			checkClock(t, &doc.Comparison.Clock, 0)
		})
		t.Run(x.name+" with other clocks", func(t *testing.T) {
			const shift, ppm = 31_012_000_000, 50
			var first int64
			late := rewrite(t, core, func(n int, ns int64) (int64, bool) {
				if n == 0 {
					first = ns
				}
				return ns + shift + (ns-first)*ppm/1e6, true
			})
			doc := compared(t, 3, edge, late, wan)
			x.checkPaths(t, doc, true)
			checkCalls(t, doc)
			checkClock(t, &doc.Comparison.Clock, shift/1000)
			early := rewrite(t, edge, func(n int, ns int64) (int64, bool) { return ns + shift, true })
			doc = compared(t, 3, early, core, wan)
			x.checkPaths(t, doc, true)
			checkCalls(t, doc)
			checkClock(t, &doc.Comparison.Clock, -shift/1000)
		})
		t.Run(x.name+" with losses", func(t *testing.T) {
			for seed := range uint64(6) {
				rng := rand.New(rand.NewPCG(seed, 2))
				drop := func(int, int64) bool { return rng.IntN(50) != 0 }
				lose := func(n int, ns int64) (int64, bool) { return ns, drop(n, ns) }
				for _, doc := range []*document.Document{
					compared(t, 2, edge, rewrite(t, core, lose), ""), compared(t, 2, rewrite(t, edge, lose), core, ""),
				} {
					if n := len(doc.Comparison.Pairs); n != len(x.optimized) || len(doc.Comparison.Unpaired) > 0 {
						t.Errorf("seed %d: %d pairs, want %d; unpaired %+v", seed, n, len(x.optimized), doc.Comparison.Unpaired)
					}
					noLocalAnswers(t, doc)
					x.checkEscapes(t, doc)
				}
			}
		})
		t.Run(x.name+" begun later", func(t *testing.T) {
			for _, skip := range []int{5, 20, 40, 60} {
				late := func(n int, ns int64) (int64, bool) { return ns, n >= skip }
				for _, doc := range []*document.Document{
					compared(t, 2, edge, rewrite(t, core, late), ""), compared(t, 2, rewrite(t, edge, late), core, ""),
				} {
					noLocalAnswers(t, doc)
					for _, u := range doc.Comparison.Unpaired {
						if u.Reason == "missing" {
							t.Errorf("from packet %d on: %+v", skip, u)
						}
					}
				}
			}
		})
		t.Run(x.name+" ended early", func(t *testing.T) {
			for _, stop := range []int{20, 50, 80} {
				soon := func(n int, ns int64) (int64, bool) { return ns, n < stop }
				for _, doc := range []*document.Document{
					compared(t, 2, edge, rewrite(t, core, soon), ""), compared(t, 2, rewrite(t, edge, soon), core, ""),
				} {
					noLocalAnswers(t, doc)
				}
			}
		})
	}
}

// noLocalAnswers: what a capture lost or does not cover must not look like the
// work of an accelerator.
func noLocalAnswers(t *testing.T, doc *document.Document) {
	t.Helper()
	for _, p := range doc.Comparison.Pairs {
		if c := p.Calls; c != nil {
			if c.Local != nil && c.Local.Count > 0 {
				t.Errorf("%s: %+v local %+v", endpoint(p.Client), *c, *c.Local)
			}
			if c.Originated != nil && *c.Originated > 0 {
				t.Errorf("%s: %d calls of nobody", endpoint(p.Client), *c.Originated)
			}
			if c.Remote != nil && c.Remote.Count+c.Undecided != c.Answered {
				t.Errorf("%s: %+v, remote %+v", endpoint(p.Client), *c, *c.Remote)
			}
		}
	}
	for _, f := range []document.Figure{doc.Accelerators.MAPI.LocalResponseCount} {
		if f.Value != nil && *f.Value > 0 {
			t.Errorf("local_response_count = %d (%s)", *f.Value, f.Why)
		}
	}
}

func TestComparisonOfOneMergedFile(t *testing.T) {
	dir := corpus(t, "lab")
	doc, err := Run(context.Background(), Config{Paths: []string{filepath.Join(dir, "wo_mapi_sign_escape_merged.pcapng")}, Workers: 2, Compare: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range triples(t, dir) {
		if x.name == "wo_mapi_sign_escape" {
			x.checkPaths(t, doc, true)
		}
	}
	checkCalls(t, doc)
	checkClock(t, &doc.Comparison.Clock, 0)
}

func TestComparisonDoesNotDependOnWorkers(t *testing.T) {
	dir := corpus(t, "lab")
	for _, x := range triples(t, dir) {
		edge, core, wan := filepath.Join(dir, x.name+"_edge-lan.pcap"), filepath.Join(dir, x.name+"_core-lan.pcap"), filepath.Join(dir, x.name+"_wan.pcap")
		want := asJSON(t, compared(t, 1, edge, core, wan))
		for _, workers := range []int{2, 5} {
			if got := asJSON(t, compared(t, workers, edge, core, wan)); got != want {
				t.Errorf("%s: %d workers give another document than one", x.name, workers)
			}
		}
	}
}

// TestComparisonWithTheWANInPlaceOfOneSide: the captures between the devices
// stand in for those of the servers or of the clients.
func TestComparisonWithTheWANInPlaceOfOneSide(t *testing.T) {
	dir := corpus(t, "lab")
	for _, x := range triples(t, dir) {
		for _, side := range []struct {
			name string
			at   pcaps.Point
		}{{"edge-lan", pcaps.Edge}, {"core-lan", pcaps.Core}} {
			t.Run(x.name+" "+side.name, func(t *testing.T) {
				doc, err := Run(context.Background(), Config{
					Paths: []string{filepath.Join(dir, x.name+"_wan.pcap"), filepath.Join(dir, x.name+"_"+side.name+".pcap")},
					At:    []pcaps.Point{pcaps.WAN, side.at}, Workers: 2, Compare: true,
				})
				if err != nil {
					t.Fatal(err)
				}
				c := doc.Comparison
				if len(c.Pairs) != len(x.optimized) || len(c.Unpaired) != 0 {
					t.Fatalf("%d pairs, want %d; unpaired %+v", len(c.Pairs), len(x.optimized), c.Unpaired)
				}
				for _, p := range c.Pairs {
					end := endpoint(p.Client)
					if (p.Verdict == "optimized") != x.optimized[end] || p.Reduction == nil || math.Abs(*p.Reduction-max(0, x.reduction[end])) > 0.0005 {
						t.Errorf("%s: %s (%s), reduction %v", end, p.Verdict, p.Reason, p.Reduction)
					}
				}
				x.checkEscapes(t, doc)
			})
		}
	}
}

// TestComparisonOfDamagedCaptures: whatever stands in the captures, a
// comparison ends with books that balance, and calls that add up.
func TestComparisonOfDamagedCaptures(t *testing.T) {
	dir := corpus(t, "lab")
	for i, x := range triples(t, dir) {
		rng := rand.New(rand.NewPCG(2026, uint64(i)))
		for round := range 4 {
			var paths []string
			for _, side := range []string{"edge-lan", "core-lan", "wan"} {
				b, err := os.ReadFile(filepath.Join(dir, x.name+"_"+side+".pcap"))
				if err != nil {
					t.Fatal(err)
				}
				for range 1 + len(b)/2000 {
					b[24+rng.IntN(len(b)-24)] ^= byte(1 + rng.IntN(255))
				}
				path := filepath.Join(t.TempDir(), side+".pcap")
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				paths = append(paths, path)
			}
			doc := compared(t, 1+round, paths[0], paths[1], paths[2])
			checkLedger(t, doc)
			for _, p := range doc.Comparison.Pairs {
				if c := p.Calls; c != nil && c.Remote != nil && c.Remote.Count+c.Local.Count+c.Undecided != c.Answered {
					t.Errorf("%s round %d, %s: %+v, remote %+v, local %+v", x.name, round, endpoint(p.Client), *c, *c.Remote, *c.Local)
				}
			}
		}
	}
}
