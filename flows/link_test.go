package flows

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// unhex reads hex with spaces.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func be16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func be32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
func le32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

const macs = "020000000002 020000000001 "

// in puts what hex says in front.
func in(front string, rest []byte) []byte { return slices.Concat(unhex(front), rest) }

// inIP puts an IPv4 header in front.
func inIP(proto byte, payload []byte) []byte {
	head := unhex("4500 0000 0001 4000 40 00 0000 c0000201 c0000202")
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(payload)))
	head[9] = proto
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(head[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(head[10:], ^uint16(sum+sum>>16))
	return slices.Concat(head, payload)
}

// inEthernet puts an Ethernet header for IPv4 in front.
func inEthernet(ip []byte) []byte { return in(macs+"0800", ip) }

// inUDP makes a frame with a datagram to a port.
func inUDP(port int, payload []byte) []byte {
	return inEthernet(inIP(17, slices.Concat(be16(50000), be16(port), be16(8+len(payload)), be16(0), payload)))
}

// inGRE makes a frame with a GRE header and what follows it.
func inGRE(head string, payload []byte) []byte { return inEthernet(inIP(47, in(head, payload))) }

// inLLC makes an 802.3 frame.
func inLLC(llc string, payload []byte) []byte {
	b := in(llc, payload)
	return slices.Concat(unhex(macs), be16(len(b)), b)
}

const (
	snap   = "aaaa03 000000 0800" // LLC, organisation, ethertype
	beacon = "8000 0000 ffffffffffff 020000000001 020000000001 0000"
)

// encapsulation is a way for an IPv4 packet to be captured.
type encapsulation struct {
	name  string
	link  pcaps.LinkType
	wrap  func(ip []byte) []byte
	alone string // why tshark does not read it
}

var encapsulations = []encapsulation{
	{"VLAN", 1, func(ip []byte) []byte { return in(macs+"8100 0064 0800", ip) }, ""},
	{"20 tags", 1, func(ip []byte) []byte {
		return in(macs+"88a8 0064"+strings.Repeat("8100 0065", 19)+"0800", ip)
	}, ""},
	{"old QinQ", 1, func(ip []byte) []byte { return in(macs+"9100 0064 8100 0065 0800", ip) }, ""},
	{"ISL", 1, func(ip []byte) []byte {
		return slices.Concat(unhex("01000c0000 00 020000000009"), be16(30+len(ip)), unhex("aaaa03 00000c 00c8 0000 0000"), inEthernet(ip), make([]byte, 4))
	}, ""},
	{"VN-Tag", 1, func(ip []byte) []byte { return in(macs+"8926 00010002 0800", ip) }, ""},
	{"E-TAG", 1, func(ip []byte) []byte { return in(macs+"893f 000100020000 0800", ip) }, ""},
	{"Cisco security group tag", 1, func(ip []byte) []byte { return in(macs+"8909 0101 0001 0010 0800", ip) }, ""},
	{"PBB", 1, func(ip []byte) []byte { return in(macs+"88e7 00000064", inEthernet(ip)) }, ""},
	{"MACsec in clear", 1, func(ip []byte) []byte {
		return append(in(macs+"88e5 00 00 00000001 0800", ip), make([]byte, 16)...)
	}, ""},
	{"MACsec in clear, with its channel", 1, func(ip []byte) []byte {
		return append(in(macs+"88e5 20 00 00000001 0200000000010001 0800", ip), make([]byte, 16)...)
	}, ""},
	{"LLC/SNAP", 1, func(ip []byte) []byte { return inLLC(snap, ip) }, ""},
	{"LLC/SNAP in a VLAN", 1, func(ip []byte) []byte {
		return slices.Concat(unhex(macs+"8100 0064"), be16(8+len(ip)), unhex(snap), ip)
	}, ""},
	{"LLC with IP", 1, func(ip []byte) []byte { return inLLC("060603", ip) }, ""},
	{"MPLS", 1, func(ip []byte) []byte { return in(macs+"8847 00010040 00011140", ip) }, ""},
	{"Ethernet over MPLS with control word", 1, func(ip []byte) []byte {
		return in(macs+"8847 00011140 00000000", in("00000c000002 00000c000001 0800", ip))
	}, ""},
	{"Ethernet over MPLS without control word", 1, func(ip []byte) []byte {
		return in(macs+"8847 00011140", in("00000c000002 00000c000001 0800", ip))
	}, ""},
	{"PPPoE", 1, func(ip []byte) []byte {
		return slices.Concat(unhex(macs+"8864 1100 0001"), be16(2+len(ip)), unhex("0021"), ip)
	}, ""},
	{"NSH", 1, func(ip []byte) []byte { return in(macs+"894f 0fc6 0101 000001ff"+strings.Repeat("00", 16), ip) }, ""},
	{"GRE", 1, func(ip []byte) []byte { return inGRE("0000 0800", ip) }, ""},
	{"GRE with all of its fields", 1, func(ip []byte) []byte { return inGRE("b000 0800 00000000 00000001 00000002", ip) }, ""},
	{"GRE with routing", 1, func(ip []byte) []byte { return inGRE("4000 0800 00000000 0800 0004 c0000205 00000000", ip) }, ""},
	{"NVGRE", 1, func(ip []byte) []byte { return inGRE("2000 6558 00001000", inEthernet(ip)) }, ""},
	{"PPTP", 1, func(ip []byte) []byte {
		return inGRE("3081 880b", slices.Concat(be16(4+len(ip)), be16(7), be32(1), be32(1), unhex("ff030021"), ip))
	}, ""},
	{"WCCP without redirect header", 1, func(ip []byte) []byte { return inGRE("0000 883e", ip) }, ""},
	{"WCCP", 1, func(ip []byte) []byte { return inGRE("0000 883e 013d0011", ip) }, ""},
	{"WCCP by the alternate bucket of a well known service", 1, func(ip []byte) []byte { return inGRE("0000 883e 02000b0a", ip) }, ""},
	{"WCCP with the flag of a header to be ignored, as of a router", 1, func(ip []byte) []byte { return inGRE("0000 883e 05590048", ip) }, ""},
	{"ERSPAN I", 1, func(ip []byte) []byte { return inGRE("0000 88be", inEthernet(ip)) }, ""},
	{"ERSPAN II", 1, func(ip []byte) []byte { return inGRE("1000 88be 00000001 10640001 00000002", inEthernet(ip)) }, ""},
	{"ERSPAN III", 1, func(ip []byte) []byte {
		return inGRE("1000 22eb 00000001 20640001 00000002 00000000", inEthernet(ip))
	}, ""},
	{"ERSPAN III with its subheader", 1, func(ip []byte) []byte {
		return inGRE("1000 22eb 00000001 20640001 00000002 00000001 0000000000000000", inEthernet(ip))
	}, ""},
	{"IP in IP", 1, func(ip []byte) []byte { return inEthernet(inIP(4, ip)) }, ""},
	{"EtherIP", 1, func(ip []byte) []byte { return inEthernet(inIP(97, in("3000", inEthernet(ip)))) }, ""},
	{"MPLS in IP", 1, func(ip []byte) []byte { return inEthernet(inIP(137, in("00011140", ip))) }, ""},
	{"AH", 1, func(ip []byte) []byte {
		return inEthernet(inIP(51, in("04 04 0000 00000001 00000001 000000000000000000000000", ip)))
	}, ""},
	{"VXLAN", 1, func(ip []byte) []byte { return inUDP(4789, in("08000000 00006400", inEthernet(ip))) }, ""},
	{"VXLAN on the port of Linux", 1, func(ip []byte) []byte { return inUDP(8472, in("08000000 00006400", inEthernet(ip))) }, "it knows another protocol on that port"},
	{"VXLAN-GPE with IP", 1, func(ip []byte) []byte { return inUDP(4790, in("0c000001 00006400", ip)) }, ""},
	{"VXLAN-GPE with Ethernet", 1, func(ip []byte) []byte { return inUDP(4790, in("0c000003 00006400", inEthernet(ip))) }, ""},
	{"GENEVE", 1, func(ip []byte) []byte { return inUDP(6081, in("0100 6558 00006400 00010001", inEthernet(ip))) }, ""},
	{"GENEVE with IP", 1, func(ip []byte) []byte { return inUDP(6081, in("0000 0800 00006400", ip)) }, ""},
	{"GTP-U", 1, func(ip []byte) []byte { return inUDP(2152, slices.Concat(unhex("30ff"), be16(len(ip)), be32(1), ip)) }, ""},
	{"GTP-U with an extension", 1, func(ip []byte) []byte {
		return inUDP(2152, slices.Concat(unhex("34ff"), be16(8+len(ip)), be32(1), unhex("0000 00 85 01 1009 00"), ip))
	}, ""},
	{"TZSP", 1, func(ip []byte) []byte { return inUDP(37008, in("01 00 0001 00 0a 01ff 01", inEthernet(ip))) }, ""},
	{"TZSP with 802.11", 1, func(ip []byte) []byte {
		return inUDP(37008, in("01 00 0012 01", in("0801 0000 020000000003 020000000001 020000000002 0000"+snap, ip)))
	}, ""},
	{"L2TP", 1, func(ip []byte) []byte {
		return inUDP(1701, slices.Concat(unhex("4002"), be16(12+len(ip)), unhex("0001 0001 ff030021"), ip))
	}, ""},
	{"MPLS in UDP", 1, func(ip []byte) []byte { return inUDP(6635, in("00011140", ip)) }, ""},
	{"BSD null", 0, func(ip []byte) []byte { return in("02000000", ip) }, ""},
	{"BSD null, big endian", 0, func(ip []byte) []byte { return in("00000002", ip) }, ""},
	{"loop", 108, func(ip []byte) []byte { return in("00000002", ip) }, ""},
	{"ENC", 109, func(ip []byte) []byte { return in("02000000 00000001 00000000", ip) }, ""},
	{"raw IP", 101, func(ip []byte) []byte { return ip }, ""},
	{"PPP without address", 9, func(ip []byte) []byte { return in("0021", ip) }, ""},
	{"PPP with one byte for the protocol", 9, func(ip []byte) []byte { return in("ff0321", ip) }, ""},
	{"PPP, multilink", 9, func(ip []byte) []byte { return in("ff03 003d c0000001 0021", ip) }, ""},
	{"PPP with direction", 204, func(ip []byte) []byte { return in("01 ff030021", ip) }, ""},
	{"PPPoE without Ethernet", 51, func(ip []byte) []byte {
		return slices.Concat(unhex("1100 0001"), be16(2+len(ip)), unhex("0021"), ip)
	}, ""},
	{"Cisco HDLC", 104, func(ip []byte) []byte { return in("0f00 0800", ip) }, ""},
	{"Cisco HDLC with direction", 205, func(ip []byte) []byte { return in("00 0f00 0800", ip) }, "it takes the direction for the address"},
	{"frame relay", 107, func(ip []byte) []byte { return in("1841 03cc", ip) }, ""},
	{"frame relay, SNAP", 107, func(ip []byte) []byte { return in("1841 0300 80 000000 0800", ip) }, ""},
	{"frame relay, bridged", 107, func(ip []byte) []byte { return in("1841 0300 80 0080c2 0007", inEthernet(ip)) }, ""},
	{"frame relay of Cisco", 107, func(ip []byte) []byte { return in("1841 0800", ip) }, ""},
	{"frame relay with direction", 206, func(ip []byte) []byte { return in("01 1841 03cc", ip) }, "it knows no such file"},
	{"ATM", 100, func(ip []byte) []byte { return in(snap, ip) }, ""},
	{"ATM, bridged", 100, func(ip []byte) []byte { return in("aaaa03 0080c2 0007 0000", inEthernet(ip)) }, ""},
	{"token ring", 6, func(ip []byte) []byte { return in("1040"+macs+snap, ip) }, ""},
	{"token ring with a route", 6, func(ip []byte) []byte {
		return in("1040 020000000002 820000000001 0630 0011 0020"+snap, ip)
	}, ""},
	{"FDDI", 10, func(ip []byte) []byte { return in("50"+macs+snap, ip) }, ""},
	{"802.11", 105, func(ip []byte) []byte {
		return in("0801 0000 020000000003 020000000001 020000000002 0000"+snap, ip)
	}, ""},
	{"802.11 with quality of service", 105, func(ip []byte) []byte {
		return in("8802 0000 020000000002 020000000003 020000000001 0000 0000"+snap, ip)
	}, ""},
	{"802.11 with four addresses", 105, func(ip []byte) []byte {
		return in("0803 0000 020000000003 020000000004 020000000002 0000 020000000001"+snap, ip)
	}, ""},
	{"802.11, one packet in an aggregate", 105, func(ip []byte) []byte {
		return slices.Concat(unhex("8801 0000 020000000003 020000000001 020000000002 0000 8000"+macs), be16(8+len(ip)), unhex(snap), ip)
	}, ""},
	{"radiotap", 127, func(ip []byte) []byte {
		return in("0000 0900 02000000 00 0801 0000 020000000003 020000000001 020000000002 0000"+snap, ip)
	}, ""},
	{"radiotap with padding, a time and two words of fields", 127, func(ip []byte) []byte {
		return in("0000 1900 03000080 00000000 00000000 0000000000000000 20 8801 0000 020000000003 020000000001 020000000002 0000 0000 0000"+snap, ip)
	}, ""},
	{"Prism", 119, func(ip []byte) []byte {
		return slices.Concat(unhex("44000000"), le32(144), make([]byte, 136), unhex("0801 0000 020000000003 020000000001 020000000002 0000"+snap), ip)
	}, ""},
	{"AVS", 163, func(ip []byte) []byte {
		return slices.Concat(unhex("80211001"), be32(64), make([]byte, 56), unhex("0801 0000 020000000003 020000000001 020000000002 0000"+snap), ip)
	}, ""},
	{"PPI", 192, func(ip []byte) []byte {
		return in("0000 0800 69000000 0801 0000 020000000003 020000000001 020000000002 0000"+snap, ip)
	}, ""},
	{"PPI with Ethernet", 192, func(ip []byte) []byte { return in("0000 0800 01000000", inEthernet(ip)) }, ""},
	{"PKTAP", 258, func(ip []byte) []byte {
		return slices.Concat(le32(108), le32(1), le32(1), unhex("656e3000"+strings.Repeat("00", 92)), inEthernet(ip))
	}, ""},
	{"PFLOG", 117, func(ip []byte) []byte { return slices.Concat(unhex("3d02"), make([]byte, 62), ip) }, ""},
	{"NFLOG", 239, func(ip []byte) []byte {
		return slices.Concat(unhex("02 00 0000 0800 0100 0800 0100 0500 0a00 00 000000"), binary.LittleEndian.AppendUint16(nil, uint16(4+len(ip))), unhex("0900"), ip)
	}, ""},
	{"NFLOG, big endian", 239, func(ip []byte) []byte {
		return slices.Concat(unhex("02 00 0000 0008 0001 0800 0100"), be16(4+len(ip)), unhex("0009"), ip)
	}, "it reads little endian files so"},
	{"SLL", 113, func(ip []byte) []byte { return in("0000 0001 0006 020000000001 0000 0800", ip) }, ""},
	{"SLL with a VLAN", 113, func(ip []byte) []byte { return in("0000 0001 0006 020000000001 0000 8100 0064 0800", ip) }, ""},
	{"SLL with LLC", 113, func(ip []byte) []byte { return in("0000 0001 0006 020000000001 0000 0004"+snap, ip) }, ""},
	{"SLL2", 276, func(ip []byte) []byte { return in("0800 0000 00000002 0001 00 06 020000000001 0000", ip) }, ""},
	{"VXLAN in GRE in MPLS in a VLAN", 1, func(ip []byte) []byte {
		return in(macs+"8100 0064 8847 00011140", inIP(47, in("0000 0800", inUDP(4789, in("08000000 00006400", inEthernet(ip)))[14:])))
	}, ""},
}

// wrapped returns the packets of a short connection in an encapsulation.
func wrapped(e encapsulation) *pcaptest.Scene {
	s := pcaptest.New(time.Unix(1000, 0))
	s.Tap("eth0", e.link, 0)
	s.Dial("10.1.0.5:1067", "10.2.0.9:135", pcaptest.Wrap(e.wrap)).Client([]byte("question")).Server([]byte("an answer")).Close()
	return s
}

// read returns the packets of a capture.
func read(t testing.TB, capture []byte) (all []pcaps.Packet) {
	t.Helper()
	r, err := pcaps.Open([]string{"-"}, pcaps.Options{Stdin: strings.NewReader(string(capture))})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p pcaps.Packet
	for r.Next(&p) == nil {
		q := p
		q.Data = slices.Clone(p.Data)
		all = append(all, q)
	}
	return all
}

// sent are the ends and payload lengths of the first packets of wrapped.
var sent = []string{"1067 135 0", "135 1067 0", "1067 135 0", "1067 135 8", "135 1067 0", "135 1067 9", "1067 135 0"}

// TestEncapsulations reads a connection in every encapsulation.
func TestEncapsulations(t *testing.T) {
	for _, e := range encapsulations {
		t.Run(e.name, func(t *testing.T) {
			d := NewDecoder(DefaultLimits())
			var got []string
			for _, p := range read(t, wrapped(e).Pcap()) {
				var f Frame
				if kind := d.Decode(&p, &f); kind != TCP {
					t.Fatalf("packet %d: kind %d, %v", p.Packet, kind, d.Reason())
				}
				got = append(got, fmt.Sprint(f.Src.Port(), f.Dst.Port(), f.Length))
			}
			if diff := cmp.Diff(sent, got[:len(sent)]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEncapsulationsTshark lets tshark read the same, as a second opinion on
// the encapsulations, which are written by hand.
func TestEncapsulationsTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("tshark is not installed")
	}
	var capture bytes.Buffer
	w := pcaps.NewPcapngWriter(&capture)
	for _, e := range encapsulations {
		i := w.AddInterface(e.name, e.link, 0, 9)
		if e.alone != "" {
			continue
		}
		for _, p := range read(t, wrapped(e).Pcap()) {
			if err := w.WritePacket(i, p.Time, p.Data, p.WireLen); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(path, capture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-n", "-r", path, "-T", "fields", "-e", "frame.interface_id", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "tcp.len").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := make([][]string, len(encapsulations))
	for line := range strings.Lines(string(out)) {
		number, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		i, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = append(got[i], strings.ReplaceAll(rest, "\t", " "))
	}
	for i, e := range encapsulations {
		if e.alone != "" {
			continue
		}
		if diff := cmp.Diff(sent, got[i][:min(len(got[i]), len(sent))]); diff != "" {
			t.Errorf("%s: %s", e.name, diff)
		}
	}
}

// TestEncapsulationsCut cuts the packet with data at every byte: it is then
// the same segment or nothing, with a reason, and never an outer datagram.
func TestEncapsulationsCut(t *testing.T) {
	for _, e := range encapsulations {
		t.Run(e.name, func(t *testing.T) {
			whole := read(t, wrapped(e).Pcap())[3]
			d := NewDecoder(DefaultLimits())
			for n := range whole.Data {
				p := whole
				p.Data = slices.Clone(whole.Data[:n])[:n:n]
				var f Frame
				switch kind := d.Decode(&p, &f); {
				case kind == Undecoded && d.Reason().String() == "":
					t.Fatalf("%d of %d bytes: no reason", n, len(whole.Data))
				case kind == UDP, kind == TCP && (f.Dst != netip.MustParseAddrPort("10.2.0.9:135") || f.Length != 8 || !f.Cut && n < len(whole.Data)-16):
					t.Fatalf("%d of %d bytes: kind %d, %+v", n, len(whole.Data), kind, f)
				}
			}
		})
	}
}

// TestReasons reads packets that hold no segment: protocols that are no way for
// one, and what cannot be read, with its reason.
func TestReasons(t *testing.T) {
	tcp := inIP(6, unhex("042b 0087 00000001 00000002 5010 ffff 0000 0000"))
	zero := make([]byte, 40)
	for _, tt := range []struct {
		name   string
		link   pcaps.LinkType
		packet []byte
		want   Kind
		reason string
	}{
		{"a link type of a user", 147, tcp, Undecoded, "link type USER0 is not read"},
		{"USB", 189, tcp, Undecoded, "link type LINKTYPE_189 is not read"},
		{"another link type behind PPI", 192, in("0000 0800 93000000", tcp), Undecoded, "link type USER0 is not read"},
		{"PPI inside PPI", 192, unhex(strings.Repeat("0000 0800 c0000000", 300)), Undecoded, "more than 256 headers stand in front of each other"},
		{"300 tags", 1, unhex(macs + strings.Repeat("8100 0064", 300) + "0800"), Undecoded, "more than 256 headers stand in front of each other"},
		{"300 tunnels", 1, slices.Concat(unhex(macs+"88e7"), unhex(strings.Repeat("00000064"+macs+"88e7", 300))), Undecoded, "more than 256 headers stand in front of each other"},
		{"ARP", 1, in(macs+"0806", zero), Other, ""},
		{"LLDP", 1, in(macs+"88cc", zero), Other, ""},
		{"STP", 1, inLLC("424203", zero), Other, ""},
		{"CDP", 1, inLLC("aaaa03 00000c 2000", zero), Other, ""},
		{"PVST+", 1, inLLC("aaaa03 00000c 010b", zero), Other, ""},
		{"IPX without LLC", 1, inLLC("ffff00", zero), Other, ""},
		{"LLC test", 1, inLLC("aaaaf3", zero), Other, ""},
		{"ICMP", 1, inEthernet(inIP(1, zero)), Other, ""},
		{"SCTP", 1, inEthernet(inIP(132, zero)), Other, ""},
		{"OSPF", 1, inEthernet(inIP(89, zero)), Other, ""},
		{"PPPoE discovery", 1, in(macs+"8863 1109", zero), Other, ""},
		{"LCP", 9, in("ff03c021", zero), Other, ""},
		{"SLARP", 104, in("8f00 8035", zero), Other, ""},
		{"LMI", 107, in("0001 0308", zero), Other, ""},
		{"a beacon", 105, in(beacon, zero), Other, ""},
		{"a frame without data", 105, in("4801 0000 020000000003 020000000001 020000000002 0000", nil), Other, ""},
		{"GRE keepalive", 1, inGRE("0000 0000", nil), Other, ""},
		{"NetBIOS datagram", 1, inUDP(138, zero), UDP, ""},
		{"no tunnel on its port", 1, inUDP(4789, zero), UDP, ""},
		{"an empty datagram on the port of a tunnel", 1, inUDP(4789, nil), UDP, ""},
		{"GTP-U echo", 1, inUDP(2152, unhex("3201 0004 00000000 00010000")), UDP, ""},
		{"L2TP control", 1, inUDP(1701, unhex("c802 000c 0001 0000 0000 0000")), UDP, ""},
		{"IKE behind NAT", 1, inUDP(4500, zero), UDP, ""},
		{"keepalive of ESP behind NAT", 1, inUDP(4500, unhex("ff")), UDP, ""},
		{"an unknown ethertype", 1, in(macs+"7777", tcp), Undecoded, "Ethernet type 0x7777 is not read"},
		{"an unknown ethertype in GRE", 1, inGRE("0000 6400", tcp), Undecoded, "Ethernet type 0x6400 is not read"},
		{"an unknown protocol", 1, inEthernet(inIP(200, zero)), Undecoded, "IP protocol 200 is not read"},
		{"an unknown LLC service", 1, inLLC("101003", zero), Undecoded, "LLC service 0x10 is not read"},
		{"an unknown organisation", 1, inLLC("aaaa03 abcdef 1234", zero), Undecoded, "SNAP type 0x1234 of organisation 0xabcdxx is not read"},
		{"compressed PPP", 9, in("ff0300fd", zero), Undecoded, "PPP protocol 0x00fd is not read"},
		{"a part of multilink", 9, in("ff03003d 80000001", zero), Undecoded, "what follows the PPP header is a part of a packet, or several packets"},
		{"ESP", 1, inEthernet(inIP(50, zero)), Undecoded, "what follows the ESP header is encrypted"},
		{"ESP behind NAT", 1, inUDP(4500, in("00000007", zero)), Undecoded, "what follows the ESP header is encrypted"},
		{"MACsec", 1, in(macs+"88e5 0c 00 00000001", zero), Undecoded, "what follows the MACsec tag is encrypted"},
		{"802.11, encrypted", 105, in("0841 0000 020000000003 020000000001 020000000002 0000", zero), Undecoded, "what follows the 802.11 header is encrypted"},
		{"802.11, part of a frame", 105, in("0805 0000 020000000003 020000000001 020000000002 0000", zero), Undecoded,
			"what follows the 802.11 header is a part of a packet, or several packets"},
		{"an aggregate of two", 105, in("8801 0000 020000000003 020000000001 020000000002 0000 8000"+macs+"0004 00000000 0000"+macs+"0004 00000000", nil), Undecoded,
			"what follows the 802.11 header is a part of a packet, or several packets"},
		{"nothing", 1, nil, Undecoded, "the packet ends inside its Ethernet header"},
		{"half an IPv4 header", 1, inEthernet(tcp[:10]), Undecoded, "the packet ends inside its IPv4 header"},
		{"half a TCP header", 1, inEthernet(tcp[:30]), Undecoded, "the packet ends inside its TCP header"},
		{"IP version 5", 1, inEthernet(append([]byte{0x55}, tcp[1:]...)), Undecoded, "the IP header contradicts itself"},
		{"an IPv4 header of 4 bytes", 1, inEthernet(append([]byte{0x41}, tcp[1:]...)), Undecoded, "the IPv4 header contradicts itself"},
		{"a TCP header of 4 bytes", 1, inEthernet(inIP(6, unhex("042b 0087 00000001 00000002 1010 ffff 0000 0000"))), Undecoded, "the TCP header contradicts itself"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDecoder(DefaultLimits())
			var f Frame
			got := d.Decode(&pcaps.Packet{Link: tt.link, Data: tt.packet, WireLen: len(tt.packet)}, &f)
			if got != tt.want || d.Reason().String() != tt.reason {
				t.Errorf("kind %d, %q, want %d, %q", got, d.Reason(), tt.want, tt.reason)
			}
			if n := testing.AllocsPerRun(10, func() {
				d.Decode(&pcaps.Packet{Link: tt.link, Data: tt.packet, WireLen: len(tt.packet)}, &f)
			}); n > 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// TestTally counts by reason, and past the bound together.
func TestTally(t *testing.T) {
	var tally Tally
	for i := range 100 {
		tally.Add(Reason{unreadType, uint32(i)}, int64(i+1))
	}
	tally.Add(Reason{unreadType, 5}, 101)
	rows := tally.Rows()
	want := []Unread{
		{Reason{otherReason, 0}, 36, 65},
		{Reason{unreadType, 5}, 2, 6},
		{Reason{unreadType, 0}, 1, 1},
	}
	if diff := cmp.Diff(want, rows[:3], cmp.AllowUnexported(Reason{})); diff != "" {
		t.Error(diff)
	}
	if len(rows) != 65 {
		t.Errorf("%d rows", len(rows))
	}
}

// TestRedirect keeps service and bucket of WCCP.
func TestRedirect(t *testing.T) {
	for _, tt := range []struct {
		name string
		head string
		want Redirect
	}{
		{"no header", "0000 883e", Redirect{}},
		{"dynamic service 61, bucket 17", "0000 883e 013d0011", Redirect{Present: true, Dynamic: true, Service: 61, Bucket: 17}},
		{"dynamic service 89, bucket 72, as of a router", "0000 883e 05590048", Redirect{Present: true, Dynamic: true, Service: 89, Bucket: 72}},
		{"web cache, by the alternate bucket", "0000 883e 02000b0a", Redirect{Present: true, Alternate: true, AltBucket: 11, Bucket: 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := inGRE(tt.head, inIP(6, unhex("042b 0087 00000001 00000002 5010 ffff 0000 0000")))
			var f Frame
			if kind := NewDecoder(DefaultLimits()).Decode(&pcaps.Packet{Link: 1, Data: b, WireLen: len(b)}, &f); kind != TCP || f.Redirect != tt.want {
				t.Errorf("kind %d, %+v", kind, f.Redirect)
			}
		})
	}
}

// TestFragmentsOfTwoPlaces sends the halves of two datagrams of one name from
// two captures and two interfaces: each place for itself.
func TestFragmentsOfTwoPlaces(t *testing.T) {
	payload := [2][]byte{slices.Repeat([]byte{1}, 16), slices.Repeat([]byte{2}, 16)}
	half := func(place, n int) []byte {
		udp := slices.Concat(be16(1000), be16(88), be16(24), be16(0), payload[place])
		b := inIP(17, udp[n*8:min(n*8+8+8*n, 24)])
		binary.BigEndian.PutUint16(b[6:], []uint16{0x2000, 1}[n])
		return inEthernet(b)
	}
	for _, tt := range []struct {
		name           string
		capture, iface int
	}{{"captures", 1, 0}, {"interfaces", 0, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDecoder(DefaultLimits())
			decode := func(place, n int) (Kind, Frame) {
				b := half(place, n)
				var f Frame
				kind := d.Decode(&pcaps.Packet{
					Mark: wire.Mark{Packet: 1, Capture: int32(place * tt.capture)}, Interface: int32(place * tt.iface), Link: 1, Data: b, WireLen: len(b),
				}, &f)
				return kind, f
			}
			for place := range 2 {
				if kind, _ := decode(place, 0); kind != Other {
					t.Fatalf("kind %d of a first half", kind)
				}
			}
			for place := range 2 {
				if kind, f := decode(place, 1); kind != UDP || string(f.Payload) != string(payload[place]) {
					t.Errorf("place %d: kind %d, payload %x", place, kind, f.Payload)
				}
			}
		})
	}
}

// TestFragmentsInFragments sends a datagram in fragments through a tunnel
// whose packets come in fragments: the buffers do not mix.
func TestFragmentsInFragments(t *testing.T) {
	udp := slices.Concat(be16(1000), be16(88), be16(8+400), be16(0), slices.Repeat([]byte("abcdefgh"), 50))
	split := func(ip []byte, size int) (all [][]byte) {
		for at := 20; at < len(ip); at += size {
			end := min(at+size, len(ip))
			part := slices.Concat(ip[:20], ip[at:end])
			binary.BigEndian.PutUint16(part[2:], uint16(len(part)))
			field := uint16((at - 20) / 8)
			if end < len(ip) {
				field |= 0x2000
			}
			binary.BigEndian.PutUint16(part[6:], field)
			all = append(all, part)
		}
		return all
	}
	d := NewDecoder(DefaultLimits())
	var kind Kind
	var f Frame
	for i, inner := range split(inIP(17, udp), 200) {
		outer := inIP(47, in("0000 0800", inner))
		binary.BigEndian.PutUint16(outer[4:], uint16(100+i))
		for _, b := range split(outer, 80) {
			kind = d.Decode(&pcaps.Packet{Mark: wire.Mark{Packet: 1}, Link: 101, Data: b, WireLen: len(b)}, &f)
		}
	}
	if kind != UDP || string(f.Payload) != string(udp[8:]) {
		t.Errorf("kind %d, payload %q", kind, f.Payload)
	}
}

// BenchmarkDecode takes a packet with 1,000 bytes of payload through the
// headers.
func BenchmarkDecode(b *testing.B) {
	ip := inIP(6, slices.Concat(unhex("042b 0087 00000001 00000002 5010 ffff 0000 0000"), make([]byte, 1000)))
	for _, tt := range []struct {
		name   string
		packet []byte
	}{
		{"ethernet", inEthernet(ip)},
		{"VLAN", in(macs+"8100 0064 0800", ip)},
		{"VXLAN", inUDP(4789, in("08000000 00006400", inEthernet(ip)))},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			d := NewDecoder(DefaultLimits())
			p := pcaps.Packet{Link: pcaps.LinkEthernet, Data: tt.packet, WireLen: len(tt.packet)}
			var f Frame
			for b.Loop() {
				if d.Decode(&p, &f) != TCP {
					b.Fatal("no segment")
				}
			}
		})
	}
}
