package run

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryBoundHasItsFlood reads the table of state in ARCHITECTURE.md: each
// row names a flood, or a test, that there is; each flood stands in a row.
func TestEveryBoundHasItsFlood(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| flood or test |\n| --- | --- | --- | --- | --- | --- |\n")
	if !found {
		t.Fatal("no table of state with its floods")
	}
	unnamed := make(map[string]bool)
	for _, f := range slices.Concat(tcpFloods(), rpcFloods(), epmFloods(), mapiFloods()) {
		unnamed[f.name] = true
	}
	tests := testNames(t)
	floods := len(unnamed)
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 6 {
			if !strings.HasPrefix(line, "|") {
				break
			}
			continue
		}
		rows++
		for name := range strings.SplitSeq(strings.TrimSpace(cells[5]), "; ") {
			switch _, flood := unnamed[name]; {
			case flood:
				unnamed[name] = false
			case !tests[name] && name != "all floods of `internal/run`":
				t.Errorf("%q: there is neither a flood nor a test %q", strings.TrimSpace(cells[0]), name)
			}
		}
	}
	for name, still := range unnamed {
		if still {
			t.Errorf("the flood %q stands in no row", name)
		}
	}
	if rows < 40 || floods < 25 {
		t.Errorf("%d rows and %d floods: the table was not read", rows, floods)
	}
}

// testNames returns the names of the tests of the project.
func testNames(t *testing.T) map[string]bool {
	names := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(src, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
