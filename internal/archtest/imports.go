package archtest

import (
	"slices"
	"strings"
)

// Layer says which packages of the module a package may import, and why not
// more. Tests of a package may import what they need.
type Layer struct {
	Path    string
	Imports []string
	Why     string
}

// Reserved says which packages alone may import something from outside, or
// use one name of it.
type Reserved struct {
	What     string   // import path, with /... for all below it, or path.Name
	Packages []string // with /... for all below them
	Tests    bool     // whether test files are held to it, too
	Why      string
}

// CheckLayers finds imports inside the module that the layers do not allow,
// and packages that have no layer.
func CheckLayers(t *Tree, layers []Layer) []Problem {
	var problems []Problem
	for _, l := range layers {
		if !slices.ContainsFunc(t.Packages, func(p *Package) bool { return p.Path == l.Path }) {
			problems = append(problems, Problem{l.Path, "has a layer and no source"})
		}
	}
	for _, p := range t.Packages {
		source := p.Source()
		if len(source) == 0 {
			continue
		}
		i := slices.IndexFunc(layers, func(l Layer) bool { return l.Path == p.Path })
		if i < 0 {
			problems = append(problems, Problem{p.Path, "has no layer: say in the table what it may import, and why"})
			continue
		}
		for _, f := range source {
			for _, spec := range f.AST.Imports {
				rel, inside := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), t.Module+"/")
				if inside && !slices.Contains(layers[i].Imports, rel) {
					problems = append(problems, t.at(spec, "%s must not import %s: %s", p.Path, rel, layers[i].Why))
				}
			}
		}
	}
	return problems
}

// CheckReserved finds imports from outside the module that are kept for other
// packages, and those outside of the standard library that no rule names.
func CheckReserved(t *Tree, reserved []Reserved) []Problem {
	var problems []Problem
	for _, p := range t.Packages {
		for _, f := range p.Files {
			for _, spec := range f.AST.Imports {
				what := strings.Trim(spec.Path.Value, `"`)
				if what == t.Module || strings.HasPrefix(what, t.Module+"/") {
					continue
				}
				known := !strings.Contains(strings.Split(what, "/")[0], ".") // standard library
				for _, r := range reserved {
					if !under(what, []string{r.What}) {
						continue
					}
					known = true
					if (r.Tests || !f.Test) && !under(p.Path, r.Packages) {
						problems = append(problems, t.at(spec, "%s must not import %s: %s", p.Path, what, r.Why))
					}
				}
				if !known {
					problems = append(problems, t.at(spec, "%s is a dependency that no rule names", what))
				}
			}
		}
	}
	return problems
}
