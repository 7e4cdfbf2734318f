package verdict

import (
	"slices"

	"mapiscope/internal/wire"
)

// Growth says that an escape looks like an overload: from its first
// connection on, what is opened to servers that the pair optimizes goes plain,
// while the number of optimized connections no longer rises.
type Growth struct {
	Optimized int       // connections that the pair held when the first one escaped
	Plain     int       // connections opened from then on that passed through
	Mark      wire.Mark // of the first one
	Last      wire.Mark // of the last
}

// The least that counts as growth that flattened.
const (
	growthHeld  = 3
	growthPlain = 3
)

// growths is the times of all connections to the servers that some connection
// reached through the pair, so that each escape is looked up and not counted.
type growths struct {
	starts, stops []int64 // of optimized connections
	plain         []wire.Mark
}

func newGrowths(j *judge, all []*Conversation) *growths {
	covered := make(map[string]bool)
	for _, c := range all {
		if c.Path == Optimized {
			covered[c.Main.Server().String()] = true
		}
	}
	g := new(growths)
	for _, c := range all {
		switch {
		case !covered[c.Main.Server().String()]:
		case c.Path == Optimized:
			g.starts, g.stops = append(g.starts, c.first().Time), append(g.stops, c.last().Time)
		case c.Path == PassThrough:
			g.plain = append(g.plain, c.first())
		}
	}
	slices.Sort(g.starts)
	slices.Sort(g.stops)
	slices.SortFunc(g.plain, compareMarks)
	return g
}

// of looks at what was opened from the first of the escaped connections on,
// nil where that does not look like an overload.
func (g *growths) of(past []*Conversation) *Growth {
	first := earliest(past)
	if n := len(g.starts); n == 0 || g.starts[n-1] >= first.Time {
		return nil
	}
	at, _ := slices.BinarySearchFunc(g.plain, first, compareMarks)
	out := Growth{Mark: first, Plain: len(g.plain) - at, Optimized: between(g.starts, g.stops, first.Time, first.Time)}
	if out.Optimized < growthHeld || out.Plain < growthPlain {
		return nil
	}
	out.Last = g.plain[len(g.plain)-1]
	return &out
}
