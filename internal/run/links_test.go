package run

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// TestUndecoded counts what cannot be read, by capture and reason, and nothing
// that is no way for TCP.
func TestUndecoded(t *testing.T) {
	frame := func(kind uint16, rest ...byte) []byte {
		b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
		return append(binary.BigEndian.AppendUint16(b, kind), rest...)
	}
	s := pcaptest.New(start)
	s.Frame(0, frame(0x0806, 0, 1)).Frame(0, frame(0x88cc, 2)).Frame(0, frame(38, 0x42, 0x42, 3))
	s.Frame(0, frame(0x7777)).Frame(0, frame(0x88e5, 0x0c, 0, 0, 0, 0, 1)).Frame(0, frame(0x7777)).Frame(0, frame(0x0800, 0x45))
	user := pcaptest.New(start)
	user.Tap("", 147, 0)
	user.Frame(0, []byte("whatever"))
	for _, workers := range []int{1, 3} {
		doc := analyse(t, workers, s.WriteFile(t, "ethernet.pcap"), user.WriteFile(t, "user.pcap"))
		var got [][]document.Undecoded
		for i := range doc.Captures {
			got = append(got, doc.Captures[i].Undecoded)
			n := int64(0)
			for _, u := range doc.Captures[i].Undecoded {
				n += u.Packets
			}
			if n != doc.Captures[i].UndecodedPackets {
				t.Errorf("%d packets by reason, %d in all", n, doc.Captures[i].UndecodedPackets)
			}
		}
		want := [][]document.Undecoded{
			{{Reason: "Ethernet type 0x7777 is not read", Packets: 2, First: 4}, {Reason: "what follows the MACsec tag is encrypted", Packets: 1, First: 5}, {Reason: "the packet ends inside its IPv4 header", Packets: 1, First: 7}},
			{{Reason: "link type USER0 is not read", Packets: 1, First: 1}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestRedirections keeps service and bucket of each side, and each change.
func TestRedirections(t *testing.T) {
	by := func(heads ...[4]byte) pcaptest.Option {
		n := 0
		return pcaptest.Wrap(func(ip []byte) []byte {
			head := heads[min(n, len(heads)-1)]
			n++
			b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 47, 0, 0, 10, 1, 9, 1, 10, 1, 9, 2, 0, 0, 0x88, 0x3e}
			binary.BigEndian.PutUint16(b[16:], uint16(28+len(ip)))
			return append(append(b, head[:]...), ip...)
		})
	}
	from, to := [4]byte{0x01, 61, 0, 17}, [4]byte{0x03, 61, 9, 17}
	s := pcaptest.New(start)
	s.Dial("10.1.0.5:1001", mailServer, by(from, from, from, to)).Client([]byte("a")).Server([]byte("b")).Close()
	s.Dial("10.1.0.5:1002", mailServer).Client([]byte("a")).Close()
	path := s.WriteFile(t, "wccp.pcap")
	doc := analyse(t, 1, path)
	var got [][]document.Redirection
	for i := range doc.Connections {
		got = append(got, doc.Connections[i].WCCP)
	}
	first := document.Redirect{Service: 61, Dynamic: true, Bucket: 17}
	last := document.Redirect{Service: 61, Dynamic: true, Bucket: 9, Alternate: true}
	// Packets 1 and 3 of the client are of the first bucket, 2 of the server.
	want := [][]document.Redirection{{
		{From: "client", Packets: 6, First: first, Last: last, Changes: 1, Changed: &document.PacketRef{Packet: 4}},
		{From: "server", Packets: 5, First: first, Last: last, Changes: 1, Changed: &document.PacketRef{Packet: 5}},
	}, {}}
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Time" }, cmp.Ignore())
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Error(diff)
	}
}

// TestFragmentsOfTwoCaptures joins the halves of packets of each capture for
// itself, where both have the same names.
func TestFragmentsOfTwoCaptures(t *testing.T) {
	scene := func(fill byte) *pcaptest.Scene {
		s := pcaptest.New(start)
		payload := make([]byte, 400)
		for i := range payload {
			payload[i] = fill
		}
		s.Dial("10.1.0.5:1001", mailServer, pcaptest.FragmentIP(200)).Client(payload).Close()
		return s
	}
	a, b := scene(1).WriteFile(t, "a.pcap"), scene(2).WriteFile(t, "b.pcap")
	r, err := pcaps.Open([]string{a, b}, pcaps.Options{At: []pcaps.Point{pcaps.Edge, pcaps.Core}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	e := newEngine(Config{Workers: 1, AllConnections: true}, r.Captures())
	var p pcaps.Packet
	for r.Next(&p) == nil {
		e.Packet(&p)
	}
	doc := e.Close(r.Captures())
	if doc.Ledger.Delivered != 800 || doc.Limits.FragmentsDropped != 0 || doc.Totals.TCPConnections != 2 && doc.Totals.TCPConnections != 1 {
		t.Errorf("%+v, %+v, %+v", doc.Ledger, doc.Limits, doc.Totals)
	}
}
