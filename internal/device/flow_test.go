package device

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

// TestCollect: which captures are one connection is what the document says,
// and which of them speaks depends on whose view is shown.
func TestCollect(t *testing.T) {
	conn := func(id int, at string, main int) document.Connection {
		c := document.Connection{ID: id, At: at, Client: host("10.0.0.1", 1024), Server: host("10.0.0.2", 59531), Start: "2009-06-25T06:00:00Z", State: "open"}
		if main != 0 {
			c.Conversation = &main
		}
		return c
	}
	tests := []struct {
		name  string
		conns []document.Connection
		role  Role
		want  [][]int // ids of the legs, the one that speaks first
	}{
		{"three places", []document.Connection{conn(1, "edge", 1), conn(2, "wan", 1), conn(3, "core", 1)}, Edge, [][]int{{1, 2, 3}}},
		{"seen by the core device", []document.Connection{conn(1, "edge", 1), conn(2, "wan", 1), conn(3, "core", 1)}, Core, [][]int{{3, 2, 1}}},
		{"two connections of the same ports", []document.Connection{conn(1, "edge", 1), conn(2, "edge", 2), conn(3, "wan", 2), conn(4, "wan", 1)}, Edge, [][]int{{1, 4}, {2, 3}}},
		{"nothing ties them", []document.Connection{conn(1, "edge", 0), conn(2, "wan", 0)}, Edge, [][]int{{1}, {2}}},
		{"a span port that shows it twice", []document.Connection{conn(1, "edge", 1), conn(2, "edge", 1)}, Edge, [][]int{{1}}},
		{"twice, and the second counts", []document.Connection{conn(1, "edge", 2), conn(2, "edge", 2)}, Edge, [][]int{{2}}},
		{"a place that is not known", []document.Connection{conn(1, "unknown", 1), conn(2, "wan", 1)}, Auto, [][]int{{1, 2}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got [][]int
			for _, f := range collect(tt.conns, tt.role) {
				var ids []int
				for _, c := range f.legs() {
					ids = append(ids, c.ID)
				}
				got = append(got, ids)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestBytesOfBothSeats: what the edge device reads from the client the core
// device writes to the server.
func TestBytesOfBothSeats(t *testing.T) {
	legs := []document.Connection{
		leg{1, "edge", 1146, 1, 10, 20, "optimized", "open", "TMDL"}.connection(),
		leg{2, "wan", 1146, 1, 3, 4, "optimized", "open", "-"}.connection(),
		leg{3, "core", 1146, 1, 12, 22, "optimized", "open", "TMDL"}.connection(),
	}
	for _, tt := range []struct {
		name string
		role Role
		of   []int // legs that were captured
		want counts
	}{
		{"edge", Edge, []int{0, 1, 2}, counts{exact(int64(10)), exact(int64(20)), exact(int64(4)), exact(int64(3))}},
		{"core", Core, []int{0, 1, 2}, counts{exact(int64(22)), exact(int64(12)), exact(int64(3)), exact(int64(4))}},
		{"edge without WAN", Edge, []int{0, 2}, counts{exact(int64(10)), exact(int64(20)), noWAN, noWAN}},
		{"edge from the WAN alone", Edge, []int{1}, counts{noLAN, noLAN, exact(int64(4)), exact(int64(3))}},
		{"core from the edge alone", Core, []int{0}, counts{noLAN, noLAN, noWAN, noWAN}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := new(document.Document)
			for _, i := range tt.of {
				c := legs[i]
				c.Conversation = &legs[tt.of[0]].ID
				doc.Connections = append(doc.Connections, c)
			}
			v := New(doc, Options{Role: tt.role})
			if diff := cmp.Diff(tt.want, v.counts(v.flows[0]), cmp.AllowUnexported(counts{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

var (
	noLAN = none("needs a capture on the LAN side of the device")
	noWAN = none("needs a capture between the two devices")
)

// TestPayloadOfBadCaptures: what is missing makes a count a lower bound or
// nothing, never 0.
func TestPayloadOfBadCaptures(t *testing.T) {
	whole := document.Connection{Origin: "handshake", Directions: "both", Bytes: document.PerSide{Client: 5, Server: 7}, GapBytes: document.PerSide{Server: 3}}
	client, server := payload(&whole)
	if client != exact(int64(5)) || server != exact(int64(10)) {
		t.Errorf("bytes that were lost: %v %v, want 5 and 10", client, server)
	}
	middle := whole
	middle.Origin = "midstream"
	if client, _ = payload(&middle); client.Quality != document.LowerBound {
		t.Errorf("from the middle: %+v", client)
	}
	half := whole
	half.Directions = "client_only"
	if _, server = payload(&half); server.V != nil {
		t.Errorf("one direction: %+v", server)
	}
}
