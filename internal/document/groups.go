package document

import (
	"slices"

	"mapiscope/internal/verdict"
)

func (b *builder) associationGroups() {
	b.doc.AssociationGroups = make([]AssociationGroup, 0, len(b.v.Groups))
	for _, g := range b.v.Groups {
		b.doc.AssociationGroups = append(b.doc.AssociationGroups, b.group(g))
	}
}

func (b *builder) group(g *verdict.Group) AssociationGroup {
	out := AssociationGroup{
		ID: b.groupIDs[g], At: b.v.Leg(g.Members[0].Main).Place.String(), Server: host(g.Server), AssocGroupID: g.AGID, Clients: []string{},
		Connections: b.idsOf(mains(g.All())), First: stamp(g.First().Time), Last: stamp(g.Last().Time),
		Inferred: b.idsOf(mains(g.Inferred)), Escaped: b.idsOf(mains(g.Escaped)), Possible: b.idsOf(mains(g.Possible)),
		Verdict: string(g.Verdict), VerdictReason: g.Reason, OptimizerPairs: []OptimizerPair{},
	}
	for _, c := range g.Clients {
		out.Clients = append(out.Clients, c.String())
	}
	if g.Missing > 0 {
		out.MissingCalls = ptr(g.Missing)
	}
	for _, p := range g.Pairs {
		out.OptimizerPairs = append(out.OptimizerPairs, OptimizerPair{EdgeDevice: text(p.Edge), CoreDevice: text(p.Core), Connections: b.idsOf(mains(p.Members))})
	}
	if !g.Since.IsZero() {
		out.MixedSince, out.Proof = ptr(stamp(g.Since.Time)), ptr(ref(g.Proof))
	}
	if len(g.Escaped) > 0 {
		out.BytesAtRisk = ptr(g.Risk)
	}
	b.groupMAPI(&out, g)
	return out
}

// groupMAPI fills in what the group's EMSMDB connections said.
func (b *builder) groupMAPI(out *AssociationGroup, g *verdict.Group) {
	best := len(serviceOrder)
	sessions, readable := int64(0), false
	for _, x := range g.Members {
		d := b.row(x.Main)
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
