package pcaps

import (
	"bytes"
	"io"
	"testing"
)

// benchCapture has packets of the sizes that a file transfer has.
func benchCapture(ng bool) []byte {
	var b bytes.Buffer
	w := NewPcapWriter(&b, LinkEthernet, 0, false)
	if ng {
		b.Reset()
		w = NewPcapngWriter(&b)
		w.AddInterface("eth0", LinkEthernet, 0, 6)
	}
	full, ack := make([]byte, 1514), make([]byte, 60)
	for i := int64(0); b.Len() < 16<<20; i += 3e3 {
		w.WritePacket(0, i, full, len(full))
		w.WritePacket(0, i+1e3, full, len(full))
		w.WritePacket(0, i+2e3, ack, len(ack))
	}
	return b.Bytes()
}

func readAll(tb testing.TB, r *Reader) (packets int) {
	var p Packet
	for {
		switch err := r.Next(&p); err {
		case nil:
			packets++
		case io.EOF:
			return packets
		default:
			tb.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	for _, x := range []struct {
		name string
		file []byte
		n    int // captures that are merged
	}{
		{"pcap", benchCapture(false), 1},
		{"pcapng", benchCapture(true), 1},
		{"merge of 3", benchCapture(false), 3},
	} {
		b.Run(x.name, func(b *testing.B) {
			path := file(b, "x", x.file)
			paths := []string{path, path, path}[:x.n]
			b.SetBytes(int64(x.n * len(x.file)))
			b.ReportAllocs()
			packets := 0
			for b.Loop() {
				r, err := Open(paths, Options{})
				if err != nil {
					b.Fatal(err)
				}
				packets += readAll(b, r)
				r.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
		})
	}
}

func TestReadingDoesNotAllocate(t *testing.T) {
	for name, b := range map[string][]byte{"pcap": benchCapture(false), "pcapng": benchCapture(true), "netmon": netmonFile(2, 3, 1, false, make([]nmFrame, 2000)...)} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "x", b)
			for _, paths := range [][]string{{path}, {path, path, path}} {
				r := open(t, Options{}, paths...)
				var p Packet
				for range 500 { // buffers grow to their size
					if err := r.Next(&p); err != nil {
						t.Fatal(err)
					}
				}
				if n := testing.AllocsPerRun(1000, func() { r.Next(&p) }); n != 0 {
					t.Errorf("%d captures: %v allocations per packet", len(paths), n)
				}
			}
		})
	}
}

func TestFilteringDoesNotAllocate(t *testing.T) {
	if !HaveBPF {
		t.Skip("this build has no filters")
	}
	r := open(t, Options{Filter: "less 100"}, file(t, "x", benchCapture(false)))
	var p Packet
	r.Next(&p)
	if n := testing.AllocsPerRun(1000, func() { r.Next(&p) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}
