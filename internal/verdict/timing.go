package verdict

import (
	"fmt"
	"time"

	"mapiscope/assoc"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// The guards of the timing tests: how many acknowledged segments are needed,
// the share of the handshake round trip below which an acknowledgement cannot
// have come from the far end, and the share from which on it must have.
const (
	ackSamples   = 5
	earlyShare   = 0.5
	lateShare    = 0.9
	localAnswers = 3
	// localShare is the part of the way to the server within which somebody
	// near by answered a SYN.
	localShare = 10
)

// timing adds what answers and acknowledgements say that come sooner than the
// end of the path can give them. Data of the client is held against the time
// from SYN to SYN/ACK, which is the way to the server and back from where the
// capture was taken, data of the server against that from SYN/ACK to ACK. Both
// are the smallest between the two hosts, and they must have a WAN in them: a
// proxy that answers SYNs near by makes them short and voids the tests. Only
// what the near host sends is tested, and the acknowledgement must come from
// as near as no WAN is.
func (j *judge) timing(c *assoc.Conn, l *Leg) {
	if l.Place == pcaps.WAN {
		return
	}
	t := j.trips[hostsOf(c)]
	early := false
	for side := range c.Flow.Sides {
		s := &c.Flow.Sides[side]
		far, who, near := t.toServer, "client", t.nearClient()
		if wire.Side(side) != c.Flow.Client {
			far, who, near = t.toClient, "server", t.nearServer()
		}
		if !near || far < assoc.MinWANRoundTrip || s.AckSamples < ackSamples || s.MinAckDelay >= assoc.MinWANRoundTrip || float64(s.MinAckDelay) >= earlyShare*float64(far) {
			continue
		}
		early = true
		l.note(EarlyAck, fmt.Sprintf("data of the %s is acknowledged after %v at best, over %d segments, where the handshake needed %v: TCP is split on the path",
			who, s.MinAckDelay.Round(time.Microsecond), s.AckSamples, far.Round(time.Microsecond)), Heuristic, s.MinAckMark)
	}
	// A call is held against the handshakes until then. Where a later one was
	// shorter, the way that answers seemed to be too soon for has no WAN in it.
	local := c.Local.Count >= localAnswers && t.toServer >= assoc.MinWANRoundTrip
	if local {
		l.note(LocalAnswers, fmt.Sprintf("%d answers came sooner than the server can give them, %v away by the handshake", c.Local.Count, t.toServer.Round(time.Microsecond)), Heuristic, c.FirstAnswer)
	}
	if l.Path == PathUnknown && (early || local) {
		l.Path = Optimized
	}
	// An option of a peer, or answers that only an accelerator can give, say
	// more than the timing of any proxy.
	_, synAck := assoc.FindOption(c.HandshakeOptions()[1], assoc.OptionWAAS)
	if l.Path == Optimized && (local || early && synAck) {
		l.Proven = true
	}
}

// contrast compares the connections between two hosts at one capture point on
// a LAN with each other: where TCP of some is split near by, and that of others
// is answered and acknowledged only from beyond the WAN, what splits the ones
// does not split the others. That is a hint and no proof.
func (j *judge) contrast(conns []*assoc.Conn) {
	type seen struct {
		split bool
		far   time.Duration // longest handshake to the server
	}
	between := make(map[hostsAt]seen)
	for _, c := range conns {
		l := j.legs[c]
		if l.Place == pcaps.WAN {
			continue
		}
		s := between[hostsOf(c)]
		s.split = s.split || l.Has(EarlyAck)
		if opened(c) && (acknowledgedFar(c) || c.Flow.Sides[c.Flow.Client].AckSamples == 0) {
			s.far = max(s.far, c.Flow.SynToSynAck)
		}
		between[hostsOf(c)] = s
	}
	for _, c := range conns {
		l, s := j.legs[c], between[hostsOf(c)]
		if l.Place == pcaps.WAN || l.Path != PathUnknown {
			continue
		}
		mine := c.Flow.SynToSynAck
		if s.far >= assoc.MinWANRoundTrip && mine > 0 && mine < assoc.MinWANRoundTrip && mine*localShare < s.far {
			l.Path = Optimized
			l.note(LocalHandshake, fmt.Sprintf("the SYN is answered after %v, where others between these hosts wait %v: TCP is split on the path",
				mine.Round(time.Microsecond), s.far.Round(time.Microsecond)), Heuristic, c.HandshakeMarks()[1])
			s.split = true
			between[hostsOf(c)] = s
		}
	}
	for _, c := range conns {
		l, s := j.legs[c], between[hostsOf(c)]
		if l.Place == pcaps.WAN || l.Path != PathUnknown || !s.split {
			continue
		}
		client, far := &c.Flow.Sides[c.Flow.Client], max(s.far, j.trips[hostsOf(c)].toServer)
		if far < assoc.MinWANRoundTrip {
			continue
		}
		switch {
		case client.AckSamples >= ackSamples && float64(client.MinAckDelay) >= lateShare*float64(j.trips[hostsOf(c)].toServer) && client.MinAckDelay >= assoc.MinWANRoundTrip:
			l.Path = PassThrough
			l.note(LateAck, fmt.Sprintf("data of the client is acknowledged after %v at best, over %d segments, as late as the server itself can do it, while other connections between these hosts are acknowledged early",
				client.MinAckDelay.Round(time.Microsecond), client.AckSamples), Heuristic, client.MinAckMark)
		case c.Flow.SynToSynAck >= assoc.MinWANRoundTrip && acknowledgedFar(c):
			l.Path = PassThrough
			l.note(LateAck, fmt.Sprintf("the SYN is answered after %v and data acknowledged no sooner, as only the server itself does it, while TCP of other connections between these hosts is split near by",
				c.Flow.SynToSynAck.Round(time.Microsecond)), Heuristic, c.HandshakeMarks()[1])
		}
	}
}
