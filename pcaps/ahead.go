package pcaps

import (
	"io"
	"time"
)

// aheadBlocks is how many blocks are read ahead of the reader, together with
// the one that it looks at.
const aheadBlocks = 4

// ahead reads an input in a goroutine of its own, a few blocks ahead, so that
// decompression runs beside decoding and slow inputs are waited for together.
// The goroutine ends at the end of the input, at an error, and with Close.
//
// The goroutine of a pipe may wait for ever in its last read, so Close does not
// wait for it, and Read gives up when done is closed.
type ahead struct {
	pipe    bool
	done    <-chan struct{}
	stopped bool   // Read gave up
	waits   func() // called before a wait, nil for nobody

	full  chan aheadBlock
	empty chan []byte
	stop  chan struct{}
	ended chan struct{}

	block aheadBlock // that is being read
	rest  []byte     // of it
}

type aheadBlock struct {
	buf []byte
	n   int
	err error // behind the n bytes
}

func newAhead(r io.Reader, size int) *ahead {
	a := &ahead{
		full: make(chan aheadBlock, aheadBlocks), empty: make(chan []byte, aheadBlocks),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	for range aheadBlocks {
		a.empty <- make([]byte, size)
	}
	go a.run(r)
	return a
}

func (a *ahead) run(r io.Reader) {
	defer close(a.ended)
	for {
		select {
		case <-a.stop:
			return
		case buf := <-a.empty:
			n, err := r.Read(buf)
			a.full <- aheadBlock{buf, n, err} // has room for every block
			if err != nil {
				return
			}
		}
	}
}

// Read implements io.Reader.
func (a *ahead) Read(b []byte) (int, error) {
	if len(a.rest) == 0 {
		if a.block.err != nil {
			return 0, a.block.err
		}
		a.await(nil)
	}
	n := copy(b, a.rest)
	a.rest = a.rest[n:]
	if a.stopped {
		return n, ErrStopped
	}
	return n, nil
}

// await waits until there is something to read, or an error, and reports
// whether there is; first comes the end of waiting, or of patience.
func (a *ahead) await(patience <-chan time.Time) bool {
	if len(a.rest) > 0 || a.block.err != nil {
		return true
	}
	if a.block.buf != nil {
		a.empty <- a.block.buf
		a.block = aheadBlock{}
	}
	select {
	case <-a.done:
		a.giveUp()
		return true
	default:
	}
	if a.waits != nil && len(a.full) == 0 {
		a.waits()
	}
	select {
	case <-a.done:
		a.giveUp()
	case a.block = <-a.full:
		a.rest = a.block.buf[:a.block.n]
	case <-patience:
		return false
	}
	return true
}

// giveUp gives up.
func (a *ahead) giveUp() {
	a.stopped = true
	a.block = aheadBlock{err: ErrStopped}
}

// Close ends the goroutine and waits for it. What it reads from must have been
// closed, or must not block. There is no Read afterwards.
func (a *ahead) Close() error {
	close(a.stop)
	if !a.pipe {
		<-a.ended
	}
	return nil
}
