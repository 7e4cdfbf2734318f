package document

import (
	"net/netip"
	"slices"
	"strconv"

	"mapiscope/assoc"
	"mapiscope/internal/finding"
)

// findings writes the findings into the document.
func (b *builder) findings() {
	b.doc.Findings = make([]Finding, 0, len(b.f.All))
	for i := range b.f.All {
		f := &b.f.All[i]
		out := Finding{
			Code: string(f.Code), Severity: f.Severity, Quality: f.Quality, Title: f.Title, Detail: b.words(f.Detail), Advice: f.Advice,
			Connections: b.idsOf(f.Conns), Groups: []int{}, Clients: addresses(f.Clients), Servers: addresses(f.Servers), Packets: []PacketRef{},
		}
		for _, g := range f.Groups {
			out.Groups = append(out.Groups, b.groupIDs[g])
		}
		slices.Sort(out.Groups)
		out.Groups = slices.Compact(out.Groups)
		for _, m := range f.Marks {
			out.Packets = append(out.Packets, ref(m))
		}
		b.doc.Findings = append(b.doc.Findings, out)
	}
}

// words prints a text with the numbers of its connections.
func (b *builder) words(t finding.Text) string {
	return t.With(func(c *assoc.Conn) string { return strconv.Itoa(b.ids[c]) })
}

// addresses lists addresses by their texts, each once.
func addresses(all []netip.Addr) []string {
	out := []string{}
	for _, a := range all {
		out = append(out, a.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// FindingSeverities returns the severity of every code that a finding can have.
func FindingSeverities() map[string]Severity {
	all := make(map[string]Severity)
	for code, s := range finding.Severities() {
		all[string(code)] = s
	}
	return all
}
