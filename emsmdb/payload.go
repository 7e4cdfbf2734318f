package emsmdb

import (
	"encoding/binary"
	"errors"
)

// header is RPC_HEADER_EXT ([MS-OXCRPC] 2.2.2.1), which stands before every
// payload of EcDoRpcExt2 and before auxiliary buffers. Little endian.
type header struct {
	Version    uint16 // 0
	Flags      uint16
	Size       uint16 // bytes that follow
	SizeActual uint16 // bytes after decompression
}

// headerSize is the size of RPC_HEADER_EXT in bytes.
const headerSize = 8

// Flags of RPC_HEADER_EXT.
const (
	flagCompressed = 0x0001
	flagXorMagic   = 0x0002
	flagLast       = 0x0004
	flagsKnown     = flagCompressed | flagXorMagic | flagLast
)

var (
	errHeader = errors.New("emsmdb: RPC_HEADER_EXT does not fit its array")
	errSizes  = errors.New("emsmdb: sizes of RPC_HEADER_EXT contradict its flags")
)

// parseHeader reads the RPC_HEADER_EXT at the start of array and returns the
// payload behind it as it was sent, a view of array.
func parseHeader(array []byte) (h header, payload []byte, err error) {
	if len(array) < headerSize {
		return h, nil, errHeader
	}
	le := binary.LittleEndian
	h = header{le.Uint16(array), le.Uint16(array[2:]), le.Uint16(array[4:]), le.Uint16(array[6:])}
	compressed := h.Flags&flagCompressed != 0
	switch {
	case h.Version != 0 || h.Flags&^flagsKnown != 0:
		return h, nil, errHeader
	case compressed && h.Size >= h.SizeActual, !compressed && h.Size != h.SizeActual:
		return h, nil, errSizes
	case int(h.Size) > len(array)-headerSize:
		return h, nil, errHeader
	}
	return h, array[headerSize : headerSize+int(h.Size)], nil
}

// xorMagic is what obfuscated bytes were combined with ([MS-OXCRPC]
// 3.1.4.1.1.1.3); EcDoRpc does so always.
const xorMagic = 0xa5

// unxor writes src to dst in clear; dst is at least as long.
func unxor(dst, src []byte) {
	const magic8 = xorMagic * 0x0101010101010101
	i := 0
	for ; i+8 <= len(src); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:])^magic8)
	}
	for ; i < len(src); i++ {
		dst[i] = src[i] ^ xorMagic
	}
}

// maxPayloads bounds the payloads of one rgbOut ([MS-OXCRPC] 3.1.4.2.1.2
// allows 96).
const maxPayloads = 96

// clearText holds the buffers that payloads are decoded into.
type clearText struct {
	xored    [1 << 16]byte
	expanded [1 << 16]byte
}

// open decodes the payload behind a header. Without obfuscation and
// compression the result is the payload itself, else it is valid until the
// next call. With an error it holds what could be decoded. No result is
// longer than SizeActual.
func (t *clearText) open(h header, payload []byte) ([]byte, error) {
	if h.Flags&flagXorMagic != 0 {
		payload = t.unxor(payload)
	}
	if h.Flags&flagCompressed == 0 {
		return payload, nil
	}
	n, err := decompress(t.expanded[:h.SizeActual], payload)
	return t.expanded[:n], err
}

// unxor decodes at most 64 KiB into the buffer that is for it.
func (t *clearText) unxor(b []byte) []byte {
	b = b[:min(len(b), len(t.xored))]
	unxor(t.xored[:], b)
	return t.xored[:len(b)]
}
