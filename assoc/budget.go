package assoc

import (
	"cmp"
	"slices"
	"time"

	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// Weights of what a Linker keeps, bytes, with what a slice or a map that grows
// has to spare.
const (
	connWeight     = 512 // with its row in the document
	pairWeight     = 192
	portWeight     = 96
	exchangeWeight = 224
	answerWeight   = 192
	messageWeight  = 288
	shapeWeight    = 128
	eventWeight    = 608
	contextWeight  = 176 // of an event, with its text
)

// openWeight returns what an open connection takes without its tables and
// without its flow.
func (c *Conn) openWeight() int {
	n := connWeight
	if c.RPC != nil {
		n += dcerpc.Weight
	}
	if c.MAPI != nil {
		n += emsmdb.Weight
	}
	if c.shape != nil {
		n += shapeWeight
	}
	return n
}

// endedWeight returns what the record of an ended connection takes.
func (c *Conn) endedWeight() int {
	n := connWeight + flows.RecordWeight
	if c.RPC != nil {
		n += dcerpc.RecordWeight + c.RPC.Weight()
	}
	if c.MAPI != nil {
		n += emsmdb.Weight + c.MAPI.Weight()
	}
	if c.shape != nil {
		n += shapeWeight
	}
	return n
}

func (e *Exchange) weight() int {
	n := exchangeWeight + 2*cap(e.Ports) + len(e.Answers)*answerWeight
	for i := range e.Answers {
		n += len(e.Answers[i].Annotation)
	}
	return n
}

func (m *KDCMessage) weight() int { return messageWeight + m.Message.Size() }

func (e *Event) weight() int {
	d := &e.Detail
	return eventWeight + len(d.Contexts)*contextWeight + len(d.User) + len(d.Domain) + len(d.SPN) + len(d.UserDN) + len(d.Reason)
}

// relieve brings the shard back into its bounds. Kinds that hold more than
// their share give up first; then, while all together hold too much, in this
// order, until it is enough: (1) ended connections go from the list to
// counters, oldest first; (2) holes are given up, those first that hold most for
// longest; (3) PDUs and searches are given up and stubs cut, likewise;
// (4) new rows of the tables of connections are counted in sum only, which
// needs nothing done here: the account grants none; (5) the connections that
// were silent longest end. What was delivered, and the ledger, stay exact.
func (l *Linker) relieve() {
	a := l.account
	if a.Over(budget.Held) {
		l.tracker.GiveUpHoles(func() bool { return a.Eased(budget.Held) })
	}
	if a.Over(budget.Unfinished) {
		l.giveUpUnfinished(func() bool { return a.Eased(budget.Unfinished) })
	}
	if a.Over(budget.Shared) {
		l.shedShared()
	}
	if a.Over(budget.Open) {
		for !a.Eased(budget.Open) && l.tracker.Evict() {
			l.shed = l.tracker.Clock()
		}
	}
	if !a.Full() {
		return
	}
	l.stats.MemoryExceeded++
	l.forgetExcess()
	if a.Full() {
		l.tracker.GiveUpHoles(func() bool { return a.Excess() <= 0 || !a.Worth(budget.Held) })
	}
	if a.Full() {
		l.giveUpUnfinished(func() bool { return a.Excess() <= 0 || !a.Worth(budget.Unfinished) })
	}
	if a.Full() {
		for a.Excess() > a.Used(budget.Ended) && l.tracker.Evict() {
			l.shed = l.tracker.Clock()
		}
		l.forgetExcess()
	}
}

// shedTime is how long after the end of a connection for want of memory, in
// time of the capture, those without a handshake are not decoded.
const shedTime = time.Minute

// crowded reports whether a connection is better not followed: one that turns
// up in its middle while memory is short is most likely one that was ended for
// that a moment ago. To begin with it anew would end another one, and so on.
func (l *Linker) crowded(fc *flows.Conn) bool {
	return fc.Origin == flows.Midstream && l.shed != 0 && fc.First.Time-l.shed < int64(shedTime)
}

// forgetExcess forgets ended connections until the account has no excess.
func (l *Linker) forgetExcess() {
	excess := l.account.Excess()
	l.forget(true, func(c *Conn) bool {
		if excess <= 0 {
			return false
		}
		excess -= int64(c.endedWeight())
		return true
	})
}

// giveUpUnfinished lets connections give up what is not complete, those first
// that keep most for longest, until enough says so.
func (l *Linker) giveUpUnfinished(enough func() bool) {
	type holder struct {
		conn  *Conn
		toll  float64
		since wire.Mark
	}
	var all []holder
	now := l.tracker.Clock()
	for _, c := range l.open {
		n, since := c.kdcSize(), c.Flow.First
		if c.RPC != nil {
			n, since = c.RPC.Unfinished()
		}
		if n > 0 {
			all = append(all, holder{c, budget.Toll(n, now-since.Time), since})
		}
	}
	slices.SortFunc(all, func(a, b holder) int { return cmp.Or(cmp.Compare(b.toll, a.toll), ByMark(a.since, b.since)) })
	for _, h := range all {
		if enough() {
			return
		}
		if h.conn.RPC != nil {
			h.conn.RPC.GiveUp()
		} else {
			l.stats.UnfinishedDropped++
			h.conn.forgetKDC()
		}
	}
}

// shedShared forgets host pairs without open connections, then what the others
// know of each other's tables and ports, those that know most first.
func (l *Linker) shedShared() {
	l.dropPairs()
	type holder struct {
		key  pairKey
		pair *pair
	}
	all := []holder{{pair: l.spare}}
	for key, p := range l.pairs {
		all = append(all, holder{key, p})
	}
	slices.SortFunc(all, func(a, b holder) int {
		return cmp.Or(b.pair.weight()-a.pair.weight(), a.key.low.Compare(b.key.low), a.key.high.Compare(b.key.high),
			int(a.key.tap)-int(b.key.tap), a.key.leg-b.key.leg)
	})
	for _, h := range all {
		if l.account.Eased(budget.Shared) {
			return
		}
		if h.pair.store != nil {
			h.pair.store.Shed()
		}
		l.stats.PortsDropped += int64(len(h.pair.ports))
		l.account.Add(budget.Shared, -len(h.pair.ports)*portWeight)
		h.pair.ports = nil
	}
}

// weight returns what a pair knows, bytes, beside itself.
func (p *pair) weight() int {
	n := len(p.ports) * portWeight
	if p.store != nil {
		n += p.store.Weight()
	}
	return n
}
