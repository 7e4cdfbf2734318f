package document

import (
	"fmt"

	"mapiscope/assoc"
	"mapiscope/internal/compare"
)

// findOnlyNear reports connections that the captures near the clients have and
// those near the servers should have.
func (b *builder) findOnlyNear(add func(string) *Finding) { b.findAlone(add, true) }

// findOnlyFar reports those that only the captures near the servers have.
func (b *builder) findOnlyFar(add func(string) *Finding) { b.findAlone(add, false) }

func (b *builder) findAlone(add func(string) *Finding, near bool) {
	if b.cmp == nil || len(b.v.Contradictions()) > 0 {
		return
	}
	var found byReason
	for _, u := range b.cmp.Unpaired {
		c := u.Conn
		if b.ids[c] == 0 || u.Outside || u.Elsewhere || near != (c.Flow.Point == b.cmp.Job.Near()) || !b.speaksRPC(c) {
			continue
		}
		d := b.row(c)
		found.add(b.aloneReason(u), d, d.FirstPacket)
	}
	found.report(add)
}

// speaksRPC reports whether a connection is of the kind that a comparison is
// about: Kerberos and what merely goes to an announced port may well take
// other ways.
func (b *builder) speaksRPC(c *assoc.Conn) bool {
	switch b.service[c] {
	case assoc.MAPI, assoc.MAPIAsync, assoc.EPM:
		return true
	}
	return c.RPC != nil
}

// aloneReason says what is known of a connection that stands at one point
// alone.
func (b *builder) aloneReason(u compare.Unpaired) string {
	c, job := u.Conn, b.cmp.Job
	where, missing := job.Near(), job.Far()
	if c.Flow.Point == job.Far() {
		where, missing = missing, where
	}
	text := fmt.Sprintf("captured at the %s and not at the %s", where, missing)
	switch directions(c.Flow) {
	case "client_only", "server_only":
		return text + "; one of its directions takes yet another path"
	}
	if s := c.Flow.State().String(); s == "unanswered" || s == "refused" {
		return text + "; it is " + s
	}
	if g := b.groupOf(c); g != nil && len(g.Members) > 1 {
		return text + ", unlike others of its association group"
	}
	return text
}
