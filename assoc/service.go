package assoc

import (
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
	switch iface, basis, ok := d.unbound(c); {
	case ok:
		return ServiceOf(iface), basis
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

// Interface names the interface of a connection whose bind was not captured,
// by the same sources as Service.
func (d *Directory) Interface(c *Conn) (wire.UUID, bool) {
	iface, _, ok := d.unbound(c)
	return iface, ok
}

// OperationOf names the interface of an operation, of a connection whose bind
// was not captured by the same sources as Service.
func (d *Directory) OperationOf(c *Conn, op *dcerpc.Operation) (wire.UUID, bool) {
	if op.Known {
		return op.Interface, true
	}
	if len(c.RPC.Contexts) > 0 {
		return wire.UUID{}, false
	}
	iface, ok := d.Interface(c)
	if iface == emsmdb.MDB && op.OpnumKnown && op.Opnum == opConnect && op.RequestBytes == asyncWaitStub*op.Requests {
		iface = emsmdb.AsyncMDB
	}
	return iface, ok
}

// unbound names the interface of a connection without a bind: by what the
// endpoint mapper said of its port, by its own calls, by the binds of others to
// that port, by the calls of its siblings.
func (d *Directory) unbound(c *Conn) (iface wire.UUID, basis Basis, ok bool) {
	rows, named := d.holding(c)
	if row := best(rows, false, c); row != nil {
		return row.Interface, ByEPM, true
	}
	switch {
	case c.guessed:
		return c.guess, ByHeuristic, true
	case c.shape.named():
		return emsmdb.MDB, ByHeuristic, true
	}
	if row := best(rows, true, c); row != nil {
		return row.Interface, ByHeuristic, true
	}
	switch {
	case c.shape.mayJoin() && named:
		if c.shape.executed == 0 {
			return emsmdb.AsyncMDB, ByHeuristic, true
		}
		return emsmdb.MDB, ByHeuristic, true
	case c.Server().Port() == epmPort && (c.RPC != nil || c.optionSeen()):
		return dcerpc.EPM, ByHeuristic, true
	}
	return wire.UUID{}, ByHeuristic, false
}

// best picks the row that says most about a connection, from binds of other
// connections or from endpoint mapper answers, nil when there is none. What the
// connection's own calls contradict says nothing.
func best(rows []*Learned, binds bool, c *Conn) *Learned {
	var found *Learned
	for _, row := range rows {
		s := ServiceOf(row.Interface)
		if (row.From == epm.FromBind) != binds || (s == MAPI || s == MAPIAsync) && c.shape.contradicts() {
			continue
		}
		if found == nil || rank[s] < rank[ServiceOf(found.Interface)] {
			found = row
		}
	}
	return found
}

// Unseen reports whether a connection carries DCE/RPC of an interface that
// nothing names: its bind was not captured, and no answer of an endpoint mapper,
// no other connection to its port and none of its calls tells.
func (d *Directory) Unseen(c *Conn) bool {
	if c.RPC == nil {
		return false
	}
	s, basis := d.Service(c)
	return s == OtherRPC && basis == ByHeuristic && !d.knows(c)
}

func (d *Directory) knows(c *Conn) bool {
	_, ok := d.Interface(c)
	return ok
}

// dynamicPorts is where the ports begin that an endpoint mapper hands out: the
// services below it are known by their port.
const dynamicPorts = 1024

// MayBeMAPI reports whether a connection that nothing names could be EMSMDB:
// DCE/RPC of an interface that was not seen, unless one of its calls
// contradicts, or payload that WAN optimizers made unreadable. Of a capture
// with such a connection it cannot be said that it holds no EMSMDB.
func (d *Directory) MayBeMAPI(c *Conn) bool {
	if c.RPC != nil {
		return d.Unseen(c) && !c.shape.contradicts()
	}
	s, _ := d.Service(c)
	opaque := c.transport == Undecided || c.transport == Foreign && !c.familiar
	return s == Unknown && opaque && c.optionSeen() && c.Server().Port() >= dynamicPorts
}
