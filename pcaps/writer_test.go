package pcaps

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriterBytes(t *testing.T) {
	var b bytes.Buffer
	w := NewPcapWriter(&b, LinkRaw, 0, false)
	if err := w.WritePacket(0, 1_000_002_999, []byte("abc"), 9); err != nil {
		t.Fatal(err)
	}
	want := join(u32(le, pcapMicro), u16(le, 2, 4), u32(le, 0, 0, 262144, 101), pcapRec(le, 1, 2, "abc", 9))
	if diff := cmp.Diff(want, b.Bytes()); diff != "" {
		t.Error(diff)
	}

	b.Reset()
	w = NewPcapngWriter(&b)
	w.AddInterface("edge", LinkEthernet, 96, 6)
	w.AddInterface("", LinkRaw, 0, 9)
	w.WritePacket(1, 1_000_000_007, []byte("abc"), 3)
	want = join(sectionBlock(le),
		ifaceBlock(le, 1, 96, option(le, 2, "edge"), option(le, 9, "\x06"), option(le, 0, "")),
		ifaceBlock(le, 101, 0, option(le, 9, "\x09"), option(le, 0, "")),
		enhanced(le, 1, 1_000_000_007, "abc", 3))
	if diff := cmp.Diff(want, b.Bytes()); diff != "" {
		t.Error(diff)
	}
}

func TestWriterRoundTrip(t *testing.T) {
	tests := []struct {
		name  string
		start func(*bytes.Buffer) *Writer
		unit  int64 // ns that a time may lose
	}{
		{"pcap µs", func(b *bytes.Buffer) *Writer { return NewPcapWriter(b, LinkEthernet, 65535, false) }, 1000},
		{"pcap ns", func(b *bytes.Buffer) *Writer { return NewPcapWriter(b, LinkEthernet, 65535, true) }, 1},
		{"pcapng µs", ngWriter(6), 1000},
		{"pcapng ns", ngWriter(9), 1},
		{"pcapng s", ngWriter(0), 1e9},
		{"pcapng 2^-30 s", ngWriter(0x80 + 30), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			w := tt.start(&b)
			w.AddInterface("eth0", LinkEthernet, 65535, 9)
			var want []got
			for i, at := range []int64{0, 1340954905_298858123, 4294967295_999999999} {
				data := strings.Repeat("x", i*3)
				if err := w.WritePacket(0, at, []byte(data), 0); err != nil {
					t.Fatal(err)
				}
				want = append(want, got{int64(i + 1), at, data, len(data), LinkEthernet, 0})
			}
			all, c := readBytes(t, b.Bytes())
			near := cmp.Comparer(func(a, b int64) bool { return a-b <= tt.unit && b-a <= tt.unit })
			if diff := cmp.Diff(want, all, near); diff != "" || c.Err != nil {
				t.Error(diff, c.Err)
			}
		})
	}
}

func ngWriter(tsresol uint8) func(*bytes.Buffer) *Writer {
	return func(b *bytes.Buffer) *Writer {
		w := NewPcapngWriter(b)
		w.AddInterface("eth0", LinkEthernet, 0, tsresol)
		return w
	}
}

func TestAppendPcapng(t *testing.T) {
	interfaces := []Interface{
		{Name: "eth1", Link: LinkEthernet, Snaplen: 96, Point: Edge},
		{Name: "wan0", Link: LinkRaw, Point: WAN},
		{Name: "wan1", Link: LinkRaw, Point: Core},
		{Name: "any", Link: LinkLinuxSLL2},
	}
	b := AppendPcapngHead(nil, interfaces)
	var want []Packet
	for n := range 8 {
		p := Packet{Data: []byte("abcdefgh"[:n]), WireLen: n + n%3, Interface: int32(n % 4)}
		p.Time, p.Packet = int64(n)*1_000_000_007, int64(n+1)
		p.Link, p.Point = interfaces[n%4].Link, interfaces[n%4].Point
		before := len(b)
		if b = AppendPcapngPacket(b, n%4, &p); len(b)-before != PcapngPacketLen(&p) {
			t.Errorf("PcapngPacketLen = %d of %d bytes", PcapngPacketLen(&p), len(b)-before)
		}
		p.Tap = Tap(n%4 + 1)
		want = append(want, p)
		interfaces[n%4].Packets++
		interfaces[n%4].BytesWire += int64(p.WireLen)
		interfaces[n%4].Tap = p.Tap
	}
	r := open(t, Options{}, file(t, "a.pcapng", b))
	var got []Packet
	for {
		var p Packet
		if err := r.Next(&p); err != nil {
			break
		}
		p.Data = append([]byte{}, p.Data...)
		got = append(got, p)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c := r.Captures()[0]
	interfaces[2].Name = "core" // what tells the point comes first
	if diff := cmp.Diff(interfaces, c.Interfaces); diff != "" || c.Err != nil {
		t.Error(diff, c.Err)
	}
}

type full struct{ left int }

var errFull = errors.New("disk full")

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriterKeepsItsFirstError(t *testing.T) {
	w := NewPcapWriter(&full{left: 24 + 16}, LinkEthernet, 0, false)
	if err := w.WritePacket(0, 0, nil, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.WritePacket(0, 0, nil, 0); err != errFull {
			t.Errorf("WritePacket = %v, want %v", err, errFull)
		}
	}
	if err := NewPcapngWriter(&full{left: 3}).Err(); err != errFull {
		t.Errorf("Err = %v, want %v", err, errFull)
	}
	if err := NewPcapngWriter(&full{left: 99}).WritePacket(0, 0, nil, 0); err == nil {
		t.Error("a packet of no interface: want an error")
	}
}
