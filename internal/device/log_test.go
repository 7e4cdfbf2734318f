package device

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

func logText(t *testing.T, v *Views, style string) (lines []string, note string) {
	t.Helper()
	out := text(t, func(b *strings.Builder) (err error) { note, err = v.WriteLog(b, style, "WAE512"); return err })
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n"), note
}

// TestTransactionPrintsTheSample: the fields of END lines are those of the
// vendor's sample but for the figures inside the device; lines of BP have no
// id; lines stand in order of time.
func TestTransactionPrintsTheSample(t *testing.T) {
	doc := new(document.Document)
	doc.Connections = []document.Connection{
		leg{2289, "edge", 1146, 0, 822, 634, "optimized", "closed", "TMDL"}.connection(),
		leg{2290, "wan", 1146, 0, 706, 556, "optimized", "closed", "-"}.connection(),
	}
	doc.WAAS = "5.3"
	for i := range doc.Connections {
		c := &doc.Connections[i]
		c.Client.Port, c.Start, c.End = 3740, "2009-07-15T19:12:01Z", "2009-07-15T19:12:35.9Z"
		c.RTT, c.DSCP.Client, c.Conversation = ptr(int64(41887)), 26, ptr(2289)
	}
	lines, note := logText(t, New(doc, Options{}), "transaction")
	want := strings.Split(sample(t, "transaction.txt"), "\n")[:2]
	want[1] = strings.Replace(want[1], ":730 :605", ":n/a :n/a", 1)
	if diff := cmp.Diff(want, lines[1:]); diff != "" {
		t.Errorf("(-sample +ours):\n%s", diff)
	}
	start := "Wed Jul 15 19:12:01 2009 :2289 :10.10.10.10 :3740 :10.10.100.101 :1146 :OT :START :EXTERNAL CLIENT :02:4d:09:00:00:02" +
		" :n/a :n/a :n/a :F :n/a :n/a :n/a :n/a :n/a :n/a :n/a :n/a :(MAPI) :None :n/a :26 :41.887 ms"
	if diff := cmp.Diff(start, lines[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if note != "" {
		t.Errorf("note %q", note)
	}
}

// TestTransactionFields: each kind of line has as many fields as its template.
func TestTransactionFields(t *testing.T) {
	const start, otEnd, sodreEnd, bp = 27, 14, 13, 14
	for _, tt := range []struct {
		release string
		fields  int
	}{{"5.3", start}, {"6.4", start - 1}} {
		doc := twoSides()
		doc.WAAS = tt.release
		lines, _ := logText(t, New(doc, Options{}), "transaction")
		for _, line := range lines {
			want := map[string]int{":OT :START": tt.fields, ":OT :END": otEnd, ":SODRE :END": sodreEnd, ":BP :": bp}
			known := false
			for kind, n := range want {
				if strings.Contains(line, kind) {
					known = true
					if got := len(strings.Split(line, separator)); got != n {
						t.Errorf("release %s: %d fields, want %d: %s", tt.release, got, n, line)
					}
				}
			}
			if !known {
				t.Errorf("no kind: %s", line)
			}
		}
	}
}

// TestTransactionByVerdict: what the packets show decides, else the rules do,
// and the note says so; a reason that holds the separator does not add fields.
func TestTransactionByVerdict(t *testing.T) {
	doc := twoSides()
	doc.Connections = append(doc.Connections, leg{9, "edge", 1146, 9, 1, 1, "unknown", "open", "TMDL"}.connection(),
		leg{10, "edge", 1146, 10, 1, 1, "unknown", "open", "-"}.connection(), leg{11, "edge", 1146, 11, 1, 1, "unknown", "unanswered", "TMDL"}.connection())
	middle := leg{12, "edge", 1146, 12, 1, 1, "optimized", "closed", "TMDL"}.connection()
	middle.Origin = "midstream" // ends in the captures, and began before them
	doc.Connections = append(doc.Connections, middle)
	doc.Connections[8].Disposition.Accelerator = "generic"
	doc.Connections[8].Disposition.Reason = "Unsupported Auth Type :NTLM"
	lines, note := logText(t, New(doc, Options{}), "transaction")
	kinds := make(map[string]int)
	for _, line := range lines {
		tr, err := ParseTransaction(line)
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds[strings.TrimSpace(tr.Kind+" "+tr.Log)]++
		if tr.ConnID == 9 && tr.Rest[len(tr.Rest)-4] != "Unsupported Auth Type NTLM" {
			t.Errorf("fields %q", tr.Rest)
		}
	}
	want := map[string]int{"OT START": 4, "OT END": 3, "SODRE END": 3, "BP": 1}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := "the packets of 1 connection do not show whether an optimizer was passed: the lines say what release 5.3 does by its rules"; note != want {
		t.Errorf("note %q, want %q", note, want)
	}
}

// event returns one event of the sample connection of the vendor's error logs.
func event(kind, at string, d document.Detail) document.Event {
	return document.Event{Time: "2012-07-03T17:56:" + at + "Z", Event: kind, Connection: 1, Client: host("10.16.1.201", 1077), Server: host("14.110.3.163", 27744),
		Packet: document.PacketRef{Packet: 12}, Detail: d}
}

func emsmdbDocument(waas string, events ...document.Event) *document.Document {
	doc := captured(waas, "2012-07-03T17:56:23Z", "2012-07-03T17:57:00Z")
	doc.Captures[0].Path = "/tmp/edge.pcap"
	doc.Connections = []document.Connection{{ID: 1, At: "edge", Client: host("10.16.1.201", 1077), Server: host("14.110.3.163", 27744), Origin: "handshake",
		Start: "2012-07-03T17:56:23.080175Z", State: "open", Service: "mapi", ServiceBasis: "bind", AssocGroup: document.AssocGroup{Requested: ptr(uint32(0))}}}
	doc.Events = events
	return doc
}

var privacy = document.Detail{CallID: ptr(uint32(2)), AssocGroup: ptr(uint32(0)), AuthType: ptr(uint8(9)), AuthLevel: ptr(uint8(6)), AuthContextID: ptr(uint32(0)),
	Mechanism: "kerberos", Contexts: []document.EventContext{{UUID: emsmdb, Version: "0.81"}}}

// TestErrorLogPrintsTheSample goes through the vendor's good case in its
// order. What lives inside the device (process, pointer, descriptors, WAN
// Secure) is n/a, the source file is the packet.
func TestErrorLogPrintsTheSample(t *testing.T) {
	doc := emsmdbDocument("5.3",
		event("connection_start", "23.080175", document.Detail{}),
		event("bind", "23.108001", privacy),
		event("bind_ack", "23.312", document.Detail{AssocGroup: ptr(uint32(0x11de4)), HeaderSigning: ptr(true), Multiplexing: ptr(true)}),
		event("auth", "23.368", document.Detail{AuthType: ptr(uint8(9)), AuthLevel: ptr(uint8(6)), AuthContextID: ptr(uint32(0)), Mechanism: "kerberos",
			SessionEtype: 18, HeaderSigning: ptr(true), Multiplexing: ptr(true), SecMultiplexing: ptr(false)}),
		event("mapi_connect", "23.369", document.Detail{CallID: ptr(uint32(2)), ClientVersion: "14.0.6117.5001"}),
		event("mapi_connect_response", "23.868", document.Detail{CallID: ptr(uint32(2)), SessionOpened: ptr(false)}),
		event("mapi_connect", "23.890", document.Detail{CallID: ptr(uint32(3)), ClientVersion: "14.0.6117.5001"}),
		event("mapi_connect_response", "23.990", document.Detail{CallID: ptr(uint32(3)), SessionOpened: ptr(true)}),
		event("repeated_disconnect", "24.000000", document.Detail{}),
	)
	const connect = "CEdgeTcpConnectionEmsMdbLayer::ConnectRequestCommon (CallId %): client version is ProductMajor:14, Product Minor:0, Build Major:6117, Build Minor:5001 Client ip 10.16.1.201 Client port 1077 Dest ip 14.110.3.163 Dest port 27744"
	want := []string{
		"23.080(Local)(n/a) NTCE (80175) (fl=1) Edge TCP connection initiated (n/a), Conn: [10.16.1.201:1077 <=> 14.110.3.163:27744], Flavor: n/a",
		"23.108(Local)(n/a) NTCE (108001) (fl=1) Bind Request from client with AGID 0x0, callId 2, to dest-ip 14.110.3.163, AuthLevel: PRIVACY AuthType: SPNEGO AuthCtxId: 0 WsPlumb:n/a",
		"23.312(Local)(n/a) NTCE (312000) (fl=1) Connection multiplexing enabled by server on the connection.",
		"23.312(Local)(n/a) NTCE (312000) (fl=1) Header signing enabled by server on the connection.",
		"23.312(Local)(n/a) NTCE (312000) (fl=1) OnNewConnection - Client IP 10.16.1.201 (0x0a1001c9), Serv IP 14.110.3.163 (0x0e6e03a3), nDstPort=27744, nAssociationGroup=0x11de4,conn_fd=n/a, bWasConnectionFromReservedPool=n/a, bIsNewMapiSession=1",
		"23.368(Local)(n/a) NTCE (368000) (fl=1) Sec-Params [CtxId, AL, AT, ACT, DCT, [Hs, ConnMplx, SecMplx]]:=[0, 6, 9, 18, 18 [1,1,0]]",
		"23.369(Local)(n/a) NTCE (369000) (fl=1) " + strings.Replace(connect, "%", "2", 1),
		"23.868(Local)(n/a) ERRO (868000) (fl=1) ContextHandle.IsNull()",
		"23.890(Local)(n/a) NTCE (890000) (fl=1) " + strings.Replace(connect, "%", "3", 1),
		"24.000(Local)(n/a) NTCE (0) (fl=1) Client 10.16.1.201 disconnected more than four consecutive times - push down to generic ao.",
	}
	for i := range want {
		want[i] = "07/03/2012 17:56:" + want[i] + " [edge.pcap:12]"
	}
	lines, _ := logText(t, New(doc, Options{}), "errorlog")
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The times are those of --time.
	lines, _ = logText(t, New(doc, Options{Location: time.FixedZone("", 3600)}), "errorlog")
	if !strings.HasPrefix(lines[0], "07/03/2012 18:56:23.080") {
		t.Errorf("an hour to the east: %s", lines[0])
	}
}

// TestUnsupportedAuth: NTLM, bare or inside SPNEGO, at a level that asks for
// protection, where the release knows encrypted MAPI; once for a connection.
func TestUnsupportedAuth(t *testing.T) {
	with := func(kind, level uint8, mechanism string) document.Detail {
		d := privacy
		d.AuthType, d.AuthLevel, d.Mechanism = &kind, &level, mechanism
		return d
	}
	for _, tt := range []struct {
		name   string
		waas   string
		events []document.Event
		want   int
	}{
		{"bare NTLM", "5.3", []document.Event{event("bind", "23.1", with(10, 6, "ntlm"))}, 1},
		{"signed", "5.3", []document.Event{event("bind", "23.1", with(10, 5, "ntlm"))}, 1},
		{"inside SPNEGO, known at the end", "5.3", []document.Event{event("bind", "23.1", with(9, 6, "")), event("auth", "23.2", with(9, 6, "ntlm"))}, 1},
		{"bind and end", "5.3", []document.Event{event("bind", "23.1", with(10, 6, "ntlm")), event("auth", "23.2", with(10, 6, "ntlm"))}, 1},
		{"level connect", "5.3", []document.Event{event("bind", "23.1", with(10, 2, "ntlm"))}, 0},
		{"Kerberos", "5.3", []document.Event{event("bind", "23.1", with(16, 6, "kerberos"))}, 0},
		{"before encrypted MAPI", "4.5", []document.Event{event("bind", "23.1", with(10, 6, "ntlm"))}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, _ := logText(t, New(emsmdbDocument(tt.waas, tt.events...), Options{}), "errorlog")
			if got := strings.Count(strings.Join(lines, "\n"), "Unsupported Auth Type :NTLM"); got != tt.want {
				t.Errorf("%d lines, want %d:\n%s", got, tt.want, strings.Join(lines, "\n"))
			}
		})
	}
}

// TestSyslogPrintsTheSample: one line for a connection that asks for encrypted
// MAPI; microseconds without leading zeros, the day without padding.
func TestSyslogPrintsTheSample(t *testing.T) {
	asks := event("bind", "", privacy)
	asks.Time, asks.Client.IP = "2009-01-05T13:11:54.929480Z", "10.36.14.82"
	again := asks
	again.Time = "2009-01-05T13:11:55Z"
	other := asks
	other.Contexts = []document.EventContext{{UUID: "12345778-1234-abcd-ef00-0123456789ac"}}
	doc := emsmdbDocument("4.1", other, asks, again)
	lines, _ := logText(t, New(doc, Options{}), "syslog")
	want := []string{"2009 Jan 5 13:11:54 WAE512 mapi_ao: %WAAS-MAPIAO-3-132104: (929480) Encrypted connection. Client ip: 10.36.14.82"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
