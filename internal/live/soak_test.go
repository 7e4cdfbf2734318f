package live

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/run"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// soak is a Source without a file behind it: connections that stay open and
// speak now and then, and beside them short ones without end, each with a
// client of its own.
type soak struct {
	capture    pcaps.Capture
	open       int // connections that stay open
	short      int // connections that come and go
	hello      [][]byte
	word       [][]byte
	visit      [][]byte
	phase, i   int
	queue      [][]byte // packets of the connection that speaks
	client     uint32
	port       uint16
	data       []byte
	now, step  int64 // ns
	packets    int64
	atPortions func(portion int) // called at each tenth of the short ones
}

// The offsets of addresses and ports in the frames of the scenes: Ethernet,
// IPv4 without options, TCP.
const (
	ipSource, ipDest     = 26, 30
	portSource, portDest = 34, 36
)

// newSoak writes the scenes that are played again and again.
func newSoak(t *testing.T, open, short int) *soak {
	t.Helper()
	// Closed connections wait two minutes for late packets: however few the
	// short ones are, they come for eight. A short one has some 15 packets.
	s := &soak{open: open, short: short, step: max(int64(8*time.Minute)/int64(15*short), int64(400*time.Microsecond))}
	scene := pcaptest.New(time.Unix(1_250_000_000, 0))
	c := scene.Dial("10.1.0.5:1066", "10.2.0.9:1025")
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(0x1234, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	s.hello = packetsOf(t, scene)
	c.Client(pcaptest.Request(0, 9, []byte("0123456789012345")).Call(2).Bytes())
	c.Server(pcaptest.Response(0, []byte("0123456789012345")).Call(2).Bytes())
	s.word = packetsOf(t, scene)[len(s.hello):]
	scene = pcaptest.New(time.Unix(1_250_000_000, 0))
	c = scene.Dial("10.1.0.5:1066", "10.2.0.9:135")
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(0x1234, "135", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	c.Client(pcaptest.Request(0, 3, []byte("0123")).Call(2).Bytes())
	c.Server(pcaptest.Response(0, []byte("0123")).Call(2).Bytes())
	c.Close()
	s.visit = packetsOf(t, scene)
	s.now = time.Unix(1_250_000_000, 0).UnixNano()
	s.capture = pcaps.Capture{Path: "soak", Format: "live", Link: pcaps.LinkEthernet, Interfaces: []pcaps.Interface{{Name: "soak", Link: pcaps.LinkEthernet}}}
	return s
}

func packetsOf(t *testing.T, scene *pcaptest.Scene) (out [][]byte) {
	t.Helper()
	r, err := pcaps.Open([]string{scene.WriteFile(t, "scene.pcap")}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p pcaps.Packet
	for r.Next(&p) == nil {
		out = append(out, append([]byte(nil), p.Data...))
	}
	return out
}

func (s *soak) Capture() pcaps.Capture { return s.capture }
func (s *soak) Stop()                  { s.phase = 2 }

// wordEvery is how many short connections come between two words of the open
// ones: each of these speaks every few minutes of the capture.
const wordEvery = 20

// next chooses who speaks.
func (s *soak) next() bool {
	switch {
	case s.phase == 0 && s.i < s.open:
		s.queue, s.client, s.port = s.hello, uint32(0x0a100000+s.i), 2000
	case s.phase == 0:
		s.phase, s.i = 1, -1
	case s.phase == 1 && s.i >= s.short, s.phase == 2:
		return false
	case s.i%wordEvery == 0:
		s.queue, s.client, s.port = s.word, uint32(0x0a100000+s.i/wordEvery%s.open), 2000
	default:
		s.queue, s.client, s.port = s.visit, 0x0b000000+uint32(s.i>>10), uint16(2000+s.i&1023)
	}
	s.i++
	if tenth := max(s.short/10, 1); s.phase == 1 && s.i > 0 && s.i%tenth == 0 {
		s.atPortions(s.i / tenth)
	}
	return true
}

func (s *soak) Next(p *pcaps.Packet) error {
	for len(s.queue) == 0 {
		if !s.next() {
			return io.EOF
		}
	}
	f := s.queue[0]
	s.queue = s.queue[1:]
	s.data = append(s.data[:0], f...)
	at, port := ipSource, portSource
	if binary.BigEndian.Uint32(f[ipSource:]) != 0x0a010005 {
		at, port = ipDest, portDest
	}
	binary.BigEndian.PutUint32(s.data[at:], s.client)
	binary.BigEndian.PutUint16(s.data[port:], s.port)
	s.now += s.step
	s.packets++
	s.capture.Packets++
	*p = pcaps.Packet{Mark: wire.Mark{Time: s.now, Packet: s.packets}, Data: s.data, WireLen: len(s.data), Link: pcaps.LinkEthernet}
	return nil
}

// TestSoak runs a job over many short connections beside others that stay open:
// what it holds does not grow. With MAPISCOPE_SOAK set these are a million and
// ten thousand, else fewer.
func TestSoak(t *testing.T) {
	open, short := 1000, 60_000
	switch {
	case os.Getenv("MAPISCOPE_SOAK") != "":
		open, short = 10_000, 1_000_000
	case testing.Short():
		open, short = 200, 15_000
	}
	src := newSoak(t, open, short)
	var heaps [11]uint64
	src.atPortions = func(portion int) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		heaps[portion] = m.HeapAlloc
	}
	const keep = 1000
	var ended, views int
	doc, err := Run(context.Background(), src, Config{
		Analysis: run.Config{Workers: 2, Events: true, Live: true, MaxMemory: 1 << 30},
		Interval: time.Minute, Keep: keep, Now: ticking(),
		Log: func(b *Batch) {
			ended += len(b.Connections)
			views++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d packets, %d connections, %d views; heap after each tenth, MiB:", src.packets, doc.Totals.TCPConnections, views)
	for i, h := range heaps[1:] {
		t.Logf("  %3d %%: %.1f", (i+1)*10, float64(h)/(1<<20))
	}
	words := (short + wordEvery - 1) / wordEvery
	if want := int64(open + short - words); doc.Totals.TCPConnections != want || doc.Totals.MAPIConnections != int64(open) {
		t.Errorf("%d connections, %d EMSMDB; want %d and %d", doc.Totals.TCPConnections, doc.Totals.MAPIConnections, want, open)
	}
	if n := int64(ended) + doc.Limits.ConnectionsUnlisted; n < doc.Totals.TCPConnections {
		t.Errorf("%d connections were logged and %d only counted, of %d", ended, doc.Limits.ConnectionsUnlisted, doc.Totals.TCPConnections)
	}
	if l := doc.Ledger; l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped || l.CapturedPayload == 0 {
		t.Errorf("the ledger is out of balance: %+v", l)
	}
	const slack = 8 << 20
	if before, after := heaps[5], heaps[10]; after > before+before/10+slack {
		t.Errorf("the heap grew from %d to %d bytes in the second half", before, after)
	}
}
