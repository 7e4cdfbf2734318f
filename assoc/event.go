package assoc

import "mapiscope/internal/wire"

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
