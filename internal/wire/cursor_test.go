package wire

import (
	"bytes"
	"testing"
)

func TestCursorReadsInOrder(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	tests := []struct {
		name  string
		order Order
		u16   uint16
		u32   uint32
		u64   uint64
	}{
		{"little", LittleEndian, 0x0302, 0x07060504, 0x0f0e0d0c0b0a0908},
		{"big", BigEndian, 0x0203, 0x04050607, 0x08090a0b0c0d0e0f},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCursor(b, tt.order)
			if got := c.Uint8(); got != 1 {
				t.Errorf("Uint8 = %d, want 1", got)
			}
			if got := c.Uint16(); got != tt.u16 {
				t.Errorf("Uint16 = %#x, want %#x", got, tt.u16)
			}
			if got := c.Uint32(); got != tt.u32 {
				t.Errorf("Uint32 = %#x, want %#x", got, tt.u32)
			}
			if got := c.Uint64(); got != tt.u64 {
				t.Errorf("Uint64 = %#x, want %#x", got, tt.u64)
			}
			if !c.OK() || c.Len() != 0 || c.Offset() != 15 {
				t.Errorf("after the last read: OK %v, Len %d, Offset %d", c.OK(), c.Len(), c.Offset())
			}
		})
	}
}

func TestCursorStaysBad(t *testing.T) {
	for n := range 8 {
		c := NewCursor(make([]byte, n, 16), LittleEndian)
		if got := c.Uint64(); got != 0 || c.OK() {
			t.Errorf("%d bytes: Uint64 = %d, OK %v; want 0, false", n, got, c.OK())
		}
		if got := c.Uint8(); got != 0 || c.Len() != 0 {
			t.Errorf("%d bytes: a bad cursor still reads", n)
		}
	}
	c := NewCursor(make([]byte, 4), LittleEndian)
	if c.Bytes(-1) != nil || c.OK() {
		t.Error("a negative length must fail")
	}
}

func TestCursorAlignAndRest(t *testing.T) {
	c := NewCursor([]byte{0, 1, 2, 3, 4, 5}, LittleEndian)
	c.Align(4)
	if c.Offset() != 0 {
		t.Errorf("Align moved an aligned cursor to %d", c.Offset())
	}
	c.Skip(1)
	c.Align(4)
	if got := c.Rest(); !bytes.Equal(got, []byte{4, 5}) {
		t.Errorf("Rest after Align = %v, want [4 5]", got)
	}
	c.Align(4)
	if c.OK() {
		t.Error("Align past the end must fail")
	}
}

func TestCursorBytesCannotGrowIntoTheBuffer(t *testing.T) {
	buf := []byte{1, 2, 3}
	c := NewCursor(buf, LittleEndian)
	_ = append(c.Bytes(1), 9)
	if buf[1] != 2 {
		t.Error("append to a returned slice wrote into the buffer")
	}
}

func TestMarkBefore(t *testing.T) {
	ordered := []Mark{{}, {Time: 1, Packet: 9}, {Time: 2, Packet: 1}, {Time: 2, Packet: 2}, {Time: 2, Packet: 1, Capture: 1}}
	for i := range ordered {
		for j := range ordered {
			if got := ordered[i].Before(ordered[j]); got != (i < j) {
				t.Errorf("%v.Before(%v) = %v", ordered[i], ordered[j], got)
			}
		}
	}
}
