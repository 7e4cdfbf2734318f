package document

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mapiscope/internal/finding"
)

// fieldsDocument lists every field of the JSON document.
const fieldsDocument = "../../docs/json.md"

// objects returns the JSON names of the fields of each object of the
// document, by the path of the object where it stands first.
func objects() (paths []string, fields map[string][]string) {
	fields = map[string][]string{}
	seen := map[reflect.Type]bool{}
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer:
			walk(path, t.Elem())
			return
		case reflect.Slice:
			walk(path+"[]", t.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[t] {
			return
		}
		seen[t] = true
		paths = append(paths, path)
		below := map[string]reflect.Type{}
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || name == "-" {
				continue
			}
			fields[path] = append(fields[path], name)
			below[name] = f.Type
		}
		for _, name := range fields[path] {
			walk(strings.TrimPrefix(path+"."+name, "."), below[name])
		}
	}
	walk("", reflect.TypeFor[Document]())
	return paths, fields
}

// TestFieldsAreDocumented holds the list of fields to the types.
func TestFieldsAreDocumented(t *testing.T) {
	raw, err := os.ReadFile(fieldsDocument)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string][]string{}
	path, inside := "", false
	for line := range strings.Lines(string(raw)) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			path = strings.Trim(heading, "`\n")
			inside = strings.HasPrefix(heading, "`")
			if path == "document" {
				path = ""
			}
		}
		if cells := strings.Split(line, "|"); inside && len(cells) >= 4 && strings.HasPrefix(cells[1], " `") {
			for name := range strings.SplitSeq(cells[1], ",") {
				listed[path] = append(listed[path], strings.Trim(name, " `"))
			}
		}
	}
	paths, fields := objects()
	for _, p := range paths {
		if !slices.Equal(listed[p], fields[p]) {
			for _, name := range fields[p] {
				if !slices.Contains(listed[p], name) {
					t.Errorf("%q: field %q is not explained", p, name)
				}
			}
			for _, name := range listed[p] {
				if !slices.Contains(fields[p], name) {
					t.Errorf("%q: field %q is explained and not there", p, name)
				}
			}
		}
		delete(listed, p)
	}
	for p := range listed {
		t.Errorf("%q is explained and no object of the document", p)
	}
}

// TestFindingsAreDocumented holds the table of the README to the rules.
func TestFindingsAreDocumented(t *testing.T) {
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{} // severity by code
	for line := range strings.Lines(string(raw)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[1], " `") {
			for code := range strings.SplitSeq(cells[1], ",") {
				listed[strings.Trim(code, " `")] = strings.TrimSpace(cells[2])
			}
		}
	}
	for code, severity := range finding.Severities() {
		if listed[string(code)] != string(severity) {
			t.Errorf("%s, %s, is not in the table of the README", code, severity)
		}
		delete(listed, string(code))
	}
	for code := range listed {
		t.Errorf("%s is in the table of the README and no rule gives it", code)
	}
}
