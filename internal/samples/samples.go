// Package samples writes the generated captures that the project ships under
// pcaps/. Every byte comes from a script of internal/pcaptest; the same
// script gives the same bytes on every machine. The test of the package
// writes the files anew with -update.
package samples

import (
	"time"

	"mapiscope/internal/pcaptest"
)

// Sample is one generated capture.
type Sample struct {
	Name   string // of the file under pcaps/
	Origin string // what it shows, for the list of origins
	Write  func() []byte
}

// All returns the samples in the order of their names.
func All() []Sample {
	return []Sample{
		{"demo.pcap", "WAN between two optimizers: a group with one escaped connection, a sealed session from a branch without a device, endpoint mapper lookups", demo},
		{"epm-down.pcap", "the endpoint mapper does not know EMSMDB, and the port it names for NSPI refuses", epmDown},
		{"outlook-start.pcap", "Outlook 2007 in its order: endpoint mapper, referral, address book, then a group of two EMSMDB connections", outlookStart},
		{"tcp-gap.pcap", "a response that lost a segment before the capture", tcpGap},
		{"tcp-overlap.pcap", "overlapping data, once the same and once different, and a keep-alive", tcpOverlap},
		{"tcp-reorder.pcap", "a response whose first two segments arrive the wrong way round", tcpReorder},
		{"tcp-retransmit.pcap", "a segment captured twice, and one seen only as its retransmission", tcpRetransmit},
		{"tcp-wrap.pcap", "sequence numbers that pass 2^32 in both directions", tcpWrap},
		{"two-points.pcapng", "one connection at two capture points, edge and wan, one interface each", twoPoints},
	}
}

// scene starts a network on a morning.
func scene() *pcaptest.Scene {
	return pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
}

// filler returns n bytes that look like nothing: what encryption or
// compression leaves. Each seed gives bytes of its own.
func filler(n int, seed uint32) []byte {
	b := make([]byte, n)
	x := seed*2654435761 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x >> 11)
	}
	return b
}
