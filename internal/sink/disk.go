package sink

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Who may read logs and captures: they hold names, addresses and packets.
const (
	fileMode = 0o640
	dirMode  = 0o750
)

// disk is where files lie. It is the file system but in tests.
type disk interface {
	mkdir(dir string) error
	list(dir string) ([]string, error)
	// create begins a file that must not be there, with a head.
	create(path string, head []byte) (file, error)
	remove(path string) error
	// busy tells whether another process writes the file.
	busy(path string) bool
}

// file is a file that grows at its end.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	gone(path string) bool  // it has no name any more: what is written to it is lost
	moved(path string) bool // path is no longer its name
}

type systemDisk struct{}

func (systemDisk) mkdir(dir string) error { return os.MkdirAll(dir, dirMode) }

func (systemDisk) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (systemDisk) remove(path string) error { return os.Remove(path) }

func (systemDisk) busy(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return locked(f)
}

// create gives a file its name when its head is in it, so that a file of
// packets is readable from its beginning on.
func (systemDisk) create(path string, head []byte) (file, error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE
	if len(head) == 0 {
		f, err := os.OpenFile(path, flags|os.O_EXCL, fileMode)
		if err != nil {
			return nil, err
		}
		lock(f)
		return systemFile{f}, nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return nil, err
	}
	temp := path + suffixTemp
	f, err := os.OpenFile(temp, flags|os.O_TRUNC, fileMode)
	if err != nil {
		return nil, err
	}
	lock(f)
	if _, err = f.Write(head); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		f.Close()
		os.Remove(temp)
		return nil, err
	}
	return systemFile{f}, nil
}

type systemFile struct{ *os.File }

// gone asks for the name, too: some file systems do not count names.
func (f systemFile) gone(path string) bool {
	info, err := f.Stat()
	return err == nil && links(info) == 0 && f.moved(path)
}

func (f systemFile) moved(path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err != nil || !os.SameFile(mine, there)
}

// trouble names the file and the cause of an error, without the system call.
func trouble(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		err = l.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}
