package device

import (
	"fmt"
	"io"

	"mapiscope/internal/escape"
)

// styles are the logs of the device in the order of the manual.
var styles = [...]string{"transaction", "syslog", "errorlog"}

// Styles returns the names that WriteLog knows.
func Styles() []string { return styles[:] }

// Lines returns the lines that WriteLog writes, and its note. Each is one line
// that a terminal can show, whatever names it has in it.
func (v *Views) Lines(style, host string) (lines []LogLine, note string, err error) {
	switch style {
	case "transaction":
		byRule := 0
		if lines, byRule = v.Transactions(); byRule > 0 {
			note = fmt.Sprintf("the packets of %s do not show whether an optimizer was passed: the lines say what release %s does by its rules",
				plural(byRule, "connection"), v.doc.WAAS)
		}
	case "syslog":
		lines = v.Syslog(host)
	case "errorlog":
		lines = v.ErrorLog()
	default:
		return nil, "", fmt.Errorf("unknown log style %q", style)
	}
	for i := range lines {
		lines[i].Text = escape.Text(lines[i].Text)
	}
	return lines, note, nil
}

// WriteLog writes the log of a style in time order. host names the device in
// styles that do. note says what the reader should know about the whole log,
// "" when nothing.
func (v *Views) WriteLog(w io.Writer, style, host string) (note string, err error) {
	lines, note, err := v.Lines(style, host)
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		if _, err := io.WriteString(w, l.Text+"\n"); err != nil {
			return "", err
		}
	}
	return note, nil
}
