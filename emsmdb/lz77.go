package emsmdb

import (
	"encoding/binary"
	"errors"
)

// Errors of decompress.
var (
	errExhausted = errors.New("emsmdb: compressed data ends early")
	errDistance  = errors.New("emsmdb: match begins before the output")
	errLength    = errors.New("emsmdb: match length cannot be, or runs past the output")
)

// decompress undoes the DIRECT2 encoding of LZ77 ([MS-OXCRPC] 3.1.4.1.1.1.2,
// plain LZ77 of [MS-XCA] 2.4): it fills dst and returns the number of bytes
// produced. It is less than len(dst) only with an error; those bytes are good.
//
// A flag word of 32 bits, taken from the top, tells literals from matches. A
// match is a 16-bit word of distance and short length; longer lengths go on in
// a nibble, which two matches share, then in a byte, a word, a double word.
// Bits that are left in the last flag word mean nothing.
func decompress(dst, src []byte) (int, error) {
	var (
		flags  uint32
		bits   int // unused ones in flags
		in     int
		out    int
		nibble = -1 // position of the byte whose high nibble is unused
	)
	for out < len(dst) {
		if bits == 0 {
			if len(src)-in < 4 {
				return out, errExhausted
			}
			flags, bits = binary.LittleEndian.Uint32(src[in:]), 32
			in += 4
		}
		bits--
		if flags>>bits&1 == 0 {
			if in >= len(src) {
				return out, errExhausted
			}
			dst[out] = src[in]
			in++
			out++
			continue
		}
		if len(src)-in < 2 {
			return out, errExhausted
		}
		m := binary.LittleEndian.Uint16(src[in:])
		in += 2
		length, distance := int(m&7), int(m>>3)+1
		if length == 7 {
			var ok bool
			if length, in, nibble, ok = longLength(src, in, nibble); !ok {
				return out, errExhausted
			}
		}
		length += minMatch
		switch {
		case distance > out:
			return out, errDistance
		case length < minMatch:
			return out, errLength
		case length > len(dst)-out:
			return copyMatch(dst, out, distance, len(dst)-out), errLength
		}
		out = copyMatch(dst, out, distance, length)
	}
	return out, nil
}

// minMatch is the length of the shortest match.
const minMatch = 3

// longLength reads the rest of a match length whose three bits are all set
// and returns the length without minMatch, the new input position and the
// byte with an unused nibble. A length that cannot be is negative.
func longLength(src []byte, in, nibble int) (length, next, half int, ok bool) {
	var n int
	if nibble < 0 {
		if in >= len(src) {
			return 0, in, nibble, false
		}
		n, nibble = int(src[in]&15), in
		in++
	} else {
		n, nibble = int(src[nibble]>>4), -1
	}
	if n < 15 {
		return 7 + n, in, nibble, true
	}
	if in >= len(src) {
		return 0, in, nibble, false
	}
	n = int(src[in])
	in++
	if n < 255 {
		return 7 + 15 + n, in, nibble, true
	}
	if len(src)-in < 2 {
		return 0, in, nibble, false
	}
	n = int(binary.LittleEndian.Uint16(src[in:]))
	in += 2
	if n == 0 {
		if len(src)-in < 4 {
			return 0, in, nibble, false
		}
		// No payload is longer than 16 bits can say, and an int may have 32.
		n = int(min(binary.LittleEndian.Uint32(src[in:]), 1<<24))
		in += 4
	}
	if n < 7+15 {
		n = -minMatch - 1
	}
	return n, in, nibble, true
}

// copyMatch repeats length bytes from distance before out and returns the new
// end of the output. A match longer than its distance repeats itself.
func copyMatch(dst []byte, out, distance, length int) int {
	if distance >= length {
		copy(dst[out:out+length], dst[out-distance:])
		return out + length
	}
	// What is there already repeats with the distance, so that each step can
	// copy all of it: a long match costs no more than its bytes.
	from, end := out-distance, out+length
	for out < end {
		out += copy(dst[out:end], dst[from:out])
	}
	return out
}
