package report

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// maxScopePoints is how many lines the head has about capture points.
const maxScopePoints = 6

// capturePoints says which captures are one capture point, where several are.
func (p *page) capturePoints() {
	lines := p.joined()
	for i, line := range lines {
		label := ""
		if i == 0 {
			label = "Points"
		}
		if i == maxScopePoints && len(lines) > i+1 {
			p.hang(scopeLabel, piece{}, fmt.Sprintf("and %d more: captures[].interfaces[] of -o json has all", len(lines)-i))
			return
		}
		p.hang(scopeLabel, piece{text: label}, line)
	}
}

// interfaceAt is an interface by its place in the document.
type interfaceAt struct{ capture, iface int }

func (p *page) joined() []string {
	points := make(map[int][]interfaceAt)
	var order []int
	for i := range p.doc.Captures {
		for k := range p.doc.Captures[i].Interfaces {
			n := p.doc.Captures[i].Interfaces[k].Point
			if n == nil {
				continue
			}
			if points[*n] == nil {
				order = append(order, *n)
			}
			points[*n] = append(points[*n], interfaceAt{i, k})
		}
	}
	var lines []string
	for _, n := range order {
		lines = append(lines, p.copied(points[n])...)
		lines = append(lines, p.continued(points[n])...)
		lines = append(lines, p.halves(points[n])...)
		lines = append(lines, p.elsewhere(n, points)...)
	}
	return lines
}

func (p *page) at(a interfaceAt) *document.Interface {
	return &p.doc.Captures[a.capture].Interfaces[a.iface]
}

// copied says which interfaces of a point show the same packets.
func (p *page) copied(all []interfaceAt) []string {
	var sets [][]interfaceAt
	for _, a := range all {
		f := p.at(a)
		if *f.Joined != "seen twice" || f.JoinedTo == nil {
			continue
		}
		of := interfaceAt{f.JoinedTo.Capture, f.JoinedTo.Interface}
		i := slices.IndexFunc(sets, func(s []interfaceAt) bool { return slices.Contains(s, of) || slices.Contains(s, a) })
		if i < 0 {
			i = len(sets)
			sets = append(sets, []interfaceAt{of})
		}
		for _, x := range [...]interfaceAt{of, a} {
			if !slices.Contains(sets[i], x) {
				sets[i] = append(sets[i], x)
			}
		}
	}
	var lines []string
	for _, s := range sets {
		slices.SortFunc(s, func(a, b interfaceAt) int {
			if a.capture != b.capture {
				return a.capture - b.capture
			}
			return a.iface - b.iface
		})
		first := p.doc.Captures[s[0].capture].Path
		if len(s) > 1 && !slices.ContainsFunc(s, func(a interfaceAt) bool {
			return p.doc.Captures[a.capture].Path != first || a.iface != s[0].iface
		}) {
			lines = append(lines, fmt.Sprintf("%s was named %d times: one capture point", p.interfaceName(s[0]), len(s)))
			continue
		}
		lines = append(lines, p.interfaceNames(s)+" show the same packets: one capture point")
	}
	return lines
}

// continued says which interfaces of a point follow each other.
func (p *page) continued(all []interfaceAt) []string {
	var later []interfaceAt
	for _, a := range all {
		if *p.at(a).Joined == "continues" && p.at(a).JoinedTo != nil {
			later = append(later, a)
		}
	}
	switch len(later) {
	case 0:
		return nil
	case 1:
		to := p.at(later[0]).JoinedTo
		return []string{fmt.Sprintf("%s continues %s", p.interfaceName(later[0]), p.interfaceName(interfaceAt{to.Capture, to.Interface}))}
	}
	first := slices.IndexFunc(all, func(a interfaceAt) bool { return *p.at(a).Joined == "alone" })
	return []string{fmt.Sprintf("%s continue %s: one capture point", p.interfaceNames(later), p.interfaceName(all[max(first, 0)]))}
}

// halves says which interfaces of a point show one direction each.
func (p *page) halves(all []interfaceAt) []string {
	var lines []string
	for _, a := range all {
		if f := p.at(a); *f.Joined == "other direction" && f.JoinedTo != nil {
			lines = append(lines, p.interfaceNames([]interfaceAt{{f.JoinedTo.Capture, f.JoinedTo.Interface}, a})+
				" show one direction each: one capture point")
		}
	}
	return lines
}

// elsewhere says which points show the same packets as n and were said to be
// elsewhere.
func (p *page) elsewhere(n int, points map[int][]interfaceAt) []string {
	var lines []string
	for _, other := range p.at(points[n][0]).SamePoints {
		if other > n && len(points[other]) > 0 {
			lines = append(lines, p.interfaceNames([]interfaceAt{points[n][0], points[other][0]})+
				" show the same packets, though they were said to be at two places")
		}
	}
	return lines
}

// interfaceName names a capture, with its interface where it has several.
func (p *page) interfaceName(a interfaceAt) string {
	c := &p.doc.Captures[a.capture]
	if len(c.Interfaces) < 2 {
		return p.names[a.capture]
	}
	return "interface " + interfaceLabel(c.Interfaces[a.iface].Name, a.iface) + " of " + p.names[a.capture]
}

// interfaceLabel is the name of an interface, else its number.
func interfaceLabel(name string, index int) string {
	if name != "" {
		return name
	}
	return fmt.Sprint(index + 1)
}

// interfaceNames lists interfaces, a few by name.
func (p *page) interfaceNames(all []interfaceAt) string {
	const most = 4
	var names []string
	for i, a := range all {
		if i == most-1 && len(all) > most {
			names = append(names, fmt.Sprintf("%d more", len(all)-i))
			break
		}
		names = append(names, p.interfaceName(a))
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
