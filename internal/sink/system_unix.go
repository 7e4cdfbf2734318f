//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sink

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// links counts the names of a file.
func links(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}

// noRoom tells whether an error is want of room, which comes back in the same
// file.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// lock marks a file as being written, until it is closed or the process ends.
// Where the file system knows no locks, nothing is marked.
func lock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// locked tells whether somebody else has marked a file.
func locked(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}
