package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"mapiscope/pcaps"
)

// Contradiction is something that the packets hold against what was said of
// the capture points. Nothing that rests on it is judged.
type Contradiction struct {
	Unrelated bool // no connection is at both points; else a place is wrong
	Tap       pcaps.Tap
	Said      pcaps.Point
	Likely    pcaps.Point // Unknown where the packets do not tell
	Detail    string
	Order     string // the likely right order, "" where there is none
}

// Contradictions lists them, those of places by capture point.
func (v *Verdicts) Contradictions() []Contradiction {
	var all []Contradiction
	if v.Compared.Unrelated {
		all = append(all, Contradiction{Unrelated: true, Detail: "no connection was captured at both points: the captures are of other times, other hosts or other links"})
	}
	for _, tap := range slices.Sorted(maps.Keys(v.Points)) {
		p := v.Points[tap]
		if p.Conflict == "" {
			continue
		}
		c := Contradiction{Tap: tap, Said: p.Said, Likely: p.Likely, Detail: fmt.Sprintf("the capture said to be taken at the %s was not taken there: %s", p.Said, p.Conflict)}
		if v.Compared.Same {
			c.Detail = p.Conflict
		}
		if v.Compared.Swapped && p.Likely != pcaps.Unknown {
			c.Order = fmt.Sprintf("what was given as the %s looks like the %s", p.Said, p.Likely)
		}
		all = append(all, c)
	}
	return all
}

// Inferred lists the capture points whose place the packets tell.
func (v *Verdicts) Inferred() []*Point {
	var all []*Point
	for _, p := range v.Points {
		if p.Inferred {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *Point) int { return cmp.Compare(a.Tap, b.Tap) })
	return all
}

// Optimizer reports whether any packet of the job shows one.
func (v *Verdicts) Optimizer() bool { return v.optimizer }
