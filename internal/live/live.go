package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/run"
	"mapiscope/pcaps"
)

// Source gives the packets of a live job: a pcaps.Live, a pcaps.Stream, or what
// stands in for one.
type Source interface {
	// Next returns pcaps.ErrIdle when nothing came for a while, and io.EOF
	// after Stop, when all that had been captured is given out.
	Next(*pcaps.Packet) error
	Capture() pcaps.Capture
	Stop()
}

// Config says what a live job does.
type Config struct {
	Analysis run.Config
	Interval time.Duration // between two views
	// Keep is how many ended connections stay in the documents (in all); the
	// oldest go first, and their counts stay.
	Keep int

	Duration time.Duration // after which the job ends by itself; 0 for none
	Count    int64         // packets after which it does; 0 for none

	Now func() time.Time

	// Each of these may be nil. All are called by the goroutine that calls Run,
	// between packets.

	Packet func(*pcaps.Packet) // takes each packet that is analysed, valid during the call
	View   func(View)          // takes each view, the last one of the whole job
	Log    func(*Batch)        // takes what became final with each view
	Queue  func() Queue        // tells how the log does

	MemoryLimit int64 // for Status
}

// checkEvery is how many packets pass between two looks at the clock.
const checkEvery = 256

// Run analyses the packets of a source until it ends, ctx ends, or a bound of
// the configuration is reached, and returns what was found. Once ctx has ended
// it takes what had been captured until then. An error of the source is
// returned with the document.
func Run(ctx context.Context, src Source, c Config) (*document.Document, error) {
	j := &job{Config: c, src: src, engine: run.NewEngine(c.Analysis), begun: c.Now(), known: newRegister()}
	j.due, j.rated = j.begun.Add(c.Interval), j.begun
	err := j.read(ctx)
	doc := j.engine.Close(j.captures())
	j.tell(c.Now(), doc, true)
	return doc, err
}

// job is a live job that runs.
type job struct {
	Config
	src     Source
	engine  *run.Engine
	begun   time.Time
	due     time.Time // of the next view
	packets int64
	known   *register

	rated time.Time // when rates were last taken
	last  []Interface
}

func (j *job) captures() []pcaps.Capture { return []pcaps.Capture{j.src.Capture()} }

func (j *job) read(ctx context.Context) error {
	done := ctx.Done()
	var p pcaps.Packet
	for {
		err := j.src.Next(&p)
		switch {
		case err == nil:
			j.engine.Packet(&p)
			if j.Packet != nil {
				j.Packet(&p)
			}
			j.packets++
			if j.packets == j.Count {
				j.src.Stop()
				return nil
			}
		case errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, pcaps.ErrIdle):
			return fmt.Errorf("the capture ended: %w", err)
		}
		if err == nil && j.packets%checkEvery != 0 {
			continue
		}
		select {
		case <-done:
			j.src.Stop()
			done = nil
		default:
		}
		now := j.Now()
		if j.Duration > 0 && now.Sub(j.begun) >= j.Duration {
			j.src.Stop()
		}
		if !now.Before(j.due) {
			j.view(now)
		}
	}
}

// view takes a document and tells everybody.
func (j *job) view(now time.Time) {
	j.tell(now, j.engine.Snapshot(j.captures(), j.Keep), false)
	// Where views take as long as the interval they come later, so that a third
	// of the time at least is left for the packets.
	j.due = now.Add(j.Interval)
	after := j.Now()
	if next := after.Add(after.Sub(now) / 2); j.due.Before(next) {
		j.due = next
	}
}

func (j *job) tell(now time.Time, doc *document.Document, final bool) {
	batch := j.known.take(doc, final)
	batch.Status = j.status(now, doc)
	if j.View != nil {
		j.View(View{Status: batch.Status, Doc: doc})
	}
	if j.Log != nil { // it may wait for room
		j.Log(batch)
	}
}
