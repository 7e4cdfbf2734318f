package device

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"mapiscope/internal/document"
)

// TestFieldsAreDocumented holds docs/device.md to the types: each field that
// is written as JSON stands there by its name.
func TestFieldsAreDocumented(t *testing.T) {
	raw, err := os.ReadFile("../../docs/device.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	for _, of := range []any{
		document.Event{}, document.Detail{}, document.EventContext{},
		Value{}, Field{}, ConnectionList{}, Row{}, ConnectionDetail{}, Detail{}, Pair{}, Accelerator{}, DynamicRules{}, Rule{}, Port{},
		Comparison{}, Summary{}, CompareRow{},
	} {
		typ := reflect.TypeOf(of)
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || f.Anonymous || name == "-" {
				continue
			}
			if name == "" || !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "."+name+"`") {
				t.Errorf("%s.%s: the page has no `%s`", typ, f.Name, name)
			}
		}
	}
}
