package document

import (
	"slices"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/finding"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
)

// Input is what the document needs beside what was found.
type Input struct {
	Undecoded [][]flows.Unread // packets that could not be read, by capture
	WCCP      [][]flows.Unread // messages of WCCP, by capture
	Fragments int64            // IP fragments dropped by the reader
	Live      bool             // the job goes on: say of each connection whether it does
	Numbers   *Numbers         // of connections, kept from one document of a live job to the next; nil counts from 1
}

// builder holds what the parts of the document need of each other.
type builder struct {
	in       Input
	f        *finding.Findings
	res      *assoc.Result
	v        *verdict.Verdicts
	ids      map[*assoc.Conn]int // of the connections that are talked about
	at       map[*assoc.Conn]int // where they stand in the list
	groupIDs map[*verdict.Group]int
	uuids    map[wire.UUID]uuidText
	doc      *Document

	pairID map[*compare.Pair]int
}

// Build puts what was found into a document.
func Build(f *finding.Findings, in Input) *Document {
	b := &builder{
		in: in, f: f, res: f.Facts.Result, v: f.Facts.Verdicts, uuids: make(map[wire.UUID]uuidText),
		ids: make(map[*assoc.Conn]int), at: make(map[*assoc.Conn]int), groupIDs: make(map[*verdict.Group]int),
	}
	b.doc = &Document{Schema: Schema, WAAS: f.Facts.Release.Name}
	b.number()
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

// number numbers the connections that the document lists, and the groups.
func (b *builder) number() {
	numbers := b.in.Numbers
	if numbers == nil {
		numbers = new(Numbers)
	}
	for i, d := range b.f.Conns {
		b.at[d.Conn] = i
		b.ids[d.Conn] = numbers.of(d.Conn)
	}
	taken := make(map[int]bool)
	for _, g := range b.v.Groups {
		b.groupIDs[g] = numbers.group(b.idsOf(mains(g.Members)), taken)
	}
	numbers.turn()
}

// row returns the listed connection of a leg.
func (b *builder) row(c *assoc.Conn) *Connection { return &b.doc.Connections[b.at[c]] }

func (b *builder) endpoints() {
	b.doc.Endpoints = make([]Endpoint, 0, len(b.f.Facts.Dir.Rows()))
	for _, row := range b.f.Facts.Dir.Rows() {
		e := Endpoint{
			Server: row.At.String(), Port: row.Port, InterfaceUUID: *b.uuid(row.Interface).text, InterfaceVersion: version(row.Major, row.Minor),
			Interface: b.uuid(row.Interface).name, Annotation: text(row.Annotation), LearnedFrom: string(row.From),
			FirstSeen: wire.Stamp(row.Mark.Time), Packet: ref(row.Mark), Flows: b.idsOf(row.Conns),
		}
		if !row.Until.IsZero() {
			e.Until = ptr(wire.Stamp(row.Until.Time))
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
