package dcerpc

import (
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// Weights of a Conn with empty tables, bytes.
const (
	Weight       = 1536 // while its connection is open
	RecordWeight = 640  // once it has ended
)

// Weights of rows, bytes, with what a slice that grows has to spare.
const (
	contextWeight   = 192
	syntaxWeight    = 24
	authWeight      = 768
	callWeight      = 512
	operationWeight = 256
	faultWeight     = 80
	chunkWeight     = 40
	tailWeight      = 16
)

// grow charges a row of n bytes to the tables of the connection, or reports
// that there is no room for it.
func (c *Conn) grow(n int) bool {
	if !c.limits.Budget.Grants(budget.Detail, c.weight, n) {
		return false
	}
	c.charge(n)
	return true
}

// charge books n bytes of the tables, a negative n for what goes.
func (c *Conn) charge(n int) {
	c.weight += n
	c.limits.Budget.Add(budget.Detail, n)
}

// hold books n bytes of what is not complete, a negative n for what goes.
func (c *Conn) hold(n int) {
	c.unfinished += n
	c.limits.Budget.Add(budget.Unfinished, n)
}

// Weight returns what the tables of the connection take, bytes, without what
// every Conn takes.
func (c *Conn) Weight() int { return c.weight }

// Unfinished returns how many bytes the connection keeps of PDUs and messages
// that are not complete, and of what it searches for PDUs, and which packet
// began the oldest of them.
func (c *Conn) Unfinished() (n int, since wire.Mark) {
	count := func(bytes int, m wire.Mark) {
		if n += bytes; since.IsZero() || m.Before(since) {
			since = m
		}
	}
	for side := range c.framers {
		f := &c.framers[side]
		if f.buf != nil {
			count(len(*f.buf), f.mark)
		}
		if len(f.window.chunks) > 0 {
			count(len(f.window.bytes()), f.window.chunks[0].mark)
		}
		if b := &c.partial[side]; b.active {
			count(len(b.body)+len(b.auth.token), b.mark)
		}
	}
	for call := c.oldest; call != nil; call = call.newer {
		for _, msg := range [2]*Message{&call.Request, &call.Response} {
			if msg.part.buf != nil {
				count(len(*msg.part.buf), msg.First)
			}
		}
	}
	return n, since
}

// GiveUp lets go of all that Unfinished counts. A PDU of which the header was
// read still counts, and framing goes on behind it; a search goes on in the
// bytes that come next; stubs are cut.
func (c *Conn) GiveUp() {
	for side := range c.framers {
		f := &c.framers[side]
		if f.window.buf != nil {
			c.Stats.UnfinishedDropped++
			f.giveUp(c, len(f.window.bytes()))
		}
		if held := f.held(); len(held) >= headerLength {
			c.Stats.UnfinishedDropped++
			h, _ := ParseHeader(held)
			c.unfinishedPDU(h, held, f.mark, wire.Side(side))
			f.skip = int64(h.FragLength) - int64(len(held))
			f.release(c)
		} else if len(held) > 0 {
			f.shrink(c)
		}
		if c.partial[side].active {
			c.Stats.UnfinishedDropped++
			c.forgetPartial(wire.Side(side))
		}
	}
	for call := c.oldest; call != nil; call = call.newer {
		c.cutStub(&call.Request)
		c.cutStub(&call.Response)
	}
}

// cutStub lets go of what was kept of a message.
func (c *Conn) cutStub(msg *Message) {
	if msg.part.buf != nil {
		c.release(msg)
		msg.part.cut = true
		c.Stats.StubsCut++
	}
}
