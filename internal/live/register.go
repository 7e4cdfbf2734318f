package live

import (
	"slices"

	"mapiscope/internal/document"
	"mapiscope/internal/hist"
)

// Batch is what became final between two documents of a live job.
type Batch struct {
	Status Status
	// Doc is the whole document. Its events are those that were in no batch
	// before.
	Doc *document.Document
	// New lists parts of Doc that were in no batch before: connections that
	// ended, groups whose connections all ended, endpoints and KRB-ERRORs that
	// came up, findings that name something that they did not name before.
	Connections []*document.Connection
	Groups      []*document.AssociationGroup
	Endpoints   []*document.Endpoint
	Kerberos    []*document.KerberosError
	Findings    []*document.Finding
	// Final says that this is the last batch: connections that are still open
	// are in Connections, and all findings in Findings.
	Final bool
}

// register remembers what was told of the connections and groups of a job, by
// their numbers. It forgets what the latest document does not list, so it is
// bounded as that is.
type register struct {
	conns     map[int]*connection
	groups    map[int]bool // groups that were in a batch
	endpoints map[endpointKey]bool
	kerberos  map[document.PacketRef]bool
	findings  map[string]bool // those without connections, by code and text

	ended   hist.Histogram // response times of connections that ended
	escaped int64          // conversations that ever counted as escaped
	counts  Counts         // the latest
}

type connection struct {
	logged  bool // it ended and was in a batch
	escaped bool
	told    map[string]bool // events and findings that come once
}

type endpointKey struct {
	server, iface, from, client string
	until                       string // empty while it holds
	port                        uint16
}

func newRegister() *register {
	return &register{
		conns: make(map[int]*connection), groups: make(map[int]bool), endpoints: make(map[endpointKey]bool),
		kerberos: make(map[document.PacketRef]bool), findings: make(map[string]bool),
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
func (r *register) take(doc *document.Document, final bool) *Batch {
	r.turn(doc)
	out := *doc
	b := &Batch{Doc: &out, Final: final}
	for i := range doc.Connections {
		c := &doc.Connections[i]
		k := r.conns[c.ID]
		if (c.Ended || final) && !k.logged {
			k.logged = true
			b.Connections = append(b.Connections, c)
			r.ended.Merge(c.Times)
		}
		if c.Escaped != nil && !k.escaped && (c.Conversation == nil || *c.Conversation == c.ID) {
			k.escaped = true
			r.escaped++
		}
	}
	groups := make(map[int]bool, len(doc.AssociationGroups))
	for i := range doc.AssociationGroups {
		g := &doc.AssociationGroups[i]
		over := !slices.ContainsFunc(g.Connections, func(id int) bool { return !r.conns[id].logged })
		groups[g.ID] = r.groups[g.ID]
		if (over || final) && !groups[g.ID] {
			groups[g.ID] = true
			b.Groups = append(b.Groups, g)
		}
	}
	r.groups = groups
	r.rest(doc, b)
	r.find(b)
	out.Events = r.events(doc)
	return b
}

// turn enters the connections of a document and forgets those that it does not
// list.
func (r *register) turn(doc *document.Document) {
	conns := make(map[int]*connection, len(doc.Connections))
	for i := range doc.Connections {
		id := doc.Connections[i].ID
		if conns[id] = r.conns[id]; conns[id] == nil {
			conns[id] = new(connection)
		}
	}
	r.conns = conns
}

// rest finds new endpoints and KRB-ERRORs.
func (r *register) rest(doc *document.Document, b *Batch) {
	r.endpoints = turnOver(r.endpoints, doc.Endpoints, func(e *document.Endpoint) endpointKey {
		k := endpointKey{server: e.Server, iface: e.InterfaceUUID, from: e.LearnedFrom, port: e.Port}
		if e.Client != nil {
			k.client = *e.Client
		}
		if e.Until != nil {
			k.until = *e.Until
		}
		return k
	}, func(i int) { b.Endpoints = append(b.Endpoints, &b.Doc.Endpoints[i]) })
	r.kerberos = turnOver(r.kerberos, doc.Kerberos, func(k *document.KerberosError) document.PacketRef { return k.Packet },
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
func (r *register) find(b *Batch) {
	texts := make(map[string]bool)
	for i := range b.Doc.Findings {
		f := &b.Doc.Findings[i]
		fresh := b.Final
		for _, id := range f.Connections {
			if r.conns[id].once("finding " + f.Code) {
				fresh = true
			}
		}
		if len(f.Connections) == 0 {
			text := f.Code + " " + f.Detail
			fresh = fresh || !r.findings[text]
			texts[text] = true
		}
		if fresh {
			b.Findings = append(b.Findings, f)
		}
	}
	r.findings = texts
}

// events leaves out events that follow from verdicts and were told before:
// every document has them.
func (r *register) events(doc *document.Document) []document.Event {
	var kept []document.Event
	for _, e := range doc.Events {
		switch e.Event {
		case "escape", "possible_escape", "handoff", "repeated_disconnect":
			if !r.conns[e.Connection].once(e.Event) {
				continue
			}
		}
		kept = append(kept, e)
	}
	return kept
}
