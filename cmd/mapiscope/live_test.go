//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// liveJob is `mapiscope live` as a process in the network namespace of its
// test.
type liveJob struct {
	*exec.Cmd
	stdout bytes.Buffer
	stderr *bufio.Reader
	said   strings.Builder // all of stderr that was read
	sender *pcaptest.Sender
}

// startLive returns when the job captures.
func startLive(t *testing.T, args ...string) *liveJob {
	t.Helper()
	path, err := exec.LookPath("mapiscope") // TestMain has put it there
	if err != nil {
		t.Fatal(err)
	}
	j := &liveJob{Cmd: exec.Command(path, append([]string{"live"}, args...)...), sender: pcaptest.NewSender(t, pcaptest.CableNear)}
	j.Stdout = &j.stdout
	stderr, err := j.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	j.stderr = bufio.NewReader(stderr)
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Process.Kill() })
	j.await(t, "capturing on ")
	return j
}

// await reads messages until one has a text in it, and returns it.
func (j *liveJob) await(t *testing.T, text string) string {
	t.Helper()
	for {
		line, err := j.stderr.ReadString('\n')
		j.said.WriteString(line)
		if strings.Contains(line, text) {
			return line
		}
		if err != nil {
			t.Fatalf("no message with %q: %v\n%s", text, err, j.said.String())
		}
	}
}

// send puts the packets of a capture on the cable and returns how many.
func (j *liveJob) send(t *testing.T, path string) int {
	t.Helper()
	frames := framesOf(t, path)
	for _, f := range frames {
		j.sender.Send(t, f)
	}
	j.sender.Flush(t)
	return len(frames)
}

// end waits for the exit status.
func (j *liveJob) end(t *testing.T, want int) {
	t.Helper()
	rest, err := io.ReadAll(j.stderr)
	if err != nil {
		t.Fatal(err)
	}
	j.said.Write(rest)
	err = j.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == want, err == nil && want == 0:
	default:
		t.Fatalf("the job ended with %v, want status %d\n%s", err, want, j.said.String())
	}
}

func (j *liveJob) interrupt(t *testing.T) {
	t.Helper()
	if err := j.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
}

// onEthernet are the shipped captures that a cable can carry.
func onEthernet(t *testing.T) (paths []string) {
	t.Helper()
	all, err := filepath.Glob("../../pcaps/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	if root := os.Getenv("MAPISCOPE_CORPUS"); root != "" {
		lab, err := filepath.Glob(filepath.Join(root, "lab", "*.pcap*"))
		if err != nil {
			t.Fatal(err)
		}
		for i, path := range lab {
			if i%3 == 0 { // each takes half a second
				all = append(all, path)
			}
		}
	}
	for _, path := range all {
		r, err := pcaps.Open([]string{path}, pcaps.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Captures()[0].Link == pcaps.LinkEthernet {
			paths = append(paths, path)
		}
		r.Close()
	}
	return paths
}

// analysis reads a document and leaves out how its packets came.
func analysis(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	for _, c := range doc["captures"].([]any) {
		for _, name := range []string{"path", "format", "dropped_packets"} {
			delete(c.(map[string]any), name)
		}
		for _, i := range c.(map[string]any)["interfaces"].([]any) {
			for _, name := range []string{"received_packets", "dropped_packets", "driver_dropped_packets"} {
				delete(i.(map[string]any), name)
			}
		}
	}
	pcaptest.Positions(doc)
	return doc
}

// offline is the document of a file.
func offline(t *testing.T, args ...string) map[string]any {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(append([]string{"report", "-o", "json", "--all-connections"}, args...), strings.NewReader(""), &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	return analysis(t, stdout.Bytes())
}

// TestLiveIsOffline sends captures over a cable: the report of the live job is
// that of the file in which it kept their packets, down to the numbers of
// packets.
func TestLiveIsOffline(t *testing.T) {
	for _, path := range onEthernet(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			pcaptest.Namespace(t)
			kept := filepath.Join(t.TempDir(), "kept.pcapng")
			n := len(framesOf(t, path))
			j := startLive(t, "-i", pcaptest.CableFar, "-o", "json", "--all-connections", "--immediate", "--write", kept, "--interval", "100ms",
				"--count", strconv.Itoa(n))
			j.send(t, path)
			j.end(t, 0)
			want := offline(t, kept)
			got := analysis(t, j.stdout.Bytes())
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the documents (-offline +live):\n%s", diff)
			}
			if packets := got["totals"].(map[string]any)["packets"]; packets != float64(n) {
				t.Errorf("%v packets, %d were sent", packets, n)
			}
		})
	}
}

// TestLivePoints captures both ends of the cable as two points of the path: the
// report is that of the file, but for what only comparing the two gives, which a
// live job does not do.
func TestLivePoints(t *testing.T) {
	for _, name := range []string{"outlook-start", "wo_mapi_seal_escape_wan", "gm_mapi_two_sessions"} {
		t.Run(name, func(t *testing.T) {
			pcaptest.Namespace(t)
			kept := filepath.Join(t.TempDir(), "kept.pcapng")
			j := startLive(t, "-i", pcaptest.CableNear+":core", "-i", pcaptest.CableFar+":edge", "-o", "json", "--all-connections", "--write", kept, "--interval", "100ms")
			n := j.send(t, "../../pcaps/"+name+".pcap")
			j.counts(t, 2*n)
			j.interrupt(t)
			j.end(t, 0)
			doc, want := analysis(t, j.stdout.Bytes()), offline(t, kept)
			var at []any
			for _, i := range doc["captures"].([]any)[0].(map[string]any)["interfaces"].([]any) {
				at = append(at, i.(map[string]any)["at"])
			}
			if diff := cmp.Diff([]any{"core", "edge"}, at); diff != "" {
				t.Errorf("points (-want +got):\n%s", diff)
			}
			uncompared(want)
			uncompared(doc)
			if diff := cmp.Diff(want, doc); diff != "" {
				t.Errorf("the documents (-offline +live):\n%s", diff)
			}
		})
	}
}

// uncompared leaves out what only a comparison of capture points tells, and by
// what a point is known, which a file does not keep.
func uncompared(doc map[string]any) {
	for _, f := range doc["findings"].([]any) {
		if f := f.(map[string]any); f["code"] == "CAPTURE_ORDER" { // begins with the name of the capture
			_, f["detail"], _ = strings.Cut(f["detail"].(string), ", ")
		}
	}
	for _, c := range doc["captures"].([]any) {
		delete(c.(map[string]any), "at_basis")
		for _, i := range c.(map[string]any)["interfaces"].([]any) {
			delete(i.(map[string]any), "same_points")
		}
	}
}

// TestLiveTap sends each direction of captures to an interface of its own, as a
// full-duplex tap does: every call is answered, and the report is that of the
// file that the job kept.
func TestLiveTap(t *testing.T) {
	for _, name := range []string{"outlook-start", "gm_mapi_two_sessions", "wo_mapi_seal_escape_wan"} {
		t.Run(name, func(t *testing.T) {
			pcaptest.Namespace(t)
			kept := filepath.Join(t.TempDir(), "kept.pcapng")
			const a, b = "wan0", "wan1"
			senders := [2]*pcaptest.Sender{pcaptest.NewSender(t, pcaptest.Tap(t, a)), pcaptest.NewSender(t, pcaptest.Tap(t, b))}
			path := "../../pcaps/" + name + ".pcap"
			j := startLive(t, "-i", a+"+"+b, "-o", "json", "--all-connections", "--write", kept, "--interval", "100ms")
			frames := framesOf(t, path)
			for _, f := range frames {
				s := senders[1]
				if bytes.Compare(f[26:30], f[30:34]) < 0 { // addresses of IPv4
					s = senders[0]
				}
				s.Send(t, f)
				s.Flush(t)                         // a wire shows them one after the other
				time.Sleep(100 * time.Microsecond) // a file of less than 1 ms tells no taps apart
			}
			j.counts(t, len(frames))
			j.interrupt(t)
			j.end(t, 0)
			doc, want := analysis(t, j.stdout.Bytes()), offline(t, kept)
			uncompared(want)
			uncompared(doc)
			if diff := cmp.Diff(want, doc); diff != "" {
				t.Errorf("the documents (-offline +live):\n%s", diff)
			}
			calls := func(doc map[string]any) (all []string) {
				for _, c := range doc["connections"].([]any) {
					all = append(all, fmt.Sprint(c.(map[string]any)["calls"]))
				}
				return all
			}
			if diff := cmp.Diff(calls(offline(t, path)), calls(doc)); diff != "" {
				t.Errorf("calls (-one interface +a tap):\n%s", diff)
			}
		})
	}
}

// lines reads the files of a log in order. partial says that the last line may
// have no end, as a killed process leaves it.
func lines(t *testing.T, pattern string, partial bool) (out []map[string]any) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			var v map[string]any
			if err := json.Unmarshal(line, &v); err != nil {
				if partial && i == len(files)-1 && !bytes.HasSuffix(line, []byte("\n")) {
					continue
				}
				t.Fatalf("%s: %v: %q", path, err, line)
			}
			out = append(out, v)
		}
	}
	return out
}

// kinds counts records by kind, events by what happened.
func kinds(records []map[string]any) map[string]int {
	n := make(map[string]int)
	for _, r := range records {
		if kind := r["record"].(string); kind == "event" {
			n[r["event"].(string)]++
		} else {
			n[kind]++
		}
	}
	return n
}

// offlineEvents counts the events of the log of a file.
func offlineEvents(t *testing.T, path string) map[string]int {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run([]string{"log", "--style", "jsonl", path}, strings.NewReader(""), &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	n := make(map[string]int)
	for line := range bytes.Lines(stdout.Bytes()) {
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		n[v["event"].(string)]++
	}
	return n
}

// TestLiveLog keeps events and records in files; SIGHUP begins new ones, and
// nothing is lost or comes twice on the way.
func TestLiveLog(t *testing.T) {
	const path = "../../pcaps/wo_mapi_seal_escape_wan.pcap"
	pcaptest.Namespace(t)
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept.pcapng")
	j := startLive(t, "-i", pcaptest.CableFar+":wan", "-o", "json", "--interval", "100ms", "--log", dir, "--write", kept, "--write-size", "1MiB",
		"--log-style", "transaction,errorlog", "--log-style", "syslog")
	n := j.send(t, path)
	j.counts(t, n)
	if err := j.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	j.await(t, " packets (")
	j.await(t, " packets (")
	j.interrupt(t)
	j.end(t, 0)
	files, err := filepath.Glob(filepath.Join(dir, "kept-*.pcapng"))
	if err != nil || len(files) != 1 {
		t.Fatalf("packets are in %v, %v", files, err)
	}
	want := offlineEvents(t, files[0])
	if diff := cmp.Diff(want, kinds(lines(t, filepath.Join(dir, "events-*.jsonl"), false))); diff != "" {
		t.Errorf("events (-offline +live):\n%s", diff)
	}
	records := kinds(lines(t, filepath.Join(dir, "records-*.jsonl"), false))
	doc := analysis(t, j.stdout.Bytes())
	for kind, list := range map[string]string{"connection": "connections", "association_group": "association_groups", "endpoint": "endpoints", "capture": "captures"} {
		if got, want := records[kind], len(doc[list].([]any)); got != want {
			t.Errorf("%d records of kind %s, want %d", got, kind, want)
		}
	}
	if records["totals"] != 1 || records["status"] < 2 || records["finding"] < len(doc["findings"].([]any)) {
		t.Errorf("records are %v", records)
	}
	for _, style := range []string{"transaction", "syslog", "errorlog"} {
		var want, stderr bytes.Buffer
		if status := run([]string{"log", "--style", style, files[0]}, strings.NewReader(""), &want, &stderr); status != 0 {
			t.Fatalf("status %d: %s", status, &stderr)
		}
		logs, err := filepath.Glob(filepath.Join(dir, style+"-*.log"))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, path := range logs {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, raw...)
		}
		if a, b := bytes.Count(want.Bytes(), []byte("\n")), bytes.Count(got, []byte("\n")); a != b || a == 0 {
			t.Errorf("%s: %d lines offline, %d live", style, a, b)
		}
	}
	if recs, err := filepath.Glob(filepath.Join(dir, "records-*.jsonl")); err != nil || len(recs) != 2 {
		t.Errorf("records are in %v, %v; want two files", recs, err)
	}
}

// counts waits until a status line says that n packets were analysed. What was
// sent may take a moment to arrive.
func (j *liveJob) counts(t *testing.T, n int) {
	t.Helper()
	for !strings.Contains(j.await(t, " packets ("), " "+humanize.Comma(int64(n))+" packets (") {
	}
}

// TestLiveKilled kills a job in the middle: every line that it wrote is whole,
// and so are the packets.
func TestLiveKilled(t *testing.T) {
	pcaptest.Namespace(t)
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept.pcapng")
	j := startLive(t, "-i", pcaptest.CableFar, "--interval", "100ms", "--log", dir, "--write", kept)
	for range 5 {
		j.send(t, "../../pcaps/gm_mapi_two_sessions.pcap")
		j.await(t, " packets (")
	}
	j.await(t, " EMSMDB")
	if err := j.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = j.Wait()
	if n := kinds(lines(t, filepath.Join(dir, "events-*.jsonl"), true)); n["bind"] == 0 {
		t.Errorf("events are %v", n)
	}
	if n := kinds(lines(t, filepath.Join(dir, "records-*.jsonl"), true)); n["status"] < 2 {
		t.Errorf("records are %v", n)
	}
	var stdout, stderr bytes.Buffer
	if status := run([]string{"report", "-o", "json", kept}, strings.NewReader(""), &stdout, &stderr); status != 0 && status != statusDamaged {
		t.Errorf("the packets cannot be read: status %d, %s", status, &stderr)
	}
}

// TestLiveFullDisk fills the disk of the log: the job says so and goes on, and
// once there is room everything stands in the files, in order.
func TestLiveFullDisk(t *testing.T) {
	pcaptest.Namespace(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	filler := filepath.Join(dir, "filler")
	kept := filepath.Join(t.TempDir(), "kept.pcapng")
	j := startLive(t, "-i", pcaptest.CableFar, "-o", "json", "--interval", "100ms", "--log", dir, "--write", kept)
	if err := os.WriteFile(filler, make([]byte, 256<<10), 0o666); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk took the filler: %v", err)
	}
	n := j.send(t, "../../pcaps/gm_mapi_two_sessions.pcap")
	j.counts(t, n)
	j.await(t, "failing: ")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	j.interrupt(t)
	j.end(t, 0)
	if diff := cmp.Diff(offlineEvents(t, kept), kinds(lines(t, filepath.Join(dir, "events-*.jsonl"), false))); diff != "" {
		t.Errorf("events (-offline +live):\n%s", diff)
	}
	var last string
	for _, r := range lines(t, filepath.Join(dir, "records-*.jsonl"), false) {
		if r["record"] != "status" {
			continue
		}
		if r["log_lost"] != 0.0 || r["time"].(string) < last {
			t.Errorf("status after %s: %v", last, r)
		}
		last = r["time"].(string)
	}
	if last == "" {
		t.Error("no status")
	}
}

// TestLiveStreams prints records as they become final, before the job ends.
func TestLiveStreams(t *testing.T) {
	pcaptest.Namespace(t)
	path, err := exec.LookPath("mapiscope")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "live", "-i", pcaptest.CableFar, "-o", "jsonl", "--interval", "100ms")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	r := bufio.NewReader(out)
	sender := &liveJob{sender: pcaptest.NewSender(t, pcaptest.CableNear)}
	seen := make(map[string]int)
	for sent := false; seen["endpoint"] == 0; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatalf("%v after %v", err, seen)
		}
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		seen[v["record"].(string)]++
		if !sent && seen["status"] > 0 {
			sender.send(t, "../../pcaps/outlook-start.pcap")
			sent = true
		}
	}
	if seen["totals"] > 0 {
		t.Error("the totals came before the end")
	}
	// A reader that goes away ends the job.
	out.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the job ended with %v", err)
	}
}

// TestLiveMetrics asks a job how it does while it runs.
func TestLiveMetrics(t *testing.T) {
	pcaptest.Namespace(t)
	j := startLive(t, "-i", pcaptest.CableFar, "--interval", "100ms", "--metrics", ":9847")
	n := j.send(t, "../../pcaps/outlook-start.pcap")
	j.counts(t, n)
	got := get(t, "127.0.0.1:9847", "/metrics")
	if want := `mapiscope_packets_total{at="edge",interface="` + pcaptest.CableFar + `"} ` + strconv.Itoa(n) + "\n"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
	if health := get(t, "127.0.0.1:9847", "/healthz"); !strings.Contains(health, " 200 OK\r\n") {
		t.Errorf("health is %s", health)
	}
	j.interrupt(t)
	j.end(t, 0)
}

// get asks over a connection that this thread makes: it belongs to the
// namespace.
func get(t *testing.T, addr, path string) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), addr)
	defer f.Close()
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: 9847, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if err := req.Write(f); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestLiveEnds: what ends a job, and with which status.
func TestLiveEnds(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		do     func(*testing.T, *liveJob)
		status int
		says   string
	}{
		{"a count", []string{"--count", "5"}, func(*testing.T, *liveJob) {}, 0, ""},
		{"the time", []string{"--duration", "300ms"}, func(*testing.T, *liveJob) {}, 0, ""},
		{"a finding", []string{"--count", "254", "--fail-on", "error"}, func(*testing.T, *liveJob) {}, 1, ""},
		{"SIGTERM", nil, func(t *testing.T, j *liveJob) { j.signal(t, syscall.SIGTERM) }, 0, "stopping: "},
		{"a hang-up where nothing is written", nil, func(t *testing.T, j *liveJob) { j.signal(t, syscall.SIGHUP) }, 0, "stopping: "},
		{"the interface goes away", nil, func(t *testing.T, _ *liveJob) {
			if out, err := exec.Command("ip", "link", "del", pcaptest.CableNear).CombinedOutput(); err != nil {
				t.Fatal(err, string(out))
			}
		}, 4, "capture on " + pcaptest.CableFar + " ended: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pcaptest.Namespace(t)
			j := startLive(t, append([]string{"-i", pcaptest.CableFar, "--immediate"}, tt.args...)...)
			j.send(t, "../../pcaps/demo.pcap")
			tt.do(t, j)
			j.end(t, tt.status)
			if !strings.Contains(j.said.String(), tt.says) || !strings.HasPrefix(j.stdout.String(), "mapiscope report\n") {
				t.Errorf("it says\n%s\nand prints\n%.200s", j.said.String(), j.stdout.String())
			}
		})
	}
}

func (j *liveJob) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := j.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestLiveUsage: each mistake is one clear line.
func TestLiveUsage(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, "no interface given: name one with -i (`mapiscope live --list` names them), or a pipe with -r"},
		{[]string{"-i", "lo:mars"}, `-i lo:mars: "mars" is no capture point (edge, wan, core or unknown)`},
		{[]string{"-i", "lo", "-i", "lo:edge"}, "-i: lo is given twice"},
		{[]string{"-i", "lo+lo:edge"}, "-i: lo is given twice"},
		{[]string{"-i", "lo+:edge"}, "-i lo+:edge: a + stands between the names of two interfaces"},
		{[]string{"-i", "lo", "--holdback", "-1s"}, "--holdback: it must be from 0 to 10s"},
		{[]string{"-i", "lo+x", "--max-memory", "100MB"}, "--max-memory: a job with these outputs needs at least 125 MiB"},
		{[]string{"-i", "lo", "--at", "edge", "--at", "wan"}, "--at is given 2 times for 1 interface: give it once for all, or once for each"},
		{[]string{"-i", "lo", "--interval", "1ms"}, "--interval: it must be 100ms or more"},
		{[]string{"-i", "lo", "--write-size", "1MB"}, "--write-size needs --write"},
		{[]string{"-i", "lo", "--write", "x", "--write-files", "2"}, "--write-files needs --write-size: one file is never finished"},
		{[]string{"-i", "lo", "--zstd"}, "--zstd needs --log"},
		{[]string{"-i", "lo", "--log-style", "syslog"}, "--log-style needs --log"},
		{[]string{"-i", "lo", "--metrics", "nonsense"}, "--metrics: it must be host:port or :port, with a port up to 65535"},
		{[]string{"-i", "lo", "--metrics", ":99999"}, "--metrics: it must be host:port or :port, with a port up to 65535"},
		{[]string{"-i", "lo", "--screen", "always"}, "--screen always: input and output must be a terminal"},
		{[]string{"-i", "lo", "--max-memory", "70MB"}, "--max-memory: a job with these outputs needs at least 77 MiB"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(append([]string{"live"}, tt.args...), strings.NewReader(""), &stdout, &stderr)
			if want := "mapiscope: " + tt.want + "\n"; status != statusUsage || stderr.String() != want || stdout.Len() > 0 {
				t.Errorf("status %d, says %q, want %q", status, stderr.String(), want)
			}
		})
	}
}

// TestLiveFlood sends as fast as the machine can: what was analysed and what
// the kernel says it dropped are all that was sent.
func TestLiveFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("a flood takes a while")
	}
	pcaptest.Namespace(t)
	j := startLive(t, "-i", pcaptest.CableFar, "-o", "json", "--interval", "1s")
	const rounds = 3000
	sent := 0
	begun := time.Now()
	frames := framesOf(t, "../../pcaps/gm_mapi_two_sessions.pcap")
	for range rounds {
		for _, f := range frames {
			j.sender.Send(t, f)
		}
		sent += len(frames)
	}
	j.sender.Flush(t)
	t.Logf("%d packets sent, %.0f a second", sent, float64(sent)/time.Since(begun).Seconds())
	j.interrupt(t)
	j.end(t, 0)
	var doc struct {
		Captures []struct {
			Packets int64
			Dropped int64 `json:"dropped_packets"`
		}
		Ledger map[string]int64
	}
	if err := json.Unmarshal(j.stdout.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	c := doc.Captures[0]
	t.Logf("%d analysed, %d dropped", c.Packets, c.Dropped)
	if c.Packets+c.Dropped != int64(sent) || c.Packets == 0 {
		t.Errorf("%d packets analysed and %d dropped, %d were sent", c.Packets, c.Dropped, sent)
	}
	l := doc.Ledger
	if l["captured_payload"] != l["delivered"]+l["duplicate"]+l["out_of_window"]+l["skipped"] {
		t.Errorf("the ledger is out of balance: %v", l)
	}
}

func framesOf(t *testing.T, path string) (out [][]byte) {
	t.Helper()
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p pcaps.Packet
	for r.Next(&p) == nil {
		out = append(out, bytes.Clone(p.Data))
	}
	return out
}
