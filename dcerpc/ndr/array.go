package ndr

// Extent is the representation of the bounds of an array: MaxCount elements
// are its size, Count of them are transmitted and begin at element Offset
// ([C706] 14.3.3.4).
type Extent struct {
	MaxCount, Offset, Count uint64
}

// Conformant reads the max_count of a conformant array whose elements take at
// least size bytes each and are all transmitted. A count that the rest of the
// stub cannot hold makes the Reader bad, so the result is safe to loop over.
func (r *Reader) Conformant(size int) int {
	return r.count(r.Size(), size)
}

// Varying reads the offset and actual_count of a varying array and returns
// the latter, bounded as by Conformant.
func (r *Reader) Varying(size int) (offset uint64, count int) {
	offset = r.Size()
	return offset, r.count(r.Size(), size)
}

// ConformantVarying reads max_count, offset and actual_count of an array
// whose elements take at least size bytes each. Offset and Count beyond
// MaxCount, or elements beyond the stub, make the Reader bad.
func (r *Reader) ConformantVarying(size int) Extent {
	e := Extent{MaxCount: r.Size(), Offset: r.Size(), Count: r.Size()}
	if e.Offset > e.MaxCount || e.Count > e.MaxCount-e.Offset {
		r.Fail()
	}
	if r.count(e.Count, size); !r.OK() {
		return Extent{}
	}
	return e
}

// count bounds a number of elements by the bytes that are left.
func (r *Reader) count(n uint64, size int) int {
	if n > uint64(r.Len()/max(size, 1)) {
		r.Fail()
	}
	if !r.OK() {
		return 0
	}
	return int(n)
}

// ConformantBytes reads max_count and as many bytes. More than limit bytes,
// which is the range of the interface definition, make the Reader bad; a
// negative limit is none.
func (r *Reader) ConformantBytes(limit int) []byte {
	return r.bounded(uint64(r.Conformant(1)), limit)
}

// ConformantVaryingBytes reads max_count, offset, actual_count and the bytes.
// limit is as in ConformantBytes and holds for the bytes that are there.
func (r *Reader) ConformantVaryingBytes(limit int) []byte {
	return r.bounded(r.ConformantVarying(1).Count, limit)
}

// VaryingBytes reads offset, actual_count and the bytes; the array has a
// fixed size, so that no max_count is sent.
func (r *Reader) VaryingBytes(limit int) []byte {
	_, n := r.Varying(1)
	return r.bounded(uint64(n), limit)
}

func (r *Reader) bounded(n uint64, limit int) []byte {
	if limit >= 0 && n > uint64(limit) {
		r.Fail()
	}
	return r.Bytes(int(n))
}

// String8 reads a conformant varying string of 8-bit characters ([string]
// char *) and returns it without its terminator. Characters from the first
// NUL on are dropped. limit bounds the bytes with the terminator; negative
// is none.
func (r *Reader) String8(limit int) []byte {
	return cut8(r.ConformantVaryingBytes(limit))
}

// VaryingString8 reads a varying string of 8-bit characters, as String8 but
// without the max_count: a [string] in an array of fixed size.
func (r *Reader) VaryingString8(limit int) []byte {
	return cut8(r.VaryingBytes(limit))
}

func cut8(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// String16 reads a conformant varying string of 16-bit characters ([string]
// wchar_t *) and returns its bytes without the terminator, in the byte order
// of the stub. limit bounds the characters with the terminator; negative is
// none.
func (r *Reader) String16(limit int) []byte {
	n := r.ConformantVarying(2).Count
	if limit >= 0 && n > uint64(limit) {
		r.Fail()
	}
	b := r.Bytes(2 * int(n))
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return b[:i]
		}
	}
	return b
}
