package assoc

import (
	"cmp"
	"slices"

	"mapiscope/flows"
	"mapiscope/internal/wire"
)

// Merge joins the results of all shards into one that does not depend on how
// host pairs were spread over them: everything is ordered by the packet that
// showed it first.
func Merge(parts []*Result) *Result {
	all := &Result{}
	for _, r := range parts {
		all.Conns = append(all.Conns, r.Conns...)
		all.Maps = append(all.Maps, r.Maps...)
		all.Kerberos = append(all.Kerberos, r.Kerberos...)
		all.Events = append(all.Events, r.Events...)
		all.Steps = flows.MergeSteps(all.Steps, r.Steps)
		all.Unlisted.add(r.Unlisted)
		all.TCPConnections += r.TCPConnections
		all.Ledger.Add(r.Ledger)
		all.Flows.Add(r.Flows)
		all.Stats.add(r.Stats)
	}
	slices.SortStableFunc(all.Conns, func(a, b *Conn) int { return ByMark(a.Flow.First, b.Flow.First) })
	slices.SortStableFunc(all.Maps, func(a, b Exchange) int { return ByMark(a.Mark, b.Mark) })
	slices.SortStableFunc(all.Kerberos, func(a, b KDCMessage) int { return ByMark(a.Mark, b.Mark) })
	slices.SortStableFunc(all.Events, func(a, b Event) int { return ByMark(a.Mark, b.Mark) })
	all.settleLegs()
	return all
}

// ByMark orders by packet. Events and messages of one packet belong to one
// connection, hence to one shard, and a stable sort keeps their order.
func ByMark(a, b wire.Mark) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.Packet, b.Packet))
}
