package sink

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// numbered formats records that are numbers, as JSON.
func numbered(dst []byte, n int) ([]byte, error) {
	switch {
	case n < 0:
		return append(dst, "half a rec"...), fmt.Errorf("%d is negative", n)
	case n == 0:
		return dst, nil
	}
	return appendLine(dst, n), nil
}

func config(dir string) Config {
	return Config{Dir: dir, Name: "events", Ext: "jsonl", Queue: 64, SpoolBytes: 1 << 20, Location: time.UTC, Now: time.Now}
}

func openLog(t *testing.T, c Config) *Log[int] {
	t.Helper()
	l, err := Open(c, numbered)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLog(t *testing.T, l interface{ Close(context.Context) error }) {
	t.Helper()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// tree returns the files of a folder by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // the lock of a job
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

func lines(from, to int) string {
	var b []byte
	for n := from; n <= to; n++ {
		b = appendLine(b, n)
	}
	return string(b)
}

func appendLine(b []byte, n int) []byte {
	return append(strconv.AppendInt(append(b, `{"n":`...), int64(n), 10), "}\n"...)
}

// TestFiles puts the numbers from 1 on, one a minute from 2000-01-01 00:00
// UTC, and looks at the files after Close.
func TestFiles(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Config)
		before []string // lie in the folder, with a line of a number below 0
		puts   int
		rotate int // asked for before this record
		want   map[string]string
	}{
		{name: "nothing", want: map[string]string{}},
		{name: "one file", puts: 3, want: map[string]string{"events-20000101-000000-000001.jsonl": lines(1, 3)}},
		{name: "by time", puts: 5, change: func(c *Config) { c.Rotate = 2 * time.Minute }, want: map[string]string{
			"events-20000101-000000-000001.jsonl": lines(1, 2),
			"events-20000101-000200-000002.jsonl": lines(3, 4),
			"events-20000101-000400-000003.jsonl": lines(5, 5),
		}},
		{name: "by size", puts: 5, change: func(c *Config) { c.RotateSize = 17 }, want: map[string]string{
			"events-20000101-000000-000001.jsonl": lines(1, 2),
			"events-20000101-000200-000002.jsonl": lines(3, 4),
			"events-20000101-000400-000003.jsonl": lines(5, 5),
		}},
		{name: "records larger than a file", puts: 2, change: func(c *Config) { c.RotateSize = 1 }, want: map[string]string{
			"events-20000101-000000-000001.jsonl": lines(1, 1),
			"events-20000101-000100-000002.jsonl": lines(2, 2),
		}},
		{name: "asked for", puts: 3, rotate: 3, want: map[string]string{
			"events-20000101-000000-000001.jsonl": lines(1, 2),
			"events-20000101-000200-000002.jsonl": lines(3, 3),
		}},
		{name: "local dates", puts: 1, change: func(c *Config) { c.Location = time.FixedZone("", 5400) }, want: map[string]string{
			"events-20000101-013000-000001.jsonl": lines(1, 1),
		}},
		{name: "after a killed process", puts: 1, before: []string{
			"events-19990101-000000-000041.jsonl", "events-19990101-000000-000042.log", "other-19990101-000000-000043.jsonl",
			"events-19990101-000000-000044.jsonl.zst.part", "events-x-000045.jsonl",
		}, want: map[string]string{
			"events-19990101-000000-000041.jsonl": "old", "events-19990101-000000-000042.log": "old", "other-19990101-000000-000043.jsonl": "old",
			"events-x-000045.jsonl":               "old",
			"events-20000101-000000-000045.jsonl": lines(1, 1),
		}},
		{name: "keep", puts: 4, change: func(c *Config) { c.RotateSize, c.Keep = 1, 2 }, before: []string{
			"events-19990101-000000-000006.jsonl", "events-19990101-000000-000007.jsonl.zst",
		}, want: map[string]string{
			"events-20000101-000200-000010.jsonl": lines(3, 3),
			"events-20000101-000300-000011.jsonl": lines(4, 4),
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := config(t.TempDir())
				if row.change != nil {
					row.change(&c)
				}
				for _, name := range row.before {
					if err := os.WriteFile(filepath.Join(c.Dir, name), []byte("old"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				l := openLog(t, c)
				for n := 1; n <= row.puts; n++ {
					if n == row.rotate {
						l.Rotate()
						synctest.Wait()
					}
					l.Put(n)
					synctest.Wait()
					time.Sleep(time.Minute)
				}
				closeLog(t, l)
				if diff := cmp.Diff(row.want, tree(t, c.Dir)); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(Stats{Capacity: 64, Written: int64(row.puts)}, l.Stats()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestIdleFileEnds shows that a file ends in time when nothing is written.
func TestIdleFileEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t.TempDir())
		c.Rotate = time.Hour
		l := openLog(t, c)
		l.Put(1)
		time.Sleep(59*time.Minute + 59*time.Second)
		synctest.Wait()
		if got := l.Stats().File; got != filepath.Join(c.Dir, "events-20000101-000000-000001.jsonl") {
			t.Errorf("before the hour the file is %q", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := l.Stats().File; got != "" {
			t.Errorf("after the hour the file is still %q", got)
		}
		closeLog(t, l)
	})
}

func TestFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t.TempDir())
		l := openLog(t, c)
		for _, n := range []int{1, -5, 2, 0, -6, 3} {
			l.Put(n)
		}
		closeLog(t, l)
		if diff := cmp.Diff(map[string]string{"events-20000101-000000-000001.jsonl": lines(1, 3)}, tree(t, c.Dir)); diff != "" {
			t.Error(diff)
		}
		want := Stats{Capacity: 64, Written: 4, Unformatted: 2, FormatError: "-6 is negative"}
		if diff := cmp.Diff(want, l.Stats()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, config(t.TempDir()))
		closeLog(t, l)
		closeLog(t, l)
		if l.Put(1) {
			t.Error("a closed log takes a record")
		}
		if got := l.Stats().Lost; got != 1 {
			t.Errorf("%d lost, want 1", got)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"a file for a folder", func(c *Config) { c.Dir = file }, file + ": not a directory"},
		{"below a file", func(c *Config) { c.Dir = filepath.Join(file, "x") }, filepath.Join(file, "x") + ": not a directory"},
		{"a name with a folder", func(c *Config) { c.Name = "a/b" }, `"a/b" with extension "jsonl" is no name of a file`},
		{"no queue", func(c *Config) { c.Queue = 0 }, "a queue holds at least one record"},
		{"no clock", func(c *Config) { c.Now = nil }, "no clock"},
		{"a second has many files", func(c *Config) { c.Rotate = time.Millisecond }, "files cover a second or more, not 1ms"},
		{"negative", func(c *Config) { c.Keep = -1 }, "sizes and counts of files are not negative"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := config(t.TempDir())
			row.change(&c)
			l, err := Open(c, numbered)
			if l != nil || err == nil || err.Error() != row.want {
				t.Errorf("Open = %v, %v, want %s", l, err, row.want)
			}
		})
	}
}
