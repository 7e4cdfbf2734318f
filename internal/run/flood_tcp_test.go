package run

import (
	"bytes"
	"testing"
	"time"

	"mapiscope/internal/document"
)

// floodServer is whom the clients of a flood talk to.
var floodServer = end{0xac100001, 1025}

// TestTCPFloods fills the tables below DCE/RPC.
func TestTCPFloods(t *testing.T) { surge(t, tcpFloods()) }

func tcpFloods() []flood {
	junk := bytes.Repeat([]byte{0xa7}, 1400)
	return []flood{
		{
			name: "SYNs of random sources",
			feed: func(s *storm) {
				for i := range scaled(20000, 200_000, 10_000_000) {
					h := uint32(i) * 0x9e3779b1
					s.tcp(end{h, uint16(h>>7) | 1024}, floodServer, h, 0, syn, nil)
				}
			},
			hit: func(l *document.Limits) int64 { return l.ConnectionsEvicted },
		},
		{
			name: "tiny connections", every: 2000,
			feed: func(s *storm) {
				for i := range scaled(20000, 200_000, 10_000_000) {
					s.dial(i, floodServer).bind().close()
				}
			},
			hit: func(l *document.Limits) int64 { return l.ConnectionsUnlisted },
		},
		{
			name: "connections that never end",
			feed: func(s *storm) {
				for i := range scaled(10000, 100_000, 1_000_000) {
					s.dial(i, floodServer).bind()
				}
			},
			hit: func(l *document.Limits) int64 { return l.ConnectionsEvicted },
		},
		{
			name: "one connection that never ends", every: 5000,
			feed: func(s *storm) {
				// Sequence numbers begin 1 GiB before they wrap around, and
				// wrap a second time in a full run.
				c := s.dialAs(end{0x0a000001, 1024}, floodServer, 3<<30)
				for range scaled(1<<28, 2<<30, 8<<30) / len(huge) {
					c.send(0, huge)
				}
			},
			check: func(t *testing.T, doc *document.Document) {
				if l := doc.Ledger; l.Gap != 0 || l.OutOfWindow != 0 || l.Duplicate != 0 {
					t.Errorf("ledger %+v", l)
				}
			},
		},
		{
			name: "out-of-order bombs",
			feed: func(s *storm) {
				for i := range scaled(100, 1000, 10_000) {
					c := s.dial(i, floodServer).lose(0, 1)
					for range 50 {
						c.send(0, junk).lose(0, 1)
					}
				}
			},
			hit: func(l *document.Limits) int64 { return l.ReassemblyHoles },
			check: func(t *testing.T, doc *document.Document) {
				if doc.Ledger.Gap == 0 {
					t.Error("no gap was counted")
				}
			},
		},
		{
			name: "out-of-order bombs of single bytes",
			feed: func(s *storm) {
				for i := range scaled(100, 1000, 10_000) {
					c := s.dial(i, floodServer).lose(0, 1)
					for range 100 {
						c.send(0, junk[:1]).lose(0, 1)
					}
				}
			},
			hit: func(l *document.Limits) int64 { return l.ReassemblyHoles },
		},
		{
			name: "overlapping segments that disagree",
			feed: func(s *storm) {
				for i := range scaled(300, 500, 5000) {
					c := s.dial(i, floodServer).lose(0, 1)
					for j := range 100 {
						at := c.next[0] + uint32(j*7919%3000)
						s.tcp(c.ends[0], c.ends[1], at, c.next[1], ack, bytes.Repeat([]byte{byte(j)}, 1000))
					}
				}
			},
			hit: func(l *document.Limits) int64 { return l.ReassemblyHoles },
			check: func(t *testing.T, doc *document.Document) {
				if doc.Ledger.Duplicate == 0 {
					t.Error("nothing overlapped")
				}
			},
		},
		{
			name: "fragment bombs",
			feed: func(s *storm) {
				for i := range scaled(10000, 100_000, 1_000_000) {
					// The last byte of the largest datagram, and nothing else.
					s.ip(0x0a000000+uint32(i), floodServer.host, 6, uint16(i), 0x2000|8100, 8)
					s.buf = append(s.buf, 1, 2, 3, 4, 5, 6, 7, 8)
					s.frame()
				}
			},
			hit: func(l *document.Limits) int64 { return l.FragmentsDropped },
		},
		{
			name: "datagrams of many fragments with holes",
			feed: func(s *storm) {
				for i := range scaled(5, 50, 500) {
					for at := uint16(0); at < 8000; at += 2 {
						s.ip(0x0a000000+uint32(i), floodServer.host, 6, uint16(i), 0x2000|at, 8)
						s.buf = append(s.buf, 1, 2, 3, 4, 5, 6, 7, 8)
						s.frame()
					}
				}
			},
			hit: func(l *document.Limits) int64 { return l.FragmentsDropped },
		},
		{
			name: "a connection on many segments of the path",
			feed: func(s *storm) {
				for i := range scaled(500, 5000, 50_000) {
					src := end{0x0a000000 + uint32(i), 1024}
					for lane := range byte(6) {
						s.lane = lane
						s.tcp(src, floodServer, 1000, 0, syn, nil)
					}
					s.lane = 0
				}
			},
			hit: func(l *document.Limits) int64 { return l.LegsRefused },
		},
		{
			name: "messages to a KDC that never become whole",
			feed: func(s *storm) {
				message := append([]byte{0, 1, 0, 0, 0x6a}, bytes.Repeat(junk, 20)...)
				for i := range scaled(200, 2000, 20_000) {
					s.dial(i, end{0xac100001, 88}).send(0, message)
				}
			},
			hit: func(l *document.Limits) int64 { return l.UnfinishedDropped },
		},
		{
			name: "events for the log", every: 2000, events: true,
			feed: func(s *storm) {
				for i := range scaled(5000, 20_000, 200_000) {
					s.dial(i, floodServer).bind().close()
				}
			},
			hit: func(l *document.Limits) int64 { return l.EventsDropped },
		},
		{
			name: "silence of hours",
			feed: func(s *storm) {
				for i := range scaled(2000, 20_000, 200_000) {
					s.dial(i, floodServer)
					s.sleep(100 * time.Millisecond)
				}
			},
		},
	}
}

var huge = bytes.Repeat([]byte{0x55}, 32<<10)
