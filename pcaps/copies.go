package pcaps

import "time"

// copies remembers what a tap showed of late, to tell the copies that other
// interfaces show. Each interface shows a packet once; what comes again from
// the same one is another packet.
type copies struct {
	ring  [copiesKept]shown
	n     int              // shown so far
	index map[uint64]int64 // fingerprint to the latest in the ring, as its number
}

type shown struct {
	fingerprint
	at   int64  // by the clock of the tap
	by   uint64 // interfaces that showed it, by bit
	prev int64  // number of the one before with the same fingerprint, -1 for none
}

// A copy is looked for among the latest copiesKept packets of its tap and among
// copiesTried with the same bytes, and comes at most copySpan away from where
// the spacing of the two interfaces puts it: a retransmission of the same
// bytes waits longer.
const (
	copiesKept  = 1 << 13
	copiesTried = 16
	copySpan    = int64(100 * time.Millisecond)
)

func newCopies() *copies { return &copies{index: make(map[uint64]int64, copiesKept)} }

// show enters a packet of an interface. It reports whether another one showed
// it before, and then by how much it came later than the clocks let expect.
func (c *copies) show(f *fingerprint, at int64, bit uint8) (copied bool, drift int64) {
	latest, found := c.index[f.head]
	if !found {
		latest = -1
	}
	var first *shown
	for n, tries := latest, 0; n >= 0 && n > int64(c.n)-copiesKept-1 && tries < copiesTried; tries++ {
		e := &c.ring[n%copiesKept]
		if e.head != f.head {
			break // its place was taken since
		}
		if d := at - e.at; e.by&(1<<bit) == 0 && d <= copySpan && d >= -copySpan && e.same(f) {
			first = e
		}
		n = e.prev
	}
	if first != nil {
		first.by |= 1 << bit
		return true, at - first.at
	}
	slot := &c.ring[c.n%copiesKept]
	if old := int64(c.n - copiesKept); old >= 0 && c.index[slot.head] == old {
		delete(c.index, slot.head)
	}
	*slot = shown{*f, at, 1 << bit, latest}
	c.index[f.head] = int64(c.n)
	c.n++
	return false, 0
}

// recent remembers packets that were given out shortly before an interface
// may begin.
type recent struct {
	on   bool
	from int64 // all since then are remembered
	ring [recentKept]remembered
	n    int
}

type remembered struct {
	fingerprint
	at int64
	st *strand
}

const recentKept = 256

func (r *recent) add(f fingerprint, at int64, st *strand) {
	if !r.on {
		r.on, r.n, r.from = true, 0, at
	}
	e := &r.ring[r.n%recentKept]
	if r.n >= recentKept {
		r.from = e.at
	}
	*e = remembered{f, at, st}
	r.n++
}

// each calls f for all that is remembered, the oldest first.
func (r *recent) each(f func(*remembered)) {
	if !r.on {
		return
	}
	for i := max(r.n-recentKept, 0); i < r.n; i++ {
		f(&r.ring[i%recentKept])
	}
}

// replay shows a tap what it showed of late.
func (r *recent) replay(t *point) {
	r.each(func(e *remembered) {
		if e.st.tap == t.tap && e.ok {
			t.copies.show(&e.fingerprint, e.at-e.st.ahead, e.st.bit)
		}
	})
}
