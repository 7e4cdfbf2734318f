package screen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/live"
)

var update = flag.Bool("update", false, "rewrite golden files")

// keyNames are the keys that have names; others are their character.
var keyNames = map[string]tea.Key{
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown},
	"home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd}, "enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape},
	"backspace": {Code: tea.KeyBackspace}, "tab": {Code: tea.KeyTab}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift},
	"space": {Code: tea.KeySpace, Text: " "}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "ctrl+u": {Code: 'u', Mod: tea.ModCtrl},
}

// press gives a Model a key by its name.
func press(m Model, name string) Model {
	if k, ok := keyNames[name]; ok {
		return m.Update(tea.KeyPressMsg(k))
	}
	r, _ := utf8.DecodeRuneInString(name)
	return m.Update(tea.KeyPressMsg{Code: unicode.ToLower(r), Text: name})
}

// checkFrame checks what holds for every frame: as many lines as the terminal
// is high, none wider than it, nothing but text and the codes of colours.
func checkFrame(t testing.TB, m Model) {
	t.Helper()
	frame := m.View()
	if m.width == 0 || m.height == 0 {
		if frame != "" {
			t.Fatalf("a frame without room for one: %q", frame)
		}
		return
	}
	lines := strings.Split(frame, "\n")
	if len(lines) != m.height {
		t.Fatalf("%d lines for a terminal of %d:\n%s", len(lines), m.height, frame)
	}
	for _, line := range lines {
		text := line
		for _, code := range append(sgr[bad:], reset) {
			if m.options.Color {
				text = strings.ReplaceAll(text, code, "")
			}
		}
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Fatalf("not fit for a terminal: %q", text)
		}
		if n := widthOf(text); n > m.width {
			t.Fatalf("%d columns, the terminal has %d: %q", n, m.width, text)
		}
	}
}

// frameRow is one golden file: what a person sees who does these things.
// Steps are keys, "WIDTHxHEIGHT" for another size, "view NAME" for the next
// view, and "frame" for a look at the screen.
type frameRow struct {
	name    string
	options Options
	views   map[string]live.View
	steps   string // separated by semicolons
}

func play(t *testing.T, row frameRow) string {
	t.Helper()
	m := New(row.options)
	var out strings.Builder
	done := ""
	for step := range strings.SplitSeq(row.steps, ";") {
		step = strings.TrimSpace(step)
		name, isView := strings.CutPrefix(step, "view ")
		var width, height int
		switch {
		case step == "frame":
			fmt.Fprintf(&out, "==== %s (%dx%d)\n%s\n", done, m.width, m.height, m.View())
			done = ""
			continue
		case isView:
			v, ok := row.views[name]
			if !ok {
				t.Fatalf("no view %q", name)
			}
			m = m.Update(v)
		default:
			if n, _ := fmt.Sscanf(step, "%dx%d", &width, &height); n == 2 {
				m = m.Update(tea.WindowSizeMsg{Width: width, Height: height})
			} else if m = press(m, step); m.Done() {
				t.Fatalf("%q quits", step)
			}
		}
		done = strings.TrimSpace(done + " " + step)
		checkFrame(t, m)
	}
	return out.String()
}

// TestFrames compares what a person sees with golden files.
func TestFrames(t *testing.T) {
	demo, later := captureView(t, at(0), "demo.pcap"), captureView(t, at(30), "demo.pcap", "outlook-start.pcap")
	two := captureView(t, at(0), "two-points.pcapng")
	captures := map[string]live.View{"demo": demo, "later": later, "two": two}
	rows := []frameRow{
		{"walk", Options{}, captures, "100x24; frame; view demo; frame; enter; frame; enter; frame; pgdown; frame; esc; esc; tab; frame; tab; frame; enter; frame; ?; frame"},
		{"freeze", Options{}, captures, "120x20; view demo; enter; s; frame; f; view later; frame; esc; frame; f; frame"},
		{"narrow", Options{}, captures, "60x10; view demo; frame; enter; frame; pgdown; pgdown; pgdown; pgdown; frame; down; frame; enter; frame; esc; up; up; frame; up; frame; esc; tab; frame; end; frame; tab; frame; enter; frame; up; up; up; frame; ?; frame; pgdown; frame"},
		{"wide", Options{}, captures, "240x30; view later; frame; tab; frame; tab; frame"},
		{"sort", Options{}, captures, "140x24; view later; tab; frame; s; frame; S; frame; s; s; frame"},
		{"filter", Options{}, captures, "100x16; view later; /; 2; 1; frame; enter; frame; tab; frame; tab; frame; esc; frame"},
		{"color", Options{Color: true, Location: time.FixedZone("TEST", 2*3600)}, captures, "100x16; view demo; frame; down; tab; frame; tab; frame"},
		{"points", Options{}, captures, "120x16; view two; frame; tab; frame"},
	}
	rows = append(rows, handmade()...)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got := play(t, row)
			path := filepath.Join("testdata", row.name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
		})
	}
}
