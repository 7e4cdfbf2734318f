package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mapiscope/internal/document"
	"mapiscope/pcaps"
)

// failing is a standard output that takes some bytes and then fails.
type failing struct {
	room int
	err  error
}

func (s *failing) Write(b []byte) (int, error) {
	if len(b) > s.room {
		n := s.room
		s.room = 0
		return n, s.err
	}
	s.room -= len(b)
	return len(b), nil
}

// TestOutputThatFails: a full disk is told, a reader that went away is not;
// then the exit status is that of the job.
func TestOutputThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sealed.pcap")
	if err := os.WriteFile(path, sealed().Pcap(), 0o666); err != nil {
		t.Fatal(err)
	}
	full := &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
	gone := &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
	tests := []struct {
		name   string
		out    failing
		status int
		says   string
	}{
		{"disk full at once", failing{0, full}, statusInput, "mapiscope: the result cannot be written: write /dev/stdout: no space left on device\n"},
		{"disk full later", failing{30, full}, statusInput, "mapiscope: the result cannot be written: write /dev/stdout: no space left on device\n"},
		{"reader gone at once", failing{0, gone}, statusFinding, ""},
		{"reader gone later", failing{30, gone}, statusFinding, ""},
		{"all well", failing{1 << 20, full}, statusFinding, ""},
	}
	for _, form := range []string{"text", "json", "jsonl", "csv"} {
		for _, tt := range tests {
			t.Run(form+"/"+tt.name, func(t *testing.T) {
				var stderr bytes.Buffer
				status := run([]string{"report", "-o", form, "--fail-on", "warning", path}, strings.NewReader(""), &tt.out, &stderr)
				if status != tt.status || stderr.String() != tt.says {
					t.Errorf("status %d, want %d; says %q, want %q", status, tt.status, stderr.String(), tt.says)
				}
			})
		}
	}
}

func TestStatusOfDocument(t *testing.T) {
	bad := "cut off"
	doc := func(info, warning, errors int64, fails ...*string) *document.Document {
		d := &document.Document{Totals: document.Totals{Findings: document.SeverityTally{Info: info, Warning: warning, Error: errors}}}
		for _, e := range append(fails, nil) {
			d.Captures = append(d.Captures, document.Capture{Error: e})
		}
		return d
	}
	// Status for --fail-on none, info, warning and error.
	tests := []struct {
		name string
		doc  *document.Document
		want [4]int
	}{
		{"no findings", doc(0, 0, 0), [4]int{0, 0, 0, 0}},
		{"info", doc(1, 0, 0), [4]int{0, 1, 0, 0}},
		{"warning", doc(0, 1, 0), [4]int{0, 1, 1, 0}},
		{"error", doc(0, 0, 1), [4]int{0, 1, 1, 1}},
		{"all", doc(2, 2, 2), [4]int{0, 1, 1, 1}},
		{"damaged", doc(0, 0, 0, &bad), [4]int{4, 4, 4, 4}},
		{"damaged, with findings", doc(1, 1, 1, nil, &bad), [4]int{4, 4, 4, 4}},
	}
	for _, tt := range tests {
		for i, failOn := range []string{"none", "info", "warning", "error"} {
			if got := statusOfDocument(tt.doc, failOn); got != tt.want[i] {
				t.Errorf("%s, --fail-on %s: status %d, want %d", tt.name, failOn, got, tt.want[i])
			}
		}
	}
}

func TestStatusOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"usage", usageError("x"), statusUsage},
		{"usage, wrapped", fmt.Errorf("y: %w", usageError("x")), statusUsage},
		{"what cobra says", errors.New("unknown flag: --frob"), statusUsage},
		{"filter", &pcaps.FilterError{Expr: "x", Err: errors.New("y")}, statusUsage},
		{"input", &pcaps.OpenError{Path: "x", Err: fs.ErrNotExist}, statusInput},
		{"output", &failure{statusInput, io.ErrShortWrite}, statusInput},
	}
	for _, tt := range tests {
		if got := statusOf(tt.err); got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSay(t *testing.T) {
	var b bytes.Buffer
	a := &app{stderr: &syncWriter{w: &b}}
	a.say("%s", "one\r\ntwo\n\n")
	a.complain(fmt.Errorf("three\x1b"))
	a.complain(&failure{statusInput, errors.Join(errors.New("four"), errors.Join(errors.New("five"), errors.New("six")))})
	a.complain(fmt.Errorf("seven: %w", errors.Join(errors.New("eight"), errors.New("nine"))))
	want := `mapiscope: one\r\ntwo
mapiscope: three\x1b
mapiscope: four
mapiscope: five
mapiscope: six
mapiscope: seven: eight\nnine
`
	if b.String() != want {
		t.Errorf("%q", b.String())
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1<<20 - 100: "1023.9 KiB", 5 << 30: "5.0 GiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
