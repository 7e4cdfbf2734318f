package device

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mapiscope/internal/document"
)

// LogLine is one line of a log.
type LogLine struct {
	Time time.Time
	Text string
	// Connection is the number of the connection that the line is about. Once
	// names what is said of a connection only once, whatever is found out
	// about it later; lines without it stand for an event each.
	Connection int
	Once       string
}

// separator stands between the fields of the transaction log. Times hold
// colons of their own, so no field may hold this.
const separator = " :"

// Transactions returns the transaction log of the connections in time order,
// and how many of its connections are there by rule alone: their packets do not
// show whether they passed an optimizer.
func (v *Views) Transactions() (lines []LogLine, byRule int) {
	for _, f := range v.flows {
		if f.main.State == "unanswered" || f.main.State == "refused" {
			continue
		}
		through, told := f.optimized(), f.optimized() || f.passThrough()
		if !told {
			switch f.disposition().Accelerator {
			case "mapi", "epm", "generic":
				through = true
			case "pass_through":
			default:
				continue
			}
			byRule++
		}
		if !through {
			lines = append(lines, v.bypassed(f))
			continue
		}
		if f.main.Origin == "handshake" { // others began before the captures did
			lines = append(lines, v.started(f))
		}
		if f.over() {
			lines = append(lines, v.ended(f)...)
		}
	}
	slices.SortStableFunc(lines, func(a, b LogLine) int { return a.Time.Compare(b.Time) })
	return lines, byRule
}

// transaction joins the fields of a line of a kind.
func (v *Views) transaction(f *flow, kind string, t time.Time, fields ...string) LogLine {
	for i, f := range fields {
		fields[i] = strings.ReplaceAll(f, separator, " ")
	}
	return LogLine{
		Time: t, Text: v.asctime(t) + separator + strings.Join(fields, separator), Connection: f.main.ID, Once: kind,
	}
}

// tuple are the fields that name a connection.
func tuple(c *document.Connection) []string {
	return []string{c.Client.IP, strconv.Itoa(int(c.Client.Port)), c.Server.IP, strconv.Itoa(int(c.Server.Port))}
}

// started is the line OT START. Release 6.4 has no field for directed mode.
func (v *Views) started(f *flow) LogLine {
	c, rule := f.main, v.ruleOf(f)
	fields := append([]string{strconv.Itoa(c.ID)}, tuple(c)...)
	fields = append(fields, "OT", "START", v.connType().String(), v.peer(f, true).String(),
		rule.mapName.String(), rule.app.String(), rule.classifier.String())
	if v.before(6, 4) {
		fields = append(fields, "F")
	}
	configured := rule.accelerator
	fields = append(fields,
		unavailable, unavailable, unavailable, unavailable, unavailable, // TFO policies
		unavailable, // TFO reject reason
		parens(configured), parens(configured), parens(applied(f)),
		refusal(f), unavailable, strconv.FormatInt(c.DSCP.Client, 10), linkRTT(f))
	return v.transaction(f, "OT START", f.established(), fields...)
}

// parens prints an accelerator policy as the log does.
func parens(v Value) string {
	if v.V == nil {
		return unavailable
	}
	return "(" + v.String() + ")"
}

// refusal is why the accelerator of the policy does not take the flow; None
// when it does.
func refusal(f *flow) string {
	d := f.disposition()
	switch {
	case d.Accelerator == "unknown":
		return unavailable
	case isMAPI(f.service()) && d.Accelerator != "mapi":
		return d.Reason
	}
	return "None"
}

// linkRTT is the round trip of the handshake over the whole path, best as the
// WAN saw it: a device that answers SYNs itself hides the path from a LAN.
func linkRTT(f *flow) string {
	for _, c := range append([]*document.Connection{f.wan}, f.legs()...) {
		if c != nil && c.RTT != nil {
			return fmt.Sprintf("%d.%03d ms", *c.RTT/1000, *c.RTT%1000)
		}
	}
	return unavailable
}

// ended are the lines OT END and SODRE END. The original bytes of the second
// are what the accelerator handed to DRE, which no packet shows.
func (v *Views) ended(f *flow) []LogLine {
	c, b := f.main, v.counts(f)
	t := instant(c.End)
	id := append([]string{strconv.Itoa(c.ID)}, tuple(c)...)
	ot := append(slices.Clone(id), "OT", "END", v.connType().String(), parens(applied(f)),
		b.originalRead.String(), b.originalWritten.String(), b.optimizedRead.String(), b.optimizedWritten.String())
	sodre := append(id, "SODRE", "END", unavailable, unavailable,
		b.optimizedRead.String(), b.optimizedWritten.String(), closeState(c))
	return []LogLine{v.transaction(f, "OT END", t, ot...), v.transaction(f, "SODRE END", t, sodre...)}
}

// closeState is 0 for a connection that both sides closed; the numbers of the
// other ways to end are not published.
func closeState(c *document.Connection) string {
	if c.State == "closed" {
		return "0"
	}
	return unavailable
}

// bypassed is the line BP, which has no connection id.
func (v *Views) bypassed(f *flow) LogLine {
	configured := v.ruleOf(f).accelerator
	fields := append(tuple(f.main), "BP", passReason(f),
		unavailable, unavailable, unavailable, unavailable, // TFO policies and reject reason
		parens(configured), parens(configured), unavailable)
	return v.transaction(f, "BP", f.established(), fields...)
}

// passReason is the device's label that the packets are compatible with, n/a
// where they fit several or none.
func passReason(f *flow) string {
	for _, c := range f.legs() {
		for _, e := range c.Optimizer.Evidence {
			if e.Kind == "option_unanswered" {
				return "PT No Peer"
			}
		}
	}
	switch {
	case f.main.Directions == "client_only":
		return "PT Asym Client"
	case f.main.Directions == "server_only":
		return "PT Asym Server"
	case f.service() == "rfr" || f.service() == "nspi":
		return "PT App Cfg"
	}
	return unavailable
}
