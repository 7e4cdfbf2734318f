package emsmdb

import (
	"sync"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// Limits bound the memory of a Store; every bound has a counter in StoreStats
// or Figures.
type Limits struct {
	Sessions int // sessions of one host pair (default 256); the least recently used goes
	Tables   int // tables with columns in one session (default 256); likewise
	Columns  int // columns kept of one table (default 1024); longer lists are not kept
	Connects int // connects of one connection listed one by one (default 64)

	// Budget is the account of the shard that the Store belongs to, nil for
	// none. What the Store and its Conns keep grows only as far as it grants.
	Budget *budget.Account
}

// DefaultLimits returns the documented defaults.
func DefaultLimits() Limits {
	return Limits{Sessions: 256, Tables: 256, Columns: 1024, Connects: 64}
}

// StoreStats counts what the bounds of a Store cost.
type StoreStats struct {
	SessionsEvicted int64
	TablesEvicted   int64
	ColumnsDropped  int64 // column lists that were too long
}

// Store holds the EMSMDB sessions of one host pair. It is shared by the TCP
// connections between the hosts and used by one goroutine.
type Store struct {
	limits   Limits
	sessions map[sessionKey]*session
	clock    int64 // counts uses, for the choice of what to evict
	weight   int   // charged to the budget
	stats    StoreStats

	// What one call needs.
	asked    []uint8 // for OnCall
	answered []uint8
	masked   []byte // for Digest
}

// sessionKey is a context handle as it stands on the wire.
type sessionKey [20]byte

// logonKind is what a LogonId stands for.
type logonKind uint8

const (
	logonUnknown logonKind = iota
	logonPrivate
	logonPublic
)

// session is what one context handle stands for: a client's EMSMDB session.
type session struct {
	used   int64
	logons [256]logonKind // by LogonId
	tables map[uint32]*table
}

// table is a table object of a session, by the value of its handle.
type table struct {
	used    int64
	columns []byte // tags as on the wire, never nil
}

// NewStore returns an empty Store. Limits that are not positive get their
// defaults.
func NewStore(l Limits) *Store {
	d := DefaultLimits()
	for _, v := range []struct{ have, def *int }{
		{&l.Sessions, &d.Sessions}, {&l.Tables, &d.Tables}, {&l.Columns, &d.Columns}, {&l.Connects, &d.Connects},
	} {
		if *v.have <= 0 {
			*v.have = *v.def
		}
	}
	return &Store{limits: l, sessions: make(map[sessionKey]*session)}
}

// Stats returns the counters of the bounds so far.
func (s *Store) Stats() StoreStats { return s.stats }

// session returns the session of a context handle, nil for the nil handle.
func (s *Store) session(key sessionKey) *session {
	if key == (sessionKey{}) {
		return nil
	}
	s.clock++
	if found := s.sessions[key]; found != nil {
		found.used = s.clock
		return found
	}
	if len(s.sessions) >= s.limits.Sessions ||
		len(s.sessions) > 0 && !s.limits.Budget.Grants(budget.Shared, s.weight, sessionWeight) {
		var oldest sessionKey
		for k, v := range s.sessions {
			if o := s.sessions[oldest]; o == nil || v.used < o.used {
				oldest = k
			}
		}
		s.end(oldest)
		s.stats.SessionsEvicted++
	}
	s.charge(sessionWeight)
	made := &session{used: s.clock}
	s.sessions[key] = made
	return made
}

// columns returns the columns of a table, nil when they are not known.
func (s *Store) columns(of *session, handle uint32) []byte {
	if of == nil {
		return nil
	}
	t := of.tables[handle]
	if t == nil {
		return nil
	}
	s.clock++
	t.used = s.clock
	return t.columns
}

// setColumns remembers a copy of the columns of a table.
func (s *Store) setColumns(of *session, handle uint32, columns []byte) {
	if of == nil || handle == noHandle {
		return
	}
	if len(columns) > 4*s.limits.Columns {
		s.stats.ColumnsDropped++
		s.forget(of, handle)
		return
	}
	s.clock++
	if t := of.tables[handle]; t != nil {
		s.charge(-cap(t.columns))
		t.used, t.columns = s.clock, append(t.columns[:0], columns...)
		s.charge(cap(t.columns))
		return
	}
	if of.tables == nil {
		of.tables = make(map[uint32]*table)
	}
	granted := s.limits.Budget.Grants(budget.Shared, s.weight, tableWeight+len(columns))
	if !granted && len(of.tables) == 0 {
		s.stats.ColumnsDropped++
		return
	}
	if !granted || len(of.tables) >= s.limits.Tables {
		var oldest uint32
		var least *table
		for h, t := range of.tables {
			if least == nil || t.used < least.used {
				oldest, least = h, t
			}
		}
		s.forget(of, oldest)
		s.stats.TablesEvicted++
	}
	t := tables.Get().(*table)
	t.used, t.columns = s.clock, append(t.columns[:0], columns...)
	s.charge(tableWeight + cap(t.columns))
	of.tables[handle] = t
}

// forget drops what is known of a table.
func (s *Store) forget(of *session, handle uint32) {
	if of == nil {
		return
	}
	if t := of.tables[handle]; t != nil {
		delete(of.tables, handle)
		s.charge(-tableWeight - cap(t.columns))
		tables.Put(t)
	}
}

// forgetTables drops what is known of all tables of a session, after a request
// that may have set other columns was not captured.
func (s *Store) forgetTables(of *session) {
	if of == nil {
		return
	}
	for handle := range of.tables {
		s.forget(of, handle)
	}
}

// forgetAll drops what is known of all tables, after requests of unknown
// sessions were not captured.
func (s *Store) forgetAll() {
	for _, of := range s.sessions {
		s.forgetTables(of)
	}
}

// logon returns what the session knows of the logon that a request names.
func (of *session) logon(rop []byte) logonKind {
	if of == nil || len(rop) < requestHead {
		return logonUnknown
	}
	return of.logons[rop[1]]
}

// NewConn returns an empty Conn for one TCP connection of the host pair.
func (s *Store) NewConn() *Conn { return &Conn{store: s, syntax: ndr.NDR32} }

// Calls and tables that are done with, for reuse.
var (
	pendings = sync.Pool{New: func() any { return new(Pending) }}
	tables   = sync.Pool{New: func() any { return &table{columns: []byte{}} }}
)

// take returns an empty Pending.
func (c *Conn) take() *Pending {
	p := pendings.Get().(*Pending)
	p.live = true
	return p
}

// give takes a Pending back for reuse. Those that grew very large are left to
// the garbage collector.
func (c *Conn) give(p *Pending) {
	c.charge(-p.weight)
	rops, handles, tags := p.rops[:0], p.handles[:0], p.tags[:0]
	*p = Pending{}
	if cap(rops) > 1024 || cap(tags) > 1<<14 {
		return
	}
	p.rops, p.handles, p.tags = rops, handles, tags
	pendings.Put(p)
}

// Pending is a call whose request was seen and whose answer was not. It
// belongs to the Conn and goes back with Response, Fault or Drop.
type Pending struct {
	weight  int // charged to the budget
	live    bool
	iface   wire.UUID
	opnum   uint16
	syntax  ndr.Syntax
	mark    wire.Mark
	key     sessionKey
	connect int // position in Figures.Connects, -1: not listed
	version Version

	rops    []request
	handles []byte // handle table of the request, copied
	tags    []byte // PropertyTags of the requests, copied
	partial bool   // the list of requests could not be walked to its end
	digest  Digest
}

// request is one ROP of a request that waits for its response.
type request struct {
	id      uint8
	logon   uint8 // LogonId
	index   uint8 // third byte of the head
	output  uint8 // OutputHandleIndex
	opens   bool  // it has an OutputHandleIndex
	tagged  bool  // it has PropertyTags in tags
	start   int32 // of the ROP in the RopsList
	end     int32
	tags    int32 // of its PropertyTags in Pending.tags
	tagsEnd int32
}
