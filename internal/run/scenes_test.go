package run

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// sceneRow is one generated capture with everything that it must lead to, and
// nothing else: the exact codes of its findings and the verdict of every
// connection that has one.
type sceneRow struct {
	name     string
	build    func(s *pcaptest.Scene)
	waas     string
	at       pcaps.Point
	findings []string          // sorted; a code once for each finding
	optimize map[uint16]string // by client port: "optimized", "pass_through"; others are unknown
	groups   []string          // verdicts of the EMSMDB groups
	escaped  []uint16          // client ports
	detail   string            // a piece of the detail of the first finding
}

func runScenes(t *testing.T, rows []sceneRow) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
			row.build(s)
			cfg := Config{Paths: []string{s.WriteFile(t, "scene.pcap")}, Workers: 2, WAAS: row.waas}
			if row.at != pcaps.Unknown {
				cfg.At = []pcaps.Point{row.at}
			}
			doc, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			checkLedger(t, doc)
			checkScene(t, doc, row)
		})
	}
}

func checkScene(t *testing.T, doc *document.Document, row sceneRow) {
	t.Helper()
	if diff := cmp.Diff(row.findings, codesOf(doc)); diff != "" {
		t.Errorf("findings (-want +got):\n%s\n%s", diff, explain(doc))
	}
	if row.detail != "" && (len(doc.Findings) == 0 || !strings.Contains(doc.Findings[0].Detail, row.detail)) {
		t.Errorf("the first finding does not say %q:\n%s", row.detail, explain(doc))
	}
	verdicts := map[uint16]string{}
	var escaped []uint16
	for _, c := range doc.Connections {
		if v := c.Optimizer.Verdict; v != "unknown" {
			verdicts[c.Client.Port] = v
		}
		if c.Escaped != nil {
			escaped = append(escaped, c.Client.Port)
		}
	}
	if len(row.optimize)+len(verdicts) > 0 {
		if diff := cmp.Diff(row.optimize, verdicts); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s\n%s", diff, explain(doc))
		}
	}
	slices.Sort(escaped)
	if diff := cmp.Diff(row.escaped, slices.Compact(escaped)); diff != "" {
		t.Errorf("escaped (-want +got):\n%s", diff)
	}
	var groups []string
	for _, g := range doc.AssociationGroups {
		if g.Service == "mapi" {
			groups = append(groups, g.Verdict)
		}
	}
	if row.groups != nil {
		if diff := cmp.Diff(row.groups, groups); diff != "" {
			t.Errorf("groups (-want +got):\n%s\n%s", diff, explain(doc))
		}
	}
}

// codesOf returns the codes of a document's findings, sorted.
func codesOf(doc *document.Document) []string {
	var codes []string
	for _, f := range doc.Findings {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return codes
}

func explain(doc *document.Document) string {
	var b strings.Builder
	for _, f := range doc.Findings {
		fmt.Fprintf(&b, "%s: %s %v\n", f.Code, f.Detail, f.Packets)
	}
	for _, c := range doc.Connections {
		fmt.Fprintf(&b, "%d at %s %s > %s %s %s: %v\n", c.ID, c.At, endpoint(c.Client), endpoint(c.Server), c.Service, c.Optimizer.Verdict, c.Optimizer.Evidence)
	}
	for _, g := range doc.AssociationGroups {
		fmt.Fprintf(&b, "group %d 0x%x %s %v: %s, %s\n", g.ID, g.AssocGroupID, g.Service, g.Connections, g.Verdict, g.VerdictReason)
	}
	return b.String()
}

// The words of the scenes: one client, one Exchange server.
const (
	outlook  = "10.1.0.5"
	exchange = "10.2.0.9"
	mdbPort  = 59531
	mdb      = "10.2.0.9:59531"
	session  = pcaptest.UUID("5f3a1c00-7be1-4c11-9d8a-0a1b2c3d4e5f")
)

// opts joins options into one list.
func opts(lists ...[]pcaptest.Option) []pcaptest.Option { return slices.Concat(lists...) }

func rtt(d time.Duration) []pcaptest.Option { return []pcaptest.Option{pcaptest.RTT(d)} }

// onWAN is a path with 40 ms, seen in no special place.
func onWAN() []pcaptest.Option { return rtt(40 * time.Millisecond) }

// waasOption is an option 33 of the traced layout, from a device.
func waasOption(device byte) []byte {
	return []byte{0x21, 12, 0x01, 0x08, 0x00, 0x14, 0x5e, 0, 0, device, 0, 0}
}

// pair are the options of a connection between two devices.
func pair(edge, core byte) []pcaptest.Option {
	return []pcaptest.Option{pcaptest.SynOptions(waasOption(edge)...), pcaptest.SynAckOptions(waasOption(core)...)}
}

// jumped is pair with the sequence jump.
func jumped(edge, core byte) []pcaptest.Option {
	return append(pair(edge, core), pcaptest.Jump(1<<31))
}

func dial(s *pcaptest.Scene, port uint16, server string, options ...[]pcaptest.Option) *pcaptest.Conn {
	return s.Dial(fmt.Sprintf("%s:%d", outlook, port), server, opts(options...)...)
}

// noise is payload that is no DCE/RPC.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 99
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	b[0] = 0x78
	return b
}

// tunnel is an exchange that two devices compress.
func tunnel(c *pcaptest.Conn, rounds int) *pcaptest.Conn {
	for i := range rounds {
		c.Client(noise(300+i, byte(i))).Server(noise(700+i, byte(i+100)))
	}
	return c
}

// hidden is an EMSMDB connection between two devices: open, not closed yet.
func hidden(s *pcaptest.Scene, port uint16) *pcaptest.Conn {
	return tunnel(dial(s, port, mdb, onWAN(), jumped(1, 2)), 2)
}

// rpc is a DCE/RPC conversation.
type rpc struct {
	c    *pcaptest.Conn
	call uint32
	seal func(pcaptest.PDU) pcaptest.PDU
}

// bind opens one without authentication.
func bind(c *pcaptest.Conn, iface pcaptest.Syntax, asked, granted uint32) *rpc {
	c.Client(pcaptest.Bind(asked, pcaptest.Offer(0, iface)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(granted, "59531", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	return &rpc{c: c, call: 1, seal: func(p pcaptest.PDU) pcaptest.PDU { return p }}
}

// bindAuth opens one with three tokens.
func bindAuth(c *pcaptest.Conn, iface pcaptest.Syntax, kind, level byte, one, two, three []byte) *rpc {
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, iface)).Call(1).Auth(kind, level, 7, one).Bytes())
	c.Server(pcaptest.BindAck(0x2000, "59531", pcaptest.Accept(pcaptest.NDR32)).Call(1).Auth(kind, level, 7, two).Bytes())
	if three != nil {
		c.Client(pcaptest.Auth3().Call(1).Auth(kind, level, 7, three).Bytes())
	}
	return &rpc{c: c, call: 1, seal: func(p pcaptest.PDU) pcaptest.PDU { return p.Auth(kind, level, 7, noise(16, kind)) }}
}

func ntlm(c *pcaptest.Conn, iface pcaptest.Syntax, level byte) *rpc {
	return bindAuth(c, iface, 10, level, pcaptest.NTLMNegotiate(),
		pcaptest.NTLMChallenge("CORP", "MAIL1", [8]byte{1}), pcaptest.NTLMAuthenticate("CORP", "alice", "PC1"))
}

func kerberos(c *pcaptest.Conn, iface pcaptest.Syntax, level byte) *rpc {
	return bindAuth(c, iface, 16, level, pcaptest.APReq("CORP.TEST", "exchangeMDB/mail1"), pcaptest.APRep(), pcaptest.APRep())
}

// do calls an operation.
func (r *rpc) do(opnum uint16, request, response []byte) *rpc {
	r.call++
	r.c.Client(r.seal(pcaptest.Request(0, opnum, request).Call(r.call)).Bytes())
	r.c.Server(r.seal(pcaptest.Response(0, response).Call(r.call)).Bytes())
	return r
}

// slow calls an operation that the server thinks about.
func (r *rpc) slow(opnum uint16, think time.Duration, request, response []byte) *rpc {
	r.call++
	r.c.Client(r.seal(pcaptest.Request(0, opnum, request).Call(r.call)).Bytes()).Sleep(think)
	r.c.Server(r.seal(pcaptest.Response(0, response).Call(r.call)).Bytes())
	return r
}

// fault calls an operation that is refused.
func (r *rpc) fault(opnum uint16, status uint32) *rpc {
	r.call++
	r.c.Client(r.seal(pcaptest.Request(0, opnum, noise(40, 1)).Call(r.call)).Bytes())
	r.c.Server(pcaptest.Fault(0, status).Call(r.call).Bytes())
	return r
}

// connect is EcDoConnectEx of a client version.
func (r *rpc) connect(v pcaptest.Version) *rpc {
	return r.do(pcaptest.OpEcDoConnectEx,
		pcaptest.ConnectEx{UserDN: "/o=Corp/cn=alice", Client: v}.Request(pcaptest.NDR{}),
		pcaptest.ConnectExResult{Handle: session, Server: pcaptest.Version{8 << 8, 0x8000 | 240, 5}, Best: v}.Response(pcaptest.NDR{}))
}

func poll() (request, response []byte) {
	empty := pcaptest.Xored(pcaptest.ROPs(nil))
	return pcaptest.RpcExt2{Handle: session, Flags: 1, In: empty, MaxOut: 0x8000}.Request(pcaptest.NDR{}),
		pcaptest.RpcExt2Result{Handle: session, Flags: 1, Out: empty}.Response(pcaptest.NDR{})
}

// polls is n EcDoRpcExt2.
func (r *rpc) polls(n int) *rpc {
	for range n {
		request, response := poll()
		r.do(pcaptest.OpEcDoRpcExt2, request, response)
	}
	return r
}

// mail is a healthy EMSMDB connection up to its last call.
func mail(c *pcaptest.Conn, asked, granted uint32) *rpc {
	r := bind(c, pcaptest.EMSMDB, asked, granted)
	if asked == 0 {
		r.connect(pcaptest.Outlook2007)
	}
	return r.polls(2)
}

// ask is ept_map for an interface: the answer names a port, or is a status.
func (r *rpc) ask(iface pcaptest.Syntax, port uint16, status uint32) *rpc {
	var found []pcaptest.Endpoint
	if port != 0 {
		found = append(found, pcaptest.Endpoint{Interface: iface, Addr: netip.MustParseAddr(exchange), Port: port})
	}
	return r.do(pcaptest.OpEptMap, pcaptest.EptMapRequest(pcaptest.NDR{}, iface, 4), pcaptest.EptMapResponse(pcaptest.NDR{}, 4, status, found...))
}

// mapper is a whole conversation that announces EMSMDB.
func mapper(s *pcaptest.Scene, port uint16, options ...[]pcaptest.Option) {
	c := dial(s, port, exchange+":135", options...)
	bind(c, pcaptest.EPM, 0, 0x9c41).ask(pcaptest.EMSMDB, mdbPort, 0)
	c.Close()
}
