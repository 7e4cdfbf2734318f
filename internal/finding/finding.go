// Package finding says what follows from the facts and the verdicts of a job
// for whoever runs the network: what is wrong and what to do about it, what a
// release of the device does with each connection, and what its counters
// show. Judge is called once; it writes into nobody.
//
// Findings refer to connections, groups and packets, not to numbers or words
// of a document: that gives them numbers and prints them.
package finding

import (
	"fmt"
	"net/netip"
	"strings"

	"mapiscope/assoc"
	"mapiscope/internal/compare"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Quality says how far a statement or a figure can be trusted.
type Quality = verdict.Quality

// The qualities.
const (
	Exact       = verdict.Exact
	Heuristic   = verdict.Heuristic
	LowerBound  = verdict.LowerBound
	Unavailable = verdict.Unavailable
)

// Severity ranks findings.
type Severity string

// The severities, in rising order.
const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Rank orders severities, the gravest first.
func (s Severity) Rank() int {
	switch s {
	case Error:
		return 0
	case Warning:
		return 1
	}
	return 2
}

// Finding is something that a person should know.
type Finding struct {
	Code     Code
	Severity Severity
	Quality  Quality
	Title    string
	Detail   Text
	Advice   string
	Conns    []*assoc.Conn    // that it concerns, one may stand more than once
	Groups   []*verdict.Group // likewise
	Clients  []netip.Addr     // likewise
	Servers  []netip.Addr     // likewise
	Marks    []wire.Mark      // packets that show it, the first maxMarks
}

// Text is a sentence that may name connections. They have numbers only in a
// document.
type Text []Part

// Part is a piece of a Text: words, or a connection.
type Part struct {
	Words string
	Conn  *assoc.Conn
}

// say makes a text of strings, numbers, connections and texts.
func say(parts ...any) Text {
	var t Text
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			t = append(t, Part{Words: p})
		case *assoc.Conn:
			t = append(t, Part{Conn: p})
		case Text:
			t = append(t, p...)
		default:
			t = append(t, Part{Words: fmt.Sprint(p)})
		}
	}
	return t
}

// With prints a text with the names of its connections.
func (t Text) With(name func(*assoc.Conn) string) string {
	var s strings.Builder
	for _, p := range t {
		if p.Conn != nil {
			s.WriteString(name(p.Conn))
		}
		s.WriteString(p.Words)
	}
	return s.String()
}

// Facts is what the rules look at.
type Facts struct {
	Result         *assoc.Result
	Dir            *assoc.Directory
	Compare        *compare.Result // nil where no capture points were compared
	Verdicts       *verdict.Verdicts
	Captures       []pcaps.Capture
	Release        Release // whose rules decide
	AllConnections bool    // every TCP connection is talked about
	Compared       bool    // the comparison was asked for
	Timeline       bool    // say when what was found became true
	Unread         int64   // packets that could not be decoded
}

// Findings is all that Judge says.
type Findings struct {
	Facts      Facts
	Conns      []*Conn // that a document talks about, in order of the first packet
	All        []Finding
	MAPI       MAPICounters
	EPM        EPMCounters
	Policy     []PolicyRule
	Encryption []Protection
	Kerberos   []KRBError // in time order
	Events     []Event
	Assessment Assessment

	conns map[*assoc.Conn]*Conn
}

// Judge applies the rules.
func Judge(f Facts) *Findings {
	b := &judge{Facts: f, dir: f.Dir, v: f.Verdicts, Findings: &Findings{Facts: f, conns: make(map[*assoc.Conn]*Conn)}}
	b.Findings.Conns = b.talkedAbout()
	for _, d := range b.Findings.Conns {
		b.conns[d.Conn] = d
		d.Disposition = b.dispose(d)
	}
	b.kerberosErrors()
	b.MAPI = b.mapiCounters()
	b.EPM = b.epmCounters()
	b.Policy = policyRules(f.Dir)
	b.encryption()
	b.findings()
	b.events()
	b.assess()
	return b.Findings
}

// judge holds what the rules need of each other.
type judge struct {
	Facts
	*Findings
	dir *assoc.Directory
	v   *verdict.Verdicts

	disconnected []disconnected
	logons       map[netip.Addr][]*Conn    // connections with DCE/RPC, by client
	refusals     map[netip.Addr][]KRBError // that say that something went wrong, by client in time order
}
