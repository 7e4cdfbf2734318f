package sink

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mapiscope/pcaps"
)

// RingConfig says where a Ring keeps packets, and its bounds.
type RingConfig struct {
	// Path of the file. With Rotate or RotateSize files are named after it:
	// trace.pcapng gives trace-20261125-153700-000001.pcapng. Without them it
	// is the one file, which must not be there.
	Path string
	// Captures whose packets come, with their interfaces; a packet's Capture
	// and Interface are places in it.
	Captures []pcaps.Capture

	Rotate     time.Duration // as of Config
	RotateSize int64
	Keep       int
	Zstd       bool

	QueueBytes int64 // of packets that may wait, as they stand in the file
	WhenFull   WhenFull
	SpoolBytes int64 // as of Config
	Location   *time.Location
	Now        func() time.Time
}

// Ring keeps packets in pcapng files, times in ns. Its methods may be called
// from any goroutine.
type Ring struct {
	core
	first []int  // number of a capture's first interface in the files
	count []int  // of its interfaces
	known int    // interfaces of all captures
	tells []byte // of interfaces that came up: blocks that go before the next packet

	queue     spool // packets that came
	packets   int64 // in it, and those that fill took and release has not had
	bytes     int64 // of these
	filled    int64 // bytes that fill took
	bytesMost int64
}

// OpenRing begins a Ring and its first file; what is wrong with the place is
// the error.
func OpenRing(config RingConfig) (*Ring, error) {
	return openRing(config, nil)
}

func openRing(config RingConfig, d disk) (*Ring, error) {
	exact := config.Rotate == 0 && config.RotateSize == 0
	dir, name := filepath.Split(config.Path)
	ext := strings.TrimPrefix(filepath.Ext(name), ".")
	switch {
	case exact && (config.Keep > 0 || config.Zstd):
		return nil, errors.New("one file without an end has no others to keep or to compress")
	case config.QueueBytes <= 0:
		return nil, errors.New("a queue holds at least one packet")
	}
	c := Config{
		Dir: filepath.Clean(dir), Name: strings.TrimSuffix(name, "."+ext), Ext: ext,
		Rotate: config.Rotate, RotateSize: config.RotateSize, Keep: config.Keep, Zstd: config.Zstd,
		Queue: 1, WhenFull: config.WhenFull, SpoolBytes: config.SpoolBytes, Location: config.Location, Now: config.Now,
	}
	if ext == "" {
		c.Ext = "pcapng"
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	r := &Ring{bytesMost: config.QueueBytes}
	r.config = c
	r.spool.free = newChunks(config.QueueBytes)
	r.queue = spool{limit: math.MaxInt64, free: r.spool.free} // bytesMost bounds it
	all := r.describe(config.Captures)
	if d == nil && exact {
		d = newFolder(c.Dir, "")
	} else if d == nil {
		d = newFolder(c.Dir, c.Name+"."+c.Ext)
	}
	k := &keeper{config: &r.config, disk: d, series: series{c.Name, c.Ext}, off: exact}
	f := &files{config: &r.config, disk: d, series: k.series, keeper: k, exact: exact}
	f.setHead(pcaps.AppendPcapngHead(nil, all))
	if exact {
		f.name = name
	}
	if err := r.start(r, f); err != nil {
		return nil, err
	}
	return r, nil
}

// describe numbers the interfaces of captures and returns all.
func (r *Ring) describe(captures []pcaps.Capture) (all []pcaps.Interface) {
	r.first, r.count = r.first[:0], r.count[:0]
	for _, capture := range captures {
		r.first = append(r.first, len(all))
		r.count = append(r.count, len(capture.Interfaces))
		all = slices.Concat(all, capture.Interfaces)
	}
	r.known = len(all)
	return all
}

// Describe tells of interfaces that came up, behind those that are known,
// before their first packet comes. Where some were known a new section of the
// file begins.
func (r *Ring) Describe(captures []pcaps.Capture) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.known
	all := r.describe(captures)
	if len(all) == before {
		return
	}
	// Files that begin from here on have them in their head. The one that is
	// being written, or that begins before the next packet does, is told by
	// that packet's record, so that neither comes without the other.
	head := pcaps.AppendPcapngHead(nil, all)
	r.files.setHead(head)
	r.tells = head
	if before == 0 {
		r.tells = head[len(pcaps.AppendPcapngHead(nil, nil)):]
	}
}

// WritePacket hands a packet over and reports whether it has a place. Its
// bytes are copied. Where the queue is full it waits for a place, or the packet
// is lost and counted, as configured. A packet of an interface that is not in
// the Captures counts as Unformatted.
func (r *Ring) WritePacket(p *pcaps.Packet) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse() {
		return false
	}
	if p.Capture < 0 || int(p.Capture) >= len(r.first) || p.Interface < 0 || int(p.Interface) >= r.count[p.Capture] {
		r.stats.Unformatted++
		r.stats.FormatError = fmt.Sprintf("a packet of interface %d of capture %d, which is not described", p.Interface, p.Capture)
		return false
	}
	size := int64(len(r.tells) + pcaps.PcapngPacketLen(p))
	for r.packets > 0 && r.bytes+size > r.bytesMost {
		if !r.wait() {
			return false
		}
	}
	c := r.queue.tail()
	c.add(pcaps.AppendPcapngPacket(append(c.b, r.tells...), r.first[p.Capture]+int(p.Interface), p))
	r.tells = nil
	r.packets++
	r.bytes += size
	r.arrived()
	return true
}

// Stats tells how the ring is doing; records are packets.
func (r *Ring) Stats() Stats {
	upkeep := r.files.keeper.trouble()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Upkeep = upkeep
	s.Waiting, s.WaitingBytes, s.CapacityBytes = r.packets, r.bytes, r.bytesMost
	return s
}

// fill hands a whole chunk on, or fills the last one that the spool has.
func (r *Ring) fill(s *spool) taken {
	if !s.room() {
		return taken{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queue.empty() {
		return taken{}
	}
	from := r.queue.line[0]
	before := from.done
	if s.empty() && before == 0 {
		s.line = append(s.line, r.queue.pop())
		r.filled = int64(len(from.b))
		return taken{records: int64(from.left())}
	}
	for to := s.tail(); from.left() > 0 && !to.full(); from.done++ {
		to.add(append(to.b, from.b[from.start(from.done):from.ends[from.done]]...))
	}
	r.filled = int64(from.start(from.done) - from.start(before))
	t := taken{records: int64(from.done - before)}
	if from.left() == 0 {
		s.free.put(r.queue.pop())
	}
	return t
}

func (r *Ring) release(n int64) int64 {
	if n > 0 {
		r.bytes -= r.filled
	}
	r.filled = 0
	if r.packets -= n; r.packets == 0 {
		r.bytes = 0 // also what was given up
	}
	return r.packets
}
