package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mapiscope/internal/live"
	"mapiscope/internal/report"
)

// headLines is the height of the head: a quarter of the screen, within bounds.
func (m *Model) headLines() int { return min(max((m.height+2)/4, 1), maxHead) }

const maxHead = 8

// head writes how the job is doing, what needs attention first.
func (m *Model) head(f *frame) {
	most := min(m.headLines(), f.left())
	if m.shown == nil {
		f.line(cell{"mapiscope live", strong})
		return
	}
	lines := m.headWith(f.width, len(m.shown.status.Interfaces) < most)
	if len(lines) > most {
		lines = m.headWith(f.width, false)
	}
	for _, line := range lines[:min(len(lines), most)] {
		f.line(line...)
	}
}

// headWith lays out the head, with a line for each interface or one for all.
func (m *Model) headWith(width int, each bool) [][]cell {
	s := &m.shown.status
	lines := flow(width, slices.Concat(m.title(), alarms(&m.latest.status), m.running()))
	if each {
		for i := range s.Interfaces {
			lines = append(lines, flow(width, interfaceWords(&s.Interfaces[i]))...)
		}
		return append(lines, flow(width, append(tally(s, m.shown.words.Escape()), resources(s)...))...)
	}
	return append(lines, flow(width, slices.Concat(allInterfaces(s), tally(s, m.shown.words.Escape()), resources(s)))...)
}

// flow puts cells into lines, separated by bars, and breaks between them.
func flow(width int, cells []cell) [][]cell {
	var lines [][]cell
	room := 0
	for _, c := range cells {
		w := widthOf(clean(c.text))
		if len(lines) > 0 && w+len(bar) <= room {
			last := len(lines) - 1
			lines[last] = append(lines[last], cell{bar, dim}, c)
			room -= w + len(bar)
			continue
		}
		lines, room = append(lines, []cell{c}), width-w
	}
	return lines
}

const bar = " | "

// title says which moment is shown.
func (m *Model) title() []cell {
	name := cell{"mapiscope live", strong}
	if m.frozen {
		return []cell{name, {"FROZEN since " + m.clock(m.shown.status.Time), warn}}
	}
	return []cell{name, {m.clock(m.shown.status.Time), plain}}
}

// running says how long the job has run, and that it goes on when the display
// stands still.
func (m *Model) running() []cell {
	if m.frozen && m.latest != m.shown {
		return []cell{{"data goes on, last at " + m.clock(m.latest.status.Time), plain}}
	}
	return []cell{{"running " + report.Span(m.shown.status.Running.Microseconds()), plain}}
}

func (m *Model) clock(t time.Time) string { return t.In(m.options.Location).Format(time.TimeOnly) }

// alarms says what is wrong with the job itself. That is told of the latest
// view, also when the display stands still.
func alarms(s *live.Status) []cell {
	var cells []cell
	for i := range s.Interfaces {
		if f := &s.Interfaces[i]; f.Err != "" {
			cells = append(cells, cell{fmt.Sprintf("%s ENDED: %s", f.Name, f.Err), bad})
		}
	}
	if s.Log.Failing != "" {
		cells = append(cells, cell{"LOG FAILS: " + s.Log.Failing, bad})
	}
	if s.Log.Spooled > 0 {
		cells = append(cells, cell{report.Count(s.Log.Spooled, "record") + " held back for the log", warn})
	}
	if s.Log.Lost > 0 {
		cells = append(cells, cell{report.Count(s.Log.Lost, "record") + " lost to the log", bad})
	}
	if n := len(s.Counts.LimitsHit); n > 0 {
		var names []string
		for name := range s.Counts.LimitsHit {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, name := range names {
			names[i] = fmt.Sprintf("%s %d", name, s.Counts.LimitsHit[name])
		}
		cells = append(cells, cell{"limits hit: " + strings.Join(names, ", "), warn})
	}
	return cells
}

// interfaceWords describes one interface.
func interfaceWords(f *live.Interface) []cell {
	name := f.Name
	if f.At != "" && f.At != "unknown" {
		name += " (" + f.At + ")"
	}
	if f.Err != "" {
		return []cell{{fmt.Sprintf("%s ended after %s", name, report.Count(f.Packets, "packet")), bad}}
	}
	return []cell{{name, strong}, rates(f.PacketsPerSecond, f.BitsPerSecond), drops(f.KernelDropped, f.DriverDropped)}
}

// allInterfaces describes all in sum.
func allInterfaces(s *live.Status) []cell {
	if len(s.Interfaces) == 1 {
		return interfaceWords(&s.Interfaces[0])
	}
	var packets, bits float64
	var kernel, driver *int64
	for i := range s.Interfaces {
		f := &s.Interfaces[i]
		packets += f.PacketsPerSecond
		bits += f.BitsPerSecond
		kernel, driver = add(kernel, f.KernelDropped), add(driver, f.DriverDropped)
	}
	return []cell{{report.Count(int64(len(s.Interfaces)), "interface"), strong}, rates(packets, bits), drops(kernel, driver)}
}

// add sums figures of which some may be missing.
func add(a, b *int64) *int64 {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return new(*a + *b)
}

func rates(packets, bits float64) cell {
	return cell{fmt.Sprintf("%.0f packets/s", packets) + ", " + report.Scaled(int64(bits), "bit/s"), plain}
}

// drops says what was lost before this program saw it.
func drops(kernel, driver *int64) cell {
	var words []string
	lost := int64(0)
	for _, d := range []struct {
		n  *int64
		by string
	}{{kernel, "kernel"}, {driver, "driver"}} {
		if d.n != nil {
			words = append(words, fmt.Sprintf("%d by %s", *d.n, d.by))
			lost += *d.n
		}
	}
	switch {
	case len(words) == 0:
		return cell{"drops not told", dim}
	case lost > 0:
		return cell{"dropped " + strings.Join(words, ", "), warn}
	}
	return cell{"dropped none", plain}
}

// tally gives the head figures, and what the document says of escapes.
func tally(s *live.Status, escape string) []cell {
	n := &s.Counts
	var cells []cell
	if n.EscapedConnections > 0 {
		cells = append(cells, cell{fmt.Sprintf("%d escaped", n.EscapedConnections), bad})
	} else if escape == "none escaped" {
		cells = append(cells, cell{escape, plain})
	} else if escape != "" {
		cells = append(cells, cell{escape, warn})
	}
	cells = append(cells,
		cell{fmt.Sprintf("%s, %d open", report.Count(n.Connections, "connection"), n.OpenConnections), plain},
		cell{fmt.Sprintf("%d EMSMDB, %d encrypted", n.MAPIConnections, n.EncryptedMAPI), plain},
		cell{report.Count(n.AssociationGroups, "group"), plain},
	)
	if f := n.FindingSeverity; f.Error > 0 {
		cells = append(cells, cell{report.Count(f.Error, "error") + ", " + report.Count(f.Warning, "warning"), bad})
	} else if f.Warning > 0 {
		cells = append(cells, cell{report.Count(f.Warning, "warning"), warn})
	}
	if n.Gap > 0 {
		cells = append(cells, cell{fmt.Sprintf("%s of %s not captured", report.Size(n.Gap), report.Size(n.CapturedPayload+n.Gap)), warn})
	}
	return cells
}

// resources says what the job takes and how the log fares.
func resources(s *live.Status) []cell {
	memory := "memory " + report.Size(s.Memory.Heap)
	if s.Memory.Limit > 0 {
		memory += " of " + report.Size(s.Memory.Limit)
	}
	cells := []cell{{memory, plain}}
	if h := s.ResponseTimes; h != nil && h.Count() > 0 {
		cells = append(cells, cell{fmt.Sprintf("EMSMDB answers: median %s, p95 %s", report.Span(h.Quantile(0.5)), report.Span(h.Quantile(0.95))), plain})
	}
	if s.Log.Capacity > 0 {
		cells = append(cells, cell{fmt.Sprintf("log: %s written, %d waiting, room for %d", report.Count(s.Log.Written, "record"), s.Log.Waiting, s.Log.Capacity), plain})
	}
	return cells
}
