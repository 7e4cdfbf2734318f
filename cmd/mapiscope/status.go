package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"mapiscope/internal/document"
	"mapiscope/internal/escape"
	"mapiscope/pcaps"
)

// The exit statuses. A damaged input outranks a finding: what the findings
// say is then not the whole truth.
const (
	statusDone    = 0
	statusFinding = 1 // a finding at or above --fail-on stands, or with --fail-on-unknown the answer is not known
	statusUsage   = 2
	statusInput   = 3 // an input cannot be opened or is no capture; also: the result cannot be written
	statusDamaged = 4 // an input ended early or was damaged
)

// app is one run of the command.
type app struct {
	stdin  io.Reader
	stdout io.Writer   // results
	stderr *syncWriter // everything else, by way of say
	flags  commonFlags
	status int // exit status of a job that was done
}

// say prints a message to standard error, one line marked as ours, whatever
// names of files stand in it.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.stderr, "mapiscope: %s\n", escape.Text(strings.TrimRight(fmt.Sprintf(format, args...), "\n")))
}

// complain says what went wrong, errors that were joined each for itself.
func (a *app) complain(err error) {
	for _, err := range joined(err) {
		a.say("%v", err)
	}
}

// joined returns the errors that errors.Join made one of, or the one.
func joined(err error) []error {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) || errors.Join(several.Unwrap()...).Error() != err.Error() {
		return []error{err}
	}
	var all []error
	for _, one := range several.Unwrap() {
		all = append(all, joined(one)...)
	}
	return all
}

// failure is an error that ends the command with a status of its own.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usageError is an error of the person who typed the command.
func usageError(format string, args ...any) error {
	return &failure{statusUsage, fmt.Errorf(format, args...)}
}

// statusOf returns the exit status of an error. What is no error of an input
// is one of the command line: cobra's errors have no type.
func statusOf(err error) int {
	var f *failure
	var open *pcaps.OpenError
	switch {
	case errors.As(err, &f):
		return f.status
	case errors.As(err, &open):
		return statusInput
	}
	return statusUsage
}

// statusOfDocument returns the exit status of a job that was done.
func statusOfDocument(doc *document.Document, failOn string) int {
	for i := range doc.Captures {
		if doc.Captures[i].Error != nil {
			return statusDamaged
		}
	}
	n := doc.Totals.Findings
	above := map[string]int64{"info": n.Info + n.Warning + n.Error, "warning": n.Warning + n.Error, "error": n.Error}
	if above[failOn] > 0 {
		return statusFinding
	}
	return statusDone
}

// statusOf returns the exit status of a job that was done, as the flags ask.
func (f *commonFlags) statusOf(doc *document.Document) int {
	status := statusOfDocument(doc, f.failOn.value)
	if status == statusDone && f.failOnUnknown && unknown(doc) {
		return statusFinding
	}
	return status
}

// unknown reports whether a document leaves open whether anything escaped, or
// rests on captures that do not hold what they should.
func unknown(doc *document.Document) bool {
	switch doc.Assessment.Escape.State {
	case "possible", "not_assessable", "": // "" is a document of an older release
		return true
	}
	switch doc.Assessment.Capture.State {
	case "contradictory", "incomplete":
		return true
	}
	return false
}

// syncWriter lets several goroutines write whole messages.
type syncWriter struct {
	mu   sync.Mutex
	w    io.Writer
	held bool
	kept []byte // while it is held
}

func (s *syncWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		s.kept = append(s.kept, b[:min(len(b), maxKept-len(s.kept))]...)
		return len(b), nil
	}
	return s.w.Write(b)
}

// maxKept bounds the messages that are kept while the writer is held.
const maxKept = 1 << 20

// hold keeps what is written until release.
func (s *syncWriter) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

func (s *syncWriter) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.w.Write(s.kept) // nobody is left to tell
	s.held, s.kept = false, nil
}

// terminal returns the file behind w if it is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	if s, ok := w.(*syncWriter); ok {
		w = s.w
	}
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}
