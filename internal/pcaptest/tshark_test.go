package pcaptest

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mapiscope/pcaps"
)

var start = time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC)

const session = UUID("aa9d9abb-75f3-4e71-b9a5-1c0f6f7f4c33")

// outlook plays a whole session: endpoint mapper, bind, connect, one call,
// disconnect.
func outlook(s *Scene, hosts [2]string, edit func(PDU) PDU, big bool, options ...Option) {
	n := NDR{Big: big}
	dial := func(client, server string) *Conn {
		return s.Dial(hosts[0]+client, hosts[1]+server, options...)
	}
	e := dial(":1066", ":135")
	exchange := func(c *Conn, call uint32, pdus ...PDU) {
		for i, p := range pdus {
			b := edit(p.Call(call)).Bytes()
			if i == 0 {
				c.Client(b)
			} else {
				c.Sleep(2 * time.Millisecond).Server(b)
			}
		}
	}
	exchange(e, 1, Bind(0, Offer(0, EPM), Offer(1, EPM, Features)), BindAck(0x5001, "135", Accept(NDR32), NegotiateAck(3)))
	exchange(e, 2, Request(0, OpEptMap, EptMapRequest(n, EMSMDB, 4)),
		Response(0, EptMapResponse(n, 4, 0, Endpoint{EMSMDB, netip.MustParseAddr("10.2.0.9"), 59531})))
	e.Close()

	c := dial(":1067", ":59531")
	exchange(c, 1, Bind(0, Offer(0, EMSMDB, NDR32, NDR64)).Auth(10, 2, 7, NTLMNegotiate()),
		BindAck(0x12345678, "59531", Accept(NDR32)).Auth(10, 2, 7, NTLMChallenge("CORP", "EX01", [8]byte{1, 2, 3, 4, 5, 6, 7, 8})))
	exchange(c, 1, Auth3().Auth(10, 2, 7, NTLMAuthenticate("CORP", "alice", "WS01")))
	connect := ConnectEx{UserDN: "/o=Corp/ou=First/cn=Recipients/cn=alice", Client: Outlook2007}
	exchange(c, 2, Request(0, OpEcDoConnectEx, connect.Request(n)),
		Response(0, ConnectExResult{Handle: session, Index: 1, DNPrefix: "/o=Corp/", DisplayName: "Alice", Server: Version{8 << 8, 83 | 0x8000, 6}, Best: Outlook2007}.Response(n)))
	read := ROPs([]uint32{0x45}, []byte{0x2c, 0, 0, 0x00, 0x10})
	data := ROPs([]uint32{0x45}, append([]byte{0x2c, 0, 0, 0, 0, 0, 0x00, 0x10}, make([]byte, 4096)...))
	c.Client(edit(Request(0, OpEcDoRpcExt2, RpcExt2{Handle: session, In: Xored(read), MaxOut: 0x8007}.Request(n)).Call(3).Auth(10, 2, 7, make([]byte, 16))).Bytes())
	c.Server(edit(Response(0, RpcExt2Result{Handle: session, Out: Xored(data)}.Response(n)).Call(3)).Fragmented(2048))
	exchange(c, 4, AlterContext(0x12345678, Offer(1, AsyncEMSMDB)), AlterContextResp(0x12345678, Reject(1)))
	exchange(c, 5, Request(0, OpEcDummyRpc, nil).Object(session), Fault(0, 0x1c010003))
	exchange(c, 6, CoCancel(), Shutdown())
	exchange(c, 7, Orphaned())
	exchange(c, 8, Request(0, OpEcDoDisconnect, DisconnectRequest(n, session)), Response(0, DisconnectResponse(n, 0)))
	c.KeepAlive(Client).HalfClose(Client).Reset(Server)

	refused := dial(":1068", ":59531")
	exchange(refused, 1, Bind(0, Offer(0, EMSMDB)).Auth(9, 6, 0, SPNEGOInit(NTLMNegotiate(), OIDNTLM)), BindNak(8))
	refused.Close()
}

// TestTsharkAgrees lets tshark decode scenes of all kinds: nothing may be
// malformed, no checksum wrong, no segment odd.
func TestTsharkAgrees(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	if testing.Short() {
		t.Skip("tshark takes seconds to start")
	}
	same := func(p PDU) PDU { return p }
	v4, v6 := [2]string{"10.1.0.5", "10.2.0.9"}, [2]string{"[fd77:1::5]", "[fd77:2::9]"}
	plain := func(options ...Option) func(*Scene) {
		return func(s *Scene) { outlook(s, v4, same, false, options...) }
	}
	onLink := func(link pcaps.LinkType, hosts [2]string) func(*Scene) {
		return func(s *Scene) {
			s.Tap("edge-lan", link, 0)
			outlook(s, hosts, same, false)
		}
	}
	tests := []struct {
		name string
		play func(*Scene)
	}{
		{"ethernet", plain()},
		{"big endian", func(s *Scene) { outlook(s, v4, PDU.BigEndian, true) }},
		{"ipv6", func(s *Scene) { outlook(s, v6, same, false) }},
		{"ipv6 fragments", func(s *Scene) { outlook(s, v6, same, false, FragmentIP(256)) }},
		{"padded frames", plain(PadFrames())},
		{"vlan", plain(VLAN(100))},
		{"q in q", plain(VLAN(100, 200))},
		{"mpls", plain(MPLS(17, 18))},
		{"gre", plain(GRE("192.0.2.1", "192.0.2.2"))},
		{"wccp", plain(WCCP("192.0.2.1", "192.0.2.2"))},
		{"fragments", plain(FragmentIP(512))},
		{"small segments", plain(MSS(200))},
		{"options", plain(SynOptions(33, 12, 1, 8, 2, 0x4d, 9, 0, 0, 1, 0, 0), SynAckOptions(1, 1, 4, 2), SegmentOptions(1, 1, 1, 0))},
		{"raw", onLink(pcaps.LinkRaw, v6)},
		{"linux sll", onLink(pcaps.LinkLinuxSLL, v4)},
		{"linux sll2", onLink(pcaps.LinkLinuxSLL2, v6)},
		{"ppp", onLink(pcaps.LinkPPP, v6)},
		{"null", onLink(pcaps.LinkNull, v6)},
		{"loop", onLink(pcaps.LinkLoop, v4)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New(start)
			tt.play(s)
			path := s.WriteFile(t, "scene.pcapng")
			out := tshark(t, path, "-d", "tcp.port==59531,dcerpc", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
				"-Y", "_ws.malformed || ip.checksum.status==0 || tcp.checksum.status==0 || tcp.analysis.flags && !tcp.analysis.keep_alive && !tcp.analysis.keep_alive_ack || tcp.analysis.out_of_order")
			if out != "" {
				t.Errorf("tshark finds fault:\n%s", out)
			}
			got := strings.Fields(tshark(t, path, "-d", "tcp.port==59531,dcerpc", "-Y", "dcerpc", "-T", "fields", "-e", "dcerpc.pkt_type"))
			want := "11 12 0 2 11 12 16 0 2 0 2 2 2 14 15 0 3 18 17 19 0 2 11 13"
			if text := strings.ReplaceAll(strings.Join(got, " "), ",", " "); text != want {
				t.Errorf("PDU types\n%s, want\n%s", text, want)
			}
		})
	}
}

func tshark(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := exec.Command("tshark", append([]string{"-n", "-r", path}, args...)...).Output()
	if err != nil {
		t.Fatal(fmt.Errorf("tshark: %w", err))
	}
	return string(out)
}
