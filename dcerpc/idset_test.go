package dcerpc

import (
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDSet(t *testing.T) {
	const top = math.MaxUint32
	for _, tt := range []struct {
		name string
		add  []IDRange
		want []IDRange
	}{
		{"nothing", nil, nil},
		{"zero", []IDRange{{0, 0}}, []IDRange{{0, 0}}},
		{"an empty range", []IDRange{{3, 2}}, nil},
		{"one by one", []IDRange{{2, 2}, {3, 3}, {4, 4}}, []IDRange{{2, 4}}},
		{"again", []IDRange{{2, 2}, {2, 2}}, []IDRange{{2, 2}}},
		{"with holes", []IDRange{{2, 2}, {9, 9}, {12, 12}, {57, 68}}, []IDRange{{2, 2}, {9, 9}, {12, 12}, {57, 68}}},
		{"downwards", []IDRange{{9, 9}, {8, 8}, {6, 6}, {7, 7}}, []IDRange{{6, 9}}},
		{"below all", []IDRange{{9, 9}, {5, 5}, {1, 1}}, []IDRange{{1, 1}, {5, 5}, {9, 9}}},
		{"a hole is filled", []IDRange{{1, 1}, {3, 3}, {5, 5}, {2, 2}}, []IDRange{{1, 3}, {5, 5}}},
		{"the last hole is filled", []IDRange{{1, 1}, {3, 3}, {5, 5}, {4, 4}}, []IDRange{{1, 1}, {3, 5}}},
		{"over several", []IDRange{{1, 1}, {4, 4}, {7, 7}, {20, 20}, {3, 8}}, []IDRange{{1, 1}, {3, 8}, {20, 20}}},
		{"over all", []IDRange{{1, 1}, {4, 4}, {7, 7}, {0, 9}}, []IDRange{{0, 9}}},
		{"beyond the top", []IDRange{{1, 1}, {4, 4}, {3, 9}}, []IDRange{{1, 1}, {3, 9}}},
		{"in the top", []IDRange{{4, 9}, {5, 6}}, []IDRange{{4, 9}}},
		{"to the end and the beginning", []IDRange{{top, top}, {0, 0}, {top - 1, top}}, []IDRange{{0, 0}, {top - 1, top}}},
		{"all", []IDRange{{5, 5}, {9, top}, {0, top}}, []IDRange{{0, top}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s IDSet
			for _, r := range tt.add {
				s.AddRange(r.First, r.Last)
			}
			if diff := cmp.Diff(tt.want, s.Ranges()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			least, greatest, ok := s.Bounds()
			if ok != (len(tt.want) > 0) || ok && (least != tt.want[0].First || greatest != tt.want[len(tt.want)-1].Last) {
				t.Errorf("bounds %d %d %v", least, greatest, ok)
			}
			if s.Joined() {
				t.Error("ranges were joined")
			}
		})
	}
}

// TestFullIDSet joins ranges for want of room: near ones first, so that wide
// holes stay.
func TestFullIDSet(t *testing.T) {
	limits := DefaultLimits()
	for _, tt := range []struct {
		name   string
		limit  int
		add    []uint32
		want   []IDRange
		joined int64
	}{
		{"room for all", 4, []uint32{1, 3, 5, 7, 9}, []IDRange{{1, 1}, {3, 3}, {5, 5}, {7, 7}, {9, 9}}, 0},
		{"the near ones", 4, []uint32{1, 3, 500, 502, 900, 1000}, []IDRange{{1, 3}, {500, 502}, {900, 900}, {1000, 1000}}, 2},
		{"the near ones by doubling", 4, []uint32{1, 10, 500, 509, 900, 1000}, []IDRange{{1, 10}, {500, 509}, {900, 900}, {1000, 1000}}, 2},
		{"with the top", 4, []uint32{1, 100, 200, 300, 302, 400}, []IDRange{{1, 302}, {400, 400}}, 4},
		{"room for one", 1, []uint32{1, 9, 20}, []IDRange{{1, 9}, {20, 20}}, 1},
		{"as far apart as can be", 1, []uint32{0, math.MaxUint32, 7}, []IDRange{{0, math.MaxUint32}}, 1},
		{"room for none", 0, []uint32{5, 9, 1}, []IDRange{{1, 9}}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limits.CallIDs = tt.limit
			c := NewConn(limits, &quiet{})
			var s IDSet
			for _, id := range tt.add {
				c.addIDs(&s, id, id)
			}
			if diff := cmp.Diff(tt.want, s.Ranges()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.Stats.CallIDsJoined != tt.joined || s.Joined() != (tt.joined > 0) {
				t.Errorf("%d joined, %v; want %d", c.Stats.CallIDsJoined, s.Joined(), tt.joined)
			}
		})
	}
}

// checkIDs adds ranges to a set with room and to one without, and compares both
// with a map.
func checkIDs(t *testing.T, add []IDRange, limit int) {
	t.Helper()
	limits := DefaultLimits()
	limits.CallIDs = limit
	c := NewConn(limits, &quiet{})
	var exact, bounded IDSet
	all := map[uint32]bool{}
	for _, r := range add {
		exact.AddRange(r.First, r.Last)
		c.addIDs(&bounded, r.First, r.Last)
		for id := uint64(r.First); id <= uint64(r.Last); id++ {
			all[uint32(id)] = true
		}
		if len(bounded.low) > limit {
			t.Fatalf("%d ranges, the limit is %d", len(bounded.low), limit)
		}
	}
	var want []IDRange
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if n := len(want); n > 0 && want[n-1].Last+1 == id {
			want[n-1].Last = id
		} else {
			want = append(want, IDRange{id, id})
		}
	}
	if diff := cmp.Diff(want, exact.Ranges()); diff != "" {
		t.Fatalf("%v (-want +got):\n%s", add, diff)
	}
	got := bounded.Ranges()
	if !bounded.Joined() {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%v: nothing was joined (-want +got):\n%s", add, diff)
		}
		return
	}
	// What was joined has the same bounds and leaves nothing out.
	if got[0].First != want[0].First || got[len(got)-1].Last != want[len(want)-1].Last {
		t.Fatalf("%v: from %v to %v, want from %v to %v", add, got[0], got[len(got)-1], want[0], want[len(want)-1])
	}
	for i, r := range got {
		if i > 0 && uint64(got[i-1].Last)+1 >= uint64(r.First) {
			t.Fatalf("%v: %v and %v are not apart", add, got[i-1], r)
		}
	}
	for _, w := range want {
		if !slices.ContainsFunc(got, func(r IDRange) bool { return r.First <= w.First && w.Last <= r.Last }) {
			t.Fatalf("%v: %v is missing in %v", add, w, got)
		}
	}
}

func TestIDSetIsTheMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var add []IDRange
		next := r.Uint32N(40)
		for range r.IntN(60) {
			switch r.IntN(4) {
			case 0:
				next = r.Uint32N(200)
			case 1:
				next += r.Uint32N(5)
			default:
				next++
			}
			add = append(add, IDRange{next, next + uint32(r.IntN(4)*r.IntN(4))})
		}
		checkIDs(t, add, r.IntN(9))
	}
}

// FuzzIDSet reads ranges of 16 bits and a length from bytes, four each, at the
// beginning and at the end of all ids.
func FuzzIDSet(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 3, 0, 0, 0, 9, 0, 2, 1}, uint8(1))
	f.Add([]byte{255, 255, 9, 1, 0, 0, 0, 0, 1, 0, 0, 0}, uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, limit uint8) {
		var add []IDRange
		for ; len(b) >= 4 && len(add) < 200; b = b[4:] {
			first := uint32(binary.LittleEndian.Uint16(b))
			if b[3]&1 != 0 {
				first = math.MaxUint32 - first
			}
			add = append(add, IDRange{first, first + min(uint32(b[2]), math.MaxUint32-first)})
		}
		if len(add) > 0 {
			checkIDs(t, add, int(limit))
		}
	})
}
