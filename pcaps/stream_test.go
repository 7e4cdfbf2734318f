package pcaps

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// openStream reads what the test writes.
func openStream(t *testing.T, o Options) (*Stream, *io.PipeWriter) {
	t.Helper()
	in, out := io.Pipe()
	o.Stdin = in
	s, err := OpenStream("-", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); out.Close() })
	return s, out
}

// come returns the data of the packets that come until none does for a while.
func come(t *testing.T, s *Stream) (data []string) {
	t.Helper()
	var p Packet
	for idle := 0; ; {
		switch err := s.Next(&p); {
		case err == nil:
			if idle = 0; p.Packet != s.Capture().Packets {
				t.Errorf("packet %d is the %d. one", p.Packet, s.Capture().Packets)
			}
			data = append(data, string(p.Data))
		case errors.Is(err, io.EOF):
			return append(data, "EOF")
		case !errors.Is(err, ErrIdle):
			return append(data, err.Error())
		default:
			if idle++; idle == 3 {
				return data
			}
		}
	}
}

func send(t *testing.T, w io.Writer, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

// TestStream: packets come when they are written, whole ones only, in every
// format that a pipe may bring.
func TestStream(t *testing.T) {
	for _, row := range []struct {
		name  string
		start func(io.Writer) *Writer
	}{
		{"pcap", func(w io.Writer) *Writer { return NewPcapWriter(w, LinkRaw, 0, true) }},
		{"pcapng", func(w io.Writer) *Writer {
			p := NewPcapngWriter(w)
			p.AddInterface("wan0", LinkRaw, 0, 9)
			return p
		}},
	} {
		for _, compressed := range []bool{false, true} {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				s, pipe := openStream(t, Options{})
				var b bytes.Buffer
				flush, w := func() {}, io.Writer(&b)
				if compressed {
					z := gzip.NewWriter(&b)
					w, flush = z, func() { z.Flush() }
				}
				p := row.start(w)
				step := func(cut int, want ...string) {
					t.Helper()
					flush()
					send(t, pipe, b.Next(b.Len()-cut))
					if diff := cmp.Diff(want, come(t, s)); diff != "" {
						t.Errorf("packets (-want +got):\n%s", diff)
					}
				}
				step(0)
				if c := s.Capture(); c.Format != row.name || c.Link != LinkRaw || len(c.Interfaces) != 1 {
					t.Errorf("the head tells %+v", c)
				}
				p.WritePacket(0, 1e9, []byte("one"), 3)
				p.WritePacket(0, 2e9, []byte("two"), 3)
				step(0, "one", "two")
				p.WritePacket(0, 3e9, []byte("three"), 9)
				step(4)
				step(0, "three")
				p.WritePacket(0, 4e9, []byte("four"), 4)
				flush()
				go func() {
					pipe.Write(b.Bytes())
					pipe.Close()
				}()
				last := "EOF"
				if got := come(t, s); !slices.Equal(got, []string{"four", last}) {
					t.Errorf("at the end came %q", got)
				}
				c := s.Capture()
				if compressed != (c.Err != nil) { // its trailer is missing
					t.Errorf("error %v", c.Err)
				}
				if c.Packets != 4 || c.BytesWire != 19 || c.BytesCaptured != 15 || c.Truncated != 1 || c.First != 1e9 || c.Last != 4e9 || c.Interfaces[0].Packets != 4 {
					t.Errorf("capture %+v", c)
				}
			})
		}
	}
}

// TestStreamIsReader: at the end a Stream has told what a Reader tells of the
// file.
func TestStreamIsReader(t *testing.T) {
	files, err := filepath.Glob("*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		want, packets := read(t, path)
		s, err := OpenStream(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []Packet
		var p Packet
		for {
			err := s.Next(&p)
			if err == io.EOF {
				break
			}
			if err != nil && err != ErrIdle {
				t.Fatal(err)
			}
			if err == nil {
				p.Data = bytes.Clone(p.Data)
				got = append(got, p)
			}
		}
		if diff := cmp.Diff(want, s.Capture()); diff != "" {
			t.Errorf("%s: capture (-reader +stream):\n%s", path, diff)
		}
		if diff := cmp.Diff(packets, got); diff != "" {
			t.Errorf("%s: packets (-reader +stream):\n%s", path, diff)
		}
		s.Close()
	}
}

func read(t *testing.T, path string) (Capture, []Packet) {
	t.Helper()
	r := open(t, Options{}, path)
	var all []Packet
	var p Packet
	for r.Next(&p) == nil {
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
	return r.Captures()[0], all
}

// TestStreamInterfaces: an interface that begins later does not keep packets
// back for long, and is known with its first packet.
func TestStreamInterfaces(t *testing.T) {
	s, pipe := openStream(t, Options{})
	var b bytes.Buffer
	p := NewPcapngWriter(&b)
	p.AddInterface("edge0", LinkEthernet, 0, 9)
	p.AddInterface("wan0", LinkEthernet, 0, 9)
	p.WritePacket(0, 1e9, []byte("one"), 3)
	p.WritePacket(1, 2e9, []byte("two"), 3)
	p.WritePacket(0, 3e9, []byte("three"), 5)
	send(t, pipe, b.Bytes())
	begun := time.Now()
	var got []string
	for len(got) < 3 && time.Since(begun) < 20*time.Second {
		got = append(got, come(t, s)...)
	}
	if took := time.Since(begun); !slices.Equal(got, []string{"one", "two", "three"}) || took > lookTime+5*time.Second {
		t.Errorf("%q after %v", got, took)
	}
	if c := s.Capture(); c.Interfaces[0].Tap != 1 || c.Interfaces[1].Tap != 2 {
		t.Errorf("interfaces %+v", c.Interfaces)
	}
}

// TestStreamStops: Stop gives out what has come, and Close gives all back,
// whatever is waited for.
func TestStreamStops(t *testing.T) {
	before := runtime.NumGoroutine()
	var b bytes.Buffer
	p := NewPcapWriter(&b, LinkRaw, 0, true)
	head := b.Len()
	p.WritePacket(0, 1e9, []byte("one"), 3)
	all := b.Len()
	p.WritePacket(0, 2e9, []byte("two"), 3)
	for _, row := range []struct {
		name  string
		bytes int
		want  []string
	}{
		{"nothing", 0, []string{"EOF"}}, {"half a header", 10, []string{"EOF"}}, {"a header", head, []string{"EOF"}},
		{"a packet", all, []string{"one", "EOF"}}, {"a packet and a half", all + 18, []string{"one", "EOF"}},
	} {
		s, pipe := openStream(t, Options{})
		if row.bytes > 0 {
			send(t, pipe, b.Bytes()[:row.bytes])
		}
		s.Stop()
		s.Stop()
		if got := come(t, s); !slices.Equal(got, row.want) || s.Capture().Err != nil {
			t.Errorf("%s: %q, %v", row.name, got, s.Capture().Err)
		}
		s.Close()
		pipe.Close()

		s, pipe = openStream(t, Options{})
		if row.bytes > 0 {
			send(t, pipe, b.Bytes()[:row.bytes])
		}
		s.Close()
		pipe.Close()
	}
	for give := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(give) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestStreamIsBounded: who does not take packets keeps the writer waiting, and
// Stop ends a flood.
func TestStreamIsBounded(t *testing.T) {
	s, pipe := openStream(t, Options{})
	var b bytes.Buffer
	p := NewPcapWriter(&b, LinkRaw, 0, true)
	send(t, pipe, b.Bytes())
	b.Reset()
	p.WritePacket(0, 1e9, make([]byte, 60_000), 60_000)
	written := make(chan int, 1)
	go func() {
		n := 0
		for ; ; n++ {
			if _, err := pipe.Write(b.Bytes()); err != nil {
				break
			}
			select {
			case <-written:
			default:
			}
			written <- n + 1
		}
	}()
	last := 0
	for {
		time.Sleep(300 * time.Millisecond)
		select {
		case last = <-written:
			continue
		default:
		}
		break
	}
	if most := int(LiveWaiting(1)+2*liveBatchBytes+(aheadBlocks+2)*chunkMax) / 60_000; last > most {
		t.Errorf("%d packets were taken, want %d at most", last, most)
	}
	s.Stop()
	var q Packet
	for give := time.Now().Add(10 * time.Second); ; {
		if err := s.Next(&q); errors.Is(err, io.EOF) {
			break
		}
		if time.Now().After(give) {
			t.Fatal("it goes on after Stop")
		}
	}
	if n := s.Capture().Packets; n < int64(last)-int64(aheadBlocks+2)*chunkMax/60_000-1 {
		t.Errorf("%d packets came, %d were taken before Stop", n, last)
	}
}

// TestOpenStream: what cannot be read, and who says so.
func TestOpenStream(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct{ path, opens, reads string }{
		{filepath.Join(dir, "none"), filepath.Join(dir, "none") + ": no such file or directory", ""},
		{filepath.Join(dir, "no*"), filepath.Join(dir, "no*") + ": no such file or directory", ""},
		{dir, dir + ": it is a folder, which grows by files: `mapiscope report` reads it", ""},
		{file(t, "empty", nil), "", "not a packet capture: it is empty"},
		{file(t, "text", []byte("hello\n")), "", "not a packet capture"},
	} {
		s, err := OpenStream(row.path, Options{})
		if row.opens != "" {
			var open *OpenError
			if err == nil || err.Error() != row.opens || !errors.As(err, &open) {
				t.Errorf("opening %s: %v", row.path, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var p Packet
		for err = s.Next(&p); errors.Is(err, ErrIdle); err = s.Next(&p) {
		}
		if open := new(OpenError); !errors.As(err, &open) || !errors.Is(err, ErrNotCapture) || !bytes.Contains([]byte(err.Error()), []byte(row.reads)) {
			t.Errorf("reading %s: %v", row.path, err)
		}
		s.Close()
	}
}
