// Package run wires the parts together: a reader decodes frames and hands
// them, by host pair, to shards that share nothing; the shards' results are
// merged into one document that does not depend on their number.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mapiscope/assoc"
	"mapiscope/emsmdb"
	"mapiscope/internal/compare"
	"mapiscope/internal/document"
	"mapiscope/pcaps"
)

// Config says what to read and how to judge it.
type Config struct {
	Paths          []string
	Stdin          io.Reader // what the path "-" reads
	Filter         string    // BPF expression, "" for none
	At             []pcaps.Point
	Sites          []string // of the paths, as pcaps.Options has them
	WAAS           string   // release whose rules decide: "4.1", "4.5", "5.0", "5.3"; "" is 5.3
	Workers        int      // shards; 0 is one for each processor
	AllConnections bool
	Events         bool // keep events for the log
	Live           bool // the job has no end: silent connections are ended at any fill of the tables
	// Compare puts the capture points side by side: the edge and the core, or
	// the WAN in place of the one that is missing.
	Compare  bool
	Progress func(read, total int64)

	// MaxMemory bounds what the job holds, bytes; 0 leaves the bounds of the
	// shards at their defaults, and less than MinMemory counts as MinMemory.
	MaxMemory int64

	// Connections bounds the connections that are open at once, shared by the
	// shards; Idle, HalfOpen and Linger say when silent ones end. 0 leaves each
	// at its default (flows.Limits).
	Connections            int
	Idle, HalfOpen, Linger time.Duration

	// Bounds replaces the default bounds of the analysis, when set.
	Bounds *assoc.Config

	// OnCall, when set, is told of every answered EMSMDB call. The shards
	// call it, each from its own goroutine.
	OnCall func(*assoc.Conn, emsmdb.RopCall)
}

// maxEvents bounds the events that are kept for the log of one job.
const maxEvents = 1 << 20

// maxListed bounds the connections of each kind that one shard keeps when all
// are to be listed.
const maxListed = 1 << 20

// Run reads the captures and returns what they say. An error means that an
// input could not be opened or was no capture. A capture that is damaged or
// cut off is no error, its Error field says so; nor is it one when ctx ends:
// the document then covers what was read until there, and the captures say in
// their Error that they were not read to the end.
func Run(ctx context.Context, c Config) (*document.Document, error) {
	r, err := pcaps.Open(c.Paths, pcaps.Options{At: c.At, Sites: c.Sites, Filter: c.Filter, Stdin: c.Stdin, Progress: c.Progress, Hold: InputMemory(c.MaxMemory), Done: ctx.Done()})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	e, err := readAll(ctx, &c, r)
	doc := e.Close(r.Captures())
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// readAll takes every packet of the captures. The engine starts with the first
// one, because the interfaces of a capture are known by then.
func readAll(ctx context.Context, c *Config, r *pcaps.Reader) (*Engine, error) {
	var e *Engine
	var p pcaps.Packet
	for n := 0; ; n++ {
		if n%1024 == 0 {
			stop(ctx, r)
		}
		err := r.Next(&p)
		if e == nil {
			e = newEngine(*c, r.Captures())
		}
		if errors.Is(err, io.EOF) {
			stop(ctx, r) // it may have ended a wait
			return e, nil
		} else if err != nil {
			return e, err
		}
		e.Packet(&p)
	}
}

// stop ends the reading when ctx has ended.
func stop(ctx context.Context, r *pcaps.Reader) {
	if ctx.Err() != nil {
		r.Stop(fmt.Errorf("%w: %w", pcaps.ErrStopped, context.Cause(ctx)))
	}
}

// comparison returns the job that compares the capture points, nil where there
// is only one. The places of both sides are Unknown where nobody said them.
func comparison(c *Config, captures []pcaps.Capture) *compare.Job {
	has := make(map[pcaps.Point]bool)
	for _, p := range c.At {
		has[p] = true
	}
	interfaces := len(c.Paths)
	for i := range captures {
		for _, f := range captures[i].Interfaces {
			has[f.Point] = true
		}
		interfaces += max(len(captures[i].Interfaces)-1, 0)
	}
	delete(has, pcaps.Unknown)
	near, far := pcaps.Edge, pcaps.Core
	switch {
	case c.Live || !c.Compare && interfaces < 2:
		return nil // documents of a live job are made again and again: their legs are tied by what they show
	case !c.Compare && len(has) < 2:
		near, far = pcaps.Unknown, pcaps.Unknown
	case has[pcaps.Edge] && has[pcaps.WAN] && !has[pcaps.Core]:
		far = pcaps.WAN
	case has[pcaps.Core] && has[pcaps.WAN] && !has[pcaps.Edge]:
		near = pcaps.WAN
	}
	return compare.NewJob(near, far)
}
