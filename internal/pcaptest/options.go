package pcaptest

import (
	"net/netip"
	"time"
)

// Option is a trait of a connection or datagram.
type Option func(*traits)

// traits are set by options.
type traits struct {
	encap
	handshake     bool
	isn           [2]uint32
	rtt           time.Duration
	mss           int
	window        uint16
	ttl           [2]byte
	mac           [2][6]byte
	synOptions    []byte
	synAckOptions []byte
	ackOptions    []byte
	options       []byte
	near          Side
	ackDelay      time.Duration
	split         bool
	lag           [2]time.Duration
	again         []*traits
	oneWay        bool
	seen          Side
	ackEvery      int
	jump          uint32
}

func newTraits(options []Option) *traits {
	t := &traits{
		handshake: true,
		isn:       [2]uint32{1000000, 2000000},
		rtt:       time.Millisecond,
		window:    65535,
		ttl:       [2]byte{128, 127},
		mac:       [2][6]byte{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}},
		ackEvery:  2,
	}
	for _, o := range options {
		o(t)
	}
	return t
}

// NoHandshake starts the capture in the middle of the connection.
func NoHandshake() Option { return func(t *traits) { t.handshake = false } }

// ISNs sets the initial sequence numbers. The first data byte has the number
// after it, with and without a handshake.
func ISNs(client, server uint32) Option {
	return func(t *traits) { t.isn = [2]uint32{client, server} }
}

// Jump lets the sequence numbers of both sides jump by n after the SYNs, as
// between the devices of a WAN optimizer pair.
func Jump(n uint32) Option { return func(t *traits) { t.jump = n } }

// RTT sets the round trip time, 1 ms if not set. The capture is close to the
// client unless Near says other: the server's packets come a round trip after
// what they answer, the client's at once.
func RTT(d time.Duration) Option { return func(t *traits) { t.rtt = d } }

// Near puts the capture close to a side, the client if not set: that side
// answers at once and the other one after the round trip time.
func Near(side Side) Option { return func(t *traits) { t.near = side } }

// SplitTCP lets a device next to the near side acknowledge what that side
// sends after a delay, while the handshake goes end to end.
func SplitTCP(delay time.Duration) Option {
	return func(t *traits) { t.split, t.ackDelay = true, delay }
}

// Again captures every packet once more, with the headers that its options
// (MAC, TTL, VLAN, GRE, WCCP, Lag) say: what forwards or mirrors a packet
// changes those at most.
func Again(options ...Option) Option {
	return func(t *traits) { t.again = append(t.again, newTraits(options)) }
}

// Lag captures the packets of both sides that much later, as on a segment
// that they pass after another one.
func Lag(client, server time.Duration) Option {
	return func(t *traits) { t.lag = [2]time.Duration{client, server} }
}

// MSS sets how much data a segment carries, and what the SYNs announce. If
// not set it fits a packet of 1500 bytes. Over 1460 it looks like offload.
func MSS(n int) Option { return func(t *traits) { t.mss = n } }

// AckEvery lets the receiver acknowledge every n segments and after the last
// of a write; 0 is never. It is 2 if not set.
func AckEvery(n int) Option { return func(t *traits) { t.ackEvery = n } }

// SynOptions adds raw TCP options to the SYN, after its MSS.
func SynOptions(raw ...byte) Option { return func(t *traits) { t.synOptions = raw } }

// SynAckOptions adds raw TCP options to the SYN+ACK, after its MSS.
func SynAckOptions(raw ...byte) Option { return func(t *traits) { t.synAckOptions = raw } }

// AckOptions adds raw TCP options to the ACK that ends the handshake.
func AckOptions(raw ...byte) Option { return func(t *traits) { t.ackOptions = raw } }

// SegmentOptions adds raw TCP options to all other segments.
func SegmentOptions(raw ...byte) Option { return func(t *traits) { t.options = raw } }

// OneWay captures only what one side sends.
func OneWay(from Side) Option { return func(t *traits) { t.oneWay, t.seen = true, from } }

// On captures at some taps only.
func On(taps ...int) Option { return func(t *traits) { t.taps = taps } }

// TTL sets the hop limits of both sides' packets, 128 and 127 if not set.
func TTL(client, server byte) Option { return func(t *traits) { t.ttl = [2]byte{client, server} } }

// MAC sets the hardware addresses.
func MAC(client, server [6]byte) Option {
	return func(t *traits) { t.mac = [2][6]byte{client, server} }
}

// VLAN puts 802.1Q tags in front, the outermost first; of several the first
// is an 802.1ad service tag.
func VLAN(ids ...uint16) Option { return func(t *traits) { t.vlans = ids } }

// MPLS puts a label stack in front, the outermost first.
func MPLS(labels ...uint32) Option { return func(t *traits) { t.labels = labels } }

// Wrap captures what f makes of each IP packet, in place of the headers of the
// tap's link type and all that other options put in front.
func Wrap(f func(ip []byte) []byte) Option { return func(t *traits) { t.wrap = f } }

// GRE sends packets through a tunnel between two addresses.
func GRE(src, dst string) Option {
	return func(t *traits) { t.gre, t.greSrc, t.greDst = true, netip.MustParseAddr(src), netip.MustParseAddr(dst) }
}

// WCCP is GRE with the redirect header of WCCP version 2, as between a router
// and its WAN optimizer.
func WCCP(src, dst string) Option {
	return func(t *traits) { GRE(src, dst)(t); t.wccp = true }
}

// PadFrames fills Ethernet frames up to 60 bytes with zeros, as receivers see
// short ones.
func PadFrames() Option { return func(t *traits) { t.pad = true } }

// FragmentIP splits IP packets into fragments of n bytes of payload, a
// multiple of 8.
func FragmentIP(n int) Option {
	if n <= 0 || n%8 != 0 {
		panic("pcaptest: the size of a fragment is a multiple of 8")
	}
	return func(t *traits) { t.fragment = n }
}
