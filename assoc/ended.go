package assoc

import (
	"net/netip"
	"slices"

	"mapiscope/dcerpc"
	"mapiscope/flows"
	"mapiscope/internal/budget"
	"mapiscope/pcaps"
)

// The list of ended connections. What leaves it goes, oldest first, to
// counters; a connection whose association group still has an open member goes
// only when nothing else is left, because its group is judged by all members.

// forgotten stands for connections that left the list, where an exchange named
// them.
var forgotten = &Conn{Flow: &flows.Conn{}}

// finished files a connection that ended. Connections that carry nothing the
// report talks about are kept up to a bound of their own, because an endpoint
// mapper answer that comes later, or from another shard, may still announce
// their port.
func (l *Linker) finished(c *Conn) {
	l.account.Add(budget.Open, -c.openWeight())
	c.pair.open--
	c.pair = nil
	last := l.open[len(l.open)-1]
	l.open[c.place], last.place = last, c.place
	l.open[len(l.open)-1] = nil
	l.open = l.open[:len(l.open)-1]
	if c.MAPI != nil {
		c.MAPI.End()
	}
	l.conns = append(l.conns, c)
	l.account.Add(budget.Ended, c.endedWeight())
	if c.plain() {
		if l.kept++; l.kept > l.cfg.Kept {
			l.forgetSome((*Conn).plain, l.kept-(l.cfg.Kept-l.cfg.Kept/16))
		}
	} else if n := len(l.conns) - l.kept; n > l.cfg.Listed {
		l.forgetSome(func(c *Conn) bool { return !c.plain() }, n-(l.cfg.Listed-l.cfg.Listed/16))
	}
}

// plain reports whether a connection carries nothing that the report talks
// about.
func (c *Conn) plain() bool { return c.RPC == nil && c.transport == Foreign && !c.optionSeen() }

// forgetSome forgets the n oldest ended connections of a kind.
func (l *Linker) forgetSome(kind func(*Conn) bool, n int) {
	l.forget(true, func(c *Conn) bool {
		if n == 0 || !kind(c) {
			return false
		}
		n--
		return true
	})
}

// forget takes those ended connections from the list, oldest first, that due
// says; first those whose group has no open member, then, if all is set, the
// others.
func (l *Linker) forget(all bool, due func(*Conn) bool) {
	groups := l.openGroups()
	member := func(c *Conn) bool { return c.RPC != nil && groups[c.group()] }
	gone := make(map[*Conn]bool)
	for _, needed := range [2]bool{false, true} {
		if needed && !all {
			break
		}
		for _, c := range l.conns {
			if !gone[c] && member(c) == needed && due(c) {
				gone[c] = true
			}
		}
	}
	if len(gone) == 0 {
		return
	}
	l.conns = slices.DeleteFunc(l.conns, func(c *Conn) bool {
		if !gone[c] {
			return false
		}
		if c.plain() {
			l.kept--
		} else {
			l.unlisted.count(c)
		}
		l.stats.ConnsUnlisted++
		l.account.Add(budget.Ended, -c.endedWeight())
		return true
	})
	for i := range l.maps {
		if ex := &l.maps[i]; gone[ex.Conn] {
			ex.Conn = forgotten
		}
	}
	for i := range l.kerberos {
		if m := &l.kerberos[i]; gone[m.Conn] {
			m.Conn = forgotten
		}
	}
	l.dropEvents(func(e *Event) bool {
		if gone[e.Conn] && !e.Conn.plain() {
			l.stats.EventsDropped++
		}
		return gone[e.Conn]
	})
}

// dropEvents lets go of events.
func (l *Linker) dropEvents(which func(*Event) bool) {
	l.events = slices.DeleteFunc(l.events, func(e Event) bool {
		if !which(&e) {
			return false
		}
		l.account.Add(budget.Events, -e.weight())
		return true
	})
}

// memberOf names an association group as far as one connection tells it: two
// hosts, the port and the id.
type memberOf struct {
	point  pcaps.Point
	client netip.Addr
	server netip.AddrPort
	id     uint32
}

// group returns the association group of a connection, zero when it has none.
func (c *Conn) group() memberOf {
	if c.RPC == nil {
		return memberOf{}
	}
	id := c.GroupID()
	if id == 0 {
		return memberOf{}
	}
	return memberOf{c.Flow.Point, c.Client().Addr(), c.Server(), id}
}

// openGroups returns the association groups with an open member.
func (l *Linker) openGroups() map[memberOf]bool {
	groups := make(map[memberOf]bool)
	for _, c := range l.open {
		if g := c.group(); g != (memberOf{}) {
			groups[g] = true
		}
	}
	return groups
}

// Trim forgets the oldest of what ended, for a capture that runs for weeks: of
// ended connections the latest keep stay, and those whose association group
// has an open member; as do the latest half of Exchanges. Host pairs without
// open connections go when there are more than half of Pairs. What goes is
// counted.
func (l *Linker) Trim(keep int) {
	if n := len(l.conns) - keep; n > 0 {
		oldest := make(map[*Conn]bool, n)
		for _, c := range l.conns[:n] {
			oldest[c] = true
		}
		l.forget(false, func(c *Conn) bool { return oldest[c] })
	}
	l.dropMaps(len(l.maps) - l.cfg.Exchanges/2)
	l.dropKerberos(len(l.kerberos) - l.cfg.Exchanges/2)
	if len(l.pairs) > l.cfg.Pairs/2 {
		l.dropPairs()
	}
}

// dropMaps forgets the n oldest endpoint mapper exchanges.
func (l *Linker) dropMaps(n int) {
	if n <= 0 {
		return
	}
	for i := range l.maps[:n] {
		l.account.Add(budget.Exchanges, -l.maps[i].weight())
	}
	l.stats.ExchangesDropped += int64(n)
	l.maps = slices.Delete(l.maps, 0, n)
}

// dropKerberos forgets the n oldest Kerberos messages.
func (l *Linker) dropKerberos(n int) {
	if n <= 0 {
		return
	}
	for i := range l.kerberos[:n] {
		l.account.Add(budget.Exchanges, -l.kerberos[i].weight())
	}
	l.stats.ExchangesDropped += int64(n)
	l.kerberos = slices.Delete(l.kerberos, 0, n)
}

// dropPairs forgets the host pairs without open connections.
func (l *Linker) dropPairs() {
	for key, p := range l.pairs {
		if p.open > 0 {
			continue
		}
		if p.store != nil {
			p.store.Close()
		}
		l.stats.addStore(p.store)
		l.account.Add(budget.Shared, -pairWeight-len(p.ports)*portWeight)
		l.stats.PairsDropped++
		delete(l.pairs, key)
	}
}

// Unlisted counts connections that left the list, or never came to it, by what
// their own binds and calls say, and what the bounds cost them.
type Unlisted struct {
	RPC, EPM, MAPI, EncryptedMAPI                       int64
	Stats                                               dcerpc.Stats
	ConnectsDropped, RefusalsDropped, RequestsForgotten int64
}

func (u *Unlisted) count(c *Conn) {
	if c.MAPI != nil {
		f := c.MAPI.Figures()
		u.ConnectsDropped += f.ConnectsDropped
		u.RefusalsDropped += f.RefusalsDropped
		u.RequestsForgotten += f.RequestsForgotten
	}
	if c.RPC == nil {
		return
	}
	u.RPC++
	u.Stats.Add(&c.RPC.Stats)
	s, _ := boundService(c)
	switch {
	case s == EPM:
		u.EPM++
	case s == MAPI || s == MAPIAsync || c.MAPI != nil || c.shape.named():
		u.MAPI++
		if slices.ContainsFunc(c.RPC.Auths, func(a dcerpc.Auth) bool {
			return a.Level == dcerpc.LevelPrivacy && a.State != dcerpc.Rejected
		}) {
			u.EncryptedMAPI++
		}
	}
}

func (u *Unlisted) add(o Unlisted) {
	u.RPC += o.RPC
	u.EPM += o.EPM
	u.MAPI += o.MAPI
	u.EncryptedMAPI += o.EncryptedMAPI
	u.Stats.Add(&o.Stats)
	u.ConnectsDropped += o.ConnectsDropped
	u.RefusalsDropped += o.RefusalsDropped
	u.RequestsForgotten += o.RequestsForgotten
}
