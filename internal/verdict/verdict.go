// Package verdict says what the facts of a job prove: where each capture point
// lies, which path each connection took, which association groups there are
// and what escaped from them. Judge is one pure function from facts to values;
// it is called once, and writes into nobody.
//
// A verdict never says more than the packets do. Where they do not tell, the
// verdict is unknown and has the reason. Three things are kept apart: what is
// proven, what is inferred by a rule that the reason names, and what is merely
// possible.
package verdict

import (
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/compare"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Facts is what a job found out before anybody judges it.
type Facts struct {
	Result  *assoc.Result
	Dir     *assoc.Directory
	Compare *compare.Result // nil where nothing was compared
	Asked   bool            // somebody asked for the comparison, and so said that there are two points
	Unread  int64           // packets that could not be decoded: they may hold anything
}

// Quality says how far a statement goes: proof, a strong hint, a figure that
// is at least that large, or nothing at all.
type Quality string

// The qualities, as the document has them.
const (
	Exact       Quality = "exact"
	Heuristic   Quality = "heuristic"
	LowerBound  Quality = "lower_bound"
	Unavailable Quality = "unavailable"
)

// Path is how a connection went through the optimizers, if at all.
type Path string

// The paths.
const (
	Optimized   Path = "optimized"
	PassThrough Path = "pass_through"
	PathUnknown Path = "unknown"
)

// Evidence is one observed fact behind a verdict. Weight says how far it goes:
// Exact is proof, Heuristic is strong, LowerBound supports.
type Evidence struct {
	Kind   Kind
	Detail string
	Weight Quality
	Mark   wire.Mark
}

// Kind names a kind of evidence. The names stand in the document.
type Kind string

// The kinds of evidence of one leg.
const (
	SynOption        Kind = "syn_option"
	SynAckOption     Kind = "synack_option"
	AckOption        Kind = "ack_option"
	OtherOption      Kind = "other_option"
	RPCReadable      Kind = "rpc_readable"
	RPCUnreadable    Kind = "rpc_unreadable"
	SequenceJump     Kind = "sequence_jump"
	PayloadUntouched Kind = "payload_untouched"
	Negotiated       Kind = "negotiated"
	OptionUnanswered Kind = "option_unanswered"
	OptionDropped    Kind = "option_dropped"
	OptionDelivered  Kind = "option_delivered"
	NoOption         Kind = "no_option"
	EarlyAck         Kind = "early_ack"
	LateAck          Kind = "late_ack"
	LocalHandshake   Kind = "local_handshake"
	LocalAnswers     Kind = "local_answers"
	JumpBlocked      Kind = "jump_blocked"
	RiverbedProbe    Kind = "riverbed_probe"
	RiverbedResponse Kind = "riverbed_response"
	RiverbedInner    Kind = "riverbed_inner"
	RiverbedChannel  Kind = "riverbed_channel"
	RiverbedEPM      Kind = "riverbed_epm"
	RiverbedPort     Kind = "riverbed_port"
)

// The kinds of evidence that two legs give.
const (
	OtherLeg      Kind = "other_leg"
	Paired        Kind = "paired"
	SameSequence  Kind = "same_sequence_space"
	OtherSequence Kind = "other_sequence_space"
	Resegmented   Kind = "resegmented"
)

// Vendors of optimizers, as the document names them.
const (
	CiscoWAAS = "cisco_waas"
	Riverbed  = "riverbed"
)

// Verdicts is all that Judge says.
type Verdicts struct {
	Points        map[pcaps.Tap]*Point
	Conversations []*Conversation
	Groups        []*Group
	Escape        Escape
	Compared      Compared

	legs      map[*assoc.Conn]*Leg
	optimizer bool
}

// Leg returns the verdict on one leg, never nil.
func (v *Verdicts) Leg(c *assoc.Conn) *Leg {
	if l := v.legs[c]; l != nil {
		return l
	}
	return &Leg{Conn: c, Path: PathUnknown}
}

// Of returns the conversation that a leg belongs to, nil for one that the job
// does not know.
func (v *Verdicts) Of(c *assoc.Conn) *Conversation {
	if l := v.legs[c]; l != nil {
		return l.Conversation
	}
	return nil
}

// Judge weighs the facts.
func Judge(f Facts) *Verdicts {
	j := newJudge(f)
	v := &Verdicts{Points: j.points, legs: j.legs}
	for _, c := range f.Result.Conns {
		j.leg(c)
	}
	j.contrast(f.Result.Conns)
	v.Conversations = j.conversations()
	v.Groups = j.groups(v.Conversations)
	j.continuity(v.Conversations, v.Groups)
	j.infer(v.Conversations, v.Groups)
	j.outcomes(v.Conversations, v.Groups)
	v.Compared, v.optimizer = j.compared, j.anyOptimizer()
	v.Escape = j.escape(v)
	return v
}

// judge holds what the steps of Judge need of each other.
type judge struct {
	Facts
	points    map[pcaps.Tap]*Point
	legs      map[*assoc.Conn]*Leg
	trips     map[hostsAt]trip
	ids       *idRules
	proxies   map[string]bool // appliances that probe responses name
	compared  Compared
	growths   *growths
	optimizer *bool // whether any leg shows one, once it was asked
	clocks    map[pcaps.Tap]compare.Clock
	conflict  bool // the packets contradict what was said of some capture point
}

// Told returns verdicts that are no more than conversations and their groups,
// for whoever shows what follows from them.
func Told(conversations ...*Conversation) *Verdicts {
	v := &Verdicts{Conversations: conversations, legs: make(map[*assoc.Conn]*Leg)}
	for _, c := range conversations {
		for _, l := range c.Legs {
			v.legs[l] = &Leg{Conn: l, Conversation: c, Path: c.Path}
		}
		if g := c.Group; g != nil && !slices.Contains(v.Groups, g) {
			v.Groups = append(v.Groups, g)
		}
	}
	return v
}
