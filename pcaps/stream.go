package pcaps

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Stream gives out the packets of one input as they come, as a Live does those
// of interfaces: of a pipe that somebody captures into, of a FIFO, or of a file.
// Packets count from 1 as they are given out. Next and Capture belong to one
// goroutine; Stop may be called by others.
type Stream struct {
	path    string
	options Options
	full    chan *streamBatch // closed by the reader
	free    chan *streamBatch
	timer   *time.Timer

	reader  *Reader      // these are the reading goroutine's
	filling *streamBatch // that packets are put in

	batch   *streamBatch // whose packets are given out
	at      int
	capture Capture
	err     error // why the input cannot be read; set before full is closed

	ending  sync.Once
	giveUp  func()        // closes done
	done    chan struct{} // closed: the input is waited for no longer
	gone    chan struct{} // closed: the reader has ended
	waiting atomic.Int64  // which wait for the input the reader is in; 0 for none
	wait    int64         // the reader's: the last one
}

// streamBatch carries packets from the reader, and the capture after them.
type streamBatch struct {
	packets []Packet
	buf     []byte
	capture Capture
}

// Once Stop was called a Stream gives out what comes until nothing came for
// streamQuiet, and no longer than streamGrace.
const (
	streamQuiet = liveIdle
	streamGrace = time.Second
)

// OpenStream opens an input: a file, a FIFO, or "-" for the standard input. It
// waits neither for who writes a pipe nor for a header: what is wrong with that
// is the error of Next, an *OpenError or a *FilterError. Of the options Done and
// Progress are its own.
func OpenStream(path string, o Options) (*Stream, error) {
	if o.Filter != "" && !HaveBPF {
		return nil, ErrNoBPF
	}
	if path != "-" {
		switch info, err := os.Stat(path); {
		case err != nil:
			return nil, &OpenError{path, cause(err)}
		case info.IsDir():
			return nil, &OpenError{path, errors.New("it is a folder, which grows by files: `mapiscope report` reads it")}
		}
	}
	s := &Stream{
		path: path, options: o, timer: time.NewTimer(liveIdle), capture: Capture{Path: path, Format: "unknown"},
		full: make(chan *streamBatch, liveBatches), free: make(chan *streamBatch, liveBatches+1),
		done: make(chan struct{}), gone: make(chan struct{}),
	}
	s.giveUp = sync.OnceFunc(func() { close(s.done) })
	s.options.Done, s.options.Progress, s.options.waits = s.done, nil, s.waits
	s.waits()
	go s.read()
	return s, nil
}

// read is the reader: it fills batches until the end of the input, or of
// waiting for it.
func (s *Stream) read() {
	defer close(s.gone)
	defer close(s.full)
	r, err := Open([]string{s.path}, s.options)
	if err != nil {
		s.err = err
		return
	}
	defer r.Close()
	s.reader, s.filling = r, s.empty()
	s.hand() // tells of the interfaces
	var p Packet
	for err = r.Next(&p); err == nil; err = r.Next(&p) {
		s.waiting.Store(0)
		b := s.filling
		from := len(b.buf)
		b.buf = append(b.buf, p.Data...) // grows for one packet larger than the batch only
		p.Data = b.buf[from:len(b.buf):len(b.buf)]
		if b.packets = append(b.packets, p); len(b.packets) == liveBatchPackets || len(b.buf) > liveBatchBytes-64<<10 {
			s.hand()
			select {
			case <-s.done: // a file is not waited for
				r.Stop(ErrStopped)
			default:
			}
		}
	}
	s.hand()
}

// waits is called by the reader before it waits for the input: what it has read
// is given out before.
func (s *Stream) waits() {
	if s.filling != nil && len(s.filling.packets) > 0 {
		s.hand()
	}
	s.wait++
	s.waiting.Store(s.wait)
}

// hand gives the batch to Next, when there is room, and begins another.
func (s *Stream) hand() {
	s.filling.capture = s.reader.Captures()[0]
	s.full <- s.filling
	s.filling = s.empty()
}

func (s *Stream) empty() *streamBatch {
	select {
	case b := <-s.free:
		b.packets, b.buf = b.packets[:0], b.buf[:0]
		return b
	default:
		return &streamBatch{buf: make([]byte, 0, liveBatchBytes)}
	}
}

// Next waits for the next packet. It returns ErrIdle when none came for a
// while and io.EOF at the end of the input, or after Stop when what had come
// until then was given out; damage is found in Capture. p.Data is valid until
// the next Next.
func (s *Stream) Next(p *Packet) error {
	for s.batch == nil || s.at == len(s.batch.packets) {
		if err := s.turn(); err != nil {
			return err
		}
	}
	*p = s.batch.packets[s.at]
	s.at++
	c := &s.capture
	c.count(p)
	p.Mark.Packet = c.Packets
	if p.Copy {
		c.Interfaces[p.Interface].Copies++
	}
	return nil
}

// turn takes the next batch.
func (s *Stream) turn() error {
	if s.batch != nil {
		select {
		case s.free <- s.batch:
		default:
		}
		s.batch = nil
	}
	s.at = 0
	var b *streamBatch
	var open bool
	select {
	case b, open = <-s.full:
	default:
		s.timer.Reset(liveIdle)
		select {
		case b, open = <-s.full:
		case <-s.timer.C:
			return ErrIdle
		}
	}
	switch {
	case open:
		s.batch = b
		s.describe(b.capture)
		return nil
	case s.err != nil:
		return s.err
	}
	return io.EOF
}

// describe takes what the reader knows of the capture, but for what counts
// packets that were not given out yet.
func (s *Stream) describe(c Capture) {
	was := &s.capture
	c.Packets, c.BytesWire, c.BytesCaptured, c.Truncated = was.Packets, was.BytesWire, was.BytesCaptured, was.Truncated
	c.Untimed, c.Doubtful, c.First, c.Last = was.Untimed, was.Doubtful, was.First, was.Last
	for i := range c.Interfaces {
		var old Interface
		if i < len(was.Interfaces) {
			old = was.Interfaces[i]
		}
		f := &c.Interfaces[i]
		f.Packets, f.BytesWire, f.Copies = old.Packets, old.BytesWire, old.Copies
	}
	if errors.Is(c.Err, ErrStopped) {
		c.Err = nil // that was asked for
	}
	s.capture = c
}

// Capture describes the input and what was given out of it so far.
func (s *Stream) Capture() Capture {
	c := s.capture
	c.Interfaces = slices.Clone(c.Interfaces)
	return c
}

// Stop ends the reading: Next gives out what has come before, and from a pipe
// what still comes in a hurry.
func (s *Stream) Stop() { s.ending.Do(func() { go s.windDown() }) }

// windDown waits for what is on its way.
func (s *Stream) windDown() {
	const step = streamQuiet / 10
	tick := time.NewTicker(step)
	defer tick.Stop()
	was, quiet := int64(0), time.Duration(0)
	for range streamGrace / step {
		if is := s.waiting.Load(); is == 0 || is != was {
			was, quiet = is, 0
		} else if quiet += step; quiet >= streamQuiet {
			break
		}
		select {
		case <-s.gone:
			return
		case <-s.done:
			return
		case <-tick.C:
		}
	}
	s.giveUp()
}

// Close gives the input back; the standard input stays open. Packets that were
// not asked for yet are lost.
func (s *Stream) Close() error {
	s.giveUp()
	for range s.full { // the reader may wait for room
	}
	return nil
}
