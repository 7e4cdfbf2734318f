package run

import (
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mapiscope/assoc"
	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// feed gives the packets of a capture to an Engine, and calls between after
// every step of them.
func feed(t *testing.T, e *Engine, path string, step int, between func(r *pcaps.Reader)) *document.Document {
	t.Helper()
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p pcaps.Packet
	for n := 1; ; n++ {
		if err := r.Next(&p); errors.Is(err, io.EOF) {
			return e.Close(r.Captures())
		} else if err != nil {
			t.Fatal(err)
		}
		e.Packet(&p)
		if n%step == 0 {
			between(r)
		}
	}
}

// TestSnapshotsDisturbNothing takes snapshots all along: the last document is
// that of a job without any, and each event is given out once.
func TestSnapshotsDisturbNothing(t *testing.T) {
	for _, path := range shipped(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want := feed(t, NewEngine(Config{Workers: 2, AllConnections: true, Events: true}), path, 1<<30, nil)
			var events []document.Event
			numbers := make(map[string]int)
			e := NewEngine(Config{Workers: 2, AllConnections: true, Events: true})
			got := feed(t, e, path, 7, func(r *pcaps.Reader) {
				doc := e.Snapshot(r.Captures(), 1000)
				events = append(events, doc.Events...)
				for i := range doc.Connections {
					c := &doc.Connections[i]
					if id, known := numbers[c.UID]; known && id != c.ID {
						t.Fatalf("connection %d had the number %d", c.ID, id)
					}
					numbers[c.UID] = c.ID
				}
			})
			if diff := cmp.Diff(positions(t, want), positions(t, got)); diff != "" {
				t.Errorf("the last document (-without +with snapshots):\n%s", diff)
			}
			whole := feed(t, NewEngine(Config{Workers: 1, AllConnections: true, Events: true}), path, 1<<30, nil)
			if n := len(events) + len(got.Events); n < len(whole.Events) {
				t.Errorf("%d events came with the snapshots, %d without", n, len(whole.Events))
			}
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

// TestTrim keeps one ended connection: the others are counted by what they
// carried, and no later snapshot stumbles over them.
func TestTrim(t *testing.T) {
	path := filepath.Join("..", "..", "pcaps", "imp_epm_lookup_map.pcap")
	want := analyse(t, 1, path)
	bounds := assoc.DefaultConfig()
	bounds.Flows.Connections, bounds.Flows.Linger = 4, time.Millisecond
	e := NewEngine(Config{Workers: 1, Bounds: &bounds})
	got := feed(t, e, path, 5, func(r *pcaps.Reader) { e.Snapshot(r.Captures(), 1) })
	if diff := cmp.Diff(want.Totals, got.Totals, cmpopts.IgnoreFields(document.Totals{}, "AssociationGroups", "Findings")); diff != "" {
		t.Errorf("totals (-whole +trimmed):\n%s", diff)
	}
	if got.Limits.ConnectionsUnlisted == 0 || len(got.Connections) >= len(want.Connections) {
		t.Errorf("%d of %d connections stayed, %d count as unlisted", len(got.Connections), len(want.Connections), got.Limits.ConnectionsUnlisted)
	}
}

// TestTables: what a job says of the tables of connections.
func TestTables(t *testing.T) {
	path := filepath.Join("..", "..", "pcaps", "outlook-start.pcap")
	tests := []struct {
		name             string
		config           Config
		evicted, expired bool
	}{
		{"defaults", Config{Workers: 1, Live: true}, false, false},
		{"one connection", Config{Workers: 1, Connections: 1}, true, false},
		{"no patience", Config{Workers: 1, Live: true, Idle: 1, Linger: 1}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := feed(t, NewEngine(tt.config), path, 1<<30, nil).Limits
			if (got.ConnectionsEvicted > 0) != tt.evicted || (got.ConnectionsExpired > 0) != tt.expired {
				t.Errorf("%d evicted, %d expired; want some: %v, %v", got.ConnectionsEvicted, got.ConnectionsExpired, tt.evicted, tt.expired)
			}
		})
	}
}

// TestDroppedPackets: what the kernel dropped is a finding.
func TestDroppedPackets(t *testing.T) {
	tests := []struct {
		name            string
		dropped, driver *int64
		want            *int64
		found           bool
	}{
		{"not told", nil, nil, nil, false},
		{"none", new(int64(0)), nil, new(int64(0)), false},
		{"by the kernel", new(int64(3)), nil, new(int64(3)), true},
		{"by both", new(int64(3)), new(int64(4)), new(int64(7)), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := NewEngine(Config{Workers: 1, Live: true}).Close([]pcaps.Capture{{
				Path: "eth1", Format: "live", Interfaces: []pcaps.Interface{{Name: "eth1", Dropped: tt.dropped, DriverDropped: tt.driver}},
			}})
			found := slices.ContainsFunc(doc.Findings, func(f document.Finding) bool { return f.Code == "CAPTURE_LOSS" })
			if diff := cmp.Diff(tt.want, doc.Captures[0].DroppedPackets); diff != "" || found != tt.found {
				t.Errorf("a finding: %v, dropped packets (-want +got):\n%s", found, diff)
			}
		})
	}
}
