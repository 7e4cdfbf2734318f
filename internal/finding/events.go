package finding

import (
	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
)

// EventKind names what became true, by the names of the contract.
type EventKind string

// The kinds.
const (
	EventEscape     EventKind = "escape"
	EventPossible   EventKind = "possible_escape"
	EventHandoff    EventKind = "handoff"
	EventDisconnect EventKind = "repeated_disconnect"
)

// Event is a moment at which something that was found became true.
type Event struct {
	Kind    EventKind
	Mark    wire.Mark
	Conn    *assoc.Conn
	Group   *verdict.Group // of an EventEscape or EventPossible
	Quality Quality        // of an EventPossible or EventHandoff
	Reason  Text
}

// events says when what was found became true, once for each connection
// wherever it was captured: escapes, proven or possible, at its first packet; hand-offs at the bind or connect that asks for too much; and
// repeated disconnects at the end of the one that was too many.
func (b *judge) events() {
	if !b.Timeline {
		return
	}
	causes := make(map[*assoc.Conn]wire.Mark)
	for i := range b.Result.Events {
		e := &b.Result.Events[i]
		if b.conns[e.Conn] == nil {
			continue
		}
		bound := e.Kind == assoc.EventBind || e.Kind == assoc.EventAlterContext
		asks := bound && e.Detail.AuthLevel != nil && *e.Detail.AuthLevel >= dcerpc.LevelIntegrity
		if _, known := causes[e.Conn]; !known && (asks || e.Kind == assoc.EventConnect) {
			causes[e.Conn] = e.Mark
		}
	}
	for _, d := range b.Findings.Conns {
		x := d.Leg.Conversation
		if x != nil && x.Main != d.Conn {
			continue
		}
		if x != nil && x.Possible != nil {
			b.happened(Event{Kind: EventPossible, Mark: d.Flow.First, Conn: d.Conn, Group: x.Possible.Group, Quality: Heuristic, Reason: say("possibly escaped: " + x.Possible.Reason)})
		}
		if x != nil && x.Escaped != nil {
			b.happened(Event{Kind: EventEscape, Mark: d.Flow.First, Conn: d.Conn, Group: x.Escaped.Group, Reason: say(x.Escaped.Reason)})
		}
		if isMAPI(d.Service) && d.Disposition.Accelerator == Generic {
			at, known := causes[d.Conn]
			if !known {
				at = d.Flow.First
			}
			b.happened(Event{Kind: EventHandoff, Mark: at, Conn: d.Conn, Quality: d.Disposition.Quality, Reason: say(d.Disposition.Reason)})
		}
	}
	for _, x := range b.disconnected {
		b.happened(Event{Kind: EventDisconnect, Mark: x.d.Flow.Last, Conn: x.d.Conn, Reason: x.detail})
	}
}

func (b *judge) happened(e Event) { b.Findings.Events = append(b.Findings.Events, e) }
