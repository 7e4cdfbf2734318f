//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"mapiscope/internal/account"
	"mapiscope/internal/pcaptest"
)

// process is the command as a process of its own in the middle of a capture
// that comes through a pipe and has no end.
type process struct {
	*exec.Cmd
	stdin  io.WriteCloser
	stdout bytes.Buffer
	stderr *bufio.Reader
	record []byte // packets to go on with
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
	c.record = capture[len(pcaptest.New(morning).Pcap()):]
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
	for {
		if _, err := c.stdin.Write(c.record); err != nil {
			break // it reads no more
		}
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
	var doc account.Document
	if err := json.Unmarshal(c.stdout.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Captures[0].Error == nil || doc.Totals.Packets == 0 || doc.Totals.TCPConnections == 0 {
		t.Errorf("%+v", doc.Captures[0])
	}
}

// TestInterruptTwice: the second interrupt ends a job that waits for input.
func TestInterruptTwice(t *testing.T) {
	c := start(t, "report", "-")
	if line := c.interrupt(t); line != answer {
		t.Errorf("says %q", line)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if s := c.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGINT {
		t.Errorf("ended with %v", c.ProcessState)
	}
}
