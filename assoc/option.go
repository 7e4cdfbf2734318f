package assoc

import (
	"encoding/hex"
	"fmt"
	"net/netip"
)

// TCP option kinds that WAN optimizers put on the wire. None is registered
// for them; kind 33 stands in the registry's list of kinds used without
// assignment.
const (
	optWAAS          = 0x21 // Cisco WAAS automatic discovery
	optRiverbedProbe = 0x4c // Riverbed SteelHead discovery
	optRiverbedInner = 0x4e // Riverbed transparent inner connection
)

// eachOption calls f for every option of a TCP header that is well formed;
// value excludes kind and length. It stops at the end of the list and at the
// first option that does not fit (RFC 9293 3.1).
func eachOption(options []byte, f func(kind uint8, value []byte)) {
	for len(options) > 0 {
		switch options[0] {
		case 0:
			return
		case 1:
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return
		}
		n := int(options[1])
		f(options[0], options[2:n:n])
		options = options[n:]
	}
}

// findOption returns the value of the first option of a kind.
func findOption(options []byte, kind uint8) (value []byte, ok bool) {
	eachOption(options, func(k uint8, v []byte) {
		if k == kind && !ok {
			value, ok = v, true
		}
	})
	return value, ok
}

func optimizerOption(options []byte) bool {
	found := false
	eachOption(options, func(kind uint8, _ []byte) {
		found = found || kind == optWAAS || kind == optRiverbedProbe || kind == optRiverbedInner
	})
	return found
}

// waasText prints an option 33 as it was on the wire. Its layout is not
// published, so the raw bytes are the fact and the device id is a candidate.
func waasText(value []byte) string {
	return fmt.Sprintf("waas-ad(33) len=%d raw=%s", len(value)+2, hex.EncodeToString(value))
}

// deviceCandidate guesses the device id inside the value of an option 33. The
// id has the form of a MAC address in every display of the device; published
// traces quote options of 12 bytes with the id after two bytes of other
// content. Any other length, and an id of all zeros or ones, gives none.
func deviceCandidate(value []byte) string {
	if len(value) != 10 {
		return ""
	}
	id := [6]byte(value[2:8])
	if id == [6]byte{} || id == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} {
		return ""
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", id[0], id[1], id[2], id[3], id[4], id[5])
}

// riverbedTypes are the kinds of discovery message in an option 76.
var riverbedTypes = map[uint8]string{
	0: "probe query", 1: "probe response", 2: "probe internal", 3: "probe trace", 4: "probe query (SteelHead)",
	5: "probe response (SteelHead)", 6: "query info", 7: "response info", 8: "query info (SteelHead)",
	9: "query info (store id)", 10: "probe reset",
}

// riverbedProbe decodes the value of an option 76: bit 0 of its first byte
// tells version 1 (type in the high four bits) from version 2 (type in the
// high seven).
func riverbedProbe(value []byte) (kind uint8, text string) {
	if len(value) == 0 {
		return 0xff, "riverbed(76) without content"
	}
	kind, version := value[0]>>1, 2
	if value[0]&1 == 1 {
		kind, version = value[0]>>4, 1
	}
	name, ok := riverbedTypes[kind]
	if !ok {
		name = fmt.Sprintf("type %d", kind)
	}
	text = fmt.Sprintf("riverbed(76) version %d %s", version, name)
	addr := func(at int) string { return netip.AddrFrom4([4]byte(value[at : at+4])).String() }
	if version == 1 && len(value) >= 6 {
		text += " prober " + addr(2)
	}
	switch {
	case version == 1 && kind == 1 && len(value) >= 12:
		text += fmt.Sprintf(" proxy %s:%d", addr(6), uint16(value[10])<<8|uint16(value[11]))
	case version == 1 && kind == 5 && len(value) >= 16:
		text += fmt.Sprintf(" client %s proxy %s:%d", addr(6), addr(10), uint16(value[14])<<8|uint16(value[15]))
	case version == 2 && len(value) >= 2:
		text += fmt.Sprintf(" flags 0x%02x", value[1])
	}
	return kind, text
}

// riverbedInner decodes the value of an option 78: flags, then addresses and
// ports of the inner connection between the appliances.
func riverbedInner(value []byte) string {
	if len(value) < 14 {
		return "riverbed(78) raw=" + hex.EncodeToString(value)
	}
	mode := "full transparency"
	if value[1]&1 == 1 {
		mode = "port transparency"
	}
	at := func(a, p int) string {
		port := uint16(value[p])<<8 | uint16(value[p+1])
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(value[a:a+4])), port).String()
	}
	return fmt.Sprintf("riverbed(78) %s inner %s > %s", mode, at(2, 10), at(6, 12))
}

// riverbedPorts are the ports of SteelHead appliances between themselves and,
// with port remapping, in endpoint mapper answers.
var riverbedPorts = map[uint16]string{
	7800: "in-path inner channel", 7801: "in-path inner channel", 7810: "out-of-path",
	7820: "failover", 7830: "MAPI", 7840: "NSPI", 7870: "mobile client",
}
