package assoc

import (
	"fmt"
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
	Edge, Core string // candidates for the device ids, "" when not known
	Evidence   []Evidence
	Stripped   bool // discovery option went out and none came back
}

// scene is what all connections of one capture point together say about the
// place where it was taken.
type scene struct {
	wan  bool // some connection shows both options or the jump: this is between the devices
	core bool // the capture was taken at the servers, said or seen
	edge bool
}

// proofOfWAN reports whether a connection shows what only the path between two
// devices shows.
func proofOfWAN(c *Conn) bool {
	client, server := c.options()
	_, syn := findOption(client, optWAAS)
	_, ack := findOption(server, optWAAS)
	return syn && ack || c.jump() != nil
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

// judgeConn weighs the evidence of one connection (wire evidence E1 to E10 of
// the WAAS notes).
func judgeConn(c *Conn, sc scene) Verdict {
	v := Verdict{Path: PathUnknown}
	client, server := c.options()
	synMark := c.Flow.Sides[c.Flow.Client].Syn
	ackMark := c.Flow.Sides[c.Flow.Client.Other()].Syn
	synOpt, syn := findOption(client, optWAAS)
	ackOpt, ack := findOption(server, optWAAS)
	readable := c.RPC != nil

	if syn {
		v.Vendor, v.Edge = "cisco_waas", deviceCandidate(synOpt)
		v.note("syn_option", waasText(synOpt), "heuristic", synMark)
	}
	if ack {
		v.Vendor, v.Core = "cisco_waas", deviceCandidate(ackOpt)
		v.note("synack_option", waasText(ackOpt), "heuristic", ackMark)
	}
	jump := c.jump()
	if jump != nil {
		v.Vendor = "cisco_waas"
		v.note("sequence_jump", fmt.Sprintf("sequence numbers jump by %d from this segment on", jump.Delta), "exact", jump.Mark)
	}
	if readable {
		v.note("rpc_readable", "the payload parses as DCE/RPC at this capture point", "heuristic", c.RPC.FirstPDU())
	}
	switch {
	case jump != nil:
		v.Path = Optimized
	case syn && ack && !readable && c.carried():
		v.Path = Optimized
		v.note("rpc_unreadable", "both options on the handshake, and the payload is not DCE/RPC from its first byte", "heuristic", ackMark)
	case syn && !ack && !ackMark.IsZero():
		// Near the servers the option may reach a host that does not know it:
		// that says nothing.
		if !sc.core && !c.nearServer() {
			v.Stripped = true
			if sc.wan || readable {
				v.Path = PassThrough
			}
			v.note("option_unanswered", "discovery option on the SYN, none on the SYN/ACK, and no sequence jump", "exact", ackMark)
		}
	case sc.wan && !syn && !ack && !synMark.IsZero() && !ackMark.IsZero():
		v.Path = PassThrough
		v.note("no_option", "no discovery option on this handshake while other connections at this capture point carry it", "heuristic", synMark)
	}
	c.judgeRiverbed(&v, client, server, synMark, ackMark)
	c.judgeTiming(&v, sc)
	return v
}

// judgeRiverbed reads the options of SteelHead appliances.
func (c *Conn) judgeRiverbed(v *Verdict, client, server []byte, syn, ack wire.Mark) {
	probe, asked := findOption(client, optRiverbedProbe)
	answer, answered := findOption(server, optRiverbedProbe)
	inner, isInner := findOption(client, optRiverbedInner)
	if asked {
		_, text := riverbedProbe(probe)
		v.note("riverbed_probe", text, "heuristic", syn)
	}
	if answered {
		_, text := riverbedProbe(answer)
		v.note("riverbed_response", text, "heuristic", ack)
	}
	if isInner {
		v.note("riverbed_inner", riverbedInner(inner), "exact", syn)
	}
	name, port := riverbedPorts[c.Server().Port()]
	if port && c.RPC != nil {
		v.note("riverbed_port", fmt.Sprintf("DCE/RPC on port %d (%s)", c.Server().Port(), name), "heuristic", c.RPC.FirstPDU())
	}
	if !asked && !answered && !isInner && !(port && c.RPC != nil) {
		return
	}
	if v.Vendor == "" {
		v.Vendor = "riverbed"
	}
	if isInner || answered {
		v.Path = Optimized
	}
}

// The guards of the timing tests: how many acknowledged segments are needed,
// and the share of the handshake round trip below which an acknowledgement
// cannot have come from the far end.
const (
	ackSamples   = 5
	ackShare     = 2 // less than half
	localAnswers = 3
)

// judgeTiming adds what answers and acknowledgements that come sooner than
// the handshake round trip say. Both need a handshake that crossed the WAN,
// and a proxy that answers SYNs near the client voids both.
func (c *Conn) judgeTiming(v *Verdict, sc scene) {
	rtt, ok := c.Flow.RTT()
	if !ok || rtt < minWANRoundTrip || sc.wan {
		return
	}
	early := 0
	for side := range c.Flow.Sides {
		s := &c.Flow.Sides[side]
		if s.AckSamples < ackSamples || s.MinAckDelay <= 0 {
			continue
		}
		if s.MinAckDelay*ackShare < rtt && wire.Side(side) == c.Flow.Client && !c.nearServer() {
			early++
			v.note("early_ack", fmt.Sprintf("client data is acknowledged after %v, the handshake took %v: TCP is split on the path", s.MinAckDelay.Round(time.Microsecond), rtt.Round(time.Microsecond)), "heuristic", s.MinAckMark)
		}
	}
	if c.Local.Count >= localAnswers {
		early++
		v.note("local_answers", fmt.Sprintf("%d answers came sooner than the handshake round trip of %v", c.Local.Count, rtt.Round(time.Microsecond)), "heuristic", c.FirstAnswer)
	}
	if early > 0 && v.Path == PathUnknown {
		v.Path = Optimized
	}
}

func (v *Verdict) note(kind, detail, weight string, m wire.Mark) {
	v.Evidence = append(v.Evidence, Evidence{kind, detail, weight, m})
}

// carried reports whether any payload was captured.
func (c *Conn) carried() bool { return c.Flow.Sides[0].Bytes+c.Flow.Sides[1].Bytes > 0 }

// nearServer reports whether the handshake was seen close to the server: its
// answer came at once, the client's acknowledgement only after a WAN.
func (c *Conn) nearServer() bool {
	return c.Flow.SynToSynAck > 0 && c.Flow.SynAckToAck > 10*c.Flow.SynToSynAck && c.Flow.SynAckToAck > minWANRoundTrip
}

// nearClient is the same at the other end.
func (c *Conn) nearClient() bool {
	return c.Flow.SynAckToAck > 0 && c.Flow.SynToSynAck > 10*c.Flow.SynAckToAck && c.Flow.SynToSynAck > minWANRoundTrip
}

// whereabouts works out for each capture point where it was taken, from what
// was said (the point itself) and from what the handshakes show.
func whereabouts(conns []*Conn) map[pcaps.Point]scene {
	places := make(map[pcaps.Point]scene)
	votes := make(map[pcaps.Point][2]int)
	for _, c := range conns {
		p := c.Flow.Point
		sc := places[p]
		sc.wan = sc.wan || proofOfWAN(c)
		sc.core = p == pcaps.Core
		sc.edge = p == pcaps.Edge
		places[p] = sc
		v := votes[p]
		if c.nearClient() {
			v[0]++
		}
		if c.nearServer() {
			v[1]++
		}
		votes[p] = v
	}
	for p, sc := range places {
		if p == pcaps.Unknown && !sc.wan {
			v := votes[p]
			sc.edge = v[0] > 0 && v[1] == 0
			sc.core = v[1] > 0 && v[0] == 0
			places[p] = sc
		}
	}
	return places
}

// Place names the capture point of connections whose point was not said:
// wan, edge or core by evidence, else unknown.
func (sc scene) Place() pcaps.Point {
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
