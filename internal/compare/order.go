package compare

import (
	"time"

	"mapiscope/flows"
	"mapiscope/pcaps"
)

// Order says how it is known which leg of a pair is closer to the client.
type Order string

// The ways, the surest first.
const (
	BySaid      Order = "said"       // the places of both points were said
	ByHops      Order = "hops"       // the hop limit of one packet falls on its way
	ByRoundTrip Order = "round_trip" // one handshake takes longer at the near point
	ByTime      Order = "time"       // the near point saw the connection first, by clocks that may differ
)

// leastApart is the difference of two round trips, ns, from which on they tell
// which point is closer to the client: above the jitter of two captures.
const leastApart = 100 * time.Microsecond

// Nearer says which of two legs lies closer to the client by packets that both
// of them show: -1 the first, 1 the second, 0 where they do not tell. It rests
// on no clock and on nothing that was said.
func Nearer(a, b *flows.Conn) (int, Order) {
	ac, as := &a.Sides[a.Client], &a.Sides[a.Client.Other()]
	bc, bs := &b.Sides[b.Client], &b.Sides[b.Client.Other()]
	client := ac.HasISN && bc.HasISN && ac.ISN == bc.ISN
	server := as.HasISN && bs.HasISN && as.ISN == bs.ISN
	hops := 0
	if client {
		hops += int(ac.TTL) - int(bc.TTL)
	}
	if server {
		hops += int(bs.TTL) - int(as.TTL)
	}
	switch {
	case hops > 0:
		return -1, ByHops
	case hops < 0:
		return 1, ByHops
	case !client || !server || a.SynToSynAck <= 0 || b.SynToSynAck <= 0:
		return 0, ""
	case a.SynToSynAck-b.SynToSynAck >= leastApart:
		return -1, ByRoundTrip
	case b.SynToSynAck-a.SynToSynAck >= leastApart:
		return 1, ByRoundTrip
	}
	return 0, ""
}

// placeRank orders places from the client to the server.
var placeRank = [...]int{pcaps.Edge: 1, pcaps.WAN: 2, pcaps.Core: 3}

// order returns the leg closer to the client first.
func order(a, b *leg) (near, far *leg, by Order) {
	x, y := placeRank[a.conn.Flow.Point], placeRank[b.conn.Flow.Point]
	if x > 0 && y > 0 && x != y {
		if x > y {
			a, b = b, a
		}
		return a, b, BySaid
	}
	n, by := Nearer(a.conn.Flow, b.conn.Flow)
	if n == 0 {
		n, by = -1, ByTime
		if b.conn.Flow.First.Before(a.conn.Flow.First) {
			n = 1
		}
	}
	if n > 0 {
		a, b = b, a
	}
	return a, b, by
}

// mayPair reports whether two legs may be the two ends of a pair: both are of
// the points that are compared, and not of one place. What was captured
// between two devices is no end of a pair unless somebody said so.
func (l *leg) mayPair(o *leg) bool {
	a, b := l.conn.Flow, o.conn.Flow
	if a.Tap == b.Tap {
		return false
	}
	if l.shard.job.said() {
		return a.Point != b.Point
	}
	return (a.Point != b.Point || a.Point == pcaps.Unknown) && !l.conn.Negotiated() && !o.conn.Negotiated() && l.conn.Jump() == nil && o.conn.Jump() == nil
}

// apart says how far two legs lie apart, for the choice among several points
// that show one connection: the ends of its path tell most.
func apart(a, b *leg) time.Duration {
	x, y := a.conn.Flow, b.conn.Flow
	hops := int(x.Sides[x.Client].TTL) - int(y.Sides[y.Client].TTL)
	trip := x.SynToSynAck - y.SynToSynAck
	return max(trip, -trip) + time.Duration(max(hops, -hops))*time.Microsecond
}

// SamePoint reports whether two legs show the very packets in the same
// spacing, as one capture point does that is captured twice: no hop and no
// time lies between them. known is false where their handshakes do not tell.
func SamePoint(a, b *flows.Conn) (same, known bool) {
	ac, as := &a.Sides[a.Client], &a.Sides[a.Client.Other()]
	bc, bs := &b.Sides[b.Client], &b.Sides[b.Client.Other()]
	if !ac.HasISN || !as.HasISN || !bc.HasISN || !bs.HasISN || a.SynToSynAck <= 0 || b.SynToSynAck <= 0 {
		return false, false
	}
	if ac.ISN != bc.ISN || as.ISN != bs.ISN || ac.TTL != bc.TTL || as.TTL != bs.TTL {
		return false, true
	}
	near := func(x, y time.Duration) bool {
		d := max(x-y, y-x)
		return d <= max(leastApart/4, min(x, y)/100)
	}
	return near(a.SynToSynAck, b.SynToSynAck) && near(a.SynAckToAck, b.SynAckToAck), true
}

// WayBetween returns the time of one way between two points, ns, by a
// handshake that crossed both: half of what it takes longer at the near one.
func WayBetween(near, far *flows.Conn) (int64, bool) {
	x, ok := handshakeSample(near, far)
	return x.delay, ok
}
