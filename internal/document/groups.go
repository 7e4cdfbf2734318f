package document

import (
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
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
		Connections: b.idsOf(mains(g.All())), First: wire.Stamp(g.First().Time), Last: wire.Stamp(g.Last().Time),
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
		out.MixedSince, out.Proof = ptr(wire.Stamp(g.Since.Time)), ptr(ref(g.Proof))
	}
	if len(g.Escaped) > 0 {
		out.BytesAtRisk = ptr(g.Risk)
	}
	of := b.f.GroupOf(g)
	out.Service, out.Encrypted, out.ClientProduct = string(of.Service), of.Encrypted, text(of.ClientProduct)
	if of.Readable {
		out.Sessions = &of.Sessions
	}
	return out
}
