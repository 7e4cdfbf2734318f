package verdict

import (
	"encoding/hex"
	"fmt"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Leg is what the packets of one capture point say about a connection, and
// what its conversation adds.
type Leg struct {
	Conn         *assoc.Conn
	Conversation *Conversation
	Place        pcaps.Point // where it was captured, as far as anything tells
	Vendor       string      // "cisco_waas", "riverbed", ""
	Path         Path
	Proven       bool   // by more than timing, which any proxy explains
	Edge, Core   string // candidates for the device ids, "" when not known
	Evidence     []Evidence
	Stripped     bool // a discovery option went out and none came back
	Blocked      bool // a sequence jump that only one side took
}

func (l *Leg) note(kind Kind, detail string, weight Quality, m wire.Mark) {
	l.Evidence = append(l.Evidence, Evidence{kind, detail, weight, m})
}

// Has reports whether there is evidence of a kind.
func (l *Leg) Has(kind Kind) bool {
	_, ok := l.First(kind)
	return ok
}

// First returns the first evidence of a kind.
func (l *Leg) First(kind Kind) (Evidence, bool) {
	for _, e := range l.Evidence {
		if e.Kind == kind {
			return e, true
		}
	}
	return Evidence{}, false
}

func newJudge(f Facts) *judge {
	conns := f.Result.Conns
	j := &judge{
		Facts: f, legs: make(map[*assoc.Conn]*Leg, len(conns)), trips: roundTrips(conns),
		ids: learnIDs(conns), proxies: make(map[string]bool), clocks: farClocks(f.Compare),
	}
	for _, c := range conns {
		for _, p := range assoc.Probes(c.HandshakeOptions()[1]) {
			if p.Proxy.IsValid() {
				j.proxies[p.Proxy.String()] = true
			}
		}
	}
	j.points = j.whereabouts(conns)
	j.conflict = j.compared.Unrelated
	for _, p := range j.points {
		j.conflict = j.conflict || p.Conflict != ""
	}
	return j
}

// leg weighs the evidence of one leg: E1 to E10 of the WAAS notes, then what
// SteelHead appliances leave, then what the times of answers say.
func (j *judge) leg(c *assoc.Conn) {
	at := j.points[c.Flow.Tap]
	l := &Leg{Conn: c, Path: PathUnknown, Place: c.Where()}
	if at.Conflict != "" || l.Place == pcaps.Unknown {
		l.Place = at.Place
	}
	j.legs[c] = l
	options, marks := c.HandshakeOptions(), c.HandshakeMarks()
	synOption, syn := assoc.FindOption(options[0], assoc.OptionWAAS)
	ackOption, ack := assoc.FindOption(options[1], assoc.OptionWAAS)
	if syn {
		l.Vendor, l.Edge = CiscoWAAS, j.ids.candidate(false, synOption)
	}
	if ack {
		l.Vendor, l.Core = CiscoWAAS, j.ids.candidate(true, ackOption)
	}
	j.noteOptions(c, l)
	wan := at.between && l.Place == pcaps.WAN
	if c.RPC != nil && (wan || syn || ack || c.Jump() != nil) {
		l.note(RPCReadable, "the payload parses as DCE/RPC at this capture point", Heuristic, c.RPC.FirstPDU())
	}
	begun := !marks[0].IsZero() || !marks[1].IsZero()
	switch jump := c.Jump(); {
	case jump != nil:
		j.jumped(c, l)
	case ack && !c.Legible() && c.Carried():
		l.Path, l.Proven = Optimized, true
		l.note(RPCUnreadable, j.unreadable(c, syn), Heuristic, marks[1])
	case syn && ack && c.Carried():
		l.note(Negotiated, "both devices spoke, no sequence jump, and the payload is readable: TCP optimization alone, or negotiated to pass through", LowerBound, marks[1])
	case syn && !ack && j.plainAnswer(c, at) && triedWithout(c):
		l.Path, l.Proven = PassThrough, true
		l.note(OptionDropped, fmt.Sprintf("nothing answers the SYN with the discovery option, and the server answers the one without it, %v later",
			time.Duration(c.Flow.Sides[c.Flow.Client].SynRetry.Mark.Time-marks[0].Time).Round(time.Millisecond)), Exact, c.Flow.Sides[c.Flow.Client].SynRetry.Mark)
	case syn && !ack && j.plainAnswer(c, at):
		l.Stripped, l.Path, l.Proven = true, PassThrough, true
		l.note(OptionUnanswered, "discovery option on the SYN, none on the SYN/ACK, and no sequence jump", Exact, marks[1])
	case syn && !ack && !marks[1].IsZero():
		l.note(OptionDelivered, "the discovery option reached the server's side, where nobody answers it: that tells nothing", LowerBound, marks[0])
	case !syn && !ack && begun && c.Legible() && c.Carried() && (wan && !at.device.both() || at.bothSides(c)):
		l.Path, l.Proven = PassThrough, true
		m := marks[0]
		if m.IsZero() {
			m = marks[1]
		}
		l.note(NoOption, withoutOption(c, at), Heuristic, m)
	}
	j.riverbed(c, l, at)
	j.timing(c, l)
}

// triedWithout reports whether the SYN came again without the discovery option
// before anything answered: a device does that when SYNs with it vanish, and
// keeps the server on its blacklist for a while.
func triedWithout(c *assoc.Conn) bool {
	retry := c.Flow.Sides[c.Flow.Client].SynRetry
	if retry == nil {
		return false
	}
	_, still := assoc.FindOption(retry.Options, assoc.OptionWAAS)
	return !still
}

// jumped takes a sequence jump, which proves a pair of devices, unless only one
// side of the connection took it.
func (j *judge) jumped(c *assoc.Conn, l *Leg) {
	l.Vendor = CiscoWAAS
	for side := range c.Flow.Sides {
		if jump := c.Flow.Sides[side].Jump; jump != nil {
			l.note(SequenceJump, jumpText(c, wire.Side(side), jump), Exact, jump.Mark)
		}
	}
	client, server := &c.Flow.Sides[c.Flow.Client], &c.Flow.Sides[c.Flow.Client.Other()]
	if client.Jump != nil && server.Jump == nil && server.Bytes == 0 && client.Bytes > 0 && server.HasISN && server.SynAgain > 0 {
		l.Blocked = true
		l.note(JumpBlocked, "the server's side repeats its SYN/ACK for the number without the jump and sends no data: something on the path drops or rewrites the jump", Exact, client.Jump.Mark)
		return
	}
	l.Path, l.Proven = Optimized, true
	if c.RPC != nil {
		l.note(PayloadUntouched, "DCE/RPC is readable behind the jump: TCP is optimized, the payload is not", Heuristic, c.RPC.FirstPDU())
	}
}

func jumpText(c *assoc.Conn, side wire.Side, jump *flows.Jump) string {
	who := "server"
	if side == c.Flow.Client {
		who = "client"
	}
	text := fmt.Sprintf("sequence numbers of the %s jump by %d from this segment on", who, jump.Delta)
	if jump.Delta != 1<<31 {
		text += " (2^31 is usual)"
	}
	return text
}

func (j *judge) unreadable(c *assoc.Conn, syn bool) string {
	text := "both options on the handshake, and the payload is no DCE/RPC from its first byte"
	if !syn {
		text = "the SYN/ACK carries the option of the device at the server's side, and the payload is no DCE/RPC from its first byte"
	}
	if len(j.Dir.At(c)) > 0 || c.Server().Port() == epmPort {
		text += fmt.Sprintf(", though port %d serves it", c.Server().Port())
	}
	return text
}

// epmPort is where the endpoint mapper listens ([MS-RPCE] 2.1.1.1).
const epmPort = 135

func withoutOption(c *assoc.Conn, at *Point) string {
	if at.bothSides(c) {
		return "captured on both sides of the device: the same packets, without the discovery option that other connections carry"
	}
	if c.HandshakeMarks()[0].IsZero() {
		return "no discovery option on the SYN/ACK (the SYN was not captured) while other connections at this capture point carry it, and the payload is readable"
	}
	return "no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable"
}

// noteOptions lists the options of the handshake that no TCP stack sends, as
// raw bytes.
func (j *judge) noteOptions(c *assoc.Conn, l *Leg) {
	marks := c.HandshakeMarks()
	kinds := [3]Kind{SynOption, SynAckOption, AckOption}
	names := [3]string{"SYN", "SYN/ACK", "ACK of the handshake"}
	for i, options := range c.HandshakeOptions() {
		mark := marks[i]
		assoc.EachOption(options, func(kind uint8, value []byte) {
			if kind == assoc.OptionWAAS {
				l.note(kinds[i], j.ids.describe(i == 1, value), Heuristic, mark)
			}
		})
		for _, kind := range assoc.StrangeKinds(options) {
			l.note(OtherOption, fmt.Sprintf("TCP option %d on the %s, as no TCP stack sends it", kind, names[i]), LowerBound, mark)
		}
	}
}

// waasText prints an option 33 as it was on the wire. Its layout is not
// published, so the raw bytes are the fact.
func waasText(value []byte) string {
	return fmt.Sprintf("waas-ad(33) len=%d raw=%s", len(value)+2, hex.EncodeToString(value))
}

// opened reports whether both halves of the handshake were captured.
func opened(c *assoc.Conn) bool {
	marks := c.HandshakeMarks()
	return !marks[0].IsZero() && !marks[1].IsZero()
}

// plainAnswer reports whether a SYN/ACK without an option answers a SYN that
// had one where an answering device would have put it: not close to the
// server, whose own answer never has it. The client's next segment must have
// been captured, for it would show the jump.
func (j *judge) plainAnswer(c *assoc.Conn, at *Point) bool {
	if !opened(c) || at.Place == pcaps.Core && !at.between || c.Flow.Sides[c.Flow.Client].Packets < 2 {
		return false
	}
	return at.between || at.Place == pcaps.WAN || !closerToServer(c)
}
