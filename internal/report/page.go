package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"mapiscope/internal/document"
)

// tone is what a word means; only colour shows it, and the page says the same
// without.
type tone uint8

const (
	plain tone = iota
	bad
	warn
	good
	dim
	head
)

// sgr are the terminal's codes of the tones.
var sgr = [...]string{bad: "\x1b[31m", warn: "\x1b[33m", good: "\x1b[32m", dim: "\x1b[2m", head: "\x1b[1m"}

// reset ends a tone.
const reset = "\x1b[0m"

// piece is text of one tone. Its text may come off the wire: it is escaped
// when it is printed.
type piece struct {
	text string
	tone tone
}

// page writes a report. The first error of the writer sticks and is what err
// returns.
type page struct {
	w     io.Writer
	err   error
	color bool
	width int // of tables
	prose int // of paragraphs, which read badly when they are wide
	clock clock
	doc   *document.Document
	names []string // of the captures, as packet numbers name them

	announced map[int]string // interfaces of the endpoints that connections went to, by id
}

// defaultWidth is the width of a page that has no other.
const defaultWidth = 120

// minWidth is the least that the tables can be fitted into.
const minWidth = 80

func newPage(w io.Writer, d *document.Document, o TextOptions) *page {
	width := o.Width
	if width == 0 {
		width = defaultWidth
	}
	width = max(width, minWidth)
	announced := make(map[int]string)
	for i := range d.Endpoints {
		e := &d.Endpoints[i]
		for _, id := range e.Flows {
			if e.Interface != nil && announced[id] == "" {
				announced[id] = *e.Interface
			}
		}
	}
	return &page{w: w, announced: announced, color: o.Color, width: width, prose: min(width, defaultWidth), clock: newClock(o.Location), doc: d, names: captureNames(d)}
}

func (p *page) write(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s)
	}
}

// render escapes a piece and adds its colour.
func (p *page) render(s piece) string {
	out := safe(s.text)
	if p.color && s.tone != plain && out != "" {
		return sgr[s.tone] + out + reset
	}
	return out
}

// section starts a part of the page with its title.
func (p *page) section(title string) {
	p.write("\n" + p.render(piece{title, head}) + "\n")
}

// indent is the left margin of everything below a title.
const indent = "  "

// printf writes one paragraph, wrapped at the width.
func (p *page) printf(format string, args ...any) { p.hang(0, piece{}, fmt.Sprintf(format, args...)) }

// note writes a footnote, its second and further lines set in.
func (p *page) note(body string) {
	for i, line := range wrap(safe(body), p.prose-2*len(indent)) {
		margin := indent
		if i > 0 {
			margin += indent
		}
		p.write(margin + p.render(piece{line, dim}) + "\n")
	}
}

// hang writes a label, filled up to a width, and a paragraph beside it that
// is wrapped in its own column.
func (p *page) hang(label int, l piece, body string) {
	margin := indent + strings.Repeat(" ", label)
	lead := indent + p.render(l) + strings.Repeat(" ", max(label-widthOf(safe(l.text)), 0))
	for i, line := range wrap(safe(body), p.prose-len(margin)) {
		if i > 0 {
			lead = margin
		}
		p.write(strings.TrimRight(lead+line, " ") + "\n")
	}
}

// plainWidth measures as a terminal without East Asian wide ambiguity does,
// whatever the locale: the same input gives the same page everywhere.
var plainWidth = twwidth.Options{}

func widthOf(s string) int { return twwidth.WidthWithOptions(s, plainWidth) }

// wrap cuts text into lines of at most a width, at spaces where there are
// some, and in words that are longer than a line.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Split(s, " ") {
		for first := true; first || word != ""; first = false {
			candidate := word
			if line != "" {
				candidate = line + " " + word
			}
			if widthOf(candidate) <= width {
				line = candidate
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
				continue
			}
			n := fitting(word, width)
			lines, word = append(lines, word[:n]), word[n:]
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// fitting returns how many bytes of a word fit into a width, at least one
// character.
func fitting(word string, width int) int {
	_, n := utf8.DecodeRuneInString(word)
	for n < len(word) {
		_, k := utf8.DecodeRuneInString(word[n:])
		if widthOf(word[:n+k]) > width {
			break
		}
		n += k
	}
	return n
}
