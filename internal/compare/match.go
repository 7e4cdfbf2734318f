package compare

import (
	"time"

	"mapiscope/flows"
)

// The windows of matching, ns.
const (
	// early is how far before its question at the near point a call may reach
	// the far point and still be that question on its way: clocks are known
	// only so well.
	early = int64(50 * time.Millisecond)
	// slack is how much later than the answer at the near point a question may
	// reach the far point and still have caused that answer.
	slack = int64(5 * time.Millisecond)
	// stale is how old an answer that was fetched ahead may be when a fresh
	// one is there too.
	stale = int64(30 * time.Second)
	// settleNear and settleFar are how long after an answer the other leg must
	// have gone on before a call without counterpart is believed to have none:
	// writes are sent on within seconds, what was fetched ahead may be kept
	// for minutes.
	settleNear = int64(30 * time.Second)
	settleFar  = int64(10 * time.Minute)
)

// margin is how near to the beginning or the end of a capture a call must lie
// for its counterpart to be perhaps outside.
func (p *Pair) margin() int64 { return p.Delay + early }

// asked takes a new request.
func (p *Pair) asked(l *leg, c *call) {
	if c.sealed {
		p.Sealed = true
	}
	if l == p.near {
		return // placed when it is answered: until then too little is known
	}
	for i := 0; i < len(p.near.loose) && c.twin == nil; i++ {
		n := p.near.loose[i]
		if n.key == c.key && n.state != pending && p.try(n) {
			i--
		}
	}
	p.prune()
}

// answered takes the answer of a request, or the news that there is none.
func (p *Pair) answered(l *leg, c *call) {
	if c.state == answered && c.data > 0 {
		p.Ahead.add(c, l == p.near, p.skew.middle(), p.skew.known)
	}
	if l == p.near {
		if c.state == unanswered {
			p.Calls.Unanswered++
		}
		if c.twin == nil {
			p.try(c)
		}
	} else if !p.skew.known {
		p.sweep()
	}
	p.settle(c)
	p.prune()
}

// sweep tries to place all calls of the near point that have no counterpart.
func (p *Pair) sweep() {
	for i := 0; i < len(p.near.loose); {
		if c := p.near.loose[i]; c.state == pending || !p.try(c) {
			i++
		}
	}
}

// try looks for the counterpart of a call of the near point.
func (p *Pair) try(c *call) bool {
	if !p.skew.known && !p.recognise(c) {
		return false
	}
	s := p.counterpart(c)
	if s == nil {
		return false
	}
	c.twin, s.twin = s, c
	p.near.loose = remove(p.near.loose, c)
	p.far.loose = remove(p.far.loose, s)
	p.settle(c)
	return true
}

// recognise gets a first idea of the clocks from a call whose question and
// answer are the same bytes at both points.
func (p *Pair) recognise(c *call) bool {
	if c.state != answered {
		return false
	}
	for _, s := range p.far.loose {
		if s.key == c.key && s.state == answered && s.ask == c.ask && s.answer == c.answer {
			p.skew.bound(s.done-c.done, s.asked-c.asked, c.asked, true)
			return true
		}
	}
	return false
}

// counterpart picks the call of the far point that a call of the near point
// became. The first one with the same key is taken, whether it was asked in
// time or ahead of time; one that was fetched ahead long ago gives way to one
// that was asked now. A question that comes after the answer can only be a
// write that was put off.
func (p *Pair) counterpart(c *call) *call {
	theta, drift := p.skew.middle(), abs(c.asked-p.skew.when)/maxDrift
	var first, direct, late *call
	for _, s := range p.far.loose {
		if s.key != c.key {
			continue
		}
		when := s.asked - theta
		if when > c.done+slack+drift && c.done != never {
			if c.writes && late == nil {
				late = s
			}
			break
		}
		if first == nil {
			first = s
		}
		if when >= c.asked-early-drift {
			direct = s
			break
		}
	}
	switch {
	case first == nil:
		return late
	case first != direct && direct != nil && first.state == answered && first.done-theta < c.asked-stale:
		return direct
	}
	return first
}

// settle files a matched call once both answers are known.
func (p *Pair) settle(c *call) {
	s := c.twin
	if s == nil || c.state == pending || s.state == pending {
		return
	}
	near, far := c, s
	if c.leg != p.near {
		near, far = s, c
	}
	p.classify(near, far)
	near.twin, far.twin = nil, nil
	p.near.shard.give(near)
	p.far.shard.give(far)
}

// classify says how a matched call was answered. Where the question reached
// the server after the client sent it, and the answer reached the client after
// the server sent it, the server answered; every other order of the four times
// means that somebody answered on the server's behalf.
func (p *Pair) classify(c, s *call) {
	same := c.ask == s.ask && c.answer == s.answer
	if c.state != answered || s.state != answered {
		// An answer that one point does not have says nothing of the other.
		p.halfAnswered(c, s)
		return
	}
	if same {
		p.Calls.Identical++
		p.runs.add(c.asked, p.lastDiff)
	} else {
		p.Calls.Differing++
		p.differs(c.asked)
		if p.FirstDiffering == 0 || c.asked < p.FirstDiffering {
			p.FirstDiffering = c.asked
		}
	}
	waited := c.done - c.asked
	x := timing{asked: c.asked, out: s.asked - c.asked, back: c.done - s.done, waited: waited, served: s.done - s.asked}
	theta, doubt := p.skew.middle(), p.skew.half(c.asked)/4
	relayed := (same || c.certain) && p.skew.allows(-x.back, x.out, c.asked)
	switch {
	case relayed && theta <= x.out+doubt && theta >= -x.back-doubt:
		p.skew.bound(-x.back, x.out, c.asked, true)
		p.sample(newSample(c.asked, x.out, x.back))
		p.count(&x, remote)
	case relayed || x.near(theta, doubt):
		p.postpone(x)
	default:
		kind := x.kind(theta)
		p.count(&x, kind)
		if room := (x.out + x.back) / 4; kind == remote && theta < x.out-room && theta > -x.back+room {
			p.skew.bound(-x.back, x.out, c.asked, false)
		}
	}
}

// halfAnswered files a matched call that one of the points has no answer to.
// Where the connection was seen to end at the far point, and everything of it
// was captured, the client was answered for a call that the server never
// answered; else the far capture may have ended before the answer.
func (p *Pair) halfAnswered(c, s *call) {
	if c.ask == s.ask {
		p.Calls.Identical++
	}
	switch {
	case c.state != answered:
	case over(p.Far) && !lossy(p.far):
		p.Calls.Deferred.add(c.done - c.asked)
		p.differs(c.asked)
	default:
		p.Calls.Undecided++
	}
}

// differs notes a sign that an accelerator was at work; t is near time.
func (p *Pair) differs(t int64) { p.lastDiff = max(p.lastDiff, t) }

// nearWithout files an answered call of the near point that has no
// counterpart: it was answered without asking the server, if the far capture
// can be trusted to hold all that it should.
func (p *Pair) nearWithout(c *call) {
	defer p.near.shard.give(c)
	if c.state != answered {
		return
	}
	far := p.Far.Flow
	when := c.asked + p.skew.middle()
	switch {
	case !p.skew.known, c.certain, far.Origin == flows.Midstream && when <= far.First.Time+p.margin():
		p.Calls.Undecided++
	case when >= far.Last.Time-p.margin() && !over(p.Far):
		p.tail.calls.add(c.done - c.asked)
		p.tail.last = max(p.tail.last, when)
	default:
		p.Calls.Unforwarded.add(c.done - c.asked)
		p.differs(c.asked)
	}
}

// farWithout does the same at the far point: nobody asked for it.
func (p *Pair) farWithout(s *call) {
	defer p.far.shard.give(s)
	near := p.Near.Flow
	when := s.asked - p.skew.middle()
	switch {
	case !p.skew.known, near.Origin == flows.Midstream && when <= near.First.Time+p.margin():
	case when >= near.Last.Time-p.margin() && !over(p.Near):
		p.tail.originated++
		p.tail.bytes += s.data
		p.tail.lastFar = max(p.tail.lastFar, when)
	default:
		p.Calls.Originated++
		p.Calls.OriginatedBytes += s.data
		p.differs(when)
	}
}

// prune files calls whose counterpart is no longer to be expected.
func (p *Pair) prune() {
	if !p.skew.known {
		return
	}
	theta := p.skew.middle()
	for n := p.near; len(n.loose) > 0 && n.loose[0].state != pending && p.far.clock-theta > n.loose[0].until()+settleNear; {
		p.nearWithout(p.popLoose(n))
	}
	for f := p.far; len(f.loose) > 0 && f.loose[0].state != pending && p.near.clock+theta > f.loose[0].until()+settleFar; {
		p.farWithout(p.popLoose(f))
	}
}

// settleOldest makes room in a full list of loose calls. It reports false when
// the oldest one may still find its counterpart.
func (p *Pair) settleOldest(l *leg) bool {
	c := l.loose[0]
	if !p.skew.known || c.state == pending {
		return false
	}
	theta := p.skew.middle()
	if l == p.far {
		if p.near.clock+theta <= c.until() {
			return false
		}
		p.farWithout(p.popLoose(l))
		return true
	}
	if p.far.clock-theta <= c.until() {
		return false
	}
	p.nearWithout(p.popLoose(l))
	return true
}

// until is when a call was over, as far as it is known.
func (c *call) until() int64 {
	if c.state == answered {
		return c.done
	}
	return c.asked
}

func (p *Pair) popLoose(l *leg) *call {
	c := l.loose[0]
	l.loose = remove(l.loose, c)
	if c.state == pending {
		l.find(c.id)
	}
	return c
}

func abs(n int64) int64 { return max(n, -n) }
