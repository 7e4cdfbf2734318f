package sink

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// disk is the folder in which the files of a sink lie, by their names. It is a
// folder of the file system but in tests.
type disk interface {
	mkdir() error
	// list returns the names of our own files that begin with a prefix.
	list(prefix string) ([]string, error)
	// create begins a file that must not be there, with a head.
	create(name string, head []byte) (file, error)
	// convert writes a new file from one of our own.
	convert(from, to string, f func(io.Writer, io.Reader) error) error
	// rename gives a file a name that must not be there.
	rename(from, to string) error
	exists(name string) bool
	// remove removes a file of our own.
	remove(name string) error
	// busy tells whether somebody writes a file of our own.
	busy(name string) bool
	// close gives the folder back.
	close()
}

// file is a file that grows at its end.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	gone(path string) bool  // it has no name any more: what is written to it is lost
	moved(path string) bool // path is no longer its name
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

// trouble names the file and the cause of an error.
func trouble(path string, err error) error { return fmt.Errorf("%s: %w", path, cause(err)) }

// cause is an error without the system call and its file.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		err = l.Err
	}
	return err
}
