package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

var update = flag.Bool("update", false, "rewrite golden files")

func ptr[T any](v T) *T { return &v }

// sample is a document with a value in every kind of cell, and text that
// needs care in each form.
func sample() *document.Document {
	n := func(v int64) document.Figure {
		return document.Figure{Value: &v, Quality: document.Exact, Why: "counted"}
	}
	none := document.Figure{Quality: document.Unavailable, Why: "the calls are sealed"}
	return &document.Document{
		Schema: document.Schema, WAAS: "5.3",
		Captures: []document.Capture{{Path: "a <b> & \"c\".pcap", Format: "pcap", LinkType: "ETHERNET", At: "wan", Interfaces: []document.Interface{}, Packets: 9, Error: ptr("cut off\x00\xff")}},
		Totals:   document.Totals{Packets: 9, TCPConnections: 2, MAPIConnections: 1, Findings: document.SeverityTally{Error: 1}},
		Ledger:   document.Ledger{CapturedPayload: 100, Delivered: 90, Duplicate: 10},
		Connections: []document.Connection{
			{
				ID: 1, CommunityID: "1:abc=", At: "wan", Client: document.Host{IP: "10.1.0.5", Port: 1066}, Server: document.Host{IP: "2001:db8::9", Port: 59531},
				Start: "2009-06-01T08:00:00.000000001Z", End: "2009-06-01T08:00:01.000000000Z",
				FirstPacket: document.PacketRef{Packet: 1}, LastPacket: document.PacketRef{Packet: 9}, Origin: "handshake", State: "closed", RTT: ptr(int64(0)),
				Packets: document.PerSide{Client: 5, Server: 4}, Bytes: document.PerSide{Client: 300, Server: 4000000000}, Directions: "both",
				Service: "mapi", ServiceBasis: "bind",
				Interfaces: []document.Context{
					{UUID: "a4f1db00-ca47-1067-b31f-00dd010662da", Name: ptr("EMSMDB")},
					{UUID: "a4f1db00-ca47-1067-b31f-00dd010662da", Name: ptr("EMSMDB")},
					{UUID: "00000000-0000-0000-0000-000000000001"},
				},
				AssocGroup: document.AssocGroup{Requested: ptr(uint32(0)), Granted: ptr(uint32(0xfffffffe)), Group: ptr(2)},
				Auth: []document.Auth{
					{TypeName: "spnego", Mechanism: ptr("ntlm"), LevelName: "privacy", Domain: ptr("CORP"), User: ptr("alice \"al\", senior\nline"), State: "established"},
					{TypeName: "kerberos", Mechanism: ptr("kerberos"), LevelName: "integrity", Realm: ptr("CORP.EXAMPLE"), User: ptr("bob"), State: "established"},
					{TypeName: "netlogon", LevelName: "privacy", User: ptr("PC7$"), State: "offered"},
				},
				Encrypted: true, Signed: true, Calls: document.Calls{Requests: 3, Responses: 2, Unanswered: 1}, BindNaks: []document.BindNak{{}},
				MAPI:        &document.MAPI{UserDN: ptr("/o=Corp, Inc/cn=a"), ClientVersion: ptr("12.0.6425.1000"), Sessions: ptr(int64(1))},
				Optimizer:   document.Optimizer{Vendor: ptr("cisco_waas"), Verdict: "pass_through", EdgeDevice: ptr("02:4d:09:00:00:01")},
				Disposition: document.Disposition{Accelerator: "generic", Accel: "TGDL", Quality: document.Heuristic, Reason: "by rule: privacy, NTLM"},
				Escaped:     &document.Escaped{Reason: "no option 33 on the SYN", Group: 2},
			},
			{ID: 2, Client: document.Host{IP: "10.1.0.5", Port: 2}, Server: document.Host{IP: "10.2.0.9", Port: 80}, Service: "unknown", Optimizer: document.Optimizer{Verdict: "unknown"}},
		},
		Accelerators: document.Accelerators{
			MAPI: document.MAPIAccelerator{TotalHandledConnections: n(1), SyncGetBufferRequests: none},
			EPM:  document.EPMAccelerator{TotalRequests: n(0)},
		},
		Findings: []document.Finding{{Code: "ESCAPED_CONNECTION", Severity: document.Error, Title: "It <escaped>", Connections: []int{1}, Packets: []document.PacketRef{{Capture: 0, Packet: 1}}}},
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestJSON: what is written piece by piece is what encoding/json writes of
// the whole.
func TestJSON(t *testing.T) {
	for name, doc := range map[string]*document.Document{"sample": sample(), "nothing": {}} {
		var got, want bytes.Buffer
		if err := WriteJSON(&got, doc); err != nil {
			t.Fatal(err)
		}
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(doc); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Errorf("%s (-encoding/json +WriteJSON):\n%s", name, diff)
		}
	}
}

func TestJSONL(t *testing.T) {
	d := sample()
	d.Endpoints = []document.Endpoint{{Server: "10.2.0.9", Port: 135}}
	d.AssociationGroups = []document.AssociationGroup{{ID: 1}, {ID: 2}}
	d.Kerberos = []document.KerberosError{{Name: "KRB_AP_ERR_SKEW"}}
	d.PolicyRules = []document.PolicyRule{{Server: "10.2.0.9"}}
	var want []string
	record := func(head string, v any) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		want = append(want, head+","+b.String()[1:])
	}
	record(`{"record":"capture"`, d.Captures[0])
	record(`{"record":"endpoint"`, d.Endpoints[0])
	record(`{"record":"connection"`, d.Connections[0])
	record(`{"record":"connection"`, d.Connections[1])
	record(`{"record":"association_group"`, d.AssociationGroups[0])
	record(`{"record":"association_group"`, d.AssociationGroups[1])
	record(`{"record":"accelerator","name":"mapi"`, d.Accelerators.MAPI)
	record(`{"record":"accelerator","name":"epm"`, d.Accelerators.EPM)
	record(`{"record":"kerberos_error"`, d.Kerberos[0])
	record(`{"record":"policy_rule"`, d.PolicyRules[0])
	record(`{"record":"finding"`, d.Findings[0])
	record(`{"record":"totals","schema":"mapiscope/1","waas":"5.3"`, struct {
		document.Totals
		Assessment document.Assessment `json:"assessment"`
		Ledger     document.Ledger     `json:"ledger"`
		Limits     document.Limits     `json:"limits"`
	}{d.Totals, d.Assessment, d.Ledger, d.Limits})
	var b bytes.Buffer
	if err := WriteJSONL(&b, d); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, slices.Collect(strings.Lines(b.String()))); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	if err := WriteCSV(&b, sample()); err != nil {
		t.Fatal(err)
	}
	golden(t, "sample.csv", b.Bytes())
}

func TestRecords(t *testing.T) {
	var b bytes.Buffer
	r := NewRecords(&b)
	for _, v := range []any{struct{}{}, struct {
		A int    `json:"a"`
		B string `json:"b"`
	}{1, "<\n>"}, struct {
		A string `json:"a"`
	}{"é\u009b\u007f\u202e\U000e0041日"}, &document.PacketRef{Capture: 1, Packet: 2}} {
		if err := r.Write("x", v); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"record":"x"}
{"record":"x","a":1,"b":"<\n>"}
{"record":"x","a":"é\u009b\u007f\u202e\udb40\udc41日"}
{"record":"x","capture":1,"packet":2}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestColumns: the table of docs/csv.md names the columns in their order.
func TestColumns(t *testing.T) {
	page, err := os.ReadFile("../../docs/csv.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, have []string
	for line := range strings.Lines(string(page)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			documented = append(documented, name[:strings.Index(name, "`")])
		}
	}
	for _, c := range columns {
		have = append(have, c.name)
	}
	if diff := cmp.Diff(documented, have); diff != "" {
		t.Errorf("columns (-docs/csv.md +WriteCSV):\n%s", diff)
	}
	slices.Sort(have)
	if n := len(have); len(slices.Compact(have)) != n {
		t.Error("two columns have one name")
	}
}

// failing takes some bytes and then fails.
type failing struct{ room int }

var errFull = errors.New("full")

func (f *failing) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// TestWriteErrors: an error of the output is never lost, wherever it comes.
func TestWriteErrors(t *testing.T) {
	text := func(w *failing) error { return WriteText(w, sample(), TextOptions{}) }
	for name, write := range map[string]func(*failing) error{
		"json":  func(w *failing) error { return WriteJSON(w, sample()) },
		"jsonl": func(w *failing) error { return WriteJSONL(w, sample()) },
		"csv":   func(w *failing) error { return WriteCSV(w, sample()) },
		"text":  text,
	} {
		whole := &failing{1 << 20}
		if err := write(whole); err != nil {
			t.Fatal(err)
		}
		size := 1<<20 - whole.room
		for room := 0; room < size; room += 1 + size/97 {
			if err := write(&failing{room}); !errors.Is(err, errFull) {
				t.Errorf("%s with room for %d of %d bytes: %v", name, room, size, err)
			}
		}
	}
}

// TestEvents: every event is a record of its own whose detail stands beside
// the other fields; what is absent is left out.
func TestEvents(t *testing.T) {
	call, group, level := uint32(2), 3, uint8(6)
	events := []document.Event{
		{Time: "2012-07-03T17:56:23.108000000Z", Event: "bind", Connection: 1, Client: document.Host{IP: "10.16.1.201", Port: 1077},
			Server: document.Host{IP: "14.110.3.163", Port: 27744}, Packet: document.PacketRef{Packet: 12},
			Detail: document.Detail{CallID: &call, AuthLevel: &level, Contexts: []document.EventContext{{UUID: "a4f1db00-ca47-1067-b31f-00dd010662da", Version: "0.81"}}}},
		{Time: "2012-07-03T17:56:24.000000000Z", Event: "escape", Connection: 1, Detail: document.Detail{Group: &group, Reason: "<no option>\u202e"}},
	}
	var b bytes.Buffer
	if err := WriteEvents(&b, events); err != nil {
		t.Fatal(err)
	}
	want := `{"record":"event","time":"2012-07-03T17:56:23.108000000Z","event":"bind","connection":1,"client":{"ip":"10.16.1.201","port":1077},"server":{"ip":"14.110.3.163","port":27744},"packet":{"capture":0,"packet":12},"call_id":2,"contexts":[{"context_id":0,"uuid":"a4f1db00-ca47-1067-b31f-00dd010662da","version":"0.81"}],"auth_level":6}
{"record":"event","time":"2012-07-03T17:56:24.000000000Z","event":"escape","connection":1,"client":{"ip":"","port":0},"server":{"ip":"","port":0},"packet":{"capture":0,"packet":0},"reason":"<no option>\u202e","group":3}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
