package report

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

// TestIndent compares with what json.Indent makes, of odd values and of the
// whole documents.
func TestIndent(t *testing.T) {
	rows := map[string][]byte{
		"empty":   []byte(`{"a":{},"b":[],"c":[[],{}],"d":""}`),
		"strings": []byte(`["{","}",",:[","\"","\\","\\\"","\u007f",""]`),
		"scalars": []byte(`[1,-2.5e9,true,false,null]`),
		"alone":   []byte(`"x"`),
	}
	for name, doc := range map[string]*document.Document{
		"sample": sample(), "hostile": scene(t, hostile(), "hostile.pcap"), "crowd": scene(t, crowd(), "crowd.pcap"),
	} {
		compact, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		rows[name] = compact
	}
	for name, compact := range rows {
		t.Run(name, func(t *testing.T) {
			var want bytes.Buffer
			if err := json.Indent(&want, compact, "    ", "  "); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.String(), string(appendIndented(nil, compact, "    "))); d != "" {
				t.Errorf("(-json.Indent +appendIndented):\n%s", d)
			}
		})
	}
}
