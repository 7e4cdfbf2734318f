package pcaptest

import (
	"bytes"
	"net/netip"
	"time"
)

// Side is an end of a connection.
type Side uint8

// The two sides.
const (
	Client Side = iota // opened the connection
	Server
)

// Other returns the opposite side.
func (s Side) Other() Side { return s ^ 1 }

// Flags are the control bits of a TCP segment.
type Flags byte

// Control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Conn is a TCP connection of a scene. Its methods capture packets, let the
// clock of the scene run on and return the connection.
type Conn struct {
	s       *Scene
	t       *traits
	ends    [2]end
	drop    int
	reorder bool
	last    segment // with data
}

// end is the state of one side.
type end struct {
	addr netip.AddrPort
	next uint32 // sequence number of its next byte
	acks uint32 // what it acknowledges
	sent []byte // of its last write
}

type segment struct {
	side    Side
	seq     uint32
	payload []byte
	flags   Flags
}

// Dial opens a connection between two addresses with ports, IPv4 or IPv6.
func (s *Scene) Dial(client, server string, options ...Option) *Conn {
	t := newTraits(options)
	c := &Conn{s: s, t: t}
	for side, addr := range [...]string{client, server} {
		e := &c.ends[side]
		e.addr = netip.MustParseAddrPort(addr)
		e.next, e.acks = t.isn[side]+1, t.isn[side^1]+1
	}
	if t.mss == 0 {
		t.mss = 1460
		if c.ends[Client].addr.Addr().Is6() {
			t.mss = 1440
		}
	}
	if t.handshake {
		mss := be.AppendUint16([]byte{2, 4}, uint16(min(t.mss, 1460)))
		c.raw(Client, t.isn[Client], 0, SYN, append(bytes.Clone(mss), t.synOptions...), nil)
		c.answer(Client)
		c.raw(Server, t.isn[Server], t.isn[Client]+1, SYN|ACK, append(mss, t.synAckOptions...), nil)
		c.answer(Server)
	}
	for side := range c.ends {
		c.ends[side].next += t.jump
		c.ends[side].acks += t.jump
	}
	if t.handshake {
		client := &c.ends[Client]
		c.raw(Client, client.next, client.acks, ACK, append(bytes.Clone(t.ackOptions), t.options...), nil)
	}
	return c
}

// answer lets the time pass until the other side answers what a side sent.
func (c *Conn) answer(to Side) {
	if to == c.t.near {
		c.s.Sleep(c.t.rtt)
	}
}

// acknowledged lets the time pass until data of a side is acknowledged.
func (c *Conn) acknowledged(of Side) {
	if c.t.split && of == c.t.near {
		c.s.Sleep(c.t.ackDelay)
		return
	}
	c.answer(of)
}

// UDP captures a datagram.
func (s *Scene) UDP(src, dst string, payload []byte, options ...Option) *Scene {
	t := newTraits(options)
	a, b := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	s.send(t, Client, a.Addr(), b.Addr(), protoUDP, udpDatagram(a, b, payload))
	return s
}

// send captures an IP packet or its fragments.
func (s *Scene) send(t *traits, from Side, src, dst netip.Addr, proto byte, payload []byte) {
	s.ipID++
	for _, t := range append([]*traits{t}, t.again...) {
		e := t.encap
		e.srcMAC, e.dstMAC, e.lag = t.mac[from], t.mac[from.Other()], t.lag[from]
		e.from = from
		for _, ip := range e.ipPackets(src, dst, proto, t.ttl[from], s.ipID, payload) {
			s.emit(&e, ip)
		}
	}
}

// raw captures one segment as it is, unless its side is not seen.
func (c *Conn) raw(from Side, seq, ack uint32, flags Flags, options, payload []byte) {
	if c.t.oneWay && c.t.seen != from {
		return
	}
	src, dst := c.ends[from].addr, c.ends[from.Other()].addr
	seg := tcpSegment(src, dst, seq, ack, flags, c.t.window, options, payload)
	c.s.send(c.t, from, src.Addr(), dst.Addr(), protoTCP, seg)
}

// put captures a segment with the state of its side.
func (c *Conn) put(seg segment) {
	c.raw(seg.side, seg.seq, c.ends[seg.side].acks, seg.flags, c.t.options, seg.payload)
}

// Client sends data from the client, Server from the server. Each payload is
// a write of its own, cut into segments; the other side acknowledges.
func (c *Conn) Client(payloads ...[]byte) *Conn { return c.write(Client, payloads) }

// Server sends data from the server.
func (c *Conn) Server(payloads ...[]byte) *Conn { return c.write(Server, payloads) }

func (c *Conn) write(side Side, payloads [][]byte) *Conn {
	e := &c.ends[side]
	var segs []segment
	for _, p := range payloads {
		e.sent = p
		for len(p) > 0 {
			n := min(len(p), c.t.mss)
			seg := segment{side, e.next, p[:n], ACK}
			if p = p[n:]; len(p) == 0 {
				seg.flags |= PSH
			}
			e.next += uint32(n)
			segs = append(segs, seg)
		}
	}
	if c.reorder && len(segs) > 1 {
		segs[0], segs[1] = segs[1], segs[0]
		c.reorder = false
	}
	for i, seg := range segs {
		c.last = seg
		if c.drop > 0 {
			c.drop--
			c.s.Sleep(step)
		} else {
			c.put(seg)
		}
		if c.t.ackEvery == 0 {
			continue
		}
		if i+1 == len(segs) {
			c.acknowledged(side)
			c.Ack(side.Other())
		} else if (i+1)%c.t.ackEvery == 0 {
			c.ends[side.Other()].acks = segs[i+1].seq
			c.put(segment{side.Other(), c.ends[side.Other()].next, nil, ACK})
		}
	}
	return c
}

// Ack captures an empty segment that acknowledges all that a side got.
func (c *Conn) Ack(from Side) *Conn {
	c.ends[from].acks = c.ends[from.Other()].next
	c.put(segment{from, c.ends[from].next, nil, ACK})
	return c
}

// Drop keeps the next n data segments out of the capture. The other side
// got them and acknowledges.
func (c *Conn) Drop(n int) *Conn { c.drop += n; return c }

// Reorder swaps the first two segments of the next write that has two.
func (c *Conn) Reorder() *Conn { c.reorder = true; return c }

// Retransmit captures the last data segment once more, also if it was
// dropped.
func (c *Conn) Retransmit() *Conn { c.put(c.last); return c }

// Overlap sends data whose first n bytes repeat the last n bytes that the
// side sent.
func (c *Conn) Overlap(side Side, n int, payload []byte) *Conn {
	e := &c.ends[side]
	if n > len(e.sent) {
		panic("pcaptest: an overlap over more than the last write")
	}
	again := append(bytes.Clone(e.sent[len(e.sent)-n:]), payload...)
	c.Segment(side, -n, again, PSH|ACK)
	e.sent = payload
	return c.Ack(side.Other())
}

// KeepAlive repeats the last byte of a side, of which the other side has
// acknowledged already, and the answer to it.
func (c *Conn) KeepAlive(side Side) *Conn {
	e := &c.ends[side]
	old := byte(0)
	if len(e.sent) > 0 {
		old = e.sent[len(e.sent)-1]
	}
	c.put(segment{side, e.next - 1, []byte{old}, ACK})
	c.answer(side)
	return c.Ack(side.Other())
}

// Segment captures one segment. Its first byte is offset bytes after the
// next one of the side, a negative offset repeats old ones. The state of the
// side moves to the end of the segment where that is new. SYN is not
// counted, FIN is. No acknowledgement follows.
func (c *Conn) Segment(side Side, offset int, payload []byte, flags Flags) *Conn {
	e := &c.ends[side]
	seg := segment{side, e.next + uint32(int32(offset)), payload, flags}
	c.put(seg)
	end := seg.seq + uint32(len(payload))
	if flags&FIN != 0 {
		end++
	}
	if int32(end-e.next) > 0 {
		e.next = end
	}
	if len(payload) > 0 {
		c.last = seg
	}
	return c
}

// Close ends the connection: FIN from the client, FIN from the server, both
// acknowledged.
func (c *Conn) Close() *Conn { return c.HalfClose(Client).HalfClose(Server) }

// HalfClose sends FIN from a side, which the other acknowledges.
func (c *Conn) HalfClose(side Side) *Conn {
	c.Segment(side, 0, nil, FIN|ACK)
	c.answer(side)
	return c.Ack(side.Other())
}

// Reset ends the connection with RST from a side.
func (c *Conn) Reset(side Side) *Conn { return c.Segment(side, 0, nil, RST|ACK) }

// At sets the clock of the scene to a time after its start.
func (c *Conn) At(d time.Duration) *Conn { c.s.At(d); return c }

// Sleep lets time pass.
func (c *Conn) Sleep(d time.Duration) *Conn { c.s.Sleep(d); return c }

// Scene returns the scene.
func (c *Conn) Scene() *Scene { return c.s }
