package run

import (
	"cmp"
	"runtime"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/document"
	"mapiscope/internal/finding"
	"mapiscope/internal/verdict"
	"mapiscope/pcaps"
)

// Engine is the analysis of one job: packets go in, documents come out, at the
// end or, of a live capture, at any time. Its methods belong to one goroutine.
type Engine struct {
	config     Config
	dispatcher *dispatcher
	decoder    *flows.Decoder
	frame      flows.Frame
	packets    int64
	undecoded  []flows.Tally // by capture
	wccp       []flows.Tally // messages, likewise
	job        *compare.Job
	numbers    document.Numbers
	tap        pcaps.Tap // of the latest packet
	several    bool      // capture points were seen
	open       int       // connections, at the latest Snapshot
}

// NewEngine starts the shards of a job over live captures. Of c it takes what
// says how to judge; paths, filter and progress are for Run.
func NewEngine(c Config) *Engine { return newEngine(c, nil) }

func newEngine(c Config, captures []pcaps.Capture) *Engine {
	cfg := assoc.DefaultConfig()
	if c.Bounds != nil {
		cfg = *c.Bounds
	}
	cfg.OnCall = c.OnCall
	if c.Events {
		cfg.Events = maxEvents
	}
	cfg.Flows.Eager = cfg.Flows.Eager || c.Live
	if c.AllConnections {
		cfg.Kept, cfg.Listed = maxListed, maxListed
	}
	workers := c.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c.tables(&cfg.Flows, workers)
	fit(&cfg, c.MaxMemory, workers)
	e := &Engine{config: c, decoder: flows.NewDecoder(cfg.Flows)}
	e.job = comparison(&c, captures)
	e.dispatcher = newDispatcher(workers, func() assoc.Config {
		if e.job != nil {
			cfg.Watch = e.job.Shard()
		}
		return cfg
	})
	return e
}

// tables takes over what the job says of the tables of connections.
func (c *Config) tables(l *flows.Limits, workers int) {
	if c.Connections > 0 {
		l.Connections = max((c.Connections+workers-1)/workers, 1)
	}
	l.Idle = cmp.Or(c.Idle, l.Idle)
	l.HalfOpen = cmp.Or(c.HalfOpen, l.HalfOpen)
	l.Linger = cmp.Or(c.Linger, l.Linger)
}

// collectFrom is how many packets leave garbage that is worth a collection.
const collectFrom = 1 << 16

// Packet takes the next packet through the link and network layers and hands
// it to its shard. p.Data is copied.
func (e *Engine) Packet(p *pcaps.Packet) {
	e.packets++
	switch kind := e.decoder.Decode(p, &e.frame); kind {
	case flows.TCP, flows.UDP:
		if p.Tap != e.tap {
			e.several = e.several || e.tap != 0
			e.tap = p.Tap
		}
		e.frame.Several = e.several
		e.dispatcher.frame(&e.frame, kind)
		if kind == flows.UDP {
			if message, ok := flows.WCCPMessage(&e.frame); ok {
				count(&e.wccp, p, message)
			}
		}
	case flows.Undecoded:
		count(&e.undecoded, p, e.decoder.Reason())
	}
}

// count enters a packet in the tally of its capture.
func count(tallies *[]flows.Tally, p *pcaps.Packet, r flows.Reason) {
	for int(p.Capture) >= len(*tallies) {
		*tallies = append(*tallies, flows.Tally{})
	}
	(*tallies)[p.Capture].Add(r, p.Mark.Packet)
}

// Snapshot returns what was found so far, open connections included. All
// shards stand still for as long as it takes. An event is given out once, in
// the first document that lists its connection. Then the oldest of the ended
// connections are forgotten, so that keep of them stay, the shards sharing it, beside
// those whose association group has an open member. Payload that waits behind
// holes stands in no bin of the ledger but the first.
func (e *Engine) Snapshot(captures []pcaps.Capture, keep int) *document.Document {
	var doc *document.Document
	e.dispatcher.pause(func() {
		e.open = 0
		parts := make([]*assoc.Result, len(e.dispatcher.shards))
		for i, s := range e.dispatcher.shards {
			parts[i] = s.linker.Snapshot()
			e.open += parts[i].Open
		}
		doc = e.build(parts, captures, true)
		for _, s := range e.dispatcher.shards {
			s.linker.Told(e.numbers.Listed)
			s.linker.Trim(keep / len(e.dispatcher.shards))
		}
	})
	return doc
}

// Open returns how many connections were open at the latest Snapshot.
func (e *Engine) Open() int { return e.open }

// Close ends all connections and returns what the whole job found. The Engine
// must not be used afterwards.
func (e *Engine) Close(captures []pcaps.Capture) *document.Document {
	parts := e.dispatcher.close()
	e.dispatcher = nil
	// What decoding left behind makes room for the document; of a short capture
	// it is not worth the time.
	if e.packets >= collectFrom {
		runtime.GC()
	}
	return e.build(parts, captures, e.config.Live)
}

// rows returns the counts of tallies, by capture.
func rows(tallies []flows.Tally) [][]flows.Unread {
	all := make([][]flows.Unread, len(tallies))
	for i := range tallies {
		all[i] = tallies[i].Rows()
	}
	return all
}

func (e *Engine) build(parts []*assoc.Result, captures []pcaps.Capture, live bool) *document.Document {
	res := assoc.Merge(parts)
	undecoded := rows(e.undecoded)
	facts := verdict.Facts{Result: res, Dir: assoc.NewDirectory(res), Asked: e.config.Compare}
	for _, of := range undecoded {
		for _, r := range of {
			facts.Unread += r.Packets
		}
	}
	if e.job != nil {
		facts.Compare = e.job.Finish(res.Conns, compare.Windows(captures))
	}
	found := finding.Judge(finding.Facts{
		Result: res, Dir: facts.Dir, Compare: facts.Compare, Verdicts: verdict.Judge(facts), Captures: captures,
		Release: finding.ReleaseOf(e.config.WAAS), AllConnections: e.config.AllConnections, Compared: e.config.Compare, Timeline: e.config.Events, Unread: facts.Unread,
	})
	return document.Build(found, document.Input{
		Undecoded: undecoded, WCCP: rows(e.wccp), Fragments: e.decoder.Dropped(), Live: live, Numbers: &e.numbers,
	})
}
