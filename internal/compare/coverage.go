package compare

import (
	"time"

	"mapiscope/flows"
	"mapiscope/pcaps"
)

// coverage is the time that the captures of one point cover. A capture says
// only when its first and last packets came; late and early tell that it began
// or ended while connections went on, so that it really covers no more.
type coverage struct {
	Window
	place       pcaps.Point
	late, early bool
}

// quiet is how long before its first and after its last packet a capture is
// believed to have run when nothing tells, ns.
const quiet = int64(10 * time.Second)

// coverage works out what the captures of each compared point cover.
func (r *Result) coverage(windows map[pcaps.Tap]Window) map[pcaps.Tap]*coverage {
	all := make(map[pcaps.Tap]*coverage)
	for _, s := range r.Job.shards {
		for _, l := range s.legs {
			if f := l.conn.Flow; all[f.Tap] == nil {
				all[f.Tap] = &coverage{Window: windows[f.Tap], place: f.Point}
			}
		}
	}
	for _, p := range r.Pairs {
		near, far := all[p.Near.Flow.Tap], all[p.Far.Flow.Tap]
		a, b := p.Near.Flow, p.Far.Flow
		far.late = far.late || a.Origin == flows.Handshake && b.Origin == flows.Midstream
		near.late = near.late || b.Origin == flows.Handshake && a.Origin == flows.Midstream
		far.early = far.early || over(p.Near) && !over(p.Far)
		near.early = near.early || over(p.Far) && !over(p.Near)
	}
	return all
}

// misses reports whether a leg of another point lies outside. The clock of
// this point is that of the leg plus sign times the difference.
func (v *coverage) misses(l *leg, clock *Clock, sign int64) bool {
	f := l.conn.Flow
	first, last := f.First.Time, f.Last.Time
	before, after := quiet, quiet
	if v.late {
		before = 0
	}
	if v.early {
		after = 0
	}
	if clock.Known {
		offset := sign * clock.OffsetAt(first)
		first, last = first+offset, last+offset
		before, after = before-clock.Error(), after-clock.Error()
	}
	return last < v.First-before || first > v.Last+after
}
