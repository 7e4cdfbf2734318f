package sink

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"
)

// files is the file that is being written, and how one follows the other. It
// belongs to the goroutine of its core.
type files struct {
	config *Config
	disk   disk
	series series
	exact  bool                   // one file at exactly this path, whatever its size or age
	head   atomic.Pointer[[]byte] // of each file; nil for none
	keeper *keeper

	file    file // nil between files
	name    string
	size    int64     // of the file up to its last whole record
	records bool      // it has some
	torn    int       // bytes of the next record that lie behind size and could not be cut off
	until   time.Time // the file ends then; zero for never
	number  int       // of the last file
}

var errGone = errors.New("the file was removed while it was written")

// begin takes up what lies in the folder and begins the first file, so that
// what is wrong with the place is known at once.
func (f *files) begin(now time.Time) error {
	if err := f.keeper.begin(); err != nil {
		return err
	}
	f.number = f.keeper.last
	return f.open(now)
}

// setHead is called by any goroutine.
func (f *files) setHead(head []byte) { f.head.Store(&head) }

func (f *files) headOf() []byte {
	if head := f.head.Load(); head != nil {
		return *head
	}
	return nil
}

// open begins a file.
func (f *files) open(now time.Time) error {
	now = now.In(f.config.Location)
	dir := f.config.Dir
	var err error
	for range 100 { // another program may take a number, too
		name, number := f.name, f.number
		if !f.exact {
			number++
			name = f.series.file(now, number)
		}
		f.keeper.writes(name)
		path := filepath.Join(dir, name)
		var opened file
		head := f.headOf()
		opened, err = f.disk.create(name, head)
		if errors.Is(err, fs.ErrNotExist) {
			if err = f.disk.mkdir(); err == nil {
				opened, err = f.disk.create(name, head)
			}
		}
		if err == nil {
			f.file, f.name, f.number = opened, name, number
			f.size, f.records, f.torn = int64(len(head)), false, 0
			f.until = time.Time{}
			if f.config.Rotate > 0 && !f.exact {
				f.until = boundary(now, f.config.Rotate)
			}
			return nil
		}
		err = trouble(path, err)
		if f.exact || !errors.Is(err, fs.ErrExist) {
			break
		}
		f.number = number
	}
	f.keeper.writes("")
	return err
}

// write writes the records of a chunk that are not written, into as many
// files as that takes. It ends at the first error; chunk.done then tells how
// far it came.
func (f *files) write(c *chunk, now time.Time) error {
	removed := false
	for c.left() > 0 {
		if f.file != nil && f.records && f.room(c) == c.done {
			f.finish()
		}
		if f.file == nil {
			if err := f.open(now); err != nil {
				return err
			}
		}
		err := f.append(c, max(f.room(c), c.done+1))
		switch {
		case err == errGone && !removed:
			removed = true
			f.drop()
		case err == errGone:
			f.drop()
			return trouble(f.place(), err)
		case err != nil:
			err = trouble(f.place(), err)
			if !noRoom(err) && !f.exact {
				f.finish()
			}
			return err
		}
	}
	return nil
}

// room returns up to which record of a chunk the file does not become too
// large.
func (f *files) room(c *chunk) int {
	if f.config.RotateSize == 0 || f.exact {
		return len(c.ends)
	}
	base := int64(c.start(c.done)) - f.size
	last := c.done
	for last < len(c.ends) && int64(c.ends[last])-base <= f.config.RotateSize {
		last++
	}
	return last
}

// append writes the records of a chunk before last to the file. What is of a
// record that is not whole is cut off again; where that fails, too, the
// record goes on from there at the next try.
func (f *files) append(c *chunk, last int) error {
	start := c.start(c.done)
	b := c.b[start+f.torn : c.ends[last-1]]
	n, err := f.file.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if f.file.gone(f.place()) {
		return errGone
	}
	written := start + f.torn + max(n, 0)
	for c.done < last && c.ends[c.done] <= written {
		c.done++
		f.records = true
	}
	whole := c.start(c.done)
	f.size += int64(whole - start)
	if f.torn = written - whole; f.torn > 0 && f.file.Truncate(f.size) == nil {
		f.torn = 0
	}
	return err
}

// ends returns when the file's time is over, if it ever is. A record that is
// half written comes first.
func (f *files) ends() (time.Time, bool) {
	return f.until, f.file != nil && f.torn == 0 && !f.until.IsZero()
}

// tick finishes a file whose time is over, also because the clock was set
// back by more than summer time does.
func (f *files) tick(now time.Time) {
	if end, ok := f.ends(); ok {
		if rest := end.Sub(now.Round(0)); rest <= 0 || rest > f.config.Rotate+2*time.Hour {
			f.finish()
		}
	}
}

// rotate finishes the file because somebody asked for it. A file at an exact
// path goes on, unless it was moved from there.
func (f *files) rotate() {
	if f.file != nil && (!f.exact || f.file.moved(f.place())) {
		f.finish()
	}
}

// close finishes the last file.
func (f *files) close() {
	if f.file != nil {
		f.finish()
	}
}

// finish closes the file, and removes it when it has no records.
func (f *files) finish() {
	if f.torn > 0 {
		f.file.Truncate(f.size) // else its last record stays unfinished
	}
	err := f.file.Close()
	f.file, f.until = nil, time.Time{}
	if !f.records && !f.exact && f.disk.remove(f.name) == nil {
		f.number--
	}
	f.keeper.finished(err)
}

// drop forgets a file that is no longer there, and with it the records that
// had been written: they were taken from where they had been put.
func (f *files) drop() {
	f.file.Close()
	f.file, f.until = nil, time.Time{}
}

// place is the path of the last file.
func (f *files) place() string { return filepath.Join(f.config.Dir, f.name) }

// path is the path of the file that is being written, or "".
func (f *files) path() string {
	if f.file == nil {
		return ""
	}
	return f.place()
}
