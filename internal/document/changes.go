package document

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/finding"
	"mapiscope/internal/verdict"
)

// Changes says what differs between two documents of the same network, before
// and after a change to it.
type Changes struct {
	Schema   string          `json:"schema"`
	Findings []FindingChange `json:"findings"`
	Clients  []ClientChange  `json:"clients"`
	Groups   []GroupChange   `json:"groups"`
	Figures  []FigureChange  `json:"figures"`
}

// FindingChange is a code of findings that came, went, or stands more or less
// often.
type FindingChange struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Change   string   `json:"change"` // "new", "gone", "more", "fewer"
	Before   int      `json:"before"`
	After    int      `json:"after"`
	Clients  []string `json:"clients"` // those that it concerns only now, or concerned only before
}

// ClientChange is a client that came, went, or fares otherwise.
type ClientChange struct {
	Client string         `json:"client"`
	Change string         `json:"change"` // "new", "gone", "changed"
	Before *ClientFigures `json:"before"`
	After  *ClientFigures `json:"after"`
}

// ClientFigures is how one client's EMSMDB connections fared.
type ClientFigures struct {
	Connections int64 `json:"connections"`
	Encrypted   int64 `json:"encrypted"`
	Optimized   int64 `json:"optimized"`
	PassThrough int64 `json:"pass_through"`
	Escaped     int64 `json:"escaped"`
	Accelerated int64 `json:"accelerated"` // that the MAPI accelerator takes
}

// GroupChange tells how the association groups between two hosts fare, by
// verdict. Group ids mean nothing beyond one capture.
type GroupChange struct {
	Client string         `json:"client"`
	Server string         `json:"server"`
	Before map[string]int `json:"before"`
	After  map[string]int `json:"after"`
}

// FigureChange is one figure with two values; null is a figure that the
// captures did not give.
type FigureChange struct {
	Name   string   `json:"name"` // its path in the document
	Before *float64 `json:"before"`
	After  *float64 `json:"after"`
}

// ReadDocument reads a document that was written as JSON.
func ReadDocument(r io.Reader) (*Document, error) {
	var d Document
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return nil, fmt.Errorf("it is no JSON document: %w", err)
	}
	if d.Schema != Schema {
		return nil, fmt.Errorf("its schema is %q, not %q", d.Schema, Schema)
	}
	return &d, nil
}

// ChangesBetween compares two documents.
func ChangesBetween(before, after *Document) *Changes {
	c := &Changes{Schema: Schema, Findings: []FindingChange{}, Clients: []ClientChange{}, Groups: []GroupChange{}, Figures: []FigureChange{}}
	c.findings(before, after)
	c.clients(before, after)
	c.groups(before, after)
	c.figures(before, after)
	return c
}

func (c *Changes) findings(before, after *Document) {
	type code struct {
		first   *Finding
		n       int
		clients map[string]bool
	}
	collect := func(d *Document) map[string]*code {
		out := make(map[string]*code)
		for i := range d.Findings {
			f := &d.Findings[i]
			x := out[f.Code]
			if x == nil {
				x = &code{first: f, clients: make(map[string]bool)}
				out[f.Code] = x
			}
			x.n++
			for _, ip := range f.Clients {
				x.clients[ip] = true
			}
		}
		return out
	}
	old, now := collect(before), collect(after)
	for _, name := range keys(old, now) {
		o, n := old[name], now[name]
		out := FindingChange{Code: name, Clients: []string{}}
		switch {
		case o == nil:
			out.Change, o = "new", &code{first: n.first}
		case n == nil:
			out.Change, n = "gone", &code{first: o.first}
		case n.n > o.n:
			out.Change = "more"
		case n.n < o.n:
			out.Change = "fewer"
		}
		out.Severity, out.Title, out.Before, out.After = n.first.Severity, n.first.Title, o.n, n.n
		for _, ip := range keys(o.clients, n.clients) {
			if o.clients[ip] != n.clients[ip] {
				out.Clients = append(out.Clients, ip)
			}
		}
		if out.Change == "" && len(out.Clients) > 0 {
			out.Change = "changed"
		}
		if out.Change != "" {
			slices.SortFunc(out.Clients, byAddress)
			c.Findings = append(c.Findings, out)
		}
	}
	slices.SortStableFunc(c.Findings, func(a, b FindingChange) int {
		return cmp.Compare(a.Severity.Rank(), b.Severity.Rank())
	})
}

// keys returns the keys of two maps, sorted.
func keys[K cmp.Ordered, V any](a, b map[K]V) []K {
	all := maps.Clone(a)
	if all == nil {
		all = make(map[K]V)
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func byAddress(a, b string) int {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX != nil || errY != nil {
		return cmp.Compare(a, b)
	}
	return x.Compare(y)
}

func (c *Changes) clients(before, after *Document) {
	old, now := clientFigures(before), clientFigures(after)
	for _, ip := range keys(old, now) {
		o, n := old[ip], now[ip]
		out := ClientChange{Client: ip, Before: o, After: n, Change: "changed"}
		switch {
		case o == nil:
			out.Change = "new"
		case n == nil:
			out.Change = "gone"
		case *o == *n:
			continue
		}
		c.Clients = append(c.Clients, out)
	}
	slices.SortFunc(c.Clients, func(a, b ClientChange) int { return byAddress(a.Client, b.Client) })
}

// clientFigures counts the EMSMDB connections of each client, at the capture
// point that saw most of them.
func clientFigures(d *Document) map[string]*ClientFigures {
	at := make(map[string]map[string]*ClientFigures)
	for i := range d.Connections {
		x := &d.Connections[i]
		if !isMAPIService(x.Service) {
			continue
		}
		points := at[x.Client.IP]
		if points == nil {
			points = make(map[string]*ClientFigures)
			at[x.Client.IP] = points
		}
		f := points[x.At]
		if f == nil {
			f = new(ClientFigures)
			points[x.At] = f
		}
		f.Connections++
		for _, count := range []struct {
			is bool
			n  *int64
		}{
			{x.Encrypted, &f.Encrypted}, {x.Optimizer.Verdict == string(verdict.Optimized), &f.Optimized}, {x.Optimizer.Verdict == string(verdict.PassThrough), &f.PassThrough},
			{x.Escaped != nil, &f.Escaped}, {x.Disposition.Accelerator == string(finding.MAPIAccelerator), &f.Accelerated},
		} {
			if count.is {
				*count.n++
			}
		}
	}
	out := make(map[string]*ClientFigures)
	for ip, points := range at {
		for _, p := range slices.Sorted(maps.Keys(points)) {
			if out[ip] == nil || points[p].Connections > out[ip].Connections {
				out[ip] = points[p]
			}
		}
	}
	return out
}

func (c *Changes) groups(before, after *Document) {
	old, now := groupVerdicts(before), groupVerdicts(after)
	for _, hosts := range keys(old, now) {
		if o, n := old[hosts], now[hosts]; !maps.Equal(o, n) {
			var g GroupChange
			fmt.Sscanf(hosts, "%s %s", &g.Client, &g.Server)
			g.Before, g.After = maps.Clone(o), maps.Clone(n)
			if g.Before == nil {
				g.Before = map[string]int{}
			}
			if g.After == nil {
				g.After = map[string]int{}
			}
			c.Groups = append(c.Groups, g)
		}
	}
	slices.SortStableFunc(c.Groups, func(a, b GroupChange) int {
		return cmp.Or(byAddress(a.Client, b.Client), byAddress(a.Server, b.Server))
	})
}

// groupVerdicts counts the verdicts on the EMSMDB groups between two hosts, at
// the capture point that saw most groups. A comparison has them once.
func groupVerdicts(d *Document) map[string]map[string]int {
	points := make(map[string]map[string]map[string]int)
	count := func(at, hosts, verdict string) {
		if points[hosts] == nil {
			points[hosts] = make(map[string]map[string]int)
		}
		if points[hosts][at] == nil {
			points[hosts][at] = make(map[string]int)
		}
		points[hosts][at][verdict]++
	}
	if d.Comparison != nil {
		for i := range d.Comparison.Groups {
			if g := &d.Comparison.Groups[i]; slices.ContainsFunc(g.Pairs, func(id int) bool { return isMAPIService(d.Comparison.Pairs[id-1].Service) }) {
				count("", g.Client+" "+g.Server.IP, g.Verdict)
			}
		}
	} else {
		for i := range d.AssociationGroups {
			if g := &d.AssociationGroups[i]; isMAPIService(g.Service) && len(g.Clients) > 0 {
				count(g.At, g.Clients[0]+" "+g.Server.IP, g.Verdict)
			}
		}
	}
	out := make(map[string]map[string]int)
	for hosts, at := range points {
		most := 0
		for _, p := range slices.Sorted(maps.Keys(at)) {
			n := 0
			for _, k := range at[p] {
				n += k
			}
			if n > most {
				most, out[hosts] = n, at[p]
			}
		}
	}
	return out
}

func isMAPIService(s string) bool { return s == string(assoc.MAPI) || s == string(assoc.MAPIAsync) }

func (c *Changes) figures(before, after *Document) {
	old, now := figuresOf(before), figuresOf(after)
	for _, name := range keys(old, now) {
		o, n := old[name], now[name]
		if o == nil && n == nil || o != nil && n != nil && *o == *n {
			continue
		}
		c.Figures = append(c.Figures, FigureChange{Name: name, Before: o, After: n})
	}
}

// figuresOf lists the figures of a document that hold for all of it, by their
// paths.
func figuresOf(d *Document) map[string]*float64 {
	out := make(map[string]*float64)
	parts := map[string]any{"totals": d.Totals, "accelerators": d.Accelerators, "ledger": d.Ledger, "limits": d.Limits}
	if d.Comparison != nil {
		parts["comparison.totals"], parts["comparison.calls"], parts["comparison.read_ahead"] = d.Comparison.Totals, d.Comparison.Calls, d.Comparison.ReadAhead
	}
	for name, part := range parts {
		raw, err := json.Marshal(part)
		if err != nil {
			panic(err) // numbers and words only
		}
		var tree any
		if err := json.Unmarshal(raw, &tree); err != nil {
			panic(err)
		}
		leaves(name, tree, out)
	}
	return out
}

// leaves collects the numbers of a tree. A figure of the device is an object
// with a value.
func leaves(path string, tree any, out map[string]*float64) {
	switch v := tree.(type) {
	case float64:
		out[path] = &v
	case nil:
		out[path] = nil
	case map[string]any:
		if value, ok := v["value"]; ok && v["quality"] != nil {
			leaves(path, value, out)
			return
		}
		for name, below := range v {
			leaves(path+"."+name, below, out)
		}
	}
}
