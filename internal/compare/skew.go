package compare

// maxDrift is by how much two clocks are believed to run apart, as a divisor
// of the time that passed: 1/5000 is 200 ppm, twice what a bad quartz does.
const maxDrift = 5000

// skew is what is known of the difference between the clocks of the two
// points, far minus near, ns. Every question that crossed the path, and every
// answer that came back, bounds it from one side, because neither can arrive
// before it was sent; between such bounds it may drift.
type skew struct {
	lo, hi int64
	when   int64 // near time at which lo and hi hold
	known  bool
}

// limits returns the bounds at a near time.
func (k *skew) limits(t int64) (lo, hi int64) {
	w := abs(t-k.when) / maxDrift
	return k.lo - w, k.hi + w
}

// middle returns the best guess.
func (k *skew) middle() int64 { return k.lo + (k.hi-k.lo)/2 }

// half returns how far the difference can be from the guess at a near time.
func (k *skew) half(t int64) int64 {
	lo, hi := k.limits(t)
	return (hi - lo) / 2
}

// allows reports whether the difference may lie between two bounds.
func (k *skew) allows(lo, hi, t int64) bool {
	l, h := k.limits(t)
	return lo <= hi && (!k.known || lo <= h && l <= hi)
}

// bound says that the difference lies between two bounds at a near time. A
// bound that contradicts what is known replaces it when it is certain (a clock
// was set), and is ignored when it is not.
func (k *skew) bound(lo, hi, t int64, certain bool) {
	if lo > hi {
		return
	}
	if !k.known {
		*k = skew{lo, hi, t, true}
		return
	}
	if t < k.when {
		w := (k.when - t) / maxDrift
		lo, hi, t = lo-w, hi+w, k.when
	}
	l, h := k.limits(t)
	switch {
	case max(l, lo) <= min(h, hi):
		*k = skew{max(l, lo), min(h, hi), t, true}
	case certain:
		*k = skew{lo, hi, t, true}
	}
}

// handshake takes what a handshake that crossed the whole path says: the same
// sequence numbers at both points prove that it did.
func (p *Pair) handshake() {
	if x, ok := handshakeSample(p.Near.Flow, p.Far.Flow); ok && !p.shaken {
		p.shaken = true
		p.skew.bound(x.offset-x.delay, x.offset+x.delay, x.at, true)
		p.sample(x)
	}
}

// bound takes what binds and their answers say, which always cross the whole
// path.
func (p *Pair) bound() {
	known := p.skew.known
	p.handshake()
	for i := range p.near.binds {
		x := &p.near.binds[i]
		if x.done == 0 || x.used {
			continue
		}
		for j := range p.far.binds {
			y := &p.far.binds[j]
			if y.done == 0 || y.used || x.ask != y.ask && x.callID != y.callID {
				continue
			}
			x.used, y.used = true, true
			out, back := y.asked-x.asked, x.done-y.done
			if out+back >= 0 {
				p.skew.bound(-back, out, x.asked, true)
				p.sample(newSample(x.asked, out, back))
			}
			break
		}
	}
	if !known && p.skew.known {
		p.sweep()
	}
}

// sample adds a round trip between the points to what the job knows of the
// clocks.
func (p *Pair) sample(x sample) {
	if x.delay < 0 {
		return
	}
	if p.Delay == 0 || x.delay < p.Delay {
		p.Delay = max(x.delay, 1)
	}
	p.near.shard.sampler(p.Taps()).add(x)
}
