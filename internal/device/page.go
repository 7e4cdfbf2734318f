package device

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"mapiscope/internal/document"
	"mapiscope/internal/escape"
)

// page lays out text. Behind the device's own columns it puts the quality of
// each value and the number of the footnote that says why, unless it is plain.
type page struct {
	b     strings.Builder
	plain bool
	notes []string
	used  map[document.Quality]bool
}

func newPage(plain bool) *page { return &page{plain: plain, used: make(map[document.Quality]bool)} }

// valueWidth is the width of the value column in front of the quality column;
// a time of the device has 24 characters.
const valueWidth = 26

func (p *page) line(format string, args ...any) {
	printf(&p.b, format, args...)
	p.b.WriteByte('\n')
}

// printf is through what all text of a page goes: what it is given may come off
// the wire, from a device or from the name of a file, and is escaped.
func printf(b *strings.Builder, format string, args ...any) {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = escape.Text(a)
		case fmt.Stringer:
			args[i] = escape.Text(a.String())
		}
	}
	fmt.Fprintf(b, format, args...)
}

// field prints a label in a column of its own and the value behind it.
func (p *page) field(width int, label string, v Value) {
	p.valued(fmt.Sprintf("%-*s", width, label), v)
}

// valued prints what stands in front of a value, the value and its quality.
func (p *page) valued(front string, v Value) {
	if p.plain {
		p.line("%s%s", front, v)
		return
	}
	p.line("%s%-*s %s", front, valueWidth, v, p.mark(v))
}

// mark returns the quality of a value and the number of its footnote.
func (p *page) mark(v Value) string {
	p.used[v.Quality] = true
	sign := signs[v.Quality]
	if v.Why == "" || v.Quality == document.Exact {
		return sign
	}
	return fmt.Sprintf("%s [%d]", sign, p.note(v.Why))
}

// marks returns what stands behind a line with several values: the quality of
// each, in order.
func (p *page) marks(values ...Value) string {
	if p.plain {
		return ""
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = p.mark(v)
	}
	return "   " + strings.Join(out, ", ")
}

// note returns the number of a footnote.
func (p *page) note(text string) int {
	if i := slices.Index(p.notes, text); i >= 0 {
		return i + 1
	}
	p.notes = append(p.notes, text)
	return len(p.notes)
}

var signs = map[document.Quality]string{
	document.Exact: "E", document.Heuristic: "H", document.LowerBound: "L", document.Unavailable: "-",
}

var meanings = []struct {
	of   document.Quality
	text string
}{
	{document.Exact, "E exact"}, {document.Heuristic, "H heuristic"},
	{document.LowerBound, "L lower bound"}, {document.Unavailable, "- not available from packets"},
}

// writeTo ends the page with its footnotes and writes it.
func (p *page) writeTo(w io.Writer) error {
	if !p.plain && len(p.used) > 0 {
		var legend []string
		for _, m := range meanings {
			if p.used[m.of] {
				legend = append(legend, m.text)
			}
		}
		p.line("\nQuality: %s", strings.Join(legend, ", "))
	}
	if !p.plain {
		for i, n := range p.notes {
			p.line("[%d] %s", i+1, n)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}
