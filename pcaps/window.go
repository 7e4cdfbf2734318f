package pcaps

import (
	"errors"
	"fmt"
	"io"
)

// maxRecord bounds a packet record and every block that has to be looked at
// as a whole. Windows loopback and segmentation offload stay far below it.
const maxRecord = 16 << 20

// window is a forward-moving view of an input. Bytes are looked at where
// they lie in the buffer, so a record is never copied; the buffer grows only
// by bytes that were really there.
type window struct {
	r    io.Reader
	buf  []byte
	head int // buf[head:tail] is read and not yet consumed
	tail int
	off  int64 // offset in the input of buf[head]
	err  error // of r; io.EOF at a regular end
}

func newWindow(r io.Reader, size int) *window { return &window{r: r, buf: make([]byte, size)} }

// peek returns the next n bytes, or as many as there are, without consuming
// them. They are valid until the next call of peek or skip.
func (w *window) peek(n int) []byte {
	for w.tail-w.head < n && w.err == nil {
		w.fill(n)
	}
	return w.buf[w.head:min(w.head+n, w.tail)]
}

// fill reads once, making room first for a record of n bytes.
func (w *window) fill(n int) {
	if w.head == w.tail {
		w.head, w.tail = 0, 0
	}
	if w.head+n > len(w.buf) || w.tail == len(w.buf) {
		w.tail = copy(w.buf, w.buf[w.head:w.tail])
		w.head = 0
		if w.tail == len(w.buf) {
			// The buffer is full of one record: half of what it may become
			// has been seen already.
			grown := make([]byte, 2*len(w.buf))
			copy(grown, w.buf)
			w.buf = grown
		}
	}
	// One empty read is legal; a reader that keeps doing it is broken.
	for range 100 {
		var got int
		got, w.err = w.r.Read(w.buf[w.tail:])
		w.tail += got
		if got > 0 || w.err != nil {
			return
		}
	}
	w.err = io.ErrNoProgress
}

// advance consumes n bytes that the last peek returned.
func (w *window) advance(n int) {
	w.head += n
	w.off += int64(n)
}

// skip consumes n bytes without keeping them and reports how many there were.
func (w *window) skip(n int64) int64 {
	var done int64
	for done < n {
		step := int(min(n-done, int64(len(w.buf))))
		got := len(w.peek(step))
		w.advance(got)
		done += int64(got)
		if got < step {
			break
		}
	}
	return done
}

// end returns what a decoder says when a record that starts here has only
// got bytes: io.EOF at a regular end, else a *DamageError.
func (w *window) end(got int) error {
	switch {
	case got > 0 && w.err == io.EOF:
		return w.damage("cut off", io.ErrUnexpectedEOF)
	case errors.Is(w.err, io.ErrUnexpectedEOF):
		return w.damage("compressed data cut off", io.ErrUnexpectedEOF)
	case w.err == io.EOF:
		return io.EOF
	}
	return w.damage("input failed", w.err)
}

// endOf is end for a record that started at offset start and was skipped in
// part.
func (w *window) endOf(start int64) error {
	err := w.end(1)
	if d, ok := err.(*DamageError); ok {
		d.Offset = start
	}
	return err
}

// absurd is damage by a length that nothing has.
func (w *window) absurd(what string, n uint32) error {
	return w.damage(fmt.Sprintf("%s length %d is absurd", what, n), nil)
}

// damage returns a *DamageError for the record that starts here; the number
// of the packet is filled in above.
func (w *window) damage(reason string, err error) error {
	return &DamageError{Reason: reason, Offset: w.off, Err: err}
}
