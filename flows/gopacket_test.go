package flows

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/reassembly"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// The reassembler of gopacket is a second opinion on what streams carry.

// streamFacts is what one side of a connection sent: its bytes, and where
// bytes are missing between them. What is missing behind the last byte is no
// part of it, gopacket does not know of that.
type streamFacts struct {
	Bytes int64
	Sum   string
	Gaps  []missing
}

type missing struct{ After, Bytes int64 } // After counts the bytes before it

type streamRecorder struct {
	hash hash.Hash
	n    int64
	gaps []missing
}

func newStreamRecorder() *streamRecorder { return &streamRecorder{hash: sha256.New()} }

func (r *streamRecorder) data(b []byte) {
	r.hash.Write(b)
	r.n += int64(len(b))
}

func (r *streamRecorder) gap(n int64) {
	if i := len(r.gaps) - 1; i >= 0 && r.gaps[i].After == r.n {
		r.gaps[i].Bytes += n
		return
	}
	r.gaps = append(r.gaps, missing{r.n, n})
}

func (r *streamRecorder) facts() streamFacts {
	var gaps []missing
	for _, g := range r.gaps {
		if g.After < r.n {
			gaps = append(gaps, g)
		}
	}
	return streamFacts{r.n, fmt.Sprintf("%x", r.hash.Sum(nil)[:8]), gaps}
}

// pairRecorder takes both sides of a connection, as a Handler and as a stream
// of gopacket.
type pairRecorder struct{ sides [2]*streamRecorder }

func newPairRecorder() *pairRecorder {
	return &pairRecorder{[2]*streamRecorder{newStreamRecorder(), newStreamRecorder()}}
}

func (p *pairRecorder) Data(side wire.Side, _ int64, _ wire.Mark, b []byte) { p.sides[side].data(b) }

func (p *pairRecorder) Gap(side wire.Side, _ int64, _ wire.Mark, n int64) { p.sides[side].gap(n) }

func (p *pairRecorder) End(wire.Mark) {}

// Accept lets a stream begin with its first segment, whatever that is.
func (p *pairRecorder) Accept(_ *layers.TCP, _ gopacket.CaptureInfo, _ reassembly.TCPFlowDirection, next reassembly.Sequence, start *bool, _ reassembly.AssemblerContext) bool {
	*start = *start || next < 0
	return true
}

func (p *pairRecorder) ReassembledSG(sg reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	dir, _, _, skip := sg.Info()
	r := p.sides[0]
	if dir == reassembly.TCPDirServerToClient {
		r = p.sides[1]
	}
	if skip > 0 {
		r.gap(int64(skip))
	}
	n, _ := sg.Lengths()
	r.data(sg.Fetch(n))
}

func (p *pairRecorder) ReassemblyComplete(reassembly.AssemblerContext) bool { return false }

func (p *pairRecorder) facts() [2]streamFacts {
	return [2]streamFacts{p.sides[0].facts(), p.sides[1].facts()}
}

// second feeds gopacket with segments. A SYN with another number than the
// first opens a connection of its own.
type second struct {
	assembler *reassembly.Assembler
	conns     map[secondKey]*secondConn // both ways round
	streams   map[uint64]*pairRecorder
	n         uint64
}

type secondKey struct {
	point    pcaps.Point
	src, dst netip.AddrPort
}

// secondConn is one connection. Numbers are moved so that each side's begin at
// 2^20: gopacket's comparison of numbers across the wrap is off by one.
type secondConn struct {
	id   uint64
	a    netip.AddrPort // sent the first packet
	base [2]*uint32
	syn  [2]*uint32
}

func newSecond() *second {
	s := &second{conns: map[secondKey]*secondConn{}, streams: map[uint64]*pairRecorder{}}
	s.assembler = reassembly.NewAssembler(reassembly.NewStreamPool(s))
	return s
}

// New implements reassembly.StreamFactory.
func (s *second) New(net, _ gopacket.Flow, _ *layers.TCP, _ reassembly.AssemblerContext) reassembly.Stream {
	p := newPairRecorder()
	s.streams[binary.BigEndian.Uint64(net.Src().Raw())] = p
	return p
}

type captureTime time.Time

func (t captureTime) GetCaptureInfo() gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: time.Time(t)}
}

func (s *second) segment(f *Frame) {
	key := secondKey{f.Point, f.Src, f.Dst}
	c := s.conns[key]
	if c != nil && f.Flags&(SYN|ACK|RST) == SYN {
		if syn := c.syn[c.side(f)]; syn != nil && *syn != f.Seq {
			c = nil
		}
	}
	if c == nil {
		c = &secondConn{id: s.n, a: f.Src}
		s.n++
		s.conns[key], s.conns[secondKey{f.Point, f.Dst, f.Src}] = c, c
	}
	side := c.side(f)
	if c.base[side] == nil {
		c.base[side] = new(f.Seq)
	}
	if f.Flags&SYN != 0 && c.syn[side] == nil {
		c.syn[side] = new(f.Seq)
	}
	tcp := &layers.TCP{
		Seq: f.Seq - *c.base[side] + 1<<20,
		SYN: f.Flags&SYN != 0, ACK: f.Flags&ACK != 0, FIN: f.Flags&FIN != 0, RST: f.Flags&RST != 0,
	}
	tcp.Payload = f.Payload
	// The key of gopacket is the connection's number and the side.
	ends := [2][]byte{binary.BigEndian.AppendUint64(nil, c.id), binary.BigEndian.AppendUint64(nil, c.id)}
	ends[0], ends[1] = append(ends[0], byte(side)), append(ends[1], byte(side^1))
	s.assembler.AssembleWithContext(gopacket.NewFlow(0, ends[0], ends[1]), tcp, captureTime(time.Unix(0, f.Time)))
}

func (c *secondConn) side(f *Frame) wire.Side {
	if f.Src == c.a {
		return wire.SideA
	}
	return wire.SideB
}

// bothWays runs a capture through the Tracker and through gopacket, and
// returns for each connection, in order, what either found. Connections that
// the capture holds on several segments of their path are left out: gopacket
// takes them for one.
func bothWays(t *testing.T, path string) (names []string, ours, theirs [][2]streamFacts) {
	t.Helper()
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var conns []*Conn
	recorders := map[*Conn]*pairRecorder{}
	d, sec := NewDecoder(DefaultLimits()), newSecond()
	tr := NewTracker(DefaultLimits(), func(c *Conn) Handler {
		conns = append(conns, c)
		recorders[c] = newPairRecorder()
		return recorders[c]
	})
	numbers := map[*Conn]uint64{} // of gopacket
	var p pcaps.Packet
	var f Frame
	for {
		if err := r.Next(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Logf("%s: %v", path, err)
			break
		}
		if d.Decode(&p, &f) != TCP {
			continue
		}
		before := len(conns)
		tr.Segment(&f)
		sec.segment(&f)
		for _, c := range conns[before:] {
			numbers[c] = sec.conns[secondKey{f.Point, f.Src, f.Dst}].id
		}
	}
	tr.Flush()
	sec.assembler.FlushAll()
	for _, c := range conns {
		if c.Root != nil {
			continue
		}
		names = append(names, fmt.Sprintf("%s to %s from packet %d", c.A, c.B, c.First.Packet))
		ours = append(ours, recorders[c].facts())
		theirs = append(theirs, sec.streams[numbers[c]].facts())
	}
	return names, ours, theirs
}

// streamsByDesign are the captures on which the two differ: in how many
// connections, and why.
var streamsByDesign = map[string]struct {
	connections int
	why         string
}{
	"bruteshark-Kerberos_-_v5_UDP.pcap": {8, "every packet stands twice and in no order: gopacket ends a side at a FIN or RST that comes before data, we when the connection is over"},
	"zeek-reassembly.pcap":              {1, "bytes come again with other content before those in front of them: the first arrival stands here, the last one with gopacket"},
}

func TestStreamsAgreeWithGopacket(t *testing.T) {
	compared := 0
	for _, folder := range []string{"public", "lab"} {
		dir := corpus(t, folder)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := e.Name()
			if !strings.Contains(name, ".pcap") && !strings.HasSuffix(name, ".cap") {
				continue
			}
			t.Run(name, func(t *testing.T) {
				names, ours, theirs := bothWays(t, filepath.Join(dir, name))
				compared += len(names)
				row, differ := streamsByDesign[name], 0
				for i := range names {
					if d := cmp.Diff(theirs[i], ours[i]); d != "" {
						if differ++; row.connections == 0 {
							t.Errorf("%s (-gopacket +ours):\n%s", names[i], d)
						}
					}
				}
				if row.connections > 0 && differ != row.connections {
					t.Errorf("%d connections differ, and the table says %d: %s", differ, row.connections, row.why)
				}
			})
		}
	}
	if compared < 2000 {
		t.Errorf("%d connections were compared, the corpus has more", compared)
	}
}

// TestGeneratedStreamsAgreeWithGopacket plays connections with what happens to
// sane ones: loss and retransmission, reordering, overlaps, keep-alives, numbers
// that wrap, captures that begin in the middle or see one side.
func TestGeneratedStreamsAgreeWithGopacket(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
		for i := range 10 {
			mishaps(rng, s, i)
		}
		names, ours, theirs := bothWays(t, s.WriteFile(t, "scene.pcap"))
		if len(names) != 10 {
			t.Fatalf("seed %d: %d connections, want 10", seed, len(names))
		}
		for i := range names {
			if d := cmp.Diff(theirs[i], ours[i]); d != "" {
				t.Errorf("seed %d, %s (-gopacket +ours):\n%s", seed, names[i], d)
			}
		}
	}
}

// mishaps plays one connection.
func mishaps(rng *rand.Rand, s *pcaptest.Scene, i int) {
	options := []pcaptest.Option{
		pcaptest.ISNs(rng.Uint32(), -uint32(rng.IntN(20_000))), pcaptest.MSS(100 + rng.IntN(1300)), pcaptest.AckEvery(rng.IntN(4)),
	}
	if rng.IntN(4) == 0 {
		options = append(options, pcaptest.NoHandshake())
	}
	if rng.IntN(8) == 0 {
		options = append(options, pcaptest.OneWay(pcaptest.Side(rng.IntN(2))))
	}
	client, server := fmt.Sprintf("10.1.0.5:%d", 2000+i), "10.2.0.9:135"
	if rng.IntN(3) == 0 {
		client, server = fmt.Sprintf("[fd77:1::5]:%d", 2000+i), "[fd77:2::9]:135"
	}
	c := s.Dial(client, server, options...)
	for range 5 + rng.IntN(30) {
		data := make([]byte, 1+rng.IntN(5000))
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		side := pcaptest.Side(rng.IntN(2))
		send := c.Client
		if side == pcaptest.Server {
			send = c.Server
		}
		switch rng.IntN(8) {
		case 0: // lost in the capture, and captured when it was sent again
			c.Drop(1)
			send(data[:min(len(data), 90)])
			c.Sleep(200 * time.Millisecond).Retransmit()
		case 1: // lost for good
			c.Drop(1 + rng.IntN(3))
			send(data)
			c.Drop(0)
		case 2:
			c.Reorder()
			send(data)
		case 3:
			send(data)
			c.Overlap(side, rng.IntN(len(data)), data[:rng.IntN(len(data))])
		case 4:
			send(data)
			c.Sleep(time.Minute).KeepAlive(side)
		case 5:
			send(data)
			c.Sleep(300 * time.Millisecond).Retransmit()
		case 6: // three segments, the last one first, the middle one over the ends of the others
			n := len(data) / 3
			over := rng.IntN(n + 1)
			c.Segment(side, 2*n, data[2*n:], pcaptest.ACK).Segment(side, -len(data), data[:n], pcaptest.ACK)
			c.Segment(side, n-over-len(data), data[n-over:2*n+over], pcaptest.ACK)
			c.Ack(side.Other())
		default:
			send(data)
		}
	}
	if rng.IntN(2) == 0 {
		c.Close()
	}
}
