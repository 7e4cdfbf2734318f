package device

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"mapiscope/internal/document"
)

// ConnectionList is `show statistics connection optimized mapi`.
type ConnectionList struct {
	Head   []Field   `json:"head"`
	Rows   []Row     `json:"connections"`
	Legend [2]string `json:"-"`
	notes  []string
}

// Row is one connection of the list.
type Row struct {
	ConnID int           `json:"conn_id"` // the id of the report, not the device's
	Source document.Host `json:"source"`
	Dest   document.Host `json:"dest"`
	PeerID Value         `json:"peer_id"`
	Accel  Value         `json:"accel"`
	RR     Value         `json:"rr"`
	State  string        `json:"state"`
}

// listed are the flows of the MAPI list: EMSMDB that did not pass by the
// devices. One that was handed to the generic accelerator stands there with
// its letter, G for M, as that is what one looks for. The others are told in
// a note, by reason.
func (v *Views) listed() (flows []*flow, left []string) {
	reasons := make(map[string]int)
	var order []string
	for _, f := range v.flows {
		if !isMAPI(f.service()) || f.main.State == "refused" || f.main.State == "unanswered" {
			continue
		}
		if !f.passThrough() {
			flows = append(flows, f)
			continue
		}
		why := f.passed()
		if reasons[why] == 0 {
			order = append(order, why)
		}
		reasons[why]++
	}
	for _, r := range order {
		left = append(left, fmt.Sprintf("not listed, %s passed through: %s", plural(reasons[r], "EMSMDB connection"), r))
	}
	return flows, left
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// ConnectionList returns the list with the device's head block.
func (v *Views) ConnectionList() *ConnectionList {
	l := &ConnectionList{Head: v.head(), Legend: v.legend(), Rows: []Row{}}
	flows, left := v.listed()
	ended := 0
	for _, f := range flows {
		accel, _ := v.accel(f)
		l.Rows = append(l.Rows, Row{
			ConnID: f.main.ID, Source: f.main.Client, Dest: f.main.Server, PeerID: v.peer(f, false),
			Accel: accel, RR: v.ratio(f, ListRatio), State: f.main.State,
		})
		if f.over() {
			ended++
		}
	}
	if ended > 0 {
		l.notes = append(l.notes, fmt.Sprintf("%d of %d listed connections ended before the capture did; the device lists open ones only", ended, len(flows)))
	}
	l.notes = append(l.notes, left...)
	return l
}

// The labels of the head block.
const (
	headOptimized   = "Current Active Optimized Flows"
	headPlus        = "Current Active Optimized TCP Plus Flows"
	headOnly        = "Current Active Optimized TCP Only Flows"
	headSingle      = "Current Active Optimized Single Sided Flows"
	headPreposition = "Current Active Optimized TCP Preposition Flows"
	headDiscovery   = "Current Active Auto-Discovery Flows"
	headReserved    = "Current Reserved Flows"
	headPass        = "Current Active Pass-Through Flows"
	headHistorical  = "Historical Flows"
)

// head counts the flows at the end of the captures.
func (v *Views) head() []Field {
	var optimized, plus, only, discovery, pass, historical, untold, inferred int64
	for _, f := range v.flows {
		if (f.optimized() || f.passThrough()) && (f.wan == nil || f.wan.Optimizer.Verdict == "unknown") {
			inferred++
		}
		switch {
		case f.over():
			historical++
		case f.main.State == "unanswered":
			discovery++
		case f.optimized():
			optimized++
			if v.more(f) {
				plus++
			} else {
				only++
			}
		case f.passThrough():
			pass++
		default:
			untold++
		}
	}
	judged := func(n int64) Value {
		switch {
		case untold > 0 && n == 0:
			return none("the captures do not show whether connections passed an optimizer")
		case untold > 0:
			return atLeast(n, plural(int(untold), "open connection")+" may have passed an optimizer or not")
		}
		if inferred == 0 {
			return exact(n)
		}
		return heuristic(n, "open at the end of the captures, by verdicts that a LAN capture gives")
	}
	counted := func(n int64) Value {
		if hidden := v.doc.Totals.TCPConnections - int64(len(v.doc.Connections)); hidden > 0 {
			return atLeast(n, plural(int(hidden), "other TCP connection")+" of the captures are not in the account")
		}
		return exact(n)
	}
	fields := []Field{
		{headOptimized, judged(optimized)},
		{headPlus, judged(plus)},
		{headOnly, judged(only)},
	}
	if !v.before(6) {
		fields = append(fields, Field{headSingle, none("a device inside the path looks the same on the wire")})
	}
	fields = append(fields,
		Field{headPreposition, none("a connection of the device itself looks like any other")},
		Field{headDiscovery, counted(discovery)})
	if !v.before(4, 1, 5) {
		fields = append(fields, Field{headReserved, none("reservation leaves no trace in packets")})
	}
	return append(fields, Field{headPass, judged(pass)}, Field{headHistorical, counted(historical)})
}

// more reports whether a flow has more than TCP optimization: its payload is
// another on the WAN, or an accelerator takes it.
func (v *Views) more(f *flow) bool {
	switch f.disposition().Accelerator {
	case "mapi", "epm":
		return true
	}
	return f.wan != nil && f.wan.Calls.Requests == 0
}

// legend explains the letters of the Accel column.
func (v *Views) legend() [2]string {
	second := "A:AOIM,C:CIFS,E:EPM,G:GENERIC,H:HTTP,M:MAPI,N:NFS,S:SSL,V:VIDEO"
	if !v.before(5) {
		second = "A:AOIM,C:CIFS,E:EPM,G:GENERIC,H:HTTP,I:ICA,M:MAPI,N:NFS,S:SSL,W:WAN SECURE,V:VIDEO,X: SMB Signed Connection"
	}
	return [2]string{"D:DRE,L:LZ,T:TCP Optimization RR:Total Reduction Ratio", second}
}

// The widths of the columns; longer content moves what follows.
var listWidths = [...]int{8, 21, 20, 19, 6, 7}

// WriteText prints the list as the device does.
func (l *ConnectionList) WriteText(w io.Writer, plain bool) error {
	p := newPage(plain)
	for _, f := range l.Head {
		indent := ""
		if strings.HasPrefix(f.Label, headOptimized[:len("Current Active Optimized ")]) && f.Label != headOptimized {
			indent = "   "
		}
		p.field(53, indent+f.Label+":", f.Value)
	}
	p.line("\n\n%s\n%s\n", l.Legend[0], l.Legend[1])
	cells := []string{"ConnID", "Source IP:Port", "Dest IP:Port", "PeerID", "Accel", "RR"}
	if !plain {
		cells = append(cells, "State            PeerID Accel RR")
	}
	p.line("%s", columns(cells))
	for i := range l.Rows {
		r := &l.Rows[i]
		cells := []string{strconv.Itoa(r.ConnID), address(r.Source), address(r.Dest), r.PeerID.String(), r.Accel.String(), r.RR.String()}
		if !plain {
			cells = append(cells, fmt.Sprintf("%-16s %s, %s, %s", r.State, p.mark(r.PeerID), p.mark(r.Accel), p.mark(r.RR)))
		}
		p.line("%s", columns(cells))
	}
	for _, n := range l.notes {
		p.note(n)
	}
	return p.writeTo(w)
}

// columns joins the cells of a row; at least one space stands between them.
func columns(cells []string) string {
	var b strings.Builder
	for i, c := range cells {
		if i == len(cells)-1 {
			b.WriteString(c)
			break
		}
		fmt.Fprintf(&b, "%-*s ", listWidths[i]-1, c)
	}
	return b.String()
}

// address prints IP:Port.
func address(h document.Host) string { return net.JoinHostPort(h.IP, strconv.Itoa(int(h.Port))) }
