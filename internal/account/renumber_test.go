package account

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRenumbered fills every number of a connection and of a group in a
// document, at whatever depth, and finds each changed: a field that holds one
// and is forgotten in Renumbered fails here, as its name tells what it holds.
func TestRenumbered(t *testing.T) {
	const conn, group = 7, 5
	// The JSON names of fields that hold numbers, and of which kind.
	kinds := map[string]int{
		"connections[].id": conn, "association_groups[].id": group, "endpoints[].flows": conn,
		"association_groups[].connections": conn, "association_groups[].inferred": conn, "association_groups[].escaped": conn,
		"association_groups[].optimizer_pairs[].connections": conn, "connections[].assoc_group.group": group, "connections[].escaped.group": group,
		"encryption[].connections": conn, "encryption[].changes[].connection": conn, "kerberos_errors[].connection": conn,
		"findings[].connections": conn, "findings[].groups": group,
	}
	paths := map[string]bool{}
	var fill func(path string, v reflect.Value)
	fill = func(path string, v reflect.Value) {
		if n := kinds[path]; n != 0 {
			paths[path] = true
			switch {
			case v.Kind() == reflect.Slice:
				v.Set(reflect.ValueOf([]int{n, n}))
			case v.Kind() == reflect.Pointer:
				v.Set(reflect.ValueOf(&n))
			default:
				v.SetInt(int64(n))
			}
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			if v.CanSet() && v.Type().Elem().Kind() == reflect.Struct {
				v.Set(reflect.New(v.Type().Elem()))
				fill(path, v.Elem())
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() == reflect.Struct {
				v.Set(reflect.MakeSlice(v.Type(), 1, 1))
				fill(path+"[]", v.Index(0))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if tag := v.Type().Field(i).Tag.Get("json"); tag != "" && tag != "-" {
					below := tag
					if path != "" {
						below = path + "." + tag
					}
					fill(below, v.Field(i))
				}
			}
		}
	}
	var doc Document
	fill("", reflect.ValueOf(&doc).Elem())
	for path := range kinds {
		if !paths[path] {
			t.Errorf("the document has no field %s", path)
		}
	}
	doc.Events = []Event{{Connection: conn, Detail: Detail{Group: ptr(group)}}}
	before, err := json.Marshal(&doc)
	if err != nil {
		t.Fatal(err)
	}
	add := func(n int) func(int) int { return func(id int) int { return id + n } }
	got := doc.Renumbered(add(100), add(200))
	if got.Events[0].Connection != conn+100 || *got.Events[0].Group != group+200 {
		t.Errorf("event is %+v", got.Events[0])
	}
	if after, _ := json.Marshal(&doc); string(after) != string(before) {
		t.Errorf("the document itself changed:\n%s", cmp.Diff(string(before), string(after)))
	}
	if diff := cmp.Diff(&doc, got.Renumbered(add(-100), add(-200)), cmp.AllowUnexported(MAPI{})); diff != "" {
		t.Errorf("there and back:\n%s", diff)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, below := range v {
				walk(path+"."+name, below)
			}
		case []any:
			for _, below := range v {
				walk(path+"[]", below)
			}
		case float64:
			if v == conn || v == group {
				t.Errorf("%s kept its number", path)
			}
		}
	}
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	walk("", tree)
}
