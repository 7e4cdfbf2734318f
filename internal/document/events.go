package document

import (
	"cmp"
	"slices"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
)

// Event is one thing that happened, for the log styles. Its detail stands
// beside the other fields in JSON.
type Event struct {
	Time       string    `json:"time"`
	Event      string    `json:"event"`
	Connection int       `json:"connection"`
	Client     Host      `json:"client"`
	Server     Host      `json:"server"`
	Packet     PacketRef `json:"packet"`
	Detail
}

// Detail is what an event says beside its kind.
type Detail = assoc.Detail

// EventContext is one presentation context in an event.
type EventContext = assoc.EventContext

// events puts what happened into time order: what the decoders saw, and from
// the verdicts what became true and when.
func (b *builder) events() {
	if !b.in.Events {
		return
	}
	for i := range b.res.Events {
		e := &b.res.Events[i]
		if b.ids[e.Conn] == 0 {
			continue
		}
		b.doc.Events = append(b.doc.Events, Event{
			Time: stamp(e.Mark.Time), Event: e.Kind, Connection: b.ids[e.Conn], Packet: ref(e.Mark), Detail: e.Detail,
		})
	}
	b.verdictEvents()
	for i := range b.doc.Events {
		e := &b.doc.Events[i]
		d := b.doc.Connection(e.Connection)
		e.Client, e.Server = d.Client, d.Server
	}
	slices.SortStableFunc(b.doc.Events, func(x, y Event) int { return cmp.Compare(x.Time, y.Time) })
}

// verdictEvents adds escapes, at the first packet of the connection; hand-offs,
// at the bind or connect that asks for too much; and repeated disconnects, at
// the end of the one that was too many.
func (b *builder) verdictEvents() {
	causes := make(map[int]Event)
	for _, e := range b.doc.Events {
		secured := e.AuthLevel != nil && *e.AuthLevel >= dcerpc.LevelIntegrity && (e.Event == "bind" || e.Event == "alter_context")
		if _, known := causes[e.Connection]; !known && (secured || e.Event == "mapi_connect") {
			causes[e.Connection] = e
		}
	}
	for i, c := range b.listed {
		d := &b.doc.Connections[i]
		if d.Escaped != nil {
			b.doc.Events = append(b.doc.Events, Event{
				Time: d.Start, Event: "escape", Connection: b.ids[c], Packet: d.FirstPacket,
				Detail: Detail{Group: ptr(d.Escaped.Group), Reason: d.Escaped.Reason},
			})
		}
		if isMAPI(d) && d.Disposition.Accelerator == "generic" {
			at, known := causes[d.ID]
			if !known {
				at = Event{Time: d.Start, Packet: d.FirstPacket}
			}
			b.doc.Events = append(b.doc.Events, Event{
				Time: at.Time, Event: "handoff", Connection: b.ids[c], Packet: at.Packet,
				Detail: Detail{Quality: string(d.Disposition.Quality), Reason: d.Disposition.Reason},
			})
		}
	}
	for i := range b.doc.Findings {
		f := &b.doc.Findings[i]
		if f.Code != "REPEATED_DISCONNECT" || len(f.Connections) <= maxDisconnects {
			continue
		}
		d := b.doc.Connection(f.Connections[maxDisconnects])
		b.doc.Events = append(b.doc.Events, Event{
			Time: d.End, Event: "repeated_disconnect", Connection: d.ID, Packet: d.LastPacket, Detail: Detail{Reason: f.Detail},
		})
	}
}
