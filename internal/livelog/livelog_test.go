package livelog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/device"
	"mapiscope/internal/document"
	"mapiscope/internal/live"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/run"
	"mapiscope/internal/sink"
	"mapiscope/pcaps"
)

// replay gives the packets of a file as they would come live.
type replay struct{ r *pcaps.Reader }

func (s replay) Next(p *pcaps.Packet) error { return s.r.Next(p) }
func (s replay) Capture() pcaps.Capture     { return s.r.Captures()[0] }
func (s replay) Stop()                      {}

// idle says after each packet that no other came, so that a job looks at what
// it found as often as it can.
type idle struct {
	replay
	quiet bool
}

func (s *idle) Next(p *pcaps.Packet) error {
	if s.quiet = !s.quiet; s.quiet {
		return pcaps.ErrIdle
	}
	return s.replay.Next(p)
}

// record runs a job over a capture with its log in a folder and returns the
// last document.
func record(t *testing.T, path, dir string, styles []string) *document.Document {
	t.Helper()
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	now := time.Unix(1_250_000_000, 0)
	clock := func() time.Time {
		now = now.Add(time.Second)
		return now
	}
	l, err := Open(Options{
		Sink:   sink.Config{Dir: dir, Queue: 1 << 12, SpoolBytes: 1 << 20, Location: time.UTC, Now: time.Now},
		Styles: styles, Host: "wae",
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := live.Run(context.Background(), &idle{replay: replay{r}}, live.Config{
		Analysis: run.Config{Workers: 2, Events: true, Live: true}, Interval: time.Second, Keep: 1 << 20, Now: clock, Log: l.Take, Queue: l.Queue,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if q := l.Queue(); q.Lost != 0 || q.Waiting != 0 || q.Written == 0 || q.Failing != "" {
		t.Errorf("after the end the queue is %+v", q)
	}
	return doc
}

// read returns the lines of a log.
func read(t *testing.T, dir, name string) (lines []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, name+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			lines = append(lines, strings.TrimSuffix(string(line), "\n"))
		}
	}
	return lines
}

// numbers are those of connections in lines of the device: a live job counts
// them as they come, a report by their first packet.
var numbers = regexp.MustCompile(` :\d+ :(\d+\.\d+\.\d+\.\d+) :|\(fl=\d+\)`)

// TestStyles: however often a job is looked at, the logs of the device hold the
// lines of an offline job, each once.
func TestStyles(t *testing.T) {
	paths, err := filepath.Glob("../../pcaps/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			dir := t.TempDir()
			record(t, path, dir, device.Styles())
			doc, err := run.Run(context.Background(), run.Config{Paths: []string{path}, Workers: 1, Events: true})
			if err != nil {
				t.Fatal(err)
			}
			v := device.New(doc, device.Options{})
			for _, style := range device.Styles() {
				lines, _, err := v.Lines(style, "wae")
				if err != nil {
					t.Fatal(err)
				}
				var want []string
				for _, l := range lines {
					want = append(want, numbers.ReplaceAllString(l.Text, " :N :$1 :"))
				}
				got := read(t, dir, style)
				for i := range got {
					got[i] = numbers.ReplaceAllString(got[i], " :N :$1 :")
				}
				slices.Sort(want)
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-offline +live):\n%s", style, diff)
				}
			}
		})
	}
}

// TestSettled: when a line may be written.
func TestSettled(t *testing.T) {
	at := func(seconds int) string {
		return time.Unix(1_250_000_000+int64(seconds), 0).UTC().Format(time.RFC3339Nano)
	}
	last := at(100)
	tests := []struct {
		name  string
		final bool
		ended bool
		at    int // seconds; the latest packet came at 100
		want  bool
	}{
		{"a moment ago", false, false, 99, false},
		{"29 s ago", false, false, 71, false},
		{"30 s ago", false, false, 70, true},
		{"the connection ended", false, true, 99, true},
		{"the job ended", true, false, 99, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &live.Batch{Final: tt.final, Doc: &document.Document{Captures: []document.Capture{{Last: &last}}}}
			if tt.ended {
				b.Connections = []*document.Connection{{ID: 7}}
			}
			if got := settledBy(b)(7, instant(at(tt.at))); got != tt.want {
				t.Errorf("settled: %v", got)
			}
		})
	}
}

// TestRecords: every record is whole JSON, each connection and group comes
// once, numbers in them agree, and the summary is last.
func TestRecords(t *testing.T) {
	dir := t.TempDir()
	doc := record(t, "../../pcaps/demo.pcap", dir, nil)
	kinds := make(map[string]int)
	ids, groups := make(map[float64]bool), make(map[float64]bool)
	var last string
	lines := read(t, dir, "records")
	for _, line := range lines {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		last = v["record"].(string)
		kinds[last]++
		switch last {
		case "connection":
			ids[v["id"].(float64)] = true
		case "association_group":
			groups[v["id"].(float64)] = true
			for _, id := range v["connections"].([]any) {
				if !ids[id.(float64)] {
					t.Errorf("group %v names connection %v, which did not come before", v["id"], id)
				}
			}
		}
	}
	if last != "totals" || kinds["connection"] != len(doc.Connections) || len(ids) != len(doc.Connections) ||
		kinds["association_group"] != len(doc.AssociationGroups) || len(groups) != len(doc.AssociationGroups) || kinds["status"] < 10 || kinds["totals"] != 1 {
		t.Errorf("records are %v, the last is %s, with %d connections and %d groups in the document", kinds, last, len(doc.Connections), len(doc.AssociationGroups))
	}
	events := read(t, dir, "events")
	for _, line := range events {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil || !ids[v["connection"].(float64)] {
			t.Errorf("%v: event of an unknown connection: %s", err, line)
		}
	}
	if len(events) == 0 {
		t.Error("no events")
	}
}

// TestOpenFails: a folder that cannot be made is told, and nothing stays open.
func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Sink: sink.Config{Dir: file, Queue: 1, Now: time.Now}})
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
}

// TestHostileNames: names add no line to any log and do nothing on a terminal.
func TestHostileNames(t *testing.T) {
	look := func(t *testing.T, name string) map[string]int {
		const ntlm, privacy = 10, 6
		s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
		c := s.Dial("10.1.0.5:1066", "10.2.0.9:1032")
		c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(ntlm, privacy, 1, pcaptest.NTLMNegotiate()).Bytes())
		c.Server(pcaptest.BindAck(7, name, pcaptest.Accept(pcaptest.NDR32)).Call(1).Auth(ntlm, privacy, 1, pcaptest.NTLMChallenge(name, name, [8]byte{})).Bytes())
		c.Client(pcaptest.Auth3().Call(1).Auth(ntlm, privacy, 1, pcaptest.NTLMAuthenticate(name, name, name)).Bytes())
		c.Close()
		file := strings.ToValidUTF8(strings.NewReplacer("\x00", "", "/", "_").Replace(name[:min(len(name), 200)]), "")
		path, dir := s.WriteFile(t, "x"+file), t.TempDir()
		record(t, path, dir, device.Styles())
		n := make(map[string]int)
		for _, log := range append(device.Styles(), "events", "records") {
			for _, line := range read(t, dir, log) {
				if strings.HasPrefix(line, `{"record":"status"`) {
					continue // one for each packet
				}
				n[log]++
				for _, r := range line {
					if r != '\n' && unicode.Is(unicode.C, r) {
						t.Fatalf("%s has %U in %q", log, r, line)
					}
				}
			}
		}
		return n
	}
	usual := look(t, "alice")
	for _, h := range pcaptest.HostileNames() {
		t.Run(h.What, func(t *testing.T) {
			if diff := cmp.Diff(usual, look(t, h.Text)); diff != "" {
				t.Errorf("lines (-usual +hostile):\n%s", diff)
			}
		})
	}
}
