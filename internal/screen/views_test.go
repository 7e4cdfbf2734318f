package screen

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/live"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/run"
)

// at is a moment of a job that has run for an hour.
func at(seconds int) time.Time {
	return time.Date(2009, 6, 1, 8, 0, 5+seconds, 0, time.UTC)
}

// captureView is what a job shows that has seen shipped captures.
func captureView(t testing.TB, now time.Time, names ...string) live.View {
	t.Helper()
	for i := range names {
		names[i] = filepath.Join("..", "..", "pcaps", names[i])
	}
	doc, err := run.Run(t.Context(), run.Config{Paths: names, Workers: 1, AllConnections: true})
	if err != nil {
		t.Fatal(err)
	}
	return viewOf(now, doc)
}

// viewOf makes the status of a healthy job for a document.
func viewOf(now time.Time, doc *document.Document) live.View {
	return live.View{Doc: doc, Status: live.Status{
		Time: now, Running: time.Hour + now.Sub(at(0)),
		Interfaces: []live.Interface{{Name: "eth1", At: "wan", Packets: 254, KernelReceived: new(int64(254)), KernelDropped: new(int64(0)), DriverDropped: new(int64(0)), PacketsPerSecond: 1234.4, BitsPerSecond: 8.1e6}},
		Counts: live.Counts{
			Connections: doc.Totals.TCPConnections, OpenConnections: 2, MAPIConnections: doc.Totals.MAPIConnections, EncryptedMAPI: doc.Totals.EncryptedMAPIConnections,
			AssociationGroups: doc.Totals.AssociationGroups, EscapedConnections: doc.Totals.EscapedConnections, CapturedPayload: doc.Ledger.CapturedPayload,
			FindingSeverity: doc.Totals.Findings,
		},
		Log:    live.Queue{Capacity: 65536, Written: 812},
		Memory: live.Memory{Heap: 81e6, Limit: 512e6},
	}}
}

// crowd is a document with n groups of one connection each.
func crowd(n int) *document.Document {
	d := &document.Document{WAAS: "5.3"}
	for i := range n {
		addGroup(d, fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255), document.Host{IP: "10.200.0.25", Port: 59531}, uint32(0x10000+i), []string{"unknown", "whole"}[i%2], int64(i*37%1000))
	}
	return d
}

// addGroup adds a group with one EMSMDB connection.
func addGroup(d *document.Document, client string, server document.Host, id uint32, verdict string, bytes int64) *document.Connection {
	n := len(d.Connections) + 1
	group := len(d.AssociationGroups) + 1
	start := at(-n % 3600).Format(time.RFC3339Nano)
	d.Connections = append(d.Connections, document.Connection{
		ID: n, UID: fmt.Sprintf("%s-%d", client, id), At: "wan", Client: document.Host{IP: client, Port: uint16(49152 + n%16384)}, Server: server, Start: start, End: start,
		State: "open", Directions: "both", Service: "mapi", ServiceBasis: "bind", Bytes: document.PerSide{Client: bytes, Server: 2 * bytes}, Calls: document.Calls{Requests: bytes, Responses: bytes},
		AssocGroup: document.AssocGroup{Granted: new(id), Group: new(group)}, Optimizer: document.Optimizer{Verdict: "unknown"},
		Disposition: document.Disposition{Accelerator: "mapi", Accel: "TMDL", Quality: document.Heuristic, Reason: "EMSMDB without encryption"},
	})
	d.AssociationGroups = append(d.AssociationGroups, document.AssociationGroup{
		ID: group, At: "wan", Server: server, AssocGroupID: id, Clients: []string{client}, Connections: []int{n}, Service: "mapi", First: start, Last: start, Verdict: verdict, VerdictReason: "made by hand",
	})
	return &d.Connections[n-1]
}

// hostile is a document of names that want to harm a terminal.
func hostile() *document.Document {
	return named(
		"\x1b[2J\x1b]0;owned\a", "wide 漢字漢字漢字漢字漢字漢字漢字", "zalgo z\u0301\u0302\u0303\u0304", "turn \u202e round \u200d\ufe0f", "no utf-8 \xff\xfe", "\r\nnew line\ttab\u2028", "emoji 👩\u200d🚀🇩🇪",
		"long "+string(make([]byte, 300)),
	)
}

// corpus is a document of the names that all outputs have to stand.
func corpus() *document.Document {
	var names []string
	for _, h := range pcaptest.HostileNames() {
		names = append(names, h.Text)
	}
	return named(names...)
}

// named is a document with a group for each name, which stands wherever one
// can.
func named(names ...string) *document.Document {
	d := &document.Document{WAAS: "5.3"}
	for i, name := range names {
		c := addGroup(d, fmt.Sprintf("2001:db8:0:1234:5678:9abc:def0:%x", i), document.Host{IP: "2001:db8::25", Port: 59531}, uint32(i), "whole", int64(i))
		c.Auth = []document.Auth{{TypeName: name, LevelName: "privacy", State: "established", User: &name, Domain: &name, Workstation: &name, SPN: &name}}
		c.MAPI = &document.MAPI{UserDN: &name, Rops: []document.Rop{{Name: name, Requests: 1}}}
		c.Interfaces = []document.Context{{Name: &name}}
		d.Findings = append(d.Findings, document.Finding{Code: "AUTH_REJECTED", Severity: document.Error, Title: name, Detail: name, Advice: name, Connections: []int{c.ID}})
	}
	return d
}

// handmade are the golden files of views that no shipped capture gives.
func handmade() []frameRow {
	failed := viewOf(at(0), &document.Document{})
	failed.Status.Interfaces = []live.Interface{
		{Name: "eth1", At: "edge", PacketsPerSecond: 12, BitsPerSecond: 999},
		{Name: "eth2", At: "wan", Packets: 4711, Err: "network is down"},
		{Name: "eth3", At: "unknown", PacketsPerSecond: 2e5, BitsPerSecond: 9.9e8, KernelDropped: new(int64(12)), DriverDropped: new(int64(3))},
	}
	failed.Status.Log = live.Queue{Waiting: 65536, Capacity: 65536, Written: 1 << 33, Lost: 17, Spooled: 1, Failing: "no space left on device"}
	failed.Status.Counts = live.Counts{Connections: 1, Gap: 1e6, CapturedPayload: 9e6, LimitsHit: map[string]int64{"connections_evicted": 3, "calls_lost": 1}}
	many := viewOf(at(0), crowd(10000))
	moved := crowd(10000)
	moved.Connections, moved.AssociationGroups = moved.Connections[:0], nil
	for i := range 10000 {
		addGroup(moved, fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255), document.Host{IP: "10.200.0.25", Port: 59531}, uint32(0x10000+i), []string{"unknown", "whole"}[i%2], int64(i*41%1000))
	}
	views := map[string]live.View{
		"nothing": {Status: live.Status{Time: at(0)}}, "failed": failed, "many": many, "moved": viewOf(at(10), moved), "hostile": viewOf(at(0), hostile()),
	}
	return []frameRow{
		{"nothing", Options{}, views, "80x12; frame; ?; frame; ?; f; enter; view nothing; frame; tab; frame; tab; frame; enter; end; home"},
		{"failing", Options{}, views, "100x24; view failed; frame; 80x10; frame; 40x6; frame; 20x3; frame"},
		{"alarm", Options{}, views, "100x12; view hostile; f; view failed; frame; f; frame"},
		{"crowd", Options{}, views, "100x16; view many; frame; down; down; down; frame; view moved; frame; home; frame; end; frame; pgup; frame; tab; s; frame; view many; frame"},
		{"hostile", Options{}, views, "100x24; view hostile; frame; tab; frame; enter; frame; end; frame; tab; frame; 60x24; frame; 200x24; frame"},
	}
}
