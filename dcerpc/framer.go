package dcerpc

import (
	"sync"

	"mapiscope/internal/wire"
)

// framer cuts one direction into PDUs. Bytes are copied only when a PDU
// continues in bytes that have not come yet. What it makes of a stream does not
// depend on how the stream was cut into pieces.
type framer struct {
	state  framerState
	buf    *[]byte   // the beginning of a PDU; nil when empty
	mark   wire.Mark // of the first byte in buf
	skip   int64     // bytes of an unfinished PDU that are still to come
	spoke  bool      // a PDU was read
	torn   bool      // bytes may be missing: gaps, damage, or no beginning
	lost   bool      // framing was lost since the last PDU
	given  int       // bytes given up since the search began
	window window    // what is searched
}

type framerState uint8

const (
	framing   framerState = iota // at a PDU, or inside one
	searching                    // looking for the next PDU
	foreign                      // this direction is no DCE/RPC
)

// buffers holds what framers copy to. A PDU has at most 64 KiB, and few are
// unfinished at one time.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, minBuffer); return &b }}

// Sizes of the buffers that are used again.
const (
	minBuffer = 8 << 10
	maxBuffer = 128 << 10
)

func (f *framer) keep(c *Conn, b []byte) {
	if len(b) == 0 {
		return
	}
	before := 0
	if f.buf == nil {
		f.buf = buffers.Get().(*[]byte)
	} else {
		before = cap(*f.buf)
	}
	*f.buf = append(*f.buf, b...)
	c.hold(cap(*f.buf) - before)
}

// detach hands over what is held, for recycle.
func (f *framer) detach(c *Conn) *[]byte {
	raw := f.buf
	f.buf = nil
	c.hold(-cap(*raw))
	return raw
}

// recycle gives a buffer back to those that wait for use, unless it is one that
// shrink made, or a window that grew larger than any PDU.
func recycle(raw *[]byte) {
	if n := cap(*raw); n >= minBuffer && n <= maxBuffer {
		*raw = (*raw)[:0]
		buffers.Put(raw)
	}
}

func (f *framer) release(c *Conn) {
	if f.buf != nil {
		recycle(f.detach(c))
	}
}

// shrink moves what is held, less than a header, to a buffer of its size.
func (f *framer) shrink(c *Conn) {
	raw := f.detach(c)
	small := append(make([]byte, 0, headerLength), *raw...)
	f.buf = &small
	c.hold(cap(small))
	recycle(raw)
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
	c.Bytes.Delivered += int64(len(b))
	c.turn(side.Other())
	c.data(side, m, b)
}

// turn says that the other end speaks: what a side sent until then is complete.
func (c *Conn) turn(side wire.Side) {
	if f := &c.framers[side]; f.state == searching && f.window.grown {
		f.settle(c, side)
	}
}

func (c *Conn) data(side wire.Side, m wire.Mark, b []byte) {
	f := &c.framers[side]
	for len(b) > 0 {
		switch {
		case f.state == foreign:
			c.Bytes.Skipped += int64(len(b))
			return
		case f.state == searching:
			f.window.add(c, b, m)
			f.hunt(c, side)
			return
		case f.skip > 0:
			n := min(f.skip, int64(len(b)))
			f.skip -= n
			c.Bytes.Unfinished += n
			b = b[n:]
		default:
			b = f.frame(c, side, m, b)
		}
	}
}

// frame takes one PDU, or a part of one, and returns what is left.
func (f *framer) frame(c *Conn, side wire.Side, m wire.Mark, b []byte) []byte {
	if have := len(f.held()); have > 0 {
		return f.complete(c, side, m, b, have)
	}
	if len(b) < headerLength {
		if !mayBegin(b) {
			return f.lose(c, side, m, b)
		}
		f.mark = m
		f.keep(c, b)
		return nil
	}
	h, ok := f.header(b)
	if !ok {
		return f.lose(c, side, m, b)
	}
	if n := int(h.FragLength); n <= len(b) {
		c.take(h, b[:n:n], m, side)
		return b[n:]
	}
	f.mark = m
	f.keep(c, b)
	return nil
}

// header reads a header where one must be. The first one of a direction has to
// prove that the direction is DCE/RPC at all.
func (f *framer) header(b []byte) (Header, bool) {
	h, ok := ParseHeader(b)
	return h, ok && (f.spoke || h.plausible())
}

// complete adds to a PDU whose beginning is held.
func (f *framer) complete(c *Conn, side wire.Side, m wire.Mark, b []byte, have int) []byte {
	if have < headerLength {
		n := min(headerLength-have, len(b))
		f.keep(c, b[:n])
		if b = b[n:]; len(f.held()) < headerLength {
			if !mayBegin(f.held()) {
				f.loseHeld(c, side)
			}
			return b
		}
	}
	h, ok := f.header(f.held())
	if !ok {
		f.loseHeld(c, side)
		return b
	}
	n := min(int(h.FragLength)-len(f.held()), len(b))
	f.keep(c, b[:n])
	if len(f.held()) == int(h.FragLength) {
		raw := f.detach(c)
		// A PDU belongs to the packet that completed it.
		c.take(h, *raw, m, side)
		recycle(raw)
	}
	return b[n:]
}

// lose gives up framing: at the first byte of a direction that means that it is
// no DCE/RPC, later that the stream is damaged.
func (f *framer) lose(c *Conn, side wire.Side, m wire.Mark, b []byte) []byte {
	if !f.spoke && !f.torn {
		f.state = foreign
		return b
	}
	f.loseTrack(c, side)
	f.window.add(c, b, m)
	f.hunt(c, side)
	return nil
}

// loseTrack begins a search after a PDU that is none.
func (f *framer) loseTrack(c *Conn, side wire.Side) {
	c.Stats.PDUsDamaged++
	c.tear(side)
	f.state, f.lost = searching, true
}

// loseHeld does the same for bytes that are held.
func (f *framer) loseHeld(c *Conn, side wire.Side) {
	raw := f.detach(c)
	c.Bytes.Skipped += int64(len(f.lose(c, side, f.mark, *raw)))
	recycle(raw)
}

// Gap says that n bytes of one direction were never captured. When they lie
// inside a PDU whose length is known, its rest is skipped and the next PDU is
// where it must be; otherwise the next one is searched.
func (c *Conn) Gap(side wire.Side, _ int64, m wire.Mark, n int64) {
	if n <= 0 {
		return
	}
	c.turn(side.Other())
	f := &c.framers[side]
	if f.state == searching {
		f.finish(c, side)
	}
	if f.state == foreign {
		return
	}
	held := f.held()
	switch {
	case f.state == searching:
	case len(held) >= headerLength:
		h, _ := ParseHeader(held)
		c.unfinishedPDU(h, held, f.mark, side)
		f.skip = int64(h.FragLength) - int64(len(held))
	case len(held) > 0:
		c.Bytes.Unfinished += int64(len(held))
	}
	f.release(c)
	if n <= f.skip {
		f.skip -= n
		return
	}
	c.tear(side)
	f.skip, f.state, f.lost = 0, searching, true
}

// unfinishedPDU accounts for a PDU of which a part was not captured. What its
// header says still counts.
func (c *Conn) unfinishedPDU(h Header, raw []byte, m wire.Mark, side wire.Side) {
	c.Bytes.Unfinished += int64(len(raw))
	c.Stats.PDUsDamaged++
	c.digest = 0
	c.count(h, m, side)
	c.lostPDU(h, raw, m, side)
}

// end gives up what is unfinished.
func (f *framer) end(c *Conn, side wire.Side) {
	if f.state == searching {
		f.finish(c, side)
	}
	held := f.held()
	if len(held) >= headerLength {
		h, _ := ParseHeader(held)
		c.unfinishedPDU(h, held, f.mark, side)
	} else if len(held) > 0 {
		c.Bytes.Unfinished += int64(len(held))
		c.tearIDs(side)
	}
	f.release(c)
	f.window.release(c)
	f.window = window{}
}
