package assoc

import (
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// Watcher follows connections more closely than their counters do: a
// comparison of capture points needs what the report of one capture does not.
// All calls come from the goroutine of the Linker.
type Watcher interface {
	// Open is called at the first packet of a connection; nil watches nothing.
	Open(c *Conn) Observer
	// Hash returns a digest of bytes, the same for the same bytes in the whole
	// job.
	Hash(b []byte) uint64
}

// Observer takes the streams and calls of one connection, each before or right
// after the connection itself took it. What it is given is valid during the
// call only.
type Observer interface {
	Data(side wire.Side, pos int64, b []byte)
	Gap(side wire.Side, pos, n int64)
	// Asked comes with a whole request. iface is zero when it is not known;
	// the digest is empty for what is no EMSMDB call with ROPs.
	Asked(call *dcerpc.Call, iface wire.UUID, d emsmdb.Digest)
	// Answered comes with a whole response or fault. data counts the bytes of
	// streams and FastTransfers in it.
	Answered(call *dcerpc.Call, data int64)
	// Lost says that a call will have no answer.
	Lost(call *dcerpc.Call)
	// Event comes for every other PDU, with its digest.
	Event(e *dcerpc.Event, digest uint64)
	// End comes once, after everything else.
	End()
}

// watched stands between a connection and what feeds it, and lets an Observer
// see the same.
type watched struct {
	*Conn
	observer Observer
}

// Copies returns the connections that showed the same packets at the same
// point and were folded into this one.
func (c *Conn) Copies() []*Conn { return c.copies }

// watch returns what is to handle the flow of a new connection.
func (c *Conn) watch() flows.Handler {
	if w := c.linker.cfg.Watch; w != nil {
		if o := w.Open(c); o != nil {
			c.watched = &watched{c, o}
			return c.watched
		}
	}
	return c
}

// newRPC starts the decoder of the connection's DCE/RPC conversation.
func (c *Conn) newRPC() *dcerpc.Conn {
	c.linker.account.Add(budget.Open, dcerpc.Weight)
	if c.watched == nil {
		return c.linker.rpc.NewConn(c)
	}
	r := c.linker.rpc.NewConn(c.watched)
	r.Hash = c.linker.cfg.Watch.Hash
	return r
}

func (w *watched) Data(side wire.Side, pos int64, m wire.Mark, b []byte) {
	w.observer.Data(side, pos, b)
	w.Conn.Data(side, pos, m, b)
}

func (w *watched) Gap(side wire.Side, pos int64, m wire.Mark, n int64) {
	w.observer.Gap(side, pos, n)
	w.Conn.Gap(side, pos, m, n)
}

func (w *watched) End(m wire.Mark) {
	w.Conn.End(m)
	w.Conn.watched = nil
	w.observer.End()
}

func (w *watched) Request(call *dcerpc.Call, stub []byte) {
	w.Conn.Request(call, stub)
	var d emsmdb.Digest
	if p, ok := call.Data.(*emsmdb.Pending); ok {
		d = p.Digest()
	}
	iface, _ := w.interfaceOf(call)
	w.observer.Asked(call, iface, d)
}

func (w *watched) Response(call *dcerpc.Call, stub []byte) {
	before := w.delivered()
	w.Conn.Response(call, stub)
	w.observer.Answered(call, w.delivered()-before)
}

// delivered counts the bytes of streams and FastTransfers so far.
func (c *Conn) delivered() int64 {
	if c.MAPI == nil {
		return 0
	}
	return c.MAPI.Figures().Delivered()
}

func (w *watched) Lost(call *dcerpc.Call) {
	w.observer.Lost(call)
	w.Conn.Lost(call)
}

func (w *watched) Event(e *dcerpc.Event) {
	w.observer.Event(e, w.RPC.Digest())
	w.Conn.Event(e)
}
