// Package assoc is what spans connections: the host pair that shares EMSMDB
// sessions, the endpoints that the endpoint mapper announced, association
// groups, Kerberos exchanges beside the traffic, and the verdict on a WAN
// optimizer in the path.
//
// A Linker owns one shard: the TCP connections of some host pairs with every
// decoder above them. It is fed frames by one goroutine and needs no lock.
// Everything that can be said only about the whole capture (groups, names from
// another client's endpoint mapper answer, verdicts) is done once, on the
// merged Results.
package assoc

import (
	"net/netip"
	"slices"

	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Config holds the bounds of a Linker; every bound has a counter in Stats.
type Config struct {
	Flows flows.Limits
	RPC   dcerpc.Limits
	MAPI  emsmdb.Limits

	// Pairs bounds the host pairs whose EMSMDB sessions and announced ports
	// are remembered (default 65536). Past it new pairs share one state that
	// remembers nothing.
	Pairs int
	// Kept bounds the connections without DCE/RPC that are kept for the
	// report (default 65536); others are only counted.
	Kept int
	// Listed bounds the other finished connections that are kept for the
	// report (default 65536). Those past it are counted by what they carried
	// (Unlisted) and forgotten.
	Listed int
	// Exchanges bounds the endpoint mapper and Kerberos exchanges that are
	// kept one by one (default 65536 each).
	Exchanges int
	// Events bounds the events that are kept for the log (default 0: none).
	Events int

	// Watch, when set, follows every connection; see Watcher.
	Watch Watcher
	// OnCall, when set, is told of every answered EMSMDB call; tests use it.
	OnCall func(*Conn, emsmdb.RopCall)
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Flows: flows.DefaultLimits(), RPC: dcerpc.DefaultLimits(), MAPI: emsmdb.DefaultLimits(),
		Pairs: 1 << 16, Kept: 1 << 16, Listed: 1 << 16, Exchanges: 1 << 16,
	}
}

// Stats counts what the bounds of a Linker cost.
type Stats struct {
	PairsDropped     int64
	ConnsUnlisted    int64 // finished connections that are only counted
	ExchangesDropped int64
	EventsDropped    int64
	SessionsEvicted  int64 // EMSMDB sessions that were forgotten
	TablesEvicted    int64 // tables whose columns were forgotten
}

func (s *Stats) add(o Stats) {
	s.PairsDropped += o.PairsDropped
	s.ConnsUnlisted += o.ConnsUnlisted
	s.ExchangesDropped += o.ExchangesDropped
	s.EventsDropped += o.EventsDropped
	s.SessionsEvicted += o.SessionsEvicted
	s.TablesEvicted += o.TablesEvicted
}

// Linker analyses the frames of one shard.
type Linker struct {
	cfg     Config
	tracker *flows.Tracker
	pairs   map[pairKey]*pair
	spare   *pair // what pairs past the bound share

	open     []*Conn // in no order; each knows its place
	conns    []*Conn // ended, in order of their ends
	kept     int     // of conns, those without DCE/RPC
	unlisted Unlisted
	maps     []Exchange
	kerberos []KDCMessage
	events   []Event
	stats    Stats
}

// pairKey names two hosts at one capture point, in a fixed order, and which of
// several segments of the path that one capture holds.
type pairKey struct {
	low, high netip.Addr
	point     pcaps.Point
	leg       int
}

// pair is what the connections between two hosts share.
type pair struct {
	open  int // connections
	store *emsmdb.Store
	ports map[portKey]wire.UUID // announced by the endpoint mapper or seen in a bind
	far   int64                 // smallest time from SYN to SYN/ACK, ns; 0: none yet
}

type portKey struct {
	server netip.Addr
	port   uint16
}

// maxPortsPerPair bounds the announced ports of one host pair; a server has
// a few dozen.
const maxPortsPerPair = 1024

// NewLinker returns a Linker for one shard.
func NewLinker(cfg Config) *Linker {
	l := &Linker{cfg: cfg, pairs: make(map[pairKey]*pair)}
	l.tracker = flows.NewTracker(cfg.Flows, l.start)
	return l
}

// Frame takes the next frame of the shard, in capture order.
func (l *Linker) Frame(f *flows.Frame, kind flows.Kind) {
	switch kind {
	case flows.TCP:
		l.tracker.Segment(f)
	case flows.UDP:
		if f.Src.Port() == kdcPort || f.Dst.Port() == kdcPort {
			l.kdcDatagram(f)
		}
	}
}

func (l *Linker) start(fc *flows.Conn) flows.Handler {
	c := &Conn{Flow: fc, linker: l, pair: l.pairOf(fc), place: len(l.open)}
	c.pair.open++
	l.open = append(l.open, c)
	c.event("connection_start", fc.First, Detail{})
	return c.watch()
}

func (l *Linker) pairOf(fc *flows.Conn) *pair {
	a, b := fc.A.Addr(), fc.B.Addr()
	if b.Less(a) {
		a, b = b, a
	}
	key := pairKey{low: a, high: b, point: fc.Point, leg: fc.Leg()}
	p := l.pairs[key]
	if p != nil {
		return p
	}
	if len(l.pairs) >= l.cfg.Pairs {
		l.stats.PairsDropped++
		if l.spare == nil {
			l.spare = &pair{}
		}
		return l.spare
	}
	p = &pair{}
	l.pairs[key] = p
	return p
}

// sessions returns the EMSMDB sessions of the pair, made when first needed:
// most host pairs never speak EMSMDB.
func (p *pair) sessions(limits emsmdb.Limits) *emsmdb.Store {
	if p.store == nil {
		p.store = emsmdb.NewStore(limits)
	}
	return p.store
}

func (p *pair) learn(server netip.Addr, port uint16, iface wire.UUID) {
	if p.ports == nil {
		p.ports = make(map[portKey]wire.UUID)
	}
	key := portKey{server, port}
	if _, known := p.ports[key]; known || len(p.ports) < maxPortsPerPair {
		p.ports[key] = iface
	}
}

// finished files a connection that ended. Connections that carry nothing the
// report talks about are kept up to a bound, because an endpoint mapper answer
// that comes later, or from another shard, may still announce their port.
func (l *Linker) finished(c *Conn) {
	c.pair.open--
	c.pair = nil
	last := l.open[len(l.open)-1]
	l.open[c.place], last.place = last, c.place
	l.open[len(l.open)-1] = nil
	l.open = l.open[:len(l.open)-1]
	if c.RPC == nil && c.transport == Foreign && !c.optionSeen() {
		if l.kept >= l.cfg.Kept {
			l.stats.ConnsUnlisted++
			return
		}
		l.kept++
	} else if len(l.conns)-l.kept >= l.cfg.Listed {
		l.stats.ConnsUnlisted++
		l.unlisted.count(c)
		return
	}
	l.conns = append(l.conns, c)
}

// Unlisted counts connections past Config.Listed by what their own binds and
// calls say.
type Unlisted struct{ RPC, EPM, MAPI, EncryptedMAPI int64 }

func (u *Unlisted) count(c *Conn) {
	if c.RPC == nil {
		return
	}
	u.RPC++
	s, _ := boundService(c)
	switch {
	case s == EPM:
		u.EPM++
	case s == MAPI || s == MAPIAsync || c.MAPI != nil:
		u.MAPI++
		if slices.ContainsFunc(c.RPC.Auths, func(a dcerpc.Auth) bool {
			return a.Level == dcerpc.LevelPrivacy && a.State != dcerpc.Rejected
		}) {
			u.EncryptedMAPI++
		}
	}
}

func (u *Unlisted) add(o Unlisted) {
	u.RPC += o.RPC
	u.EPM += o.EPM
	u.MAPI += o.MAPI
	u.EncryptedMAPI += o.EncryptedMAPI
}

// Result is what one Linker, or several merged, found out.
type Result struct {
	Conns          []*Conn // in order of the first packet
	Open           int     // of Conns, those of a Snapshot that go on
	TCPConnections int64   // all of them, also those that are not in Conns
	Unlisted       Unlisted
	Maps           []Exchange
	Kerberos       []KDCMessage
	Events         []Event
	Ledger         flows.Ledger
	Flows          flows.Stats
	Stats          Stats
}

// Close ends all connections and returns what was found. The Linker must not
// be used afterwards.
func (l *Linker) Close() *Result {
	l.tracker.Flush()
	return l.result(l.conns)
}

// Snapshot returns what was found so far, open connections included. It is
// valid until the next Frame.
func (l *Linker) Snapshot() *Result {
	r := l.result(slices.Concat(l.conns, l.open))
	r.Open = len(l.open)
	return r
}

// Told forgets the events of a Snapshot that went into a document, and those of
// connections that ended and are in none. The others are of connections that
// may yet be listed.
func (l *Linker) Told() {
	l.events = slices.DeleteFunc(l.events, func(e Event) bool { return e.Conn.ID != 0 || e.Conn.Ended() })
}

func (l *Linker) result(conns []*Conn) *Result {
	stats := l.stats
	for _, p := range l.pairs {
		if p.store != nil {
			st := p.store.Stats()
			stats.SessionsEvicted += st.SessionsEvicted
			stats.TablesEvicted += st.TablesEvicted + st.ColumnsDropped
		}
	}
	return &Result{
		Conns: conns, Unlisted: l.unlisted, TCPConnections: l.tracker.Stats().Connections,
		Maps: l.maps, Kerberos: l.kerberos, Events: l.events,
		Ledger: l.tracker.Ledger(), Flows: l.tracker.Stats(), Stats: stats,
	}
}

// Trim forgets the oldest of what ended, for a capture that runs for weeks: of
// ended connections the latest keep stay, as do the latest half of Exchanges,
// and host pairs without open connections go when there are more than half of
// Pairs. What goes is counted.
func (l *Linker) Trim(keep int) {
	if n := len(l.conns) - keep; n > 0 {
		for _, c := range l.conns[:n] {
			if c.RPC == nil && c.transport == Foreign && !c.optionSeen() {
				l.kept--
			}
			l.stats.ConnsUnlisted++
			l.unlisted.count(c)
			c.ID = 0 // exchanges may still name it
		}
		l.conns = slices.Delete(l.conns, 0, n)
	}
	if n := len(l.maps) - l.cfg.Exchanges/2; n > 0 {
		l.stats.ExchangesDropped += int64(n)
		l.maps = slices.Delete(l.maps, 0, n)
	}
	if n := len(l.kerberos) - l.cfg.Exchanges/2; n > 0 {
		l.stats.ExchangesDropped += int64(n)
		l.kerberos = slices.Delete(l.kerberos, 0, n)
	}
	if len(l.pairs) <= l.cfg.Pairs/2 {
		return
	}
	for key, p := range l.pairs {
		if p.open > 0 {
			continue
		}
		if p.store != nil {
			st := p.store.Stats()
			l.stats.SessionsEvicted += st.SessionsEvicted
			l.stats.TablesEvicted += st.TablesEvicted + st.ColumnsDropped
		}
		l.stats.PairsDropped++
		delete(l.pairs, key)
	}
}
