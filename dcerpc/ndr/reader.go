// Package ndr reads the Network Data Representation of DCE/RPC stubs: NDR
// ([C706] chapter 14) and NDR64 ([MS-RPCE] 2.2.5). It has the primitive and
// constructed types that operations of the endpoint mapper and of EMSMDB are
// made of; it is no general engine that runs from an interface definition.
package ndr

import "mapiscope/internal/wire"

// Syntax is the transfer syntax of a stub, as the bind_ack accepted it.
type Syntax uint8

// The two transfer syntaxes.
const (
	NDR32 Syntax = iota // NDR version 2.0, 8a885d04-1ceb-11c9-9fe8-08002b104860
	NDR64               // NDR64 version 1.0, 71710533-beba-4937-8319-b5dbef9ccc36
)

// String returns "NDR" or "NDR64".
func (s Syntax) String() string {
	if s == NDR64 {
		return "NDR64"
	}
	return "NDR"
}

// wide returns the size and alignment in bytes of pointers and counts.
func (s Syntax) wide() int {
	if s == NDR64 {
		return 8
	}
	return 4
}

// Reader reads one stub. Every primitive is aligned to its own size, counted
// from the start of the stub ([C706] 14.2.2); the padding before it may hold
// anything and is not looked at.
//
// The first read that does not fit, or whose counts contradict each other,
// makes the Reader bad: it and all later reads return zero values, so that a
// decoder reads a whole layout and asks OK once. A Reader never allocates;
// slices that it returns share the stub.
type Reader struct {
	c      wire.Cursor
	syntax Syntax
}

// NewReader returns a Reader at the start of stub: what remains of a request
// or response when headers, authentication padding and verifier are off and
// the fragments are joined. order is that of the PDU (its drep).
func NewReader(stub []byte, order wire.Order, syntax Syntax) Reader {
	return Reader{c: wire.NewCursor(stub, order), syntax: syntax}
}

// OK reports whether every read so far stayed inside the stub and made sense.
func (r *Reader) OK() bool { return r.c.OK() }

// Fail makes the Reader bad. Decoders call it when a value cannot be true.
func (r *Reader) Fail() { r.c.Fail() }

// Len returns the number of bytes left, 0 once the Reader is bad.
func (r *Reader) Len() int { return r.c.Len() }

// Offset returns the number of bytes read, padding included.
func (r *Reader) Offset() int { return r.c.Offset() }

// Syntax returns the transfer syntax of the stub.
func (r *Reader) Syntax() Syntax { return r.syntax }

// Align moves to the next multiple of n bytes; n is a power of two.
func (r *Reader) Align(n int) { r.c.Align(n) }

// AlignPointer moves to the alignment of pointers and counts: 4 bytes, or 8
// in NDR64. Structures that hold one begin and, in NDR64, end there.
func (r *Reader) AlignPointer() { r.c.Align(r.syntax.wide()) }

// Skip passes over n bytes.
func (r *Reader) Skip(n int) { r.c.Skip(n) }

// Bytes returns the next n bytes as they stand, unaligned.
func (r *Reader) Bytes(n int) []byte { return r.c.Bytes(n) }

// Rest returns all bytes that are left.
func (r *Reader) Rest() []byte { return r.c.Rest() }

// Uint8 reads a small.
func (r *Reader) Uint8() uint8 { return r.c.Uint8() }

// Uint16 reads a short, aligned to 2.
func (r *Reader) Uint16() uint16 {
	r.c.Align(2)
	return r.c.Uint16()
}

// Uint32 reads a long, aligned to 4. It is also the error_status_t and the
// NTSTATUS at the end of many responses.
func (r *Reader) Uint32() uint32 {
	r.c.Align(4)
	return r.c.Uint32()
}

// Uint64 reads a hyper, aligned to 8 in both syntaxes.
func (r *Reader) Uint64() uint64 {
	r.c.Align(8)
	return r.c.Uint64()
}

// Size reads one max_count, offset or actual_count of an array: 4 bytes, or
// 8 in NDR64, aligned to their size ([C706] 14.3.3, [MS-RPCE] 2.2.5.3.2).
// It is a claim of the wire: compare it with Len before using it.
func (r *Reader) Size() uint64 {
	if r.syntax == NDR64 {
		return r.Uint64()
	}
	return uint64(r.Uint32())
}

// Pointer reads the referent identifier of a unique or full pointer, 4 bytes
// or 8 in NDR64; 0 is the null pointer ([C706] 14.3.10). The referent comes
// at once for a parameter, after the rest of the construction for a member.
// A reference pointer at top level has no representation: do not read one.
func (r *Reader) Pointer() uint64 { return r.Size() }

// UUID reads a uuid_t, aligned to 4.
func (r *Reader) UUID() wire.UUID {
	r.c.Align(4)
	return r.c.UUID()
}

// ContextHandle reads an ndr_context_handle as it stands on the wire: 4 bytes
// of attributes and a UUID in the sender's order, aligned to 4 in both
// syntaxes ([C706] 14.2.16.6). It names state of the server; all zero is none.
func (r *Reader) ContextHandle() [20]byte {
	var h [20]byte
	r.c.Align(4)
	copy(h[:], r.c.Bytes(len(h)))
	return h
}
