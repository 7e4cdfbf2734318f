package assoc

import (
	"net/netip"
	"time"

	"mapiscope/pcaps"
)

// scene is what all connections of one capture point together say about the
// place where it was taken.
type scene struct {
	wan  bool // said, or some connection shows what only the path between two devices shows
	core bool // said, or the servers answer at once and the clients late
	edge bool
}

// place names the capture point: wan, edge or core, else unknown.
func (sc scene) place() pcaps.Point {
	switch {
	case sc.wan:
		return pcaps.WAN
	case sc.edge:
		return pcaps.Edge
	case sc.core:
		return pcaps.Core
	}
	return pcaps.Unknown
}

// hostsAt names a client and a server as one capture point sees them.
type hostsAt struct {
	point          pcaps.Point
	client, server netip.Addr
}

func (c *Conn) hosts() hostsAt { return hostsAt{c.Where(), c.Client().Addr(), c.Server().Addr()} }

// trip is how far the two hosts are from the capture point: the smallest
// times between SYN and SYN/ACK, and between SYN/ACK and ACK, 0 while none was
// measured. The smallest counts, because any single one may have waited.
type trip struct{ toServer, toClient time.Duration }

func roundTrips(conns []*Conn) map[hostsAt]trip {
	trips := make(map[hostsAt]trip)
	for _, c := range conns {
		t := trips[c.hosts()]
		t.toServer = least(t.toServer, c.Flow.SynToSynAck)
		t.toClient = least(t.toClient, c.Flow.SynAckToAck)
		trips[c.hosts()] = t
	}
	return trips
}

// least returns the smaller of two durations of which 0 means none.
func least(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// nearServer reports whether a handshake was seen close to the server: its
// answer came at once, the client's acknowledgement only after a WAN.
func (t trip) nearServer() bool {
	return t.toServer > 0 && t.toClient > minWANRoundTrip && t.toClient > 10*t.toServer
}

// nearClient is the same at the other end.
func (t trip) nearClient() bool {
	return t.toClient > 0 && t.toServer > minWANRoundTrip && t.toServer > 10*t.toClient
}

// closerToServer reports whether the server answered the SYN in less than half
// of the time that the client then took.
func (c *Conn) closerToServer() bool {
	return c.Flow.SynToSynAck > 0 && c.Flow.SynAckToAck > 2*c.Flow.SynToSynAck
}

// whereabouts works out for each capture point where it was taken, from what
// was said (the point itself) and from what the handshakes show.
func whereabouts(conns []*Conn) map[pcaps.Point]scene {
	scenes := make(map[pcaps.Point]scene)
	device := devicePoints(conns)
	for _, c := range conns {
		p := c.Where()
		sc := scenes[p]
		if !device[c.Flow.Point].both() || p == pcaps.WAN {
			sc.wan = sc.wan || c.betweenDevices() || c.negotiated()
		}
		sc.core, sc.edge = p == pcaps.Core, p == pcaps.Edge
		scenes[p] = sc
	}
	sc, ok := scenes[pcaps.Unknown]
	if !ok || sc.wan || device[pcaps.Unknown].both() {
		return scenes
	}
	clients, servers := 0, 0
	vote := func(t trip) {
		switch {
		case t.nearClient():
			clients++
		case t.nearServer():
			servers++
		}
	}
	for hosts, t := range roundTrips(conns) {
		if hosts.point == pcaps.Unknown {
			vote(t)
		}
	}
	// Where a device answers some handshakes of two hosts itself, the others
	// still cross the WAN, and so does what is acknowledged on them.
	for _, c := range conns {
		if c.Where() == pcaps.Unknown && c.acknowledgedFar() {
			vote(trip{c.Flow.SynToSynAck, c.Flow.SynAckToAck})
		}
	}
	sc.edge, sc.core = clients > 0 && servers == 0, servers > 0 && clients == 0
	scenes[pcaps.Unknown] = sc
	return scenes
}

// negotiated reports whether both devices left their option on a handshake.
func (c *Conn) negotiated() bool {
	client, server := c.options()
	_, syn := findOption(client, optWAAS)
	_, ack := findOption(server, optWAAS)
	return syn && ack
}

// deviceView says what a capture point shows of a device.
type deviceView struct {
	lan, wan bool // connections on a LAN of it, and between it and its peer
	mirrored bool // it holds packets of its LAN twice
}

// both reports whether the point shows both sides of the device.
func (v deviceView) both() bool { return v.lan && v.wan }

// devicePoints returns the capture points that show both sides of a device:
// some connection was captured there between the devices and on a LAN.
func devicePoints(conns []*Conn) map[pcaps.Point]deviceView {
	views := make(map[pcaps.Point]deviceView)
	for _, c := range conns {
		if c.Flow.Root == nil || c.leg == pcaps.Unknown || len(c.copies) > 0 && c.leg != pcaps.WAN {
			continue
		}
		v := views[c.Flow.Point]
		v.wan = v.wan || c.leg == pcaps.WAN
		v.lan = v.lan || c.leg != pcaps.WAN
		v.mirrored = v.mirrored || c.leg != pcaps.WAN && c.heldTwice()
		views[c.Flow.Point] = v
	}
	return views
}

// heldTwice reports whether the capture holds packets of the connection twice,
// as the same place shows them.
func (c *Conn) heldTwice() bool {
	a, b := &c.Flow.Sides[0], &c.Flow.Sides[1]
	return a.Copies+b.Copies > a.Twins+b.Twins
}

// acknowledgedFar reports whether data was acknowledged as late as the
// handshake says that the far end is away: then the handshake did not just
// wait.
func (c *Conn) acknowledgedFar() bool {
	client, server := &c.Flow.Sides[c.Flow.Client], &c.Flow.Sides[c.Flow.Client.Other()]
	return client.AckSamples > 0 && c.Flow.SynToSynAck > minWANRoundTrip && client.MinAckDelay*2 > c.Flow.SynToSynAck ||
		server.AckSamples > 0 && c.Flow.SynAckToAck > minWANRoundTrip && server.MinAckDelay*2 > c.Flow.SynAckToAck
}
