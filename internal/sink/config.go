// Package sink keeps what comes in while the program runs in folders of files:
// records of text in a Log, packets in a Ring. Both stand behind a bounded
// queue, one goroutine writes, and files are rotated, counted and compressed.
//
// A record is written whole or not at all. A sink that fails makes records
// wait in a bounded spool, in order; they are written when it is back, none
// twice. Only when spool and queue are full a record waits or is lost, by
// choice, and what is lost is counted.
package sink

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// WhenFull says what becomes of a record that finds the queue full.
type WhenFull uint8

// The choices of --when-full.
const (
	Block WhenFull = iota // it waits, and who brought it with it
	Drop                  // it is lost, and counted
)

// Config says where a Log writes, and its bounds.
type Config struct {
	Dir  string // made when it is not there; "" is the current one
	Name string // base name of the files: "events"
	Ext  string // without a dot: "jsonl"

	// Rotate is the time that a file covers. Files change when the clock on
	// the wall shows a multiple of it, counted from midnight and, of a day or
	// more, in whole days from a Monday; a file may therefore be shorter. 0 is
	// no limit.
	Rotate     time.Duration
	RotateSize int64 // bytes of a file; 0 is no limit. A larger record has a file of its own
	// Keep is how many finished files stay beside the one that is being
	// written; the oldest go first, those of earlier runs included. 0 keeps all.
	Keep int
	// Zstd compresses finished files, also those of earlier runs.
	Zstd bool

	Queue      int // records that may wait
	WhenFull   WhenFull
	SpoolBytes int64 // memory for records that wait for the sink to come back

	Location *time.Location   // of dates in names and of Rotate; nil is local
	Now      func() time.Time // the clock
}

// complete checks a Config and fills in what it leaves open.
func (c *Config) complete() error {
	switch {
	case c.Name == "" || c.Name != filepath.Base(c.Name) || c.Ext == "" || strings.ContainsAny(c.Ext, `/\`):
		return fmt.Errorf("%q with extension %q is no name of a file", c.Name, c.Ext)
	case c.Queue <= 0:
		return errors.New("a queue holds at least one record")
	case c.Rotate < 0 || c.Rotate > 0 && c.Rotate < time.Second:
		return fmt.Errorf("files cover a second or more, not %v", c.Rotate)
	case c.RotateSize < 0 || c.Keep < 0 || c.SpoolBytes < 0:
		return errors.New("sizes and counts of files are not negative")
	case c.Now == nil:
		return errors.New("no clock")
	}
	c.Dir = filepath.Clean(c.Dir)
	if c.Location == nil {
		c.Location = time.Local
	}
	return nil
}

// Stats is the state of a sink at one moment. At any moment the records that
// were put are Waiting, Spooled, Written, Lost or Unformatted.
type Stats struct {
	Waiting  int64 // records in the queue, and those that are being written
	Capacity int64 // records; 0 for a Ring, whose queue is measured in bytes
	// WaitingBytes and CapacityBytes are those of the queue of a Ring.
	WaitingBytes  int64
	CapacityBytes int64

	Written     int64  // records
	Lost        int64  // records that found no room, or came after Close
	Spooled     int64  // records that wait for the sink to come back
	Failing     string // why nothing can be written at this moment, or ""
	Unformatted int64  // records that could not be formatted
	FormatError string // of the last of these
	// Upkeep says why finished files could not be compressed or removed. They
	// are tried again when the next file is finished. "" when all is well.
	Upkeep string
	File   string // path of the file that is being written, "" between files
}
