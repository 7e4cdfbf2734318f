package document

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangesBetween(t *testing.T) {
	mapi := func(ip, at, verdict, accelerator string) Connection {
		return Connection{At: at, Client: Host{IP: ip}, Service: "mapi", Optimizer: Optimizer{Verdict: verdict}, Disposition: Disposition{Accelerator: accelerator}}
	}
	escaped := mapi("10.1.0.6", "wan", "pass_through", "pass_through")
	escaped.Escaped = &Escaped{Group: 1}
	before := &Document{
		// The second point saw the same connection once more.
		Connections: []Connection{mapi("10.1.0.5", "edge", "optimized", "mapi"), mapi("10.1.0.5", "core", "optimized", "mapi"), mapi("10.1.0.6", "wan", "optimized", "mapi"), mapi("10.1.0.7", "wan", "unknown", "generic")},
		AssociationGroups: []AssociationGroup{
			{At: "wan", Clients: []string{"10.1.0.6"}, Server: Host{IP: "10.2.0.9"}, Service: "mapi", Verdict: "whole"},
			{At: "wan", Clients: []string{"10.1.0.6"}, Server: Host{IP: "10.2.0.9"}, Service: "epm", Verdict: "unknown"},
		},
		Findings: []Finding{{Code: "SLOW_CALLS", Severity: Info}, {Code: "BIND_REJECTED", Severity: Error, Clients: []string{"10.1.0.9"}}},
		Totals:   Totals{MAPIConnections: 3},
	}
	after := &Document{
		Connections: []Connection{mapi("10.1.0.5", "edge", "optimized", "mapi"), escaped, mapi("10.1.0.10", "wan", "unknown", "mapi")},
		AssociationGroups: []AssociationGroup{
			{At: "wan", Clients: []string{"10.1.0.6"}, Server: Host{IP: "10.2.0.9"}, Service: "mapi", Verdict: "escaped"},
		},
		Findings: []Finding{
			{Code: "ESCAPED_CONNECTION", Severity: Error, Clients: []string{"10.1.0.6"}}, {Code: "SLOW_CALLS", Severity: Info}, {Code: "SLOW_CALLS", Severity: Info},
			{Code: "BIND_REJECTED", Severity: Error, Clients: []string{"10.1.0.10"}},
		},
		Totals: Totals{MAPIConnections: 3, EscapedConnections: 1},
	}
	zero, one := 0.0, 1.0
	want := &Changes{
		Schema: Schema,
		Findings: []FindingChange{
			{Code: "BIND_REJECTED", Severity: Error, Change: "changed", Before: 1, After: 1, Clients: []string{"10.1.0.9", "10.1.0.10"}},
			{Code: "ESCAPED_CONNECTION", Severity: Error, Change: "new", After: 1, Clients: []string{"10.1.0.6"}},
			{Code: "SLOW_CALLS", Severity: Info, Change: "more", Before: 1, After: 2, Clients: []string{}},
		},
		Clients: []ClientChange{
			{Client: "10.1.0.6", Change: "changed", Before: &ClientFigures{Connections: 1, Optimized: 1, Accelerated: 1}, After: &ClientFigures{Connections: 1, PassThrough: 1, Escaped: 1}},
			{Client: "10.1.0.7", Change: "gone", Before: &ClientFigures{Connections: 1}},
			{Client: "10.1.0.10", Change: "new", After: &ClientFigures{Connections: 1, Accelerated: 1}},
		},
		Groups:  []GroupChange{{Client: "10.1.0.6", Server: "10.2.0.9", Before: map[string]int{"whole": 1}, After: map[string]int{"escaped": 1}}},
		Figures: []FigureChange{{Name: "totals.escaped_connections", Before: &zero, After: &one}},
	}
	if diff := cmp.Diff(want, ChangesBetween(before, after)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	same := ChangesBetween(after, after)
	if len(same.Findings)+len(same.Clients)+len(same.Groups)+len(same.Figures) != 0 {
		t.Errorf("a document differs from itself: %+v", same)
	}
}
