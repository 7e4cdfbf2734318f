package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	engine "mapiscope/internal/run"

	"mapiscope/internal/document"
	"mapiscope/pcaps"
)

// config turns the common flags into the description of a job. With
// --max-memory the garbage collector keeps to it too.
func (a *app) config(paths []string) (engine.Config, error) {
	f := &a.flags
	if n := len(f.at); n > 1 && n != len(paths) {
		return engine.Config{}, usageError("--at is given %d times for %s: give it once for all, or once for each", n, count(len(paths), "capture"))
	}
	memory := int64(f.maxMemory)
	if err := engine.CheckMemory(memory); err != nil {
		return engine.Config{}, usageError("--max-memory: %w", err)
	}
	if memory != 0 {
		debug.SetMemoryLimit(memory)
	}
	return engine.Config{
		Paths: paths, Stdin: a.stdin, Filter: f.filter, At: f.at, Sites: f.sites, WAAS: f.waas.value,
		Workers: f.workers.count(), AllConnections: f.allConnections, MaxMemory: memory,
	}, nil
}

// sameSignal is how long a signal that comes again is the same one: a wrapper
// such as timeout sends it to the program and to its group.
const sameSignal = 100 * time.Millisecond

// analyse reads captures as the common flags say. tune, if not nil, changes
// the job before it starts. The first interrupt ends the reading; what was
// read until then is the result. The second one ends the program.
func (a *app) analyse(paths []string, tune func(*engine.Config)) (*document.Document, error) {
	c, err := a.config(paths)
	if err != nil {
		return nil, err
	}
	if tune != nil {
		tune(&c)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	meter := a.meter()
	c.Progress = meter.tell
	said := make(chan struct{})
	quiet := context.AfterFunc(ctx, func() {
		defer close(said)
		meter.close()
		time.Sleep(sameSignal)
		stop()
		a.say("interrupted: the result covers what was read; interrupt again to end at once")
	})
	doc, err := engine.Run(ctx, c)
	meter.close()
	if !quiet() {
		<-said
	}
	if errors.Is(err, pcaps.ErrNoBPF) {
		return nil, usageError("-f: %w", err)
	}
	return doc, err
}

// deliver writes the result of a job, says what was wrong with its inputs and
// sets the exit status.
func (a *app) deliver(doc *document.Document, write func(io.Writer) error) error {
	if err := a.write(write); err != nil {
		return err
	}
	a.damage(doc)
	a.doubt(doc)
	a.status = a.flags.statusOf(doc)
	return nil
}

// wanting is the error of a job whose captures do not have what it was asked
// for. Where one was not read to its end, that is why.
func (a *app) wanting(doc *document.Document, format string, args ...any) error {
	a.damage(doc)
	a.doubt(doc)
	if statusOfDocument(doc, "none") == statusDamaged {
		return &failure{statusDamaged, fmt.Errorf(format, args...)}
	}
	return usageError(format, args...)
}

// damage says what was wrong with the inputs of a job.
func (a *app) damage(doc *document.Document) {
	for i := range doc.Captures {
		switch c := &doc.Captures[i]; {
		case c.Error != nil && c.Format == "":
			a.say("%s: %s; the result covers the others", c.Path, strings.ReplaceAll(*c.Error, "\n", "; "))
		case c.Error != nil:
			a.say("%s: %s; the result covers the %s before", c.Path, strings.ReplaceAll(*c.Error, "\n", "; "), count(c.Packets, "packet"))
		}
	}
}

// doubt says in one line that captures are not what they were said to be, and
// what they look like.
func (a *app) doubt(doc *document.Document) {
	var said []string
	for i := range doc.Findings {
		switch f := &doc.Findings[i]; f.Code {
		case "CAPTURE_PLACE", "CAPTURES_UNRELATED":
			said = append(said, f.Detail)
		}
	}
	if len(said) > 0 {
		a.say("%s; nothing that rests on it is judged", strings.Join(said, "; "))
	}
}

// write gives a buffered standard output to f. A reader that has seen enough
// and went away is no error.
func (a *app) write(f func(io.Writer) error) error {
	w := bufio.NewWriterSize(a.stdout, 64<<10)
	err := f(w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		return &failure{statusInput, fmt.Errorf("the result cannot be written: %w", err)}
	}
	return nil
}
