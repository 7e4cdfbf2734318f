// Package compare puts the connections of two capture points side by side:
// one near the clients, one near the servers, and a pair of WAN optimizers, or
// nothing at all, between them. It pairs the two legs of each connection,
// works out how far the clocks of the captures differ, and says what became of
// the streams and of every call on the way.
//
// It works while the captures are read. A Shard watches the connections of one
// Linker, which holds both legs of a connection whose addresses were kept; a
// pair remembers the calls that it cannot place yet and a hash for each block
// of a stream that the other leg has not reached yet, all within bounds. What
// was paired is folded into counters and forgotten. Legs that found no partner
// in their shard are paired by content when everything was read.
//
// Nothing here rests on the order in which the two captures saw something: the
// clocks of capture hosts differ by minutes, and drift. A time of one point is
// compared with a time of the other only through an estimate of the
// difference, and that estimate rests on what must have crossed the whole
// path: handshakes, binds, and calls whose bytes are the same at both points.
package compare

import (
	"hash/maphash"
	"net/netip"

	"mapiscope/assoc"
	"mapiscope/pcaps"
)

// Job compares capture points. Where the places of both sides were said, it
// compares those; else every two points that show one connection, and each
// pair finds out by itself which of its legs is closer to the client.
type Job struct {
	near, far pcaps.Point // Unknown: any points
	seed      maphash.Seed
	shards    []*Shard
}

// NewJob prepares a comparison. near is the place closer to the clients; both
// are Unknown where nobody said what to compare.
func NewJob(near, far pcaps.Point) *Job {
	return &Job{near: near, far: far, seed: maphash.MakeSeed()}
}

// Near and Far return the places that are compared, Unknown where none was
// said.
func (j *Job) Near() pcaps.Point { return j.near }

// Far returns the place closer to the servers.
func (j *Job) Far() pcaps.Point { return j.far }

// said reports whether the places of both sides were said.
func (j *Job) said() bool { return j.near != pcaps.Unknown }

// Bounds of what a shard remembers. A leg that is not paired yet counts calls
// and blocks past its bounds and forgets them.
const (
	maxLoose   = 4096    // calls of one leg without a counterpart
	maxLead    = 1 << 14 // blocks of one stream that the other leg has not reached: 64 MiB
	maxHeld    = 1 << 17 // calls and blocks of ended legs without a partner, in one shard
	maxSamples = 1 << 12 // clock samples of one shard
)

// Shard watches the connections of one Linker.
type Shard struct {
	job     *Job
	legs    []*leg // all of both points
	pairs   []*Pair
	waiting map[tuple][]*leg // without a partner, by their two ends
	ended   []*leg           // without a partner, in order of their ends
	held    int              // calls and blocks of those
	clocks  map[Taps]*sampler
	free    []*call
}

// Taps are two capture points, the one closer to the clients first.
type Taps struct{ Near, Far pcaps.Tap }

// sampler returns what collects round trips between two capture points.
func (s *Shard) sampler(t Taps) *sampler {
	c := s.clocks[t]
	if c == nil {
		c = new(newSampler())
		s.clocks[t] = c
	}
	return c
}

// tuple is the two ends of a connection in a fixed order.
type tuple struct{ low, high netip.AddrPort }

func tupleOf(a, b netip.AddrPort) tuple {
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return tuple{a, b}
}

// Shard returns a new shard of the job. It must be called before the shards
// run at the same time.
func (j *Job) Shard() *Shard {
	s := &Shard{job: j, waiting: make(map[tuple][]*leg), clocks: make(map[Taps]*sampler)}
	j.shards = append(j.shards, s)
	return s
}

// Hash implements assoc.Watcher.
func (s *Shard) Hash(b []byte) uint64 { return maphash.Bytes(s.job.seed, b) }

// Open implements assoc.Watcher.
func (s *Shard) Open(c *assoc.Conn) assoc.Observer {
	switch p := c.Flow.Point; {
	case s.job.said() && p != s.job.near && p != s.job.far:
		return nil
	case !s.job.said() && !c.Flow.Several:
		return nil // there is nothing to compare it with yet
	}
	l := &leg{shard: s, conn: c, ends: tupleOf(c.Flow.A, c.Flow.B)}
	for i := range l.streams {
		l.streams[i].hash.SetSeed(s.job.seed)
	}
	s.legs = append(s.legs, l)
	s.waiting[l.ends] = append(s.waiting[l.ends], l)
	return l
}

// markOf turns two ends into something to recognise them by.
func (s *Shard) markOf(t tuple) mark {
	a, b := t.low.Addr().As16(), t.high.Addr().As16()
	text := append(append(a[:], b[:]...), byte(t.low.Port()>>8), byte(t.low.Port()), byte(t.high.Port()>>8), byte(t.high.Port()))
	return mark{s.Hash(text), 4}
}

// take returns an empty call.
func (s *Shard) take() *call {
	if n := len(s.free) - 1; n >= 0 {
		c := s.free[n]
		s.free = s.free[:n]
		return c
	}
	return new(call)
}

// give takes a call back for reuse.
func (s *Shard) give(c *call) {
	if len(s.free) < maxLoose {
		*c = call{}
		s.free = append(s.free, c)
	}
}
