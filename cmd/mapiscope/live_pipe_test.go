//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
)

// pipedJob is `mapiscope live -r` as a process.
type pipedJob struct {
	*exec.Cmd
	pipe   io.WriteCloser
	stdout bytes.Buffer
	mu     sync.Mutex
	said   strings.Builder
}

func (j *pipedJob) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.said.Write(b)
}

func (j *pipedJob) says() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.said.String()
}

func startPiped(t *testing.T, args ...string) *pipedJob {
	t.Helper()
	j := &pipedJob{Cmd: exec.Command("mapiscope", append([]string{"live", "--interval", "100ms"}, args...)...)}
	j.Stdout, j.Stderr = &j.stdout, j
	var err error
	if j.pipe, err = j.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Process.Kill() })
	return j
}

// await waits until the job has said what matches, and returns it.
func (j *pipedJob) await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for give := time.Now().Add(20 * time.Second); time.Now().Before(give); time.Sleep(10 * time.Millisecond) {
		if found := re.FindString(j.says()); found != "" {
			return found
		}
	}
	t.Fatalf("no message like %q in\n%s", pattern, j.says())
	return ""
}

func (j *pipedJob) end(t *testing.T, want int) {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() { _ = j.Process.Kill() })
	defer late.Stop()
	_ = j.Wait()
	if status := j.ProcessState.ExitCode(); status != want {
		t.Errorf("status %d (%v), want %d: %s", status, j.ProcessState, want, j.says())
	}
}

func send(t *testing.T, w io.Writer, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

// piped reads a document and leaves out what tells a pipe from a file.
func piped(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	for _, c := range doc["captures"].([]any) {
		for _, name := range []string{"path", "format"} {
			delete(c.(map[string]any), name)
		}
	}
	pcaptest.Positions(doc)
	return doc
}

func pipedOffline(t *testing.T, path string) map[string]any {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run([]string{"report", "-o", "json", "--all-connections", path}, strings.NewReader(""), &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	return piped(t, stdout.Bytes())
}

// TestLivePipe analyses captures that come through a pipe in two parts: what
// came is shown while nothing more does, and the report at the end is that of the
// file, and of the one in which the job kept the packets.
func TestLivePipe(t *testing.T) {
	for _, name := range []string{"outlook-start.pcap", "wo_mapi_seal_escape_wan.pcap", "gm_mapi_two_sessions.pcap"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("../../pcaps", name)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			kept := filepath.Join(t.TempDir(), "kept.pcapng")
			j := startPiped(t, "-r", "-", "-o", "json", "--all-connections", "--write", kept)
			j.await(t, "reading standard input; interrupt to stop\n")
			j.await(t, ": 0 packets ")
			send(t, j.pipe, raw[:len(raw)/2])
			j.await(t, ": [1-9][0-9]* packets .* [1-9][0-9]* connections")
			send(t, j.pipe, raw[len(raw)/2:])
			j.pipe.Close()
			j.end(t, statusDone)
			got := piped(t, j.stdout.Bytes())
			if diff := cmp.Diff(pipedOffline(t, path), got); diff != "" {
				t.Errorf("the documents (-file +pipe):\n%s", diff)
			}
			uncompressed := pipedOffline(t, kept)
			for _, doc := range []map[string]any{uncompressed, got} { // pcap has no names
				for _, c := range doc["captures"].([]any) {
					delete(c.(map[string]any), "snaplen")
				}
			}
			if diff := cmp.Diff(uncompressed, got); diff != "" {
				t.Errorf("the documents (-kept +pipe):\n%s", diff)
			}
		})
	}
}

// TestLivePipeInterfaces: the interfaces of a pipe come up as it goes, also
// those of further sections, and the file in which packets are kept has them.
func TestLivePipeInterfaces(t *testing.T) {
	const path = "../../pcaps/two-points.pcapng"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept.pcapng")
	j := startPiped(t, "-r", "-", "-o", "json", "--all-connections", "--write", kept)
	send(t, j.pipe, raw)
	s := pcaptest.New(morning)
	s.Tap("eth7", 1, 0)
	lookup(s)
	send(t, j.pipe, s.Pcapng())
	j.pipe.Close()
	j.end(t, statusDone)
	type ends struct {
		at   any
		name any
		n    any
	}
	interfaces := func(doc map[string]any) (all []ends) {
		for _, i := range doc["captures"].([]any)[0].(map[string]any)["interfaces"].([]any) {
			f := i.(map[string]any)
			if f["packets"] != 0.0 {
				all = append(all, ends{f["at"], f["name"], f["packets"]})
			}
		}
		return all
	}
	got, want := interfaces(piped(t, j.stdout.Bytes())), interfaces(pipedOffline(t, kept))
	if fmt.Sprint(got) != fmt.Sprint(want) || len(got) != 3 {
		t.Errorf("interfaces are %v, in the file %v", got, want)
	}
}

// TestLivePipeEnds: what ends a job on a pipe, and with which status.
func TestLivePipeEnds(t *testing.T) {
	s := pcaptest.New(morning)
	lookup(s)
	capture := s.Pcap()
	for _, row := range []struct {
		name   string
		sent   []byte
		args   []string
		do     func(*pipedJob)
		status int
		says   string
	}{
		{"its end", capture, nil, func(j *pipedJob) { j.pipe.Close() }, statusDone, ""},
		{"SIGTERM", capture, nil, func(j *pipedJob) { _ = j.Process.Signal(syscall.SIGTERM) }, statusDone, "stopping: "},
		{"SIGTERM amid a packet", capture[:len(capture)-5], nil, func(j *pipedJob) { _ = j.Process.Signal(syscall.SIGTERM) }, statusDone, "stopping: "},
		{"an interrupt before anything came", nil, nil, func(j *pipedJob) { _ = j.Process.Signal(os.Interrupt) }, statusDone, "stopping: "},
		{"a count", capture, []string{"--count", "3"}, func(*pipedJob) {}, statusDone, ""},
		{"the time", capture, []string{"--duration", "300ms"}, func(*pipedJob) {}, statusDone, ""},
		{"its end amid a packet", capture[:len(capture)-5], nil, func(j *pipedJob) { j.pipe.Close() }, statusDamaged, "cut off in packet"},
		{"its end before anything came", nil, nil, func(j *pipedJob) { j.pipe.Close() }, statusInput, "-: not a packet capture: it is empty"},
		{"something else", []byte("tcpdump: eth1: You don't have permission\n"), nil, func(j *pipedJob) { j.pipe.Close() }, statusInput, "-: not a packet capture"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			j := startPiped(t, append([]string{"-r", "-"}, row.args...)...)
			j.await(t, "reading standard input")
			send(t, j.pipe, row.sent)
			time.Sleep(200 * time.Millisecond)
			row.do(j)
			j.end(t, row.status)
			if !strings.Contains(j.says(), row.says) {
				t.Errorf("it says\n%s", j.says())
			}
			if prints := strings.HasPrefix(j.stdout.String(), "mapiscope report\n"); prints != (row.status != statusInput) {
				t.Errorf("it prints\n%.200s", j.stdout.String())
			}
			if row.sent != nil && row.args == nil && row.status == statusDone && !strings.Contains(j.stdout.String(), "1 TCP connection") {
				t.Errorf("what came is not in\n%.300s", j.stdout.String())
			}
		})
	}
}

// TestLiveFIFO reads a FIFO that nobody has opened yet, with logs and metrics;
// and a file.
func TestLiveFIFO(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("../../pcaps/outlook-start.pcap")
	if err != nil {
		t.Fatal(err)
	}
	logs := filepath.Join(dir, "logs")
	j := startPiped(t, "-r", fifo, "--log", logs, "--metrics", "127.0.0.1:0")
	address := strings.TrimPrefix(j.await(t, `http://[0-9.:]*`), "http://")
	j.await(t, "reading "+fifo+"; interrupt to stop\n")
	j.await(t, ": 0 packets ")
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	send(t, w, raw)
	j.await(t, ": 182 packets ")
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	figures, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if want := `interface="` + fifo + `"} 182` + "\n"; err != nil || !strings.Contains(string(figures), want) {
		t.Errorf("no %q in\n%s", want, figures)
	}
	w.Close()
	j.end(t, statusDone)
	if files, err := filepath.Glob(filepath.Join(logs, "*.jsonl")); err != nil || len(files) != 2 {
		t.Errorf("logs are %v, %v", files, err)
	}
	j = startPiped(t, "-r", "../../pcaps/outlook-start.pcap")
	j.end(t, statusDone)
	if !strings.Contains(j.stdout.String(), "182 packets") {
		t.Errorf("of a file it prints\n%.300s", j.stdout.String())
	}
}

// TestLivePipeUsage: each mistake is one clear line.
func TestLivePipeUsage(t *testing.T) {
	for _, row := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-r", "-", "-i", "lo"}, statusUsage, "--interface and --read exclude each other: packets come from interfaces, or from a pipe"},
		{[]string{"-r", "-", "--buffer", "1MiB"}, statusUsage, "--buffer and --read exclude each other: packets come from interfaces, or from a pipe"},
		{[]string{"-r", "-", "--interval", "1ms"}, statusUsage, "--interval: it must be 100ms or more"},
		{[]string{"-r", "-", "--at", "edge,wan"}, statusUsage, "--at is given 2 times for 1 capture: give it once for all, or once for each"},
		{[]string{"-r", "-", "--screen", "always"}, statusUsage, "--screen always: input and output must be a terminal"},
		{[]string{"-r", "nothing-here"}, statusInput, "nothing-here: no such file or directory"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(append([]string{"live"}, row.args...), strings.NewReader(""), &stdout, &stderr)
		if want := "mapiscope: " + row.want + "\n"; status != row.status || stderr.String() != want || stdout.Len() > 0 {
			t.Errorf("%v: status %d, says %q, want %q", row.args, status, stderr.String(), want)
		}
	}
}
