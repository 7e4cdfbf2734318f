package archtest

import (
	"go/ast"
	"go/token"
	"strings"
)

// CheckPackageComments finds packages that do not have exactly one package
// comment.
func CheckPackageComments(t *Tree) []Problem {
	var problems []Problem
	for _, p := range t.Packages {
		source := p.Source()
		var with []string
		for _, f := range source {
			if f.AST.Doc != nil {
				with = append(with, f.Name)
			}
		}
		switch {
		case len(source) == 0 || len(with) == 1:
		case len(with) == 0:
			problems = append(problems, Problem{p.Path, "has no package comment: say what it is, what it is not, who owns the bytes"})
		default:
			problems = append(problems, Problem{p.Path, "has more than one package comment: " + strings.Join(with, ", ")})
		}
	}
	return problems
}

// CheckLength finds source files of more than a number of lines.
func CheckLength(t *Tree, lines int) []Problem {
	var problems []Problem
	for _, p := range t.Packages {
		for _, f := range p.Source() {
			if f.Lines > lines {
				problems = append(problems, t.at(f.AST, "%d lines: a file is about one concept, in %d at most", f.Lines, lines))
			}
		}
	}
	return problems
}

// CheckDocumented finds exported identifiers that no comment explains. A
// comment on a group explains its constants and variables; the method Error
// is what its type says.
func CheckDocumented(t *Tree) []Problem {
	var problems []Problem
	for _, p := range t.Packages {
		for _, f := range p.Source() {
			if f.AST.Name.Name == "main" {
				continue
			}
			for _, d := range f.AST.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && (d.Recv == nil || d.Name.Name != "Error") {
						problems = append(problems, t.at(d, "%s is exported and not explained", d.Name.Name))
					}
				case *ast.GenDecl:
					for _, s := range d.Specs {
						if name := unexplained(d, s); name != nil {
							problems = append(problems, t.at(name, "%s is exported and not explained", name.Name))
						}
					}
				}
			}
		}
	}
	return problems
}

// unexplained returns an exported name of a declaration without a comment.
func unexplained(d *ast.GenDecl, s ast.Spec) *ast.Ident {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || d.Lparen != token.NoPos) {
			return s.Name
		}
	case *ast.ValueSpec:
		if d.Doc != nil || s.Doc != nil || s.Comment != nil {
			return nil
		}
		for _, name := range s.Names {
			if name.IsExported() {
				return name
			}
		}
	}
	return nil
}

// exportedReceiver tells whether a function is no method of a type that the
// package keeps to itself.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}
