package epm

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"

	"mapiscope/internal/wire"
)

// Answer is one place of an interface and how it was learned.
type Answer struct {
	Server       netip.Addr // the host that answered, or that accepted the bind
	Client       netip.Addr // the host that asked
	Address      netip.Addr // what the tower said: may be invalid, 0.0.0.0, or another interface of the server
	Port         uint16
	Interface    wire.UUID
	Major, Minor uint16
	Annotation   string
	From         string // "ept_map", "ept_lookup" or "bind"
	Mark         wire.Mark
}

// Entry is a row of a Ledger: the first answer and how often it came.
type Entry struct {
	Answer
	Count int64
}

// maxEntries bounds a Ledger. A domain controller registers a few hundred.
const maxEntries = 100_000

// Ledger collects answers: one Entry for each server, port, interface and
// version. The zero value is ready.
type Ledger struct {
	entries map[ledgerKey]*Entry
	ports   map[netip.AddrPort][]*Entry
	dropped int64
}

type ledgerKey struct {
	server       netip.Addr
	port         uint16
	id           wire.UUID
	major, minor uint16
}

// Add learns an answer. What a row learned first stands, an annotation that
// comes later is added. Once 100,000 rows are filled, new ones are counted in
// Dropped and forgotten.
func (l *Ledger) Add(a Answer) {
	if l.entries == nil {
		l.entries = make(map[ledgerKey]*Entry)
		l.ports = make(map[netip.AddrPort][]*Entry)
	}
	key := ledgerKey{a.Server, a.Port, a.Interface, a.Major, a.Minor}
	e := l.entries[key]
	if e == nil {
		if len(l.entries) >= maxEntries {
			l.dropped++
			return
		}
		e = &Entry{Answer: a}
		l.entries[key] = e
	}
	e.Count++
	if e.Annotation == "" {
		e.Annotation = a.Annotation
	}
	l.index(a.Server, e)
	if a.Address.IsValid() && !a.Address.IsUnspecified() {
		l.index(a.Address, e)
	}
}

// maxPerPort bounds the rows of one end point.
const maxPerPort = 1024

func (l *Ledger) index(at netip.Addr, e *Entry) {
	p := netip.AddrPortFrom(at, e.Port)
	if row := l.ports[p]; len(row) < maxPerPort && !slices.Contains(row, e) {
		l.ports[p] = append(row, e)
	}
}

// Lookup returns what is known to live at an end point, in order of learning:
// the rows whose server answered from this address or whose tower named it.
// The slice belongs to the Ledger.
func (l *Ledger) Lookup(server netip.Addr, port uint16) []*Entry {
	return l.ports[netip.AddrPortFrom(server, port)]
}

// Dropped returns how many answers found no room.
func (l *Ledger) Dropped() int64 { return l.dropped }

// All returns all rows by server, port, interface and version.
func (l *Ledger) All() []*Entry {
	all := make([]*Entry, 0, len(l.entries))
	for _, e := range l.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Entry) int {
		return cmp.Or(
			a.Server.Compare(b.Server), cmp.Compare(a.Port, b.Port), bytes.Compare(a.Interface[:], b.Interface[:]),
			cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor),
		)
	})
	return all
}
