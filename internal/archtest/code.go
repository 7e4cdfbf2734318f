package archtest

import (
	"go/ast"
	"go/types"
	"strings"
)

// CheckUses finds uses of names that are kept for other packages: functions
// and variables as path.Name, builtin functions as their name, goroutines as
// "go". Tests are free.
func CheckUses(t *Tree, reserved []Reserved) []Problem {
	var problems []Problem
	for _, p := range t.Packages {
		use := func(n ast.Node, what string) {
			for _, r := range reserved {
				match := r.What == what
				if prefix, ok := strings.CutSuffix(r.What, "*"); ok {
					match = strings.HasPrefix(what, prefix)
				}
				if match && !under(p.Path, r.Packages) {
					problems = append(problems, t.at(n, "%s must not use %s: %s", p.Path, what, r.Why))
				}
			}
		}
		for _, f := range p.Source() {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					use(n, "go")
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok {
						if pkg, ok := p.Info.Uses[x].(*types.PkgName); ok {
							use(n, pkg.Imported().Path()+"."+n.Sel.Name)
						}
					}
				case *ast.CallExpr:
					if x, ok := n.Fun.(*ast.Ident); ok {
						if b, ok := p.Info.Uses[x].(*types.Builtin); ok {
							use(n, b.Name())
						}
					}
				}
				return true
			})
		}
	}
	return problems
}

// CheckVariables finds package variables that are no constant tables: without
// a value, of a type that exists to change, or changed anywhere in the
// module. It finds init functions, too. What is allowed, as path.name, is so
// for a reason; an allowance that nothing needs is a problem.
func CheckVariables(t *Tree, allowed map[string]string) []Problem {
	var problems []Problem
	needed := map[string]bool{}
	report := func(p *Package, n ast.Node, name, format string, args ...any) {
		key := p.Path + "." + name
		needed[key] = true
		if allowed[key] == "" {
			problems = append(problems, t.at(n, format, args...))
		}
	}
	variables := map[string]bool{} // path.name
	for _, p := range t.Packages {
		for _, f := range p.Source() {
			for _, d := range f.AST.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						report(p, d, "init", "an init function: nothing happens before main but tables")
					}
				case *ast.GenDecl:
					for _, s := range d.Specs {
						v, ok := s.(*ast.ValueSpec)
						if !ok || d.Tok.String() != "var" {
							continue
						}
						for i, name := range v.Names {
							if name.Name == "_" {
								continue
							}
							variables[p.Path+"."+name.Name] = true
							switch {
							case len(v.Values) == 0 && !embedded(d, v):
								report(p, name, name.Name, "%s has no value: a package variable is a constant table", name.Name)
							case mutable(v.Type) || i < len(v.Values) && mutable(v.Values[i]):
								report(p, name, name.Name, "%s exists to change: state belongs to an owner", name.Name)
							}
						}
					}
				}
			}
		}
	}
	for _, p := range t.Packages {
		changed := func(n ast.Node, e ast.Expr) {
			if owner, name := p.root(t, e); variables[owner+"."+name] {
				report(&Package{Path: owner}, n, name, "%s.%s is changed: a package variable is a constant table", owner, name)
			}
		}
		for _, f := range p.Source() {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, e := range n.Lhs {
						changed(n, e)
					}
				case *ast.RangeStmt:
					for _, e := range []ast.Expr{n.Key, n.Value} {
						changed(n, e)
					}
				case *ast.IncDecStmt:
					changed(n, n.X)
				case *ast.UnaryExpr:
					if n.Op.String() == "&" {
						changed(n, n.X)
					}
				case *ast.CallExpr:
					if x, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 {
						if b, ok := p.Info.Uses[x].(*types.Builtin); ok && (b.Name() == "delete" || b.Name() == "clear" || b.Name() == "copy") {
							changed(n, n.Args[0])
						}
					}
				}
				return true
			})
		}
	}
	for key := range allowed {
		if !needed[key] {
			problems = append(problems, Problem{key, "is allowed and needs no allowance"})
		}
	}
	return problems
}

// root returns the package variable that an expression is, or is part of.
func (p *Package) root(t *Tree, e ast.Expr) (pkg, name string) {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok {
				if other, ok := p.Info.Uses[id].(*types.PkgName); ok {
					rel, _ := strings.CutPrefix(other.Imported().Path(), t.Module+"/")
					return rel, x.Sel.Name
				}
			}
			e = x.X
		case *ast.Ident:
			if v, ok := p.Info.Uses[x].(*types.Var); ok && v.Parent() == v.Pkg().Scope() {
				return p.Path, x.Name
			}
			return "", ""
		default:
			return "", ""
		}
	}
}

// mutable tells whether a type or value is made to be changed.
func mutable(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		return mutable(e.X)
	case *ast.CompositeLit:
		return mutable(e.Type)
	case *ast.IndexExpr: // atomic.Pointer[T]
		return mutable(e.X)
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && (x.Name == "sync" || x.Name == "atomic")
	case *ast.CallExpr:
		x, ok := e.Fun.(*ast.Ident)
		return ok && (x.Name == "new" || x.Name == "make")
	case *ast.ChanType:
		return true
	}
	return false
}

// embedded tells whether the value of a variable is a file.
func embedded(d *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}
