package assoc

import (
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/epm"
	"mapiscope/internal/wire"
)

// The opnums of the endpoint mapper that tell ports ([C706] appendix O).
const (
	opLookup = 2
	opMap    = 3
)

// epmRequest reads the question of an ept_map.
func (c *Conn) epmRequest(call *dcerpc.Call, stub []byte) {
	switch call.Opnum {
	case opLookup:
		c.EPM.Lookups++
	case opMap:
		c.EPM.Requests++
		req, err := epm.DecodeMapRequest(stub, call.Request.Order, syntaxOf(call))
		if err != nil {
			c.EPM.RequestErrors++
			return
		}
		id, major, minor, ok := req.Tower.Interface()
		if !ok {
			c.EPM.RequestErrors++
			return
		}
		c.EPM.RequestsParsed++
		call.Data = &Exchange{Mark: call.Request.First, Conn: c, Interface: id, Major: major, Minor: minor, Sequence: req.Tower.ProtocolSequence()}
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
	case opMap:
		c.EPM.Responses++
		ex, _ := call.Data.(*Exchange)
		if ex == nil {
			ex = &Exchange{Conn: c}
		}
		resp, err := epm.DecodeMapResponse(stub, call.Response.Order, syntaxOf(call))
		if err != nil {
			c.EPM.ResponseErrors++
			return
		}
		c.EPM.ResponsesParsed++
		c.mapAnswer(ex, call.Response.First, resp)
	case opLookup:
		resp, err := epm.DecodeLookupResponse(stub, call.Response.Order, syntaxOf(call))
		if err != nil {
			c.EPM.ResponseErrors++
			return
		}
		c.lookupAnswer(call.Response.First, resp)
	}
}

// epmOrphan tries an answer whose question was not captured as an ept_map
// answer, by far the more frequent of the two.
func (c *Conn) epmOrphan(call *dcerpc.Call, stub []byte) {
	resp, err := epm.DecodeMapResponse(stub, call.Response.Order, syntaxOf(call))
	if err != nil || resp.Malformed > 0 || len(resp.Towers) == 0 {
		return
	}
	c.EPM.Responses++
	c.EPM.ResponsesParsed++
	c.mapAnswer(&Exchange{Conn: c}, call.Response.First, resp)
}

func (c *Conn) mapAnswer(ex *Exchange, m wire.Mark, resp epm.MapResponse) {
	ex.Mark, ex.Answered, ex.Status = m, true, resp.Status
	for _, t := range resp.Towers {
		if a, ok := c.answer(t, m, "ept_map"); ok {
			if ex.Interface.IsZero() {
				ex.Interface, ex.Major, ex.Minor, ex.Sequence = a.Interface, a.Major, a.Minor, t.ProtocolSequence()
			}
			ex.Ports = append(ex.Ports, a.Port)
			ex.Answers = append(ex.Answers, a)
		}
	}
	if resp.Status != 0 || len(resp.Towers) == 0 {
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
	ex := Exchange{Mark: m, Conn: c, Answered: true, Status: resp.Status, Sequence: "lookup"}
	for _, e := range resp.Entries {
		if a, ok := c.answer(e.Tower, m, "ept_lookup"); ok {
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
func (c *Conn) answer(t epm.Tower, m wire.Mark, from string) (epm.Answer, bool) {
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
	c.pair.learn(server, port, id)
	if addr.IsValid() && !addr.IsUnspecified() {
		c.pair.learn(addr, port, id)
	}
	return epm.Answer{
		Server: server, Client: c.Client().Addr(), Address: addr, Port: port,
		Interface: id, Major: major, Minor: minor, From: from, Mark: m,
	}, true
}

func (c *Conn) file(ex Exchange) {
	l := c.linker
	if len(l.maps) >= l.cfg.Exchanges {
		l.stats.ExchangesDropped++
		return
	}
	l.maps = append(l.maps, ex)
}
