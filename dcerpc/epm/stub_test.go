package epm

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/wire"
)

// captured returns a stub of testdata/stubs.txt by its name.
func captured(t testing.TB, name string) []byte {
	t.Helper()
	all, err := os.ReadFile("testdata/stubs.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(all)) {
		var stub []byte
		if n, _ := fmt.Sscanf(line, name+" %x", &stub); n == 1 {
			return stub
		}
	}
	t.Fatalf("no stub %q", name)
	return nil
}

// encoder writes stubs in either syntax and byte order, to compare what the
// decoders read from each. Padding is 0xaa: it may hold anything.
type encoder struct {
	b      []byte
	order  wire.Order
	syntax ndr.Syntax
}

func (e *encoder) byteOrder() binary.AppendByteOrder {
	if e.order == wire.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (e *encoder) align(n int) {
	for len(e.b)%n != 0 {
		e.b = append(e.b, 0xaa)
	}
}

func (e *encoder) u16(v uint16) { e.align(2); e.b = e.byteOrder().AppendUint16(e.b, v) }
func (e *encoder) u32(v uint32) { e.align(4); e.b = e.byteOrder().AppendUint32(e.b, v) }

// size writes a count or a referent.
func (e *encoder) size(v uint64) {
	if e.syntax == ndr.NDR32 {
		e.u32(uint32(v))
		return
	}
	e.align(8)
	e.b = e.byteOrder().AppendUint64(e.b, v)
}

func (e *encoder) alignPointer() {
	if e.syntax == ndr.NDR64 {
		e.align(8)
	}
	e.align(4)
}

func (e *encoder) uuid(u wire.UUID) {
	e.align(4)
	e.u32(binary.BigEndian.Uint32(u[0:]))
	e.u16(binary.BigEndian.Uint16(u[4:]))
	e.u16(binary.BigEndian.Uint16(u[6:]))
	e.b = append(e.b, u[8:]...)
}

func (e *encoder) handle(h [20]byte) {
	e.align(4)
	e.b = append(e.b, h[:]...)
}

// tower writes a twr_t.
func (e *encoder) tower(octets []byte) {
	e.size(uint64(len(octets)))
	e.u32(uint32(len(octets)))
	e.b = append(e.b, octets...)
}

// mapResponse writes an ept_map response; a nil tower is a null pointer.
func (e *encoder) mapResponse(handle [20]byte, max uint64, status uint32, towers ...[]byte) []byte {
	e.handle(handle)
	e.u32(uint32(len(towers)))
	e.size(max)
	e.size(0)
	e.size(uint64(len(towers)))
	for i, t := range towers {
		referent := uint64(i + 3)
		if t == nil {
			referent = 0
		}
		e.size(referent)
	}
	for _, t := range towers {
		if t != nil {
			e.tower(t)
		}
	}
	e.u32(status)
	return e.b
}

// entry is what lookupResponse writes of a LookupEntry.
type entry struct {
	object     wire.UUID
	annotation string
	tower      []byte
}

func (e *encoder) lookupResponse(handle [20]byte, max uint64, status uint32, entries ...entry) []byte {
	e.handle(handle)
	e.u32(uint32(len(entries)))
	e.size(max)
	e.size(0)
	e.size(uint64(len(entries)))
	for i, x := range entries {
		e.alignPointer()
		e.uuid(x.object)
		e.size(uint64(i + 1))
		e.size(0)
		e.size(uint64(len(x.annotation) + 1))
		e.b = append(append(e.b, x.annotation...), 0)
		e.alignPointer()
	}
	for _, x := range entries {
		e.tower(x.tower)
	}
	e.u32(status)
	return e.b
}

// forms are the transfer syntaxes in both byte orders.
var forms = []struct {
	name   string
	order  wire.Order
	syntax ndr.Syntax
}{
	{"NDR little endian", wire.LittleEndian, ndr.NDR32},
	{"NDR big endian", wire.BigEndian, ndr.NDR32},
	{"NDR64 little endian", wire.LittleEndian, ndr.NDR64},
	{"NDR64 big endian", wire.BigEndian, ndr.NDR64},
}
