package assoc

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
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

// Probe is a decoded option 76. Addresses are those of appliances.
type Probe struct {
	kind    uint8
	version int
	prober  netip.Addr
	client  netip.Addr
	Proxy   netip.AddrPort // of the answer, where it names one
	flags   uint8
	detail  []string
}

// Answer reports whether the probe says that a peer was found.
func (p *Probe) Answer() bool {
	return p.kind == probeResponse || p.kind == probeResponseSH || p.kind == probeInfo
}

// parseProbe decodes the value of an option 76, big endian. Bit 0 of its first
// byte tells version 1 (type in the high four bits) from version 2 (type in
// the high seven). Fields that the option is too short for stay empty.
func parseProbe(value []byte) (p Probe, ok bool) {
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
			p.Proxy = netip.AddrPortFrom(a, port(12))
		}
	case probeResponseSH:
		p.prober, p.client = addr(4), addr(8)
		if a := addr(12); a.IsValid() && len(value) >= 16 {
			p.Proxy = netip.AddrPortFrom(a, port(16))
		}
	}
	return p, true
}

// infoV2 reads the messages of version 2: flags, then a field by type.
func (p *Probe) infoV2(value []byte, addr func(int) netip.Addr) {
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
func (p *Probe) String() string {
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
	if p.Proxy.IsValid() {
		parts = append(parts, "proxy "+p.Proxy.String())
	}
	return strings.Join(append(parts, p.detail...), ", ")
}

// Probes decodes every option 76 of a header: a message of version 1 may be
// followed by one of version 2.
func Probes(options []byte) []Probe {
	var all []Probe
	EachOption(options, func(kind uint8, value []byte) {
		if p, ok := parseProbe(value); ok && kind == OptionRiverbedProbe {
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

// RiverbedInner prints the value of an option 78: flags, then addresses and
// ports of the inner connection between the appliances.
func RiverbedInner(value []byte) string {
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
	_, ok := FindOption(client, OptionRiverbedInner)
	return ok
}
