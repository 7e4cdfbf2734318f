package run

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
)

// ring sends what each gives to many connections in turn, so that all of them
// stay open and none is silent for long.
func (s *storm) ring(conns, rounds int, each func(c *talk, conn, round int)) {
	all := make([]*talk, conns)
	for i := range all {
		all[i] = s.dial(i, floodServer).bind()
	}
	for round := range rounds {
		for i, c := range all {
			each(c, i, round)
		}
		s.sleep(time.Second)
	}
}

// TestRPCFloods fills the tables of DCE/RPC.
func TestRPCFloods(t *testing.T) { surge(t, rpcFloods()) }

func rpcFloods() []flood {
	big := pcaptest.Request(0, 11, make([]byte, 65000)).Call(9).Bytes()
	first := pcaptest.Request(0, 11, make([]byte, 5000)).Call(9).Fragmented(2000)[:2024]
	var offers []pcaptest.Context
	for i := range uint16(200) {
		offers = append(offers, pcaptest.Offer(i, pcaptest.EMSMDB, pcaptest.NDR32, pcaptest.NDR64, pcaptest.NDR32))
	}
	answers := make([]pcaptest.Result, 200)
	for i := range answers {
		answers[i] = pcaptest.Accept(pcaptest.NDR32)
	}
	long := strings.Repeat("a", 500)
	names := pcaptest.NTLMAuthenticate(long, long, long)
	return []flood{
		{
			name: "PDUs that announce 64 KiB and come byte by byte",
			feed: func(s *storm) {
				s.ring(500, scaled(20, 200, 2000), func(c *talk, _, round int) {
					if round == 0 {
						c.send(0, big[:20])
					} else {
						c.send(0, big[19+round:20+round])
					}
				})
			},
			hit: func(l *document.Limits) int64 { return l.UnfinishedDropped },
		},
		{
			name: "messages whose last fragment never comes", every: 100,
			feed: func(s *storm) {
				s.ring(500, scaled(10, 30, 300), func(c *talk, _, round int) {
					first := bytes.Clone(first)
					binary.LittleEndian.PutUint32(first[12:], uint32(9+round))
					c.send(0, first)
				})
			},
			hit: func(l *document.Limits) int64 { return l.StubsCut },
		},
		{
			name: "connections from their middle, in which nothing is found",
			feed: func(s *storm) {
				// Headers that could be true, each with none behind it.
				noise := bytes.Repeat(append(bytes.Clone(pcaptest.Request(0, 11, make([]byte, 5000)).Bytes()[:16]), make([]byte, 84)...), 14)
				for round := range scaled(10, 30, 300) {
					for i := range 400 {
						c := talk{s: s, ends: [2]end{{0x0a000000 + uint32(i), 1024}, floodServer}, next: [2]uint32{uint32(round * len(noise)), 1}}
						c.send(0, noise)
					}
				}
			},
			hit: func(l *document.Limits) int64 { return l.UnfinishedDropped },
		},
		{
			name: "presentation contexts", every: 100,
			feed: func(s *storm) {
				s.ring(100, scaled(3, 30, 300), func(c *talk, _, round int) {
					id := uint32(100 + round)
					c.send(0, pcaptest.AlterContext(0x77, offers...).Call(id).Bytes())
					c.send(1, pcaptest.AlterContextResp(0x77, answers...).Call(id).Bytes())
				})
			},
			hit: func(l *document.Limits) int64 { return l.ContextsDropped },
		},
		{
			name: "authentication contexts with long names", every: 100,
			feed: func(s *storm) {
				s.ring(200, scaled(70, 100, 1000), func(c *talk, _, round int) {
					c.send(0, pcaptest.AlterContext(0x77, offers[0]).Call(uint32(100+round)).Auth(10, 5, uint32(round), names).Bytes())
				})
			},
			hit: func(l *document.Limits) int64 { return l.AuthContextsDropped },
		},
		{
			name: "tokens inside tokens", every: 100,
			feed: func(s *storm) {
				deep := pcaptest.NTLMNegotiate()
				for len(deep) < 8000 {
					deep = pcaptest.SPNEGOInit(deep)
				}
				s.ring(200, scaled(3, 8, 80), func(c *talk, _, round int) {
					c.send(0, pcaptest.AlterContext(0x77, offers[0]).Call(uint32(100+round)).Auth(9, 6, uint32(round), deep).Bytes())
				})
			},
			check: func(t *testing.T, doc *document.Document) {
				for i := range doc.Connections {
					if c := &doc.Connections[i]; c.Client.IP != "192.168.1.1" && len(c.Auth) == 0 {
						t.Fatalf("%s has no authentication context", c.Client.IP)
					}
				}
			},
		},
		{
			name: "one user with and without protection", every: 200,
			feed: func(s *storm) {
				bind := func(level byte) []byte {
					return pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(10, level, 0, pcaptest.NTLMAuthenticate("LAB", "alice", "PC")).Bytes()
				}
				for i := range scaled(250, 300, 1000) {
					c := s.dialAs(end{0x0a000001, uint16(1024 + i)}, floodServer, 1)
					c.send(0, bind(byte(5+i%2))).send(1, theBindAck).close()
					s.sleep(time.Minute)
				}
			},
			check: func(t *testing.T, doc *document.Document) {
				var dropped int64
				for i := range doc.Encryption {
					dropped += doc.Encryption[i].Dropped
				}
				if dropped == 0 {
					t.Error("no change of protection was only counted")
				}
				for _, f := range doc.Findings {
					if len(f.Packets) > 20 {
						t.Errorf("%s names %d packets", f.Code, len(f.Packets))
					}
				}
			},
		},
		{
			name: "calls without an answer",
			feed: func(s *storm) {
				s.ring(100, scaled(200, 2000, 20_000), func(c *talk, _, round int) {
					c.send(0, pcaptest.Request(0, 99, nil).Call(uint32(round+10)).Bytes())
				})
			},
			hit: func(l *document.Limits) int64 { return l.CallsLost },
		},
		{
			name: "operations", every: 1000,
			feed: func(s *storm) {
				s.ring(100, scaled(600, 1000, 10_000), func(c *talk, _, round int) {
					c.send(0, pcaptest.Request(0, uint16(round), nil).Call(9).Bytes())
					c.s.sleep(time.Duration(round*round) * time.Microsecond)
					c.send(1, pcaptest.Response(0, nil).Call(9).Bytes())
				})
			},
			hit: func(l *document.Limits) int64 { return l.OperationsDropped },
		},
		{
			name: "faults", every: 1000,
			feed: func(s *storm) {
				s.ring(400, scaled(70, 200, 2000), func(c *talk, _, round int) {
					c.send(1, pcaptest.Fault(0, 5).Call(uint32(round)).Bytes())
				})
			},
			hit: func(l *document.Limits) int64 { return l.FaultsDropped },
		},
		{
			name: "fragments of a bind that never ends", every: 50,
			feed: func(s *storm) {
				part := pcaptest.AlterContext(0x77, offers...).Call(100).Bytes()
				part[3] = 0 // neither the first nor the last
				s.ring(100, scaled(2, 20, 200), func(c *talk, _, round int) {
					if part[3] = 0; round == 0 {
						part[3] = 1
					}
					c.send(0, part)
				})
			},
			hit: func(l *document.Limits) int64 { return l.UnfinishedDropped },
		},
	}
}

// TestEPMFloods fills the tables of the endpoint mapper.
func TestEPMFloods(t *testing.T) { surge(t, epmFloods()) }

func epmFloods() []flood {
	endpoints := func(from, n int) (all []pcaptest.Endpoint) {
		for i := range n {
			iface := pcaptest.Syntax{UUID: pcaptest.UUID(fmt.Sprintf("00000000-0000-0000-0000-%012x", from+i)), Version: 1}
			all = append(all, pcaptest.Endpoint{Interface: iface, Addr: netip.AddrFrom4([4]byte{172, 16, byte(from >> 8), byte(i)}), Port: uint16(1025 + (from+i)%60000)})
		}
		return all
	}
	lookup := func(s *storm, servers, answers, entries int) {
		bind := pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes()
		for i := range servers {
			c := s.dial(i, end{0xac100000 + uint32(i), 135}).send(0, bind).send(1, theBindAck)
			for j := range answers {
				id := uint32(j + 2)
				c.send(0, pcaptest.Request(0, 2, pcaptest.EptLookupRequest(pcaptest.NDR{}, uint32(entries))).Call(id).Bytes())
				stub := pcaptest.EptLookupResponse(pcaptest.NDR{}, uint32(entries), 0, strings.Repeat("x", 60), endpoints((i*answers+j)*entries, entries)...)
				c.send(1, pcaptest.Response(0, stub).Call(id).Fragmented(5792))
			}
		}
	}
	return []flood{
		{
			name: "ept_lookup answers of hundreds of towers", every: 20,
			feed: func(s *storm) { lookup(s, 2, scaled(10, 100, 1000), 400) },
			hit:  func(l *document.Limits) int64 { return min(l.ExchangesDropped, l.PortsDropped) },
		},
		{
			name: "many endpoint mappers", every: 100,
			feed: func(s *storm) { lookup(s, scaled(1500, 2000, 20_000), 1, 40) },
			hit:  func(l *document.Limits) int64 { return min(l.ExchangesDropped, l.HostPairsDropped) },
		},
		{
			name: "interfaces at one port", every: 20,
			feed: func(s *storm) {
				bind := pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes()
				c := s.dial(0, end{floodServer.host, 135}).send(0, bind).send(1, theBindAck)
				for i := range scaled(10, 50, 100) {
					all := endpoints(i*200, 200)
					for j := range all {
						all[j].Port = floodServer.port
					}
					id := uint32(i + 2)
					c.send(0, pcaptest.Request(0, 2, pcaptest.EptLookupRequest(pcaptest.NDR{}, 200)).Call(id).Bytes())
					c.send(1, pcaptest.Response(0, pcaptest.EptLookupResponse(pcaptest.NDR{}, 200, 0, "", all...)).Call(id).Fragmented(5792))
				}
				for i := range scaled(200, 2000, 20_000) {
					s.dial(1+i, floodServer).close()
				}
			},
			hit: func(l *document.Limits) int64 { return l.EndpointsDropped },
		},
		{
			name: "errors of a KDC",
			feed: func(s *storm) {
				long := strings.Repeat("a", 400)
				msg := pcaptest.KRBError{Code: 37, Realm: long, Server: long, STime: time.Unix(1.7e9, 0)}.Bytes()
				for i := range scaled(5000, 50_000, 500_000) {
					s.udp(end{floodServer.host, 88}, end{0x0a000000 + uint32(i), 1024}, msg)
				}
			},
			hit: func(l *document.Limits) int64 { return l.ExchangesDropped },
		},
	}
}
