package assoc

import "mapiscope/internal/wire"

// Paired is what the comparison with another capture point says about the path
// of a connection: far more than one point can.
type Paired struct {
	Path   Path
	Weight string // as of Evidence
	Detail string
	Mark   wire.Mark
}

// applyPaired lets the comparison have the last word, unless it is a guess
// against a proof.
func (c *Conn) applyPaired() {
	p, v := c.Paired, &c.Optimizer
	if p == nil || p.Path == PathUnknown {
		return
	}
	v.note("paired", p.Detail, p.Weight, p.Mark)
	if v.Path == PathUnknown || p.Weight == "exact" {
		v.Path, v.Proven = p.Path, v.Proven || p.Weight == "exact"
	}
}
