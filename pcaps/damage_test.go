package pcaps

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// smallCaptures has one file of each format and where its records end: a cut
// there goes unnoticed, as nothing in the file tells how much is to come. A
// Network Monitor file is never whole without its table.
func smallCaptures() map[string]struct {
	file []byte
	ends []int // of the packets
	safe []int // where else a cut leaves a whole file
} {
	type small = struct {
		file []byte
		ends []int
		safe []int
	}
	build := func(head [][]byte, packets ...[]byte) small {
		var s small
		for _, h := range head {
			s.file = append(s.file, h...)
			s.safe = append(s.safe, len(s.file))
		}
		for _, p := range packets {
			s.file = append(s.file, p...)
			s.ends = append(s.ends, len(s.file))
		}
		return s
	}
	nm := small{file: netmonFile(2, 3, 1, false, nmFrame{data: "one", media: 1, wireLen: 9}, nmFrame{data: "three", media: 1})}
	nm.ends = []int{128 + 16 + 3 + 15, 128 + 16 + 3 + 15 + 16 + 5 + 15}
	return map[string]small{
		"pcap":      build([][]byte{pcapHead(le, pcapMicro, 4, 1)}, pcapRec(le, 1, 2, "one", 9), pcapRec(le, 1, 3, "", 0), pcapRec(le, 3, 4, "three", 5)),
		"kuznetzov": build([][]byte{pcapHead(be, pcapKuznetzov, 4, 1)}, join(u32(be, 1, 2, 3, 3, 0, 0), []byte("one"))),
		"pcapng": build([][]byte{sectionBlock(le), ifaceBlock(le, 1, 0, option(le, 2, "eth0"), option(le, 0, "")), block(le, 77, make([]byte, 5))},
			enhanced(le, 0, 1, "one", 9), simple(le, "two", 3), block(le, blockPacket, u16(le, 0, 0), u32(le, 0, 0, 5, 5), pad4("three"))),
		"netmon": nm,
	}
}

func TestEveryPrefix(t *testing.T) {
	for name, small := range smallCaptures() {
		t.Run(name, func(t *testing.T) {
			whole, _ := readBytes(t, small.file)
			if len(whole) != len(small.ends) {
				t.Fatalf("%d packets in the whole file, want %d", len(whole), len(small.ends))
			}
			for n := range small.file {
				r, err := openBytes(t, small.file[:n], Options{})
				if err != nil {
					// Only a file header may be missing.
					if !errors.Is(err, ErrNotCapture) || n >= netmonHeaderLen || name != "netmon" && n >= 28 {
						t.Fatalf("%d bytes: %v", n, err)
					}
					continue
				}
				var all []got
				c := drain(t, r, func(p *Packet) {
					all = append(all, got{p.Packet, p.Time, string(p.Data), p.WireLen, p.Link, p.Interface})
				})[0]
				want := 0
				for want < len(small.ends) && small.ends[want] <= n {
					want++
				}
				if diff := cmp.Diff(whole[:want], all, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("%d bytes: %d packets, want %d: %s", n, len(all), want, diff)
				}
				boundary := name != "netmon" && (slices.Contains(small.ends, n) || slices.Contains(small.safe, n))
				var d *DamageError
				if boundary && c.Err != nil || !boundary && (!errors.As(c.Err, &d) || !errors.Is(d, io.ErrUnexpectedEOF) || d.Packet != int64(want)+1) {
					t.Fatalf("%d bytes, a boundary: %v: Err %v", n, boundary, c.Err)
				}
			}
		})
	}
}

func TestCutSaysWhere(t *testing.T) {
	b := join(pcapHead(le, pcapMicro, 4, 1), pcapRec(le, 1, 2, "one", 3), pcapRec(le, 1, 3, "two", 3))
	_, c := readBytes(t, b[:len(b)-1])
	want := &DamageError{Reason: "cut off", Packet: 2, Offset: 24 + 16 + 3, Err: io.ErrUnexpectedEOF}
	if diff := cmp.Diff(error(want), c.Err, cmp.Comparer(func(a, b error) bool { return a == b })); diff != "" && c.Err.Error() != want.Error() {
		t.Error(diff)
	}
	if text := c.Err.Error(); text != "cut off in packet 2 (file offset 43)" {
		t.Errorf("Err %q", text)
	}
}

func TestCompressedStreamBreaksOff(t *testing.T) {
	b := pcapHead(le, pcapMicro, 4, 1)
	seed := uint32(1)
	for i := range uint32(2000) { // data that does not compress
		data := make([]byte, 200)
		for j := range data {
			seed = seed*1664525 + 1013904223
			data[j] = byte(seed >> 24)
		}
		b = append(b, pcapRec(le, i, 0, string(data), 200)...)
	}
	for name, packed := range map[string][]byte{"gzip": gzipped(t, b), "zstd": zstded(t, b)} {
		for _, part := range []int{2, 3} { // a block of zstd holds 128 KiB
			_, c := readBytes(t, packed[:len(packed)/part])
			if min := int64(2000/part - 700); c.Packets < min || c.Packets >= 2000 {
				t.Errorf("%s: %d packets in 1/%d", name, c.Packets, part)
			}
			if !errors.Is(c.Err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: Err %v", name, c.Err)
			}
		}
	}
	nm := netmonFile(2, 1, 1, false, nmFrame{data: "one", media: 1})
	for name, packed := range map[string][]byte{"gzip": gzipped(t, b), "zstd": zstded(t, b), "network monitor": gzipped(t, nm)} {
		bad := slices.Clone(packed)
		bad[len(bad)-5] ^= 0x55 // a check at the end
		if _, c := readBytes(t, bad); c.Err == nil || c.Packets == 0 {
			t.Errorf("%s with a wrong check: %d packets, Err %v", name, c.Packets, c.Err)
		}
	}
}

func TestNetMonDamage(t *testing.T) {
	frames := []nmFrame{{data: "one", media: 1}, {data: "two", media: 1}}
	edit := func(f func(b []byte)) []byte {
		b := netmonFile(2, 1, 1, false, frames...)
		f(b)
		return b
	}
	tests := []struct {
		name    string
		file    []byte
		packets int64
		err     string
	}{
		{"frame beyond the end", edit(func(b []byte) { le.PutUint32(b[len(b)-4:], 9999) }), 1, "cut off in packet 2 (file offset 9999)"},
		{"absurd length", edit(func(b []byte) { le.PutUint32(b[128+12:], 1<<31) }), 0, "record length 2147483648 is absurd in packet 1 (file offset 128)"},
		{"frames that overlap", func() []byte {
			b := netmonFile(2, 1, 1, false, nmFrame{data: string(make([]byte, 300)), media: 1}, frames[0])
			le.PutUint32(b[len(b)-4:], 128)
			return b
		}(), 1, "frames overlap in packet 2 (file offset 128)"},
		{"table is not multiple of four", edit(func(b []byte) { b[28]-- }), 1, ""},
		{"time before all time", edit(func(b []byte) { le.PutUint64(b[128:], 0x8000000000000000/10+1) }), 2, ""},
		{"start before all time", edit(func(b []byte) { b[8], b[9] = 0, 0; le.PutUint64(b[128:], 1<<62+1<<61) }), 2, ""},
		{"start after all time", edit(func(b []byte) { b[9] = 0xff; le.PutUint64(b[128:], 1) }), 2, ""},
		{"table is cut", netmonFile(2, 1, 1, false, frames...)[:128+2*21+5], 2, "frame table is cut off in packet 3 (file offset 170)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, c := readBytes(t, tt.file)
			if c.Packets != tt.packets || (c.Err == nil) != (tt.err == "") || c.Err != nil && c.Err.Error() != tt.err {
				t.Errorf("%d packets, %v; want %d, %s", c.Packets, c.Err, tt.packets, tt.err)
			}
		})
	}
}

// TestLengthsDoNotAllocate: a length in a file is no reason to believe it.
func TestLengthsDoNotAllocate(t *testing.T) {
	for name, b := range map[string][]byte{
		"pcap":   join(pcapHead(le, pcapMicro, 4, 1), u32(le, 1, 0, maxRecord, maxRecord)),
		"pcapng": join(sectionBlock(le), ifaceBlock(le, 1, 0), u32(le, blockEnhanced, maxRecord)),
		"netmon": netmonFile(2, 0, 1, false, nmFrame{data: "x"})[:144],
	} {
		t.Run(name, func(t *testing.T) {
			if name == "netmon" {
				le.PutUint32(b[140:], maxRecord)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, c := readBytes(t, append(b, make([]byte, 3)...))
			runtime.ReadMemStats(&after)
			if c.Err == nil {
				t.Error("no Err")
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

func TestLargePackets(t *testing.T) {
	data := string(make([]byte, maxRecord-100))
	all, c := readBytes(t, join(pcapHead(le, pcapMicro, 4, 1), pcapRec(le, 1, 0, data, 1<<31), pcapRec(le, 1, 0, "x", 1)))
	if len(all) != 2 || len(all[0].Data) != len(data) || all[0].WireLen < 1<<31-1 || all[1].Data != "x" || c.Err != nil {
		t.Errorf("%d packets, %v", len(all), c.Err)
	}
}

func TestTooManyInterfaces(t *testing.T) {
	b := sectionBlock(le)
	one := ifaceBlock(le, 1, 0)
	for range maxInterfaces + 1 {
		b = append(b, one...)
	}
	if _, c := readBytes(t, b); len(c.Interfaces) != maxInterfaces || c.Err == nil {
		t.Errorf("%d interfaces, %v", len(c.Interfaces), c.Err)
	}
}
