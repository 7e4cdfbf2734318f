package compare

import "time"

// timing is what the four times of a matched call leave when neither clock is
// trusted alone: out and back are the two ways, plus and minus the difference
// of the clocks, ns.
type timing struct {
	asked     int64 // near time
	out, back int64
	waited    int64 // response time at the near point
	served    int64 // and at the far point
}

// kind is how a call was answered.
type kind uint8

const (
	remote     kind = iota
	prefetched      // the server had answered before the client asked
	waitedFor       // the server had been asked before the client asked
	deferred        // the client was answered before the server
)

// tolerance is how exact two captures of one clock are, ns.
const tolerance = int64(100 * time.Microsecond)

// kind places a call by the difference of the clocks.
func (x *timing) kind(theta int64) kind {
	switch {
	case theta > x.out+x.served:
		return prefetched
	case theta > x.out+tolerance:
		return waitedFor
	case theta < -x.back-tolerance:
		return deferred
	}
	return remote
}

// near reports whether a small error of the clocks would place the call
// elsewhere.
func (x *timing) near(theta, doubt int64) bool {
	return x.kind(theta-doubt) != x.kind(theta+doubt)
}

// count files a call. FirstDiffering and the like were taken before.
func (p *Pair) count(x *timing, k kind) {
	c := &p.Calls
	switch k {
	case remote:
		c.Remote.add(x.waited)
		c.Server.add(x.served)
		return
	case prefetched:
		c.Prefetched.add(x.waited)
	case waitedFor:
		c.Waited.add(x.waited)
	case deferred:
		c.Deferred.add(x.waited)
	}
	p.differs(x.asked)
}

// maxDoubts bounds the calls of one pair that wait for a better clock.
const maxDoubts = 64

// postpone keeps a call that the clocks as they are known now do not place:
// at the end of the job they are known from all pairs.
func (p *Pair) postpone(x timing) {
	if len(p.doubts) == maxDoubts {
		p.Calls.Uncertain++
		p.count(&p.doubts[0], p.doubts[0].kind(p.skew.middle()))
		p.doubts = append(p.doubts[:0], p.doubts[1:]...)
	}
	p.doubts = append(p.doubts, x)
}

// resolve places the postponed calls by the clock of the job.
func (p *Pair) resolve(clock *Clock) {
	for i := range p.doubts {
		x := &p.doubts[i]
		theta, doubt := p.skew.middle(), p.skew.half(x.asked)/4
		if clock.Known {
			theta, doubt = clock.OffsetAt(x.asked), clock.Spread
		}
		if x.near(theta, doubt) {
			p.Calls.Uncertain++
		}
		p.count(x, x.kind(theta))
	}
	p.doubts = nil
}
