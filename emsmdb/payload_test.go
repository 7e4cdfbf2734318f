package emsmdb

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
)

// headerSeeds are arrays that begin with an RPC_HEADER_EXT.
var headerSeeds = []struct {
	name string
	hex  string
	want header
	rest string // the payload, as sent
	err  error
}{
	{"plain, last", "0000 0400 0300 0300  616263", header{0, 4, 3, 3}, "abc", nil},
	{"plain, another follows", "0000 0000 0100 0100  61  0000", header{0, 0, 1, 1}, "a", nil},
	{"obfuscated", "0000 0600 0200 0200  c4c7", header{0, 6, 2, 2}, "\xc4\xc7", nil},
	{"compressed, obfuscated", "0000 0700 0200 0300  c4c7", header{0, 7, 2, 3}, "\xc4\xc7", nil},
	{"compressed to nothing", "0000 0500 0000 0100", header{0, 5, 0, 1}, "", nil},
	{"empty", "0000 0400 0000 0000", header{0, 4, 0, 0}, "", nil},
	{"largest", "0000 0500 fe00 ffff" + strings.Repeat("00", 254), header{0, 5, 254, 0xffff}, strings.Repeat("\x00", 254), nil},
	{"version 1", "0100 0400 0000 0000", header{1, 4, 0, 0}, "", errHeader},
	{"unknown flag", "0000 0c00 0000 0000", header{0, 12, 0, 0}, "", errHeader},
	{"size beyond the array", "0000 0400 0300 0300  6162", header{0, 4, 3, 3}, "", errHeader},
	{"compressed to the same size", "0000 0500 0200 0200  6162", header{0, 5, 2, 2}, "", errSizes},
	{"compressed to more", "0000 0500 0200 0100  6162", header{0, 5, 2, 1}, "", errSizes},
	{"not compressed, two sizes", "0000 0400 0200 0300  6162", header{0, 4, 2, 3}, "", errSizes},
	{"cut", "0000 0400 0000 00", header{}, "", errHeader},
	{"nothing", "", header{}, "", errHeader},
}

func TestParseHeader(t *testing.T) {
	for _, c := range headerSeeds {
		t.Run(c.name, func(t *testing.T) {
			h, payload, err := parseHeader(unhex(t, c.hex))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, h); diff != "" || string(payload) != c.rest {
				t.Errorf("payload %q, want %q; (-want +got):\n%s", payload, c.rest, diff)
			}
		})
	}
}

// FuzzHeader: a header that is accepted fits its array and does not contradict
// itself, and what it opens to is as long as it says.
func FuzzHeader(f *testing.F) {
	for _, c := range headerSeeds {
		f.Add(unhex(f, c.hex))
	}
	f.Add(pcaptest.Packed(words(rand.New(rand.NewPCG(5, 5)), 900)))
	f.Fuzz(func(t *testing.T, array []byte) {
		h, payload, err := parseHeader(array)
		if err != nil {
			if payload != nil {
				t.Fatalf("%v, yet a payload of %d bytes", err, len(payload))
			}
			return
		}
		if len(payload) != int(h.Size) || headerSize+len(payload) > len(array) || h.Size > h.SizeActual {
			t.Fatalf("%+v with a payload of %d in %d bytes", h, len(payload), len(array))
		}
		before := bytes.Clone(array)
		text := new(clearText)
		got, err := text.open(h, payload)
		if len(got) > int(h.SizeActual) || err == nil && len(got) != int(h.SizeActual) {
			t.Fatalf("opened to %d bytes, %v; SizeActual is %d", len(got), err, h.SizeActual)
		}
		if !bytes.Equal(before, array) {
			t.Fatal("the array was written to")
		}
	})
}

func TestUnxor(t *testing.T) {
	src := make([]byte, 70)
	for i := range src {
		src[i] = byte(i * 7)
	}
	for n := range src {
		dst := bytes.Repeat([]byte{0xee}, 80)
		unxor(dst, src[:n])
		for i := range dst {
			want := byte(0xee)
			if i < n {
				want = src[i] ^ 0xa5
			}
			if dst[i] != want {
				t.Fatalf("%d bytes: byte %d is %#x, want %#x", n, i, dst[i], want)
			}
		}
	}
}

func TestOpen(t *testing.T) {
	clear := words(rand.New(rand.NewPCG(8, 8)), 3000)
	packed := pcaptest.Compress(clear)
	for _, c := range []struct {
		name  string
		array []byte
		err   error
	}{
		{"plain", pcaptest.Plain(clear), nil},
		{"obfuscated", pcaptest.Xored(clear), nil},
		{"compressed", pcaptest.HeaderExt(pcaptest.ExtCompressed|pcaptest.ExtLast, packed, len(clear)), nil},
		// The sender compresses first, so the receiver undoes the XOR first.
		{"compressed, then obfuscated", pcaptest.Packed(clear), nil},
		{"compressed to less than stated", pcaptest.HeaderExt(pcaptest.ExtCompressed|pcaptest.ExtLast, packed, len(clear)+1), errExhausted},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, payload, err := parseHeader(c.array)
			if err != nil {
				t.Fatal(err)
			}
			got, err := new(clearText).open(h, payload)
			if c.err == nil && (err != nil || !bytes.Equal(got, clear)) {
				t.Errorf("%d bytes, %v, want %d", len(got), err, len(clear))
			}
			if c.err != nil && err == nil {
				t.Errorf("no error, want one as %v", c.err)
			}
		})
	}
}

func TestSplitBuffer(t *testing.T) {
	for _, c := range []struct {
		name, hex     string
		list, handles int
		ok            bool
	}{
		{"no ROP, no handle", "0200", 0, 0, true},
		{"no ROP, one handle", "0200 01000000", 0, 4, true},
		{"a ROP and two handles", "0500 010000 01000000 ffffffff", 3, 8, true},
		{"size below itself", "0100", 0, 0, false},
		{"size beyond the payload", "0600 010000", 0, 0, false},
		{"half a handle", "0200 0100", 0, 0, false},
		{"one byte", "02", 0, 0, false},
		{"nothing", "", 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, ok := splitBuffer(unhex(t, c.hex))
			if ok != c.ok || len(b.list) != c.list || len(b.handles) != c.handles {
				t.Errorf("%v, list of %d, handles of %d bytes", ok, len(b.list), len(b.handles))
			}
		})
	}
}
