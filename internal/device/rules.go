package device

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"time"

	"mapiscope/internal/document"
)

// DynamicRules is `show policy-engine application dynamic`.
type DynamicRules struct {
	Freelist []Field `json:"freelist"`
	Types    []Field `json:"types"`
	Rules    []Rule  `json:"rules"`
	Unmapped []Port  `json:"unmapped"`
}

// Rule is one dynamic match rule, which an endpoint mapper answer creates.
type Rule struct {
	Number    int           `json:"number"`
	Dst       document.Host `json:"dst"`
	MapName   string        `json:"map_name"`
	Remaining Value         `json:"remaining"` // seconds; the text "- NA -" while connections are open
	Hits      Value         `json:"hits"`      // connections opened to it
	Flows     Value         `json:"flows"`     // of these, now open
}

// Port is a server port in use for which no captured answer made a rule.
type Port struct {
	Dst  document.Host `json:"dst"`
	What string        `json:"what"`
}

// ruleLife is how long the device keeps a rule without connections.
const ruleLife = 1200 * time.Second

const (
	anyToHost = "Any->Host"
	notAging  = "- NA -"
)

// matchTypes are the kinds of rule in the device's order.
var matchTypes = [...]string{"None", "Clean-Up", "Host->Host", "Host->Local", "Local->Host", "Local->Any", anyToHost, "Any->Local", "Any->Any"}

// DynamicRules returns the rules that the captured endpoint mapper answers
// create, as they stand at the end of the captures.
func (v *Views) DynamicRules() *DynamicRules {
	d := &DynamicRules{Rules: []Rule{}, Unmapped: []Port{}}
	to := make(map[document.Host][]*flow)
	for _, f := range v.flows {
		to[f.main.Server] = append(to[f.main.Server], f)
	}
	var lives []life
	inUse := int64(0)
	for i := range v.doc.PolicyRules {
		r := &v.doc.PolicyRules[i]
		hits, open, last := uses(r, to[document.Host{IP: r.Server, Port: r.Port}])
		rule := Rule{
			Number: i + 1, Dst: document.Host{IP: r.Server, Port: r.Port}, MapName: r.MapName,
			Hits: exact(hits), Flows: exact(open), Remaining: exact(notAging),
		}
		until := v.last
		if open == 0 {
			left := ruleLife - v.last.Sub(last)
			rule.Remaining = heuristic(max(0, int64(left/time.Second)), "counts down from 1200 s since the last connection closed, or since the answer")
			until = last.Add(ruleLife)
		}
		if !until.Before(v.last) {
			inUse++
		}
		lives = append(lives, life{instant(r.Created), until})
		d.Rules = append(d.Rules, rule)
	}
	const own = "the table lives inside the device; rules older than the captures are not seen"
	d.Freelist = []Field{
		{"Allocated", none("the size of the table is not in packets")},
		{"In Use", atLeast(inUse, own)},
		{"Max In Use", atLeast(mostAtOnce(lives), own)},
		{"Allocations", atLeast(int64(len(d.Rules)), own)},
	}
	for _, t := range matchTypes {
		n := none("the endpoint mapper makes rules of type Any->Host only")
		if t == anyToHost {
			n = atLeast(inUse, own)
		}
		d.Types = append(d.Types, Field{t, n})
	}
	d.Unmapped = v.unmapped()
	return d
}

// life is from when to when a rule stands.
type life struct{ from, to time.Time }

// mostAtOnce returns the largest number of rules that stood at one time.
func mostAtOnce(lives []life) int64 {
	from, to := make([]time.Time, len(lives)), make([]time.Time, len(lives))
	for i, l := range lives {
		from[i], to[i] = l.from, l.to
	}
	slices.SortFunc(from, time.Time.Compare)
	slices.SortFunc(to, time.Time.Compare)
	now, most, ended := int64(0), int64(0), 0
	for _, t := range from {
		for ended < len(to) && to[ended].Before(t) {
			ended++
			now--
		}
		now++
		most = max(most, now)
	}
	return most
}

// uses counts the connections to a rule's port that were opened after its
// answer, and returns when the last of them closed; without one, when the
// answer came.
func uses(r *document.PolicyRule, flows []*flow) (hits, open int64, last time.Time) {
	last = instant(r.Created)
	for _, f := range flows {
		if f.main.Start < r.Created {
			continue
		}
		hits++
		if !f.over() {
			open++
		}
		if end := instant(f.main.End); end.After(last) {
			last = end
		}
	}
	return hits, open, last
}

// unmapped lists ports that connections bind EMSMDB at without an answer: the
// device learned them before the capture began, or classifies nothing there.
func (v *Views) unmapped() []Port {
	ruled := make(map[document.Host]bool)
	for i := range v.doc.PolicyRules {
		ruled[document.Host{IP: v.doc.PolicyRules[i].Server, Port: v.doc.PolicyRules[i].Port}] = true
	}
	out := []Port{}
	for _, f := range v.flows {
		at := f.main.Server
		if ruled[at] || !isMAPI(f.service()) {
			continue
		}
		ruled[at] = true
		what := "EMSMDB by bind, EPM not seen"
		if !slices.ContainsFunc(f.legs(), func(c *document.Connection) bool { return c.ServiceBasis == "bind" }) {
			what = "EMSMDB by its traffic, EPM not seen"
		}
		out = append(out, Port{at, what})
	}
	slices.SortFunc(out, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Dst.IP, b.Dst.IP), cmp.Compare(a.Dst.Port, b.Dst.Port))
	})
	return out
}

// WriteText prints the rules as the device does.
func (d *DynamicRules) WriteText(w io.Writer, plain bool) error {
	p := newPage(plain)
	p.line("Dynamic Match Freelist Information:")
	free := ""
	for i, f := range d.Freelist {
		if i > 0 {
			free += " "
		}
		free += " " + f.Label + ": " + f.Value.String()
	}
	p.line("%s%s", free, p.marks(d.Freelist[0].Value, d.Freelist[1].Value, d.Freelist[2].Value, d.Freelist[3].Value))
	p.line("\nDynamic Match Type/Count Information:")
	for _, f := range d.Types {
		p.field(29, " "+f.Label, f.Value)
	}
	p.line("\nIndividual Dynamic Match Information:")
	inside := none("kept inside the device")
	for i := range d.Rules {
		r := &d.Rules[i]
		p.line(" Number: %3d   Type: %s (6)  User Id: EPM (3)", r.Number, anyToHost)
		p.line("  Src: ANY:ANY  Dst: %s", address(r.Dst))
		p.line("  Map Name: %s", r.MapName)
		p.line("  Flags: TIME_LMT REPLACE FLOW_CNT")
		p.line("  Seconds: %s  Remaining: %s  DM Index: %s%s", strconv.Itoa(int(ruleLife/time.Second)), r.Remaining, inside, p.marks(r.Remaining, inside))
		p.line("  Hits: %s  Flows: %s  Cookie: %s%s", r.Hits, r.Flows, inside, p.marks(r.Hits, r.Flows, inside))
	}
	if !plain {
		for _, u := range d.Unmapped {
			p.note(address(u.Dst) + ": " + u.What)
		}
	}
	return p.writeTo(w)
}
