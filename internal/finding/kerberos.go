package finding

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/auth"
	"mapiscope/internal/wire"
)

// Kerberos error codes that the findings treat apart (RFC 4120 7.5.9).
const (
	krbClockSkew       = 37 // KRB_AP_ERR_SKEW
	krbPreauthRequired = 25 // part of every logon
	krbResponseTooBig  = 52 // the client asks again over TCP
)

// telling reports whether a KRB-ERROR code says that something went wrong;
// some are steps of an ordinary exchange.
func telling(code int32) bool {
	return code != 0 && code != krbPreauthRequired && code != krbResponseTooBig
}

// KRBError is one KRB-ERROR, from a KDC or out of an authentication
// trailer.
type KRBError struct {
	Mark           wire.Mark
	Client, Server netip.Addr
	Code           int32
	Name           string
	Realm, SPN     string
	Skew           *time.Duration // server's clock minus the capture's; nil where the error carries no time
	ClientSkew     *time.Duration // server's clock minus the client's; nil where the server does not echo it
	Conn           *assoc.Conn    // that carried it; nil over UDP
	Trailer        bool           // it came in an authentication trailer of that connection
}

func (e *KRBError) hosts() hosts { return hosts{e.Client, e.Server} }

// kerberosErrors collects every KRB-ERROR of the job in time order.
func (b *judge) kerberosErrors() {
	for i := range b.Result.Kerberos {
		k := &b.Result.Kerberos[i]
		if k.Message.Error == nil {
			continue
		}
		e := errorOf(k.Message.Error, k.Mark, hosts{k.Client, k.KDC})
		if b.conns[k.Conn] != nil {
			e.Conn = k.Conn
		}
		b.Kerberos = append(b.Kerberos, e)
	}
	for _, d := range b.Findings.Conns {
		if d.RPC == nil {
			continue
		}
		for i := range d.RPC.Auths {
			if a := &d.RPC.Auths[i]; a.Facts.KRBErr != nil {
				e := errorOf(a.Facts.KRBErr, a.KerberosMark, d.hosts())
				e.Conn, e.Trailer = d.Conn, true
				b.Kerberos = append(b.Kerberos, e)
			}
		}
	}
	slices.SortStableFunc(b.Kerberos, func(x, y KRBError) int { return assoc.ByMark(x.Mark, y.Mark) })
	b.byClient()
}

// byClient makes the look-up of what a client did and was told cheap.
func (b *judge) byClient() {
	b.refusals = make(map[netip.Addr][]KRBError)
	for _, e := range b.Kerberos {
		if telling(e.Code) {
			b.refusals[e.Client] = append(b.refusals[e.Client], e)
		}
	}
	b.logons = make(map[netip.Addr][]*Conn)
	b.each(func(d *Conn) {
		if client := d.Client().Addr(); d.RPC != nil && b.refusals[client] != nil {
			b.logons[client] = append(b.logons[client], d)
		}
	})
}

func errorOf(k *auth.KRBError, m wire.Mark, h hosts) KRBError {
	e := KRBError{Mark: m, Client: h.client, Server: h.server, Code: k.Code, Name: k.Name, Realm: k.Realm, SPN: k.SName}
	if !k.STime.IsZero() {
		e.Skew = new((k.STime.Sub(m.When())).Truncate(time.Microsecond) + time.Duration(k.SUsec)*time.Microsecond)
		if k.CTime != nil && !k.CTime.IsZero() {
			e.ClientSkew = new(k.STime.Sub(*k.CTime).Truncate(time.Microsecond) + time.Duration(k.SUsec-k.CUsec)*time.Microsecond)
		}
	}
	return e
}

// findSkew gives one finding for each client and server whose clocks differ.
func (b *judge) findSkew(add func(Text) *Finding) {
	found := make(map[hosts][]KRBError)
	var order []hosts
	for _, e := range b.Kerberos {
		if e.Code != krbClockSkew {
			continue
		}
		h := e.hosts()
		if found[h] == nil {
			order = append(order, h)
		}
		found[h] = append(found[h], e)
	}
	for _, h := range order {
		first := found[h][0]
		f := add(say(fmt.Sprintf("%s answers %s with %s%s", first.Server, first.Client, first.Name, skewText(found[h]))))
		f.between(h)
		for _, e := range found[h] {
			f.hasError(e)
		}
	}
}

// hasError enters the packet of a KRB-ERROR, and its connection if it has one.
func (f *Finding) hasError(e KRBError) {
	if e.Conn != nil {
		f.Conns = append(f.Conns, e.Conn)
	}
	f.Marks = append(f.Marks, e.Mark)
}

// tolerance is the difference between clocks that Kerberos bears by default
// (RFC 4120 1.6).
const tolerance = 5 * time.Minute

// skewText puts the measured difference of clocks into words. A KRB-ERROR has
// the server's clock always and the client's if the server echoes it; where it
// does not, the capture's clock is the only other one.
func skewText(errors []KRBError) string {
	for _, e := range errors {
		if e.ClientSkew != nil {
			return "; its clock is " + ahead(*e.ClientSkew, "the client's")
		}
	}
	for _, e := range errors {
		if e.Skew == nil {
			continue
		}
		d := *e.Skew
		text := "; its clock is " + ahead(d, "the capture's")
		if d.Abs() < tolerance {
			text += fmt.Sprintf(", so the clock that is off is the client's, by more than the tolerance (%v by default)", tolerance)
		}
		return text
	}
	return ""
}

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
func (b *judge) findKerberosErrors(add func(Text) *Finding) {
	type key struct {
		words, end string
		conn       *assoc.Conn
	}
	type told struct {
		text   Text
		errors []KRBError
		logons []member
	}
	found := make(map[key]*told)
	var order []*told
	for _, e := range b.Kerberos {
		if e.Code == krbClockSkew || !telling(e.Code) {
			continue
		}
		end, m := b.consequence(e)
		if end == "" {
			continue
		}
		k := key{words: fmt.Sprintf("%s answers %s with %s", e.Server, e.Client, e.Name), end: end}
		if e.SPN != "" {
			k.words += " for " + e.SPN
		}
		text := say(k.words, ", ", end)
		if m != nil {
			k.conn = m.d.Conn
			text = say(k.words, ", then connection ", m.d.Conn, end)
		}
		t := found[k]
		if t == nil {
			t = &told{text: text}
			found[k], order = t, append(order, t)
		}
		t.errors = append(t.errors, e)
		if m != nil {
			t.logons = append(t.logons, *m)
		}
	}
	for _, t := range order {
		f := add(t.text)
		f.between(t.errors[0].hosts())
		for _, e := range t.errors {
			f.hasError(e)
		}
		for _, x := range t.logons {
			f.concerns(x.d, x.m)
		}
	}
}

// consequence says how a KRB-ERROR ended, by what the connection of m did if
// there is one; "" when the client got its session with Kerberos all the same
// or when nothing shows that it wanted one.
func (b *judge) consequence(e KRBError) (text string, m *member) {
	ntlm, kerberos, failed := b.logonsAfter(e)
	switch {
	case ntlm != nil:
		return " logs on with NTLM", ntlm
	case kerberos != nil:
		return "", nil
	case failed != nil:
		return " has no session", failed
	case e.Trailer:
		return "and no session follows", nil
	}
	return "", nil
}

// logonsAfter finds what the client of a KRB-ERROR did next: the first logon
// with NTLM, with Kerberos, and the first that failed. A logon that was open
// already counts when its exchange went on after the error; one that has a
// KRB-ERROR of its own failed for that.
func (b *judge) logonsAfter(e KRBError) (ntlm, kerberos, failed *member) {
	first := func(m **member, d *Conn, a *dcerpc.Auth) {
		if *m == nil {
			*m = &member{d, a.Mark}
		}
	}
	for _, d := range b.logons[e.Client] {
		if d.Flow.Last.Before(e.Mark) || d.Flow.First.Time-e.Mark.Time > krbWindow {
			continue
		}
		carrier := e.Trailer && d.Conn == e.Conn
		for i := range d.RPC.Auths {
			a := &d.RPC.Auths[i]
			began := d.Flow.First.Time >= e.Mark.Time || a.Mark.Time >= e.Mark.Time || carrier
			own := a.Facts.KRBErr != nil && !carrier
			switch mech := mechanismOf(a); {
			case mech == NTLM:
				if began {
					first(&ntlm, d, a)
				}
			case a.State == dcerpc.Rejected || a.State == dcerpc.Incomplete:
				if began && !own {
					first(&failed, d, a)
				}
			case mech == Kerberos:
				first(&kerberos, d, a)
			}
		}
	}
	return ntlm, kerberos, failed
}

// failedBefore says which KRB-ERROR a client got shortly before it used NTLM.
func (b *judge) failedBefore(d *Conn) string {
	all := b.refusals[d.Client().Addr()]
	n, _ := slices.BinarySearchFunc(all, d.Flow.First.Time+1, func(e KRBError, at int64) int { return cmp.Compare(e.Mark.Time, at) })
	if n == 0 || d.Flow.First.Time-all[n-1].Mark.Time > krbWindow {
		return ""
	}
	e := &all[n-1]
	text := fmt.Sprintf("; before that %s answered with %s", e.Server, e.Name)
	if strings.Contains(e.SPN, "/") {
		text += " for " + e.SPN
	}
	return text
}
