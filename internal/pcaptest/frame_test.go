package pcaptest

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/pcaps"
)

// unhex reads hex with comments: everything after # in a line.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameHex compares bytes with annotated hex.
func sameHex(t *testing.T, got []byte, want string) {
	t.Helper()
	if diff := cmp.Diff(hex.Dump(unhex(t, want)), hex.Dump(got)); diff != "" {
		t.Error(diff)
	}
}

const synIP = `
	45 00 00 2c  00 01 40 00  80 06 e6 ba  # 44 bytes, id 1, don't fragment, TTL 128, TCP, checksum
	0a 01 00 05  0a 02 00 09
	04 2a 00 87  00 0f 42 40  00 00 00 00  # ports 1066 and 135, seq 1000000, ack 0
	60 02 ff ff  3d 16 00 00  02 04 05 b4  # 6 words, SYN, window, checksum, MSS 1460`

func TestFrames(t *testing.T) {
	syn := func(link pcaps.LinkType, options ...Option) []byte {
		s := New(start)
		s.Tap("", link, 0)
		s.Dial("10.1.0.5:1066", "10.2.0.9:135", options...)
		return s.packets[0].data
	}
	const ethernet = "02 00 00 00 00 02  02 00 00 00 00 01 "
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"ethernet", syn(pcaps.LinkEthernet), ethernet + "08 00" + synIP},
		{"padded", syn(pcaps.LinkEthernet, PadFrames()), ethernet + "08 00" + synIP + "\n 00 00"},
		{"vlan", syn(pcaps.LinkEthernet, VLAN(100)), ethernet + "81 00 00 64 08 00" + synIP},
		{"q in q", syn(pcaps.LinkEthernet, VLAN(100, 4000)), ethernet + "88 a8 00 64 81 00 0f a0 08 00" + synIP},
		{"mpls", syn(pcaps.LinkEthernet, MPLS(17, 18)), ethernet + "88 47  00 01 10 40  00 01 21 40" + synIP},
		{"raw", syn(pcaps.LinkRaw), synIP},
		{"null", syn(pcaps.LinkNull), "02 00 00 00" + synIP},
		{"loop", syn(pcaps.LinkLoop), "00 00 00 02" + synIP},
		{"ppp", syn(pcaps.LinkPPP), "ff 03 00 21" + synIP},
		{"sll", syn(pcaps.LinkLinuxSLL), "00 00 00 01 00 06 02 00 00 00 00 01 00 00 08 00" + synIP},
		{"sll2", syn(pcaps.LinkLinuxSLL2), "08 00 00 00 00 00 00 02 00 01 00 06 02 00 00 00 00 01 00 00" + synIP},
		{"gre", syn(pcaps.LinkRaw, GRE("192.0.2.1", "192.0.2.2")), `
			45 00 00 44  00 00 40 00  ff 2f f7 86  c0 00 02 01  c0 00 02 02  # protocol 47
			00 00 08 00` + synIP},
		{"wccp", syn(pcaps.LinkRaw, WCCP("192.0.2.1", "192.0.2.2")), `
			45 00 00 48  00 00 40 00  ff 2f f7 82  c0 00 02 01  c0 00 02 02
			00 00 88 3e  00 00 00 00` + synIP},
		{"udp over IPv6", func() []byte {
			s := New(start)
			s.Tap("", pcaps.LinkRaw, 0)
			s.UDP("[fd77:1::a]:5000", "[fd77:2::a]:53", []byte("abc"))
			return s.packets[0].data
		}(), `
			60 00 00 00  00 0b 11 80  # 11 bytes, UDP, hop limit 128
			fd 77 00 01  00 00 00 00  00 00 00 00  00 00 00 0a
			fd 77 00 02  00 00 00 00  00 00 00 00  00 00 00 0a
			13 88 00 35  00 0b 2c b2  61 62 63`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { sameHex(t, tt.got, tt.want) })
	}
}

// TestChecksumOfTheBooks is the example that textbooks have.
func TestChecksumOfTheBooks(t *testing.T) {
	b := unhex(t, "45 00 00 73 00 00 40 00 40 11 00 00 c0 a8 00 01 c0 a8 00 c7")
	if got := checksum(0, b); got != 0xb861 {
		t.Errorf("checksum %#x, want 0xb861", got)
	}
	if got := checksum(0, []byte{1}); got != 0xfeff {
		t.Errorf("checksum of one byte %#x, want 0xfeff", got)
	}
}

func TestFragmentsJoin(t *testing.T) {
	for _, addr := range []string{"10.0.0.1:1", "[fd77::1]:1"} {
		payload := strings.Repeat("0123456", 50)
		var whole []byte
		var offsets, more []int
		s := New(start)
		s.Tap("", pcaps.LinkRaw, 0)
		s.UDP(addr, addr, []byte(payload), FragmentIP(128))
		for _, p := range s.packets {
			b := p.data
			if b[0]>>4 == 4 {
				field := int(be.Uint16(b[6:]))
				offsets, more = append(offsets, field&0x1fff*8), append(more, field>>13)
				whole = append(whole, b[20:]...)
			} else {
				field := int(be.Uint16(b[42:]))
				offsets, more = append(offsets, field&^7), append(more, field&1)
				whole = append(whole, b[48:]...)
			}
		}
		if got := string(whole[8:]); got != payload {
			t.Errorf("%s: fragments hold %q", addr, got)
		}
		if diff := cmp.Diff([]int{0, 128, 256}, offsets); diff != "" {
			t.Error(diff)
		}
		last := len(more) - 1
		if more[last] != 0 || more[0] == 0 || more[1] != more[0] {
			t.Errorf("%s: more fragments %v", addr, more)
		}
	}
}

// seg is a segment as tests compare it.
type seg struct {
	At       time.Duration // since the start
	From     string
	Seq, Ack int // relative to the initial numbers
	Flags    Flags
	Data     string
}

// segments reads back what a scene on raw IPv4 has.
func segments(s *Scene) []seg {
	names := map[byte]string{1: "client", 2: "server"}
	isn := map[string]uint32{"client": 1000000, "server": 2000000}
	var all []seg
	for _, p := range s.packets {
		b := p.data
		from := names[b[15]]
		to := names[b[19]]
		b = b[20:]
		g := seg{p.time.Sub(start), from, int(int32(be.Uint32(b[4:]) - isn[from])), int(int32(be.Uint32(b[8:]) - isn[to])), Flags(b[13]), string(b[b[12]>>4*4:])}
		if g.Flags&ACK == 0 {
			g.Ack = 0
		}
		all = append(all, g)
	}
	return all
}

func TestConn(t *testing.T) {
	const us, ms = time.Microsecond, time.Millisecond
	hello := []byte("hello")
	tests := []struct {
		name    string
		options []Option
		play    func(*Conn)
		want    []seg
	}{
		{"handshake and close", []Option{RTT(40 * ms)}, func(c *Conn) { c.Close() }, []seg{
			{0, "client", 0, 0, SYN, ""},
			{40*ms + 10*us, "server", 0, 1, SYN | ACK, ""},
			{40*ms + 20*us, "client", 1, 1, ACK, ""},
			{40*ms + 30*us, "client", 1, 1, FIN | ACK, ""},
			{80*ms + 40*us, "server", 1, 2, ACK, ""},
			{80*ms + 50*us, "server", 1, 2, FIN | ACK, ""},
			{80*ms + 60*us, "client", 2, 2, ACK, ""},
		}},
		{"segments and acknowledgements", []Option{NoHandshake(), MSS(2)}, func(c *Conn) { c.Client(hello, nil).Server([]byte("yo")) }, []seg{
			{0, "client", 1, 1, ACK, "he"},
			{10 * us, "client", 3, 1, ACK, "ll"},
			{20 * us, "server", 1, 5, ACK, ""},
			{30 * us, "client", 5, 1, PSH | ACK, "o"},
			{ms + 40*us, "server", 1, 6, ACK, ""},
			{ms + 50*us, "server", 1, 6, PSH | ACK, "yo"},
			{ms + 60*us, "client", 6, 3, ACK, ""},
		}},
		{"drop and retransmit", []Option{NoHandshake(), RTT(0)}, func(c *Conn) { c.Drop(1).Client(hello).Client([]byte("you")).Drop(1).Server(hello).Retransmit() }, []seg{
			{10 * us, "server", 1, 6, ACK, ""},
			{20 * us, "client", 6, 1, PSH | ACK, "you"},
			{30 * us, "server", 1, 9, ACK, ""},
			{50 * us, "client", 9, 6, ACK, ""},
			{60 * us, "server", 1, 9, PSH | ACK, "hello"},
		}},
		{"reorder", []Option{NoHandshake(), MSS(2), RTT(0), AckEvery(1)}, func(c *Conn) { c.Reorder().Client(hello) }, []seg{
			{0, "client", 3, 1, ACK, "ll"},
			{10 * us, "server", 1, 1, ACK, ""},
			{20 * us, "client", 1, 1, ACK, "he"},
			{30 * us, "server", 1, 5, ACK, ""},
			{40 * us, "client", 5, 1, PSH | ACK, "o"},
			{50 * us, "server", 1, 6, ACK, ""},
		}},
		{"overlap and keep-alive", []Option{NoHandshake(), RTT(0), AckEvery(0)}, func(c *Conn) { c.Client(hello).Overlap(Client, 2, []byte("!!")).KeepAlive(Client) }, []seg{
			{0, "client", 1, 1, PSH | ACK, "hello"},
			{10 * us, "client", 4, 1, PSH | ACK, "lo!!"},
			{20 * us, "server", 1, 8, ACK, ""},
			{30 * us, "client", 7, 1, ACK, "!"},
			{40 * us, "server", 1, 8, ACK, ""},
		}},
		{"segments by hand", []Option{NoHandshake()}, func(c *Conn) {
			c.Segment(Server, 3, hello, ACK).Segment(Server, -8, []byte("abc"), PSH|ACK).Segment(Server, 0, nil, FIN|ACK).At(5 * ms).Reset(Client)
		}, []seg{
			{0, "server", 4, 1, ACK, "hello"},
			{10 * us, "server", 1, 1, PSH | ACK, "abc"},
			{20 * us, "server", 9, 1, FIN | ACK, ""},
			{5 * ms, "client", 1, 1, RST | ACK, ""},
		}},
		{"one way", []Option{OneWay(Server)}, func(c *Conn) { c.Client(hello).Server(hello) }, []seg{
			{ms, "server", 0, 1, SYN | ACK, ""},
			{2*ms + 10*us, "server", 1, 6, ACK, ""},
			{2*ms + 20*us, "server", 1, 6, PSH | ACK, "hello"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := New(start)
			s.Tap("", pcaps.LinkRaw, 0)
			tt.play(s.Dial("10.0.0.1:1", "10.0.0.2:2", tt.options...))
			if diff := cmp.Diff(tt.want, segments(s)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSceneWritesInOrderOfTime(t *testing.T) {
	s := New(start)
	edge := s.Tap("edge-lan", pcaps.LinkRaw, 0)
	wan := s.Tap("wan", pcaps.LinkEthernet, 20*time.Millisecond)
	s.Snaplen(30).At(time.Second)
	s.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("late"), On(edge))
	s.At(0).UDP("10.0.0.1:1", "10.0.0.2:2", []byte("early"))
	if s.Len() != 3 || s.Now() != start.Add(step) {
		t.Errorf("%d packets, now %v", s.Len(), s.Now())
	}
	type row struct {
		At        time.Duration
		Interface int32
		Len, Wire int
	}
	read := func(path string) (rows []row, c pcaps.Capture) {
		r, err := pcaps.Open([]string{path}, pcaps.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for p := new(pcaps.Packet); r.Next(p) == nil; {
			rows = append(rows, row{time.Duration(p.Time - start.UnixNano()), p.Interface, len(p.Data), p.WireLen})
		}
		return rows, r.Captures()[0]
	}
	rows, c := read(s.WriteFile(t, "x.pcapng"))
	if diff := cmp.Diff([]row{{0, 0, 30, 33}, {20 * time.Millisecond, 1, 30, 47}, {time.Second, 0, 30, 32}}, rows); diff != "" {
		t.Error(diff)
	}
	if c.Interfaces[0].Name != "edge-lan" || c.Interfaces[1].Link != pcaps.LinkEthernet || c.Format != "pcapng" {
		t.Errorf("capture %+v", c)
	}
	rows, c = read(s.WriteFile(t, "x.pcap", wan))
	if diff := cmp.Diff([]row{{20 * time.Millisecond, 0, 30, 47}}, rows); diff != "" || c.Format != "pcap" || c.Link != pcaps.LinkEthernet || c.Snaplen != 30 {
		t.Errorf("%s; capture %+v", diff, c)
	}
}

func TestScriptsWithoutSensePanic(t *testing.T) {
	for name, play := range map[string]func(){
		"two link types in a pcap file": func() {
			s := New(start)
			s.Tap("", pcaps.LinkRaw, 0)
			s.Tap("", pcaps.LinkEthernet, 0)
			s.UDP("10.0.0.1:1", "10.0.0.2:2", nil).Pcap()
		},
		"bad address":              func() { New(start).Dial("10.0.0.1", "10.0.0.2:1") },
		"odd fragments":            func() { FragmentIP(7) },
		"overlap beyond the write": func() { New(start).Dial("10.0.0.1:1", "10.0.0.2:2").Overlap(Client, 1, nil) },
		"bad UUID":                 func() { new(NDR).UUID("nonsense") },
		"PDU over its length":      func() { Request(0, 0, make([]byte, 65536)).Bytes() },
		"unknown link type": func() {
			s := New(start)
			s.Tap("", pcaps.LinkFDDI, 0)
			s.UDP("10.0.0.1:1", "10.0.0.2:2", nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			play()
		})
	}
}
