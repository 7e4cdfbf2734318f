package sink

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// The time between two tries of a sink that fails.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
	retryLast  = 100 * time.Millisecond // at most, once Close waits
	// hung is how long Close waits at its deadline for a write that does not
	// return.
	hung = time.Second
	// look is the longest time between two looks at the clock: it may be set.
	look = time.Minute
)

// source is the queue in front of a core.
type source interface {
	// fill moves records into the spool, a chunk at most, and tells how many it
	// took. They keep their places in the queue.
	fill(s *spool) taken
	// release frees the places of what fill took and returns how many records
	// are left; the core holds its lock.
	release(n int64) int64
}

// taken counts the records that fill took.
type taken struct {
	records     int64
	empty       int64 // of these, without any bytes
	unformatted int64 // of these, that could not be formatted
	err         error // of the last of these
}

// core is what a Log and a Ring have in common: the goroutine that writes.
type core struct {
	config  Config
	source  source
	files   *files
	spool   spool         // the goroutine's
	wake    chan struct{} // room for one
	done    chan struct{} // the goroutine has ended
	started time.Time     // of the last try, while the sink fails
	backoff time.Duration // until the next try; 0 while the sink does not fail

	mu        sync.Mutex
	room      sync.Cond // of those who wait for room in the queue
	waiting   int
	idle      bool // the goroutine wants to be woken for a record
	closed    bool // no more records
	abandoned bool // nothing more is written
	rotate    bool // asked for
	stats     Stats
	left      int64 // records lost at the end
}

// start begins the first file and the goroutines.
func (c *core) start(source source, f *files) error {
	c.source, c.files = source, f
	c.wake, c.done = make(chan struct{}, 1), make(chan struct{})
	c.room.L = &c.mu
	c.spool.limit = c.config.SpoolBytes
	if err := f.begin(c.config.Now()); err != nil {
		f.disk.close()
		return err
	}
	f.keeper.start()
	go c.run()
	return nil
}

// wait is called with the lock held by who found no room. It returns true
// when there may be some, false when the record is lost.
func (c *core) wait() bool {
	if c.config.WhenFull == Drop || c.abandoned {
		c.stats.Lost++
		return false
	}
	c.waiting++
	c.room.Wait()
	c.waiting--
	if c.abandoned {
		c.stats.Lost++
	}
	return !c.abandoned
}

// refuse tells, with the lock held, that records are no longer taken, and
// counts this one as lost.
func (c *core) refuse() bool {
	if c.closed {
		c.stats.Lost++
	}
	return c.closed
}

// arrived tells the goroutine, with the lock held, of a record.
func (c *core) arrived() {
	if c.idle {
		c.rouse()
	}
}

func (c *core) rouse() {
	c.idle = false
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Rotate finishes the file that is being written, soon, and begins another
// with the next record. A sink that fails is tried at once.
func (c *core) Rotate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rotate = true
	c.rouse()
}

// Close takes no more records, writes those that wait and finishes the file.
// It goes on trying until the context ends; then what is not written is lost,
// and the error says how much that is and why. Records of those who still
// wait for room are then lost, too.
func (c *core) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.rouse()
	c.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.mu.Lock()
		if !c.abandoned {
			c.abandoned = true
			c.left = int64(c.waiting) // who waits counts itself
		}
		c.room.Broadcast()
		c.rouse()
		c.mu.Unlock()
		select {
		case <-c.done:
		case <-time.After(hung):
		}
	}
	c.files.keeper.close(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.left
	select {
	case <-c.done:
		c.files.disk.close()
	default: // a write that hangs
		left += c.source.release(0) + c.stats.Spooled
	}
	if left > 0 {
		return fmt.Errorf("%d records are lost: %s", left, cmp.Or(c.stats.Failing, "writing them takes too long"))
	}
	return nil
}

// state is what the goroutine does next.
type state uint8

const (
	again state = iota
	turn        // to the next file
	pause       // until something happens
	finish
)

func (c *core) run() {
	defer close(c.done)
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		took := c.source.fill(&c.spool)
		now := c.config.Now()
		wrote, err := c.write(now)
		switch c.settle(took, wrote, err) {
		case turn:
			c.files.rotate()
			c.backoff = min(c.backoff, 1)
		case pause:
			timer.Reset(c.nap(now))
			select {
			case <-c.wake:
			case <-timer.C:
			}
		case finish:
			c.files.close()
			return
		}
	}
}

// write writes the oldest chunk, when it is time, and keeps the books of a
// sink that fails. It returns how many records it wrote.
func (c *core) write(now time.Time) (int64, error) {
	c.files.tick(now)
	if c.spool.empty() || c.spool.line[0].left() == 0 {
		return 0, nil
	}
	if since := now.Sub(c.started); c.backoff > 0 && since >= 0 && since < c.backoff {
		return 0, nil
	}
	first := c.spool.line[0]
	before := first.done
	err := c.files.write(first, now)
	wrote := first.done - before
	if first.left() == 0 {
		c.spool.free.put(c.spool.pop())
	}
	if c.started = now; err == nil {
		c.backoff = 0
	} else if wrote > 0 {
		c.backoff = retryFirst
	} else {
		c.backoff = min(max(2*c.backoff, retryFirst), retryMost)
	}
	return int64(wrote), err
}

// settle enters what was done into the books and tells how to go on.
func (c *core) settle(took taken, wrote int64, err error) state {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	queued := c.source.release(took.records)
	if took.records > 0 && c.waiting > 0 {
		c.room.Broadcast()
	}
	s.Written += wrote + took.empty
	s.Unformatted += took.unformatted
	if took.err != nil {
		s.FormatError = took.err.Error()
	}
	s.Spooled = c.spool.records()
	switch {
	case err != nil:
		s.Failing = err.Error()
	case c.backoff == 0:
		s.Failing = ""
	}
	s.File = c.files.path()

	room := c.spool.room()
	switch {
	case c.abandoned, c.closed && queued == 0 && s.Spooled == 0 && c.waiting == 0:
		c.left += queued + s.Spooled
		s.Lost += queued + s.Spooled
		s.Spooled, s.File = 0, ""
		c.source.release(queued)
		return finish
	case c.rotate:
		c.rotate = false
		return turn
	case c.backoff == 0 && s.Spooled > 0, room && queued > 0:
		return again
	case c.closed:
		c.backoff = min(c.backoff, retryLast)
	}
	c.idle = room
	return pause
}

// nap is how long the goroutine may sleep.
func (c *core) nap(now time.Time) time.Duration {
	d := look
	if c.backoff > 0 {
		d = min(d, c.backoff-now.Sub(c.started))
	}
	if end, ok := c.files.ends(); ok {
		d = min(d, end.Sub(now.Round(0)))
	}
	return max(d, time.Millisecond)
}
