package screen

import (
	"fmt"
	"strings"

	"mapiscope/internal/document"
	"mapiscope/internal/report"
)

// bodyText is the text of what was opened, wrapped at the width of the
// terminal.
type bodyText struct {
	lines [][]cell
	width int
}

func (b *bodyText) size() int { return len(b.lines) }

// text describes what was opened.
func (p *page) text(x *index, width int) bodyText {
	b := bodyText{width: width}
	if p.subject == nil {
		return b
	}
	at := x.find(*p.subject)
	switch {
	case at < 0:
		b.say("", "It is no longer listed: the job keeps a bounded number of connections and has forgotten this one.")
	case p.subject.kind == groups:
		b.group(x, at)
	case p.subject.kind == findings:
		b.finding(x, at)
	default:
		b.connection(x, at)
	}
	return b
}

// label is the width of the labels of the text.
const label = 12

// say adds a label and a text beside it.
func (b *bodyText) say(name, text string) { b.tell(name, cell{text, plain}) }

// tell is say with a tone.
func (b *bodyText) tell(name string, c cell) {
	for i, line := range wrap(clean(c.text), b.width-label) {
		if i > 0 {
			name = ""
		}
		b.lines = append(b.lines, []cell{{fmt.Sprintf("%-*s", label, name), dim}, {line, c.tone}})
	}
}

// items adds one line for each item, the label before the first, and says how
// many are left out of a long list.
func items[T any](b *bodyText, name string, list []T, word func(*T) cell) {
	for i := range list {
		if i == maxItems {
			b.tell("", cell{fmt.Sprintf("and %d more", len(list)-i), dim})
			return
		}
		b.tell(name, word(&list[i]))
		name = ""
	}
}

// maxItems bounds what is shown of one list.
const maxItems = 20

func (b *bodyText) group(x *index, at int) {
	g := x.group(at)
	rank := x.groups[at].rank
	b.tell("verdict", cell{rank.String(), rankTones[rank]})
	b.say("why", x.words.Reason(g))
	b.say("server", fmt.Sprintf("%s, group %s, %s", report.Endpoint(g.Server), groupNumber(g), place(g.At)))
	b.say("clients", strings.Join(g.Clients[:min(len(g.Clients), maxItems)], ", ")+more(len(g.Clients)))
	if g.ClientProduct != nil {
		b.say("product", *g.ClientProduct)
	}
	b.say("open", fmt.Sprintf("%s to %s, %s, %s", x.words.Clock(g.First), x.words.Clock(g.Last), report.Count(int64(len(g.Connections)), "connection"), report.Size(x.groups[at].bytes)))
	items(b, "pairs", g.OptimizerPairs, func(o *document.OptimizerPair) cell {
		return cell{fmt.Sprintf("edge %s, core %s: %s", orDash(o.EdgeDevice), orDash(o.CoreDevice), report.Count(int64(len(o.Connections)), "connection")), plain}
	})
	b.findings(x, func(f *document.Finding) []int { return f.Groups }, g.ID)
}

func (b *bodyText) finding(x *index, at int) {
	f := &x.doc.Findings[at]
	b.tell("finding", cell{severityCell(f.Severity).text + ": " + f.Title + " (" + f.Code + ")", severityCell(f.Severity).tone})
	b.say("came", x.finds[at].came.In(x.zone).Format("2006-01-02 15:04:05"))
	b.say("detail", f.Detail)
	b.say("advice", f.Advice)
	if n := len(f.Packets); n > 0 {
		b.say("packets", packets(x, f.Packets[:min(n, maxItems)])+more(n))
	}
}

// findings adds the findings that name something by its number.
func (b *bodyText) findings(x *index, names func(*document.Finding) []int, id int) {
	var found []*document.Finding
	for i := range x.doc.Findings {
		for _, n := range names(&x.doc.Findings[i]) {
			if n == id {
				found = append(found, &x.doc.Findings[i])
				break
			}
		}
	}
	items(b, "findings", found, func(f **document.Finding) cell {
		s := severityCell((*f).Severity)
		return cell{fmt.Sprintf("%s %s: %s", s.text, (*f).Code, (*f).Detail), s.tone}
	})
}

func (b *bodyText) connection(x *index, at int) {
	c := &x.doc.Connections[at]
	b.tell("connection", cell{report.Endpoint(c.Client) + " > " + report.Endpoint(c.Server), strong})
	if c.Escaped != nil {
		b.tell("ESCAPED", cell{c.Escaped.Reason, bad})
	} else if c.PossibleEscape != nil {
		b.tell("escaped", cell{"possibly: " + c.PossibleEscape.Reason, warn})
	}
	service := x.words.Service(c)
	if c.ServiceBasis != "" {
		service += ", known by " + words(c.ServiceBasis)
	}
	b.say("service", service)
	b.say("path", x.words.Path(c))
	for _, o := range x.doc.Legs(c) {
		b.say("also", place(o.At)+", from "+report.Endpoint(o.Client))
	}
	b.say("device", fmt.Sprintf("%s (%s), %s: %s", words(c.Disposition.Accelerator), c.Disposition.Accel, words(string(c.Disposition.Quality)), c.Disposition.Reason))
	b.optimizer(c)
	b.findings(x, func(f *document.Finding) []int { return f.Connections }, c.ID)
	b.transport(x, c)
	b.binds(x, c)
	b.calls(c)
	if c.MAPI != nil {
		b.mapi(c.MAPI)
	}
}

func (b *bodyText) optimizer(c *document.Connection) {
	o := &c.Optimizer
	if o.Verdict == "unknown" && len(o.Evidence) == 0 {
		return
	}
	line := words(o.Verdict)
	if o.Vendor != nil {
		line += " by " + *o.Vendor
	}
	if o.EdgeDevice != nil || o.CoreDevice != nil {
		line += fmt.Sprintf(", edge %s, core %s", orDash(o.EdgeDevice), orDash(o.CoreDevice))
	}
	b.say("optimizer", line)
	items(b, "evidence", o.Evidence, func(e *document.Evidence) cell {
		return cell{fmt.Sprintf("%s: %s (%s, packet %d)", words(e.Kind), e.Detail, words(string(e.Quality)), e.Packet.Packet), plain}
	})
}

func (b *bodyText) transport(x *index, c *document.Connection) {
	b.say("open", fmt.Sprintf("%s to %s, %s, %s", x.words.Clock(c.Start), x.words.Clock(c.End), report.State(c.State), place(c.At)))
	rtt := "not seen"
	if c.RTT != nil {
		rtt = report.Span(*c.RTT)
	}
	b.say("sent c/s", fmt.Sprintf("%s / %s in %d / %d packets; round trip %s; %s seen",
		report.Size(c.Bytes.Client), report.Size(c.Bytes.Server), c.Packets.Client, c.Packets.Server, rtt, words(c.Directions)))
	for _, n := range []struct {
		name string
		p    document.PerSide
	}{{"retransmitted", c.Retransmitted}, {"out of order", c.OutOfOrder}, {"missing", c.GapBytes}} {
		if n.p != (document.PerSide{}) {
			b.say("", fmt.Sprintf("%s: %s / %s", n.name, report.Size(n.p.Client), report.Size(n.p.Server)))
		}
	}
	if c.AssocGroup.Granted != nil {
		line := fmt.Sprintf("0x%08x", *c.AssocGroup.Granted)
		if n := c.AssocGroup.Group; n != nil {
			if at := x.groupAt(*n); at >= 0 {
				line += ", " + x.groups[at].rank.String()
			}
		}
		b.say("group", line)
	}
}

// binds tells what was bound and how it was authenticated.
func (b *bodyText) binds(x *index, c *document.Connection) {
	items(b, "interfaces", c.Interfaces, func(i *document.Context) cell {
		name := i.UUID
		if i.Name != nil {
			name = *i.Name
		}
		answer := "no answer"
		if i.Result != nil {
			answer = words(*i.Result)
		}
		if i.Reason != nil {
			answer += ", " + words(*i.Reason)
		}
		return cell{fmt.Sprintf("%s %s: %s", name, i.Version, answer), plain}
	})
	items(b, "bind_nak", c.BindNaks, func(n *document.BindNak) cell { return cell{fmt.Sprintf("%d %s", n.Reason, words(n.ReasonText)), bad} })
	items(b, "auth", c.Auth, authCell)
	if len(c.Auth) == 0 && len(c.Interfaces) > 0 {
		b.say("auth", "none")
	}
}

func authCell(a *document.Auth) cell {
	line := a.TypeName
	if a.Mechanism != nil && *a.Mechanism != a.TypeName {
		line += ":" + *a.Mechanism
	}
	line += " " + a.LevelName + ", " + words(a.State)
	if a.User != nil {
		user := *a.User
		if a.Domain != nil {
			user = *a.Domain + `\` + user
		}
		line += ", " + user
	}
	for _, n := range []struct {
		name string
		text *string
	}{{" at ", a.Workstation}, {", realm ", a.Realm}, {", for ", a.SPN}, {", target ", a.Target}, {", error ", a.Error}} {
		if n.text != nil {
			line += n.name + *n.text
		}
	}
	if a.State == "rejected" || a.Error != nil {
		return cell{line, bad}
	}
	return cell{line, plain}
}

// place says where something was captured.
func place(at string) string {
	if at == "unknown" || at == "" {
		return "capture point not known"
	}
	return "captured at " + at
}

// words makes text of a name in the document.
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// more says how many of a list are not shown.
func more(n int) string {
	if n > maxItems {
		return fmt.Sprintf(" and %d more", n-maxItems)
	}
	return ""
}

// packets lists packet numbers, with their capture where there are several.
func packets(x *index, refs []document.PacketRef) string {
	list := make([]string, len(refs))
	for i, r := range refs {
		list[i] = fmt.Sprint(r.Packet)
		if len(x.doc.Captures) > 1 && r.Capture >= 0 && r.Capture < len(x.doc.Captures) {
			list[i] += " of " + x.doc.Captures[r.Capture].Path
		}
	}
	return strings.Join(list, ", ")
}
