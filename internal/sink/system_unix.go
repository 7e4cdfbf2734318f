//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sink

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
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

// openFlags keep a pipe from making us wait, and a link from being followed.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// owner is the number of who owns a file, of nil who we are.
func owner(info fs.FileInfo) int64 {
	if info == nil {
		return int64(os.Geteuid())
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(s.Uid)
	}
	return -1
}

// trusted tells whether a name in a folder can only be there by our doing, or
// by that of who may do everything.
func trusted(info fs.FileInfo) bool { return owner(info) == 0 || owner(info) == owner(nil) }

// noLinks tells whether an error means that a disk has no links.
func noLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EMLINK)
}

// lock marks a file as being written, until it is closed or the process ends,
// and reports false when somebody else has it marked. Where the file system
// knows no locks, nothing is marked.
func lock(f *os.File) bool {
	for range 20 { // who asks whether it is locked holds it for a moment
		if err := flock(f, syscall.LOCK_EX); !errors.Is(err, syscall.EWOULDBLOCK) {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

func flock(f *os.File, how int) error {
	c, err := f.SyscallConn() // Fd would make the file block
	if err != nil {
		return err
	}
	var failed error
	if err := c.Control(func(fd uintptr) { failed = syscall.Flock(int(fd), how|syscall.LOCK_NB) }); err != nil {
		return err
	}
	return failed
}

// locked tells whether somebody else has marked a file.
func locked(f *os.File) bool { return errors.Is(flock(f, syscall.LOCK_SH), syscall.EWOULDBLOCK) }
