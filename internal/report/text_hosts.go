package report

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// hostRow sums up one client or one server.
type hostRow struct {
	ip    string
	conns []document.Connection
	words map[string][]string // sets that keep their order
}

func (h *hostRow) enter(kind, word string) {
	if word != "" && !slices.Contains(h.words[kind], word) {
		h.words[kind] = append(h.words[kind], word)
	}
}

// hosts groups the listed connections by one end, in order of address.
func (p *page) hosts(of func(*document.Connection) string) []hostRow {
	at := make(map[string]int)
	var rows []hostRow
	for i := range p.doc.Connections {
		c := &p.doc.Connections[i]
		ip := of(c)
		j, ok := at[ip]
		if !ok {
			j = len(rows)
			at[ip] = j
			rows = append(rows, hostRow{ip: ip, words: make(map[string][]string)})
		}
		rows[j].conns = append(rows[j].conns, *c)
	}
	slices.SortFunc(rows, func(a, b hostRow) int { return byAddress(a.ip, b.ip) })
	return rows
}

// clientTable lists who asked: versions, users, how they authenticate.
func (p *page) clientTable() {
	rows := p.hosts(func(c *document.Connection) string { return c.Client.IP })
	if len(rows) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "client", wrap: 2}, {head: "product", wrap: 1}, {head: "user", wrap: 1}, {head: "workstation", wrap: 1, drop: 1},
		{head: "conns", right: true}, {head: "EMSMDB", right: true}, {head: "escaped", right: true}, {head: "services", wrap: 1, drop: 3}, {head: "authentication", wrap: 1},
	}}
	rows = cut(&t, rows, maxRows, "client", "connections in -o json or -o csv")
	for i := range rows {
		h := &rows[i]
		for j := range h.conns {
			c := &h.conns[j]
			h.enter("service", p.serviceName(c))
			if m := c.MAPI; m != nil && m.ClientVersion != nil {
				h.enter("product", strings.TrimPrefix(orEmpty(m.ClientProduct)+" "+*m.ClientVersion, " "))
			}
			for k := range c.Auth {
				a := &c.Auth[k]
				h.enter("user", userOf(a))
				h.enter("workstation", orEmpty(a.Workstation))
				h.enter("auth", authWord(a))
			}
			if c.MAPI != nil && len(h.words["user"]) == 0 {
				h.enter("user", lastRDN(c.MAPI.UserDN))
			}
		}
		n := func(is func(*document.Connection) bool) int { return distinct(h.conns, is) }
		t.row(h.ip, list(h.words["product"], 2), list(h.words["user"], 3), list(h.words["workstation"], 2),
			n(func(*document.Connection) bool { return true }), p.ofMAPI(n(isMAPI)), p.ofEscaped(n(func(c *document.Connection) bool { return c.Escaped != nil })),
			list(h.words["service"], 4), list(h.words["auth"], 3))
	}
	p.section("Clients")
	p.table(&t)
}

// serverTable lists who answered.
func (p *page) serverTable() {
	rows := p.hosts(func(c *document.Connection) string { return c.Server.IP })
	if len(rows) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "server", wrap: 2}, {head: "product", wrap: 1}, {head: "services", wrap: 1, drop: 3}, {head: "ports", wrap: 1},
		{head: "clients", right: true, drop: 1}, {head: "conns", right: true}, {head: "EMSMDB", right: true}, {head: "bytes c / s", right: true},
	}}
	rows = cut(&t, rows, maxRows, "server", "connections in -o json or -o csv")
	for i := range rows {
		h := &rows[i]
		var bytes document.PerSide
		ports := make(map[int]bool)
		for j := range h.conns {
			c := &h.conns[j]
			h.enter("service", p.serviceName(c))
			h.enter("client", c.Client.IP)
			ports[int(c.Server.Port)] = true
			if c.Main() {
				bytes.Client += c.Bytes.Client
				bytes.Server += c.Bytes.Server
			}
			if m := c.MAPI; m != nil && m.ServerVersion != nil {
				h.enter("product", strings.TrimPrefix(orEmpty(m.ServerProduct)+" "+*m.ServerVersion, " "))
			}
		}
		n := func(is func(*document.Connection) bool) int { return distinct(h.conns, is) }
		t.row(h.ip, list(h.words["product"], 2), list(h.words["service"], 4), numbers(sorted(ports), 5), len(h.words["client"]),
			n(func(*document.Connection) bool { return true }), p.ofMAPI(n(isMAPI)), pair(bytes, tight))
	}
	p.section("Servers")
	p.table(&t)
}

func sorted(set map[int]bool) []int {
	var out []int
	for n := range set {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// endpointTable lists who serves which interface where, and how that was
// learned.
func (p *page) endpointTable() {
	if len(p.doc.Endpoints) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "endpoint", wrap: 2}, {head: "interface", wrap: 1}, {head: "version", drop: 2}, {head: "annotation", wrap: 1}, {head: "learned"}, {head: "asked by", wrap: 2},
		{head: "time"}, {head: "packet", wrap: 1, drop: 1}, {head: "conns", right: true},
	}}
	rows := slices.Clone(p.doc.Endpoints)
	// What is used stands first: an ept_lookup may announce hundreds that
	// nobody uses.
	slices.SortStableFunc(rows, func(a, b document.Endpoint) int {
		switch used := len(a.Flows) > 0; {
		case used == (len(b.Flows) > 0):
			return 0
		case used:
			return -1
		}
		return 1
	})
	rows = cut(&t, rows, maxEndpoints, "endpoint", "endpoints in -o json")
	for i := range rows {
		e := &rows[i]
		name := e.InterfaceUUID
		if e.Interface != nil {
			name = *e.Interface
		}
		t.row(endpoint(document.Host{IP: e.Server, Port: e.Port}), name, e.InterfaceVersion, orEmpty(e.Annotation), e.LearnedFrom, orEmpty(e.Client),
			p.clock.second(e.FirstSeen), p.ref(e.Packet), len(e.Flows))
	}
	p.section("Endpoints")
	p.table(&t)
}

// maxEndpoints is how many endpoints the page lists.
const maxEndpoints = 25

// ref names one packet in a table.
func (p *page) ref(r document.PacketRef) string {
	if len(p.names) > 1 && r.Capture < len(p.names) {
		return fmt.Sprintf("%d of %s", r.Packet, p.names[r.Capture])
	}
	return fmt.Sprint(r.Packet)
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// ofMAPI and ofEscaped are counts that are left out where the whole capture
// has nothing of the kind.
func (p *page) ofMAPI(n int) string {
	if p.doc.Totals.MAPIConnections == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func (p *page) ofEscaped(n int) piece {
	if p.doc.Totals.EscapedConnections == 0 {
		return piece{}
	}
	return toned(n, bad)
}

// toned gives a count its tone when it is not zero.
func toned(n int, t tone) piece {
	if n == 0 {
		return piece{text: "0"}
	}
	return piece{fmt.Sprint(n), t}
}

// userOf names who authenticated.
func userOf(a *document.Auth) string {
	switch {
	case a.User != nil && a.Domain != nil:
		return *a.Domain + `\` + *a.User
	case a.User != nil && a.Realm != nil:
		return *a.User + "@" + *a.Realm
	case a.User != nil:
		return *a.User
	}
	return ""
}

// lastRDN shortens a distinguished name to the name of the mailbox.
func lastRDN(dn *string) string {
	if dn == nil {
		return ""
	}
	if i := strings.LastIndex(*dn, "/cn="); i >= 0 {
		return (*dn)[i+len("/cn="):]
	}
	return *dn
}
