package dcerpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// known is CallIDs as a value to compare.
type known struct {
	Calls, Others, Lost []IDRange
	Spoke, Torn         bool
	Disorder            uint32
	Bind                int // -1 for none
}

func knownOf(c *Conn) known {
	ids := &c.CallIDs
	k := known{ids.Calls.Ranges(), ids.Others.Ranges(), ids.Lost.Ranges(), ids.Spoke, ids.Torn, ids.Disorder, -1}
	if ids.Bind != nil {
		k.Bind = int(*ids.Bind)
	}
	return k
}

func TestCallIDs(t *testing.T) {
	asks := func(ids ...uint32) (s script) {
		for _, id := range ids {
			s = append(s, client(pcaptest.Request(0, 11, make([]byte, 40)).Call(id).Bytes())...)
		}
		return s
	}
	answers := func(ids ...uint32) (s script) {
		for _, id := range ids {
			s = append(s, server(pcaptest.Response(0, make([]byte, 40)).Call(id).Bytes())...)
		}
		return s
	}
	bind := func(id uint32) script {
		return client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(id).Bytes())
	}
	alter := func(id uint32) script {
		return client(pcaptest.AlterContext(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(id).Bytes())
	}
	long := pcaptest.Request(0, 11, make([]byte, 400)).Call(5)
	one := func(id uint32) []IDRange { return []IDRange{{id, id}} }
	for _, tt := range []struct {
		name      string
		midstream bool
		script    script
		want      known
	}{
		{"Windows: a bind has the id of the first call", false, join(bind(2), alter(2), asks(2, 9, 12, 57, 58, 59)),
			known{Calls: []IDRange{{2, 2}, {9, 9}, {12, 12}, {57, 59}}, Others: one(2), Spoke: true, Bind: 2}},
		{"Samba: a bind has an id of its own", false, join(bind(1), client(pcaptest.Auth3().Call(1).Auth(10, 5, 0, []byte("x")).Bytes()), asks(2, 3, 4)),
			known{Calls: []IDRange{{2, 4}}, Others: one(1), Spoke: true, Bind: 1}},
		{"the second bind is no first one", false, join(bind(2), bind(3)), known{Others: []IDRange{{2, 3}}, Spoke: true, Bind: 2}},
		{"answers to requests that were seen", false, join(asks(2, 3), answers(2, 3)), known{Calls: []IDRange{{2, 3}}, Spoke: true, Bind: -1}},
		{"answers alone", true, join(answers(7), server(pcaptest.Fault(0, 5).Call(8).Bytes())), known{Calls: []IDRange{{7, 8}}, Torn: true, Bind: -1}},
		{"fragments count once", false, client(long.Fragmented(100)), known{Calls: one(5), Spoke: true, Bind: -1}},
		{"out of order", false, asks(3, 7, 5, 8), known{Calls: []IDRange{{3, 3}, {5, 5}, {7, 8}}, Spoke: true, Disorder: 2, Bind: -1}},
		{"a call of any age is given up", false, join(asks(3, 70), client(pcaptest.Orphaned().Call(3).Bytes(), pcaptest.CoCancel().Call(4).Bytes())),
			known{Calls: []IDRange{{3, 3}, {70, 70}}, Others: []IDRange{{3, 4}}, Spoke: true, Bind: -1}},
		{"id 0", false, asks(0, 1), known{Calls: []IDRange{{0, 1}}, Spoke: true, Bind: -1}},
		{"the last id of all", false, asks(1<<32-1, 0), known{Calls: []IDRange{{0, 0}, {1<<32 - 1, 1<<32 - 1}}, Spoke: true, Disorder: 1<<32 - 1, Bind: -1}},

		{"from its middle", true, asks(7, 8, 9), known{Calls: []IDRange{{7, 9}}, Lost: []IDRange{{0, 6}}, Spoke: true, Bind: -1}},
		{"from its middle, with id 0", true, asks(0, 1), known{Calls: []IDRange{{0, 1}}, Spoke: true, Bind: -1}},
		{"a gap", false, join(asks(2, 3), clientGap(500), asks(9, 10)),
			known{Calls: []IDRange{{2, 3}, {9, 10}}, Lost: []IDRange{{4, 8}}, Spoke: true, Bind: -1}},
		{"a gap in which nothing can be", false, join(asks(2, 3), clientGap(500), asks(4, 5)), known{Calls: []IDRange{{2, 5}}, Spoke: true, Bind: -1}},
		{"a gap, and an old id behind it", false, join(asks(2, 6), clientGap(500), asks(4, 10, 12)),
			known{Calls: []IDRange{{2, 2}, {4, 4}, {6, 6}, {10, 10}, {12, 12}}, Lost: []IDRange{{7, 9}}, Spoke: true, Disorder: 2, Bind: -1}},
		{"a gap inside a PDU whose header was captured", false, join(asks(2), client(long.Bytes()[:30]), clientGap(int64(len(long.Bytes())-30)), asks(6)),
			known{Calls: []IDRange{{2, 2}, {5, 6}}, Spoke: true, Bind: -1}},
		{"an answer shows what a gap swallowed", false, join(asks(2), clientGap(500), answers(4), asks(6)),
			known{Calls: []IDRange{{2, 2}, {4, 4}, {6, 6}}, Lost: []IDRange{{3, 5}}, Spoke: true, Bind: -1}},
		{"a gap of the server", false, join(asks(2, 3), serverGap(500), asks(9)), known{Calls: []IDRange{{2, 3}, {9, 9}}, Spoke: true, Bind: -1}},
		{"a gap at the end", false, join(asks(2, 3), clientGap(500)), known{Calls: []IDRange{{2, 3}}, Spoke: true, Torn: true, Bind: -1}},
		{"a header is cut at the end", false, join(asks(2, 3), client(long.Bytes()[:9])), known{Calls: []IDRange{{2, 3}}, Spoke: true, Torn: true, Bind: -1}},
		{"a PDU is cut at the end", false, join(asks(2, 3), client(long.Bytes()[:19])), known{Calls: []IDRange{{2, 3}, {5, 5}}, Spoke: true, Bind: -1}},
		{"callbacks are the server's", false, join(asks(2), server(pcaptest.Request(0, 1, nil).Call(40).Bytes())), known{Calls: one(2), Spoke: true, Bind: -1}},
		{"nothing", false, nil, known{Bind: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConn(DefaultLimits(), &quiet{})
			if tt.midstream {
				c.Midstream()
			}
			for i, x := range tt.script {
				m := wire.Mark{Packet: int64(i + 1)}
				if x.gap > 0 {
					c.Gap(x.side, 0, m, x.gap)
				} else {
					c.Data(x.side, 0, m, x.data)
				}
			}
			c.End(wire.Mark{Packet: 99})
			if diff := cmp.Diff(tt.want, knownOf(c)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCallIDsAreCharged fills the sets of a connection: they stay within their
// limit, and their memory is in the account.
func TestCallIDsAreCharged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		step   uint32
		ranges int // at most, in Calls
		joined bool
	}{
		{"one after the other", 1, 1, false},
		{"every second", 2, 129, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConn(DefaultLimits(), &quiet{})
			for i := range uint32(5000) {
				c.Data(wire.SideA, 0, wire.Mark{Packet: 1}, pcaptest.Request(0, 11, nil).Call(2+i*tt.step).Bytes())
				c.Data(wire.SideB, 0, wire.Mark{Packet: 2}, pcaptest.Response(0, nil).Call(2+i*tt.step).Bytes())
			}
			got := c.CallIDs.Calls.Ranges()
			if len(got) > tt.ranges || got[0].First != 2 || got[len(got)-1].Last != 2+4999*tt.step {
				t.Errorf("%d ranges, %v to %v", len(got), got[0], got[len(got)-1])
			}
			if c.CallIDs.Calls.Joined() != tt.joined || c.Stats.CallIDsJoined > 0 != tt.joined {
				t.Errorf("joined %v, %d", c.CallIDs.Calls.Joined(), c.Stats.CallIDsJoined)
			}
			if c.Weight() > 2048 || tt.joined && c.Weight() < 64*idRangeWeight {
				t.Errorf("%d bytes are charged", c.Weight())
			}
		})
	}
}
