package report

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/run"
)

// The hosts and numbers of the generated captures.
const (
	exchange = "10.2.0.9"
	portMAPI = 59531
	session  = pcaptest.UUID("0d5e6a1c-7f0b-4e0e-9c7d-3b1f5c2a9e41")
)

var (
	morning = time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC)
	ndr     = pcaptest.NDR{}
)

// analyse turns captures into the document that a page is made of.
func analyse(t testing.TB, c run.Config) *document.Document {
	t.Helper()
	if c.Workers == 0 {
		c.Workers = 2
	}
	doc, err := run.Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	// The page names the files: it must not depend on where the test runs.
	for i := range doc.Captures {
		dir, name := filepath.Split(doc.Captures[i].Path)
		doc.Captures[i].Path = name
		for j := range doc.Findings {
			doc.Findings[j].Detail = strings.ReplaceAll(doc.Findings[j].Detail, dir, "")
		}
	}
	return doc
}

// scene is analyse for one generated capture.
func scene(t testing.TB, s *pcaptest.Scene, name string) *document.Document {
	t.Helper()
	return analyse(t, run.Config{Paths: []string{s.WriteFile(t, name)}, Events: true})
}

// lab is analyse for captures of the lab set, skipped where there is none.
func lab(t testing.TB, c run.Config, names ...string) *document.Document {
	t.Helper()
	root := os.Getenv("MAPISCOPE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "captures")
	}
	dir := filepath.Join(root, "lab")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no corpus of captures at %s; set MAPISCOPE_CORPUS", dir)
	}
	for _, name := range names {
		c.Paths = append(c.Paths, filepath.Join(dir, name))
	}
	c.Events = true
	return analyse(t, c)
}

// lookup asks the endpoint mapper of the server for EMSMDB.
func lookup(s *pcaptest.Scene, client, server string) {
	c := s.Dial(client, netip.AddrPortFrom(netip.MustParseAddr(server), 135).String(), pcaptest.RTT(2*time.Millisecond))
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(0x0001e100, "135", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	c.Client(pcaptest.Request(0, pcaptest.OpEptMap, pcaptest.EptMapRequest(ndr, pcaptest.EMSMDB, 4)).Call(2).Bytes())
	at := netip.MustParseAddr(server)
	if at.Is6() {
		at = netip.IPv4Unspecified()
	}
	c.Server(pcaptest.Response(0, pcaptest.EptMapResponse(ndr, 4, 0, pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Addr: at, Port: portMAPI})).Call(2).Bytes())
	c.Close()
}

// bound opens an EMSMDB connection; group 0 opens a new group, of id granted.
func bound(s *pcaptest.Scene, client, server string, group, granted uint32, options ...pcaptest.Option) *pcaptest.Conn {
	c := s.Dial(client, netip.AddrPortFrom(netip.MustParseAddr(server), portMAPI).String(), append(options, pcaptest.RTT(2*time.Millisecond))...)
	c.Client(pcaptest.Bind(group, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes())
	return c.Server(pcaptest.BindAck(granted, fmt.Sprint(portMAPI), pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
}

// connect opens a session for a user.
func connect(c *pcaptest.Conn, dn string) *pcaptest.Conn {
	c.Client(pcaptest.Request(0, pcaptest.OpEcDoConnectEx, pcaptest.ConnectEx{UserDN: dn, Client: pcaptest.Outlook2007}.Request(ndr)).Call(2).Bytes())
	return c.Server(pcaptest.Response(0, pcaptest.ConnectExResult{
		Handle: session, Index: 1, DNPrefix: "/o=Corp", DisplayName: "Alice", Server: pcaptest.Outlook2007, Best: pcaptest.Outlook2007,
	}.Response(ndr)).Call(2).Bytes())
}

// plainGroup is an Outlook with three connections in one group.
func plainGroup() *pcaptest.Scene {
	s := pcaptest.New(morning)
	lookup(s, "10.1.0.5:1065", exchange)
	c := connect(bound(s, "10.1.0.5:1066", exchange, 0, 0x0001e240), "/o=Corp/ou=HQ/cn=Recipients/cn=alice")
	bound(s, "10.1.0.5:1067", exchange, 0x0001e240, 0x0001e240).Close()
	bound(s, "10.1.0.5:1068", exchange, 0x0001e240, 0x0001e240).Close()
	c.Client(pcaptest.Request(0, pcaptest.OpEcDoDisconnect, pcaptest.DisconnectRequest(ndr, session)).Call(3).Bytes())
	c.Server(pcaptest.Response(0, pcaptest.DisconnectResponse(ndr, 0)).Call(3).Bytes())
	c.Close()
	return s
}

// redirected is an Outlook whose packets WCCP hands to devices, by buckets that
// change, among messages of WCCP and packets that cannot be read.
func redirected() *pcaptest.Scene {
	s := pcaptest.New(morning)
	message := func(kind byte) []byte { return []byte{0, 0, 0, kind, 2, 0, 0, 0} }
	s.UDP("10.1.9.2:2048", "10.1.9.1:2048", message(10)).UDP("10.1.9.1:2048", "10.1.9.2:2048", message(11)).UDP("10.1.9.2:2048", "10.1.9.1:2048", message(10))
	// Ethernet, IP of protocol GRE, the redirect header.
	by := func(buckets ...byte) pcaptest.Option {
		n := 0
		return pcaptest.Wrap(func(ip []byte) []byte {
			bucket := buckets[min(n, len(buckets)-1)]
			n++
			head := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 47, 0, 0, 10, 1, 9, 1, 10, 1, 9, 2, 0, 0, 0x88, 0x3e, 0x01, 61, 0, bucket}
			binary.BigEndian.PutUint16(head[16:], uint16(28+len(ip)))
			return append(head, ip...)
		})
	}
	bound(s, "10.1.0.5:1066", exchange, 0, 0x0001e240, by(17)).Close()
	bound(s, "10.1.0.5:1067", exchange, 0x0001e240, 0x0001e240, by(17, 17, 17, 20)).Close()
	s.Frame(0, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x06, 0, 1}) // ARP
	for range 2 {
		s.Frame(0, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x77, 0x77, 0, 1})
	}
	s.Frame(0, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xe5, 0x0c, 0, 0, 0, 0, 1})
	return s
}

// longIPv6 has the longest addresses that a table must take.
func longIPv6() *pcaptest.Scene {
	const client, server = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1111", "2001:db8:ffff:eeee:dddd:cccc:bbbb:2222"
	s := pcaptest.New(morning)
	lookup(s, "["+client+"]:51065", server)
	connect(bound(s, "["+client+"]:51066", server, 0, 0x0001e240), "/o=Corp/ou=HQ/cn=Recipients/cn=alice").Close()
	return s
}

// hostileText is what an attacker puts into names to act on a terminal: it
// clears the screen, sets the title, hides and turns text, ends lines.
const hostileText = "a\x1b[2J\x1b]0;owned\x07b\r\nc\td\u202egnp\u200b\u2028e\u009b31mé日本"

// hostile puts such text wherever a name goes over the wire.
func hostile() *pcaptest.Scene {
	const ntlm, connectLevel = 10, 2
	s := pcaptest.New(morning)
	lookup(s, "10.1.0.5:1065", exchange)
	c := s.Dial("10.1.0.5:1066", fmt.Sprintf("%s:%d", exchange, portMAPI), pcaptest.RTT(2*time.Millisecond))
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(ntlm, connectLevel, 1, pcaptest.NTLMNegotiate()).Bytes())
	c.Server(pcaptest.BindAck(7, fmt.Sprint(portMAPI), pcaptest.Accept(pcaptest.NDR32)).Call(1).
		Auth(ntlm, connectLevel, 1, pcaptest.NTLMChallenge(hostileText, "MAIL\x1b[31m1", [8]byte{1, 2, 3})).Bytes())
	c.Client(pcaptest.Auth3().Call(1).Auth(ntlm, connectLevel, 1, pcaptest.NTLMAuthenticate(hostileText, hostileText, hostileText)).Bytes())
	connect(c, "/o=Corp/cn=a\x1b[2Jb\r\nc\xff\xfe").Close()
	return s
}

// crowd is many clients with a group each, more than a page lists.
func crowd() *pcaptest.Scene {
	s := pcaptest.New(morning)
	lookup(s, "10.1.0.5:1065", exchange)
	for i := range 500 {
		connect(bound(s, fmt.Sprintf("10.1.%d.%d:%d", i/250, i%250+1, 2000+i), exchange, 0, uint32(0x1000+i)), "/o=Corp/cn=alice").Close()
	}
	return s
}

// foreign is a capture without DCE/RPC.
func foreign() *pcaptest.Scene {
	s := pcaptest.New(morning)
	s.Dial("10.1.0.5:2000", "10.3.0.1:80").Client([]byte("GET / HTTP/1.0\r\n\r\n")).Server([]byte("HTTP/1.0 200 OK\r\n\r\nhello")).Close()
	return s
}

// cutShort is a capture that ends in the middle of a packet.
func cutShort(t testing.TB) *document.Document {
	whole := plainGroup().Pcap()
	path := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(path, whole[:len(whole)*2/3], 0o666); err != nil {
		t.Fatal(err)
	}
	return analyse(t, run.Config{Paths: []string{path}, Events: true})
}

// gappy misses a segment and saw another twice.
func gappy() *pcaptest.Scene {
	s := pcaptest.New(morning)
	c := bound(s, "10.1.0.5:1066", exchange, 0, 7)
	c.Drop(1).Client(pcaptest.Request(0, pcaptest.OpEcDoConnectEx, make([]byte, 300)).Call(2).Bytes())
	c.Server(pcaptest.Fault(0, 0x1c010003).Call(2).Bytes())
	c.Client(pcaptest.Request(0, pcaptest.OpEcDoRpcExt2, make([]byte, 300)).Call(3).Bytes())
	c.Retransmit().Close()
	return s
}
