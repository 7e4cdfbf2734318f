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
	LinkATM        LinkType = 100 // LLC on ATM, RFC 2684
	LinkRaw        LinkType = 101 // IPv4 or IPv6 header, told apart by its first nibble
	LinkCiscoHDLC  LinkType = 104 // Cisco PPP with HDLC framing
	LinkWiFi       LinkType = 105 // IEEE 802.11
	LinkFrameRelay LinkType = 107 // Frame Relay
	LinkLoop       LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkEnc        LinkType = 109 // OpenBSD: IPsec, decrypted, behind family, SPI and flags
	LinkLinuxSLL   LinkType = 113 // Linux cooked capture, version 1
	LinkPFLOG      LinkType = 117 // log of OpenBSD's packet filter
	LinkWiFiPrism  LinkType = 119 // IEEE 802.11 after a Prism header
	LinkRadiotap   LinkType = 127 // IEEE 802.11 after a radiotap header
	LinkWiFiAVS    LinkType = 163 // IEEE 802.11 after an AVS header
	LinkPPPD       LinkType = 166 // PPP after a byte for the direction, by Linux's pppd
	LinkPPI        LinkType = 192 // another link type after a PPI header
	LinkIPv4       LinkType = 228 // IPv4 header
	LinkIPv6       LinkType = 229 // IPv6 header
	LinkNFLOG      LinkType = 239 // log of Linux's netfilter
	LinkPKTAP      LinkType = 258 // another link type after Apple's header
	LinkLinuxSLL2  LinkType = 276 // Linux cooked capture, version 2

	LinkPPPWithDir        LinkType = 204 // PPP after a byte for the direction
	LinkCiscoHDLCWithDir  LinkType = 205 // likewise
	LinkFrameRelayWithDir LinkType = 206 // likewise

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
	LinkATM:        "ATM_RFC1483",
	LinkRaw:        "RAW",
	LinkCiscoHDLC:  "C_HDLC",
	LinkWiFi:       "IEEE802_11",
	LinkFrameRelay: "FRELAY",
	LinkLoop:       "LOOP",
	LinkEnc:        "ENC",
	LinkLinuxSLL:   "LINUX_SLL",
	LinkPFLOG:      "PFLOG",
	LinkWiFiPrism:  "IEEE802_11_PRISM",
	LinkRadiotap:   "IEEE802_11_RADIOTAP",
	LinkWiFiAVS:    "IEEE802_11_AVS",
	LinkPPPD:       "PPP_PPPD",
	LinkPPI:        "PPI",
	LinkIPv4:       "IPV4",
	LinkIPv6:       "IPV6",
	LinkNFLOG:      "NFLOG",
	LinkPKTAP:      "PKTAP",
	LinkLinuxSLL2:  "LINUX_SLL2",

	LinkPPPWithDir:        "PPP_WITH_DIR",
	LinkCiscoHDLCWithDir:  "C_HDLC_WITH_DIR",
	LinkFrameRelayWithDir: "FRELAY_WITH_DIR",
}

// Link types whose meaning is agreed upon by those who exchange a file.
const (
	linkUser0  = 147
	linkUser15 = 162
)

// String returns the name without its LINKTYPE_ prefix, as in "ETHERNET",
// or a number: "LINKTYPE_189", "NETMON_4".
func (l LinkType) String() string {
	if name, ok := linkNames[l]; ok {
		return name
	}
	if l >= linkUser0 && l <= linkUser15 {
		return "USER" + strconv.FormatUint(uint64(l-linkUser0), 10)
	}
	if l >= NetMonMedia {
		return "NETMON_" + strconv.FormatUint(uint64(l-NetMonMedia), 10)
	}
	return "LINKTYPE_" + strconv.FormatUint(uint64(l), 10)
}

// FromDLT maps the numbers that libpcap uses in memory, and that some
// programs wrote into files, to the LINKTYPE_ value they stand for.
func FromDLT(l LinkType) LinkType {
	switch l {
	case 12, 14: // DLT_RAW of Linux and of OpenBSD
		return LinkRaw
	case 11: // DLT_ATM_RFC1483
		return LinkATM
	}
	return l
}
