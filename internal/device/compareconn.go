package device

import (
	"errors"

	"math"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// CompareConnections lays the head block, the list, the detail blocks and the
// transaction log of the MAPI connections beside a device's, as far as the
// device printed them.
func (v *Views) CompareConnections(p *Printed) (*Comparison, error) {
	if len(p.Head)+len(p.Connections)+len(p.Details)+len(p.Transactions) == 0 {
		return nil, errors.New("it holds no output of \"show statistics connection\" and no transaction log")
	}
	c := &Comparison{View: "show statistics connection optimized mapi"}
	const moment = longer("the device shows another moment than the end of the captures")
	for _, f := range v.head() {
		if at := slices.IndexFunc(p.Head, func(r Reading) bool { return r.Label == f.Label }); at >= 0 {
			c.Rows = append(c.Rows, counter("", f, p.Head[at].Text, gauge, moment))
		}
	}
	flows := make(map[ends][]*flow)
	for _, f := range v.flows {
		key := ends{f.main.Client, f.main.Server}
		flows[key] = append(flows[key], f)
	}
	find := func(source, dest document.Host) *flow {
		// Of connections that used one pair of ports the device shows the
		// latest.
		if found := flows[ends{source, dest}]; len(found) > 0 {
			return found[len(found)-1]
		}
		return nil
	}
	seen := make(map[*flow]bool)
	for i := range p.Connections {
		r := &p.Connections[i]
		f := find(r.Source, r.Dest)
		if f == nil {
			c.Rows = append(c.Rows, missing(r.Source, r.Dest, orUnavailable(r.Accel)))
			continue
		}
		seen[f] = true
		c.Rows = append(c.Rows, v.compareRow(f, r)...)
	}
	for i := range p.Details {
		d := &p.Details[i]
		f := find(d.Source, d.Dest)
		switch {
		case f != nil:
			c.Rows = append(c.Rows, v.compareDetail(f, d)...)
			seen[f] = true
		case !slices.ContainsFunc(p.Connections, func(r PrintedRow) bool { return r.Source == d.Source && r.Dest == d.Dest }):
			c.Rows = append(c.Rows, missing(d.Source, d.Dest, "detail"))
		}
	}
	for i := range p.Transactions {
		t := &p.Transactions[i]
		if t.Kind == "RESTART" {
			continue
		}
		if f := find(t.Source, t.Dest); f != nil {
			c.Rows = append(c.Rows, v.compareTransaction(f, t)...)
		} else {
			c.Rows = append(c.Rows, missing(t.Source, t.Dest, t.Kind+" "+t.Log))
		}
	}
	if len(p.Connections)+len(p.Details) > 0 {
		c.Rows = append(c.Rows, v.unseen(seen)...)
	}
	return c.ended(), nil
}

func missing(source, dest document.Host, what string) CompareRow {
	return CompareRow{Item: between(source, dest), Field: "Accel", Device: what, Packets: unavailable, Quality: document.Unavailable,
		Result: DeviceOnly, Why: "the captures hold no such connection"}
}

func between(source, dest document.Host) string { return address(source) + " > " + address(dest) }

func orUnavailable(s string) string {
	if s == "" {
		return unavailable
	}
	return s
}

// unseen are the connections of our list that the device did not print.
func (v *Views) unseen(seen map[*flow]bool) []CompareRow {
	var rows []CompareRow
	listed, _ := v.listed()
	for _, f := range listed {
		if seen[f] {
			continue
		}
		accel, _ := v.accel(f)
		row := CompareRow{Item: between(f.main.Client, f.main.Server), Field: "Accel", Device: unavailable, Packets: accel.String(),
			Quality: accel.Quality, Result: PacketsOnly, Why: "the device does not list it"}
		switch {
		case f.disposition().Accelerator == "generic":
			row.Result, row.Why = NotComparable, "the device need not list it under MAPI: "+accel.Why
		case f.over():
			row.Result, row.Why = NotComparable, "it ended before the captures did: the device need not list it"
		}
		rows = append(rows, row)
	}
	return rows
}

// compareRow compares one row of the list.
func (v *Views) compareRow(f *flow, r *PrintedRow) []CompareRow {
	name := between(r.Source, r.Dest)
	return []CompareRow{
		v.compareAccel(name, f, r.Accel),
		v.comparePeer(name, f, r.PeerID),
		compareRatio(name, "RR", v.ratio(f, ListRatio), r.RR),
	}
}

// compareAccel compares the letters that both sides can know: T, and the
// accelerator where the packets tell it. D, L and W are the devices' own.
func (v *Views) compareAccel(name string, f *flow, device string) CompareRow {
	value, known := v.accel(f)
	row := CompareRow{Item: name, Field: "Accel", Device: orUnavailable(device), Packets: value.String(), Quality: value.Quality,
		Result: NotComparable, Why: value.Why}
	theirs, ok := ParseLetters(device)
	switch bypassed := device == passed; {
	case !ok || bypassed && !f.passThrough() && !f.optimized():
		if !bypassed {
			row.Why = "the device does not say"
		}
		return row
	case bypassed || f.passThrough():
		if bypassed {
			row.Device = "pass-through"
		}
		if row.Result = Disagree; f.passThrough() {
			row.Packets, row.Why = "pass-through", f.passed()
			if bypassed {
				row.Result = Agree
			}
		}
		return row
	case value.V == nil:
		return row
	}
	ours, ok := ParseLetters(value.String())
	switch {
	case !ok:
		row.Packets, row.Result = "pass-through", Differ
	case !known:
		row.Result = Agree
	case accelerators(ours) == accelerators(theirs):
		row.Result = Agree
	case value.Quality == document.Exact:
		row.Result = Disagree
	default:
		row.Result = Differ
	}
	return row
}

// accelerators are the letters of the accelerators alone; W stands beside them
// and names none.
func accelerators(l Letters) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("TDLW", c) {
			return -1
		}
		return c
	}, l.String())
}

func (v *Views) comparePeer(name string, f *flow, device string) CompareRow {
	row := words(name, Field{"PeerID", v.peer(f, true)}, device)
	if row.Result == Agree {
		row.Why = "the device confirms the candidate"
	}
	return row
}

// compareRatio compares reduction ratios to the decimal that the device
// prints.
func compareRatio(name, field string, value Value, device string) CompareRow {
	row := CompareRow{Item: name, Field: field, Device: orUnavailable(device), Packets: value.String(), Quality: value.Quality,
		Result: NotComparable, Why: value.Why}
	theirs, ok := ratioOf(device)
	if !ok {
		row.Why = "the device does not say"
		return row
	}
	text, _ := value.V.(string)
	ours, ok := ratioOf(text)
	if !ok {
		return row
	}
	step := 1.0
	if _, decimals, ok := strings.Cut(strings.TrimSuffix(device, "%"), "."); ok {
		step = math.Pow10(-len(decimals))
	}
	switch {
	case math.Abs(ours-theirs) < step*1.01:
		row.Result = Agree
	case value.Quality == document.Exact:
		row.Result = Disagree
	default:
		row.Result = Differ
	}
	return row
}

// compareDetail compares the detail block of a connection.
func (v *Views) compareDetail(f *flow, p *PrintedDetail) []CompareRow {
	name := between(p.Source, p.Dest)
	d := v.detail(f)
	var rows []CompareRow
	each := func(fields []Field, readings []Reading, prefix string, of func(f Field, text string) CompareRow) {
		for _, x := range fields {
			at := slices.IndexFunc(readings, func(r Reading) bool { return r.Label == x.Label })
			if at < 0 {
				continue
			}
			row := of(x, readings[at].Text)
			row.Field = prefix + row.Field
			rows = append(rows, row)
		}
	}
	text := func(x Field, text string) CompareRow {
		row := words(name, x, text)
		if x.Label == labelStart && row.Result == Disagree {
			row.Result, row.Why = Differ, "the clocks of device and capture, or their time zones, are not the same"
		}
		return row
	}
	each(d.Connection, p.Fields, "", text)
	each(d.Policy, p.Policy, "Policy ", text)
	each(d.Accelerator, p.Accelerator, "Accelerator ", text)
	sides := func(label string, of Pair, printed [2]string) {
		if printed == ([2]string{}) {
			return
		}
		for i, x := range [...]Value{of.Original, of.Optimized} {
			side := [...]string{"Original ", "Optimized "}[i]
			rows = append(rows, counter(name, Field{side + label, x}, printed[i], cumulative, ""))
		}
	}
	sides("Bytes Read", d.Read, p.Read)
	sides("Bytes Written", d.Written, p.Written)
	if p.RR != "" {
		rows = append(rows, compareRatio(name, labelTotalRatio, d.RR, p.RR))
	}
	each(d.MAPI, p.MAPI, "MAPI ", func(x Field, text string) CompareRow {
		if x.Label == labelReset {
			return CompareRow{Item: name, Field: x.Label, Device: orUnavailable(text), Packets: x.Value.String(), Quality: x.Quality,
				Result: NotComparable, Why: "the captures do not show when the device began to count"}
		}
		return counter(name, x, text, kindOf(x.Label), "")
	})
	return rows
}
