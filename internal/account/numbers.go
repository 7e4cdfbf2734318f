package account

import (
	"net/netip"

	"mapiscope/assoc"
	"mapiscope/internal/wire"
)

// Numbers gives each connection its number for the life of a job: from 1, in
// order of the first packet where there is one document, and as they are first
// listed where there are many. A number is never given again. It forgets what
// the latest document did not list.
type Numbers struct {
	last       int
	known, now map[connKey]int
}

// connKey recognises a connection from one document to the next: its first
// packet is never that of another one, but a packet may be on two legs.
type connKey struct {
	a, b  netip.AddrPort
	first wire.Mark
	leg   int
}

func keyOf(c *assoc.Conn) connKey {
	return connKey{c.Flow.A, c.Flow.B, c.Flow.First, c.Flow.Leg()}
}

func (n *Numbers) of(c *assoc.Conn) int {
	k := keyOf(c)
	id, ok := n.known[k]
	if !ok {
		n.last++
		id = n.last
	}
	if n.now == nil {
		n.now = make(map[connKey]int)
	}
	n.now[k] = id
	return id
}

// turn ends the list of one document.
func (n *Numbers) turn() { n.known, n.now = n.now, nil }

// Listed reports whether the latest document lists a connection.
func (n *Numbers) Listed(c *assoc.Conn) bool { return n.known[keyOf(c)] != 0 }
