package run

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// A flood is traffic that nobody needs, sent to fill a table. Its packets are
// made as they are analysed, by one shard that may use as little memory as a
// job can have. In all of them a neighbour in the same shard goes on with its
// EMSMDB session: what the document says of it must be the same as without the
// flood.
type flood struct {
	name string
	feed func(s *storm)
	// hit is the counter of the bound that is hit, nil where none has to be.
	hit func(l *document.Limits) int64
	// check, when set, looks at the document.
	check  func(t *testing.T, doc *document.Document)
	every  int  // packets of the flood between two of the neighbour; 0: 500
	events bool // events are kept for the log
}

// floodMemory is Config.MaxMemory in a flood; floodHeap is how much the live
// heap may grow: the budget of the one shard, 10 MiB, with what the estimates
// may miss, and 4 MiB for batches and pools.
const (
	floodMemory = MinMemory
	floodHeap   = 16 << 20
)

// scaled returns how often a flood does something: with -short or under the race
// detector, in an ordinary run, or when MAPISCOPE_FLOOD is "full".
func scaled(short, n, full int) int {
	switch {
	case os.Getenv("MAPISCOPE_FLOOD") == "full":
		return full
	case testing.Short() || slow:
		return short
	}
	return n
}

// surge runs floods, one after the other.
func surge(t *testing.T, floods []flood) {
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			before := liveHeap()
			s := newStorm(t, f.every, f.events)
			s.near.speak(21)
			f.feed(s)
			s.near.speak(21)
			var heap, account int64
			s.e.dispatcher.pause(func() {
				heap = liveHeap() - before - s.near.saved
				account = s.e.dispatcher.shards[0].linker.Memory()
			})
			began := time.Now()
			doc := s.e.Close([]pcaps.Capture{{}})
			built := liveHeap() - before - s.near.saved
			t.Logf("%d packets: heap %.1f MiB, by the account %.1f MiB; with the document %.1f MiB, made in %v; limits %+v",
				s.packets, mib(heap), mib(account), mib(built), time.Since(began).Round(time.Millisecond), doc.Limits)
			if heap > account*3/2+4<<20 {
				t.Errorf("the live heap grew by %.1f MiB, and the account says %.1f", mib(heap), mib(account))
			}
			if heap > floodHeap {
				t.Errorf("the live heap grew by %.1f MiB, more than %.1f", mib(heap), mib(floodHeap))
			}
			if l := doc.Ledger; l.CapturedPayload != s.payload || l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped {
				t.Errorf("%d bytes were sent, the ledger says %+v", s.payload, l)
			}
			if f.hit != nil && f.hit(&doc.Limits) == 0 {
				t.Error("the bound was not hit")
			}
			if f.check != nil {
				f.check(t, doc)
			}
			s.near.compare(doc)
		})
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// liveHeap returns how much of the heap is in use.
func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools held is gone after the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// storm feeds an Engine.
type storm struct {
	t       *testing.T
	e       *Engine
	near    *neighbour
	every   int
	now     int64
	packets int64
	payload int64 // of TCP
	buf     []byte
	lane    byte // last byte of the link addresses
}

func newStorm(t *testing.T, every int, events bool) *storm {
	if every == 0 {
		every = 500
	}
	s := &storm{t: t, every: every, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixNano()}
	s.e = NewEngine(Config{Workers: 1, MaxMemory: floodMemory, Events: events})
	s.near = newNeighbour(s)
	return s
}

// sleep lets time pass.
func (s *storm) sleep(d time.Duration) { s.now += int64(d) }

// frame sends what is in buf.
func (s *storm) frame() {
	s.packets++
	s.now += int64(time.Microsecond)
	p := pcaps.Packet{Mark: wire.Mark{Time: s.now, Packet: s.packets}, Data: s.buf, WireLen: len(s.buf), Link: pcaps.LinkEthernet}
	s.e.Packet(&p)
	if s.near.speaks {
		return
	}
	// A call of the neighbour, once begun, goes on with every packet.
	if s.packets%int64(s.every) == 0 || s.near.step%3 != 0 {
		s.near.speak(1)
	}
}

// ip begins an Ethernet frame with an IPv4 header.
func (s *storm) ip(src, dst uint32, proto byte, id, frag uint16, length int) {
	be := binary.BigEndian
	b := append(s.buf[:0], 2, 0, 0, 0, 0, s.lane, 2, 0, 0, 0, 1, s.lane, 8, 0, 0x45, 0)
	b = be.AppendUint16(b, uint16(20+length))
	b = be.AppendUint16(b, id)
	b = be.AppendUint16(b, frag)
	b = append(b, 64, proto, 0, 0)
	b = be.AppendUint32(b, src)
	s.buf = be.AppendUint32(b, dst)
}

// TCP flags.
const (
	fin = 0x01
	syn = 0x02
	ack = 0x10
)

// end is one end of a connection.
type end struct {
	host uint32
	port uint16
}

// tcp sends a segment.
func (s *storm) tcp(src, dst end, seq, acked uint32, flags byte, payload []byte) {
	be := binary.BigEndian
	s.ip(src.host, dst.host, 6, uint16(s.packets), 0, 20+len(payload))
	b := be.AppendUint16(s.buf, src.port)
	b = be.AppendUint16(b, dst.port)
	b = be.AppendUint32(b, seq)
	b = be.AppendUint32(b, acked)
	b = append(b, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0)
	s.buf = append(b, payload...)
	s.payload += int64(len(payload))
	s.frame()
}

// udp sends a datagram.
func (s *storm) udp(src, dst end, payload []byte) {
	be := binary.BigEndian
	s.ip(src.host, dst.host, 17, uint16(s.packets), 0, 8+len(payload))
	b := be.AppendUint16(s.buf, src.port)
	b = be.AppendUint16(b, dst.port)
	b = be.AppendUint16(b, uint16(8+len(payload)))
	s.buf = append(append(b, 0, 0), payload...)
	s.frame()
}

// talk is a connection of the flood.
type talk struct {
	s    *storm
	ends [2]end
	next [2]uint32
}

// dial opens the nth connection of a flood: clients in 10.0.0.0/8, a server.
func (s *storm) dial(n int, server end) *talk {
	return s.dialAs(end{0x0a000000 + uint32(n>>5), uint16(1024 + n&31)}, server, uint32(n)*7919)
}

// dialAs opens a connection whose client numbers its bytes from seq on.
func (s *storm) dialAs(client, server end, seq uint32) *talk {
	c := &talk{s: s, ends: [2]end{client, server}, next: [2]uint32{seq, 77}}
	s.tcp(c.ends[0], c.ends[1], c.next[0]-1, 0, syn, nil)
	s.tcp(c.ends[1], c.ends[0], c.next[1]-1, c.next[0], syn|ack, nil)
	s.tcp(c.ends[0], c.ends[1], c.next[0], c.next[1], ack, nil)
	return c
}

// send sends data of one side, 0 the client, in segments.
func (c *talk) send(side int, data ...[]byte) *talk {
	for _, b := range data {
		for len(b) > 0 {
			n := min(len(b), 32<<10)
			c.s.tcp(c.ends[side], c.ends[1-side], c.next[side], c.next[1-side], ack, b[:n])
			c.next[side] += uint32(n)
			b = b[n:]
		}
	}
	return c
}

// lose passes over bytes that nobody captured.
func (c *talk) lose(side int, n uint32) *talk { c.next[side] += n; return c }

// bind opens DCE/RPC.
func (c *talk) bind() *talk { return c.send(0, theBind).send(1, theBindAck) }

// close ends the connection on the wire.
func (c *talk) close() {
	for side := range c.ends {
		c.s.tcp(c.ends[side], c.ends[1-side], c.next[side], c.next[1-side], fin|ack, nil)
	}
}

// PDUs that every connection has.
var (
	theBind    = pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes()
	theBindAck = pcaptest.BindAck(0x77, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes()
)

// neighbour is a client with an EMSMDB session: it reads a table again and
// again, in answers of several segments.
type neighbour struct {
	s      *storm
	talk   *talk
	sent   []pcaps.Packet
	saved  int64 // bytes that sent takes
	step   int
	speaks bool
}

const nearSession = pcaptest.UUID("11111111-2222-3333-4444-555555555555")

func newNeighbour(s *storm) *neighbour {
	return &neighbour{s: s, talk: &talk{s: s, ends: [2]end{{0xc0a80101, 1066}, {0xc0a80201, 1025}}, next: [2]uint32{1001, 5001}}}
}

// speak sends the next n packets.
func (n *neighbour) speak(packets int) {
	for range packets {
		n.packet()
	}
}

// packet sends one packet and keeps it for compare.
func (n *neighbour) packet() {
	s := n.s
	flood, lane := s.buf, s.lane
	s.buf, s.lane = make([]byte, 0, 512), 0
	n.speaks = true
	n.say()
	n.speaks = false
	data := append([]byte(nil), s.buf...)
	n.sent = append(n.sent, pcaps.Packet{
		Mark: wire.Mark{Time: s.now, Packet: s.packets}, Data: data, WireLen: len(data), Link: pcaps.LinkEthernet,
	})
	n.saved += int64(len(data)) + 150
	s.buf, s.lane = flood, lane
}

// say sends what comes next: handshake, bind, connect, a table with columns,
// then rows of it, in two segments.
func (n *neighbour) say() {
	t, s := n.talk, n.s
	step := n.step
	n.step++
	call := uint32(step/3 + 2)
	rops := func(handle uint32, list string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(list, " ", ""))
		if err != nil {
			s.t.Fatal(err)
		}
		return pcaptest.ROPs([]uint32{0x10, handle}, b)
	}
	ask := func(handle uint32, list string) []byte {
		stub := pcaptest.RpcExt2{Handle: nearSession, In: pcaptest.Plain(rops(handle, list)), MaxOut: 0x8007}.Request(pcaptest.NDR{})
		return pcaptest.Request(0, 11, stub).Call(call).Bytes()
	}
	tell := func(list string) []byte {
		stub := pcaptest.RpcExt2Result{Handle: nearSession, Out: pcaptest.Plain(rops(0x77, list))}.Response(pcaptest.NDR{})
		return pcaptest.Response(0, stub).Call(call).Bytes()
	}
	const (
		open     = "05 00 00 01 00   12 00 01 00 0200 0300fe0f 1e003700" // and set two columns
		opened   = "05 01 00000000 02000000   12 01 00000000 00"
		query    = "15 00 01 00 01 0a00"
		someRows = "15 01 00000000 02 0200 00 05000000 6100 00 06000000 6200"
	)
	switch step {
	case 0:
		s.tcp(t.ends[0], t.ends[1], t.next[0]-1, 0, syn, nil)
	case 1:
		s.tcp(t.ends[1], t.ends[0], t.next[1]-1, t.next[0], syn|ack, nil)
	case 2:
		s.tcp(t.ends[0], t.ends[1], t.next[0], t.next[1], ack, nil)
	case 3:
		t.send(0, theBind)
	case 4:
		t.send(1, theBindAck)
	case 5:
		t.send(0, pcaptest.Request(0, 10, pcaptest.ConnectEx{UserDN: "/o=lab/cn=near", Client: [3]uint16{12, 4518, 1014}}.Request(pcaptest.NDR{})).Call(call).Bytes())
	case 6:
		t.send(1, pcaptest.Response(0, pcaptest.ConnectExResult{Handle: nearSession, Server: [3]uint16{8, 1, 240}}.Response(pcaptest.NDR{})).Call(call-1).Bytes())
	case 7, 8:
		// So that calls begin at a multiple of three.
		s.tcp(t.ends[0], t.ends[1], t.next[0], t.next[1], ack, nil)
	case 9:
		t.send(0, ask(0xffffffff, open))
	case 10:
		t.send(1, tell(opened)[:40])
	case 11:
		t.send(1, tell(opened)[40:])
	default:
		switch step % 3 {
		case 0:
			t.send(0, ask(0x77, query))
		case 1:
			t.send(1, tell(someRows)[:30])
		case 2:
			t.send(1, tell(someRows)[30:])
		}
	}
}

// compare analyses the neighbour's packets alone and compares what is said of
// its connection.
func (n *neighbour) compare(doc *document.Document) {
	n.s.t.Helper()
	e := NewEngine(Config{Workers: 1})
	for i := range n.sent {
		e.Packet(&n.sent[i])
	}
	alone := n.find(e.Close([]pcaps.Capture{{}}))
	flooded := n.find(doc)
	if alone == nil || flooded == nil {
		n.s.t.Fatalf("the neighbour is not listed: alone %v, in the flood %v", alone != nil, flooded != nil)
	}
	if m := alone.MAPI; m == nil || m.RopBytes == nil || m.RopBytes.Unwalked != 0 || m.RopBytes.Walked < 100 || m.Rops[0].Requests == 0 {
		n.s.t.Fatalf("alone the neighbour has EMSMDB figures %+v", m)
	}
	opts := []cmp.Option{cmpopts.IgnoreFields(document.Connection{}, "ID"), cmpopts.IgnoreUnexported(document.Connection{})}
	if diff := cmp.Diff(alone, flooded, opts...); diff != "" {
		n.s.t.Errorf("the neighbour (-alone +in the flood):\n%s", diff)
	}
}

func (n *neighbour) find(doc *document.Document) *document.Connection {
	for i := range doc.Connections {
		if c := &doc.Connections[i]; c.Client.IP == "192.168.1.1" {
			return c
		}
	}
	return nil
}
