package assoc

import (
	"cmp"
	"net/netip"
	"slices"

	"mapiscope/dcerpc"
	"mapiscope/dcerpc/epm"
	"mapiscope/emsmdb"
	"mapiscope/internal/wire"
)

// Learned is one row of the endpoint directory.
type Learned struct {
	epm.Answer
	At    netip.Addr // the address that the row is about
	Until wire.Mark  // first packet that shows another server behind the port; zero while the row holds
	Conns []*Conn    // connections to it while it held

	order int // of what was heard, for rows of one packet
}

// Directory is who serves what where, and when: endpoint mapper answers and
// binds.
//
// A port belongs to one process at a time. What else is announced for it, or
// bound there, is either one more interface of that process or the sign that
// another process took the port over, as after a restart of the server; see
// shares. What the port was known for before ends then.
type Directory struct {
	ports map[portKey]*port
	order []*Learned
	heard int
	rows  int

	dropped int64
}

// port is what is known of one server end point.
type port struct {
	conns []*Conn // by their first packets
	alive int64   // until when one of those so far went on, ns
	rows  int     // of all terms
	terms []*term // in order of time; the last one holds
	named bool    // no term, and calls show EMSMDB
}

// term is what one process serves at a port. It lasts until the next one.
type term struct {
	from  wire.Mark
	rows  []*Learned
	named bool // calls of a connection show EMSMDB

	start   wire.Mark // of its latest news
	listing *Conn     // likewise
}

// news says that an interface is served at a port.
type news struct {
	epm.Answer
	start   wire.Mark // of the answer, or of the connection that was bound
	listing *Conn     // that an ept_lookup goes over: it lists what is there together
	order   int
}

// Bounds of a Directory: rows, and rows of one port. A domain controller
// registers a few hundred interfaces, a few dozen at one port.
const (
	maxEndpoints = 1 << 16
	maxPerPort   = 128
)

// NewDirectory builds the directory of a capture from its endpoint mapper
// answers and from the binds that servers accepted. While a row holds its first
// learning is kept, an answer before a bind; an answer that names another
// address than the answering server's (none at all, 0.0.0.0, another of its
// interfaces) is entered under the server's own address too, because that is
// where clients then connect. What finds no room is counted (Dropped).
func NewDirectory(r *Result) *Directory {
	d := &Directory{ports: make(map[portKey]*port)}
	conns := inOrder(r.Conns, func(a, b *Conn) int { return ByMark(a.Flow.First, b.Flow.First) })
	maps := inOrder(r.Maps, func(a, b Exchange) int { return ByMark(a.Mark, b.Mark) })
	for i := range maps {
		maps[i].announce(func(_ news, at portKey) { d.know(at) })
	}
	for _, c := range conns {
		if c.showsMAPI() || c.binds(func(news, portKey) {}) {
			d.know(portOf(c))
		}
	}
	for len(maps) > 0 || len(conns) > 0 {
		if len(conns) == 0 || len(maps) > 0 && maps[0].Mark.Before(conns[0].Flow.First) {
			maps[0].announce(d.hear)
			maps = maps[1:]
			continue
		}
		c := conns[0]
		c.binds(d.hear)
		if p := d.ports[portOf(c)]; p != nil {
			p.conns = append(p.conns, c)
			p.alive = max(p.alive, c.aliveUntil())
		}
		conns = conns[1:]
	}
	for _, p := range d.ports {
		p.settle()
		for _, t := range p.terms {
			d.order = append(d.order, t.rows...)
		}
	}
	slices.SortFunc(d.order, func(a, b *Learned) int {
		return cmp.Or(ByMark(a.Mark, b.Mark), a.At.Compare(b.At), cmp.Compare(a.Port, b.Port), a.order-b.order)
	})
	return d
}

// inOrder returns a list in order, itself where it is.
func inOrder[T any](list []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(list, compare) {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, compare)
	return list
}

// announce tells what an endpoint mapper answer says, port by port.
func (ex *Exchange) announce(tell func(news, portKey)) {
	for _, a := range ex.Answers {
		n := news{Answer: a, start: a.Mark}
		if a.From == "ept_lookup" && ex.Conn != forgotten {
			n.listing = ex.Conn
		}
		if a.Address.IsValid() && !a.Address.IsUnspecified() && a.Address != a.Server {
			tell(n, portKey{a.Address, a.Port})
		}
		tell(n, portKey{a.Server, a.Port})
	}
}

// binds tells what the accepted binds of a connection say of its port, and
// whether there are any.
func (c *Conn) binds(tell func(news, portKey)) bool {
	if c.RPC == nil {
		return false
	}
	found := false
	server := c.Server()
	for i := range c.RPC.Contexts {
		x := &c.RPC.Contexts[i]
		if x.Negotiation || !x.Accepted() {
			continue
		}
		found = true
		tell(news{Answer: epm.Answer{
			Server: server.Addr(), Client: c.Client().Addr(), Port: server.Port(), Interface: x.Interface.UUID,
			Major: x.Interface.Major, Minor: x.Interface.Minor, From: epm.FromBind, Mark: x.Mark,
		}, start: c.Flow.First}, portOf(c))
	}
	return found
}

// showsMAPI reports whether calls name the connection EMSMDB without a bind.
func (c *Conn) showsMAPI() bool { return c.guessed && c.guess == emsmdb.MDB || c.shape.named() }

func (d *Directory) know(at portKey) {
	if d.ports[at] == nil {
		d.ports[at] = &port{}
	}
}

func portOf(c *Conn) portKey {
	s := c.Server()
	return portKey{s.Addr(), s.Port()}
}

// hear takes the next news of a port, in order of time.
func (d *Directory) hear(n news, at portKey) {
	p := d.ports[at]
	var t *term
	if len(p.terms) > 0 {
		t = p.terms[len(p.terms)-1]
	}
	if t == nil || !t.shares(at, n, p.alive > n.start.Time) {
		if t != nil {
			for _, row := range t.rows {
				row.Until = n.start
			}
		}
		t = &term{from: n.start}
		p.terms = append(p.terms, t)
	}
	t.start, t.listing = n.start, n.listing
	n.order = d.heard
	d.heard++
	if t.refresh(n) {
		return
	}
	if p.rows >= maxPerPort || d.rows >= maxEndpoints {
		d.dropped++
		if len(p.terms) == 1 {
			return
		}
		gone := len(p.terms[0].rows) // of the oldest
		p.terms = slices.Delete(p.terms, 0, 1)
		p.rows, d.rows = p.rows-gone, d.rows-gone
	}
	p.rows++
	d.rows++
	t.rows = append(t.rows, &Learned{Answer: n.Answer, At: at.server, order: n.order})
}

// settle gives each term the connections of its time.
func (p *port) settle() {
	for _, c := range p.conns {
		t := p.during(c)
		if t == nil {
			p.named = p.named || c.showsMAPI()
			continue
		}
		t.named = t.named || c.showsMAPI()
		for _, row := range t.rows {
			row.Conns = append(row.Conns, c)
		}
	}
}

// refresh enters what is known already.
func (t *term) refresh(n news) bool {
	for _, row := range t.rows {
		if row.Interface != n.Interface || row.Major != n.Major || row.Minor != n.Minor {
			continue
		}
		switch {
		case row.From == epm.FromBind && n.From != epm.FromBind:
			row.Answer, row.order = n.Answer, n.order
		case row.Annotation == "":
			row.Annotation = n.Annotation
		}
		return true
	}
	return false
}

// shares reports whether an interface is served by the process of the term, as
// far as anything tells: it, or one that always goes with it, was served there
// already; both stand in one answer or listing, or on one connection; or a
// connection to the port goes on (alive), as none survives the end of its
// process. The last does not join the store with the address book, which
// Exchange runs in different processes. Of interfaces that are none of
// Exchange's it does not matter here which is whose.
func (t *term) shares(at portKey, n news, alive bool) bool {
	if at.port == epmPort || n.Interface == dcerpc.Mgmt || n.start == t.start || n.listing != nil && n.listing == t.listing {
		return true
	}
	kind, store, book := familyOf(n.Interface), false, false
	for _, row := range t.rows {
		of := familyOf(row.Interface)
		if of == kind {
			return true
		}
		store, book = store || of == MAPI, book || of == NSPI
	}
	return alive && !(kind == MAPI && book) && !(kind == NSPI && store)
}

// familyOf names the service whose process serves an interface.
func familyOf(iface wire.UUID) Service {
	switch s := ServiceOf(iface); s {
	case MAPIAsync:
		return MAPI
	case RFR:
		return NSPI
	default:
		return s
	}
}

// aliveUntil returns the latest time at which the server's process still held
// the connection, ns; 0 when it never took it.
func (c *Conn) aliveUntil() int64 {
	server := &c.Flow.Sides[c.Flow.Client.Other()]
	if server.Packets == 0 {
		return 0
	}
	until := c.Flow.Last.Time
	for i := range c.Flow.Sides {
		for _, end := range [2]wire.Mark{c.Flow.Sides[i].Fin, c.Flow.Sides[i].Rst} {
			if !end.IsZero() {
				until = min(until, end.Time)
			}
		}
	}
	return until
}

// during returns the term in which a connection began, the first one for
// connections from before it, nil when nothing is known of the port.
func (p *port) during(c *Conn) *term {
	n, exact := slices.BinarySearchFunc(p.terms, c.Flow.First, func(t *term, m wire.Mark) int { return ByMark(t.from, m) })
	switch {
	case len(p.terms) == 0:
		return nil
	case exact:
		return p.terms[n]
	}
	return p.terms[max(n-1, 0)]
}

// holding returns the rows of the end point of a connection that held when it
// began, and whether calls of a connection of that time show EMSMDB.
func (d *Directory) holding(c *Conn) (rows []*Learned, named bool) {
	p := d.ports[portOf(c)]
	if p == nil {
		return nil, false
	}
	t := p.during(c)
	if t == nil {
		return nil, p.named
	}
	return t.rows, t.named
}

// Dropped returns how many answers and binds found no room.
func (d *Directory) Dropped() int64 { return d.dropped }

// Rows returns the directory in order of learning.
func (d *Directory) Rows() []*Learned { return d.order }

// At returns the rows of the end point of a connection that held when it began.
func (d *Directory) At(c *Conn) []*Learned {
	rows, _ := d.holding(c)
	return rows
}

// Announced reports whether a captured endpoint mapper answer that held when a
// connection began named its end point for the interface; a zero interface
// stands for any.
func (d *Directory) Announced(c *Conn, iface wire.UUID) bool {
	return slices.ContainsFunc(d.At(c), func(row *Learned) bool {
		return row.From != epm.FromBind && (iface.IsZero() || row.Interface == iface)
	})
}
