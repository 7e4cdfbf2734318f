package assoc

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// segment is one TCP segment of a connection from a to b.
type segment struct {
	fromServer bool
	flags      uint8
	seq, ack   uint32
	payload    string
	mac        byte // of the segment of the path
	options    []byte
}

// linkSegments feeds segments to a Linker, 1 µs apart.
func linkSegments(t *testing.T, segments []segment) *Linker {
	t.Helper()
	l := NewLinker(DefaultConfig())
	client, server := netip.MustParseAddrPort("10.1.0.5:4001"), netip.MustParseAddrPort("10.2.0.9:59531")
	for i, s := range segments {
		f := flows.Frame{Src: client, Dst: server, Seq: s.seq, Ack: s.ack, Flags: s.flags, Payload: []byte(s.payload), Length: len(s.payload), Options: s.options, TTL: 64, ID: 7}
		if s.fromServer {
			f.Src, f.Dst = f.Dst, f.Src
		}
		f.SrcMAC[5] = s.mac
		f.Time, f.Packet = int64(i+1)*1000, int64(i+1)
		l.Frame(&f, flows.TCP)
	}
	return l
}

// twice is a connection that a router passes on: every packet with two MACs.
var twice = []segment{
	{flags: flows.SYN, seq: 100, mac: 1},
	{flags: flows.SYN, seq: 100, mac: 2},
	{fromServer: true, flags: flows.SYN | flows.ACK, seq: 500, ack: 101, mac: 3},
	{fromServer: true, flags: flows.SYN | flows.ACK, seq: 500, ack: 101, mac: 4},
	{flags: flows.ACK, seq: 101, ack: 501, mac: 1},
	{flags: flows.ACK, seq: 101, ack: 501, mac: 2},
	{flags: flows.ACK | flows.PSH, seq: 101, ack: 501, payload: "question", mac: 1},
	{flags: flows.ACK | flows.PSH, seq: 101, ack: 501, payload: "question", mac: 2},
	{fromServer: true, flags: flows.ACK | flows.PSH, seq: 501, ack: 109, payload: "answer", mac: 3},
	{fromServer: true, flags: flows.ACK | flows.PSH, seq: 501, ack: 109, payload: "answer", mac: 4},
}

// TestMergeFoldsCopies: the packets of both legs count, their bytes once, and
// doing it again gives the same, since a linker hands out open connections.
func TestMergeFoldsCopies(t *testing.T) {
	type facts struct {
		Conns, TCP      int64
		Packets, Copies [2]int64
		Bytes           [2]int64
		Retransmitted   int64
		Ledger          flows.Ledger
	}
	r := linkSegments(t, twice).Close()
	want := facts{
		Conns: 1, TCP: 1, Packets: [2]int64{6, 4}, Copies: [2]int64{3, 2}, Bytes: [2]int64{8, 6},
		Ledger: flows.Ledger{CapturedPayload: 28, Delivered: 14, Duplicate: 14},
	}
	for range 3 {
		all := Merge([]*Result{r})
		got := facts{Conns: int64(len(all.Conns)), TCP: all.TCPConnections, Ledger: all.Ledger}
		for _, c := range all.Conns {
			for side := range c.Flow.Sides {
				s := &c.Flow.Sides[side]
				got.Packets[side], got.Copies[side], got.Bytes[side] = s.Packets, s.Copies, s.Bytes
				got.Retransmitted += s.Retransmitted
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

// TestMergeKeepsDifferentLegs: what lies behind the sequence jump is another
// TCP connection, and tells where both were captured.
func TestMergeKeepsDifferentLegs(t *testing.T) {
	const jump = 1 << 31
	waas := []byte{OptionWAAS, 4, 1, 2}
	all := Merge([]*Result{linkSegments(t, []segment{
		{flags: flows.SYN, seq: 100, mac: 1},
		{flags: flows.SYN, seq: 100, mac: 2, options: waas},
		{fromServer: true, flags: flows.SYN | flows.ACK, seq: 500, ack: 101, mac: 3, options: waas},
		{fromServer: true, flags: flows.SYN | flows.ACK, seq: 500, ack: 101, mac: 4},
		{flags: flows.ACK, seq: 101, ack: 501, mac: 1},
		{flags: flows.ACK, seq: 101 + jump, ack: 501 + jump, mac: 2},
		{flags: flows.ACK | flows.PSH, seq: 101, ack: 501, payload: "question", mac: 1},
		{flags: flows.ACK | flows.PSH, seq: 101 + jump, ack: 501 + jump, payload: "qstn", mac: 2},
		{fromServer: true, flags: flows.ACK | flows.PSH, seq: 501 + jump, ack: 105 + jump, payload: "ans", mac: 3},
		{fromServer: true, flags: flows.ACK | flows.PSH, seq: 501, ack: 109, payload: "answer", mac: 4},
	}).Close()})
	type leg struct {
		Where  pcaps.Point
		Client int64
		Server int64
		Mark   wire.Mark
	}
	var got []leg
	for _, c := range all.Conns {
		got = append(got, leg{c.Where(), c.Flow.Sides[0].Bytes, c.Flow.Sides[1].Bytes, c.Flow.First})
	}
	want := []leg{
		{pcaps.Edge, 8, 6, wire.Mark{Time: 1000, Packet: 1}},
		{pcaps.WAN, 4, 3, wire.Mark{Time: 2000, Packet: 2}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if l := all.Ledger; l.Delivered != l.CapturedPayload || l.Delivered != 21 {
		t.Errorf("ledger %+v: every byte of both legs counts once", l)
	}
}
