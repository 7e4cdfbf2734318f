package run

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

// corpusFolder returns a folder of the corpus of captures, if it is there.
func corpusFolder(folder string) (string, bool) {
	root := os.Getenv("MAPISCOPE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "captures")
	}
	dir := filepath.Join(root, folder)
	_, err := os.Stat(dir)
	return dir, err == nil
}

// corpus returns a folder of the corpus of captures and skips the test where
// the corpus is absent.
func corpus(tb testing.TB, folder string) string {
	tb.Helper()
	dir, ok := corpusFolder(folder)
	if !ok {
		tb.Skipf("no corpus of captures at %s; set MAPISCOPE_CORPUS", dir)
	}
	return dir
}

// analyse runs the whole path on files.
func analyse(tb testing.TB, workers int, paths ...string) *document.Document {
	tb.Helper()
	doc, err := Run(context.Background(), Config{Paths: paths, Workers: workers, AllConnections: true})
	if err != nil {
		tb.Fatalf("Run(%v): %v", paths, err)
	}
	return doc
}

// truth is one line of expected-tshark.jsonl.
type truth struct {
	File       string        `json:"file"`
	Packets    int64         `json:"packets"`
	Truncated  int64         `json:"truncated_packets"`
	TCPStreams int64         `json:"tcp_streams"`
	Streams    []truthStream `json:"streams"`
	Pipes      []any         `json:"named_pipe_streams"`
	HTTP       []truthHTTP   `json:"rpc_over_http"`
	EPM        []truthEPM    `json:"epm"`
}

type truthHTTP struct {
	Client string `json:"client"`
	Server string `json:"server"`
}

type truthStream struct {
	Client     string      `json:"client"`
	Server     string      `json:"server"`
	FirstFrame int64       `json:"first_frame"`
	Binds      []truthBind `json:"binds"`
	Acks       []truthAck  `json:"bind_acks"`
	Naks       []struct {
		CallID uint32 `json:"call_id"`
		Reason uint16 `json:"reject_reason"`
	} `json:"bind_naks"`
	Requests  []truthCalls `json:"requests"`
	Responses []truthCalls `json:"responses"`
	Faults    []struct {
		CallID uint32 `json:"call_id"`
		Status uint32 `json:"status"`
	} `json:"faults"`
	AuthSeen []struct {
		Type  uint8  `json:"type"`
		Level uint8  `json:"level"`
		CtxID uint32 `json:"ctx_id"`
	} `json:"auth_seen"`
	NTLM []struct {
		Message string  `json:"message"`
		Domain  *string `json:"domain"`
		User    *string `json:"user"`
		Host    *string `json:"host"`
		Target  *string `json:"target"`
	} `json:"ntlmssp"`
	Kerberos []struct {
		Message string  `json:"message"`
		Realm   *string `json:"realm"`
		SName   *string `json:"sname"`
	} `json:"kerberos"`
}

type truthBind struct {
	Type       string `json:"type"`
	AssocGroup uint32 `json:"assoc_group"`
	Contexts   []struct {
		ID      uint16 `json:"ctx_id"`
		UUID    string `json:"uuid"`
		Version string `json:"version"`
	} `json:"contexts"`
}

type truthAck struct {
	Type       string `json:"type"`
	AssocGroup uint32 `json:"assoc_group"`
	Results    []struct {
		Result int `json:"result"`
	} `json:"results"`
}

type truthCalls struct {
	Interface *string `json:"interface"`
	Opnum     *uint16 `json:"opnum"`
	Calls     int64   `json:"calls"`
}

type truthEPM struct {
	Transport string `json:"transport"`
	Opnum     int    `json:"opnum"`
	Towers    []struct {
		UUID    string `json:"uuid"`
		Version string `json:"version"`
		Port    uint16 `json:"tcp_port"`
	} `json:"towers"`
}

// facts is what both sides say about one connection, in one form.
type facts struct {
	Interfaces []string // context id, uuid, version of every bind and alter_context, in order
	Results    []string // of every bind_ack and alter_context_resp, in order
	Requested  string
	Granted    string
	Naks       []string
	Auth       []string // type/level
	Requests   map[string]int64
	Responses  int64
	Faults     []string
	NTLM       []string // domain\user@workstation
	SPN        []string
}

var resultNames = map[int]string{0: "acceptance", 1: "user_rejection", 2: "provider_rejection", 3: "negotiate_ack"}

func (s *truthStream) facts() facts {
	f := facts{Requests: map[string]int64{}}
	for i, b := range s.Binds {
		if i == 0 && b.Type == "bind" {
			f.Requested = fmt.Sprint(b.AssocGroup)
		}
		for _, c := range b.Contexts {
			f.Interfaces = append(f.Interfaces, fmt.Sprintf("%d %s %s", c.ID, c.UUID, c.Version))
		}
	}
	for _, a := range s.Acks {
		if f.Granted == "" && a.Type == "bind_ack" {
			f.Granted = fmt.Sprint(a.AssocGroup)
		}
		for _, r := range a.Results {
			f.Results = append(f.Results, resultNames[r.Result])
		}
	}
	for _, n := range s.Naks {
		f.Naks = append(f.Naks, fmt.Sprintf("%d/%d", n.CallID, n.Reason))
	}
	for _, a := range s.AuthSeen {
		f.Auth = append(f.Auth, fmt.Sprintf("%d/%d", a.Type, a.Level))
	}
	for _, r := range s.Requests {
		key := ""
		if r.Interface != nil {
			key = strings.Replace(*r.Interface, " v", " ", 1)
		}
		f.Requests[key+opnumKey(r.Opnum)] += r.Calls
	}
	for _, r := range s.Responses {
		f.Responses += r.Calls
	}
	for _, x := range s.Faults {
		f.Faults = append(f.Faults, fmt.Sprintf("%d/0x%x", x.CallID, x.Status))
	}
	for _, n := range s.NTLM {
		if n.Message == "authenticate" && n.User != nil {
			f.NTLM = append(f.NTLM, fmt.Sprintf(`%s\%s@%s`, str(n.Domain), str(n.User), str(n.Host)))
		}
	}
	for _, k := range s.Kerberos {
		if k.Message == "AP-REQ" && k.SName != nil {
			f.SPN = append(f.SPN, *k.SName)
		}
	}
	f.tidy()
	return f
}

func opnumKey(n *uint16) string {
	if n == nil {
		return " op?"
	}
	return fmt.Sprintf(" op%d", *n)
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// factsOf puts a connection of the document into the same form. In truth calls
// without a captured bind have no interface, so such names are taken out.
func factsOf(c *document.Connection) facts {
	f := facts{Requests: map[string]int64{}}
	versions := map[string]string{}
	for _, x := range c.Interfaces {
		f.Interfaces = append(f.Interfaces, fmt.Sprintf("%d %s %s", x.ContextID, x.UUID, x.Version))
		versions[x.UUID] = x.Version
		if x.Result != nil {
			f.Results = append(f.Results, *x.Result)
		}
	}
	if c.AssocGroup.Requested != nil {
		f.Requested = fmt.Sprint(*c.AssocGroup.Requested)
	}
	if c.AssocGroup.Granted != nil {
		f.Granted = fmt.Sprint(*c.AssocGroup.Granted)
	}
	for _, n := range c.BindNaks {
		f.Naks = append(f.Naks, fmt.Sprintf("%d/%d", n.CallID, n.Reason))
	}
	for _, a := range c.Auth {
		if a.Type == 0 {
			continue
		}
		f.Auth = append(f.Auth, fmt.Sprintf("%d/%d", a.Type, a.Level))
		// A NETLOGON token and an NTLM NEGOTIATE name a domain and a
		// workstation, an NTLM AUTHENTICATE also a target name: the truth has
		// the users of AUTHENTICATE messages and the names of AP-REQs alone.
		if a.User != nil {
			f.NTLM = append(f.NTLM, fmt.Sprintf(`%s\%s@%s`, str(a.Domain), str(a.User), str(a.Workstation)))
		}
		if a.SPN != nil && a.Realm != nil {
			f.SPN = append(f.SPN, *a.SPN)
		}
	}
	for _, o := range c.Operations {
		if o.Requests == 0 {
			continue
		}
		key := ""
		if o.InterfaceUUID != nil && versions[*o.InterfaceUUID] != "" {
			key = *o.InterfaceUUID + " " + versions[*o.InterfaceUUID]
		}
		f.Requests[key+opnumKey(o.Opnum)] += o.Requests
	}
	f.Responses = c.Calls.Responses
	for _, x := range c.Faults {
		f.Faults = append(f.Faults, fmt.Sprintf("%d/0x%x", x.CallID, x.Status))
	}
	f.tidy()
	return f
}

func (f *facts) tidy() {
	for _, s := range []*[]string{&f.Auth, &f.NTLM, &f.SPN} {
		slices.Sort(*s)
		*s = slices.Compact(*s)
	}
	slices.Sort(f.Faults)
	for _, s := range []*[]string{&f.Interfaces, &f.Results, &f.Auth, &f.NTLM, &f.SPN, &f.Faults, &f.Naks} {
		if len(*s) == 0 {
			*s = nil
		}
	}
}

// lenient lists where the ground truth is wrong or lenient, field by field.
// The key is the file, the connection ("" for the file itself) and the field.
// A connection of "*" stands for all of a file.
var lenient = map[[3]string]string{
	{"arkime-dcerpc_synthetic.pcap", "*", "in truth"}:                                                                         "DCE/RPC written straight to port 445, which tshark leaves to its NetBIOS dissector",
	{"ndpi-fuzz-2006-09-29-28586.pcap", "", "tcp_connections"}:                                                                "frames 27 and 80 have TCP headers longer than their packets: tshark gives each a stream of its own",
	{"pcapng-le-test018.pcapng", "", "packets"}:                                                                               "tshark counts custom blocks as packets",
	{"pcapng-le-test102.pcapng", "", "packets"}:                                                                               "tshark counts custom blocks as packets",
	{"pcapng-le-test202.pcapng", "", "packets"}:                                                                               "tshark counts custom blocks as packets",
	{"wireshark-TSRemoteGuardCreds.cap", "", "packets"}:                                                                       "tshark counts the two metadata frames of Network Monitor as packets",
	{"suricata-dcerpc-request-http-response-input.pcap", "*", "in truth"}:                                                     "a lone request on port 8080 that tshark does not take for DCE/RPC",
	{"suricata-zerologon-input.pcap", "172.16.0.10:50584 > 172.16.5.58:49668", "requests"}:                                    "tshark leaves the request of frame 419, captured only as a retransmission, undissected",
	{"wireshark-ShortMAPI.pcapng", "", "epm ports"}:                                                                           "tshark does not decode an ept_map whose bind was not captured",
	{"elcabezzonn-wmi_query.pcap.gz", "192.168.1.46:49217 > 192.168.1.195:49154", "spn"}:                                      "tshark does not decode the AP-REQ behind the NegoEx offer of this bind",
	{"suricata-truncate-applayer-test-01-input.pcap", "146.254.115.10:57833 > 146.254.168.47:60348", "spn"}:                   "tshark does not decode the AP-REQ behind the NegoEx offer of this bind",
	{"suricata-dce-gap-handling-input.pcap", "172.31.9.1:59374 > 172.31.9.211:49154", "results"}:                              "an alter_context was lost in a gap: what its answer says has no interface to stand with",
	{"suricata-bug-6191-input.pcap", "*", "granted"}:                                                                          "the truth looks at bind_acks alone; the bind was not captured, the answer to an alter_context repeats its group",
	{"wireshark-dof-small-device.pcapng", "*", "granted"}:                                                                     "the same",
	{"pcapattack-DCShadow_add_primarygroupid_512_to_std_account.pcapng", "172.16.66.1:52226 > 172.16.66.36:49667", "results"}: "the bind was not captured: what its bind_ack answers has no interface to stand with",
}

func endpoint(h document.Host) string {
	if strings.Contains(h.IP, ":") {
		return fmt.Sprintf("[%s]:%d", h.IP, h.Port)
	}
	return fmt.Sprintf("%s:%d", h.IP, h.Port)
}

func readTruth(t *testing.T, path string) []truth {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []truth
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var one truth
		if err := json.Unmarshal(sc.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

func TestPublicCapturesAgreeWithTruth(t *testing.T) {
	dir := corpus(t, "public")
	for _, want := range readTruth(t, filepath.Join(dir, "expected-tshark.jsonl")) {
		t.Run(want.File, func(t *testing.T) {
			doc := analyse(t, 2, filepath.Join(dir, want.File))
			compareFile(t, doc, want)
		})
	}
}

func compareFile(t *testing.T, doc *document.Document, want truth) {
	t.Helper()
	expect := func(conn, field string, got, want any) {
		t.Helper()
		diff := cmp.Diff(want, got)
		why, known := lenient[[3]string{filepath.Base(doc.Captures[0].Path), conn, field}]
		if !known {
			_, known = lenient[[3]string{filepath.Base(doc.Captures[0].Path), "*", field}]
		}
		switch {
		case diff != "" && !known:
			t.Errorf("%s %s (-truth +mapiscope):\n%s", conn, field, diff)
		case diff == "" && known:
			t.Errorf("%s %s agrees, yet the table says: %s", conn, field, why)
		}
	}
	expect("", "packets", doc.Captures[0].Packets, want.Packets)
	expect("", "truncated", doc.Captures[0].TruncatedPackets, want.Truncated)
	expect("", "tcp_connections", doc.Totals.TCPConnections, want.TCPStreams)
	expect("", "named_pipes", doc.Totals.NamedPipeConnections, int64(len(want.Pipes)))

	seen := map[int]bool{}
	for i := range want.Streams {
		s := &want.Streams[i]
		name := s.Client + " > " + s.Server
		c := findConnection(doc, s.Client, s.Server, s.FirstFrame)
		if c == nil {
			expect(name, "present", false, true)
			continue
		}
		seen[c.ID] = true
		got, truth := factsOf(c), s.facts()
		expect(name, "interfaces", got.Interfaces, truth.Interfaces)
		expect(name, "results", got.Results, truth.Results)
		expect(name, "requested", got.Requested, truth.Requested)
		expect(name, "granted", got.Granted, truth.Granted)
		expect(name, "naks", got.Naks, truth.Naks)
		expect(name, "auth", got.Auth, truth.Auth)
		expect(name, "requests", got.Requests, truth.Requests)
		expect(name, "responses", got.Responses, truth.Responses)
		expect(name, "faults", got.Faults, truth.Faults)
		expect(name, "ntlm", got.NTLM, truth.NTLM)
		expect(name, "spn", got.SPN, truth.SPN)
	}
	for i := range doc.Connections {
		c := &doc.Connections[i]
		if isRPC := c.Calls.Requests+c.Calls.Responses+c.Calls.Faults > 0 || len(c.Interfaces)+len(c.BindNaks) > 0; isRPC && !seen[c.ID] {
			expect(endpoint(c.Client)+" > "+endpoint(c.Server), "in truth", true, false)
		}
	}
	comparePorts(doc, want, expect)
	checkLedger(t, doc)
}

// comparePorts checks that the endpoint mapper answers gave the same ports.
func comparePorts(doc *document.Document, want truth, expect func(conn, field string, got, want any)) {
	ports, got := map[string]bool{}, map[string]bool{}
	for _, e := range want.EPM {
		for _, tower := range e.Towers {
			if e.Transport == "ncacn_ip_tcp" && tower.Port != 0 && tower.Port != 135 {
				ports[fmt.Sprintf("%s %s %d", tower.UUID, tower.Version, tower.Port)] = true
			}
		}
	}
	for _, e := range doc.Endpoints {
		if e.LearnedFrom != "bind" && e.Port != 135 {
			got[fmt.Sprintf("%s %s %d", e.InterfaceUUID, e.InterfaceVersion, e.Port)] = true
		}
	}
	expect("", "epm ports", got, ports)
}

func checkLedger(t *testing.T, doc *document.Document) {
	t.Helper()
	if l := doc.Ledger; l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped {
		t.Errorf("the ledger is out of balance: %+v", l)
	}
}

func findConnection(doc *document.Document, client, server string, frame int64) *document.Connection {
	var same *document.Connection
	for i := range doc.Connections {
		c := &doc.Connections[i]
		if endpoint(c.Client) != client || endpoint(c.Server) != server {
			continue
		}
		if c.FirstPacket.Packet == frame {
			return c
		}
		same = c
	}
	return same
}
