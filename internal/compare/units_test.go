package compare

import (
	"hash/maphash"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestClockFit draws lines through samples of a path of 20 ms with queues on
// one way, over two hours.
// testSeed is one for all streams of a test.
var testSeed = maphash.MakeSeed()

func TestClockFit(t *testing.T) {
	for _, row := range []struct {
		name   string
		offset int64
		ppm    float64
		hours  float64
		drifts bool
	}{
		{"level", 0, 0, 2, true},
		{"half a minute apart", 31_012_000_000, 0, 2, true},
		{"behind and drifting", -31_012_000_000, 50, 2, true},
		{"losing", 5_000_000, -80, 0.5, true},
		{"too short to tell a drift", 1_000_000, 50, 0.002, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			a, b := newSampler(), newSampler()
			span := int64(row.hours * 3600e9)
			theta := func(at int64) int64 { return row.offset + int64(float64(at)*row.ppm/1e6) }
			for i := range 3000 {
				at := span * int64(i) / 3000
				queue := int64(rng.ExpFloat64() * 5e6)
				x := newSample(at, 20e6+theta(at)+queue, 20e6-theta(at)+rng.Int64N(100e3))
				if i%2 == 0 {
					a.add(x)
				} else {
					b.add(x)
				}
			}
			a.merge(&b)
			c := a.fit()
			if !c.Known || c.Drifts != row.drifts {
				t.Fatalf("%+v", c)
			}
			for _, at := range []int64{0, span / 2, span} {
				tolerance := int64(3e6)
				if d := abs(c.OffsetAt(at) - theta(at)); d > tolerance {
					t.Errorf("at %d ns the offset is wrong by %d ns: %+v", at, d, c)
				}
			}
			if row.drifts && math.Abs(c.Drift-row.ppm) > 1 {
				t.Errorf("drift %.2f ppm, want %.0f", c.Drift, row.ppm)
			}
			if c.Delay < 19e6 || c.Delay > 21e6 {
				t.Errorf("delay %d, want about 20 ms", c.Delay)
			}
		})
	}
}

// TestSamplersMergeInAnyOrder: what is kept does not depend on how samples
// were spread over shards.
func TestSamplersMergeInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []sample
	for range 20_000 {
		all = append(all, newSample(rng.Int64N(1e14), rng.Int64N(1e9), rng.Int64N(1e9)))
	}
	one := newSampler()
	for _, x := range all {
		one.add(x)
	}
	parts := []sampler{newSampler(), newSampler(), newSampler()}
	for i, x := range all {
		parts[i*i%3].add(x)
	}
	other := newSampler()
	for i := range parts {
		other.merge(&parts[len(parts)-1-i])
	}
	if diff := cmp.Diff(one.best, other.best, cmp.AllowUnexported(sample{})); diff != "" || len(one.best) > maxSamples {
		t.Errorf("%d samples are kept, or others:\n%s", len(one.best), diff)
	}
}

func TestSkew(t *testing.T) {
	var k skew
	if !k.allows(-1e15, -1e14, 0) {
		t.Error("nothing is known, so everything is possible")
	}
	k.bound(-20, 20, 0, true)
	k.bound(-5, 60, 10, false)
	if k.lo != -5 || k.hi != 20 {
		t.Errorf("between %d and %d, want -5 and 20", k.lo, k.hi)
	}
	k.bound(100, 200, 20, false)
	if k.lo != -5 || k.hi != 20 {
		t.Error("a guess against what is known counts for nothing")
	}
	if lo, hi := k.limits(10 + 5_000_000); lo != -1005 || hi != 1020 {
		t.Errorf("200 ppm over 5 ms make %d and %d of it", lo, hi)
	}
	k.bound(1e6, 2e6, 30, true)
	if k.lo != 1e6 || k.hi != 2e6 {
		t.Error("a clock that was set is believed")
	}
	k.bound(3, 2, 40, true)
	if k.lo != 1e6 {
		t.Error("bounds that contradict each other count for nothing")
	}
	k.bound(1.2e6, 1.5e6, 10, true)
	if k.lo != 1.2e6 || k.hi != 1.5e6 || k.when != 30 {
		t.Errorf("an older bound counts too: %+v", k)
	}
}

// piece is what one capture has of a stream: bytes of a text, or none of them.
type piece struct {
	n    int
	lost bool
}

// legStream lets a stream take a text in pieces, with some bytes changed.
func legStream(text []byte, pieces []piece, change ...int) *stream {
	s := &stream{}
	s.hash.SetSeed(testSeed)
	b := append([]byte(nil), text...)
	for _, at := range change {
		b[at] ^= 0xff
	}
	pos := 0
	for _, p := range pieces {
		n := min(p.n, len(b)-pos)
		if p.lost {
			s.gap(int64(n))
		} else {
			s.write(int64(pos), b[pos:pos+n])
		}
		pos += n
	}
	return s
}

func every(n, all int) []piece {
	var out []piece
	for ; all > 0; all -= n {
		out = append(out, piece{n: n})
	}
	return out
}

func TestStreams(t *testing.T) {
	const all = 10_000 // two blocks and a part of a third
	text := make([]byte, all)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range text {
		text[i] = byte(rng.Uint32())
	}
	for _, row := range []struct {
		name string
		a, b *stream
		want Sameness
	}{
		{"identical", legStream(text, every(1460, all)), legStream(text, every(1460, all)), Sameness{Compared: all, Identical: all}},
		{"in other segments", legStream(text, every(1460, all)), legStream(text, every(1000, all)), Sameness{Compared: all, Identical: all, Recut: all}},
		{"one byte differs", legStream(text, every(1460, all)), legStream(text, every(1460, all), 5000), Sameness{Compared: all, Identical: all - blockSize, Differs: true, First: blockSize}},
		{"one segment was lost", legStream(text, every(1000, all)), legStream(text, append([]piece{{1000, false}, {1000, true}}, every(1000, all)...)),
			Sameness{Compared: all - blockSize, Identical: all - blockSize, Uncompared: blockSize}},
		{"one is shorter", legStream(text, every(1000, all)), legStream(text[:9000], every(1000, 9000)),
			Sameness{Compared: 2 * blockSize, Identical: 2 * blockSize, Uncompared: all - 2*blockSize, Lengths: true}},
		{"empty", legStream(nil, nil), legStream(nil, nil), Sameness{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got Sameness
			got.finish(row.a, row.b)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAStreamFarAheadIsBounded: blocks that the other leg never reached are
// let go, and are not taken for different ones.
func TestAStreamFarAheadIsBounded(t *testing.T) {
	block := make([]byte, blockSize)
	a, b := legStream(nil, nil), legStream(nil, nil)
	const n = maxLead + 100
	for i := range n {
		block[0], block[1] = byte(i), byte(i>>8)
		a.write(int64(i)*blockSize, block)
	}
	if len(a.blocks)-a.head != maxLead {
		t.Errorf("%d blocks are kept, want %d", len(a.blocks)-a.head, maxLead)
	}
	var got Sameness
	for i := range n {
		block[0], block[1] = byte(i), byte(i>>8)
		b.write(int64(i)*blockSize, block)
		got.add(a, b)
	}
	got.finish(a, b)
	want := Sameness{Compared: maxLead * blockSize, Identical: maxLead * blockSize, Uncompared: 100 * blockSize}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadAhead(t *testing.T) {
	var a Ahead
	far := func(done, data int64) { a.add(&call{done: done, data: data}, false, 1000, true) }
	near := func(asked, data int64) { a.add(&call{asked: asked, data: data}, true, 1000, true) }
	far(1010, 100) // at 10 of the near clock
	far(1020, 200)
	near(15, 100)
	near(30, 150)
	near(40, 50)
	a.finish(1000, true)
	if diff := cmp.Diff([]int64{3, 50, 200, 350}, []int64{a.Samples, a.Min, a.Max, a.Sum}); diff != "" {
		t.Errorf("samples, least, most, sum (-want +got):\n%s", diff)
	}
}
