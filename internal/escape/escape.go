// Package escape makes text that others wrote fit to be shown: names from the
// wire, from capture files and of files. There is one function for each form
// of output, and every output uses it; a new form gets one here.
package escape

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxMarks is how many combining marks may follow one character. Written
// languages stack up to four; longer runs paint over the lines around them, and
// have no width by which they could be wrapped.
const maxMarks = 4

// cut stands for the marks of a run that are left out.
const cut = '…'

// Text makes text fit for a terminal and for a line of a log: it keeps UTF-8
// and writes as escapes whatever a terminal could act on, that is control
// characters, line ends, invisible and direction-changing characters, combining
// marks without a character before them, and bytes that are no UTF-8. Runs of
// more than four combining marks are cut, and an ellipsis says so. Text that
// went through it once stays as it is.
func Text(s string) string {
	var m marks
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || Hidden(r) || m.next(r) != visible {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	m = marks{}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch what := m.next(r); {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r < 0x80 && Hidden(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		case Hidden(r), what == alone:
			fmt.Fprintf(&b, `\u%04x`, r)
		case what == visible:
			b.WriteRune(r)
		case what == last:
			b.WriteRune(cut)
		}
		i += n
	}
	return b.String()
}

// Hidden reports whether a character does something else than stand in its
// place on the page.
func Hidden(r rune) bool {
	if ' ' <= r && r <= '~' {
		return false
	}
	return !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r)
}

// marks follows the combining marks of a text.
type marks struct {
	base bool // a character stands before that takes marks
	run  int  // marks since then
}

// place is what a character is among the marks around it.
type place uint8

const (
	visible place = iota // no mark, or one that may stay
	alone                // a mark without a character that takes it
	last                 // the first mark too many
	beyond               // a further one
)

func (m *marks) next(r rune) place {
	if r < 0x300 || !unicode.Is(unicode.M, r) {
		m.base, m.run = r != ' ' && r != '"', 0
		return visible
	}
	if !m.base {
		return alone
	}
	switch m.run++; {
	case m.run <= maxMarks:
		return visible
	case m.run == maxMarks+1:
		return last
	}
	return beyond
}

// JSON writes hidden characters of a JSON text as JSON does those below a
// space, and so the combining marks that Text would not leave. Nothing is lost:
// who parses it has the text as it was. Text is what encoding/json wrote, so
// that such characters stand in strings only. It is returned where there are
// none.
func JSON(text []byte) []byte {
	if printable(text) {
		return text
	}
	var m marks
	if !bytes.ContainsFunc(text, func(r rune) bool { return m.next(r) != visible || Hidden(r) }) {
		return text
	}
	m = marks{}
	var out []byte
	for _, r := range string(text) {
		switch plain := m.next(r) == visible; {
		case plain && !Hidden(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// printable reports whether a text is printable ASCII, as nearly all are.
func printable(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// CSV makes text fit for a cell that is no number: besides what Text does, a
// cell that a spreadsheet would take for a formula gets an apostrophe in front
// (OWASP, CSV Injection). A dash alone is no formula. The quoting of the cell is
// left to encoding/csv.
func CSV(s string) string {
	s = Text(s)
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, " "))
	if s != "-" && strings.ContainsRune("=+-@＝＋－＠", r) {
		return "'" + s
	}
	return s
}

// Label makes text fit for the value of a label of Prometheus, of so many bytes
// at most. The quotes and backslashes are left to its client library.
func Label(s string, most int) string {
	s = Text(s)
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// Shell writes a path as one word of a line for a POSIX shell, itself fit for a
// terminal: quoted where it needs that, and by printf where it has characters
// that cannot be shown. setup stands in front of the command; it is empty
// unless the path ends in line feeds, which a command substitution takes off.
func Shell(path string) (setup, word string) {
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	switch {
	case Text(path) != path:
		if strings.HasSuffix(path, "\n") {
			return "f=$(printf '" + octal(path) + "_'); ", `"${f%_}"`
		}
		return "", `"$(printf '` + octal(path) + `')"`
	case path != "" && !strings.ContainsFunc(path, special) && !strings.ContainsRune("=+:,@%", rune(path[0])):
		return "", path
	}
	return "", "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// special reports whether a character may mean something to a shell.
func special(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:,@%", r))
}

// octal writes bytes as a format of printf between single quotes.
func octal(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '%':
			b.WriteString("%%")
		case c == '\\':
			b.WriteString(`\\`)
		case c < ' ' || c > '~' || c == '\'':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
