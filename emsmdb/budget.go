package emsmdb

import (
	"slices"

	"mapiscope/internal/budget"
)

// Weight is what a Conn takes with empty tables, bytes.
const Weight = 704

// Weights of rows, bytes, with what a slice or a map that grows has to spare.
const (
	sessionWeight = 384
	tableWeight   = 80
	ropWeight     = 176
	connectWeight = 120
	pendingWeight = 256
	requestWeight = 32
)

// charge books n bytes of what the host pair shares, a negative n for what goes.
func (s *Store) charge(n int) {
	s.weight += n
	s.limits.Budget.Add(budget.Shared, n)
}

// end forgets a session.
func (s *Store) end(key sessionKey) {
	if of := s.sessions[key]; of != nil {
		s.forgetTables(of)
		s.charge(-sessionWeight)
		delete(s.sessions, key)
	}
}

// Weight returns what the sessions of the Store take, bytes.
func (s *Store) Weight() int { return s.weight }

// Shed forgets the columns of all tables. Rows of these tables are then
// unwalked.
func (s *Store) Shed() {
	for _, of := range s.sessions {
		s.stats.TablesEvicted += int64(len(of.tables))
		s.forgetTables(of)
	}
}

// Close forgets everything. Conns of the Store that are still in use go on
// with an empty one.
func (s *Store) Close() {
	for key := range s.sessions {
		s.stats.SessionsEvicted++
		s.end(key)
	}
}

// charge books n bytes of the tables of the connection, a negative n for what
// goes.
func (c *Conn) charge(n int) {
	c.weight += n
	c.store.limits.Budget.Add(budget.Detail, n)
}

// grants reports whether the connection may keep n more bytes.
func (c *Conn) grants(n int) bool {
	return c.store.limits.Budget.Grants(budget.Detail, c.weight, n)
}

// Weight returns what the tables of the connection take, bytes, without what
// every Conn takes.
func (c *Conn) Weight() int { return c.weight }

// End says that the connection is over: what only decoding needs goes, and the
// Figures stay. Calls that are open must have been dropped.
func (c *Conn) End() {
	c.figures.Rops = slices.Clone(c.figures.Rops)
	c.store.limits.Budget.Add(budget.Detail, -c.weight) // who keeps the record charges it anew
	c.store, c.OnCall, c.Hash, c.figures.ids = nil, nil, nil, nil
}

// weigh charges a request that waits for its answer. When there is no room its
// ROPs are forgotten, and the answer is unwalked.
func (c *Conn) weigh(p *Pending) {
	n := pendingWeight + cap(p.rops)*requestWeight + cap(p.handles) + cap(p.tags)
	if n > pendingWeight && !c.grants(n) {
		c.figures.RequestsForgotten++
		p.rops, p.handles, p.tags, p.partial = nil, nil, nil, true
		n = pendingWeight
	}
	p.weight = n
	c.charge(n)
}

// know keeps the name of the user.
func (c *Conn) know(dn string) {
	c.charge(len(dn) - len(c.figures.UserDN))
	c.figures.UserDN = dn
}
