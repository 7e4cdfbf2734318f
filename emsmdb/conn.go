package emsmdb

import (
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/wire"
)

// Conn takes the EMSMDB calls of one TCP connection.
type Conn struct {
	// OnCall, when set, is told of every answered call whose stubs were
	// read. What it is given is valid during the call only.
	OnCall func(RopCall)
	// Hash, when set, lets requests carry a Digest.
	Hash func([]byte) uint64

	store   *Store
	syntax  ndr.Syntax // of the latest request, for answers without one
	figures Figures
	weight  int // charged to the budget
}

// RopCall is one answered call as an observer sees it.
type RopCall struct {
	Operation string
	Requests  []uint8 // RopIds of the request, in order
	Responses []uint8 // those of the answer, as far as they could be told
	Out       int     // bytes of rgbOut with its headers
	Buffers   int     // payloads in rgbOut
	Client    Version // of a connect
}

// Figures returns the figures so far. They belong to the Conn.
func (c *Conn) Figures() *Figures { return &c.figures }

// SealedRequest counts a request that is encrypted.
func (c *Conn) SealedRequest(iface wire.UUID, opnum uint16) {
	c.figures.SealedCalls++
	if iface == MDB && opnum == opRegisterPush {
		c.figures.Sealed.PushNotifications++
	}
}

// SealedResponse counts the answer to a request that is encrypted.
func (c *Conn) SealedResponse(iface wire.UUID, opnum uint16) {
	if iface == MDB && (opnum == opConnect || opnum == opConnectEx) {
		c.figures.Sealed.Connects++
	}
}

// Missed says that bytes of the connection were not captured, and with them
// perhaps requests that set other columns, or answers to such requests.
func (c *Conn) Missed() { c.store.forgetAll() }

// Fault ends a call that was answered by a fault.
func (c *Conn) Fault(p *Pending, status uint32) {
	if p == nil || !p.live {
		return
	}
	c.figures.Faults++
	if p.connect >= 0 {
		f := &c.figures.Connects[p.connect]
		f.Answered, f.Status, f.Fault = true, status, true
	}
	c.undecided(p)
}

// Drop ends a call that has no answer in the capture.
func (c *Conn) Drop(p *Pending) {
	if p == nil || !p.live {
		return
	}
	c.figures.Lost++
	c.undecided(p)
}

// ConnectOf returns the connect that a call under way makes, nil when it is
// another call or one beyond the limit. The Conn owns it.
func (c *Conn) ConnectOf(p *Pending) *Connect {
	if p == nil || !p.live || p.connect < 0 {
		return nil
	}
	return &c.figures.Connects[p.connect]
}

// undecided ends a call of which nobody knows how far it was carried out.
func (c *Conn) undecided(p *Pending) {
	if len(p.rops) > 0 || p.partial {
		s := scratches.Get().(*scratch)
		s.answer.begin(c, p, c.store.session(p.key), 0)
		s.answer.finish()
		s.answer.end()
		scratches.Put(s)
	}
	c.give(p)
}

// Request takes the stub of a request; cut says that it is not all there. The
// result goes back with Response, Fault or Drop; it is nil when nothing of the
// operation is decoded.
func (c *Conn) Request(iface wire.UUID, opnum uint16, order wire.Order, syntax ndr.Syntax, m wire.Mark, stub []byte, cut bool) *Pending {
	c.syntax = syntax
	if Want(iface, opnum, false) == 0 && Want(iface, opnum, true) == 0 {
		return nil
	}
	c.figures.Calls++
	p := c.take()
	p.iface, p.opnum, p.syntax, p.mark, p.connect = iface, opnum, syntax, m, -1
	if iface != MDB {
		c.weigh(p)
		return p
	}
	r := ndr.NewReader(stub, order, syntax)
	switch opnum {
	case opConnect, opConnectEx:
		c.connect(p, &r)
	case opDisconnect:
		c.figures.Disconnects++
		p.key = r.ContextHandle()
	case opRegisterPush:
		c.figures.PushNotifications++
		p.key = r.ContextHandle()
	case opRPC, opRPCExt, opRPCExt2:
		c.execute(p, &r, stub, cut)
	}
	if !r.OK() && !cut {
		c.figures.DecodeErrors++
	}
	c.weigh(p)
	return p
}

// Response takes the stub of an answer. p is nil when its request was not
// captured. latency is the response time, µs; one below 0 is not known, or a
// clock was set back.
func (c *Conn) Response(p *Pending, order wire.Order, stub []byte, cut bool, latency int64) {
	c.store.answered = c.store.answered[:0]
	if p == nil {
		c.orphan(order, stub, cut)
		return
	}
	if !p.live {
		return
	}
	r := ndr.NewReader(stub, order, p.syntax)
	switch {
	case p.iface == AsyncMDB:
		c.waited(p, &r)
	case p.opnum == opConnect, p.opnum == opConnectEx:
		c.connected(p, &r)
	case p.opnum == opDisconnect:
		if c.status(p, &r) == 0 {
			c.store.end(p.key)
		}
	case p.opnum == opRegisterPush, p.opnum == opAsyncConnect:
		c.status(p, &r)
	case p.opnum == opRPC, p.opnum == opRPCExt, p.opnum == opRPCExt2:
		c.executed(p, &r, stub, cut, latency)
	}
	if !r.OK() && !cut {
		c.figures.DecodeErrors++
	}
	c.give(p)
}

// connect reads the request of EcDoConnect and EcDoConnectEx, which begin alike
// ([MS-OXCRPC] 3.1.4.1).
func (c *Conn) connect(p *Pending, r *ndr.Reader) {
	dn := string(r.String8(maxDN))
	for range 7 { // flags, hash, limit, code page, two locales, link
		r.Uint32()
	}
	r.Uint16() // whether the client converts code pages
	p.version = NewVersion([3]uint16{r.Uint16(), r.Uint16(), r.Uint16()})
	if !r.OK() {
		return
	}
	f := &c.figures
	f.Client = p.version
	c.know(dn)
	if len(f.Connects) >= c.store.limits.Connects || !c.grants(connectWeight+len(dn)) {
		f.ConnectsDropped++
		return
	}
	c.charge(connectWeight + len(dn))
	p.connect = len(f.Connects)
	f.Connects = append(f.Connects, Connect{Mark: p.mark, Opnum: p.opnum, UserDN: dn, Client: p.version})
}

// connected reads the answer of EcDoConnect and EcDoConnectEx.
func (c *Conn) connected(p *Pending, r *ndr.Reader) {
	key := sessionKey(r.ContextHandle())
	for range 3 { // how to poll
		r.Uint32()
	}
	r.Uint16()    // session index
	for range 2 { // prefix of names, display name
		if r.Pointer() != 0 {
			r.String8(maxDN)
		}
	}
	server := NewVersion([3]uint16{r.Uint16(), r.Uint16(), r.Uint16()})
	for range 3 { // the client's version again, or the best one
		r.Uint16()
	}
	r.Uint32() // time stamp
	if p.opnum == opConnectEx {
		r.ConformantVaryingBytes(maxAux)
		r.Uint32()
	}
	status := r.Uint32()
	if !r.OK() {
		return
	}
	f := &c.figures
	f.refused(p, status)
	if p.connect >= 0 {
		x := &f.Connects[p.connect]
		x.Answered, x.Status, x.Server = true, status, server
	}
	if status == 0 && key != (sessionKey{}) {
		f.Sessions++
		f.Server = server
		c.store.end(key) // a handle that comes back is a new session
		c.store.session(key)
	}
	c.observe(p, 0, 0)
}

// status reads the answer of a call that returns a handle and a return value.
func (c *Conn) status(p *Pending, r *ndr.Reader) uint32 {
	r.ContextHandle()
	if p.opnum == opRegisterPush {
		r.Uint32() // notification handle
	}
	value := r.Uint32()
	if r.OK() {
		c.figures.refused(p, value)
	}
	return value
}

// waited reads the answer of EcDoAsyncWaitEx ([MS-OXCRPC] 3.3.4.1).
func (c *Conn) waited(p *Pending, r *ndr.Reader) {
	const pending = 1 // NotificationPending
	flags, value := r.Uint32(), r.Uint32()
	if !r.OK() {
		return
	}
	c.figures.AsyncWaits++
	if flags&pending != 0 {
		c.figures.AsyncPending++
	}
	c.figures.refused(p, value)
}

func (c *Conn) observe(p *Pending, out, buffers int) {
	if c.OnCall == nil || p == nil {
		return
	}
	name, _ := dcerpc.OperationName(p.iface, p.opnum)
	c.store.asked = c.store.asked[:0]
	for i := range p.rops {
		c.store.asked = append(c.store.asked, p.rops[i].id)
	}
	c.OnCall(RopCall{Operation: name, Requests: c.store.asked, Responses: c.store.answered, Out: out, Buffers: buffers, Client: p.version})
}
