package pcaptest

import "encoding/binary"

// Compress encodes b as plain LZ77 ([MS-XCA] 2.3), which is what Compressed
// payloads hold. It looks for the longest match by trying all distances, so it
// is for small payloads.
func Compress(b []byte) []byte {
	c := compressor{nibble: -1}
	for at := 0; at < len(b); {
		distance, length := longestMatch(b, at)
		if length < 3 {
			c.flag(0)
			c.out = append(c.out, b[at])
			at++
			continue
		}
		c.flag(1)
		c.match(distance, length)
		at += length
	}
	for c.left > 0 {
		c.flag(1) // bits that are left over are ones
	}
	return c.out
}

// longestMatch returns the nearest of the longest matches for b[at:].
func longestMatch(b []byte, at int) (distance, length int) {
	for d := 1; d <= min(at, 8192); d++ {
		n := 0
		for at+n < len(b) && b[at+n] == b[at+n-d] {
			n++
		}
		if n > length {
			distance, length = d, n
		}
	}
	return distance, length
}

type compressor struct {
	out    []byte
	flags  int // position of the flag word that is being filled
	left   int // bits that are left in it
	nibble int // position of a length byte with a free high half, or -1
}

func (c *compressor) flag(bit uint32) {
	if c.left == 0 {
		c.flags, c.left = len(c.out), 32
		c.out = append(c.out, 0, 0, 0, 0)
	}
	c.left--
	word := c.out[c.flags:]
	binary.LittleEndian.PutUint32(word, binary.LittleEndian.Uint32(word)|bit<<c.left)
}

func (c *compressor) match(distance, length int) {
	le := binary.LittleEndian
	rest := length - 3
	c.out = le.AppendUint16(c.out, uint16((distance-1)<<3|min(rest, 7)))
	if rest < 7 {
		return
	}
	rest -= 7
	if c.nibble < 0 {
		c.nibble = len(c.out)
		c.out = append(c.out, byte(min(rest, 15)))
	} else {
		c.out[c.nibble] |= byte(min(rest, 15)) << 4
		c.nibble = -1
	}
	if rest < 15 {
		return
	}
	rest -= 15
	c.out = append(c.out, byte(min(rest, 255)))
	if rest >= 255 {
		c.out = le.AppendUint16(c.out, uint16(length-3))
	}
}

// Packed is HeaderExt for one payload that is compressed and then obfuscated.
func Packed(payload []byte) []byte {
	return HeaderExt(ExtLast|ExtXorMagic|ExtCompressed, Compress(payload), len(payload))
}
