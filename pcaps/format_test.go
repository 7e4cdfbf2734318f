package pcaps

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sec = 1340954905 // 2012-06-29

func TestFormats(t *testing.T) {
	const ns = int64(1e9)
	base := sec * ns
	micro := func(s, us uint64) uint64 { return s*1e6 + us }
	netmonStart := int64(1623779815744) * 1e6 // 2021-06-15T17:56:55.744Z
	tests := []struct {
		name string
		file []byte
		want []got
		err  string
	}{
		{name: "pcap little endian, µs", file: join(
			pcapHead(le, pcapMicro, 4, 1),
			pcapRec(le, sec, 7, "abc", 3),
			pcapRec(le, sec, 999999, "", 60),
		), want: []got{{1, base + 7000, "abc", 3, LinkEthernet, 0}, {2, base + 999999000, "", 60, LinkEthernet, 0}}},
		{name: "pcap big endian, ns", file: join(
			pcapHead(be, pcapNano, 4, 101),
			pcapRec(be, sec, 7, "abc", 5),
		), want: []got{{1, base + 7, "abc", 5, LinkRaw, 0}}},
		{name: "pcap by its header only", file: pcapHead(be, pcapMicro, 4, 1)},
		{name: "pcap of Kuznetzov", file: join(
			pcapHead(le, pcapKuznetzov, 4, 113),
			u32(le, sec, 1, 2, 2), u32(le, 3), u16(le, 0x800, 0), []byte("hi"),
			u32(le, sec, 2, 1, 1), u32(le, 3), u16(le, 0x800, 0), []byte("!"),
		), want: []got{{1, base + 1000, "hi", 2, LinkLinuxSLL, 0}, {2, base + 2000, "!", 1, LinkLinuxSLL, 0}}},
		{name: "pcap 2.2 has the lengths the other way round", file: join(
			pcapHead(le, pcapMicro, 2, 1), u32(le, sec, 0, 60, 2), []byte("hi"),
		), want: []got{{1, base, "hi", 60, LinkEthernet, 0}}},
		{name: "pcap 2.3 may have", file: join(
			pcapHead(le, pcapMicro, 3, 1), u32(le, sec, 0, 60, 2), []byte("hi"), pcapRec(le, sec, 0, "yo", 61),
		), want: []got{{1, base, "hi", 60, LinkEthernet, 0}, {2, base, "yo", 61, LinkEthernet, 0}}},
		{name: "pcap with a wire length that is too short", file: join(
			pcapHead(le, pcapMicro, 4, 1), pcapRec(le, sec, 0, "hello", 1),
		), want: []got{{1, base, "hello", 5, LinkEthernet, 0}}},
		{name: "pcap with the DLT of libpcap and an FCS length", file: join(
			pcapHead(le, pcapMicro, 4, 0x54000000|12), pcapRec(le, sec, 0, "E", 1),
		), want: []got{{1, base, "E", 1, LinkRaw, 0}}},
		{name: "pcapng without any packet", file: join(sectionBlock(be), ifaceBlock(be, 1, 0))},
		{name: "pcapng sections and interfaces of their own", file: join(
			sectionBlock(le), ifaceBlock(le, 1, 0), ifaceBlock(le, 0, 0),
			enhanced(le, 1, micro(sec, 1), "null", 4),
			block(le, 5, u32(le, 0, 0, 0)), // interface statistics
			block(le, 4, u32(le, 0)),       // name resolution
			block(le, 10, u32(le, 0x544c534b, 0)),
			sectionBlock(be), ifaceBlock(be, 101, 0),
			enhanced(be, 0, micro(sec, 2), "raw", 3),
		), want: []got{{1, base + 1000, "null", 4, LinkNull, 1}, {2, base + 2000, "raw", 3, LinkRaw, 2}}},
		{name: "pcapng resolutions and offset", file: join(
			sectionBlock(le),
			ifaceBlock(le, 1, 0, option(le, 9, "\x09")),
			ifaceBlock(le, 1, 0, option(le, 9, "\x8a")), // 1/1024 s
			ifaceBlock(le, 1, 0, option(le, 9, "\x00"), option(le, 14, "\x01\x00\x00\x00\x00\x00\x00\x00"), option(le, 0, "")),
			ifaceBlock(le, 1, 0, option(le, 14, "\xff\xff\xff\xff\xff\xff\xff\xff")),
			ifaceBlock(le, 1, 0, option(le, 9, "\x14")), // 10^-20 s, more than 64 bits of them in a second
			ifaceBlock(le, 1, 0, option(le, 9, "\x13")),
			enhanced(le, 0, uint64(base)+5, "", 0),
			enhanced(le, 1, sec<<10+512, "", 0),
			enhanced(le, 2, sec, "", 0),
			enhanced(le, 3, micro(sec, 0), "", 0),
			enhanced(le, 4, math.MaxUint64, "", 0),
			enhanced(le, 5, math.MaxUint64, "", 0),
		), want: []got{
			{1, base + 5, "", 0, LinkEthernet, 0}, {2, base + ns/2, "", 0, LinkEthernet, 1}, {3, base + ns, "", 0, LinkEthernet, 2},
			{4, base - ns, "", 0, LinkEthernet, 3}, {5, 0, "", 0, LinkEthernet, 4}, {6, 1844674407, "", 0, LinkEthernet, 5},
		}},
		{name: "pcapng times out of range", file: join(
			sectionBlock(le),
			ifaceBlock(le, 1, 0, option(le, 9, "\x00")),
			ifaceBlock(le, 1, 0, option(le, 14, "\xff\xff\xff\xff\xff\xff\xff\x7f")),
			ifaceBlock(le, 1, 0, option(le, 14, "\x00\x00\x00\x00\x00\x00\x00\x80")),
			enhanced(le, 0, math.MaxUint64, "", 0), enhanced(le, 0, 1<<62, "", 0),
			enhanced(le, 1, math.MaxUint64, "", 0), enhanced(le, 2, 0, "", 0),
		), want: []got{
			{1, math.MaxInt64, "", 0, LinkEthernet, 0}, {2, math.MaxInt64, "", 0, LinkEthernet, 0},
			{3, math.MaxInt64, "", 0, LinkEthernet, 1}, {4, math.MinInt64, "", 0, LinkEthernet, 2},
		}},
		{name: "pcapng simple packets take the last time and the snaplen", file: join(
			sectionBlock(le), ifaceBlock(le, 1, 5),
			simple(le, "abc", 3),
			enhanced(le, 0, micro(sec, 9), "12345", 60),
			simple(le, "12345", 60),
		), want: []got{{1, 0, "abc", 3, LinkEthernet, 0}, {2, base + 9000, "12345", 60, LinkEthernet, 0}, {3, base + 9000, "12345", 60, LinkEthernet, 0}}},
		{name: "pcapng obsolete packet block", file: join(
			sectionBlock(be), ifaceBlock(be, 1, 0),
			block(be, blockPacket, u16(be, 0, 7), u32(be, uint32(micro(sec, 3)>>32), uint32(micro(sec, 3)), 3, 9), pad4("old")),
		), want: []got{{1, base + 3000, "old", 9, LinkEthernet, 0}}},
		{name: "pcapng custom blocks have a number, unknown ones none", file: join(
			sectionBlock(le), ifaceBlock(le, 1, 0),
			block(le, 0x0abcdef0, []byte("what?")), block(le, blockCustom, u32(le, 1)), block(le, blockCustomRO, u32(le, 1)),
			enhanced(le, 0, 0, "x", 1),
		), want: []got{{3, 0, "x", 1, LinkEthernet, 0}}},
		{name: "pcapng block length without padding", file: join(
			sectionBlock(le), ifaceBlock(le, 1, 0),
			u32(le, 0x0abcdef0, 13), []byte("x\x00\x00\x00"), u32(le, 13),
			enhanced(le, 0, 0, "x", 1),
		), want: []got{{1, 0, "x", 1, LinkEthernet, 0}}},
		{name: "pcapng packet of no interface", file: join(
			sectionBlock(le), ifaceBlock(le, 1, 0), enhanced(le, 0, 0, "x", 1), enhanced(le, 1, 0, "y", 1),
		), want: []got{{1, 0, "x", 1, LinkEthernet, 0}}, err: "interface 1 is not described in packet 2 (file offset 84)"},
		{name: "pcapng packet longer than its block", file: join(
			sectionBlock(le), ifaceBlock(le, 1, 0),
			block(le, blockEnhanced, u32(le, 0, 0, 0, 5, 5), pad4("four")),
		), err: "packet length 5 is more than its block holds in packet 1 (file offset 48)"},
		{name: "pcapng lengths that differ", file: join(
			sectionBlock(le), u32(le, blockInterface, 20, 0, 0, 24),
		), err: "block length is 20 at its start and 24 at its end in packet 1 (file offset 28)"},
		{name: "pcapng absurd block lengths", file: join(sectionBlock(le), u32(le, blockInterface, 8, 8)),
			err: "block length 8 is absurd in packet 1 (file offset 28)"},
		{name: "pcapng huge packet block", file: join(sectionBlock(le), u32(le, blockEnhanced, 0xfffffff0, 8)),
			err: "block length 4294967280 is absurd in packet 1 (file offset 28)"},
		{name: "pcapng huge unknown block", file: join(sectionBlock(le), u32(le, 77, 0xfffffff0, 8)),
			err: "cut off in packet 1 (file offset 28)"},
		{name: "pcapng section of another version", file: join(sectionBlock(le), block(le, blockSection, u32(le, byteOrderMagic), u16(le, 2, 0), u32(le, 0, 0))),
			err: "pcapng version 2.0 is not supported in packet 1 (file offset 28)"},
		{name: "pcapng interface option over its end", file: join(sectionBlock(le), ifaceBlock(le, 1, 0, u16(le, 2, 9))),
			err: "interface option is too long in packet 1 (file offset 28)"},
		{name: "pcapng section header that is too short", file: join(sectionBlock(le), block(le, blockSection, u32(le, byteOrderMagic), u16(le, 1, 0))),
			err: "section header is too short in packet 1 (file offset 28)"},
		{name: "pcapng section without byte order", file: join(sectionBlock(le), block(le, blockSection, u32(le, 0, 1, 0, 0))),
			err: "byte order magic is 0x0 in packet 1 (file offset 28)"},
		{name: "pcapng interface description that is too short", file: join(sectionBlock(le), block(le, blockInterface, u32(le, 1))),
			err: "interface description is too short in packet 1 (file offset 28)"},
		{name: "pcapng resolution below 2^-63 s", file: join(sectionBlock(le), ifaceBlock(le, 1, 0, option(le, 9, "\xc0")), enhanced(le, 0, 5, "x", 1)),
			want: []got{{1, 0, "x", 1, LinkEthernet, 0}}},
		{name: "netmon 1", file: netmonFile(1, 1, 1, true, nmFrame{delta: 5, data: "one", wireLen: 60}, nmFrame{delta: 6, data: "two", wireLen: 3}),
			want: []got{{1, netmonStart + 5e6, "one", 60, LinkEthernet, 0}, {2, netmonStart + 6e6, "two", 3, LinkEthernet, 0}}},
		{name: "netmon 2.0", file: netmonFile(2, 0, 3, true, nmFrame{delta: 5, data: "one", wireLen: 60}, nmFrame{delta: 6, data: "two", wireLen: 3}),
			want: []got{{1, netmonStart + 5e3, "one", 60, LinkFDDI, 0}, {2, netmonStart + 6e3, "two", 3, LinkFDDI, 0}}},
		{name: "netmon 2.1 has media types, some of them no packets", file: netmonFile(2, 1, 1, true,
			nmFrame{data: "filter", media: mediaFilter}, nmFrame{delta: 1, data: "one", media: 1}, nmFrame{data: "dns", media: mediaDNSCache},
			nmFrame{delta: 2, data: "two", media: 9}, nmFrame{delta: 3, data: "sll", media: mediaPcap + 113}, nmFrame{delta: 4, data: "?", media: 4}, nmFrame{delta: 5, data: "ring", media: 2}),
			want: []got{{2, netmonStart + 1e3, "one", 3, LinkEthernet, 0}, {3, netmonStart + 2e3, "two", 3, LinkRaw, 1},
				{4, netmonStart + 3e3, "sll", 3, LinkLinuxSLL, 2}, {5, netmonStart + 4e3, "?", 1, NetMonMedia + 4, 3}, {6, netmonStart + 5e3, "ring", 4, LinkTokenRing, 4}}},
		{name: "netmon 2.2 frame before the start", file: netmonFile(2, 2, 1, true, nmFrame{delta: math.MaxUint64/10 - 4, data: "one", media: 1}),
			want: []got{{1, netmonStart - 4600, "one", 3, LinkEthernet, 0}}},
		{name: "netmon 2.3 has a time of its own", file: netmonFile(2, 3, 1, true, nmFrame{data: "one", media: 1, utc: 132682786176926889}),
			want: []got{{1, 1623805017692688900, "one", 3, LinkEthernet, 0}}},
		{name: "netmon without frames", file: netmonFile(2, 3, 1, true)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, c := readBytes(t, tt.file)
			if diff := cmp.Diff(tt.want, all); diff != "" {
				t.Error(diff)
			}
			text := ""
			if c.Err != nil {
				text = c.Err.Error()
			}
			if text != tt.err {
				t.Errorf("Err %q, want %q", text, tt.err)
			}
			if format, _, _ := strings.Cut(tt.name, " "); c.Format != format {
				t.Errorf("Format %q, want %q", c.Format, format)
			}
			for name, pack := range map[string]func(testing.TB, []byte) []byte{"gzip": gzipped, "zstd": zstded} {
				again, packed := readBytes(t, pack(t, tt.file))
				if diff := cmp.Diff(all, again); diff != "" || packed.Compression != name {
					t.Errorf("with %s (%q): %s", name, packed.Compression, diff)
				}
			}
		})
	}
}

func TestCaptureDescribesItsInterfaces(t *testing.T) {
	long := strings.Repeat("x", 300)
	_, c := readBytes(t, join(
		sectionBlock(le),
		ifaceBlock(le, 1, 96, option(le, 2, "edge-lan"), option(le, 3, "some card")),
		ifaceBlock(le, 101, 0, option(le, 3, "wan0\x00junk")),
		ifaceBlock(le, 1, 0, option(le, 2, "eth2"), option(le, 3, "Core router")),
		ifaceBlock(le, 1, 0, option(le, 2, long)),
		enhanced(le, 0, 5e6, "abcd", 9),
		enhanced(le, 1, 3e6, "abc", 3),
		enhanced(le, 0, 4e6, "ab", 2),
		simple(le, "a", 1),
		statistics(le, 1, 4, 16, 7, 1),
		statistics(le, 1, 4, 17, 5, 2, 6, 9, 7, 3),
	))
	want := Capture{
		Path: "-", Format: "pcapng", Link: LinkEthernet, Snaplen: 96, PointBasis: "interface name",
		Interfaces: []Interface{
			{Name: "edge-lan", Link: LinkEthernet, Snaplen: 96, Point: Edge, Tap: 1, Packets: 3, BytesWire: 12},
			{Name: "wan0", Link: LinkRaw, Point: WAN, Tap: 2, Packets: 1, BytesWire: 3, Received: new(int64(17)), DriverDropped: new(int64(2)), Dropped: new(int64(3))},
			{Name: "eth2", Link: LinkEthernet, Point: Core},
			{Name: long[:maxNameLen], Link: LinkEthernet},
		},
		Packets: 4, BytesWire: 15, BytesCaptured: 10, Truncated: 1, Untimed: 1, First: 3e9, Last: 5e9,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

func TestLinkTypeString(t *testing.T) {
	for l, want := range map[LinkType]string{LinkEthernet: "ETHERNET", LinkRaw: "RAW", LinkLinuxSLL: "LINUX_SLL", 147: "USER0", 189: "LINKTYPE_189", NetMonMedia + 4: "NETMON_4"} {
		if got := l.String(); got != want {
			t.Errorf("LinkType(%d) = %q, want %q", uint32(l), got, want)
		}
	}
}

func TestPoint(t *testing.T) {
	for _, p := range []Point{Unknown, Edge, WAN, Core} {
		if back, err := ParsePoint(strings.ToUpper(p.String())); back != p || err != nil {
			t.Errorf("ParsePoint(%q) = %v, %v", p, back, err)
		}
	}
	if p, err := ParsePoint("lan"); err == nil {
		t.Errorf("ParsePoint(lan) = %v, want an error", p)
	}
	if got := Point(9).String(); got != "Point(9)" {
		t.Errorf("Point(9) prints as %q", got)
	}
	for name, want := range map[string]Point{
		"edge-lan": Edge, "wan0": WAN, "core-lan": Core, "Core LAN": Core, "edge-wan": WAN, "eth0 (Edge)": Edge, "core1_edge2": Core,
		"": Unknown, "eth0": Unknown, "swan": Unknown, "Hardcore": Unknown, "unknown": Unknown, `\Device\NPF_{ED6E}`: Unknown,
	} {
		if got := pointOfName(name); got != want {
			t.Errorf("%q is at %v, want %v", name, got, want)
		}
	}
}
