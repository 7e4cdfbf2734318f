package sink

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// Who may read logs and captures: they hold names, addresses and packets.
const (
	fileMode = 0o640
	dirMode  = 0o750
)

// folder is a folder of the file system in which others may write, too: whoever
// can may put a link, a pipe or a file of his own where we are about to write.
// So it is opened once and used by its descriptor; every file is created new
// (never opened, cut or written through a link) and gets its final name by a
// link, which replaces nothing; and only regular files of our own are read,
// compressed or removed. Its methods may be called from any goroutine.
type folder struct {
	dir  string
	mark string // name of the file whose lock is that of the series; "" for none

	mu     sync.Mutex
	closed bool
	root   *os.Root // nil until it is opened
	held   *os.File // the mark

	uid atomic.Int64 // owner of what we create where that is not who we are, as on some network disks; else -1
}

// newFolder describes the folder of one series of files, which one job at a
// time may write; "" is a file that has no series.
func newFolder(dir, series string) *folder {
	d := &folder{dir: dir}
	d.uid.Store(-1)
	if series != "" {
		d.mark = "." + series + ".lock"
	}
	return d
}

var (
	errNotOurs = errors.New("it is no file of ours")
	errInUse   = errors.New("another job writes these files: give this one a folder of its own, or end the other")
	errBusy    = errors.New("another job writes it")
	errTheirs  = errors.New("it belongs to another user: end the job that writes here, or remove it")
	errMoved   = errors.New("another folder stands in its place, of another owner")
)

func (d *folder) mkdir() error { return os.MkdirAll(d.dir, dirMode) }

// opened returns the folder as it was opened, whatever its path is by now.
func (d *folder) opened() (*os.Root, error) {
	d.mu.Lock()
	root := d.root
	d.mu.Unlock()
	if root == nil {
		return d.open()
	}
	return root, nil
}

// open opens the folder, again where another one stands at its path: it was
// moved away or removed, or its disk came back.
func (d *folder) open() (*os.Root, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fs.ErrClosed
	}
	there, err := os.Stat(d.dir)
	if err != nil {
		return nil, err
	}
	if d.root != nil {
		here, err := d.root.Stat(".")
		if err == nil && os.SameFile(here, there) {
			return d.root, nil
		}
		link, err := os.Lstat(d.dir)
		switch {
		case err != nil:
			return nil, err
		case !trusted(link) && (link.Mode()&fs.ModeSymlink != 0 || here == nil || owner(link) != owner(here)):
			return nil, errMoved
		}
	}
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return nil, err
	}
	here, err := root.Stat(".")
	if err == nil && !os.SameFile(here, there) {
		err = errMoved
	}
	var held *os.File
	if err == nil {
		held, err = d.take(root, here)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	d.release()
	d.root, d.held = root, held
	return root, nil
}

// take locks the series in a folder. The mark is removed when the job ends;
// one that a killed job left is nobody's and is taken over.
func (d *folder) take(root *os.Root, dir fs.FileInfo) (*os.File, error) {
	if d.mark == "" {
		return nil, nil
	}
	for range 100 {
		f, err := root.OpenFile(d.mark, os.O_RDWR|os.O_CREATE|os.O_EXCL|openFlags, fileMode)
		created := err == nil
		if errors.Is(err, fs.ErrExist) {
			there, gone := root.Lstat(d.mark)
			if gone == nil && !there.Mode().IsRegular() {
				return nil, trouble(d.mark, errNotOurs)
			}
			f, err = root.OpenFile(d.mark, os.O_RDWR|openFlags, 0)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue // the other job ended in between
			case errors.Is(err, fs.ErrPermission):
				err = errTheirs
			}
		}
		if err != nil {
			return nil, trouble(d.mark, err)
		}
		info, err := f.Stat()
		there, gone := root.Lstat(d.mark)
		switch {
		case err != nil:
		case created && owner(info) != owner(nil):
			d.uid.Store(owner(info))
		case !info.Mode().IsRegular(), gone == nil && !there.Mode().IsRegular(): // it was put there in between
			err = errNotOurs
		case !created && !d.owns(info) && owner(info) != owner(dir):
			err = errTheirs
		}
		if err == nil && !lock(f) {
			err = errInUse
		}
		if err == nil {
			// It may have been removed between its opening and its locking.
			if there, gone = root.Lstat(d.mark); gone == nil && os.SameFile(info, there) {
				return f, nil
			}
		}
		f.Close()
		switch {
		case err == errInUse:
			return nil, err
		case err != nil:
			return nil, trouble(d.mark, err)
		}
	}
	return nil, errInUse
}

// release gives back what is held of the folder.
func (d *folder) release() {
	if d.held != nil {
		d.root.Remove(d.mark) // before the lock is gone, so that it is ours
		d.held.Close()
	}
	if d.root != nil {
		d.root.Close()
	}
	d.root, d.held = nil, nil
}

func (d *folder) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.release()
}

// owns tells whether what is there is a regular file that we made.
func (d *folder) owns(info fs.FileInfo) bool {
	uid := owner(info)
	return info.Mode().IsRegular() && (uid == owner(nil) || uid == d.uid.Load())
}

func (d *folder) list(prefix string) ([]string, error) {
	root, err := d.opened()
	if err != nil {
		return nil, err
	}
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.Readdirnames(-1)
	var names []string
	for _, name := range all {
		if len(name) < len(prefix) || name[:len(prefix)] != prefix {
			continue
		}
		if info, err := root.Lstat(name); err == nil && d.owns(info) {
			names = append(names, name)
		}
	}
	return names, err
}

// openOwn opens a file of our own to read it.
func (d *folder) openOwn(root *os.Root, name string) (*os.File, error) {
	there, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !d.owns(there) {
		return nil, errNotOurs
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	// It may be another one by now; os.Root follows links within the folder.
	if info, err := f.Stat(); err != nil || !os.SameFile(info, there) {
		f.Close()
		return nil, errNotOurs
	}
	return f, nil
}

// createNew begins a file that must not be there and marks it as being
// written.
func (d *folder) createNew(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL|openFlags, fileMode)
	if err != nil {
		return nil, err
	}
	lock(f)
	return f, nil
}

// createTemp is createNew for a file that is not complete. What a killed job
// left in its place is taken away: a file of our own that nobody has locked.
func (d *folder) createTemp(root *os.Root, name string) (*os.File, error) {
	f, err := d.createNew(root, name)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	old, err := d.openOwn(root, name)
	if errors.Is(err, errNotOurs) {
		return nil, fmt.Errorf("%s stands in the way and is no file of ours: %w", name, fs.ErrExist)
	}
	if err == nil {
		stale := !locked(old)
		old.Close()
		if !stale {
			return nil, trouble(name, errBusy)
		}
		if err = root.Remove(name); err == nil {
			f, err = d.createNew(root, name)
		}
	}
	return f, err
}

// create gives a file its name when its head is in it, so that a file of
// packets is readable from its beginning on.
func (d *folder) create(name string, head []byte) (file, error) {
	root, err := d.open()
	if err != nil {
		return nil, err
	}
	if len(head) == 0 {
		f, err := d.createNew(root, name)
		if err != nil {
			return nil, err
		}
		return systemFile{f}, nil
	}
	if _, err := root.Lstat(name); !errors.Is(err, fs.ErrNotExist) { // told early; the link decides
		return nil, cmp.Or(err, fs.ErrExist)
	}
	temp := name + suffixTemp
	f, err := d.createTemp(root, temp)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(head); err == nil {
		err = place(root, temp, name)
	}
	if err != nil {
		f.Close()
		root.Remove(temp)
		return nil, err
	}
	return systemFile{f}, nil
}

// place gives a file its final name, which must not be there. A link replaces
// nothing; only where a disk has no links the name is looked up first.
func place(root *os.Root, from, to string) error {
	err := root.Link(from, to)
	switch {
	case err == nil:
		return root.Remove(from)
	case !noLinks(err):
		return err
	}
	if _, err := root.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(err, fs.ErrExist)
	}
	return root.Rename(from, to)
}

func (d *folder) convert(from, to string, f func(io.Writer, io.Reader) error) (err error) {
	root, err := d.opened()
	if err != nil {
		return err
	}
	in, err := d.openOwn(root, from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := d.createTemp(root, to)
	if err != nil {
		return err
	}
	err = f(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		root.Remove(to)
	}
	return err
}

func (d *folder) rename(from, to string) error {
	root, err := d.opened()
	if err != nil {
		return err
	}
	if err := place(root, from, to); err != nil {
		return err
	}
	if f, err := root.Open("."); err == nil { // its names go to the disk, where that is possible
		f.Sync()
		f.Close()
	}
	return nil
}

func (d *folder) exists(name string) bool {
	root, err := d.opened()
	if err == nil {
		_, err = root.Lstat(name)
	}
	return err == nil
}

func (d *folder) remove(name string) error {
	root, err := d.opened()
	if err != nil {
		return err
	}
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if !d.owns(info) {
		return errNotOurs
	}
	return root.Remove(name)
}

func (d *folder) busy(name string) bool {
	root, err := d.opened()
	if err != nil {
		return false
	}
	f, err := d.openOwn(root, name)
	if err != nil {
		return false
	}
	defer f.Close()
	return locked(f)
}
