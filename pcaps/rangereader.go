package pcaps

import "io"

// rangeReader returns byte ranges of a file that are mostly asked for in
// ascending order. It reads ahead only as long as they are, so that a file
// with offsets all over the place costs no more than the bytes asked for and
// a page for each.
type rangeReader struct {
	r     io.ReaderAt
	size  int64 // of the file
	limit int   // of reading ahead
	buf   []byte
	base  int64 // offset of buf in the file
	ahead int
	err   error
}

const readAheadMin = 4096

// at returns n bytes at an offset, fewer at the end of the file. They are
// valid until the next call.
func (w *rangeReader) at(off int64, n int) []byte {
	if off >= w.size {
		return nil
	}
	n = int(min(int64(n), w.size-off))
	end := w.base + int64(len(w.buf))
	if off >= w.base && off+int64(n) <= end {
		return w.buf[off-w.base:][:n]
	}
	if off >= w.base && off <= end+readAheadMin {
		w.ahead = min(2*w.ahead, w.limit)
	} else {
		w.ahead = 0
	}
	w.ahead = max(w.ahead, readAheadMin)
	want := int(min(int64(max(n, w.ahead)), w.size-off))
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	got, err := w.r.ReadAt(w.buf[:want], off)
	w.buf, w.base = w.buf[:got], off
	if got < want {
		w.err = err
	}
	return w.buf[:min(n, got)]
}

// cause returns why at returned less than it was asked for.
func (w *rangeReader) cause() error {
	if w.err == nil || w.err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return w.err
}
