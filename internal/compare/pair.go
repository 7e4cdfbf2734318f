package compare

import (
	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Basis says how the two legs of a pair were found to belong together.
type Basis string

// The bases, the surest first.
const (
	ByISN     Basis = "isn"     // the SYN of the client carries the same sequence number at both points
	ByContent Basis = "content" // tokens of the authentication, binds or first bytes are the same
	ByOrder   Basis = "order"   // same ends, nothing tells against it
)

// Pair is one connection at two points.
type Pair struct {
	Near, Far *assoc.Conn
	WAN       *assoc.Conn // between the devices, nil when no capture there has it
	Basis     Basis
	Rewritten bool // addresses or ports differ between the points

	// Client and Server compare the two streams.
	Client, Server Sameness
	Calls          Calls
	Ahead          Ahead
	// Lossy says that one of the captures lost a part of the connection, so
	// that a call without a counterpart says nothing.
	Lossy bool
	// HandedOff is the first of the calls from which on everything is the same
	// at both points, when it was not before; 0 when there was no such change.
	HandedOff int64
	// FirstDiffering is when the client sent the first request that is not the
	// same at both points, 0 when there is none.
	FirstDiffering int64
	// Delay is the shortest time of one way between the points, ns, 0 when it
	// is not known. It is half of what a round trip takes longer at the near
	// point.
	Delay int64
	// Sealed says that the requests are encrypted, so that calls were matched
	// by order alone.
	Sealed bool
	Order  Order // how it is known which leg is the near one

	near, far *leg
	shaken    bool // the handshake was taken
	skew      skew
	doubts    []timing // that wait for the clock of the job
	settled   bool
	tail      tail
	lastDiff  int64 // latest sign of an accelerator at work, near clock
	runs      runs  // identical calls since then
}

// Between returns the leg between the devices, nil when there is none. Where a
// comparison has no third point it may be one of the two.
func (p *Pair) Between() *assoc.Conn {
	for _, c := range [2]*assoc.Conn{p.Near, p.Far} {
		if c.Flow.Point == pcaps.WAN {
			return c
		}
	}
	return p.WAN
}

// Original returns the leg on a LAN, the one closer to the client if there are
// two.
func (p *Pair) Original() *assoc.Conn {
	if p.Near.Flow.Point == pcaps.WAN {
		return p.Far
	}
	return p.Near
}

// tail is what stood without a counterpart after the last packet of the other
// leg, which is local work if the other capture went on, and nothing if it had
// ended.
type tail struct {
	calls      Tally
	last       int64 // latest of them, in the clock of the far point
	originated int64
	bytes      int64
	lastFar    int64 // latest of the originated ones, in the clock of the near point
}

// Taps returns the capture points of the two legs.
func (p *Pair) Taps() Taps { return Taps{p.Near.Flow.Tap, p.Far.Flow.Tap} }

// join makes a pair of two legs.
func (s *Shard) join(near, far *leg, basis Basis) *Pair {
	p := &Pair{near: near, far: far, Near: near.conn, Far: far.conn, Basis: basis, Rewritten: near.ends != far.ends}
	near.pair, far.pair = p, p
	s.pairs = append(s.pairs, p)
	p.catchUp()
	p.handshake()
	p.bound()
	for side := range near.streams {
		p.compareStream(near, wire.Side(side))
	}
	p.sweep()
	return p
}

// catchUp takes what happened before the legs were known to be a pair.
func (p *Pair) catchUp() {
	for _, l := range [2]*leg{p.near, p.far} {
		for _, c := range l.loose {
			p.Sealed = p.Sealed || c.sealed
			switch {
			case c.state == answered && c.data > 0:
				p.Ahead.add(c, l == p.near, 0, false)
			case c.state == unanswered && l == p.near:
				p.Calls.Unanswered++
			}
		}
	}
}

// farSide returns the side of the far leg that is the same end as a side of
// the near leg.
func (p *Pair) farSide(side wire.Side) wire.Side {
	same := p.near.conn.Flow.A == p.far.conn.Flow.A
	if p.Rewritten {
		same = p.near.conn.Flow.Client == p.far.conn.Flow.Client
	}
	if same {
		return side
	}
	return side.Other()
}

// compareStream compares what both legs have of one direction; side is one of
// l's.
func (p *Pair) compareStream(l *leg, side wire.Side) {
	if l == p.far {
		side = p.farSide(side) // its own inverse
	}
	a, b := &p.near.streams[side], &p.far.streams[p.farSide(side)]
	p.sameness(side).add(a, b)
}

func (p *Pair) sameness(nearSide wire.Side) *Sameness {
	if nearSide == p.near.conn.Flow.Client {
		return &p.Client
	}
	return &p.Server
}

// ended is called when a leg has ended.
func (p *Pair) ended() {
	if !p.near.ended || !p.far.ended {
		return
	}
	if p.handshake(); p.skew.known {
		p.finish()
	}
}

// finish settles everything and lets go of what was remembered.
func (p *Pair) finish() {
	if p.settled {
		return
	}
	p.settled = true
	p.sweep()
	for side := range p.near.streams {
		w := wire.Side(side)
		p.sameness(w).finish(&p.near.streams[w], &p.far.streams[p.farSide(w)])
	}
	if !p.aligned() || ignored(p.Near) || ignored(p.Far) {
		p.Client, p.Server = Sameness{}, Sameness{}
	}
	p.Lossy = lossy(p.near) || lossy(p.far) || p.Sealed && (p.Near.Flow.Origin == flows.Midstream || p.Far.Flow.Origin == flows.Midstream)
	for len(p.near.loose) > 0 {
		p.nearWithout(p.popLoose(p.near))
	}
	for len(p.far.loose) > 0 {
		p.farWithout(p.popLoose(p.far))
	}
	p.Ahead.finish(p.skew.middle(), p.skew.known)
	p.Calls.Answered = p.near.answered
	p.Calls.Undecided += p.near.dropped
	p.Calls.Answered += p.near.dropped
	p.near.release()
	p.far.release()
}

// aligned reports whether the positions of both streams are those behind a
// captured SYN.
func (p *Pair) aligned() bool {
	_, _, near := p.near.isn()
	_, _, far := p.far.isn()
	return near && far
}

// ignored reports whether the streams of a connection were not read to their
// end, because they carry nothing that the report is about.
func ignored(c *assoc.Conn) bool {
	switch c.Transport() {
	case assoc.RPC, assoc.KDC:
		return false
	}
	return true
}

// lossy reports whether a capture lost something of a leg.
func lossy(l *leg) bool {
	for i := range l.conn.Flow.Sides {
		s := &l.conn.Flow.Sides[i]
		if s.GapBytes > 0 || s.Packets == 0 {
			return true
		}
	}
	if r := l.conn.RPC; r != nil && (r.Counts.Lost > 0 || r.Stats.PDUsDamaged > 0) {
		return true
	}
	return l.dropped > 0
}

// over reports whether a leg was seen to end.
func over(c *assoc.Conn) bool {
	switch c.Flow.State() {
	case flows.Closed, flows.ResetByClient, flows.ResetByServer, flows.Refused:
		return true
	}
	return false
}
