package device

import (
	"fmt"
	"io"
	"strings"

	"mapiscope/internal/document"
)

// ConnectionDetail is `show statistics connection optimized mapi detail`.
type ConnectionDetail struct {
	Head        []Field  `json:"head"`
	Connections []Detail `json:"connections"`
	notes       []string
}

// Detail is the block of one connection.
type Detail struct {
	ConnID      int     `json:"conn_id"`
	Connection  []Field `json:"connection"`
	Policy      []Field `json:"policy"`
	Accelerator []Field `json:"accelerator"`
	Read        Pair    `json:"bytes_read"`
	Written     Pair    `json:"bytes_written"`
	RR          Value   `json:"rr"`
	MAPI        []Field `json:"mapi"`
}

// Pair is a counter on both sides of the device.
type Pair struct {
	Original  Value `json:"original"`
	Optimized Value `json:"optimized"`
}

// The labels of the detail block that are needed by name.
const (
	labelID         = "Connection Id"
	labelPeer       = "Peer Id"
	labelType       = "Connection Type"
	labelStart      = "Start Time"
	labelSource     = "Source IP Address"
	labelSourcePort = "Source Port Number"
	labelDest       = "Destination IP Address"
	labelDestPort   = "Destination Port Number"
	labelApp        = "Application Name"
	labelClassifier = "Classifier Name"
	labelMap        = "Map Name"
	labelDirected   = "Directed Mode"
	labelPreposed   = "Preposition Flow"
	labelTotalRatio = "Total Reduction Ratio"
)

// The words of the device's default policy.
const (
	appMail       = "Email-and-Messaging"
	appOther      = "Other"
	classMap      = "**Map Default**"
	classEPM      = "MS-EndPointMapper"
	policyFull    = "TCP_OPTIMIZE + DRE + LZ"
	whyRule       = "by the device's default policy"
	whyInside     = "negotiated between the devices; leaves no trace in packets"
	whyPlace      = "the captures do not tell on which side of the devices they were taken"
	whyReductions = "DRE and LZ figures exist inside the devices only"
)

// ConnectionDetail returns the blocks of the listed connections.
func (v *Views) ConnectionDetail() *ConnectionDetail {
	flows, left := v.listed()
	d := &ConnectionDetail{Head: v.head(), Connections: []Detail{}, notes: left}
	for _, f := range flows {
		d.Connections = append(d.Connections, v.detail(f))
	}
	return d
}

func (v *Views) detail(f *flow) Detail {
	c := f.main
	b := v.counts(f)
	rule := v.ruleOf(f)
	return Detail{
		ConnID: c.ID,
		Connection: []Field{
			{labelID, exact(int64(c.ID))},
			{labelPeer, v.peer(f, true)},
			{labelType, v.connType()},
			{labelStart, v.start(c)},
			{labelSource, exact(c.Client.IP)},
			{labelSourcePort, exact(int64(c.Client.Port))},
			{labelDest, exact(c.Server.IP)},
			{labelDestPort, exact(int64(c.Server.Port))},
			{labelApp, rule.app},
			{labelClassifier, rule.classifier},
			{labelMap, rule.mapName},
			{labelDirected, exact("FALSE")},
			{labelPreposed, none("a connection of the device itself looks like any other")},
		},
		Policy: []Field{
			{"Configured", heuristic(policyFull, whyRule)},
			{"Derived", none(whyInside)},
			{"Peer", none(whyInside)},
			{"Negotiated", none(whyInside)},
			{"Applied", none(whyInside)},
		},
		Accelerator: []Field{
			{"Configured", rule.accelerator},
			{"Derived", none("local conditions of the device are not in packets")},
			{"Applied", applied(f)},
			{"Hist", none("a hand-off inside the device shows only when both LANs are compared")},
		},
		Read:    Pair{b.originalRead, b.optimizedRead},
		Written: Pair{b.originalWritten, b.optimizedWritten},
		RR:      v.ratio(f, DetailRatio),
		MAPI:    v.detailMAPI(f),
	}
}

// policy is what the device's default rules say about a flow.
type policy struct{ app, classifier, mapName, accelerator Value }

// ruleOf applies the default rules: port 135 has a classifier of its own,
// everything else of MAPI is recognised by what the endpoint mapper answered.
func (v *Views) ruleOf(f *flow) policy {
	if f.service() == "epm" {
		return policy{
			heuristic(appOther, whyRule), heuristic(classEPM, whyRule),
			none("a static classifier has no dynamic map"), heuristic("EPM", whyRule),
		}
	}
	at, known := v.mapped[f.main.ID]
	if !known {
		const why = "no endpoint mapper answer and no bind for this port in the captures"
		return policy{none(why), none(why), none(why), none(why)}
	}
	p := policy{heuristic(appMail, whyRule), exact(classMap), exact("uuid" + at.iface), heuristic("MAPI", whyRule)}
	if !at.announced {
		const why = "EMSMDB by bind, EPM not seen: the device classifies by EPM answers"
		p.classifier, p.mapName = heuristic(classMap, why), heuristic("uuid"+at.iface, why)
	}
	switch f.service() {
	case "mapi", "mapi_async", "nspi", "rfr":
	default:
		p.app, p.accelerator = heuristic(appOther, whyRule), heuristic("None", whyRule)
	}
	return p
}

// applied names the accelerator in use.
func applied(f *flow) Value {
	d := f.disposition()
	switch d.Accelerator {
	case "mapi", "epm", "generic":
		return Value{strings.ToUpper(d.Accelerator), d.Quality, d.Reason}
	case "pass_through":
		return Value{"None", d.Quality, d.Reason}
	}
	return none(d.Reason)
}

// connType is the role of the device.
func (v *Views) connType() Value {
	switch v.role {
	case Edge:
		return exact("EXTERNAL CLIENT")
	case Core:
		return exact("EXTERNAL SERVER")
	}
	return none(whyPlace)
}

// start is when a connection was opened.
func (v *Views) start(c *document.Connection) Value {
	t := v.asctime(instant(c.Start))
	if c.Origin != "handshake" {
		return heuristic(t, "the first captured packet; the connection is older")
	}
	return exact(t)
}

// detailMAPI is the accelerator's block of one connection.
func (v *Views) detailMAPI(f *flow) []Field {
	m := document.MAPI{Responses: document.Responses{
		LocalCount: unread, LocalAvg: unread, RemoteCount: unread, RemoteAvg: unread,
	}}
	for _, c := range f.legs() {
		if c.MAPI != nil && c.MAPI.SyncGetBuffer != nil {
			m = *c.MAPI
			break
		}
	}
	if m.SyncGetBuffer == nil && f.main.MAPI != nil {
		m = *f.main.MAPI
	}
	const ahead = "needs captures on both sides of the pair"
	const own = "the accelerator's own byte counters: what they count is not documented"
	fields := []Field{
		{labelReset, heuristic(v.asctime(instant(f.main.Start)), "the start of the connection")},
		{"Total Bytes Read", none(own)},
		{"Total Bytes Written", none(own)},
	}
	fields = append(fields, sizeFields("Synch Get Buffer", "Synch Get Buffer", m.SyncGetBuffer, m.Unavailable)...)
	fields = append(fields, sizeFields("Read Stream", "Read Stream Buffer", m.ReadStream, m.Unavailable)...)
	return append(fields,
		Field{labelAheadMin, none(ahead)}, Field{labelAheadMax, none(ahead)}, Field{labelAheadAvg, none(ahead)},
		Field{labelLocalCount, valueOf(m.Responses.LocalCount)}, Field{labelLocalAvg, valueOf(m.Responses.LocalAvg)},
		Field{labelRemoteCount, valueOf(m.Responses.RemoteCount)}, Field{labelRemoteAvg, valueOf(m.Responses.RemoteAvg)},
	)
}

// unread stands for the figures of a connection whose calls were not seen.
var unread = document.Figure{Quality: document.Unavailable, Why: "the calls of this connection are not readable at this capture point"}

// sizeFields are the four lines of one kind of read. Why says what hides part
// of the calls, nil when nothing does.
func sizeFields(kind, size string, s *document.Sizes, why *string) []Field {
	missing := none(unread.Why)
	if why != nil {
		missing = none(*why)
	}
	out := []Field{
		{"Number of " + kind + " Requests", missing},
		{"Minimum " + size + " Size (bytes)", missing},
		{"Maximum " + size + " Size (bytes)", missing},
		{"Average " + size + " Size (bytes)", missing},
	}
	if s == nil {
		return out
	}
	of := exact
	if why != nil {
		of = func(x any) Value { return atLeast(x, *why) }
	}
	out[0].Value = of(s.Requests)
	for i, n := range [...]*int64{s.Min, s.Max, s.Avg} {
		out[i+1].Value = none("no answer with data")
		if n != nil {
			out[i+1].Value = of(*n)
		}
	}
	return out
}

// WriteText prints the blocks as the device does.
func (d *ConnectionDetail) WriteText(w io.Writer, plain bool) error {
	p := newPage(plain)
	for i := range d.Connections {
		if i > 0 {
			p.line("")
		}
		d.Connections[i].text(p)
	}
	for _, n := range d.notes {
		p.note(n)
	}
	return p.writeTo(w)
}

func (d *Detail) text(p *page) {
	for i, f := range d.Connection {
		if i == 0 {
			p.field(26, f.Label+":", f.Value)
			continue
		}
		p.field(29, "   "+f.Label+":", f.Value)
	}
	p.line("   Policy Details:")
	for _, f := range d.Policy {
		p.field(29, fmt.Sprintf("   %17s:", f.Label), f.Value)
	}
	p.line("   Accelerator Details:")
	for _, f := range d.Accelerator {
		p.field(29, fmt.Sprintf("   %20s:", f.Label), f.Value)
	}
	p.line("\n%s%20s %20s", strings.Repeat(" ", 29), "Original", "Optimized")
	p.line("%s%s %s", strings.Repeat(" ", 29), strings.Repeat("-", 20), strings.Repeat("-", 20))
	for _, row := range [...]struct {
		label string
		of    Pair
	}{{"Bytes Read:", d.Read}, {"Bytes Written:", d.Written}} {
		text := fmt.Sprintf("   %-26s%20s %20s", row.label, row.of.Original, row.of.Optimized)
		p.line("%s%s", text, p.marks(row.of.Original, row.of.Optimized))
	}
	p.line("\n   [%s: %s]%s", labelTotalRatio, d.RR, p.marks(d.RR))
	p.line("   [DRE: %s]%s", unavailable, p.marks(none(whyReductions)))
	p.line("\n   MAPI : %d", d.ConnID)
	for _, f := range d.MAPI {
		p.field(53, "   "+f.Label+":", f.Value)
	}
}
