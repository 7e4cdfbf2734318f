package assoc

import (
	"fmt"
	"net/netip"
	"time"

	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Path is how a connection went through the optimizers, if at all.
type Path string

// The paths.
const (
	Optimized   Path = "optimized"
	PassThrough Path = "pass_through"
	PathUnknown Path = "unknown"
)

// Evidence is one observed fact behind a verdict. Weight says how far it
// goes: "exact" is proof, "heuristic" is strong, "lower_bound" supports.
type Evidence struct {
	Kind   string
	Detail string
	Weight string
	Mark   wire.Mark
}

// Verdict is what the packets say about a WAN optimizer on one connection.
type Verdict struct {
	Vendor     string // "cisco_waas", "riverbed", ""
	Path       Path
	Proven     bool   // by more than timing, which any proxy explains
	Edge, Core string // candidates for the device ids, "" when not known
	Evidence   []Evidence
	Stripped   bool // discovery option went out and none came back
}

func (v *Verdict) note(kind, detail, weight string, m wire.Mark) {
	v.Evidence = append(v.Evidence, Evidence{kind, detail, weight, m})
}

// judge weighs evidence with what the whole capture tells.
type judge struct {
	conns   []*Conn
	dir     *Directory
	scenes  map[pcaps.Point]scene
	device  map[pcaps.Point]deviceView
	trips   map[hostsAt]trip
	ids     *idRules
	proxies map[netip.AddrPort]bool // appliances that probe responses name
}

// Judge fills in the verdicts of all connections and groups and the groups
// that are only inferred. It returns where each capture point was taken.
func Judge(conns []*Conn, groups []*Group, d *Directory) map[pcaps.Point]pcaps.Point {
	j := &judge{
		conns: conns, dir: d, scenes: whereabouts(conns), device: devicePoints(conns), trips: roundTrips(conns),
		ids: learnIDs(conns), proxies: make(map[netip.AddrPort]bool),
	}
	for _, c := range conns {
		for _, p := range probes(c.handshakeOptions()[1]) {
			if p.proxy.IsValid() {
				j.proxies[p.proxy] = true
			}
		}
	}
	places := make(map[pcaps.Point]pcaps.Point)
	for p, sc := range j.scenes {
		places[p] = sc.place()
	}
	for _, c := range conns {
		c.Place = places[c.Where()]
		c.Optimizer = j.conn(c)
	}
	j.lateAcks(conns)
	shareLegs(conns)
	for _, c := range conns {
		c.applyPaired()
	}
	infer(conns, groups)
	for _, g := range groups {
		g.Verdict = j.group(g)
	}
	return places
}

// handshakeOptions returns the TCP options of SYN, SYN/ACK and the ACK after
// it, nil for those that were not captured.
func (c *Conn) handshakeOptions() [3][]byte {
	client, server := c.options()
	all := [3][]byte{client, server, nil}
	if ack := c.Flow.Sides[c.Flow.Client].Ack; ack != nil {
		all[2] = ack.Options
	}
	return all
}

// handshakeMarks returns the packets of SYN, SYN/ACK and ACK, the last one
// only when it has options worth a word.
func (c *Conn) handshakeMarks() [3]wire.Mark {
	s := c.Flow.Client
	all := [3]wire.Mark{c.Flow.Sides[s].Syn, c.Flow.Sides[s.Other()].Syn, {}}
	if ack := c.Flow.Sides[s].Ack; ack != nil {
		all[2] = ack.Mark
	}
	return all
}

func (c *Conn) options() (client, server []byte) {
	s := c.Flow.Client
	return c.Flow.Sides[s].SynOptions, c.Flow.Sides[s.Other()].SynOptions
}

// jump returns the sequence jump of either side, nil when there is none.
func (c *Conn) jump() *flows.Jump {
	for i := range c.Flow.Sides {
		if j := c.Flow.Sides[i].Jump; j != nil {
			return j
		}
	}
	return nil
}

// carried reports whether any payload was captured.
func (c *Conn) carried() bool { return c.Flow.Sides[0].Bytes+c.Flow.Sides[1].Bytes > 0 }

// legible reports whether the payload is what two hosts send each other, and
// not what lies between two optimizers.
func (c *Conn) legible() bool {
	switch c.transport {
	case Foreign, Undecided:
		return c.familiar
	}
	return true
}

// conn weighs the evidence of one connection: E1 to E10 of the WAAS notes,
// then what SteelHead appliances leave, then what the times of answers say.
func (j *judge) conn(c *Conn) Verdict {
	v := Verdict{Path: PathUnknown}
	options, marks := c.handshakeOptions(), c.handshakeMarks()
	synOption, syn := findOption(options[0], optWAAS)
	ackOption, ack := findOption(options[1], optWAAS)
	if syn {
		v.Vendor, v.Edge = "cisco_waas", j.ids.candidate(false, synOption)
	}
	if ack {
		v.Vendor, v.Core = "cisco_waas", j.ids.candidate(true, ackOption)
	}
	j.noteOptions(c, &v)
	sc := j.scenes[c.Where()]
	if c.RPC != nil && (sc.wan || syn || ack || c.jump() != nil) {
		v.note("rpc_readable", "the payload parses as DCE/RPC at this capture point", "heuristic", c.RPC.FirstPDU())
	}
	switch jump := c.jump(); {
	case jump != nil:
		v.Vendor, v.Path, v.Proven = "cisco_waas", Optimized, true
		for side := range c.Flow.Sides {
			if jump := c.Flow.Sides[side].Jump; jump != nil {
				v.note("sequence_jump", jumpText(c, wire.Side(side), jump), "exact", jump.Mark)
			}
		}
		if c.RPC != nil {
			v.note("payload_untouched", "DCE/RPC is readable behind the jump: TCP is optimized, the payload is not", "heuristic", c.RPC.FirstPDU())
		}
	case syn && ack && !c.legible() && c.carried():
		v.Path, v.Proven = Optimized, true
		v.note("rpc_unreadable", j.unreadable(c), "heuristic", marks[1])
	case syn && ack && c.carried():
		v.note("negotiated", "both devices spoke, no sequence jump, and the payload is readable: TCP optimization alone, or negotiated to pass through", "lower_bound", marks[1])
	case syn && !ack && j.plainAnswer(c):
		v.Stripped, v.Path, v.Proven = true, PassThrough, true
		v.note("option_unanswered", "discovery option on the SYN, none on the SYN/ACK, and no sequence jump", "exact", marks[1])
	case syn && !ack && !marks[1].IsZero():
		v.note("option_delivered", "the discovery option reached the server's side, where nobody answers it: that tells nothing", "lower_bound", marks[0])
	case !syn && !ack && c.opened() && c.legible() && c.carried() && (sc.wan && !j.device[c.Flow.Point].both() || j.bothSides(c)):
		v.Path, v.Proven = PassThrough, true
		v.note("no_option", j.withoutOption(c), "heuristic", marks[0])
	}
	j.riverbed(c, &v)
	j.timing(c, &v)
	return v
}

func jumpText(c *Conn, side wire.Side, jump *flows.Jump) string {
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

func (j *judge) unreadable(c *Conn) string {
	text := "both options on the handshake, and the payload is no DCE/RPC from its first byte"
	if len(j.dir.At(c)) > 0 || c.Server().Port() == epmPort {
		text += fmt.Sprintf(", though port %d serves it", c.Server().Port())
	}
	return text
}

func (j *judge) withoutOption(c *Conn) string {
	if j.bothSides(c) {
		return "captured on both sides of the device: the same packets, without the discovery option that other connections carry"
	}
	return "no discovery option on this handshake while other connections at this capture point carry it, and the payload is readable"
}

// noteOptions lists the options of the handshake that no TCP stack sends, as
// raw bytes.
func (j *judge) noteOptions(c *Conn, v *Verdict) {
	marks := c.handshakeMarks()
	kinds := [3]string{"syn_option", "synack_option", "ack_option"}
	names := [3]string{"SYN", "SYN/ACK", "ACK of the handshake"}
	for i, options := range c.handshakeOptions() {
		mark := marks[i]
		eachOption(options, func(kind uint8, value []byte) {
			if kind == optWAAS {
				v.note(kinds[i], j.ids.describe(i == 1, value), "heuristic", mark)
			}
		})
		for _, kind := range strangeKinds(options) {
			v.note("other_option", fmt.Sprintf("TCP option %d on the %s, as no TCP stack sends it", kind, names[i]), "lower_bound", mark)
		}
	}
}

// opened reports whether both halves of the handshake were captured.
func (c *Conn) opened() bool {
	marks := c.handshakeMarks()
	return !marks[0].IsZero() && !marks[1].IsZero()
}

// plainAnswer reports whether a SYN/ACK without an option answers a SYN that
// had one where an answering device would have put it: not close to the
// server, whose own answer never has it. The client's next segment must have
// been captured, for it would show the jump.
func (j *judge) plainAnswer(c *Conn) bool {
	sc := j.scenes[c.Where()]
	if !c.opened() || sc.core || c.Flow.Sides[c.Flow.Client].Packets < 2 {
		return false
	}
	return sc.wan || !c.closerToServer()
}

// bothSides reports whether a connection was captured on both sides of a
// device that does optimize others.
func (j *judge) bothSides(c *Conn) bool {
	view := j.device[c.Flow.Point]
	return view.both() && (len(c.copies) > 0 || c.heldTwice() && !view.mirrored)
}

// The guards of the timing tests: how many acknowledged segments are needed,
// the share of the handshake round trip below which an acknowledgement cannot
// have come from the far end, and the share from which on it must have.
const (
	ackSamples   = 5
	earlyShare   = 0.5
	lateShare    = 0.9
	localAnswers = 3
)

// timing adds what answers and acknowledgements say that come sooner than the
// end of the path can give them. Data of the client is held against the time
// from SYN to SYN/ACK, which is the way to the server and back from where the
// capture was taken, data of the server against that from SYN/ACK to ACK. Both
// are the smallest between the two hosts, and they must have a WAN in them: a
// proxy that answers SYNs near by makes them short and voids the tests. Only
// what the near host sends is tested, and the acknowledgement must come from
// as near as no WAN is.
func (j *judge) timing(c *Conn, v *Verdict) {
	if j.scenes[c.Where()].wan {
		return
	}
	t := j.trips[c.hosts()]
	early := false
	for side := range c.Flow.Sides {
		s := &c.Flow.Sides[side]
		far, who, near := t.toServer, "client", t.nearClient()
		if wire.Side(side) != c.Flow.Client {
			far, who, near = t.toClient, "server", t.nearServer()
		}
		if !near || far < minWANRoundTrip || s.AckSamples < ackSamples || s.MinAckDelay >= minWANRoundTrip || float64(s.MinAckDelay) >= earlyShare*float64(far) {
			continue
		}
		early = true
		v.note("early_ack", fmt.Sprintf("data of the %s is acknowledged after %v at best, over %d segments, where the handshake needed %v: TCP is split on the path",
			who, s.MinAckDelay.Round(time.Microsecond), s.AckSamples, far.Round(time.Microsecond)), "heuristic", s.MinAckMark)
	}
	local := c.Local.Count >= localAnswers
	if local {
		v.note("local_answers", fmt.Sprintf("%d answers came sooner than the server can give them, %v away by the handshake", c.Local.Count, t.toServer.Round(time.Microsecond)), "heuristic", c.FirstAnswer)
	}
	if v.Path == PathUnknown && (early || local) {
		v.Path = Optimized
	}
	// An option of a peer, or answers that only an accelerator can give, say
	// more than the timing of any proxy.
	_, synAck := findOption(c.handshakeOptions()[1], optWAAS)
	if v.Path == Optimized && (local || early && synAck) {
		v.Proven = true
	}
}

// lateAcks finds connections whose data is acknowledged no sooner than the
// server can do it, between hosts where that of others is acknowledged early:
// the optimizer that splits those does not split these.
func (j *judge) lateAcks(conns []*Conn) {
	split := make(map[hostsAt]bool)
	for _, c := range conns {
		for _, e := range c.Optimizer.Evidence {
			if e.Kind == "early_ack" {
				split[c.hosts()] = true
			}
		}
	}
	for _, c := range conns {
		s, t := &c.Flow.Sides[c.Flow.Client], j.trips[c.hosts()]
		if !split[c.hosts()] || c.Optimizer.Path != PathUnknown || s.AckSamples < ackSamples || t.toServer < minWANRoundTrip {
			continue
		}
		if float64(s.MinAckDelay) >= lateShare*float64(t.toServer) {
			c.Optimizer.Path = PassThrough
			c.Optimizer.note("late_ack", fmt.Sprintf("data of the client is acknowledged after %v at best, over %d segments, as late as the server itself can do it, while other connections between these hosts are acknowledged early",
				s.MinAckDelay.Round(time.Microsecond), s.AckSamples), "heuristic", s.MinAckMark)
		}
	}
}
