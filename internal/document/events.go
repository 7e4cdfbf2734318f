package document

import (
	"cmp"
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/wire"
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

// events puts what happened into time order: what the decoders saw, and what
// of the findings became true and when.
func (b *builder) events() {
	if !b.f.Facts.Timeline {
		return
	}
	for i := range b.res.Events {
		if e := &b.res.Events[i]; b.ids[e.Conn] != 0 {
			b.event(e.Kind, e.Conn, e.Mark, e.Detail)
		}
	}
	for i := range b.f.Events {
		e := &b.f.Events[i]
		d := Detail{Quality: string(e.Quality), Reason: b.words(e.Reason)}
		if e.Group != nil {
			d.Group = ptr(b.groupIDs[e.Group])
		}
		b.event(string(e.Kind), e.Conn, e.Mark, d)
	}
	slices.SortStableFunc(b.doc.Events, func(x, y Event) int { return cmp.Compare(x.Time, y.Time) })
}

func (b *builder) event(kind string, c *assoc.Conn, m wire.Mark, d Detail) {
	b.doc.Events = append(b.doc.Events, Event{
		Time: wire.Stamp(m.Time), Event: kind, Connection: b.ids[c], Client: host(c.Client()), Server: host(c.Server()), Packet: ref(m), Detail: d,
	})
}
