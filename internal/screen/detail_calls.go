package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
	"mapiscope/internal/report"
)

// calls tells how the calls of a connection fared, the busiest operations
// first.
func (b *bodyText) calls(c *document.Connection) {
	n := &c.Calls
	if n.Requests+n.Responses+n.Faults == 0 {
		return
	}
	line := fmt.Sprintf("%s, %s", report.Count(n.Requests, "request"), report.Count(n.Responses, "response"))
	for _, k := range []struct {
		n    int64
		name string
	}{{n.Faults, "faults"}, {n.Cancels, "cancels"}, {n.Unanswered, "unanswered"}, {n.Orphaned, "answers without request"}, {n.Lost, "lost"}} {
		if k.n > 0 {
			line += fmt.Sprintf(", %d %s", k.n, k.name)
		}
	}
	b.say("calls", line)
	busiest := slices.Clone(c.Operations)
	slices.SortStableFunc(busiest, func(x, y document.Operation) int { return cmp.Compare(y.Requests, x.Requests) })
	items(b, "operations", busiest, func(o *document.Operation) cell {
		name := orDash(o.Name)
		if o.Name == nil {
			if name = orDash(o.Interface); o.Opnum != nil {
				name += fmt.Sprintf(" opnum %d", *o.Opnum)
			}
		}
		faults := ""
		if o.Faults > 0 {
			faults = fmt.Sprintf(", %d faults", o.Faults)
		}
		return cell{fmt.Sprintf("%s: %d/%d%s, %s", name, o.Requests, o.Responses, faults, latency(&o.ResponseTime)), plain}
	})
	items(b, "faults", c.Faults, func(f *document.Fault) cell {
		return cell{fmt.Sprintf("0x%08x %s, packet %d", f.Status, f.StatusName, f.Packet.Packet), bad}
	})
}

// latency words a distribution of response times.
func latency(l *document.Latency) string {
	if l.Avg == nil || l.P95 == nil || l.Max == nil {
		return "no response time"
	}
	return fmt.Sprintf("avg %s, p95 %s, max %s", report.Span(*l.Avg), report.Span(*l.P95), report.Span(*l.Max))
}

// mapi tells what the EMSMDB calls carried.
func (b *bodyText) mapi(m *document.MAPI) {
	if m.Unavailable != nil {
		b.tell("mapi", cell{"figures are missing: " + *m.Unavailable, warn})
	}
	for _, n := range []struct {
		label string
		parts []*string
	}{{"mailbox", []*string{m.UserDN}}, {"client", []*string{m.ClientProduct, m.ClientVersion}}, {"exchange", []*string{m.ServerProduct, m.ServerVersion}}} {
		var list []string
		for _, p := range n.parts {
			if p != nil {
				list = append(list, *p)
			}
		}
		if len(list) > 0 {
			b.say(n.label, strings.Join(list, ", "))
		}
	}
	if m.Sessions != nil {
		b.say("sessions", fmt.Sprint(*m.Sessions))
	}
	busiest := slices.Clone(m.Rops)
	slices.SortStableFunc(busiest, func(x, y document.Rop) int { return cmp.Compare(y.Requests, x.Requests) })
	items(b, "rops", busiest, func(r *document.Rop) cell {
		failed := ""
		if r.Failures > 0 {
			failed = fmt.Sprintf(", %d failed", r.Failures)
		}
		return cell{fmt.Sprintf("%s: %d/%d%s, %s", r.Name, r.Requests, r.Responses, failed, latency(&r.ResponseTime)), plain}
	})
	if r := m.RopBytes; r != nil {
		b.say("rop lists", fmt.Sprintf("%s read, %s not", report.Size(r.Walked), report.Size(r.Unwalked)))
	}
	b.sizes("sync", m.SyncGetBuffer)
	b.sizes("stream", m.ReadStream)
	if f := m.Buffers; f != nil {
		b.say("payloads", fmt.Sprintf("%d plain, %d compressed, %d obfuscated, %d chained", f.Plain, f.Compressed, f.Obfuscated, f.Chained))
	}
	items(b, "refused", m.Refusals, func(r *document.Refusal) cell {
		return cell{fmt.Sprintf("%s: 0x%08x %s, %s", r.Operation, r.Value, orDash(r.Name), report.Count(r.Count, "answer")), warn}
	})
}

// sizes tells how much one kind of read brought.
func (b *bodyText) sizes(name string, s *document.Sizes) {
	if s == nil || s.Requests == 0 {
		return
	}
	line := report.Count(s.Requests, "read")
	if s.Min != nil && s.Avg != nil && s.Max != nil {
		line += fmt.Sprintf(" of %s to %s, %s on average", report.Size(*s.Min), report.Size(*s.Max), report.Size(*s.Avg))
	}
	b.say(name, line)
}
