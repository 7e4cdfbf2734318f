package screen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/term"
)

// grace is how long a terminal that takes nothing is waited for once the
// screen is to end.
const grace = time.Second

// Errors of a terminal.
var (
	errStuck = errors.New("the terminal takes no output")
	errGone  = errors.New("the terminal was closed")
)

// writer writes to a terminal in a goroutine of its own, so that one that
// takes nothing, a connection that hangs for example, holds up nobody who
// waits for the end.
type writer struct {
	frames  chan []byte
	results chan error
	fail    func(error)     // is told of the first error
	given   context.Context // ends when the terminal is given up
}

// newWriter starts the goroutine, which ends after close.
func newWriter(out io.Writer, given context.Context, fail func(error)) *writer {
	w := &writer{frames: make(chan []byte), results: make(chan error, 1), fail: fail, given: given}
	go func() {
		for frame := range w.frames {
			_, err := out.Write(frame)
			w.results <- err
		}
	}()
	return w
}

// Write waits until all is written or the terminal is given up.
func (w *writer) Write(b []byte) (int, error) {
	if w.given.Err() != nil {
		return 0, errStuck
	}
	select {
	case w.frames <- bytes.Clone(b): // the goroutine may outlive the call
	case <-w.given.Done():
		return 0, errStuck
	}
	select {
	case err := <-w.results:
		if err != nil {
			w.fail(err)
			return 0, err
		}
		return len(b), nil
	case <-w.given.Done():
		return 0, errStuck
	}
}

func (w *writer) close() { close(w.frames) }

// file is what an input or output has to be for its modes and its size.
type file interface {
	io.ReadWriteCloser
	Fd() uintptr
	Name() string
}

// terminal is a file that is written to by a writer.
type terminal struct {
	file
	*writer
}

// Write is that of the writer.
func (t terminal) Write(b []byte) (int, error) { return t.writer.Write(b) }

// keyboard is a terminal that is read from; the end of it is an error.
type keyboard struct {
	file
	fail func(error)
}

// Read is that of the file.
func (k keyboard) Read(b []byte) (int, error) {
	n, err := k.file.Read(b)
	if err == io.EOF {
		k.fail(errGone)
	}
	return n, err
}

// isTerminal reports whether something is a terminal.
func isTerminal(x any) (file, bool) {
	f, ok := x.(file)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// keepModes returns a function that sets the modes of a terminal back to what
// they are.
func keepModes(f file) (func() error, error) {
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	return func() error { return term.Restore(fd, state) }, nil
}
