package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// fakeDisk is a disk that fails when told to.
type fakeDisk struct {
	mu     sync.Mutex
	there  bool                 // the folder
	files  map[string]*fakeFile // by name
	room   int                  // bytes that still fit
	broken int                  // bytes until writes fail with EIO; below 0 they do not
	bad    string               // name of a file that cannot be written
	tries  int                  // to write
	rigid  bool                 // nothing can be cut off
	gate   chan struct{}        // a write waits for one of these, if it is set
	past   []string             // what files had in them that were removed
}

func newFakeDisk() *fakeDisk {
	return &fakeDisk{files: map[string]*fakeFile{}, room: 1 << 30, broken: -1}
}

func (d *fakeDisk) mkdir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.there = true
	return nil
}

func (d *fakeDisk) list(string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.there {
		return nil, &fs.PathError{Op: "open", Path: ".", Err: syscall.ENOENT}
	}
	return slices.Collect(maps.Keys(d.files)), nil
}

func (d *fakeDisk) create(name string, head []byte) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	switch {
	case !d.there:
		err = syscall.ENOENT
	case d.files[name] != nil:
		err = syscall.EEXIST
	case d.broken == 0:
		err = syscall.EIO
	case d.room < len(head):
		err = syscall.ENOSPC
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f := &fakeFile{disk: d, name: name, data: bytes.Clone(head)}
	d.room -= len(head)
	d.files[name] = f
	return f, nil
}

func (d *fakeDisk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[name]
	if f == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
	}
	d.room += len(f.data)
	delete(d.files, name)
	return nil
}

func (d *fakeDisk) busy(string) bool { return false }

func (d *fakeDisk) convert(string, string, func(io.Writer, io.Reader) error) error {
	return errors.ErrUnsupported
}

func (d *fakeDisk) rename(string, string) error { return errors.ErrUnsupported }

func (d *fakeDisk) exists(name string) bool { return d.files[name] != nil }

func (d *fakeDisk) close() {}

// removeAll removes the folder with everything in it.
func (d *fakeDisk) removeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.past = append(d.past, d.contents()...)
	clear(d.files)
	d.there = false
}

// contents returns what is in the files, in the order of their names.
func (d *fakeDisk) contents() []string {
	var all []string
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		all = append(all, string(d.files[path].data))
	}
	return all
}

// set changes how the disk behaves.
func (d *fakeDisk) set(change func(d *fakeDisk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

type fakeFile struct {
	disk *fakeDisk
	name string
	data []byte
}

func (f *fakeFile) Write(b []byte) (int, error) {
	d := f.disk
	if d.gate != nil {
		<-d.gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries++
	n := min(len(b), d.room)
	var err error
	switch {
	case f.name == d.bad:
		n, err = 0, syscall.EIO
	case n < len(b):
		err = syscall.ENOSPC
	}
	if d.broken >= 0 {
		if n > d.broken {
			n, err = d.broken, syscall.EIO
		}
		d.broken -= n
	}
	d.room -= n
	f.data = append(f.data, b[:n]...)
	if err != nil {
		err = &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	return n, err
}

func (f *fakeFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.rigid {
		return syscall.EIO
	}
	f.disk.room += len(f.data) - int(size)
	f.data = f.data[:size]
	return nil
}

func (f *fakeFile) Close() error { return nil }

func (f *fakeFile) gone(string) bool {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.files[f.name] != f
}

func (f *fakeFile) moved(path string) bool { return f.gone(path) }

// whole checks that contents are the lines from..to, each once and in order,
// some files with one unfinished line at their end if torn says so.
func whole(t *testing.T, contents []string, from, to int, torn bool) {
	t.Helper()
	var all strings.Builder
	for _, text := range contents {
		end := strings.LastIndexByte(text, '\n') + 1
		if end < len(text) && !torn {
			t.Errorf("a file ends with %q", text[end:])
		}
		all.WriteString(text[:end])
	}
	if got, want := all.String(), lines(from, to); got != want {
		t.Errorf("the files have\n%s\nwant\n%s", short(got), short(want))
	}
}

func short(s string) string {
	if len(s) > 2000 {
		return fmt.Sprintf("%s ... %s (%d bytes)", s[:1000], s[len(s)-1000:], len(s))
	}
	return s
}
