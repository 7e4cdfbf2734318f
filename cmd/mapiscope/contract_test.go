package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// contractCaptures are the captures that the contract is held against: the
// scenes, the shipped captures and, where it is, the corpus.
func contractCaptures(t *testing.T) (paths []string, corpus bool) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(scenes)) {
		path := filepath.Join(dir, name+".pcapng")
		if err := os.WriteFile(path, scenes[name]().Pcapng(), 0o666); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	root := os.Getenv("MAPISCOPE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "captures")
	}
	for _, pattern := range []string{filepath.Join("..", "..", "pcaps", "*.pcap*"), filepath.Join(root, "lab", "*.pcap*"), filepath.Join(root, "public", "*.*cap*")} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, files...)
		corpus = len(files) > 0
	}
	return paths, corpus
}

// output runs a report and returns what it writes.
func output(t *testing.T, args ...string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(append([]string{"report"}, args...), strings.NewReader(""), &stdout, &stderr); status != statusDone && status != statusDamaged {
		t.Fatalf("%v: status %d: %s", args, status, &stderr)
	}
	return stdout.Bytes()
}

// object reads a JSON object, its numbers as they are written.
func object(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("something stands behind the object: %v", err)
	}
	return v
}

func TestContract(t *testing.T) {
	paths, corpus := contractCaptures(t)
	seen := map[string]bool{}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			doc := object(t, output(t, "-o", "json", "--all-connections", path))
			for _, row := range contract {
				visit(t, doc, row.path, row.path, func(v any) {
					if v == nil && strings.HasSuffix(row.kind, "?") {
						return
					}
					seen[row.path] = true
					if problem := is(v, strings.TrimSuffix(row.kind, "?")); problem != "" {
						t.Errorf("%s: %s", row.path, problem)
					}
				})
			}
			checkFigures(t, doc)
			checkWords(t, doc, "")
			checkSense(t, doc)
		})
	}
	if !corpus {
		t.Skip("without the corpus of captures not every field has a value; set MAPISCOPE_CORPUS")
	}
	for _, row := range contract {
		if !seen[row.path] {
			t.Errorf("no capture has a value for %s: nothing shows that it is right", row.path)
		}
	}
}

// visit calls f with each value at a path.
func visit(t *testing.T, v any, path, whole string, f func(any)) {
	t.Helper()
	head, rest, more := strings.Cut(path, ".")
	name, list := strings.CutSuffix(head, "[]")
	m, ok := v.(map[string]any)
	if !ok {
		if v != nil { // what is below null does not exist
			t.Errorf("%s: %v is no object", whole, v)
		}
		return
	}
	inner, ok := m[name]
	if !ok {
		t.Errorf("%s: there is no %q", whole, name)
		return
	}
	values := []any{inner}
	if list {
		if values, ok = inner.([]any); !ok {
			t.Errorf("%s: %q is no list but %v", whole, name, inner)
			return
		}
	}
	for _, v := range values {
		if more {
			visit(t, v, rest, whole, f)
		} else {
			f(v)
		}
	}
}

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$`)
)

// is says what is wrong with a value of a kind, if anything is.
func is(v any, kind string) string {
	text, isText := v.(string)
	ok := isText
	switch kind {
	case "text":
	case "int":
		var n json.Number
		if n, ok = v.(json.Number); ok {
			_, err := n.Int64()
			ok = err == nil
		}
	case "bool":
		_, ok = v.(bool)
	case "object":
		_, ok = v.(map[string]any)
	case "time":
		_, err := time.Parse(time.RFC3339Nano, text)
		ok = err == nil && timeForm.MatchString(text)
	case "uuid":
		ok = uuidForm.MatchString(text)
	case "ip":
		_, err := netip.ParseAddr(text)
		ok = err == nil
	case "packet":
		var m map[string]any
		if m, ok = v.(map[string]any); ok {
			capture, packet := is(m["capture"], "int"), is(m["packet"], "int")
			ok = len(m) == 2 && capture == "" && packet == "" && fmt.Sprint(m["packet"]) > "0"
		}
	default:
		words, _ := strings.CutPrefix(kind, "=")
		ok = isText && slices.Contains(strings.Split(words, "|"), text)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("%#v is not %s", v, kind)
}

func checkFigures(t *testing.T, doc map[string]any) {
	t.Helper()
	for name, list := range figures {
		for _, figure := range strings.Fields(list) {
			path := "accelerators." + name + "." + figure
			visit(t, doc, path, path, func(v any) {
				f, ok := v.(map[string]any)
				if !ok {
					t.Errorf("%s: %v", path, v)
					return
				}
				if p := is(f["quality"], "=exact|heuristic|lower_bound|unavailable"); p != "" {
					t.Errorf("%s: %s", path, p)
				}
				if (f["value"] == nil) != (f["quality"] == "unavailable") {
					t.Errorf("%s: value %v of quality %v", path, f["value"], f["quality"])
				}
				if f["value"] != nil && is(f["value"], "int") != "" {
					t.Errorf("%s: %v", path, f["value"])
				}
				if f["why"] == "" || is(f["why"], "text") != "" {
					t.Errorf("%s: it does not say why", path)
				}
			})
		}
	}
}

// checkWords holds the rules of form for every field, whether the contract
// names it or not.
func checkWords(t *testing.T, v any, path string) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if name != strings.ToLower(name) || strings.ContainsAny(name, "- ") {
				t.Errorf("%s.%s is not snake_case", path, name)
			}
			checkWords(t, inner, path+"."+name)
		}
	case []any:
		for _, inner := range v {
			checkWords(t, inner, path+"[]")
		}
	case json.Number:
		if _, err := v.Int64(); err != nil {
			t.Errorf("%s: %s is no integer", path, v)
		}
	}
}

// checkSense holds what the contract says about how fields belong together.
func checkSense(t *testing.T, doc map[string]any) {
	t.Helper()
	num := func(v any) int64 {
		n, err := v.(json.Number).Int64()
		if err != nil {
			t.Error(err)
		}
		return n
	}
	l := doc["ledger"].(map[string]any)
	if num(l["captured_payload"]) != num(l["delivered"])+num(l["duplicate"])+num(l["out_of_window"])+num(l["skipped"]) {
		t.Errorf("ledger: %v", l)
	}
	conns := doc["connections"].([]any)
	for i, v := range conns {
		c := v.(map[string]any)
		if num(c["id"]) != int64(i)+1 {
			t.Errorf("connection %d has id %v", i+1, c["id"])
		}
		if !strings.HasPrefix(c["community_id"].(string), "1:") {
			t.Errorf("community_id %v", c["community_id"])
		}
		if s := c["service"]; (c["mapi"] != nil) != (s == "mapi" || s == "mapi_async") {
			t.Errorf("connection %d: service %v, mapi %v", i+1, s, c["mapi"])
		}
	}
	groups := doc["association_groups"].([]any)
	within := func(what string, ids any, count int) {
		for _, id := range ids.([]any) {
			if n := num(id); n < 1 || n > int64(count) {
				t.Errorf("%s: there is no %d", what, n)
			}
		}
	}
	for i, v := range groups {
		g := v.(map[string]any)
		if num(g["id"]) != int64(i)+1 {
			t.Errorf("group %d has id %v", i+1, g["id"])
		}
		within("connections of a group", g["connections"], len(conns))
	}
	tally := map[string]int64{}
	for _, v := range doc["findings"].([]any) {
		f := v.(map[string]any)
		code, severity := f["code"].(string), f["severity"].(string)
		tally[severity]++
		if findings[code] != severity {
			t.Errorf("finding %s of severity %s, the contract says %q", code, severity, findings[code])
		}
		within("connections of a finding", f["connections"], len(conns))
		within("groups of a finding", f["groups"], len(groups))
		for _, field := range []string{"title", "detail", "advice"} {
			if f[field] == "" {
				t.Errorf("%s has no %s", code, field)
			}
		}
	}
	for severity, n := range doc["totals"].(map[string]any)["findings"].(map[string]any) {
		if num(n) != tally[severity] {
			t.Errorf("totals.findings.%s is %v, there are %d", severity, n, tally[severity])
		}
	}
	for _, v := range doc["captures"].([]any) {
		c := v.(map[string]any)
		if (num(c["packets"]) == num(c["untimed_packets"])) != (c["first"] == nil) || (c["first"] == nil) != (c["last"] == nil) {
			t.Errorf("capture of %v packets from %v to %v", c["packets"], c["first"], c["last"])
		}
	}
}
