package device

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"mapiscope/internal/document"
)

// Transaction is one line of the device's transaction log.
type Transaction struct {
	Time         string // asctime, in the device's local time
	ConnID       int64  // 0 on a BP line, which has none
	Source, Dest document.Host
	Kind         string // "OT", "SODRE", "BP" or "RESTART"
	Log          string // "START" or "END", empty on BP and RESTART lines
	ConnType     string // of an OT line: "EXTERNAL CLIENT" ...
	Accelerator  string // of OT END: the accelerator that both peers agreed on
	Reason       string // of a BP line
	// Bytes are original read and written, optimized read and written, of the
	// two kinds of END lines; a text, as "n/a" is possible.
	Bytes      [4]string
	CloseState string // of SODRE END
	// Rest are the fields behind those of OT START and BP.
	Rest []string
}

// recordStart finds the time that begins a line of the transaction log. Lines
// may have lost the breaks between them.
var recordStart = regexp.MustCompile(`(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d \d{4} :`)

// transactions takes the lines of a transaction log out of a text and returns
// what is left of it.
func (p *Printed) transactions(text string) (rest string) {
	at := recordStart.FindAllStringIndex(text, -1)
	if len(at) == 0 {
		return text
	}
	var left strings.Builder
	left.WriteString(text[:at[0][0]])
	for i := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		line, after, _ := strings.Cut(text[at[i][0]:end], "\n")
		if t, err := ParseTransaction(line); err == nil {
			p.Transactions = append(p.Transactions, t)
		} else {
			left.WriteString(line)
		}
		left.WriteByte('\n')
		left.WriteString(after)
	}
	return left.String()
}

var errTransaction = errors.New("no line of a transaction log")

// ParseTransaction reads a line of the transaction log. Fields are parted by a
// space and a colon, so the colons of the time stay where they are.
func ParseTransaction(line string) (Transaction, error) {
	fields := strings.Split(strings.TrimSpace(line), separator)
	for i := range fields {
		fields[i] = strings.Join(strings.Fields(fields[i]), " ")
	}
	t := Transaction{Time: timeText(fields[0])}
	if t.Time == "" || len(fields) < 6 {
		return t, errTransaction
	}
	fields = fields[1:]
	if fields[4] != "BP" { // a BP line has no connection id
		id, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return t, fmt.Errorf("%w: connection id %q", errTransaction, fields[0])
		}
		t.ConnID, fields = id, fields[1:]
	}
	if len(fields) < 5 {
		return t, errTransaction
	}
	t.Source = document.Host{IP: addrText(fields[0]), Port: portOf(fields[1])}
	t.Dest = document.Host{IP: addrText(fields[2]), Port: portOf(fields[3])}
	t.Kind, fields = fields[4], fields[5:]
	switch t.Kind {
	case "RESTART":
		return t, nil
	case "BP":
		if len(fields) < 1 || t.Source.IP == "" || t.Dest.IP == "" {
			return t, errTransaction
		}
		t.Reason, t.Rest = fields[0], fields[1:]
		return t, nil
	case "OT", "SODRE":
	default:
		return t, fmt.Errorf("%w: kind %q", errTransaction, t.Kind)
	}
	if len(fields) == 0 || t.Source.IP == "" || t.Dest.IP == "" {
		return t, errTransaction
	}
	t.Log, fields = fields[0], fields[1:]
	switch {
	case t.Kind == "OT" && t.Log == "START" && len(fields) > 1:
		t.ConnType, t.Rest = fields[0], fields[1:]
	case t.Kind == "OT" && t.Log == "END" && len(fields) == 6:
		t.ConnType, t.Accelerator = fields[0], strings.Trim(fields[1], "()")
		copy(t.Bytes[:], fields[2:])
	case t.Kind == "SODRE" && t.Log == "END" && len(fields) == 5:
		copy(t.Bytes[:], fields)
		t.CloseState = fields[4]
	default:
		return t, fmt.Errorf("%w: %d fields behind %s %s", errTransaction, len(fields), t.Kind, t.Log)
	}
	return t, nil
}

// compareTransaction compares a line of the transaction log: whether the
// connection passed through, and its bytes. The original bytes of SODRE lines
// are inside the device.
func (v *Views) compareTransaction(f *flow, t *Transaction) []CompareRow {
	name := between(t.Source, t.Dest)
	path := CompareRow{Item: name, Field: t.Kind, Device: t.Kind, Quality: document.Heuristic, Result: NotComparable,
		Packets: unavailable, Why: "the packets do not show whether it passed an optimizer"}
	bypassed := t.Kind == "BP"
	if bypassed {
		path.Device = "BP " + t.Reason
	}
	switch {
	case f.passThrough():
		path.Packets, path.Why, path.Result = "pass-through", f.passed(), Agree
		if !bypassed {
			path.Result = Disagree
		}
	case f.optimized():
		path.Packets, path.Why, path.Result = "optimized", "", Agree
		if bypassed {
			path.Result = Disagree
		}
	}
	rows := []CompareRow{path}
	if t.Log != "END" {
		return rows
	}
	b := v.counts(f)
	figures := []Field{
		{"Original_bytes_read", b.originalRead}, {"Original_bytes_written", b.originalWritten},
		{"Optimized_bytes_read", b.optimizedRead}, {"Optimized_bytes_written", b.optimizedWritten},
	}
	for i, x := range figures {
		if t.Kind == "OT" || i >= 2 {
			rows = append(rows, counter(name, x, known(t.Bytes[i]), cumulative, ""))
		}
	}
	return rows
}
