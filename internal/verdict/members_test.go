package verdict

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/flows"
	"mapiscope/internal/continuity"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// TestMembers: what call ids are judged by.
func TestMembers(t *testing.T) {
	id := func(n uint32) *uint32 { return &n }
	at := func(first, last int64, requested *uint32, ended bool) *Conversation {
		c := legAt(func(f *flows.Conn) {
			f.First, f.Last = wire.Mark{Time: first, Packet: first}, wire.Mark{Time: last, Packet: last}
			if ended {
				f.Sides[0].Rst = f.Last
			}
		})
		c.RPC = &dcerpc.Conn{Requested: requested}
		return &Conversation{Main: c}
	}
	hidden := at(3, 9, nil, false)
	hidden.Main.RPC = nil
	all := []*Conversation{at(1, 5, nil, true), at(1, 6, id(0), false), at(1, 7, id(4), false), hidden}
	want := func(cut bool) []continuity.Member {
		return []continuity.Member{
			{IDs: &all[0].Main.RPC.CallIDs, End: 5}, {IDs: &all[1].Main.RPC.CallIDs, End: 6, Cut: cut},
			{IDs: &all[2].Main.RPC.CallIDs, End: 7, Cut: cut, Joined: true}, {Start: 3, End: 9},
		}
	}
	for _, row := range []struct {
		stats flows.Stats
		cut   bool
	}{{flows.Stats{}, false}, {flows.Stats{Evicted: 1}, true}, {flows.Stats{Expired: 1}, true}} {
		j := &judge{Facts: Facts{Result: &assoc.Result{Flows: row.stats}}}
		got := j.members(all)
		if len(got) != 4 {
			t.Fatal(len(got))
		}
		for i, m := range want(row.cut) {
			if m.IDs != got[i].IDs || m.Joined != got[i].Joined || m.Cut != got[i].Cut || m.Start != got[i].Start || m.End != got[i].End {
				t.Errorf("%+v: member %d is %+v, want %+v", row.stats, i, got[i], m)
			}
		}
	}
}

// TestNewGrowths: which connections an overload is looked for among.
func TestNewGrowths(t *testing.T) {
	at := func(n int64, server string, path Path) *Conversation {
		return &Conversation{Path: path, Main: legAt(func(f *flows.Conn) {
			f.First, f.Last = wire.Mark{Time: n, Packet: n}, wire.Mark{Time: n + 10, Packet: n + 10}
			f.B = endPoint(server)
		})}
	}
	g := newGrowths(nil, []*Conversation{
		at(5, mdb, PassThrough), at(3, mdb, Optimized), at(1, mdb, Optimized), at(2, mdb, PassThrough), at(4, mdb, PathUnknown), at(6, "10.2.0.10:443", PassThrough),
	})
	got := []any{g.starts, g.stops, g.plain}
	want := []any{[]int64{1, 3}, []int64{11, 13}, []wire.Mark{{Time: 2, Packet: 2}, {Time: 5, Packet: 5}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOpenUntil: how long a connection counts as open, by the clock of the
// points near the clients.
func TestOpenUntil(t *testing.T) {
	c := &Conversation{ahead: 100, Main: legAt(func(f *flows.Conn) { f.Last = wire.Mark{Time: 1000, Packet: 1} })}
	if got := c.openUntil(surelyOpen); got != 900+surelyOpen {
		t.Error(got)
	}
	c.Main.Flow.Sides[0].Rst = c.Main.Flow.Last
	if got := c.openUntil(surelyOpen); got != 900 {
		t.Error(got)
	}
	if got := (&Conversation{ahead: 100, Main: legAt(func(f *flows.Conn) { f.First.Time = 1000 })}).bound(); got != 900 {
		t.Error(got)
	}
}

// TestBindOf: the id that counts, of all legs.
func TestBindOf(t *testing.T) {
	id := func(n uint32) *uint32 { return &n }
	leg := func(requested, granted *uint32, naks int) *assoc.Conn {
		c := legAt()
		c.RPC = &dcerpc.Conn{Requested: requested, Granted: granted, Naks: make([]dcerpc.BindNak, naks)}
		return c
	}
	for _, row := range []struct {
		name  string
		legs  []*assoc.Conn
		id    uint32
		asked *uint32
	}{
		{"unreadable", []*assoc.Conn{legAt()}, 0, nil},
		{"asked and granted", []*assoc.Conn{leg(id(0), id(7), 0)}, 7, id(0)},
		{"asked, and no answer", []*assoc.Conn{leg(id(7), nil, 0)}, 7, id(7)},
		{"granted none", []*assoc.Conn{leg(id(7), id(0), 0)}, 7, id(7)},
		{"refused", []*assoc.Conn{leg(id(7), nil, 1)}, 0, id(7)},
		{"refused once, then granted", []*assoc.Conn{leg(id(7), id(7), 1)}, 7, id(7)},
		{"the grant stands at another leg", []*assoc.Conn{leg(id(5), nil, 0), leg(nil, id(7), 0)}, 7, id(5)},
		{"none granted at another leg", []*assoc.Conn{leg(id(5), nil, 0), leg(nil, id(0), 0)}, 5, id(5)},
		{"the question stands at another leg", []*assoc.Conn{leg(nil, id(7), 0), leg(id(0), nil, 0)}, 7, id(0)},
	} {
		got, asked := bindOf(&Conversation{Legs: row.legs, Main: row.legs[0]})
		if diff := cmp.Diff([]any{row.id, row.asked}, []any{got, asked}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}

// TestPlaceText names a leg's place where it is known.
func TestPlaceText(t *testing.T) {
	if got := place(legAt(), "far point"); got != "far point" {
		t.Error(got)
	}
	if got := place(legAt(func(f *flows.Conn) { f.Point = pcaps.Core }), "far point"); got != "core" {
		t.Error(got)
	}
}
