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

	dropped int64
}

// port is what is known of one server end point.
type port struct {
	news  []news
	conns []*Conn // by their first packets
	terms []*term // in order of time; the last one holds
	named bool    // no term, and calls show EMSMDB
}

// term is what one process serves at a port. It lasts until the next one.
type term struct {
	from  wire.Mark
	rows  []*Learned
	last  news
	named bool // calls of a connection show EMSMDB
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
	for i := range r.Maps {
		ex := &r.Maps[i]
		for _, a := range ex.Answers {
			n := news{Answer: a, start: a.Mark}
			if a.From == "ept_lookup" && ex.Conn != forgotten {
				n.listing = ex.Conn
			}
			if a.Address.IsValid() && !a.Address.IsUnspecified() && a.Address != a.Server {
				d.hear(n, a.Address)
			}
			d.hear(n, a.Server)
		}
	}
	for _, c := range r.Conns {
		if c.RPC == nil {
			continue
		}
		server := c.Server()
		for i := range c.RPC.Contexts {
			x := &c.RPC.Contexts[i]
			if x.Negotiation || !x.Accepted() {
				continue
			}
			d.hear(news{Answer: epm.Answer{
				Server: server.Addr(), Client: c.Client().Addr(), Port: server.Port(), Interface: x.Interface.UUID,
				Major: x.Interface.Major, Minor: x.Interface.Minor, From: "bind", Mark: x.Mark,
			}, start: c.Flow.First}, server.Addr())
		}
	}
	for _, c := range r.Conns {
		p := d.ports[portOf(c)]
		byCalls := c.guessed && c.guess == emsmdb.MDB || c.shape.named()
		if p == nil && byCalls {
			p = &port{}
			d.ports[portOf(c)] = p
		}
		if p != nil {
			p.conns = append(p.conns, c)
			p.named = p.named || byCalls
		}
	}
	for key, p := range d.ports {
		d.settle(key, p)
	}
	slices.SortFunc(d.order, func(a, b *Learned) int {
		return cmp.Or(byMark(a.Mark, b.Mark), a.At.Compare(b.At), cmp.Compare(a.Port, b.Port), a.order-b.order)
	})
	if n := len(d.order) - maxEndpoints; n > 0 {
		d.dropped += int64(n)
		d.order = d.order[:maxEndpoints]
	}
	return d
}

func portOf(c *Conn) portKey {
	s := c.Server()
	return portKey{s.Addr(), s.Port()}
}

// hear notes that a port was announced or bound.
func (d *Directory) hear(n news, at netip.Addr) {
	key := portKey{at, n.Port}
	if d.ports[key] == nil {
		d.ports[key] = &port{}
	}
	n.order = d.heard
	d.heard++
	d.ports[key].news = append(d.ports[key].news, n)
}

// settle puts what was heard of a port in order of time.
func (d *Directory) settle(key portKey, p *port) {
	slices.SortStableFunc(p.news, func(a, b news) int { return byMark(a.start, b.start) })
	slices.SortStableFunc(p.conns, func(a, b *Conn) int { return byMark(a.Flow.First, b.Flow.First) })
	next, alive := 0, int64(0) // conns that began before, and how long one of them went on
	rows := 0
	for _, n := range p.news {
		for ; next < len(p.conns) && p.conns[next].Flow.First.Before(n.start); next++ {
			alive = max(alive, p.conns[next].aliveUntil())
		}
		var t *term
		if len(p.terms) > 0 {
			t = p.terms[len(p.terms)-1]
		}
		if t == nil || !t.shares(key, n, alive > n.start.Time) {
			if t != nil {
				for _, row := range t.rows {
					row.Until = n.start
				}
			}
			t = &term{from: n.start}
			p.terms = append(p.terms, t)
		}
		t.last = n
		if t.refresh(n) {
			continue
		}
		if rows >= maxPerPort {
			d.dropped++
			if len(p.terms) == 1 {
				continue
			}
			rows -= len(p.terms[0].rows) // the oldest goes
			p.terms = slices.Delete(p.terms, 0, 1)
		}
		rows++
		t.rows = append(t.rows, &Learned{Answer: n.Answer, At: key.server, order: n.order})
	}
	p.news = nil
	for _, c := range p.conns {
		t := p.during(c)
		if t == nil {
			continue
		}
		t.named = t.named || c.guessed && c.guess == emsmdb.MDB || c.shape.named()
		for _, row := range t.rows {
			row.Conns = append(row.Conns, c)
		}
	}
	for _, t := range p.terms {
		d.order = append(d.order, t.rows...)
	}
}

// refresh enters what is known already.
func (t *term) refresh(n news) bool {
	for _, row := range t.rows {
		if row.Interface != n.Interface || row.Major != n.Major || row.Minor != n.Minor {
			continue
		}
		switch {
		case row.From == "bind" && n.From != "bind":
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
func (t *term) shares(key portKey, n news, alive bool) bool {
	if key.port == epmPort || n.Interface == dcerpc.Mgmt || n.start == t.last.start || n.listing != nil && n.listing == t.last.listing {
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
	n, exact := slices.BinarySearchFunc(p.terms, c.Flow.First, func(t *term, m wire.Mark) int { return byMark(t.from, m) })
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
		return row.From != "bind" && (iface.IsZero() || row.Interface == iface)
	})
}
