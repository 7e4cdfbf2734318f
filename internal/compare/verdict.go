package compare

import (
	"fmt"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/wire"
)

// Streams says how the two legs of a pair compare.
type Streams string

// The results. PDUs that are the same in streams whose positions cannot be
// compared (the beginning was not captured) are SamePDUs.
const (
	SameStreams    Streams = "identical"   // byte by byte, in the same segments
	Resegmented    Streams = "resegmented" // the same bytes in other segments
	SamePDUs       Streams = "pdus_identical"
	RPCDiffers     Streams = "rpc_differs"
	Reencrypted    Streams = "reencrypted" // the same calls in the same order, and other bytes
	Differs        Streams = "differs"     // what is no DCE/RPC, and not the same
	UnknownStreams Streams = "unknown"
)

// Verdict is what the two legs of a pair say about what lies between.
type Verdict struct {
	Path        assoc.Path
	Accelerator string // "mapi", "generic", "epm", "pass_through", "unknown"
	Streams     Streams
	Weight      string // "exact", "heuristic", "unavailable"
	Reason      string
	Evidence    []assoc.Evidence
	// EndedBy is "client", "server", "optimizer", or "" while it is open.
	// ResetNear and ResetFar tell a reset that only one leg had.
	EndedBy             string
	ResetNear, ResetFar bool
}

// minDelay is the way between the points, ns, from which on acknowledgements
// tell where they come from.
const minDelay = int64(time.Millisecond)

// Judge fills in the verdicts of all pairs. service names what a connection
// carries.
func (r *Result) Judge(service func(*assoc.Conn) assoc.Service) {
	for _, p := range r.Pairs {
		v := Verdict{Path: assoc.PathUnknown, Accelerator: "unknown", Weight: "unavailable", Streams: p.compared()}
		r.judgePath(p, &v)
		v.Accelerator = accelerator(p, &v, service(p.Near))
		p.ending(&v)
		p.Verdict = v
	}
}

// compared names the result of comparing the streams.
func (p *Pair) compared() Streams {
	rpc := p.Near.RPC != nil && p.Far.RPC != nil
	worked := p.Calls.Local().Count+p.Calls.Originated > 0
	switch {
	case p.Client.Compared+p.Server.Compared > 0:
		lengths := (p.Client.Lengths || p.Server.Lengths) && !p.Lossy && over(p.Near) && over(p.Far)
		switch {
		case !p.Client.Differs && !p.Server.Differs && !lengths && !worked:
			if p.Client.Recut+p.Server.Recut > 0 {
				return Resegmented
			}
			return SameStreams
		case !rpc:
			return Differs
		case p.Sealed && p.Calls.Differing > 0 && !worked:
			return Reencrypted
		}
		return RPCDiffers
	case !rpc || p.Calls.Matched() == 0 && !worked:
		return UnknownStreams
	case p.Calls.Differing == 0 && !worked:
		return SamePDUs
	case p.Sealed && p.Calls.Identical == 0 && !worked:
		return Reencrypted
	}
	return RPCDiffers
}

// judgePath says whether the connection passed through or was taken by a
// device between the points.
func (r *Result) judgePath(p *Pair, v *Verdict) {
	split := r.split(p, v)
	same, client := sameNumbers(p.Near.Flow, p.Far.Flow)
	if p.Near.Flow.Origin == flows.Handshake && p.Far.Flow.Origin == flows.Handshake {
		if same {
			v.note("same_sequence_space", "both sides use the same initial sequence numbers at both points", "exact", client)
		} else {
			v.note("other_sequence_space", "the initial sequence numbers differ between the points", "exact", client)
		}
	}
	if n := p.Client.Recut + p.Server.Recut; n > 0 {
		v.note("resegmented", fmt.Sprintf("%d identical bytes stand in other segments", n), "heuristic", p.Near.Flow.First)
	}
	identical := v.Streams == SameStreams || v.Streams == Resegmented || v.Streams == SamePDUs
	switch {
	case v.Streams == RPCDiffers || v.Streams == Differs || v.Streams == Reencrypted:
		v.set(assoc.Optimized, "exact", streamsText[v.Streams])
	case split:
		v.set(assoc.Optimized, "exact", "TCP is terminated between the points, and the payload is the same: "+streamsText[v.Streams])
	case v.Streams == UnknownStreams:
		v.Reason = "neither the streams nor the acknowledgements can be compared"
		if w := p.Between(); w != nil && w.Optimizer.Path != assoc.PathUnknown {
			v.set(w.Optimizer.Path, "heuristic", "its leg between the devices says so")
		}
	case identical && same && r.far(p):
		v.set(assoc.PassThrough, "exact", "the same bytes in the same sequence space, acknowledged from end to end")
	case identical && same:
		v.set(assoc.PassThrough, "heuristic", "the same bytes in the same sequence space")
	case identical && p.Client.Recut+p.Server.Recut > 0 && !r.far(p):
		v.set(assoc.Optimized, "heuristic", "the same bytes in other segments and another sequence space: TCP is terminated between the points")
	case identical && r.far(p):
		v.set(assoc.PassThrough, "heuristic", "the same bytes, acknowledged from end to end, in a sequence space that was rewritten")
	default:
		v.Reason = "the payload is the same; whether TCP is terminated between the points cannot be told"
		if w := p.Between(); w != nil && w.Optimizer.Path != assoc.PathUnknown {
			v.set(w.Optimizer.Path, "heuristic", "the payload is the same, and its leg between the devices tells")
		}
	}
}

var streamsText = map[Streams]string{
	SameStreams: "identical streams", Resegmented: "identical streams in other segments", SamePDUs: "identical PDUs",
	RPCDiffers: "the calls at the two points differ", Reencrypted: "the same calls, encrypted anew",
	Differs: "the streams differ", UnknownStreams: "streams that cannot be compared",
}

func (v *Verdict) set(path assoc.Path, weight, reason string) {
	v.Path, v.Weight, v.Reason = path, weight, reason
}

func (v *Verdict) note(kind, detail, weight string, m wire.Mark) {
	v.Evidence = append(v.Evidence, assoc.Evidence{Kind: kind, Detail: detail, Weight: weight, Mark: m})
}

// split looks for proof that TCP is terminated between the points: an answer
// to a SYN or an acknowledgement of data that comes sooner than the data can
// have reached the other point.
func (r *Result) split(p *Pair, v *Verdict) bool {
	if !r.Clock.Known || r.Clock.Delay < minDelay {
		return false
	}
	d := time.Duration(r.Clock.Delay)
	found := false
	say := func(kind, what string, took time.Duration, m wire.Mark) {
		found = true
		v.note(kind, fmt.Sprintf("%s after %v, while the way between the points takes %v", what, took.Round(time.Microsecond), d.Round(time.Microsecond)), "exact", m)
	}
	near, far := p.Near.Flow, p.Far.Flow
	if n := near.SynToSynAck; n > 0 && n < d {
		say("local_handshake", "at the "+r.Job.near.String()+" the SYN is answered", n, near.Sides[near.Client.Other()].Syn)
	}
	if n := far.SynAckToAck; n > 0 && n < d {
		say("local_handshake", "at the "+r.Job.far.String()+" the SYN/ACK is acknowledged", n, far.Sides[far.Client.Other()].Syn)
	}
	if s := &near.Sides[near.Client]; s.AckSamples > 0 && s.MinAckDelay < d {
		say("early_ack", "at the "+r.Job.near.String()+" data of the client is acknowledged", s.MinAckDelay, s.MinAckMark)
	}
	if s := &far.Sides[far.Client.Other()]; s.AckSamples > 0 && s.MinAckDelay < d {
		say("early_ack", "at the "+r.Job.far.String()+" data of the server is acknowledged", s.MinAckDelay, s.MinAckMark)
	}
	return found
}

// far reports whether acknowledgements at the near point come from beyond the
// far one.
func (r *Result) far(p *Pair) bool {
	s := &p.Near.Flow.Sides[p.Near.Flow.Client]
	return r.Clock.Known && r.Clock.Delay >= minDelay && s.AckSamples > 0 && int64(s.MinAckDelay) >= r.Clock.Delay*9/5
}

// sameNumbers reports whether both sides of a connection use the same initial
// sequence numbers at both points.
func sameNumbers(a, b *flows.Conn) (same bool, syn wire.Mark) {
	ac, as := &a.Sides[a.Client], &a.Sides[a.Client.Other()]
	bc, bs := &b.Sides[b.Client], &b.Sides[b.Client.Other()]
	return ac.HasISN && as.HasISN && bc.HasISN && bs.HasISN && ac.ISN == bc.ISN && as.ISN == bs.ISN, ac.Syn
}

// accelerator names who took the connection.
func accelerator(p *Pair, v *Verdict, s assoc.Service) string {
	switch v.Path {
	case assoc.PassThrough:
		return "pass_through"
	case assoc.PathUnknown:
		return "unknown"
	}
	switch s {
	case assoc.EPM:
		return "epm"
	case assoc.MAPI, assoc.MAPIAsync:
		if p.HandedOff == 0 && (v.Streams == RPCDiffers || v.Streams == Reencrypted) {
			return "mapi"
		}
	}
	if v.Streams == UnknownStreams {
		return "unknown"
	}
	return "generic"
}

// ending says who ended the connection.
func (p *Pair) ending(v *Verdict) {
	near, far := p.Near.Flow.State(), p.Far.Flow.State()
	v.ResetNear = near == flows.ResetByServer && far != flows.ResetByServer
	v.ResetFar = far == flows.ResetByClient && near != flows.ResetByClient
	switch {
	case v.ResetNear || v.ResetFar:
		v.EndedBy = "optimizer"
	case near == flows.ResetByServer || far == flows.ResetByServer || near == flows.Refused:
		v.EndedBy = "server"
	case near == flows.ResetByClient:
		v.EndedBy = "client"
	case near == flows.Closed || near == flows.HalfClosed:
		v.EndedBy = "client"
		c, s := &p.Near.Flow.Sides[p.Near.Flow.Client], &p.Near.Flow.Sides[p.Near.Flow.Client.Other()]
		if c.Fin.IsZero() || !s.Fin.IsZero() && s.Fin.Before(c.Fin) {
			v.EndedBy = "server"
		}
	}
}
