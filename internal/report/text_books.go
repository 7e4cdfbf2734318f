package report

import (
	"fmt"
	"reflect"
	"strings"

	"mapiscope/internal/document"
)

// figure is a counter of the device with the label that the device prints.
type figure struct {
	label  string
	figure document.Figure
	unit   string
}

func mapiFigures(a *document.MAPIAccelerator) []figure {
	return []figure{
		{"Total Handled Connections", a.TotalHandledConnections, ""},
		{"Total Optimized Connections", a.TotalOptimizedConnections, ""},
		{"Total Connections Handed-off", a.TotalHandedOffConnections, ""},
		{"Total Dropped Connections", a.TotalDroppedConnections, ""},
		{"Current Active Connections", a.CurrentActiveConnections, ""},
		{"Current Pending Connections", a.CurrentPendingConnections, ""},
		{"Maximum Active Connections", a.MaximumActiveConnections, ""},
		{"Number of Synch Get Buffer Requests", a.SyncGetBufferRequests, ""},
		{"Minimum Synch Get Buffer Size", a.SyncGetBufferMin, "bytes"},
		{"Maximum Synch Get Buffer Size", a.SyncGetBufferMax, "bytes"},
		{"Average Synch Get Buffer Size", a.SyncGetBufferAvg, "bytes"},
		{"Number of Read Stream Requests", a.ReadStreamRequests, ""},
		{"Minimum Read Stream Buffer Size", a.ReadStreamMin, "bytes"},
		{"Maximum Read Stream Buffer Size", a.ReadStreamMax, "bytes"},
		{"Average Read Stream Buffer Size", a.ReadStreamAvg, "bytes"},
		{"Minimum Accumulated Read Ahead Data Size", a.ReadAheadMin, "bytes"},
		{"Maximum Accumulated Read Ahead Data Size", a.ReadAheadMax, "bytes"},
		{"Average Accumulated Read Ahead Data Size", a.ReadAheadAvg, "bytes"},
		{"Local Response Count", a.LocalResponseCount, ""},
		{"Average Local Response Time", a.LocalResponseAvg, "µs"},
		{"Remote Response Count", a.RemoteResponseCount, ""},
		{"Average Remote Response Time", a.RemoteResponseAvg, "µs"},
		{"2000 Sessions", a.Sessions2000, ""},
		{"2003 Sessions", a.Sessions2003, ""},
		{"2007 Sessions", a.Sessions2007, ""},
		{"Secured Connections", a.SecuredConnections, ""},
		{"Lower than 2000 Sessions", a.SessionsLowerThan2000, ""},
		{"Higher than 2007 Sessions", a.SessionsHigherThan2007, ""},
	}
}

func epmFigures(a *document.EPMAccelerator) []figure {
	return []figure{
		{"Total Handled Connections", a.TotalHandledConnections, ""},
		{"Total Requests", a.TotalRequests, ""},
		{"Total Requests Successfully Parsed", a.TotalRequestsParsed, ""},
		{"Total Responses", a.TotalResponses, ""},
		{"Total Responses Successfully Parsed", a.TotalResponsesParsed, ""},
		{"Parse Errors", a.ParseErrors, ""},
		{"Total Service-unavailable Responses", a.ServiceUnavailableResponses, ""},
		{"Total Requests for UUID not in Policy Engine Map", a.RequestsNotInMap, ""},
	}
}

// marks are the quality marks of figures.
var marks = map[document.Quality]string{document.Exact: "E", document.Heuristic: "H", document.LowerBound: "L", document.Unavailable: notAvailable}

// acceleratorTables reproduces the counters of the two accelerators.
func (p *page) acceleratorTables() {
	if p.doc.Totals.MAPIConnections > 0 {
		p.accelerator("MAPI accelerator, as the packets give it", mapiFigures(&p.doc.Accelerators.MAPI))
	}
	if p.doc.Totals.EPMConnections > 0 {
		p.accelerator("EPM accelerator, as the packets give it", epmFigures(&p.doc.Accelerators.EPM))
	}
}

func (p *page) accelerator(title string, figures []figure) {
	t := table{columns: []col{{head: "counter"}, {head: "value", right: true}, {head: ""}, {head: "quality"}, {head: "why", wrap: 1}}}
	missing := make(map[string][]string)
	var reasons []string
	for _, f := range figures {
		if f.figure.Value == nil {
			if missing[f.figure.Why] == nil {
				reasons = append(reasons, f.figure.Why)
			}
			missing[f.figure.Why] = append(missing[f.figure.Why], f.label)
			continue
		}
		t.row(f.label, amount(f.figure.Value), f.unit, marks[f.figure.Quality], f.figure.Why)
	}
	t.note("quality: E exact, H heuristic, L lower bound")
	for _, why := range reasons {
		t.note("n/a  %s: %s", strings.Join(fold(missing[why]), ", "), why)
	}
	p.section(title)
	p.table(&t)
}

// fold writes the least, most and mean of one thing as one word.
func fold(labels []string) []string {
	var out []string
	for i := 0; i < len(labels); i++ {
		rest, ok := strings.CutPrefix(labels[i], "Minimum ")
		if ok && i+2 < len(labels) && labels[i+1] == "Maximum "+rest && labels[i+2] == "Average "+rest {
			out = append(out, rest+" (minimum, maximum, average)")
			i += 2
			continue
		}
		out = append(out, labels[i])
	}
	return out
}

// books closes the page: every payload byte is accounted for, and every limit
// that was hit is named.
func (p *page) books() {
	l := &p.doc.Ledger
	p.section("Books")
	p.printf("TCP payload captured %d bytes = delivered %d + duplicate %d + out of window %d + skipped %d; never captured: %d.",
		l.CapturedPayload, l.Delivered, l.Duplicate, l.OutOfWindow, l.Skipped, l.Gap)
	if hit := limitsHit(&p.doc.Limits); len(hit) > 0 {
		p.hang(0, piece{}, "Limits that were hit, so that something is missing above: "+strings.Join(hit, ", ")+".")
	}
}

// limitsHit lists the counters of limits that are not zero, by their names in
// the document.
func limitsHit(l *document.Limits) []string {
	var out []string
	v := reflect.ValueOf(*l)
	for i := range v.NumField() {
		if n := v.Field(i).Int(); n != 0 {
			out = append(out, fmt.Sprintf("%s %d", strings.ReplaceAll(v.Type().Field(i).Tag.Get("json"), "_", " "), n))
		}
	}
	return out
}
