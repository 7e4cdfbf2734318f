package report

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/account"
)

// encryptionTable says for each client and server what protection was asked,
// offered, accepted and really used, and what the release does with it.
func (p *page) encryptionTable() {
	type key struct{ at, client, server, service, asked, offered, used, accel string }
	type tally struct{ conns, established, rejected, open int }
	found := make(map[key]*tally)
	var order []key
	for i := range p.doc.Connections {
		c := &p.doc.Connections[i]
		for j := range c.Auth {
			a := &c.Auth[j]
			k := key{p.point(c.At), c.Client.IP, c.Server.IP, p.serviceName(c), a.TypeName + " " + a.LevelName, strings.Join(a.MechanismsOffered, ", "), used(a), dispositionWord(c)}
			if found[k] == nil {
				found[k] = new(tally)
				order = append(order, k)
			}
			n := found[k]
			n.conns++
			switch a.State {
			case "established":
				n.established++
			case "rejected":
				n.rejected++
			default:
				n.open++
			}
		}
	}
	if len(order) == 0 {
		return
	}
	// EMSMDB first; the accelerator looks at nothing else.
	slices.SortStableFunc(order, func(a, b key) int { return mapiFirst(a.service) - mapiFirst(b.service) })
	t := table{columns: []col{
		{head: "at"}, {head: "client > server", wrap: 2}, {head: "service", wrap: 1}, {head: "asked", wrap: 1}, {head: "offered (SPNEGO)", wrap: 1, drop: 1}, {head: "accepted", wrap: 1}, {head: "used", wrap: 1},
		{head: "release " + p.doc.WAAS, wrap: 1},
	}}
	for _, k := range cut(&t, order, maxRows, "kind", "auth of each connection in -o json") {
		n := found[k]
		var accepted []string
		for _, x := range []struct {
			n    int
			word string
		}{{n.established, "yes"}, {n.rejected, "refused"}, {n.open, "unfinished"}} {
			if x.n > 0 {
				accepted = append(accepted, fmt.Sprintf("%d %s", x.n, x.word))
			}
		}
		t.row(k.at, k.client+" > "+k.server, k.service, k.asked, k.offered, strings.Join(accepted, ", "), k.used, k.accel)
	}
	t.note("integrity signs, privacy encrypts; numbers count authentication contexts")
	p.section("Authentication and encryption")
	p.table(&t)
}

func mapiFirst(service string) int {
	if service == "mapi" || service == "mapi-async" {
		return 0
	}
	return 1
}

// used names the mechanism and level that were in force.
func used(a *account.Auth) string {
	if a.State != "established" {
		return "-"
	}
	name := a.TypeName
	if a.Mechanism != nil {
		name = *a.Mechanism
	}
	return name + " " + a.LevelName
}

func dispositionWord(c *account.Connection) string {
	if c.Disposition.Quality == account.Unavailable {
		return notAvailable
	}
	return fmt.Sprintf("%s %s", strings.ReplaceAll(c.Disposition.Accelerator, "_", "-"), c.Disposition.Accel)
}

// kerberosTable lists the Kerberos errors that say that something went wrong.
func (p *page) kerberosTable() {
	var rows []account.KerberosError
	for _, k := range p.doc.Kerberos {
		if k.Code != krbPreauthRequired && k.Code != krbResponseTooBig {
			rows = append(rows, k)
		}
	}
	if len(rows) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "time"}, {head: "client", wrap: 2}, {head: "from", wrap: 2}, {head: "error", wrap: 2}, {head: "realm", wrap: 1, drop: 1}, {head: "service name", wrap: 1, drop: 3}, {head: "clock skew", right: true, drop: 2}, {head: "packet", wrap: 1},
	}}
	for _, k := range cut(&t, rows, maxRows, "error", "kerberos_errors in -o json") {
		t.row(p.clock.day(k.Time), k.Client, k.Server, fmt.Sprintf("%d %s", k.Code, k.Name), orEmpty(k.Realm), orEmpty(k.SPN), spanOf(k.Skew), p.ref(k.Packet))
	}
	t.note("clock skew: the server's clock minus the capture's")
	if n := len(p.doc.Kerberos) - len(rows); n > 0 {
		t.note("left out as steps of an ordinary logon (codes %d and %d): %d, see kerberos_errors in -o json", krbPreauthRequired, krbResponseTooBig, n)
	}
	p.section("Kerberos errors")
	p.table(&t)
}

// Kerberos errors that belong to an ordinary logon (RFC 4120 7.5.9).
const (
	krbPreauthRequired = 25 // the client asks again with its proof
	krbResponseTooBig  = 52 // the client asks again over TCP
)
