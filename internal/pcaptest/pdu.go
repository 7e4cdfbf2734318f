package pcaptest

// PDU is a connection-oriented DCE/RPC PDU ([C706] 12.6) under construction.
// It is a value: the methods return a changed copy, in any order, and Bytes
// writes it.
//
//	pcaptest.Request(0, 11, stub).Call(7).Auth(10, 5, 0, make([]byte, 16)).Bytes()
type PDU struct {
	kind   byte
	flags  byte
	minor  byte
	big    bool
	callID uint32
	head   func(n *NDR, rest int) // after the common header; rest is the stub that is left to send
	stub   []byte
	auth   *trailer
	object UUID
}

type trailer struct {
	kind, level byte
	context     uint32
	token       []byte
}

// PDU types.
const (
	kindRequest      = 0
	kindResponse     = 2
	kindFault        = 3
	kindBind         = 11
	kindBindAck      = 12
	kindBindNak      = 13
	kindAlter        = 14
	kindAlterResp    = 15
	kindAuth3        = 16
	kindShutdown     = 17
	kindCoCancel     = 18
	kindOrphaned     = 19
	flagFirst        = 0x01
	flagLast         = 0x02
	flagObject       = 0x80
	fragmentsOfBinds = 5840 // max_xmit_frag and max_recv_frag of Windows
)

func newPDU(kind byte, head func(n *NDR, rest int)) PDU {
	return PDU{kind: kind, flags: flagFirst | flagLast, head: head}
}

// Context is a presentation context that a bind offers.
type Context struct {
	ID       uint16
	Abstract Syntax
	Transfer []Syntax
}

// Offer is a presentation context; NDR32 stands for no transfer syntax.
func Offer(id uint16, abstract Syntax, transfer ...Syntax) Context {
	if len(transfer) == 0 {
		transfer = []Syntax{NDR32}
	}
	return Context{id, abstract, transfer}
}

// Bind asks for contexts in an association group, 0 for a new one.
func Bind(group uint32, contexts ...Context) PDU { return offer(kindBind, group, contexts) }

// AlterContext asks for more contexts.
func AlterContext(group uint32, contexts ...Context) PDU { return offer(kindAlter, group, contexts) }

func offer(kind byte, group uint32, contexts []Context) PDU {
	return newPDU(kind, func(n *NDR, _ int) {
		n.U16(fragmentsOfBinds, fragmentsOfBinds).U32(group)
		n.Raw([]byte{byte(len(contexts)), 0, 0, 0})
		for _, c := range contexts {
			n.U16(c.ID).Raw([]byte{byte(len(c.Transfer)), 0})
			c.Abstract.append(n)
			for _, t := range c.Transfer {
				t.append(n)
			}
		}
	})
}

// Result answers a context that was offered.
type Result struct {
	Result, Reason uint16
	Transfer       Syntax
}

const nilUUID = UUID("00000000-0000-0000-0000-000000000000")

// Accept takes a context with a transfer syntax.
func Accept(transfer Syntax) Result { return Result{Transfer: transfer} }

// Reject refuses a context: reason 1 for the abstract, 2 for the transfer
// syntax ([C706] 12.6.3.1).
func Reject(reason uint16) Result { return Result{2, reason, Syntax{nilUUID, 0}} }

// NegotiateAck answers the bind-time feature negotiation with the features
// taken ([MS-RPCE] 2.2.2.4).
func NegotiateAck(features uint16) Result { return Result{3, features, Syntax{nilUUID, 0}} }

// BindAck answers a bind with the group of the connection and its secondary
// address, the port as text.
func BindAck(group uint32, address string, results ...Result) PDU {
	return answer(kindBindAck, group, append([]byte(address), 0), results)
}

// AlterContextResp answers an alter_context; its secondary address is empty.
func AlterContextResp(group uint32, results ...Result) PDU {
	return answer(kindAlterResp, group, nil, results)
}

func answer(kind byte, group uint32, address []byte, results []Result) PDU {
	return newPDU(kind, func(n *NDR, _ int) {
		n.U16(fragmentsOfBinds, fragmentsOfBinds).U32(group)
		n.U16(uint16(len(address))).Raw(address)
		n.Align(4).Raw([]byte{byte(len(results)), 0, 0, 0})
		for _, r := range results {
			n.U16(r.Result, r.Reason)
			r.Transfer.append(n)
		}
	})
}

// BindNak refuses a bind: reason 4 for the protocol version, 8 for the
// authentication type ([MS-RPCE] 2.2.2.5). It names version 5.0.
func BindNak(reason uint16) PDU {
	return newPDU(kindBindNak, func(n *NDR, _ int) { n.U16(reason).Raw([]byte{1, 5, 0}) })
}

// Auth3 carries the third token of an authentication ([MS-RPCE] 2.2.2.10);
// it has four bytes of padding of any value and needs Auth.
func Auth3() PDU {
	return newPDU(kindAuth3, func(n *NDR, _ int) { n.Raw([]byte("pad!")) })
}

// Request calls an operation on a context.
func Request(context, opnum uint16, stub []byte) PDU {
	p := newPDU(kindRequest, func(n *NDR, rest int) { n.U32(uint32(rest)).U16(context, opnum) })
	p.stub = stub
	return p
}

// Response returns from a call.
func Response(context uint16, stub []byte) PDU {
	p := newPDU(kindResponse, func(n *NDR, rest int) { n.U32(uint32(rest)).U16(context, 0) })
	p.stub = stub
	return p
}

// Fault ends a call with a status.
func Fault(context uint16, status uint32) PDU {
	return newPDU(kindFault, func(n *NDR, _ int) { n.U32(0).U16(context, 0).U32(status, 0) })
}

// CoCancel asks for the end of a call, Orphaned gives it up, Shutdown asks
// the client to close the connection.
func CoCancel() PDU { return newPDU(kindCoCancel, nil) }

// Orphaned says that the client does not wait for a call any more.
func Orphaned() PDU { return newPDU(kindOrphaned, nil) }

// Shutdown asks the client to close the connection.
func Shutdown() PDU { return newPDU(kindShutdown, nil) }

// Call sets the call id, 0 if not set.
func (p PDU) Call(id uint32) PDU { p.callID = id; return p }

// BigEndian writes integers big endian and says so in the data
// representation. A stub stays as it is.
func (p PDU) BigEndian() PDU { p.big = true; return p }

// Flags replaces the flags, which are first and last fragment.
func (p PDU) Flags(f byte) PDU { p.flags = f; return p }

// Minor sets the minor version, 0 if not set.
func (p PDU) Minor(v byte) PDU { p.minor = v; return p }

// Object adds an object UUID to a request.
func (p PDU) Object(u UUID) PDU { p.object = u; return p }

// Auth adds a security trailer with a token: the type (9 SPNEGO, 10 NTLM,
// 16 Kerberos), the level (2 connect to 6 privacy) and the id of the
// security context ([MS-RPCE] 2.2.2.11). A stub is padded to 16 bytes, other
// PDUs to 4.
func (p PDU) Auth(kind, level byte, context uint32, token []byte) PDU {
	p.auth = &trailer{kind, level, context, token}
	return p
}

// Bytes returns the PDU as one fragment.
func (p PDU) Bytes() []byte { return p.fragment(p.stub, len(p.stub), p.flags) }

// Fragments returns a request or response as fragments with at most size
// bytes of stub each. alloc_hint is what is left to send.
func (p PDU) Fragments(size int) [][]byte {
	var all [][]byte
	for at := 0; at == 0 || at < len(p.stub); at += size {
		end := min(at+size, len(p.stub))
		flags := p.flags &^ (flagFirst | flagLast)
		if at == 0 {
			flags |= flagFirst
		}
		if end == len(p.stub) {
			flags |= flagLast
		}
		all = append(all, p.fragment(p.stub[at:end], len(p.stub)-at, flags))
	}
	return all
}

// Fragmented is Fragments as one run of bytes.
func (p PDU) Fragmented(size int) []byte {
	var b []byte
	for _, f := range p.Fragments(size) {
		b = append(b, f...)
	}
	return b
}

func (p PDU) fragment(stub []byte, rest int, flags byte) []byte {
	n := NDR{Big: p.big}
	drep := byte(0x10) // little endian, ASCII, IEEE floats
	if p.big {
		drep = 0
	}
	if p.object != "" {
		flags |= flagObject
	}
	n.Raw([]byte{5, p.minor, p.kind, flags, drep, 0, 0, 0})
	n.U16(0, 0).U32(p.callID) // lengths are filled in below
	if p.head != nil {
		p.head(&n, rest)
	}
	if p.object != "" {
		n.UUID(p.object)
	}
	body := n.Len()
	n.Raw(stub)
	authLen := 0
	if a := p.auth; a != nil {
		unit := 4
		if len(stub) > 0 {
			unit = 16
		}
		pad := -(n.Len() - body) & (unit - 1)
		if len(stub) == 0 {
			pad = -n.Len() & 3
		}
		n.Raw(make([]byte, pad)).Raw([]byte{a.kind, a.level, byte(pad), 0})
		n.U32(a.context).Raw(a.token)
		authLen = len(a.token)
	}
	b := n.Bytes()
	if len(b) > 0xffff {
		panic("pcaptest: a PDU over 65535 bytes; use Fragments")
	}
	lengths := NDR{Big: p.big}
	copy(b[8:], lengths.U16(uint16(len(b)), uint16(authLen)).Bytes())
	return b
}
