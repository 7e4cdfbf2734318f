package pcaps

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// told is what a test of several inputs compares of each.
type told struct {
	File    string
	Packets int64
	Err     string
}

// readInputs reads captures and returns what is told of each, and the times of
// their packets in the order in which they come, in seconds.
func readInputs(t *testing.T, paths ...string) (captures []told, times []int64) {
	t.Helper()
	r, err := Open(paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p Packet
	for r.Next(&p) == nil {
		times = append(times, p.Time/1e9)
		if got := r.sources[p.Capture].capture.Path; r.sources[p.Capture].index != p.Capture {
			t.Fatalf("packet of capture %d, which is %s", p.Capture, got)
		}
	}
	for _, c := range r.Captures() {
		e := told{filepath.Base(c.Path), c.Packets, ""}
		if c.Err != nil {
			e.Err = c.Err.Error()
		}
		captures = append(captures, e)
	}
	return captures, times
}

// TestBadInputsAmongGoodOnes passes over what is no capture, and says so.
func TestBadInputsAmongGoodOnes(t *testing.T) {
	got, times := readInputs(t,
		file(t, "empty.pcap", nil), file(t, "b.pcap", ethernet(2)), file(t, "text.pcap", []byte("notes")), file(t, "snoop.pcap", []byte("snoop\x00\x00\x00\x00\x00\x00\x02")),
		file(t, "cut.pcap", ethernet(3, 4)[:60]), file(t, "head.pcap.gz", gzipped(t, ethernet(3))[:12]), file(t, "a.pcap", ethernet(1)))
	want := []told{
		{"empty.pcap", 0, "not a packet capture: it is empty"},
		{"b.pcap", 1, ""},
		{"text.pcap", 0, "not a packet capture"},
		{"snoop.pcap", 0, "it is a snoop capture, which is not read; `editcap -F pcapng FILE NEW.pcapng` converts it"},
		{"cut.pcap", 1, "cut off in packet 2 (file offset 45)"},
		{"head.pcap.gz", 0, "not a packet capture: unexpected EOF"},
		{"a.pcap", 1, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int64{1, 2, 3}, times); diff != "" {
		t.Error(diff)
	}
}

// TestFolder reads a folder, and a pattern, in order of first packets.
func TestFolder(t *testing.T) {
	folder := t.TempDir()
	for name, b := range map[string][]byte{
		"ring_00001.pcap": ethernet(7, 8), "ring_00002.pcap": ethernet(1, 2), "ring_00003.pcap": ethernet(3, 4), "ring_00004.pcap.gz": gzipped(t, ethernet(5, 6)),
		"ring_00005.pcap": ethernet(), "notes.txt": []byte("notes"), ".hidden": []byte("notes"), "old/x.pcap": ethernet(9),
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ring := []told{{"ring_00002.pcap", 2, ""}, {"ring_00003.pcap", 2, ""}, {"ring_00004.pcap.gz", 2, ""}, {"ring_00001.pcap", 2, ""}}
	for _, tt := range []struct {
		name string
		path string
		want []told
	}{
		{"folder", folder, append(slices.Clone(ring), told{"notes.txt", 0, "not a packet capture"}, told{"ring_00005.pcap", 0, ""})},
		{"pattern", folder + "/ring*", append(slices.Clone(ring), told{"ring_00005.pcap", 0, ""})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, times := readInputs(t, tt.path)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]int64{1, 2, 3, 4, 5, 6, 7, 8}, times); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestManyFiles reads a ring of more files than stay open, each of which
// overlaps with the next, and counts those that are open.
func TestManyFiles(t *testing.T) {
	folder := t.TempDir()
	const n = 5 * maxOpen
	var names []string
	for i := range n {
		name := filepath.Join(folder, fmt.Sprintf("%04d.pcap", (i*7)%n)) // not in order of their names
		if err := os.WriteFile(name, ethernet(uint32(10*i), uint32(10*i+5), uint32(10*i+12)), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	for _, tt := range []struct {
		name  string
		paths []string
	}{{"folder", []string{folder}}, {"names", names}} {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, Options{}, tt.paths...)
			most, packets, last := 0, 0, int64(-1)
			var p Packet
			for r.Next(&p) == nil {
				opened := 0
				for _, s := range r.sources {
					if len(s.closers) > 0 {
						opened++
					}
				}
				most = max(most, opened)
				if p.Time < last {
					t.Fatalf("%d behind %d", p.Time, last)
				}
				last = p.Time
				packets++
				if want := p.Time / 1e10; int64(p.Capture) != want && int64(p.Capture) != want-1 {
					t.Fatalf("second %d is of capture %d", p.Time/1e9, p.Capture)
				}
			}
			if packets != 3*n || most > 3 {
				t.Errorf("%d packets, want %d; %d files were open", packets, 3*n, most)
			}
			for _, c := range r.Captures() {
				if c.Packets != 3 || c.Err != nil {
					t.Fatalf("%s: %d packets, %v", c.Path, c.Packets, c.Err)
				}
			}
		})
	}
}

// TestForeignFormats names formats that are not read.
func TestForeignFormats(t *testing.T) {
	erf := func(size int) []byte {
		b := make([]byte, size)
		le.PutUint32(b[4:], 1700000000)
		b[8] = 2
		be.PutUint16(b[10:], uint16(size))
		return b
	}
	etl := make([]byte, 400)
	le.PutUint32(etl, 65536)
	le.PutUint32(etl[4:], 400)
	etl[74], etl[75] = 2, 0xc0
	tar := make([]byte, 512)
	copy(tar[257:], "ustar")
	const by = ", which is not read; `editcap -F pcapng FILE NEW.pcapng` converts it"
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"snoop", []byte("snoop\x00\x00\x00\x00\x00\x00\x02"), "it is a snoop capture" + by},
		{"BLF", []byte("LOGG\x90\x00\x00\x00"), "it is a BLF log of Vector" + by},
		{"ETL", etl, "it is an event trace of Windows (ETL), which is not read; `etl2pcapng FILE NEW.pcapng` converts it"},
		{"ERF", join(erf(80), erf(90)), "it is an ERF capture" + by},
		{"ERF of one record", erf(80), "it is an ERF capture" + by},
		{"no ERF", join(erf(80), make([]byte, 100)), "not a packet capture"},
		{"zip", []byte("PK\x03\x04"), "it is a zip archive, which is not read; `unzip FILE` converts it"},
		{"tar", tar, "it is a tar archive, which is not read; `tar -xf FILE` converts it"},
		{"Network Monitor 9", []byte("GMBU\x00\x09"), "it is a Network Monitor capture of an unknown version" + by},
		{"a snoop capture in gzip", gzipped(t, []byte("snoop\x00\x00\x00")), "it is a snoop capture" + by},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t, "x", tt.file)
			if _, err := Open([]string{path}, Options{}); err == nil || err.Error() != path+": "+tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}
