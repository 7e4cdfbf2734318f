package sink

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

var interfaces = []pcaps.Capture{
	{Interfaces: []pcaps.Interface{{Name: "eth1", Link: pcaps.LinkEthernet, Snaplen: 65535, Point: pcaps.Edge}}},
	{Interfaces: []pcaps.Interface{{Name: "any", Link: pcaps.LinkLinuxSLL2}, {Name: "wan0", Link: pcaps.LinkRaw, Point: pcaps.Core}}},
}

func ringConfig(path string) RingConfig {
	return RingConfig{
		Path: path, Captures: interfaces, QueueBytes: 1 << 20, SpoolBytes: 1 << 20, Location: time.UTC, Now: time.Now,
	}
}

// packet n is of interface n modulo 3, has n bytes and came n ns late.
func packet(n int) pcaps.Packet {
	i := n % 3
	p := pcaps.Packet{Data: []byte(strings.Repeat(string(rune('a'+n%26)), n)), WireLen: n + n%2}
	p.Time = 1_764_082_000_000_000_000 + int64(n)
	p.Capture, p.Interface = int32(min(i, 1)), int32(max(i-1, 0))
	return p
}

// kept is what reading gives back of packet n, the k-th of its file.
func kept(n, k int) pcaps.Packet {
	p := packet(n)
	i := n % 3
	p.Link = []pcaps.LinkType{pcaps.LinkEthernet, pcaps.LinkLinuxSLL2, pcaps.LinkRaw}[i]
	p.Point = []pcaps.Point{pcaps.Edge, pcaps.Unknown, pcaps.Core}[i]
	p.Mark = wire.Mark{Time: p.Time, Packet: int64(k)}
	p.Interface = int32(i)
	return p
}

// readRing reads the packets of the files in a folder, file by file. The last
// may be cut off.
func readRing(t *testing.T, pattern string) (files [][]pcaps.Packet) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		r, err := pcaps.Open([]string{path}, pcaps.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var all []pcaps.Packet
		for {
			var p pcaps.Packet
			if err := r.Next(&p); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			p.Data, p.Tap = slices.Clone(p.Data), 0 // taps are numbered by who reads
			all = append(all, p)
		}
		if err := r.Captures()[0].Err; err != nil {
			t.Errorf("%s: %v", path, err)
		}
		r.Close()
		files = append(files, all)
	}
	return files
}

func TestRing(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*RingConfig)
		glob   string
		want   [][]int // packets of each file
	}{
		{name: "one file", glob: "trace.pcapng", want: [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}},
		{name: "by time", glob: "trace-2000*.pcapng", change: func(c *RingConfig) { c.Rotate = 4 * time.Minute },
			want: [][]int{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}},
		{name: "keep one and the last", glob: "trace-2000*.pcapng", change: func(c *RingConfig) { c.Rotate, c.Keep = 4*time.Minute, 2 },
			want: [][]int{{4, 5, 6, 7}, {8, 9}}},
		{name: "zstd", glob: "trace-2000*.pcapng.zst", change: func(c *RingConfig) { c.Rotate, c.Zstd = 4*time.Minute, true },
			want: [][]int{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				c := ringConfig(filepath.Join(dir, "trace.pcapng"))
				if row.change != nil {
					row.change(&c)
				}
				r, err := OpenRing(c)
				if err != nil {
					t.Fatal(err)
				}
				for n := range 10 {
					p := packet(n)
					if !r.WritePacket(&p) {
						t.Fatalf("packet %d has no place", n)
					}
					clear(p.Data) // it is the ring's no more
					synctest.Wait()
					time.Sleep(time.Minute)
				}
				closeLog(t, r)
				var want [][]pcaps.Packet
				for _, file := range row.want {
					var all []pcaps.Packet
					for k, n := range file {
						all = append(all, kept(n, k+1))
					}
					want = append(want, all)
				}
				if diff := cmp.Diff(want, readRing(t, filepath.Join(dir, row.glob))); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(Stats{Written: 10, CapacityBytes: 1 << 20}, r.Stats()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestRingRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "trace.pcapng")
	r, err := OpenRing(ringConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRing(ringConfig(path)); err == nil || err.Error() != path+": file already exists" {
		t.Errorf("a second ring at the path: %v", err)
	}
	p := packet(1)
	p.Interface = 2
	if r.WritePacket(&p) {
		t.Error("the ring takes a packet of an interface that is not described")
	}
	closeLog(t, r)
	want := Stats{Unformatted: 1, FormatError: "a packet of interface 2 of capture 1, which is not described", CapacityBytes: 1 << 20}
	if diff := cmp.Diff(want, r.Stats()); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(readRing(t, path)); got != "[[]]" {
		t.Errorf("the ring without packets reads as %s", got)
	}
}

// TestRingIsFull fills spool and queue of a ring on a full disk.
func TestRingIsFull(t *testing.T) {
	for _, pace := range []int{1, 7, 50} { // packets before the ring has done its part
		synctest.Test(t, func(t *testing.T) {
			d := newFakeDisk()
			c := ringConfig("/log/trace.pcapng")
			c.WhenFull, c.QueueBytes, c.SpoolBytes = Drop, 100_000, 1<<20
			r, err := openRing(c, d)
			if err != nil {
				t.Fatal(err)
			}
			d.set(func(d *fakeDisk) { d.room = 500 })
			const packets = 3000
			var places []int
			for n := range packets {
				p := packet(n % 1000)
				if r.WritePacket(&p) {
					places = append(places, n)
				}
				if n%pace == 0 {
					synctest.Wait()
				}
			}
			synctest.Wait()
			s := r.Stats()
			if s.Waiting+s.Spooled+s.Written+s.Lost != packets || s.Lost != int64(packets-len(places)) || s.Lost == 0 ||
				s.WaitingBytes > c.QueueBytes || s.WaitingBytes < c.QueueBytes-1100 {
				t.Errorf("pace %d: %+v", pace, s)
			}
			var held int64
			for _, chunk := range r.spool.line {
				held += chunk.memory()
			}
			if held > c.SpoolBytes || held < c.SpoolBytes-2*chunkRoom {
				t.Errorf("pace %d: the spool has %d bytes, its bound is %d", pace, held, c.SpoolBytes)
			}
			d.set(func(d *fakeDisk) { d.room = 1 << 30 })
			closeLog(t, r)
			path := filepath.Join(t.TempDir(), "trace.pcapng")
			if err := os.WriteFile(path, d.files["trace.pcapng"].data, 0o600); err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, p := range readRing(t, path)[0] {
				got = append(got, p.Time)
			}
			var want []int64
			for _, n := range places {
				want = append(want, packet(n%1000).Time)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRingMoved moves the one file of a ring away and asks for another.
func TestRingMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r, err := OpenRing(ringConfig(filepath.Join(dir, "trace.pcapng")))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			p := packet(n)
			r.WritePacket(&p)
			synctest.Wait()
			if n == 2 {
				if err := os.Rename(filepath.Join(dir, "trace.pcapng"), filepath.Join(dir, "moved.pcapng")); err != nil {
					t.Fatal(err)
				}
			}
			r.Rotate() // does nothing to a file that is where it was
			synctest.Wait()
		}
		closeLog(t, r)
		want := [][]pcaps.Packet{{kept(0, 1), kept(1, 2), kept(2, 3)}, {kept(3, 1)}}
		if diff := cmp.Diff(want, readRing(t, filepath.Join(dir, "*.pcapng"))); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRingDescribe: interfaces that come up while packets are kept, the first
// of all too, are in the files before their packets, whichever file that is.
func TestRingDescribe(t *testing.T) {
	all := []pcaps.Interface{{Name: "eth0", Link: pcaps.LinkEthernet}, {Name: "eth1", Link: pcaps.LinkEthernet}, {Name: "raw0", Link: pcaps.LinkRaw}}
	for _, size := range []int64{0, 400} {
		dir := t.TempDir()
		c := ringConfig(filepath.Join(dir, "kept.pcapng"))
		c.Captures, c.RotateSize = []pcaps.Capture{{}}, size
		r, err := OpenRing(c)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		n := 0
		for known := 1; known <= len(all); known++ {
			described := []pcaps.Capture{{Interfaces: all[:known]}}
			r.Describe(described)
			r.Describe(described)
			for range 8 {
				for i := range known {
					p := pcaps.Packet{Data: []byte{byte(n)}, WireLen: 1, Interface: int32(i)}
					p.Time = int64(n)
					if !r.WritePacket(&p) {
						t.Fatal("a packet was refused")
					}
					want = append(want, fmt.Sprint(all[i].Name, " ", all[i].Link, " ", n))
					n++
				}
			}
		}
		if err := r.Close(t.Context()); err != nil || r.Stats().Written != int64(n) {
			t.Errorf("%v, %d packets written, want %d", err, r.Stats().Written, n)
		}
		paths, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
		if err != nil || (len(paths) > 1) != (size > 0) {
			t.Errorf("files are %v, %v", paths, err)
		}
		slices.Sort(paths)
		var got []string
		for _, path := range paths {
			f, err := pcaps.Open([]string{path}, pcaps.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var p pcaps.Packet
			for f.Next(&p) == nil {
				got = append(got, fmt.Sprint(f.Captures()[0].Interfaces[p.Interface].Name, " ", p.Link, " ", p.Data[0]))
			}
			if err := f.Captures()[0].Err; err != nil {
				t.Errorf("%s: %v", path, err)
			}
			f.Close()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("files up to %d bytes (-want +got):\n%s", size, diff)
		}
	}
}
