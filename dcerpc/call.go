package dcerpc

import (
	"mapiscope/internal/hist"
	"mapiscope/internal/wire"
)

// Message is one direction of a call.
type Message struct {
	First, Last wire.Mark // packets that completed the first and the last fragment
	Stub        int64     // stub bytes on the wire, without padding and verifier
	PDUs        int
	Complete    bool       // the last fragment was captured, and all before it
	Order       wire.Order // byte order of the stub
	AuthType    uint8
	AuthLevel   uint8
	Sealed      bool // level privacy: the stub cannot be read
}

// Call is a request with its answer.
type Call struct {
	ID         uint32
	ContextID  uint16
	Opnum      uint16
	OpnumKnown bool     // false when the request was not captured
	Context    *Context // nil when its bind was not captured
	Object     wire.UUID
	HasObject  bool
	Request    Message // First is zero when it was not captured
	Response   Message
	Fault      *uint32 // status, when the answer is a fault
	Cut        bool    // a stub was longer than wanted
	Data       any     // the handler's own, kept from Request to Response

	auth  int // index in Conn.Auths of the request's verifier, -1 for none
	lost  bool
	want  [2]int
	stubs [2][]byte
	fault uint32
}

// Operation counts the calls of one opnum.
type Operation struct {
	Interface                   wire.UUID
	Known                       bool // the interface is known
	Opnum                       uint16
	OpnumKnown                  bool
	Requests, Responses, Faults int64
	RequestBytes, ResponseBytes int64 // stub bytes
	Latency                     hist.Histogram
}

type opKey struct {
	iface      wire.UUID
	opnum      uint16
	known, num bool
}

// requestHead is the fixed part of a request body, object UUID excluded
// ([C706] 12.6.4.9); a response's is as long (12.6.4.10).
const (
	requestHead = 8
	faultHead   = 16
)

// request takes a request PDU.
func (c *Conn) request(p *pdu, side wire.Side) {
	c.spoke[side] = true
	body := wire.NewCursor(p.body, p.Order)
	body.Skip(4) // alloc_hint
	ctx, opnum := body.Uint16(), body.Uint16()
	var object wire.UUID
	if p.Flags&FlagObject != 0 {
		object = body.UUID()
	}
	if !body.OK() {
		c.Stats.PDUsDamaged++
		return
	}
	call := c.calls[p.CallID]
	whole := p.Flags&(FlagFirst|FlagLast) == 0 && (call == nil || call.Request.Complete)
	if p.Flags&FlagFirst != 0 || whole || call == nil {
		if call != nil {
			c.replace(call)
		}
		call = c.open(p.CallID)
		call.ContextID, call.Opnum, call.OpnumKnown = ctx, opnum, true
		call.Context = c.context(ctx)
		call.Object, call.HasObject = object, p.Flags&FlagObject != 0
		call.Request.First = p.mark
		c.Counts.Requests++
		c.op(call).Requests++
		if p.Flags&FlagFirst == 0 && !whole {
			call.lost = true // its first fragments were not captured
		}
	}
	c.fragment(call, p, &call.Request, body.Rest(), false)
	if p.Flags&FlagLast == 0 && !whole {
		return
	}
	c.op(call).RequestBytes += call.Request.Stub
	call.Request.Complete = !call.lost
	if call.lost {
		return
	}
	c.handler.Request(call, call.stub(&call.Request, 0))
	call.stubs[0] = call.stubs[0][:0]
}

// fragment accounts for one fragment of a message and keeps what is wanted.
func (c *Conn) fragment(call *Call, p *pdu, msg *Message, stub []byte, response bool) {
	if p.Flags&(FlagFirst|FlagLast) != FlagFirst|FlagLast {
		c.Counts.Fragments++
	}
	i := 0
	if response {
		i = 1
	}
	if msg.PDUs++; msg.PDUs == 1 {
		msg.First, msg.Order = p.mark, p.Order
		if p.auth.present {
			msg.AuthType, msg.AuthLevel = p.auth.kind, p.auth.level
			msg.Sealed = p.auth.level == LevelPrivacy
		}
		call.want[i] = 0
		if !msg.Sealed {
			call.want[i] = c.handler.Want(call, response)
		}
	}
	if p.auth.present {
		a := c.seen(p)
		if !response {
			call.auth = a
		}
	}
	if msg.Sealed {
		c.Counts.Sealed++
	}
	msg.Last = p.mark
	msg.Stub += int64(len(stub))
	if room := call.want[i] - len(call.stubs[i]); len(stub) > room {
		if call.want[i] > 0 {
			call.Cut = true
			c.Stats.StubsCut++
		}
		stub = stub[:max(room, 0)]
	}
	if len(stub) > 0 {
		call.stubs[i] = append(call.stubs[i], stub...)
	}
}

func (call *Call) stub(msg *Message, i int) []byte {
	if msg.Sealed || call.want[i] == 0 {
		return nil
	}
	return call.stubs[i]
}

// response takes a response PDU.
func (c *Conn) response(p *pdu, side wire.Side) {
	c.spoke[side] = true
	body := wire.NewCursor(p.body, p.Order)
	body.Skip(4)
	ctx := body.Uint16()
	body.Skip(2)
	if !body.OK() {
		c.Stats.PDUsDamaged++
		return
	}
	call := c.answered(p, ctx)
	if call.Response.PDUs == 0 {
		c.Counts.Responses++
		c.op(call).Responses++
	}
	// A PDU without either flag is a whole message of its own when it is the
	// first of its answer (some stacks set none), else a fragment in between.
	whole := p.Flags&(FlagFirst|FlagLast) == 0 && call.Response.PDUs == 0
	c.fragment(call, p, &call.Response, body.Rest(), true)
	if p.Flags&FlagLast == 0 && !whole {
		return
	}
	op := c.op(call)
	op.ResponseBytes += call.Response.Stub
	call.Response.Complete = true
	if call.Request.Complete {
		op.Latency.Add(max((call.Response.First.Time-call.Request.Last.Time)/1e3, 0))
	}
	c.confirm(call, p.mark)
	if !call.lost {
		c.handler.Response(call, call.stub(&call.Response, 1))
	}
	c.close(call)
}

// fault takes a fault PDU, which ends its call whatever it says.
func (c *Conn) fault(p *pdu, side wire.Side) {
	c.spoke[side] = true
	body := wire.NewCursor(p.body, p.Order)
	body.Skip(4)
	ctx := body.Uint16()
	body.Skip(2)
	status := body.Uint32()
	if !body.OK() {
		c.Stats.PDUsDamaged++
		return
	}
	c.Counts.Faults++
	f := Fault{CallID: p.CallID, Status: status, Mark: p.mark}
	call := c.calls[p.CallID]
	if call == nil {
		// The answer to an alter_context, or to a request that was not
		// captured.
		c.faultOf(nil, status, p.mark)
	} else {
		call = c.answered(p, ctx)
		call.fault = status
		call.Fault = &call.fault
		call.Response.First, call.Response.Last = p.mark, p.mark
		if call.OpnumKnown {
			opnum := call.Opnum
			f.Opnum = &opnum
		}
		c.op(call).Faults++
		c.faultOf(call, status, p.mark)
		if !call.lost {
			c.handler.Response(call, nil)
		}
		c.close(call)
	}
	if len(c.Faults) < c.limits.Faults {
		c.Faults = append(c.Faults, f)
	} else {
		c.Stats.FaultsDropped++
	}
	c.emit(&Event{Kind: "fault", Mark: p.mark, Side: side, CallID: p.CallID, Status: status, Opnum: f.Opnum})
}

// answered returns the call that an answer belongs to. An answer whose request
// was not captured gets a call of its own.
func (c *Conn) answered(p *pdu, ctx uint16) *Call {
	if call := c.calls[p.CallID]; call != nil {
		return call
	}
	call := c.open(p.CallID)
	call.ContextID, call.Context = ctx, c.context(ctx)
	return call
}

// open returns a fresh call, filed under its id.
func (c *Conn) open(id uint32) *Call {
	if len(c.calls) >= c.limits.OpenCalls {
		c.loseOldest()
	}
	var call *Call
	if n := len(c.spare); n > 0 {
		call, c.spare = c.spare[n-1], c.spare[:n-1]
		*call = Call{stubs: [2][]byte{call.stubs[0][:0], call.stubs[1][:0]}}
	} else {
		call = new(Call)
	}
	call.ID, call.auth = id, -1
	c.calls[id] = call
	return call
}

// keepStub is the largest stub buffer that a finished call keeps for the next
// one; larger ones are rare and would pile up over many connections.
const keepStub = 16 << 10

// close takes a finished call out of the table.
func (c *Conn) close(call *Call) {
	delete(c.calls, call.ID)
	call.Data, call.Fault, call.Context = nil, nil, nil
	for i := range call.stubs {
		if cap(call.stubs[i]) > keepStub {
			call.stubs[i] = nil
		}
	}
	if len(c.spare) < 4 {
		c.spare = append(c.spare, call)
	}
}

// replace ends a call whose id is used again before it was answered.
func (c *Conn) replace(call *Call) {
	if call.Request.Complete {
		c.Counts.Unanswered++
	}
	c.handler.Lost(call)
	c.close(call)
}

func (c *Conn) loseOldest() {
	var oldest *Call
	for _, call := range c.calls {
		if oldest == nil || call.Request.First.Before(oldest.Request.First) || call.Request.First == oldest.Request.First && call.ID < oldest.ID {
			oldest = call
		}
	}
	c.Counts.Lost++
	c.Stats.CallsLost++
	c.handler.Lost(oldest)
	c.close(oldest)
}

// lostPDU accounts for a PDU of a call whose rest was not captured. The call
// stays open, so that its answer is still matched.
func (c *Conn) lostPDU(h Header, raw []byte, m wire.Mark, side wire.Side) {
	if h.Type != TypeRequest && h.Type != TypeResponse {
		return
	}
	c.spoke[side] = true
	call := c.calls[h.CallID]
	head := len(raw) >= headerLength+requestHead
	if call == nil || h.Type == TypeRequest && h.Flags&FlagFirst != 0 {
		if !head {
			return
		}
		if call != nil {
			c.replace(call)
		}
		call = c.open(h.CallID)
		call.ContextID = h.Order.Uint16(raw[20:])
		call.Context = c.context(call.ContextID)
		if h.Type == TypeRequest {
			call.Opnum, call.OpnumKnown = h.Order.Uint16(raw[22:]), true
			call.Request.First, call.Request.Last = m, m
			c.Counts.Requests++
			c.op(call).Requests++
		}
	}
	if h.Type == TypeResponse && call.Response.PDUs == 0 {
		c.Counts.Responses++
		c.op(call).Responses++
		call.Response.PDUs++
		call.Response.First = m
	}
	if !call.lost {
		call.lost = true
		c.Counts.Lost++
		c.handler.Lost(call)
		call.Data = nil
	}
	if h.Type == TypeResponse && h.Flags&FlagLast != 0 {
		c.close(call)
	}
}

// context returns the context that calls with an id mean: the latest that was
// accepted, else the latest that was offered.
func (c *Conn) context(id uint16) *Context {
	var offered *Context
	for i := len(c.Contexts) - 1; i >= 0; i-- {
		switch x := &c.Contexts[i]; {
		case x.ID != id || x.Negotiation:
		case x.Accepted():
			return x
		case offered == nil:
			offered = x
		}
	}
	return offered
}

// op returns the counters of a call's operation.
func (c *Conn) op(call *Call) *Operation {
	k := opKey{opnum: call.Opnum, num: call.OpnumKnown}
	if call.Context != nil {
		k.iface, k.known = call.Context.Interface.UUID, true
	}
	o := c.operation[k]
	if o == nil {
		o = &Operation{Interface: k.iface, Known: k.known, Opnum: k.opnum, OpnumKnown: k.num}
		if len(c.Ops) >= c.limits.Operations {
			c.Stats.OperationsDropped++
			return o
		}
		c.operation[k] = o
		c.Ops = append(c.Ops, o)
	}
	return o
}
