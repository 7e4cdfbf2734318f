package pcaps

import "strconv"

// LinkType is a LINKTYPE_ value of the pcap registry: the format of the
// link-layer header in front of the packet. Values from NetMonMedia on are
// Network Monitor media types that have no counterpart there.
type LinkType uint32

// The link types that something here knows by name.
const (
	LinkNull       LinkType = 0   // BSD loopback: address family in the byte order of the capturing host
	LinkEthernet   LinkType = 1   // Ethernet
	LinkTokenRing  LinkType = 6   // IEEE 802.5
	LinkPPP        LinkType = 9   // PPP, with or without HDLC framing
	LinkFDDI       LinkType = 10  // FDDI
	LinkPPPHDLC    LinkType = 50  // PPP in HDLC-like framing, RFC 1662
	LinkPPPoE      LinkType = 51  // PPPoE session header, RFC 2516
	LinkRaw        LinkType = 101 // IPv4 or IPv6 header, told apart by its first nibble
	LinkCiscoHDLC  LinkType = 104 // Cisco PPP with HDLC framing
	LinkWiFi       LinkType = 105 // IEEE 802.11
	LinkFrameRelay LinkType = 107 // Frame Relay
	LinkLoop       LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkLinuxSLL   LinkType = 113 // Linux cooked capture, version 1
	LinkWiFiPrism  LinkType = 119 // IEEE 802.11 after a Prism header
	LinkRadiotap   LinkType = 127 // IEEE 802.11 after a radiotap header
	LinkIPv4       LinkType = 228 // IPv4 header
	LinkIPv6       LinkType = 229 // IPv6 header
	LinkLinuxSLL2  LinkType = 276 // Linux cooked capture, version 2

	NetMonMedia LinkType = 0x10000 // plus a Network Monitor media type
)

var linkNames = map[LinkType]string{
	LinkNull:       "NULL",
	LinkEthernet:   "ETHERNET",
	LinkTokenRing:  "IEEE802_5",
	LinkPPP:        "PPP",
	LinkFDDI:       "FDDI",
	LinkPPPHDLC:    "PPP_HDLC",
	LinkPPPoE:      "PPP_ETHER",
	LinkRaw:        "RAW",
	LinkCiscoHDLC:  "C_HDLC",
	LinkWiFi:       "IEEE802_11",
	LinkFrameRelay: "FRELAY",
	LinkLoop:       "LOOP",
	LinkLinuxSLL:   "LINUX_SLL",
	LinkWiFiPrism:  "IEEE802_11_PRISM",
	LinkRadiotap:   "IEEE802_11_RADIOTAP",
	LinkIPv4:       "IPV4",
	LinkIPv6:       "IPV6",
	LinkLinuxSLL2:  "LINUX_SLL2",
}

// String returns the name without its LINKTYPE_ prefix, as in "ETHERNET",
// or a number: "LINKTYPE_147", "NETMON_4".
func (l LinkType) String() string {
	if name, ok := linkNames[l]; ok {
		return name
	}
	if l >= NetMonMedia {
		return "NETMON_" + strconv.FormatUint(uint64(l-NetMonMedia), 10)
	}
	return "LINKTYPE_" + strconv.FormatUint(uint64(l), 10)
}

// fromDLT maps the numbers that libpcap uses in memory, and that some
// programs wrote into files, to the LINKTYPE_ value they stand for.
func fromDLT(l LinkType) LinkType {
	if l == 12 || l == 14 { // DLT_RAW of Linux and of OpenBSD
		return LinkRaw
	}
	return l
}
