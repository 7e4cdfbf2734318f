package report

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// encryptionTable says for each client, server and user what protection was
// asked, offered, accepted and really used, and what the release does with it.
func (p *page) encryptionTable() {
	if len(p.doc.Encryption) == 0 {
		return
	}
	rows := slices.Clone(p.doc.Encryption)
	// EMSMDB first; the accelerator looks at nothing else.
	slices.SortStableFunc(rows, func(a, b document.Encryption) int { return mapiFirst(a.Service) - mapiFirst(b.Service) })
	t := table{columns: []col{
		{head: "client > server", wrap: 2}, {head: "service", wrap: 1}, {head: "user", wrap: 1, drop: 4}, {head: "asked", wrap: 1}, {head: "offered (SPNEGO)", wrap: 1, drop: 2}, {head: "accepted", wrap: 1},
		{head: "used", wrap: 1}, {head: "sealed", right: true, drop: 1}, {head: "accelerator", wrap: 1}, {head: "conns", right: true, drop: 3},
	}}
	for _, e := range cut(&t, rows, maxRows, "row", "encryption in -o json") {
		t.row(e.Client+" > "+e.Server, p.protected(&e), orEmpty(e.User), e.Asked, strings.Join(e.Offered, ", "), acceptance(&t, &e), inForce(&e),
			e.SealedPDUs, strings.Join(accelerators(&e), ", then "), len(e.Connections))
	}
	t.note("asked, used: the strongest level; integrity signs, privacy encrypts; sealed: PDUs whose stub was encrypted; accelerator: by the rules of release %s", p.doc.WAAS)
	p.section("Authentication and encryption")
	p.table(&t)
	p.changeTable(rows)
}

// changeTable lists the moments at which the protection of the same client,
// server and user became another.
func (p *page) changeTable(rows []document.Encryption) {
	t := table{columns: []col{
		{head: "time"}, {head: "packet", wrap: 2}, {head: "client > server", wrap: 2}, {head: "conn", right: true}, {head: "authentication", wrap: 1}, {head: "state", drop: 2}, {head: "accelerator", wrap: 1, drop: 1},
	}}
	type moment struct {
		row    *document.Encryption
		change document.EncryptionChange
	}
	var moments []moment
	dropped := int64(0)
	for i := range rows {
		if len(rows[i].Changes) > 1 {
			for _, c := range rows[i].Changes {
				moments = append(moments, moment{&rows[i], c})
			}
		}
		dropped += rows[i].Dropped
	}
	if len(moments) == 0 {
		return
	}
	for _, m := range cut(&t, moments, maxFacts, "change", "encryption in -o json") {
		c := &m.change
		word := authWord(&document.Auth{TypeName: c.Type, Mechanism: c.Mechanism, LevelName: c.Level})
		t.row(p.clock.day(c.Time), p.ref(c.Packet), m.row.Client+" > "+m.row.Server, c.Connection, word, c.State, orEmpty(c.Accelerator))
	}
	if dropped > 0 {
		t.note("%d more changes were counted and not kept", dropped)
	}
	p.section("Protection that changed")
	p.table(&t)
}

// protected names what a row is about: where the service is just DCE/RPC, the
// interface of its first connection.
func (p *page) protected(e *document.Encryption) string {
	if len(e.Connections) > 0 {
		if c := p.conn(e.Connections[0]); c != nil {
			return p.serviceName(c)
		}
	}
	return e.Service
}

// acceptance says what the server made of what was asked.
func acceptance(t *table, e *document.Encryption) string {
	var words []string
	if e.Used != nil {
		words = append(words, "yes")
	}
	if e.Refused > 0 {
		words = append(words, fmt.Sprintf("%d refused", e.Refused))
	}
	if e.Unfinished > 0 {
		words = append(words, fmt.Sprintf("%d unfinished", e.Unfinished))
	}
	if e.Fallback {
		words = append(words, "fallback")
		t.note("fallback: refused with Kerberos, or Kerberos offered first, and then NTLM was used")
	}
	if len(words) == 0 {
		return "not seen"
	}
	return strings.Join(words, ", ")
}

// inForce names the mechanism and level that were used.
func inForce(e *document.Encryption) string {
	if e.Used == nil {
		return "-"
	}
	return strings.TrimSpace(orEmpty(e.Mechanism) + " " + *e.Used)
}

// accelerators lists what the release gave the connections of a row, in order
// of time.
func accelerators(e *document.Encryption) []string {
	var out []string
	for _, c := range e.Changes {
		if c.Accelerator == nil {
			continue
		}
		word := strings.ReplaceAll(*c.Accelerator, "_", "-")
		if len(out) == 0 || out[len(out)-1] != word {
			out = append(out, word)
		}
	}
	if len(out) > 3 {
		out = append(out[:3], "...")
	}
	return out
}

func mapiFirst(service string) int {
	if service == "mapi" || service == "mapi_async" {
		return 0
	}
	return 1
}

// used names the mechanism and level that were in force.
func used(a *document.Auth) string {
	if a.State != "established" {
		return "-"
	}
	name := a.TypeName
	if a.Mechanism != nil {
		name = *a.Mechanism
	}
	return name + " " + a.LevelName
}

// kerberosTable lists the Kerberos errors that say that something went wrong.
func (p *page) kerberosTable() {
	var rows []document.KerberosError
	for _, k := range p.doc.Kerberos {
		if k.Code != krbPreauthRequired && k.Code != krbResponseTooBig {
			rows = append(rows, k)
		}
	}
	if len(rows) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "time"}, {head: "client", wrap: 2}, {head: "from", wrap: 2}, {head: "error", wrap: 2}, {head: "realm", wrap: 1, drop: 1}, {head: "service name", wrap: 1, drop: 3}, {head: "skew", right: true, drop: 2}, {head: "of client", right: true, drop: 2}, {head: "packet", wrap: 1},
	}}
	for _, k := range cut(&t, rows, maxRows, "error", "kerberos_errors in -o json") {
		t.row(p.clock.day(k.Time), k.Client, k.Server, fmt.Sprintf("%d %s", k.Code, k.Name), orEmpty(k.Realm), orEmpty(k.SPN), spanOf(k.Skew), skewOf(k.ClientSkew), p.ref(k.Packet))
	}
	t.note("skew: the server's clock minus the capture's; of client: minus the client's, where the error repeats that")
	if n := len(p.doc.Kerberos) - len(rows); n > 0 {
		t.note("left out as steps of an ordinary logon (codes %d and %d): %d, see kerberos_errors in -o json", krbPreauthRequired, krbResponseTooBig, n)
	}
	p.section("Kerberos errors")
	p.table(&t)
}

// skewOf is empty where an error does not repeat the client's time.
func skewOf(us *int64) string {
	if us == nil {
		return ""
	}
	return span(*us)
}

// Kerberos errors that belong to an ordinary logon (RFC 4120 7.5.9).
const (
	krbPreauthRequired = 25 // the client asks again with its proof
	krbResponseTooBig  = 52 // the client asks again over TCP
)
