package run

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/emsmdb"
	"mapiscope/internal/document"
)

// The figures of this file are those of a capture of 2003, Outlook 2000 and
// 2002 against Exchange 5.5 (zeek-mapi.pcap), as an independent interpreter of
// the same layouts and a dissector found them.

// zeekConn is what is known of one EMSMDB connection of the capture.
type zeekConn struct {
	Client    string
	Origin    string
	Requests  int64
	Responses int64
	// StubBytes and Walked: request, response. Unwalked is the rest of the
	// RopsLists.
	StubBytes, Walked, Unwalked [2]int64
	Rops                        map[string][2]int64 // requests, responses by name
	Failures                    int64
}

func zeekConnOf(c *document.Connection) zeekConn {
	z := zeekConn{
		Client: endpoint(c.Client), Origin: c.Origin, Requests: c.Calls.Requests, Responses: c.Calls.Responses,
		Rops: map[string][2]int64{},
	}
	for _, op := range c.Operations {
		z.StubBytes[0] += op.RequestBytes
		z.StubBytes[1] += op.ResponseBytes
	}
	b := c.MAPI.RopBytes
	z.Walked = [2]int64{b.Request.Walked, b.Response.Walked}
	z.Unwalked = [2]int64{b.Request.Unwalked, b.Response.Unwalked}
	for _, r := range c.MAPI.Rops {
		z.Rops[r.Name] = [2]int64{r.Requests, r.Responses}
		z.Failures += r.Failures
	}
	return z
}

// zeekTruth lists the connections to port 1032. The response of the one
// RopQueryRows whose columns were set before the capture began is told by its
// head and counts; its rows are the 2319 bytes that are not walked.
var zeekTruth = []zeekConn{
	{
		Client: "192.168.0.129:2482", Origin: "midstream", Requests: 138, Responses: 138,
		StubBytes: [2]int64{11672, 62652}, Walked: [2]int64{5091, 53480}, Unwalked: [2]int64{0, 2319}, Failures: 1,
		Rops: map[string][2]int64{
			"RopRelease": {70, 0}, "RopOpenFolder": {30, 29}, "RopOpenMessage": {33, 33}, "RopCreateMessage": {9, 9},
			"RopGetPropertiesSpecific": {25, 24}, "RopSetProperties": {10, 10}, "RopSaveChangesMessage": {19, 19},
			"RopReloadCachedInformation": {9, 9}, "RopSetMessageReadFlag": {9, 9}, "RopQueryRows": {1, 1},
			"RopDeleteMessages": {20, 20}, "RopGetReceiveFolder": {12, 12}, "RopNotify": {0, 54}, "RopOpenStream": {1, 1},
			"RopCopyTo": {9, 9}, "RopPending": {0, 38}, "RopBufferTooSmall": {0, 1},
		},
	},
	{
		Client: "192.168.0.141:1734", Origin: "midstream", Requests: 2, Responses: 2,
		StubBytes: [2]int64{108, 948}, Walked: [2]int64{18, 855},
		Rops: map[string][2]int64{
			"RopGetPropertiesSpecific": {1, 1}, "RopSetMessageReadFlag": {1, 1}, "RopNotify": {0, 4}, "RopPending": {0, 1},
		},
	},
	{
		Client: "192.168.0.183:1153", Origin: "midstream", Requests: 5, Responses: 5,
		StubBytes: [2]int64{1276, 2432}, Walked: [2]int64{1048, 2193},
		Rops: map[string][2]int64{
			"RopRelease": {2, 0}, "RopOpenMessage": {2, 2}, "RopGetPropertiesSpecific": {3, 3}, "RopSetProperties": {1, 1},
			"RopSaveChangesMessage": {1, 1}, "RopNotify": {0, 1}, "RopPending": {0, 1},
		},
	},
	{
		Client: "192.168.0.168:3647", Origin: "midstream", Requests: 15, Responses: 15,
		StubBytes: [2]int64{1834, 34484}, Walked: [2]int64{1134, 33747},
		Rops: map[string][2]int64{
			"RopRelease": {5, 0}, "RopOpenMessage": {1, 1}, "RopCreateMessage": {1, 1}, "RopGetPropertiesSpecific": {6, 6},
			"RopSetProperties": {1, 1}, "RopSetMessageReadFlag": {1, 1}, "RopSetColumns": {2, 2}, "RopQueryRows": {2, 2},
			"RopGetAttachmentTable": {2, 2}, "RopOpenAttachment": {2, 2}, "RopNotify": {0, 3}, "RopOpenStream": {1, 1},
			"RopReadStream": {5, 5}, "RopCopyProperties": {1, 1}, "RopPending": {0, 1},
		},
	},
	{
		Client: "192.168.0.173:1073", Origin: "handshake", Requests: 7, Responses: 6,
		StubBytes: [2]int64{716, 1996}, Walked: [2]int64{320, 1633},
		Rops: map[string][2]int64{
			"RopOpenFolder": {2, 1}, "RopGetPropertiesSpecific": {3, 2}, "RopRegisterNotification": {1, 0},
			"RopLongTermIdFromId": {1, 1}, "RopLogon": {1, 1},
		},
	},
}

func zeekCapture(t *testing.T) string {
	t.Helper()
	return filepath.Join(corpus(t, "public"), "zeek-mapi.pcap")
}

func mapiConnections(doc *document.Document) []*document.Connection {
	var out []*document.Connection
	for i := range doc.Connections {
		if c := &doc.Connections[i]; c.Service == "mapi" {
			out = append(out, c)
		}
	}
	return out
}

func TestZeekRops(t *testing.T) {
	doc := analyse(t, 2, zeekCapture(t))
	var got []zeekConn
	total := zeekConn{Rops: map[string][2]int64{}}
	for _, c := range mapiConnections(doc) {
		if endpoint(c.Server) != "192.168.0.2:1032" {
			t.Errorf("connection %d goes to %s", c.ID, endpoint(c.Server))
		}
		z := zeekConnOf(c)
		got = append(got, z)
		for i := range 2 {
			total.Walked[i] += z.Walked[i]
			total.Unwalked[i] += z.Unwalked[i]
		}
	}
	if diff := cmp.Diff(zeekTruth, got); diff != "" {
		t.Errorf("connections (-truth +mapiscope):\n%s", diff)
	}
	if total.Walked != [2]int64{7611, 91908} || total.Unwalked != [2]int64{0, 94227 - 91908} {
		t.Errorf("walked %v, unwalked %v bytes of requests and responses", total.Walked, total.Unwalked)
	}
}

func TestZeekStreamAndSession(t *testing.T) {
	doc := analyse(t, 1, zeekCapture(t))
	conns := mapiConnections(doc)
	stream := conns[3].MAPI.ReadStream
	want := &document.Sizes{Requests: 5, Min: new(int64(400)), Max: new(int64(8192)), Avg: new(int64(30302 / 5)), AskedMin: new(int64(400)), AskedMax: new(int64(8192)), AskedAvg: new(int64((400 + 7792 + 3*8192) / 5))}
	if diff := cmp.Diff(want, stream); diff != "" {
		t.Errorf("RopReadStream (-want +got):\n%s", diff)
	}
	for _, r := range conns[3].MAPI.Rops {
		// Five heads of 6 bytes, five DataSize fields, and the stream.
		if r.Name == "RopReadStream" && r.ResponseBytes != 30302+5*8 {
			t.Errorf("the RopReadStream responses have %d bytes, want %d", r.ResponseBytes, 30302+5*8)
		}
	}
	m := conns[4].MAPI
	got := map[string]any{
		"user": *m.UserDN, "client": *m.ClientVersion, "product": *m.ClientProduct,
		"server": *m.ServerVersion, "server product": *m.ServerProduct, "sessions": *m.Sessions, "pushes": *m.PushNotifications,
	}
	facts := map[string]any{
		"user": "/o=SolutionsIQ/ou=CNAMIS/cn=Recipients/cn=ALEONARD", "client": "5.0.3144.0", "product": "Outlook 2000",
		"server": "5.0.2653.23", "server product": "Exchange 5.5", "sessions": int64(1), "pushes": int64(1),
	}
	if diff := cmp.Diff(facts, got); diff != "" {
		t.Errorf("connect, logon and push registration (-want +got):\n%s", diff)
	}
	if n := conns[0].MAPI.Unexecuted; n != 1 {
		t.Errorf("%d ROPs came back unexecuted, want the one that RopBufferTooSmall names", n)
	}
	for i, c := range conns[:4] {
		if c.MAPI.ClientVersion != nil || *c.MAPI.Sessions != 0 {
			t.Errorf("connection %d of the capture's middle has client version %v, %d sessions", i, c.MAPI.ClientVersion, *c.MAPI.Sessions)
		}
	}
	a := doc.Accelerators.MAPI
	figures := map[string]document.Figure{"sessions_2000": a.Sessions2000, "sessions_2003": a.Sessions2003, "read_stream_requests": a.ReadStreamRequests}
	for name, want := range map[string]int64{"sessions_2000": 1, "sessions_2003": 0, "read_stream_requests": 5} {
		if f := figures[name]; f.Value == nil || *f.Value != want || f.Quality != document.Exact {
			t.Errorf("%s = %+v, want exactly %d", name, f, want)
		}
	}
}

// call is an EMSMDB call as the observer of run.Config sees it.
type call struct {
	operation string
	requests  string
	responses string
	out       int
	buffers   int
	client    string
}

// calls analyses files and returns the observed calls by client end point.
func calls(t *testing.T, paths ...string) map[string][]call {
	t.Helper()
	seen := map[string][]call{}
	_, err := Run(context.Background(), Config{Paths: paths, Workers: 1, OnCall: func(c *assoc.Conn, r emsmdb.RopCall) {
		one := call{operation: r.Operation, requests: names(r.Requests), responses: names(r.Responses), out: r.Out, buffers: r.Buffers}
		if r.Client.Known() {
			one.client = r.Client.String()
		}
		client := c.Client().String()
		seen[client] = append(seen[client], one)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func names(rops []uint8) string {
	s := ""
	for i, id := range rops {
		if i > 0 {
			s += "+"
		}
		s += emsmdb.RopName(id)[len("Rop"):]
	}
	return s
}

func TestZeekBufferTooSmall(t *testing.T) {
	// The server answers RopGetPropertiesSpecific with RopBufferTooSmall; the
	// client sends the same list again with room for the answer.
	seen := calls(t, zeekCapture(t))["192.168.0.129:2482"]
	i := slices.IndexFunc(seen, func(c call) bool { return c.responses == "BufferTooSmall" })
	if i < 0 || i+1 >= len(seen) {
		t.Fatal("no RopBufferTooSmall was observed")
	}
	want := []call{
		{operation: "EcDoRpc", requests: "GetPropertiesSpecific", responses: "BufferTooSmall", out: seen[i].out, buffers: 1},
		{operation: "EcDoRpc", requests: "GetPropertiesSpecific", responses: "GetPropertiesSpecific", out: seen[i+1].out, buffers: 1},
	}
	if diff := cmp.Diff(want, seen[i:i+2], cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("refused and repeated call (-want +got):\n%s", diff)
	}
}

// labRops are the short names of ROPS.tsv.
var labRops = map[string]string{
	"Logon": "Logon", "OpenFolder": "OpenFolder", "GetContentsTable": "GetContentsTable", "SetColumns": "SetColumns",
	"QueryRows": "QueryRows", "Release": "Release", "OpenMessage": "OpenMessage", "OpenStream": "OpenStream",
	"ReadStream": "ReadStream", "SyncConfigure": "SynchronizationConfigure",
	"SyncStateBegin": "SynchronizationUploadStateStreamBegin", "SyncStateContinue": "SynchronizationUploadStateStreamContinue",
	"SyncStateEnd": "SynchronizationUploadStateStreamEnd", "FXGetBuffer": "FastTransferSourceGetBuffer",
}

// labCall puts a row of ROPS.tsv into the words of call.
func labCall(t *testing.T, row map[string]string) call {
	t.Helper()
	c := call{operation: row["operation"]}
	var w [3]uint16
	if n, _ := fmt.Sscanf(row["rops_or_version"], "client version words 0x%x 0x%x 0x%x", &w[0], &w[1], &w[2]); n == 3 {
		c.client = emsmdb.NewVersion(w).String()
		return c
	}
	c.requests = labNames(t, row["rops_or_version"])
	if _, err := fmt.Sscan(row["rgbOut_bytes"]+" "+row["rpc_header_ext_buffers"], &c.out, &c.buffers); err != nil {
		t.Fatalf("row %v: %v", row, err)
	}
	return c
}

func labNames(t *testing.T, list string) string {
	t.Helper()
	out := ""
	for i, name := range splitList(list) {
		full, ok := labRops[name]
		if !ok {
			t.Fatalf("ROPS.tsv names an unknown ROP %q", name)
		}
		if i > 0 {
			out += "+"
		}
		out += full
	}
	return out
}

// splitList cuts "A+B(31680)" into names.
func splitList(list string) []string {
	var out []string
	name, depth := "", 0
	for _, r := range list + "+" {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth > 0:
		case r == '+':
			out = append(out, name)
			name = ""
		default:
			name += string(r)
		}
	}
	return out
}

// labOpenMessage: the emulated server ends its RopOpenMessage response with a
// byte too many. The walk stops at it, before the RopOpenStream response, and
// does not look for the next ROP behind it.
var labOpenMessage = []document.UnwalkedBytes{{Reason: "unassigned ROP", Bytes: 1 + 10}}

// TestLabRops compares with what the emulated server of the lab wrote down of
// every call, where the calls can be read.
func TestLabRops(t *testing.T) {
	dir := corpus(t, "lab")
	want := map[string]map[string][]call{}
	for _, row := range table(t, filepath.Join(dir, "ROPS.tsv")) {
		if want[row["file"]] == nil {
			want[row["file"]] = map[string][]call{}
		}
		want[row["file"]][row["client"]] = append(want[row["file"]][row["client"]], labCall(t, row))
	}
	readable, sealed := 0, 0
	buffers := emsmdb.Buffers{}
	for _, file := range slices.Sorted(maps.Keys(want)) {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join(dir, file)
			doc := analyse(t, 1, path)
			seen := calls(t, path)
			for _, c := range mapiConnections(doc) {
				client := endpoint(c.Client)
				rows := want[file][client]
				if c.Encrypted {
					sealed += len(rows)
					if seen[client] != nil || c.MAPI.Unavailable == nil || c.MAPI.RopBytes != nil || c.MAPI.SyncGetBuffer != nil || c.MAPI.ClientVersion != nil {
						t.Errorf("%s is sealed, yet %d calls were read; %+v", client, len(seen[client]), c.MAPI)
					}
					continue
				}
				readable += len(rows)
				got := withoutResponses(seen[client])
				if diff := cmp.Diff(rows, got, cmp.AllowUnexported(call{})); diff != "" {
					t.Errorf("%s (-truth +mapiscope):\n%s", client, diff)
				}
				if len(rows) == 0 {
					continue
				}
				unwalked := []document.UnwalkedBytes{}
				if slices.ContainsFunc(rows, func(c call) bool { return c.requests == "OpenFolder+OpenMessage+OpenStream" }) {
					unwalked = labOpenMessage
				}
				if diff := cmp.Diff(unwalked, c.MAPI.RopBytes.Reasons); diff != "" {
					t.Errorf("%s: bytes of ROPs that were not walked (-want +got):\n%s", client, diff)
				}
				if c.MAPI.DecodeErrors != 0 {
					t.Errorf("%s: %d decode errors", client, c.MAPI.DecodeErrors)
				}
				buffers.Plain += c.MAPI.Buffers.Plain
				buffers.Xored += c.MAPI.Buffers.Obfuscated
				buffers.Compressed += c.MAPI.Buffers.Compressed
				buffers.Chained += c.MAPI.Buffers.Chained
			}
		})
	}
	// The table must not pass because nothing was compared.
	if readable < 150 || sealed < 100 {
		t.Errorf("%d rows of readable and %d rows of sealed connections were met", readable, sealed)
	}
	if buffers.Plain == 0 || buffers.Xored == 0 || buffers.Compressed == 0 || buffers.Chained == 0 {
		t.Errorf("the lab shows every kind of payload, the figures do not: %+v", buffers)
	}
}

func withoutResponses(calls []call) []call {
	out := slices.Clone(calls)
	for i := range out {
		out[i].responses = ""
	}
	return out
}
