package account

import (
	"slices"
	"time"

	"mapiscope/assoc"
	"mapiscope/internal/compare"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Input is what the account needs beside the result of the analysis.
type Input struct {
	Captures       []pcaps.Capture
	Undecoded      []int64      // packets without a readable network header, by capture
	Fragments      int64        // IP fragments dropped by the reader
	WAAS           string       // release whose rules decide; "" is the newest
	AllConnections bool         // list every TCP connection
	Events         bool         // list what happened
	Live           bool         // the job goes on: say of each connection whether it does
	Compare        *compare.Job // of two capture points, nil for none
}

// builder holds what the parts of the document need of each other.
type builder struct {
	in      Input
	res     *assoc.Result
	rules   Release
	dir     *assoc.Directory
	groups  []*assoc.Group
	groupOf map[*assoc.Conn]*assoc.Group
	escapes map[*assoc.Conn]*assoc.Group
	listed  []*assoc.Conn
	service map[*assoc.Conn]assoc.Service
	places  map[pcaps.Point]pcaps.Point
	uuids   map[wire.UUID]uuidText
	doc     *Document

	cmp    *compare.Result // nil unless capture points are compared
	pairOf map[*assoc.Conn]*compare.Pair
	pairID map[*compare.Pair]int
}

// Build turns a merged result into the document.
func Build(res *assoc.Result, in Input) *Document {
	b := &builder{
		in: in, res: res, rules: ReleaseOf(in.WAAS), dir: assoc.NewDirectory(res), groups: assoc.Groups(res.Conns),
		groupOf: make(map[*assoc.Conn]*assoc.Group), escapes: make(map[*assoc.Conn]*assoc.Group),
		service: make(map[*assoc.Conn]assoc.Service, len(res.Conns)), uuids: make(map[wire.UUID]uuidText),
	}
	b.doc = &Document{Schema: Schema, WAAS: b.rules.Name}
	b.places = assoc.Judge(res.Conns, b.groups, b.dir)
	b.compare()
	for _, g := range b.groups {
		for _, c := range g.Members() {
			if b.groupOf[c] == nil {
				b.groupOf[c] = g
			}
		}
		for _, c := range g.Verdict.Escaped {
			b.escapes[c] = g
		}
	}
	b.list()
	b.captures()
	b.connections()
	b.associationGroups()
	b.endpoints()
	b.comparison()
	b.accelerators()
	b.policyRules()
	b.encryption()
	b.kerberosErrors()
	b.findings()
	b.events()
	b.totals()
	b.limits()
	return b.doc
}

// list picks the connections that the document lists and numbers them.
func (b *builder) list() {
	listed := b.talkedAbout()
	for _, c := range b.res.Conns {
		s, _ := b.dir.Service(c)
		b.service[c] = s
		if b.in.AllConnections || c.RPC != nil || s != assoc.Unknown || b.groupOf[c] != nil ||
			len(c.Optimizer.Evidence) > 0 || b.dir.Announced(c, wire.UUID{}) {
			listed[c] = true
		}
	}
	b.alsoListed(listed)
	for _, c := range b.res.Conns {
		if listed[c] {
			b.listed = append(b.listed, c)
			c.ID = len(b.listed)
		} else {
			c.ID = 0
		}
	}
}

// talkedAbout returns the connections to a KDC whose errors the report
// mentions.
func (b *builder) talkedAbout() map[*assoc.Conn]bool {
	about := make(map[*assoc.Conn]bool)
	for i := range b.res.Kerberos {
		k := &b.res.Kerberos[i]
		if k.Conn != nil && k.Message.Error != nil && telling(k.Message.Error.Code) {
			about[k.Conn] = true
		}
	}
	return about
}

func (b *builder) endpoints() {
	b.doc.Endpoints = make([]Endpoint, 0, len(b.dir.Rows()))
	for _, row := range b.dir.Rows() {
		e := Endpoint{
			Server: row.At.String(), Port: row.Port, InterfaceUUID: *b.uuid(row.Interface).text, InterfaceVersion: version(row.Major, row.Minor),
			Interface: b.uuid(row.Interface).name, Annotation: text(row.Annotation), LearnedFrom: row.From,
			FirstSeen: stamp(row.Mark.Time), Packet: ref(row.Mark), Flows: ids(row.Conns),
		}
		if !row.Until.IsZero() {
			e.Until = ptr(stamp(row.Until.Time))
		}
		if row.Client.IsValid() {
			e.Client = ptr(row.Client.String())
		}
		b.doc.Endpoints = append(b.doc.Endpoints, e)
	}
}

func (b *builder) totals() {
	t := &b.doc.Totals
	for i := range b.doc.Captures {
		t.Packets += b.doc.Captures[i].Packets
	}
	t.TCPConnections = b.res.TCPConnections
	// Connections past the bound of the list count by what they carried.
	u := b.res.Unlisted
	t.DCERPCConnections, t.EPMConnections = u.RPC, u.EPM
	t.MAPIConnections, t.EncryptedMAPIConnections = u.MAPI, u.EncryptedMAPI
	for _, g := range b.groups {
		if b.countsGroup(g) {
			t.AssociationGroups++
		}
	}
	for _, c := range b.res.Conns {
		if !b.counts(c) {
			t.TCPConnections-- // another leg of one that is counted
		} else if c.Pipe {
			t.NamedPipeConnections++
		}
	}
	escaped := make(map[[3]any]bool)
	for i, c := range b.listed {
		d := &b.doc.Connections[i]
		if !b.counts(c) {
			continue
		}
		if c.RPC != nil {
			t.DCERPCConnections++
		}
		switch b.service[c] {
		case assoc.EPM:
			t.EPMConnections++
		case assoc.MAPI, assoc.MAPIAsync:
			t.MAPIConnections++
			if d.Encrypted {
				t.EncryptedMAPIConnections++
			}
		}
		if d.Escaped != nil {
			// One connection that several capture points saw escapes once.
			isn := c.Flow.Sides[c.Flow.Client].ISN
			escaped[[3]any{d.Client, d.Server, isn}] = true
		}
	}
	t.EscapedConnections = int64(len(escaped))
	for i := range b.doc.Findings {
		switch b.doc.Findings[i].Severity {
		case Info:
			t.Findings.Info++
		case Warning:
			t.Findings.Warning++
		case Error:
			t.Findings.Error++
		}
	}
	l := b.res.Ledger
	b.doc.Ledger = Ledger{CapturedPayload: l.CapturedPayload, Delivered: l.Delivered, Duplicate: l.Duplicate, OutOfWindow: l.OutOfWindow, Skipped: l.Skipped, Gap: l.Gap}
}

func (b *builder) limits() {
	out := &b.doc.Limits
	out.ConnectionsEvicted = b.res.Flows.Evicted
	out.ConnectionsExpired = b.res.Flows.Expired
	out.ReassemblyHoles = b.res.Flows.ReassemblyHoles
	out.ReassemblyDroppedBytes = b.res.Flows.ReassemblyDropped
	out.LegsRefused = b.res.Flows.LegsRefused
	out.FragmentsDropped = b.in.Fragments
	out.HostPairsDropped = b.res.Stats.PairsDropped
	out.ConnectionsUnlisted = b.res.Stats.ConnsUnlisted
	out.ExchangesDropped = b.res.Stats.ExchangesDropped
	out.EventsDropped = b.res.Stats.EventsDropped
	out.SessionsDropped = b.res.Stats.SessionsEvicted
	out.TablesDropped = b.res.Stats.TablesEvicted
	out.MemoryExceeded = b.res.Stats.MemoryExceeded
	out.UnfinishedDropped = b.res.Stats.UnfinishedDropped
	out.PortsDropped = b.res.Stats.PortsDropped
	out.EndpointsDropped = b.dir.Dropped()
	u := &b.res.Unlisted
	rpcLimits(out, &u.Stats)
	out.ConnectsDropped, out.RefusalsDropped, out.RequestsForgotten = u.ConnectsDropped, u.RefusalsDropped, u.RequestsForgotten
	for _, c := range b.res.Conns {
		if c.RPC != nil {
			rpcLimits(out, &c.RPC.Stats)
		}
		if c.MAPI != nil {
			mapiLimits(out, c.MAPI)
		}
	}
}

// stamp prints a capture time as RFC 3339 UTC with nanoseconds.
func stamp(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z")
}

func ref(m wire.Mark) PacketRef {
	return PacketRef{Capture: int(m.Capture), Packet: m.Packet, Time: m.Time}
}

func errorText(err error) *string {
	if err == nil {
		return nil
	}
	return ptr(err.Error())
}

func ptr[T any](v T) *T { return &v }

// text is a string that may be unknown: nil when it is empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// ids returns the numbers of the listed ones among conns, rising.
func ids(conns []*assoc.Conn) []int {
	out := []int{}
	for _, c := range conns {
		if c.ID != 0 {
			out = append(out, c.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
