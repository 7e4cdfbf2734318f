package assoc

import (
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/epm"
	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// syntaxesOf returns the transfer syntaxes that the stubs of a call may be in:
// the one that was bound, or both where the bind was not captured. A stub of the
// one seldom decodes as the other.
func syntaxesOf(call *dcerpc.Call) []ndr.Syntax {
	if call.Context != nil {
		return []ndr.Syntax{syntaxOf(call)}
	}
	return []ndr.Syntax{ndr.NDR32, ndr.NDR64}
}

// epmRequest reads the question of an ept_map.
func (c *Conn) epmRequest(call *dcerpc.Call, stub []byte) {
	switch call.Opnum {
	case epm.OpLookup:
		c.EPM.Lookups++
	case epm.OpMap:
		c.EPM.Requests++
		for _, syntax := range syntaxesOf(call) {
			req, err := epm.DecodeMapRequest(stub, call.Request.Order, syntax)
			id, major, minor, ok := req.Tower.Interface()
			if err != nil || !ok {
				continue
			}
			c.EPM.RequestsParsed++
			call.Data = &Exchange{
				Mark: call.Request.First, Conn: c, Interface: id, Major: major, Minor: minor, Sequence: req.Tower.ProtocolSequence(),
				continues: req.Handle != [20]byte{}, syntaxes: []ndr.Syntax{syntax},
			}
			return
		}
		c.EPM.RequestErrors++
	}
}

// epmResponse reads the answer of an ept_map or ept_lookup and learns the
// ports that it announces.
func (c *Conn) epmResponse(call *dcerpc.Call, stub []byte) {
	if !call.OpnumKnown {
		c.epmOrphan(call, stub)
		return
	}
	switch call.Opnum {
	case epm.OpMap:
		c.EPM.Responses++
		ex, _ := call.Data.(*Exchange)
		if ex == nil {
			ex = &Exchange{Conn: c, syntaxes: syntaxesOf(call)}
		}
		for _, syntax := range ex.syntaxes {
			if resp, err := epm.DecodeMapResponse(stub, call.Response.Order, syntax); err == nil {
				c.EPM.ResponsesParsed++
				c.mapAnswer(ex, call.Response.First, resp)
				return
			}
		}
		c.EPM.ResponseErrors++
	case epm.OpLookup:
		for _, syntax := range syntaxesOf(call) {
			if resp, err := epm.DecodeLookupResponse(stub, call.Response.Order, syntax); err == nil {
				c.lookupAnswer(call.Response.First, resp)
				return
			}
		}
		c.EPM.ResponseErrors++
	}
}

// epmOrphan tries an answer whose question was not captured as one of ept_map
// and of ept_lookup. It is believed when it names an end point.
func (c *Conn) epmOrphan(call *dcerpc.Call, stub []byte) {
	for _, syntax := range syntaxesOf(call) {
		resp, err := epm.DecodeMapResponse(stub, call.Response.Order, syntax)
		if err != nil || resp.Malformed > 0 || len(resp.Towers) == 0 {
			continue
		}
		c.EPM.Responses++
		c.EPM.ResponsesParsed++
		c.mapAnswer(&Exchange{Conn: c}, call.Response.First, resp)
		return
	}
	for _, syntax := range syntaxesOf(call) {
		resp, err := epm.DecodeLookupResponse(stub, call.Response.Order, syntax)
		if err == nil && resp.Malformed == 0 && len(resp.Entries) > 0 {
			c.lookupAnswer(call.Response.First, resp)
			return
		}
	}
}

func (c *Conn) mapAnswer(ex *Exchange, m wire.Mark, resp epm.MapResponse) {
	ex.Mark, ex.Answered, ex.Status = m, true, resp.Status
	for _, t := range resp.Towers {
		if a, ok := c.answer(t, m, epm.FromMap); ok {
			if ex.Interface.IsZero() {
				ex.Interface, ex.Major, ex.Minor, ex.Sequence = a.Interface, a.Major, a.Minor, t.ProtocolSequence()
			}
			ex.Ports = append(ex.Ports, a.Port)
			ex.Answers = append(ex.Answers, a)
		}
	}
	// A search that goes on ends with "not registered"; it found what it found.
	if (resp.Status != 0 || len(resp.Towers) == 0) && !ex.continues {
		c.EPM.Unavailable++
	}
	c.file(*ex)
	if c.logging() {
		d := Detail{Interface: ex.Interface.String(), Status: new(ex.Status)}
		if len(ex.Ports) > 0 {
			d.Port = new(ex.Ports[0])
		}
		c.event("epm_map", m, d)
	}
}

func (c *Conn) lookupAnswer(m wire.Mark, resp epm.LookupResponse) {
	ex := Exchange{Mark: m, Conn: c, Answered: true, Status: resp.Status, Sequence: Lookup}
	for _, e := range resp.Entries {
		if a, ok := c.answer(e.Tower, m, epm.FromLookup); ok {
			a.Annotation = e.Annotation
			ex.Answers = append(ex.Answers, a)
		}
	}
	if len(ex.Answers) > 0 {
		c.file(ex)
	}
}

// answer turns a tower for ncacn_ip_tcp into a row of the endpoint ledger and
// makes its port known between these two hosts.
func (c *Conn) answer(t epm.Tower, m wire.Mark, from epm.Source) (epm.Answer, bool) {
	port, ok := t.TCPPort()
	if !ok || port == 0 {
		return epm.Answer{}, false
	}
	id, major, minor, ok := t.Interface()
	if !ok {
		return epm.Answer{}, false
	}
	addr, _ := t.IPv4()
	server := c.Server().Addr()
	c.learn(server, port, id, m.Packet)
	if addr.IsValid() && !addr.IsUnspecified() {
		c.learn(addr, port, id, m.Packet)
	}
	return epm.Answer{
		Server: server, Client: c.Client().Addr(), Address: addr, Port: port,
		Interface: id, Major: major, Minor: minor, From: from, Mark: m,
	}, true
}

func (c *Conn) file(ex Exchange) {
	l := c.linker
	w := ex.weight()
	if len(l.maps) >= l.cfg.Exchanges || !l.account.Room(budget.Exchanges, w) {
		l.stats.ExchangesDropped++
		return
	}
	l.account.Add(budget.Exchanges, w)
	l.maps = append(l.maps, ex)
}
