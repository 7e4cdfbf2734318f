package screen

import (
	"context"
	"fmt"
	"io"

	tea "charm.land/bubbletea/v2"

	"mapiscope/internal/live"
)

// Program shows views on a terminal.
type Program struct {
	options Options
	views   chan live.View
}

// NewProgram makes a Program; Run starts it.
func NewProgram(o Options) *Program { return &Program{options: o, views: make(chan live.View, 1)} }

// Send hands over the next view and never waits: a view that the screen has
// not come to is replaced. It may be called before, while and after Run runs.
func (p *Program) Send(v live.View) {
	for {
		select {
		case p.views <- v:
			return
		default:
		}
		select {
		case <-p.views:
		default:
		}
	}
}

// Run takes the terminal until the user quits, which is nil, or until ctx
// ends, which returns its cause. Any other error is one of the terminal. It
// leaves the terminal as it was. It handles no signals: in the mode that a
// screen needs, Ctrl-C is a key. A Program runs once.
func (p *Program) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	ended := make(chan struct{})
	defer close(ended)
	l := loop{model: New(p.options), views: p.views, ended: ended}
	_, err := tea.NewProgram(l, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond)).Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("screen: %w", err)
}

// framesPerSecond bounds how often the terminal is written to; between frames
// nothing is.
const framesPerSecond = 20

// loop joins a Model to the terminal and to the views that come in.
type loop struct {
	model Model
	views <-chan live.View
	ended <-chan struct{}
}

// Init asks for the first view.
func (l loop) Init() tea.Cmd { return l.next }

// next waits for the next view.
func (l loop) next() tea.Msg {
	select {
	case v := <-l.views:
		return v
	case <-l.ended:
		return nil
	}
}

// Update takes a view, a key or a size.
func (l loop) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	l.model = l.model.Update(msg)
	switch _, view := msg.(live.View); {
	case l.model.Done():
		return l, tea.Quit
	case view:
		return l, l.next
	}
	return l, nil
}

// View is the frame, on the alternate screen so that what stood on the
// terminal comes back.
func (l loop) View() tea.View {
	return tea.View{Content: l.model.View(), AltScreen: true, DisableBracketedPasteMode: true}
}
