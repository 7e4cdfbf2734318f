package dcerpc

import (
	"fmt"

	"mapiscope/internal/wire"
)

// Syntax names an interface or a transfer syntax: a UUID and a version.
type Syntax struct {
	UUID         wire.UUID
	Major, Minor uint16
}

// Result is the answer to one presentation context ([C706] 12.6.3.1
// p_cont_def_result_t, [MS-RPCE] 2.2.2.4).
type Result uint16

// The results.
const (
	Acceptance        Result = 0
	UserRejection     Result = 1
	ProviderRejection Result = 2
	NegotiateAck      Result = 3 // bind time feature negotiation
)

// String returns the name that the report uses.
func (r Result) String() string {
	switch r {
	case Acceptance:
		return "acceptance"
	case UserRejection:
		return "user_rejection"
	case ProviderRejection:
		return "provider_rejection"
	case NegotiateAck:
		return "negotiate_ack"
	}
	return fmt.Sprintf("result %d", uint16(r))
}

// Context is one presentation context: an interface that the client wants to
// call, the transfer syntaxes it offers for it, and the server's answer.
type Context struct {
	ID          uint16
	Interface   Syntax
	Transfer    Syntax   // the one that was accepted, else the first offered
	Transfers   []Syntax // all that were offered
	Negotiation bool     // bind time feature negotiation, no interface of its own
	Acked       bool
	Result      Result
	Reason      uint16 // of a rejection; the feature bits of a NegotiateAck
	CallID      uint32
	Mark        wire.Mark // of the bind or alter_context
	AckMark     wire.Mark
}

// Accepted reports whether the server accepted the context.
func (x *Context) Accepted() bool { return x.Acked && x.Result == Acceptance }

// BindNak is a rejected bind ([C706] 12.6.4.5).
type BindNak struct {
	CallID uint32
	Reason uint16
	Mark   wire.Mark
}

// maxTransfers bounds the transfer syntaxes of one context that are kept.
const maxTransfers = 16

// offer is a decoded bind or alter_context ([C706] 12.6.4.3, 12.6.4.1).
type offer struct {
	maxXmit, maxRecv uint16
	group            uint32
	contexts         []Context
}

func readSyntax(c *wire.Cursor) Syntax {
	id, version := c.UUID(), c.Uint32()
	return Syntax{UUID: id, Major: uint16(version), Minor: uint16(version >> 16)}
}

// parseOffer reads the body of a bind or alter_context. Contexts that were read
// before the body ended stand.
func parseOffer(p *pdu) (o offer, ok bool) {
	c := wire.NewCursor(p.body, p.Order)
	o.maxXmit, o.maxRecv, o.group = c.Uint16(), c.Uint16(), c.Uint32()
	n := int(c.Uint8())
	c.Skip(3)
	if !c.OK() {
		return o, false
	}
	for range n {
		x := Context{ID: c.Uint16(), CallID: p.CallID, Mark: p.mark}
		transfers := int(c.Uint8())
		c.Skip(1)
		x.Interface = readSyntax(&c)
		for range transfers {
			s := readSyntax(&c)
			if c.OK() && len(x.Transfers) < maxTransfers {
				x.Transfers = append(x.Transfers, s)
			}
		}
		if !c.OK() {
			return o, false
		}
		if len(x.Transfers) > 0 {
			x.Transfer = x.Transfers[0]
			x.Negotiation = isNegotiation(x.Transfer.UUID)
		}
		o.contexts = append(o.contexts, x)
	}
	return o, true
}

// answer is a decoded bind_ack or alter_context_resp ([C706] 12.6.4.4).
type answer struct {
	maxXmit, maxRecv uint16
	group            uint32
	address          string // secondary address: the port, as text
	results          []result
}

type result struct {
	result   Result
	reason   uint16
	transfer Syntax
}

// maxAddress bounds the secondary address that is kept: a port, or the name of
// a pipe.
const maxAddress = 256

func parseAnswer(p *pdu) (a answer, ok bool) {
	c := wire.NewCursor(p.body, p.Order)
	a.maxXmit, a.maxRecv, a.group = c.Uint16(), c.Uint16(), c.Uint32()
	address := c.Bytes(int(c.Uint16()))
	address = address[:min(len(address), maxAddress)]
	if n := len(address); n > 0 && address[n-1] == 0 {
		address = address[:n-1]
	}
	a.address = string(address)
	c.Align(4) // the common header before the body is 16 bytes long
	n := int(c.Uint8())
	c.Skip(3)
	if !c.OK() {
		return a, false
	}
	for range n {
		r := result{result: Result(c.Uint16()), reason: c.Uint16(), transfer: readSyntax(&c)}
		if !c.OK() {
			return a, false
		}
		a.results = append(a.results, r)
	}
	return a, true
}

// bind takes a whole bind or alter_context.
func (c *Conn) bind(p *pdu, side wire.Side) {
	o, ok := parseOffer(p)
	if !ok {
		c.damage(p)
	}
	if p.Type == TypeBind && c.Requested == nil {
		group := o.group
		c.Requested = &group
	}
	c.offered.open, c.offered.callID, c.offered.rows = true, p.CallID, c.offered.rows[:0]
	for _, x := range o.contexts {
		c.offered.rows = append(c.offered.rows, c.enter(x))
	}
	a := c.exchange(p)
	c.handler.Event(&Event{Kind: p.Type.String(), Mark: p.mark, Side: side, CallID: p.CallID, AssocGroup: o.group, Flags: p.Flags, Contexts: o.contexts, Auth: a})
}

// enter files an offered context and returns its row, -1 when there is no room.
// Every offer has a row of its own, because the answers may differ: a context
// that one leg of an authentication offers again may be answered otherwise.
// When the table is full an offer shares the row of the same context, so that
// an association that alters contexts all day still knows the latest answer.
func (c *Conn) enter(x Context) int {
	if len(c.Contexts) < c.limits.Contexts && c.grow(contextWeight+syntaxWeight*len(x.Transfers)) {
		c.Contexts = append(c.Contexts, x)
		return len(c.Contexts) - 1
	}
	c.Stats.ContextsDropped++
	for i := len(c.Contexts) - 1; i >= 0; i-- {
		if o := &c.Contexts[i]; o.ID == x.ID && o.Interface == x.Interface && o.Negotiation == x.Negotiation {
			return i
		}
	}
	return -1
}

// bindAck takes a whole bind_ack or alter_context_resp. Its results answer the
// contexts of the bind with the same call id, by position.
func (c *Conn) bindAck(p *pdu, side wire.Side) {
	a, ok := parseAnswer(p)
	if !ok {
		c.damage(p)
	}
	switch {
	case p.Type == TypeBindAck:
		if c.Granted == nil || c.altered {
			group := a.group
			c.Granted, c.altered = &group, false
			c.MaxXmit, c.MaxRecv, c.SecondaryAddress = a.maxXmit, a.maxRecv, a.address
		}
		c.Multiplexed = c.Multiplexed || p.Flags&FlagMultiplex != 0
	case c.Granted == nil && a.group != 0 && ok:
		// The bind_ack was not captured. Servers repeat its group here, though
		// [C706] 12.6.4.2 asks nobody to read it; none repeats it as 0.
		group := a.group
		c.Granted, c.altered = &group, true
	}
	c.HeaderSigning = c.HeaderSigning || p.Flags&FlagHeaderSign != 0
	var rows []Context
	if c.offered.open && c.offered.callID == p.CallID {
		c.offered.open = false
		for i, r := range a.results {
			if i >= len(c.offered.rows) || c.offered.rows[i] < 0 {
				continue
			}
			x := &c.Contexts[c.offered.rows[i]]
			x.Acked, x.Result, x.Reason, x.AckMark = true, r.result, r.reason, p.mark
			if r.result == Acceptance {
				x.Transfer = r.transfer
			}
			rows = append(rows, *x)
		}
	}
	auth := c.exchange(p)
	for i := range c.Auths {
		c.Auths[i].HeaderSigning = c.Auths[i].asked && c.HeaderSigning
	}
	c.handler.Event(&Event{Kind: p.Type.String(), Mark: p.mark, Side: side, CallID: p.CallID, AssocGroup: a.group, Flags: p.Flags, Contexts: rows, Auth: auth})
}

func (c *Conn) bindNak(p *pdu, side wire.Side) {
	if len(p.body) < 2 {
		c.damage(p)
		return
	}
	n := BindNak{CallID: p.CallID, Reason: p.Order.Uint16(p.body), Mark: p.mark}
	if len(c.Naks) < c.limits.Faults && c.grow(faultWeight) {
		c.Naks = append(c.Naks, n)
	} else {
		c.Stats.FaultsDropped++
	}
	if c.offered.callID == p.CallID {
		c.offered.open = false
	}
	c.refuse(p.CallID, p.mark, "bind_nak: "+BindNakReasonName(n.Reason))
	c.handler.Event(&Event{Kind: "bind_nak", Mark: p.mark, Side: side, CallID: p.CallID, Reason: n.Reason})
}

// contextRow returns the row of the context that calls with an id run on: the
// latest that was not rejected, else the latest; -1 for none.
func (c *Conn) contextRow(id uint16) int {
	found := -1
	for i := len(c.Contexts) - 1; i >= 0; i-- {
		x := &c.Contexts[i]
		if x.ID != id || x.Negotiation {
			continue
		}
		if !x.Acked || x.Accepted() {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

func (c *Conn) contextAt(row int) *Context {
	if row < 0 {
		return nil
	}
	return &c.Contexts[row]
}
