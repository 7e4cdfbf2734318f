package assoc

import (
	"slices"

	"mapiscope/flows"
	"mapiscope/pcaps"
)

// settleLegs sorts out connections that one capture holds on several segments
// of their path. Legs that show the same packets are one connection that was
// captured more than once: the fullest is kept and the others are folded into
// it, so that every byte counts once. Legs that differ stay, each with the
// place that it was captured at. The linkers go on with connections that are
// open, so what is kept is a copy.
func (r *Result) settleLegs() {
	sets := make(map[*flows.Conn][]*Conn)
	for _, c := range r.Conns {
		c.leg = pcaps.Unknown
		if root := c.Flow.Root; root != nil {
			sets[root] = append(sets[root], c)
		}
	}
	if len(sets) == 0 {
		return
	}
	standsFor := make(map[*Conn]*Conn) // nil: folded into another
	for _, legs := range sets {
		slices.SortFunc(legs, func(a, b *Conn) int { return a.Flow.Leg() - b.Flow.Leg() })
		nameLegs(legs)
		for _, same := range sameSegments(legs) {
			if len(same) == 1 {
				continue
			}
			kept := fullest(same)
			whole := kept.clone()
			for _, c := range same {
				if c != kept {
					r.fold(c, whole)
					standsFor[c] = nil
				}
			}
			standsFor[kept] = whole
		}
	}
	r.replace(standsFor)
	nameNeighbours(r.Conns)
}

// clone returns a connection that can be changed without the linker's.
func (c *Conn) clone() *Conn {
	whole, flow := *c, *c.Flow
	whole.Flow = &flow
	return &whole
}

// replace puts connections in the place of others, everywhere in the result,
// and takes out those that nothing stands for.
func (r *Result) replace(standsFor map[*Conn]*Conn) {
	gone := func(c **Conn) bool {
		if *c == nil {
			return false
		}
		if other, found := standsFor[*c]; found {
			*c = other
		}
		return *c == nil
	}
	conns := r.Conns[:0]
	for _, c := range r.Conns {
		if !gone(&c) {
			conns = append(conns, c)
		}
	}
	r.Conns = conns
	maps := r.Maps[:0]
	for _, ex := range r.Maps {
		if !gone(&ex.Conn) {
			maps = append(maps, ex)
		}
	}
	r.Maps = maps
	messages := r.Kerberos[:0]
	for _, k := range r.Kerberos {
		if !gone(&k.Conn) {
			messages = append(messages, k)
		}
	}
	r.Kerberos = messages
	events := r.Events[:0]
	for _, e := range r.Events {
		if !gone(&e.Conn) {
			events = append(events, e)
		}
	}
	r.Events = events
	slices.SortStableFunc(r.Conns, func(a, b *Conn) int { return ByMark(a.Flow.First, b.Flow.First) })
}

// sameSegments gathers legs that show the same packets: those with the same
// sequence numbers that are alike and stand on the same side of what passed
// between two optimizers.
func sameSegments(legs []*Conn) [][]*Conn {
	var sets [][]*Conn
	for _, c := range legs {
		i := slices.IndexFunc(sets, func(set []*Conn) bool {
			return c.Flow.Repeats && alike(c, set[0]) && !parted(legs, set[0], c)
		})
		if i < 0 {
			sets = append(sets, []*Conn{c})
			continue
		}
		sets[i] = append(sets[i], c)
	}
	return sets
}

// alike reports whether two legs may show the same packets.
func alike(a, b *Conn) bool {
	if a.Jump() != nil || b.Jump() != nil {
		return false
	}
	return !a.Carried() || !b.Carried() || (a.RPC != nil) == (b.RPC != nil)
}

// parted reports whether a leg behind the sequence jump was captured between
// the first packets of two others: then an optimizer pair lies between them.
func parted(legs []*Conn, a, b *Conn) bool {
	return slices.ContainsFunc(legs, func(w *Conn) bool {
		return w.BetweenDevices() && a.Flow.First.Before(w.Flow.First) && w.Flow.First.Before(b.Flow.First)
	})
}

// fullest returns the leg with the most bytes, the first of equals.
func fullest(legs []*Conn) *Conn {
	best := legs[0]
	for _, c := range legs[1:] {
		if c.Flow.Sides[0].Bytes+c.Flow.Sides[1].Bytes > best.Flow.Sides[0].Bytes+best.Flow.Sides[1].Bytes {
			best = c
		}
	}
	return best
}

// fold adds the packets of a leg to kept, the copy of one that shows the same.
func (r *Result) fold(c, kept *Conn) {
	for side := range c.Flow.Sides {
		from := &c.Flow.Sides[side]
		r.Ledger.Delivered -= from.Bytes
		r.Ledger.Duplicate += from.Bytes
		r.Ledger.Gap -= from.GapBytes
	}
	kept.Flow.TakeCopies(c.Flow)
	kept.copies = append(kept.copies, c)
	r.TCPConnections--
}

// BetweenDevices reports whether a leg shows what only the path between two
// optimizers shows.
func (c *Conn) BetweenDevices() bool {
	if c.Jump() != nil {
		return true
	}
	client, server := c.options()
	_, syn := FindOption(client, OptionWAAS)
	_, ack := FindOption(server, OptionWAAS)
	_, inner := FindOption(client, OptionRiverbedInner)
	return inner || syn && ack && c.RPC == nil && c.Carried()
}

// nameLegs says where the legs of one connection were captured: the one
// between the devices on the WAN, those that were seen before it at the edge,
// those after it at the core. Where no handshake tells the order, the client's
// data is acknowledged sooner at the edge.
func nameLegs(legs []*Conn) {
	i := slices.IndexFunc(legs, (*Conn).BetweenDevices)
	if i < 0 {
		return
	}
	w := legs[i]
	for _, c := range legs {
		switch {
		case c.BetweenDevices():
			c.leg = pcaps.WAN
		case c.Flow.Origin != flows.Handshake && c.ackDelay() > 0 && w.ackDelay() > 0:
			c.leg = pcaps.Edge
			if c.ackDelay() > w.ackDelay() {
				c.leg = pcaps.Core
			}
		case c.Flow.First.Before(w.Flow.First):
			c.leg = pcaps.Edge
		default:
			c.leg = pcaps.Core
		}
	}
}

// ackDelay is the shortest wait of the client's data for its acknowledgement.
func (c *Conn) ackDelay() int64 { return int64(c.Flow.Sides[c.Flow.Client].MinAckDelay) }

// nameNeighbours gives the other connections of a capture at a device the
// place of those that it holds on several segments: without an optimized leg
// nothing else tells it. Where it holds both LANs, a connection stands for its
// first sighting, which is at the edge.
func nameNeighbours(conns []*Conn) {
	lan := make(map[pcaps.Tap]pcaps.Point)
	for _, c := range conns {
		if c.leg == pcaps.Edge || c.leg == pcaps.Core && lan[c.Flow.Tap] == pcaps.Unknown {
			lan[c.Flow.Tap] = c.leg
		}
	}
	for _, c := range conns {
		if p := lan[c.Flow.Tap]; c.leg == pcaps.Unknown && p != pcaps.Unknown && !c.BetweenDevices() {
			c.leg = p
		}
	}
}

// Where returns the capture point of the connection as far as it was said or
// its legs show it.
func (c *Conn) Where() pcaps.Point {
	if c.leg != pcaps.Unknown {
		return c.leg
	}
	return c.Flow.Point
}
