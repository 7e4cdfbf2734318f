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

// Service names what a connection carries, by the names of the contract.
type Service string

// The services.
const (
	EPM         Service = "epm"
	MAPI        Service = "mapi"
	MAPIAsync   Service = "mapi_async"
	NSPI        Service = "nspi"
	RFR         Service = "rfr"
	OtherRPC    Service = "dcerpc"
	OverHTTP    Service = "rpc_http"
	MAPIHTTPSvc Service = "mapi_http"
	Unknown     Service = "unknown"
)

// Basis says where the name of a service comes from.
type Basis string

// The bases: an interface that was bound on the connection itself, an
// endpoint mapper answer for its port, or what its siblings and its traffic
// look like.
const (
	ByBind      Basis = "bind"
	ByEPM       Basis = "epm"
	ByHeuristic Basis = "heuristic"
)

// ServiceOf names the service of an interface.
func ServiceOf(iface wire.UUID) Service {
	switch iface {
	case dcerpc.EPM:
		return EPM
	case emsmdb.MDB:
		return MAPI
	case emsmdb.AsyncMDB:
		return MAPIAsync
	case emsmdb.NSPI:
		return NSPI
	case emsmdb.RFR:
		return RFR
	}
	return OtherRPC
}

// rank orders services by how much they say about a connection that carries
// several interfaces.
var rank = map[Service]int{MAPI: 0, MAPIAsync: 1, NSPI: 2, RFR: 3, EPM: 4, OtherRPC: 5}

// Learned is one row of the endpoint directory.
type Learned struct {
	epm.Answer
	At    netip.Addr // the address that the row is about
	Conns []*Conn    // connections to it
}

type endpointKey struct {
	server netip.Addr
	port   uint16
	iface  wire.UUID
	major  uint16
	minor  uint16
}

// Directory is who serves what where: endpoint mapper answers and binds.
type Directory struct {
	rows  map[endpointKey]*Learned
	ports map[portKey][]*Learned
	order []*Learned

	dropped int64
}

// Bounds of a Directory: rows, and rows of one port. A domain controller
// registers a few hundred interfaces, a few dozen at one port.
const (
	maxEndpoints = 1 << 16
	maxPerPort   = 128
)

// NewDirectory builds the directory of a capture from its endpoint mapper
// answers and from the binds that servers accepted. The first learning of a
// row is kept; an answer that names another address than the answering
// server's (none at all, 0.0.0.0, another of its interfaces) is entered under
// the server's own address too, because that is where clients then connect.
// What finds no room is counted (Dropped).
func NewDirectory(r *Result) *Directory {
	d := &Directory{rows: make(map[endpointKey]*Learned), ports: make(map[portKey][]*Learned)}
	for _, ex := range r.Maps {
		for _, a := range ex.Answers {
			if a.Address.IsValid() && !a.Address.IsUnspecified() && a.Address != a.Server {
				d.add(a, a.Address)
			}
			d.add(a, a.Server)
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
			d.add(epm.Answer{
				Server: server.Addr(), Client: c.Client().Addr(), Port: server.Port(), Interface: x.Interface.UUID,
				Major: x.Interface.Major, Minor: x.Interface.Minor, From: "bind", Mark: x.Mark,
			}, server.Addr())
		}
	}
	for _, c := range r.Conns {
		s := c.Server()
		for _, row := range d.ports[portKey{s.Addr(), s.Port()}] {
			row.Conns = append(row.Conns, c)
		}
	}
	slices.SortStableFunc(d.order, func(a, b *Learned) int {
		return cmp.Or(ByMark(a.Mark, b.Mark), a.At.Compare(b.At), cmp.Compare(a.Port, b.Port))
	})
	return d
}

func (d *Directory) add(a epm.Answer, at netip.Addr) {
	key := endpointKey{at, a.Port, a.Interface, a.Major, a.Minor}
	if row := d.rows[key]; row != nil {
		if row.Annotation == "" {
			row.Annotation = a.Annotation
		}
		return
	}
	port := portKey{at, a.Port}
	if len(d.order) >= maxEndpoints || len(d.ports[port]) >= maxPerPort {
		d.dropped++
		return
	}
	row := &Learned{Answer: a, At: at}
	d.rows[key] = row
	d.ports[port] = append(d.ports[port], row)
	d.order = append(d.order, row)
}

// Dropped returns how many answers and binds found no room.
func (d *Directory) Dropped() int64 { return d.dropped }

// Rows returns the directory in order of learning.
func (d *Directory) Rows() []*Learned { return d.order }

// At returns the rows of one server end point.
func (d *Directory) At(server netip.AddrPort) []*Learned {
	return d.ports[portKey{server.Addr(), server.Port()}]
}

// Announced reports whether a captured endpoint mapper answer named the end
// point for the interface; a zero interface stands for any.
func (d *Directory) Announced(server netip.AddrPort, iface wire.UUID) bool {
	return slices.ContainsFunc(d.At(server), func(row *Learned) bool {
		return row.From != "bind" && (iface.IsZero() || row.Interface == iface)
	})
}

// Service names what a connection carries and says how that is known.
func (d *Directory) Service(c *Conn) (Service, Basis) {
	switch c.transport {
	case RPCHTTP:
		return OverHTTP, ByHeuristic
	case MAPIHTTP:
		return MAPIHTTPSvc, ByHeuristic
	}
	if s, ok := boundService(c); ok {
		return s, ByBind
	}
	if s, ok := best(d.At(c.Server()), false); ok {
		return s, ByEPM
	}
	if c.guessed {
		return ServiceOf(c.guess), ByHeuristic
	}
	if s, ok := best(d.At(c.Server()), true); ok {
		return s, ByHeuristic
	}
	switch {
	case c.Server().Port() == epmPort && (c.RPC != nil || c.optionSeen()):
		return EPM, ByHeuristic
	case c.RPC != nil:
		return OtherRPC, ByHeuristic
	}
	return Unknown, ByHeuristic
}

// boundService names the service by the contexts of the connection, the
// accepted ones first.
func boundService(c *Conn) (Service, bool) {
	if c.RPC == nil {
		return "", false
	}
	found, accepted, ok := Unknown, false, false
	for i := range c.RPC.Contexts {
		x := &c.RPC.Contexts[i]
		if x.Negotiation {
			continue
		}
		s, acc := ServiceOf(x.Interface.UUID), x.Accepted()
		if !ok || acc && !accepted || acc == accepted && rank[s] < rank[found] {
			found, accepted, ok = s, acc, true
		}
	}
	return found, ok
}

// best picks the service of an end point, from binds of other connections or
// from endpoint mapper answers.
func best(rows []*Learned, binds bool) (Service, bool) {
	found, ok := OtherRPC, false
	for _, row := range rows {
		if (row.From == "bind") != binds {
			continue
		}
		if s := ServiceOf(row.Interface); !ok || rank[s] < rank[found] {
			found, ok = s, true
		}
	}
	return found, ok
}

// Interface names the interface of a connection whose bind was not captured,
// by the same sources as Service.
func (d *Directory) Interface(c *Conn) (wire.UUID, bool) {
	for _, binds := range [2]bool{false, true} {
		if binds && c.guessed {
			return c.guess, true
		}
		var found *Learned
		for _, row := range d.At(c.Server()) {
			if (row.From == "bind") == binds && (found == nil || rank[ServiceOf(row.Interface)] < rank[ServiceOf(found.Interface)]) {
				found = row
			}
		}
		if found != nil {
			return found.Interface, true
		}
	}
	if c.Server().Port() == epmPort {
		return dcerpc.EPM, true
	}
	return wire.UUID{}, false
}
