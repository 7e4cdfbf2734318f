package verdict

import (
	"fmt"

	"mapiscope/assoc"
)

// riverbedPorts are the ports of SteelHead appliances between themselves and,
// with port remapping, in endpoint mapper answers.
var riverbedPorts = map[uint16]string{
	7744: "data store synchronization", 7800: "in-path inner channel", 7801: "in-path inner channel", 7810: "out-of-path",
	7820: "failover", 7830: "MAPI", 7840: "NSPI", 7850: "connection forwarding", 7860: "Interceptor", 7870: "mobile client",
}

// riverbed reads the options of SteelHead appliances and knows their ports.
func (j *judge) riverbed(c *assoc.Conn, l *Leg, at *Point) {
	options, marks := c.HandshakeOptions(), c.HandshakeMarks()
	asked, answered, seen := false, false, false
	for i, kind := range [2]Kind{RiverbedProbe, RiverbedResponse} {
		for _, p := range assoc.Probes(options[i]) {
			l.note(kind, p.String(), Heuristic, marks[i])
			asked, answered, seen = asked || i == 0, answered || i == 1 && p.Answer(), true
		}
	}
	value, inner := assoc.FindOption(options[0], assoc.OptionRiverbedInner)
	if inner {
		l.note(RiverbedInner, assoc.RiverbedInner(value), Exact, marks[0])
		seen = true
	}
	if j.proxies[c.Server().String()] {
		l.note(RiverbedChannel, fmt.Sprintf("inner channel to %s, which a probe response of this capture names", c.Server()), Exact, c.Flow.First)
		inner, seen = true, true
	}
	port := c.Server().Port()
	mark, mapped := j.Dir.Remapped(c)
	switch {
	case mapped:
		l.note(RiverbedEPM, fmt.Sprintf("the endpoint mapper answer was rewritten to port %d (%s): the server's own port is behind the appliance",
			port, riverbedPorts[port]), Heuristic, mark)
		seen = true
	case c.RPC != nil && riverbedPorts[port] != "":
		l.note(RiverbedPort, fmt.Sprintf("DCE/RPC on port %d (%s)", port, riverbedPorts[port]), LowerBound, c.RPC.FirstPDU())
		seen = true
	}
	if !seen {
		return
	}
	if l.Vendor == "" {
		l.Vendor = Riverbed
	}
	if l.Path != PathUnknown {
		return
	}
	switch {
	case inner, answered:
		l.Path, l.Proven = Optimized, true
	case mapped:
		l.Path = Optimized
	case asked && !answered && j.plainAnswer(c, at):
		l.Stripped, l.Path = true, PassThrough
		l.note(OptionUnanswered, "discovery option 76 on the SYN, none on the SYN/ACK", Exact, marks[1])
	}
}
