//go:build linux

package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"mapiscope/pcaps"
)

// Environment of a test that runs again in a process of its own.
const (
	envAlone = "SINK_TEST_ALONE"
	envDir   = "SINK_TEST_DIR"
	envFirst = "SINK_TEST_FIRST" // record
)

// alone is this test in another process.
func alone(t *testing.T, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	cmd.Env = append(append(os.Environ(), envAlone+"=1"), env...)
	return cmd
}

// startAlone starts a process that ends with this one.
func startAlone(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := alone(t, env...)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// endWithParent ends this process when the one that started it does.
func endWithParent() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
}

// ownMounts tells whether the test has mounts of its own; if not, it runs it
// in a process that has.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envAlone) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("a small disk needs root")
		}
		t.Skip("a small disk needs root")
	}
	cmd := alone(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// smallDisk mounts a disk of 64 KiB and returns what makes it larger.
func smallDisk(t *testing.T, dir string) (grow func()) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return func() {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
			t.Fatal(err)
		}
	}
}

// until waits for something that another goroutine does.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 60_000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("there is never " + what)
}

func TestSmallDisk(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	for _, row := range []struct {
		name   string
		change func(*Config)
	}{
		{"one file", func(c *Config) {}},
		{"small files", func(c *Config) { c.RotateSize = 10_000 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := config(t.TempDir())
			c.SpoolBytes = 16 << 20
			grow := smallDisk(t, c.Dir)
			row.change(&c)
			l := openLog(t, c)
			const records = 50_000
			for n := 1; n <= records; n++ {
				l.Put(n)
			}
			until(t, "a full disk", func() bool { return l.Stats().Failing != "" })
			if s := l.Stats(); !strings.HasSuffix(s.Failing, "no space left on device") || s.Lost > 0 || s.Spooled == 0 {
				t.Errorf("%+v", s)
			}
			grow()
			closeLog(t, l)
			var all []string
			for _, f := range readFiles(t, c.Dir) {
				all = append(all, f.text)
			}
			whole(t, all, 1, records, false)
			if diff := cmp.Diff(Stats{Capacity: 64, Written: records}, l.Stats()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSmallDiskForCompression shows that a file stays as it is when there is
// no room for its compressed form.
func TestSmallDiskForCompression(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	c := config(t.TempDir())
	c.Zstd = true
	grow := smallDisk(t, c.Dir)
	noise := make([]byte, 36_000)
	rand.NewChaCha8([32]byte{}).Read(noise)
	const name = "events-19990101-000000-000001.jsonl"
	if err := os.WriteFile(filepath.Join(c.Dir, name), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, c)
	l.Put(1)
	until(t, "a file that cannot be compressed", func() bool {
		l.Put(1)
		return l.Stats().Upkeep == filepath.Join(c.Dir, name+".zst")+": no space left on device"
	})
	if files := tree(t, c.Dir); len(files) != 2 || files[name] != string(noise) {
		t.Errorf("%d files, %d bytes of the old one", len(files), len(files[name]))
	}
	grow()
	closeLog(t, l)
	if all := readFiles(t, c.Dir); len(all) != 2 || all[0].text != string(noise) || len(tree(t, c.Dir)) != 2 {
		t.Errorf("%d files, of which the first has %d bytes", len(all), len(all[0].text))
	}
	if got := l.Stats().Upkeep; got != "" {
		t.Errorf("there is still trouble: %s", got)
	}
}

func TestSmallDiskOfPackets(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	dir := t.TempDir()
	grow := smallDisk(t, dir)
	c := ringConfig(filepath.Join(dir, "trace.pcapng"))
	c.RotateSize, c.SpoolBytes = 20_000, 16<<20
	r, err := OpenRing(c)
	if err != nil {
		t.Fatal(err)
	}
	const packets = 600
	for n := range packets {
		p := packet(n)
		r.WritePacket(&p)
	}
	until(t, "a full disk", func() bool { return r.Stats().Failing != "" })
	grow()
	closeLog(t, r)
	n := 0
	for _, file := range readRing(t, filepath.Join(dir, "trace-*.pcapng")) {
		for k, p := range file {
			if diff := cmp.Diff(kept(n, k+1), p); diff != "" {
				t.Fatal(diff)
			}
			n++
		}
	}
	if n != packets {
		t.Errorf("%d of %d packets are there", n, packets)
	}
	if diff := cmp.Diff(Stats{Written: packets, CapacityBytes: c.QueueBytes}, r.Stats()); diff != "" {
		t.Error(diff)
	}
}

// logFile is a file of a log as a reader sees it.
type logFile struct {
	name string // without suffix
	text string
}

// readFiles reads the files of a log in order, compressed or not. A file that
// is there in both forms must be the same.
func readFiles(t *testing.T, dir string) []logFile {
	t.Helper()
	var all []logFile
	files := tree(t, dir)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	for _, e := range (series{"events", "jsonl"}).entries(names) {
		text := files[e.file]
		if e.small {
			z, err := zstd.NewReader(strings.NewReader(files[e.file+suffixZstd]))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(z)
			if err != nil {
				t.Fatalf("%s: %v", e.file+suffixZstd, err)
			}
			z.Close()
			if e.plain && text != string(b) {
				t.Errorf("%s differs from its compressed form", e.file)
			}
			text = string(b)
		}
		all = append(all, logFile{e.file, text})
	}
	return all
}

// TestKill kills processes that write a log, one after the other in one
// folder.
func TestKill(t *testing.T) {
	if dir := os.Getenv(envDir); dir != "" {
		endWithParent()
		c := config(dir)
		c.RotateSize, c.Zstd = 40_000, true
		l := openLog(t, c)
		first, _ := strconv.Atoi(os.Getenv(envFirst))
		for n := first; ; n++ {
			l.Put(n)
		}
	}
	dir := t.TempDir()
	const apart = 100_000_000
	for round := 1; round <= 5; round++ {
		before := len(readFiles(t, dir))
		cmd := startAlone(t, envDir+"="+dir, envFirst+"="+strconv.Itoa(round*apart))
		until(t, "some files", func() bool {
			list, err := os.ReadDir(dir)
			return err == nil && len(list) > before+3*round
		})
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
	}
	next, torn, number := 0, false, 0
	for _, f := range readFiles(t, dir) {
		n, _ := series{"events", "jsonl"}.number(f.name)
		if number++; n != number {
			t.Fatalf("file %d has the number %d", number, n)
		}
		for line := range strings.Lines(f.text) {
			whole, ok := strings.CutSuffix(line, "\n")
			if !ok {
				torn = true
				break
			}
			var rec struct{ N int }
			if err := json.Unmarshal([]byte(whole), &rec); err != nil {
				t.Fatalf("%s: %q: %v", f.name, line, err)
			}
			if rec.N%apart == 0 && rec.N == (next/apart+1)*apart {
				next, torn = rec.N, false // the next process
			}
			if rec.N != next || torn {
				t.Fatalf("%s: record %d after %d, torn %v", f.name, rec.N, next-1, torn)
			}
			next++
		}
	}
	if next/apart != 5 {
		t.Errorf("the last record is %d, of no fifth process", next)
	}
}

// TestKillRing kills a process that writes packets.
func TestKillRing(t *testing.T) {
	if dir := os.Getenv(envDir); dir != "" {
		endWithParent()
		c := ringConfig(filepath.Join(dir, "trace.pcapng"))
		c.RotateSize, c.Keep = 100_000, 3
		r, err := OpenRing(c)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; ; n++ {
			p := pcaps.Packet{Data: fmt.Appendf(nil, "%0*d", 10+n%1000, n)}
			r.WritePacket(&p)
		}
	}
	for range 5 {
		dir := t.TempDir()
		cmd := startAlone(t, envDir+"="+dir)
		pattern := filepath.Join(dir, "trace-*.pcapng")
		until(t, "some files", func() bool {
			list, _ := newFolder(dir, "").list("")
			all := series{"trace", "pcapng"}.entries(list)
			return len(all) > 0 && all[len(all)-1].number >= 10
		})
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) > 4 { // three and the last
			t.Fatalf("%v, %v", files, err)
		}
		next := -1
		for i, path := range files {
			if info, err := os.Stat(path); err != nil || info.Size() > 100_000 {
				t.Fatalf("%s: %v, %v", path, info, err)
			}
			r, err := pcaps.Open([]string{path}, pcaps.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var p pcaps.Packet
			for r.Next(&p) == nil {
				n, err := strconv.Atoi(string(bytes.TrimLeft(p.Data[:len(p.Data)-1], "0")) + string(p.Data[len(p.Data)-1:]))
				if next < 0 {
					next = n
				}
				if err != nil || n != next {
					t.Fatalf("%s: packet %q, want %d", path, p.Data, next)
				}
				next++
			}
			if err := r.Captures()[0].Err; err != nil && (i < len(files)-1 || !strings.HasPrefix(err.Error(), "cut off")) {
				t.Errorf("%s: %v", path, err)
			}
			r.Close()
		}
		if next < 1 {
			t.Error("no packets")
		}
	}
}

// TestRemoved takes the folder, then only the file, away from under a log, and
// then moves the folder.
func TestRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(filepath.Join(t.TempDir(), "a", "b"))
		l := openLog(t, c)
		put := func(from, to int) {
			for n := from; n <= to; n++ {
				l.Put(n)
			}
			synctest.Wait()
		}
		put(1, 40)
		if err := os.RemoveAll(filepath.Dir(c.Dir)); err != nil {
			t.Fatal(err)
		}
		put(41, 80)
		want := map[string]string{"events-20000101-000000-000002.jsonl": lines(41, 80)}
		if diff := cmp.Diff(want, tree(t, c.Dir)); diff != "" {
			t.Error(diff)
		}
		if err := os.Remove(filepath.Join(c.Dir, "events-20000101-000000-000002.jsonl")); err != nil {
			t.Fatal(err)
		}
		put(81, 90)
		moved := filepath.Join(t.TempDir(), "moved")
		if err := os.Rename(c.Dir, moved); err != nil {
			t.Fatal(err)
		}
		put(91, 100) // where the file is now
		l.Rotate()
		synctest.Wait()
		put(101, 110)
		closeLog(t, l)
		got := []map[string]string{tree(t, moved), tree(t, c.Dir)}
		if diff := cmp.Diff([]map[string]string{
			{"events-20000101-000000-000003.jsonl": lines(81, 100)},
			{"events-20000101-000000-000004.jsonl": lines(101, 110)},
		}, got); diff != "" {
			t.Error(diff)
		}
		if s := l.Stats(); s.Written != 110 || s.Upkeep != "" {
			t.Errorf("%+v", s)
		}
	})
}
