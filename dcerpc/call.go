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
	Sealed      bool   // level privacy: the stub cannot be read
	Digest      uint64 // of its PDUs as they were on the wire; 0 unless Conn.Hash is set

	ended bool // the last fragment came, or would have
	part  part
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
	Cut        bool    // the stub that is handed over was longer than wanted
	Data       any     // the handler's own, kept from Request to Response

	side     wire.Side // that asks
	row      int       // index in Conn.Contexts, -1 for none
	auth     int       // index in Conn.Auths of the request's verifier, -1 for none
	op       *Operation
	lost     bool // a part of it was not captured
	doubtful bool // bytes were lost in which its answer may have been
	orphaned bool // the client gave it up
	answered bool // before its request was over: fragments that follow are still its own
	fault    uint32

	older, newer *Call // in Conn.open, by age
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

// alone reports whether a PDU that begins no message, by its flags, is a whole
// one all the same: some implementations set no fragment flags at all. In a
// stream with holes it is the middle of a message whose beginning is missing.
func (c *Conn) alone(p *pdu, side wire.Side) bool {
	return p.Flags&(FlagFirst|FlagLast) == 0 && !c.framers[side].torn
}

// request takes a request PDU ([C706] 12.6.4.9).
func (c *Conn) request(p *pdu, side wire.Side) {
	body := wire.NewCursor(p.body, p.Order)
	body.Skip(4) // alloc_hint
	ctx, opnum := body.Uint16(), body.Uint16()
	var object wire.UUID
	if p.Flags&FlagObject != 0 {
		object = body.UUID()
	}
	if !body.OK() {
		c.damage(p)
		return
	}
	call := c.call(p.CallID)
	last := p.Flags&FlagLast != 0
	if call != nil && call.answered && p.Flags&FlagFirst == 0 {
		c.straggler(call, p, body.Rest(), last)
		return
	}
	if p.Flags&FlagFirst != 0 || call == nil || call.Request.ended || call.Request.PDUs == 0 {
		if call != nil {
			c.drop(call) // its id is used again
		}
		call = c.openCall(p.CallID, side)
		c.runsOn(call, ctx)
		call.Opnum, call.OpnumKnown = opnum, true
		call.Object, call.HasObject = object, p.Flags&FlagObject != 0
		c.Counts.Requests++
		c.operationOf(call).Requests++
		if p.Flags&FlagFirst == 0 {
			if c.alone(p, side) {
				last = true
			} else {
				c.lose(call) // its first fragments were not captured
			}
		}
	}
	stub := body.Rest()
	call.op.RequestBytes += int64(len(stub))
	c.fragment(call, p, &call.Request, stub, last, false)
	if !last {
		return
	}
	call.Request.ended, call.Request.Complete = true, !call.lost
	if !call.lost {
		stub, call.Cut = call.Request.part.stub(&call.Request)
		call.Context = c.contextAt(call.row)
		c.handler.Request(call, stub)
	}
	c.release(&call.Request)
}

// straggler takes a fragment of a request that was answered before it was over:
// the client had sent it before the fault reached it. It begins no call
// ([C706] 12.6.3.1: that is what PFC_FIRST_FRAG does).
func (c *Conn) straggler(call *Call, p *pdu, stub []byte, last bool) {
	c.Counts.Fragments++
	if p.auth.present && p.auth.level == LevelPrivacy {
		c.Counts.Sealed++
	}
	call.op.RequestBytes += int64(len(stub))
	if last {
		c.closeCall(call)
	}
}

// finish closes a call that was answered, at once unless more fragments of its
// request are to come.
func (c *Conn) finish(call *Call) {
	if !call.asking() {
		c.closeCall(call)
		return
	}
	call.answered = true
	c.release(&call.Request)
	c.release(&call.Response)
}

// asking reports whether more fragments of the request are to come.
func (call *Call) asking() bool { return call.Request.PDUs > 0 && !call.Request.ended && !call.lost }

// waiting returns the call that an answer with an id is for, nil for none.
func (c *Conn) waiting(id uint32) *Call {
	call := c.call(id)
	if call != nil && call.answered {
		c.closeCall(call)
		return nil
	}
	return call
}

// response takes a response PDU ([C706] 12.6.4.10).
func (c *Conn) response(p *pdu, side wire.Side) {
	body := wire.NewCursor(p.body, p.Order)
	body.Skip(4) // alloc_hint
	ctx := body.Uint16()
	body.Skip(2) // cancel count
	if !body.OK() {
		c.damage(p)
		return
	}
	call := c.waiting(p.CallID)
	if call == nil {
		call = c.openCall(p.CallID, side.Other()) // its request was not captured
		c.addIDs(&c.CallIDs.Calls, p.CallID, p.CallID)
		c.runsOn(call, ctx)
	}
	op, msg := c.operationOf(call), &call.Response
	last := p.Flags&FlagLast != 0
	switch {
	case msg.PDUs == 0:
		c.Counts.Responses++
		op.Responses++
		if p.Flags&FlagFirst == 0 {
			if c.alone(p, side) {
				last = true
			} else {
				c.lose(call)
			}
		}
	case p.Flags&FlagFirst != 0: // the end of the answer before is missing
		c.lose(call)
	}
	stub := body.Rest()
	op.ResponseBytes += int64(len(stub))
	c.fragment(call, p, msg, stub, last, true)
	if !last {
		return
	}
	msg.ended, msg.Complete = true, !call.lost
	c.confirm(call)
	if !call.lost {
		if call.Request.Complete && !call.Request.Last.Untimed && !msg.First.Untimed {
			if ns := msg.First.Time - call.Request.Last.Time; ns >= 0 {
				c.charge(op.Latency.Add(ns / 1e3))
			} else {
				c.Counts.Backward++
			}
		}
		stub, call.Cut = msg.part.stub(msg)
		call.Context = c.contextAt(call.row)
		c.handler.Response(call, stub)
	}
	c.finish(call)
}

// fault takes a fault PDU ([C706] 12.6.4.7), which ends its call whatever it
// says. It may also refuse an alter_context.
func (c *Conn) fault(p *pdu, side wire.Side) {
	body := wire.NewCursor(p.body, p.Order)
	body.Skip(4) // alloc_hint
	ctx := body.Uint16()
	body.Skip(2) // cancel count, reserved
	status := body.Uint32()
	if !body.OK() {
		c.damage(p)
		return
	}
	c.Counts.Faults++
	f := Fault{CallID: p.CallID, Status: status, Mark: p.mark}
	call := c.waiting(p.CallID)
	if call == nil && c.offered.open && c.offered.callID == p.CallID {
		c.offered.open = false
		c.refuse(p.CallID, p.mark, faultText(status))
	} else {
		if call == nil {
			call = c.openCall(p.CallID, side.Other())
			c.runsOn(call, ctx)
			c.addIDs(&c.CallIDs.Calls, p.CallID, p.CallID)
		}
		call.fault = status
		call.Fault = &call.fault
		if call.Response.PDUs == 0 {
			call.Response.First = p.mark
		}
		call.Response.Last, call.Response.ended = p.mark, true
		call.Response.Digest = c.digest
		if call.OpnumKnown {
			opnum := call.Opnum
			f.Opnum = &opnum
		}
		c.operationOf(call).Faults++
		c.deny(call, status, p.mark)
		if !call.lost {
			call.Context = c.contextAt(call.row)
			c.handler.Response(call, nil)
		}
		c.finish(call)
	}
	if len(c.Faults) < c.limits.Faults && c.grow(faultWeight) {
		c.Faults = append(c.Faults, f)
	} else {
		c.Stats.FaultsDropped++
	}
	c.handler.Event(&Event{Kind: "fault", Mark: p.mark, Side: side, CallID: p.CallID, Status: status, Opnum: f.Opnum})
}

// fragment accounts for one fragment of a message and keeps what is wanted.
func (c *Conn) fragment(call *Call, p *pdu, msg *Message, stub []byte, last, response bool) {
	if p.Flags&(FlagFirst|FlagLast) != FlagFirst|FlagLast {
		c.Counts.Fragments++
	}
	msg.Digest = msg.Digest*0x9e3779b97f4a7c15 ^ c.digest
	if msg.PDUs++; msg.PDUs == 1 {
		msg.First, msg.Order = p.mark, p.Order
		if p.auth.present {
			msg.AuthType, msg.AuthLevel = p.auth.kind, p.auth.level
			msg.Sealed = p.auth.level == LevelPrivacy
		}
		if !msg.Sealed && !call.lost {
			call.Context = c.contextAt(call.row)
			msg.part.want = c.handler.Want(call, response)
		}
	}
	if p.auth.present {
		// The verifier of a call holds a signature, no token.
		if a := c.authOf(p); !response {
			call.auth = a
		}
	}
	if msg.Sealed {
		c.Counts.Sealed++
	}
	msg.Last = p.mark
	msg.Stub += int64(len(stub))
	if !call.lost {
		c.collect(&msg.part, stub, last && msg.PDUs == 1)
	}
}

// lostPDU accounts for a PDU of a call that was not captured to its end. The
// call stays open, so that its answer is still matched.
func (c *Conn) lostPDU(h Header, raw []byte, m wire.Mark, side wire.Side) {
	switch h.Type {
	case TypeBind, TypeAlterContext, TypeBindAck, TypeAlterContextResp, TypeAuth3:
		c.forgetPartial(side)
		return
	case TypeRequest, TypeResponse, TypeFault:
	default:
		return
	}
	call := c.call(h.CallID)
	if call != nil && call.answered {
		if h.Type == TypeRequest && h.Flags&FlagFirst == 0 {
			if h.Flags&FlagLast != 0 {
				c.closeCall(call)
			}
			return
		}
		c.closeCall(call)
		call = nil
	}
	begins := h.Type == TypeRequest && (call == nil || h.Flags&FlagFirst != 0 || call.Request.ended)
	head := len(raw) >= headerLength+callHead // context and opnum were captured
	if call == nil || begins {
		if call != nil {
			c.drop(call)
		}
		asks := side
		if h.Type != TypeRequest {
			asks = side.Other()
			c.addIDs(&c.CallIDs.Calls, h.CallID, h.CallID)
		}
		if call = c.openCall(h.CallID, asks); head {
			c.runsOn(call, h.Order.Uint16(raw[20:]))
		}
	}
	asked := call.asking()
	c.lose(call)
	last := h.Flags&FlagLast != 0
	if h.Type == TypeRequest {
		if begins {
			if head {
				call.Opnum, call.OpnumKnown = h.Order.Uint16(raw[22:]), true
			}
			c.Counts.Requests++
			c.operationOf(call).Requests++
		}
		call.Request.note(m)
		call.Request.ended = last
		return
	}
	if h.Type == TypeResponse && call.Response.PDUs == 0 {
		c.Counts.Responses++
		c.operationOf(call).Responses++
	}
	call.Response.note(m)
	if !last && h.Type != TypeFault {
		return
	}
	if call.answered = asked; !asked {
		c.closeCall(call)
	}
}

// note counts a PDU whose stub is not known.
func (msg *Message) note(m wire.Mark) {
	if msg.PDUs++; msg.PDUs == 1 {
		msg.First = m
	}
	msg.Last = m
}

// tear says that bytes of a direction are missing whose PDUs are not known:
// messages that were under way are lost, and the answers of open calls may be.
func (c *Conn) tear(side wire.Side) {
	c.framers[side].torn = true
	c.tearIDs(side)
	c.forgetPartial(side)
	for call, next := c.oldest, (*Call)(nil); call != nil; call = next {
		next = call.newer
		switch {
		case call.answered:
			if call.side == side {
				c.closeCall(call) // the rest of its request may have been there
			}
		case call.side == side:
			if !call.Request.ended {
				c.lose(call)
			}
		case call.Response.PDUs > 0:
			c.lose(call)
		default:
			call.doubtful = true
		}
	}
}

// operationOf returns the counters of a call's operation. Past the limit they
// are counters that nobody sees.
func (c *Conn) operationOf(call *Call) *Operation {
	if call.op != nil {
		return call.op
	}
	k := opKey{opnum: call.Opnum, num: call.OpnumKnown}
	if x := c.contextAt(call.row); x != nil {
		k.iface, k.known = x.Interface.UUID, true
	}
	o := c.findOperation(k)
	if o == nil {
		if len(c.Ops) >= c.limits.Operations || !c.grow(operationWeight) {
			c.Stats.OperationsDropped++
			o = &c.others
		} else {
			o = &Operation{Interface: k.iface, Known: k.known, Opnum: k.opnum, OpnumKnown: k.num}
			c.Ops = append(c.Ops, o)
			if len(c.Ops) > fewOperations {
				if c.operation == nil {
					c.operation = make(map[opKey]*Operation)
				}
				c.operation[k] = o
			}
		}
	}
	call.op = o
	return o
}

// fewOperations are found without a table. Few connections use more.
const fewOperations = 8

func (c *Conn) findOperation(k opKey) *Operation {
	for i, o := range c.Ops {
		if i == fewOperations {
			return c.operation[k]
		}
		if o.Opnum == k.opnum && o.OpnumKnown == k.num && o.Known == k.known && o.Interface == k.iface {
			return o
		}
	}
	return nil
}
