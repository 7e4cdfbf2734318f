package finding

import (
	"fmt"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
)

// findOnlyNear reports connections that the captures near the clients have and
// those near the servers should have.
func (b *judge) findOnlyNear(add func(Text) *Finding) { b.findAlone(add, true) }

// findOnlyFar reports those that only the captures near the servers have.
func (b *judge) findOnlyFar(add func(Text) *Finding) { b.findAlone(add, false) }

func (b *judge) findAlone(add func(Text) *Finding, near bool) {
	if b.Compare == nil || !b.Compared || len(b.v.Contradictions()) > 0 {
		return
	}
	var found byReason
	for _, u := range b.Compare.Unpaired {
		d := b.conns[u.Conn]
		if d == nil || u.Outside || u.Elsewhere || near != (d.Flow.Point == b.Compare.Job.Near()) || !d.speaksRPC() {
			continue
		}
		found.add(aloneReason(d, b.Compare.Job), d, d.Flow.First)
	}
	found.report(add)
}

// speaksRPC reports whether a connection is of the kind that a comparison is
// about: Kerberos and what merely goes to an announced port may well take
// other ways.
func (d *Conn) speaksRPC() bool {
	switch d.Service {
	case assoc.MAPI, assoc.MAPIAsync, assoc.EPM:
		return true
	}
	return d.RPC != nil
}

// aloneReason says what is known of a connection that stands at one point
// alone.
func aloneReason(d *Conn, job *compare.Job) string {
	where, missing := job.Near(), job.Far()
	if d.Flow.Point == job.Far() {
		where, missing = missing, where
	}
	text := fmt.Sprintf("captured at the %s and not at the %s", where, missing)
	if d.Flow.Directions() != flows.BothSides {
		return text + "; one of its directions takes yet another path"
	}
	if !d.reached() {
		return text + "; it is " + d.Flow.State().String()
	}
	if g := d.Group; g != nil && len(g.Members) > 1 {
		return text + ", unlike others of its association group"
	}
	return text
}
