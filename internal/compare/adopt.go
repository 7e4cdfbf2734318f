package compare

import (
	"cmp"
	"hash/maphash"
	"slices"

	"mapiscope/pcaps"
)

// mark is something that a leg can be recognised by; what it is made of
// depends on the rule.
type mark [2]uint64

// rule recognises legs whose ends differ between the points, because a device
// on the way rewrites addresses or ports, and those that the shard could not
// pair. ok is false for a leg that has nothing of the kind.
type rule struct {
	basis Basis
	of    func(l *leg) (m mark, ok bool)
}

// rules stand in the order of how much they prove. Those with ends in the mark
// keep connections of different clients apart.
var rules = []rule{
	{ByISN, func(l *leg) (mark, bool) {
		client, server, ok := l.isn()
		return mark{uint64(client)<<32 | uint64(server), 1}, ok
	}},
	{ByContent, func(l *leg) (mark, bool) { return mark{l.auth3, 2}, l.auth3 != 0 }},
	{ByContent, func(l *leg) (mark, bool) { // an answer holds a challenge, or at least the id of a new group
		for i := range l.binds {
			if x := &l.binds[i]; x.done != 0 {
				return mark{x.ask, x.answer}, true
			}
		}
		return mark{}, false
	}},
	{ByContent, func(l *leg) (mark, bool) {
		for i := range l.binds {
			if x := &l.binds[i]; x.token {
				return mark{x.ask, 3}, true
			}
		}
		return mark{}, false
	}},
	{ByContent, func(l *leg) (mark, bool) { // the same two beginnings
		c, s := l.client(), l.server()
		if c.opened < 16 || s.opened < 16 {
			return mark{}, false
		}
		return mark{maphash.Bytes(l.shard.job.seed, c.opening[:c.opened]), maphash.Bytes(l.shard.job.seed, s.opening[:s.opened])}, true
	}},
	{ByOrder, func(l *leg) (mark, bool) { return l.shard.markOf(l.ends), true }},
	{ByOrder, func(l *leg) (mark, bool) { // the same hosts, and the same first bind: a device rewrote the port
		if len(l.binds) == 0 {
			return mark{}, false
		}
		hosts := l.shard.markOf(tuple{l.conn.Client(), l.conn.Server()}.withoutPorts())
		return mark{hosts[0] ^ l.binds[0].ask, 5}, true
	}},
}

func (t tuple) withoutPorts() tuple {
	return tuple{portless(t.low), portless(t.high)}
}

// adopt pairs the legs that are left, rule by rule, in the order in which they
// were captured.
func (j *Job) adopt() {
	left := j.left()
	for _, r := range rules {
		waiting := make(map[mark][]*leg)
		for _, l := range left {
			m, ok := r.of(l)
			if !ok || l.pair != nil {
				continue
			}
			if o := partner(l, waiting[m], r.basis); o != nil {
				waiting[m] = remove(waiting[m], o)
				l.shard.unite(l, o, r.basis)
				continue
			}
			waiting[m] = append(waiting[m], l)
		}
	}
}

// partner picks the first of the waiting legs that may be the other end of l.
func partner(l *leg, waiting []*leg, basis Basis) *leg {
	for _, o := range waiting {
		if l.mayPair(o) && (basis != ByOrder || plausible(l, o)) {
			return o
		}
	}
	return nil
}

// left returns the legs without a partner in order of their first packets.
func (j *Job) left() []*leg {
	var left []*leg
	for _, s := range j.shards {
		for _, l := range s.legs {
			if l.pair == nil {
				left = append(left, l)
			}
		}
	}
	slices.SortFunc(left, func(a, b *leg) int {
		x, y := a.conn.Flow.First, b.conn.Flow.First
		return cmp.Or(cmp.Compare(x.Time, y.Time), cmp.Compare(x.Capture, y.Capture), cmp.Compare(x.Packet, y.Packet))
	})
	return left
}

// plausible reports whether nothing tells against two legs being one
// connection: streams that both captures have whole and that begin alike, or
// that cannot be compared.
func plausible(a, b *leg) bool {
	if a.conn.Flow.Point == pcaps.WAN || b.conn.Flow.Point == pcaps.WAN {
		return true // an optimized connection is unreadable there
	}
	if a.conn.Transport() != b.conn.Transport() {
		return false
	}
	same, known := sameOpening(a.client(), b.client())
	return same || !known
}
