package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/run"
	"mapiscope/pcaps"
)

// replay is a Source that gives the packets of a file and now and then none.
type replay struct {
	r       *pcaps.Reader
	n       int
	idle    bool
	stopped bool
	fail    error // instead of the end
}

func open(t testing.TB, path string) *replay {
	t.Helper()
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &replay{r: r}
}

func (s *replay) Next(p *pcaps.Packet) error {
	if s.stopped {
		return io.EOF
	}
	if s.n++; s.n%5 == 0 && !s.idle {
		s.idle = true
		return pcaps.ErrIdle
	}
	s.idle = false
	err := s.r.Next(p)
	if errors.Is(err, io.EOF) && s.fail != nil {
		return s.fail
	}
	return err
}

func (s *replay) Capture() pcaps.Capture { return s.r.Captures()[0] }
func (s *replay) Stop()                  { s.stopped = true }

// ticking is a clock that goes on a second with every look at it.
func ticking() func() time.Time {
	now := time.Unix(1_250_000_000, 0)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func shipped(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("../../pcaps/*.pcap*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no shipped captures: %v", err)
	}
	return paths
}

// analysis keeps events, as a live job does.
var analysis = run.Config{Workers: 2, Events: true, Live: true, AllConnections: true}

// TestLastDocument looks at a job as often as it can: its last document is
// that of the file, and its batches together hold everything once.
func TestLastDocument(t *testing.T) {
	for _, path := range shipped(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			offline := analysis
			// A live job compares no capture points, nor may the job beside it.
			offline.Paths, offline.Live = []string{path}, filepath.Base(path) == "two-points.pcapng"
			want, err := run.Run(context.Background(), offline)
			if err != nil {
				t.Fatal(err)
			}
			piped, err := pcaps.OpenStream(path, pcaps.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer piped.Close()
			streamed, err := Run(context.Background(), piped, Config{Analysis: analysis, Interval: time.Second, Keep: 1 << 20, Now: ticking()})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(positions(t, want), positions(t, streamed)); diff != "" {
				t.Errorf("the last document (-file +stream):\n%s", diff)
			}
			var batches []*Batch
			views := 0
			got, err := Run(context.Background(), open(t, path), Config{
				Analysis: analysis, Interval: time.Second, Keep: 1 << 20, Now: ticking(),
				Log:  func(b *Batch) { batches = append(batches, b) },
				View: func(v View) { views++ },
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(positions(t, want), positions(t, got)); diff != "" {
				t.Errorf("the last document (-file +live):\n%s", diff)
			}
			if views < 3 || len(batches) != views {
				t.Errorf("%d views and %d batches", views, len(batches))
			}
			checkBatches(t, want, batches)
		})
	}
}

// positions is a document as JSON has it, numbered by place.
func positions(t *testing.T, doc *document.Document) map[string]any {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	pcaptest.Positions(out)
	return out
}

// checkBatches holds the batches of a job to the document of all its packets.
func checkBatches(t *testing.T, want *document.Document, batches []*Batch) {
	t.Helper()
	numbers := make(map[string]int) // of connections by uid
	uids := make(map[int]string)
	groups := make(map[int]int) // numbers of groups by those of their first connection
	logged := make(map[string]int)
	var events []string
	codes := make(map[string]bool)
	for i, b := range batches {
		if b.Final != (i == len(batches)-1) {
			t.Errorf("batch %d of %d: final is %v", i+1, len(batches), b.Final)
		}
		for j := range b.Doc.Connections {
			c := &b.Doc.Connections[j]
			if n, known := numbers[c.UID]; known && n != c.ID || !known && uids[c.ID] != "" {
				t.Errorf("batch %d: connection %s has number %d, before %d, which was %s", i+1, c.UID, c.ID, n, uids[c.ID])
			}
			numbers[c.UID], uids[c.ID] = c.ID, c.UID
		}
		for j := range b.Doc.AssociationGroups {
			g := &b.Doc.AssociationGroups[j]
			first := slices.Min(g.Connections)
			if n, known := groups[first]; known && n != g.ID {
				t.Errorf("batch %d: the group of connection %d has number %d, before %d", i+1, first, g.ID, n)
			}
			groups[first] = g.ID
		}
		for _, c := range b.Connections {
			logged[c.UID]++
		}
		for j := range b.Doc.Events {
			e := &b.Doc.Events[j]
			events = append(events, fmt.Sprint(e.Time, e.Event, uids[e.Connection], e.Packet.Packet))
		}
		for _, f := range b.Findings {
			codes[f.Code] = true
		}
	}
	wantLogged, wantCodes := make(map[string]int), make(map[string]bool)
	var wantEvents []string
	for i := range want.Connections {
		wantLogged[want.Connections[i].UID] = 1
	}
	for i := range want.Events {
		e := &want.Events[i]
		wantEvents = append(wantEvents, fmt.Sprint(e.Time, e.Event, want.Connections[e.Connection-1].UID, e.Packet.Packet))
	}
	for i := range want.Findings {
		wantCodes[want.Findings[i].Code] = true
	}
	if diff := cmp.Diff(wantLogged, logged); diff != "" {
		t.Errorf("how often each connection came (-want +got):\n%s", diff)
	}
	slices.Sort(events)
	slices.Sort(wantEvents)
	if diff := cmp.Diff(wantEvents, events); diff != "" {
		t.Errorf("events (-file +live):\n%s", diff)
	}
	for code := range maps.Keys(wantCodes) {
		if !codes[code] {
			t.Errorf("finding %s came in no batch", code)
		}
	}
}

// TestForgotten keeps two ended connections: counts never fall, and every
// connection comes in a batch all the same.
func TestForgotten(t *testing.T) {
	const path = "../../pcaps/imp_epm_lookup_map.pcap"
	whole := analysis
	whole.Paths = []string{path}
	want, err := run.Run(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	var last Status
	logged := make(map[string]int)
	got, err := Run(context.Background(), open(t, path), Config{
		Analysis: analysis, Interval: time.Second, Keep: 2, Now: ticking(), MemoryLimit: 12345,
		Queue: func() Queue { return Queue{Waiting: 3} },
		Log: func(b *Batch) {
			for _, c := range b.Connections {
				logged[c.UID]++
			}
		},
		View: func(v View) {
			n, before := v.Status.Counts, last.Counts
			if n.Connections < before.Connections || n.MAPIConnections < before.MAPIConnections || n.CapturedPayload < before.CapturedPayload ||
				v.Status.ResponseTimes.Count() < 0 {
				t.Errorf("counts fell from %+v to %+v", before, n)
			}
			last = v.Status
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Totals.TCPConnections != want.Totals.TCPConnections || len(logged) == 0 {
		t.Errorf("%d connections, %d of them came in batches, want %d", got.Totals.TCPConnections, len(logged), want.Totals.TCPConnections)
	}
	for uid, n := range logged {
		if n != 1 {
			t.Errorf("connection %s came %d times", uid, n)
		}
	}
	if last.Log.Waiting != 3 || last.Memory.Limit != 12345 || last.Memory.Heap <= 0 || len(last.Interfaces) != 1 {
		t.Errorf("status is %+v", last)
	}
}

// TestEnds: what ends a live job, and what it has seen until then.
func TestEnds(t *testing.T) {
	const path = "../../pcaps/tcp-wrap.pcap" // 20 packets
	broken := errors.New("the interface is gone")
	stopped, stop := context.WithCancel(context.Background())
	stop()
	tests := []struct {
		name    string
		ctx     context.Context
		change  func(*Config, *replay)
		packets int64
		err     error
	}{
		{"the source", context.Background(), func(*Config, *replay) {}, 20, nil},
		{"a count", context.Background(), func(c *Config, _ *replay) { c.Count = 7 }, 7, nil},
		{"a count that is not reached", context.Background(), func(c *Config, _ *replay) { c.Count = 21 }, 20, nil},
		// The clock is looked at when a packet is late: after 4, 8, ...
		{"the time", context.Background(), func(c *Config, _ *replay) { c.Duration = 3 * time.Second }, 12, nil},
		{"the context", stopped, func(*Config, *replay) {}, 4, nil},
		{"an error of the source", context.Background(), func(_ *Config, s *replay) { s.fail = broken }, 20, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := open(t, path)
			c := Config{Analysis: analysis, Interval: time.Hour, Now: ticking()}
			tt.change(&c, src)
			var seen int64
			c.Packet = func(*pcaps.Packet) { seen++ }
			doc, err := Run(tt.ctx, src, c)
			if !errors.Is(err, tt.err) || doc == nil {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if doc.Totals.Packets != tt.packets || seen != tt.packets {
				t.Errorf("%d packets, %d told, want %d", doc.Totals.Packets, seen, tt.packets)
			}
		})
	}
}

// waiting is a Source on which nothing comes; each look at it takes 10 ms of a
// clock.
type waiting struct {
	now   time.Time
	looks int
	left  int
}

func (s *waiting) Next(*pcaps.Packet) error {
	if s.left--; s.left < 0 {
		return io.EOF
	}
	s.now = s.now.Add(10 * time.Millisecond)
	s.looks++
	return pcaps.ErrIdle
}

func (s *waiting) Capture() pcaps.Capture { return pcaps.Capture{} }
func (s *waiting) Stop()                  { s.left = 0 }

// TestSlowViews: views that take as long as the interval, or longer, leave time
// for the packets.
func TestSlowViews(t *testing.T) {
	for _, row := range []struct{ takes, want time.Duration }{
		{0, time.Second}, {500 * time.Millisecond, 500 * time.Millisecond}, {time.Second, 500 * time.Millisecond}, {4 * time.Second, 2 * time.Second},
	} {
		t.Run(row.takes.String(), func(t *testing.T) {
			s := &waiting{now: time.Unix(1_250_000_000, 0), left: 2000}
			var between []int
			_, err := Run(context.Background(), s, Config{
				Analysis: analysis, Interval: time.Second, Now: func() time.Time { return s.now },
				View: func(View) {
					between = append(between, s.looks)
					s.looks = 0
					s.now = s.now.Add(row.takes)
				},
			})
			if err != nil || len(between) < 3 {
				t.Fatalf("%d views, %v", len(between), err)
			}
			for _, looks := range between[1 : len(between)-1] {
				if got := time.Duration(looks) * 10 * time.Millisecond; got != row.want {
					t.Errorf("%v for the packets between two views, want %v", got, row.want)
				}
			}
		})
	}
}
