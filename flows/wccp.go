package flows

import (
	"encoding/binary"
	"net/netip"

	"mapiscope/internal/wire"
)

// Redirect is what WCCP says of a packet that a router handed to a device
// (draft-mclaggan-wccp-v2rev1 3.3): by which service and which bucket of its
// assignment.
type Redirect struct {
	Present   bool // the packet has a redirect header
	Dynamic   bool // Service is a dynamic one; else well known
	Alternate bool // it went by AltBucket
	Service   uint8
	AltBucket uint8
	Bucket    uint8
}

// wccp reads the redirect header of WCCP version 2, 4 bytes, where there is
// one: version 1 has none. Its flags are the lowest bits of its first byte, as
// routers send them, so that its upper half is never a version of IP.
func (d *Decoder) wccp(b []byte, f *Frame) Kind {
	const dynamic, alternate = 0x01, 0x02
	if len(b) < 4 {
		return d.ends(hdrWCCP)
	}
	if version := b[0] >> 4; version != 4 && version != 6 {
		f.Redirect = Redirect{true, b[0]&dynamic != 0, b[0]&alternate != 0, b[1], b[2], b[3]}
		b = b[4:]
	}
	return d.rawIP(b, f)
}

// Redirection is how WCCP handed the packets of one side of a connection to
// devices. Another bucket means another share of the traffic, and often another
// device: the mask or the assignment of buckets was changed.
type Redirection struct {
	From    netip.AddrPort // whose packets
	First   Redirect       // of the first packet
	Last    Redirect       // of the last one
	Packets int64          // that had a redirect header
	Changes int64          // how often service or bucket changed
	Changed wire.Mark      // the latest of them
}

// redirected takes the redirect header of a segment. What the legs of a
// connection tell is kept by the first of them.
func (c *Conn) redirected(f *Frame) {
	root := c
	if c.Root != nil {
		root = c.Root
	}
	if root.Redirections == nil {
		root.Redirections = new([2]Redirection)
	}
	r := &root.Redirections[root.sideOf(f)]
	if r.Packets++; r.Packets == 1 {
		r.From, r.First, r.Last = f.Src, f.Redirect, f.Redirect
	}
	if r.Last != f.Redirect {
		r.Changes++
		r.Last, r.Changed = f.Redirect, f.Mark
	}
}

// portWCCP is where devices and routers of WCCP talk to each other, UDP.
const portWCCP = 2048

// WCCPMessage returns what a UDP datagram of WCCP version 2 is
// (draft-mclaggan-wccp-v2rev1 5), a Reason for a Tally. ok is false of every
// other datagram.
func WCCPMessage(f *Frame) (kind Reason, ok bool) {
	if f.Dst.Port() != portWCCP || len(f.Payload) < 8 || f.Payload[4] != 2 {
		return Reason{}, false
	}
	n := binary.BigEndian.Uint32(f.Payload)
	if n < firstWCCP || n >= firstWCCP+uint32(len(wccpMessages)) {
		return Reason{}, false
	}
	return Reason{wccpMessage, n}, true
}

const firstWCCP = 10

var wccpMessages = [...]string{"here I am", "I see you", "redirect assign", "removal query"}
