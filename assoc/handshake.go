package assoc

import (
	"slices"

	"mapiscope/dcerpc"
	"mapiscope/dcerpc/epm"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// What the handshake and the first bytes of a connection show, for whoever
// judges its path.

// HandshakeOptions returns the TCP options of SYN, SYN/ACK and the ACK after
// it, nil for those that were not captured. The slices are the connection's.
func (c *Conn) HandshakeOptions() [3][]byte {
	client, server := c.options()
	all := [3][]byte{client, server, nil}
	if ack := c.Flow.Sides[c.Flow.Client].Ack; ack != nil {
		all[2] = ack.Options
	}
	return all
}

// HandshakeMarks returns the packets of SYN, SYN/ACK and ACK, the last one
// only when it has options worth a word.
func (c *Conn) HandshakeMarks() [3]wire.Mark {
	s := c.Flow.Client
	all := [3]wire.Mark{c.Flow.Sides[s].Syn, c.Flow.Sides[s.Other()].Syn, {}}
	if ack := c.Flow.Sides[s].Ack; ack != nil {
		all[2] = ack.Mark
	}
	return all
}

func (c *Conn) options() (client, server []byte) {
	s := c.Flow.Client
	return c.Flow.Sides[s].SynOptions, c.Flow.Sides[s.Other()].SynOptions
}

// Jump returns the sequence jump of either side, nil when there is none.
func (c *Conn) Jump() *flows.Jump {
	for i := range c.Flow.Sides {
		if j := c.Flow.Sides[i].Jump; j != nil {
			return j
		}
	}
	return nil
}

// Negotiated reports whether both devices of a pair left their option on the
// handshake.
func (c *Conn) Negotiated() bool {
	client, server := c.options()
	_, syn := FindOption(client, OptionWAAS)
	_, ack := FindOption(server, OptionWAAS)
	return syn && ack
}

// Carried reports whether any payload was captured.
func (c *Conn) Carried() bool { return c.Flow.Sides[0].Bytes+c.Flow.Sides[1].Bytes > 0 }

// Legible reports whether the payload is what two hosts send each other, and
// not what lies between two optimizers.
func (c *Conn) Legible() bool {
	switch c.transport {
	case Foreign, Undecided:
		return c.familiar
	case RPC:
		// Headers that were found behind lost bytes, with most of the stream
		// between them, lie inside something else.
		return c.FromStart() || c.RPC == nil || c.RPC.Bytes.Skipped < c.RPC.Bytes.Delivered/4
	}
	return true
}

// FromStart reports whether the payload was read from its first byte on.
// What was found behind lost bytes may lie inside something else: a sealed PDU
// that DRE or LZ could not shrink stands as it was in the stream between two
// optimizers.
func (c *Conn) FromStart() bool { return c.RPC != nil && !c.late }

// HeldTwice reports whether the capture holds packets of the connection twice,
// as the same place shows them.
func (c *Conn) HeldTwice() bool {
	a, b := &c.Flow.Sides[0], &c.Flow.Sides[1]
	return a.Copies+b.Copies > a.Twins+b.Twins
}

// MAPIBound reports whether a connection carries, or asks for, EMSMDB: only such
// connections can escape, as RFR and NSPI pass through by default policy.
func (c *Conn) MAPIBound() bool {
	if c.MAPI != nil || c.shape.named() {
		return true
	}
	if c.RPC == nil {
		return false
	}
	return slices.ContainsFunc(c.RPC.Contexts, func(x dcerpc.Context) bool {
		return x.Interface.UUID == emsmdb.MDB || x.Interface.UUID == emsmdb.AsyncMDB
	})
}

// GroupID returns the id of the association group that the server granted,
// else the one that the client asked for, else 0 ([MS-RPCE] 3.3.1.5.4).
func (c *Conn) GroupID() uint32 {
	if c.RPC == nil {
		return 0
	}
	if g := c.RPC.Granted; g != nil && *g != 0 {
		return *g
	}
	if r := c.RPC.Requested; r != nil {
		return *r
	}
	return 0
}

// BindMark returns the packet of the first bind, else the first packet.
func (c *Conn) BindMark() wire.Mark {
	if c.RPC != nil && len(c.RPC.Contexts) > 0 {
		return c.RPC.Contexts[0].Mark
	}
	return c.Flow.First
}

// Remapped reports whether an endpoint mapper answer in the capture gives the
// server end point of c as a port of a SteelHead's MAPI blade.
func (d *Directory) Remapped(c *Conn) (wire.Mark, bool) {
	if p := c.Server().Port(); p != riverbedMAPI && p != riverbedNSPI {
		return wire.Mark{}, false
	}
	for _, row := range d.At(c) {
		if row.From != epm.FromBind {
			return row.Mark, true
		}
	}
	return wire.Mark{}, false
}

// The ports that a SteelHead puts into endpoint mapper answers in place of the
// server's own.
const (
	riverbedMAPI = 7830
	riverbedNSPI = 7840
)

// Segment returns the place of the connection's leg where one capture holds
// several segments of its path, Unknown where it does not.
func (c *Conn) Segment() pcaps.Point { return c.leg }
