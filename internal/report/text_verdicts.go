package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// The verdicts on a group as the page ranks them, worst first. The document
// knows four; what the release does not accelerate is set apart here, because
// that is what a user feels.
const (
	rankEscaped = iota
	rankSplit
	rankNotAccelerated
	rankUnknown
	rankWhole
	rankOptimized // no group is known, so none can be called whole
)

var verdictWords = [...]piece{
	rankEscaped:        {"ESCAPED", bad},
	rankSplit:          {"SPLIT PAIR", bad},
	rankNotAccelerated: {"NOT ACCELERATED", warn},
	rankUnknown:        {"UNKNOWN", dim},
	rankWhole:          {"WHOLE", good},
	rankOptimized:      {"OPTIMIZED", good},
}

// verdictLabel is the width of the verdict words.
const verdictLabel = 17

// verdict is one line of the verdicts.
type verdict struct {
	rank   int
	first  string // time, to keep the order of one rank
	groups []*document.AssociationGroup
	who    string
	reason string
}

// maxVerdicts is how many verdicts are written out, maxAlike how many of them
// that say the same of different groups.
const (
	maxVerdicts = 20
	maxAlike    = 5
)

// lines writes verdicts. Where many groups fare alike the first stand for all.
func (p *page) lines(lines []verdict) {
	type key struct {
		rank   int
		reason string
	}
	alike := make(map[key]int)
	for _, v := range lines {
		alike[key{v.rank, v.reason}]++
	}
	shown, seen := 0, make(map[key]int)
	for i, v := range lines {
		k := key{v.rank, v.reason}
		n := alike[k]
		switch seen[k]++; {
		case n > maxAlike+1 && seen[k] == maxAlike+1:
			p.hang(verdictLabel, verdictWords[v.rank], fmt.Sprintf("%d more groups of which the same is true", n-maxAlike))
			continue
		case n > maxAlike+1 && seen[k] > maxAlike:
			continue
		case shown == maxVerdicts && i+1 < len(lines):
			p.hang(verdictLabel, piece{}, "more groups, none worse than these: see the table of groups, or association_groups in -o json")
			return
		}
		shown++
		p.hang(verdictLabel, verdictWords[v.rank], v.who+": "+v.reason)
	}
}

// verdicts gives one line for each association group with EMSMDB, worst
// first, and sums up the rest.
func (p *page) verdicts() {
	p.section("Verdicts")
	p.printf("%s", p.headline())
	lines := p.judged()
	if len(lines) > 0 {
		p.write("\n")
	}
	p.lines(lines)
	if rest := p.otherGroups(); rest != "" {
		p.hang(verdictLabel, piece{"not judged", dim}, rest)
	}
}

// headline is the answer in one sentence.
func (p *page) headline() string {
	all := p.distinct(isMAPI)
	if all == 0 {
		if n := p.distinct(func(c *document.Connection) bool { return c.Optimizer.Verdict == "optimized" }); n > 0 {
			return fmt.Sprintf("No readable EMSMDB here; %s passed an optimizer pair, which hides what they carry.", count(int64(n), "connection"))
		}
		if n := p.distinct(func(c *document.Connection) bool { return c.Unseen != nil && c.Unseen.MayBeMAPI }); n > 0 {
			return fmt.Sprintf("No EMSMDB is seen, but there is DCE/RPC of an interface that was not (%s): whether that is EMSMDB cannot be told.", count(int64(n), "connection"))
		}
		return "No EMSMDB here: nothing for the MAPI accelerator to take."
	}
	escaped := p.distinct(func(c *document.Connection) bool { return c.Escaped != nil })
	var split int
	for i := range p.doc.AssociationGroups {
		if p.doc.AssociationGroups[i].Verdict == "split_pair" {
			split++
		}
	}
	var parts []string
	switch {
	case escaped > 0:
		parts = append(parts, fmt.Sprintf("%d of %s escaped the optimizer pair.", escaped, count(int64(all), "EMSMDB connection")))
	case p.distinct(func(c *document.Connection) bool { return isMAPI(c) && c.Optimizer.Verdict != "unknown" }) == 0:
		parts = append(parts, "Whether a connection escaped cannot be told here: no packet shows an optimizer on the path.")
	default:
		parts = append(parts, "No EMSMDB connection is seen to escape.")
	}
	if split > 0 {
		parts = append(parts, fmt.Sprintf("%s over different device pairs.", count(int64(split), "group")))
	}
	denied := p.distinct(func(c *document.Connection) bool { return isMAPI(c) && refused(c) })
	generic := p.distinct(func(c *document.Connection) bool { return isMAPI(c) && c.Disposition.Accelerator == "generic" })
	taken := p.distinct(func(c *document.Connection) bool {
		return isMAPI(c) && c.Disposition.Accelerator == "mapi" && !refused(c)
	})
	if denied > 0 {
		parts = append(parts, fmt.Sprintf("The server refused the authentication of %d of %d.", denied, all))
	}
	switch {
	case generic == 1 && all == 1:
		parts = append(parts, fmt.Sprintf("Release %s hands it to the generic accelerator.", p.doc.WAAS))
	case generic > 0:
		parts = append(parts, fmt.Sprintf("Release %s hands %d of %d to the generic accelerator.", p.doc.WAAS, generic, all))
	case taken == 1 && all == 1:
		parts = append(parts, fmt.Sprintf("Release %s takes it under the MAPI accelerator, if the devices are in the path.", p.doc.WAAS))
	case taken == all:
		parts = append(parts, fmt.Sprintf("Release %s takes all %d under the MAPI accelerator, if the devices are in the path.", p.doc.WAAS, all))
	case taken > 0:
		parts = append(parts, fmt.Sprintf("Release %s takes %d of %d under the MAPI accelerator, if the devices are in the path.", p.doc.WAAS, taken, all))
	}
	return strings.Join(parts, " ")
}

// conn returns a connection by its id.
func (p *page) conn(id int) *document.Connection {
	return p.doc.Connection(id)
}

// members returns the EMSMDB connections of a group, inferred ones too.
func (p *page) members(g *document.AssociationGroup) []*document.Connection {
	var out []*document.Connection
	for _, id := range g.Connections {
		if c := p.conn(id); c != nil && (isMAPI(c) || slices.Contains(g.Inferred, id) || slices.Contains(g.Escaped, id)) {
			out = append(out, c)
		}
	}
	return out
}

// judged returns the verdict lines, worst first.
func (p *page) judged() []verdict {
	var lines []verdict
	for i := range p.doc.AssociationGroups {
		g := &p.doc.AssociationGroups[i]
		if len(p.members(g)) == 0 {
			continue
		}
		if v := sameGroup(lines, g); v != nil {
			v.groups = append(v.groups, g)
			continue
		}
		lines = append(lines, verdict{groups: []*document.AssociationGroup{g}, first: g.First})
	}
	for i := range lines {
		p.word(&lines[i])
	}
	lines = append(lines, p.ungrouped()...)
	slices.SortStableFunc(lines, func(a, b verdict) int { return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.first, b.first)) })
	return lines
}

// sameGroup finds the line of the same group as another capture point saw it.
func sameGroup(lines []verdict, g *document.AssociationGroup) *verdict {
	for i := range lines {
		v := &lines[i]
		same := v.groups[0].AssocGroupID == g.AssocGroupID && v.groups[0].Server == g.Server && slices.Equal(v.groups[0].Clients, g.Clients)
		met := slices.ContainsFunc(v.groups, func(o *document.AssociationGroup) bool { return o.First <= g.Last && g.First <= o.Last })
		if same && met && !slices.ContainsFunc(v.groups, func(o *document.AssociationGroup) bool { return o.At == g.At }) {
			return v
		}
	}
	return nil
}

// word puts the verdict on a group into words: that of the capture point
// which says the worst.
func (p *page) word(v *verdict) {
	worst, rank, reason := v.groups[0], rankOptimized+1, ""
	for _, g := range v.groups {
		if r, why := p.rank(g); r < rank {
			worst, rank, reason = g, r, why
		}
	}
	v.rank = rank
	ids := make([]int, 0, len(v.groups))
	for _, g := range v.groups {
		ids = append(ids, g.ID)
	}
	name := "group"
	if len(ids) > 1 {
		name = "groups"
	}
	v.who = fmt.Sprintf("%s %s, %s > %s", name, numbers(ids, 6), list(worst.Clients, 3), endpoint(worst.Server))
	v.reason = reason
}

// rank judges one group and says why.
func (p *page) rank(g *document.AssociationGroup) (int, string) {
	j := p.judge(g)
	return j.rank, p.reason(g, &j)
}

// judged is the rank of a group with the connections that decide it.
type judged struct {
	rank                             int
	members, generic, past, rejected []*document.Connection
}

// judge ranks a group that has EMSMDB connections.
func (p *page) judge(g *document.AssociationGroup) judged {
	j := judged{rank: rankUnknown, members: p.members(g)}
	switch g.Verdict {
	case "escaped":
		j.rank = rankEscaped
		return j
	case "split_pair":
		j.rank = rankSplit
		return j
	}
	for _, c := range j.members {
		switch {
		case c.Disposition.Accelerator == "generic":
			j.generic = append(j.generic, c)
		case c.Optimizer.Verdict == "pass_through":
			j.past = append(j.past, c)
		}
		if refused(c) {
			j.rejected = append(j.rejected, c)
		}
	}
	switch {
	case len(j.rejected) == len(j.members):
	case len(j.generic) > 0, len(j.past) == len(j.members):
		j.rank = rankNotAccelerated
	case g.Verdict == "whole":
		j.rank = rankWhole
	}
	return j
}

// reason says why a group has its rank.
func (p *page) reason(g *document.AssociationGroup, j *judged) string {
	reason := g.VerdictReason
	if !slices.ContainsFunc(j.members, func(c *document.Connection) bool { return c.Optimizer.Verdict != "unknown" }) {
		reason = "path not shown"
	}
	switch {
	case j.rank == rankEscaped:
		return p.escape(g)
	case j.rank == rankSplit:
		return p.split(g)
	case len(j.rejected) == len(j.members):
		return fmt.Sprintf("the server refused the authentication of %s: nothing to accelerate", ofAll(len(j.rejected), len(j.members)))
	case len(j.generic) > 0:
		return fmt.Sprintf("%s to the generic accelerator (%s): %s; %s",
			ofAll(len(j.generic), len(j.members)), j.generic[0].Disposition.Accel, j.generic[0].Disposition.Reason, reason)
	case len(j.past) == len(j.members):
		return fmt.Sprintf("%s passed no optimizer, so nothing escaped and nothing is optimized", ofAll(len(j.past), len(j.members)))
	case j.rank == rankWhole:
		return g.VerdictReason
	}
	return fmt.Sprintf("%s; by the rules of %s: %s", reason, p.doc.WAAS, dispositions(j.members))
}

// refused reports whether the server refused all that a connection tried to
// authenticate with.
func refused(c *document.Connection) bool {
	return len(c.Auth) > 0 && !slices.ContainsFunc(c.Auth, func(a document.Auth) bool { return a.State != "rejected" })
}

// dispositions sums up what the release would do with connections.
func dispositions(conns []*document.Connection) string {
	n := make(map[string]int)
	var order []string
	for _, c := range conns {
		word := fmt.Sprintf("%s (%s)", c.Disposition.Accelerator, c.Disposition.Accel)
		if c.Disposition.Accelerator == "unknown" {
			word = "not known"
		}
		if n[word]++; n[word] == 1 {
			order = append(order, word)
		}
	}
	if len(order) == 1 {
		return order[0]
	}
	for i, word := range order {
		order[i] = fmt.Sprintf("%d %s", n[word], word)
	}
	return strings.Join(order, ", ")
}

func ofAll(n, all int) string {
	switch {
	case all == 1:
		return "its one connection"
	case n == all && all == 2:
		return "both connections"
	case n == all:
		return fmt.Sprintf("all %d connections", all)
	}
	return fmt.Sprintf("%d of %d connections", n, all)
}

// escape tells which connections escaped, since when, and what proves it.
func (p *page) escape(g *document.AssociationGroup) string {
	var who []string
	for _, id := range g.Escaped {
		if c := p.conn(id); c != nil {
			who = append(who, fmt.Sprintf("%d (client port %d)", id, c.Client.Port))
		}
	}
	out := fmt.Sprintf("connection %s passed no optimizer", list(who, 4))
	if len(g.Escaped) > 1 {
		out = fmt.Sprintf("connections %s passed no optimizer", list(who, 4))
	}
	inferred := ""
	if len(g.Inferred) > 0 {
		inferred = fmt.Sprintf(" (%d by inference, their binds are hidden)", len(g.Inferred))
	}
	through := 0
	for _, c := range p.members(g) {
		if c.Optimizer.Verdict == "optimized" {
			through++
		}
	}
	out += fmt.Sprintf(", %d of the group did%s", through, inferred)
	if g.MixedSince != nil {
		out += "; since " + p.clock.day(*g.MixedSince)
	}
	if g.BytesAtRisk != nil {
		out += ", " + size(*g.BytesAtRisk) + " outside the pair"
	}
	if g.Proof != nil {
		out += ", proof " + p.packets([]document.PacketRef{*g.Proof}, 1)
	}
	return out
}

// split tells which pairs the connections of a group passed.
func (p *page) split(g *document.AssociationGroup) string {
	var pairs []string
	for _, o := range g.OptimizerPairs {
		pairs = append(pairs, fmt.Sprintf("%s > %s (connections %s)", orDash(o.EdgeDevice), orDash(o.CoreDevice), numbers(o.Connections, 6)))
	}
	out := "different device pairs: " + strings.Join(pairs, ", ")
	if g.MixedSince != nil {
		out += "; since " + p.clock.day(*g.MixedSince)
	}
	if g.Proof != nil {
		out += ", proof " + p.packets([]document.PacketRef{*g.Proof}, 1)
	}
	return out
}

// ungrouped gives a line for the EMSMDB and the optimized connections that
// belong to no known group, by server end point.
func (p *page) ungrouped() []verdict {
	type key struct {
		client, at string
		server     document.Host
		optimized  bool
	}
	found := make(map[key][]*document.Connection)
	var order []key
	for i := range p.doc.Connections {
		c := &p.doc.Connections[i]
		through := c.Optimizer.Verdict == "optimized"
		if c.AssocGroup.Group != nil || !isMAPI(c) && !(through && c.Service == "unknown" && c.Optimizer.Vendor != nil) {
			continue
		}
		k := key{c.Client.IP, c.At, c.Server, through}
		if found[k] == nil {
			order = append(order, k)
		}
		found[k] = append(found[k], c)
	}
	var lines []verdict
	for _, k := range order {
		cs := found[k]
		ids := make([]int, 0, len(cs))
		for _, c := range cs {
			ids = append(ids, c.ID)
		}
		v := verdict{rank: rankUnknown, first: cs[0].Start}
		what := "connection "
		if len(cs) > 1 {
			what = "connections "
		}
		v.who = fmt.Sprintf("%s%s, %s > %s", what, numbers(ids, 6), k.client, endpoint(k.server))
		v.reason = "group not known, "
		switch {
		case k.optimized && !isMAPI(cs[0]):
			v.rank = rankOptimized
			v.reason += "the payload is unreadable between the devices; passed the optimizer pair"
		case k.optimized:
			v.rank = rankOptimized
			v.reason += "no readable bind; passed the optimizer pair"
		case cs[0].State == "refused" || cs[0].State == "unanswered":
			v.reason += "the connection never opened (" + stateWord(cs[0].State) + ")"
		default:
			v.reason += fmt.Sprintf("no bind captured; by the rules of %s: %s", p.doc.WAAS, dispositions(cs))
		}
		lines = append(lines, v)
	}
	return lines
}

// otherGroups sums up the groups that carry no EMSMDB.
func (p *page) otherGroups() string {
	n := make(map[string]int)
	total := 0
	for i := range p.doc.AssociationGroups {
		g := &p.doc.AssociationGroups[i]
		if len(p.members(g)) > 0 {
			continue
		}
		total++
		n[p.groupLabel(g)]++
	}
	if total == 0 {
		return ""
	}
	var names []string
	for name := range n {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(n[b], n[a]), strings.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", n[name], name)
	}
	return fmt.Sprintf("%s without EMSMDB (%s): such traffic cannot escape the MAPI accelerator", count(int64(total), "group"), list(names, 6))
}

// groupLabel names what a group without EMSMDB carries.
func (p *page) groupLabel(g *document.AssociationGroup) string {
	for _, id := range g.Connections {
		if c := p.conn(id); c != nil {
			return p.serviceName(c)
		}
	}
	return g.Service
}

// serviceName names what a connection carries: its service, or where that is
// just DCE/RPC the interface that was accepted, else the one that its port was
// announced for.
func (p *page) serviceName(c *document.Connection) string {
	switch {
	case c.Unseen != nil:
		return "unseen DCE/RPC"
	case c.Service != "dcerpc":
		return strings.ReplaceAll(c.Service, "_", "-")
	}
	name := ""
	for i := range c.Interfaces {
		x := &c.Interfaces[i]
		if x.Name == nil || x.Result != nil && *x.Result == "negotiate_ack" {
			continue
		}
		if x.Result != nil && *x.Result == "acceptance" {
			return *x.Name
		}
		if name == "" {
			name = *x.Name
		}
	}
	if name == "" {
		name = p.announced[c.ID]
	}
	return cmp.Or(name, "other DCE/RPC")
}
