//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package sink

import (
	"errors"
	"io/fs"
	"os"
)

// links does not know: where an open file cannot be removed, it has a name.
func links(fs.FileInfo) uint64 { return 1 }

// noRoom does not know: the sink goes on in another file.
func noRoom(error) bool { return false }

// lock marks nothing: where a file that is being written cannot be opened or
// removed, that is its mark.
func lock(*os.File) bool { return true }

// openFlags are none: pipes and links are no names of files.
const openFlags = 0

// owner does not know; a folder that others may write in is theirs to watch.
func owner(fs.FileInfo) int64 { return 0 }

func trusted(fs.FileInfo) bool { return true }

// noLinks does not know.
func noLinks(err error) bool { return !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) }

func locked(*os.File) bool { return false }
