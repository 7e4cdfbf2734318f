package run

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"mapiscope/pcaps"
)

// watchedReader measures the live heap while more input is wanted.
type watchedReader struct {
	in    io.Reader
	reads int
	peak  int64
}

func (r *watchedReader) Read(b []byte) (int, error) {
	// Some decoders read a few bytes at a time.
	if r.reads++; r.reads%32 == 1 {
		r.peak = max(r.peak, liveHeap())
	}
	return r.in.Read(b[:min(len(b), 512)])
}

// TestDecompressionBombs reads inputs that are a thousand times as large as
// they look. Time goes with what comes out; memory does not.
func TestDecompressionBombs(t *testing.T) {
	head := func() []byte {
		var b bytes.Buffer
		w := pcaps.NewPcapWriter(&b, pcaps.LinkEthernet, 0, true)
		if err := w.WritePacket(0, 1e18, make([]byte, 60), 60); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}()
	record := func(captured uint32) []byte {
		b := binary.LittleEndian.AppendUint32(nil, 1e9)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint32(b, captured)
		return binary.LittleEndian.AppendUint32(b, captured)
	}
	size := scaled(20<<20, 64<<20, 1<<30)
	zipped := func(w io.WriteCloser, out *bytes.Buffer, parts ...[]byte) []byte {
		zeros := make([]byte, 1<<20)
		for _, p := range append([][]byte{head}, parts...) {
			if _, err := w.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		for range size >> 20 {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	gz := func(parts ...[]byte) []byte {
		var out bytes.Buffer
		return zipped(gzip.NewWriter(&out), &out, parts...)
	}
	zst := func(window int, parts ...[]byte) []byte {
		var out bytes.Buffer
		w, err := zstd.NewWriter(&out, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		return zipped(w, &out, parts...)
	}
	// A frame that wants a window of 2 GiB: magic, descriptor, window, and a
	// raw block of one byte.
	claim := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 9, 0, 0, 0}
	tests := []struct {
		name    string
		input   []byte
		packets int64 // 0: the input is no capture
		damaged bool
		heap    int64
	}{
		{"gzip, empty records without end", gz(), int64(1 + size/16), false, 2 << 20},
		{"zstd, empty records without end", zst(1 << 20), int64(1 + size/16), false, 8 << 20},
		{"zstd, a window of 8 MiB", zst(8 << 20), int64(1 + size/16), false, 20 << 20},
		{"zstd, a window of 64 MiB", zst(64 << 20), 0, true, 2 << 20},
		{"gzip, a record of 16 MiB", gz(record(16 << 20)), int64(2 + (size-16<<20)/16), false, 36 << 20},
		{"gzip, a record of 4 GiB", gz(record(1<<32 - 1)), 1, true, 2 << 20},
		{"zstd, a window of 2 GiB", claim, 0, true, 2 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := liveHeap()
			in := &watchedReader{in: bytes.NewReader(tt.input)}
			doc, err := Run(context.Background(), Config{Paths: []string{"-"}, Stdin: in, Workers: 1, MaxMemory: floodMemory})
			if tt.packets == 0 {
				if err == nil {
					t.Errorf("it was read: %+v", doc.Captures[0])
				}
			} else if err != nil {
				t.Fatal(err)
			} else if c := doc.Captures[0]; c.Packets != tt.packets || (c.Error != nil) != tt.damaged {
				t.Errorf("%d packets, want %d; error %v", c.Packets, tt.packets, c.Error)
			}
			heap := in.peak - before
			t.Logf("%d bytes of input, heap %.1f MiB", len(tt.input), mib(heap))
			if heap > tt.heap {
				t.Errorf("the live heap grew by %.1f MiB, more than %.1f", mib(heap), mib(tt.heap))
			}
		})
	}
}
