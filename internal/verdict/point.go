package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"mapiscope/assoc"
	"mapiscope/internal/compare"
	"mapiscope/pcaps"
)

// Point is a capture point with the place that it was worked out to have, held
// against what was said.
type Point struct {
	Tap   pcaps.Tap
	Said  pcaps.Point // by an option or an interface name
	Place pcaps.Point // what holds: the evidence where there is some, else what was said
	// Inferred says that the packets tell the place.
	Inferred bool
	// Conflict says how the packets contradict what was said, "" where they do
	// not. Nothing that rests on the place is judged then.
	Conflict string
	Likely   pcaps.Point // where it was captured, by the packets; with Conflict
	// SameAs are the other capture points that show the very packets of this one.
	SameAs []pcaps.Tap

	between bool // some connection shows what only the path between two devices shows
	device  deviceView
	saids   []pcaps.Point // all that was said of it
}

// deviceView says what a capture point shows of a device.
type deviceView struct {
	lan, wan bool // connections on a LAN of it, and between it and its peer
	mirrored bool // it holds packets of its LAN twice
}

// both reports whether the point shows both sides of the device.
func (v deviceView) both() bool { return v.lan && v.wan }

// bothSides reports whether a connection was captured on both sides of a
// device that does optimize others.
func (p *Point) bothSides(c *assoc.Conn) bool {
	return p.device.both() && (len(c.Copies()) > 0 || c.HeldTwice() && !p.device.mirrored)
}

// hostsAt names a client and a server as one capture point sees them.
type hostsAt struct {
	tap            pcaps.Tap
	at             pcaps.Point
	client, server netip.Addr
}

func hostsOf(c *assoc.Conn) hostsAt {
	return hostsAt{c.Flow.Tap, c.Where(), c.Client().Addr(), c.Server().Addr()}
}

// trip is how far the two hosts are from the capture point: the smallest
// times between SYN and SYN/ACK, and between SYN/ACK and ACK, 0 while none was
// measured. The smallest counts, because any single one may have waited.
type trip struct{ toServer, toClient time.Duration }

func roundTrips(conns []*assoc.Conn) map[hostsAt]trip {
	trips := make(map[hostsAt]trip)
	for _, c := range conns {
		k := hostsOf(c)
		t := trips[k]
		t.toServer = least(t.toServer, c.Flow.SynToSynAck)
		t.toClient = least(t.toClient, c.Flow.SynAckToAck)
		trips[k] = t
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
	return t.toServer > 0 && t.toClient > assoc.MinWANRoundTrip && t.toClient > 10*t.toServer
}

// nearClient is the same at the other end.
func (t trip) nearClient() bool {
	return t.toClient > 0 && t.toServer > assoc.MinWANRoundTrip && t.toServer > 10*t.toClient
}

// closerToServer reports whether the server answered the SYN in less than half
// of the time that the client then took.
func closerToServer(c *assoc.Conn) bool {
	return c.Flow.SynToSynAck > 0 && c.Flow.SynAckToAck > 2*c.Flow.SynToSynAck
}

// acknowledgedFar reports whether data was acknowledged as late as the
// handshake says that the far end is away: then the handshake did not just
// wait.
func acknowledgedFar(c *assoc.Conn) bool {
	client, server := &c.Flow.Sides[c.Flow.Client], &c.Flow.Sides[c.Flow.Client.Other()]
	return client.AckSamples > 0 && c.Flow.SynToSynAck > assoc.MinWANRoundTrip && client.MinAckDelay*2 > c.Flow.SynToSynAck ||
		server.AckSamples > 0 && c.Flow.SynAckToAck > assoc.MinWANRoundTrip && server.MinAckDelay*2 > c.Flow.SynAckToAck
}

// pristine reports whether a hop limit is one that hosts begin with, so that
// no router lies between the host and the capture point.
func pristine(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 || ttl == 32 }

// votes is what the connections of one capture point show of its place.
type votes struct {
	client, server      int // handshakes seen close to the client, and to the server
	hopsBefore          int // of those close to the server: the client is hops away and the server none
	hopsBehind          int // of those close to the client: the server is hops away and the client none
	syn, synAck, jumped int // options of WAAS and sequence jumps
	all                 int
}

// whereabouts works out for each capture point where it was taken, from what
// the handshakes show, and holds it against what was said.
func (j *judge) whereabouts(conns []*assoc.Conn) map[pcaps.Tap]*Point {
	points := make(map[pcaps.Tap]*Point)
	seen := make(map[pcaps.Tap]*votes)
	for _, c := range conns {
		p := points[c.Flow.Tap]
		if p == nil {
			p = &Point{Tap: c.Flow.Tap, Said: c.Flow.Point}
			points[c.Flow.Tap], seen[c.Flow.Tap] = p, new(votes)
		}
		if !slices.Contains(p.saids, c.Flow.Point) {
			p.saids = append(p.saids, c.Flow.Point)
		}
		p.device.see(c)
	}
	for _, c := range conns {
		p := points[c.Flow.Tap]
		between := c.BetweenDevices() || c.Negotiated() || sawBetween(c)
		if !p.device.both() || c.Where() == pcaps.WAN {
			p.between = p.between || between
		}
		seen[c.Flow.Tap].see(c)
	}
	for hosts, t := range j.trips {
		v := seen[hosts.tap]
		v.trip(t)
	}
	for _, c := range conns {
		// Where a device answers some handshakes of two hosts itself, the others
		// still cross the WAN, and so does what is acknowledged on them.
		if acknowledgedFar(c) {
			seen[c.Flow.Tap].trip(trip{c.Flow.SynToSynAck, c.Flow.SynAckToAck})
		}
	}
	for tap, p := range points {
		p.settle(seen[tap])
	}
	j.orders(points)
	return points
}

// sawBetween reports whether a handshake shows what only the path between two
// devices shows: the option of the device at the server's side, behind a SYN
// that has one too, or that was not captured. A SYN without one shows that the
// edge device stands behind this place, and that it hands the option on.
func sawBetween(c *assoc.Conn) bool {
	_, syn := assoc.FindOption(c.HandshakeOptions()[0], assoc.OptionWAAS)
	return answeredByDevice(c) && (syn || c.HandshakeMarks()[0].IsZero())
}

// answeredByDevice reports whether the SYN/ACK carries the option of a device
// at the server's side.
func answeredByDevice(c *assoc.Conn) bool {
	_, ok := assoc.FindOption(c.HandshakeOptions()[1], assoc.OptionWAAS)
	return ok
}

// see learns from one leg which sides of a device the capture point shows.
func (v *deviceView) see(c *assoc.Conn) {
	leg := c.Segment()
	if c.Flow.Root == nil || leg == pcaps.Unknown || len(c.Copies()) > 0 && leg != pcaps.WAN {
		return
	}
	v.wan = v.wan || leg == pcaps.WAN
	v.lan = v.lan || leg != pcaps.WAN
	v.mirrored = v.mirrored || leg != pcaps.WAN && c.HeldTwice()
}

func (v *votes) trip(t trip) {
	switch {
	case t.nearClient():
		v.client++
	case t.nearServer():
		v.server++
	}
}

func (v *votes) see(c *assoc.Conn) {
	options := c.HandshakeOptions()
	_, syn := assoc.FindOption(options[0], assoc.OptionWAAS)
	_, ack := assoc.FindOption(options[1], assoc.OptionWAAS)
	v.all++
	if syn {
		v.syn++
	}
	if ack {
		v.synAck++
	}
	if c.Jump() != nil {
		v.jumped++
	}
	client, server := &c.Flow.Sides[c.Flow.Client], &c.Flow.Sides[c.Flow.Client.Other()]
	switch t := (trip{c.Flow.SynToSynAck, c.Flow.SynAckToAck}); {
	case !opened(c):
	case t.nearServer() && !pristine(client.TTL) && pristine(server.TTL):
		v.hopsBefore++
	case t.nearClient() && pristine(client.TTL) && !pristine(server.TTL):
		v.hopsBehind++
	}
}

// settle decides about one point by its own evidence.
func (p *Point) settle(v *votes) {
	for _, s := range p.saids {
		if s != pcaps.Unknown && p.Said != pcaps.Unknown && s != p.Said {
			p.contradict(pcaps.Unknown, fmt.Sprintf("the same packets are said to come from the %s and from the %s", p.Said, s))
		}
		p.Said = cmp.Or(p.Said, s)
	}
	evidence := pcaps.Unknown
	switch {
	case p.device.both():
		// Segments of the path have places of their own.
	case p.between:
		evidence = pcaps.WAN
	case v.client > 0 && v.server == 0:
		evidence = pcaps.Edge
	case v.server > 0 && v.client == 0:
		evidence = pcaps.Core
	}
	switch p.Said {
	case pcaps.Unknown, pcaps.WAN:
	case pcaps.Edge:
		switch {
		case p.device.both():
		case p.between:
			p.contradict(pcaps.WAN, fmt.Sprintf("%d of %d handshakes carry what only the path between two devices shows", max(v.synAck, v.jumped, v.syn), v.all))
		case v.syn > 0:
			p.contradict(pcaps.Unknown, fmt.Sprintf("the SYN of %d of %d connections carries the option that an edge device adds behind this place", v.syn, v.all))
		case evidence == pcaps.Core && v.hopsBefore > 0:
			p.contradict(pcaps.Core, "the servers answer at once and without a hop between, the clients late")
		}
	case pcaps.Core:
		switch {
		case p.device.both():
		case p.between:
			p.contradict(pcaps.WAN, fmt.Sprintf("%d of %d handshakes carry what only the path between two devices shows", max(v.synAck, v.jumped), v.all))
		case evidence == pcaps.Edge && 2*v.hopsBehind > v.all: // servers are clients of others, too
			p.contradict(pcaps.Edge, "the clients answer at once and without a hop between, the servers late")
		}
	}
	switch {
	case p.Conflict != "":
	case p.Said == pcaps.Unknown:
		p.Place, p.Inferred = evidence, evidence != pcaps.Unknown
	default:
		p.Place = p.Said
	}
}

func (p *Point) contradict(likely pcaps.Point, why string) {
	if p.Conflict == "" {
		p.Conflict, p.Likely, p.Place, p.Inferred = why, likely, likely, likely != pcaps.Unknown
	}
}

func byTaps(a, b compare.Taps) int {
	return cmp.Or(cmp.Compare(a.Near, b.Near), cmp.Compare(a.Far, b.Far))
}

// Compared says what the comparison of points as a whole shows.
type Compared struct {
	Swapped   bool // the point said to be near lies farther from the clients
	Same      bool // both points show the same packets: there is one point
	Unrelated bool // no connection is at both points
}

// orders compares the points of pairs: which of the two lies nearer to the
// clients, or whether both are one.
func (j *judge) orders(points map[pcaps.Tap]*Point) {
	if j.Compare == nil {
		return
	}
	type tally struct{ right, wrong, same, different int }
	all := make(map[compare.Taps]*tally)
	surely := 0
	for _, p := range j.Compare.Pairs {
		t := all[p.Taps()]
		if t == nil {
			t = new(tally)
			all[p.Taps()] = t
		}
		if p.Basis != compare.ByOrder {
			surely++
		}
		if same, known := compare.SamePoint(p.Near.Flow, p.Far.Flow); known && same {
			t.same++
		} else if known {
			t.different++
		}
		switch n, _ := compare.Nearer(p.Near.Flow, p.Far.Flow); {
		case n < 0:
			t.right++
		case n > 0:
			t.wrong++
		}
	}
	said := j.Compare.Job.Near() != pcaps.Unknown
	j.compared.Unrelated = j.Asked && surely == 0
	for _, taps := range slices.SortedFunc(maps.Keys(all), byTaps) {
		t, near, far := all[taps], points[taps.Near], points[taps.Far]
		switch {
		case near == nil || far == nil:
			// A bound let go of all that one of them shows.
		case t.same > 0 && t.different == 0:
			near.SameAs, far.SameAs = append(near.SameAs, far.Tap), append(far.SameAs, near.Tap)
			if j.Asked {
				j.compared.Same = true
				why := "both capture points show the same packets in the same spacing: they are one"
				near.Conflict, far.Conflict = why, why // which says more than that the place of one is wrong
			}
		case t.wrong > t.right && said:
			j.compared.Swapped = true
			near.contradict(far.Said, fmt.Sprintf("packets pass it after the point that is said to be at the %s", far.Said))
			far.contradict(near.Said, fmt.Sprintf("packets pass it before the point that is said to be at the %s", near.Said))
		}
	}
	for _, p := range points {
		slices.Sort(p.SameAs)
	}
}
