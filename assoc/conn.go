package assoc

import (
	"bytes"
	"net/netip"

	"mapiscope/dcerpc"
	"mapiscope/dcerpc/auth"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Conn is one TCP connection with every decoder above it. It is the handler
// of its flow and of its DCE/RPC conversation.
type Conn struct {
	Flow *flows.Conn
	RPC  *dcerpc.Conn // nil: the traffic never looked like DCE/RPC
	MAPI *emsmdb.Conn // nil: no EMSMDB call was seen

	EPM EPMCounts // endpoint mapper exchanges of this connection

	// Local and Remote split the answered EMSMDB calls by the rule of a
	// single capture: an answer that came sooner than the network could carry
	// it was given by an accelerator nearby. Unjudged calls had no handshake
	// to compare with, or one too short to have a WAN in it.
	Local, Remote Answers
	Unjudged      int64
	Backward      int64 // answered calls, by the times, before they were asked: clocks of the capture differ, or were set back
	Waits         int64 // EcDoAsyncWaitEx answers, late on purpose

	// FirstAnswer is the first answered EMSMDB call.
	FirstAnswer wire.Mark

	Pipe bool // SMB that carries DCE/RPC

	leg      pcaps.Point // where its leg was captured, when one capture holds several
	copies   []*Conn     // legs that showed the same packets
	late     bool        // the first bytes that were captured are not those of its beginning
	familiar bool        // its first bytes are those of a protocol between two hosts

	transport Transport
	linker    *Linker
	place     int      // among the open connections of the linker
	pair      *pair    // nil once the connection has ended
	watched   *watched // nil: nobody watches
	sniffed   [2]bool
	searched  int    // bytes of SMB that were searched for a pipe
	early     *early // nil once the transport is known
	kdc       [2]*auth.KDCStream
	assumed   wire.UUID // what its port was announced for when it began; zero: nothing yet
	guess     wire.UUID // interface of calls whose bind was not captured
	guessed   bool
	shape     *shape // of such calls where their stubs do not tell; nil: none
}

// Answers counts calls and sums their response times, µs.
type Answers struct {
	Count int64
	Sum   int64
}

// MinWANRoundTrip is the handshake round trip, ns, from which a capture has a
// WAN in it and fast answers mean something (5 ms).
const MinWANRoundTrip = 5e6

// Transport returns what carries the connection's traffic.
func (c *Conn) Transport() Transport { return c.transport }

// Ended reports whether the connection was given up, so that nothing changes
// any more.
func (c *Conn) Ended() bool { return c.pair == nil }

// Client and Server return the two ends.
func (c *Conn) Client() netip.AddrPort { return c.end(c.Flow.Client) }

// Server returns the end that was connected to.
func (c *Conn) Server() netip.AddrPort { return c.end(c.Flow.Client.Other()) }

func (c *Conn) end(s wire.Side) netip.AddrPort {
	if s == wire.SideA {
		return c.Flow.A
	}
	return c.Flow.B
}

// Data implements flows.Handler.
func (c *Conn) Data(side wire.Side, pos int64, m wire.Mark, b []byte) {
	switch c.transport {
	case Undecided:
		c.begin(side, pos, m, b)
	case RPC:
		if !c.sniffed[side] {
			c.sniffed[side] = true
			if t := sniff(b); t == RPCHTTP {
				c.transport = t
				c.Flow.Ignore()
				return
			}
		}
		c.RPC.Data(side, pos, m, b)
		c.follow()
	case SMB:
		c.searched += len(b)
		if c.Pipe = carriesPipe(b); c.Pipe || c.searched > pipeScan {
			c.Flow.Ignore()
		}
	case KDC:
		c.kdcData(side, m, b)
	}
}

// begin takes data before the transport is known. It decides on the first
// bytes, and waits while they are too few: what a connection is does not depend
// on how its first message was cut.
func (c *Conn) begin(side wire.Side, pos int64, m wire.Mark, b []byte) {
	switch e := c.early; {
	case e != nil && e.side == side:
		e.data = append(e.data, b...)
		pos, b = e.pos, e.data
	case e != nil: // the other side answers: it saw what to make of them
		c.settle()
		c.Data(side, pos, m, b)
		return
	}
	if tooFew(b) {
		if c.early == nil {
			c.early = &early{side: side, pos: pos, data: bytes.Clone(b)}
		}
		c.early.mark = m
		return
	}
	c.early = nil
	c.decide(side, b)
	if c.transport != Undecided {
		c.Data(side, pos, m, b)
	}
}

// early are the first bytes of the side that speaks first, while they are too
// few to tell the transport from.
type early struct {
	side wire.Side
	pos  int64
	mark wire.Mark // of the latest
	data []byte
}

// settle decides on bytes that are too few, because no more come.
func (c *Conn) settle() {
	if e := c.early; e != nil {
		c.early = nil
		c.decide(e.side, e.data)
		if c.transport != Undecided {
			c.Data(e.side, e.pos, e.mark, e.data)
		}
	}
}

// decide names the transport from the first bytes of the side that speaks
// first.
func (c *Conn) decide(side wire.Side, b []byte) {
	c.serverTrip() // for connections whose own handshake was not captured
	c.transport = sniff(b)
	c.familiar = familiar(b)
	if c.transport == Undecided {
		switch {
		case c.innerChannel():
			c.transport = Foreign
		case c.hasPort(kdcPort):
			c.transport = KDC
		case (c.hasPort(smbPort) || c.hasPort(netbiosPort)) && (c.Flow.Origin != flows.Handshake || !mayBeRPC(b)):
			// Captured from its middle, or with its first message cut into
			// pieces: the pipes inside would else be taken for DCE/RPC over TCP.
			c.transport = SMB
		case c.Flow.Origin == flows.Handshake && !mayBeRPC(b):
			c.transport = Foreign
		default:
			c.transport = RPC
			c.RPC = c.newRPC()
			if c.Flow.Origin != flows.Handshake {
				c.RPC.Midstream()
				c.late = true
			}
		}
	}
	c.sniffed[side] = true
	if c.transport == Foreign || c.transport == RPCHTTP || c.transport == MAPIHTTP {
		c.Flow.Ignore()
	}
}

func (c *Conn) hasPort(port uint16) bool {
	return c.Flow.A.Port() == port || c.Flow.B.Port() == port
}

// follow takes over what the framer learned: that this is no DCE/RPC after
// all, or which side is the client.
func (c *Conn) follow() {
	if c.RPC.Verdict() == dcerpc.NotRPC {
		c.RPC.Discard()
		c.noRPC()
		c.Flow.Ignore()
		return
	}
	if !c.Flow.ClientKnown {
		if side, ok := c.RPC.Client(); ok {
			c.Flow.SetClient(side)
		}
	}
}

// noRPC says that the connection carries no DCE/RPC after all.
func (c *Conn) noRPC() {
	c.linker.account.Add(budget.Open, -dcerpc.Weight)
	c.linker.stats.UnfinishedDropped += c.RPC.Stats.UnfinishedDropped
	c.RPC, c.transport = nil, Foreign
}

// Gap implements flows.Handler.
func (c *Conn) Gap(side wire.Side, pos int64, m wire.Mark, n int64) {
	c.settle()
	switch c.transport {
	case Undecided:
		// The first bytes are lost: what follows may begin anywhere.
		if c.hasPort(smbPort) || c.hasPort(netbiosPort) {
			c.transport = SMB
			return
		}
		c.transport = RPC
		c.RPC = c.newRPC()
		c.RPC.Midstream()
		c.late = true
		c.sniffed[side] = true
		c.RPC.Gap(side, pos, m, n)
	case RPC:
		if c.MAPI != nil {
			c.MAPI.Missed()
		}
		c.RPC.Gap(side, pos, m, n)
		c.follow()
	case KDC:
		if s := c.kdc[side]; s != nil {
			s.Gap()
		}
	}
}

// End implements flows.Handler.
func (c *Conn) End(m wire.Mark) {
	c.settle()
	if c.RPC != nil {
		if c.Flow.Sides[0].Packets == 0 || c.Flow.Sides[1].Packets == 0 {
			c.RPC.OneSided()
		}
		c.RPC.End(m)
		if c.RPC.Verdict() != dcerpc.RPC {
			c.noRPC()
		}
	}
	if c.logging() {
		client, state, kind := c.Flow.Client, c.Flow.State(), "connection_end"
		if state == flows.Open || state == flows.HalfClosed || state == flows.Unanswered {
			kind = "connection_open" // the capture ends before it does
		}
		c.event(kind, m, Detail{
			State:       state.String(),
			ClientBytes: new(c.Flow.Sides[client].Bytes), ServerBytes: new(c.Flow.Sides[client.Other()].Bytes),
		})
	}
	if c.transport == Undecided {
		c.transport = Foreign
	}
	c.forgetKDC()
	c.kdc = [2]*auth.KDCStream{}
	c.linker.finished(c)
}

// optionSeen reports whether a WAN optimizer left an option on the handshake.
func (c *Conn) optionSeen() bool {
	for i := range c.Flow.Sides {
		if optimizerOption(c.Flow.Sides[i].SynOptions) {
			return true
		}
	}
	return false
}

// serverTrip returns the smallest time that the way from the capture point to
// the server and back took in a handshake between the two hosts, ns, or 0.
func (c *Conn) serverTrip() int64 {
	if far := int64(c.Flow.SynToSynAck); far > 0 && (c.pair.far == 0 || far < c.pair.far) {
		c.pair.far = far
	}
	return c.pair.far
}
