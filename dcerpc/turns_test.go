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
