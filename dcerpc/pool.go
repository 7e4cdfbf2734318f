package dcerpc

// live is what an open connection needs and an ended one does not.
type live struct {
	pool    *Pool
	handler Handler
	framers [2]framer
	offered struct { // the latest bind or alter_context
		open   bool // it was not answered yet
		callID uint32
		rows   []int
	}
	partial    [2]partialBind
	open       int              // calls under way
	oldest     *Call            // of them
	newest     *Call            // likewise
	index      map[uint32]*Call // of them by id, nil while there are few
	spare      []*Call          // finished calls, to be used again
	stubBytes  int              // in the stubs of calls
	unfinished int              // charged to the budget for what is not complete
	operation  map[opKey]*Operation
	others     Operation // what found no room in Ops
	digest     uint64    // of the PDU that is being handled
}

// Pool makes the Conns of one shard, with the same limits, and uses again what
// only open ones need. It belongs to one goroutine, as its Conns do.
type Pool struct {
	limits Limits
	spare  []*live
}

// maxSpareConns bounds what a Pool keeps for reuse.
const maxSpareConns = 256

// NewPool returns an empty Pool.
func NewPool(l Limits) *Pool { return &Pool{limits: l} }

// NewConn returns a Conn for a connection whose first bytes were captured.
func (p *Pool) NewConn(h Handler) *Conn {
	c := &Conn{limits: &p.limits}
	if n := len(p.spare) - 1; n >= 0 {
		c.live, p.spare = p.spare[n], p.spare[:n]
	} else {
		c.live = &live{pool: p}
	}
	c.handler = h
	c.charge(callWeight * len(c.live.spare))
	return c
}

// give takes back the live part of a Conn that has ended.
func (p *Pool) give(l *live) {
	if len(p.spare) >= maxSpareConns {
		return
	}
	*l = live{pool: p, spare: l.spare}
	p.spare = append(p.spare, l)
}
