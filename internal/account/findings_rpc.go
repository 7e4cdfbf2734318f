package account

import (
	"fmt"
	"time"

	"mapiscope/assoc"
)

// rejectedAll reports whether a connection offered contexts and the server
// accepted none of them. A context of the bind time feature negotiation is no
// interface and does not count.
func rejectedAll(d *Connection) bool {
	offered := false
	for i := range d.Interfaces {
		x := &d.Interfaces[i]
		if x.Result == nil || *x.Result == "acceptance" {
			return false
		}
		if *x.Result != "negotiate_ack" {
			offered = true
		}
	}
	return offered
}

func (b *builder) findRejectedBinds(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		for i := range d.BindNaks {
			n := &d.BindNaks[i]
			found.add("bind_nak: "+n.ReasonText, d, n.Packet)
		}
		if len(d.BindNaks) == 0 && rejectedAll(d) {
			x := &d.Interfaces[0]
			name := x.UUID
			if x.Name != nil {
				name = *x.Name
			}
			reason := *x.Result
			if x.Reason != nil {
				reason = *x.Reason
			}
			found.add(fmt.Sprintf("every context was rejected (%s: %s)", name, reason), d, x.Packet)
		}
	})
	found.report(add)
}

func (b *builder) findRejectedAuth(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		for i := range d.Auth {
			a := &d.Auth[i]
			switch {
			case a.State == "rejected":
				why := "refused"
				if a.Error != nil {
					why = *a.Error
				}
				found.add(fmt.Sprintf("%s at level %s: %s", a.TypeName, a.LevelName, why), d, a.Packet)
				return
			case a.State == "incomplete" && d.Origin == "handshake" && d.State != "open" && d.Directions == "both" &&
				d.GapBytes == (PerSide{}) && !rejectedAll(d) && len(d.BindNaks) == 0:
				found.add(fmt.Sprintf("%s at level %s never finished", a.TypeName, a.LevelName), d, a.Packet)
				return
			}
		}
	})
	found.report(add)
}

// findSkew gives one finding for each client and server whose clocks differ.
func (b *builder) findSkew(add func(string) *Finding) {
	type pair struct{ client, server string }
	found := make(map[pair][]krbError)
	var order []pair
	for _, e := range b.krbErrors() {
		if e.code != krbClockSkew {
			continue
		}
		p := pair{e.Client, e.Server}
		if found[p] == nil {
			order = append(order, p)
		}
		found[p] = append(found[p], e)
	}
	for _, p := range order {
		first := found[p][0]
		detail := fmt.Sprintf("%s answers %s with %s", first.Server, first.Client, first.Name)
		if first.Skew != nil {
			detail += fmt.Sprintf("; the server's clock is %v from the capture's", (time.Duration(*first.Skew) * time.Microsecond).Round(time.Millisecond))
		}
		f := add(detail)
		f.Clients, f.Servers = append(f.Clients, p.client), append(f.Servers, p.server)
		for _, e := range found[p] {
			if e.Connection != nil {
				f.Connections = append(f.Connections, *e.Connection)
			}
			f.Packets = append(f.Packets, e.Packet)
		}
	}
}

// krbWindow is how long after a KRB-ERROR a logon by other means counts as
// its consequence.
const krbWindow = int64(60 * time.Second)

// findKerberosErrors reports the errors that matter: after them the client
// fell back to NTLM, or had no session at all.
func (b *builder) findKerberosErrors(add func(string) *Finding) {
	for _, e := range b.krbErrors() {
		if e.code == krbClockSkew || !telling(e.code) {
			continue
		}
		ntlm, kerberos, failed := b.logonsAfter(e)
		what := ""
		switch {
		case ntlm != nil:
			what = fmt.Sprintf("then connection %d logs on with NTLM", ntlm.ID)
		case failed != nil && kerberos == nil:
			what = fmt.Sprintf("then connection %d has no session", failed.ID)
		case e.conn != nil && kerberos == nil:
			what = "and no session follows"
		default:
			continue
		}
		detail := fmt.Sprintf("%s answers %s with %s", e.Server, e.Client, e.Name)
		if e.SPN != nil {
			detail += " for " + *e.SPN
		}
		f := add(detail + ", " + what)
		f.Clients, f.Servers = append(f.Clients, e.Client), append(f.Servers, e.Server)
		f.Packets = append(f.Packets, e.Packet)
		for _, d := range []*Connection{ntlm, failed} {
			if d != nil {
				f.concerns(d, d.FirstPacket)
			}
		}
		if e.Connection != nil {
			f.Connections = append(f.Connections, *e.Connection)
		}
	}
}

// logonsAfter finds what the client of a KRB-ERROR did next.
func (b *builder) logonsAfter(e krbError) (ntlm, kerberos, failed *Connection) {
	b.each(func(c *assoc.Conn, d *Connection) {
		after := c.Flow.Last.Time - e.mark.Time
		if d.Client.IP != e.Client || after < 0 || c.Flow.First.Time-e.mark.Time > krbWindow || c.RPC == nil {
			return
		}
		for i := range d.Auth {
			a := &d.Auth[i]
			switch mech := mechanismOf(a); {
			case a.State == "rejected" || a.State == "incomplete":
				if failed == nil {
					failed = d
				}
			case mech == "ntlm" && c.Flow.First.Time >= e.mark.Time:
				if ntlm == nil {
					ntlm = d
				}
			case mech == "kerberos":
				kerberos = d
			}
		}
	})
	return ntlm, kerberos, failed
}

// synPatience is how long a SYN may stay unanswered at the end of a capture
// before that says anything: the first retransmission comes after 3 s.
const synPatience = int64(3 * time.Second)

func (b *builder) findUnreachable(add func(string) *Finding) {
	end := int64(0)
	for i := range b.in.Captures {
		end = max(end, b.in.Captures[i].Last)
	}
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if len(b.dir.At(c.Server())) == 0 {
			return
		}
		switch d.State {
		case "refused":
			found.add("the server refuses the announced port", d, d.LastPacket)
		case "unanswered":
			if d.Packets.Client > 1 || end-c.Flow.First.Time >= synPatience {
				found.add("nothing answers on the announced port", d, d.FirstPacket)
			}
		}
	})
	found.report(add)
}

func (b *builder) findAsymmetric(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		if d.State == "unanswered" || d.State == "refused" || d.Packets.Client+d.Packets.Server < 3 {
			return
		}
		switch d.Directions {
		case "client_only":
			found.add("only the client's packets were captured", d, d.FirstPacket)
		case "server_only":
			found.add("only the server's packets were captured", d, d.FirstPacket)
		}
	})
	found.report(add)
}

func (b *builder) findLoss(add func(string) *Finding) {
	for i := range b.doc.Captures {
		c := &b.doc.Captures[i]
		if c.Error != nil {
			add(fmt.Sprintf("%s ended early: %s", c.Path, *c.Error))
		}
		if c.TruncatedPackets > 0 {
			add(fmt.Sprintf("%s: %d packets were cut by the snap length", c.Path, c.TruncatedPackets))
		}
	}
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		if d.GapBytes != (PerSide{}) {
			found.add("bytes of the stream were never captured", d, d.FirstPacket)
		}
	})
	found.report(add)
}
