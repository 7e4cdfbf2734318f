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
	"mapiscope/internal/budget"
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
	// report (default 65536). Past it the oldest are counted by what they
	// carried (Unlisted) and forgotten.
	Listed int
	// Exchanges bounds the endpoint mapper and Kerberos exchanges that are
	// kept one by one (default 65536 each).
	Exchanges int
	// Events bounds the events that are kept for the log (default 0: none).
	Events int

	// Memory bounds what the Linker holds, bytes of live heap as estimated
	// (default 1 GiB); see relieve for what goes, and when.
	Memory int64

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
		Memory: budget.Default,
	}
}

// Stats counts what the bounds of a Linker cost.
type Stats struct {
	PairsDropped      int64
	PortsDropped      int64 // ports of servers that a host pair had no room to remember
	UnfinishedDropped int64 // messages of a KDC, and searches in what then was no DCE/RPC, that were given up
	MemoryExceeded    int64 // times that the shard held more than Config.Memory
	ConnsUnlisted     int64 // finished connections that are only counted
	ExchangesDropped  int64
	EventsDropped     int64
	SessionsEvicted   int64 // EMSMDB sessions that were forgotten
	TablesEvicted     int64 // tables whose columns were forgotten
}

func (s *Stats) add(o Stats) {
	s.PairsDropped += o.PairsDropped
	s.PortsDropped += o.PortsDropped
	s.UnfinishedDropped += o.UnfinishedDropped
	s.MemoryExceeded += o.MemoryExceeded
	s.ConnsUnlisted += o.ConnsUnlisted
	s.ExchangesDropped += o.ExchangesDropped
	s.EventsDropped += o.EventsDropped
	s.SessionsEvicted += o.SessionsEvicted
	s.TablesEvicted += o.TablesEvicted
}

// addStore adds what the bounds of a store cost; s may be nil.
func (s *Stats) addStore(store *emsmdb.Store) {
	if store != nil {
		st := store.Stats()
		s.SessionsEvicted += st.SessionsEvicted
		s.TablesEvicted += st.TablesEvicted + st.ColumnsDropped
	}
}

// Linker analyses the frames of one shard.
type Linker struct {
	cfg     Config
	account *budget.Account // who keeps bytes charges them here
	tracker *flows.Tracker
	rpc     *dcerpc.Pool
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
	shed     int64 // capture time, ns, at which the latest connection was ended for want of memory; 0: none yet
}

// pairKey names two hosts at one capture point, in a fixed order, and which of
// several segments of the path that one capture holds.
type pairKey struct {
	low, high netip.Addr
	tap       pcaps.Tap
	leg       int
}

// pair is what the connections between two hosts share.
type pair struct {
	open  int // connections
	store *emsmdb.Store
	ports map[portKey]served // announced by the endpoint mapper; a later bind may show another
	far   int64              // smallest time from SYN to SYN/ACK, ns; 0: none yet
}

type portKey struct {
	server netip.Addr
	port   uint16
}

// served is the interface of a port by the latest packet that names one.
type served struct {
	iface  wire.UUID
	packet int64
}

// maxPortsPerPair bounds the announced ports of one host pair; a server has
// a few dozen.
const maxPortsPerPair = 1024

// NewLinker returns a Linker for one shard.
func NewLinker(cfg Config) *Linker {
	l := &Linker{cfg: cfg, account: budget.New(cfg.Memory), pairs: make(map[pairKey]*pair), spare: &pair{}}
	l.cfg.Flows.Budget, l.cfg.RPC.Budget, l.cfg.MAPI.Budget = l.account, l.account, l.account
	l.tracker, l.rpc = flows.NewTracker(l.cfg.Flows, l.start), dcerpc.NewPool(l.cfg.RPC)
	return l
}

// Frame takes the next frame of the shard, in capture order.
func (l *Linker) Frame(f *flows.Frame, kind flows.Kind) {
	switch kind {
	case flows.TCP:
		l.tracker.Segment(f)
	case flows.UDP:
		if !f.Copy && (f.Src.Port() == kdcPort || f.Dst.Port() == kdcPort) {
			l.kdcDatagram(f)
		}
	}
	if l.account.Pressed() {
		l.relieve()
	}
}

func (l *Linker) start(fc *flows.Conn) flows.Handler {
	if l.crowded(fc) {
		l.stats.ConnsUnlisted++
		return nil
	}
	c := &Conn{Flow: fc, linker: l, pair: l.pairOf(fc), place: len(l.open)}
	c.pair.open++
	l.open = append(l.open, c)
	l.account.Add(budget.Open, connWeight)
	c.assume()
	c.event("connection_start", fc.First, Detail{})
	return c.watch()
}

func (l *Linker) pairOf(fc *flows.Conn) *pair {
	a, b := fc.A.Addr(), fc.B.Addr()
	if b.Less(a) {
		a, b = b, a
	}
	key := pairKey{low: a, high: b, tap: fc.Tap, leg: fc.Leg()}
	p := l.pairs[key]
	if p != nil {
		return p
	}
	if len(l.pairs) >= l.cfg.Pairs {
		l.stats.PairsDropped++
		return l.spare
	}
	p = &pair{}
	l.pairs[key] = p
	l.account.Add(budget.Shared, pairWeight)
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

// learn makes a port known between the hosts of the connection. The latest
// packet decides, as a port may go to another server; of several interfaces in
// one packet the one that says most.
func (c *Conn) learn(server netip.Addr, port uint16, iface wire.UUID, packet int64) {
	p, l := c.pair, c.linker
	if p.ports == nil {
		p.ports = make(map[portKey]served)
	}
	if iface == emsmdb.AsyncMDB {
		iface = emsmdb.MDB // which it goes with; see interfaceOf
	}
	key := portKey{server, port}
	was, known := p.ports[key]
	switch {
	case iface == dcerpc.Mgmt, known && was.packet == packet && rank[ServiceOf(was.iface)] <= rank[ServiceOf(iface)]:
		return // every server has the first
	case known:
	case len(p.ports) >= maxPortsPerPair, !l.account.Grants(budget.Shared, len(p.ports)*portWeight, portWeight):
		l.stats.PortsDropped++
		return
	default:
		l.account.Add(budget.Shared, portWeight)
	}
	p.ports[key] = served{iface, packet}
}

// unlearn corrects what is known of the port of the connection by what the
// server took in a bind.
func (c *Conn) unlearn(e *dcerpc.Event) {
	if c.pair == nil || len(c.pair.ports) == 0 {
		return
	}
	server := c.Server()
	if _, known := c.pair.ports[portKey{server.Addr(), server.Port()}]; !known {
		return
	}
	for i := range e.Contexts {
		if x := &e.Contexts[i]; !x.Negotiation && x.Accepted() {
			c.learn(server.Addr(), server.Port(), x.Interface.UUID, e.Mark.Packet)
		}
	}
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
	Steps          []flows.ClockStep // where times of a capture stepped back
	Ledger         flows.Ledger
	Flows          flows.Stats
	Stats          Stats
}

// Memory returns what the Linker holds by its own account, bytes.
func (l *Linker) Memory() int64 { return l.account.Sum() }

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

// Told forgets the events of a Snapshot that went into a document, which lists
// their connections, and those of connections that ended and are in none. The
// others are of connections that may yet be listed.
func (l *Linker) Told(listed func(*Conn) bool) {
	l.dropEvents(func(e *Event) bool { return listed(e.Conn) || e.Conn.Ended() })
}

func (l *Linker) result(conns []*Conn) *Result {
	stats := l.stats
	stats.addStore(l.spare.store)
	for _, p := range l.pairs {
		stats.addStore(p.store)
	}
	return &Result{
		Conns: conns, Unlisted: l.unlisted, TCPConnections: l.tracker.Stats().Connections,
		Maps: l.maps, Kerberos: l.kerberos, Events: l.events, Steps: l.tracker.Steps(),
		Ledger: l.tracker.Ledger(), Flows: l.tracker.Stats(), Stats: stats,
	}
}
