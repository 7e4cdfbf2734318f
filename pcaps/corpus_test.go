package pcaps

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"
)

// corpus returns the folder of the test captures and skips the test where it
// is not there.
func corpus(t testing.TB, sub string) string {
	t.Helper()
	dir := os.Getenv("MAPISCOPE_CORPUS")
	if dir == "" {
		root, err := filepath.Abs(".")
		if err != nil {
			t.Fatal(err)
		}
		for ; root != filepath.Dir(root); root = filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
		}
		dir = filepath.Join(root, "..", "shared", "captures")
	}
	dir = filepath.Join(dir, sub)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no captures in %s; set MAPISCOPE_CORPUS", dir)
	}
	return dir
}

// lines calls f with each line of a file.
func lines(t *testing.T, path string, f func(line string)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		f(s.Text())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

// drain reads everything and returns the captures. It checks what holds for
// every packet of every capture.
func drain(t testing.TB, r *Reader, each func(*Packet)) []Capture {
	t.Helper()
	var p Packet
	last := map[int32]int64{}
	for {
		err := r.Next(&p)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Data) > p.WireLen {
			t.Fatalf("packet %d: %d bytes captured of %d on the wire", p.Packet, len(p.Data), p.WireLen)
		}
		if p.Packet <= last[p.Capture] {
			t.Fatalf("packet %d of capture %d comes after %d", p.Packet, p.Capture, last[p.Capture])
		}
		last[p.Capture] = p.Packet
		if each != nil {
			each(&p)
		}
	}
	if err := r.Next(&p); err != io.EOF {
		t.Fatalf("Next after the end: %v", err)
	}
	return r.Captures()
}

func open(t testing.TB, o Options, paths ...string) *Reader {
	t.Helper()
	r, err := Open(paths, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// tsharkFormat translates names of the ground truth.
func tsharkFormat(s string) (format, compression string) {
	format, rest, _ := strings.Cut(s, " ")
	switch format {
	case "nsecpcap":
		format = "pcap"
	case "netmon2":
		format = "netmon"
	}
	if strings.Contains(rest, "gzip") {
		compression = "gzip"
	}
	return format, compression
}

// TestPublicCorpus compares with what tshark says of each capture.
func TestPublicCorpus(t *testing.T) {
	dir := corpus(t, "public")
	lines(t, filepath.Join(dir, "expected-tshark.jsonl"), func(line string) {
		var want struct {
			File      string `json:"file"`
			Format    string `json:"format"`
			Packets   int64  `json:"packets"`
			First     string `json:"first_time"`
			Last      string `json:"last_time"`
			Truncated int64  `json:"truncated_packets"`
			Warnings  []string
		}
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		t.Run(want.File, func(t *testing.T) {
			// tshark tells the first and the last in the file, Capture the
			// earliest and the latest.
			var times []int64
			c := drain(t, open(t, Options{}, filepath.Join(dir, want.File)), func(p *Packet) {
				if p.Time != 0 || len(times) > 0 { // simple packet blocks before the first time
					times = append(times, p.Time)
				}
			})[0]
			format, compressed := tsharkFormat(want.Format)
			if c.Format != format || c.Compression != compressed {
				t.Errorf("format %q, compression %q; want %q, %q", c.Format, c.Compression, format, compressed)
			}
			if len(times) == 0 {
				times = []int64{0}
			}
			// tshark numbers custom blocks and some frames of Network Monitor.
			if got := c.Packets + c.Metadata; got != want.Packets {
				t.Errorf("%d packets and %d other records, want %d", c.Packets, c.Metadata, want.Packets)
			}
			if c.Truncated != want.Truncated {
				t.Errorf("Truncated %d, want %d", c.Truncated, want.Truncated)
			}
			for _, x := range []struct {
				name string
				got  int64
				want string
			}{{"first", times[0], want.First}, {"last", times[len(times)-1], want.Last}} {
				if text := fmt.Sprintf("%d.%09d", x.got/1e9, x.got%1e9); x.want != "" && text != x.want {
					t.Errorf("%s %s, want %s", x.name, text, x.want)
				}
			}
			if c.First != slices.Min(times) || c.Last != slices.Max(times) {
				t.Errorf("First %d, Last %d; the times span %d to %d", c.First, c.Last, slices.Min(times), slices.Max(times))
			}
			cut := false
			for _, w := range want.Warnings {
				cut = cut || strings.Contains(w, "cut short")
			}
			if (c.Err != nil) != cut {
				t.Errorf("Err %v, want one: %v", c.Err, cut)
			}
		})
	})
}

func TestLabCorpus(t *testing.T) {
	dir := corpus(t, "lab")
	header := true
	lines(t, filepath.Join(dir, "MANIFEST.tsv"), func(line string) {
		if header {
			header = false
			return
		}
		f := strings.Split(line, "\t")
		t.Run(f[0], func(t *testing.T) {
			want, err := strconv.ParseInt(f[2], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			c := drain(t, open(t, Options{}, filepath.Join(dir, f[0])), nil)[0]
			if c.Err != nil || c.Packets != want || c.Metadata != 0 || c.Truncated != 0 {
				t.Errorf("%d packets (%d metadata, %d truncated, %v), want %d", c.Packets, c.Metadata, c.Truncated, c.Err, want)
			}
		})
	})
}

// TestPcapgoAgrees compares every packet of plain pcap and pcapng files with
// another reader.
func TestPcapgoAgrees(t *testing.T) {
	for _, sub := range []string{"public", "lab"} {
		paths, err := filepath.Glob(filepath.Join(corpus(t, sub), "*.pcap*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name := filepath.Base(path)
			switch {
			case strings.HasSuffix(name, ".gz"):
				continue
			case name == "pcapng-le-test012.pcapng" || name == "pcapng-le-test018.pcapng" || name == "pcapng-le-test016.pcapng":
				continue // simple packet blocks, whose snaplen and time it sees otherwise
			}
			t.Run(name, func(t *testing.T) {
				f, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				next := pcapgoReader(t, f)
				drain(t, open(t, Options{}, path), func(p *Packet) {
					data, ci, err := next()
					if err != nil {
						t.Fatalf("packet %d: pcapgo: %v", p.Packet, err)
					}
					// A simple packet block has no time: here the clock stands
					// still, pcapgo has the zero time.
					sameTime := ci.Timestamp.IsZero() || ci.Timestamp.Equal(p.When())
					if !bytes.Equal(data, p.Data) || ci.Length != p.WireLen || !sameTime {
						t.Fatalf("packet %d at %v, %d of %d bytes; pcapgo has %+v", p.Packet, p.When(), len(p.Data), p.WireLen, ci)
					}
				})
				if _, _, err := next(); err == nil {
					t.Error("pcapgo has more packets")
				}
			})
		}
	}
}

// pcapgoReader returns the read function of gopacket's reader.
func pcapgoReader(t *testing.T, f *os.File) func() ([]byte, gopacket.CaptureInfo, error) {
	t.Helper()
	if ng, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true}); err == nil {
		return ng.ReadPacketData
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return r.ReadPacketData
}

// TestMergedLabCapture has one interface for each capture point.
func TestMergedLabCapture(t *testing.T) {
	dir := corpus(t, "lab")
	var separate int64
	for _, at := range []string{"edge-lan", "wan", "core-lan"} {
		separate += drain(t, open(t, Options{}, filepath.Join(dir, "wo_mapi_sign_escape_"+at+".pcap")), nil)[0].Packets
	}
	seen := map[Point]int64{}
	c := drain(t, open(t, Options{}, filepath.Join(dir, "wo_mapi_sign_escape_merged.pcapng")), func(p *Packet) { seen[p.Point]++ })[0]
	if c.Packets != separate || c.PointBasis != "interface name" || c.Point != Unknown || seen[Unknown] != 0 || len(seen) != 3 {
		t.Errorf("%d packets of %d, points %v by %q", c.Packets, separate, seen, c.PointBasis)
	}
	for _, i := range c.Interfaces {
		if i.Packets != seen[i.Point] {
			t.Errorf("interface %+v, seen %d", i, seen[i.Point])
		}
	}
}
