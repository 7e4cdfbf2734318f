package run

import (
	"sync"

	"mapiscope/assoc"
	"mapiscope/flows"
)

// Frames travel to shards in batches, so that a channel operation and a
// wake-up are paid once for a few hundred frames. A few batches fit into the
// second level cache of a processor.
const (
	batchFrames = 512
	batchBytes  = 128 << 10
	queueLength = 4               // batches on the way to one shard; more only cost memory
	batches     = queueLength + 2 // of one shard: those, one that is filled and one that is worked off
)

// batch is a run of frames for one shard. The bytes of all frames lie in one
// buffer that is reused with the batch.
type batch struct {
	frames []flows.Frame
	kinds  []flows.Kind
	buf    []byte
	rest   *rest // not nil: no frames, the shard rests
}

// rest lets shards stand still while somebody else looks at what they own.
type rest struct {
	arrived sync.WaitGroup
	over    chan struct{}
}

// dispatcher spreads frames over shards by host pair, because one EMSMDB
// session spans several TCP connections between the same two hosts. A single
// shard works in the reader's goroutine: one worker is one processor, and
// nothing is copied.
type dispatcher struct {
	shards []*shard
	free   chan *batch
	made   int // batches
	wg     sync.WaitGroup
}

type shard struct {
	in     chan *batch // nil: the only shard
	next   *batch
	linker *assoc.Linker // the shard's own, except while it rests
	out    *assoc.Result
}

// newDispatcher starts the shards; config returns what each of them runs with.
func newDispatcher(workers int, config func() assoc.Config) *dispatcher {
	if workers == 1 {
		return &dispatcher{shards: []*shard{{linker: assoc.NewLinker(config())}}}
	}
	d := &dispatcher{free: make(chan *batch, workers*batches), made: workers}
	for range workers {
		s := &shard{in: make(chan *batch, queueLength), next: newBatch(), linker: assoc.NewLinker(config())}
		d.shards = append(d.shards, s)
		d.wg.Add(1)
		go func() {
			defer d.wg.Done()
			s.out = d.work(s.in, s.linker)
		}()
	}
	return d
}

func newBatch() *batch {
	return &batch{
		frames: make([]flows.Frame, 0, batchFrames), kinds: make([]flows.Kind, 0, batchFrames),
		buf: make([]byte, 0, batchBytes),
	}
}

// work runs one shard until its input is closed.
func (d *dispatcher) work(in <-chan *batch, l *assoc.Linker) *assoc.Result {
	for b := range in {
		if b.rest != nil {
			b.rest.arrived.Done()
			<-b.rest.over
			continue
		}
		for i := range b.frames {
			l.Frame(&b.frames[i], b.kinds[i])
		}
		b.frames, b.kinds, b.buf = b.frames[:0], b.kinds[:0], b.buf[:0]
		d.free <- b // has room for every batch
	}
	return l.Close()
}

// frame copies f into the batch of its shard.
func (d *dispatcher) frame(f *flows.Frame, kind flows.Kind) {
	if len(d.shards) == 1 {
		d.shards[0].linker.Frame(f, kind)
		return
	}
	s := d.shards[f.HostPair()%uint64(len(d.shards))]
	need := len(f.Payload) + len(f.Options)
	if len(s.next.frames) == batchFrames || len(s.next.buf)+need > cap(s.next.buf) && len(s.next.frames) > 0 {
		d.flush(s)
	}
	b := s.next
	b.frames = append(b.frames, *f)
	b.kinds = append(b.kinds, kind)
	g := &b.frames[len(b.frames)-1]
	if need > cap(b.buf)-len(b.buf) {
		// One frame larger than a whole batch: it gets a buffer of its own.
		g.Payload = append([]byte(nil), f.Payload...)
		g.Options = append([]byte(nil), f.Options...)
		return
	}
	g.Payload = b.keep(f.Payload)
	g.Options = b.keep(f.Options)
}

// keep copies p into the batch's buffer, which has room for it.
func (b *batch) keep(p []byte) []byte {
	at := len(b.buf)
	b.buf = append(b.buf, p...)
	return b.buf[at:len(b.buf):len(b.buf)]
}

func (d *dispatcher) flush(s *shard) {
	s.in <- s.next
	if len(d.free) == 0 && d.made < cap(d.free) {
		d.made++
		s.next = newBatch()
		return
	}
	s.next = <-d.free
}

// pause sends what is left and calls f when every shard has worked it off and
// stands still.
func (d *dispatcher) pause(f func()) {
	if len(d.shards) == 1 {
		f()
		return
	}
	r := &rest{over: make(chan struct{})}
	r.arrived.Add(len(d.shards))
	for _, s := range d.shards {
		if len(s.next.frames) > 0 {
			d.flush(s)
		}
		s.in <- &batch{rest: r}
	}
	r.arrived.Wait()
	f()
	close(r.over)
}

// close sends what is left, waits for the shards and returns their results.
func (d *dispatcher) close() []*assoc.Result {
	if len(d.shards) == 1 {
		return []*assoc.Result{d.shards[0].linker.Close()}
	}
	for _, s := range d.shards {
		d.flush(s)
		close(s.in)
	}
	d.wg.Wait()
	parts := make([]*assoc.Result, len(d.shards))
	for i, s := range d.shards {
		parts[i] = s.out
	}
	return parts
}
