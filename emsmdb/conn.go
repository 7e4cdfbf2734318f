package emsmdb

import (
	"sync"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/wire"
)

// Conn takes the EMSMDB calls of one TCP connection.
type Conn struct {
	// OnCall, when set, is told of every answered call whose payload was
	// read. What it is given is valid during the call only.
	OnCall func(RopCall)

	store   *Store
	syntax  ndr.Syntax // of the latest request, for answers without one
	figures Figures
	rops    []uint8 // for OnCall
}

// RopCall is one answered call as an observer sees it.
type RopCall struct {
	Operation string
	Requests  []uint8 // RopIds of the request, in order
	Out       int     // bytes of rgbOut with its headers
	Buffers   int     // payloads in rgbOut
	Client    Version // of a connect
}

// Figures returns the figures so far. They belong to the Conn.
func (c *Conn) Figures() *Figures { return &c.figures }

// scratch is what one call needs to be decoded and nobody needs afterwards.
type scratch struct {
	text   clearText
	walker walker
	answer answer
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Sealed counts a request that is encrypted.
func (c *Conn) Sealed() { c.figures.SealedCalls++ }

// Fault ends a call that was answered by a fault.
func (c *Conn) Fault(p *Pending, status uint32) {
	if p == nil || !p.live {
		return
	}
	c.figures.Faults++
	if p.connect >= 0 && isConnect(p) {
		f := &c.figures.Connects[p.connect]
		f.Answered, f.Status = true, status
	}
	c.store.give(p)
}

// Drop ends a call that has no answer in the capture.
func (c *Conn) Drop(p *Pending) {
	if p == nil || !p.live {
		return
	}
	c.figures.Lost++
	c.store.session(p.key).forgetTables()
	c.store.give(p)
}

// ConnectOf returns the connect that a call under way makes, nil when it is
// another call or one beyond the limit. The Conn owns it.
func (c *Conn) ConnectOf(p *Pending) *Connect {
	if p == nil || !p.live || p.connect < 0 || !isConnect(p) {
		return nil
	}
	return &c.figures.Connects[p.connect]
}

func isConnect(p *Pending) bool {
	return p.iface == MDB && (p.opnum == opConnect || p.opnum == opConnectEx)
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
	p := c.store.take()
	p.iface, p.opnum, p.syntax, p.mark, p.connect = iface, opnum, syntax, m, -1
	if iface != MDB {
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
		c.execute(p, &r, cut)
	}
	if !r.OK() && !cut {
		c.figures.DecodeErrors++
	}
	return p
}

// connect reads the request of EcDoConnect and EcDoConnectEx, which begin alike
// ([MS-OXCRPC] 3.1.4.1).
func (c *Conn) connect(p *Pending, r *ndr.Reader) {
	p.userDN = string(r.String8(maxDN))
	for range 7 { // flags, hash, limit, code page, two locales, link
		r.Uint32()
	}
	r.Uint16() // whether the client converts code pages
	p.version = NewVersion([3]uint16{r.Uint16(), r.Uint16(), r.Uint16()})
	if !r.OK() {
		return
	}
	f := &c.figures
	f.UserDN, f.Client = p.userDN, p.version
	if len(f.Connects) >= c.store.limits.Connects {
		f.ConnectsDropped++
		return
	}
	p.connect = len(f.Connects)
	f.Connects = append(f.Connects, Connect{Mark: p.mark, Opnum: p.opnum, UserDN: p.userDN, Client: p.version})
}

// execute reads the requests that carry ROPs.
func (c *Conn) execute(p *Pending, r *ndr.Reader, cut bool) {
	p.key = r.ContextHandle()
	legacy := p.opnum == opRPC
	r.Uint32() // the largest answer, or flags
	if legacy {
		r.Uint32() // offset
	}
	limit := maxPayload
	if legacy {
		limit = maxLegacy
	}
	array := r.ConformantBytes(limit)
	if !r.OK() {
		p.partial = true
		c.figures.Unwalked[Cut] += int64(r.Len())
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	payload, ok := array, true
	if legacy {
		payload = s.text.unxor(array)
	} else if len(array) > 0 {
		payload, ok = c.open(s, array, new(int))
	} else {
		return
	}
	b, whole := splitBuffer(payload, ok && !cut)
	if !whole {
		p.partial = true
		c.figures.DecodeErrors++
		c.unwalkedRequest(len(payload), Encoding)
		return
	}
	of := c.store.session(p.key)
	walked, why := s.walker.requests(p, &b, of)
	p.handles = append(p.handles[:0], b.handles...)
	p.partial = why != Walked
	c.asked(p, b.list)
	c.figures.RequestWalked += int64(walked)
	if why != Walked {
		c.unwalkedRequest(b.size-walked, why)
	}
}

func (c *Conn) unwalkedRequest(n int, why Reason) {
	c.figures.RequestUnwalked += int64(n)
	c.figures.Unwalked[why] += int64(n)
}

// asked counts the ROPs of a request.
func (c *Conn) asked(p *Pending, list []byte) {
	f := &c.figures
	for i := range p.rops {
		q := &p.rops[i]
		r := f.rop(q.id)
		r.Requests++
		r.RequestBytes += int64(q.end - q.start)
		switch q.id {
		case ropGetBuffer:
			f.SyncGetBuffer.Requests++
		case ropReadStream:
			f.ReadStream.Requests++
		case ropLogon:
			if f.UserDN == "" {
				f.UserDN = logonDN(list[q.start:q.end])
			}
		}
	}
}

// logonDN returns the mailbox that a RopLogon asks for ([MS-OXCROPS] 2.2.3.1).
func logonDN(rop []byte) string {
	const fixed = requestHead + 1 + 4 + 4 // LogonFlags, OpenFlags, StoreState
	if len(rop) < fixed+2 {
		return ""
	}
	dn := rop[fixed+2:]
	for i, b := range dn {
		if b == 0 {
			dn = dn[:i]
			break
		}
	}
	return string(dn)
}

// open decodes the payload at the start of an array of RPC_HEADER_EXT and
// payloads, and sets used to how much of the array it took.
func (c *Conn) open(s *scratch, array []byte, used *int) (payload []byte, ok bool) {
	h, sent, err := parseHeader(array)
	*used = headerSize + len(sent)
	if err != nil {
		*used = len(array)
		return nil, false
	}
	n := &c.figures.Buffers
	switch {
	case h.Flags&(flagXorMagic|flagCompressed) == 0:
		n.Plain++
	default:
		if h.Flags&flagXorMagic != 0 {
			n.Xored++
		}
		if h.Flags&flagCompressed != 0 {
			n.Compressed++
		}
	}
	if h.Flags&flagLast != 0 {
		*used = len(array)
	}
	payload, err = s.text.open(h, sent)
	return payload, err == nil
}

// Response takes the stub of an answer. p is nil when its request was not
// captured. latency is the response time, µs.
func (c *Conn) Response(p *Pending, _ wire.Mark, order wire.Order, stub []byte, cut bool, latency int64) {
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
		c.figures.AsyncWaits++
		if r.Uint32()&1 != 0 {
			c.figures.AsyncPending++
		}
	case isConnect(p):
		c.connected(p, &r)
	case p.opnum == opDisconnect:
		delete(c.store.sessions, p.key)
	case p.opnum == opRPC:
		c.executed(p, &r, true, cut, latency)
	case p.opnum == opRPCExt, p.opnum == opRPCExt2:
		c.executed(p, &r, false, cut, latency)
	}
	if !r.OK() && !cut {
		c.figures.DecodeErrors++
	}
	c.store.give(p)
}

// orphan takes an answer whose request was not captured. It is read as the
// answer of EcDoRpcExt2 or EcDoRpc when it can be nothing else.
func (c *Conn) orphan(order wire.Order, stub []byte, cut bool) {
	c.figures.Unpaired++
	if cut {
		return
	}
	for _, legacy := range [2]bool{false, true} {
		if isExecuted(order, c.syntax, stub, legacy) {
			r := ndr.NewReader(stub, order, c.syntax)
			c.executed(nil, &r, legacy, false, 0)
			return
		}
	}
}

// isExecuted reports whether a stub has the layout of an answer with ROPs from
// its first field to its last, the lengths that stand there twice being equal.
func isExecuted(order wire.Order, syntax ndr.Syntax, stub []byte, legacy bool) bool {
	r := ndr.NewReader(stub, order, syntax)
	r.ContextHandle()
	r.Uint32()
	if legacy {
		offset := r.Uint32()
		n := len(r.ConformantBytes(maxLegacy))
		return int(r.Uint16()) == n && offset == 0 && n >= 2 && r.Uint32() == 0 && r.OK() && r.Len() < 16
	}
	n := len(r.ConformantVaryingBytes(maxPayload))
	if int(r.Uint32()) != n || n < headerSize {
		return false
	}
	aux := len(r.ConformantVaryingBytes(maxAux))
	same := int(r.Uint32()) == aux
	r.Uint32() // ulTransTime
	r.Uint32() // return value
	return same && r.OK() && r.Len() < 16
}

// IsExecuted reports whether a response stub can only be the answer of EcDoRpc
// or EcDoRpcExt2: the package above asks when neither the bind nor the request
// was captured.
func IsExecuted(order wire.Order, stub []byte) bool {
	return isExecuted(order, ndr.NDR32, stub, true) || isExecuted(order, ndr.NDR32, stub, false)
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
	if p.connect >= 0 {
		x := &f.Connects[p.connect]
		x.Answered, x.Status, x.Server = true, status, server
	}
	if status == 0 && key != (sessionKey{}) {
		f.Sessions++
		f.Server = server
		delete(c.store.sessions, key) // a handle that comes back is a new session
		c.store.session(key)
	}
	c.observe(p, 0, 0)
}

// executed reads the answers that carry ROPs; p is nil when the request was not
// captured.
func (c *Conn) executed(p *Pending, r *ndr.Reader, legacy, cut bool, latency int64) {
	key := sessionKey(r.ContextHandle())
	r.Uint32()
	var array []byte
	if legacy {
		r.Uint32()
		array = r.ConformantBytes(maxLegacy)
	} else {
		array = r.ConformantVaryingBytes(maxPayload)
	}
	if !r.OK() {
		c.figures.Unwalked[Cut] += int64(r.Len())
		return
	}
	if p != nil {
		if key == (sessionKey{}) {
			delete(c.store.sessions, p.key)
		}
		key = p.key
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	of := c.store.session(key)
	a := &s.answer
	a.begin(c, p, of, latency)
	buffers := 0
	for rest := array; len(rest) > 0 && buffers < maxPayloads; buffers++ {
		payload, ok, used := rest, true, len(rest)
		if legacy {
			payload = s.text.unxor(rest)
		} else {
			payload, ok = c.open(s, rest, &used)
		}
		if buffers > 0 {
			c.figures.Buffers.Chained++
			a.chain()
		}
		c.payload(a, payload, ok && !cut, used)
		rest = rest[used:]
	}
	a.finish()
	c.observe(p, len(array), buffers)
	a.conn, a.p, a.of = nil, nil, nil
}

// payload walks one payload of an answer; sent is how many bytes it took.
func (c *Conn) payload(a *answer, payload []byte, ok bool, sent int) {
	f := &c.figures
	b, whole := splitBuffer(payload, ok)
	if !ok || !whole {
		f.DecodeErrors++
		f.ResponseUnwalked += int64(sent)
		f.Unwalked[Encoding] += int64(sent)
		return
	}
	walked, why := a.responses(&b)
	f.ResponseWalked += int64(walked)
	if why != Walked {
		f.ResponseUnwalked += int64(b.size - walked)
		f.Unwalked[why] += int64(b.size - walked)
	}
}

func (c *Conn) observe(p *Pending, out, buffers int) {
	if c.OnCall == nil || p == nil {
		return
	}
	name, _ := OperationName(p.iface, p.opnum)
	c.rops = c.rops[:0]
	for i := range p.rops {
		c.rops = append(c.rops, p.rops[i].id)
	}
	c.OnCall(RopCall{Operation: name, Requests: c.rops, Out: out, Buffers: buffers, Client: p.version})
}
