package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mapiscope/internal/document"
)

// WriteChanges writes what differs between two documents as a page for people.
func WriteChanges(w io.Writer, before, after string, c *document.Changes, o TextOptions) error {
	p := newPage(w, &document.Document{}, o)
	p.write(p.render(piece{"mapiscope compare", head}) + "\n")
	p.hang(scopeLabel, piece{text: "Before"}, before)
	p.hang(scopeLabel, piece{text: "After"}, after)
	if len(c.Findings)+len(c.Clients)+len(c.Groups)+len(c.Figures) == 0 {
		p.write("\n")
		p.printf("Nothing changed: findings, clients, groups and figures are the same.")
		return p.err
	}
	p.changedFindings(c)
	p.changedClients(c)
	p.changedGroups(c)
	p.changedFigures(c)
	return p.err
}

func (p *page) changedFindings(c *document.Changes) {
	p.section("What stands out now")
	if len(c.Findings) == 0 {
		p.printf("The same findings stand, on the same clients.")
		return
	}
	for _, f := range c.Findings {
		word := piece{strings.ToUpper(f.Change), warn}
		switch f.Change {
		case "new", "more":
			if f.Severity == document.Error {
				word.tone = bad
			}
		case "gone", "fewer":
			word.tone = good
		}
		body := fmt.Sprintf("%s (%s, %s): %d before, %d after", f.Title, f.Code, f.Severity, f.Before, f.After)
		if len(f.Clients) > 0 {
			body += "; clients " + list(f.Clients, 6)
		}
		p.hang(findingLabel, word, body)
	}
}

func (p *page) changedClients(c *document.Changes) {
	if len(c.Clients) == 0 {
		return
	}
	t := table{columns: []col{
		{head: "client"}, {head: "change"}, {head: "connections", right: true}, {head: "encrypted", right: true}, {head: "optimized", right: true},
		{head: "passed through", right: true}, {head: "escaped", right: true}, {head: "accelerated", right: true},
	}}
	rows := cut(&t, c.Clients, maxRows, "client", "clients in -o json")
	for i := range rows {
		x := &rows[i]
		b, a := x.Before, x.After
		if b == nil {
			b = new(document.ClientFigures)
		}
		if a == nil {
			a = new(document.ClientFigures)
		}
		t.row(x.Client, x.Change, arrow(b.Connections, a.Connections), arrow(b.Encrypted, a.Encrypted), arrow(b.Optimized, a.Optimized),
			arrow(b.PassThrough, a.PassThrough), arrow(b.Escaped, a.Escaped), arrow(b.Accelerated, a.Accelerated))
	}
	t.note("EMSMDB connections, before > after")
	p.section("Clients")
	p.table(&t)
}

func arrow(before, after int64) string {
	if before == after {
		return fmt.Sprint(after)
	}
	return fmt.Sprintf("%d > %d", before, after)
}

func (p *page) changedGroups(c *document.Changes) {
	if len(c.Groups) == 0 {
		return
	}
	t := table{columns: []col{{head: "client > server"}, {head: "before", wrap: 1}, {head: "after", wrap: 1}}}
	words := func(m map[string]int) string {
		var out []string
		for _, v := range slices.Sorted(maps.Keys(m)) {
			out = append(out, fmt.Sprintf("%d %s", m[v], strings.ReplaceAll(v, "_", " ")))
		}
		if len(out) == 0 {
			return "none"
		}
		return strings.Join(out, ", ")
	}
	rows := cut(&t, c.Groups, maxRows, "host pair", "groups in -o json")
	for i := range rows {
		t.row(rows[i].Client+" > "+rows[i].Server, words(rows[i].Before), words(rows[i].After))
	}
	p.section("Association groups")
	p.table(&t)
}

func (p *page) changedFigures(c *document.Changes) {
	if len(c.Figures) == 0 {
		return
	}
	t := table{columns: []col{{head: "figure"}, {head: "before", right: true}, {head: "after", right: true}, {head: "change", right: true}}}
	rows := cut(&t, c.Figures, 2*maxRows, "figure", "figures in -o json")
	for i := range rows {
		f := &rows[i]
		change := ""
		if f.Before != nil && f.After != nil {
			change = fmt.Sprintf("%+g", round(*f.After-*f.Before))
			if *f.Before != 0 {
				change += fmt.Sprintf(" (%+.1f%%)", 100*(*f.After-*f.Before) / *f.Before)
			}
		}
		t.row(f.Name, figureText(f.Before), figureText(f.After), change)
	}
	p.section("Figures")
	p.table(&t)
}

func figureText(f *float64) string {
	if f == nil {
		return notAvailable
	}
	return strconv.FormatFloat(round(*f), 'f', -1, 64)
}

// round keeps three decimals, as many as the device prints of a ratio.
func round(f float64) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', 3, 64), 64)
	return v
}

// WriteChangesJSON writes the changes as one JSON object.
func WriteChangesJSON(w io.Writer, c *document.Changes) error {
	e := &indenter{w: w}
	e.value(c, "")
	e.text("\n")
	return e.err
}

// WriteChangesJSONL writes the changes as records.
func WriteChangesJSONL(w io.Writer, c *document.Changes) error {
	r := NewRecords(w)
	for _, err := range []error{
		each(r, "finding_change", c.Findings),
		each(r, "client_change", c.Clients),
		each(r, "group_change", c.Groups),
		each(r, "figure_change", c.Figures),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
