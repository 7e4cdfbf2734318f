package flows

import (
	"cmp"
	"slices"

	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// Weights of a connection without what it holds, bytes.
const (
	Weight       = 1536 // while it is open: a Conn with its options, and its place in the table
	RecordWeight = 896  // once it has ended
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
	toll  float64
	since wire.Mark // earliest packet that it holds
}

// GiveUpHoles gives up the holes of whole streams, those first that hold most
// for longest, until enough says so. It must not be called while a segment is
// taken.
func (t *Tracker) GiveUpHoles(enough func() bool) {
	var all []holder
	for _, c := range t.conns.all() {
		for side := range c.streams {
			s := &c.streams[side]
			held := s.held
			if len(held) == 0 {
				continue
			}
			since := held[0].mark
			for i := range held {
				if held[i].mark.Before(since) {
					since = held[i].mark
				}
			}
			n := s.bytes + len(held)*pieceWeight
			all = append(all, holder{c, wire.Side(side), budget.Toll(n, t.pace.clock-since.Time), since})
		}
	}
	slices.SortFunc(all, func(a, b holder) int {
		return cmp.Or(cmp.Compare(b.toll, a.toll), cmp.Compare(a.since.Capture, b.since.Capture), cmp.Compare(a.since.Packet, b.since.Packet))
	})
	for _, h := range all {
		if enough() {
			return
		}
		for s := &h.conn.streams[h.side]; len(s.held) > 0; {
			h.conn.giveUp(h.side)
		}
	}
}
