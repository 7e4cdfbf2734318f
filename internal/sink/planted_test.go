//go:build linux

package sink

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// foreigner is an owner that no test runs as.
const foreigner = 65533

// plants are what others may put where we are about to write. Each is told the
// path and a victim, a file elsewhere that must stay as it is.
var plants = map[string]func(path, victim string) error{
	"a link to a file":       func(path, victim string) error { return os.Symlink(victim, path) },
	"a link to nothing":      func(path, victim string) error { return os.Symlink(victim+"-not-there", path) },
	"a link in the folder":   func(path, victim string) error { return os.Symlink("bystander", path) },
	"a pipe":                 func(path, _ string) error { return syscall.Mkfifo(path, 0o666) },
	"a folder":               func(path, _ string) error { return os.Mkdir(path, 0o777) },
	"a file of another":      func(path, _ string) error { return foreign(path, "theirs") },
	"a large file of theirs": func(path, _ string) error { return foreign(path, strings.Repeat("theirs", 100_000)) },
}

// foreign writes a file of another owner.
func foreign(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		return err
	}
	return os.Lchown(path, foreigner, foreigner)
}

// seen tells what is at a path and in it, without touching it.
func seen(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		return err.Error()
	}
	text := info.Mode().String() + " "
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			t.Fatal(err)
		}
		text += to
	case info.Mode().IsRegular():
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	return text
}

// TestPlanted puts something of another at every path that a sink writes.
// Nothing of it is followed, waited for, written, renamed or removed, and every
// record is in a file of ours, or the job says at its start what stands in the
// way.
func TestPlanted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of another owner need root")
	}
	log := func(t *testing.T, dir string) (stats func() Stats, err error) {
		c := config(dir)
		c.Zstd, c.Keep = true, 1
		l, err := Open(c, numbered)
		if err != nil {
			return nil, err
		}
		for n := 1; n <= 3; n++ {
			l.Put(n)
			synctest.Wait()
			if n < 3 {
				l.Rotate()
				synctest.Wait()
			}
		}
		closeLog(t, l)
		return l.Stats, nil
	}
	ring := func(size int64) func(t *testing.T, dir string) (func() Stats, error) {
		return func(t *testing.T, dir string) (func() Stats, error) {
			c := ringConfig(filepath.Join(dir, "trace.pcapng"))
			if c.RotateSize = size; size > 0 {
				c.Keep = 1
			}
			r, err := OpenRing(c)
			if err != nil {
				return nil, err
			}
			for n := range 3 {
				p := packet(n)
				r.WritePacket(&p)
				synctest.Wait()
			}
			closeLog(t, r)
			return r.Stats, nil
		}
	}
	for _, row := range []struct {
		path    string
		write   func(t *testing.T, dir string) (func() Stats, error)
		refused bool
	}{
		{".events.jsonl.lock", log, true},
		{"events-19990101-000000-000001.jsonl", log, false},
		{"events-19990101-000000-000001.jsonl.zst", log, false},
		{"events-20000101-000000-000001.jsonl", log, false},
		{"events-20000101-000000-000001.jsonl.zst", log, false},
		{"events-20000101-000000-000001.jsonl.zst.part", log, false},
		{"events-20000101-000000-999999999999999999.jsonl", log, false},
		{"trace.pcapng", ring(0), true},
		{"trace.pcapng.part", ring(0), true},
		{".trace.pcapng.lock", ring(1), true},
		{"trace-19990101-000000-000001.pcapng", ring(1), false},
		{"trace-20000101-000000-000001.pcapng", ring(1), false},
		{"trace-20000101-000000-000001.pcapng.part", ring(1), false},
	} {
		for what, plant := range plants {
			t.Run(row.path+"/"+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
					bystander := filepath.Join(dir, "bystander")
					for _, path := range []string{victim, bystander} {
						if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					path := filepath.Join(dir, row.path)
					if err := plant(path, victim); err != nil {
						t.Fatal(err)
					}
					before := seen(t, path)
					stats, err := row.write(t, dir)
					if (err != nil) != row.refused {
						t.Errorf("the job starts with %v", err)
					}
					if err == nil {
						if s := stats(); s.Written != 3 || s.Lost > 0 || s.Failing != "" {
							t.Errorf("%+v", s)
						}
					} else if !strings.HasPrefix(err.Error(), dir) || strings.Contains(err.Error(), "openat") || strings.Count(err.Error(), dir) > 1 || errors.Is(err, errInUse) {
						t.Errorf("the error is %v", err)
					}
					if after := seen(t, path); after != before {
						t.Errorf("%.50q became %.50q", before, after)
					}
					for _, path := range []string{victim, bystander} {
						if got := seen(t, path); got != "-rw------- precious" {
							t.Errorf("%s is %.50q", path, got)
						}
					}
					if _, err := os.Lstat(victim + "-not-there"); err == nil {
						t.Error("a file was made at the end of a link")
					}
				})
			})
		}
	}
}

// TestModes: what is written is for the owner and the group, whatever is
// readable beside it.
func TestModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "new")
		c := config(dir)
		l := openLog(t, c)
		l.Put(1)
		r, err := OpenRing(ringConfig(filepath.Join(dir, "trace.pcapng")))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := map[string]string{"": mode(t, dir)}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			got[e.Name()] = mode(t, filepath.Join(dir, e.Name()))
		}
		want := map[string]string{
			"": "drwxr-x---", ".events.jsonl.lock": "-rw-r-----", "events-20000101-000000-000001.jsonl": "-rw-r-----", "trace.pcapng": "-rw-r-----",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		closeLog(t, l)
		closeLog(t, r)
	})
}

func mode(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().String()
}

// TestTemp: what a killed job left in the place of a temporary file is taken
// away, what another one writes is not.
func TestTemp(t *testing.T) {
	for _, row := range []struct {
		name  string
		taken bool
	}{{"left by a killed job", false}, {"written by another", true}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				temp := filepath.Join(dir, "trace.pcapng.part")
				f, err := os.Create(temp)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteString("half"); err != nil {
					t.Fatal(err)
				}
				if row.taken {
					lock(f)
				} else {
					f.Close()
				}
				r, err := OpenRing(ringConfig(filepath.Join(dir, "trace.pcapng")))
				if row.taken {
					if !errors.Is(err, errBusy) || seen(t, temp) != "-rw-r--r-- half" {
						t.Errorf("%v; %s", err, seen(t, temp))
					}
					f.Close()
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				closeLog(t, r)
				if files := tree(t, dir); len(files) != 1 || len(files["trace.pcapng"]) == 0 {
					t.Errorf("%v", files)
				}
			})
		})
	}
}

// TestTwoJobs: of two jobs of one name in one folder the second refuses, and
// touches nothing; it may begin when the first has ended, also by a kill.
func TestTwoJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := config(dir)
		c.Zstd, c.Keep = true, 1
		rc := ringConfig(filepath.Join(dir, "trace.pcapng"))
		rc.RotateSize, rc.Keep = 1, 1
		a := openLog(t, c)
		ra, err := OpenRing(rc) // another series
		if err != nil {
			t.Fatal(err)
		}
		a.Put(1)
		synctest.Wait()
		before := tree(t, dir)
		if _, err := Open(c, numbered); !errors.Is(err, errInUse) || !strings.HasPrefix(err.Error(), dir+": another job ") {
			t.Errorf("the second log: %v", err)
		}
		if _, err := OpenRing(rc); !errors.Is(err, errInUse) {
			t.Errorf("the second ring: %v", err)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Error(diff)
		}
		a.Put(2)
		closeLog(t, a)
		closeLog(t, ra)
		if _, err := os.Lstat(filepath.Join(dir, ".events.jsonl.lock")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the lock stays: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".events.jsonl.lock"), nil, 0o600); err != nil { // of a killed job
			t.Fatal(err)
		}
		b := openLog(t, c)
		b.Put(3)
		closeLog(t, b)
		if diff := cmp.Diff(map[string]string{"events-20000101-000000-000002.jsonl": lines(3, 3)}, plainOnes(t, dir)); diff != "" {
			t.Error(diff)
		}
	})
}

// plainOnes are the files of a log, uncompressed and under their plain names.
func plainOnes(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, text := range plain(t, dir) {
		if name = strings.TrimSuffix(name, suffixZstd); strings.HasPrefix(name, "events-") {
			all[name] = text
		}
	}
	return all
}

// TestSwapped puts a link of another owner in the place of the folder while a
// log is written: nothing is written behind it, and nothing is lost.
func TestSwapped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a link of another owner needs root")
	}
	synctest.Test(t, func(t *testing.T) {
		c := config(filepath.Join(t.TempDir(), "log"))
		victim, away := t.TempDir(), c.Dir+"-away"
		l := openLog(t, c)
		l.Put(1)
		synctest.Wait()
		for _, err := range []error{os.Rename(c.Dir, away), os.Symlink(victim, c.Dir), os.Lchown(c.Dir, foreigner, foreigner)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		l.Rotate()
		synctest.Wait()
		l.Put(2)
		synctest.Wait()
		if s := l.Stats(); !strings.HasSuffix(s.Failing, errMoved.Error()) || s.Spooled+s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		if entries, err := os.ReadDir(victim); err != nil || len(entries) > 0 {
			t.Errorf("behind the link are %v, %v", entries, err)
		}
		for _, err := range []error{os.Remove(c.Dir), os.Rename(away, c.Dir)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		closeLog(t, l)
		if diff := cmp.Diff(map[string]string{
			"events-20000101-000000-000001.jsonl": lines(1, 1), "events-20000101-000000-000002.jsonl": lines(2, 2),
		}, tree(t, c.Dir)); diff != "" {
			t.Error(diff)
		}
	})
}
