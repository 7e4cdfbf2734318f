package dcerpc

import (
	"bytes"
	"testing"

	"mapiscope/internal/wire"
)

// BenchmarkTurns is a connection caught in its middle whose window begins with
// what looks like a header: the two ends take turns, and no turn looks at the
// whole window again.
func BenchmarkTurns(b *testing.B) {
	long := request(2, "")
	long[8], long[9] = 0xff, 0xff
	small := bytes.Repeat([]byte{5, 0, 0, 3, 0x10, 0, 0, 7}, 12)
	b.SetBytes(int64(2 * len(small)))
	b.ReportAllocs()
	var c *Conn
	for i := 0; b.Loop(); i++ {
		if i%500 == 0 { // before the PDU would be whole
			c = NewConn(DefaultLimits(), &capture{})
			c.Midstream()
			c.Data(wire.SideA, 0, wire.Mark{Packet: 1}, long)
			c.Data(wire.SideB, 0, wire.Mark{Packet: 2}, long)
		}
		c.Data(wire.SideA, 0, wire.Mark{Packet: int64(3 + 2*i)}, small)
		c.Data(wire.SideB, 0, wire.Mark{Packet: int64(4 + 2*i)}, small)
	}
}

// TestTurns: a stream full of what looks like headers, whose ends take turns:
// few headers are remembered, none that was passed, and the search finds its
// PDU all the same.
func TestTurns(t *testing.T) {
	long := request(2, "")
	long[8], long[9] = 0xff, 0xff // 65,535 bytes
	for _, n := range []int{1, maxTails - 1, maxTails, 3 * maxTails} {
		c := NewConn(DefaultLimits(), &capture{})
		c.Midstream()
		for i := range n {
			c.Data(wire.SideA, 0, wire.Mark{Packet: int64(1 + 2*i)}, long)
			c.Data(wire.SideB, 0, wire.Mark{Packet: int64(2 + 2*i)}, []byte{1})
		}
		if got := len(c.framers[wire.SideA].window.tails); got > min(n, maxTails) {
			t.Errorf("%d headers: %d are remembered", n, got)
		}
		c.Data(wire.SideA, 0, wire.Mark{Packet: 5000}, request(3, "ask"))
		c.Data(wire.SideB, 0, wire.Mark{Packet: 5001}, response(3, "answer"))
		c.Data(wire.SideA, 0, wire.Mark{Packet: 5002}, nil)
		if c.Counts.PDUs != 2 {
			t.Errorf("%d headers: %d PDUs, want 2", n, c.Counts.PDUs)
		}
		c.End(wire.Mark{Packet: 5003})
		if c.Bytes.Sum() != c.Bytes.Delivered {
			t.Errorf("%d headers: %d bytes of %d accounted for", n, c.Bytes.Sum(), c.Bytes.Delivered)
		}
	}
}
