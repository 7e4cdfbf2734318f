package epm

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

var (
	mapper = netip.MustParseAddr("10.77.2.30")
	other  = netip.MustParseAddr("10.88.2.30")
	mark   = func(n int64) wire.Mark { return wire.Mark{Time: n, Packet: n} }
)

// rows shows entries as "server:port interface.minor xcount annotation packet".
func rows(entries []*Entry) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, fmt.Sprintf("%v:%d %s v%d.%d x%d %q %s %d", e.Server, e.Port, e.Interface.String()[:8], e.Major, e.Minor, e.Count, e.Annotation, e.From, e.Mark.Packet))
	}
	return out
}

func TestLedger(t *testing.T) {
	var l Ledger
	if got := l.Lookup(mapper, 135); got != nil || len(l.All()) != 0 {
		t.Errorf("an empty ledger knows %v", got)
	}
	add := func(packet int64, server, address netip.Addr, port uint16, id wire.UUID, annotation string) {
		l.Add(Answer{Server: server, Address: address, Port: port, Interface: id, Minor: 81, Annotation: annotation, From: "ept_map", Mark: mark(packet)})
	}
	add(1, mapper, netip.IPv4Unspecified(), 59531, emsmdbID, "")
	add(2, mapper, netip.Addr{}, 59531, emsmdbID, "store") // the same row, now with an annotation
	add(3, mapper, other, 59532, nspiID, "")               // the address of another interface
	add(4, other, other, 59531, emsmdbID, "")
	add(5, mapper, mapper, 59531, samrID, "")

	emsmdb := `10.77.2.30:59531 a4f1db00 v0.81 x2 "store" ept_map 1`
	samr := `10.77.2.30:59531 12345778 v0.81 x1 "" ept_map 5`
	nspi := `10.77.2.30:59532 f5cc5a18 v0.81 x1 "" ept_map 3`
	second := `10.88.2.30:59531 a4f1db00 v0.81 x1 "" ept_map 4`
	tests := []struct {
		name   string
		server netip.Addr
		port   uint16
		want   []string
	}{
		{"0.0.0.0 means the mapper", mapper, 59531, []string{emsmdb, samr}},
		{"the mapper's own address", mapper, 59532, []string{nspi}},
		{"the address that the tower names", other, 59532, []string{nspi}},
		{"another server", other, 59531, []string{second}},
		{"unknown port", mapper, 1, []string{}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, rows(l.Lookup(tt.server, tt.port))); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	if d := cmp.Diff([]string{samr, emsmdb, nspi, second}, rows(l.All())); d != "" {
		t.Errorf("All (-want +got):\n%s", d)
	}
}

func TestLedgerIsBounded(t *testing.T) {
	var l Ledger
	for i := range maxEntries + 10 {
		l.Add(Answer{Server: mapper, Port: uint16(i), Interface: emsmdbID, Major: uint16(i >> 16)})
	}
	if len(l.All()) != maxEntries || l.Dropped() != 10 {
		t.Errorf("%d rows, %d dropped", len(l.All()), l.Dropped())
	}
	l = Ledger{}
	for i := range maxPerPort + 10 {
		l.Add(Answer{Server: mapper, Port: 1, Major: uint16(i)})
	}
	if got := len(l.Lookup(mapper, 1)); got != maxPerPort {
		t.Errorf("%d rows of one end point", got)
	}
}
