package verdict

import (
	"maps"
	"slices"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Conversation is one connection between client and server, wherever it was
// captured, with the verdict on its path.
type Conversation struct {
	Legs []*assoc.Conn // nearest to the client first
	Main *assoc.Conn   // the leg whose content counts: the first that can be read
	Pair *compare.Pair // what its two ends say when their streams were compared

	Service assoc.Service
	Basis   assoc.Basis

	Path    Path
	Proven  bool    // by more than timing, which any proxy explains
	Quality Quality // of Path
	Reason  string
	// Crossing is what two legs say, nil where no two could be compared.
	Crossing   *Crossing
	Edge, Core string // candidates for the device ids, "" when not known

	ahead int64 // by how much the clock of its main leg is ahead of that of the points near the clients, ns

	Group *Group // nil: it is in none, or nothing tells in which
	// Escaped says why it counts as escaped, Possible why it may have escaped.
	Escaped, Possible *Escaped
}

// Escaped says why a connection escaped, or may have.
type Escaped struct {
	Reason  string
	Quality Quality
	Group   *Group
	Proof   wire.Mark
}

// MAPI reports whether a conversation carries EMSMDB: only such connections
// can escape, as RFR and NSPI pass through by default policy.
func (c *Conversation) MAPI() bool {
	return c.Service == assoc.MAPI || c.Service == assoc.MAPIAsync
}

// Readable reports whether some leg shows DCE/RPC.
func (c *Conversation) Readable() bool { return c.Main.RPC != nil }

// talked reports whether a connection came to stand and carried anything: what
// did not cannot be a member of any group.
func (c *Conversation) talked() bool {
	return slices.ContainsFunc(c.Legs, (*assoc.Conn).Carried)
}

// first and last are the times of a conversation at its main leg.
func (c *Conversation) first() wire.Mark { return c.Main.Flow.First }
func (c *Conversation) last() wire.Mark  { return c.Main.Flow.Last }

// Outlook asks its server every few minutes: a connection that was not seen to
// end is open for that long after its last packet, and may be open for as long
// as TCP keeps an idle connection.
const (
	surelyOpen = int64(10 * 60e9)
	maybeOpen  = int64(2 * 3600e9)
)

// openUntil returns the time, ns, until which a conversation was open, given
// how long one without an end counts as open.
func (c *Conversation) openUntil(silence int64) int64 {
	if over(c.Main) {
		return c.last().Time - c.ahead
	}
	return c.last().Time - c.ahead + silence
}

// bound returns the time of the bind, ns, by the clock of the points near the
// clients.
func (c *Conversation) bound() int64 { return c.Main.BindMark().Time - c.ahead }

// bytes counts the payload of both sides.
func (c *Conversation) bytes() int64 {
	return c.Main.Flow.Sides[0].Bytes + c.Main.Flow.Sides[1].Bytes
}

// conversations ties the legs of each connection together and judges its path.
func (j *judge) conversations() []*Conversation {
	tied := compare.Conversations(j.Result.Conns, j.Compare)
	all := make([]*Conversation, 0, len(tied))
	for _, t := range tied {
		c := &Conversation{Legs: t.Legs, Pair: t.Pair, Main: t.Legs[0], Path: PathUnknown, Quality: Unavailable}
		if i := slices.IndexFunc(t.Legs, func(l *assoc.Conn) bool { return l.RPC != nil }); i >= 0 {
			c.Main = t.Legs[i]
		}
		c.ahead = j.clockAhead(c.Main)
		j.service(c)
		j.path(c)
		for _, l := range c.Legs {
			j.legs[l].Conversation = c
		}
		all = append(all, c)
	}
	return all
}

// clockAhead returns by how much the clock of a leg's capture point is ahead of
// that of the points near the clients, 0 where nothing tells.
func (j *judge) clockAhead(c *assoc.Conn) int64 {
	if clock, ok := j.clocks[c.Flow.Tap]; ok {
		return clock.OffsetAt(c.Flow.First.Time)
	}
	return 0
}

// farClocks returns for each capture point the clock that most round trips
// tell of the points nearer to the clients.
func farClocks(r *compare.Result) map[pcaps.Tap]compare.Clock {
	best := make(map[pcaps.Tap]compare.Clock)
	if r == nil {
		return best
	}
	for _, taps := range slices.SortedFunc(maps.Keys(r.Clocks), byTaps) {
		if clock := r.Clocks[taps]; clock.Known && clock.Samples > best[taps.Far].Samples {
			best[taps.Far] = clock
		}
	}
	return best
}

// basisRank orders the bases of a name by how much they prove.
var basisRank = map[assoc.Basis]int{assoc.ByBind: 0, assoc.ByEPM: 1, assoc.ByHeuristic: 2}

// service names what a conversation carries by the leg that tells most.
func (j *judge) service(c *Conversation) {
	c.Service, c.Basis = j.Dir.Service(c.Main)
	vague := func(s assoc.Service) bool { return s == assoc.Unknown || s == assoc.OtherRPC }
	for _, l := range c.Legs {
		s, b := j.Dir.Service(l)
		if vague(c.Service) && !vague(s) || vague(c.Service) == vague(s) && basisRank[b] < basisRank[c.Basis] {
			c.Service, c.Basis = s, b
		}
	}
}

// path decides which path a conversation took. What was seen between the
// devices and what two legs say prove it; times of one point hint at it. Where
// proofs contradict each other, nothing is said.
func (j *judge) path(c *Conversation) {
	var through, past *Leg // proven by one leg
	for _, l := range c.Legs {
		leg := j.legs[l]
		switch {
		case leg.Path == Optimized && leg.Proven && through == nil:
			through = leg
		case leg.Path == PassThrough && leg.Proven && past == nil:
			past = leg
		}
		if leg.Edge != "" {
			c.Edge = leg.Edge
		}
		if leg.Core != "" {
			c.Core = leg.Core
		}
	}
	x := j.cross(c)
	exact := x != nil && x.Weight == Exact
	switch {
	case through != nil && (past != nil || exact && x.Path == PassThrough), past != nil && exact && x.Path == Optimized && !past.Stripped:
		c.Reason = "what its legs show contradicts each other"
		return
	case exact:
		c.Path, c.Proven, c.Quality, c.Reason = x.Path, true, Exact, x.Reason
	case through != nil:
		c.Path, c.Proven, c.Quality, c.Reason = Optimized, true, through.quality(), strongest(through)
	case past != nil:
		c.Path, c.Proven, c.Quality, c.Reason = PassThrough, true, Heuristic, strongest(past)
		if past.Has(OptionUnanswered) {
			c.Quality = Exact
		}
	case x != nil && x.Path != PathUnknown:
		c.Path, c.Quality, c.Reason = x.Path, x.Weight, x.Reason
	default:
		for _, l := range c.Legs {
			if leg := j.legs[l]; leg.Path != PathUnknown {
				c.Path, c.Quality, c.Reason = leg.Path, Heuristic, strongest(leg)
				break
			}
		}
	}
	j.share(c, x)
}

// quality says how far the proof of an optimized leg goes: answers that no
// server can give in time need a WAN that the handshake shows, and no other way.
func (l *Leg) quality() Quality {
	if l.Has(LocalAnswers) || l.Has(EarlyAck) {
		if !l.Has(SequenceJump) && !l.Has(RPCUnreadable) && l.Vendor != Riverbed {
			return Heuristic
		}
	}
	return Exact
}

// strongest returns what the most telling evidence of a leg says.
func strongest(l *Leg) string {
	for _, kind := range []Kind{SequenceJump, RPCUnreadable, RiverbedInner, RiverbedChannel, OptionUnanswered, OptionDropped, NoOption, LateAck, EarlyAck, LocalHandshake, LocalAnswers} {
		if e, ok := l.First(kind); ok {
			return e.Detail
		}
	}
	if n := len(l.Evidence); n > 0 {
		return l.Evidence[n-1].Detail
	}
	return ""
}

// share lets every leg know what its conversation proves: on a LAN an optimized
// connection looks like any other.
func (j *judge) share(c *Conversation, x *Crossing) {
	if c.Path == PathUnknown {
		return
	}
	for _, l := range c.Legs {
		leg := j.legs[l]
		crossed := x != nil && x.Path == c.Path
		if crossed && (leg.Path != c.Path || x.Weight == Exact) {
			leg.note(Paired, x.Reason, x.Weight, c.Legs[0].Flow.First)
		} else if leg.Path == PathUnknown && len(c.Legs) > 1 {
			leg.note(OtherLeg, "the same connection at another place: "+c.Reason, c.Quality, c.first())
		}
		leg.Path, leg.Proven = c.Path, c.Proven
		if leg.Edge == "" {
			leg.Edge = c.Edge
		}
		if leg.Core == "" {
			leg.Core = c.Core
		}
		if leg.Vendor == "" {
			for _, o := range c.Legs {
				if v := j.legs[o].Vendor; v != "" {
					leg.Vendor = v
				}
			}
		}
	}
}

// cross judges what lies between the two ends of a conversation, nil where no
// two legs of different places can be compared.
func (j *judge) cross(c *Conversation) *Crossing {
	x := crossing{pair: c.Pair}
	if c.Pair != nil {
		x.near, x.far, x.clock = c.Pair.Near, c.Pair.Far, j.Compare.ClockOf(c.Pair)
	} else {
		x.near = c.Legs[0]
		for _, l := range c.Legs[1:] {
			if l.Flow.Tap != x.near.Flow.Tap {
				x.far = l
			}
		}
		if x.far == nil {
			return nil
		}
		x.clock = handshakeClock(x.near.Flow, x.far.Flow)
	}
	a, b := j.points[x.near.Flow.Tap], j.points[x.far.Flow.Tap]
	if a.Conflict != "" || b.Conflict != "" || slices.Contains(a.SameAs, b.Tap) || j.compared.Unrelated {
		return nil
	}
	if same, known := compare.SamePoint(x.near.Flow, x.far.Flow); known && same {
		return nil // one place, captured twice
	}
	x.judge()
	x.out.Accelerator = x.accelerator(c.Service)
	x.ending()
	c.Crossing = &x.out
	return c.Crossing
}

// handshakeClock is what one handshake at two points says of the way between
// them, where streams were not compared.
func handshakeClock(a, b *flows.Conn) compare.Clock {
	if same, ok := compare.WayBetween(a, b); ok {
		return compare.Clock{Known: true, Delay: same}
	}
	return compare.Clock{}
}
