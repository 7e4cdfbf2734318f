package emsmdb

import (
	"bytes"
	"encoding/binary"
	"sync"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/wire"
)

// scratch is what one call needs to be decoded and nobody needs afterwards.
type scratch struct {
	text   clearText
	walker walker
	answer answer
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// execute reads the requests that carry ROPs. Lengths that the layout states
// twice must agree, else the array is not trusted.
func (c *Conn) execute(p *Pending, r *ndr.Reader, stub []byte, cut bool) {
	p.key = r.ContextHandle()
	legacy := p.opnum == opRPC
	var array []byte
	var agreed bool
	if legacy {
		size := r.Uint32() // the largest answer
		r.Uint32()         // offset
		array = r.ConformantBytes(maxLegacy)
		agreed = int(r.Uint16()) == len(array)&0xffff
		agreed = uint32(r.Uint16()) == size&0xffff && agreed
	} else {
		r.Uint32() // flags
		array = r.ConformantBytes(maxIn)
		agreed = int(r.Uint32()) == len(array)
	}
	if !r.OK() || !agreed {
		why := Malformed
		if cut {
			why = Cut
		}
		p.partial = true
		r.Fail()
		c.unwalkedRequest(len(stub), why)
		return
	}
	if len(array) == 0 && !legacy {
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	payload, used, ok := c.open(s, array, legacy)
	b, split := splitBuffer(payload)
	if !ok || !split {
		p.partial = true
		c.figures.DecodeErrors++
		c.unwalkedRequest(len(array), Encoding)
		return
	}
	walked, why := s.walker.requests(p, &b, c.store.session(p.key))
	p.handles = append(p.handles[:0], b.handles[:min(len(b.handles), maxHandles)]...)
	p.partial = why != Walked
	c.request(p, b.list)
	c.describe(p, b.list)
	c.figures.RequestWalked += int64(walked)
	if why != Walked {
		c.unwalkedRequest(len(b.list)-walked, why)
	}
	if used < len(array) {
		// No client is known to send a second payload, and nobody says what
		// its handles would mean.
		p.partial = true
		c.unwalkedRequest(len(array)-used, Unexpected)
	}
}

func (c *Conn) unwalkedRequest(n int, why Reason) {
	c.figures.RequestUnwalked += int64(n)
	c.figures.Unwalked[why] += int64(n)
}

func (c *Conn) unwalkedResponse(n int, why Reason) {
	c.figures.ResponseUnwalked += int64(n)
	c.figures.Unwalked[why] += int64(n)
}

// request counts the ROPs of a request.
func (c *Conn) request(p *Pending, list []byte) {
	f := &c.figures
	for i := range p.rops {
		q := &p.rops[i]
		r := c.rop(q.id)
		r.Requests++
		r.RequestBytes += int64(q.end - q.start)
		switch rop := list[q.start:q.end]; q.id {
		case ropGetBuffer:
			f.SyncGetBuffer.Requests++
			f.SyncGetBuffer.Asked.Add(byteCount(rop))
		case ropReadStream:
			f.ReadStream.Requests++
			f.ReadStream.Asked.Add(byteCount(rop))
		case ropLogon:
			if f.UserDN == "" {
				c.know(logonDN(rop))
			}
		}
	}
}

// byteCount returns how much a RopReadStream or
// RopFastTransferSourceGetBuffer asks for at most: 0xBABE says that the real
// number follows ([MS-OXCROPS] 2.2.9.2, 2.2.12.3).
func byteCount(rop []byte) int64 {
	n := binary.LittleEndian.Uint16(rop[requestHead:])
	switch more := rop[requestHead+2:]; len(more) {
	case 2:
		return int64(binary.LittleEndian.Uint16(more))
	case 4:
		return int64(binary.LittleEndian.Uint32(more))
	}
	return int64(n)
}

// logonDN returns the mailbox that a RopLogon asks for ([MS-OXCROPS] 2.2.3.1).
func logonDN(rop []byte) string {
	const essdn = requestHead + 1 + 4 + 4 + 2 // LogonFlags, OpenFlags, StoreState, EssdnSize
	dn, _, _ := bytes.Cut(rop[essdn:], []byte{0})
	return string(dn[:min(len(dn), maxDN)])
}

// open decodes the payload at the start of an array of RPC_HEADER_EXT and
// payloads, and returns how much of the array it took. The array of EcDoRpc
// has no header and is always obfuscated.
func (c *Conn) open(s *scratch, array []byte, legacy bool) (payload []byte, used int, ok bool) {
	if legacy {
		return s.text.unxor(array), len(array), true
	}
	h, sent, err := parseHeader(array)
	if err != nil {
		return nil, len(array), false
	}
	n := &c.figures.Buffers
	if h.Flags&(flagXorMagic|flagCompressed) == 0 {
		n.Plain++
	}
	if h.Flags&flagXorMagic != 0 {
		n.Xored++
	}
	if h.Flags&flagCompressed != 0 {
		n.Compressed++
	}
	used = headerSize + len(sent)
	if h.Flags&flagLast != 0 && used < len(array) {
		c.figures.DecodeErrors++ // bytes after the last payload
		used = len(array)
	}
	payload, err = s.text.open(h, sent)
	return payload, used, err == nil
}

// orphan takes an answer whose request was not captured. It is read as the
// answer of EcDoRpcExt2 or EcDoRpc when it can be nothing else.
func (c *Conn) orphan(order wire.Order, stub []byte, cut bool) {
	c.figures.Unpaired++
	if cut {
		return
	}
	for _, legacy := range [2]bool{false, true} {
		r := ndr.NewReader(stub, order, c.syntax)
		if out := readExecuted(&r, legacy); out.exact(&r, legacy) {
			c.answer(nil, &out, legacy, 0)
			return
		}
	}
}

// executedStub is the stub of an answer with ROPs.
type executedStub struct {
	key    sessionKey
	array  []byte
	agreed bool // lengths that stand there twice are equal
	status uint32
}

// readExecuted reads the answer of EcDoRpc, EcDoRpcExt or EcDoRpcExt2
// ([MS-OXCRPC] 3.1.4.2).
func readExecuted(r *ndr.Reader, legacy bool) (out executedStub) {
	out.key = r.ContextHandle()
	r.Uint32() // the largest answer, or flags
	if legacy {
		r.Uint32() // offset
		out.array = r.ConformantBytes(maxLegacy)
		out.agreed = int(r.Uint16()) == len(out.array)&0xffff
		out.status = r.Uint32()
		return out
	}
	out.array = r.ConformantVaryingBytes(maxOut)
	out.agreed = int(r.Uint32()) == len(out.array)
	aux := len(r.ConformantVaryingBytes(maxAux))
	out.agreed = int(r.Uint32()) == aux && out.agreed
	r.Uint32() // ulTransTime
	out.status = r.Uint32()
	return out
}

// exact reports whether a stub of an unknown operation can only be this one:
// it ends where the layout ends and holds a payload.
func (out *executedStub) exact(r *ndr.Reader, legacy bool) bool {
	least := headerSize
	if legacy {
		least = 2 // RopSize
	}
	return r.OK() && r.Len() == 0 && out.agreed && len(out.array) >= least && out.key != (sessionKey{})
}

// IsExecuted reports whether a response stub can only be the answer of EcDoRpc
// or EcDoRpcExt2: the package above asks when neither the bind nor the request
// was captured.
func IsExecuted(order wire.Order, stub []byte) bool {
	for _, legacy := range [2]bool{false, true} {
		r := ndr.NewReader(stub, order, ndr.NDR32)
		if out := readExecuted(&r, legacy); out.exact(&r, legacy) {
			return true
		}
	}
	return false
}

// executed reads the answers that carry ROPs.
func (c *Conn) executed(p *Pending, r *ndr.Reader, stub []byte, cut bool, latency int64) {
	legacy := p.opnum == opRPC
	out := readExecuted(r, legacy)
	if !r.OK() || !out.agreed {
		why := Malformed
		if cut {
			why = Cut
		}
		r.Fail()
		c.unwalkedResponse(len(stub), why)
		out.array = nil
	} else {
		c.figures.refused(p, out.status)
	}
	c.answer(p, &out, legacy, latency)
}

// answer walks the payloads of an answer; p is nil when the request was not
// captured.
func (c *Conn) answer(p *Pending, out *executedStub, legacy bool, latency int64) {
	key := out.key
	if p != nil {
		key = p.key
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	a := &s.answer
	a.begin(c, p, c.store.session(key), latency)
	defer a.end()
	buffers := 0
	for rest := out.array; len(rest) > 0; buffers++ {
		if buffers == maxPayloads {
			c.figures.DecodeErrors++
			c.unwalkedResponse(len(rest), Unexpected)
			break
		}
		payload, used, ok := c.open(s, rest, legacy)
		if buffers > 0 {
			c.figures.Buffers.Chained++
			a.chain()
		}
		c.payload(a, payload, ok, used)
		rest = rest[used:]
	}
	a.finish()
	if p != nil && out.key == (sessionKey{}) && out.array != nil {
		c.store.end(p.key) // the server ended the session
	}
	c.observe(p, len(out.array), buffers)
}

// payload walks one payload of an answer; sent is how many bytes it took.
func (c *Conn) payload(a *answer, payload []byte, ok bool, sent int) {
	b, split := splitBuffer(payload)
	if !ok || !split {
		c.figures.DecodeErrors++
		c.unwalkedResponse(sent, Encoding)
		return
	}
	walked, why := a.responses(&b)
	c.figures.ResponseWalked += int64(walked)
	if why != Walked {
		c.unwalkedResponse(len(b.list)-walked, why)
	}
}
