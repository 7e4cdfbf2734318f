package screen

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"golang.org/x/term"

	"mapiscope/internal/document"
	"mapiscope/internal/live"
)

// console is a pseudo terminal with a person at it, who sees what a terminal
// makes of the output. The Model beside it gets the same views and keys.
type console struct {
	t       *testing.T
	person  *os.File // the person's side
	tty     *os.File
	before  term.State
	mu      sync.Mutex
	screen  *vt.Emulator  // under mu, but for what it answers
	changed chan struct{} // the screen changed
	model   Model
	program *Program
	cancel  context.CancelCauseFunc
	result  chan error
}

// xterm is what most terminals say that they are.
const xterm = "xterm-256color"

// newConsole starts a Program on a pseudo terminal. A terminal that answers
// must not be left at once: what it says then too late is echoed.
func newConsole(t *testing.T, kind string, width, height int, answers bool) *console {
	t.Helper()
	t.Setenv("TERM", kind) // terminals that are not known are given insert mode, which the emulator lacks
	opened, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	person := closable(t, opened)
	t.Cleanup(func() { tty.Close() })
	t.Cleanup(func() { person.Close() })
	options := Options{Color: true}
	c := &console{
		t: t, person: person, tty: tty, screen: vt.NewEmulator(width, height), changed: make(chan struct{}, 1),
		model: New(options), program: NewProgram(options), result: make(chan error, 1),
	}
	c.resize(width, height)
	c.before = c.modes()
	ctx, cancel := context.WithCancelCause(t.Context())
	c.cancel = cancel
	go c.watch()
	var answer io.Writer = io.Discard
	if answers {
		answer = person
	}
	go io.Copy(answer, c.screen)
	t.Cleanup(func() { c.screen.InputPipe().(io.Closer).Close() })
	go func() { c.result <- c.program.Run(ctx, tty, tty) }()
	return c
}

// closable makes a file whose Close ends a Read that waits, which that of the
// package pty does not.
func closable(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.SetNonblock(fd, true), f.Close()); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

func (c *console) resize(width, height int) {
	c.t.Helper()
	c.mu.Lock()
	c.screen.Resize(width, height)
	c.mu.Unlock()
	if err := pty.Setsize(c.tty, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}); err != nil {
		c.t.Fatal(err)
	}
	c.model = c.model.Update(tea.WindowSizeMsg{Width: width, Height: height})
}

func (c *console) modes() term.State {
	c.t.Helper()
	s, err := term.GetState(int(c.tty.Fd()))
	if err != nil {
		c.t.Fatal(err)
	}
	return *s
}

// watch shows what is written to the terminal, until that is closed.
func (c *console) watch() {
	var buf [4096]byte
	for {
		n, err := c.person.Read(buf[:])
		if err != nil {
			return
		}
		c.mu.Lock()
		c.screen.Write(buf[:n])
		c.mu.Unlock()
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
}

// text is what stands on the screen, and own whether that is one of its own,
// without a cursor.
func (c *console) text() (text string, own bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := strings.Split(c.screen.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n"), c.screen.IsAltScreen() && c.screen.CursorHidden()
}

// settle waits until the terminal shows the frame of the Model, which holds a
// word.
func (c *console) settle(word string) {
	c.t.Helper()
	colored := c.model
	colored.options.Color = false
	want := colored.View()
	if !strings.Contains(want, word) {
		c.t.Fatalf("no %q in\n%s", word, want)
	}
	for {
		text, own := c.text()
		if own && text == want {
			return
		}
		select {
		case <-c.changed:
		case err := <-c.result:
			c.t.Fatalf("the screen ended with %v; on the terminal stands\n%s\nand not\n%s", err, text, want)
		}
	}
}

func (c *console) send(v live.View) {
	c.program.Send(v)
	c.model = c.model.Update(v)
}

// press types the bytes of a key.
func (c *console) press(key, bytes string) {
	c.t.Helper()
	if _, err := io.WriteString(c.person, bytes); err != nil {
		c.t.Fatal(err)
	}
	c.model = press(c.model, key)
}

// end waits for the end and checks that the terminal is as it was.
func (c *console) end(want error) {
	c.t.Helper()
	if err := <-c.result; !errors.Is(err, want) || (err == nil) != (want == nil) {
		c.t.Errorf("it ended with %v, not %v", err, want)
	}
	if c.before != c.modes() {
		c.t.Error("the modes of the terminal are not what they were")
	}
	for {
		if text, own := c.text(); !own && strings.TrimSpace(text) == "" {
			return
		}
		<-c.changed
	}
}

// start waits for the first frame and for the mode of the screen.
func (c *console) start() {
	c.t.Helper()
	c.settle("Waiting for the first figures.")
	if c.before == c.modes() {
		c.t.Error("the terminal is not in raw mode: keys would need Enter")
	}
}

func TestTerminal(t *testing.T) {
	doc := crowd(300)
	addGroup(doc, "2001:db8::7", document.Host{IP: "2001:db8::25", Port: 6001}, 0xbeef, "escaped", 7)
	view := viewOf(at(0), doc)
	for _, kind := range []string{xterm, "linux", "screen"} {
		t.Run("keys on "+kind, func(t *testing.T) {
			c := newConsole(t, kind, 100, 24, true)
			c.start()
			c.send(view)
			c.settle("ESCAPED")
			for _, k := range []struct{ key, bytes, word string }{
				{"down", "\x1b[B", "2/301"}, {"pgdown", "\x1b[6~", "19/301"}, {"up", "\x1bOA", "18/301"}, {"j", "j", "19/301"}, {"end", "\x1b[F", "301/301"},
				{"home", "\x1b[H", "1/301"}, {"enter", "\r", "Groups > group 0x0000beef"}, {"esc", "\x1b", "1/301"}, {"tab", "\t", "[Connections 301]"},
				{"shift+tab", "\x1b[Z", "[Groups 301]"}, {"s", "s", "by bytes, most first"}, {"S", "S", "by bytes, fewest first"}, {"/", "/", "Filter: _"}, {"b", "b", "Filter: b_"},
				{"backspace", "\x7f", "Filter: _"}, {"e", "e", "Filter: e_"}, {"enter", "\r", "filter \"e\""}, {"f", "f", "FROZEN since"}, {"?", "?", "Shift-Tab"},
			} {
				c.press(k.key, k.bytes)
				c.settle(k.word)
			}
			c.press("q", "q")
			c.end(nil)
		})
	}
	t.Run("interrupt", func(t *testing.T) {
		c := newConsole(t, xterm, 60, 10, false)
		c.start()
		c.press("ctrl+c", "\x03")
		c.end(nil)
	})
	t.Run("resize", func(t *testing.T) {
		c := newConsole(t, xterm, 60, 10, false)
		c.start()
		c.send(view)
		c.settle("ESCAPED")
		for _, size := range [][2]int{{200, 30}, {80, 24}, {40, 5}, {100, 24}} {
			c.resize(size[0], size[1])
			if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
				t.Fatal(err)
			}
			c.settle("mapiscope live")
		}
		c.press("q", "q")
		c.end(nil)
	})
	t.Run("wide characters", func(t *testing.T) {
		c := newConsole(t, xterm, 100, 24, false)
		c.start()
		c.send(viewOf(at(0), hostile()))
		c.settle("WHOLE")
		c.press("shift+tab", "\x1b[Z")
		c.settle("AUTH_REJECTED")
		c.press("q", "q")
		c.end(nil)
	})
	t.Run("context", func(t *testing.T) {
		c := newConsole(t, xterm, 80, 24, false)
		c.start()
		enough := errors.New("enough")
		c.cancel(enough)
		c.end(enough)
	})
	t.Run("hang up", func(t *testing.T) {
		c := newConsole(t, xterm, 80, 24, false)
		c.start()
		c.person.Close()
		if err := <-c.result; err == nil {
			t.Error("no error, though the terminal is gone")
		}
	})
}

// fickle is a terminal that cannot be waited for once it is in the mode of a
// screen.
type fickle struct {
	*os.File
	before term.State
}

// Fd is none once the modes are not what they were.
func (f fickle) Fd() uintptr {
	if s, err := term.GetState(int(f.File.Fd())); err != nil || *s != f.before {
		return ^uintptr(0)
	}
	return f.File.Fd()
}

// TestModesAfterError: a screen that fails while it takes the terminal over
// leaves the modes as they were.
func TestModesAfterError(t *testing.T) {
	person, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	defer tty.Close()
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := NewProgram(Options{}).Run(t.Context(), fickle{tty, *before}, io.Discard); err == nil {
		t.Error("no error")
	}
	after, err := term.GetState(int(tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if *before != *after {
		t.Error("the modes of the terminal are not what they were")
	}
}

// stuck is a terminal that takes what is written until it is told to hang.
type stuck struct {
	hang  atomic.Bool
	seen  strings.Builder
	drawn chan struct{} // closed when a frame was written, or would be
	once  sync.Once
	end   chan struct{} // lets go what hangs
}

func newStuck(t *testing.T) *stuck {
	s := &stuck{drawn: make(chan struct{}), end: make(chan struct{})}
	t.Cleanup(func() { close(s.end) })
	return s
}

// Write hangs when it was told to.
func (s *stuck) Write(b []byte) (int, error) {
	hang := s.hang.Load()
	if s.seen.Write(b); hang || strings.Contains(s.seen.String(), "quit") {
		s.once.Do(func() { close(s.drawn) })
	}
	if hang {
		<-s.end
	}
	return len(b), nil
}

// TestStuckTerminal ends a screen whose terminal takes nothing.
func TestStuckTerminal(t *testing.T) {
	t.Run("context", func(t *testing.T) {
		out := newStuck(t)
		out.hang.Store(true)
		in, keyboard := io.Pipe()
		defer keyboard.Close()
		ctx, cancel := context.WithCancel(t.Context())
		p := NewProgram(Options{})
		result := make(chan error, 1)
		go func() { result <- p.Run(ctx, in, out) }()
		<-out.drawn
		for i := range 100 {
			p.Send(viewOf(at(i), crowd(1)))
		}
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("quit", func(t *testing.T) {
		out := newStuck(t)
		in, keyboard := io.Pipe()
		defer keyboard.Close()
		result := make(chan error, 1)
		go func() { result <- NewProgram(Options{}).Run(t.Context(), in, out) }()
		<-out.drawn
		out.hang.Store(true)
		if _, err := io.WriteString(keyboard, "q"); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}

// TestLatestViewWins sends without anybody who takes.
func TestLatestViewWins(t *testing.T) {
	p := NewProgram(Options{})
	for i := range 1000 {
		p.Send(live.View{Status: live.Status{Time: at(i)}})
	}
	l := loop{views: p.views}
	v, ok := l.next().(live.View)
	if !ok || !v.Status.Time.Equal(at(999)) {
		t.Errorf("got %+v", v.Status.Time)
	}
	shown := make(chan struct{})
	close(shown)
	if msg := (loop{views: p.views, shown: shown}).next(); msg != tea.Quit() {
		t.Errorf("%v after the last view", msg)
	}
}
