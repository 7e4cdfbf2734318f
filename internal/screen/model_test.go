package screen

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/internal/live"
)

// stepKeys are what a step of FuzzScreen can press.
var stepKeys = strings.Fields("up down k j pgup pgdown home end enter enter esc backspace tab shift+tab space s S f / ? 1 . : a 漢 ctrl+u")

// playSteps gives a Model whatever the bytes say, and checks every frame, and
// that a Model is a value.
func playSteps(t testing.TB, color bool, views []live.View, steps []byte) {
	t.Helper()
	m := New(Options{Color: color})
	type moment struct {
		model Model
		frame string
	}
	var past []moment // the last few
	for len(steps) > 0 {
		step := steps[0]
		steps = steps[1:]
		past = append(past[max(len(past)-3, 0):], moment{m, m.View()})
		switch {
		case step < 20 && len(steps) >= 2:
			m = m.Update(tea.WindowSizeMsg{Width: int(steps[0]), Height: int(steps[1]) / 4})
			steps = steps[2:]
		case step < 60:
			m = m.Update(views[int(step)%len(views)])
		default:
			m = press(m, stepKeys[int(step)%len(stepKeys)])
		}
		checkFrame(t, m)
		for _, p := range past {
			if frame := p.model.View(); frame != p.frame {
				t.Fatalf("a step changed a Model before it, from\n%s\nto\n%s", p.frame, frame)
			}
		}
	}
}

// stepViews are views that differ in all that a screen can stumble over.
func stepViews(t testing.TB) []live.View {
	big, small := crowd(40), crowd(40)
	small.Connections = small.Connections[:3] // groups name connections that are not there
	small.Findings = []document.Finding{{Code: "X", Connections: []int{0, -1, 99}, Groups: []int{77}}}
	return []live.View{
		{}, captureView(t, at(0), "demo.pcap"), captureView(t, at(90), "outlook-start.pcap", "gm_mapi_wrong_password.pcap"),
		viewOf(at(1), hostile()), viewOf(at(1), corpus()), viewOf(at(2), big), viewOf(at(3), small), handmade()[0].views["failed"],
	}
}

// FuzzScreen: no keys, sizes and views make a frame that does not fit.
func FuzzScreen(f *testing.F) {
	views := stepViews(f)
	f.Add(true, []byte{0, 80, 96, 21, 70, 80, 90})
	f.Add(false, []byte{0, 3, 8, 22, 100, 101, 102, 23, 104, 105})
	f.Fuzz(func(t *testing.T, color bool, steps []byte) { playSteps(t, color, views, steps[:min(len(steps), 200)]) })
}

// TestAnyKeys is FuzzScreen with steps of a seed.
func TestAnyKeys(t *testing.T) {
	views := stepViews(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		steps := []byte{0, byte(r.UintN(256)), byte(r.UintN(256)), byte(20 + r.UintN(7))}
		for range 100 {
			steps = append(steps, byte(r.UintN(256)))
		}
		playSteps(t, r.UintN(2) == 0, views, steps)
	}
}

// open returns a Model of a terminal that shows a view.
func open(width, height int, v live.View) Model {
	return New(Options{}).Update(tea.WindowSizeMsg{Width: width, Height: height}).Update(v)
}

// selected returns the row with the mark.
func selected(t *testing.T, m Model) string {
	t.Helper()
	for line := range strings.Lines(m.View()) {
		if strings.HasPrefix(line, ">") {
			return line
		}
	}
	t.Fatalf("nothing is selected in\n%s", m.View())
	return ""
}

// forget is a document without the first connections and groups of another;
// those that stay have other numbers, but the same uid.
func forget(d *document.Document, n int) *document.Document {
	out := &document.Document{WAAS: d.WAAS, Connections: slices.Clone(d.Connections[n:]), AssociationGroups: slices.Clone(d.AssociationGroups[n:])}
	for i := range out.Connections {
		c, g := &out.Connections[i], &out.AssociationGroups[i]
		c.ID, g.ID = i+1, i+1
		c.AssocGroup.Group, g.Connections = new(i+1), []int{i + 1}
	}
	for _, f := range d.Findings {
		if f.Connections[0] > n {
			f.Connections = []int{f.Connections[0] - n}
			out.Findings = append(out.Findings, f)
		}
	}
	return out
}

// TestSelectionSticks moves rows and numbers under the selection.
func TestSelectionSticks(t *testing.T) {
	doc := crowd(60)
	for i := range doc.Connections {
		doc.Findings = append(doc.Findings, document.Finding{Code: "SLOW_CALLS", Severity: document.Info, Detail: doc.Connections[i].Client.IP, Connections: []int{i + 1}})
	}
	for i, list := range []string{"Groups", "Connections", "Findings"} {
		t.Run(list, func(t *testing.T) {
			m := open(200, 30, viewOf(at(0), doc))
			for range i {
				m = press(m, "tab")
			}
			m = press(m, "end") // 10.0.0.59 by findings, else one of the later ones
			for range 7 {
				m = press(m, "up")
			}
			line := selected(t, m)
			address := strings.Fields(line[strings.Index(line, "10.0."):])[0]
			for _, n := range []int{1, 5, 20} {
				m = m.Update(viewOf(at(n), forget(doc, n)))
				if got := selected(t, m); !strings.Contains(got, address) {
					t.Errorf("after %d were forgotten, %s is selected, not %s", n, strings.TrimSpace(got), address)
				}
			}
			m = press(m, "enter")
			m = m.Update(viewOf(at(30), doc))
			if !strings.Contains(m.View(), address) {
				t.Errorf("another was opened than %s:\n%s", address, m.View())
			}
			m = m.Update(viewOf(at(31), forget(doc, 60)))
			if !strings.Contains(m.View(), "no longer listed") {
				t.Errorf("what is gone is shown:\n%s", m.View())
			}
			m = press(m, "esc").Update(viewOf(at(32), doc))
			selected(t, m)
		})
	}
}

// TestPortUsedAgain has connections with the same ends: the uid tells them
// apart.
func TestPortUsedAgain(t *testing.T) {
	doc := crowd(0)
	for id := range uint32(3) {
		addGroup(doc, "10.0.0.1", document.Host{IP: "10.200.0.25", Port: 59531}, id, "whole", int64(100*(id+1))).Client.Port = 50000
	}
	m := press(open(200, 20, viewOf(at(0), doc)), "tab")
	for range 3 { // by start, the latest first
		m = press(m, "s")
	}
	m = press(m, "end")
	if got := selected(t, m); !strings.Contains(got, "300/600") {
		t.Fatal(got)
	}
	m = m.Update(viewOf(at(1), forget(doc, 1)))
	if got := selected(t, m); !strings.Contains(got, "300/600") {
		t.Errorf("%s is selected", got)
	}
}

// TestFirstRowStays: before the selection is moved, and after Home, it is the
// first row whatever that is.
func TestFirstRowStays(t *testing.T) {
	doc := crowd(3)
	m := open(100, 20, viewOf(at(0), doc))
	addGroup(doc, "10.9.9.9", document.Host{IP: "10.200.0.25", Port: 1}, 1, "split_pair", 1)
	m = m.Update(viewOf(at(1), doc))
	if got := selected(t, m); !strings.Contains(got, "10.9.9.9") {
		t.Error(got)
	}
	m = press(press(m, "down"), "home")
	addGroup(doc, "10.9.9.8", document.Host{IP: "10.200.0.25", Port: 1}, 2, "escaped", 1)
	m = m.Update(viewOf(at(2), doc))
	if got := selected(t, m); !strings.Contains(got, "10.9.9.8") {
		t.Error(got)
	}
}

// TestArrivals follows when findings came, as their words and numbers change
// and the display is frozen.
func TestArrivals(t *testing.T) {
	doc := crowd(4)
	finding := func(conn int, detail string) document.Finding {
		return document.Finding{Code: "CAPTURE_LOSS", Severity: document.Warning, Detail: detail, Connections: []int{conn}}
	}
	lines := func(m Model) []string {
		var out []string
		for line := range strings.Lines(m.View()) {
			if _, row, found := strings.Cut(line, "CAPTURE_LOSS"); found {
				out = append(out, strings.Join(strings.Fields(line[:12]+row), " "))
			}
		}
		return out
	}
	doc.Findings = []document.Finding{finding(1, "1 byte")}
	m := press(open(100, 20, viewOf(at(0), doc)), "shift+tab")
	steps := []struct {
		second   int
		findings []document.Finding
		key      string
		want     []string
	}{
		{10, []document.Finding{finding(1, "2 bytes"), finding(2, "5 bytes")}, "", []string{">*08:00:15 5 bytes", "* 08:00:05 2 bytes"}},
		{59, []document.Finding{finding(1, "2 bytes"), finding(2, "5 bytes"), finding(2, "the same again")}, "f", []string{">*08:01:04 the same again", "* 08:00:15 5 bytes", "* 08:00:05 2 bytes"}},
		{70, []document.Finding{finding(3, "while frozen")}, "", []string{">*08:01:04 the same again", "* 08:00:15 5 bytes", "* 08:00:05 2 bytes"}},
		{200, []document.Finding{finding(3, "while frozen"), finding(1, "back")}, "f", []string{">*08:03:25 back", "08:01:15 while frozen"}},
	}
	for _, s := range steps {
		d := *doc
		d.Findings = s.findings
		m = m.Update(viewOf(at(s.second), &d))
		if s.key != "" {
			m = press(m, s.key)
		}
		if diff := cmp.Diff(s.want, lines(m)); diff != "" {
			t.Errorf("after %d s (-want +got):\n%s", s.second, diff)
		}
	}
}

// TestOrders sorts every list in every way, and back.
func TestOrders(t *testing.T) {
	doc := crowd(50)
	for i := range doc.Connections {
		c := &doc.Connections[i]
		if i%3 > 0 {
			c.RTT = new(int64(i * 7 % 11))
		}
		doc.Findings = append(doc.Findings, document.Finding{Code: fmt.Sprint(i * 13 % 7), Severity: []document.Severity{document.Info, document.Error, document.Warning}[i%3], Connections: []int{i + 1}})
	}
	m := open(120, 30, viewOf(at(0), doc))
	for k := range kind(len(orders)) {
		for n, o := range orders[k] {
			for _, reverse := range []bool{false, true} {
				p := m.page()
				if p.kind != k || p.order != n || p.reverse != reverse || len(p.rows) != 50 {
					t.Fatalf("list %d by column %d (%v) with %d rows, want list %d by %d (%v)", p.kind, p.order, p.reverse, len(p.rows), k, n, reverse)
				}
				if !slices.IsSortedFunc(p.rows, func(a, b int) int {
					if reverse {
						a, b = b, a
					}
					return o.comparison(m.shown, a, b)
				}) {
					t.Errorf("list %d is not sorted by %s, reversed %v", k, o.name, reverse)
				}
				m = press(m, "S")
			}
			m = press(m, "s")
		}
		m = press(m, "tab")
	}
}

// TestFilter counts the rows of each list that contain a text.
func TestFilter(t *testing.T) {
	demo := captureView(t, at(0), "demo.pcap")
	rows := []struct {
		text string
		want [3]int // groups, connections, findings
	}{
		{"", [3]int{4, 6, 3}}, {"10.10.2.34", [3]int{2, 2, 2}}, {"10.20.0.25:135", [3]int{2, 2, 0}}, {":49204", [3]int{0, 1, 0}}, {"EPM", [3]int{2, 2, 0}}, {"mapi", [3]int{2, 4, 2}},
		{"escaped", [3]int{1, 1, 1}}, {"not accel", [3]int{1, 0, 0}}, {"0x000212d4", [3]int{1, 0, 1}}, {"ntlm", [3]int{0, 1, 2}}, {"BOB", [3]int{0, 1, 0}}, {"pc-bob", [3]int{0, 1, 0}},
		{"optimized", [3]int{0, 2, 0}}, {"warning", [3]int{0, 0, 2}}, {"unsupported_auth", [3]int{0, 0, 1}}, {"nowhere", [3]int{0, 0, 0}},
	}
	for _, row := range rows {
		t.Run(row.text, func(t *testing.T) {
			m := press(open(100, 24, demo), "/")
			for _, r := range row.text {
				m = press(m, string(r))
			}
			m = press(m, "enter")
			var got [3]int
			for i := range got {
				got[i] = len(m.page().rows)
				m = press(m, "tab")
			}
			if got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// TestOnlyWhatIsInSightIsFormatted: a frame of many rows costs what one of few
// does.
func TestOnlyWhatIsInSightIsFormatted(t *testing.T) {
	cost := func(n int) float64 {
		m := press(open(120, 40, viewOf(at(0), crowd(n))), "tab")
		return testing.AllocsPerRun(10, func() { m.View() })
	}
	if few, many := cost(100), cost(10000); many > few+20 {
		t.Errorf("a frame takes %v allocations with 10,000 connections, %v with 100", many, few)
	}
}

func BenchmarkFrame10000(b *testing.B) {
	m := press(open(160, 50, viewOf(at(0), crowd(10000))), "tab")
	b.ReportAllocs()
	for b.Loop() {
		m.View()
	}
}

// BenchmarkKey10000 moves the selection and draws, as a held key does.
func BenchmarkKey10000(b *testing.B) {
	m := press(open(160, 50, viewOf(at(0), crowd(10000))), "tab")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m = press(m, []string{"pgdown", "pgup"}[i%2])
		m.View()
	}
}

// BenchmarkView10000 takes a new view in and draws it.
func BenchmarkView10000(b *testing.B) {
	v := viewOf(at(0), crowd(10000))
	m := press(open(160, 50, v), "tab")
	b.ReportAllocs()
	for b.Loop() {
		m = m.Update(v)
		m.View()
	}
}
