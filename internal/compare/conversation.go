package compare

import (
	"cmp"
	"slices"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/pcaps"
)

// Conversation is one TCP connection between client and server with all its
// legs: the places where it was captured. Where a device terminates TCP its
// legs are TCP connections of their own.
type Conversation struct {
	Legs []*assoc.Conn // nearest to the client first, as far as that is known
	Pair *Pair         // what its two ends say when they were compared, else nil
}

// Conversations ties the legs of each connection together. conns are all
// connections of the job, in order; r is nil where nothing was compared. Legs
// of one capture point belong together when it showed them as segments of one
// path; legs of several when they were paired, when a packet of the handshake
// is the same, or when their ends are and nothing else between these ends
// comes into question.
func Conversations(conns []*assoc.Conn, r *Result) []*Conversation {
	t := tie{of: make(map[*assoc.Conn]*Conversation, len(conns))}
	roots := make(map[*flows.Conn]*assoc.Conn)
	for _, c := range conns {
		if root := c.Flow.Root; root != nil {
			if o := roots[root]; o != nil {
				t.join(o, c)
				continue
			}
			roots[root] = c
		}
		t.add(c)
	}
	if r != nil {
		for _, p := range r.Pairs {
			if t.of[p.Near] == nil || t.of[p.Far] == nil {
				continue // a bound let one of them go
			}
			t.join(p.Near, p.Far)
			if p.WAN != nil && t.of[p.WAN] != nil {
				t.join(p.Near, p.WAN)
			}
			t.of[p.Near].Pair = p
		}
	}
	if slices.ContainsFunc(conns, func(c *assoc.Conn) bool { return c.Flow.Tap != conns[0].Flow.Tap }) {
		t.handshakes(conns)
		t.ends(conns)
	}
	return t.settled(conns)
}

// tie is the conversations under construction. A leg belongs to one.
type tie struct{ of map[*assoc.Conn]*Conversation }

func (t *tie) add(c *assoc.Conn) *Conversation {
	if t.of[c] == nil {
		t.of[c] = &Conversation{Legs: []*assoc.Conn{c}}
	}
	return t.of[c]
}

// join makes one conversation of those of two legs.
func (t *tie) join(a, b *assoc.Conn) {
	x, y := t.add(a), t.add(b)
	if x == y {
		return
	}
	x.Legs = append(x.Legs, y.Legs...)
	if x.Pair == nil {
		x.Pair = y.Pair
	}
	for _, c := range y.Legs {
		t.of[c] = x
	}
}

// apart reports whether no leg of a conversation is at the capture point of
// another one's: one point shows a connection once.
func (t *tie) apart(a, b *assoc.Conn) bool {
	for _, c := range t.of[a].Legs {
		for _, o := range t.of[b].Legs {
			if c.Flow.Tap == o.Flow.Tap {
				return false
			}
		}
	}
	return true
}

// handshakes ties legs that show the same packet of a handshake: the same ends
// and the same number of the client or of the server, or both numbers where a
// device rewrites the ends. Both numbers that one capture point shows in two
// connections are no random ones, as of simple stacks and test programs, and tie
// nothing.
func (t *tie) handshakes(conns []*assoc.Conn) {
	type byOne struct {
		ends   tuple
		isn    uint32
		server bool
	}
	ones, both := make(map[byOne]*assoc.Conn), make(map[numbers]*assoc.Conn)
	repeated := t.repeated(conns)
	for _, c := range conns {
		client, server := &c.Flow.Sides[c.Flow.Client], &c.Flow.Sides[c.Flow.Client.Other()]
		try := func(o *assoc.Conn) bool {
			if o == nil || t.of[o] == t.of[c] || !t.apart(o, c) || tooFar(o, c) {
				return false
			}
			t.join(o, c)
			return true
		}
		if client.HasISN {
			k := byOne{tuple{c.Client(), c.Server()}, client.ISN, false}
			if !try(ones[k]) {
				ones[k] = c
			}
		}
		if server.HasISN {
			k := byOne{tuple{c.Client(), c.Server()}, server.ISN, true}
			if !try(ones[k]) {
				ones[k] = c
			}
		}
		if k, known := numbersOf(c); known && !repeated[k] {
			if !try(both[k]) {
				both[k] = c
			}
		}
	}
}

// numbers are the initial sequence numbers of a connection.
type numbers struct{ client, server uint32 }

func numbersOf(c *assoc.Conn) (n numbers, known bool) {
	client, server := &c.Flow.Sides[c.Flow.Client], &c.Flow.Sides[c.Flow.Client.Other()]
	return numbers{client.ISN, server.ISN}, client.HasISN && server.HasISN
}

// repeated returns the numbers that several connections of one capture point
// have.
func (t *tie) repeated(conns []*assoc.Conn) map[numbers]bool {
	type at struct {
		numbers
		tap pcaps.Tap
	}
	first, again := make(map[at]*assoc.Conn), make(map[numbers]bool)
	for _, c := range conns {
		n, known := numbersOf(c)
		if !known {
			continue
		}
		k := at{n, c.Flow.Tap}
		if o := first[k]; o == nil {
			first[k] = c
		} else if t.of[o] != t.of[c] {
			again[n] = true
		}
	}
	return again
}

// tooFar reports whether two legs were captured so far apart that they are two
// connections, whatever the clocks of the captures differ.
func tooFar(a, b *assoc.Conn) bool {
	const day = int64(24 * 3600e9)
	return abs(a.Flow.First.Time-b.Flow.First.Time) > day
}

// ends ties legs between the same ends that were open at the same time, where
// each of the two points shows only one leg that may be the other's.
func (t *tie) ends(conns []*assoc.Conn) {
	taps := make(map[pcaps.Tap]bool)
	for _, c := range conns {
		taps[c.Flow.Tap] = true
	}
	if len(taps) < 2 {
		return
	}
	between := make(map[tuple]*sequence)
	for _, c := range conns {
		k := tupleOf(c.Flow.A, c.Flow.B)
		if between[k] == nil {
			between[k] = new(sequence)
		}
		between[k].add(c)
	}
	only := make(map[*assoc.Conn][]*assoc.Conn) // the one of each other point that comes into question
	at := make(map[pcaps.Tap]*assoc.Conn)
	for _, c := range conns {
		legs := between[tupleOf(c.Flow.A, c.Flow.B)].next()
		if len(legs) < 2 {
			continue
		}
		clear(at)
		several := make(map[pcaps.Tap]bool)
		for _, o := range legs {
			if o == c || t.of[o] == t.of[c] || !t.apart(o, c) || !meet(o, c) {
				continue
			}
			several[o.Flow.Tap] = at[o.Flow.Tap] != nil
			at[o.Flow.Tap] = o
		}
		for _, o := range legs {
			if at[o.Flow.Tap] == o && !several[o.Flow.Tap] {
				only[c] = append(only[c], o)
			}
		}
	}
	for _, c := range conns {
		for _, o := range only[c] {
			if slices.Contains(only[o], c) && t.of[o] != t.of[c] && t.apart(o, c) {
				t.join(o, c)
			}
		}
	}
}

// maxCandidates bounds the legs between two ends that are looked at for one.
const maxCandidates = 64

// sequence is the legs between two ends in order of their first packets.
type sequence struct {
	legs  []*assoc.Conn
	until []int64 // when the last of those so far ended
	at    int
}

func (s *sequence) add(c *assoc.Conn) {
	until := c.Flow.Last.Time
	if n := len(s.until); n > 0 {
		until = max(until, s.until[n-1])
	}
	s.legs, s.until = append(s.legs, c), append(s.until, until)
}

// next goes on to the next leg and returns those that may have been open at
// its time, none where they may be more than maxCandidates.
func (s *sequence) next() []*assoc.Conn {
	c := s.legs[s.at]
	from, to := max(s.at-maxCandidates/2, 0), min(s.at+maxCandidates/2, len(s.legs))
	s.at++
	if from > 0 && s.until[from-1]+nearly >= c.Flow.First.Time || to < len(s.legs) && meet(s.legs[to], c) {
		return nil
	}
	return s.legs[from:to]
}

// meet reports whether two legs were open at the same time, or nearly.
func meet(a, b *assoc.Conn) bool {
	return a.Flow.First.Time <= b.Flow.Last.Time+nearly && b.Flow.First.Time <= a.Flow.Last.Time+nearly
}

// nearly is how far apart two legs may be that were open at the same time, ns.
const nearly = int64(1e9)

// settled returns the conversations in order of their first legs, with the
// legs of each from the client to the server.
func (t *tie) settled(conns []*assoc.Conn) []*Conversation {
	var all []*Conversation
	seen := make(map[*Conversation]bool)
	for _, c := range conns {
		if x := t.of[c]; !seen[x] {
			seen[x] = true
			all = append(all, x)
		}
	}
	for _, x := range all {
		if len(x.Legs) > 1 {
			x.sort()
		}
	}
	return all
}

// sort puts the legs in order from the client to the server: the ends that
// were paired outside, the others by place, hops and time.
func (x *Conversation) sort() {
	rank := func(c *assoc.Conn) int {
		switch {
		case x.Pair != nil && c == x.Pair.Near:
			return 0
		case x.Pair != nil && c == x.Pair.Far:
			return 9
		}
		if n := placeRank[c.Where()]; n > 0 {
			return n
		}
		return 4
	}
	slices.SortStableFunc(x.Legs, func(a, b *assoc.Conn) int {
		n, _ := Nearer(a.Flow, b.Flow)
		return cmp.Or(cmp.Compare(rank(a), rank(b)), n, byMark(a.Flow.First, b.Flow.First))
	})
}
