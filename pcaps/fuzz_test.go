package pcaps

import (
	"encoding/hex"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzReader: whatever the bytes, reading ends, is the same every time, adds
// up, and takes memory for what is there, not for what is claimed.
func FuzzReader(f *testing.F) {
	for _, small := range smallCaptures() {
		f.Add(small.file)
		f.Add(small.file[:len(small.file)-3])
		f.Add(gzipped(f, small.file))
		f.Add(zstded(f, small.file))
	}
	f.Add(netmonFile(1, 0, 1, true, nmFrame{data: "one", wireLen: 9}))
	f.Add(netmonFile(2, 1, 1, true, nmFrame{data: "one", media: mediaFilter}, nmFrame{data: "two", media: mediaPcap + 101}))
	f.Add(join(sectionBlock(be), ifaceBlock(be, 1, 0, option(be, 9, "\x8a"), option(be, 14, "\x80\x00\x00\x00\x00\x00\x00\x00")), enhanced(be, 0, 1<<63, "x", 1)))
	for _, packed := range []string{oneXZ, oneBZ2, oneLZ4, oneOld} {
		b, err := hex.DecodeString(packed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(join(sectionBlock(le), ifaceBlock(le, 1, 0), lossy(le, 0, 1, option(le, 4, "\x03\x00\x00\x00\x00\x00\x00\x00")), simple(le, "x", 1), block(le, blockCustom, u32(le, 1))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := openBytes(t, b, Options{}); err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		first, c := readBytes(t, b)
		runtime.ReadMemStats(&after)
		// Buffers, a zstd window, and what the test itself keeps.
		limit := uint64(32<<20 + 16*len(b))
		if c.Compression != "" {
			limit += 2 * maxZstdWindow
		}
		for _, p := range first {
			limit += uint64(4*len(p.Data) + 1024)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > limit {
			t.Errorf("%d bytes allocated for %d, limit %d", n, len(b), limit)
		}

		var wire, captured, truncated int64
		for _, p := range first {
			wire += int64(p.WireLen)
			captured += int64(len(p.Data))
			if p.WireLen > len(p.Data) {
				truncated++
			}
		}
		if c.Packets != int64(len(first)) || c.BytesWire != wire || c.BytesCaptured != captured || c.Truncated != truncated {
			t.Errorf("sums of %+v do not fit %d packets, %d bytes on the wire, %d captured, %d truncated", c, len(first), wire, captured, truncated)
		}
		if n := len(first); n > 0 && first[n-1].Num > c.Packets+c.Metadata {
			t.Errorf("packet number %d of %d packets and %d others", first[n-1].Num, c.Packets, c.Metadata)
		}
		again, _ := readBytes(t, b)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("read again: %s", diff)
		}
	})
}
