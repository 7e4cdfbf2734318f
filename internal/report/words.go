package report

import (
	"time"

	"mapiscope/internal/document"
)

// Words names the things of one document as the report does, for others that
// show it. What comes off the wire stays as it is: Safe makes it fit to print.
type Words struct{ p *page }

// NewWords reads what it needs of a document. Times are in the zone, nil is
// UTC.
func NewWords(d *document.Document, zone *time.Location) Words {
	return Words{newPage(nil, d, TextOptions{Location: zone})}
}

// Rank is the verdict on a group as the report ranks them, worst first.
type Rank int

// The ranks. Whole and worse are judged; NotJudged are groups without EMSMDB.
const (
	Escaped        = Rank(rankEscaped)
	SplitPair      = Rank(rankSplit)
	Possible       = Rank(rankPossible)
	NotAccelerated = Rank(rankNotAccelerated)
	Unknown        = Rank(rankUnknown)
	SeenWhole      = Rank(rankSeenWhole)
	Whole          = Rank(rankWhole)
	NotJudged      = Rank(rankWhole + 1)
)

// String is the word of the report.
func (r Rank) String() string {
	if int(r) < len(verdictWords) {
		return verdictWords[r].text
	}
	return "-"
}

// Rank returns the rank of a group.
func (w Words) Rank(g *document.AssociationGroup) Rank {
	if j := w.p.judge(g); len(j.members) > 0 {
		return Rank(j.rank)
	}
	return NotJudged
}

// Reason says why a group has its rank.
func (w Words) Reason(g *document.AssociationGroup) string {
	if j := w.p.judge(g); len(j.members) > 0 {
		return w.p.reason(g, &j)
	}
	return "no EMSMDB: such traffic cannot escape the MAPI accelerator"
}

// GroupService names what a group carries.
func (w Words) GroupService(g *document.AssociationGroup) string {
	if len(w.p.members(g)) > 0 {
		return g.Service
	}
	return w.p.groupLabel(g)
}

// Service names what a connection carries.
func (w Words) Service(c *document.Connection) string { return w.p.serviceName(c) }

// Auth sums up the authentication of a connection.
func (w Words) Auth(c *document.Connection) string { return w.p.authCell(&table{}, c) }

// Path says how a connection went, as far as packets show it, and what the
// accelerator takes by its rules.
func (w Words) Path(c *document.Connection) string { return (&table{}).path(c).text }

// Clock prints a time of the document to the second.
func (w Words) Clock(stamp string) string { return w.p.clock.second(stamp) }

// State names the state of a connection.
func State(s string) string { return stateWord(s) }

// Safe makes text that came off the wire fit to print: whatever a terminal
// could act on is escaped.
func Safe(s string) string { return safe(s) }

// Size prints bytes: "69.0 kB".
func Size(n int64) string { return size(n) }

// Scaled prints a number with three digits, a decimal prefix and its unit:
// "812 packets/s", "69.0 kbit/s".
func Scaled(n int64, unit string) string { return scaled(n) + unit }

// Tight prints a number with three digits and a decimal prefix: "69.0k".
func Tight(n int64) string { return tight(n) }

// Span prints a duration of microseconds: "41.9 ms", "2 h 5 min".
func Span(us int64) string { return span(us) }

// Count prints a number of things with the right form of their name.
func Count(n int64, one string) string { return count(n, one) }

// Endpoint prints an address with its port, IPv6 in brackets.
func Endpoint(h document.Host) string { return endpoint(h) }
