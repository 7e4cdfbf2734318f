package screen

// helpLines is the help, narrow enough for 60 columns.
var helpLines = [...]string{
	"Tab, Shift-Tab     groups, connections, findings",
	"Up, Down, k, j     one row",
	"PgUp, PgDn, Space  one page",
	"Home               first row, and stay with the first",
	"End                last row",
	"Enter              open: a group or finding with its",
	"                   connections, a connection in full",
	"Esc, Backspace     back; without anything open, drop the",
	"                   filter",
	"s                  sort by the next column",
	"S                  turn the order round",
	"/                  show only what contains a text: an",
	"                   address, a service, a code, a user",
	"f                  freeze the display; data goes on",
	"q, Ctrl-C          quit",
	"",
	"A row that you moved to stays selected when rows change",
	"places. Marks before a row: > selected, * a finding of",
	"the last minute.",
	"",
	"Groups stand worst first: escaped, split over several",
	"pairs of devices, possibly escaped, not accelerated, not",
	"known, seen whole (what was not captured is not known),",
	"whole, and - for those without EMSMDB.",
	"bytes is TCP payload, client/server or in sum, each byte",
	"once. path is what packets show, or the letters of the",
	"Accel column by the rules of the release (T TCP, M MAPI,",
	"E EPM, G generic, D DRE, L LZ). ~ ends what is cut off.",
}

// helpRoom is how many lines of help fit.
func (m *Model) helpRoom() int { return max(m.bodyLines()+1, 1) }

// helpPage writes the help.
func (m *Model) helpPage(f *frame) {
	room := f.left() - m.feet()
	for i := m.helpTop; i < len(helpLines) && room > 0; i++ {
		f.line(cell{helpLines[i], plain})
		room--
	}
}
