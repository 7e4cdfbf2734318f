package run

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
)

// figures puts counters into one form, by their JSON names: "5 exact",
// "n/a unavailable".
func figures(accelerator any) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(accelerator)
	for i := range v.NumField() {
		f, ok := v.Field(i).Interface().(document.Figure)
		if !ok {
			continue
		}
		n := "n/a"
		if f.Value != nil {
			n = fmt.Sprint(*f.Value)
		}
		if f.Why == "" {
			n = "no reason given for " + n
		}
		out[v.Type().Field(i).Tag.Get("json")] = n + " " + string(f.Quality)
	}
	return out
}

// checkFigures compares the figures that want names.
func checkFigures(t *testing.T, want string, accelerator any) {
	t.Helper()
	all, expected, got := figures(accelerator), map[string]string{}, map[string]string{}
	for _, item := range strings.Split(strings.TrimSpace(want), "\n") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), ": ")
		expected[name], got[name] = value, all[name]
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const (
	noPlaintext = `
		sync_get_buffer_requests: n/a unavailable
		sync_get_buffer_min: n/a unavailable
		sync_get_buffer_max: n/a unavailable
		sync_get_buffer_avg: n/a unavailable
		read_stream_requests: n/a unavailable
		read_stream_min: n/a unavailable
		read_stream_max: n/a unavailable
		read_stream_avg: n/a unavailable
		sessions_2000: n/a unavailable
		sessions_2003: n/a unavailable
		sessions_2007: n/a unavailable
		sessions_lower_than_2000: n/a unavailable
		sessions_higher_than_2007: n/a unavailable`
	noWAN = `
		local_response_count: n/a unavailable
		local_response_avg_us: n/a unavailable
		remote_response_count: n/a unavailable
		remote_response_avg_us: n/a unavailable`
	insideDevice = `
		current_pending_connections: n/a unavailable
		read_ahead_min: n/a unavailable
		read_ahead_max: n/a unavailable
		read_ahead_avg: n/a unavailable`
)

// TestLabAccelerator has the counters of captures whose calls are known one by
// one (ROPS.tsv) and whose connections are (MANIFEST.tsv).
func TestLabAccelerator(t *testing.T) {
	dir := corpus(t, "lab")
	for _, x := range []struct{ name, file, waas, want string }{
		{"readable, Outlook 2003, no WAN", "gm_mapi_2003_ntlm_connect.pcap", "5.3", noWAN + insideDevice + `
			total_handled_connections: 3 exact
			total_optimized_connections: 3 heuristic
			total_handed_off_connections: 0 heuristic
			total_dropped_connections: 0 lower_bound
			current_active_connections: 0 exact
			maximum_active_connections: 3 exact
			sync_get_buffer_requests: 5 exact
			sync_get_buffer_min: 31624 exact
			sync_get_buffer_max: 31680 exact
			sync_get_buffer_avg: 31657 exact
			read_stream_requests: 4 exact
			read_stream_min: 16384 exact
			read_stream_max: 16384 exact
			read_stream_avg: 16384 exact
			sessions_2000: 0 exact
			sessions_2003: 1 exact
			sessions_2007: 0 exact
			secured_connections: 0 exact
			sessions_lower_than_2000: 0 exact
			sessions_higher_than_2007: 0 exact`},
		{"40 ms away: nobody answers nearby", "gm_mapi_wan40_ntlm_connect.pcap", "5.3", `
			sync_get_buffer_requests: 7 exact
			read_stream_requests: 5 exact
			local_response_count: 0 lower_bound
			local_response_avg_us: n/a unavailable
			remote_response_count: 21 heuristic
			sessions_2007: 1 exact`},
		{"sealed", "gm_mapi_2010_ntlm_seal.pcap", "5.3", noPlaintext + `
			total_handled_connections: 5 exact
			total_optimized_connections: 0 heuristic
			total_handed_off_connections: 5 heuristic
			maximum_active_connections: 5 exact
			secured_connections: 5 exact`},
		{"signed is readable", "gm_mapi_chained_sign.pcap", "5.3", `
			sync_get_buffer_requests: 3 exact
			sync_get_buffer_min: 29920 exact
			sync_get_buffer_max: 31680 exact
			read_stream_requests: 2 exact
			sessions_2007: 1 exact
			secured_connections: 2 exact`},
		{"three users, some sealed", "gm_mapi_three_users.pcapng", "5.3", `
			total_handled_connections: 9 exact
			sync_get_buffer_requests: 3 lower_bound
			sync_get_buffer_max: 31680 heuristic
			read_stream_requests: 2 lower_bound
			sessions_2003: 1 lower_bound
			sessions_2007: n/a unavailable
			secured_connections: 6 exact`},
		{"two sessions in one group, Outlook 2010", "gm_mapi_two_sessions.pcap", "5.3", `
			sessions_higher_than_2007: 2 exact
			secured_connections: 3 exact`},
		{"encrypted with Kerberos, release with encrypted MAPI", "gm_mapi_2010_krb5_seal.pcap", "5.3", `
			total_optimized_connections: 3 heuristic
			total_handed_off_connections: 0 heuristic
			secured_connections: 2 exact`},
		{"encrypted with Kerberos, release without", "gm_mapi_2010_krb5_seal.pcap", "4.1", `
			total_optimized_connections: 1 heuristic
			total_handed_off_connections: 2 heuristic
			secured_connections: 2 exact`},
		{"between the devices", "wo_mapi_sign_escape_wan.pcap", "5.3", noPlaintext + `
			total_handled_connections: 4 lower_bound
			secured_connections: 1 lower_bound`},
		{"three capture points count as one", "wo_mapi_sign_escape_merged.pcapng", "5.3", `
			total_handled_connections: 4 exact
			maximum_active_connections: 4 exact
			sync_get_buffer_requests: 7 exact
			read_stream_requests: 4 exact
			sessions_2007: 1 exact
			secured_connections: 4 exact`},
	} {
		t.Run(x.name, func(t *testing.T) {
			doc, err := Run(t.Context(), Config{Paths: []string{filepath.Join(dir, x.file)}, Workers: 1, WAAS: x.waas})
			if err != nil {
				t.Fatal(err)
			}
			checkFigures(t, x.want, doc.Accelerators.MAPI)
		})
	}
}

var (
	start    = time.Date(2009, 11, 5, 19, 45, 19, 0, time.UTC)
	asyncMDB = pcaptest.Syntax{UUID: "5261574a-4572-206e-b268-6b199213b4e4", Version: 1 << 16}
)

const aHandle = pcaptest.UUID("5f3a1c00-7be1-4c11-9d8a-0a1b2c3d4e5f")

// mailbox is the client of one connection to EMSMDB.
type mailbox struct {
	*pcaptest.Conn
	call uint32
}

const mailServer = "10.2.0.9:59531"

func dialMail(s *pcaptest.Scene, client string, options ...pcaptest.Option) *mailbox {
	return &mailbox{Conn: s.Dial(client, mailServer, options...)}
}

// bind accepts EMSMDB as context 0 and AsyncEMSMDB as context 1.
func (o *mailbox) bind() *mailbox {
	o.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB), pcaptest.Offer(1, asyncMDB)).Call(1).Bytes())
	o.Server(pcaptest.BindAck(0x1234, "59531", pcaptest.Accept(pcaptest.NDR32), pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	o.call = 1
	return o
}

// do calls an operation and is answered after a time.
func (o *mailbox) do(context, opnum uint16, request, response []byte, after time.Duration) *mailbox {
	o.call++
	o.Client(pcaptest.Request(context, opnum, request).Call(o.call).Fragmented(4096))
	o.Sleep(after)
	o.Server(pcaptest.Response(context, response).Call(o.call).Fragmented(4096))
	return o
}

func (o *mailbox) connect(version pcaptest.Version, status uint32) *mailbox {
	handle := aHandle
	if status != 0 {
		handle = ""
	}
	return o.do(0, pcaptest.OpEcDoConnectEx,
		pcaptest.ConnectEx{UserDN: "/o=ORG/cn=ALICE", Client: version}.Request(pcaptest.NDR{}),
		pcaptest.ConnectExResult{Handle: handle, DNPrefix: "/O=ORG", DisplayName: "Alice", Server: pcaptest.Version{8 << 8, 0x8000 | 240, 5}, Status: status}.Response(pcaptest.NDR{}), 0)
}

// rops is an EcDoRpcExt2 with one open object.
func (o *mailbox) rops(request, response []byte, after time.Duration) *mailbox {
	h := []uint32{0x30}
	return o.do(0, pcaptest.OpEcDoRpcExt2,
		pcaptest.RpcExt2{Handle: aHandle, In: pcaptest.Xored(pcaptest.ROPs(h, request)), MaxOut: 0x8000}.Request(pcaptest.NDR{}),
		pcaptest.RpcExt2Result{Handle: aHandle, Out: pcaptest.Xored(pcaptest.ROPs(h, response))}.Response(pcaptest.NDR{}), after)
}

// read is a RopReadStream that gets n bytes.
func (o *mailbox) read(n int, after time.Duration) *mailbox {
	head := []byte{0x2c, 0, 0, 0, 0, 0, byte(n), byte(n >> 8)}
	return o.rops([]byte{0x2c, 0, 0, 0x00, 0x40}, append(head, bytes.Repeat([]byte{7}, n)...), after)
}

// analyseScene analyses what a scene captured.
func analyseScene(t *testing.T, s *pcaptest.Scene) *document.Document {
	t.Helper()
	return analyse(t, 1, s.WriteFile(t, "scene.pcap"))
}

func TestActiveConnections(t *testing.T) {
	s := pcaptest.New(start)
	idle := dialMail(s, "10.1.0.5:1001").bind() // stays open, and silent
	one := dialMail(s, "10.1.0.5:1002").bind()
	one.Sleep(time.Second).Close()
	two := dialMail(s, "10.1.0.5:1003").bind()
	two.Sleep(time.Second).Close()
	for i := range 2 {
		three := dialMail(s, fmt.Sprintf("10.1.0.5:%d", 1004+i)).bind()
		three.Sleep(time.Second)
	}
	refused := s.Dial("10.1.0.5:1009", mailServer, pcaptest.NoHandshake())
	refused.Segment(pcaptest.Client, -1, nil, pcaptest.SYN)
	refused.Segment(pcaptest.Server, -1, nil, pcaptest.RST|pcaptest.ACK)
	_ = idle
	checkFigures(t, `
		total_handled_connections: 5 exact
		current_active_connections: 3 exact
		maximum_active_connections: 3 exact
		sync_get_buffer_requests: 0 exact
		sync_get_buffer_min: n/a unavailable
		local_response_count: n/a unavailable`, analyseScene(t, s).Accelerators.MAPI)
}

func TestDroppedConnections(t *testing.T) {
	s := pcaptest.New(start)
	dialMail(s, "10.1.0.5:1001").bind().Reset(pcaptest.Server)                                  // dropped
	dialMail(s, "10.1.0.5:1002").bind().Reset(pcaptest.Client)                                  // the client's wish
	dialMail(s, "10.1.0.5:1003").bind().connect(pcaptest.Outlook2007, 0).Reset(pcaptest.Server) // after an answer
	dialMail(s, "10.1.0.5:1004").bind().connect(pcaptest.Outlook2007, 0).Close()                // as it should be
	dialMail(s, "10.1.0.5:1005").bind().connect(pcaptest.Version{4, 993, 0}, 0).Close()         // too old
	checkFigures(t, `
		total_handled_connections: 5 exact
		total_optimized_connections: 3 heuristic
		total_handed_off_connections: 1 heuristic
		total_dropped_connections: 1 lower_bound
		sessions_2007: 2 exact
		sessions_lower_than_2000: 1 exact`, analyseScene(t, s).Accelerators.MAPI)
}

func TestSessionGenerations(t *testing.T) {
	s := pcaptest.New(start)
	for i, v := range []pcaptest.Version{
		{4, 993, 0}, {5, 2653, 0}, // lower
		{5, 3144, 0}, {10, 4219, 0}, {6, 4417, 5}, // 2000
		pcaptest.Outlook2003, pcaptest.Outlook2007, {12, 6206, 1000}, {13, 1, 1}, // 2003, three times 2007
		{14 << 8, 0x8000 | 4760, 1000}, {15 << 8, 0x8000 | 4420, 1000}, // higher
	} {
		dialMail(s, fmt.Sprintf("10.1.0.5:%d", 1001+i)).bind().connect(v, 0).Close()
	}
	dialMail(s, "10.1.0.5:1100").bind().connect(pcaptest.Outlook2003, 0x970).Close() // refused: no session
	checkFigures(t, `
		sessions_lower_than_2000: 2 exact
		sessions_2000: 3 exact
		sessions_2003: 1 exact
		sessions_2007: 3 exact
		sessions_higher_than_2007: 2 exact`, analyseScene(t, s).Accelerators.MAPI)
}

func TestLocalAndRemoteResponses(t *testing.T) {
	talk := func(o *mailbox) {
		o.read(100, time.Millisecond) // from nearby
		o.read(100, 3*time.Millisecond)
		o.read(100, 50*time.Millisecond)
		wait := pcaptest.NDR{}
		wait.Handle(aHandle).U32(0)
		answer := pcaptest.NDR{}
		o.do(1, 0, wait.Bytes(), answer.U32(1, 0).Bytes(), 4*time.Minute) // late on purpose
		o.Close()
	}
	t.Run("40 ms away", func(t *testing.T) {
		s := pcaptest.New(start)
		talk(dialMail(s, "10.1.0.5:1001", pcaptest.RTT(40*time.Millisecond), pcaptest.AckEvery(0)).bind())
		doc := analyseScene(t, s)
		got := figures(doc.Accelerators.MAPI)
		if got["local_response_count"] != "2 lower_bound" || got["remote_response_count"] != "1 heuristic" {
			t.Errorf("local %s, remote %s", got["local_response_count"], got["remote_response_count"])
		}
		a := doc.Accelerators.MAPI
		if l, r := *a.LocalResponseAvg.Value, *a.RemoteResponseAvg.Value; l < 2000 || l > 2100 || r < 50000 || r > 50100 {
			t.Errorf("local after %d µs, remote after %d µs", l, r)
		}
		if n := doc.Connections[0].MAPI.AsyncWaits; n != 1 {
			t.Errorf("%d waits", n)
		}
		for _, op := range doc.Connections[0].Operations {
			if op.Name != nil && *op.Name == "EcDoRpcExt2" && (op.ResponseTime.Count != 3 || *op.ResponseTime.Max > 60000) {
				t.Errorf("EcDoRpcExt2 took %+v", op.ResponseTime)
			}
		}
	})
	for name, options := range map[string][]pcaptest.Option{
		"4.9 ms away": {pcaptest.RTT(4900 * time.Microsecond)},
		"no SYN":      {pcaptest.RTT(40 * time.Millisecond), pcaptest.NoHandshake()},
	} {
		t.Run(name, func(t *testing.T) {
			s := pcaptest.New(start)
			talk(dialMail(s, "10.1.0.5:1001", options...).bind())
			checkFigures(t, noWAN, analyseScene(t, s).Accelerators.MAPI)
		})
	}
}

// TestWaitWithoutBind: EcDoAsyncWaitEx has the opnum and the port of
// EcDoConnect; where the bind was not captured its short stub tells it.
func TestWaitWithoutBind(t *testing.T) {
	s := pcaptest.New(start)
	dialMail(s, "10.1.0.5:1001", pcaptest.RTT(40*time.Millisecond)).bind().Close() // names the port
	o := dialMail(s, "10.1.0.5:1002", pcaptest.RTT(40*time.Millisecond), pcaptest.NoHandshake(), pcaptest.AckEvery(0))
	o.read(100, 50*time.Millisecond)
	wait, answer := pcaptest.NDR{}, pcaptest.NDR{}
	wait.Handle(aHandle).U32(0)
	o.do(1, 0, wait.Bytes(), answer.U32(1, 0).Bytes(), 4*time.Minute)
	doc := analyseScene(t, s)
	m := doc.Connections[1].MAPI
	if m.AsyncWaits != 1 || m.DecodeErrors != 0 || len(m.Connects) != 0 {
		t.Errorf("%d waits, %d decode errors, connects %+v", m.AsyncWaits, m.DecodeErrors, m.Connects)
	}
	if a := doc.Accelerators.MAPI; a.RemoteResponseAvg.Value == nil || *a.RemoteResponseAvg.Value > 60000 {
		t.Errorf("remote responses take %+v", a.RemoteResponseAvg)
	}
}

// TestGapMakesLowerBounds: what is missing may hold more of the same.
func TestGapMakesLowerBounds(t *testing.T) {
	s := pcaptest.New(start)
	o := dialMail(s, "10.1.0.5:1001").bind()
	o.read(100, 0)
	o.Drop(1)
	o.read(100, 0)
	o.read(300, 0)
	o.Close()
	checkFigures(t, `
		read_stream_requests: 2 lower_bound
		read_stream_min: 100 heuristic
		read_stream_max: 300 heuristic
		sync_get_buffer_requests: n/a unavailable`, analyseScene(t, s).Accelerators.MAPI)
}

// TestRefusedConnect: the return value of a refused connect has a name.
func TestRefusedConnect(t *testing.T) {
	s := pcaptest.New(start)
	o := dialMail(s, "10.1.0.5:1001").bind()
	o.connect(pcaptest.Outlook2007, 0x970)
	o.connect(pcaptest.Outlook2007, 0x80040111)
	o.connect(pcaptest.Outlook2007, 0x80040111)
	o.Client(pcaptest.Request(0, pcaptest.OpEcDoConnectEx, pcaptest.ConnectEx{UserDN: "/o=ORG/cn=BOB", Client: pcaptest.Outlook2007}.Request(pcaptest.NDR{})).Call(9).Bytes())
	o.Close()
	m := analyseScene(t, s).Connections[0].MAPI
	want := []document.Refusal{
		{Operation: "EcDoConnectEx", Value: 0x970, Name: new("not encrypted"), Count: 1},
		{Operation: "EcDoConnectEx", Value: 0x80040111, Name: new("login failure"), Count: 2},
	}
	if diff := cmp.Diff(want, m.Refusals); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got := []string{}
	for _, x := range m.Connects {
		got = append(got, fmt.Sprint(x.UserDN, " ", x.ClientVersion, " ", str(x.StatusName)))
	}
	connects := []string{
		"/o=ORG/cn=ALICE 12.0.6425.1000 not encrypted", "/o=ORG/cn=ALICE 12.0.6425.1000 login failure",
		"/o=ORG/cn=ALICE 12.0.6425.1000 login failure", "/o=ORG/cn=BOB 12.0.6425.1000 ",
	}
	if diff := cmp.Diff(connects, got); diff != "" || *m.Sessions != 0 {
		t.Errorf("%d sessions (-want +got):\n%s", *m.Sessions, diff)
	}
	if m.Connects[3].Status != nil {
		t.Errorf("the last connect has no answer, yet the status %d", *m.Connects[3].Status)
	}
}

// TestSealedFigures: what headers tell of sealed calls is there, the rest is
// null with a reason.
func TestSealedFigures(t *testing.T) {
	doc := analyse(t, 1, filepath.Join(corpus(t, "lab"), "gm_mapi_2010_ntlm_seal.pcap"))
	c := mapiConnections(doc)[0]
	m := c.MAPI
	if m.Sessions == nil || *m.Sessions != 1 || m.PushNotifications == nil || *m.PushNotifications != 0 {
		t.Errorf("sessions %v, push registrations %v", m.Sessions, m.PushNotifications)
	}
	if m.Unavailable == nil || m.SyncGetBuffer != nil || m.ReadStream != nil || m.RopBytes != nil || m.Buffers != nil || m.UserDN != nil || m.ClientVersion != nil || m.ServerVersion != nil || len(m.Rops) != 0 {
		t.Errorf("figures that need plaintext: %+v", m)
	}
	sizes := map[string]bool{}
	for _, op := range c.Operations {
		if op.Requests > 0 && op.RequestBytes > 0 && op.ResponseBytes > 0 && op.ResponseTime.Count == op.Responses {
			sizes[*op.Name] = true
		}
	}
	if !sizes["EcDoConnectEx"] || !sizes["EcDoRpcExt2"] {
		t.Errorf("operations with sizes and times: %v", sizes)
	}
}

// TestEPMAccelerator has questions of every kind.
func TestEPMAccelerator(t *testing.T) {
	s := pcaptest.New(start)
	c := s.Dial("10.1.0.5:1001", "10.2.0.9:135")
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(0x1234, "135", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	call := uint32(1)
	ask := func(request, response []byte) {
		call++
		c.Client(pcaptest.Request(0, pcaptest.OpEptMap, request).Call(call).Bytes())
		if response != nil {
			c.Server(pcaptest.Response(0, response).Call(call).Bytes())
		}
	}
	unknown := pcaptest.Syntax{UUID: "00112233-4455-6677-8899-aabbccddeeff", Version: 1}
	mdb := pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Port: 59531}
	ask(pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4), pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0, mdb))
	ask(pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.NSPI, 4), pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0x16c9a0d6))
	ask(pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.RFR, 4), pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0))
	ask(pcaptest.EptMapRequest(pcaptest.NDR{}, unknown, 4), pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0, pcaptest.Endpoint{Interface: unknown, Port: 5000}))
	ask([]byte{1, 2, 3}, []byte{1, 2, 3})
	ask(pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4), nil) // no answer
	c.Close()
	s.Dial("10.1.0.5:1002", "10.2.0.9:135").Reset(pcaptest.Client) // says nothing
	checkFigures(t, `
		total_handled_connections: 2 exact
		total_requests: 6 exact
		total_requests_parsed: 5 exact
		total_responses: 5 exact
		total_responses_parsed: 4 exact
		parse_errors: 2 exact
		service_unavailable_responses: 2 exact
		requests_not_in_map: 1 exact`, analyseScene(t, s).Accelerators.EPM)
}
