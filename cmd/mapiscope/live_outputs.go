package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"mapiscope/internal/live"
	"mapiscope/internal/livelog"
	"mapiscope/internal/metrics"
	"mapiscope/internal/report"
	"mapiscope/internal/screen"
	"mapiscope/internal/sink"
	"mapiscope/pcaps"
)

// drainTime is how long the end of a live job waits for logs and packets to be
// written.
const drainTime = 20 * time.Second

// outputs are where a live job goes while it runs. Each may be absent.
type outputs struct {
	app     *app
	log     *livelog.Log
	ring    *sink.Ring
	metrics *metrics.Server
	screen  *screen.Program
	keys    io.Reader     // that the screen reads
	records *bufio.Writer // standard output, with -o jsonl
	failed  error         // why records can no longer be written
	stop    context.CancelCauseFunc
	close   func() error // ends log, ring and metrics; the error says what was lost
}

// openOutputs opens what the flags ask for.
func (a *app) openOutputs(f *liveFlags, c pcaps.Capture, stop context.CancelCauseFunc) (*outputs, error) {
	o := &outputs{app: a, stop: stop}
	o.close = sync.OnceValue(o.end)
	for _, open := range []func() error{
		func() (err error) {
			if f.log == "" {
				return nil
			}
			o.log, err = livelog.Open(livelog.Options{
				Sink: f.sink(), Styles: f.styles.values, Role: roleOf(f.role), Host: f.host, Times: a.flags.location(),
			})
			return named("--log", err)
		},
		func() (err error) {
			if f.write == "" {
				return nil
			}
			o.ring, err = sink.OpenRing(f.ring(c))
			return named("--write", err)
		},
		func() (err error) {
			if f.metrics == "" {
				return nil
			}
			v := version()
			o.metrics, err = metrics.Listen(f.metrics, metrics.Options{
				Now: time.Now, Start: time.Now(), StaleAfter: max(10*f.every(a.screened(f)), 30*time.Second),
				Version: v.Version, Revision: v.Revision, GoVersion: v.Go,
			})
			if err == nil {
				a.say("metrics at http://%s/metrics", o.metrics.Addr())
			}
			return named("--metrics", err)
		},
	} {
		if err := open(); err != nil {
			_ = o.close() // nothing is in it yet
			return nil, &failure{statusInput, err}
		}
	}
	if a.flags.output.value == jsonLines {
		o.records = bufio.NewWriterSize(a.stdout, 64<<10)
	}
	if a.screened(f) {
		o.keys = a.keyboard(f)
		o.screen = screen.NewProgram(screen.Options{Color: a.colored(), Location: a.flags.location()})
	}
	return o, nil
}

// screened says whether the screen is to be shown.
func (a *app) screened(f *liveFlags) bool {
	switch f.screen.value {
	case "always":
		return true
	case "never":
		return false
	}
	return a.interactive(f) && a.flags.output.value == "text" && os.Getenv("TERM") != "dumb"
}

// interactive reports whether the keyboard and the output are a terminal.
func (a *app) interactive(f *liveFlags) bool {
	_, writes := terminal(a.stdout)
	return writes && a.keyboard(f) != nil
}

// keyboard returns the terminal that keys come from, nil for none: the standard
// input, or where packets come through that the terminal of the process.
func (a *app) keyboard(f *liveFlags) io.Reader {
	if f.read != "-" {
		in, _ := a.stdin.(io.Writer)
		if tty, ok := terminal(in); ok {
			return tty
		}
		return nil
	}
	if f.tty == nil {
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err != nil {
			return nil
		}
		f.tty = tty // until the process ends
	}
	return f.tty
}

func named(flag string, err error) error {
	if err == nil {
		return nil
	}
	all := joined(err)
	for i := range all {
		all[i] = fmt.Errorf("%s: %w", flag, all[i])
	}
	return errors.Join(all...)
}

func (o *outputs) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var errs []error
	if o.ring != nil {
		errs = append(errs, named("--write", o.ring.Close(ctx)))
	}
	if o.log != nil {
		errs = append(errs, named("--log", o.log.Close(ctx)))
	}
	if o.metrics != nil {
		_ = o.metrics.Close(ctx) // whoever still asks is cut off
	}
	return errors.Join(errs...)
}

// packet returns what takes each packet of a source, nil for nobody.
func (o *outputs) packet(src live.Source) func(*pcaps.Packet) {
	if o.ring == nil {
		return nil
	}
	known := int32(len(src.Capture().Interfaces))
	return func(p *pcaps.Packet) {
		if p.Interface >= known { // a pipe tells of them as it goes
			c := src.Capture()
			known = int32(len(c.Interfaces))
			o.ring.Describe([]pcaps.Capture{c})
		}
		o.ring.WritePacket(p)
	}
}

// rotate begins new files and reports whether there are any.
func (o *outputs) rotate() bool {
	if o.log != nil {
		o.log.Rotate()
	}
	if o.ring != nil {
		o.ring.Rotate()
	}
	return o.log != nil || o.ring != nil
}

// queue is the state of the log and of the packets that are kept, together.
func (o *outputs) queue() live.Queue {
	var q live.Queue
	if o.log != nil {
		q = o.log.Queue()
	}
	if o.ring != nil {
		s := o.ring.Stats()
		q.Waiting += s.Waiting
		q.Written += s.Written
		q.Lost += s.Lost + s.Unformatted
		q.Spooled += s.Spooled
		if q.Failing == "" {
			q.Failing = s.Failing
		}
	}
	return q
}

// view takes each view.
func (o *outputs) view(v live.View) {
	if o.metrics != nil {
		o.metrics.Set(v)
	}
	if o.screen != nil {
		o.screen.Send(v)
	}
}

// take takes what became final with each view.
func (o *outputs) take(b *live.Batch) {
	if o.log != nil {
		o.log.Take(b)
	}
	if o.records != nil && o.failed == nil {
		o.stream(b)
	}
	if o.screen == nil {
		for _, line := range news(b) {
			o.app.say("%s", line)
		}
	}
}

// stream prints the records of a batch. Where nobody reads them any more the
// job ends.
func (o *outputs) stream(b *live.Batch) {
	r := report.NewRecords(o.records)
	var err error
	livelog.Records(b, func(write func(*report.Records) error) {
		if err == nil {
			err = write(r)
		}
	})
	if err == nil {
		err = o.records.Flush()
	}
	switch {
	case errors.Is(err, syscall.EPIPE):
		o.records = nil
		o.stop(err)
	case err != nil:
		o.failed = &failure{statusInput, fmt.Errorf("the result cannot be written: %w", err)}
		o.stop(o.failed)
	}
}
