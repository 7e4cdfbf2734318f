package continuity

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"mapiscope/dcerpc"
)

// ranges are ids in ascending order, with ids between two ranges that are in
// none.
type ranges []dcerpc.IDRange

// union sorts and joins r, in place.
func union(r ranges) ranges {
	slices.SortFunc(r, func(a, b dcerpc.IDRange) int { return cmp.Compare(a.First, b.First) })
	kept := r[:0]
	for _, x := range r {
		if n := len(kept); n > 0 && uint64(x.First) <= uint64(kept[n-1].Last)+1 {
			kept[n-1] = dcerpc.IDRange{First: kept[n-1].First, Last: max(kept[n-1].Last, x.Last)}
		} else {
			kept = append(kept, x)
		}
	}
	return kept
}

// count returns how many ids there are.
func (r ranges) count() (n int64) {
	for _, x := range r {
		n += int64(x.Last) - int64(x.First) + 1
	}
	return n
}

// from returns the place of the first range that ends at id or behind it.
func (r ranges) from(id uint32) int {
	return sort.Search(len(r), func(i int) bool { return r[i].Last >= id })
}

// has reports whether an id is in r.
func (r ranges) has(id uint32) bool {
	i := r.from(id)
	return i < len(r) && r[i].First <= id
}

// meets reports whether an id of x is in r.
func (r ranges) meets(x dcerpc.IDRange) bool {
	i := r.from(x.First)
	return i < len(r) && r[i].First <= x.Last
}

// within appends to out the parts of r that lie in x.
func (r ranges) within(out ranges, x dcerpc.IDRange) ranges {
	for i := r.from(x.First); i < len(r) && r[i].First <= x.Last; i++ {
		out = append(out, dcerpc.IDRange{First: max(r[i].First, x.First), Last: min(r[i].Last, x.Last)})
	}
	return out
}

// widen returns x with n ids more at both ends.
func widen(x dcerpc.IDRange, n uint32) dcerpc.IDRange {
	return dcerpc.IDRange{First: x.First - min(x.First, n), Last: x.Last + min(math.MaxUint32-x.Last, n)}
}
