package run

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

// TestSamePacketsTwice gives captures twice: what is said of connections,
// groups and escapes is what is said of one.
func TestSamePacketsTwice(t *testing.T) {
	type row struct {
		Ports             string
		Bytes, Gap, Again string
		Service, Verdict  string
		Escaped           bool
	}
	rows := func(doc *document.Document) (all []row) {
		for i := range doc.Connections {
			c := &doc.Connections[i]
			all = append(all, row{
				Ports: fmt.Sprint(c.Client.Port, c.Server.Port), Bytes: fmt.Sprint(c.Bytes), Gap: fmt.Sprint(c.GapBytes), Again: fmt.Sprint(c.Retransmitted),
				Service: c.Service, Verdict: c.Optimizer.Verdict, Escaped: c.Escaped != nil,
			})
		}
		return all
	}
	codes := func(doc *document.Document) (all []string) {
		for _, f := range doc.Findings {
			all = append(all, fmt.Sprint(f.Code, f.Connections, f.Groups))
		}
		return all
	}
	names, err := filepath.Glob("../../pcaps/*.pcap")
	if err != nil || len(names) == 0 {
		t.Fatal("no captures", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			other := filepath.Join(t.TempDir(), "copy.pcap")
			if err := os.WriteFile(other, b, 0o666); err != nil {
				t.Fatal(err)
			}
			once := analyse(t, 2, name)
			for _, paths := range [][]string{{name, name}, {other, name}, {name, other, name}} {
				twice := analyse(t, 2, paths...)
				checkLedger(t, twice)
				if diff := cmp.Diff(rows(once), rows(twice)); diff != "" {
					t.Errorf("connections of %d copies (-once +twice):\n%s", len(paths), diff)
				}
				if diff := cmp.Diff(codes(once), codes(twice)); diff != "" {
					t.Errorf("findings of %d copies (-once +twice):\n%s", len(paths), diff)
				}
				if once.Totals.TCPConnections != twice.Totals.TCPConnections || len(once.AssociationGroups) != len(twice.AssociationGroups) {
					t.Errorf("%d connections and %d groups became %d and %d", once.Totals.TCPConnections, len(once.AssociationGroups),
						twice.Totals.TCPConnections, len(twice.AssociationGroups))
				}
				if !slices.Equal(rows(twice), rows(analyse(t, 1, paths...))) {
					t.Error("it depends on the number of workers")
				}
			}
		})
	}
}
