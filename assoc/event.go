package assoc

import (
	"fmt"

	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// The kinds of events that others go by.
const (
	EventBind         = "bind"
	EventAlterContext = "alter_context"
	EventConnect      = "mapi_connect"
)

// Event is one thing that happened on a connection, for the log styles.
type Event struct {
	Mark   wire.Mark
	Conn   *Conn
	Kind   string // names of the output contract, such as EventBind
	Detail Detail
}

// Detail is what an event says beside its kind. Fields that do not belong to
// the kind, or that the packets do not give, are absent; the JSON names are
// those of the log records.
type Detail struct {
	CallID          *uint32        `json:"call_id,omitempty"`
	Opnum           *uint16        `json:"opnum,omitempty"`
	AssocGroup      *uint32        `json:"assoc_group,omitempty"`
	Contexts        []EventContext `json:"contexts,omitempty"`
	HeaderSigning   *bool          `json:"header_signing,omitempty"`
	Multiplexing    *bool          `json:"multiplexing,omitempty"`
	AuthType        *uint8         `json:"auth_type,omitempty"`
	AuthLevel       *uint8         `json:"auth_level,omitempty"`
	AuthContextID   *uint32        `json:"auth_ctx_id,omitempty"`
	Mechanism       string         `json:"mechanism,omitempty"`
	SessionEtype    int32          `json:"session_etype,omitempty"` // Kerberos encryption type of the session key
	Domain          string         `json:"domain,omitempty"`
	User            string         `json:"user,omitempty"`
	SPN             string         `json:"spn,omitempty"`
	State           string         `json:"state,omitempty"` // of an authentication, or of a connection at its end
	Interface       string         `json:"interface,omitempty"`
	Port            *uint16        `json:"port,omitempty"` // that an endpoint mapper answer gave
	Status          *uint32        `json:"status,omitempty"`
	StatusName      string         `json:"status_name,omitempty"`
	ReasonCode      *uint16        `json:"reason_code,omitempty"`
	Reason          string         `json:"reason,omitempty"`
	Quality         string         `json:"quality,omitempty"` // of a verdict
	ClientVersion   string         `json:"client_version,omitempty"`
	UserDN          string         `json:"user_dn,omitempty"`
	SessionOpened   *bool          `json:"session_opened,omitempty"` // the connect answer holds a context handle
	ClientBytes     *int64         `json:"client_bytes,omitempty"`   // TCP payload, each byte once
	ServerBytes     *int64         `json:"server_bytes,omitempty"`
	Group           *int           `json:"group,omitempty"` // id among the association groups of the report
	SecMultiplexing *bool          `json:"security_context_multiplexing,omitempty"`
}

// EventContext is one presentation context in an event.
type EventContext struct {
	ID      uint16 `json:"context_id"`
	UUID    string `json:"uuid"`
	Version string `json:"version"`
	Result  string `json:"result,omitempty"`
}

// event keeps an event when events are wanted at all.
func (c *Conn) event(kind string, m wire.Mark, d Detail) {
	l := c.linker
	if l.cfg.Events == 0 {
		return
	}
	e := Event{Mark: m, Conn: c, Kind: kind, Detail: d}
	w := e.weight()
	if len(l.events) >= l.cfg.Events || !l.account.Room(budget.Events, w) {
		l.stats.EventsDropped++
		return
	}
	l.account.Add(budget.Events, w)
	l.events = append(l.events, e)
}

// logging reports whether events are wanted, so that callers build their
// details only then.
func (c *Conn) logging() bool { return c.linker.cfg.Events > 0 }

// Event implements dcerpc.Handler: PDUs that are no calls become events of the
// log.
func (c *Conn) Event(e *dcerpc.Event) {
	if e.Kind == "bind_ack" || e.Kind == "alter_context_resp" {
		c.unlearn(e)
	}
	if !c.logging() {
		return
	}
	d := Detail{CallID: new(e.CallID)}
	kind := e.Kind
	switch kind {
	case EventBind, EventAlterContext, "bind_ack", "alter_context_resp":
		d.AssocGroup = new(e.AssocGroup)
		d.Contexts = eventContexts(e.Contexts)
		d.HeaderSigning = new(e.Flags&dcerpc.FlagHeaderSign != 0)
		d.Multiplexing = new(e.Flags&dcerpc.FlagMultiplex != 0)
		d.SecMultiplexing = securityMultiplexing(e.Contexts)
	case "bind_nak":
		d.ReasonCode, d.Reason = new(e.Reason), dcerpc.BindNakReasonName(e.Reason)
	case "fault":
		kind = "call_fault"
		d.Status, d.StatusName, d.Opnum = new(e.Status), dcerpc.FaultName(e.Status), e.Opnum
	}
	if e.Auth != nil {
		d.auth(e.Auth)
	}
	c.event(kind, e.Mark, d)
	if a := e.Auth; a != nil && (e.Kind == "auth3" || e.Kind == "alter_context_resp" || e.Kind == "bind_ack" && a.Facts.NegState == "accept-completed") {
		c.authEvent(e.CallID, a, e.Mark)
	}
}

// authEvent says who authenticated, once the exchange is over.
func (c *Conn) authEvent(call uint32, a *dcerpc.Auth, m wire.Mark) {
	d := Detail{
		CallID: new(call), Domain: a.Facts.Domain, User: a.Facts.User, SPN: a.Facts.SPN, SessionEtype: a.Facts.SessionEtype,
		HeaderSigning: new(a.HeaderSigning), Multiplexing: new(c.RPC.Multiplexed),
		SecMultiplexing: securityMultiplexing(c.RPC.Contexts),
	}
	if a.State != dcerpc.Offered {
		d.State = a.State.String()
	}
	d.auth(a)
	c.event("auth", m, d)
}

func (d *Detail) auth(a *dcerpc.Auth) {
	d.AuthType, d.AuthLevel, d.AuthContextID = new(a.Type), new(a.Level), new(a.ContextID)
	d.Mechanism = a.Facts.Mechanism
}

// eventContexts puts presentation contexts into the words of the log.
func eventContexts(xs []dcerpc.Context) []EventContext {
	out := make([]EventContext, 0, len(xs))
	for i := range xs {
		x := &xs[i]
		d := EventContext{ID: x.ID, UUID: x.Interface.UUID.String(), Version: fmt.Sprintf("%d.%d", x.Interface.Major, x.Interface.Minor)}
		if x.Acked {
			d.Result = x.Result.String()
		}
		out = append(out, d)
	}
	return out
}

// securityMultiplexing is the first feature bit of the bind time feature
// negotiation as the server answered it ([MS-RPCE] 2.2.2.14), nil when it was
// not negotiated.
func securityMultiplexing(xs []dcerpc.Context) *bool {
	for i := range xs {
		if x := &xs[i]; x.Negotiation && x.Acked && x.Result == dcerpc.NegotiateAck {
			return new(x.Reason&1 != 0)
		}
	}
	return nil
}

// connectEvent logs an EcDoConnect or EcDoConnectEx that could be read.
func (c *Conn) connectEvent(call *dcerpc.Call, x *emsmdb.Connect) {
	c.event(EventConnect, call.Request.Last, Detail{
		CallID: new(call.ID), Opnum: new(call.Opnum), ClientVersion: x.Client.String(), UserDN: x.UserDN,
	})
}

// connectedEvent logs the answer to a connect: whether it opened a session.
func (c *Conn) connectedEvent(call *dcerpc.Call, x *emsmdb.Connect, opened bool) {
	c.event("mapi_connect_response", call.Response.First, Detail{
		CallID: new(call.ID), Opnum: new(call.Opnum), Status: new(x.Status), StatusName: emsmdb.ReturnName(x.Status), SessionOpened: new(opened),
	})
}
