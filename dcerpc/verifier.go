package dcerpc

import (
	"fmt"

	"mapiscope/dcerpc/auth"
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
	ErrorMark     wire.Mark // of the refusal, or of a KRB-ERROR

	exchanged bool // its exchange was captured, at least in part
	finished  bool // the last leg of the exchange was captured
	fromBind  uint32
}

// find returns the index of the authentication context of a verifier, a new one
// when it is new, -1 when there is no room.
func (c *Conn) find(p *pdu) int {
	t := &p.auth
	for i := range c.Auths {
		if a := &c.Auths[i]; a.Type == t.kind && a.Level == t.level && a.ContextID == t.contextID {
			return i
		}
	}
	if len(c.Auths) >= c.limits.Auths {
		c.Stats.AuthsDropped++
		return -1
	}
	c.Auths = append(c.Auths, Auth{Type: t.kind, Level: t.level, ContextID: t.contextID, Mark: p.mark})
	return len(c.Auths) - 1
}

// seen takes the verifier of a call, which holds a signature and no token.
func (c *Conn) seen(p *pdu) int { return c.find(p) }

// exchange takes the token of a bind, an alter_context, their answers or an
// auth3.
func (c *Conn) exchange(p *pdu) *Auth {
	if !p.auth.present {
		return nil
	}
	i := c.find(p)
	if i < 0 {
		return nil
	}
	a := &c.Auths[i]
	a.exchanged = true
	had := a.Facts.KRBErr
	a.Facts.Add(p.auth.kind, p.auth.token)
	if k := a.Facts.KRBErr; k != nil && k != had {
		a.ErrorMark, a.Error, a.State = p.mark, k.Name, Rejected
	}
	switch p.Type {
	case TypeBind, TypeAlterContext:
		a.fromBind = p.CallID
		a.HeaderSigning = a.HeaderSigning || p.Flags&FlagHeaderSign != 0
	case TypeBindAck, TypeAlterContextResp:
		a.HeaderSigning = a.HeaderSigning && (c.HeaderSigning || p.Flags&FlagHeaderSign != 0)
		// The server's last word: an AP-REP, or SPNEGO that is content.
		if a.Facts.NegState == "accept-completed" || lastMessage(&a.Facts) == "AP-REP" || a.Type == 68 || a.Type == 14 {
			a.finished = true
		}
	case TypeAuth3:
		a.finished = true
	}
	return a
}

func lastMessage(f *auth.Facts) string {
	if n := len(f.Messages); n > 0 {
		return f.Messages[n-1]
	}
	return ""
}

// confirm notes that a call was answered: what protected it works. Calls at
// level connect may carry no verifier; they speak for the latest context of
// that level.
func (c *Conn) confirm(call *Call, _ wire.Mark) {
	i := call.auth
	if i < 0 {
		i = c.connectLevel()
	}
	if i >= 0 && c.Auths[i].State != Rejected {
		c.Auths[i].State = Established
	} else if i >= 0 && c.Auths[i].Facts.KRBErr != nil && c.Auths[i].ErrorMark.Before(call.Request.First) {
		c.Auths[i].State = Established // a later leg succeeded
	}
}

func (c *Conn) connectLevel() int {
	for i := len(c.Auths) - 1; i >= 0; i-- {
		if c.Auths[i].Level == LevelConnect {
			return i
		}
	}
	return -1
}

// faultOf judges a fault. One that denies access before anything was answered
// refuses the authentication; call is nil when it answers an alter_context.
func (c *Conn) faultOf(call *Call, status uint32, m wire.Mark) {
	if !authFault(status) {
		return
	}
	i := -1
	if call != nil {
		if i = call.auth; i < 0 {
			i = c.connectLevel()
		}
	} else if len(c.Auths) > 0 {
		i = len(c.Auths) - 1
	}
	if i < 0 || c.Auths[i].State == Established {
		return
	}
	a := &c.Auths[i]
	if !a.exchanged {
		return // captured from the middle: earlier calls may have been answered
	}
	text := fmt.Sprintf("fault 0x%08x %s", status, FaultName(status))
	if a.State == Rejected {
		if a.Error != "" && a.ErrorMark != m {
			a.Error += ", then " + text
		}
		return
	}
	a.State, a.Error, a.ErrorMark = Rejected, text, m
}

// refuse marks the exchange under way as rejected.
func (c *Conn) refuse(m wire.Mark, why string) {
	if n := len(c.Auths); n > 0 && c.Auths[n-1].State == Offered {
		a := &c.Auths[n-1]
		a.State, a.Error, a.ErrorMark = Rejected, why, m
	}
}

// settle decides at the end what no call decided: an exchange whose last leg
// was captured counts as established, any other as incomplete. Verifiers of
// calls alone, without an exchange, belong to a session that was established
// before the capture.
func (c *Conn) settle() {
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
