package continuity

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/dcerpc"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// r is a range of ids, id a single one.
func r(first, last uint32) dcerpc.IDRange { return dcerpc.IDRange{First: first, Last: last} }
func id(n uint32) dcerpc.IDRange          { return r(n, n) }

// conn is a member that lived from its first id to its last, as if one id were
// given out each nanosecond, with nothing lost.
func conn(calls ...dcerpc.IDRange) Member {
	ids := &dcerpc.CallIDs{Spoke: true}
	for _, x := range calls {
		ids.Calls.AddRange(x.First, x.Last)
	}
	m := Member{IDs: ids}
	if low, high, ok := m.bounds(); ok {
		m.Start, m.End = int64(low), int64(high)
	}
	return m
}

// binds adds a bind.
func (m Member) binds(n uint32, joins bool) Member {
	m.IDs.Bind, m.Joined = &n, joins
	m.IDs.Others.Add(n)
	return m
}

// creator and joiner bind as Windows does, with the id of the first call.
func creator(calls ...dcerpc.IDRange) Member { return conn(calls...).binds(calls[0].First, false) }
func joined(calls ...dcerpc.IDRange) Member  { return conn(calls...).binds(calls[0].First, true) }

func (m Member) lacks(lost ...dcerpc.IDRange) Member {
	for _, x := range lost {
		m.IDs.Lost.AddRange(x.First, x.Last)
	}
	return m
}

func (m Member) torn() Member                  { m.IDs.Torn = true; return m }
func (m Member) mute() Member                  { m.IDs.Spoke = false; return m }
func (m Member) disorderly(n uint32) Member    { m.IDs.Disorder = n; return m }
func (m Member) other(x dcerpc.IDRange) Member { m.IDs.Others.AddRange(x.First, x.Last); return m }
func (m Member) cut() Member                   { m.Cut = true; return m }
func (m Member) at(start, end int64) Member    { m.Start, m.End = start, end; return m }

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name      string
		members   []Member
		elsewhere []Member
		want      Result
	}{
		{"nobody", nil, nil, Result{}},
		{"no ids", []Member{conn()}, nil, Result{}},
		{"one that opened the group", []Member{creator(r(2, 9))}, nil, Result{Unknown, 2, 9, 0}},
		{"one that opened the group, with holes", []Member{creator(id(2), id(9))}, nil, Result{Unknown, 2, 9, 0}},
		{"one that joined, without holes", []Member{joined(r(1113, 1120))}, nil, Result{Unknown, 1113, 1120, 0}},
		{"one that joined, with holes", []Member{joined(id(2), id(9), id(12), r(57, 68))}, nil, Result{PerAssociation, 2, 68, 52}},
		{"one that joined, with an alter_context before its calls", []Member{joined(r(8, 9)).other(id(7))}, nil, Result{Unknown, 7, 9, 0}},
		{"one that joined at 1", []Member{joined(id(1), id(9))}, nil, Result{PerConnection, 1, 9, 0}},
		{"one that joined, whose bind has an id of its own", []Member{conn(id(7), id(9)).binds(6, true)}, nil, Result{Unknown, 6, 9, 0}},
		{"one that joined, without its bind", []Member{{IDs: conn(id(7), id(9)).IDs, Joined: true}}, nil, Result{Unknown, 7, 9, 0}},

		{"two without holes", []Member{creator(id(2), r(4, 6)), joined(id(3))}, nil, Result{PerAssociation, 2, 6, 0}},
		{"two with a hole between them", []Member{creator(r(2, 6)), joined(r(10, 12))}, nil, Result{PerAssociation, 2, 12, 3}},
		{"two with a hole in one", []Member{creator(r(2, 6), r(9, 10)), joined(r(11, 12))}, nil, Result{PerAssociation, 2, 12, 2}},
		{"the first begins at 1, as with Windows 2000", []Member{creator(id(1)), joined(r(2, 4))}, nil, Result{PerAssociation, 1, 4, 0}},
		{"the id of a bind counts", []Member{creator(r(2, 6)), joined(r(8, 9)).other(id(7))}, nil, Result{PerAssociation, 2, 9, 0}},
		{"a bind that was tried on two connections", []Member{creator(r(2, 6)), joined(r(7, 9)).other(id(5))}, nil, Result{PerAssociation, 2, 9, 0}},
		{"the second begins first, by a little", []Member{creator(id(3)).at(1, 2), joined(id(2), r(4, 6)).at(3, 9)}, nil, Result{PerAssociation, 2, 6, 0}},
		{"below the lowest nothing is missing", []Member{joined(r(1000, 1005)), joined(r(1006, 1009))}, nil, Result{PerAssociation, 1000, 1009, 0}},

		{"Samba: both begin at 1", []Member{conn(r(2, 17)).binds(1, false), conn(r(2, 17)).binds(1, true)}, nil, Result{PerConnection, 1, 17, 0}},
		{"Samba: the second did nothing but bind", []Member{conn(r(2, 17)).binds(1, false), conn().binds(1, true)}, nil, Result{PerConnection, 1, 17, 0}},
		{"both opened it, so to say, at 1", []Member{conn(id(1)), conn(id(1))}, nil, Result{PerConnection, 1, 1, 0}},
		{"from the middle: they overlap", []Member{conn(r(7, 17)).lacks(r(0, 6)), conn(r(9, 12)).lacks(r(0, 8))}, nil, Result{PerConnection, 7, 17, 0}},
		{"always the same id", []Member{creator(id(5)), joined(id(5))}, nil, Result{PerConnection, 5, 5, 0}},
		{"a process counts binds as well", []Member{conn(r(9, 10)).binds(8, false), conn(r(14, 18)).binds(13, true)}, nil, Result{Unknown, 8, 18, 0}},
		{"numbers without order", []Member{creator(id(2), id(900)).disorderly(800), joined(id(1000))}, nil, Result{Unknown, 2, 1000, 0}},
		{"an older one has far higher ids", []Member{creator(r(500, 510)).at(1, 2), joined(r(20, 30)).at(3, 4)}, nil, Result{Unknown, 20, 510, 0}},
		{"too far apart for a counter", []Member{creator(r(2, 6)), joined(r(3_000_000, 3_000_001))}, nil, Result{Unknown, 2, 3_000_001, 0}},

		{"as far apart as a counter may be", []Member{creator(r(2, 6)), joined(r(1_000_007, 1_000_008))}, nil, Result{PerAssociation, 2, 1_000_008, 1_000_000}},
		{"one more", []Member{creator(r(2, 6)), joined(r(1_000_008, 1_000_009))}, nil, Result{Unknown, 2, 1_000_009, 0}},
		{"threads that are slow to send", []Member{creator(id(84)).at(1, 2), joined(r(21, 22)).at(3, 4)}, nil, Result{PerAssociation, 21, 84, 61}},
		{"too slow", []Member{creator(id(84)).at(1, 2), joined(r(20, 21)).at(3, 4)}, nil, Result{Unknown, 20, 84, 0}},
		{"at the same time any order will do", []Member{creator(id(84)).at(1, 3), joined(r(2, 3)).at(3, 4)}, nil, Result{PerAssociation, 2, 84, 80}},
		{"out of order on one connection", []Member{creator(r(2, 100)).disorderly(64), joined(r(102, 103))}, nil, Result{PerAssociation, 2, 103, 1}},
		{"too much out of order", []Member{creator(r(2, 100)).disorderly(65), joined(r(102, 103))}, nil, Result{Unknown, 2, 103, 0}},

		{"a gap explains it", []Member{creator(r(2, 6), r(9, 10)).lacks(r(7, 8)), joined(r(11, 12))}, nil, Result{PerAssociation, 2, 12, 0}},
		{"a gap explains a part", []Member{creator(r(2, 6), r(9, 10)).lacks(id(7)), joined(r(11, 12))}, nil, Result{PerAssociation, 2, 12, 1}},
		{"a gap, and ids out of order", []Member{creator(r(2, 6), id(9)).lacks(r(7, 8)).disorderly(2), joined(r(12, 13))}, nil, Result{PerAssociation, 2, 13, 1}},
		{"a gap above", []Member{creator(r(2, 6)).torn(), joined(r(10, 12))}, nil, Result{PerAssociation, 2, 12, 0}},
		{"the end may be missing", []Member{creator(r(2, 6)).cut(), joined(r(10, 12))}, nil, Result{PerAssociation, 2, 12, 0}},
		{"captured late", []Member{conn(r(10, 12), id(14)).lacks(r(0, 9)), joined(r(2, 4))}, nil, Result{PerAssociation, 2, 14, 1}},
		{"only answers were captured", []Member{creator(r(2, 6)), conn(r(10, 12)).mute()}, nil, Result{PerAssociation, 2, 12, 0}},
		{"a member cannot be read", []Member{creator(r(2, 6)), joined(r(10, 12)), {}}, nil, Result{PerAssociation, 2, 12, 0}},

		{"another connection has them", []Member{creator(r(2, 6)), joined(r(10, 12))}, []Member{conn(r(7, 9))}, Result{PerAssociation, 2, 12, 0}},
		{"another connection has some", []Member{creator(r(2, 6)), joined(r(10, 12))}, []Member{conn(r(8, 100))}, Result{PerAssociation, 2, 12, 1}},
		{"another connection may have had them", []Member{creator(r(2, 6)), joined(r(10, 12))}, []Member{conn(r(100, 101)).lacks(r(0, 99))}, Result{PerAssociation, 2, 12, 0}},
		{"another connection has others", []Member{creator(r(2, 6)), joined(r(10, 12))}, []Member{conn(r(100, 101)), conn(id(1))}, Result{PerAssociation, 2, 12, 3}},
		{"another connection cannot be read", []Member{creator(r(2, 6)), joined(r(10, 12))}, []Member{conn(id(1)), {}}, Result{PerAssociation, 2, 12, 0}},
		{"from the first to the last id of all", []Member{joined(r(2, 1<<32-1)), joined(id(1<<32 - 3)).mute()}, nil, Result{PerConnection, 2, 1<<32 - 1, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 3 { // in any order
				got := Judge(tt.members, Explain(tt.elsewhere))
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Fatalf("(-want +got):\n%s", diff)
				}
				rand.Shuffle(len(tt.members), func(i, j int) { tt.members[i], tt.members[j] = tt.members[j], tt.members[i] })
			}
		})
	}
}

func TestJoin(t *testing.T) {
	windows := []Member{creator(id(2), id(9)), joined(id(12), r(57, 68)).at(11, 68)}
	high := []Member{joined(r(428, 430))}
	for _, tt := range []struct {
		name    string
		groups  [][]Member
		unbound []Member
		want    []int
	}{
		{"nobody", nil, nil, []int{}},
		{"no group", nil, []Member{conn(r(3, 8))}, []int{-1}},
		{"it fills a hole", [][]Member{windows}, []Member{conn(r(3, 8))}, []int{0}},
		{"it fills several", [][]Member{windows}, []Member{conn(r(3, 8), r(10, 11), r(13, 56))}, []int{0}},
		{"it lies in a hole and touches nothing", [][]Member{windows}, []Member{conn(r(20, 30))}, []int{-1}},
		{"it touches one end of a hole, low", [][]Member{windows}, []Member{conn(r(20, 56))}, []int{-1}},
		{"an id was used", [][]Member{windows}, []Member{conn(r(3, 9))}, []int{-1}},
		{"it adjoins the end, high", [][]Member{high}, []Member{conn(r(384, 427))}, []int{0}},
		{"it adjoins the other end", [][]Member{high}, []Member{conn(r(431, 440))}, []int{0}},
		{"it adjoins the end, low", [][]Member{{joined(r(28, 30))}}, []Member{conn(r(20, 27))}, []int{-1}},
		{"it lies beyond the end", [][]Member{high}, []Member{conn(r(432, 440))}, []int{-1}},
		{"a part lies beyond the end", [][]Member{high}, []Member{conn(r(384, 427), id(435))}, []int{-1}},
		{"over the end", [][]Member{{joined(id(427), id(429))}}, []Member{conn(id(428), id(430))}, []int{0}},
		{"it adjoins the end, as high as needed", [][]Member{{joined(r(65, 70))}}, []Member{conn(r(20, 64))}, []int{0}},
		{"it adjoins the end, not so high", [][]Member{{joined(r(64, 70))}}, []Member{conn(r(20, 63))}, []int{-1}},
		{"times are against it", [][]Member{high}, []Member{conn(r(384, 427)).at(1000, 2000)}, []int{-1}},
		{"times are against it, the other way", [][]Member{high}, []Member{conn(r(431, 440)).at(1, 2)}, []int{-1}},
		{"two groups", [][]Member{{joined(id(99), id(101))}, {joined(id(99), id(101)).at(99, 101)}}, []Member{conn(id(100))}, []int{-1}},
		{"one of many that might have it", crowdOf(9), []Member{conn(r(431, 440))}, []int{-1}},
		{"of few one that fits", crowdOf(8), []Member{conn(r(431, 440))}, []int{7}},
		{"the right one of two", [][]Member{{joined(r(200, 210))}, high}, []Member{conn(r(384, 427)), conn(r(211, 220))}, []int{1, 0}},
		{"two contend", [][]Member{high}, []Member{conn(r(384, 427)), conn(r(400, 427))}, []int{-1, -1}},
		{"two contend and a third does not", [][]Member{high}, []Member{conn(r(384, 427)), conn(r(400, 427)), conn(id(431))}, []int{-1, -1, 0}},
		{"a chain", [][]Member{high}, []Member{conn(r(300, 350)), conn(r(351, 383)), conn(r(384, 427))}, []int{0, 0, 0}},
		{"a long chain", [][]Member{high}, chain(427, 18), []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1}},
		{"Samba", [][]Member{{conn(r(70, 90)).binds(1, false), conn(r(70, 80)).binds(1, true)}}, []Member{conn(r(91, 99))}, []int{-1}},
		{"a bind with an id of its own", [][]Member{{conn(r(70, 90)).binds(69, false)}}, []Member{conn(r(91, 99))}, []int{-1}},
		{"without order", [][]Member{high}, []Member{conn(r(384, 427)).disorderly(500)}, []int{-1}},
		{"it cannot be read", [][]Member{high}, []Member{{}, conn()}, []int{-1, -1}},
		{"a member cannot be read", [][]Member{{joined(r(428, 430)), {}}}, []Member{conn(r(384, 427))}, []int{0}},
		{"the first and the last id of all", [][]Member{{conn(r(0, 5), r(1<<32-5, 1<<32-1))}}, []Member{conn(r(6, 1<<32-6))}, []int{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := cmp.Diff(nil, tt.groups, cmp.AllowUnexported(dcerpc.IDSet{}, dcerpc.CallIDs{}))
			if diff := cmp.Diff(tt.want, Join(tt.groups, tt.unbound)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if after := cmp.Diff(nil, tt.groups, cmp.AllowUnexported(dcerpc.IDSet{}, dcerpc.CallIDs{})); before != after {
				t.Error("the groups were changed")
			}
		})
	}
}

// crowdOf returns n groups with ids up to 430, of which only the last is of the
// time of a connection that goes on from there.
func crowdOf(n int) (groups [][]Member) {
	for i := range n {
		m := joined(r(428, 430))
		if i < n-1 {
			m = m.at(1000, 1001)
		}
		groups = append(groups, []Member{m})
	}
	return groups
}

// chain returns n connections of ten ids each, downwards from last.
func chain(last uint32, n int) (unbound []Member) {
	for range n {
		unbound = append(unbound, conn(r(last-9, last)))
		last -= 10
	}
	return unbound
}

// TestInexact has sets whose ranges were joined for want of room: they may hold
// ids that nobody used, so that they neither overlap nor interlock for certain.
func TestInexact(t *testing.T) {
	alternating := func(first uint32) Member {
		l := dcerpc.DefaultLimits()
		l.CallIDs = 4
		c := dcerpc.NewConn(l, silent{})
		for id := first; id < first+80; id += 2 {
			b := pcaptest.Request(0, 11, nil).Call(id).Bytes()
			c.Data(wire.SideA, 0, wire.Mark{Packet: 1}, b)
		}
		return Member{IDs: &c.CallIDs, Start: int64(first), End: int64(first) + 80}
	}
	even, odd := alternating(100), alternating(101)
	if !even.IDs.Calls.Joined() || !odd.IDs.Calls.Joined() {
		t.Fatal("nothing was joined")
	}
	if diff := cmp.Diff(Result{Unknown, 100, 179, 0}, Judge([]Member{even, odd}, Cover{})); diff != "" {
		t.Errorf("two that alternate (-want +got):\n%s", diff)
	}
	// Without overlap the joined ids are taken for used: fewer are missing.
	if got := Judge([]Member{even, joined(r(190, 199))}, Cover{}); got.Counting != PerAssociation || got.Missing < 11 || got.Missing > 50 {
		t.Errorf("with a second behind it: %+v", got)
	}
	for _, tt := range []struct {
		name    string
		groups  [][]Member
		unbound []Member
	}{
		{"to a joined set", [][]Member{{even}}, []Member{conn(r(179, 190))}},
		{"a joined set", [][]Member{{joined(r(179, 190))}}, []Member{even}},
	} {
		if diff := cmp.Diff([]int{-1}, Join(tt.groups, tt.unbound)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// silent wants nothing.
type silent struct{}

func (silent) Want(*dcerpc.Call, bool) int   { return 0 }
func (silent) Request(*dcerpc.Call, []byte)  {}
func (silent) Response(*dcerpc.Call, []byte) {}
func (silent) Lost(*dcerpc.Call)             {}
func (silent) Event(*dcerpc.Event)           {}

// TestNothingIsMissing deals the ids of one counter out to connections, keeps
// some connections from the capture and loses stretches of others: never are
// more ids missing than those connections carried, and all are when nothing
// was lost.
func TestNothingIsMissing(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	said, joins := 0, 0
	for round := range 4000 {
		n := 2 + random.IntN(5)
		calls := make([][]uint32, n)
		at := 0
		next := uint32(2)
		for range 1 + random.IntN(120) {
			if random.IntN(3) == 0 {
				at = random.IntN(n)
			}
			calls[at] = append(calls[at], next)
			next++
		}
		lossy := round%2 == 1
		var members []Member
		var elsewhere []uint32 // carried by connections that were not captured
		for i, all := range calls {
			if len(all) == 0 {
				continue
			}
			if i > 1 && random.IntN(3) == 0 {
				elsewhere = append(elsewhere, all...)
				continue
			}
			members = append(members, capture(random, all, lossy))
		}
		got := Judge(members, Cover{})
		if got.Counting == PerConnection {
			t.Fatalf("%v: %+v", calls, got)
		}
		inside := int64(len(slices.DeleteFunc(elsewhere, func(id uint32) bool { return id < got.Lowest || id > got.Highest })))
		if got.Missing > inside || !lossy && got.Counting == PerAssociation && got.Missing != inside {
			t.Fatalf("%v: %+v, not captured are %d", calls, got, inside)
		}
		if got.Missing > 0 {
			said++
		}
		// One member without its bind belongs to this group or to none.
		if last := len(members) - 1; last > 0 {
			members[last].IDs.Bind = nil
			if to := Join([][]Member{members[:last]}, members[last:]); to[0] == 0 {
				joins++
			}
		}
	}
	if said < 500 || joins < 500 {
		t.Errorf("only %d groups miss calls, only %d connections joined one", said, joins)
	}
}

// capture is a connection as a capture shows it, from the ids it carried, with
// stretches that were lost.
func capture(random *rand.Rand, all []uint32, lossy bool) Member {
	ids := &dcerpc.CallIDs{}
	torn := false
	high := uint32(0)
	for i, id := range all {
		if lossy && random.IntN(4) == 0 {
			torn = true
			continue
		}
		ids.Calls.Add(id)
		if torn {
			ids.Lost.AddRange(high+1, id-1)
		}
		if i == 0 {
			ids.Bind = &id
		}
		ids.Spoke, torn, high = true, false, id
	}
	ids.Torn = torn
	return Member{IDs: ids, Joined: all[0] > 2, Start: int64(all[0]), End: int64(all[len(all)-1])}
}
