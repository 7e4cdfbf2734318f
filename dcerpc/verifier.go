package dcerpc

import (
	"fmt"
	"slices"

	"mapiscope/dcerpc/auth"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// AuthState is how far an authentication came.
type AuthState uint8

// The states.
const (
	Offered     AuthState = iota // the client asked, nothing is decided yet
	Established                  // a call was answered under it, or the exchange completed
	Rejected                     // refused by a fault, a bind_nak or a KRB-ERROR
	Incomplete                   // the connection ended before the exchange did
)

// String returns the name that the report uses.
func (s AuthState) String() string {
	return [...]string{"offered", "established", "rejected", "incomplete"}[s]
}

// Auth is one authentication context: what verifiers of one type, level and
// context id said.
type Auth struct {
	Type          uint8
	Level         uint8
	ContextID     uint32
	Facts         auth.Facts // from the tokens of the exchange
	HeaderSigning bool       // asked by the client and granted by the server
	State         AuthState
	Error         string    // why it was rejected
	Mark          wire.Mark // first packet
	ErrorMark     wire.Mark // of the refusal
	KerberosMark  wire.Mark // of the KRB-ERROR in Facts

	asked     bool   // header signing was, by the client
	exchanged bool   // its exchange was captured, at least in part
	finished  bool   // the last leg of the exchange was captured
	retried   bool   // the client sent another token after a refusal
	refusal   string // by a token or a bind_nak
	fault     string // by the answer to a call
	callID    uint32 // of the latest bind or alter_context
}

// authOf returns the index of the authentication context of a verifier, the
// latest of its id, a new one when it is new, -1 when there is no room.
func (c *Conn) authOf(p *pdu) int {
	t := &p.auth
	for i := len(c.Auths) - 1; i >= 0; i-- {
		if a := &c.Auths[i]; a.Type == t.kind && a.Level == t.level && a.ContextID == t.contextID {
			return i
		}
	}
	return c.enterAuth(p)
}

func (c *Conn) enterAuth(p *pdu) int {
	t := &p.auth
	if len(c.Auths) >= c.limits.Auths || !c.grow(authWeight) {
		c.Stats.AuthsDropped++
		return -1
	}
	c.Auths = append(c.Auths, Auth{Type: t.kind, Level: t.level, ContextID: t.contextID, Mark: p.mark})
	return len(c.Auths) - 1
}

// Types of providers whose exchange is one token each way ([MS-RPCE]
// 2.2.1.1.7, [MS-NRPC] 3.3).
const (
	typeSchannel = 14
	typeNetlogon = 68
)

// exchange takes the token of a bind, an alter_context, their answers or an
// auth3.
func (c *Conn) exchange(p *pdu) *Auth {
	if !p.auth.present {
		return nil
	}
	i := c.authOf(p)
	if i < 0 {
		return nil
	}
	if c.Auths[i].replaced(p) {
		// Who comes next is not who came before, whatever became of him.
		if next := c.enterAuth(p); next >= 0 {
			i = next
		} else { // no room: the latest has the row
			c.charge(-c.Auths[i].Facts.Size())
			c.Auths[i] = Auth{Type: p.auth.kind, Level: p.auth.level, ContextID: p.auth.contextID, Mark: p.mark}
		}
	}
	a := &c.Auths[i]
	a.exchanged = true
	refused := a.State == Rejected
	kerberos, state := a.Facts.KRBErr, a.Facts.NegState
	if before := a.Facts.Size(); c.limits.Budget.Grants(budget.Detail, c.weight, len(p.auth.token)) {
		a.Facts.Add(p.auth.kind, p.auth.token)
		c.charge(a.Facts.Size() - before)
	} else {
		c.Stats.AuthsDropped++
	}
	switch k := a.Facts.KRBErr; {
	case k != nil && k != kerberos:
		a.KerberosMark = p.mark
		a.reject(p.mark, k.Name)
	case a.Facts.NegState == "reject" && state != "reject":
		a.reject(p.mark, "SPNEGO: reject")
	}
	switch p.Type {
	case TypeBind, TypeAlterContext:
		a.callID = p.CallID
		a.asked = a.asked || p.Flags&FlagHeaderSign != 0
		a.retried = a.retried || refused
	case TypeBindAck, TypeAlterContextResp:
		a.finished = a.finished || a.answered()
	case TypeAuth3:
		a.finished = true
	}
	if a.finished && a.retried && a.State == Rejected {
		a.State = Offered
	}
	return a
}

// replaced reports whether a PDU begins another exchange under the id of this
// one, which the latest one then owns ([MS-RPCE] 3.3.1.5.4). A second ticket
// after a KRB-ERROR is another try of the same one.
func (a *Auth) replaced(p *pdu) bool {
	if p.Type != TypeBind && p.Type != TypeAlterContext || len(a.Facts.Messages) == 0 {
		return false
	}
	name := auth.Begins(p.auth.kind, p.auth.token)
	return name != "" && slices.Contains(a.Facts.Messages, name) && (name != "AP-REQ" || a.Facts.KRBErr == nil || a.State != Rejected)
}

// answered reports whether the server's token was its last one: SPNEGO that is
// content, an AP-REP, or the only one of a provider.
func (a *Auth) answered() bool {
	switch {
	case a.Type == typeSchannel, a.Type == typeNetlogon:
		return true
	case a.Facts.NegState != "":
		return a.Facts.NegState == "accept-completed"
	}
	n := len(a.Facts.Messages)
	return n > 0 && a.Facts.Messages[n-1] == "AP-REP"
}

// reject notes a refusal by a token or by a bind_nak.
func (a *Auth) reject(m wire.Mark, why string) {
	a.State, a.refusal, a.ErrorMark, a.retried = Rejected, why, m, false
	a.explain()
}

// explain puts together why it was rejected.
func (a *Auth) explain() {
	a.Error = a.refusal
	if a.refusal != "" && a.fault != "" {
		a.Error += ", then "
	}
	a.Error += a.fault
}

// confirm notes that a call was answered: what protected it works. A fault
// before was about that call, then, and not about who called.
func (c *Conn) confirm(call *Call) {
	i := c.protector(call)
	if i < 0 {
		return
	}
	a := &c.Auths[i]
	a.State = Established
	if a.fault != "" {
		a.fault = ""
		a.explain()
		if a.refusal == "" {
			a.ErrorMark = wire.Mark{}
		}
	}
}

// protector returns the authentication context of a call, -1 for none. Calls at
// level connect may carry no verifier; they speak for the latest context of
// that level.
func (c *Conn) protector(call *Call) int {
	if call.auth >= 0 {
		return call.auth
	}
	for i := len(c.Auths) - 1; i >= 0; i-- {
		if c.Auths[i].Level == LevelConnect {
			return i
		}
	}
	return -1
}

func faultText(status uint32) string {
	return fmt.Sprintf("fault 0x%08x %s", status, FaultName(status))
}

// deny judges the fault of a call. One that denies access before anything was
// answered refuses the authentication.
func (c *Conn) deny(call *Call, status uint32, m wire.Mark) {
	i := c.protector(call)
	if i < 0 || !authFault(status) {
		return
	}
	a := &c.Auths[i]
	// One that was captured from the middle may have worked before.
	if a.State == Established || !a.exchanged || a.fault != "" {
		return
	}
	a.State, a.fault = Rejected, faultText(status)
	a.explain()
	if a.refusal == "" {
		a.ErrorMark = m
	}
}

// refuse takes the refusal of a bind or alter_context by its call id.
func (c *Conn) refuse(callID uint32, m wire.Mark, why string) {
	for i := len(c.Auths) - 1; i >= 0; i-- {
		if a := &c.Auths[i]; a.exchanged && a.callID == callID {
			if a.State == Offered {
				a.reject(m, why)
			}
			return
		}
	}
}

// settleAuths decides at the end what no call decided: an exchange whose last
// leg was captured counts as established, any other as incomplete. Verifiers of
// calls alone, without an exchange, belong to a session that was established
// before the capture.
func (c *Conn) settleAuths() {
	for i := range c.Auths {
		a := &c.Auths[i]
		if a.State != Offered {
			continue
		}
		if a.finished || !a.exchanged {
			a.State = Established
		} else {
			a.State = Incomplete
		}
	}
}
