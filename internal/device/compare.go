package device

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"mapiscope/internal/document"
)

// Result says how the two sides of a row relate.
type Result string

// The results, worst first.
const (
	Disagree      Result = "disagree"
	DeviceOnly    Result = "device_only"
	PacketsOnly   Result = "packets_only"
	Differ        Result = "differ"
	NotComparable Result = "not_comparable"
	Agree         Result = "agree"
)

var resultRank = map[Result]int{Disagree: 0, DeviceOnly: 1, PacketsOnly: 2, Differ: 3, NotComparable: 4, Agree: 5}

// Comparison is a device's output beside what the packets say.
type Comparison struct {
	View       string       `json:"view"`
	DeviceFile string       `json:"device_file"`
	Summary    Summary      `json:"summary"`
	Rows       []CompareRow `json:"rows"`
}

// Summary counts the rows of a comparison by result.
type Summary struct {
	Agree         int `json:"agree"`
	Disagree      int `json:"disagree"`
	Differ        int `json:"differ"`
	NotComparable int `json:"not_comparable"`
	DeviceOnly    int `json:"device_only"`
	PacketsOnly   int `json:"packets_only"`
}

// CompareRow is one thing that either side states.
type CompareRow struct {
	Item    string           `json:"item"` // the connection or rule, "" for a counter of the device
	Field   string           `json:"field"`
	Device  string           `json:"device"`
	Packets string           `json:"packets"`
	Quality document.Quality `json:"quality"` // of the packets' side
	Result  Result           `json:"result"`
	Why     string           `json:"why"`
}

// ended sorts the rows, worst first and else in order, and counts them.
func (c *Comparison) ended() *Comparison {
	slices.SortStableFunc(c.Rows, func(a, b CompareRow) int { return cmp.Compare(resultRank[a.Result], resultRank[b.Result]) })
	counts := map[Result]*int{
		Agree: &c.Summary.Agree, Disagree: &c.Summary.Disagree, Differ: &c.Summary.Differ,
		NotComparable: &c.Summary.NotComparable, DeviceOnly: &c.Summary.DeviceOnly, PacketsOnly: &c.Summary.PacketsOnly,
	}
	for i := range c.Rows {
		*counts[c.Rows[i].Result]++
	}
	return c
}

// WriteText prints the rows on which the two sides do not agree, worst first.
func (c *Comparison) WriteText(w io.Writer) error {
	var b strings.Builder
	s := &c.Summary
	printf(&b, "%s, %s beside the packets: %d agree, %d disagree, %d differ, %d only on the device, %d only in the packets, %d not comparable\n",
		c.View, c.DeviceFile, s.Agree, s.Disagree, s.Differ, s.DeviceOnly, s.PacketsOnly, s.NotComparable)
	first := true
	for i := range c.Rows {
		r := &c.Rows[i]
		if r.Result == Agree || r.Result == NotComparable {
			continue
		}
		if first {
			b.WriteByte('\n')
			first = false
		}
		what := r.Field
		if r.Item != "" {
			what = r.Item + "  " + what
		}
		printf(&b, "%-12s %s  device: %s, packets: %s", strings.ReplaceAll(string(r.Result), "_", " "), strings.TrimSpace(what), r.Device, r.Packets)
		if r.Why != "" {
			printf(&b, "  (%s)", r.Why)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// kind says how a counter behaves when one side counts longer than the other.
type kind uint8

const (
	gauge      kind = iota // as it stands now
	cumulative             // only grows
	least                  // a minimum: only falls
	most                   // a maximum: only grows
	mean
)

func kindOf(label string) kind {
	switch {
	case strings.HasPrefix(label, "Current "):
		return gauge
	case strings.HasPrefix(label, "Minimum "):
		return least
	case strings.HasPrefix(label, "Maximum "):
		return most
	case strings.HasPrefix(label, "Average "):
		return mean
	}
	return cumulative
}

// longer says that the device counts over more time than the captures cover,
// and why; "" when both count over the same.
type longer string

// counter compares two figures. One that the device may have counted before
// the captures began disagrees only when it is smaller than what the packets
// prove.
func counter(item string, f Field, text string, k kind, over longer) CompareRow {
	row := CompareRow{Item: item, Field: f.Label, Device: text, Packets: f.Value.String(), Quality: f.Quality, Result: NotComparable}
	if text == "" {
		row.Device, row.Why = unavailable, "the device does not say"
		return row
	}
	ours, ok := f.V.(int64)
	if !ok {
		row.Why = f.Why
		return row
	}
	theirs, ok := integer(text)
	if !ok {
		row.Why = "no number"
		return row
	}
	row.Why = f.Why
	switch {
	case theirs == ours:
		row.Result = Agree
	case f.Quality == document.Heuristic:
		row.Result = Differ
	case over != "" && (k == mean || k == gauge || k == least && theirs < ours || k != least && theirs > ours):
		row.Result, row.Why = Differ, string(over)
	case f.Quality == document.LowerBound && theirs > ours:
		row.Result = Agree
	default:
		row.Result = Disagree
	}
	return row
}

// text compares two words.
func words(item string, f Field, text string) CompareRow {
	row := CompareRow{Item: item, Field: f.Label, Device: text, Packets: f.Value.String(), Quality: f.Quality, Result: NotComparable, Why: f.Why}
	switch {
	case text == "":
		row.Device, row.Why = unavailable, "the device does not say"
	case f.V == nil:
	case strings.EqualFold(text, f.Value.String()):
		row.Result = Agree
	case f.Quality == document.Exact:
		row.Result = Disagree
	default:
		row.Result = Differ
	}
	return row
}

// CompareAccelerator lays the counters of an accelerator beside a device's.
func (v *Views) CompareAccelerator(a *Accelerator, p *Printed) (*Comparison, error) {
	readings := p.MAPI
	if a.Name == "EPM" {
		readings = p.EPM
	}
	if len(readings) == 0 {
		return nil, fmt.Errorf("it holds no output of \"show statistics accelerator %s\"", strings.ToLower(a.Name))
	}
	c := &Comparison{View: "show statistics accelerator " + strings.ToLower(a.Name)}
	over := v.countsLonger(readings)
	for _, f := range a.Fields {
		at := slices.IndexFunc(readings, func(r Reading) bool { return r.Label == f.Label })
		switch {
		case at < 0:
			c.Rows = append(c.Rows, CompareRow{Field: f.Label, Device: unavailable, Packets: f.Value.String(), Quality: f.Quality,
				Result: NotComparable, Why: "the device does not print it"})
		case f.Label == labelStarted || f.Label == labelReset:
			row := words("", f, readings[at].Text)
			if row.Result == Differ {
				row.Result, row.Why = NotComparable, "the captures do not show when the device began to count"
			}
			c.Rows = append(c.Rows, row)
		default:
			c.Rows = append(c.Rows, counter("", f, readings[at].Text, kindOf(f.Label), over))
		}
	}
	return c.ended(), nil
}

// countsLonger reads when a device began to count.
func (v *Views) countsLonger(readings []Reading) longer {
	for _, r := range readings {
		if r.Label != labelReset || r.Text == "" || v.first.IsZero() {
			continue
		}
		if r.Text == v.asctime(v.first) {
			return ""
		}
		t, err := time.ParseInLocation(time.ANSIC, r.Text, v.loc)
		if err != nil || !t.Before(v.first.Truncate(time.Second)) {
			break
		}
		return longer(fmt.Sprintf("the device counts since %s, the captures begin %s", r.Text, v.asctime(v.first)))
	}
	return ""
}

// CompareRules lays the dynamic match rules beside a device's.
func (v *Views) CompareRules(d *DynamicRules, p *Printed) (*Comparison, error) {
	if len(p.Rules) == 0 {
		return nil, errors.New("it holds no output of \"show policy-engine application dynamic\"")
	}
	c := &Comparison{View: "show policy-engine application dynamic"}
	matched := make(map[int]bool)
	for i := range p.Rules {
		u := &p.Rules[i]
		item := address(u.Dst)
		at := slices.IndexFunc(d.Rules, func(r Rule) bool { return r.Dst == u.Dst && (r.MapName == u.MapName || u.MapName == "") })
		if at < 0 {
			c.Rows = append(c.Rows, CompareRow{Item: item, Field: labelMap, Device: u.MapName, Packets: unavailable, Quality: document.Unavailable,
				Result: DeviceOnly, Why: "no captured endpoint mapper answer makes this rule: it may be older than the captures"})
			continue
		}
		r := &d.Rules[at]
		matched[at] = true
		const older = longer("the rule may be older than the captures")
		c.Rows = append(c.Rows,
			words(item, Field{labelMap, exact(r.MapName)}, u.MapName),
			counter(item, Field{"Hits", r.Hits}, u.Hits, cumulative, older),
			counter(item, Field{"Flows", r.Flows}, u.Flowed, gauge, "the device shows another moment than the end of the captures"))
	}
	for i := range d.Rules {
		if r := &d.Rules[i]; !matched[i] {
			row := CompareRow{Item: address(r.Dst), Field: labelMap, Device: unavailable, Packets: r.MapName, Quality: document.Exact,
				Result: PacketsOnly, Why: "an endpoint mapper answer makes this rule"}
			if left, ok := r.Remaining.V.(int64); ok && left == 0 {
				row.Result, row.Why = NotComparable, "the rule is older than 1200 s without a connection"
			}
			c.Rows = append(c.Rows, row)
		}
	}
	return c.ended(), nil
}

// ratioOf reads a reduction ratio in per cent.
func ratioOf(s string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	return n, err == nil && strings.HasSuffix(s, "%")
}
