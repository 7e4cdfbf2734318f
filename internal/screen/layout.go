package screen

import (
	"fmt"
	"strconv"
	"strings"

	"mapiscope/internal/report"
)

// feet is how many lines the hints at the bottom take.
func (m *Model) feet() int {
	if m.height >= 6 || m.entry != nil {
		return 1
	}
	return 0
}

// bodyLines is how many lines are left below the head and the bar.
func (m *Model) bodyLines() int {
	f := frame{width: m.width, height: m.height}
	m.head(&f)
	return max(f.left()-1-m.feet(), 0)
}

// room is how many lines of text and rows fit below the names of the columns.
func (m *Model) room() int {
	n := m.bodyLines()
	if m.shown != nil && len(m.page().rows) > 0 {
		n--
	}
	return max(n, 0)
}

// main writes the page on display.
func (m *Model) main(f *frame) {
	p := m.page()
	m.bar(f)
	room := max(min(m.room(), f.left()-m.feet()), 0)
	text := m.body.size()
	for i := p.first; i < min(p.first+room, text); i++ {
		f.line(m.body.lines[i]...)
	}
	switch {
	case len(p.rows) > 0 && p.first+room > text:
		m.rows(f, max(p.first-text, 0), p.first+room-text)
	case len(p.rows) == 0 && text == 0:
		f.line(cell{m.empty(p), dim})
	}
}

// empty says why a list has no rows.
func (m *Model) empty(p *page) string {
	switch {
	case p.filter != "":
		return "Nothing contains the text of the filter."
	case p.kind == groups:
		return "No association group so far."
	case p.kind == findings:
		return "No finding stands."
	}
	return "No connection to tell of so far."
}

// bar writes which lists there are, or what was opened, and how the rows are
// sorted and filtered.
func (m *Model) bar(f *frame) {
	p := m.page()
	var cells []cell
	if p.subject != nil {
		cells = append(cells, cell{m.path(), strong})
	} else {
		cells = m.tabs()
	}
	room := f.width
	for _, c := range cells {
		room -= widthOf(clean(c.text))
	}
	if p.filter != "" && m.entry == nil {
		cells, room = addWhole(cells, room, cell{"filter " + strconv.Quote(p.filter), warn})
	}
	if len(p.rows) > 0 {
		cells, room = addWhole(cells, room, cell{fmt.Sprintf("%d/%d", p.at+1, len(p.rows)), plain})
	}
	if text := m.body.size(); text > 0 && text+len(p.rows) > m.room() {
		last := min(p.first+m.room(), text+len(p.rows))
		cells, room = addWhole(cells, room, cell{fmt.Sprintf("lines %d to %d of %d", p.first+1, last, text+len(p.rows)), dim})
	}
	if len(p.rows) > 0 {
		cells, _ = addWhole(cells, room, cell{p.sorted(), dim})
	}
	f.line(cells...)
}

// tabs names the lists, that on display in brackets; a star says that a
// finding came a short time ago.
func (m *Model) tabs() []cell {
	var cells []cell
	for k := range kind(len(m.lists)) {
		name := fmt.Sprintf("%s %d", kindNames[k], m.shown.listed(k))
		if k == findings && m.shown.anyFresh() {
			name += "*"
		}
		if k == m.tab {
			cells = append(cells, cell{"[" + name + "]", strong})
		} else {
			cells = append(cells, cell{" " + name + " ", plain})
		}
	}
	return cells
}

// addWhole adds a cell behind a space where it fits as a whole.
func addWhole(cells []cell, room int, c cell) ([]cell, int) {
	w := len(gap) + widthOf(clean(c.text))
	if w > room {
		return cells, room
	}
	return append(cells, cell{gap, plain}, c), room - w
}

// path names what was opened, from the list on.
func (m *Model) path() string {
	words := []string{kindNames[m.tab]}
	for i := range m.opened {
		s := m.opened[i].subject
		switch s.kind {
		case groups:
			words = append(words, fmt.Sprintf("group 0x%08x", s.number))
		case findings:
			code, _, _ := strings.Cut(s.text, " ")
			words = append(words, code)
		default:
			words = append(words, report.Endpoint(s.client))
		}
	}
	return strings.Join(words, " > ")
}

// foot writes what keys do.
func (m *Model) foot(f *frame) {
	f.fill(m.feet())
	if m.feet() == 0 || f.left() == 0 {
		return
	}
	if m.entry != nil {
		f.line(cell{"Filter: ", strong}, cell{*m.entry + "_", plain}, cell{"   Enter keeps it, Esc drops it", dim})
		return
	}
	var cells []cell
	room := f.width
	for _, hint := range m.hints() {
		cells, room = addWhole(cells, room, cell{hint, dim})
	}
	f.line(cells[min(1, len(cells)):]...)
}

// hints are the keys that do something, the most needed first.
func (m *Model) hints() []string {
	switch {
	case m.help:
		return []string{"Esc back", "q quit"}
	case m.shown == nil:
		return []string{"? help", "q quit"}
	case !m.page().lists():
		return []string{"? help", "q quit", "Esc back", "f freeze"}
	case len(m.opened) > 0:
		return []string{"? help", "q quit", "Esc back", "Enter open", "s sort", "/ filter", "f freeze"}
	}
	return []string{"? help", "q quit", "Enter open", "Tab next list", "s sort", "/ filter", "f freeze"}
}

// lists reports whether the page can have rows.
func (p *page) lists() bool { return p.subject == nil || p.subject.kind != connections }
