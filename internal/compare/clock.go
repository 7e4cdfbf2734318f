package compare

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// sample is one round trip between the two points: half the difference of its
// ways is the difference of the clocks if both ways took equally long, and in
// no case is it further from that than delay.
type sample struct {
	at        int64 // near time
	offset    int64 // far clock minus near clock
	delay     int64 // of one way
	handshake bool
}

// newSample makes one of the two ways of a round trip, out plus and back minus
// the difference of the clocks.
func newSample(at, out, back int64) sample {
	return sample{at: at, offset: (out - back) / 2, delay: (out + back) / 2}
}

// sampler keeps the best sample of each stretch of time, within a bound: when
// there are too many, stretches become longer. What it keeps in the end does
// not depend on the order in which samples came, nor on how they were spread
// over samplers that are merged.
type sampler struct {
	width int64
	best  map[int64]sample
	// handshakes says that there were some among all samples.
	handshakes bool
}

func newSampler() sampler {
	return sampler{width: int64(time.Second), best: make(map[int64]sample)}
}

func (s *sampler) add(x sample) {
	s.handshakes = s.handshakes || x.handshake
	k := x.at / s.width
	if old, ok := s.best[k]; ok && !better(x, old) {
		return
	}
	s.best[k] = x
	for len(s.best) > maxSamples {
		s.widen()
	}
}

func (s *sampler) widen() {
	old := s.best
	s.width *= 2
	s.best = make(map[int64]sample)
	for _, x := range old {
		k := x.at / s.width
		if y, ok := s.best[k]; !ok || better(x, y) {
			s.best[k] = x
		}
	}
}

func (s *sampler) merge(o *sampler) {
	s.handshakes = s.handshakes || o.handshakes
	for s.width < o.width {
		s.widen()
	}
	for _, x := range o.best {
		s.add(x)
	}
}

func better(x, y sample) bool {
	return cmp.Or(cmp.Compare(x.delay, y.delay), cmp.Compare(x.at, y.at), cmp.Compare(x.offset, y.offset)) < 0
}

// Clock is how the clock of the far point differs from that of the near one.
type Clock struct {
	Known   bool
	Basis   string  // "handshakes", "calls" or "handshakes and calls"
	Samples int     // round trips that the estimate rests on
	At      int64   // near time for which Offset holds, ns
	Offset  int64   // far minus near, ns
	Spread  int64   // how far the samples lie from the estimate, ns (1.5 times the median)
	Delay   int64   // shortest way between the points, ns: if it takes longer in one direction, Offset is wrong by at most this
	Drift   float64 // gain of the far clock, ppm
	// Drifts says that the samples reach far enough to tell the drift, and
	// DriftSpread how well they do, ppm.
	Drifts      bool
	DriftSpread float64
}

// What a drift must rest on: so many samples, over so long a time that the
// differences between their delays cannot pass for more than driftError.
const (
	driftSamples = 3
	driftError   = 10e-6
)

// fit draws the line through the samples with short delays: the longer a round
// trip waited in queues, the less its halves are equal.
func (s *sampler) fit() Clock {
	var all []sample
	for _, x := range s.best {
		all = append(all, x)
	}
	if len(all) == 0 {
		return Clock{}
	}
	slices.SortFunc(all, func(x, y sample) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.offset, y.offset))
	})
	least := all[0].delay
	for _, x := range all {
		least = min(least, x.delay)
	}
	good := slices.DeleteFunc(all, func(x sample) bool { return x.delay > least+least/4+int64(200*time.Microsecond) })
	c := Clock{Known: true, Samples: len(good), Delay: least, Basis: "calls"}
	if s.handshakes {
		c.Basis = "handshakes"
		if slices.ContainsFunc(good, func(x sample) bool { return !x.handshake }) {
			c.Basis = "handshakes and calls"
		}
	}
	first, last := good[0].at, good[len(good)-1].at
	c.At = first + (last-first)/2
	jitter := int64(100 * time.Microsecond)
	for _, x := range good {
		jitter = max(jitter, x.delay-least)
	}
	if worst := float64(jitter) / float64(max(last-first, 1)); len(good) >= driftSamples && worst <= driftError {
		slope, spread := slopeOf(good, (last-first)/4)
		c.Drift, c.DriftSpread, c.Drifts = slope*1e6, max(spread, worst/math.Sqrt(float64(len(good))))*1e6, true
	}
	rest := make([]int64, len(good))
	for i, x := range good {
		rest[i] = x.offset - int64(float64(x.at-c.At)*c.Drift/1e6)
	}
	c.Offset = median(rest)
	for i := range rest {
		rest[i] = abs(rest[i] - c.Offset)
	}
	c.Spread = max(median(rest)*3/2, 1)
	return c
}

// maxSlopes bounds the samples that slopes are taken between.
const maxSlopes = 512

// slopeOf returns the median of the slopes between samples that lie at least
// apart, and how well the two halves of them agree (Theil and Sen).
func slopeOf(samples []sample, apart int64) (slope, spread float64) {
	stride := (len(samples) + maxSlopes - 1) / maxSlopes
	var slopes []float64
	for i := 0; i < len(samples); i += stride {
		for j := i + stride; j < len(samples); j += stride {
			if dt := samples[j].at - samples[i].at; dt >= apart {
				slopes = append(slopes, float64(samples[j].offset-samples[i].offset)/float64(dt))
			}
		}
	}
	if len(slopes) == 0 {
		return 0, math.Inf(1)
	}
	slices.Sort(slopes)
	n := len(slopes)
	return slopes[n/2], (slopes[n*3/4] - slopes[n/4]) / 2
}

func median(values []int64) int64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// OffsetAt returns the difference of the clocks at a near time.
func (c *Clock) OffsetAt(t int64) int64 {
	return c.Offset + int64(float64(t-c.At)*c.Drift/1e6)
}

// Error returns how wrong OffsetAt can be if the samples are right.
func (c *Clock) Error() int64 { return c.Spread + c.Delay }
