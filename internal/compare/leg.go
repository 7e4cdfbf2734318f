package compare

import (
	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/wire"
)

// leg is one connection as one of the two points saw it. It is the observer of
// its connection.
type leg struct {
	shard     *Shard
	conn      *assoc.Conn
	ends      tuple
	streams   [2]stream // by side of the flow
	pair      *Pair
	sought    uint8 // how far the search for a partner has come
	ended     bool
	heldHere  int  // what it counts for in Shard.held
	forgotten bool // a bound dropped its calls

	open     []*call // without an answer yet
	loose    []*call // without a counterpart at the other point, in order
	answered int64   // calls that were answered, EcDoAsyncWaitEx apart
	dropped  int64   // calls that a bound let go
	clock    int64   // latest time of a call, ns

	binds []exchange // the first binds and alter_contexts with their answers
	auth3 uint64     // digest of the first auth3
}

// exchange is a bind or alter_context with its answer.
type exchange struct {
	callID      uint32
	ask, answer uint64 // digests
	asked, done int64  // ns; done 0: not answered
	token       bool   // it carries a token, which no other connection has
	used        bool   // its counterpart was found
}

// maxBinds bounds the exchanges that are kept; a multi-leg authentication has
// a handful.
const maxBinds = 8

// Data implements assoc.Observer.
func (l *leg) Data(side wire.Side, pos int64, b []byte) {
	s := &l.streams[side]
	s.write(pos, b)
	if l.pair == nil {
		l.shard.seek(l)
	}
	if l.pair != nil {
		l.pair.compareStream(l, side)
	}
}

// Gap implements assoc.Observer.
func (l *leg) Gap(side wire.Side, pos, n int64) {
	l.streams[side].gap(n)
	if l.pair != nil {
		l.pair.compareStream(l, side)
	}
}

// Event implements assoc.Observer.
func (l *leg) Event(e *dcerpc.Event, digest uint64) {
	switch e.Kind {
	case "bind", "alter_context":
		if len(l.binds) < maxBinds {
			l.binds = append(l.binds, exchange{callID: e.CallID, ask: digest, asked: e.Mark.Time, token: e.Auth != nil})
		}
	case "bind_ack", "alter_context_resp":
		for i := range l.binds {
			if x := &l.binds[i]; x.done == 0 && x.callID == e.CallID {
				x.answer, x.done = digest, e.Mark.Time
				break
			}
		}
	case "auth3":
		if l.auth3 == 0 {
			l.auth3 = digest
		}
		return
	default:
		return
	}
	if l.pair != nil {
		l.pair.bound()
	}
}

// Asked implements assoc.Observer.
func (l *leg) Asked(in *dcerpc.Call, iface wire.UUID, d emsmdb.Digest) {
	if iface == emsmdb.AsyncMDB {
		return // answered late on purpose
	}
	l.clock = max(l.clock, in.Request.Last.Time)
	if len(l.loose) >= maxLoose && !l.settleOldest() {
		l.dropped++
		return
	}
	c := l.shard.take()
	c.id, c.asked, c.ask = in.ID, in.Request.Last.Time, in.Request.Digest
	c.sealed, c.reads, c.writes = in.Request.Sealed, d.Reads, d.Writes
	c.certain = !iface.IsZero() && (iface != emsmdb.MDB || !executes(in.Opnum))
	c.key, c.leg = keyOf(in, d), l
	l.open = append(l.open, c)
	l.loose = append(l.loose, c)
	if l.pair != nil {
		l.pair.asked(l, c)
	}
}

// settleOldest makes room for one more call.
func (l *leg) settleOldest() bool { return l.pair != nil && l.pair.settleOldest(l) }

// executes reports whether an opnum of EMSMDB carries ROPs: EcDoRpc,
// EcDoRpcExt and EcDoRpcExt2 ([MS-OXCRPC] 3.1.4). Only these can be answered
// on behalf of the server; all others make or end something there.
func executes(opnum uint16) bool { return opnum == 2 || opnum == 9 || opnum == 11 }

// find takes the open call with an id out of the table.
func (l *leg) find(id uint32) *call {
	for i := len(l.open) - 1; i >= 0; i-- {
		if c := l.open[i]; c.id == id {
			l.open = append(l.open[:i], l.open[i+1:]...)
			return c
		}
	}
	return nil
}

// Answered implements assoc.Observer.
func (l *leg) Answered(in *dcerpc.Call, data int64) {
	l.clock = max(l.clock, in.Response.First.Time)
	c := l.find(in.ID)
	if c == nil {
		return
	}
	l.answered++
	c.state, c.done, c.answer, c.data = answered, in.Response.First.Time, in.Response.Digest, data
	if l.pair != nil {
		l.pair.answered(l, c)
	}
}

// Lost implements assoc.Observer.
func (l *leg) Lost(in *dcerpc.Call) {
	if c := l.find(in.ID); c != nil {
		c.state, c.done = unanswered, never
		if l.pair != nil {
			l.pair.answered(l, c)
		}
	}
}

// End implements assoc.Observer.
func (l *leg) End() {
	l.ended = true
	if l.pair == nil {
		l.shard.seek(l)
	}
	if l.pair != nil {
		l.pair.ended()
		return
	}
	l.shard.hold(l)
}

// client returns the stream of the client.
func (l *leg) client() *stream { return &l.streams[l.conn.Flow.Client] }

// server returns the stream of the server.
func (l *leg) server() *stream { return &l.streams[l.conn.Flow.Client.Other()] }

// clientStats and serverStats return what the two ends sent.
func (l *leg) clientStats() *flows.SideStats { return &l.conn.Flow.Sides[l.conn.Flow.Client] }

func (l *leg) serverStats() *flows.SideStats { return &l.conn.Flow.Sides[l.conn.Flow.Client.Other()] }

// isn returns the initial sequence numbers of client and server; ok is false
// where one was not captured.
func (l *leg) isn() (client, server uint32, ok bool) {
	c, s := l.clientStats(), l.serverStats()
	return c.ISN, s.ISN, c.HasISN && s.HasISN
}

// release drops what a leg remembers for comparing.
func (l *leg) release() {
	for _, c := range l.loose {
		l.shard.give(c)
	}
	l.open, l.loose = nil, nil
	for i := range l.streams {
		l.streams[i].drop()
	}
}
