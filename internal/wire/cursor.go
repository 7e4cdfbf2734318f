package wire

import "encoding/binary"

// Order is the byte order of integers in a message. DCE/RPC announces it in
// each PDU (drep), so it is a value and not a type parameter.
type Order bool

// The two byte orders.
const (
	LittleEndian Order = false
	BigEndian    Order = true
)

// Uint16 reads the first two bytes of b, which must be there.
func (o Order) Uint16(b []byte) uint16 {
	if o == BigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

// Uint32 reads the first four bytes of b, which must be there.
func (o Order) Uint32(b []byte) uint32 {
	if o == BigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

// Uint64 reads the first eight bytes of b, which must be there.
func (o Order) Uint64(b []byte) uint64 {
	if o == BigEndian {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// Cursor reads integers and byte runs from a buffer and never past its end.
// The first read that does not fit makes the cursor bad: it and all later
// reads return zero values, so a decoder may read a whole layout and ask
// OK once. Slices returned by Bytes and Rest share the buffer.
//
// The zero Cursor reads from an empty little-endian buffer.
type Cursor struct {
	buf   []byte
	off   int
	order Order
	bad   bool
}

// NewCursor returns a cursor at the start of b.
func NewCursor(b []byte, order Order) Cursor { return Cursor{buf: b, order: order} }

// OK reports whether every read so far stayed inside the buffer.
func (c *Cursor) OK() bool { return !c.bad }

// Fail makes the cursor bad, as a read past the end does. Decoders call it
// when a value that they read cannot be true.
func (c *Cursor) Fail() { c.bad = true }

// Order returns the byte order of the integers.
func (c *Cursor) Order() Order { return c.order }

// Offset returns the number of bytes read.
func (c *Cursor) Offset() int { return c.off }

// Len returns the number of bytes left, 0 once the cursor is bad.
func (c *Cursor) Len() int {
	if c.bad {
		return 0
	}
	return len(c.buf) - c.off
}

// Bytes returns the next n bytes without copying them, nil if they are not
// all there. A negative n is never there.
func (c *Cursor) Bytes(n int) []byte {
	if c.bad || n < 0 || n > len(c.buf)-c.off {
		c.bad = true
		return nil
	}
	b := c.buf[c.off : c.off+n : c.off+n]
	c.off += n
	return b
}

// Rest returns all bytes that are left and moves to the end.
func (c *Cursor) Rest() []byte { return c.Bytes(c.Len()) }

// Skip passes over n bytes.
func (c *Cursor) Skip(n int) { c.Bytes(n) }

// Align moves forward to a multiple of n bytes from the start of the buffer;
// n is a power of two.
func (c *Cursor) Align(n int) { c.Skip(-c.off & (n - 1)) }

// Uint8 reads one byte.
func (c *Cursor) Uint8() uint8 {
	if b := c.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint16 reads two bytes in the cursor's order.
func (c *Cursor) Uint16() uint16 {
	if b := c.Bytes(2); b != nil {
		return c.order.Uint16(b)
	}
	return 0
}

// Uint32 reads four bytes in the cursor's order.
func (c *Cursor) Uint32() uint32 {
	if b := c.Bytes(4); b != nil {
		return c.order.Uint32(b)
	}
	return 0
}

// Uint64 reads eight bytes in the cursor's order.
func (c *Cursor) Uint64() uint64 {
	if b := c.Bytes(8); b != nil {
		return c.order.Uint64(b)
	}
	return 0
}
