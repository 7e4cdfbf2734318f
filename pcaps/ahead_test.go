package pcaps

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
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
