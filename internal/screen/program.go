package screen

import (
	"context"
	"fmt"
	"io"
	"time"

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
// ends, which returns its cause. Any other error is one of the terminal, which
// is gone perhaps; the job can go on without a screen. It leaves the terminal
// as it was. It handles no signals: in the mode that a screen needs, Ctrl-C is
// a key. A Program runs once.
func (p *Program) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	shown, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	given, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	defer context.AfterFunc(shown, func() { time.AfterFunc(grace, giveUp) })()
	w := newWriter(out, given, fail)
	defer w.close()
	var to io.Writer = w
	if f, ok := isTerminal(out); ok {
		to = terminal{f, w}
	}
	restore := func() error { return nil }
	if f, ok := isTerminal(in); ok {
		var err error
		if restore, err = keepModes(f); err != nil {
			return fmt.Errorf("screen: the modes of the terminal: %w", err)
		}
		in = keyboard{f, fail}
	}
	l := loop{model: New(p.options), views: p.views, shown: shown.Done(), quit: func() { fail(nil) }}
	last, err := tea.NewProgram(l, tea.WithInput(in), tea.WithOutput(to), tea.WithWindowSize(usualWidth, usualHeight), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond)).Run()
	back := restore()
	switch l, _ := last.(loop); {
	case err != nil:
		return fmt.Errorf("screen: %w", err)
	case l.model.Done() && back != nil:
		return fmt.Errorf("screen: the modes of the terminal: %w", back)
	case l.model.Done():
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("screen: %w", context.Cause(shown))
}

// usualWidth and usualHeight are the size of an output that is no terminal.
const usualWidth, usualHeight = 80, 24

// framesPerSecond bounds how often the terminal is written to; between frames
// nothing is.
const framesPerSecond = 20

// loop joins a Model to the terminal and to the views that come in.
type loop struct {
	model Model
	views <-chan live.View
	shown <-chan struct{} // until this is closed
	quit  func()          // is told that the user quits
}

// Init asks for the first view.
func (l loop) Init() tea.Cmd { return l.next }

// next waits for the next view or the end.
func (l loop) next() tea.Msg {
	select {
	case v := <-l.views:
		return v
	case <-l.shown:
		return tea.Quit()
	}
}

// Update takes a view, a key or a size.
func (l loop) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	l.model = l.model.Update(msg)
	switch _, view := msg.(live.View); {
	case l.model.Done():
		l.quit()
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
