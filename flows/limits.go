package flows

import (
	"time"

	"mapiscope/internal/budget"
)

// Limits bounds what a Decoder and a Tracker remember. Every bound that is hit
// counts in Stats.
type Limits struct {
	// Connections is how many connections one Tracker keeps (default 65536).
	// Past it the one that was silent longest is ended.
	Connections int
	// Idle is how long, in capture time, an open connection may be silent
	// before it is ended (default 2 h 15 min: the keep-alives of the common
	// systems come every 2 h).
	Idle time.Duration
	// HalfOpen is how long a connection may be silent that showed nothing but
	// SYNs (default 5 min: the common systems give up after 2 min).
	HalfOpen time.Duration
	// Linger is how long a closed connection then waits for late segments
	// (default 2 min, twice the segment lifetime that systems use).
	Linger time.Duration
	// Eager says that Idle, HalfOpen and Linger hold at any time, as a capture
	// that runs for weeks needs it; else only once the table is a quarter full.
	Eager bool
	// HoldBytes and HoldPieces bound what one direction holds behind a hole
	// (default 1 MiB and 256). Past them the hole is given up.
	HoldBytes  int
	HoldPieces int
	// Budget is the account of the shard that the Tracker belongs to, nil for
	// none. The Tracker charges it; its owner calls GiveUpHoles and Evict.
	Budget *budget.Account
	// Datagrams and DatagramBytes bound the fragmented IP datagrams that wait
	// for their rest (default 1024 and 16 MiB); DatagramTime is how long they
	// wait (default 30 s of capture time).
	Datagrams     int
	DatagramBytes int
	DatagramTime  time.Duration
}

// DefaultLimits returns the documented defaults.
func DefaultLimits() Limits {
	return Limits{
		Connections: 1 << 16, Idle: 135 * time.Minute, HalfOpen: 5 * time.Minute, Linger: 2 * time.Minute,
		HoldBytes: 1 << 20, HoldPieces: 256,
		Datagrams: 1024, DatagramBytes: 16 << 20, DatagramTime: 30 * time.Second,
	}
}
