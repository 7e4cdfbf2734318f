package flows

import (
	"cmp"
	"fmt"
	"slices"

	"mapiscope/pcaps"
)

// Reason says why Decode could not read a packet, or what one was. The zero
// value is none.
type Reason struct {
	code   reasonCode
	number uint32 // link type, ethertype, protocol, header: what code says
}

type reasonCode uint8

const (
	noReason       reasonCode = iota
	unreadLink                // number is the link type
	unreadType                // ethertype
	unreadSNAP                // organisation, without its lowest byte, and protocol
	unreadLLC                 // service access point
	unreadPPP                 // protocol
	unreadProtocol            // of IP
	ended                     // header: the packet ends inside it
	damaged                   // header: it contradicts itself
	hidden                    // header: what follows it is encrypted
	divided                   // header: what follows it is part of a packet, or several
	deep                      // too many headers
	otherReason               // the bound of a Tally
	wccpMessage               // number of a message of WCCP, which was read
)

// header names what a packet was being read as.
type header uint32

const (
	hdrEthernet header = iota
	hdrTag
	hdrMPLS
	hdrLLC
	hdrPPP
	hdrLink
	hdrWiFi
	hdrMACsec
	hdrIPv4
	hdrIPv6
	hdrIP
	hdrAH
	hdrESP
	hdrGRE
	hdrWCCP
	hdrERSPAN
	hdrNSH
	hdrUDP
	hdrVXLAN
	hdrGENEVE
	hdrGTP
	hdrTZSP
	hdrL2TP
	hdrTCP
)

var headerNames = [...]string{
	hdrEthernet: "Ethernet header", hdrTag: "tag", hdrMPLS: "MPLS label", hdrLLC: "LLC header", hdrPPP: "PPP header", hdrLink: "link header",
	hdrWiFi: "802.11 header", hdrMACsec: "MACsec tag", hdrIPv4: "IPv4 header", hdrIPv6: "IPv6 header", hdrIP: "IP header", hdrAH: "AH header",
	hdrESP: "ESP header", hdrGRE: "GRE header", hdrWCCP: "WCCP redirect header", hdrERSPAN: "ERSPAN header", hdrNSH: "NSH header",
	hdrUDP: "UDP header", hdrVXLAN: "VXLAN header", hdrGENEVE: "GENEVE header", hdrGTP: "GTP-U header", hdrTZSP: "TZSP header",
	hdrL2TP: "L2TP header", hdrTCP: "TCP header",
}

// String returns the reason as the report words it: "link type LINKTYPE_147 is
// not read".
func (r Reason) String() string {
	switch r.code {
	case unreadLink:
		return fmt.Sprintf("link type %v is not read", pcaps.LinkType(r.number))
	case unreadType:
		return fmt.Sprintf("Ethernet type 0x%04x is not read", r.number)
	case unreadSNAP:
		return fmt.Sprintf("SNAP type 0x%04x of organisation 0x%04xxx is not read", r.number&0xffff, r.number>>16)
	case unreadLLC:
		return fmt.Sprintf("LLC service 0x%02x is not read", r.number)
	case unreadPPP:
		return fmt.Sprintf("PPP protocol 0x%04x is not read", r.number)
	case unreadProtocol:
		return fmt.Sprintf("IP protocol %d is not read", r.number)
	case ended:
		return "the packet ends inside its " + headerNames[r.number]
	case damaged:
		return "the " + headerNames[r.number] + " contradicts itself"
	case hidden:
		return "what follows the " + headerNames[r.number] + " is encrypted"
	case divided:
		return "what follows the " + headerNames[r.number] + " is a part of a packet, or several packets"
	case deep:
		return fmt.Sprintf("more than %d headers stand in front of each other", maxHeaders)
	case wccpMessage:
		return wccpMessages[r.number-firstWCCP]
	case otherReason:
		return "other reasons"
	}
	return ""
}

// maxReasons bounds the reasons that a Tally tells apart.
const maxReasons = 64

// Unread counts the packets of one capture that have one Reason.
type Unread struct {
	Reason  Reason
	Packets int64
	First   int64 // number of the first of them
}

// Tally counts packets of one capture by their Reason. The zero value is
// empty.
type Tally struct {
	rows []Unread
}

// Add counts a packet, given its number. Past 64 reasons new ones count
// together as one.
func (t *Tally) Add(r Reason, packet int64) {
	for i := range t.rows {
		if t.rows[i].Reason == r {
			t.rows[i].Packets++
			return
		}
	}
	if len(t.rows) >= maxReasons && r.code != otherReason {
		t.Add(Reason{code: otherReason}, packet)
		return
	}
	t.rows = append(t.rows, Unread{r, 1, packet})
}

// Rows returns the counts, most packets first. The slice is the caller's.
func (t *Tally) Rows() []Unread {
	rows := slices.Clone(t.rows)
	slices.SortFunc(rows, func(a, b Unread) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.First, b.First))
	})
	return rows
}
