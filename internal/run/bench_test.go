package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mapiscope/internal/pcaptest"
)

// BenchmarkRun reads captures of several kinds of traffic from end to end.
// `make profile` makes of it the profile that the compiler optimizes by.
func BenchmarkRun(b *testing.B) {
	client := func(i int) string { return fmt.Sprintf("10.1.%d.%d", i/250, 1+i%250) }
	for _, x := range []struct {
		name  string
		scene func(s *pcaptest.Scene)
	}{
		{"calls", func(s *pcaptest.Scene) {
			for i := range 100 {
				properties(mail(s.Dial(client(i)+":4001", mdb), 0, uint32(7+i)), 400)
			}
		}},
		{"sealed", func(s *pcaptest.Scene) {
			for i := range 50 {
				r := kerberos(s.Dial(client(i)+":4001", mdb), pcaptest.EMSMDB, 6)
				for range 400 {
					r.do(pcaptest.OpEcDoRpcExt2, noise(160, 1), noise(900, 2))
				}
			}
		}},
		{"connections", func(s *pcaptest.Scene) {
			for i := range 3000 {
				mail(s.Dial(client(i%500)+fmt.Sprint(":", 4001+i), mdb), 0, uint32(7+i)).c.Close()
			}
		}},
		{"other", func(s *pcaptest.Scene) {
			for i := range 500 {
				c := s.Dial(client(i)+":4001", "10.2.0.9:80")
				for range 8 {
					c.Client([]byte("GET / HTTP/1.1\r\n\r\n")).Server(noise(9000, 3))
				}
				c.Close()
			}
		}},
	} {
		b.Run(x.name, func(b *testing.B) {
			s := pcaptest.New(start)
			x.scene(s)
			path := filepath.Join(b.TempDir(), "capture")
			raw := s.Pcap()
			if err := os.WriteFile(path, raw, 0o666); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			packets := int64(0)
			for b.Loop() {
				doc, err := Run(context.Background(), Config{Paths: []string{path}, Workers: 2})
				if err != nil {
					b.Fatal(err)
				}
				packets += doc.Totals.Packets
			}
			b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}
