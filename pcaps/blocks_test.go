package pcaps

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

// lossy is an enhanced packet block with options.
func lossy(o order, iface uint32, sec uint32, options ...[]byte) []byte {
	ticks := uint64(sec) * 1e6
	return block(o, blockEnhanced, u32(o, iface, uint32(ticks>>32), uint32(ticks), 3, 3), pad4("abc"), join(options...))
}

// TestDropCounts adds up what packet blocks say was lost.
func TestDropCounts(t *testing.T) {
	drops := func(o order, n uint64) []byte { return option(o, 4, string(o.AppendUint64(nil, n))) }
	old := func(o order, drops uint16) []byte {
		return block(o, blockPacket, u16(o, 0, drops), u32(o, 0, 5, 3, 3), pad4("abc"))
	}
	for _, tt := range []struct {
		name   string
		blocks []byte
		want   [2]*int64
	}{
		{"none says anything", lossy(le, 0, 1), [2]*int64{}},
		{"nothing was lost", lossy(le, 0, 1, drops(le, 0)), [2]*int64{new(int64)}},
		{"two interfaces", join(lossy(le, 0, 1, drops(le, 3)), lossy(le, 1, 1, drops(le, 4)), lossy(le, 0, 2, drops(le, 5))), [2]*int64{new(int64(8)), new(int64(4))}},
		{"behind another option", lossy(le, 0, 1, option(le, 2, "\x01\x00\x00\x00"), drops(le, 7)), [2]*int64{new(int64(7))}},
		{"behind the last option", lossy(le, 0, 1, option(le, 0, ""), drops(le, 7)), [2]*int64{}},
		{"of a wrong length", lossy(le, 0, 1, option(le, 4, "\x07\x00\x00\x00")), [2]*int64{}},
		{"behind a damaged option", lossy(le, 0, 1, u16(le, 2, 900), drops(le, 7)), [2]*int64{}},
		{"obsolete blocks", join(old(le, 2), old(le, 0xffff), old(le, 3)), [2]*int64{new(int64(5))}},
		{"obsolete blocks that do not know", old(le, 0xffff), [2]*int64{}},
		{"more than there is", join(lossy(le, 0, 1, drops(le, 1<<63)), lossy(le, 0, 1, drops(le, 1<<63))), [2]*int64{new(int64(1<<63 - 1))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, Options{}, file(t, "x.pcapng", join(sectionBlock(le), ifaceBlock(le, 1, 0), ifaceBlock(le, 1, 0), tt.blocks)))
			var p Packet
			n := 0
			for ; r.Next(&p) == nil; n++ {
				if string(p.Data) != "abc" {
					t.Errorf("%q", p.Data)
				}
			}
			c := r.Captures()[0]
			if n == 0 || c.Err != nil {
				t.Errorf("%d packets, %v", n, c.Err)
			}
			if diff := cmp.Diff(tt.want, [2]*int64{c.Interfaces[0].Lost, c.Interfaces[1].Lost}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPacketsWithoutTime stand at the time of the packet in front, and say so.
func TestPacketsWithoutTime(t *testing.T) {
	r := open(t, Options{}, file(t, "x.pcapng", join(sectionBlock(le), ifaceBlock(le, 1, 0), simple(le, "a", 1), lossy(le, 0, 7), simple(le, "b", 1))))
	var got []wire.Mark
	var p Packet
	for r.Next(&p) == nil {
		got = append(got, p.Mark)
	}
	if diff := cmp.Diff([]wire.Mark{{Packet: 1, Untimed: true}, {Time: 7e9, Packet: 2}, {Time: 7e9, Packet: 3, Untimed: true}}, got); diff != "" {
		t.Error(diff)
	}
	if c := r.Captures()[0]; c.Untimed != 2 || c.First != 7e9 || c.Last != 7e9 {
		t.Errorf("%+v", c)
	}
}

// TestSkippedBlocks counts blocks whose content is not known.
func TestSkippedBlocks(t *testing.T) {
	r := open(t, Options{}, file(t, "x.pcapng", join(
		sectionBlock(le), ifaceBlock(le, 1, 0), block(le, blockNames, u32(le, 0)), block(le, blockSecrets, u32(le, 0, 0)), block(le, 0x0abcdef0, u32(le, 0)),
		block(le, blockCustom, u32(le, 1)), lossy(le, 0, 1), block(le, blockJournal, u32(le, 1)), statistics(le, 0, 4, 1))))
	var p Packet
	for r.Next(&p) == nil {
	}
	if c := r.Captures()[0]; c.Skipped != 3 || c.Packets != 1 || c.Err != nil {
		t.Errorf("%+v", c)
	}
}

// TestDoubtfulLengths counts packets that were longer than any can be.
func TestDoubtfulLengths(t *testing.T) {
	r := open(t, Options{}, file(t, "x.pcap", join(pcapHead(le, pcapMicro, 4, 1),
		pcapRec(le, 1, 0, "abc", 3), pcapRec(le, 2, 0, "abc", 0xffffffff), pcapRec(le, 3, 0, "abc", maxWire), pcapRec(le, 4, 0, "abc", maxWire+1))))
	var p Packet
	for r.Next(&p) == nil {
	}
	if c := r.Captures()[0]; c.Doubtful != 2 || c.Packets != 4 {
		t.Errorf("%+v", c)
	}
}
