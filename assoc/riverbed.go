package assoc

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"mapiscope/internal/wire"
)

// Types of discovery message in an option 76, as Wireshark's TCP dissector
// names them.
const (
	probeQuery      = 0
	probeResponse   = 1
	probeInternal   = 2
	probeTrace      = 3
	probeQuerySH    = 4
	probeResponseSH = 5
	probeQueryInfo  = 6
	probeInfo       = 7
	probeInfoSH     = 8
	probeStoreID    = 9
	probeReset      = 10
)

var probeNames = map[uint8]string{
	probeQuery: "probe query", probeResponse: "probe response", probeInternal: "probe internal",
	probeTrace: "probe trace", probeQuerySH: "probe query (SteelHead)", probeResponseSH: "probe response (SteelHead)",
	probeQueryInfo: "query info", probeInfo: "response info", probeInfoSH: "query info (SteelHead)",
	probeStoreID: "query info (store id)", probeReset: "probe reset",
}

// probe is a decoded option 76. Addresses are those of appliances.
type probe struct {
	kind    uint8
	version int
	prober  netip.Addr
	client  netip.Addr
	proxy   netip.AddrPort
	flags   uint8
	detail  []string
}

// answer reports whether the probe says that a peer was found.
func (p *probe) answer() bool {
	return p.kind == probeResponse || p.kind == probeResponseSH || p.kind == probeInfo
}

// parseProbe decodes the value of an option 76, big endian. Bit 0 of its first
// byte tells version 1 (type in the high four bits) from version 2 (type in
// the high seven). Fields that the option is too short for stay empty.
func parseProbe(value []byte) (p probe, ok bool) {
	if len(value) == 0 {
		return p, false
	}
	p.kind, p.version = value[0]>>1, 2
	if value[0]&1 == 1 {
		p.kind, p.version = value[0]>>4, 1
	}
	// Offsets of the notes count from the kind byte; the value begins 2 later.
	addr := func(at int) netip.Addr {
		if len(value) < at+2 {
			return netip.Addr{}
		}
		return netip.AddrFrom4([4]byte(value[at-2 : at+2]))
	}
	port := func(at int) uint16 {
		if len(value) < at {
			return 0
		}
		return binary.BigEndian.Uint16(value[at-2:])
	}
	if p.version == 2 {
		p.infoV2(value, addr)
		return p, true
	}
	switch p.kind {
	case probeQuery, probeTrace, probeQuerySH:
		if p.prober = addr(4); len(value) >= 8 {
			p.detail = append(p.detail, fmt.Sprintf("application version %d", port(8)))
		}
	case probeResponse:
		p.prober = addr(4)
		if a := addr(8); a.IsValid() && len(value) >= 12 {
			p.proxy = netip.AddrPortFrom(a, port(12))
		}
	case probeResponseSH:
		p.prober, p.client = addr(4), addr(8)
		if a := addr(12); a.IsValid() && len(value) >= 16 {
			p.proxy = netip.AddrPortFrom(a, port(16))
		}
	}
	return p, true
}

// infoV2 reads the messages of version 2: flags, then a field by type.
func (p *probe) infoV2(value []byte, addr func(int) netip.Addr) {
	if len(value) < 2 {
		return
	}
	p.flags = value[1]
	type flag struct {
		bit  uint8
		text string
	}
	var names []flag
	switch p.kind {
	case probeQueryInfo, probeInfoSH, probeStoreID:
		names = []flag{{0x01, "last notify"}, {0x04, "not the first client-side device"}}
	case probeInfo:
		names = []flag{{0x01, "server connected"}, {0x02, "SSL certificate"}, {0x10, "probe cache"}}
	}
	p.detail = append(p.detail, fmt.Sprintf("flags 0x%02x", p.flags))
	for _, n := range names {
		if p.flags&n.bit != 0 {
			p.detail = append(p.detail, n.text)
		}
	}
	switch p.kind {
	case probeInfoSH:
		p.client = addr(4)
	case probeStoreID:
		if len(value) >= 6 {
			p.detail = append(p.detail, fmt.Sprintf("store id 0x%08x", binary.BigEndian.Uint32(value[2:])))
		}
	}
}

// String prints a probe on one line.
func (p *probe) String() string {
	name, ok := probeNames[p.kind]
	if !ok {
		name = fmt.Sprintf("type %d", p.kind)
	}
	parts := []string{fmt.Sprintf("riverbed(76) version %d %s", p.version, name)}
	if p.prober.IsValid() {
		parts = append(parts, "prober "+p.prober.String())
	}
	if p.client.IsValid() {
		parts = append(parts, "client "+p.client.String())
	}
	if p.proxy.IsValid() {
		parts = append(parts, "proxy "+p.proxy.String())
	}
	return strings.Join(append(parts, p.detail...), ", ")
}

// probes decodes every option 76 of a header: a message of version 1 may be
// followed by one of version 2.
func probes(options []byte) []probe {
	var all []probe
	eachOption(options, func(kind uint8, value []byte) {
		if p, ok := parseProbe(value); ok && kind == optRiverbedProbe {
			all = append(all, p)
		}
	})
	return all
}

// Flags of an option 78.
const (
	innerPortMode   = 0x0001 // port transparency; clear: full transparency
	innerOutOfBand  = 0x0002 // out-of-band splice: the client's port follows
	innerChecksum   = 0x0004
	innerResetFW    = 0x0100
	innerResetInner = 0x0200
	innerResetProbe = 0x0400
)

// riverbedInner prints the value of an option 78: flags, then addresses and
// ports of the inner connection between the appliances.
func riverbedInner(value []byte) string {
	if len(value) < 14 {
		return "riverbed(78) raw=" + hex.EncodeToString(value)
	}
	flags := binary.BigEndian.Uint16(value)
	text := "riverbed(78) full transparency"
	if flags&innerPortMode != 0 {
		text = "riverbed(78) port transparency"
	}
	end := func(at, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(value[at:at+4])), binary.BigEndian.Uint16(value[port:]))
	}
	text += fmt.Sprintf(", inner connection %s > %s", end(2, 10), end(6, 12))
	for _, f := range []struct {
		bit  uint16
		text string
	}{
		{innerOutOfBand, "out-of-band splice"}, {innerChecksum, "checksum"}, {innerResetFW, "firewall reset"},
		{innerResetInner, "firewall reset inner"}, {innerResetProbe, "firewall reset probe"},
	} {
		if flags&f.bit != 0 {
			text += ", " + f.text
		}
	}
	if flags&innerOutOfBand != 0 && len(value) >= 16 {
		text += fmt.Sprintf(", client port %d", binary.BigEndian.Uint16(value[14:]))
	}
	return text
}

// innerChannel reports whether the connection is a transparent inner channel:
// its addresses are the application's, its payload is the appliances' own.
func (c *Conn) innerChannel() bool {
	client, _ := c.options()
	_, ok := findOption(client, optRiverbedInner)
	return ok
}

// riverbedPorts are the ports of SteelHead appliances between themselves and,
// with port remapping, in endpoint mapper answers.
var riverbedPorts = map[uint16]string{
	7744: "data store synchronization", 7800: "in-path inner channel", 7801: "in-path inner channel", 7810: "out-of-path",
	7820: "failover", 7830: "MAPI", 7840: "NSPI", 7850: "connection forwarding", 7860: "Interceptor", 7870: "mobile client",
}

// The ports that a SteelHead puts into endpoint mapper answers in place of the
// server's own.
const (
	riverbedMAPI = 7830
	riverbedNSPI = 7840
)

// remapped reports whether an endpoint mapper answer in the capture gives the
// server end point of c as a port of the MAPI blade.
func (d *Directory) remapped(c *Conn) (wire.Mark, bool) {
	if p := c.Server().Port(); p != riverbedMAPI && p != riverbedNSPI {
		return wire.Mark{}, false
	}
	for _, row := range d.At(c) {
		if row.From != "bind" {
			return row.Mark, true
		}
	}
	return wire.Mark{}, false
}

// riverbed reads the options of SteelHead appliances and knows their ports.
func (j *judge) riverbed(c *Conn, v *Verdict) {
	options := c.handshakeOptions()
	marks := c.handshakeMarks()
	asked, answered, seen := false, false, false
	for i, kind := range []string{"riverbed_probe", "riverbed_response"} {
		for _, p := range probes(options[i]) {
			v.note(kind, p.String(), "heuristic", marks[i])
			asked, answered, seen = asked || i == 0, answered || i == 1 && p.answer(), true
		}
	}
	value, inner := findOption(options[0], optRiverbedInner)
	if inner {
		v.note("riverbed_inner", riverbedInner(value), "exact", marks[0])
		seen = true
	}
	if _, ok := j.proxies[c.Server()]; ok {
		v.note("riverbed_channel", fmt.Sprintf("inner channel to %s, which a probe response of this capture names", c.Server()), "exact", c.Flow.First)
		inner, seen = true, true
	}
	mark, mapped := j.dir.remapped(c)
	switch {
	case mapped:
		v.note("riverbed_epm", fmt.Sprintf("the endpoint mapper answer was rewritten to port %d (%s): the server's own port is behind the appliance",
			c.Server().Port(), riverbedPorts[c.Server().Port()]), "heuristic", mark)
		seen = true
	case c.RPC != nil && riverbedPorts[c.Server().Port()] != "":
		v.note("riverbed_port", fmt.Sprintf("DCE/RPC on port %d (%s)", c.Server().Port(), riverbedPorts[c.Server().Port()]), "lower_bound", c.RPC.FirstPDU())
		seen = true
	}
	if !seen {
		return
	}
	if v.Vendor == "" {
		v.Vendor = "riverbed"
	}
	if v.Path != PathUnknown {
		return
	}
	switch {
	case inner, answered:
		v.Path, v.Proven = Optimized, true
	case mapped:
		v.Path = Optimized
	case asked && !answered && j.plainAnswer(c):
		v.Stripped, v.Path = true, PassThrough
		v.note("option_unanswered", "discovery option 76 on the SYN, none on the SYN/ACK", "exact", marks[1])
	}
}
