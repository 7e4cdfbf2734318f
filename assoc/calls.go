package assoc

import (
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/epm"
	"mapiscope/dcerpc/ndr"
	"mapiscope/emsmdb"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// epmPort is where the endpoint mapper listens ([MS-RPCE] 2.1.1.1).
const epmPort = 135

// interfaceOf names the interface of a call: by its bind, else by the ports
// that are known between these hosts, else by what earlier calls looked like.
// ok is false when nothing tells.
func (c *Conn) interfaceOf(call *dcerpc.Call) (iface wire.UUID, ok bool) {
	if call.Context != nil {
		return call.Context.Interface.UUID, true
	}
	if iface, ok = c.guessInterface(); iface == emsmdb.MDB && call.OpnumKnown && call.Opnum == 0 && call.Request.Stub == asyncWaitStub {
		iface = emsmdb.AsyncMDB
	}
	return iface, ok
}

// asyncWaitStub is the size of the request stub of EcDoAsyncWaitEx, a handle
// and flags. It shares its opnum, and the port, with EcDoConnect, whose stub is
// never that short; it must not be taken for one, because it is answered after
// minutes.
const asyncWaitStub = 24

// guessInterface names the interface of calls whose bind was not captured.
func (c *Conn) guessInterface() (iface wire.UUID, ok bool) {
	if c.guessed {
		return c.guess, true
	}
	if c.assumed.IsZero() {
		c.assume()
	}
	return c.assumed, !c.assumed.IsZero()
}

// assume takes over what is known of the port of the connection. It stays with
// the connection: a port that is announced for another interface later was not
// that when the connection began.
func (c *Conn) assume() {
	a, b := c.Flow.A, c.Flow.B
	for _, end := range [2]portKey{{b.Addr(), b.Port()}, {a.Addr(), a.Port()}} {
		if at, known := c.pair.ports[end]; known {
			c.assumed = at.iface
			return
		}
		if end.port == epmPort {
			c.assumed = dcerpc.EPM
			return
		}
	}
}

func syntaxOf(call *dcerpc.Call) ndr.Syntax {
	if call.Context != nil && call.Context.Transfer.UUID == dcerpc.NDR64 {
		return ndr.NDR64
	}
	return ndr.NDR32
}

// Want implements dcerpc.Handler.
func (c *Conn) Want(call *dcerpc.Call, response bool) int {
	iface, known := c.interfaceOf(call)
	switch {
	case !call.OpnumKnown && (!known || iface == emsmdb.MDB):
		return emsmdb.Want(emsmdb.MDB, opRPCExt2, true)
	case !known:
		return emsmdb.Want(emsmdb.MDB, call.Opnum, response)
	case iface == dcerpc.EPM:
		return epmStubLimit
	default:
		return emsmdb.Want(iface, call.Opnum, response)
	}
}

// Request implements dcerpc.Handler.
func (c *Conn) Request(call *dcerpc.Call, stub []byte) {
	iface, known := c.interfaceOf(call)
	if !known {
		if call.Request.Sealed || !recognise(call.Opnum, call.Request.Order, stub) {
			c.asks(call, stub)
			return
		}
		iface, c.guess, c.guessed = emsmdb.MDB, emsmdb.MDB, true
	}
	switch iface {
	case dcerpc.EPM:
		c.epmRequest(call, stub)
	case emsmdb.MDB, emsmdb.AsyncMDB:
		m := c.mapi()
		if call.Request.Sealed {
			m.SealedRequest(iface, call.Opnum)
			return
		}
		if p := m.Request(iface, call.Opnum, call.Request.Order, syntaxOf(call), call.Request.Last, stub, call.Cut); p != nil {
			call.Data = p
			if c.logging() {
				if x := m.ConnectOf(p); x != nil {
					c.connectEvent(call, x)
				}
			}
		}
	}
}

// Response implements dcerpc.Handler.
func (c *Conn) Response(call *dcerpc.Call, stub []byte) {
	if call.Fault != nil {
		switch x := call.Data.(type) {
		case *emsmdb.Pending:
			c.MAPI.Fault(x, *call.Fault)
		case *Exchange:
			x.Mark, x.Answered, x.Status = call.Response.First, true, *call.Fault
			c.file(*x)
		}
		call.Data = nil
		return
	}
	iface, known := c.interfaceOf(call)
	if !known {
		if call.OpnumKnown || call.Response.Sealed || !emsmdb.IsExecuted(call.Response.Order, stub) {
			c.answers(call)
			return
		}
		iface, c.guess, c.guessed = emsmdb.MDB, emsmdb.MDB, true
	}
	switch iface {
	case dcerpc.EPM:
		c.epmResponse(call, stub)
	case emsmdb.MDB, emsmdb.AsyncMDB:
		c.mapiResponse(iface, call, stub)
	}
	call.Data = nil
}

func (c *Conn) mapiResponse(iface wire.UUID, call *dcerpc.Call, stub []byte) {
	latency, judged := int64(0), false
	if !call.Request.First.IsZero() {
		ns := call.Response.First.Time - call.Request.Last.Time
		latency, judged = ns/1e3, !call.Response.First.Untimed && !call.Request.Last.Untimed
		if ns < 0 {
			latency = -1
		}
		if c.FirstAnswer.IsZero() {
			c.FirstAnswer = call.Response.First
		}
	}
	if iface == emsmdb.AsyncMDB {
		c.Waits++
	} else if judged {
		c.judgeLatency(latency)
	}
	if call.Response.Sealed || call.Request.Sealed {
		if call.OpnumKnown {
			c.mapi().SealedResponse(iface, call.Opnum)
		}
		return
	}
	p, _ := call.Data.(*emsmdb.Pending)
	if p == nil && !call.Request.First.IsZero() {
		return
	}
	if !judged {
		latency = -1
	}
	m := c.mapi()
	var x *emsmdb.Connect
	if c.logging() {
		x = m.ConnectOf(p)
	}
	sessions := m.Figures().Sessions
	m.Response(p, call.Response.Order, stub, call.Cut, latency)
	if x != nil && x.Answered {
		c.connectedEvent(call, x, m.Figures().Sessions > sessions)
	}
}

// judgeLatency sorts an answered EMSMDB call by whether the network could
// have carried the question and the answer in the time between them. The
// factor leaves room for the jitter of the handshake.
func (c *Conn) judgeLatency(us int64) {
	rtt := c.serverTrip()
	switch {
	case us < 0:
		c.Backward++
	case rtt < MinWANRoundTrip:
		c.Unjudged++
	case us*1e3 < rtt*9/10:
		c.Local.Count++
		c.Local.Sum += us
	default:
		c.Remote.Count++
		c.Remote.Sum += us
	}
}

func (c *Conn) mapi() *emsmdb.Conn {
	if c.MAPI == nil {
		c.MAPI = c.pair.sessions(c.linker.cfg.MAPI).NewConn()
		c.linker.account.Add(budget.Open, emsmdb.Weight)
		if c.watched != nil {
			c.MAPI.Hash = c.linker.cfg.Watch.Hash
		}
		if observe := c.linker.cfg.OnCall; observe != nil {
			c.MAPI.OnCall = func(call emsmdb.RopCall) { observe(c, call) }
		}
	}
	return c.MAPI
}

// Lost implements dcerpc.Handler.
func (c *Conn) Lost(call *dcerpc.Call) {
	switch x := call.Data.(type) {
	case *emsmdb.Pending:
		c.MAPI.Drop(x)
	case *Exchange:
		c.file(*x)
	}
	call.Data = nil
}

// epmStubLimit bounds the stub of an endpoint mapper call that is kept: an
// ept_lookup answer of 500 entries of about 200 bytes fits.
const epmStubLimit = 128 << 10

// EPMCounts are the endpoint mapper figures of one connection.
type EPMCounts struct {
	Requests, RequestsParsed   int64 // ept_map only, as the device counts
	Responses, ResponsesParsed int64
	RequestErrors              int64 // questions that do not decode
	ResponseErrors             int64 // answers that do not, of ept_lookup too
	Unavailable                int64 // not registered, or no tower
	Lookups                    int64
}

// Lookup stands for the protocol sequence of an ept_lookup, which asks for all.
const Lookup = "lookup"

// Exchange is one ept_map question with its answer.
type Exchange struct {
	Mark      wire.Mark // of the answer, or of the question when there is none
	Conn      *Conn
	Interface wire.UUID
	Major     uint16
	Minor     uint16
	Sequence  string // protocol sequence that was asked for, such as epm.OverTCP, or Lookup
	Answered  bool
	Status    uint32
	Ports     []uint16 // TCP ports of the answer's towers
	Answers   []epm.Answer

	continues bool         // it goes on with a search
	syntaxes  []ndr.Syntax // that its answer may be in
}
