package verdict

import (
	"fmt"
	"net/netip"
	"slices"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/wire"
)

// EscapeState is the answer to the question whether anything escaped.
type EscapeState string

// The states, the one that wins first. None needs proof for every group.
const (
	StateEscaped       EscapeState = "escaped"
	StatePossible      EscapeState = "possible"
	StateNotAssessable EscapeState = "not_assessable"
	StateNone          EscapeState = "none"
	StateNoMAPI        EscapeState = "no_mapi"
)

// Escape is that answer for the whole job.
type Escape struct {
	State         EscapeState
	Quality       Quality
	Reason        string
	Todo          string // what to capture instead, where it cannot be told
	Groups        int    // with EMSMDB connections
	NotAssessable int    // groups of these that nothing can be said of
	Connections   int    // escaped
	Possible      int    // connections
	Clients       []netip.Addr
	Affected      []netip.Addr // clients with escaped or possibly escaped connections
	Since         wire.Mark    // of the first escape
}

// escape sums up what the groups say.
func (j *judge) escape(v *Verdicts) Escape {
	e := Escape{Quality: Exact}
	clients, affected := make(map[netip.Addr]bool), make(map[netip.Addr]bool)
	note := func(in map[netip.Addr]bool, list *[]netip.Addr, a netip.Addr) {
		if !in[a] {
			in[a] = true
			*list = append(*list, a)
		}
	}
	unproven, missing := "", false
	for _, g := range v.Groups {
		if !g.MAPI() {
			continue
		}
		e.Groups++
		if len(g.Escaped) > 0 && (e.Since.IsZero() || g.Since.Before(e.Since)) {
			e.Since = g.Since
		}
		if len(g.Escaped) > 0 && g.Quality != Exact {
			e.Quality = Heuristic
		}
		if len(g.Escaped)+len(g.Possible) == 0 && !g.Clear {
			e.NotAssessable++
			if unproven == "" {
				unproven = g.Unproven
			}
		}
		missing = missing || g.Missing > 0 && len(g.Escaped) == 0 && j.anyOptimizer()
	}
	mapi, loose, may, crossed := 0, 0, 0, false
	for _, c := range v.Conversations {
		crossed = crossed || c.Crossing != nil
		switch {
		case c.Escaped != nil:
			e.Connections++
			note(affected, &e.Affected, c.Main.Client().Addr())
		case c.Possible != nil:
			e.Possible++
			note(affected, &e.Affected, c.Main.Client().Addr())
		}
		switch {
		case c.MAPI():
			mapi++
			note(clients, &e.Clients, c.Main.Client().Addr())
			if c.Group == nil && c.talked() && !refused(c) {
				loose++
			}
		case j.mayBeMAPI(c):
			may++
		}
	}
	switch {
	case e.Connections > 0:
		e.State = StateEscaped
		e.Reason = fmt.Sprintf("%s of %s escaped the optimizer pair", count(e.Connections, "EMSMDB connection"), clientsOf(len(e.Affected)))
	case e.Possible > 0 || missing:
		e.State, e.Quality = StatePossible, Heuristic
		e.Reason = fmt.Sprintf("%s may have escaped", count(e.Possible, "EMSMDB connection"))
		if e.Possible == 0 {
			e.Reason = "calls of a group went by a path that the captures do not see"
		}
		e.Todo = "capture at the client's LAN and at the server's LAN, and compare"
	case mapi == 0 && may == 0 && j.Unread > 0:
		e.State, e.Quality = StateNotAssessable, Unavailable
		e.Reason = fmt.Sprintf("%s could not be read, and the others hold no EMSMDB", count(int(j.Unread), "packet"))
		e.Todo = "see why in captures[].undecoded; capture what carries the traffic as Ethernet or IP"
	case mapi == 0 && may == 0:
		e.State = StateNoMAPI
		e.Reason = "there is no EMSMDB in these captures, nor anything that could be it"
	default:
		j.assess(&e, unproven, mapi, loose, may, crossed)
	}
	return e
}

// assess tells none from what cannot be told, and says why.
func (j *judge) assess(e *Escape, unproven string, mapi, loose, may int, crossed bool) {
	e.State = StateNotAssessable
	e.Todo = "capture at the client's LAN and at the server's LAN from before the clients start, and compare"
	switch {
	case j.conflict:
		e.Reason = "the packets contradict what was said of the capture points"
		e.Todo = "check which capture was taken where"
	case mapi == 0:
		e.Reason = fmt.Sprintf("%s may carry EMSMDB and cannot be read", count(may, "connection"))
	case !j.anyOptimizer() && !crossed:
		e.Reason = "no packet shows an optimizer on the path"
	case j.Result.Stats.ConnsUnlisted > 0:
		e.Reason = fmt.Sprintf("%s went beyond the bounds of this job and are not listed", count(int(j.Result.Stats.ConnsUnlisted), "connection"))
		e.Todo = "raise --max-memory, or filter"
	case loose > 0:
		e.Reason = fmt.Sprintf("the association group of %s is not known: the bind was not captured, or is hidden between the devices", count(loose, "EMSMDB connection"))
	case e.NotAssessable > 0:
		e.Reason = unproven
	case may > 0:
		e.Reason = fmt.Sprintf("%s may carry EMSMDB and cannot be read", count(may, "connection"))
	case e.Groups == 0:
		e.Reason = "no EMSMDB connection was accepted"
	default:
		e.State, e.Todo = StateNone, ""
		e.Reason = "every EMSMDB connection was captured at both places, with those of its group, and all of a group took one path"
	}
}

// refused reports whether the server took none of a connection's binds.
func refused(c *Conversation) bool {
	r := c.Main.RPC
	if r == nil {
		return c.Main.Flow.State() == flows.Refused || c.Main.Flow.State() == flows.Unanswered
	}
	if r.Granted != nil {
		return false
	}
	return len(r.Naks) > 0
}

// mayBeMAPI reports whether a conversation that is not known to be EMSMDB may
// be it all the same: DCE/RPC of an interface that was not seen, or payload
// that optimizers hide.
func (j *judge) mayBeMAPI(c *Conversation) bool {
	switch {
	case !c.talked() || c.Service == assoc.EPM:
		return false
	case c.Service == assoc.Unknown && !c.Readable():
		return c.Path == Optimized && c.Main.Server().Port() >= dynamicPort
	}
	return slices.ContainsFunc(c.Legs, j.Dir.MayBeMAPI)
}

// dynamicPort is where the ports begin that an endpoint mapper hands out:
// below it stand the services that everybody knows.
const dynamicPort = 1024

func count(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func clientsOf(n int) string { return count(n, "client") }
