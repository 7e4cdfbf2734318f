package dcerpc

import (
	"bytes"
	"slices"

	"mapiscope/internal/wire"
)

// Resynchronisation: finding PDUs in a stream whose beginning, or a part of
// which, was not captured. The two bytes 05 00 are common in data, so a header
// is believed only when all of it can be true and so can the header that
// follows its PDU. The last PDU before the other end answers has none behind
// it: it is believed when it ends with what was sent.

// window holds the bytes that are searched and which packets carried them.
type window struct {
	buf    *[]byte
	off    int     // bytes of buf that are done with
	chunks []chunk // where packets end, in order
	grown  bool    // bytes came since settle looked last
	looked int     // in buf: up to there settle has looked for headers
	tails  []tail  // of the headers it found, those whose PDU goes on behind what came; in order
}

// tail is a header that may be one, and where its PDU ends, both in buf.
type tail struct{ at, next int }

// maxTails bounds the headers that wait for their end to come; the oldest goes.
// A stream of DCE/RPC has one or two.
const maxTails = 64

type chunk struct {
	end  int // in buf
	mark wire.Mark
}

// maxChunks bounds the packets that are told apart in one window.
const maxChunks = 256

// fewChunks is how many chunks an empty window keeps room for.
const fewChunks = 4

// size returns what a window takes when it is not empty.
func (w *window) size() int {
	n := 0
	if w.buf != nil {
		n += cap(*w.buf)
	}
	if cap(w.chunks) > fewChunks {
		n += cap(w.chunks) * chunkWeight
	}
	n += cap(w.tails) * tailWeight
	return n
}

func (w *window) add(c *Conn, b []byte, m wire.Mark) {
	if len(b) == 0 {
		return
	}
	before := w.size()
	if w.buf == nil {
		w.buf = buffers.Get().(*[]byte)
	}
	*w.buf = append(*w.buf, b...)
	w.grown = true
	if n := len(w.chunks); n == maxChunks || n > 0 && w.chunks[n-1].mark == m {
		w.chunks[n-1] = chunk{len(*w.buf), m}
	} else {
		w.chunks = append(w.chunks, chunk{len(*w.buf), m})
	}
	c.hold(w.size() - before)
}

func (w *window) bytes() []byte {
	if w.buf == nil {
		return nil
	}
	return (*w.buf)[w.off:]
}

func (w *window) release(c *Conn) {
	c.hold(-w.size())
	if w.buf != nil {
		recycle(w.buf)
	}
	kept := w.chunks[:0]
	if cap(kept) > fewChunks {
		kept = nil
	}
	*w = window{chunks: kept}
}

// compactAt is how much is given up before the window is moved to the front.
const compactAt = 64 << 10

// drop takes the first n bytes out.
func (w *window) drop(c *Conn, n int) {
	if w.off += n; w.buf == nil || w.off == len(*w.buf) {
		w.release(c)
		return
	}
	gone := 0
	if w.off >= compactAt {
		gone, w.off = w.off, 0
		*w.buf = append((*w.buf)[:0], (*w.buf)[gone:]...)
	}
	w.looked = max(w.looked-gone, w.off)
	if len(w.tails) > 0 {
		tails := w.tails[:0]
		for _, t := range w.tails {
			if t.at, t.next = t.at-gone, t.next-gone; t.at >= w.off {
				tails = append(tails, t)
			}
		}
		w.tails = tails
	}
	kept := w.chunks[:0]
	for _, x := range w.chunks {
		if x.end -= gone; x.end > w.off {
			kept = append(kept, x)
		}
	}
	w.chunks = kept
}

// mark returns the packet that carried the byte before the nth.
func (w *window) mark(n int) wire.Mark {
	for _, x := range w.chunks {
		if x.end >= w.off+n {
			return x.mark
		}
	}
	return wire.Mark{}
}

// candidate returns the place of the next header in b from at on that is
// plausible, or that may become so when more bytes come; len(b) without one.
// whole says that the header is all there.
func candidate(b []byte, at int) (place int, h Header, whole bool) {
	for at < len(b) {
		i := bytes.IndexByte(b[at:], 5)
		if i < 0 {
			break
		}
		at += i
		if rest := b[at:]; mayBegin(rest) {
			if len(rest) < headerLength {
				return at, h, false
			}
			if h, ok := ParseHeader(rest); ok && h.plausible() {
				return at, h, true
			}
		}
		at++
	}
	return len(b), h, false
}

// follows reports whether b, which is as long as a header or longer, begins
// with a plausible one.
func follows(b []byte) bool {
	h, ok := ParseHeader(b)
	return ok && h.plausible()
}

// hunt searches the window and takes the PDUs that it finds, until more bytes
// are needed.
func (f *framer) hunt(c *Conn, side wire.Side) {
	for f.state == searching && f.search(c) {
		f.replay(c, side)
	}
}

// search looks for a PDU with another one behind it and gives up what lies
// before. It waits where more bytes can still tell.
func (f *framer) search(c *Conn) (found bool) {
	b := f.window.bytes()
	for at := 0; ; at++ {
		place, h, whole := candidate(b, at)
		if f.barren(c, place) {
			f.state = foreign
			f.giveUp(c, len(b))
			return false
		}
		at = place
		next := at + int(h.FragLength)
		if !whole || next+headerLength > len(b) {
			f.giveUp(c, at)
			return false
		}
		if follows(b[next:]) {
			f.giveUp(c, at)
			return true
		}
	}
}

// barren reports whether so much was searched in vain, in a connection of which
// nothing else is known, that it is no DCE/RPC.
func (f *framer) barren(c *Conn, at int) bool {
	return c.Counts.PDUs == 0 && f.given+at >= c.limits.Scan
}

// giveUp passes over the first n bytes of the window.
func (f *framer) giveUp(c *Conn, n int) {
	c.Bytes.Skipped += int64(n)
	f.given += n
	f.window.drop(c, n)
}

// settle believes a PDU that ends where the other end begins to speak, or where
// as much of a next header follows as came.
func (f *framer) settle(c *Conn, side wire.Side) {
	w := &f.window
	w.grown = false
	before := w.size()
	w.look()
	c.hold(w.size() - before)
	if at := w.settled(); at >= 0 {
		f.giveUp(c, at)
		f.replay(c, side)
		f.hunt(c, side)
	}
}

// look finds the headers in what came since it looked last. Each byte is looked
// at once, however often the two ends take turns.
func (w *window) look() {
	if w.buf == nil {
		return
	}
	b := *w.buf
	for at := max(w.looked, w.off); ; at++ {
		place, h, whole := candidate(b, at)
		if at = place; !whole {
			w.looked = at
			return
		}
		next := at + int(h.FragLength)
		if next+headerLength <= len(b) {
			continue
		}
		if len(w.tails) == maxTails {
			w.tails = slices.Delete(w.tails, 0, 1)
		}
		w.tails = append(w.tails, tail{at, next})
	}
}

// settled returns the place in bytes of the first header whose PDU ends with
// what came, -1 for none, and forgets those whose end was passed.
func (w *window) settled() int {
	if w.buf == nil {
		return -1
	}
	b, kept := *w.buf, w.tails[:0]
	for _, t := range w.tails {
		if t.next+headerLength <= len(b) {
			continue
		}
		if t.next == len(b) || t.next < len(b) && mayBegin(b[t.next:]) {
			return t.at - w.off
		}
		kept = append(kept, t)
	}
	w.tails = kept
	return -1
}

// finish is settle where nothing more will come.
func (f *framer) finish(c *Conn, side wire.Side) {
	f.settle(c, side)
	if f.state == searching {
		f.giveUp(c, len(f.window.bytes()))
	}
}

// replay goes back to framing at the start of the window.
func (f *framer) replay(c *Conn, side wire.Side) {
	if f.lost || f.given > 0 {
		c.Stats.Resynchronised++
	}
	f.state, f.lost, f.given = framing, false, 0
	for b := f.window.bytes(); len(b) > 0; b = f.window.bytes() {
		h, ok := f.header(b)
		switch {
		case len(b) < headerLength && mayBegin(b), ok && int(h.FragLength) > len(b):
			f.mark = f.window.mark(1)
			f.keep(c, b)
			f.window.drop(c, len(b))
		case !ok:
			f.loseTrack(c, side)
			return
		default:
			n := int(h.FragLength)
			c.take(h, b[:n:n], f.window.mark(n), side)
			f.window.drop(c, n)
		}
	}
}
