package flows

import (
	"bytes"
	"slices"
	"time"

	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// Handler takes the streams of one connection. All calls come from the
// goroutine that feeds the Tracker.
type Handler interface {
	// Data takes stream bytes in order, each once. pos is the position of the
	// first in its stream, m the packet that carried them; b is valid only
	// during the call.
	Data(side wire.Side, pos int64, m wire.Mark, b []byte)
	// Gap says that n stream bytes were never captured; m is the packet that
	// proved it.
	Gap(side wire.Side, pos int64, m wire.Mark, n int64)
	// End comes once, after everything else; m is the last packet.
	End(m wire.Mark)
}

// Ledger accounts for every captured payload byte:
// CapturedPayload = Delivered + Duplicate + OutOfWindow + Skipped.
type Ledger struct {
	CapturedPayload int64
	Delivered       int64 // in order, each stream byte once
	Duplicate       int64 // seen before
	OutOfWindow     int64 // at no position of the stream
	Skipped         int64 // payload that is no stream data: on RST
	Gap             int64 // stream bytes that were never captured
}

// Add adds o.
func (l *Ledger) Add(o Ledger) {
	l.CapturedPayload += o.CapturedPayload
	l.Delivered += o.Delivered
	l.Duplicate += o.Duplicate
	l.OutOfWindow += o.OutOfWindow
	l.Skipped += o.Skipped
	l.Gap += o.Gap
}

// Stats counts connections and what the limits cost.
type Stats struct {
	Connections       int64
	Evicted           int64 // ended because Limits.Connections was reached
	Expired           int64 // ended because they were silent
	ReassemblyHoles   int64 // holes given up because too much was held behind them
	ReassemblyDropped int64 // payload bytes dropped by a limit; holding never drops any
	Resynchronised    int64 // connections that began anew, by their numbers, without a SYN
	LegsRefused       int64 // packets of a leg past the bound, taken for the likest one's
}

// Add adds o.
func (s *Stats) Add(o Stats) {
	s.Connections += o.Connections
	s.Evicted += o.Evicted
	s.Expired += o.Expired
	s.ReassemblyHoles += o.ReassemblyHoles
	s.ReassemblyDropped += o.ReassemblyDropped
	s.Resynchronised += o.Resynchronised
	s.LegsRefused += o.LegsRefused
}

// Tracker owns the connections of one shard. It is not safe for concurrent
// use.
type Tracker struct {
	limits    Limits
	open      func(*Conn) Handler
	conns     table
	spare     []*live  // of ended connections, for reuse
	live      connList // open connections, longest silent first
	half      connList // those that showed nothing but SYNs, likewise
	closed    connList // closed ones that wait for late segments
	ledger    Ledger
	stats     Stats
	heldBytes int
	pace      pace
	steps     []ClockStep // by capture
}

// NewTracker returns a Tracker. open is called at the first packet of each
// connection; when it returns nil nobody reads the streams, and their bytes
// are accounted for all the same.
func NewTracker(l Limits, open func(*Conn) Handler) *Tracker {
	return &Tracker{limits: l, open: open, conns: newTable()}
}

// Ledger returns the account of all segments so far.
func (t *Tracker) Ledger() Ledger { return t.ledger }

// Clock returns the latest capture time so far, but for packets that are far
// ahead of all others.
func (t *Tracker) Clock() int64 { return t.pace.clock }

// Stats returns the counters so far.
func (t *Tracker) Stats() Stats { return t.stats }

// Held returns the payload bytes that wait behind holes. Until they are
// delivered they stand in no bin of the ledger but CapturedPayload.
func (t *Tracker) Held() int { return t.heldBytes }

// Segment takes the next TCP segment, in capture order.
func (t *Tracker) Segment(f *Frame) {
	t.pace.tick(f.Time)
	t.expire()
	if f.Copy && t.twin(f) {
		return
	}
	c := t.find(f)
	side := c.sideOf(f)
	if c.strange(f, side) {
		if !c.replaced(f, side) {
			c.stray(f, side)
			return
		}
		t.stats.Resynchronised++
		hash := c.hash
		t.endAll(c)
		c = t.start(hash, 0, f)
		side = c.sideOf(f)
	}
	switch c.sight(f, side) {
	case apart:
		if leg := t.split(c, f); leg != nil {
			c, side = leg, leg.sideOf(f)
		}
	case copied:
		c.copied(f, side)
		return
	}
	c.segment(f, side)
	t.touch(c)
}

// find returns the connection of a segment, a new one when the segment cannot
// belong to the one that has its key.
func (t *Tracker) find(f *Frame) *Conn {
	hash := t.conns.hash(f.Src, f.Dst)
	c := t.conns.find(hash, f.Src, f.Dst, f.Tap, 0)
	if c != nil && c.legs != nil {
		c = c.route(f)
	}
	if c != nil && c.succeeded(f) {
		if c.parallel(f) {
			if leg := t.split(c, f); leg != nil {
				return leg
			}
		}
		t.endAll(c)
		c = nil
	}
	if c != nil {
		return c
	}
	return t.start(hash, 0, f)
}

// start enters a new connection, or a new leg of one.
func (t *Tracker) start(hash uint64, leg uint8, f *Frame) *Conn {
	if t.conns.n >= t.limits.Connections {
		t.Evict()
	}
	c := &Conn{Point: f.Point, Tap: f.Tap, Several: f.Several, A: f.Src, B: f.Dst, First: f.Mark, Last: f.Mark, leg: leg, fresh: true, live: t.take()}
	c.tracker, c.hash = t, hash
	for i := range c.streams {
		c.streams[i].fin = -1
	}
	c.guessClient()
	if f.Flags&SYN != 0 {
		c.Origin, c.ClientKnown = Handshake, true
		c.Client = wire.SideA
		if f.Flags&ACK != 0 {
			c.Client = wire.SideB
		}
	}
	t.conns.enter(c)
	t.stats.Connections++
	t.limits.Budget.Add(budget.Open, Weight)
	c.handler = t.open(c)
	return c
}

// maxSpare bounds what is kept for reuse.
const maxSpare = 1024

func (t *Tracker) take() *live {
	if n := len(t.spare) - 1; n >= 0 {
		l := t.spare[n]
		t.spare = t.spare[:n]
		return l
	}
	return new(live)
}

func (t *Tracker) give(l *live) {
	if len(t.spare) < maxSpare {
		*l = live{}
		t.spare = append(t.spare, l)
	}
}

// segment accounts for one segment of the connection.
func (c *Conn) segment(f *Frame, side wire.Side) {
	stats, s := &c.Sides[side], &c.streams[side]
	c.Last = f.Mark
	if f.Length == 0 && f.Flags&(SYN|FIN|RST|ACK) == ACK {
		c.repeatsAck(f, side)
	}
	s.remember(f)
	if stats.Packets++; stats.Packets == 1 {
		stats.TTL, stats.DSCP, stats.Lane = f.TTL, f.DSCP, f.Lane
	}
	if f.Redirect.Present {
		c.redirected(f)
	}
	if f.Window == 0 && f.Flags&(SYN|RST|FIN) == 0 {
		stats.ZeroWindows++
	}
	switch {
	case f.Flags&RST != 0:
		c.reset(f, side)
		return
	case f.Flags&SYN != 0:
		c.syn(f, side)
	default:
		c.fresh = false
		c.measure(f, side)
	}
	seq := f.Seq
	if f.Flags&SYN != 0 {
		seq++
	}
	if !s.started {
		c.begin(side, seq)
	}
	c.shift(f, side)
	pos, known := c.place(f, side, seq)
	if !known {
		c.tracker.ledger.CapturedPayload += int64(len(f.Payload))
		c.tracker.ledger.OutOfWindow += int64(len(f.Payload))
		return
	}
	if c.unsettled {
		c.settle(f, side, pos)
		if pos > s.next {
			c.release(side.Other())
		}
	}
	if f.Flags&FIN != 0 && s.fin < 0 && pos+int64(f.Length) >= s.next {
		s.fin = pos + int64(f.Length)
		stats.Fin = f.Mark
	}
	if f.Length > 0 {
		if f.small() && pos == s.top {
			c.doubt(side, pos, f)
		} else {
			top := s.top
			c.data(side, pos, f)
			if end := pos + int64(f.Length); pos == top && s.sampleEnd == 0 && f.Flags&FIN == 0 && s.acked < end {
				s.sampleEnd, s.sampleAt = end, f.Time
			}
		}
		o := &c.streams[side.Other()]
		if o.hasty && len(s.held) == 0 {
			o.hasty = false // this side is heard again
		}
		if c.unsettled {
			c.drain(side.Other())
		}
	} else if f.Flags&(SYN|FIN) == 0 && pos == s.next-1 && s.fin < 0 {
		stats.KeepAlives++
	}
	if f.Flags&ACK != 0 {
		if !s.acks {
			s.acks, s.firstAck = true, f.Ack
		}
		c.acknowledge(side.Other(), f.Ack, f.Mark)
		if c.broken {
			c.survives(f, side)
		}
	}
	if c.unsettled {
		c.impatient(f.Mark)
		a, b := &c.streams[0], &c.streams[1]
		c.unsettled = len(a.held) > 0 || len(b.held) > 0 || a.doubt != nil || b.doubt != nil
	}
}

// syn takes what a SYN or SYN/ACK tells.
func (c *Conn) syn(f *Frame, side wire.Side) {
	stats, s := &c.Sides[side], &c.streams[side]
	if stats.HasISN {
		c.synAgain = true
		stats.SynAgain++
		if f.Flags&ACK == 0 && stats.ISN == f.Seq && stats.SynRetry == nil && c.Sides[side.Other()].Packets == 0 && !bytes.Equal(stats.SynOptions, f.Options) {
			stats.SynRetry = &SynRetry{Options: bytes.Clone(f.Options), Mark: f.Mark}
		}
		if stats.ISN == f.Seq || s.top > 0 || s.confirmed || f.Flags&ACK == 0 {
			return
		}
		// The server answers anew, without memory of its first answer. One that
		// the client has acknowledged stands: that of another server behind a
		// shared address comes too late.
		c.begin(side, f.Seq+1)
	}
	stats.ISN, stats.HasISN, stats.Syn = f.Seq, true, f.Mark
	stats.SynOptions = bytes.Clone(f.Options)
	c.Origin = Handshake
	if !s.started {
		c.begin(side, f.Seq+1)
	}
	if f.Flags&ACK == 0 {
		if c.Sides[side.Other()].Syn.IsZero() {
			c.SetClient(side)
		}
		return
	}
	c.SetClient(side.Other())
	if syn := c.Sides[side.Other()].Syn; !syn.IsZero() && !c.synAgain && f.Time >= syn.Time && c.fresh && !f.Untimed && !syn.Untimed {
		c.SynToSynAck, c.synAckAt = max(time.Duration(f.Time-syn.Time), 1), f.Mark
	}
}

// begin sets position 0 of a stream.
func (c *Conn) begin(side wire.Side, seq uint32) {
	c.streams[side].start(seq)
	c.Sides[side].Base = seq
}

// shift recognises the sequence jump: the first segment after a SYN lies about
// 2 billion behind it. From there on numbers are read with the jump taken out,
// so that the stream goes on without a gap.
func (c *Conn) shift(f *Frame, side wire.Side) {
	if !c.canJump(f, side) {
		return
	}
	stats, s := &c.Sides[side], &c.streams[side]
	d := f.Seq - (stats.ISN + 1)
	stats.Jump = &Jump{Mark: f.Mark, Delta: d}
	s.base += d
}

// place widens the sequence number of a segment. A number far outside the
// window is no position; when several agree, replaced begins anew.
func (c *Conn) place(f *Frame, side wire.Side, seq uint32) (pos int64, ok bool) {
	s := &c.streams[side]
	pos = s.position(seq)
	if pos <= s.next+maxAhead && pos >= s.next-maxAhead && pos+int64(f.Length) >= -1 {
		s.stray.n = 0
		return pos, true
	}
	if pos < 0 && pos > -maxAhead && !c.Sides[side].HasISN {
		// Captured from the middle, and older bytes come late: they are
		// before everything that is counted.
		return pos, false
	}
	if f.Length > 0 {
		s.stray.note(seq)
	}
	return pos, false
}

// reset takes a RST. One that lies far from the stream is forged or stale and
// ends nothing (RFC 5961 3); its payload is text for people, not stream data.
func (c *Conn) reset(f *Frame, side wire.Side) {
	s, stats := &c.streams[side], &c.Sides[side]
	n := int64(len(f.Payload))
	c.tracker.ledger.CapturedPayload += n
	at := s.top
	if s.started && f.Seq != 0 {
		pos := s.position(f.Seq)
		if pos > s.top+maxAhead || pos < s.next-maxAhead {
			c.tracker.ledger.OutOfWindow += n
			return
		}
		at = max(at, pos)
	}
	c.tracker.ledger.Skipped += n
	if stats.Rst.IsZero() {
		stats.Rst = f.Mark
		c.broken = true
		c.breaks[side] = [2]int64{max(at, s.fin) + 1, c.streams[side.Other()].end() + 1}
	}
}

// Flush ends every connection, in order of their first packets.
func (t *Tracker) Flush() {
	all := t.conns.all()
	slices.SortFunc(all, func(a, b *Conn) int {
		switch {
		case a.First.Before(b.First):
			return -1
		case b.First.Before(a.First):
			return 1
		}
		return a.A.Compare(b.A)
	})
	for _, c := range all {
		t.end(c)
	}
}

// endAll ends a connection with all its legs.
func (t *Tracker) endAll(c *Conn) {
	if c.Root == nil {
		t.end(c)
		return
	}
	for _, leg := range c.Root.legs {
		if !leg.ended {
			t.end(leg)
		}
	}
}

// end takes a connection out of the table and ends its handler.
func (t *Tracker) end(c *Conn) {
	if c.ended {
		return
	}
	c.ended = true
	t.conns.remove(c)
	if c.list != nil {
		c.list.remove(c)
	}
	for side := range c.streams {
		c.finish(wire.Side(side), c.Last)
	}
	t.limits.Budget.Add(budget.Open, -Weight)
	h := c.handler
	t.give(c.live)
	c.live = nil
	if h != nil {
		h.End(c.Last)
	}
}

// expire ends connections that were silent too long. Unless Limits.Eager is
// set it waits until the table is a quarter full: before that a late segment
// still finds its connection, however late it comes.
func (t *Tracker) expire() {
	if !t.limits.Eager && t.conns.n <= t.limits.Connections/4 {
		return
	}
	silent := func(l *connList, limit time.Duration) bool {
		return l.head != nil && t.pace.silent(l.head, limit)
	}
	for silent(&t.closed, t.limits.Linger) {
		t.end(t.closed.head)
	}
	for silent(&t.half, t.limits.HalfOpen) {
		t.stats.Expired++
		t.end(t.half.head)
	}
	for silent(&t.live, t.limits.Idle) {
		t.stats.Expired++
		t.end(t.live.head)
	}
}

// Evict ends the connection that was silent longest: of closed ones, else of
// half-open ones, so that a flood of SYNs drives out only itself, else of all.
// It reports whether there was any.
func (t *Tracker) Evict() bool {
	for _, l := range [...]*connList{&t.closed, &t.half, &t.live} {
		if l.head != nil {
			t.stats.Evicted++
			t.end(l.head)
			return true
		}
	}
	return false
}

func (t *Tracker) touch(c *Conn) {
	c.seen = t.pace.elapsed
	l := &t.live
	switch {
	case c.over():
		l = &t.closed
	case c.fresh:
		l = &t.half
	}
	if c.list == l && l.tail == c {
		return
	}
	if c.list != nil {
		c.list.remove(c)
	}
	l.push(c)
}

// connList is a list of connections in order of their last packet.
type connList struct{ head, tail *Conn }

func (l *connList) push(c *Conn) {
	c.list, c.prev, c.next = l, l.tail, nil
	if l.tail != nil {
		l.tail.next = c
	} else {
		l.head = c
	}
	l.tail = c
}

func (l *connList) remove(c *Conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.tail = c.prev
	}
	c.list, c.prev, c.next = nil, nil, nil
}
