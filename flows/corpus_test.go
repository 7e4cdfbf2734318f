package flows

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"mapiscope/pcaps"
)

func corpus(tb testing.TB, folder string) string {
	tb.Helper()
	root := os.Getenv("MAPISCOPE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "captures")
	}
	dir := filepath.Join(root, folder)
	if _, err := os.Stat(dir); err != nil {
		tb.Skipf("the corpus of captures is not here (%v); set MAPISCOPE_CORPUS", err)
	}
	return dir
}

// track runs a capture through Decoder and Tracker.
func track(tb testing.TB, path string, open func(*Conn) Handler) *Tracker {
	tb.Helper()
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	d, tr := NewDecoder(DefaultLimits()), NewTracker(DefaultLimits(), open)
	var p pcaps.Packet
	var f Frame
	for {
		if err := r.Next(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			tb.Fatal(err)
		}
		if d.Decode(&p, &f) == TCP {
			tr.Segment(&f)
		}
	}
	tr.Flush()
	return tr
}

// streamsDiffer lists captures whose number of connections differs from the
// ground truth, with the reason.
var streamsDiffer = map[string]string{
	"ndpi-fuzz-2006-09-29-28586.pcap": "counts two segments whose TCP header is longer than their IP payload",
}

func TestConnectionsOfThePublicCaptures(t *testing.T) {
	dir := corpus(t, "public")
	file, err := os.Open(filepath.Join(dir, "expected-tshark.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sc := bufio.NewScanner(file)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var want struct {
			File    string `json:"file"`
			Streams int64  `json:"tcp_streams"`
		}
		if err := json.Unmarshal(sc.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		t.Run(want.File, func(t *testing.T) {
			var all []*Conn
			tr := track(t, filepath.Join(dir, want.File), func(c *Conn) Handler { all = append(all, c); return nil })
			got, why := int64(0), streamsDiffer[want.File]
			for _, c := range all {
				if !c.Repeats {
					got++
				}
			}
			if (got != want.Streams) != (why != "") {
				t.Errorf("%d connections, truth says %d (table: %q)", got, want.Streams, why)
			}
			l := tr.Ledger()
			if l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped {
				t.Errorf("ledger out of balance: %+v", l)
			}
		})
	}
}
