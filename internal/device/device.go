// Package device shows a document as a Cisco WAAS device prints its own: the
// connection list and its detail, the counters of the MAPI and EPM
// accelerators, the dynamic match rules, and the transaction, system and error
// logs. It also reads what a device printed and lays it beside the packets.
//
// Labels, order and spelling are those of the device. Column widths are not
// published; the ones here are chosen so that every documented sample fits.
//
// Every figure is a Value with a quality. What packets cannot give is printed
// n/a, never 0. Text has a quality column behind the device's own columns
// (E exact, H heuristic, L lower bound, - not available) with footnotes that
// say why; Plain leaves both out, so that the text can be laid beside a
// device's.
//
// Compare returns a Comparison, which is also the JSON object of
// --diff-device:
//
//	view          the command, in the device's words
//	device_file   what was read
//	summary       {agree, disagree, differ, not_comparable, device_only, packets_only}
//	rows[]        item (a connection, a rule or ""), field (the device's label), device, packets,
//	              quality of the packets' side, result (one of the summary's names), why
//
// A row disagrees when both sides state the same thing and the packets' side
// is exact (or a lower bound that the device stays under); it differs when the
// packets' side is an inference or the two count over different times. What
// one side does not know never disagrees.
package device

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"mapiscope/internal/document"
)

// Role is the device whose view is shown.
type Role string

// The roles. Auto takes the edge device when the capture shows the clients'
// side, else the core device when it shows the servers' side.
const (
	Auto Role = ""
	Edge Role = "edge"
	Core Role = "core"
)

// Options say whose view is shown and how.
type Options struct {
	Role     Role
	Location *time.Location // of printed times; nil is UTC
}

// Views holds a document in the device's terms.
type Views struct {
	doc         *document.Document
	role        Role // Auto when the captures do not tell
	loc         *time.Location
	flows       []*flow
	mapped      map[int]endpoint // what served at the port of a connection when it began, by id
	first, last time.Time        // of all captures; zero when they hold no packet
}

// New prepares the views of a document.
func New(doc *document.Document, o Options) *Views {
	v := &Views{doc: doc, role: o.Role, loc: o.Location}
	if v.loc == nil {
		v.loc = time.UTC
	}
	if v.role == Auto {
		v.role = roleOf(doc.Connections)
	}
	v.flows = collect(doc.Connections, v.role)
	v.mapped = make(map[int]endpoint)
	for i := range doc.Endpoints {
		e := &doc.Endpoints[i]
		announced := e.LearnedFrom != "bind"
		for _, id := range e.Flows {
			known, seen := v.mapped[id]
			mail := e.InterfaceUUID == emsmdb && known.iface != emsmdb
			if !seen || announced && !known.announced || announced == known.announced && mail {
				v.mapped[id] = endpoint{e.InterfaceUUID, announced}
			}
		}
	}
	for i := range doc.Captures {
		c := &doc.Captures[i]
		if c.First == nil || c.Last == nil {
			continue
		}
		if t := instant(*c.First); v.first.IsZero() || t.Before(v.first) {
			v.first = t
		}
		if t := instant(*c.Last); t.After(v.last) {
			v.last = t
		}
	}
	return v
}

// emsmdb is the interface that the MAPI accelerator takes.
const emsmdb = "a4f1db00-ca47-1067-b31f-00dd010662da"

// endpoint is the interface of a server port; announced says that an endpoint
// mapper answer named it, not only a bind.
type endpoint struct {
	iface     string
	announced bool
}

// Value is one figure or text with its quality. V is an int64, a string, or
// nil when the packets do not give it.
type Value struct {
	V       any              `json:"value"`
	Quality document.Quality `json:"quality"`
	Why     string           `json:"why,omitempty"`
}

// unavailable is how a figure that the packets do not give is printed.
const unavailable = "n/a"

// String returns the value as it is printed.
func (v Value) String() string {
	switch x := v.V.(type) {
	case int64:
		return strconv.FormatInt(x, 10)
	case string:
		return x
	}
	return unavailable
}

func exact(x any) Value                 { return Value{x, document.Exact, ""} }
func heuristic(x any, why string) Value { return Value{x, document.Heuristic, why} }
func atLeast(x any, why string) Value   { return Value{x, document.LowerBound, why} }
func none(why string) Value             { return Value{nil, document.Unavailable, why} }

// valueOf takes over a figure of the document.
func valueOf(f document.Figure) Value {
	if f.Value == nil {
		return none(f.Why)
	}
	return Value{*f.Value, f.Quality, f.Why}
}

// Field is one line of a listing: the device's label and the value.
type Field struct {
	Label string `json:"label"`
	Value
}

// release is the device's release as numbers, so that "5.0.3" and "5.3"
// compare. A bare "4.1" stands for the last of its line.
func (v *Views) before(release ...int) bool {
	have := strings.Split(v.doc.WAAS, ".")
	for i, want := range release {
		if i >= len(have) {
			return false
		}
		n, err := strconv.Atoi(have[i])
		if err != nil {
			return false
		}
		if n != want {
			return n < want
		}
	}
	return false
}

// instant reads a time of the document.
func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// asctime prints a time as the device does: no zone, the day in two columns.
func (v *Views) asctime(t time.Time) string {
	return t.In(v.loc).Format(time.ANSIC)
}

// since is the start of the counting, which the device prints twice.
func (v *Views) since() Value {
	if v.first.IsZero() {
		return none("the captures hold no packet")
	}
	return heuristic(v.asctime(v.first), "the first packet of the captures stands for the start of the counting")
}

// peerID prints a device id with or without leading zeros in its bytes, as
// the detail and the list do; ids of another form stay as they are.
func peerID(id string, zeros bool) string {
	parts := strings.Split(id, ":")
	if len(parts) != 6 {
		return id
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 16, 8)
		if err != nil {
			return id
		}
		if zeros {
			parts[i] = fmt.Sprintf("%02x", n)
		} else {
			parts[i] = strconv.FormatUint(n, 16)
		}
	}
	return strings.Join(parts, ":")
}
