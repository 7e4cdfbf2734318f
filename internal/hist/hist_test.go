package hist

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// figures is what a Histogram tells about its values.
type figures struct {
	Count, Sum, Min, Max, Avg, P0, P50, P95, P100 int64
}

func figuresOf(h *Histogram) figures {
	return figures{
		h.Count(), h.Sum(), h.Min(), h.Max(), h.Avg(),
		h.Quantile(0), h.Quantile(0.5), h.Quantile(0.95), h.Quantile(1),
	}
}

func of(values ...int64) *Histogram {
	var h Histogram
	for _, v := range values {
		h.Add(v)
	}
	return &h
}

func TestFigures(t *testing.T) {
	const day = 24 * 3600 * 1_000_000
	tests := []struct {
		name   string
		values []int64
		want   figures
	}{
		{"empty", nil, figures{}},
		{"one zero", []int64{0}, figures{Count: 1}},
		{"negative counts as zero", []int64{-5, 4}, figures{2, 4, 0, 4, 2, 0, 0, 4, 4}},
		{"small values are exact", []int64{31, 1, 3, 2, 30}, figures{5, 67, 1, 31, 13, 1, 3, 31, 31}},
		{"one value is exact at any size", []int64{40_961}, figures{1, 40961, 40961, 40961, 40961, 40961, 40961, 40961, 40961}},
		{"even count takes the lower middle", []int64{10, 20}, figures{2, 30, 10, 20, 15, 10, 10, 20, 20}},
		{"a day", []int64{1, day}, figures{2, day + 1, 1, day, day / 2, 1, 1, day, day}},
		{"the largest value", []int64{math.MaxInt64, math.MaxInt64}, figures{
			2, math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64 / 2,
			math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, figuresOf(of(tt.values...))); d != "" {
				t.Errorf("figures (-want +got):\n%s", d)
			}
		})
	}
}

func TestBucketsCoverTheScale(t *testing.T) {
	last := -1
	for shift := range 63 {
		for _, v := range []int64{1<<shift - 1, 1 << shift, 1<<shift + 1<<shift/2} {
			i := bucket(v)
			if i < last {
				t.Errorf("bucket(%d) = %d comes before %d", v, i, last)
			}
			last = i
			if e := math.Abs(float64(middle(i) - v)); e > float64(v)/32 {
				t.Errorf("%d stands for %d: off by more than 1/32", middle(i), v)
			}
		}
	}
	for v := range int64(32) {
		if middle(bucket(v)) != v {
			t.Errorf("%d stands for %d", middle(bucket(v)), v)
		}
	}
}

// TestQuantileError compares with exact quantiles on values of very
// different sizes.
func TestQuantileError(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		values := make([]int64, 1+r.IntN(3000))
		for i := range values {
			values[i] = r.Int64N(1 << (1 + r.IntN(40)))
		}
		h := of(values...)
		slices.Sort(values)
		for q := 0.01; q < 1; q += 0.01 {
			exact := values[int(math.Ceil(q*float64(len(values))))-1]
			if got := h.Quantile(q); math.Abs(float64(got-exact)) > float64(exact)/32 {
				t.Fatalf("Quantile(%v) of %d values = %d, exactly %d", q, len(values), got, exact)
			}
		}
	}
	if got := of(5, 6).Quantile(math.NaN()); got != 5 {
		t.Errorf("Quantile(NaN) = %d, want the minimum", got)
	}
}

// TestMergeIsAdd checks that merging equals adding all values to one.
func TestMergeIsAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		var parts [3]Histogram
		var all Histogram
		for range r.IntN(40) {
			v := r.Int64N(1 << (1 + r.IntN(50)))
			parts[r.IntN(3)].Add(v)
			all.Add(v)
		}
		var merged Histogram
		merged.Merge(nil)
		for i := range parts {
			merged.Merge(&parts[i])
		}
		if d := cmp.Diff(all, merged, cmp.AllowUnexported(Histogram{})); d != "" {
			t.Fatalf("merged (-want +got):\n%s", d)
		}
	}
}

func TestMergeLeavesTheOther(t *testing.T) {
	o := of(100, 200)
	var h Histogram
	h.Merge(o)
	h.Add(150)
	if d := cmp.Diff(figuresOf(of(100, 200)), figuresOf(o)); d != "" {
		t.Errorf("the merged one changed (-want +got):\n%s", d)
	}
}

func TestCountsStopAtTheirLimit(t *testing.T) {
	h := of(7)
	h.counts[bucket(7)] = math.MaxUint32
	h.Add(7)
	if got := h.counts[bucket(7)]; got != math.MaxUint32 {
		t.Errorf("a full bucket counts %d", got)
	}
}

func TestMemory(t *testing.T) {
	if got := unsafe.Sizeof(Histogram{}); got > 72 {
		t.Errorf("an empty Histogram takes %d bytes", got)
	}
	if got := 4 * len(of(1000, 1_000_000).counts); got != 11*64 {
		t.Errorf("1 ms to 1 s take %d bytes, want %d", got, 11*64)
	}
	if got := 4 * len(of(0, math.MaxInt64).counts); got > 4096 {
		t.Errorf("the whole scale takes %d bytes", got)
	}
	h := of(0, 1<<30)
	v := int64(1)
	if got := testing.AllocsPerRun(1000, func() { h.Add(v); v = v * 3 % (1 << 30) }); got != 0 {
		t.Errorf("Add within the range allocates %v times", got)
	}
}

func BenchmarkAdd(b *testing.B) {
	b.ReportAllocs()
	var h Histogram
	for i := range b.N {
		h.Add(int64(i) * 7919 & 0xffffff)
	}
}

func BenchmarkQuantile(b *testing.B) {
	b.ReportAllocs()
	h := of(1, 1<<30)
	for b.Loop() {
		h.Quantile(0.99)
	}
}

func TestAtMost(t *testing.T) {
	tests := []struct {
		name   string
		values []int64
		us     int64
		want   int64
	}{
		{"empty", nil, 1000, 0},
		{"nothing is below zero", []int64{0}, -1, 0},
		{"small values are exact", []int64{1, 2, 3, 31}, 3, 3},
		{"one less", []int64{1, 2, 3, 31}, 2, 2},
		{"below all", []int64{1000, 2000}, 900, 0},
		{"between", []int64{1000, 2000}, 1100, 1},
		{"above all", []int64{1000, 2000}, 2100, 2},
		{"the whole scale", []int64{0, math.MaxInt64}, math.MaxInt64, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := of(tt.values...).AtMost(tt.us); got != tt.want {
				t.Errorf("AtMost(%d) = %d, want %d", tt.us, got, tt.want)
			}
		})
	}
}

// TestAtMostError compares with exact counts: what lies farther than 1/32 from
// the bound stands on its right side, and no count falls.
func TestAtMostError(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		var h Histogram
		var low, high, last [40]int64
		for range 1 + r.IntN(500) {
			v := r.Int64N(1 << (1 + r.IntN(40)))
			h.Add(v)
			var before int64
			for shift := range last {
				us := int64(3) << shift / 2
				if float64(v) <= float64(us)*(1-1./32) {
					low[shift]++
				}
				if float64(v) <= float64(us)*(1+1./32) {
					high[shift]++
				}
				got := h.AtMost(us)
				if got < low[shift] || got > high[shift] {
					t.Fatalf("AtMost(%d) = %d, want %d to %d", us, got, low[shift], high[shift])
				}
				if got < last[shift] || got < before {
					t.Fatalf("AtMost(%d) fell to %d", us, got)
				}
				last[shift], before = got, got
			}
		}
	}
}
