package live

import (
	"slices"

	"mapiscope/internal/account"
	"mapiscope/internal/hist"
)

// Batch is what became final between two documents of a live job. Connections
// and groups have numbers that mean the same thing in all batches.
type Batch struct {
	Status Status
	// Doc is the whole document, with these numbers. Its events are those that
	// were in no batch before.
	Doc *account.Document
	// New lists parts of Doc that were in no batch before: connections that
	// ended, groups whose connections all ended, endpoints and KRB-ERRORs that
	// came up, findings that name something that they did not name before.
	Connections []*account.Connection
	Groups      []*account.AssociationGroup
	Endpoints   []*account.Endpoint
	Kerberos    []*account.KerberosError
	Findings    []*account.Finding
	// Final says that this is the last batch: connections that are still open
	// are in Connections, and all findings in Findings.
	Final bool
}

// register remembers what documents of one job were about, by names that hold
// from one to the next. It forgets what the latest document does not list, so
// it is bounded as that is.
type register struct {
	conns     map[string]*connection // by uid
	groups    map[int]*group         // by number
	endpoints map[endpointKey]bool
	kerberos  map[account.PacketRef]bool
	findings  map[string]bool // those without connections, by code and text
	lastConn  int             // numbers given out
	lastGroup int

	ended   hist.Histogram // response times of connections that ended
	escaped int64          // connections that ever counted as escaped
	counts  Counts         // the latest
}

type connection struct {
	number  int
	group   int // number of its group, 0 for none
	listed  bool
	logged  bool // it ended and was in a batch
	escaped bool
	told    map[string]bool // events and findings that come once
}

type group struct{ listed, logged bool }

type endpointKey struct {
	server, iface, from, client string
	until                       string // empty while it holds
	port                        uint16
}

func newRegister() *register {
	return &register{
		conns: make(map[string]*connection), groups: make(map[int]*group), endpoints: make(map[endpointKey]bool),
		kerberos: make(map[account.PacketRef]bool), findings: make(map[string]bool),
	}
}

// once reports whether something is told of the connection for the first time.
func (c *connection) once(what string) bool {
	if c.told[what] {
		return false
	}
	if c.told == nil {
		c.told = make(map[string]bool)
	}
	c.told[what] = true
	return true
}

// take returns what is new in a document.
func (r *register) take(doc *account.Document, final bool) *Batch {
	byID := r.connections(doc)
	groups := r.associationGroups(doc, byID)
	b := &Batch{Final: final}
	b.Doc = doc.Renumbered(func(id int) int { return byID[id-1].number }, func(id int) int { return groups[id] })
	for i := range b.Doc.Connections {
		c, k := &b.Doc.Connections[i], byID[i]
		if (c.Ended || final) && !k.logged {
			k.logged = true
			b.Connections = append(b.Connections, c)
			r.ended.Merge(c.Times)
		}
		if c.Escaped != nil && !k.escaped {
			k.escaped = true
			r.escaped++
		}
	}
	for i := range b.Doc.AssociationGroups {
		g := &b.Doc.AssociationGroups[i]
		k := r.groups[g.ID]
		over := !slices.ContainsFunc(doc.AssociationGroups[i].Connections, func(id int) bool { return !byID[id-1].logged })
		if (over || final) && !k.logged {
			k.logged = true
			b.Groups = append(b.Groups, g)
		}
	}
	r.rest(doc, b)
	r.find(b, byID, doc)
	r.events(b.Doc, byID, doc)
	return b
}

// connections numbers the connections of a document and returns what is known
// of each.
func (r *register) connections(doc *account.Document) []*connection {
	byID := make([]*connection, len(doc.Connections))
	for _, k := range r.conns {
		k.listed = false
	}
	for i := range doc.Connections {
		uid := doc.Connections[i].UID
		k := r.conns[uid]
		if k == nil {
			r.lastConn++
			k = &connection{number: r.lastConn}
			r.conns[uid] = k
		}
		k.listed = true
		byID[i] = k
	}
	for uid, k := range r.conns {
		if !k.listed {
			delete(r.conns, uid)
		}
	}
	return byID
}

// associationGroups gives each group the number that one of its connections
// had before, or a new one.
func (r *register) associationGroups(doc *account.Document, byID []*connection) map[int]int {
	numbers := make(map[int]int, len(doc.AssociationGroups))
	for _, g := range r.groups {
		g.listed = false
	}
	for i := range doc.AssociationGroups {
		g := &doc.AssociationGroups[i]
		number := 0
		for _, id := range g.Connections {
			n := byID[id-1].group
			if known := r.groups[n]; known != nil && !known.listed {
				number = n
				break
			}
		}
		if number == 0 {
			r.lastGroup++
			number = r.lastGroup
			r.groups[number] = &group{}
		}
		r.groups[number].listed = true
		numbers[g.ID] = number
		for _, id := range g.Connections {
			byID[id-1].group = number
		}
	}
	for n, g := range r.groups {
		if !g.listed {
			delete(r.groups, n)
		}
	}
	return numbers
}

// rest finds new endpoints and KRB-ERRORs.
func (r *register) rest(doc *account.Document, b *Batch) {
	r.endpoints = turnOver(r.endpoints, doc.Endpoints, func(e *account.Endpoint) endpointKey {
		k := endpointKey{server: e.Server, iface: e.InterfaceUUID, from: e.LearnedFrom, port: e.Port}
		if e.Client != nil {
			k.client = *e.Client
		}
		if e.Until != nil {
			k.until = *e.Until
		}
		return k
	}, func(i int) { b.Endpoints = append(b.Endpoints, &b.Doc.Endpoints[i]) })
	r.kerberos = turnOver(r.kerberos, doc.Kerberos, func(k *account.KerberosError) account.PacketRef { return k.Packet },
		func(i int) { b.Kerberos = append(b.Kerberos, &b.Doc.Kerberos[i]) })
}

// turnOver calls found for each row whose key was not there before and returns
// the keys of all rows.
func turnOver[T any, K comparable](before map[K]bool, rows []T, key func(*T) K, found func(i int)) map[K]bool {
	after := make(map[K]bool, len(rows))
	for i := range rows {
		k := key(&rows[i])
		if !before[k] && !after[k] {
			found(i)
		}
		after[k] = true
	}
	return after
}

// find lists the findings that name a connection for the first time, and
// those without one whose text is new.
func (r *register) find(b *Batch, byID []*connection, doc *account.Document) {
	texts := make(map[string]bool)
	for i := range doc.Findings {
		f := &doc.Findings[i]
		fresh := b.Final
		for _, id := range f.Connections {
			if byID[id-1].once("finding " + f.Code) {
				fresh = true
			}
		}
		if len(f.Connections) == 0 {
			text := f.Code + " " + f.Detail
			fresh = fresh || !r.findings[text]
			texts[text] = true
		}
		if fresh {
			b.Findings = append(b.Findings, &b.Doc.Findings[i])
		}
	}
	r.findings = texts
}

// events leaves out events that follow from verdicts and were told before:
// every document has them.
func (r *register) events(out *account.Document, byID []*connection, doc *account.Document) {
	kept := out.Events[:0]
	for i := range out.Events {
		switch e := &doc.Events[i]; e.Event {
		case "escape", "handoff", "repeated_disconnect":
			if !byID[e.Connection-1].once(e.Event) {
				continue
			}
		}
		kept = append(kept, out.Events[i])
	}
	out.Events = kept
}
