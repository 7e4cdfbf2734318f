// Package archtest keeps the shape of the project: who may import whom, where
// state may live, what may print, and that everything says what it is. Its
// test reads the source of the whole module and fails with the reason.
//
// It needs no build and no list of packages: it parses every file, whatever
// its build constraints, and resolves the names of the module's own packages.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Tree is the source of a module.
type Tree struct {
	Module   string
	Packages []*Package // in order of Path
	Fset     *token.FileSet
}

// Package is the source in one folder.
type Package struct {
	Path  string // inside the module, "." for its root
	Files []*File
	Info  *types.Info // of the files that are no tests

	types *types.Package
}

// File is one source file.
type File struct {
	Name  string // inside the module
	Test  bool
	Lines int
	AST   *ast.File
}

// Problem is a place that breaks a rule.
type Problem struct {
	Where string // file:line, or the path of a package
	What  string
}

// String is the form in which tests print it.
func (p Problem) String() string { return p.Where + ": " + p.What }

// Load parses the Go files under a folder. Folders named testdata and those
// whose names begin with a dot or underline are left out, as the go command
// does.
func Load(root fs.FS, module string) (*Tree, error) {
	t := &Tree{Module: module, Fset: token.NewFileSet()}
	byPath := map[string]*Package{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(t.Fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p := byPath[dir]
		if p == nil {
			p = &Package{Path: dir}
			byPath[dir] = p
			t.Packages = append(t.Packages, p)
		}
		p.Files = append(p.Files, &File{
			Name: name, Test: strings.HasSuffix(base, "_test.go"),
			Lines: strings.Count(string(src), "\n"), AST: f,
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the source: %w", err)
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	i := importer{tree: t, byPath: byPath}
	for _, p := range t.Packages {
		i.resolve(p)
	}
	return t, nil
}

// importer gives packages of the module from their source, and others without
// their contents.
type importer struct {
	tree   *Tree
	byPath map[string]*Package
}

// resolve finds what each identifier of a package stands for, as far as the
// module's own files tell. Other imports are empty, so some expressions have no
// type; errors about that, and about variants of a file for other builds, mean
// nothing.
func (i importer) resolve(p *Package) {
	if p.Info != nil {
		return
	}
	p.Info = &types.Info{
		Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
		Types: map[ast.Expr]types.TypeAndValue{},
	}
	var files []*ast.File
	for _, f := range p.Files {
		if !f.Test {
			files = append(files, f.AST)
		}
	}
	conf := types.Config{Importer: i, Error: func(error) {}, FakeImportC: true, DisableUnusedImportCheck: true}
	p.types, _ = conf.Check(i.tree.Module+"/"+p.Path, i.tree.Fset, files, p.Info)
}

// Import returns a package of the module, or an empty one whose name is the
// last element of its path.
func (i importer) Import(name string) (*types.Package, error) {
	if rel, inside := strings.CutPrefix(name, i.tree.Module+"/"); inside && i.byPath[rel] != nil {
		p := i.byPath[rel]
		i.resolve(p)
		if p.types != nil {
			return p.types, nil
		}
	}
	return hollow(name), nil
}

// hollow makes a package without its contents.
func hollow(p string) *types.Package {
	name := path.Base(p)
	if v := strings.TrimPrefix(name, "v"); v != name && v != "" && strings.Trim(v, "0123456789") == "" {
		name = path.Base(path.Dir(p)) // a major version
	}
	pkg := types.NewPackage(p, name)
	pkg.MarkComplete()
	return pkg
}

// Source returns the files of a package that are no tests.
func (p *Package) Source() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test })
}

// Imports returns the paths that a file imports.
func (f *File) Imports() []string {
	var paths []string
	for _, s := range f.AST.Imports {
		if p, err := strconv.Unquote(s.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// at is a problem at a node.
func (t *Tree) at(n ast.Node, format string, args ...any) Problem {
	pos := t.Fset.Position(n.Pos())
	return Problem{fmt.Sprintf("%s:%d", pos.Filename, pos.Line), fmt.Sprintf(format, args...)}
}

// under tells whether a package is one of some patterns: a path, or a path
// with /... for it and all below it.
func under(pkg string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		base, tree := strings.CutSuffix(pattern, "/...")
		return pkg == base || tree && strings.HasPrefix(pkg, base+"/")
	})
}
