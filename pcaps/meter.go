package pcaps

import "io"

// progressStep is how much input passes between two calls of Progress.
const progressStep = 1 << 20

// meter adds up what was read from all inputs.
type meter struct {
	report      func(read, total int64)
	read, total int64
	told        int64
	unknown     bool // some input has no known size
}

func (m *meter) addTotal(size int64) {
	if size < 0 {
		m.unknown = true
	}
	m.total += size
}

func (m *meter) add(n int) {
	m.read += int64(n)
	if m.read-m.told >= progressStep {
		m.tell()
	}
}

func (m *meter) tell() {
	if m.report == nil || m.told == m.read {
		return
	}
	m.told = m.read
	if m.unknown {
		m.report(m.read, 0)
	} else {
		m.report(m.read, m.total)
	}
}

type meteredReader struct {
	io.Reader
	m *meter
}

func (r *meteredReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.m.add(n)
	return n, err
}

type meteredReaderAt struct {
	io.ReaderAt
	m *meter
}

func (r *meteredReaderAt) ReadAt(b []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(b, off)
	r.m.add(n)
	return n, err
}
