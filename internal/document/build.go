package document

import (
	"slices"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Input is what the account needs beside the result of the analysis.
type Input struct {
	Captures       []pcaps.Capture
	Undecoded      [][]flows.Unread // packets that could not be read, by capture
	WCCP           [][]flows.Unread // messages of WCCP, by capture
	Fragments      int64            // IP fragments dropped by the reader
	WAAS           string           // release whose rules decide; "" is the newest
	AllConnections bool             // list every TCP connection
	Events         bool             // list what happened
	Live           bool             // the job goes on: say of each connection whether it does
	Numbers        *Numbers         // of connections, kept from one document of a live job to the next; nil counts from 1
	Compare        *compare.Job     // of capture points, nil for none
	Compared       bool             // the comparison was asked for: describe it
}

// builder holds what the parts of the document need of each other.
type builder struct {
	in       Input
	res      *assoc.Result
	rules    Release
	dir      *assoc.Directory
	v        *verdict.Verdicts
	listed   []*assoc.Conn
	ids      map[*assoc.Conn]int // of the listed ones
	at       map[*assoc.Conn]int // where they stand in the list
	groupIDs map[*verdict.Group]int
	service  map[*assoc.Conn]assoc.Service
	uuids    map[wire.UUID]uuidText
	doc      *Document

	cmp    *compare.Result // nil unless capture points are compared
	pairID map[*compare.Pair]int
}

// Build turns a merged result into the document.
func Build(res *assoc.Result, in Input) *Document {
	b := &builder{
		in: in, res: res, rules: ReleaseOf(in.WAAS), dir: assoc.NewDirectory(res),
		service: make(map[*assoc.Conn]assoc.Service, len(res.Conns)), uuids: make(map[wire.UUID]uuidText),
		ids: make(map[*assoc.Conn]int), at: make(map[*assoc.Conn]int), groupIDs: make(map[*verdict.Group]int),
	}
	b.doc = &Document{Schema: Schema, WAAS: b.rules.Name}
	if in.Compare != nil {
		b.cmp = in.Compare.Finish(res.Conns, b.windows())
	}
	b.v = verdict.Judge(verdict.Facts{Result: res, Dir: b.dir, Compare: b.cmp})
	b.list()
	b.captures()
	b.connections()
	b.doc.index()
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
	b.assess()
	b.limits()
	return b.doc
}

// list picks the connections that the document lists and numbers them.
func (b *builder) list() {
	listed := b.talkedAbout()
	for _, c := range b.res.Conns {
		s, _ := b.dir.Service(c)
		b.service[c] = s
		if b.in.AllConnections || c.RPC != nil || s != assoc.Unknown || b.groupOf(c) != nil ||
			len(b.v.Leg(c).Evidence) > 0 || b.dir.Announced(c, wire.UUID{}) {
			listed[c] = true
		}
	}
	b.alsoListed(listed)
	numbers := b.in.Numbers
	if numbers == nil {
		numbers = new(Numbers)
	}
	for _, c := range b.res.Conns {
		if listed[c] {
			b.at[c] = len(b.listed)
			b.listed = append(b.listed, c)
			b.ids[c] = numbers.of(c)
		}
	}
	taken := make(map[int]bool)
	for _, g := range b.v.Groups {
		b.groupIDs[g] = numbers.group(b.idsOf(mains(g.Members)), taken)
	}
	numbers.turn()
}

// groupOf returns the group that the conversation of a leg is in, nil for none.
func (b *builder) groupOf(c *assoc.Conn) *verdict.Group {
	if x := b.v.Of(c); x != nil {
		return x.Group
	}
	return nil
}

// row returns the listed connection of a leg.
func (b *builder) row(c *assoc.Conn) *Connection { return &b.doc.Connections[b.at[c]] }

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
			FirstSeen: stamp(row.Mark.Time), Packet: ref(row.Mark), Flows: b.idsOf(row.Conns),
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
	t.AssociationGroups = int64(len(b.v.Groups))
	for _, x := range b.v.Conversations {
		t.TCPConnections -= int64(len(x.Legs) - 1) // other legs of one that is counted
		if x.Main.Pipe {
			t.NamedPipeConnections++
		}
		if b.ids[x.Main] == 0 {
			continue
		}
		if x.Readable() {
			t.DCERPCConnections++
		}
		switch {
		case x.Service == assoc.EPM:
			t.EPMConnections++
		case x.MAPI():
			t.MAPIConnections++
			if slices.ContainsFunc(x.Legs, func(l *assoc.Conn) bool { return b.ids[l] != 0 && b.row(l).Encrypted }) {
				t.EncryptedMAPIConnections++
			}
		}
		if x.Escaped != nil {
			t.EscapedConnections++
		}
		if x.Possible != nil {
			t.PossibleEscapes++
		}
	}
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

// idsOf returns the numbers of the listed ones among conns, rising.
func (b *builder) idsOf(conns []*assoc.Conn) []int {
	out := []int{}
	for _, c := range conns {
		if id := b.ids[c]; id != 0 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// mains returns the legs that stand for conversations.
func mains(cs []*verdict.Conversation) []*assoc.Conn {
	out := make([]*assoc.Conn, len(cs))
	for i, c := range cs {
		out[i] = c.Main
	}
	return out
}

// legsOf returns all legs of conversations.
func legsOf(cs []*verdict.Conversation) []*assoc.Conn {
	var out []*assoc.Conn
	for _, c := range cs {
		out = append(out, c.Legs...)
	}
	return out
}
