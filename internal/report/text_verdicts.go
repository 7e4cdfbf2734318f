package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// The verdicts on a group as the page ranks them, worst first. The document
// knows four; what may have escaped and what the release does not accelerate
// are set apart here, because that is what a user feels.
const (
	rankEscaped = iota
	rankSplit
	rankPossible
	rankNotAccelerated
	rankUnknown
	rankSeenWhole // what was captured took one path; what was not is not known
	rankWhole
)

var verdictWords = [...]piece{
	rankEscaped:        {"ESCAPED", bad},
	rankSplit:          {"SPLIT PAIR", bad},
	rankPossible:       {"POSSIBLE", warn},
	rankNotAccelerated: {"NOT ACCELERATED", warn},
	rankUnknown:        {"UNKNOWN", dim},
	rankSeenWhole:      {"SEEN WHOLE", plain},
	rankWhole:          {"WHOLE", good},
}

// verdictLabel is the width of the verdict words.
const verdictLabel = 17

// verdict is one line of the verdicts.
type verdict struct {
	rank   int
	first  string // time, to keep the order of one rank
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
	lines, rest := p.judged(), p.otherGroups()
	if len(lines) == 0 && rest == "" {
		p.printf("None: there is no association group.")
	}
	p.lines(lines)
	if rest != "" {
		p.hang(verdictLabel, piece{"not judged", dim}, rest)
	}
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
		v := verdict{first: g.First, who: fmt.Sprintf("group %d, %s > %s", g.ID, list(g.Clients, 3), endpoint(g.Server))}
		v.rank, v.reason = p.rank(g)
		lines = append(lines, v)
	}
	lines = append(lines, p.ungrouped()...)
	slices.SortStableFunc(lines, func(a, b verdict) int { return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.first, b.first)) })
	return lines
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
	may                              *document.Finding // what possibly escaped
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
	if j.may = p.possible(g); j.may != nil || len(g.Possible) > 0 {
		j.rank = rankPossible
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
	case g.Verdict == "whole" && p.clear():
		j.rank = rankWhole
	case g.Verdict == "whole":
		j.rank = rankSeenWhole
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
	case j.rank == rankPossible:
		return p.mayEscape(g, j)
	case len(j.rejected) == len(j.members):
		return fmt.Sprintf("the server refused the authentication of %s: nothing to accelerate", ofAll(len(j.rejected), len(j.members)))
	case len(j.generic) > 0:
		return fmt.Sprintf("%s to the generic accelerator (%s): %s; %s",
			ofAll(len(j.generic), len(j.members)), j.generic[0].Disposition.Accel, j.generic[0].Disposition.Reason, reason)
	case len(j.past) == len(j.members):
		return fmt.Sprintf("%s passed no optimizer, so nothing is optimized", ofAll(len(j.past), len(j.members)))
	case j.rank == rankWhole || j.rank == rankSeenWhole:
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

// mayEscape tells which connections possibly escaped, and why.
func (p *page) mayEscape(g *document.AssociationGroup, j *judged) string {
	if len(g.Possible) == 0 {
		return strings.TrimPrefix(j.may.Detail[strings.Index(j.may.Detail, ": ")+1:], " ")
	}
	return p.possibly(g) + ": " + p.possibleReason(g)
}

// possibly names the connections that possibly escaped from a group.
func (p *page) possibly(g *document.AssociationGroup) string {
	if len(g.Possible) == 1 {
		return "possibly connection " + p.ported(g.Possible) + " escaped"
	}
	return "possibly connections " + p.ported(g.Possible) + " escaped"
}

// possibleReason is why the first of them may have.
func (p *page) possibleReason(g *document.AssociationGroup) string {
	if c := p.conn(g.Possible[0]); c != nil && c.PossibleEscape != nil {
		return c.PossibleEscape.Reason
	}
	return g.VerdictReason
}

// ported names connections with their client ports.
func (p *page) ported(ids []int) string {
	var who []string
	for _, id := range ids {
		if c := p.conn(id); c != nil {
			who = append(who, fmt.Sprintf("%d (client port %d)", id, c.Client.Port))
		}
	}
	return list(who, 4)
}

// escape tells which connections escaped, since when, and what proves it.
func (p *page) escape(g *document.AssociationGroup) string {
	out := fmt.Sprintf("connection %s passed no optimizer", p.ported(g.Escaped))
	if len(g.Escaped) > 1 {
		out = fmt.Sprintf("connections %s passed no optimizer", p.ported(g.Escaped))
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
	if len(g.Possible) > 0 {
		out += "; " + p.possibly(g) + " too"
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
		unseen     bool // may be EMSMDB
	}
	found := make(map[key][]*document.Connection)
	var order []key
	for i := range p.doc.Connections {
		c := &p.doc.Connections[i]
		through := c.Optimizer.Verdict == "optimized"
		unseen := c.Unseen != nil && c.Unseen.MayBeMAPI
		if !c.Main() || c.AssocGroup.Group != nil || !isMAPI(c) && !unseen && !(through && c.Service == "unknown" && c.Optimizer.Vendor != nil) {
			continue
		}
		k := key{c.Client.IP, c.At, c.Server, through, unseen && !isMAPI(c)}
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
		case k.unseen:
			v.reason += "its interface was not seen, and no call contradicts EMSMDB"
		case k.optimized && !isMAPI(cs[0]):
			v.reason += "the payload is unreadable between the devices; passed the optimizer pair"
		case k.optimized:
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
	if p.doc.Assessment.Escape.State == "no_mapi" {
		return fmt.Sprintf("%s without EMSMDB (%s)", count(int64(total), "group"), list(names, 6))
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
