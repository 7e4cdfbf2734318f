package dcerpc

import (
	"sync"

	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// The table of open calls: by call id, which all contexts of a connection share
// ([C706] 12.6.3.1), and by age.

// fewCalls are found without a table. Few connections have more open at a time.
const fewCalls = 8

// call returns the open call with an id, nil when there is none.
func (c *Conn) call(id uint32) *Call {
	if c.index != nil {
		return c.index[id]
	}
	call := c.newest
	for call != nil && call.ID != id {
		call = call.older
	}
	return call
}

// openCall files a fresh call under its id, which must be free; side asks.
func (c *Conn) openCall(id uint32, side wire.Side) *Call {
	if c.open >= c.limits.OpenCalls ||
		c.oldest != nil && len(c.spare) == 0 && !c.limits.Budget.Grants(budget.Detail, c.weight, callWeight) {
		if !c.oldest.answered {
			c.Stats.CallsLost++
			c.lose(c.oldest)
		}
		c.closeCall(c.oldest)
	}
	var call *Call
	if n := len(c.spare); n > 0 {
		call, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		call = new(Call)
		c.charge(callWeight)
	}
	*call = Call{ID: id, side: side, row: -1, auth: -1, older: c.newest}
	if c.newest != nil {
		c.newest.newer = call
	} else {
		c.oldest = call
	}
	c.newest = call
	c.open++
	switch {
	case c.index != nil:
		c.index[id] = call
	case c.open > fewCalls:
		c.index = make(map[uint32]*Call)
		for x := c.oldest; x != nil; x = x.newer {
			c.index[x.ID] = x
		}
	}
	return call
}

// runsOn gives a call its presentation context.
func (c *Conn) runsOn(call *Call, ctx uint16) {
	call.ContextID, call.row = ctx, c.contextRow(ctx)
}

// maxSpare is how many finished calls a connection keeps for the next ones.
const maxSpare = 4

// closeCall takes a finished call out of the table.
func (c *Conn) closeCall(call *Call) {
	c.open--
	delete(c.index, call.ID)
	if call.older != nil {
		call.older.newer = call.newer
	} else {
		c.oldest = call.newer
	}
	if call.newer != nil {
		call.newer.older = call.older
	} else {
		c.newest = call.older
	}
	c.release(&call.Request)
	c.release(&call.Response)
	if len(c.spare) < maxSpare {
		*call = Call{}
		c.spare = append(c.spare, call)
	} else {
		c.charge(-callWeight)
	}
}

// lose notes, once, that a part of a call was not captured.
func (c *Conn) lose(call *Call) {
	if call.lost {
		return
	}
	call.lost = true
	c.Counts.Lost++
	c.handler.Lost(call)
	call.Data = nil
	c.release(&call.Request)
	c.release(&call.Response)
}

// drop ends a call that gets no answer: its id is used again, or the connection
// is over.
func (c *Conn) drop(call *Call) {
	switch {
	case call.lost, call.answered:
	case call.doubtful, !call.Request.ended, call.Response.PDUs > 0, c.oneSided:
		c.lose(call)
	default:
		if !call.orphaned {
			c.Counts.Unanswered++
		}
		c.handler.Lost(call)
	}
	c.closeCall(call)
}

// part is what is kept of the stub of one message. The stub of a message of one
// PDU stays where it is; those of several are copied together.
type part struct {
	want int
	view []byte
	buf  *[]byte
	cut  bool
}

// maxStub bounds the buffers that are used again: the largest answers of
// EMSMDB that servers give.
const maxStub = 512 << 10

// stubs holds the buffers of fragmented messages that are under way.
var stubs = sync.Pool{New: func() any { b := make([]byte, 0, 32<<10); return &b }}

// collect keeps what is wanted of a fragment's stub. only says that it is the
// whole message.
func (c *Conn) collect(d *part, stub []byte, only bool) {
	if d.want == 0 || d.cut {
		return
	}
	var n int
	if only {
		n = min(len(stub), d.want)
		d.view = stub[:n:n]
	} else {
		before := 0
		if d.buf == nil {
			d.buf = stubs.Get().(*[]byte)
		} else {
			before = cap(*d.buf)
		}
		n = min(len(stub), d.want-len(*d.buf), c.limits.StubBytes-c.stubBytes)
		*d.buf = append(*d.buf, stub[:n]...)
		c.stubBytes += n
		c.hold(cap(*d.buf) - before)
	}
	if n < len(stub) {
		d.cut = true
		c.Stats.StubsCut++
	}
}

// stub returns what was kept of a message, nil when it is sealed or was not
// wanted, and whether it was longer.
func (d *part) stub(msg *Message) (b []byte, cut bool) {
	switch {
	case msg.Sealed || d.want == 0:
		return nil, false
	case d.buf != nil:
		return *d.buf, d.cut
	}
	return d.view, d.cut
}

// release lets go of the stub of a message.
func (c *Conn) release(msg *Message) {
	d := &msg.part
	if d.buf != nil {
		c.stubBytes -= len(*d.buf)
		c.hold(-cap(*d.buf))
		if cap(*d.buf) <= maxStub {
			*d.buf = (*d.buf)[:0]
			stubs.Put(d.buf)
		}
	}
	*d = part{}
}
