// Package pcaps reads packet captures: pcap, pcapng and Network Monitor
// files, plain or compressed with gzip, zstd, xz, bzip2 or lz4, recognised by
// their content. Several captures are merged into one sequence in order of time.
//
// The package knows nothing of what the packets hold. Bytes it hands out
// point into its own buffers: Packet.Data is valid until the next Next.
// Nothing in a file is trusted; a damaged capture is read as far as it makes
// sense and says in Capture.Err where it ended and why.
//
// Reading allocates nothing per packet.
package pcaps

import (
	"io"

	"mapiscope/internal/wire"
)

// Packet is one captured packet.
type Packet struct {
	wire.Mark // Time in ns since the Unix epoch, Packet number as tshark's frame.number, Capture index

	Data      []byte   // captured bytes, valid until the next Next
	WireLen   int      // length on the wire; greater than len(Data) when the snaplen cut the packet
	Link      LinkType // link layer of Data
	Point     Point    // where the packet was captured, if known
	Tap       Tap      // the capture point, as a number of the job
	Interface int32    // index into Capture.Interfaces

	// Copy says that another interface of the same capture point showed this
	// very packet before.
	Copy bool
}

// Interface is one capture interface. A pcap file has one; a pcapng file has
// one for each interface description block, sections following each other;
// a Network Monitor file has one for each media type.
type Interface struct {
	Name    string   // if_name, else if_description; empty where the format has none
	Link    LinkType // link layer of its packets
	Snaplen int64    // bytes kept of each packet; 0 is unlimited or unknown
	Point   Point    // where it captured, if known
	Site    string   // the site that it was said to be at, "" for none
	Tap     Tap      // the capture point, as a number of the job; 0 before its first packet

	// Joined says how the interface came to its tap, Of which other one it
	// continues or shows the packets of. Same are taps that show the same
	// packets as its own though they were said to be elsewhere.
	Joined Joined
	Of     InterfaceRef
	Same   []Tap

	Packets int64 // packets that passed the filter
	Copies  int64 // of Packets, those that another interface of the same capture point showed before
	// Lost is what its packet blocks say was lost in front of them, by the
	// system or the interface; nil where none says anything.
	Lost *int64
	// BytesWire is the sum of their lengths on the wire.
	BytesWire int64

	// What whoever captured counted, nil where it is not told: packets that
	// reached the interface (of a live capture those that reached the
	// program's buffer or found no room in it), that found no room in the
	// system's buffer, and that the interface or its driver lost.
	Received, Dropped, DriverDropped *int64

	Err error // why a live capture on it ended by itself
}

// Capture describes one input and what was read from it so far.
type Capture struct {
	Path        string // as given to Open
	Format      string // "pcap", "pcapng", "netmon", "live"; "" where it is none of them, "unknown" where it was given up before it told
	Compression string // "", "gzip", "zstd", "xz", "bzip2", "lz4"

	Link       LinkType // of the first interface
	Snaplen    int64    // of the first interface; 0 is unlimited or unknown
	Point      Point    // Unknown when the interfaces do not agree
	PointBasis string   // "option", "interface name" or "" where no interface has a point

	Interfaces []Interface

	Packets       int64 // packets that passed the filter
	Filtered      int64 // packets that did not
	Metadata      int64 // numbered records that are no packets: custom blocks, Network Monitor filters and the like
	BytesWire     int64 // sum of WireLen over Packets
	BytesCaptured int64 // sum of len(Data) over Packets
	Truncated     int64 // of Packets, those cut by the snaplen
	Untimed       int64 // of Packets, those without a time of their own
	Doubtful      int64 // of Packets, those whose WireLen no network carries; BytesWire counts it all the same
	Skipped       int64 // blocks of a pcapng file that were passed over: of kinds that are not known, or of somebody's own

	// HoldbackExceeded counts packets of a live capture on several interfaces that
	// could not be held back as long as was asked for, for want of room: others
	// may have been captured before.
	HoldbackExceeded int64

	First, Last int64 // earliest and latest capture time of Packets, ns; those without one do not count

	// Err is set when the capture ended early or was damaged, a *DamageError,
	// or when the filter could not be applied to one of its link types, a
	// *FilterError. What had been read until then stands.
	Err error
}

// count enters a packet that is given out now.
func (c *Capture) count(p *Packet) {
	f := &c.Interfaces[p.Interface]
	f.Packets++
	f.BytesWire += int64(p.WireLen)
	c.Packets++
	c.BytesWire += int64(p.WireLen)
	c.BytesCaptured += int64(len(p.Data))
	if p.WireLen > len(p.Data) {
		c.Truncated++
	}
	if p.WireLen > maxWire {
		c.Doubtful++
	}
	if p.Untimed {
		c.Untimed++
		return
	}
	if c.Packets-c.Untimed == 1 {
		c.First, c.Last = p.Time, p.Time
	}
	c.First, c.Last = min(c.First, p.Time), max(c.Last, p.Time)
}

// Options say how captures are read. The zero value reads everything and
// derives capture points from interface names.
type Options struct {
	// At names the capture point: none, one for all paths, or one for each
	// path. An Unknown entry leaves its path to be derived.
	At []Point
	// Sites names the site of each path, likewise; captures of two sites never
	// share a capture point. "" is no name.
	Sites []string
	// Filter is a BPF expression in the syntax of pcap-filter(7); packets that
	// do not match are counted and dropped.
	Filter string
	// Stdin is what the path "-" reads; nil is the standard input.
	Stdin io.Reader
	// Hold bounds what one input may hold beside a record, bytes: the window of
	// zstd (0: 128 MiB), the dictionary of xz (64 MiB at most), and a Network Monitor capture that cannot be seeked,
	// since it came compressed or through a pipe (0: 256 MiB). Inputs that want
	// more are refused, or damaged where they want it.
	Hold int64
	// Done, if set and once it is closed, ends every wait for an input that has
	// no end of its own: a pipe that nobody writes to, or that nobody has opened
	// to write. Its capture has then been read to its end, with ErrStopped.
	Done <-chan struct{}
	// Progress, if set, is called from Next about every MiB of input, with
	// the bytes read from the inputs (compressed ones as they are) and the
	// sum of their sizes, 0 when one of them is unknown.
	Progress func(read, total int64)

	// waits, if set, is called when Next is about to wait for a pipe. Packets
	// are then not read ahead for long.
	waits func()
}
