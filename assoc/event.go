package assoc

import (
	"mapiscope/dcerpc"
	"mapiscope/internal/wire"
)

// Event is one thing that happened on a connection, for the log styles.
type Event struct {
	Mark   wire.Mark
	Conn   *Conn
	Kind   string // names of the output contract: "bind", "bind_ack", "epm_map" ...
	Detail map[string]any
}

// event keeps an event when events are wanted at all.
func (c *Conn) event(kind string, m wire.Mark, detail map[string]any) {
	l := c.linker
	if l.cfg.Events == 0 {
		return
	}
	if len(l.events) >= l.cfg.Events {
		l.stats.EventsDropped++
		return
	}
	l.events = append(l.events, Event{Mark: m, Conn: c, Kind: kind, Detail: detail})
}

// logging reports whether events are wanted, so that callers build their
// details only then.
func (c *Conn) logging() bool { return c.linker.cfg.Events > 0 }

// Event implements dcerpc.Handler: PDUs that are no calls become events of the
// log.
func (c *Conn) Event(e *dcerpc.Event) {
	if !c.logging() {
		return
	}
	d := map[string]any{"call_id": e.CallID}
	switch e.Kind {
	case "bind", "alter_context":
		d["assoc_group"] = e.AssocGroup
		d["contexts"] = contexts(e.Contexts)
		d["header_signing"] = e.Flags&dcerpc.FlagHeaderSign != 0
		d["multiplexing"] = e.Flags&dcerpc.FlagMultiplex != 0
	case "bind_ack", "alter_context_resp":
		d["assoc_group"] = e.AssocGroup
		d["contexts"] = contexts(e.Contexts)
		d["header_signing"] = e.Flags&dcerpc.FlagHeaderSign != 0
		d["multiplexing"] = e.Flags&dcerpc.FlagMultiplex != 0
	case "bind_nak":
		d["reason"] = e.Reason
		d["reason_text"] = dcerpc.BindNakReasonName(e.Reason)
	case "fault":
		d["status"], d["status_name"], d["opnum"] = e.Status, dcerpc.FaultName(e.Status), e.Opnum
	}
	if a := e.Auth; a != nil {
		d["auth_type"], d["auth_level"], d["auth_ctx_id"] = a.Type, a.Level, a.ContextID
	}
	kind := e.Kind
	if kind == "fault" {
		kind = "call_fault"
	}
	c.event(kind, e.Mark, d)
	if e.Kind == "auth3" || e.Kind == "alter_context_resp" && e.Auth != nil {
		c.event("auth", e.Mark, map[string]any{
			"type": e.Auth.Type, "level": e.Auth.Level, "mechanism": e.Auth.Facts.Mechanism,
			"domain": e.Auth.Facts.Domain, "user": e.Auth.Facts.User, "state": e.Auth.State.String(),
		})
	}
}

// contexts puts presentation contexts into the words of the log.
func contexts(xs []dcerpc.Context) []map[string]any {
	out := make([]map[string]any, 0, len(xs))
	for i := range xs {
		x := &xs[i]
		d := map[string]any{"id": x.ID, "uuid": x.Interface.UUID.String(), "major": x.Interface.Major, "minor": x.Interface.Minor}
		if x.Acked {
			d["result"] = x.Result.String()
		}
		out = append(out, d)
	}
	return out
}
