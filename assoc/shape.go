package assoc

import (
	"mapiscope/dcerpc"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// What sealed calls show. Level privacy hides a stub and nothing else: opnum,
// context, length of the padding and verifier stay in clear text
// ([MS-RPCE] 2.2.2.11), so the exact length of every stub is known. Each
// operation of EMSMDB has a layout that bounds its length in both directions,
// and a session is made of one of them, EcDoRpcExt2. That tells EMSMDB from
// other interfaces where the bind was not captured.

// stubLength bounds the length of a stub: at least least, or just that when
// exact is set, and a multiple of of.
type stubLength struct {
	least int64
	exact bool
	of    int64
}

// Lengths of verification trailers, which clients put behind the stub of the
// first request of a security context ([MS-RPCE] 2.2.2.13): what it may add to
// a stub whose length is else known.
const (
	leastTrailer = 16
	mostTrailer  = 128
)

// fit is how a call or a connection agrees with EMSMDB.
type fit uint8

const (
	contrary fit = iota // it cannot be EMSMDB
	neutral             // it says nothing
	fitting
)

func (l stubLength) fits(n int64) fit {
	if n == l.least && l.exact || n >= l.least && !l.exact && n%l.of == 0 {
		return fitting
	}
	return contrary
}

// operationShape bounds the stubs of one operation, request and response.
type operationShape struct {
	opnum             uint16
	request, response stubLength
}

// Types of verifiers ([MS-RPCE] 2.2.1.1.7).
const (
	typeNone     = 0
	typeSPNEGO   = 9
	typeNTLM     = 10
	typeKerberos = 16
)

// Operations that count of their own.
const (
	opConnect      = 0
	opRegisterPush = 4
	opConnectEx    = 10
)

// operationShapes are those of EMSMDB that are used on the wire: in NDR and
// NDR64 alike, with empty strings and arrays. Both syntaxes end a stub on a
// 32-bit field, EcDoRpc's request excepted ([MS-OXCRPC] 3.1.4; those that it
// reserves as seen on the wire). Opnum 0 stands for the connect; see waitShape.
var operationShapes = []operationShape{
	{0, stubLength{56, false, 4}, stubLength{56, false, 4}},  // EcDoConnect
	{1, stubLength{20, true, 4}, stubLength{24, true, 4}},    // EcDoDisconnect
	{2, stubLength{38, false, 2}, stubLength{40, false, 4}},  // EcDoRpc
	{4, stubLength{40, false, 2}, stubLength{28, true, 4}},   // EcRRegisterPushNotification
	{5, stubLength{24, true, 4}, stubLength{24, true, 4}},    // EcRUnregisterPushNotification
	{6, stubLength{0, true, 4}, stubLength{4, true, 4}},      // EcDummyRpc
	{9, stubLength{36, false, 4}, stubLength{40, false, 4}},  // EcDoRpcExt
	{10, stubLength{68, false, 4}, stubLength{72, false, 4}}, // EcDoConnectEx
	{11, stubLength{48, false, 4}, stubLength{64, false, 4}}, // EcDoRpcExt2
	{14, stubLength{20, true, 4}, stubLength{24, true, 4}},   // EcDoAsyncConnectEx
}

// waitShape is EcDoAsyncWaitEx of AsyncEMSMDB ([MS-OXCRPC] 3.3.4.1), which
// goes over the same connection on a context of its own.
var waitShape = operationShape{0, stubLength{asyncWaitStub, true, 4}, stubLength{8, true, 4}}

// shapeOf returns the operation of EMSMDB or AsyncEMSMDB that a request may be.
func shapeOf(opnum uint16, request int64) (operationShape, bool) {
	if opnum == opConnect && request < operationShapes[0].request.least {
		return waitShape, true
	}
	for _, op := range operationShapes {
		if op.opnum == opnum {
			return op, true
		}
	}
	return operationShape{}, false
}

// shape sums up the calls of a connection whose interface was not seen.
type shape struct {
	contrary bool // a call cannot be one of EMSMDB
	odd      bool // a readable call of EcDoRpcExt2's opnum is none by its stub

	asked    int64 // requests that fit EcDoRpcExt2
	executed int64 // of them, those whose answer fits
	waits    int64 // answered EcDoAsyncWaitEx
	others   int64 // other answered calls
	sealed   int64 // sealed requests
	connects int64 // answered connects
	pushes   int64 // requests to register a push notification

	request, response lengths // of EcDoRpcExt2
}

// lengths are the extremes of a stub length.
type lengths struct{ least, most int64 }

func (l *lengths) add(n int64) {
	if l.most == 0 || n < l.least {
		l.least = n
	}
	l.most = max(l.most, n)
}

func (l lengths) vary() bool { return l.least < l.most }

// Least calls that name a connection EMSMDB by themselves: as many as leave no
// other interface that is known, when all lengths fit and vary. Without
// answers it takes more.
const (
	enoughExecuted = 3
	enoughAsked    = 12
)

// named reports whether the calls of a connection can only be EMSMDB's: lengths
// of all calls fit, most calls are EcDoRpcExt2, as in no other interface, and
// their lengths vary, as ROPs do. No answers at all will do with more requests.
func (s *shape) named() bool {
	if s == nil || s.contrary || s.odd || s.executed < s.others {
		return false
	}
	if s.executed >= enoughExecuted {
		return s.request.vary() || s.response.vary()
	}
	return s.executed+s.others+s.waits == 0 && s.asked >= enoughAsked && s.request.vary()
}

// contradicts reports whether a call of the connection cannot be EMSMDB's.
func (s *shape) contradicts() bool { return s != nil && s.contrary }

// mayJoin reports whether the calls of a connection are EMSMDB's if those of a
// sibling at the same end point are: at least one fits in both directions, and
// none does not.
func (s *shape) mayJoin() bool {
	return s != nil && !s.contrary && !s.odd && s.executed+s.waits > 0 && s.executed+s.waits >= s.others
}

// asks takes a whole request of a connection whose interface was not seen.
func (c *Conn) asks(call *dcerpc.Call, stub []byte) {
	s := c.shaped()
	n := call.Request.Stub
	if call.Request.Sealed {
		s.sealed++
	}
	op, ok := shapeOf(call.Opnum, n)
	if !ok || call.HasObject || !speaksNTLMOrKerberos(call.Request.AuthType) {
		c.contradict()
		return
	}
	if op.request.fits(n) == contrary {
		more := n - op.request.least
		if call.Request.AuthLevel >= dcerpc.LevelIntegrity && op.request.exact && more >= leastTrailer && more <= mostTrailer {
			return // perhaps a verification trailer follows the stub
		}
		c.contradict()
		return
	}
	switch call.Opnum {
	case opRPCExt2:
		s.asked++
		s.request.add(n)
		if !call.Request.Sealed && !call.Cut && !recognise(call.Opnum, call.Request.Order, stub) {
			s.odd = true // in NDR64, or of another interface
		}
	case opRegisterPush:
		s.pushes++
	}
}

// answers takes the whole answer to a call of a connection whose interface was
// not seen.
func (c *Conn) answers(call *dcerpc.Call) {
	if !call.OpnumKnown || !call.Request.Complete || call.Fault != nil {
		return
	}
	s := c.shaped()
	op, ok := shapeOf(call.Opnum, call.Request.Stub)
	if !ok || op.response.fits(call.Response.Stub) == contrary {
		c.contradict()
		return
	}
	switch {
	case op == waitShape:
		s.waits++
		return
	case op.opnum == opRPCExt2 && op.request.fits(call.Request.Stub) == fitting:
		s.executed++
		s.response.add(call.Response.Stub)
	default:
		s.others++
		if op.opnum == opConnect || op.opnum == opConnectEx {
			s.connects++
		}
	}
	if s.named() {
		if c.FirstAnswer.IsZero() {
			c.FirstAnswer = call.Response.First
		}
		c.judgeLatency((call.Response.First.Time - call.Request.Last.Time) / 1e3)
	}
}

// shaped returns the shape of the connection, made when first needed.
func (c *Conn) shaped() *shape {
	if c.shape == nil {
		c.shape = new(shape)
		c.linker.account.Add(budget.Open, shapeWeight)
	}
	return c.shape
}

// contradict notes that the connection is not EMSMDB, and takes back what was
// counted while it looked so.
func (c *Conn) contradict() {
	s := c.shaped()
	if !s.contrary && c.MAPI == nil {
		c.Local, c.Remote, c.Unjudged, c.FirstAnswer = Answers{}, Answers{}, 0, wire.Mark{}
	}
	s.contrary = true
}

// SealedCalls are what headers tell of EMSMDB calls that are sealed.
type SealedCalls struct{ Requests, Connects, PushNotifications int64 }

// SealedShape returns what headers tell of the sealed calls of a connection
// whose interface was not seen, read as those of EMSMDB; zero where a call
// contradicts that.
func (c *Conn) SealedShape() SealedCalls {
	if c.shape == nil || c.shape.contrary {
		return SealedCalls{}
	}
	return SealedCalls{Requests: c.shape.sealed, Connects: c.shape.connects, PushNotifications: c.shape.pushes}
}

// speaksNTLMOrKerberos reports whether a verifier may be one of a client of
// Exchange over TCP: none, SPNEGO, NTLM or Kerberos ([MS-RPCE] 2.2.1.1.7).
func speaksNTLMOrKerberos(authType uint8) bool {
	switch authType {
	case typeNone, typeSPNEGO, typeNTLM, typeKerberos:
		return true
	}
	return false
}
