package verdict

import (
	"bytes"
	"fmt"
	"time"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// Streams says how the two legs of a pair compare.
type Streams string

// The results. PDUs that are the same in streams whose positions cannot be
// compared (the beginning was not captured) are SamePDUs.
const (
	SameStreams    Streams = "identical"   // byte by byte, in the same segments
	Recut          Streams = "resegmented" // the same bytes in other segments
	SamePDUs       Streams = "pdus_identical"
	RPCDiffers     Streams = "rpc_differs"
	Reencrypted    Streams = "reencrypted" // the same calls in the same order, and other bytes
	Differs        Streams = "differs"     // what is no DCE/RPC, and not the same
	UnknownStreams Streams = "unknown"
)

// Crossing is what two legs of one connection say about what lies between.
type Crossing struct {
	Path     Path
	Weight   Quality
	Reason   string
	Streams  Streams
	Evidence []Evidence
	// Accelerator took the connection, by the comparison: "mapi", "generic",
	// "epm", "pass_through", "unknown".
	Accelerator string
	// EndedBy is "client", "server", "optimizer", or "" while it is open.
	// ResetNear and ResetFar tell a reset that only one leg had.
	EndedBy             string
	ResetNear, ResetFar bool
}

// minDelay is the way between two points, ns, from which on acknowledgements
// tell where they come from.
const minDelay = int64(time.Millisecond)

// crossing is one under judgement. pair and clock are empty where the streams
// were not compared.
type crossing struct {
	near, far *assoc.Conn
	pair      *compare.Pair
	clock     compare.Clock
	out       Crossing
}

func (x *crossing) note(kind Kind, detail string, m wire.Mark) {
	x.out.Evidence = append(x.out.Evidence, Evidence{kind, detail, Exact, m})
}

func (x *crossing) set(path Path, weight Quality, reason string) {
	x.out.Path, x.out.Weight, x.out.Reason = path, weight, reason
}

// compared names the result of comparing the streams.
func compared(p *compare.Pair) Streams {
	rpc := p.Near.RPC != nil && p.Far.RPC != nil
	worked := p.Calls.Local().Count+p.Calls.Originated > 0
	differing := p.Calls.Differing > 0 && !p.Lossy // what a capture lost makes calls differ
	switch {
	case p.Client.Compared+p.Server.Compared > 0:
		lengths := (p.Client.Lengths || p.Server.Lengths) && !p.Lossy && over(p.Near) && over(p.Far)
		switch {
		case !p.Client.Differs && !p.Server.Differs && !lengths && !worked:
			if p.Client.Recut+p.Server.Recut > 0 {
				return Recut
			}
			return SameStreams
		case !rpc:
			return Differs
		case p.Sealed && differing && !worked:
			return Reencrypted
		}
		return RPCDiffers
	case !rpc || p.Calls.Identical == 0 && !differing && !worked:
		return UnknownStreams
	case !differing && !worked:
		return SamePDUs
	case p.Sealed && p.Calls.Identical == 0 && !worked:
		return Reencrypted
	}
	return RPCDiffers
}

// over reports whether a leg was seen to end.
func over(c *assoc.Conn) bool {
	switch c.Flow.State() {
	case flows.Closed, flows.ResetByClient, flows.ResetByServer, flows.Refused:
		return true
	}
	return false
}

// numbers compares the initial sequence numbers of two legs. known is false
// where neither side can be compared.
func numbers(near, far *assoc.Conn) (same, differ bool) {
	a, b := near.Flow, far.Flow
	ac, as := &a.Sides[a.Client], &a.Sides[a.Client.Other()]
	bc, bs := &b.Sides[b.Client], &b.Sides[b.Client.Other()]
	client, server := ac.HasISN && bc.HasISN, as.HasISN && bs.HasISN
	same = client && server && ac.ISN == bc.ISN && as.ISN == bs.ISN
	differ = client && ac.ISN != bc.ISN || server && as.ISN != bs.ISN
	return same, differ
}

// rewritten reports whether legs with other sequence numbers may still show
// the same handshake, forwarded by a firewall that hides numbers: the options,
// time stamps among them, are the same, or there are no time stamps to compare.
func rewritten(near, far *assoc.Conn) bool {
	a, b := near.HandshakeOptions(), far.HandshakeOptions()
	same := true
	for i := range 2 {
		if a[i] == nil || b[i] == nil {
			continue
		}
		x, okx := assoc.FindOption(a[i], timeStamps)
		y, oky := assoc.FindOption(b[i], timeStamps)
		if okx && oky {
			same = same && bytes.Equal(x, y)
		}
	}
	return same
}

// timeStamps is the TCP option of time stamps (RFC 7323 3.2).
const timeStamps = 8

// judge says whether the connection passed through or was taken by a device
// between the points.
func (x *crossing) judge() {
	x.out.Path, x.out.Weight, x.out.Streams, x.out.Accelerator = PathUnknown, Unavailable, UnknownStreams, "unknown"
	if x.pair != nil {
		x.out.Streams = compared(x.pair)
	}
	split := x.split()
	same, differ := numbers(x.near, x.far)
	syn := x.near.HandshakeMarks()[0]
	switch {
	case same:
		x.note(SameSequence, "both sides use the same initial sequence numbers at both points", syn)
	case differ:
		x.note(OtherSequence, "the initial sequence numbers differ between the points", syn)
	}
	if p := x.pair; p != nil {
		if n := p.Client.Recut + p.Server.Recut; n > 0 {
			x.out.Evidence = append(x.out.Evidence, Evidence{Resegmented, fmt.Sprintf("%d identical bytes stand in other segments", n), Heuristic, x.near.Flow.First})
		}
	}
	s := x.out.Streams
	identical := s == SameStreams || s == Recut || s == SamePDUs
	differs := s == RPCDiffers || s == Differs || s == Reencrypted
	switch {
	case differs:
		x.set(Optimized, Exact, streamsText[s])
	case split && s != UnknownStreams:
		x.set(Optimized, Exact, "TCP is terminated between the points, and the payload is the same: "+streamsText[s])
	case split:
		x.set(Optimized, Exact, "TCP is terminated between the points")
	case x.jumpsBetween():
		x.set(Optimized, Exact, "the sequence numbers jump at one point and not at the other")
	case same && s == UnknownStreams && x.carried() && !x.endToEnd():
		x.out.Reason = "both show the same handshake, and none of the bytes behind it can be compared"
	case same:
		x.set(PassThrough, Exact, "the same sequence numbers of both sides at both points, and no byte differs")
		switch {
		case s == UnknownStreams && x.endToEnd():
			x.out.Reason = "the same sequence numbers of both sides at both points, acknowledged from end to end"
		case x.endToEnd():
			x.out.Reason = "the same bytes in the same sequence space, acknowledged from end to end"
		}
	case differ && !rewritten(x.near, x.far):
		x.set(Optimized, Exact, "the handshakes at the points are two: other sequence numbers and other time stamps, so TCP is terminated between")
	case identical && x.endToEnd():
		x.set(PassThrough, Heuristic, "the same bytes, acknowledged from end to end")
		if differ {
			x.out.Reason += ", in a sequence space that was rewritten"
		}
	case identical && differ && x.pair.Client.Recut+x.pair.Server.Recut > 0:
		x.set(Optimized, Heuristic, "the same bytes in other segments and another sequence space: TCP is terminated between the points")
	case s == UnknownStreams:
		x.out.Reason = "neither handshakes, streams nor acknowledgements can be compared"
	default:
		x.out.Reason = "the payload is the same; whether TCP is terminated between the points cannot be told"
	}
	if x.out.Path == Optimized && x.strangers() {
		x.out.Weight = Heuristic
		x.out.Reason += ", if they show one connection: both its ends have other addresses there"
	}
}

// jumpsBetween reports whether one leg takes the sequence jump of WAAS and the
// other does not, though both show the segments where it would be: the device
// that makes it lets the handshake through and stands between the points.
func (x *crossing) jumpsBetween() bool {
	near, far := x.near.Flow, x.far.Flow
	if (x.near.Jump() == nil) == (x.far.Jump() == nil) {
		return false
	}
	return x.carried() && near.Origin == flows.Handshake && far.Origin == flows.Handshake
}

// carried reports whether both legs carried payload.
func (x *crossing) carried() bool {
	near, far := x.near.Flow, x.far.Flow
	return near.Sides[0].Bytes+near.Sides[1].Bytes > 0 && far.Sides[0].Bytes+far.Sides[1].Bytes > 0
}

// strangers reports whether nothing but what was said makes one connection of
// two legs: both ends have other addresses, and the numbers are others. Two
// servers may give one group id, and two clients send one greeting.
func (x *crossing) strangers() bool {
	same, _ := numbers(x.near, x.far)
	return !same && x.near.Client().Addr() != x.far.Client().Addr() && x.near.Server().Addr() != x.far.Server().Addr()
}

var streamsText = map[Streams]string{
	SameStreams: "identical streams", Recut: "identical streams in other segments", SamePDUs: "identical PDUs",
	RPCDiffers: "the calls at the two points differ", Reencrypted: "the same calls, encrypted anew",
	Differs: "the streams differ", UnknownStreams: "streams that cannot be compared",
}

// split looks for proof that TCP is terminated between the points: an answer
// to a SYN or an acknowledgement of data that comes sooner than the data can
// have reached the other point.
func (x *crossing) split() bool {
	if !x.clock.Known || x.clock.Delay < minDelay {
		return false
	}
	d := time.Duration(x.clock.Delay)
	found := false
	say := func(kind Kind, what string, took time.Duration, m wire.Mark) {
		found = true
		x.note(kind, fmt.Sprintf("%s after %v, while the way between the points takes %v", what, took.Round(time.Microsecond), d.Round(time.Microsecond)), m)
	}
	near, far := x.near.Flow, x.far.Flow
	if n := near.SynToSynAck; n > 0 && n < d {
		say(LocalHandshake, "at the "+place(x.near, "near point")+" the SYN is answered", n, near.Sides[near.Client.Other()].Syn)
	}
	if n := far.SynAckToAck; n > 0 && n < d {
		say(LocalHandshake, "at the "+place(x.far, "far point")+" the SYN/ACK is acknowledged", n, far.Sides[far.Client.Other()].Syn)
	}
	if s := &near.Sides[near.Client]; s.AckSamples > 0 && s.MinAckDelay < d && s.Retransmitted == 0 {
		say(EarlyAck, "at the "+place(x.near, "near point")+" data of the client is acknowledged", s.MinAckDelay, s.MinAckMark)
	}
	if s := &far.Sides[far.Client.Other()]; s.AckSamples > 0 && s.MinAckDelay < d && s.Retransmitted == 0 {
		say(EarlyAck, "at the "+place(x.far, "far point")+" data of the server is acknowledged", s.MinAckDelay, s.MinAckMark)
	}
	return found
}

func place(c *assoc.Conn, unknown string) string {
	if p := c.Where(); p != pcaps.Unknown {
		return p.String()
	}
	return unknown
}

// endToEnd reports whether acknowledgements at the near point come from beyond
// the far one.
func (x *crossing) endToEnd() bool {
	s := &x.near.Flow.Sides[x.near.Flow.Client]
	return x.clock.Known && x.clock.Delay >= minDelay && s.AckSamples > 0 && int64(s.MinAckDelay) >= x.clock.Delay*9/5
}

// accelerator names who took the connection, as far as what crossed tells.
func (x *crossing) accelerator(s assoc.Service) string {
	out := &x.out
	switch out.Path {
	case PassThrough:
		return "pass_through"
	case PathUnknown:
		return "unknown"
	}
	switch s {
	case assoc.EPM:
		return "epm"
	case assoc.MAPI, assoc.MAPIAsync:
		if x.pair != nil && x.pair.HandedOff == 0 && !x.pair.Lossy && (out.Streams == RPCDiffers || out.Streams == Reencrypted) {
			return "mapi"
		}
	}
	if out.Streams == UnknownStreams {
		return "unknown"
	}
	return "generic"
}

// ending says who ended the connection.
func (x *crossing) ending() {
	near, far := x.near.Flow.State(), x.far.Flow.State()
	out := &x.out
	out.ResetNear = near == flows.ResetByServer && far != flows.ResetByServer
	out.ResetFar = far == flows.ResetByClient && near != flows.ResetByClient
	switch {
	case out.ResetNear || out.ResetFar:
		out.EndedBy = "optimizer"
	case near == flows.ResetByServer || far == flows.ResetByServer || near == flows.Refused:
		out.EndedBy = "server"
	case near == flows.ResetByClient:
		out.EndedBy = "client"
	case near == flows.Closed || near == flows.HalfClosed:
		out.EndedBy = "client"
		c, s := &x.near.Flow.Sides[x.near.Flow.Client], &x.near.Flow.Sides[x.near.Flow.Client.Other()]
		if c.Fin.IsZero() || !s.Fin.IsZero() && s.Fin.Before(c.Fin) {
			out.EndedBy = "server"
		}
	}
}
