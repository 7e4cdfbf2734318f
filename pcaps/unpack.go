package pcaps

import (
	"bytes"
	"cmp"
	"compress/bzip2"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz"
)

// maxZstdWindow is what zstd --long asks for at most by default.
const maxZstdWindow = 128 << 20

// maxDictionary is what xz -9 asks for.
const maxDictionary = 64 << 20

// compressionOf returns the name of a compression by its first bytes, "" for
// none that is read.
func compressionOf(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		return "gzip"
	case isZstd(b):
		return "zstd"
	case bytes.HasPrefix(b, []byte("\xfd7zXZ\x00")):
		return "xz"
	case len(b) >= 10 && bytes.HasPrefix(b, []byte("BZh")) && b[3] >= '1' && b[3] <= '9' &&
		(string(b[4:10]) == "1AY&SY" || string(b[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return "bzip2"
	case bytes.HasPrefix(b, []byte{0x04, 0x22, 0x4d, 0x18}), bytes.HasPrefix(b, []byte{0x02, 0x21, 0x4c, 0x18}):
		return "lz4"
	}
	return ""
}

// unpack returns what a compressed input holds. hold bounds what the
// decompression may hold.
func (s *source) unpack(r io.Reader, hold int64, chunk int) (io.Reader, error) {
	switch s.capture.Compression {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, notCapture(err)
		}
		return s.ahead(z, chunk), nil
	case "zstd":
		// With one thread it decodes in Read, with more several blocks at a time.
		threads := 0
		if s.alone {
			threads = 1
		}
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(threads), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(cmp.Or(hold, maxZstdWindow))))
		if err != nil {
			return nil, notCapture(err)
		}
		a := s.ahead(z, chunk)
		s.closers = append(s.closers, z.IOReadCloser())
		return a, nil
	case "xz":
		z, err := xz.NewReader(r, uint32(min(cmp.Or(hold, maxDictionary), maxDictionary)))
		if err != nil {
			return nil, notCapture(err)
		}
		return s.ahead(z, chunk), nil
	case "bzip2":
		return s.ahead(bzip2.NewReader(r), chunk), nil
	}
	return s.ahead(lz4.NewReader(r), chunk), nil
}

// isZstd tells a zstd frame or a skippable frame, as parallel compressors
// put first (RFC 8878, 3.1).
func isZstd(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	magic := binary.LittleEndian.Uint32(b)
	return magic == 0xfd2fb528 || magic&^0xf == 0x184d2a50
}
