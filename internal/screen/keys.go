package screen

import (
	"slices"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// press acts on a key.
func (m *Model) press(k tea.Key) {
	name := k.String()
	switch {
	case name == "ctrl+c":
		m.done = true
	case m.entry != nil:
		m.typeFilter(name, k.Text)
	case m.help:
		m.pressInHelp(name)
	default:
		m.pressInPage(name)
	}
}

// maxFilter bounds the text of a filter, in bytes.
const maxFilter = 100

// typeFilter edits the filter that is being typed. It filters as it grows.
func (m *Model) typeFilter(name, text string) {
	e := *m.entry
	switch {
	case name == "enter":
		m.entry = nil
		return
	case name == "esc":
		m.entry, e = nil, ""
	case name == "backspace":
		_, n := utf8.DecodeLastRuneInString(e)
		e = e[:len(e)-n]
	case name == "ctrl+u":
		e = ""
	case len(e)+len(text) <= maxFilter:
		e += text
	}
	if m.entry != nil {
		m.entry = &e
	}
	m.setFilter(e)
}

// setFilter filters the page on display; one of a whole list holds for all
// lists.
func (m *Model) setFilter(filter string) {
	if m.top().filter = filter; len(m.opened) == 0 {
		for i := range m.lists {
			m.lists[i].filter = filter
		}
	}
	m.arrange()
}

func (m *Model) pressInHelp(name string) {
	switch name {
	case "q":
		m.done = true
	case "?", "esc", "backspace", "enter":
		m.help = false
	case "down", "j":
		m.helpTop++
	case "up", "k":
		m.helpTop--
	case "pgdown", "space":
		m.helpTop += m.helpRoom()
	case "pgup":
		m.helpTop -= m.helpRoom()
	case "home":
		m.helpTop = 0
	case "end":
		m.helpTop = len(helpLines)
	}
	m.helpTop = max(min(m.helpTop, len(helpLines)-m.helpRoom()), 0)
}

func (m *Model) pressInPage(name string) {
	switch name {
	case "q":
		m.done = true
	case "?":
		m.help, m.helpTop = true, 0
	case "tab":
		m.list(m.tab + 1)
	case "shift+tab":
		m.list(m.tab + kind(len(m.lists)) - 1)
	case "f":
		m.freeze()
	case "/":
		if m.shown != nil && m.page().lists() {
			typed := m.page().filter
			m.entry = &typed
		}
	case "esc", "backspace":
		m.back()
	}
	if m.shown == nil {
		return
	}
	switch name {
	case "s":
		p := m.top()
		p.order, p.reverse = (p.order+1)%len(orders[p.kind]), false
		m.arrange()
	case "S", "shift+s":
		p := m.top()
		p.reverse = !p.reverse
		m.arrange()
	case "enter":
		m.open()
	case "down", "j":
		m.move(1)
	case "up", "k":
		m.move(-1)
	case "pgdown", "space":
		m.move(max(m.room(), 1))
	case "pgup":
		m.move(-max(m.room(), 1))
	case "home":
		p := m.top()
		p.at, p.selected, p.first, p.reading = 0, nil, 0, m.body.size() > 0
		m.scroll()
	case "end":
		p := m.top()
		p.choose(m.shown, len(p.rows))
		p.first, p.reading = m.body.size()+len(p.rows), false
		m.scroll()
	}
}

// move goes up or down by rows.
func (m *Model) move(n int) {
	m.top().move(m.shown, n, m.body.size(), m.room())
	m.scroll()
}

// list shows one of the lists; what was opened is closed.
func (m *Model) list(k kind) {
	m.tab, m.opened = k%kind(len(m.lists)), nil
	m.arrange()
}

// freeze stops the display, or lets it go on with the latest view.
func (m *Model) freeze() {
	if m.shown == nil {
		return
	}
	m.frozen = !m.frozen
	if !m.frozen && m.shown != m.latest {
		m.shown = m.latest
		m.arrange()
	}
}

// open opens what is selected.
func (m *Model) open() {
	p := m.page()
	if len(p.rows) == 0 {
		return
	}
	id := m.shown.id(p.kind, p.rows[p.at])
	p = m.top()
	p.selected = &id // it is what Esc comes back to
	m.opened = append(slices.Clip(m.opened), page{kind: connections, subject: &id, reading: true})
	m.arrange()
}

// back closes what was opened last, or else drops the filter.
func (m *Model) back() {
	switch n := len(m.opened); {
	case m.page().filter != "":
		m.setFilter("")
	case n > 0:
		m.opened = m.opened[:n-1]
		m.arrange()
	}
}
