package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// col is one column of a table.
type col struct {
	head  string
	right bool // numbers stand at the right
	wrap  int  // may be broken over lines where the table is too wide; the lowest above 0 gives way first
	least int  // width down to which words may be broken too; 0 is longWord
	drop  int  // left out of a page too narrow for it; the lowest above 0 goes first
}

// table collects rows and prints them fitted to the page.
type table struct {
	columns []col
	rows    [][]piece
	notes   []string
}

// row adds a row; a cell is a string or a piece.
func (t *table) row(cells ...any) {
	row := make([]piece, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case piece:
			row[i] = c
		case string:
			row[i] = piece{text: c}
		default:
			row[i] = piece{text: fmt.Sprint(c)}
		}
	}
	t.rows = append(t.rows, row)
}

// note adds a line below the table, once.
func (t *table) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(t.notes, n) {
		t.notes = append(t.notes, n)
	}
}

// gap is the space between two columns.
const gap = "  "

// fit returns the width of each column so that the table fits: columns that
// may be broken give way, level by level, in a level the widest first, down to
// their longest word. Where that is not enough, words are broken too.
func (t *table) fit(width int) []int {
	widths, least := make([]int, len(t.columns)), make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i], least[i] = widthOf(c.head), widthOf(c.head)
	}
	for _, row := range t.rows {
		for i := range row {
			text := safe(row[i].text)
			widths[i] = max(widths[i], widthOf(text))
			for word := range strings.SplitSeq(text, " ") {
				least[i] = max(least[i], min(widthOf(word), cmp.Or(t.columns[i].least, longWord)))
			}
		}
	}
	total := len(gap) * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for level := 1; level <= lastWrap+1; {
		widest := -1
		for i, c := range t.columns {
			if level > lastWrap {
				least[i] = min(least[i], max(brokenWord, widthOf(c.head)))
			}
			if (c.wrap == level || level > lastWrap && c.wrap > 0) && widths[i] > least[i] && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		switch {
		case total <= width:
			return widths
		case widest < 0:
			level++
		default:
			widths[widest]--
			total--
		}
	}
	return widths
}

// lastWrap is the highest level at which a column gives way.
const lastWrap = 2

// longWord bounds the length up to which a word is kept in one piece where
// possible: an IPv6 address with its port just fits. brokenWord is the least
// that a column with broken words is left with.
const (
	longWord   = 48
	brokenWord = 12
)

// table prints a table under the margin of the page, its notes below it.
func (p *page) table(t *table) {
	if len(t.rows) == 0 || p.err != nil {
		return
	}
	t.dropEmpty()
	t.narrow(p.width - len(indent))
	widths := t.fit(p.width - len(indent))
	align := make(tw.Alignment, len(t.columns))
	heads := make([]string, len(t.columns))
	rules := make([]string, len(t.columns))
	for i, c := range t.columns {
		align[i] = tw.AlignLeft
		if c.right {
			align[i] = tw.AlignRight
		}
		heads[i] = p.render(piece{c.head, dim})
		rules[i] = p.render(piece{strings.Repeat("-", widths[i]), dim})
	}
	var b bytes.Buffer
	out := tablewriter.NewTable(&b,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{Borders: tw.BorderNone, Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone}})),
		tablewriter.WithEastAsian(tw.Off), tablewriter.WithTrimSpace(tw.Off), tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithPadding(tw.Padding{Right: gap, Overwrite: true}), tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: align}),
	)
	lines := [][]string{heads, rules}
	for _, row := range t.rows {
		lines = append(lines, p.cells(row, widths))
	}
	if p.err = out.Bulk(lines); p.err != nil {
		return
	}
	if p.err = out.Render(); p.err != nil {
		return
	}
	for line := range strings.Lines(b.String()) {
		p.write(indent + tidy(line) + "\n")
	}
	for _, n := range t.notes {
		p.note(n)
	}
}

// tidy takes off what tablewriter puts behind the text of a line: spaces that
// fill up the last column, and resets of colours that were reset before.
func tidy(line string) string {
	line = strings.TrimRight(strings.ReplaceAll(line, " "+reset, " "), " \n")
	if rest, ok := strings.CutSuffix(line, reset); ok {
		line = strings.TrimRight(rest, " ") + reset
	}
	return line
}

// cells renders a row, its cells broken at the widths of their columns.
func (p *page) cells(row []piece, widths []int) []string {
	out := make([]string, len(row))
	for i, c := range row {
		lines := wrap(safe(c.text), widths[i])
		for j := range lines {
			lines[j] = p.render(piece{lines[j], c.tone})
		}
		out[i] = strings.Join(lines, "\n")
	}
	return out
}

// dropEmpty removes the columns that say nothing in any row.
func (t *table) dropEmpty() {
	for i := len(t.columns) - 1; i >= 0; i-- {
		if slices.ContainsFunc(t.rows, func(r []piece) bool { return r[i].text != "" }) {
			continue
		}
		t.remove(i)
	}
}

func (t *table) remove(i int) {
	t.columns = slices.Delete(t.columns, i, i+1)
	for j := range t.rows {
		t.rows[j] = slices.Delete(t.rows[j], i, i+1)
	}
}

// narrow leaves out columns until the others can be fitted, and says which.
func (t *table) narrow(width int) {
	var out []string
	for {
		total := 0
		for _, w := range t.fit(width) {
			total += w + len(gap)
		}
		next := -1
		for i, c := range t.columns {
			if c.drop > 0 && (next < 0 || c.drop < t.columns[next].drop) {
				next = i
			}
		}
		if total-len(gap) <= width || next < 0 {
			break
		}
		out = append(out, t.columns[next].head)
		t.remove(next)
	}
	if len(out) > 0 {
		t.note("left out for want of width: %s; a wider terminal or -o json shows all", strings.Join(out, ", "))
	}
}

// cut shortens a list that would be too long for a page and notes how many
// are left out and how to see them.
func cut[T any](t *table, items []T, max int, what, where string) []T {
	if len(items) <= max {
		return items
	}
	t.note("%d more of %d %s: see %s", len(items)-max, len(items), plural(what), where)
	return items[:max]
}
