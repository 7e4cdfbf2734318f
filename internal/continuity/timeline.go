package continuity

import (
	"cmp"
	"slices"
	"sort"
)

// timeline tells which ids members had that were over before a time, or began
// after it.
type timeline struct {
	ended []moment // ascending; the greatest id until then
	begun []moment // ascending; the least id from then on
}

type moment struct {
	at int64
	id uint32
}

func newTimeline(members []Member) (t timeline) {
	for i := range members {
		m := &members[i]
		if m.IDs == nil {
			continue
		}
		if least, greatest, ok := m.bounds(); ok {
			t.ended = append(t.ended, moment{m.End, greatest})
			t.begun = append(t.begun, moment{m.Start, least})
		}
	}
	byTime := func(a, b moment) int { return cmp.Compare(a.at, b.at) }
	slices.SortFunc(t.ended, byTime)
	slices.SortFunc(t.begun, byTime)
	for i := 1; i < len(t.ended); i++ {
		t.ended[i].id = max(t.ended[i].id, t.ended[i-1].id)
	}
	for i := len(t.begun) - 2; i >= 0; i-- {
		t.begun[i].id = min(t.begun[i].id, t.begun[i+1].id)
	}
	return t
}

// before returns the greatest id of members that were over before a time.
func (t *timeline) before(at int64) (id uint32, ok bool) {
	i := sort.Search(len(t.ended), func(i int) bool { return t.ended[i].at >= at })
	if i == 0 {
		return 0, false
	}
	return t.ended[i-1].id, true
}

// after returns the least id of members that began after a time.
func (t *timeline) after(at int64) (id uint32, ok bool) {
	i := sort.Search(len(t.begun), func(i int) bool { return t.begun[i].at > at })
	if i == len(t.begun) {
		return 0, false
	}
	return t.begun[i].id, true
}

// orderly reports whether members that were over before others began have lower
// ids, within reach.
func (t *timeline) orderly(members []Member) bool {
	for i := range members {
		m := &members[i]
		if m.IDs == nil {
			continue
		}
		least, _, ok := m.bounds()
		if id, some := t.before(m.Start); ok && some && uint64(least)+reach <= uint64(id) {
			return false
		}
	}
	return true
}
