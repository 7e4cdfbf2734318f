package dcerpc

import (
	"slices"
	"sort"
)

// IDRange is a range of call ids, both ends included.
type IDRange struct{ First, Last uint32 }

// IDSet is a set of call ids, kept as ranges. Ids are given out by counting, so
// that the usual next one only moves the end of the latest range. The zero
// IDSet is empty.
type IDSet struct {
	low    []IDRange // ascending, with ids between them that are in none
	top    IDRange   // above all of low
	some   bool      // there is a top
	joined bool
}

// Add adds an id.
func (s *IDSet) Add(id uint32) { s.AddRange(id, id) }

// AddRange adds the ids from first to last, none when first is above last.
func (s *IDSet) AddRange(first, last uint32) {
	if !s.add(first, last) {
		s.low = slices.Grow(s.low, max(4, len(s.low)))
		s.add(first, last)
	}
}

// add is AddRange where there is room: false, and nothing is done, when a range
// more is needed and low is full.
func (s *IDSet) add(first, last uint32) bool {
	switch {
	case first > last:
	case !s.some:
		s.top, s.some = IDRange{first, last}, true
	case first < s.top.First:
		return s.insert(first, last)
	case last <= s.top.Last:
	case first <= s.top.Last || first-1 == s.top.Last:
		s.top.Last = last
	case len(s.low) == cap(s.low):
		return false
	default:
		s.low = append(s.low, s.top)
		s.top = IDRange{first, last}
	}
	return true
}

// insert adds ids that begin below the top.
func (s *IDSet) insert(first, last uint32) bool {
	// Ranges from i up to j touch the new one and become one with it.
	i := sort.Search(len(s.low), func(i int) bool { return s.low[i].Last >= first || s.low[i].Last+1 == first })
	j := i
	for ; j < len(s.low) && (s.low[j].First <= last || s.low[j].First-1 == last); j++ {
		first, last = min(first, s.low[j].First), max(last, s.low[j].Last)
	}
	if s.top.First <= last || s.top.First-1 == last {
		s.top = IDRange{first, max(last, s.top.Last)}
		s.low = s.low[:i]
		return true
	}
	if i == j {
		if len(s.low) == cap(s.low) {
			return false
		}
		s.low = slices.Insert(s.low, i, IDRange{first, last})
		return true
	}
	s.low[i] = IDRange{first, last}
	s.low = slices.Delete(s.low, i+1, j)
	return true
}

// join takes ids into the set that lie between its ranges, the smallest gaps
// first, until half of the ranges are left, and returns how many are gone.
func (s *IDSet) join() int {
	before := len(s.low)
	for gap := uint64(1); len(s.low) > before/2; gap *= 2 {
		kept := s.low[:0]
		for _, r := range s.low {
			if n := len(kept); n > 0 && uint64(r.First-kept[n-1].Last-1) <= gap {
				kept[n-1].Last = r.Last
			} else {
				kept = append(kept, r)
			}
		}
		s.low = kept
		if n := len(kept); n > 0 && uint64(s.top.First-kept[n-1].Last-1) <= gap {
			s.top.First, s.low = kept[n-1].First, kept[:n-1]
		}
	}
	s.joined = s.joined || before > len(s.low)
	return before - len(s.low)
}

// Ranges returns the ranges of the set, ascending, with ids between them that
// are in none. The slice is the caller's.
func (s *IDSet) Ranges() []IDRange {
	if !s.some {
		return nil
	}
	return append(slices.Clone(s.low), s.top)
}

// Joined reports whether ranges were joined for want of room: then the set may
// hold ids between two of its own that were never added.
func (s *IDSet) Joined() bool { return s.joined }

// Bounds returns the least and the greatest id, and whether there is one.
func (s *IDSet) Bounds() (least, greatest uint32, ok bool) {
	if len(s.low) > 0 {
		return s.low[0].First, s.top.Last, true
	}
	return s.top.First, s.top.Last, s.some
}
