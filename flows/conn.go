package flows

import (
	"bytes"
	"net/netip"
	"time"

	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Origin says how a connection came into view.
type Origin uint8

// The origins.
const (
	Midstream Origin = iota
	Handshake        // its SYN or SYN/ACK was captured
)

// String returns the name that the report uses.
func (o Origin) String() string {
	if o == Handshake {
		return "handshake"
	}
	return "midstream"
}

// Directions says which sides of a connection were captured.
type Directions uint8

// The directions.
const (
	BothSides Directions = iota
	ClientOnly
	ServerOnly
)

// String returns the name that the report uses.
func (d Directions) String() string {
	return [...]string{"both", "client_only", "server_only"}[d]
}

// TakeCopies counts the packets of another leg, which shows the same
// connection once more, as copies.
func (c *Conn) TakeCopies(leg *Conn) {
	for side := range leg.Sides {
		to := wire.Side(side)
		if leg.A != c.A {
			to = to.Other()
		}
		c.Sides[to].Packets += leg.Sides[side].Packets
		c.Sides[to].Copies += leg.Sides[side].Packets
	}
	if leg.First.Before(c.First) {
		c.First = leg.First
	}
	if c.Last.Before(leg.Last) {
		c.Last = leg.Last
	}
}

// Directions says which sides were captured.
func (c *Conn) Directions() Directions {
	switch {
	case c.Sides[c.Client.Other()].Packets == 0:
		return ClientOnly
	case c.Sides[c.Client].Packets == 0:
		return ServerOnly
	}
	return BothSides
}

// Gapped reports whether bytes of a stream were never captured.
func (c *Conn) Gapped() bool { return c.Sides[0].GapBytes != 0 || c.Sides[1].GapBytes != 0 }

// State is how a connection stood at its last captured packet.
type State uint8

// The states.
const (
	Open       State = iota
	Closed           // FIN both ways
	HalfClosed       // FIN one way
	ResetByClient
	ResetByServer
	Unanswered // a SYN and nothing from the other side
	Refused    // a SYN that was answered by RST
)

var stateNames = [...]string{"open", "closed", "half_closed", "reset_by_client", "reset_by_server", "unanswered", "refused"}

// String returns the name that the report uses.
func (s State) String() string { return stateNames[s] }

// SynRetry is a SYN that came again with other TCP options, as of a device that
// tries without its own when nothing answers.
type SynRetry struct {
	Options []byte
	Mark    wire.Mark
}

// Jump is the sequence jump that WAAS devices put on the path between them:
// about 2^31, from the first segment after the handshake on.
type Jump struct {
	Mark  wire.Mark
	Delta uint32 // by how much sequence numbers jumped
}

// The window of the jump; the vendor says "2 billion".
const (
	minJump = 2_000_000_000
	maxJump = 2_300_000_000
)

// Ack is the ACK that ends a handshake.
type Ack struct {
	Mark    wire.Mark
	Options []byte // TCP options, raw
}

// Early counts segments that were captured before what they answer, by their
// acknowledgement numbers.
type Early struct {
	Segments int64
	By       time.Duration // largest difference of the times, 0 when these are in order all the same
	Mark     wire.Mark     // of the first
}

// SideStats is what one side sent.
type SideStats struct {
	Packets int64
	// Bytes counts stream bytes, each once; GapBytes those that were never
	// captured. Both are positions of the stream, so they hold whatever is
	// missing.
	Bytes    int64
	GapBytes int64

	Copies        int64 // packets that were captured twice at the same place
	Twins         int64 // of those, the ones that two interfaces of one capture point captured
	Retransmitted int64 // segments whose bytes had all been seen
	OutOfOrder    int64 // segments that came after later ones and filled a hole
	Conflicts     int64 // bytes seen again with other content
	KeepAlives    int64
	SynAgain      int64 // times that its SYN or SYN/ACK came again
	ZeroWindows   int64
	Padding       int32 // bytes that IP counts and TCP does not: padding of short frames
	RstsIgnored   int32 // RSTs that neither end took: both went on

	Early *Early // segments captured before what they answer, nil for none

	Base          uint32 // sequence number of position 0 of the stream, before a jump
	ISN           uint32
	HasISN        bool
	Syn, Fin, Rst wire.Mark // first of each, zero when not captured
	SynOptions    []byte    // TCP options of the first SYN or SYN/ACK
	SynRetry      *SynRetry // the first SYN that came again with others, before any answer; nil for none
	Ack           *Ack      // the handshake's ACK, when it has options beside the usual ones
	Jump          *Jump

	TTL  uint8 // of the side's first packet, as the two below
	DSCP uint8
	Lane Lane

	// AckSamples counts data segments that were sent once and then
	// acknowledged, MinAckDelay is the shortest wait, MinAckMark the packet
	// that ended it.
	AckSamples  int64
	MinAckDelay time.Duration
	MinAckMark  wire.Mark
}

// Conn is one TCP connection. Its facts are final once its handler's End was
// called.
type Conn struct {
	Point pcaps.Point
	Tap   pcaps.Tap
	// Several says that the job had shown several capture points when the
	// connection came into view.
	Several bool
	A, B    netip.AddrPort // A sent the first captured packet

	// Root is leg 0 of a connection that one capture holds on several segments
	// of its path, also leg 0's own; nil for all others. Repeats says of a
	// later leg that it has the sequence numbers of one before it: the packets
	// are the same, captured again.
	Root    *Conn
	Repeats bool

	Client      wire.Side
	ClientKnown bool // by the handshake, or SetClient; else a guess by ports
	Origin      Origin
	First, Last wire.Mark
	Sides       [2]SideStats

	// SynToSynAck and SynAckToAck are the two halves of the handshake at the
	// capture point, 0 when not measured. A retransmitted SYN measures
	// nothing.
	SynToSynAck, SynAckToAck time.Duration

	// Redirections is what WCCP said of the packets of side A and B, all legs
	// together; nil where it said nothing, and of legs but the first.
	Redirections *[2]Redirection

	leg      uint8
	ignored  bool
	ended    bool
	fresh    bool // nothing but SYNs so far
	broken   bool // a RST was captured
	synAgain bool
	legs     []*Conn // of leg 0, when there are several: itself first
	*live            // nil once the connection has ended
}

// live is what an open connection needs and an ended one does not.
type live struct {
	handler   Handler
	tracker   *Tracker
	hash      uint64
	chain     *Conn // next in the table
	streams   [2]stream
	synAckAt  wire.Mark
	stranger  stranger
	unsettled bool        // a stream holds something
	breaks    [2][2]int64 // at a side's RST: where its own stream ended, a FIN counted, and the other's

	seen       int64 // when its last packet came, by the pace of the Tracker
	list       *connList
	prev, next *Conn
}

// SetClient says which side is the client, when what the connection carries
// tells and the handshake was not captured.
func (c *Conn) SetClient(s wire.Side) { c.Client, c.ClientKnown = s, true }

// Ignore says that the handler wants no more Data and Gap. Accounting goes on.
func (c *Conn) Ignore() { c.ignored = true }

// RTT returns the round trip of the handshake as the capture point saw it.
func (c *Conn) RTT() (time.Duration, bool) {
	if c.SynToSynAck <= 0 || c.SynAckToAck <= 0 {
		return 0, false
	}
	return c.SynToSynAck + c.SynAckToAck, true
}

// State says how the connection stood at its last captured packet.
func (c *Conn) State() State {
	client, server := &c.Sides[c.Client], &c.Sides[c.Client.Other()]
	switch {
	case !server.Rst.IsZero() && c.fresh && !client.Syn.IsZero() && server.Syn.IsZero():
		return Refused
	case !client.Rst.IsZero() && (server.Rst.IsZero() || client.Rst.Before(server.Rst)):
		if !client.Fin.IsZero() && !server.Fin.IsZero() && server.Fin.Before(client.Rst) && client.Fin.Before(client.Rst) {
			return Closed
		}
		return ResetByClient
	case !server.Rst.IsZero():
		if !client.Fin.IsZero() && !server.Fin.IsZero() && client.Fin.Before(server.Rst) && server.Fin.Before(server.Rst) {
			return Closed
		}
		return ResetByServer
	case !client.Fin.IsZero() && !server.Fin.IsZero():
		return Closed
	case !client.Fin.IsZero() || !server.Fin.IsZero():
		return HalfClosed
	case c.fresh && !client.Syn.IsZero() && server.Packets == 0:
		return Unanswered
	}
	return Open
}

// over reports whether the connection ended on the wire.
func (c *Conn) over() bool {
	a, b := &c.Sides[0], &c.Sides[1]
	return !a.Rst.IsZero() || !b.Rst.IsZero() || !a.Fin.IsZero() && !b.Fin.IsZero()
}

// guessClient takes the side with the higher port for the client, when the
// ports differ in kind; else the side that spoke first.
func (c *Conn) guessClient() {
	const registered = 1024
	a, b := c.A.Port(), c.B.Port()
	if a < registered && b >= registered || b >= registered && a < b && a < 5000 {
		c.Client = wire.SideB
	}
}

// measure times the handshake and what acknowledges data.
func (c *Conn) measure(f *Frame, side wire.Side) {
	if c.synAckAt.IsZero() || f.Untimed || f.Flags&(ACK|SYN|RST) != ACK || c.SynAckToAck != 0 || side != c.Client || !c.ClientKnown {
		return
	}
	if f.Time >= c.synAckAt.Time {
		c.SynAckToAck = max(time.Duration(f.Time-c.synAckAt.Time), 1)
	}
	c.synAckAt = wire.Mark{} // also where a clock was set back: then nothing is measured
	if unusual(f.Options) {
		c.Sides[side].Ack = &Ack{f.Mark, bytes.Clone(f.Options)}
	}
}

// unusual reports whether TCP options hold others than stacks put on every
// segment: selective acknowledgements (RFC 2018) and timestamps (RFC 7323).
func unusual(options []byte) bool {
	for {
		kind, rest := nextOption(options)
		switch kind {
		case 0:
			return false
		case 5, 8:
			options = rest
		default:
			return true
		}
	}
}
