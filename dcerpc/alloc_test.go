package dcerpc

import (
	"bytes"
	"math"
	"testing"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// quiet is a handler that looks at everything and keeps nothing.
type quiet struct{ bytes int }

func (q *quiet) Want(*Call, bool) int          { return 1 << 20 }
func (q *quiet) Request(_ *Call, stub []byte)  { q.bytes += len(stub) }
func (q *quiet) Response(_ *Call, stub []byte) { q.bytes += len(stub) }
func (q *quiet) Lost(*Call)                    {}
func (q *quiet) Event(*Event)                  {}

// cycle is a call with its answer, both signed.
type cycle struct {
	name            string
	request, answer []byte
	segment         int // bytes at a time
	pdus            int64
}

func cycles() []cycle {
	token := make([]byte, 16)
	req := func(n int) pcaptest.PDU {
		return pcaptest.Request(0, 11, bytes.Repeat([]byte{7}, n)).Call(2).Auth(10, 5, 0, token)
	}
	resp := func(n int) pcaptest.PDU {
		return pcaptest.Response(0, bytes.Repeat([]byte{8}, n)).Call(2).Auth(10, 5, 0, token)
	}
	return []cycle{
		{"whole", req(200).Bytes(), resp(1000).Bytes(), 64 << 10, 2},
		{"over many segments", req(200).Bytes(), resp(5000).Bytes(), 1460, 2},
		{"fragmented", req(200).Bytes(), resp(31680).Fragmented(5792), 1460, 7},
	}
}

func (y cycle) play(c *Conn, m wire.Mark) {
	for side, b := range [2][]byte{y.request, y.answer} {
		for len(b) > 0 {
			n := min(y.segment, len(b))
			c.Data(wire.Side(side), 0, m, b[:n])
			b = b[n:]
		}
	}
}

// TestCallsAllocateNothing holds for the steady state: once a connection has
// seen a call of a kind, the next one costs no allocation.
func TestCallsAllocateNothing(t *testing.T) {
	if poolsForget {
		t.Skip("built with the race detector")
	}
	for _, y := range cycles() {
		t.Run(y.name, func(t *testing.T) {
			q := &quiet{}
			c := NewConn(DefaultLimits(), q)
			for _, x := range opening() {
				c.Data(x.side, 0, wire.Mark{Packet: 1}, x.data)
			}
			m := wire.Mark{Packet: 2, Time: 1}
			y.play(c, m)
			before := c.Counts.PDUs
			y.play(c, m)
			if c.Counts.PDUs-before != y.pdus {
				t.Fatalf("%d PDUs, want %d", c.Counts.PDUs-before, y.pdus)
			}
			if n := testing.AllocsPerRun(200, func() { y.play(c, m) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			c.End(m)
			if c.Counts.Requests != c.Counts.Responses || c.Counts.Lost != 0 {
				t.Errorf("%+v", c.Counts)
			}
		})
	}
}

func BenchmarkCalls(b *testing.B) {
	for _, y := range cycles() {
		b.Run(y.name, func(b *testing.B) {
			c := NewConn(DefaultLimits(), &quiet{})
			m := wire.Mark{Packet: 2, Time: 1}
			b.SetBytes(int64(len(y.request) + len(y.answer)))
			b.ReportAllocs()
			for b.Loop() {
				y.play(c, m)
			}
		})
	}
}

// BenchmarkSearch searches what is no DCE/RPC, from its middle.
func BenchmarkSearch(b *testing.B) {
	noise := make([]byte, 1460)
	for i := range noise {
		noise[i] = byte(i * 7)
	}
	limits := DefaultLimits()
	limits.Scan = math.MaxInt
	c := NewConn(limits, &quiet{})
	c.Midstream()
	m := wire.Mark{Packet: 2}
	b.SetBytes(int64(len(noise)))
	b.ReportAllocs()
	for b.Loop() {
		c.Data(wire.SideA, 0, m, noise)
	}
}
