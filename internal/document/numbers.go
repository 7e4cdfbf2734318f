package document

import (
	"net/netip"

	"mapiscope/assoc"
	"mapiscope/internal/wire"
)

// Numbers gives each connection and group its number for the life of a job:
// from 1, in order of the first packet where there is one document, and as they
// are first listed where there are many. A number is never given again. It
// forgets what the latest document did not list.
type Numbers struct {
	last       int
	known, now map[connKey]int

	lastGroup          int
	groupOf, groupsNow map[int]int // number of a group, by that of a member
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

// group numbers a group by those of its members: it keeps the number that one
// of them had, unless another group of this document took it.
func (n *Numbers) group(members []int, taken map[int]bool) int {
	number := 0
	for _, id := range members {
		if g := n.groupOf[id]; g != 0 && !taken[g] {
			number = g
			break
		}
	}
	if number == 0 {
		n.lastGroup++
		number = n.lastGroup
	}
	taken[number] = true
	if n.groupsNow == nil {
		n.groupsNow = make(map[int]int)
	}
	for _, id := range members {
		n.groupsNow[id] = number
	}
	return number
}

// turn ends the list of one document.
func (n *Numbers) turn() {
	n.known, n.now = n.now, nil
	n.groupOf, n.groupsNow = n.groupsNow, nil
}

// Listed reports whether the latest document lists a connection.
func (n *Numbers) Listed(c *assoc.Conn) bool { return n.known[keyOf(c)] != 0 }
