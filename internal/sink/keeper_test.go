package sink

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

func packed(t *testing.T, text string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// plain is a folder's files with those that are compressed in clear text.
func plain(t *testing.T, dir string) map[string]string {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := tree(t, dir)
	for name, text := range files {
		if strings.HasSuffix(name, suffixZstd) {
			b, err := z.DecodeAll([]byte(text), nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			files[name] = string(b)
		}
	}
	return files
}

// noLocks is a disk whose files cannot be locked.
type noLocks struct{ *folder }

func (noLocks) busy(string) bool { return false }

// TestCompress opens a log in a folder that killed processes left, writes two
// files and closes it.
func TestCompress(t *testing.T) {
	for name, with := range map[string]func(*folder) disk{
		"locks": func(d *folder) disk { return d }, "no locks": func(d *folder) disk { return noLocks{d} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := config(t.TempDir())
				c.Zstd = true
				write(t, c.Dir, map[string]string{
					"events-19990101-000000-000001.jsonl.zst":      packed(t, "complete"),
					"events-19990101-000000-000002.jsonl":          "killed before it was removed",
					"events-19990101-000000-000002.jsonl.zst":      packed(t, "killed before it was removed"),
					"events-19990101-000000-000003.jsonl":          "killed while it was compressed",
					"events-19990101-000000-000003.jsonl.zst.part": "half",
					"events-19990101-000000-000004.jsonl":          "cut of",
					"other-19990101-000000-000005.jsonl":           "not ours",
				})
				l, err := open(c, numbered, with(newFolder(c.Dir, "events.jsonl")))
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				l.Put(1)
				synctest.Wait()
				l.Rotate()
				synctest.Wait()
				l.Put(2)
				synctest.Wait()
				l.files.keeper.rouse()
				synctest.Wait()
				want := map[string]string{
					"events-19990101-000000-000001.jsonl.zst": "complete",
					"events-19990101-000000-000002.jsonl.zst": "killed before it was removed",
					"events-19990101-000000-000003.jsonl.zst": "killed while it was compressed",
					"events-19990101-000000-000004.jsonl.zst": "cut of",
					"other-19990101-000000-000005.jsonl":      "not ours",
					"events-20000101-000000-000005.jsonl.zst": lines(1, 1),
					"events-20000101-000000-000006.jsonl":     lines(2, 2),
				}
				if diff := cmp.Diff(want, plain(t, c.Dir)); diff != "" {
					t.Error(diff)
				}
				closeLog(t, l)
				delete(want, "events-20000101-000000-000006.jsonl")
				want["events-20000101-000000-000006.jsonl.zst"] = lines(2, 2)
				if diff := cmp.Diff(want, plain(t, c.Dir)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestCloseLeavesCompression shows that Close does not wait for compression
// beyond its deadline, and that nothing half done stays.
func TestCloseLeavesCompression(t *testing.T) {
	c := config(t.TempDir())
	noise := make([]byte, 32<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	write(t, c.Dir, map[string]string{"events-19990101-000000-000001.jsonl": string(noise)})
	c.Zstd = true
	l := openLog(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
	files := plain(t, c.Dir)
	if len(files) != 1 {
		t.Errorf("there are %d files", len(files))
	}
	for name, text := range files {
		if text != string(noise) {
			t.Errorf("%s has %d bytes", name, len(text))
		}
	}
}

func TestBoundary(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones: ", err)
	}
	const layout = "2006-01-02T15:04:05-07:00"
	for _, row := range []struct {
		name  string
		now   string
		every time.Duration
		want  string
	}{
		{"hour", "2026-11-25T15:37:00+01:00", time.Hour, "2026-11-25T16:00:00+01:00"},
		{"at the hour", "2026-11-25T15:00:00+01:00", time.Hour, "2026-11-25T16:00:00+01:00"},
		{"ten minutes", "2026-11-25T15:37:01+01:00", 10 * time.Minute, "2026-11-25T15:40:00+01:00"},
		{"seven hours from midnight", "2026-11-25T15:37:00+01:00", 7 * time.Hour, "2026-11-25T21:00:00+01:00"},
		{"and a rest before midnight", "2026-11-25T21:00:00+01:00", 7 * time.Hour, "2026-11-26T00:00:00+01:00"},
		{"day", "2026-11-25T15:37:00+01:00", day, "2026-11-26T00:00:00+01:00"},
		{"week", "2026-11-25T15:37:00+01:00", 7 * day, "2026-11-30T00:00:00+01:00"}, // a Monday
		{"day when summer time begins", "2026-03-29T00:00:00+01:00", day, "2026-03-30T00:00:00+02:00"},
		{"day when summer time ends", "2026-10-25T00:00:00+02:00", day, "2026-10-26T00:00:00+01:00"},
		{"hour that there is not", "2026-03-29T01:30:00+01:00", time.Hour, "2026-03-29T03:00:00+02:00"},
		{"hour that comes again", "2026-10-25T02:30:00+02:00", time.Hour, "2026-10-25T02:00:00+01:00"},
		{"and then", "2026-10-25T02:30:00+01:00", time.Hour, "2026-10-25T03:00:00+01:00"},
		{"two hours, one is not", "2026-03-29T00:30:00+01:00", 2 * time.Hour, "2026-03-29T03:00:00+02:00"},
	} {
		t.Run(row.name, func(t *testing.T) {
			now, err := time.Parse(layout, row.now)
			if err != nil {
				t.Fatal(err)
			}
			if got := boundary(now.In(berlin), row.every).Format(layout); got != row.want {
				t.Errorf("boundary(%s, %v) = %s, want %s", row.now, row.every, got, row.want)
			}
		})
	}
}

// TestClockSetBack shows that a file does not last until the clock is again
// where it was.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Int64
		c := config(t.TempDir())
		c.Rotate = time.Hour
		c.Now = func() time.Time { return time.Now().Add(time.Duration(back.Load())) }
		l := openLog(t, c)
		l.Put(1)
		synctest.Wait()
		back.Store(int64(-400 * day))
		time.Sleep(look)
		l.Put(2)
		closeLog(t, l)
		want := map[string]string{
			"events-20000101-000000-000001.jsonl": lines(1, 1),
			"events-19981127-000100-000002.jsonl": lines(2, 2),
		}
		if diff := cmp.Diff(want, tree(t, c.Dir)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNumber(t *testing.T) {
	s := series{"events", "jsonl"}
	at := time.Date(2026, 11, 25, 15, 37, 0, 0, time.UTC)
	for _, row := range []struct {
		file   string
		number int
		ok     bool
	}{
		{s.file(at, 1), 1, true},
		{"events-20261125-153700-000001.jsonl", 1, true},
		{s.file(at, 1_000_000), 1_000_000, true},
		{"events-20261125-153700-000001.jsonl.zst", 0, false},
		{"events-20261125-153700-000001.log", 0, false},
		{"events-20261125-153700-00001.jsonl", 0, false},
		{"events-20261125-153700-+00001.jsonl", 0, false},
		{"events-2026112-5153700-000001.jsonl", 0, false},
		{"events-20261125-153700-99999999999999999999.jsonl", 0, false},
		{"events-.jsonl", 0, false},
		{"old-events-20261125-153700-000001.jsonl", 0, false},
	} {
		if n, ok := s.number(row.file); ok != row.ok || ok && n != row.number {
			t.Errorf("number(%q) = %d, %v", row.file, n, ok)
		}
	}
}
