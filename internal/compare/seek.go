package compare

import (
	"bytes"
	"slices"

	"mapiscope/flows"
)

// How far the search for the partner of a leg has come. It is taken up again
// when more of the leg is known, and by the partner when more of that is.
const (
	soughtISN     = 1 // the handshake was looked at
	soughtContent = 2 // the beginnings of both streams were looked at
)

// seek looks for the partner of a leg among those with the same ends. It is
// called with every piece of data until there is one, and does its work only
// twice: when the handshake is over, and when the beginnings of both streams
// are there.
func (s *Shard) seek(l *leg) {
	if l.sought < soughtISN {
		l.sought = soughtISN
		if s.pick(l, sameISN, ByISN) {
			return
		}
	}
	if l.sought < soughtContent && l.begun() {
		l.sought = soughtContent
		if s.pick(l, sameBeginning, ByContent) {
			return
		}
		s.pick(l, midstream, ByOrder)
	}
}

// pick joins a leg with the one that fits, of several the one farthest away.
func (s *Shard) pick(l *leg, fits func(a, b *leg) bool, basis Basis) bool {
	var best *leg
	for _, o := range s.waiting[l.ends] {
		if l.mayPair(o) && fits(l, o) && (best == nil || apart(l, o) > apart(l, best)) {
			best = o
		}
	}
	if best == nil {
		return false
	}
	s.unite(l, best, basis)
	return true
}

// unite takes two legs of one shard out of the waiting ones and joins them.
func (s *Shard) unite(a, b *leg, basis Basis) {
	for _, l := range [2]*leg{a, b} {
		l.shard.leave(l)
	}
	a, b, by := order(a, b)
	p := s.join(a, b, basis)
	p.Order = by
	p.ended()
}

// leave takes a leg out of the waiting ones.
func (s *Shard) leave(l *leg) {
	list := s.waiting[l.ends]
	if i := slices.Index(list, l); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		delete(s.waiting, l.ends)
	} else {
		s.waiting[l.ends] = list
	}
	s.held -= l.heldHere
	l.heldHere = 0
}

// sameISN reports whether the client sent the same initial sequence number,
// and so did the server, as far as it was captured: no two connections between
// the same ends have one within minutes.
func sameISN(a, b *leg) bool {
	x, y := a.clientStats(), b.clientStats()
	if !x.HasISN || !y.HasISN || x.ISN != y.ISN {
		return false
	}
	u, v := a.serverStats(), b.serverStats()
	return !u.HasISN || !v.HasISN || u.ISN == v.ISN
}

// begun reports whether as much of the beginning of both streams is known as
// will ever be.
func (l *leg) begun() bool {
	if l.ended {
		return true
	}
	for i := range l.streams {
		if n := l.streams[i].opened; n >= 0 && n < openingSize {
			return false
		}
	}
	return true
}

// sameBeginning reports whether both streams of two legs begin with the same
// bytes, or one does and the capture lost the beginning of the other.
func sameBeginning(a, b *leg) bool {
	if !a.begun() || !b.begun() {
		return false
	}
	client, known1 := sameOpening(a.client(), b.client())
	server, known2 := sameOpening(a.server(), b.server())
	return (known1 || known2) && (client || !known1) && (server || !known2)
}

func sameOpening(a, b *stream) (same, known bool) {
	if a.opened <= 0 || b.opened <= 0 {
		return false, false
	}
	return bytes.Equal(a.opening[:a.opened], b.opening[:b.opened]), true
}

// midstream reports whether two legs may be one connection that began before
// at least one of the captures did: there is no other with the same ends
// before it.
func midstream(a, b *leg) bool {
	if !a.begun() || !b.begun() || a.conn.Flow.Origin != flows.Midstream && b.conn.Flow.Origin != flows.Midstream {
		return false
	}
	for _, o := range a.shard.waiting[a.ends] {
		if o != a && o != b {
			return false
		}
	}
	return true
}

// hold keeps an ended leg without a partner, and lets go of the oldest such
// legs' calls when there are too many.
func (s *Shard) hold(l *leg) {
	l.heldHere = len(l.loose) + len(l.streams[0].blocks) + len(l.streams[1].blocks)
	s.held += l.heldHere
	s.ended = append(s.ended, l)
	for s.held > maxHeld && len(s.ended) > 0 {
		o := s.ended[0]
		s.ended = s.ended[1:]
		if o.pair != nil {
			continue
		}
		s.held -= o.heldHere
		o.heldHere = 0
		o.dropped += int64(len(o.loose))
		o.forgotten = true
		o.release()
	}
}
