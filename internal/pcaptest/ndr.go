package pcaptest

import "encoding/binary"

// NDR writes a stub in NDR 2.0 ([C706] 14), little endian unless Big. The
// zero NDR is an empty stub. Integers align themselves; padding is 0xAA,
// since real stubs have stale memory there.
type NDR struct {
	Big  bool
	Wide bool // NDR64: Size writes 64 bits ([MS-RPCE] 2.2.5)
	b    []byte
}

// Bytes returns the stub.
func (n *NDR) Bytes() []byte { return n.b }

// Len returns the length of the stub so far.
func (n *NDR) Len() int { return len(n.b) }

func (n *NDR) order() binary.AppendByteOrder {
	if n.Big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Align pads to a multiple of size.
func (n *NDR) Align(size int) *NDR {
	for len(n.b)%size != 0 {
		n.b = append(n.b, 0xaa)
	}
	return n
}

// U16 writes aligned 16-bit integers.
func (n *NDR) U16(values ...uint16) *NDR {
	for _, v := range values {
		n.b = n.order().AppendUint16(n.Align(2).b, v)
	}
	return n
}

// U32 writes aligned 32-bit integers.
func (n *NDR) U32(values ...uint32) *NDR {
	for _, v := range values {
		n.b = n.order().AppendUint32(n.Align(4).b, v)
	}
	return n
}

// Size writes sizes, offsets, counts and referents of pointers: 32 bits, in
// NDR64 64.
func (n *NDR) Size(values ...uint32) *NDR {
	if !n.Wide {
		return n.U32(values...)
	}
	for _, v := range values {
		n.b = n.order().AppendUint64(n.Align(8).b, uint64(v))
	}
	return n
}

// Raw writes bytes as they are.
func (n *NDR) Raw(b []byte) *NDR { n.b = append(n.b, b...); return n }

// UUID writes a UUID, aligned.
func (n *NDR) UUID(u UUID) *NDR {
	n.Align(4)
	n.b = u.append(n.b, n.Big)
	return n
}

// Handle writes a context handle: 32 bits of attributes, 0, and a UUID.
func (n *NDR) Handle(u UUID) *NDR { return n.U32(0).UUID(u) }

// Array writes a conformant array of bytes: its size, then the bytes.
func (n *NDR) Array(b []byte) *NDR { return n.U32(uint32(len(b))).Raw(b) }

// VaryingArray writes a conformant varying array of bytes: size, offset,
// length, then the bytes.
func (n *NDR) VaryingArray(b []byte) *NDR {
	return n.U32(uint32(len(b)), 0, uint32(len(b))).Raw(b)
}

// String writes an 8-bit [string] with its NUL.
func (n *NDR) String(s string) *NDR { return n.VaryingArray(append([]byte(s), 0)) }
