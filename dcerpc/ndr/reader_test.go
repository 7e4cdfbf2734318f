package ndr

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

// unhex reads hex with blanks and // comments between.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "//")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// layout is one read of everything that a Reader can read.
type layout struct {
	U8         uint8
	U16        uint16
	U32        uint32
	U64        uint64
	Pointer    uint64
	UUID       wire.UUID
	Handle     [20]byte
	Conformant string
	Varying    string
	Both       string
	Name       string
	Wide       string
	OK         bool
	Left       int
}

func readLayout(r *Reader) layout {
	return layout{
		U8: r.Uint8(), U16: r.Uint16(), U32: r.Uint32(), U64: r.Uint64(),
		Pointer: r.Pointer(), UUID: r.UUID(), Handle: r.ContextHandle(),
		Conformant: string(r.ConformantBytes(3)), Varying: string(r.VaryingBytes(2)),
		Both: string(r.ConformantVaryingBytes(-1)), Name: string(r.String8(4)), Wide: string(r.String16(3)),
		OK: r.OK(), Left: r.Len(),
	}
}

var id = wire.MustUUID("a4f1db00-ca47-1067-b31f-00dd010662da")

var layouts = []struct {
	name   string
	order  wire.Order
	syntax Syntax
	stub   string
}{
	{"NDR little endian", wire.LittleEndian, NDR32, `
		01 ff 0302                    // small, padding, short
		07060504                      // long
		0f0e0d0c0b0a0908              // hyper at 8
		00000200                      // referent
		00dbf1a4 47ca 6710 b31f00dd010662da
		00000000 00dbf1a4 47ca 6710 b31f00dd010662da
		03000000 616263 ff            // max_count 3, abc, padding
		01000000 02000000 6465 ffff   // offset 1, count 2, de
		09000000 04000000 01000000 66 ffffff  // max 9, offset 4, count 1, f
		04000000 00000000 04000000 67680000   // string gh, NUL twice
		03000000 00000000 02000000 6900 0000  // wide string i
	`},
	{"NDR big endian", wire.BigEndian, NDR32, `
		01 ff 0203
		04050607
		08090a0b0c0d0e0f
		00020000
		a4f1db00 ca47 1067 b31f00dd010662da
		00000000 00dbf1a4 47ca 6710 b31f00dd010662da  // handles stay as they are
		00000003 616263 ff
		00000001 00000002 6465 ffff
		00000009 00000004 00000001 66 ffffff
		00000004 00000000 00000004 67680000
		00000003 00000000 00000002 6900 0000
	`},
	{"NDR64", wire.LittleEndian, NDR64, `
		01 ff 0302
		07060504
		0f0e0d0c0b0a0908
		0000020000000000              // referent at 16
		00dbf1a4 47ca 6710 b31f00dd010662da
		00000000 00dbf1a4 47ca 6710 b31f00dd010662da  // handle at 40, ends at 60
		ffffffff 0300000000000000 616263 ffffffffff
		0100000000000000 0200000000000000 6465 ffffffffffff
		0900000000000000 0400000000000000 0100000000000000 66 ffffffffffffff
		0400000000000000 0000000000000000 0400000000000000 67680000 ffffffff
		0300000000000000 0000000000000000 0200000000000000 6900 0000
	`},
}

func TestReader(t *testing.T) {
	handle := [20]byte(unhex(t, "00000000 00dbf1a4 47ca 6710 b31f00dd010662da"))
	want := layout{
		U8: 1, U16: 0x0203, U32: 0x04050607, U64: 0x08090a0b0c0d0e0f, Pointer: 0x20000, UUID: id, Handle: handle,
		Conformant: "abc", Varying: "de", Both: "f", Name: "gh", Wide: "i\x00", OK: true,
	}
	for _, tt := range layouts {
		t.Run(tt.name, func(t *testing.T) {
			stub := unhex(t, tt.stub)
			r := NewReader(stub, tt.order, tt.syntax)
			if d := cmp.Diff(want, readLayout(&r)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if r.Offset() != len(stub) || r.Syntax() != tt.syntax {
				t.Errorf("Offset = %d of %d, Syntax = %v", r.Offset(), len(stub), r.Syntax())
			}
			for n := range stub {
				r := NewReader(stub[:n:n], tt.order, tt.syntax)
				if got := readLayout(&r); got.OK || got.Wide != "" || got.Left != 0 {
					t.Fatalf("cut to %d bytes: %+v", n, got)
				}
			}
		})
	}
}

// TestBounds has the counts that a stub cannot keep, and those at the limit.
func TestBounds(t *testing.T) {
	conformant := func(r *Reader) any { return string(r.ConformantBytes(4)) }
	both := func(r *Reader) any { return string(r.ConformantVaryingBytes(-1)) }
	extent := func(r *Reader) any { return r.ConformantVarying(4) }
	elements := func(r *Reader) any { return r.Conformant(4) }
	wide := func(r *Reader) any { return string(r.String16(2)) }
	tests := []struct {
		name   string
		syntax Syntax
		stub   string
		read   func(*Reader) any
		want   any
		ok     bool
	}{
		{"as many as the limit", NDR32, "04000000 61626364", conformant, "abcd", true},
		{"more than the limit", NDR32, "05000000 6162636465", conformant, "", false},
		{"more than the stub", NDR32, "04000000 616263", conformant, "", false},
		{"most that a count can say", NDR32, "ffffffff 61", conformant, "", false},
		{"most that a long count can say", NDR64, "ffffffffffffffff 61", conformant, "", false},
		{"negative as int64", NDR64, "0000000000000080 61", conformant, "", false},
		{"none", NDR32, "00000000", conformant, "", true},
		{"slice at the end of the array", NDR32, "05000000 04000000 01000000 65", both, "e", true},
		{"slice behind the array", NDR32, "05000000 04000000 02000000 6566", both, "", false},
		{"offset behind the array", NDR32, "05000000 06000000 00000000", both, "", false},
		{"offset and count that overflow", NDR64, "0500000000000000 ffffffffffffffff 0200000000000000 6566", both, "", false},
		{"large array, small part", NDR32, "f4010000 00000000 01000000 61626364", extent, Extent{500, 0, 1}, true},
		{"elements that do not fit", NDR32, "f4010000 00000000 02000000 61626364 616263", extent, Extent{}, false},
		{"elements that fit", NDR32, "02000000 61626364 61626364", elements, 2, true},
		{"elements one byte short", NDR32, "02000000 61626364 616263", elements, 0, false},
		{"wide characters at the limit", NDR32, "02000000 00000000 02000000 61006200", wide, "a\x00b\x00", true},
		{"wide characters above the limit", NDR32, "03000000 00000000 03000000 610062006300", wide, "", false},
		{"half a wide character", NDR32, "02000000 00000000 02000000 610062", wide, "", false},
		{"string of a fixed array", NDR32, "00000000 03000000 610063", func(r *Reader) any { return string(r.VaryingString8(64)) }, "a", true},
		{"pointer, then its alignment", NDR64, "01 ffffffffffffff 0200000000000000 03", func(r *Reader) any {
			r.Uint8()
			r.AlignPointer()
			return r.Pointer() + uint64(r.Uint8())
		}, uint64(5), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(unhex(t, tt.stub), wire.LittleEndian, tt.syntax)
			if got := tt.read(&r); got != tt.want || r.OK() != tt.ok {
				t.Errorf("got %v, OK %v; want %v, %v", got, r.OK(), tt.want, tt.ok)
			}
		})
	}
}

func TestBadStaysBad(t *testing.T) {
	r := NewReader(make([]byte, 64), wire.LittleEndian, NDR32)
	r.Skip(4)
	r.Fail()
	if got := readLayout(&r); got != (layout{}) {
		t.Errorf("a bad Reader reads %+v", got)
	}
	if r.Rest() != nil || r.Bytes(1) != nil {
		t.Error("a bad Reader gives bytes")
	}
}

func TestSyntaxString(t *testing.T) {
	if NDR32.String() != "NDR" || NDR64.String() != "NDR64" {
		t.Errorf("%v, %v", NDR32, NDR64)
	}
}

func TestReaderDoesNotAllocate(t *testing.T) {
	stub := unhex(t, layouts[0].stub)
	if got := testing.AllocsPerRun(100, func() { readAll(stub, wire.LittleEndian, NDR32) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// readAll reads the layout without copying what it reads.
func readAll(stub []byte, order wire.Order, syntax Syntax) (slices [5][]byte, r Reader) {
	r = NewReader(stub, order, syntax)
	r.Uint8()
	r.Uint16()
	r.Uint32()
	r.Uint64()
	r.Pointer()
	r.UUID()
	r.ContextHandle()
	return [5][]byte{r.ConformantBytes(-1), r.VaryingBytes(-1), r.ConformantVaryingBytes(-1), r.String8(-1), r.String16(-1)}, r
}

// FuzzNDR checks on any stub that slices lie in the stub in the order in
// which they were read, and that a bad Reader has nothing left.
func FuzzNDR(f *testing.F) {
	for _, tt := range layouts {
		f.Add(unhex(f, tt.stub), bool(tt.order), tt.syntax == NDR64)
	}
	f.Fuzz(func(t *testing.T, stub []byte, big, wide bool) {
		syntax := NDR32
		if wide {
			syntax = NDR64
		}
		slices, r := readAll(stub, wire.Order(big), syntax)
		total := 0
		for _, b := range slices {
			total += len(b)
		}
		if r.Offset() > len(stub) || total > r.Offset() {
			t.Errorf("read %d bytes, returned %d, of %d", r.Offset(), total, len(stub))
		}
		if !r.OK() && (r.Len() != 0 || r.Uint8() != 0) {
			t.Error("a bad Reader reads on")
		}
		if r.OK() && r.Offset()+r.Len() != len(stub) {
			t.Errorf("%d read and %d left of %d", r.Offset(), r.Len(), len(stub))
		}
	})
}

// BenchmarkRpcExt2 reads the fields around the ROP buffer of an EcDoRpcExt2
// request.
func BenchmarkRpcExt2(b *testing.B) {
	stub := make([]byte, 20+4+4+16384+16)
	stub[25] = 0x40 // max_count 0x4000
	b.ReportAllocs()
	b.SetBytes(int64(len(stub)))
	for b.Loop() {
		r := NewReader(stub, wire.LittleEndian, NDR32)
		r.ContextHandle()
		r.Uint32()
		in := r.ConformantBytes(0x40000)
		r.Uint32()
		r.Uint32()
		if len(in) != 16384 || !r.OK() {
			b.Fatal("not read")
		}
	}
}
