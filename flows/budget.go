package flows

import (
	"slices"

	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// Weights of a connection without what it holds, bytes.
const (
	Weight       = 1280 // while it is open: a Conn with its options, and its place in the table
	RecordWeight = 768  // once it has ended
)

// pieceWeight is what a held piece takes beside its bytes.
const pieceWeight = 128

// charge books a held piece, taken (1) or let go (-1).
func (t *Tracker) charge(p *piece, sign int) {
	t.heldBytes += sign * len(p.data)
	t.limits.Budget.Add(budget.Held, sign*(len(p.data)+pieceWeight))
}

// holder is a stream with bytes behind a hole.
type holder struct {
	conn  *Conn
	side  wire.Side
	since wire.Mark // earliest packet that it holds
}

// GiveUpHoles gives up the holes of whole streams, those that have held bytes
// for longest first, until enough says so. It must not be called while a
// segment is taken.
func (t *Tracker) GiveUpHoles(enough func() bool) {
	var all []holder
	for _, c := range t.conns.all() {
		for side := range c.streams {
			held := c.streams[side].held
			if len(held) == 0 {
				continue
			}
			since := held[0].mark
			for i := range held {
				if held[i].mark.Before(since) {
					since = held[i].mark
				}
			}
			all = append(all, holder{c, wire.Side(side), since})
		}
	}
	slices.SortFunc(all, func(a, b holder) int {
		switch {
		case a.since.Before(b.since):
			return -1
		case b.since.Before(a.since):
			return 1
		}
		return int(a.side) - int(b.side)
	})
	for _, h := range all {
		if enough() {
			return
		}
		for s := &h.conn.streams[h.side]; len(s.held) > 0; {
			t.stats.ReassemblyHoles++
			h.conn.skipHole(h.side, s.held[0].mark)
		}
	}
}
