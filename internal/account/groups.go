package account

import (
	"slices"

	"mapiscope/assoc"
)

func (b *builder) associationGroups() {
	b.doc.AssociationGroups = make([]AssociationGroup, 0, len(b.groups))
	for _, g := range b.groups {
		b.doc.AssociationGroups = append(b.doc.AssociationGroups, b.group(g))
	}
}

func (b *builder) group(g *assoc.Group) AssociationGroup {
	v := g.Verdict
	out := AssociationGroup{
		ID: g.ID, At: g.Point.String(), Server: host(g.Server), AssocGroupID: g.AGID, Clients: []string{g.Client.String()},
		Connections: ids(g.Members()), First: stamp(g.First().Time), Last: stamp(g.Last().Time),
		Inferred: ids(g.Hidden), Escaped: ids(v.Escaped), Verdict: string(v.Verdict), VerdictReason: v.Reason, OptimizerPairs: []OptimizerPair{},
	}
	if p := b.places[g.Point]; out.At == "unknown" {
		out.At = p.String()
	}
	for _, p := range v.Pairs {
		out.OptimizerPairs = append(out.OptimizerPairs, OptimizerPair{EdgeDevice: text(p.Edge), CoreDevice: text(p.Core), Connections: ids(p.Conns)})
	}
	if !v.Since.IsZero() {
		out.MixedSince, out.Proof = ptr(stamp(v.Since.Time)), ptr(ref(v.Proof))
	}
	if len(v.Escaped) > 0 {
		out.BytesAtRisk = ptr(v.Risk)
	}
	b.groupMAPI(&out, g)
	return out
}

// groupMAPI fills in what the group's EMSMDB connections said.
func (b *builder) groupMAPI(out *AssociationGroup, g *assoc.Group) {
	best := len(serviceOrder)
	sessions, readable := int64(0), false
	for _, c := range g.Conns {
		d := &b.doc.Connections[c.ID-1]
		if i := slices.Index(serviceOrder, d.Service); i >= 0 && i < best {
			best = i
		}
		out.Encrypted = out.Encrypted || d.Encrypted
		if d.MAPI == nil {
			continue
		}
		if n := d.MAPI.Sessions; n != nil {
			readable = true
			sessions += *n
		}
		if out.ClientProduct == nil {
			out.ClientProduct = d.MAPI.ClientProduct
		}
	}
	out.Service = "unknown"
	if best < len(serviceOrder) {
		out.Service = serviceOrder[best]
	}
	if readable {
		out.Sessions = &sessions
	}
}

// serviceOrder ranks services by how much they say about a group.
var serviceOrder = []string{"mapi", "mapi_async", "nspi", "rfr", "epm", "dcerpc"}
