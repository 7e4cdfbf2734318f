package assoc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
)

// opened is a Watcher that keeps the connections and watches none.
type opened struct{ conns []*Conn }

func (o *opened) Open(c *Conn) Observer { o.conns = append(o.conns, c); return nil }
func (o *opened) Hash([]byte) uint64    { return 0 }

// TestTransports tells what a connection carries by its first message, however
// that is cut into segments.
func TestTransports(t *testing.T) {
	type result struct {
		Transport Transport
		Familiar  bool
	}
	bind := string(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
	tests := []struct {
		name, port, first, answer string
		want                      result
	}{
		{"DCE/RPC", "1025", bind, "", result{RPC, false}},
		{"no DCE/RPC after all", "1025", "\x05\x02 of something else", "", result{Foreign, false}},
		{"RPC over HTTP, in", "80", "RPC_IN_DATA /rpc/rpcproxy.dll?mail:6001 HTTP/1.1\r\n", "", result{RPCHTTP, true}},
		{"RPC over HTTP, out", "80", "RPC_OUT_DATA /rpc/rpcproxy.dll HTTP/1.1\r\n", "", result{RPCHTTP, true}},
		{"near: another method", "80", "RPC_OTHER /rpc/rpcproxy.dll HTTP/1.1\r\n", "", result{Foreign, true}},
		{"MAPI over HTTP", "80", "POST /MAPI/emsmdb HTTP/1.1\r\n", "", result{MAPIHTTP, true}},
		{"near: another page", "80", "POST /mapy/emsmdb HTTP/1.1\r\n", "", result{Foreign, true}},
		{"near: the request ends early", "80", "POST /map", "what?", result{Foreign, true}},
		{"text", "25", "HELO mail\r\n", "", result{Foreign, true}},
		{"a short text and its answer", "25", "HELO", "220 mail\r\n", result{Foreign, true}},
		{"a short text and its end", "25", "QUI", "", result{Foreign, false}},
		{"TLS", "443", "\x16\x03\x01\x00\x05hello", "", result{Foreign, true}},
		{"SMB", "1445", "\x00\x00\x00\x20\xfeSMB and more", "", result{SMB, false}},
		{"near: no SMB", "1445", "\x00\x00\x00\x20\xfeSMC and more", "", result{Foreign, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, mss := range []int{1, 3, 1460} {
				s := pcaptest.New(time.Unix(1_246_000_000, 0))
				c := s.Dial("10.1.0.5:2000", "10.2.0.9:"+tt.port, pcaptest.MSS(mss)).Client([]byte(tt.first))
				if tt.answer != "" {
					c.Server([]byte(tt.answer))
				}
				c.Close()
				var o opened
				cfg := DefaultConfig()
				cfg.Watch = &o
				link(t, cfg, s)
				if d := cmp.Diff(tt.want, result{o.conns[0].transport, o.conns[0].familiar}); d != "" {
					t.Errorf("in segments of %d bytes (-want +got):\n%s", mss, d)
				}
			}
		})
	}
}
