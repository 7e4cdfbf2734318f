package assoc

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"mapiscope/flows"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

var (
	pipeClient = netip.MustParseAddrPort("10.1.0.5:1067")
	pipeServer = netip.MustParseAddrPort("10.2.0.9:445")
)

// TestPipeScan: a pipe is found in the first MiB of SMB, later ones are not
// looked for.
func TestPipeScan(t *testing.T) {
	message := append([]byte("\x00\x00\x10\x00\xfeSMB"), make([]byte, 4096)...)
	pipe := append(bytes.Clone(message), pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Bytes()...)
	for _, tt := range []struct {
		before int // messages
		want   bool
	}{{0, true}, {200, true}, {300, false}} {
		t.Run(fmt.Sprint(tt.before), func(t *testing.T) {
			l := NewLinker(DefaultConfig())
			feed := func(seq uint32, b []byte) {
				f := flows.Frame{Src: pipeClient, Dst: pipeServer, Flags: flows.ACK | flows.PSH, Seq: seq, Payload: b, Length: len(b)}
				f.Mark = wire.Mark{Time: int64(seq), Packet: int64(seq)}
				l.Frame(&f, flows.TCP)
			}
			seq := uint32(1)
			for range tt.before {
				feed(seq, message)
				seq += uint32(len(message))
			}
			feed(seq, pipe)
			if c := l.Close().Conns[0]; c.Transport() != SMB || c.Pipe != tt.want {
				t.Errorf("%v, pipe %v", c.Transport(), c.Pipe)
			}
		})
	}
}
