package pcaps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
)

// TestAhead reads through a goroutine what a reader gives piece by piece, and
// gets the same bytes and the same error.
func TestAhead(t *testing.T) {
	data := make([]byte, 100_000)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	broke := errors.New("broke")
	for _, tt := range []struct {
		name string
		r    func() io.Reader
		err  error
	}{
		{"whole blocks", func() io.Reader { return bytes.NewReader(data) }, nil},
		{"one byte at a time", func() io.Reader { return iotest.OneByteReader(bytes.NewReader(data)) }, nil},
		{"the end with the last bytes", func() io.Reader { return iotest.DataErrReader(bytes.NewReader(data)) }, nil},
		{"an error with the last bytes", func() io.Reader {
			return iotest.DataErrReader(io.MultiReader(bytes.NewReader(data), failed{broke}))
		}, broke},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAhead(tt.r(), 1000)
				got, err := io.ReadAll(a)
				if !bytes.Equal(got, data) || err != tt.err {
					t.Errorf("%d bytes and %v, want %d and %v", len(got), err, len(data), tt.err)
				}
				if _, err := a.Read(make([]byte, 1)); err == nil {
					t.Error("no error behind the end")
				}
				a.Close()
			})
		})
	}
}

// TestReadAheadChangesNothing reads compressed captures, and several at once,
// with and without goroutines, to the end and not, and leaves none behind.
func TestReadAheadChangesNothing(t *testing.T) {
	plain := benchCapture(false)[:2<<20]
	gz, zs := gzipped(t, plain), zstded(t, plain)
	for _, tt := range []struct {
		name  string
		files [][]byte
	}{
		{"gzip", [][]byte{gz}},
		{"zstd", [][]byte{zs}},
		{"gzip, cut off", [][]byte{gz[:len(gz)/2]}},
		{"zstd, cut off", [][]byte{zs[:len(zs)/2]}},
		{"three", [][]byte{plain, zs, gz}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var paths []string
			for i, b := range tt.files {
				paths = append(paths, file(t, string(rune('a'+i)), b))
			}
			run := func(alone bool, stop int) (packets int, sum uint64, errs []string) {
				r := &Reader{chunk: chunkMin}
				defer r.Close()
				if alone {
					// As the standard input, of which each of them is one.
					for i, b := range tt.files {
						s := &source{capture: Capture{Path: "-"}, index: int32(i)}
						r.sources = append(r.sources, s)
						if err := openSource(s, &r.meter, &Options{Stdin: bytes.NewReader(b)}, chunkMin); err != nil {
							t.Fatal(err)
						}
					}
				} else if err := r.open(paths); err != nil {
					t.Fatal(err)
				}
				for p := (Packet{}); packets != stop && r.Next(&p) == nil; packets++ {
					for _, b := range p.Data {
						sum = sum*31 + uint64(b)
					}
					sum = sum*31 + uint64(p.Time) + uint64(p.Capture)
				}
				for _, c := range r.Captures() {
					if c.Err != nil {
						errs = append(errs, c.Err.Error())
					}
				}
				return packets, sum, errs
			}
			type result struct {
				Packets int
				Sum     uint64
				Errors  []string
			}
			for _, stop := range []int{0, 1, 700, -1} {
				var want, got result
				want.Packets, want.Sum, want.Errors = run(true, stop)
				synctest.Test(t, func(t *testing.T) {
					got.Packets, got.Sum, got.Errors = run(false, stop)
				})
				if stop == -1 && want.Packets < 100 {
					t.Fatalf("only %d packets", want.Packets)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("stopped after %d packets (-alone +ahead):\n%s", stop, d)
				}
			}
		})
	}
}

// TestDone gives up the wait for a pipe at every byte of a capture: what came
// until then was read, and no goroutine is left once the pipe is closed.
func TestDone(t *testing.T) {
	data := benchCapture(false)[:3000]
	whole := packetsOf(t, data)
	for _, n := range []int{0, 1, 23, 24, 40, 100, 2000, len(data)} {
		for _, name := range []string{"plain", "gzip"} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					in, out := io.Pipe()
					done := make(chan struct{})
					go func() {
						b := data[:n]
						if name == "gzip" {
							var z bytes.Buffer
							w := gzip.NewWriter(&z)
							w.Write(b)
							w.Flush()
							b = z.Bytes()
						}
						out.Write(b)
						time.Sleep(time.Second)
						close(done)
					}()
					r, err := Open([]string{"-"}, Options{Stdin: in, Done: done})
					if err != nil {
						t.Fatal(err)
					}
					var p Packet
					got := 0
					for r.Next(&p) == nil {
						got++
					}
					if c := r.Captures()[0]; c.Err != ErrStopped || c.Packets != int64(got) {
						t.Errorf("%+v", c)
					}
					if want := packetsIn(whole, n); got != want {
						t.Errorf("%d packets, want %d", got, want)
					}
					cause := errors.New("why")
					r.Stop(cause)
					if c := r.Captures()[0]; c.Err != cause {
						t.Errorf("%v", c.Err)
					}
					if err := r.Close(); err != nil {
						t.Error(err)
					}
					in.Close()
				})
			})
		}
	}
}

// packetsOf returns where each packet of a pcap file ends.
func packetsOf(t *testing.T, data []byte) (ends []int) {
	t.Helper()
	for at := 24; at+16 <= len(data); {
		at += 16 + int(binary.LittleEndian.Uint32(data[at+8:]))
		ends = append(ends, at)
	}
	return ends
}

// packetsIn counts the packets in the first n bytes.
func packetsIn(ends []int, n int) (whole int) {
	for _, end := range ends {
		if end <= n {
			whole++
		}
	}
	return whole
}
