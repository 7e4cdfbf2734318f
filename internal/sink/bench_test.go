package sink

import (
	"io"
	"path/filepath"
	"testing"

	"mapiscope/pcaps"
)

// nowhere is a disk that keeps nothing.
type nowhere struct{}

func (nowhere) mkdir() error                { return nil }
func (nowhere) exists(string) bool          { return false }
func (nowhere) rename(string, string) error { return nil }
func (nowhere) close()                      {}
func (nowhere) convert(string, string, func(io.Writer, io.Reader) error) error {
	return nil
}
func (nowhere) list(string) ([]string, error)       { return nil, nil }
func (nowhere) create(string, []byte) (file, error) { return nowhere{}, nil }
func (nowhere) remove(string) error                 { return nil }
func (nowhere) busy(string) bool                    { return false }
func (nowhere) Write(b []byte) (int, error)         { return len(b), nil }
func (nowhere) Truncate(int64) error                { return nil }
func (nowhere) Close() error                        { return nil }
func (nowhere) gone(string) bool                    { return false }
func (nowhere) moved(string) bool                   { return false }

// fullPacket is a packet of usual size.
func fullPacket() pcaps.Packet { return pcaps.Packet{Data: make([]byte, 1460), WireLen: 1460} }

// TestPutAllocatesNothing measures whole rounds, the goroutine that writes
// included.
func TestPutAllocatesNothing(t *testing.T) {
	c := config("/log")
	l, err := open(c, numbered, nowhere{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := openRing(ringConfig("/log/trace.pcapng"), nowhere{})
	if err != nil {
		t.Fatal(err)
	}
	p := fullPacket()
	for name, put := range map[string]func(){
		"Put": func() { l.Put(1) }, "WritePacket": func() { r.WritePacket(&p) },
	} {
		if n := testing.AllocsPerRun(100_000, put); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	closeLog(t, l)
	closeLog(t, r)
}

func benchmarkPut(b *testing.B, d disk) {
	c := config(b.TempDir())
	c.Queue = 8192
	l, err := open(c, numbered, d)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Put(123456)
	}
	if err := l.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkPut(b *testing.B) {
	b.Run("nowhere", func(b *testing.B) { benchmarkPut(b, nowhere{}) })
	b.Run("disk", func(b *testing.B) { benchmarkPut(b, nil) })
}

func benchmarkWritePacket(b *testing.B, d disk) {
	c := ringConfig(filepath.Join(b.TempDir(), "trace.pcapng"))
	c.QueueBytes, c.RotateSize, c.Keep = 16<<20, 64<<20, 1
	r, err := openRing(c, d)
	if err != nil {
		b.Fatal(err)
	}
	p := fullPacket()
	b.SetBytes(int64(pcaps.PcapngPacketLen(&p)))
	b.ReportAllocs()
	for b.Loop() {
		r.WritePacket(&p)
	}
	if err := r.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWritePacket(b *testing.B) {
	b.Run("nowhere", func(b *testing.B) { benchmarkWritePacket(b, nowhere{}) })
	b.Run("disk", func(b *testing.B) { benchmarkWritePacket(b, nil) })
}
