// Package screen is the terminal screen of a live job: association groups
// worst first, connections, and findings as they come. A Model is a value that
// views, keys and sizes change and that prints frames; a Program joins one to
// a terminal. Text that came off the wire is escaped before it is shown.
package screen

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"mapiscope/internal/live"
)

// Options says how the screen looks.
type Options struct {
	Color    bool           // adds colours; nothing is said by colour alone
	Location *time.Location // zone of all times; nil is UTC
}

// Model is the state of the screen.
type Model struct {
	options       Options
	width, height int      // of the terminal; 0 until it is known
	shown         *index   // the view on display, nil before the first
	latest        *index   // the view that came last, the same unless frozen
	frozen        bool     //
	tab           kind     // the list on display: groups, connections or findings
	lists         [3]page  // by kind
	opened        []page   // what was opened on top of the list, the last on display
	entry         *string  // the filter that is being typed
	help          bool     //
	helpTop       int      // first line of the help on display
	done          bool     //
	body          bodyText // text of what is opened, on display
}

// New returns a Model that has seen nothing yet.
func New(o Options) Model {
	if o.Location == nil {
		o.Location = time.UTC
	}
	m := Model{options: o}
	for k := range m.lists {
		m.lists[k].kind = kind(k)
	}
	return m
}

// Done reports whether the user wants to quit.
func (m Model) Done() bool { return m.done }

// Update returns the Model after a message: a live.View, a tea.WindowSizeMsg
// or a tea.KeyPressMsg. Others change nothing.
func (m Model) Update(msg tea.Msg) Model {
	switch msg := msg.(type) {
	case live.View:
		m.latest = newIndex(&msg, m.latest, m.options.Location)
		if !m.frozen || m.shown == nil {
			m.shown = m.latest
			m.arrange()
		}
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 0), max(msg.Height, 0)
		m.arrange()
	case tea.KeyPressMsg:
		m.press(tea.Key(msg))
	}
	return m
}

// top returns the page on display, to change it.
func (m *Model) top() *page {
	if n := len(m.opened); n > 0 {
		m.opened = slices.Clone(m.opened) // other Models may share it
		return &m.opened[n-1]
	}
	return &m.lists[m.tab]
}

// page returns the page on display.
func (m *Model) page() *page {
	if n := len(m.opened); n > 0 {
		return &m.opened[n-1]
	}
	return &m.lists[m.tab]
}

// arrange puts the rows of the page on display in order anew, after a change
// of the view, the order, the filter or the page.
func (m *Model) arrange() {
	if m.shown == nil {
		return
	}
	p := m.top()
	p.arrange(m.shown)
	m.body = p.text(m.shown, m.width)
	m.scroll()
}

// scroll moves what is on display so that the selection is in sight.
func (m *Model) scroll() {
	if m.shown != nil {
		m.top().scroll(m.body.size(), m.room())
	}
}

// View returns the frame: lines of at most the width of the terminal, exactly
// as many as it is high, without a newline at the end. It formats what is in
// sight and no more.
func (m Model) View() string {
	if m.width <= 0 || m.height <= 0 {
		return ""
	}
	f := frame{width: m.width, height: m.height, color: m.options.Color}
	m.head(&f)
	switch {
	case m.help:
		m.helpPage(&f)
	case m.shown == nil:
		f.line(cell{"", plain})
		f.line(cell{"Waiting for the first figures.", dim})
	default:
		m.main(&f)
	}
	m.foot(&f)
	return strings.Join(f.lines, "\n")
}
