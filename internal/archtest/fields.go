package archtest

import (
	"go/ast"
	"go/types"
	"strings"
)

// CheckAssignments finds assignments to fields of other packages' types. Data
// flows one way: who gets a value may keep it, and makes a new one to say more.
// Composite literals are fine, and so is filling in a copy of one's own: a local
// variable, or a field of an own type, that holds the value itself. What is
// allowed, as "path.Type from path", is so for a reason; an allowance that nothing
// needs is a problem. Tests are free.
func CheckAssignments(t *Tree, allowed map[string]string) []Problem {
	var problems []Problem
	needed := map[string]bool{}
	for _, p := range t.Packages {
		assigned := func(n ast.Node, e ast.Expr) {
			owner, field := p.foreign(t, e)
			if owner == "" {
				return
			}
			key := owner + " from " + p.Path
			needed[key] = true
			if allowed[key] == "" {
				problems = append(problems, t.at(n, "%s assigns to %s of %s: who makes a value fills it in", p.Path, field, owner))
			}
		}
		for _, f := range p.Source() {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, e := range n.Lhs {
						assigned(n, e)
					}
				case *ast.RangeStmt:
					for _, e := range []ast.Expr{n.Key, n.Value} {
						assigned(n, e)
					}
				case *ast.IncDecStmt:
					assigned(n, n.X)
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

// foreign returns the type of another package of the module whose field an
// expression is, or is part of, unless that is a copy of one's own, and the name
// of the field; "" for none.
func (p *Package) foreign(t *Tree, e ast.Expr) (owner, field string) {
	shared := false // what was walked so far is an element of a slice or map
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			if owner != "" {
				return owner, field
			}
			e = x.X
		case *ast.IndexExpr:
			if _, array := underlying(p.Info.Types[x.X].Type).(*types.Array); !array {
				if owner != "" {
					return owner, field
				}
				shared = true
			}
			e = x.X
		case *ast.SelectorExpr:
			s := p.Info.Selections[x]
			if s == nil || s.Kind() != types.FieldVal {
				return "", ""
			}
			rel, inside := strings.CutPrefix(s.Obj().Pkg().Path(), t.Module+"/")
			if !inside || rel == p.Path {
				return "", ""
			}
			name, reached := p.holder(s)
			owner, field = rel+"."+name, s.Obj().Name()
			if shared || reached {
				return owner, field
			}
			e = x.X
		default:
			return "", ""
		}
	}
}

func underlying(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	return t.Underlying()
}

// holder names the type that declares the field of a selection, of one that is
// promoted the last of those embedded, and says whether it is reached through a
// pointer or is held by an own type.
func (p *Package) holder(s *types.Selection) (name string, reached bool) {
	at := s.Recv()
	for i, index := range s.Index() {
		if ptr, ok := at.Underlying().(*types.Pointer); ok {
			at, reached = ptr.Elem(), true
		}
		named, ok := types.Unalias(at).(*types.Named)
		if ok && named.Obj().Pkg() == p.types {
			reached = false
		}
		if i == len(s.Index())-1 {
			if ok {
				return named.Obj().Name(), reached
			}
			break
		}
		if st, ok := at.Underlying().(*types.Struct); ok {
			at = st.Field(index).Type()
		}
	}
	return "struct", reached
}
