package archtest

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// small loads a module named m from the text of its files.
func small(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	root := fstest.MapFS{}
	for name, src := range files {
		root[name] = &fstest.MapFile{Data: []byte(src)}
	}
	tree, err := Load(root, "m")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestChecks shows for each rule source that breaks it and source that is
// near to that and does not.
func TestChecks(t *testing.T) {
	layers := func(tree *Tree) []Problem {
		return CheckLayers(tree, []Layer{{"a", nil, "a is low"}, {"b", []string{"a"}, "b is high"}})
	}
	reserved := func(tree *Tree) []Problem {
		return CheckReserved(tree, []Reserved{
			{"example.org/x/...", []string{"a", "cmd/..."}, false, "only a knows x"},
			{"flag", []string{"cmd/..."}, true, "only cmd has flags"},
		})
	}
	uses := func(tree *Tree) []Problem {
		return CheckUses(tree, []Reserved{
			{What: "fmt.Print*", Packages: []string{"cmd/..."}, Why: "only cmd prints"},
			{What: "time.Now", Why: "no clock"},
			{What: "println", Why: "never"},
			{What: "go", Packages: []string{"b"}, Why: "only b runs things"},
		})
	}
	variables := func(tree *Tree) []Problem {
		return CheckVariables(tree, map[string]string{"b.pool": "a pool"})
	}
	assignments := func(tree *Tree) []Problem {
		return CheckAssignments(tree, map[string]string{"a.Options from b": "options"})
	}
	const types = `package a
// T, Options and the like.
type T struct { N int; In In; P *In; S []In; M map[int]int; A [2]int }
type In struct { N int }
type Options struct { N int }
`
	const options = "package b\nimport \"m/a\"\nfunc o(o *a.Options) { o.N = 1 }\n"
	const pool = "package b\nimport \"sync\"\nvar pool = sync.Pool{}\n"
	for _, row := range []struct {
		name  string
		check func(*Tree) []Problem
		files map[string]string
		want  []string
	}{
		{"layers kept", layers, map[string]string{
			"a/a.go": "package a\nimport \"fmt\"", "b/b.go": "package b\nimport \"m/a\"",
		}, nil},
		{"layers turned round", layers, map[string]string{
			"a/a.go": "package a\nimport _ \"m/b\"", "b/b.go": "package b",
		}, []string{"a/a.go:2: a must not import b: a is low"}},
		{"layers turned round in another build", layers, map[string]string{
			"a/a.go": "package a", "a/a_windows.go": "//go:build ignore\n\npackage a\nimport \"m/b\"", "b/b.go": "package b",
		}, []string{"a/a_windows.go:4: a must not import b: a is low"}},
		{"a test may look up", layers, map[string]string{
			"a/a.go": "package a", "a/a_test.go": "package a\nimport \"m/b\"", "b/b.go": "package b",
		}, nil},
		{"a package without a layer", layers, map[string]string{
			"a/a.go": "package a", "b/b.go": "package b", "c/c.go": "package c",
		}, []string{"c: has no layer: say in the table what it may import, and why"}},
		{"a layer without a package", layers, map[string]string{"a/a.go": "package a"},
			[]string{"b: has a layer and no source"}},

		{"a dependency of those who may", reserved, map[string]string{
			"a/a.go": "package a\nimport \"example.org/x/y\"", "cmd/p/p.go": "package main\nimport (\"example.org/x\"; \"flag\")",
		}, nil},
		{"a dependency of others", reserved, map[string]string{"b/b.go": "package b\nimport \"example.org/x/y\""},
			[]string{"b/b.go:2: b must not import example.org/x/y: only a knows x"}},
		{"a dependency of tests", reserved, map[string]string{"b/b_test.go": "package b\nimport \"example.org/x/y\""}, nil},
		{"not even tests", reserved, map[string]string{"b/b_test.go": "package b\nimport \"flag\""},
			[]string{"b/b_test.go:2: b must not import flag: only cmd has flags"}},
		{"a dependency without a rule", reserved, map[string]string{"b/b.go": "package b\nimport \"example.org/xy\""},
			[]string{"b/b.go:2: example.org/xy is a dependency that no rule names"}},

		{"prints", uses, map[string]string{
			"a/a.go":     "package a\nimport \"fmt\"\nfunc f() {\n\tfmt.Printf(\"\")\n\tfmt.Sprintf(\"\")\n}",
			"cmd/p/p.go": "package main\nimport \"fmt\"\nfunc main() { fmt.Println() }",
		}, []string{"a/a.go:4: a must not use fmt.Printf: only cmd prints"}},
		{"under another name", uses, map[string]string{
			"a/a.go": "package a\nimport clock \"time\"\nvar f = clock.Now",
		}, []string{"a/a.go:3: a must not use time.Now: no clock"}},
		{"names that only look alike", uses, map[string]string{
			"a/a.go": "package a\ntype T struct{ Now, Println func() }\nfunc f(time, fmt T) { time.Now(); fmt.Println(); println := func() {}; println() }",
		}, nil},
		{"builtin", uses, map[string]string{"a/a.go": "package a\nfunc f() { println() }"},
			[]string{"a/a.go:2: a must not use println: never"}},
		{"goroutines", uses, map[string]string{
			"a/a.go": "package a\nfunc f() { go f() }", "b/b.go": "package b\nfunc f() { go f() }",
		}, []string{"a/a.go:2: a must not use go: only b runs things"}},

		{"tables", variables, map[string]string{"b/b.go": pool, "a/a.go": `package a
import ("embed"; "errors")
var ErrX = errors.New("x")
var _ error = ErrX
var names = map[int]string{1: "a"}
//go:embed a.go
var file string
func f(i int) string { names := map[int]string{}; names[i] = file; names = nil; return names[i] }
func g() { v := names[1]; v = v + "x" }`}, nil},
		{"no value", variables, map[string]string{"b/b.go": pool, "a/a.go": "package a\nvar n int"},
			[]string{"a/a.go:2: n has no value: a package variable is a constant table"}},
		{"made to change", variables, map[string]string{"b/b.go": pool, "a/a.go": "package a\nimport \"sync\"\nvar mu = &sync.Mutex{}\nvar c = make(chan int)\nvar m sync.Map = sync.Map{}"},
			[]string{"a/a.go:3: mu exists to change: state belongs to an owner", "a/a.go:4: c exists to change: state belongs to an owner", "a/a.go:5: m exists to change: state belongs to an owner"}},
		{"changed here", variables, map[string]string{"b/b.go": pool, "a/a.go": `package a
var t, u, v, w, x, y = []int{1}, map[int]int{1: 1}, 1, struct{ n int }{}, 5, []int{2}
func f() {
	t[0] = 1
	delete(u, 1)
	v++
	p := &w.n
	for x = range 3 {}
	copy(y[1:], t)
	_ = p
}`}, []string{
			"a/a.go:4: a.t is changed: a package variable is a constant table",
			"a/a.go:5: a.u is changed: a package variable is a constant table",
			"a/a.go:6: a.v is changed: a package variable is a constant table",
			"a/a.go:7: a.w is changed: a package variable is a constant table",
			"a/a.go:8: a.x is changed: a package variable is a constant table",
			"a/a.go:9: a.y is changed: a package variable is a constant table",
		}},
		{"changed elsewhere", variables, map[string]string{
			"b/b.go": pool, "a/a.go": "package a\nvar N = 1", "c/c.go": "package c\nimport \"m/a\"\nfunc f() { a.N = 2 }",
		}, []string{"c/c.go:3: a.N is changed: a package variable is a constant table"}},
		{"init", variables, map[string]string{"b/b.go": pool, "a/a.go": "package a\ntype T int\nfunc (T) init() {}\nfunc init() {}"},
			[]string{"a/a.go:4: an init function: nothing happens before main but tables"}},
		{"an allowance too many", variables, map[string]string{"a/a.go": "package a"},
			[]string{"b.pool: is allowed and needs no allowance"}},

		{"a copy of one's own", assignments, map[string]string{"a/a.go": types, "b/b.go": options, "b/c.go": `package b
import "m/a"
type own struct { t a.T; a.In; n int }
func f(t a.T, o *own, p *a.T) int {
	t.N, t.In.N, t.A[1] = 1, 2, 3
	t.N++
	o.t.N, o.t.In.N, o.In.N, o.N, o.n = 1, 2, 3, 4, 5
	u := a.T{N: 1}
	u.N = p.N
	p = &u
	*p = a.T{}
	for t.N = range 3 {}
	return u.N
}`}, nil},
		{"what is shared", assignments, map[string]string{"a/a.go": types + "func (t *T) set() { t.N = 1 }", "b/b.go": options, "b/c.go": `package b
import "m/a"
type own struct { p *a.T; *a.In }
func f(t a.T, o *own, p *a.T, s []a.T) {
	p.N = 1
	p.In.N++
	t.P.N = 1
	t.S[0].N = 1
	t.M[1] = 1
	s[0].N = 1
	o.p.N = 1
	o.N = 1
	(*p).N = 1
	for p.N = range 3 {}
}`}, []string{
			"b/c.go:5: b assigns to N of a.T: who makes a value fills it in",
			"b/c.go:6: b assigns to In of a.T: who makes a value fills it in",
			"b/c.go:7: b assigns to N of a.In: who makes a value fills it in",
			"b/c.go:8: b assigns to N of a.In: who makes a value fills it in",
			"b/c.go:9: b assigns to M of a.T: who makes a value fills it in",
			"b/c.go:10: b assigns to N of a.T: who makes a value fills it in",
			"b/c.go:11: b assigns to N of a.T: who makes a value fills it in",
			"b/c.go:12: b assigns to N of a.In: who makes a value fills it in",
			"b/c.go:13: b assigns to N of a.T: who makes a value fills it in",
			"b/c.go:14: b assigns to N of a.T: who makes a value fills it in",
		}},
		{"an allowance that nothing needs", assignments, map[string]string{"a/a.go": "package a"},
			[]string{"a.Options from b: is allowed and needs no allowance"}},

		{"one package comment", CheckPackageComments, map[string]string{
			"a/a.go": "// Package a is one.\npackage a", "a/b.go": "// about a file\n\npackage a", "a/a_test.go": "// Package a again.\npackage a",
		}, nil},
		{"no package comment", CheckPackageComments, map[string]string{"a/a.go": "package a"},
			[]string{"a: has no package comment: say what it is, what it is not, who owns the bytes"}},
		{"two package comments", CheckPackageComments, map[string]string{
			"a/a.go": "// Package a is one.\npackage a", "a/b.go": "// Package a is two.\npackage a",
		}, []string{"a: has more than one package comment: a/a.go, a/b.go"}},

		{"length", func(tree *Tree) []Problem { return CheckLength(tree, 3) }, map[string]string{
			"a/a.go": "package a\n\n\n", "a/b.go": "package a\n\n\n\n", "a/a_test.go": "package a\n\n\n\n",
		}, []string{"a/b.go:1: 4 lines: a file is about one concept, in 3 at most"}},

		{"explained", CheckDocumented, map[string]string{"a/a.go": `package a
// These are colours.
const ( Red = 1; Green = 2 )
var N = 1 // is a number
// T is a type.
type T struct{}
func (T) Error() string { return "" }
type hidden struct{}
func (hidden) String() string { return "" }
func f() {}
`, "cmd/p/p.go": "package main\nfunc Exported() {}"}, nil},
		{"not explained", CheckDocumented, map[string]string{"a/a.go": `package a
const Red = 1
var ( hidden = 1
N = 1 )
// Types.
type ( T struct{}
U int // is explained
)
func F() {}
func (*T) M() {}
type G[K any] struct{} // is explained
func (G[K]) M() {}
`}, []string{
			"a/a.go:2: Red is exported and not explained", "a/a.go:4: N is exported and not explained",
			"a/a.go:6: T is exported and not explained", "a/a.go:9: F is exported and not explained",
			"a/a.go:10: M is exported and not explained", "a/a.go:12: M is exported and not explained",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			for _, p := range row.check(small(t, row.files)) {
				got = append(got, p.String())
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(row.want, "\n"))
			}
		})
	}
}

func TestLoadLeavesOutWhatGoLeavesOut(t *testing.T) {
	tree := small(t, map[string]string{
		"a/a.go": "package a", "a/testdata/b.go": "not Go", ".x/c.go": "not Go", "_y/d.go": "not Go", "a/e.txt": "not Go",
	})
	if len(tree.Packages) != 1 || tree.Packages[0].Path != "a" || len(tree.Packages[0].Files) != 1 {
		t.Errorf("loaded %+v", tree.Packages)
	}
}

func TestLoadRefusesWhatIsNoGo(t *testing.T) {
	if _, err := Load(fstest.MapFS{"a/a.go": {Data: []byte("package")}}, "m"); err == nil {
		t.Error("no error")
	}
}
