package screen

import (
	"slices"
	"strings"
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/live"
	"mapiscope/internal/report"
)

// index is a view with what its lists are sorted by, worked out once. It does
// not change.
type index struct {
	status  live.Status
	doc     *document.Document
	words   report.Words
	zone    *time.Location
	groups  []groupFacts // by the place in the document, like the others
	conns   []connFacts
	finds   []findingFacts
	mains   int                    // connections, each once
	ipv6    bool                   // there are connections over IPv6
	several bool                   // there are several capture points
	seen    map[identity]time.Time // when each finding was first seen
}

type groupFacts struct {
	rank  report.Rank
	bytes int64 // TCP payload of all connections
}

type connFacts struct {
	worst int // 0 escaped, then by the worst finding that names it
	bytes int64
}

type findingFacts struct {
	id   identity
	came time.Time // first seen
}

// identity tells a row of one view from the others and finds it in the next:
// the numbers of the document count its rows and change when it forgets some.
type identity struct {
	kind           kind
	client, server document.Host
	text           string // uid of a connection, capture point of a group, code of a finding
	number         uint32 // id of a group on the wire
	nth            int    // of findings that are otherwise the same
}

// newIndex indexes a view; last is the one before, or nil.
func newIndex(v *live.View, last *index, zone *time.Location) *index {
	x := &index{status: v.Status, doc: v.Doc, zone: zone}
	if x.doc == nil {
		x.doc = &document.Document{}
	}
	x.words = report.NewWords(x.doc, zone)
	x.conns = make([]connFacts, len(x.doc.Connections))
	for i := range x.conns {
		c := &x.doc.Connections[i]
		if c.Main() {
			x.mains++
		}
		x.several = x.several || c.At != x.doc.Connections[0].At
		x.ipv6 = x.ipv6 || strings.Contains(c.Server.IP, ":")
		x.conns[i] = connFacts{worst: unnamed, bytes: c.Bytes.Client + c.Bytes.Server}
	}
	for i := range x.doc.Findings {
		f := &x.doc.Findings[i]
		for _, id := range f.Connections {
			if at, ok := x.doc.Position(id); ok {
				facts := &x.conns[at]
				facts.worst = min(facts.worst, 1+severityRank(f.Severity))
			}
		}
	}
	for i := range x.conns {
		if x.doc.Connections[i].Escaped != nil {
			x.conns[i].worst = 0
		}
	}
	x.groups = make([]groupFacts, len(x.doc.AssociationGroups))
	for i := range x.groups {
		g := &x.doc.AssociationGroups[i]
		x.groups[i].rank = x.words.Rank(g)
		for _, id := range g.Connections {
			if at, ok := x.doc.Position(id); ok {
				x.groups[i].bytes += x.conns[at].bytes
			}
		}
	}
	x.arrivals(last)
	return x
}

// unnamed is the place of connections that no finding names.
const unnamed = 4

// severityRank ranks severities, the worst is 0.
func severityRank(s document.Severity) int {
	switch s {
	case document.Error:
		return 0
	case document.Warning:
		return 1
	}
	return 2
}

// arrivals notes when each finding was first seen. Those that the document no
// longer has are forgotten, so the notes are bounded as it is.
func (x *index) arrivals(last *index) {
	x.finds = make([]findingFacts, len(x.doc.Findings))
	x.seen = make(map[identity]time.Time, len(x.finds))
	for i := range x.finds {
		f := &x.finds[i]
		f.id, f.came = x.findingID(i), x.status.Time
		for _, again := x.seen[f.id]; again; _, again = x.seen[f.id] {
			f.id.nth++
		}
		if last != nil {
			if t, ok := last.seen[f.id]; ok {
				f.came = t
			}
		}
		x.seen[f.id] = f.came
	}
}

// fresh reports whether a finding came a short time ago.
func (x *index) fresh(finding int) bool { return x.status.Time.Sub(x.finds[finding].came) < freshFor }

// anyFresh reports whether a finding came a short time ago.
func (x *index) anyFresh() bool {
	for i := range x.finds {
		if x.fresh(i) {
			return true
		}
	}
	return false
}

// freshFor is how long a finding is marked as new.
const freshFor = time.Minute

// group returns a group by its place.
func (x *index) group(i int) *document.AssociationGroup { return &x.doc.AssociationGroups[i] }

// groupAt returns the place of a group by its number, -1 for none.
func (x *index) groupAt(id int) int {
	return slices.IndexFunc(x.doc.AssociationGroups, func(g document.AssociationGroup) bool { return g.ID == id })
}

func (x *index) connID(i int) identity {
	c := &x.doc.Connections[i]
	return identity{kind: connections, client: c.Client, server: c.Server, text: c.UID}
}

func (x *index) groupID(i int) identity {
	g := x.group(i)
	return identity{kind: groups, client: document.Host{IP: first(g.Clients)}, server: g.Server, number: g.AssocGroupID, text: g.At}
}

// findingID is that of the first group or connection that the finding names,
// with its code: the words of a finding change as figures grow.
func (x *index) findingID(i int) identity {
	f := &x.doc.Findings[i]
	id := identity{client: document.Host{IP: first(f.Clients)}, server: document.Host{IP: first(f.Servers)}}
	switch {
	case len(f.Groups) > 0 && x.groupAt(f.Groups[0]) >= 0:
		id = x.groupID(x.groupAt(f.Groups[0]))
	case len(f.Connections) > 0:
		if at, ok := x.doc.Position(f.Connections[0]); ok {
			id = x.connID(at)
		}
	}
	id.kind, id.text = findings, f.Code+" "+id.text
	return id
}

// id returns the identity of a row of a list.
func (x *index) id(k kind, i int) identity {
	switch k {
	case groups:
		return x.groupID(i)
	case findings:
		return x.finds[i].id
	}
	return x.connID(i)
}

// size is how many rows the document has for a list.
func (x *index) size(k kind) int {
	switch k {
	case groups:
		return len(x.groups)
	case findings:
		return len(x.finds)
	}
	return len(x.conns)
}

// stands reports whether a row is listed: of a connection that several capture
// points show it is the one that stands for it.
func (x *index) stands(k kind, i int) bool { return k != connections || x.doc.Connections[i].Main() }

// listed is how many rows a list has, without a filter.
func (x *index) listed(k kind) int {
	if k == connections {
		return x.mains
	}
	return x.size(k)
}

// find returns the row of an identity, or -1.
func (x *index) find(id identity) int {
	for i := range x.size(id.kind) {
		if x.id(id.kind, i) == id {
			return i
		}
	}
	return -1
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
