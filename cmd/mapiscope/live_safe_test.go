//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
)

// TestLiveTwoJobs: a second job with the log of the first refuses to start and
// touches nothing.
func TestLiveTwoJobs(t *testing.T) {
	pcaptest.Namespace(t)
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept.pcapng")
	args := []string{"-i", pcaptest.CableFar, "--interval", "100ms", "--log", dir, "--keep", "1", "--log-style", "syslog"}
	a := startLive(t, args...)
	a.send(t, "../../pcaps/outlook-start.pcap")
	a.await(t, " EMSMDB")
	for _, row := range []struct {
		name, want string
		args       []string
	}{
		{"the log", "mapiscope: --log: " + dir + ": another job writes these files", args},
		{"the log, other styles", "mapiscope: --log: " + dir + ": another job writes these files", args[:len(args)-2]},
	} {
		var stdout, stderr bytes.Buffer
		b := exec.Command("mapiscope", append([]string{"live"}, row.args...)...)
		b.Stdout, b.Stderr = &stdout, &stderr
		_ = b.Run()
		if status := b.ProcessState.ExitCode(); status != statusInput || !strings.HasPrefix(stderr.String(), row.want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: status %d, says %q", row.name, status, &stderr)
		}
	}
	c := startLive(t, "-i", pcaptest.CableFar, "--interval", "100ms", "--log", filepath.Join(dir, "own"), "--write", kept)
	c.interrupt(t)
	c.end(t, 0)
	a.await(t, " packets (")
	a.interrupt(t)
	a.end(t, 0)
	if n := kinds(lines(t, filepath.Join(dir, "events-*.jsonl"), false)); n["bind"] == 0 {
		t.Errorf("events are %v", n)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("there is still %v, %v", left, err)
	}
}

// TestLivePlanted: a job whose file is a pipe, or a link to another's, says so
// and starts nothing; it neither waits nor writes there.
func TestLivePlanted(t *testing.T) {
	pcaptest.Namespace(t)
	for _, row := range []struct {
		name, path string
		plant      func(path, victim string) error
	}{
		{"a link", "kept.pcapng", func(path, victim string) error { return os.Symlink(victim, path) }},
		{"a link in the place of the temporary file", "kept.pcapng.part", func(path, victim string) error { return os.Symlink(victim, path) }},
		{"a pipe", "kept.pcapng", func(path, _ string) error { return syscall.Mkfifo(path, 0o666) }},
		{"a pipe in the place of the temporary file", "kept.pcapng.part", func(path, _ string) error { return syscall.Mkfifo(path, 0o666) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			victim := filepath.Join(dir, "victim")
			if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := row.plant(filepath.Join(dir, row.path), victim); err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			c := exec.Command("mapiscope", "live", "-i", "lo", "--duration", "1s", "--write", filepath.Join(dir, "kept.pcapng"))
			c.Stderr = &stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() })
			_ = c.Wait()
			late.Stop()
			if status := c.ProcessState.ExitCode(); status != statusInput || !strings.Contains(stderr.String(), row.path) {
				t.Errorf("status %d, says %q", status, &stderr)
			}
			if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
				t.Errorf("the file behind the link is %.50q, %v", b, err)
			}
		})
	}
}

// TestLiveLosesAnInterval kills a job under load: what happened is in the log
// but for the last interval.
func TestLiveLosesAnInterval(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds")
	}
	const interval, pace = time.Second, 10 * time.Millisecond
	pcaptest.Namespace(t)
	dir := t.TempDir()
	j := startLive(t, "-i", pcaptest.CableFar, "--interval", interval.String(), "--log", dir)
	load := framesOf(t, "../../pcaps/gm_mapi_two_sessions.pcap")
	sent, begun := 0, time.Now()
	for i := 0; time.Since(begun) < 6*time.Second; i++ {
		s := pcaptest.New(morning) // a connection that nobody saw before
		epm := s.Dial(fmt.Sprintf("10.1.%d.%d:1065", i/250, i%250+1), exchange+":"+portEPM)
		epm.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
		epm.Server(pcaptest.BindAck(0x0001e100, portEPM, pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
		path := s.WriteFile(t, "new.pcap")
		for _, f := range framesOf(t, path) {
			j.sender.Send(t, f)
		}
		for end := time.Now().Add(pace); time.Now().Before(end); {
			for _, f := range load {
				j.sender.Send(t, f)
			}
			sent += len(load)
		}
	}
	killed := time.Now()
	if err := j.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f packets a second", float64(sent)/killed.Sub(begun).Seconds())
	_ = j.Wait()
	var last time.Time
	for _, e := range lines(t, filepath.Join(dir, "events-*.jsonl"), true) {
		at, err := time.Parse(time.RFC3339Nano, e["time"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if at.After(last) {
			last = at
		}
	}
	t.Logf("the last event came %v before the kill", killed.Sub(last))
	if lost := killed.Sub(last); lost > interval+3*time.Second { // a busy machine is late; without a view all six are lost
		t.Errorf("%v are lost", lost)
	}
}
