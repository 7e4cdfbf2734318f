package document

import (
	"fmt"
	"strings"
	"time"

	"mapiscope/assoc"
)

// krbPair names who refused whom.
type krbPair struct{ client, server string }

// findSkew gives one finding for each client and server whose clocks differ.
func (b *builder) findSkew(add func(string) *Finding) {
	found := make(map[krbPair][]krbError)
	var order []krbPair
	for _, e := range b.krbErrors() {
		if e.code != krbClockSkew {
			continue
		}
		p := krbPair{e.Client, e.Server}
		if found[p] == nil {
			order = append(order, p)
		}
		found[p] = append(found[p], e)
	}
	for _, p := range order {
		first := found[p][0]
		f := add(fmt.Sprintf("%s answers %s with %s%s", first.Server, first.Client, first.Name, skewText(found[p])))
		f.Clients, f.Servers = append(f.Clients, p.client), append(f.Servers, p.server)
		for _, e := range found[p] {
			f.hasError(e)
		}
	}
}

// hasError enters the packet of a KRB-ERROR, and its connection if it has one.
func (f *Finding) hasError(e krbError) {
	if e.Connection != nil {
		f.Connections = append(f.Connections, *e.Connection)
	}
	f.Packets = append(f.Packets, e.Packet)
}

// tolerance is the difference between clocks that Kerberos bears by default
// (RFC 4120 1.6).
const tolerance = 5 * time.Minute

// skewText puts the measured difference of clocks into words. A KRB-ERROR has
// the server's clock always and the client's if the server echoes it; where it
// does not, the capture's clock is the only other one.
func skewText(errors []krbError) string {
	for _, e := range errors {
		if e.ClientSkew != nil {
			return "; its clock is " + ahead(micros(*e.ClientSkew), "the client's")
		}
	}
	for _, e := range errors {
		if e.Skew == nil {
			continue
		}
		d := micros(*e.Skew)
		text := "; its clock is " + ahead(d, "the capture's")
		if d.Abs() < tolerance {
			text += fmt.Sprintf(", so the clock that is off is the client's, by more than the tolerance (%v by default)", tolerance)
		}
		return text
	}
	return ""
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// ahead says how one clock stands to another. KRB-ERROR times have seconds,
// and microseconds that some servers leave 0.
func ahead(d time.Duration, whose string) string {
	switch d = d.Round(100 * time.Millisecond); {
	case d.Abs() < time.Second:
		return "equal to " + whose + " within a second"
	case d < 0:
		return fmt.Sprintf("%v behind %s", -d, whose)
	}
	return fmt.Sprintf("%v ahead of %s", d, whose)
}

// krbWindow is how long after a KRB-ERROR a logon by other means counts as
// its consequence.
const krbWindow = int64(60 * time.Second)

// findKerberosErrors reports the errors that matter: after them the client
// fell back to NTLM, or had no session at all. Errors that tell the same are
// one finding.
func (b *builder) findKerberosErrors(add func(string) *Finding) {
	type told struct {
		text   string
		errors []krbError
		logons []member
	}
	found := make(map[string]*told)
	var order []*told
	for _, e := range b.krbErrors() {
		if e.code == krbClockSkew || !telling(e.code) {
			continue
		}
		end, m := b.consequence(e)
		if end == "" {
			continue
		}
		text := fmt.Sprintf("%s answers %s with %s", e.Server, e.Client, e.Name)
		if e.SPN != nil {
			text += " for " + *e.SPN
		}
		text += ", " + end
		t := found[text]
		if t == nil {
			t = &told{text: text}
			found[text], order = t, append(order, t)
		}
		t.errors = append(t.errors, e)
		if m != nil {
			t.logons = append(t.logons, *m)
		}
	}
	for _, t := range order {
		f := add(t.text)
		f.Clients, f.Servers = append(f.Clients, t.errors[0].Client), append(f.Servers, t.errors[0].Server)
		for _, e := range t.errors {
			f.hasError(e)
		}
		for _, m := range t.logons {
			f.concerns(m.d, m.p)
		}
	}
}

// consequence says how a KRB-ERROR ended, "" when the client got its session
// with Kerberos all the same or when nothing shows that it wanted one.
func (b *builder) consequence(e krbError) (text string, m *member) {
	ntlm, kerberos, failed := b.logonsAfter(e)
	switch {
	case ntlm != nil:
		return fmt.Sprintf("then connection %d logs on with NTLM", ntlm.d.ID), ntlm
	case kerberos != nil:
		return "", nil
	case failed != nil:
		return fmt.Sprintf("then connection %d has no session", failed.d.ID), failed
	case e.conn != nil:
		return "and no session follows", nil
	}
	return "", nil
}

// logonsAfter finds what the client of a KRB-ERROR did next: the first logon
// with NTLM, with Kerberos, and the first that failed. A logon that was open
// already counts when its exchange went on after the error; one that has a
// KRB-ERROR of its own failed for that.
func (b *builder) logonsAfter(e krbError) (ntlm, kerberos, failed *member) {
	b.each(func(c *assoc.Conn, d *Connection) {
		if d.Client.IP != e.Client || c.RPC == nil || c.Flow.Last.Before(e.mark) || c.Flow.First.Time-e.mark.Time > krbWindow {
			return
		}
		for i := range c.RPC.Auths {
			a, raw := &d.Auth[i], &c.RPC.Auths[i]
			mech := mechanismOf(a)
			began := c.Flow.First.Time >= e.mark.Time || raw.Mark.Time >= e.mark.Time || c == e.conn
			own := raw.Facts.KRBErr != nil && c != e.conn
			switch {
			case mech == "ntlm":
				if ntlm == nil && began {
					ntlm = &member{d, a.Packet}
				}
			case a.State == "rejected" || a.State == "incomplete":
				if failed == nil && began && !own {
					failed = &member{d, a.Packet}
				}
			case mech == "kerberos":
				if kerberos == nil {
					kerberos = &member{d, a.Packet}
				}
			}
		}
	})
	return ntlm, kerberos, failed
}

// failedBefore says which KRB-ERROR a client got shortly before it used NTLM.
func (b *builder) failedBefore(c *assoc.Conn, d *Connection) string {
	text := ""
	for _, e := range b.krbErrors() {
		before := c.Flow.First.Time - e.mark.Time
		if e.Client != d.Client.IP || !telling(e.code) || before < 0 || before > krbWindow {
			continue
		}
		text = fmt.Sprintf("; before that %s answered with %s", e.Server, e.Name)
		if e.SPN != nil && strings.Contains(*e.SPN, "/") {
			text += " for " + *e.SPN
		}
	}
	return text
}
