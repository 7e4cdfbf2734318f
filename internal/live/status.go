// Package live runs the analysis on packets that come in while it runs, for
// as long as they come: it takes documents at intervals, keeps the log of
// what happened, and says of itself how it is doing.
package live

import (
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/hist"
)

// View is a live job at one moment: what it found, and how it is doing. Who
// gets one may read it for as long as it likes and changes nothing in it.
type View struct {
	Status Status
	Doc    *document.Document
}

// Status is what a live job says of itself at one moment. Counts are since its
// start and never fall.
type Status struct {
	Time       time.Time     // of the moment, by the clock of the machine
	Running    time.Duration // since the start
	Interfaces []Interface
	Counts     Counts
	Log        Queue
	Memory     Memory
	// ResponseTimes are those of all answered EMSMDB calls, µs.
	ResponseTimes *hist.Histogram
}

// Interface counts what came from one interface.
type Interface struct {
	Name    string
	At      string // capture point: "edge", "wan", "core", "unknown"
	Packets int64  // that were analysed
	Bytes   int64  // of these, on the wire
	// KernelReceived are the packets that the kernel counted, those that it
	// dropped for want of room included; nil where the system does not tell.
	KernelReceived *int64
	KernelDropped  *int64
	DriverDropped  *int64 // by the interface or its driver
	// Rates are those of the last interval.
	PacketsPerSecond float64
	BitsPerSecond    float64
	Err              string // why it ended, "" while it runs
}

// Counts are the head figures, also of what the document has forgotten.
type Counts struct {
	Connections        int64            // TCP
	OpenConnections    int64            // at this moment, no count since the start
	MAPIConnections    int64            // EMSMDB
	EncryptedMAPI      int64            // of these, at level privacy
	AssociationGroups  int64            // at this moment
	EscapedConnections int64            // of these, past their optimizer pair
	Findings           map[string]int64 // at this moment, by code
	FindingSeverity    document.SeverityTally
	CapturedPayload    int64
	Gap                int64            // bytes that were never captured
	LimitsHit          map[string]int64 // by the JSON name of the limit, those that are not 0
}

// Queue is the state of the log and of what waits for it. All is 0 without a
// log.
type Queue struct {
	Waiting  int64  // records
	Capacity int64  // records
	Written  int64  // records
	Lost     int64  // records that found no room
	Spooled  int64  // records that wait for the sink to come back
	Failing  string // why nothing can be written at this moment, or ""
}

// Memory is what the process holds, bytes.
type Memory struct {
	Heap  int64 // live and not yet collected
	Limit int64 // --max-memory, 0 for none
}
