// Package hist keeps distributions of durations in a few hundred bytes each.
package hist

import (
	"math"
	"math/bits"
)

// subBuckets is the number of buckets per power of two. A quantile is the
// middle of its bucket, so it is off by at most half a bucket: 1/32 of the
// value.
const subBuckets = 16

// Histogram counts durations in microseconds on a log-linear scale: values
// below 32 exactly, every power of two above in 16 buckets. It covers all of
// int64. Count, Sum, Min, Max and Avg are exact, Quantile is within 1/32
// (3.125 %) of an exact one.
//
// The zero Histogram is empty and ready. It takes 72 bytes, and 64 bytes for
// each power of two between its smallest and largest value: a connection
// whose calls take from 1 ms to 1 s needs 776 bytes, the worst case is under
// 4 KiB. Add allocates only when the range of values grows. A bucket stops at
// 2^32-1, far above the number of calls that a capture can hold.
//
// A copy shares the buckets of its original: read a copy, but Add only to
// one of them. To get an independent copy, Merge into a zero Histogram.
type Histogram struct {
	counts   []uint32 // buckets of the octaves from first on
	first    int      // octave of counts[0]; an octave is a group of subBuckets
	n        int64
	sum      int64
	min, max int64
}

// bucket returns the index of the bucket of v on the whole scale.
func bucket(v int64) int {
	shift := max(0, bits.Len64(uint64(v))-5)
	return shift*subBuckets + int(v>>shift)
}

// middle returns the value in the middle of bucket i.
func middle(i int) int64 {
	shift := max(0, i/subBuckets-1)
	return int64(i-shift*subBuckets)<<shift + (int64(1)<<shift-1)/2
}

// Add counts one duration of us microseconds and returns by how many bytes the
// Histogram grew. A negative one, which clocks of two capture points can give,
// counts as 0.
func (h *Histogram) Add(us int64) (grown int) {
	us = max(us, 0)
	before := len(h.counts)
	h.grow(us, us)
	i := bucket(us) - h.first*subBuckets
	h.counts[i] = addCount(h.counts[i], 1)
	h.tally(1, us, us, us)
	return 4 * (len(h.counts) - before)
}

// Merge adds all durations of o to h. o stays as it is and may be nil.
func (h *Histogram) Merge(o *Histogram) {
	if o == nil || o.n == 0 {
		return
	}
	h.grow(o.min, o.max)
	at := h.counts[(o.first-h.first)*subBuckets:]
	for i, c := range o.counts {
		at[i] = addCount(at[i], c)
	}
	h.tally(o.n, o.sum, o.min, o.max)
}

// grow makes room for the values from lo to hi.
func (h *Histogram) grow(lo, hi int64) {
	first, end := bucket(lo)/subBuckets, bucket(hi)/subBuckets+1
	have := h.first + len(h.counts)/subBuckets
	if h.counts != nil && first >= h.first && end <= have {
		return
	}
	if h.counts != nil {
		first, end = min(first, h.first), max(end, have)
	}
	counts := make([]uint32, (end-first)*subBuckets)
	if h.counts != nil {
		copy(counts[(h.first-first)*subBuckets:], h.counts)
	}
	h.counts, h.first = counts, first
}

func (h *Histogram) tally(n, sum, lo, hi int64) {
	if h.n == 0 || lo < h.min {
		h.min = lo
	}
	h.max = max(h.max, hi)
	h.n += n
	if sum > math.MaxInt64-h.sum {
		h.sum = math.MaxInt64
		return
	}
	h.sum += sum
}

func addCount(a, b uint32) uint32 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint32
}

// Count returns the number of durations.
func (h *Histogram) Count() int64 { return h.n }

// Sum returns the sum of all durations in microseconds; it stops at the
// largest int64.
func (h *Histogram) Sum() int64 { return h.sum }

// Min returns the shortest duration, 0 when there is none.
func (h *Histogram) Min() int64 { return h.min }

// Max returns the longest duration, 0 when there is none.
func (h *Histogram) Max() int64 { return h.max }

// Avg returns the mean duration, rounded down; 0 when there is none.
func (h *Histogram) Avg() int64 {
	if h.n == 0 {
		return 0
	}
	return h.sum / h.n
}

// Quantile returns the duration that the share q of all durations does not
// exceed (nearest rank): Quantile(0.5) is the median. It is exact for values
// below 32 and for q <= 0 (Min) and q >= 1 (Max), else within 1/32 of the
// value, and never outside Min and Max. An empty Histogram gives 0.
func (h *Histogram) Quantile(q float64) int64 {
	switch {
	case !(q > 0): // also NaN
		return h.min
	case q >= 1:
		return h.max
	}
	rank := int64(math.Ceil(q * float64(h.n)))
	for i, c := range h.counts {
		if rank -= int64(c); rank <= 0 {
			return min(max(middle(h.first*subBuckets+i), h.min), h.max)
		}
	}
	return h.max
}

// AtMost returns how many durations were at most us microseconds. A duration
// counts with the middle of its bucket, so that those within 1/32 of us may
// stand on either side; it is exact for us below 32. It never falls while
// durations are added or as us rises. Where a bucket stopped counting, the
// sum of all may be less than Count.
func (h *Histogram) AtMost(us int64) int64 {
	var n int64
	for i, c := range h.counts {
		if middle(h.first*subBuckets+i) > us {
			break
		}
		n += int64(c)
	}
	return n
}
