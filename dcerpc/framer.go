package dcerpc

import (
	"sync"

	"mapiscope/internal/wire"
)

// framer cuts one direction into PDUs. Bytes are copied only when a PDU
// continues in bytes that have not come yet.
type framer struct {
	state   framerState
	buf     *[]byte // beginning of a PDU, or what is searched; nil when empty
	mark    wire.Mark
	skip    int64 // bytes of a damaged PDU that are still to come
	scanned int
	broken  bool // framing was lost, and the next PDU begins anew
}

type framerState uint8

const (
	framing   framerState = iota // at a PDU, or inside one
	searching                    // looking for the next PDU
	foreign                      // this direction is no DCE/RPC
)

// buffers holds what framers copy to. A PDU has at most 64 KiB, and few are
// unfinished at one time.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 8192); return &b }}

func (f *framer) keep(b []byte) {
	if len(b) == 0 {
		return
	}
	if f.buf == nil {
		f.buf = buffers.Get().(*[]byte)
	}
	*f.buf = append(*f.buf, b...)
}

func (f *framer) release() {
	if f.buf != nil {
		*f.buf = (*f.buf)[:0]
		buffers.Put(f.buf)
		f.buf = nil
	}
}

func (f *framer) held() []byte {
	if f.buf == nil {
		return nil
	}
	return *f.buf
}

// Data takes the next bytes of one direction; m is the packet that carried
// them. b is not kept.
func (c *Conn) Data(side wire.Side, _ int64, m wire.Mark, b []byte) {
	f := &c.framers[side]
	for len(b) > 0 {
		switch {
		case f.state == foreign:
			c.Stats.SkippedBytes += int64(len(b))
			return
		case f.skip > 0:
			n := min(f.skip, int64(len(b)))
			f.skip -= n
			b = b[n:]
		case f.state == searching:
			b = f.search(c, side, m, b)
		default:
			b = f.frame(c, side, m, b)
		}
	}
}

// frame takes one PDU, or a part of one, and returns what is left.
func (f *framer) frame(c *Conn, side wire.Side, m wire.Mark, b []byte) []byte {
	if held := f.held(); len(held) > 0 {
		return f.complete(c, side, m, b, len(held))
	}
	if len(b) < headerLength {
		if !mayBegin(b) {
			return f.lose(c, side, m, b)
		}
		f.mark = m
		f.keep(b)
		return nil
	}
	h, ok := ParseHeader(b)
	if !ok {
		return f.lose(c, side, m, b)
	}
	if n := int(h.FragLength); n <= len(b) {
		c.take(h, b[:n:n], m, side)
		return b[n:]
	}
	f.mark = m
	f.keep(b)
	return nil
}

// complete adds to a PDU whose beginning is held.
func (f *framer) complete(c *Conn, side wire.Side, m wire.Mark, b []byte, have int) []byte {
	if have < headerLength {
		n := min(headerLength-have, len(b))
		f.keep(b[:n])
		if b = b[n:]; len(f.held()) < headerLength {
			if !mayBegin(f.held()) {
				return f.loseHeld(c, side, m, b)
			}
			return b
		}
	}
	h, ok := ParseHeader(f.held())
	if !ok {
		return f.loseHeld(c, side, m, b)
	}
	n := min(int(h.FragLength)-len(f.held()), len(b))
	f.keep(b[:n])
	if len(f.held()) == int(h.FragLength) {
		raw := f.buf
		f.buf = nil
		// A PDU belongs to the packet that completed it.
		c.take(h, *raw, m, side)
		*raw = (*raw)[:0]
		buffers.Put(raw)
	}
	return b[n:]
}

// lose gives up framing: at the first byte of a direction that means that it is
// no DCE/RPC, later that the stream is damaged.
func (f *framer) lose(c *Conn, side wire.Side, m wire.Mark, b []byte) []byte {
	if !f.broken && c.Counts.PDUs == 0 || c.silent(side) {
		f.state = foreign
		f.release()
		return b
	}
	c.Stats.PDUsDamaged++
	f.state, f.broken = searching, true
	return f.search(c, side, m, b)
}

// silent reports whether a side never sent a PDU that was captured whole from
// the first byte on, so that what it says now was never DCE/RPC.
func (c *Conn) silent(side wire.Side) bool { return !c.framers[side].broken && !c.spoke[side] }

// loseHeld does the same for bytes that are held.
func (f *framer) loseHeld(c *Conn, side wire.Side, m wire.Mark, b []byte) []byte {
	held := append([]byte(nil), f.held()...)
	f.release()
	rest := f.lose(c, side, m, held)
	if f.state == foreign {
		c.Stats.SkippedBytes += int64(len(rest))
	}
	return b
}

// search looks for a PDU in bytes whose place in the stream is not known. A
// header counts when all of it can be true and so can the header behind its
// PDU, or when its PDU ends with the bytes that came together.
func (f *framer) search(c *Conn, side wire.Side, m wire.Mark, b []byte) []byte {
	f.keep(b)
	all := f.held()
	at := 0
	for ; at < len(all); at++ {
		rest := all[at:]
		if rest[0] != 5 || !mayBegin(rest) {
			continue
		}
		if len(rest) < headerLength {
			break // wait for more
		}
		h, ok := ParseHeader(rest)
		if !ok {
			continue
		}
		n := int(h.FragLength)
		if n == len(rest) || n+headerLength <= len(rest) && plausible(rest[n:]) || n < len(rest) && n+headerLength > len(rest) && mayBegin(rest[n:]) {
			return f.found(c, side, m, at)
		}
		if n > len(rest) {
			break // wait for its end
		}
	}
	f.drop(c, at)
	if f.scanned > c.limits.Scan && c.Counts.PDUs == 0 {
		f.state = foreign
		c.Stats.SkippedBytes += int64(len(f.held()))
		f.release()
	}
	return nil
}

func plausible(b []byte) bool {
	_, ok := ParseHeader(b)
	return ok
}

// drop forgets searched bytes that are no PDU.
func (f *framer) drop(c *Conn, n int) {
	c.Stats.SkippedBytes += int64(n)
	f.scanned += n
	if n == len(f.held()) {
		f.release()
		return
	}
	*f.buf = append((*f.buf)[:0], (*f.buf)[n:]...)
}

// found goes back to framing at a place in the held bytes.
func (f *framer) found(c *Conn, side wire.Side, m wire.Mark, at int) []byte {
	c.Stats.SkippedBytes += int64(at)
	if f.broken || at > 0 {
		c.Stats.Resynchronised++
	}
	f.state, f.scanned = framing, 0
	raw := f.buf
	f.buf = nil
	for rest := (*raw)[at:]; len(rest) > 0 && f.state == framing; {
		rest = f.frame(c, side, m, rest)
	}
	*raw = (*raw)[:0]
	buffers.Put(raw)
	return nil
}

// Gap says that n bytes of one direction were never captured. When they lie
// inside a PDU whose length is known, its rest is skipped and the next PDU is
// where it must be; otherwise the next one is searched.
func (c *Conn) Gap(side wire.Side, _ int64, m wire.Mark, n int64) {
	f := &c.framers[side]
	if f.state == foreign {
		return
	}
	held := f.held()
	if f.skip > 0 {
		if n <= f.skip {
			f.skip -= n
			return
		}
		f.skip = 0
		f.state, f.broken = searching, true
		return
	}
	if f.state == framing && len(held) >= headerLength {
		h, _ := ParseHeader(held)
		c.damaged(h, held, f.mark, side)
		missing := int64(h.FragLength) - int64(len(held))
		f.release()
		if n <= missing {
			f.skip = missing - n
			return
		}
	} else if len(held) > 0 {
		c.Stats.SkippedBytes += int64(len(held))
		f.release()
	}
	f.state, f.broken, f.scanned = searching, true, 0
}

// damaged accounts for a PDU of which a part was not captured. What its header
// says still counts.
func (c *Conn) damaged(h Header, raw []byte, m wire.Mark, side wire.Side) {
	c.Stats.PDUsDamaged++
	if c.Counts.PDUs++; c.Counts.PDUs == 1 {
		c.first = m
	}
	c.lostPDU(h, raw, m, side)
}

// end gives up what is unfinished.
func (f *framer) end(c *Conn, side wire.Side, m wire.Mark) {
	held := f.held()
	if f.state == framing && len(held) >= headerLength {
		h, _ := ParseHeader(held)
		c.damaged(h, held, f.mark, side)
	} else {
		c.Stats.SkippedBytes += int64(len(held))
	}
	f.release()
}
