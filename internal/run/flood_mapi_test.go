package run

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
)

// rpcExt2 is a call with one payload each way, both as HeaderExt returns them.
func rpcExt2(c *talk, id uint32, handle pcaptest.UUID, in, out []byte) {
	c.send(0, pcaptest.Request(0, 11, pcaptest.RpcExt2{Handle: handle, In: in, MaxOut: 0x8007}.Request(pcaptest.NDR{})).Call(id).Bytes())
	if out != nil {
		c.send(1, pcaptest.Response(0, pcaptest.RpcExt2Result{Handle: handle, Out: out}.Response(pcaptest.NDR{})).Call(id).Fragmented(5792))
	}
}

func handleOf(n int) pcaptest.UUID {
	return pcaptest.UUID(fmt.Sprintf("77777777-0000-0000-0000-%012x", n+1))
}

// TestMAPIFloods fills the tables of EMSMDB.
func TestMAPIFloods(t *testing.T) { surge(t, mapiFloods()) }

func mapiFloods() []flood {
	openTable := []byte{5, 0, 0, 1, 0}
	opened := []byte{5, 1, 0, 0, 0, 0, 2, 0, 0, 0}
	wide := append([]byte{0x12, 0, 1, 0, 0, 2}, bytes.Repeat([]byte{3, 0, 0xfe, 0x0f}, 512)...) // 512 columns
	columnsSet := []byte{0x12, 1, 0, 0, 0, 0, 0}
	return []flood{
		{
			name: "sessions", every: 1000,
			feed: func(s *storm) {
				s.ring(200, scaled(80, 300, 3000), func(c *talk, conn, round int) {
					id := uint32(round + 2)
					dn := "/o=flood/cn=" + strings.Repeat("u", 200)
					c.send(0, pcaptest.Request(0, 10, pcaptest.ConnectEx{UserDN: dn, Client: [3]uint16{12, 4518, 1014}}.Request(pcaptest.NDR{})).Call(id).Bytes())
					stub := pcaptest.ConnectExResult{Handle: handleOf(conn*10_000 + round), Server: [3]uint16{8, 1, 240}}.Response(pcaptest.NDR{})
					c.send(1, pcaptest.Response(0, stub).Call(id).Bytes())
				})
			},
			hit: func(l *document.Limits) int64 { return min(l.SessionsDropped, l.ConnectsDropped) },
		},
		{
			name: "return values", every: 500,
			feed: func(s *storm) {
				s.ring(200, scaled(40, 60, 600), func(c *talk, _, round int) {
					id := uint32(round + 2)
					c.send(0, pcaptest.Request(0, 10, pcaptest.ConnectEx{UserDN: "/cn=flood", Client: [3]uint16{12, 4518, 1014}}.Request(pcaptest.NDR{})).Call(id).Bytes())
					c.send(1, pcaptest.Response(0, pcaptest.ConnectExResult{Status: uint32(round + 1)}.Response(pcaptest.NDR{})).Call(id).Bytes())
				})
			},
			hit: func(l *document.Limits) int64 { return l.RefusalsDropped },
		},
		{
			name: "tables", every: 200,
			feed: func(s *storm) {
				in := pcaptest.Plain(pcaptest.ROPs([]uint32{16, 0xffffffff}, openTable, wide))
				s.ring(200, scaled(50, 60, 600), func(c *talk, conn, round int) {
					out := pcaptest.Plain(pcaptest.ROPs([]uint32{16, uint32(round)}, opened, columnsSet))
					rpcExt2(c, uint32(round+2), handleOf(conn), in, out)
				})
			},
			hit: func(l *document.Limits) int64 { return l.TablesDropped },
		},
		{
			name: "requests of thousands of ROPs without an answer", every: 50,
			feed: func(s *storm) {
				in := pcaptest.Plain(pcaptest.ROPs([]uint32{16}, bytes.Repeat([]byte{1, 0, 0}, 5000)))
				s.ring(100, scaled(20, 20, 200), func(c *talk, conn, round int) {
					rpcExt2(c, uint32(round+2), handleOf(conn), in, nil)
				})
			},
			hit: func(l *document.Limits) int64 { return l.RequestsForgotten },
		},
		{
			name: "LZ77 bombs", every: 50,
			feed: func(s *storm) {
				// 64 KiB of zeros in a few bytes, 96 payloads an answer.
				zeros := pcaptest.ROPs(nil, make([]byte, 60000))
				packed := pcaptest.Compress(zeros)
				one := pcaptest.HeaderExt(pcaptest.ExtCompressed, packed, len(zeros))
				last := pcaptest.HeaderExt(pcaptest.ExtCompressed|pcaptest.ExtLast, packed, len(zeros))
				out := append(bytes.Repeat(one, 95), last...)
				in := pcaptest.Plain(pcaptest.ROPs([]uint32{16}, []byte{1, 0, 0}))
				s.ring(50, 10*scaled(1, 1, 10), func(c *talk, conn, round int) {
					rpcExt2(c, uint32(round+2), handleOf(conn), in, out)
				})
			},
			check: func(t *testing.T, doc *document.Document) {
				for i := range doc.Connections {
					c := &doc.Connections[i]
					if c.Client.IP == "192.168.1.1" {
						continue
					}
					if c.MAPI == nil || c.MAPI.Buffers == nil || c.MAPI.Buffers.Compressed != int64(960*scaled(1, 1, 10)) {
						t.Fatalf("%s: EMSMDB %+v", c.Client.IP, c.MAPI)
					}
				}
			},
		},
		{
			name: "ROPs of every kind, slow and fast", every: 1000,
			feed: func(s *storm) {
				s.ring(scaled(20, 150, 150), 256*scaled(1, 1, 10), func(c *talk, conn, round int) {
					id := byte(round)
					in := pcaptest.Plain(pcaptest.ROPs([]uint32{16}, []byte{id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
					out := pcaptest.Plain(pcaptest.ROPs([]uint32{16}, []byte{id, 0, 5, 4, 0, 0x80, 0, 0, 0, 0, 0, 0}))
					rpcExt2(c, uint32(round+2), handleOf(conn), in, out)
				})
			},
		},
	}
}
