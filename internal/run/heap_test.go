package run

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// TestHeapOfAConnection holds the live heap of many like connections to a
// budget for each: while it is open, and as a row of the document.
func TestHeapOfAConnection(t *testing.T) {
	const n = 1000
	for _, tt := range []struct {
		name         string
		scene        func(c *pcaptest.Conn, i int)
		open, listed int64 // bytes each
	}{
		{"MAPI", func(c *pcaptest.Conn, i int) { properties(mail(c, 0, uint32(7+i)), 3) }, 7000, 4000},
		{"another protocol", func(c *pcaptest.Conn, _ int) { c.Client([]byte("GET / HTTP/1.1\r\n\r\n")).Server(noise(900, 3)) }, 2200, 100},
		{"nothing but a SYN", func(c *pcaptest.Conn, _ int) {}, 2200, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := pcaptest.New(start)
			for i := range n {
				tt.scene(s.Dial(fmt.Sprintf("10.1.%d.%d:4001", i/250, 1+i%250), mdb), i)
			}
			path := filepath.Join(t.TempDir(), "many")
			if err := os.WriteFile(path, s.Pcap(), 0o666); err != nil {
				t.Fatal(err)
			}
			s = nil
			r, err := pcaps.Open([]string{path}, pcaps.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			e := newEngine(Config{Workers: 1}, r.Captures())
			before := liveHeap()
			for p := (pcaps.Packet{}); r.Next(&p) == nil; {
				e.Packet(&p)
			}
			if each := (liveHeap() - before) / n; each > tt.open {
				t.Errorf("an open connection takes %d bytes, more than %d", each, tt.open)
			} else {
				t.Logf("open: %d bytes", each)
			}
			doc := e.Close(r.Captures())
			e = nil
			if each := (liveHeap() - before) / n; each > tt.listed {
				t.Errorf("a connection in the document takes %d bytes, more than %d", each, tt.listed)
			} else {
				t.Logf("listed: %d bytes", each)
			}
			runtime.KeepAlive(doc)
		})
	}
}
