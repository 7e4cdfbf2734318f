package pcaps

import (
	"io"
	"sync/atomic"
)

// progressStep is how much input passes between two calls of Progress.
const progressStep = 1 << 20

// meter adds up what was read from all inputs, by whatever goroutine. The
// reader tells it on.
type meter struct {
	report  func(read, total int64)
	read    atomic.Int64
	total   int64
	told    int64
	unknown bool // some input has no known size
}

func (m *meter) addTotal(size int64) {
	if size < 0 {
		m.unknown = true
	}
	m.total += size
}

func (m *meter) add(n int) { m.read.Add(int64(n)) }

// tick reports when enough was read since the last time.
func (m *meter) tick() {
	if m.report != nil && m.read.Load()-m.told >= progressStep {
		m.tell()
	}
}

func (m *meter) tell() {
	read := m.read.Load()
	if m.report == nil || m.told == read {
		return
	}
	m.told = read
	if m.unknown {
		m.report(read, 0)
	} else {
		m.report(read, m.total)
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
