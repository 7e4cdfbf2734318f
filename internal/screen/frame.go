package screen

import (
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"mapiscope/internal/report"
)

// tone is what a word means; colour adds to it and never says it alone.
type tone uint8

const (
	plain tone = iota
	bad
	warn
	good
	dim
	strong
	chosen // the selected row
)

// sgr are the terminal's codes of the tones.
var sgr = [...]string{bad: "\x1b[31m", warn: "\x1b[33m", good: "\x1b[32m", dim: "\x1b[2m", strong: "\x1b[1m", chosen: "\x1b[7m"}

// reset ends a tone.
const reset = "\x1b[0m"

// cell is text of one tone. It may come off the wire: it is escaped when it is
// put into a frame.
type cell struct {
	text string
	tone tone
}

// frame collects the lines of a frame, none wider than its width and no more
// than its height.
type frame struct {
	width, height int
	color         bool
	lines         []string
}

// left is how many lines are still free.
func (f *frame) left() int { return f.height - len(f.lines) }

// line adds a line of cells that follow each other; what does not fit is cut
// off.
func (f *frame) line(cells ...cell) {
	if f.left() <= 0 {
		return
	}
	l := line{room: f.width, color: f.color}
	for _, c := range cells {
		text, _ := cut(clean(c.text), l.room)
		l.put(text, c.tone)
	}
	f.lines = append(f.lines, l.end())
}

// row adds a line of cells in columns of given widths, those of width 0 left
// out. mark stands before it. A tone of the whole row takes the place of those
// of its cells.
func (f *frame) row(mark string, columns []column, widths []int, cells []cell, whole tone) {
	if f.left() <= 0 {
		return
	}
	l := line{room: f.width, color: f.color}
	text, _ := cut(mark, l.room)
	l.put(text, whole)
	for i, c := range cells {
		width := min(widths[i], l.room)
		if width <= 0 {
			continue
		}
		text, used := fitted(clean(c.text), width, columns[i].tail)
		if fill := strings.Repeat(" ", width-used); columns[i].right {
			text = fill + text
		} else {
			text += fill
		}
		t := c.tone
		if whole != plain {
			t = whole
		}
		l.put(text, t)
		l.put(gap[:min(len(gap), l.room)], whole)
	}
	f.lines = append(f.lines, l.end())
}

// line is a line that is being written, in runs of one tone.
type line struct {
	b     strings.Builder
	room  int // columns that are left
	color bool
	run   strings.Builder
	tone  tone // of the run
}

// put adds clean text that fits.
func (l *line) put(text string, t tone) {
	if t != l.tone {
		l.flush()
		l.tone = t
	}
	l.run.WriteString(text)
	l.room -= widthOf(text)
}

func (l *line) flush() {
	switch {
	case l.run.Len() == 0:
	case l.color && l.tone != plain:
		l.b.WriteString(sgr[l.tone] + l.run.String() + reset)
	default:
		l.b.WriteString(l.run.String())
	}
	l.run.Reset()
}

// end returns the line without the spaces that fill up its last column.
func (l *line) end() string {
	l.flush()
	return strings.TrimRight(l.b.String(), " ")
}

// fill adds empty lines until some are left.
func (f *frame) fill(leave int) {
	for f.left() > leave {
		f.lines = append(f.lines, "")
	}
}

// clean escapes what a terminal could act on, and drops the selectors of
// glyph variants, whose width terminals do not agree on.
func clean(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return strings.Map(func(r rune) rune {
				if 0xfe00 <= r && r <= 0xfe0f || 0xe0100 <= r && r <= 0xe01ef {
					return -1
				}
				return r
			}, report.Safe(s))
		}
	}
	return s
}

// narrow measures characters one by one, so that no terminal takes more room
// for text than is counted here: some join several into one.
var narrow = runewidth.Condition{StrictEmojiNeutral: true}

// widthOf measures clean text.
func widthOf(s string) int {
	n := 0
	for _, r := range s {
		n += widthOfRune(r)
	}
	return n
}

func widthOfRune(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	return narrow.RuneWidth(r)
}

// cut shortens clean text to a width, with a mark where it is cut, and returns
// what width is taken.
func cut(s string, width int) (string, int) {
	n, end, endWidth := 0, 0, 0 // end: where the mark still fits
	for i, r := range s {
		w := widthOfRune(r)
		if n+w > width {
			if width < 1 {
				return "", 0
			}
			return s[:end] + cutMark, endWidth + 1
		}
		if n+w <= width-1 {
			end, endWidth = i+utf8.RuneLen(r), n+w
		}
		n += w
	}
	return s, n
}

const cutMark = "~"

// fitted is cut, at the front where the end says more.
func fitted(s string, width int, tail bool) (string, int) {
	if !tail || widthOf(s) <= width {
		return cut(s, width)
	}
	taken := len(cutMark)
	at := len(s)
	for at > 0 {
		r, n := utf8.DecodeLastRuneInString(s[:at])
		w := widthOfRune(r)
		if taken+w > width {
			break
		}
		at, taken = at-n, taken+w
	}
	return cutMark + s[at:], taken
}

// wrap breaks clean text into lines of at most a width, at spaces where there
// are some.
func wrap(s string, width int) []string {
	width = max(width, 2) // a wide character fits
	var lines []string
	line, used := "", 0
	for word := range strings.SplitSeq(s, " ") {
		w := widthOf(word)
		if used > 0 && used+1+w <= width {
			line, used = line+" "+word, used+1+w
			continue
		}
		if used > 0 {
			lines = append(lines, line)
		}
		for w > width {
			n, taken := fitting(word, width)
			lines, word, w = append(lines, word[:n]), word[n:], w-taken
		}
		line, used = word, w
	}
	return append(lines, line)
}

// fitting returns how many bytes of a word fit into a width, and their width.
func fitting(word string, width int) (n, taken int) {
	for i, r := range word {
		w := widthOfRune(r)
		if taken+w > width {
			return i, taken
		}
		taken += w
	}
	return len(word), taken
}

// column is one column of a list.
type column struct {
	head  string
	width int  // the least; 0 is none
	want  int  // the most that it is given, where there is room; 0 is width
	right bool // numbers stand at the right
	tail  bool // the end says more than the front when it is cut
	drop  int  // left out where there is no room; the lowest above 0 goes first
}

// gap is the space between two columns.
const gap = "  "

// fit returns the width of each column, 0 for those that are left out. Room
// that is left goes to the columns that want it, the first first.
func fit(columns []column, width int) []int {
	widths := make([]int, len(columns))
	total := -len(gap)
	for i, c := range columns {
		if widths[i] = c.width; c.width > 0 {
			total += c.width + len(gap)
		}
	}
	for total > width {
		next := -1
		for i, c := range columns {
			if c.drop > 0 && widths[i] > 0 && (next < 0 || c.drop < columns[next].drop) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		total -= widths[next] + len(gap)
		widths[next] = 0
	}
	for i, c := range columns {
		if more := min(c.want-c.width, width-total); widths[i] > 0 && more > 0 {
			widths[i] += more
			total += more
		}
	}
	return widths
}
