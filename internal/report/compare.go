package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// WriteComparison writes a comparison of two capture points as a page for
// people: how each association group fared, what stands out and what to do,
// then the connections of both sides, their calls, what one side alone saw,
// and the counters of the device as both sides give them.
func WriteComparison(w io.Writer, d *document.Document, o TextOptions) error {
	p := newPage(w, d, o)
	p.scope()
	p.clockDifference()
	p.pairVerdicts()
	p.standsOut()
	p.todo()
	p.pairTable()
	p.pathTable()
	p.callTable()
	p.unpairedTable()
	p.captureTable()
	p.acceleratorTables()
	p.books()
	return p.err
}

// clockDifference says how the clocks of the capture points differ and how far
// they lie apart.
func (p *page) clockDifference() {
	c := p.doc.Comparison
	p.section("Clocks")
	p.printf("%s", p.clockLine(c.Far, c.Near, &c.Clock))
	if c.WANClock != nil {
		p.printf("%s", p.clockLine("wan", c.Near, c.WANClock))
	}
}

func (p *page) clockLine(far, near string, c *document.ClockDifference) string {
	if c.Offset == nil {
		return fmt.Sprintf("How the clock of the %s differs from that of the %s is not known: no handshake, bind or call was captured at both.", far, near)
	}
	out := fmt.Sprintf("The %s clock is %s, within %s", far, ahead(*c.Offset, near), spanOf(c.Error))
	if c.Asymmetry != nil && *c.Asymmetry > 0 {
		out += fmt.Sprintf(" if both ways take equally long (else up to %s more)", span(*c.Asymmetry))
	}
	switch {
	case c.Drift != nil:
		out += fmt.Sprintf(", and gains %.1f ppm (± %.1f)", *c.Drift, *c.DriftError)
	default:
		out += "; the captures are too short to tell a drift"
	}
	return out + fmt.Sprintf(". One way takes %s or more. By %s, %s.", spanOf(c.OneWayDelay), c.Basis, count(int64(c.Samples), "sample"))
}

// ahead words the difference of two clocks.
func ahead(us int64, near string) string {
	switch {
	case us < 0:
		return fmt.Sprintf("%s behind that of the %s", span(-us), near)
	case us > 0:
		return fmt.Sprintf("%s ahead of that of the %s", span(us), near)
	}
	return fmt.Sprintf("level with that of the %s", near)
}

// pairVerdicts gives one line for each association group with EMSMDB, worst
// first.
func (p *page) pairVerdicts() {
	c := p.doc.Comparison
	p.section("Verdicts")
	p.printf("%s", p.pairHeadline())
	type line struct {
		rank int
		body string
	}
	var lines []line
	others := 0
	for i := range c.Groups {
		g := &c.Groups[i]
		if g.Verdict == "unknown" && !slices.ContainsFunc(g.Pairs, func(id int) bool { return isMAPIPair(&c.Pairs[id-1]) }) && len(g.Alone) == 0 {
			others++
			continue
		}
		rank := p.pairRank(g)
		lines = append(lines, line{rank, p.groupLine(g, rank)})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.rank, b.rank) })
	if len(lines) > 0 {
		p.write("\n")
	}
	for i, v := range lines {
		if i == maxVerdicts && len(lines) > maxVerdicts+1 {
			p.hang(verdictLabel, piece{}, fmt.Sprintf("%d more groups, none worse than these: see comparison.groups in -o json", len(lines)-i))
			break
		}
		p.hang(verdictLabel, verdictWords[v.rank], v.body)
	}
	if others > 0 {
		p.hang(verdictLabel, piece{"not judged", dim}, count(int64(others), "group")+" without EMSMDB: such traffic passes through by default policy")
	}
}

// pairRank ranks a group as the report does.
func (p *page) pairRank(g *document.GroupPair) int {
	switch {
	case g.Verdict == "escaped":
		return rankEscaped
	case g.Verdict == "split_pair":
		return rankSplit
	case slices.ContainsFunc(p.groupsOf(g), func(o *document.AssociationGroup) bool { return len(o.Possible) > 0 || p.possible(o) != nil }):
		return rankPossible
	case g.Verdict == "whole" && p.clear():
		return rankWhole
	case g.Verdict == "whole":
		return rankSeenWhole
	}
	return rankUnknown
}

// groupsOf returns the association groups that a compared group is.
func (p *page) groupsOf(g *document.GroupPair) []*document.AssociationGroup {
	var out []*document.AssociationGroup
	for _, id := range [...]*int{g.Groups.Edge, g.Groups.WAN, g.Groups.Core} {
		if id == nil {
			continue
		}
		for i := range p.doc.AssociationGroups {
			if o := &p.doc.AssociationGroups[i]; o.ID == *id && !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

func isMAPIPair(x *document.ConnectionPair) bool {
	return x.Service == "mapi" || x.Service == "mapi_async"
}

// pairHeadline counts what was compared.
func (p *page) pairHeadline() string {
	c := p.doc.Comparison
	t := &c.Totals
	out := fmt.Sprintf("%s at both points: %d optimized, %d passed through", count(t.Pairs, "connection"), t.Optimized, t.PassThrough)
	if t.Unknown > 0 {
		out += fmt.Sprintf(", %d cannot be told", t.Unknown)
	}
	if n := t.UnpairedNear + t.UnpairedFar; n > 0 {
		out += fmt.Sprintf("; %s at one point alone (%s %d, %s %d)", count(n, "connection"), c.Near, t.UnpairedNear, c.Far, t.UnpairedFar)
	}
	if t.ReductionPercent != nil {
		out += fmt.Sprintf(". What was optimized shrank by %.3f %% on the WAN (%s to %s)", *t.ReductionPercent, size(*t.OriginalBytes), size(*t.OptimizedBytes))
	}
	if l := c.Calls.Local; l != nil && c.Calls.Answered > 0 {
		out += fmt.Sprintf(". Of %s %d were answered by an accelerator", count(c.Calls.Answered, "answered EMSMDB call"), l.Count)
		if c.Calls.TimeSaved != nil {
			out += fmt.Sprintf(", which saved about %s of waiting", span(*c.Calls.TimeSaved))
		}
	}
	return out + "."
}

// groupLine is the verdict on one group.
func (p *page) groupLine(g *document.GroupPair, rank int) string {
	c := p.doc.Comparison
	reason := g.Reason
	if rank == rankPossible {
		for _, o := range p.groupsOf(g) {
			if j := p.judge(o); j.rank == rankPossible {
				reason = p.mayEscape(o, &j)
			}
		}
	}
	out := fmt.Sprintf("group 0x%08x, %s > %s: %s", g.AssocGroupID, g.Client, endpoint(g.Server), reason)
	if len(g.Escaped) > 0 {
		var who []string
		for _, id := range g.Escaped {
			x := p.conn(id)
			if x == nil {
				continue
			}
			word := fmt.Sprintf("client port %d", x.Client.Port)
			if slices.Contains(g.Alone, id) {
				word += fmt.Sprintf(" (only at the %s)", x.At)
			}
			who = append(who, word)
		}
		out += "; escaped: " + list(who, 6)
	}
	if g.MixedSince != nil {
		out += "; since " + p.clock.day(*g.MixedSince)
	}
	if g.BytesAtRisk != nil {
		out += ", " + size(*g.BytesAtRisk) + " outside the pair"
	}
	if g.Cause != nil {
		out += ". " + strings.ToUpper((*g.Cause)[:1]) + (*g.Cause)[1:]
	}
	if untouched := untouchedOf(c, g); untouched > 0 {
		out += fmt.Sprintf(". Left to the generic accelerator: %d of %d", untouched, len(g.Pairs))
	}
	return out
}

// untouchedOf counts the EMSMDB pairs of a group whose calls nobody touched
// although TCP was optimized.
func untouchedOf(c *document.Comparison, g *document.GroupPair) int {
	n := 0
	for _, id := range g.Pairs {
		if x := &c.Pairs[id-1]; isMAPIPair(x) && x.Accelerator == "generic" {
			n++
		}
	}
	return n
}
