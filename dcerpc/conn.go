package dcerpc

import (
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// Limits bounds what a Conn remembers. Every bound that is hit counts in Stats.
type Limits struct {
	Contexts   int // presentation contexts (default 256)
	Auths      int // authentication contexts (default 64)
	OpenCalls  int // calls without an answer (default 1024); past it the oldest is lost
	Operations int // distinct operations that are counted one by one (default 512)
	Faults     int // faults and bind_naks that are kept one by one (default 64)
	StubBytes  int // stub bytes that are kept of unfinished messages (default 4 MiB); past it stubs are cut
	CallIDs    int // ranges of call ids that are kept in one set, beside the highest (default 128); past it ranges are joined
	Scan       int // bytes that are searched for a PDU in a connection captured from its middle (default 256 KiB)

	// Budget is the account of the shard that the connection belongs to, nil
	// for none. Tables grow only as far as it grants; its owner calls GiveUp.
	Budget *budget.Account
}

// DefaultLimits returns the documented defaults.
func DefaultLimits() Limits {
	return Limits{Contexts: 256, Auths: 64, OpenCalls: 1024, Operations: 512, Faults: 64, StubBytes: 4 << 20, CallIDs: 128, Scan: 256 << 10}
}

// Handler takes the calls and events of a Conn, as they are understood. What it
// is given is valid during the call only.
type Handler interface {
	// Want says how many stub bytes of a call the handler wants to see in one
	// direction; it is asked once, at the first fragment. 0: only count.
	Want(call *Call, response bool) int
	// Request comes with the last fragment of a request. stub is nil when it
	// is sealed or was not wanted; it ends early when it was longer than
	// wanted (call.Cut).
	Request(call *Call, stub []byte)
	// Response comes with the last fragment of a response, or with a fault
	// (call.Fault). Its request may not have been captured.
	Response(call *Call, stub []byte)
	// Lost says that a call will have no answer: the capture or a bound lost
	// a part of it, or the connection ended.
	Lost(call *Call)
	// Event comes for every other PDU.
	Event(e *Event)
}

// Event is a PDU that is no call.
type Event struct {
	Kind       string // name of the PDU type
	Mark       wire.Mark
	Side       wire.Side
	CallID     uint32
	AssocGroup uint32    // of a bind and its answers
	Flags      uint8     // as in the header
	Contexts   []Context // what the PDU offered or answered
	Auth       *Auth     // what its verifier belongs to
	Reason     uint16    // of a bind_nak
	Status     uint32    // of a fault
	Opnum      *uint16   // of a faulted call
}

// Counts counts PDUs and calls.
type Counts struct {
	Requests, Responses, Faults int64 // calls: a fragmented one counts once
	Cancels                     int64
	Orphaned                    int64 // calls that the client gave up
	Unanswered                  int64 // other requests without an answer at the end, where its direction was captured
	Lost                        int64 // calls that a gap, a bound or the end of the connection cut
	PDUs                        int64
	Connectionless              int64 // PDUs of types that mean nothing over a connection
	Fragments                   int64 // PDUs that are not a whole message
	Sealed                      int64 // PDUs with a sealed stub
	Backward                    int64 // answers with a time before their request's, by the clocks of the capture: they have no response time
}

// Stats counts what was damaged and what the limits cost.
type Stats struct {
	PDUsDamaged       int64 // not captured to their end, or with lengths that cannot be true
	Resynchronised    int64 // times that framing began anew at a later PDU
	ContextsDropped   int64
	AuthsDropped      int64
	OperationsDropped int64 // calls that were not counted by operation
	FaultsDropped     int64
	CallsLost         int64
	StubsCut          int64
	CallIDsJoined     int64 // ranges of call ids that were joined with others
	UnfinishedDropped int64 // PDUs, binds and searches that Conn.GiveUp let go
}

// Add adds o.
func (s *Stats) Add(o *Stats) {
	s.PDUsDamaged += o.PDUsDamaged
	s.Resynchronised += o.Resynchronised
	s.ContextsDropped += o.ContextsDropped
	s.AuthsDropped += o.AuthsDropped
	s.OperationsDropped += o.OperationsDropped
	s.FaultsDropped += o.FaultsDropped
	s.CallsLost += o.CallsLost
	s.StubsCut += o.StubsCut
	s.CallIDsJoined += o.CallIDsJoined
	s.UnfinishedDropped += o.UnfinishedDropped
}

// Verdict says whether a connection carries DCE/RPC.
type Verdict uint8

// The verdicts.
const (
	Undecided Verdict = iota
	RPC
	NotRPC
)

// Conn decodes the two streams of one TCP connection. Its exported fields are
// what is known so far, final after End.
type Conn struct {
	// Hash, when set before any Data, lets messages carry a digest of their
	// PDUs, so that two captures of one conversation can be compared.
	Hash func(pdu []byte) uint64

	Contexts         []Context
	Requested        *uint32 // association group of the first bind
	Granted          *uint32 // association group of the first bind_ack, else of the first alter_context_resp that names one
	Naks             []BindNak
	Auths            []Auth
	Multiplexed      bool // concurrent multiplexing granted
	HeaderSigning    bool // granted by the server
	MaxXmit, MaxRecv uint16
	SecondaryAddress string
	Counts           Counts
	CallIDs          CallIDs
	Ops              []*Operation
	Faults           []Fault
	Stats            Stats
	Bytes            Bytes

	limits    *Limits
	weight    int // charged to the budget for tables
	client    wire.Side
	hasClient bool
	oneSided  bool // the capture holds one direction
	first     wire.Mark
	altered   bool    // Granted is that of an alter_context_resp
	verdict   Verdict // once the connection has ended
	*live             // nil once the connection has ended
}

// Fault is one fault PDU.
type Fault struct {
	CallID uint32
	Opnum  *uint16
	Status uint32
	Mark   wire.Mark
}

// NewConn returns a Conn for a connection whose first bytes were captured.
func NewConn(l Limits, h Handler) *Conn { return NewPool(l).NewConn(h) }

// Midstream says, before any Data, that the connection was captured from its
// middle: its first byte may lie inside a PDU.
func (c *Conn) Midstream() {
	for i := range c.framers {
		c.framers[i].state, c.framers[i].torn = searching, true
	}
	c.CallIDs.Torn = true
}

// Verdict says whether the connection carries DCE/RPC. It is RPC once a PDU was
// read, NotRPC once a direction cannot be any and nothing else was read.
func (c *Conn) Verdict() Verdict {
	switch {
	case c.Counts.PDUs > 0:
		return RPC
	case c.live == nil:
		return c.verdict
	case c.framers[0].state == foreign || c.framers[1].state == foreign:
		return NotRPC
	}
	return Undecided
}

// Client returns the side that is the client by the PDUs it sent.
func (c *Conn) Client() (wire.Side, bool) { return c.client, c.hasClient }

// FirstPDU returns the packet of the first PDU.
func (c *Conn) FirstPDU() wire.Mark { return c.first }

// OneSided says, before End, that the capture holds one direction only: calls
// without an answer are lost then, since the server may have answered each.
func (c *Conn) OneSided() { c.oneSided = true }

// End says that the streams are over.
func (c *Conn) End(_ wire.Mark) {
	for side := range c.framers {
		c.framers[side].end(c, wire.Side(side))
	}
	for c.oldest != nil {
		c.drop(c.oldest)
	}
	c.settleAuths()
	c.charge(-callWeight * len(c.spare))
	for side := range c.partial {
		c.forgetPartial(wire.Side(side))
	}
	c.limits.Budget.Add(budget.Detail, -c.weight) // who keeps the record charges it anew
	c.verdict = c.Verdict()
	c.pool.give(c.live)
	c.live = nil
}

// Discard lets go of everything, for streams that are no DCE/RPC after all. The
// Conn must not be used afterwards.
func (c *Conn) Discard() {
	for side := range c.framers {
		c.framers[side].release(c)
		c.framers[side].window.release(c)
		c.forgetPartial(wire.Side(side))
	}
	c.charge(-c.weight)
	c.verdict = NotRPC
	c.pool.give(c.live)
	c.live = nil
}

// count counts a PDU, whole or not.
func (c *Conn) count(h Header, m wire.Mark, side wire.Side) {
	c.framers[side].spoke = true
	if c.Counts.PDUs++; c.Counts.PDUs == 1 {
		c.first = m
	}
	if client, ok := h.Type.fromClient(); ok && !c.hasClient {
		c.hasClient, c.client = true, side
		if !client {
			c.client = side.Other()
		}
	}
	if side == c.client && (h.Type != TypeRequest || !c.CallIDs.next(h.CallID)) {
		c.noteIDs(h.Type, h.CallID)
	}
}

// Digest returns the digest of the PDU that a handler is told of now, 0 unless
// Hash is set.
func (c *Conn) Digest() uint64 { return c.digest }

// damage counts a PDU whose content cannot be true.
func (c *Conn) damage(p *pdu) {
	if !p.damaged {
		p.damaged = true
		c.Stats.PDUsDamaged++
	}
}

// take handles one whole PDU.
func (c *Conn) take(h Header, raw []byte, m wire.Mark, side wire.Side) {
	c.count(h, m, side)
	if c.Hash != nil {
		c.digest = c.Hash(raw)
	}
	p := c.cut(h, raw, m)
	if p.damaged {
		c.Stats.PDUsDamaged++
	}
	switch h.Type {
	case TypeRequest:
		c.request(&p, side)
	case TypeResponse:
		c.response(&p, side)
	case TypeFault:
		c.fault(&p, side)
	case TypeBind, TypeAlterContext, TypeBindAck, TypeAlterContextResp, TypeAuth3:
		if !c.join(&p, side) {
			return
		}
		switch h.Type {
		case TypeBind, TypeAlterContext:
			c.bind(&p, side)
		case TypeBindAck, TypeAlterContextResp:
			c.bindAck(&p, side)
		case TypeAuth3:
			a := c.exchange(&p)
			c.handler.Event(&Event{Kind: "auth3", Mark: m, Side: side, CallID: h.CallID, Flags: h.Flags, Auth: a})
		}
	case TypeBindNak:
		c.bindNak(&p, side)
	default:
		c.other(&p, side)
	}
}

// other takes the PDUs that carry nothing but their header.
func (c *Conn) other(p *pdu, side wire.Side) {
	switch p.Type {
	case TypeCoCancel:
		c.Counts.Cancels++
	case TypeOrphaned:
		c.Counts.Orphaned++
		switch call := c.call(p.CallID); {
		case call == nil:
		case call.answered:
			c.closeCall(call)
		default:
			call.orphaned = true
		}
	case TypeShutdown, TypeRTS:
	default:
		c.Counts.Connectionless++
	}
	c.handler.Event(&Event{Kind: p.Type.String(), Mark: p.mark, Side: side, CallID: p.CallID, Flags: p.Flags})
}

// partialBind collects the fragments of a bind, an alter_context, an answer or
// an auth3: their bodies and their tokens follow each other.
type partialBind struct {
	active bool
	callID uint32
	mark   wire.Mark // of the first fragment
	kind   PType
	body   []byte
	auth   trailer // of the first fragment that has one; its token is collected
}

// size returns what a partialBind takes.
func (b *partialBind) size() int { return cap(b.body) + cap(b.auth.token) }

// forgetPartial lets go of the fragments of a bind.
func (c *Conn) forgetPartial(side wire.Side) {
	b := &c.partial[side]
	c.hold(-b.size())
	*b = partialBind{}
}

// maxBind bounds a fragmented bind, body and token together.
const maxBind = 1 << 17

// join reports whether p is a whole message: it is, or it is the last fragment
// and its body and token were completed by those before. A PDU without any
// fragment flag is taken for a whole one.
func (c *Conn) join(p *pdu, side wire.Side) bool {
	b := &c.partial[side]
	firstLast := p.Flags & (FlagFirst | FlagLast)
	continues := b.active && b.callID == p.CallID && b.kind == p.Type && firstLast&FlagFirst == 0
	switch {
	case firstLast == FlagLast && !continues && c.framers[side].torn:
		c.Counts.Fragments++
		c.damage(p) // the end of a message whose beginning was not captured
		return false
	case firstLast == FlagFirst|FlagLast, firstLast != FlagFirst && !continues:
		c.forgetPartial(side)
		return true
	}
	c.Counts.Fragments++
	if !continues {
		c.forgetPartial(side)
		*b = partialBind{active: true, callID: p.CallID, mark: p.mark, kind: p.Type}
	}
	if len(b.body)+len(b.auth.token)+len(p.body)+len(p.auth.token) > maxBind {
		c.damage(p)
		c.forgetPartial(side)
		return false
	}
	before := b.size()
	b.body = append(b.body, p.body...)
	token := append(b.auth.token, p.auth.token...)
	if p.auth.present && !b.auth.present {
		b.auth = p.auth
	}
	b.auth.token = token
	c.hold(b.size() - before)
	if firstLast&FlagLast == 0 {
		return false
	}
	p.body, p.auth = b.body, b.auth
	c.forgetPartial(side)
	return true
}
