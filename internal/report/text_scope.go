package report

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// scopeLabel is the width of the labels in the head of the page.
const scopeLabel = 12

// scope says what was captured, before anything is said about it.
func (p *page) scope() {
	title := "mapiscope report"
	if p.doc.Comparison != nil {
		title = "mapiscope compare"
	}
	p.write(p.render(piece{title, head}) + "\n")
	p.assessment()
	p.write("\n")
	for i := range p.doc.Captures {
		if i == maxScopeCaptures && len(p.doc.Captures) > i+1 {
			p.hang(scopeLabel, piece{}, fmt.Sprintf("and %d more, listed below", len(p.doc.Captures)-i))
			break
		}
		label := ""
		if i == 0 {
			label = "Captured"
		}
		p.hang(scopeLabel, piece{text: label}, p.captured(i))
	}
	p.capturePoints()
	if first, last := p.extent(); first != "" {
		p.hang(scopeLabel, piece{text: "Time"}, p.clock.period(first, last))
	}
	p.hang(scopeLabel, piece{text: "Seen"}, p.seen())
	if what := p.unread(); what != "" {
		p.hang(scopeLabel, piece{"Not read", warn}, what)
	}
	clients, servers := p.products()
	p.inventory("Clients", clients, "no client announced its version in readable form")
	p.inventory("Servers", servers, "no server announced its version in readable form")
	if len(p.doc.Connections) > 0 {
		p.hang(scopeLabel, piece{text: "Optimizers"}, p.optimizers())
		if p.doc.Assessment.Escape.State != "no_mapi" {
			p.hang(scopeLabel, piece{text: "Judged by"}, fmt.Sprintf("the rules of WAAS release %s (--waas)", p.doc.WAAS))
		}
		p.hang(scopeLabel, piece{text: "Coverage"}, p.coverage())
	}
	if p.nothing() {
		p.write("\n")
		p.printf("No DCE/RPC over TCP in this capture, so there is nothing to judge.%s", p.instead())
		return
	}
	p.hang(scopeLabel, piece{text: "Units"}, "k, M, G are powers of 1000; bytes of connections are TCP payload, each byte once; packets count from 1 in each capture")
}

// maxScopeCaptures is how many captures the head names.
const maxScopeCaptures = 6

// captureNames returns the shortest names that tell the captures apart.
func captureNames(d *document.Document) []string {
	used := make(map[string]int)
	for i := range d.Captures {
		used[filepath.Base(d.Captures[i].Path)]++
	}
	names := make([]string, len(d.Captures))
	for i := range d.Captures {
		path := d.Captures[i].Path
		switch base := filepath.Base(path); {
		case path == "-":
			names[i] = "standard input"
		case used[base] > 1:
			names[i] = path
		default:
			names[i] = base
		}
	}
	return names
}

// captured describes one input in a line.
func (p *page) captured(i int) string {
	c := &p.doc.Captures[i]
	if c.Format == "" && c.Error != nil {
		return fmt.Sprintf("%s was not read: %s", p.names[i], *c.Error)
	}
	kind := c.Format
	if c.Compression != "" {
		kind += ", " + c.Compression
	}
	packets := count(c.Packets, "packet")
	if c.FilteredPackets > 0 {
		packets = fmt.Sprintf("%d of %s match the filter", c.Packets, count(c.Packets+c.FilteredPackets, "packet"))
	}
	out := fmt.Sprintf("%s (%s): %s, %s on the wire%s; %s", p.names[i], kind, packets, size(c.BytesWire), doubts(c), p.taken(c))
	if c.UntimedPackets > 0 {
		out += fmt.Sprintf("; %s without a time, so nothing is timed by them", count(c.UntimedPackets, "packet"))
	}
	if c.Error != nil {
		out += "; it ended early: " + *c.Error
	}
	return out
}

// doubts says that the bytes of a capture are in doubt, where they are.
func doubts(c *document.Capture) string {
	if c.DoubtfulLengths == 0 {
		return ""
	}
	return fmt.Sprintf(" (doubtful: %s of over 1 MiB)", count(c.DoubtfulLengths, "packet"))
}

// taken says where a capture was taken and how that is known.
func (p *page) taken(c *document.Capture) string {
	var at []string
	for _, f := range c.Interfaces {
		if len(c.Interfaces) > 1 && f.At != "unknown" {
			at = append(at, fmt.Sprintf("%s on interface %s", f.At, f.Name))
		}
	}
	if len(at) > 0 {
		how := "by the interface names"
		if c.AtBasis != "" && c.AtBasis != "interface name" {
			how = basis(c.AtBasis)
		}
		return "taken at " + strings.Join(at, ", ") + " (" + how + ")"
	}
	if c.At == "unknown" {
		return "nothing tells where it was taken (--at edge, wan or core says it)"
	}
	if c.AtBasis == "option" {
		how := "with --at"
		if p.doc.Comparison != nil {
			how = fmt.Sprintf("with --%s or --at", c.At)
		}
		return fmt.Sprintf("given as %s (%s)", place(c.At), how)
	}
	return fmt.Sprintf("taken at %s (%s)", place(c.At), basis(c.AtBasis))
}

// place names a capture point in words.
func place(at string) string {
	switch at {
	case "edge":
		return "the edge, the clients' LAN"
	case "wan":
		return "the WAN, between the devices"
	case "core":
		return "the core, the servers' LAN"
	}
	return at
}

func basis(b string) string {
	switch b {
	case "option":
		return "as given"
	case "interface name":
		return "by the interface name"
	case "evidence":
		return "worked out from the packets"
	}
	return "not said how"
}

// extent returns the first and the last time of all captures.
func (p *page) extent() (first, last string) {
	for i := range p.doc.Captures {
		c := &p.doc.Captures[i]
		if c.First != nil && (first == "" || *c.First < first) {
			first = *c.First
		}
		if c.Last != nil && *c.Last > last {
			last = *c.Last
		}
	}
	return first, last
}

// seen counts what the captures hold.
func (p *page) seen() string {
	t := &p.doc.Totals
	out := count(t.TCPConnections, "TCP connection")
	if len(p.doc.Connections) == 0 {
		return out + p.pipes()
	}
	conns := p.doc.Connections
	of := func(what string, is func(*document.Connection) bool) string {
		return fmt.Sprintf("%d %s", p.distinct(is), what)
	}
	out += ": " + strings.Join([]string{
		of("with readable DCE/RPC", func(c *document.Connection) bool {
			return len(c.Interfaces) > 0 || c.Calls.Requests+c.Calls.Responses > 0
		}),
		of("to the endpoint mapper", func(c *document.Connection) bool { return c.Service == "epm" }),
		of("EMSMDB", isMAPI),
	}, ", ")
	if n := p.distinct(func(c *document.Connection) bool { return isMAPI(c) && c.Encrypted }); n > 0 {
		out += fmt.Sprintf(" (%d encrypted)", n)
	}
	clients, servers := make(map[string]bool), make(map[string]bool)
	for i := range conns {
		clients[conns[i].Client.IP], servers[conns[i].Server.IP] = true, true
	}
	out += fmt.Sprintf("; %s, %s, %s", count(int64(len(clients)), "client"), count(int64(len(servers)), "server"), count(t.AssociationGroups, "association group"))
	if p.several() {
		out += "; a connection that was captured at several points counts once, here and below"
	}
	return out + p.pipes()
}

func (p *page) pipes() string {
	if n := p.doc.Totals.NamedPipeConnections; n > 0 {
		return fmt.Sprintf("; %s of DCE/RPC over SMB pipes, which is no RPC over TCP and not judged", count(n, "connection"))
	}
	return ""
}

// instead says what else a page without DCE/RPC may be about.
func (p *page) instead() string {
	if p.doc.Totals.Packets == 0 && p.filtered() > 0 {
		return fmt.Sprintf(" No packet matches the filter: 0 of %d.", p.filtered())
	}
	if p.doc.Totals.TCPConnections == 0 {
		if p.undecoded() > 0 {
			return " There is no TCP in what could be read; whether the rest holds any cannot be told."
		}
		return " There is no TCP in it at all."
	}
	return " The connections that were seen carry something else; --all-connections lists them."
}

// filtered counts the packets of all captures that did not match the filter.
func (p *page) filtered() (n int64) {
	for i := range p.doc.Captures {
		n += p.doc.Captures[i].FilteredPackets
	}
	return n
}

// undecoded counts the packets of all captures that could not be read.
func (p *page) undecoded() (n int64) {
	for i := range p.doc.Captures {
		n += p.doc.Captures[i].UndecodedPackets
	}
	return n
}

// maxUnread is how many reasons the head names.
const maxUnread = 3

// unread says which packets could not be read and why, "" for none.
func (p *page) unread() string {
	n := p.undecoded()
	if n == 0 {
		return ""
	}
	var reasons []string
	left := n
	for i := range p.doc.Captures {
		for _, u := range p.doc.Captures[i].Undecoded {
			if len(reasons) == maxUnread {
				break
			}
			left -= u.Packets
			reasons = append(reasons, fmt.Sprintf("%s (%s, first %s)", u.Reason, count(u.Packets, "packet"), p.packets([]document.PacketRef{{Capture: i, Packet: u.First}}, 1)))
		}
	}
	if left > 0 {
		reasons = append(reasons, fmt.Sprintf("other reasons (%s)", count(left, "packet")))
	}
	return fmt.Sprintf("%d of %s: %s", n, count(p.doc.Totals.Packets, "packet"), strings.Join(reasons, "; "))
}

// distinct counts the listed connections of a kind, each once however many
// capture points saw it.
func (p *page) distinct(is func(*document.Connection) bool) int {
	return distinct(p.doc.Connections, is)
}

func distinct(conns []document.Connection, is func(*document.Connection) bool) int {
	found := make(map[int]bool)
	for i := range conns {
		if c := &conns[i]; is(c) {
			found[c.Stands()] = true
		}
	}
	return len(found)
}

// points counts the capture points.
func (p *page) points() int {
	seen := make(map[string]bool)
	for i := range p.doc.Connections {
		seen[p.doc.Connections[i].At] = true
	}
	return len(seen)
}

// mains lists the connections, each once: by the row that stands for it.
func (p *page) mains() []*document.Connection {
	var out []*document.Connection
	for i := range p.doc.Connections {
		if c := &p.doc.Connections[i]; c.Main() {
			out = append(out, c)
		}
	}
	return out
}

// several reports whether some connection was captured at several points.
func (p *page) several() bool {
	for i := range p.doc.Connections {
		if p.doc.Connections[i].Conversation != nil {
			return true
		}
	}
	return false
}

func isMAPI(c *document.Connection) bool { return c.Service == "mapi" || c.Service == "mapi_async" }

// products lists the versions that clients and servers announced, with the
// hosts that did.
func (p *page) products() (clients, servers map[string][]string) {
	clients, servers = make(map[string][]string), make(map[string][]string)
	enter := func(m map[string][]string, product, version *string, host string) {
		if version == nil {
			return
		}
		name := "version " + *version
		if product != nil {
			name = fmt.Sprintf("%s (%s)", *product, *version)
		}
		if !slices.Contains(m[name], host) {
			m[name] = append(m[name], host)
		}
	}
	for i := range p.doc.Connections {
		c := &p.doc.Connections[i]
		if m := c.MAPI; m != nil {
			enter(clients, m.ClientProduct, m.ClientVersion, c.Client.IP)
			enter(servers, m.ServerProduct, m.ServerVersion, c.Server.IP)
		}
	}
	return clients, servers
}

// inventory prints the products of one side, the most frequent first.
func (p *page) inventory(label string, products map[string][]string, none string) {
	if p.doc.Totals.MAPIConnections == 0 {
		return
	}
	var names []string
	for name := range products {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(products[b]), len(products[a])), strings.Compare(a, b))
	})
	if len(names) == 0 {
		p.hang(scopeLabel, piece{text: label}, none)
		return
	}
	for i, name := range names {
		hosts := products[name]
		slices.SortFunc(hosts, byAddress)
		names[i] = fmt.Sprintf("%s on %s", name, list(hosts, 3))
	}
	p.hang(scopeLabel, piece{text: label}, strings.ReplaceAll(list(names, 6), "), ", "); "))
}

// vendors names the makers of optimizers.
var vendors = map[string]string{"cisco_waas": "Cisco WAAS", "riverbed": "Riverbed SteelHead"}

// optimizers lists the kinds of appliance that the packets show, with the
// device ids that they may have.
func (p *page) optimizers() string {
	type device struct{ vendor, edge, core string }
	found := make(map[device]int)
	var order []device
	for i := range p.doc.Connections {
		o := &p.doc.Connections[i].Optimizer
		if o.Vendor == nil {
			continue
		}
		d := device{*o.Vendor, orDash(o.EdgeDevice), orDash(o.CoreDevice)}
		if found[d]++; found[d] == 1 {
			order = append(order, d)
		}
	}
	if len(order) == 0 {
		return "no sign of one in these packets"
	}
	var out []string
	for _, d := range order {
		name := d.vendor
		if v, ok := vendors[name]; ok {
			name = v
		}
		ids := ""
		if d.edge != "-" || d.core != "-" {
			ids = fmt.Sprintf(", device ids (candidates) edge %s, core %s", d.edge, d.core)
		}
		out = append(out, fmt.Sprintf("%s on %s%s", name, count(int64(found[d]), "connection"), ids))
	}
	return strings.Join(out, "; ")
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// coverage says what the verdicts rest on and what they do not cover.
func (p *page) coverage() string {
	all := p.distinct(isMAPI)
	if all == 0 {
		return "no EMSMDB connection: the verdicts of the MAPI accelerator have nothing to judge" + p.missing()
	}
	told := p.distinct(func(c *document.Connection) bool { return isMAPI(c) && c.Optimizer.Verdict != "unknown" })
	plain := p.distinct(func(c *document.Connection) bool { return isMAPI(c) && c.MAPI != nil && len(c.MAPI.Rops) > 0 })
	bound := p.distinct(func(c *document.Connection) bool { return isMAPI(c) && c.ServiceBasis == "bind" })
	return fmt.Sprintf("of %s: path told for %d, bind captured for %d, ROPs readable for %d%s", count(int64(all), "EMSMDB connection"), told, bound, plain, p.missing())
}

// missing says which bytes the captures lack.
func (p *page) missing() string {
	gap, cut := p.doc.Ledger.Gap, int64(0)
	for i := range p.doc.Captures {
		cut += p.doc.Captures[i].TruncatedPackets
	}
	switch {
	case gap == 0 && cut == 0:
		return "; no byte of a captured stream is missing"
	case cut == 0:
		return fmt.Sprintf("; %s of the streams were never captured", size(gap))
	}
	return fmt.Sprintf("; %s of the streams were never captured, %s were cut by the snap length", size(gap), count(cut, "packet"))
}

// captureTable lists the inputs and their interfaces.
func (p *page) captureTable() {
	t := table{columns: []col{
		{head: "capture", wrap: 1}, {head: "format"}, {head: "interface", wrap: 1}, {head: "link", drop: 2}, {head: "taken at"},
		{head: "packets", right: true}, {head: "wire", right: true}, {head: "captured", right: true, drop: 1}, {head: "cut", right: true}, {head: "undecoded", right: true},
	}}
	captures := cut(&t, p.doc.Captures, maxRows, "capture", "-o json")
	for i := range captures {
		c := &captures[i]
		kind := strings.Trim(c.Format+" "+c.Compression, " ")
		at := c.At
		if len(c.Interfaces) > 1 {
			at = ""
		}
		name, link := "", c.LinkType
		if len(c.Interfaces) == 1 {
			name = c.Interfaces[0].Name
		}
		t.row(p.names[i], kind, name, link, at, c.Packets, size(c.BytesWire), size(c.BytesCaptured), c.TruncatedPackets, c.UndecodedPackets)
		switch {
		case c.Error != nil && c.Format == "":
			t.note("%s was not read: %s", p.names[i], *c.Error)
		case c.Error != nil:
			t.note("%s ended early: %s", p.names[i], *c.Error)
		}
		for _, m := range c.WCCP {
			t.note("%s: WCCP, %s (%s, first packet %d)", p.names[i], m.Message, count(m.Packets, "packet"), m.First)
		}
		if c.SkippedBlocks > 0 {
			t.note("%s: %s of kinds that are not known were passed over", p.names[i], count(c.SkippedBlocks, "block"))
		}
		if len(c.Interfaces) > 1 {
			for _, f := range c.Interfaces {
				t.row("", "", f.Name, f.LinkType, f.At, f.Packets, "", "", "", "")
			}
		}
	}
	p.section("Captures")
	t.note("cut: packets shortened by the snap length; undecoded: packets that could not be read as far as TCP")
	for i := range captures {
		for _, u := range captures[i].Undecoded[:min(len(captures[i].Undecoded), maxRows)] {
			t.note("%s, undecoded: %s (%s, first packet %d)", p.names[i], u.Reason, count(u.Packets, "packet"), u.First)
		}
	}
	p.table(&t)
}

// maxRows is how long a table may get on the page.
const maxRows = 40

// packets names packets, by capture where there are several.
func (p *page) packets(refs []document.PacketRef, max int) string {
	refs = slices.Clone(refs)
	slices.SortFunc(refs, func(a, b document.PacketRef) int {
		return cmp.Or(cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.Packet, b.Packet))
	})
	refs = slices.CompactFunc(refs, func(a, b document.PacketRef) bool { return a.Capture == b.Capture && a.Packet == b.Packet })
	more := ""
	if len(refs) > max {
		more = fmt.Sprintf(" and %d more", len(refs)-max)
		refs = refs[:max]
	}
	var words []string
	for i, r := range refs {
		word := fmt.Sprint(r.Packet)
		if len(p.names) > 1 && r.Capture < len(p.names) && (i+1 == len(refs) || refs[i+1].Capture != r.Capture) {
			word += " of " + p.names[r.Capture]
		}
		words = append(words, word)
	}
	if len(words) == 1 && more == "" {
		return "packet " + words[0]
	}
	return "packets " + strings.Join(words, ", ") + more
}
