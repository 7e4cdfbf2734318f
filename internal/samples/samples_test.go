package samples

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the captures under pcaps anew")

const folder = "../../pcaps"

// TestCaptures holds the shipped files to their scripts.
func TestCaptures(t *testing.T) {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
		t.Run(s.Name, func(t *testing.T) {
			want := s.Write()
			if !bytes.Equal(want, s.Write()) {
				t.Fatal("the script does not repeat itself")
			}
			path := filepath.Join(folder, s.Name)
			if *update {
				if err := os.WriteFile(path, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what its script writes; make golden writes it anew", path)
			}
		})
	}
	if !slices.IsSorted(names) {
		t.Errorf("not in order: %v", names)
	}
}

// TestOrigins holds the list of origins to the files.
func TestOrigins(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, "|")
		if len(cells) == 4 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			listed[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	var size, small int64
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
		if info.Size() < 4096 {
			small++
		}
		if listed[filepath.Base(path)] == "" {
			t.Errorf("%s has no origin in the list", path)
		}
		delete(listed, filepath.Base(path))
	}
	for name := range listed {
		t.Errorf("%s is listed and not there", name)
	}
	if size > 1_500_000 {
		t.Errorf("%d bytes of captures: a clone stays small", size)
	}
	if small < 4 {
		t.Errorf("%d captures under 4 KB: tests cut those at every byte", small)
	}
	for _, s := range All() {
		if !strings.Contains(string(raw), "| `"+s.Name+"` | "+s.Origin+" |\n") {
			t.Errorf("the origin of %s is not in the list: %s", s.Name, s.Origin)
		}
	}
}
