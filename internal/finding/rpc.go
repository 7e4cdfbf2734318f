package finding

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mapiscope/dcerpc"
	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

func (b *judge) findRejectedBinds(add func(Text) *Finding) {
	var found byReason
	b.each(func(d *Conn) {
		if d.RPC == nil {
			return
		}
		for _, n := range d.RPC.Naks {
			found.add("bind_nak: "+dcerpc.BindNakReasonName(n.Reason)+joining(d), d, n.Mark)
		}
		if len(d.RPC.Naks) == 0 && d.rejectedAll() {
			x := &d.RPC.Contexts[0]
			name, known := dcerpc.InterfaceName(x.Interface.UUID)
			if !known {
				name = x.Interface.UUID.String()
			}
			reason := x.Result.String()
			if x.Result != dcerpc.NegotiateAck {
				reason = dcerpc.ReasonName(x.Reason)
			}
			found.add(fmt.Sprintf("every context was rejected (%s: %s)", name, reason), d, x.Mark)
		}
	})
	found.report(add)
}

// joining says that a refused bind asked for an existing association group: a
// server refuses that to a client with another address than the group's.
func joining(d *Conn) string {
	if g := d.RPC.Requested; g != nil && *g != 0 {
		return fmt.Sprintf("; it asked to join association group 0x%08x", *g)
	}
	return ""
}

func (b *judge) findRejectedAuth(add func(Text) *Finding) {
	var found, skewed byReason
	b.each(func(d *Conn) {
		if d.RPC == nil {
			return
		}
		for i := range d.RPC.Auths {
			a := &d.RPC.Auths[i]
			what := fmt.Sprintf("%s at level %s", dcerpc.AuthTypeName(a.Type), dcerpc.AuthLevelName(a.Level))
			switch {
			case a.State == dcerpc.Rejected:
				why := "refused"
				if a.Error != "" {
					why = a.Error
				}
				if k := a.Facts.KRBErr; k != nil && !strings.Contains(why, k.Name) {
					why = k.Name + ", then " + why
				}
				to := &found
				if strings.Contains(why, "SKEW") {
					to = &skewed
				}
				to.add(what+": "+why, d, a.Mark)
				return
			case a.State == dcerpc.Incomplete && d.began() && d.Flow.State() != flows.Open && d.whole() && !d.rejectedAll() && len(d.RPC.Naks) == 0:
				found.add(what+" never finished", d, a.Mark)
				return
			}
		}
	})
	found.report(add)
	skewed.report(func(detail Text) *Finding {
		f := add(detail)
		f.Advice = "Set the clocks right: see KERBEROS_CLOCK_SKEW."
		return f
	})
}

// synPatience is how long a SYN may stay unanswered at the end of a capture
// before that says anything: the first retransmission comes after 3 s.
const synPatience = int64(3 * time.Second)

// hostsAt are the two ends of connections at one capture point.
type hostsAt struct {
	hosts
	at pcaps.Point
}

func (d *Conn) hostsAt() hostsAt { return hostsAt{d.hosts(), d.place()} }

func (b *judge) findUnreachable(add func(Text) *Finding) {
	end := b.captureEnd()
	// Where the answers of a server are missing from the capture, so is that
	// to the SYN.
	oneSided := make(map[hostsAt]bool)
	b.each(func(d *Conn) {
		if d.Flow.Directions() == flows.ClientOnly && d.Flow.State() != flows.Unanswered {
			oneSided[d.hostsAt()] = true
		}
	})
	var found byReason
	b.each(func(d *Conn) {
		if !b.dir.Announced(d.Conn, wire.UUID{}) {
			return
		}
		port := d.Server().Port()
		switch d.Flow.State() {
		case flows.Refused:
			found.add(fmt.Sprintf("the server refuses port %d, which the endpoint mapper announced", port), d, d.Flow.Last)
		case flows.Unanswered:
			if !oneSided[d.hostsAt()] && (d.Flow.Sides[d.Flow.Client].Packets > 1 || end-d.Flow.First.Time >= synPatience) {
				found.add(fmt.Sprintf("nothing answers on port %d, which the endpoint mapper announced", port), d, d.Flow.First)
			}
		}
	})
	found.report(add)
}

func (b *judge) findAsymmetric(add func(Text) *Finding) {
	var found byReason
	for _, d := range b.Findings.Conns {
		if !d.reached() || d.Flow.Sides[0].Packets+d.Flow.Sides[1].Packets < 3 {
			continue
		}
		switch d.Flow.Directions() {
		case flows.ClientOnly:
			found.add("only the client's packets were captured", d, d.Flow.First)
		case flows.ServerOnly:
			found.add("only the server's packets were captured", d, d.Flow.First)
		}
	}
	found.report(add)
}

func (b *judge) findLoss(add func(Text) *Finding) {
	for i := range b.Captures {
		c := &b.Captures[i]
		switch {
		case c.Err != nil && c.Format == "":
			add(say(fmt.Sprintf("%s was not read: %s", c.Path, InputError(c.Err)))).Advice = "Check the file, or convert it with what the message names."
		case errors.Is(c.Err, io.ErrUnexpectedEOF):
			add(say(fmt.Sprintf("%s ended early: %s", c.Path, InputError(c.Err)))).Advice = "Read the file again when it is written, or copy it again in full."
		case c.Err != nil:
			add(say(fmt.Sprintf("%s ended early: %s", c.Path, InputError(c.Err)))).Advice = "Read it again to its end; what follows is in no figure."
		}
		if c.Truncated > 0 {
			add(say(fmt.Sprintf("%s: %d packets were cut by the snap length", c.Path, c.Truncated))).Advice = "Capture full packets (snaplen 0)."
		}
		if n, _ := Lost(c); n > 0 {
			add(say(fmt.Sprintf("%s: %d packets were lost while capturing, for want of room or by the interface", c.Path, n))).Advice = "Capture with a larger buffer, or filter on the hosts concerned."
		}
	}
	var found byReason
	for _, d := range b.Findings.Conns {
		if d.Flow.Gapped() {
			found.add("bytes of the stream were never captured", d, d.Flow.First)
		}
	}
	found.report(add)
}

// InputError words why a capture ended early. A file that ends within a packet
// is most often one that is being written, or a copy that broke off.
func InputError(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Sprintf("the file ends in mid-packet: still being written, or the copy is incomplete; %v", err)
	}
	return err.Error()
}

// Lost returns how many packets the interfaces of a capture lost, and whether
// anything tells it. Statistics and the packets themselves count the same
// losses, and either may have missed some.
func Lost(c *pcaps.Capture) (n int64, told bool) {
	for i := range c.Interfaces {
		f := &c.Interfaces[i]
		of := int64(0)
		for _, d := range [...]*int64{f.Dropped, f.DriverDropped} {
			if d != nil {
				of, told = of+*d, true
			}
		}
		if f.Lost != nil {
			of, told = max(of, *f.Lost), true
		}
		n += of
	}
	return n, told
}

// PlaceOf returns the place of a capture that the packets tell, Unknown where
// they tell none or its interfaces do not agree.
func (f *Findings) PlaceOf(c *pcaps.Capture) pcaps.Point {
	found := pcaps.Unknown
	for i := range c.Interfaces {
		p := f.Facts.Verdicts.Points[c.Interfaces[i].Tap]
		switch {
		case c.Interfaces[i].Packets == 0 || p == nil:
		case found == pcaps.Unknown:
			found = p.Place
		case found != p.Place:
			return pcaps.Unknown
		}
	}
	return found
}
