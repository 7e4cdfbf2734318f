package run

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// properties is n EcDoRpcExt2 that open a folder, ask for properties of it and
// close it ([MS-OXCROPS] 2.2.4.1, 2.2.8.3, 2.2.15.3).
func properties(r *rpc, n int) *rpc {
	request := pcaptest.RpcExt2{Handle: session, MaxOut: 0x8000, In: pcaptest.Xored(pcaptest.ROPs([]uint32{0x55, 0xffffffff},
		[]byte{0x02, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0},
		[]byte{0x07, 0, 1, 0, 0, 1, 0, 3, 0, 0x03, 0, 0x17, 0, 0x14, 0, 0x08, 0x0e, 0x0b, 0, 0x0a, 0x36},
		[]byte{0x01, 0, 1}))}.Request(pcaptest.NDR{})
	response := pcaptest.RpcExt2Result{Handle: session, Out: pcaptest.Xored(pcaptest.ROPs([]uint32{0x55, 0x66},
		[]byte{0x02, 1, 0, 0, 0, 0, 0, 0},
		[]byte{0x07, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 1}))}.Response(pcaptest.NDR{})
	for range n {
		r.do(pcaptest.OpEcDoRpcExt2, request, response)
	}
	return r
}

// TestNothingIsAllocatedForAPacket reads a long session, the whole way from the
// file to the ROPs: once the first calls have made room, no packet allocates.
func TestNothingIsAllocatedForAPacket(t *testing.T) {
	if poolsForget {
		t.Skip("under the race detector pools forget at random")
	}
	const calls, warm, measured = 3000, 2000, 3000 // calls of four packets; packets
	for _, tt := range []struct {
		name    string
		workers int
		format  func(*pcaptest.Scene, ...int) []byte
		calls   func(c *pcaptest.Conn)
	}{
		{"one worker", 1, (*pcaptest.Scene).Pcap, func(c *pcaptest.Conn) { properties(mail(c, 0, 7), calls) }},
		{"two workers", 2, (*pcaptest.Scene).Pcap, func(c *pcaptest.Conn) { properties(mail(c, 0, 7), calls) }},
		{"pcapng", 1, (*pcaptest.Scene).Pcapng, func(c *pcaptest.Conn) { properties(mail(c, 0, 7), calls) }},
		{"sealed", 2, (*pcaptest.Scene).Pcap, func(c *pcaptest.Conn) {
			r := kerberos(c, pcaptest.EMSMDB, 6)
			for range calls {
				r.do(pcaptest.OpEcDoRpcExt2, noise(160, 1), noise(400, 2))
			}
		}},
		{"another protocol", 2, (*pcaptest.Scene).Pcap, func(c *pcaptest.Conn) {
			for range calls {
				c.Client([]byte("GET / HTTP/1.1\r\n\r\n")).Server(noise(900, 3))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := pcaptest.New(start)
			tt.calls(dial(s, 4001, mdb))
			path := filepath.Join(t.TempDir(), "long")
			if err := os.WriteFile(path, tt.format(s), 0o666); err != nil {
				t.Fatal(err)
			}
			r, err := pcaps.Open([]string{path}, pcaps.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			e := newEngine(Config{Workers: tt.workers}, r.Captures())
			defer e.Close(nil)
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties pools
			var p pcaps.Packet
			take := func(n int) {
				for range n {
					if err := r.Next(&p); err != nil {
						t.Fatal(err)
					}
					e.Packet(&p)
				}
				e.dispatcher.pause(func() {})
			}
			take(warm)
			none := testing.AllocsPerRun(1, func() { take(0) }) // what standing still takes
			if n := testing.AllocsPerRun(1, func() { take(measured) }) - none; n != 0 {
				t.Errorf("%v allocations for %d packets", n, measured)
			}
		})
	}
}
