//go:build unix

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
)

// process is the command as a process of its own in the middle of a capture
// that comes through a pipe and has no end.
type process struct {
	*exec.Cmd
	stdin  io.WriteCloser
	stdout bytes.Buffer
	stderr *bufio.Reader
}

// start returns when the child is known to read.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := exec.LookPath("mapiscope") // TestMain has put it there
	if err != nil {
		t.Fatal(err)
	}
	c := &process{Cmd: exec.Command(path, args...)}
	c.Stdout = &c.stdout
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stderr = bufio.NewReader(stderr)
	if c.stdin, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	// More than a pipe and a reader's buffer hold: once it is written, some
	// packets were read. They are few and large, so that the child then waits
	// for more before it looks for interrupts again.
	s := pcaptest.New(morning)
	s.Dial(client+":1066", exchange+":"+portMAPI, pcaptest.MSS(9000)).Client(make([]byte, 3<<20))
	capture := s.Pcap()
	if _, err := c.stdin.Write(capture); err != nil {
		t.Fatal(err)
	}
	return c
}

// interrupt sends an interrupt and returns the line that answers it.
func (c *process) interrupt(t *testing.T) string {
	t.Helper()
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	line, err := c.stderr.ReadString('\n')
	if err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return line
}

const answer = "mapiscope: interrupted: the result covers what was read; interrupt again to end at once\n"

func TestInterrupt(t *testing.T) {
	c := start(t, "report", "-o", "json", "-")
	if line := c.interrupt(t); line != answer {
		t.Errorf("says %q", line)
	}
	rest, err := io.ReadAll(c.stderr)
	if err != nil {
		t.Fatal(err)
	}
	if says := string(rest); !strings.HasPrefix(says, "mapiscope: -: not read to its end: interrupt") || strings.Count(says, "\n") != 1 {
		t.Errorf("says %q", says)
	}
	_ = c.Wait()
	if status := c.ProcessState.ExitCode(); status != statusDamaged {
		t.Errorf("status %d", status)
	}
	var doc document.Document
	if err := json.Unmarshal(c.stdout.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Captures[0].Error == nil || doc.Totals.Packets == 0 || doc.Totals.TCPConnections == 0 {
		t.Errorf("%+v", doc.Captures[0])
	}
}

// TestEndWhileWaiting: the first signal ends a job that waits for a pipe,
// whatever it waits for, and what was read is the result.
func TestEndWhileWaiting(t *testing.T) {
	dir := t.TempDir()
	fifo, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "file.pcap")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s := pcaptest.New(morning)
	lookup(s)
	capture := s.Pcap()
	if err := os.WriteFile(file, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	if _, err := z.Write(capture); err != nil {
		t.Fatal(err)
	}
	if err := z.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		opened bool   // the pipe has somebody who writes
		sent   []byte // and what he does
		args   []string
		want   string // on standard output
	}{
		{"nobody writes", false, nil, []string{"report", fifo}, "0 TCP connections"},
		{"nothing is written", true, nil, []string{"report", fifo}, "0 TCP connections"},
		{"half a header", true, capture[:10], []string{"report", fifo}, "0 TCP connections"},
		{"half a packet", true, capture[:len(capture)-5], []string{"report", fifo}, "1 TCP connection"},
		{"all packets and no end", true, capture, []string{"report", "-o", "csv", fifo}, "10.1.0.5,"},
		{"compressed", true, small.Bytes(), []string{"report", "-o", "json", fifo}, `"tcp_connections": 1,`},
		{"beside a file", true, capture, []string{"report", file, fifo}, "1 TCP connection"},
		{"behind a file that is not opened", false, nil, []string{"report", file, fifo}, "0 TCP connections"},
		{"log", true, capture, []string{"log", "--style", "jsonl", fifo}, `"event":"connection_start"`},
		{"why", true, capture, []string{"why", "1", fifo}, "connection 1"},
		{"why without a connection", false, nil, []string{"why", "1", fifo}, ""},
		{"show", true, capture, []string{"show", "statistics", "accelerator", "mapi", fifo}, "Global Statistics"},
		{"compare", false, nil, []string{"compare", "--edge", fifo, "--core", file}, ""},
		{"compare without sides", false, nil, []string{"compare", fifo, fifo}, ""},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(row.name+"/"+signal.String(), func(t *testing.T) {
				t.Parallel()
				fifo, args := fifo, slices.Clone(row.args)
				own := filepath.Join(t.TempDir(), "fifo")
				if err := syscall.Mkfifo(own, 0o600); err != nil {
					t.Fatal(err)
				}
				for i := range args {
					if args[i] == fifo {
						args[i] = own
					}
				}
				c := exec.Command("mapiscope", append([]string{"--progress", "never"}, args...)...)
				var stdout, stderr bytes.Buffer
				c.Stdout, c.Stderr = &stdout, &stderr
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				defer c.Process.Kill()
				if row.opened {
					w, err := os.OpenFile(own, os.O_WRONLY, 0) // waits until it is read
					if err != nil {
						t.Fatal(err)
					}
					defer w.Close()
					if _, err := w.Write(row.sent); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(500 * time.Millisecond) // it waits now
				if err := c.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				late := time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() })
				_ = c.Wait()
				late.Stop()
				if status := c.ProcessState.ExitCode(); status != statusDamaged {
					t.Errorf("status %d (%v): %s", status, c.ProcessState, &stderr)
				}
				if !strings.HasPrefix(stderr.String(), answer) || !strings.Contains(stderr.String(), own+": not read to its end: ") {
					t.Errorf("says %s", &stderr)
				}
				if !strings.Contains(stdout.String(), row.want) {
					t.Errorf("no %q in %s", row.want, &stdout)
				}
			})
		}
	}
}
