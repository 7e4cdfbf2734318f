package flows

import (
	"math/bits"
	"math/rand/v2"
	"net/netip"

	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// table finds the open connections of a shard by their ends, capture point and
// leg. Chains of equal hash run through the connections, so that a look-up
// reads little but the connection itself, and entering one allocates nothing.
type table struct {
	chains []*Conn // as many as a power of two
	n      int
	seed   [2]uint64 // of this process: nobody can choose ends that share a chain
}

// tableSize is how many chains an empty table has.
const tableSize = 64

func newTable() table {
	return table{chains: make([]*Conn, tableSize), seed: [2]uint64{rand.Uint64(), rand.Uint64()}}
}

// hash is the same for both directions.
func (t *table) hash(a, b netip.AddrPort) uint64 { return t.end(a) + t.end(b) }

func (t *table) end(p netip.AddrPort) uint64 {
	addr := p.Addr().As16()
	hi, lo := bits.Mul64(
		wire.LittleEndian.Uint64(addr[:])^t.seed[0],
		wire.LittleEndian.Uint64(addr[8:])^bits.RotateLeft64(uint64(p.Port()), 40)^t.seed[1])
	return hi ^ lo
}

// find returns the connection with a hash between two ends, nil when there is
// none.
func (t *table) find(hash uint64, src, dst netip.AddrPort, tap pcaps.Tap, leg uint8) *Conn {
	for c := t.chains[hash&uint64(len(t.chains)-1)]; c != nil; c = c.chain {
		if c.hash == hash && c.leg == leg && c.Tap == tap && (c.A == src && c.B == dst || c.A == dst && c.B == src) {
			return c
		}
	}
	return nil
}

// enter adds a connection, whose hash is set.
func (t *table) enter(c *Conn) {
	if t.n == len(t.chains) {
		old := t.chains
		t.chains = make([]*Conn, 2*len(old))
		for _, c := range old {
			for c != nil {
				next := c.chain
				t.link(c)
				c = next
			}
		}
	}
	t.n++
	t.link(c)
}

func (t *table) link(c *Conn) {
	at := &t.chains[c.hash&uint64(len(t.chains)-1)]
	c.chain, *at = *at, c
}

// remove takes a connection out.
func (t *table) remove(c *Conn) {
	at := &t.chains[c.hash&uint64(len(t.chains)-1)]
	for *at != c {
		at = &(*at).chain
	}
	*at, c.chain = c.chain, nil
	t.n--
}

// all returns the connections in no order.
func (t *table) all() []*Conn {
	all := make([]*Conn, 0, t.n)
	for _, c := range t.chains {
		for ; c != nil; c = c.chain {
			all = append(all, c)
		}
	}
	return all
}
