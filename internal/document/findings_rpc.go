package document

import (
	"fmt"
	"strings"
	"time"

	"mapiscope/assoc"
	"mapiscope/internal/wire"
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
			found.add("bind_nak: "+n.ReasonText+joining(d), d, n.Packet)
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

// joining says that a refused bind asked for an existing association group: a
// server refuses that to a client with another address than the group's.
func joining(d *Connection) string {
	if g := d.AssocGroup.Requested; g != nil && *g != 0 {
		return fmt.Sprintf("; it asked to join association group 0x%08x", *g)
	}
	return ""
}

func (b *builder) findRejectedAuth(add func(string) *Finding) {
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		for i := range d.Auth {
			a := &d.Auth[i]
			switch {
			case a.State == "rejected":
				why := "refused"
				if a.Error != nil {
					why = *a.Error
				}
				if k := c.RPC.Auths[i].Facts.KRBErr; k != nil && !strings.Contains(why, k.Name) {
					why = k.Name + ", then " + why
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

// synPatience is how long a SYN may stay unanswered at the end of a capture
// before that says anything: the first retransmission comes after 3 s.
const synPatience = int64(3 * time.Second)

func (b *builder) findUnreachable(add func(string) *Finding) {
	end := b.captureEnd()
	// Where the answers of a server are missing from the capture, so is that
	// to the SYN.
	type hosts struct{ client, server, at string }
	oneSided := make(map[hosts]bool)
	b.each(func(_ *assoc.Conn, d *Connection) {
		if d.Directions == "client_only" && d.State != "unanswered" {
			oneSided[hosts{d.Client.IP, d.Server.IP, d.At}] = true
		}
	})
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if !b.dir.Announced(c, wire.UUID{}) {
			return
		}
		switch d.State {
		case "refused":
			found.add(fmt.Sprintf("the server refuses port %d, which the endpoint mapper announced", d.Server.Port), d, d.LastPacket)
		case "unanswered":
			if !oneSided[hosts{d.Client.IP, d.Server.IP, d.At}] && (d.Packets.Client > 1 || end-c.Flow.First.Time >= synPatience) {
				found.add(fmt.Sprintf("nothing answers on port %d, which the endpoint mapper announced", d.Server.Port), d, d.FirstPacket)
			}
		}
	})
	found.report(add)
}

func (b *builder) findAsymmetric(add func(string) *Finding) {
	var found byReason
	b.eachLeg(func(_ *assoc.Conn, d *Connection) {
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
		switch {
		case c.Error != nil && c.Format == "":
			add(fmt.Sprintf("%s was not read: %s", c.Path, *c.Error))
		case c.Error != nil:
			add(fmt.Sprintf("%s ended early: %s", c.Path, *c.Error))
		}
		if c.TruncatedPackets > 0 {
			add(fmt.Sprintf("%s: %d packets were cut by the snap length", c.Path, c.TruncatedPackets))
		}
		if c.DroppedPackets != nil && *c.DroppedPackets > 0 {
			add(fmt.Sprintf("%s: %d packets were lost while capturing, for want of room or by the interface", c.Path, *c.DroppedPackets))
		}
	}
	var found byReason
	b.eachLeg(func(_ *assoc.Conn, d *Connection) {
		if d.GapBytes != (PerSide{}) {
			found.add("bytes of the stream were never captured", d, d.FirstPacket)
		}
	})
	found.report(add)
}
