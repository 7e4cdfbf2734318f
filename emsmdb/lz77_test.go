package emsmdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mapiscope/internal/pcaptest"
)

// plainLZ77 is the description of the coding turned into the plainest code:
// one bit, one byte at a time, growing its output. ok is false when the input
// is no such coding of size bytes.
func plainLZ77(in []byte, size int) (out []byte, ok bool) {
	pos, bits, half := 0, []bool(nil), -1
	read := func() (byte, bool) {
		if pos >= len(in) {
			return 0, false
		}
		pos++
		return in[pos-1], true
	}
	number := func(bytes int) (uint64, bool) {
		v := uint64(0)
		for i := range bytes {
			b, ok := read()
			if !ok {
				return 0, false
			}
			v |= uint64(b) << (8 * i)
		}
		return v, true
	}
	for len(out) < size {
		if len(bits) == 0 {
			word, ok := number(4)
			if !ok {
				return out, false
			}
			for i := 31; i >= 0; i-- {
				bits = append(bits, word>>i&1 == 1)
			}
		}
		match := bits[0]
		bits = bits[1:]
		if !match {
			b, ok := read()
			if !ok {
				return out, false
			}
			out = append(out, b)
			continue
		}
		m, ok := number(2)
		if !ok {
			return out, false
		}
		distance, length := int(m>>3)+1, m&7+3
		if m&7 == 7 {
			var nibble byte
			if half < 0 {
				half = pos
				b, ok := read()
				if !ok {
					return out, false
				}
				nibble = b & 15
			} else {
				nibble = in[half] >> 4
				half = -1
			}
			length = uint64(nibble) + 10
			if nibble == 15 {
				b, ok := read()
				if !ok {
					return out, false
				}
				length = uint64(b) + 25
				if b == 255 {
					w, ok := number(2)
					if ok && w == 0 {
						w, ok = number(4)
					}
					if !ok || w < 22 {
						return out, false
					}
					length = w + 3
				}
			}
		}
		if distance > len(out) {
			return out, false
		}
		for range length {
			if len(out) == size {
				return out, false
			}
			out = append(out, out[len(out)-distance])
		}
	}
	return out, true
}

// lz77Seeds are streams of every form, with the size of what they stand for.
var lz77Seeds = []struct {
	name string
	hex  string
	size int
	want string // of the output, "" where it is an error
	err  error
}{
	{"nothing", "", 0, "", nil},
	{"literals", `
		ffffff1f          // 3 literals, then ones that mean nothing
		61 62 63`, 3, "abc", nil},
	{"overlap", `
		ffffff7f          // a literal, a match
		78
		0600              // distance 1, length 6 + 3`, 10, "xxxxxxxxxx", nil},
	{"shared nibble", `
		ffffff7f
		78
		0700              // distance 1, long
		02                // nibble byte: low half 2: length 12; the high half 0 is for the next
		0700              // long: length 10, no byte read`, 23, strings.Repeat("x", 23), nil},
	{"extra byte", `
		ffffff7f
		78
		0700
		0f                // low half 15
		07                // length 7 + 25`, 33, strings.Repeat("x", 33), nil},
	{"16-bit length", `
		ffffff7f
		78
		0700
		0f ff
		2c01              // length 300 + 3`, 304, strings.Repeat("x", 304), nil},
	{"32-bit length", `
		ffffff7f
		78
		0700
		0f ff
		0000
		2c010000          // length 300 + 3`, 304, strings.Repeat("x", 304), nil},
	{"flag word cut", "ffff", 3, "", errExhausted},
	{"literal missing", "ffffff1f 61", 3, "", errExhausted},
	{"match cut", "ffffff7f 78 07", 9, "", errExhausted},
	{"nibble missing", "ffffff7f 78 0700", 30, "", errExhausted},
	{"extra byte missing", "ffffff7f 78 0700 0f", 30, "", errExhausted},
	{"16-bit length cut", "ffffff7f 78 0700 0f ff 2c", 30, "", errExhausted},
	{"32-bit length cut", "ffffff7f 78 0700 0f ff 0000 2c01", 30, "", errExhausted},
	{"distance before the output", "ffffff7f 78 0800", 30, "", errDistance},
	{"match at once", "ffffffff 0000", 30, "", errDistance},
	{"longer than the output", "ffffff7f 78 0600", 5, "", errLength},
	{"16-bit length too small", "ffffff7f 78 0700 0f ff 1500", 30, "", errLength},
	{"32-bit length too large", "ffffff7f 78 0700 0f ff 0000 ffffffff", 30, "", errLength},
}

func TestDecompress(t *testing.T) {
	for _, c := range lz77Seeds {
		t.Run(c.name, func(t *testing.T) {
			dst := make([]byte, c.size)
			n, err := decompress(dst, unhex(t, c.hex))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil && string(dst[:n]) != c.want {
				t.Errorf("%q, want %q", dst[:n], c.want)
			}
			if want, _ := plainLZ77(unhex(t, c.hex), c.size); !bytes.Equal(dst[:n], want) {
				t.Errorf("%q before the error, want %q", dst[:n], want)
			}
		})
	}
}

// TestDecompressLimits checks the limits of the fields: the largest distance,
// and lengths at each step of the coding.
func TestDecompressLimits(t *testing.T) {
	far := append([]byte("needle in"), bytes.Repeat([]byte{0}, 8192-9)...)
	far = append(far, "needle in"...)
	if n := len(pcaptest.Compress(far)); n > 100 {
		t.Fatalf("the match over 8192 bytes was not taken: %d bytes", n)
	}
	inputs := map[string][]byte{"distance 8192": far}
	for _, n := range []int{3, 9, 10, 24, 25, 279, 280, 281, 65535 - 1} {
		inputs[fmt.Sprint("run of ", n)] = bytes.Repeat([]byte{7}, n+1)
	}
	for name, want := range inputs {
		packed := pcaptest.Compress(want)
		got := make([]byte, len(want))
		if n, err := decompress(got, packed); err != nil || n != len(want) || !bytes.Equal(got, want) {
			t.Errorf("%s: %d of %d bytes, %v", name, n, len(want), err)
		}
		for cut := range packed[:len(packed)-1] {
			if cut >= 4 && len(packed)-cut < 5 {
				continue // the last flag word may hold nothing but ones
			}
			if n, err := decompress(make([]byte, len(want)), packed[:cut]); err == nil && n == len(want) {
				t.Errorf("%s: whole after %d of %d bytes", name, cut, len(packed))
			}
		}
	}
}

// words makes text that compresses.
func words(rng *rand.Rand, n int) []byte {
	list := []string{"folder", "message", "/o=ORG/ou=SITE/cn=Recipients/cn=", "\x00\x00\x00\x00", "IPM.Note", "\x1f\x00\x37\x00"}
	var b []byte
	for len(b) < n {
		if rng.IntN(4) == 0 {
			b = binary.LittleEndian.AppendUint32(b, rng.Uint32())
			continue
		}
		b = append(b, list[rng.IntN(len(list))]...)
	}
	return b[:n]
}

func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 2))
	for n := range 600 {
		want := words(rng, n)
		got := make([]byte, n)
		if m, err := decompress(got, pcaptest.Compress(want)); err != nil || m != n || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %d came back, %v", n, m, err)
		}
	}
}

// FuzzDecompress: never more than the size that the header states, no hang,
// and the same bytes and verdict as the plain description.
func FuzzDecompress(f *testing.F) {
	for _, c := range lz77Seeds {
		f.Add(unhex(f, c.hex), uint16(c.size))
	}
	f.Add(pcaptest.Compress(words(rand.New(rand.NewPCG(1, 1)), 2000)), uint16(2000))
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		dst := bytes.Repeat([]byte{0xee}, int(size)+8)
		n, err := decompress(dst[:size], in)
		if n > int(size) || (err == nil) != (n == int(size)) && !errors.Is(err, errLength) {
			t.Fatalf("%d of %d bytes, %v", n, size, err)
		}
		if !bytes.Equal(dst[size:], bytes.Repeat([]byte{0xee}, 8)) {
			t.Fatal("wrote past the output")
		}
		want, ok := plainLZ77(in, int(size))
		if ok != (err == nil) || !bytes.Equal(dst[:n], want) {
			t.Fatalf("%d bytes, %v; the plain description says %d bytes, %v", n, err, len(want), ok)
		}
	})
}
