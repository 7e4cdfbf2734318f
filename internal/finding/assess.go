package finding

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/verdict"
	"mapiscope/pcaps"
)

// Assessment is the answer to the questions that a report is read for, beside
// that of escapes, which the verdicts give.
type Assessment struct {
	Encryption   EncryptionAssessment
	Acceleration AccelerationAssessment
	Capture      CaptureAssessment
	Vendor       string        // of the optimizers, "" where nothing shows one
	Places       []pcaps.Point // where connections were captured, in order of their names
}

// EncryptionState says how the worst protected EMSMDB connection is sent.
type EncryptionState string

// The states of encryption.
const (
	Encrypted         EncryptionState = "encrypted"
	Signed            EncryptionState = "signed"
	Readable          EncryptionState = "readable"
	EncryptionUnknown EncryptionState = "unknown"
)

// EncryptionAssessment is that with counts of EMSMDB connections.
type EncryptionAssessment struct {
	State  EncryptionState
	Reason string

	Encrypted, Signed, Readable, Unknown, Connections int
}

// AccelerationState says whether the MAPI accelerator takes the connections.
type AccelerationState string

// The states of acceleration.
const (
	Accelerated               AccelerationState = "accelerated"
	Partly                    AccelerationState = "partly"
	NotAccelerated            AccelerationState = "not_accelerated"
	AccelerationNotAssessable AccelerationState = "not_assessable"
)

// AccelerationAssessment is that with how it is known.
type AccelerationAssessment struct {
	State    AccelerationState
	Observed bool // packets show an optimizer; else only the rules of the release decide
	Reason   string
}

// CaptureState says whether the captures hold what they should.
type CaptureState string

// The states of captures.
const (
	Complete      CaptureState = "complete"
	Incomplete    CaptureState = "incomplete"
	Contradictory CaptureState = "contradictory"
)

// CaptureAssessment is that with the reason.
type CaptureAssessment struct {
	State  CaptureState
	Reason string
}

// assess sums up the job.
func (b *judge) assess() {
	a := &b.Assessment
	a.Encryption = b.assessEncryption()
	a.Acceleration = b.assessAcceleration()
	a.Capture = b.assessCapture()
	for _, d := range b.Findings.Conns {
		if a.Vendor == "" {
			a.Vendor = d.Leg.Vendor
		}
		if !slices.Contains(a.Places, d.place()) {
			a.Places = append(a.Places, d.place())
		}
	}
	slices.SortFunc(a.Places, func(x, y pcaps.Point) int { return strings.Compare(x.String(), y.String()) })
}

func (b *judge) assessEncryption() (a EncryptionAssessment) {
	b.eachMAPI(func(x *verdict.Conversation, _ *Conn) {
		a.Connections++
		encrypted, signed, known := false, false, false
		for _, l := range x.Legs {
			if d := b.conns[l]; d != nil {
				encrypted, signed = encrypted || d.Encrypted, signed || d.Signed
				known = known || d.RPC != nil && len(d.RPC.Contexts) > 0
			}
		}
		switch {
		case encrypted:
			a.Encrypted++
		case signed:
			a.Signed++
		case known:
			a.Readable++
		default:
			a.Unknown++
		}
	})
	switch {
	case a.Connections == 0:
		a.State, a.Reason = EncryptionUnknown, "no EMSMDB connection"
	case a.Encrypted > 0:
		a.State, a.Reason = Encrypted, countOf(a.Encrypted, a.Connections)+" at level privacy"
	case a.Signed > 0:
		a.State, a.Reason = Signed, countOf(a.Signed, a.Connections)+" at level integrity"
	case a.Unknown > 0:
		a.State, a.Reason = EncryptionUnknown, "the bind of "+countOf(a.Unknown, a.Connections)+" was not captured or is hidden"
	default:
		a.State, a.Reason = Readable, "no EMSMDB connection asks for signing or encryption"
	}
	return a
}

func countOf(n, all int) string {
	if all == 1 {
		return "the one EMSMDB connection"
	}
	return fmt.Sprintf("%d of %d EMSMDB connections", n, all)
}

func (b *judge) assessAcceleration() (a AccelerationAssessment) {
	taken, left, unknown := 0, 0, 0
	b.eachMAPI(func(x *verdict.Conversation, d *Conn) {
		a.Observed = a.Observed || x.Path != verdict.PathUnknown
		switch d.Disposition.Accelerator {
		case MAPIAccelerator:
			taken++
		case UnknownAccelerator:
			unknown++
		default:
			left++
		}
	})
	all := taken + left + unknown
	switch {
	case all == 0 || unknown == all:
		a.State, a.Reason = AccelerationNotAssessable, "nothing tells which accelerator takes the connections"
	case taken == all:
		a.State, a.Reason = Accelerated, "release "+b.Release.Name+" takes all of them"
	case taken > 0:
		a.State, a.Reason = Partly, countOf(taken, all)+" under the MAPI accelerator"
	case unknown > 0:
		a.State, a.Reason = AccelerationNotAssessable, "nothing tells which accelerator took "+countOf(unknown, all)
	default:
		a.State, a.Reason = NotAccelerated, "none of them is under the MAPI accelerator"
	}
	return a
}

func (b *judge) assessCapture() CaptureAssessment {
	if c := b.v.Contradictions(); len(c) > 0 {
		return CaptureAssessment{Contradictory, c[0].Detail}
	}
	if why := b.incomplete(); why != "" {
		return CaptureAssessment{Incomplete, why}
	}
	if len(b.Findings.Conns) == 0 {
		return b.assessEmpty()
	}
	return CaptureAssessment{Complete, "both directions, from the handshakes on, without a gap"}
}

// assessEmpty says why captures show no connection.
func (b *judge) assessEmpty() CaptureAssessment {
	packets, filtered := int64(0), int64(0)
	for i := range b.Captures {
		packets, filtered = packets+b.Captures[i].Packets, filtered+b.Captures[i].Filtered
	}
	switch {
	case packets == 0 && filtered > 0:
		return CaptureAssessment{Incomplete, "no packet matches the filter"}
	case b.Unread > 0:
		return CaptureAssessment{Incomplete, fmt.Sprintf("%d of %d packets could not be read", b.Unread, packets)}
	}
	return CaptureAssessment{Complete, "it holds nothing to judge"}
}

// incomplete says what the captures lack, "" for nothing.
func (b *judge) incomplete() string {
	for i := range b.Captures {
		c := &b.Captures[i]
		lost, _ := Lost(c)
		switch {
		case c.Err != nil:
			return c.Err.Error()
		case c.Truncated > 0:
			return "packets were cut by the snap length"
		case lost > 0:
			return "packets were lost while capturing"
		}
	}
	for _, d := range b.Findings.Conns {
		switch {
		case d.RPC == nil && d.Service == assoc.Unknown:
		case d.Flow.Gapped():
			return "bytes of connections were never captured"
		case d.Flow.Directions() != flows.BothSides && d.reached():
			return "only one direction of some connections was captured"
		case !d.began():
			return "some connections began before the capture"
		}
	}
	return ""
}

// serviceOrder ranks services by how much they say about a group.
var serviceOrder = []assoc.Service{assoc.MAPI, assoc.MAPIAsync, assoc.NSPI, assoc.RFR, assoc.EPM, assoc.OtherRPC}

// Group is what the members of an association group carried.
type Group struct {
	Service       assoc.Service // the most telling one
	Encrypted     bool          // some member is
	ClientProduct string        // of the first member that tells
	Sessions      int64         // that were opened
	Readable      bool          // whether anything tells the sessions
}

// GroupOf sums up the members of a group.
func (f *Findings) GroupOf(g *verdict.Group) Group {
	out := Group{Service: assoc.Unknown}
	best := len(serviceOrder)
	for _, x := range g.Members {
		d := f.conns[x.Main]
		if i := slices.Index(serviceOrder, d.Service); i >= 0 && i < best {
			best, out.Service = i, d.Service
		}
		out.Encrypted = out.Encrypted || d.Encrypted
		if !isMAPI(d.Service) {
			continue
		}
		if n, _, known := d.Sessions(); known {
			out.Sessions, out.Readable = out.Sessions+n, true
		}
		if out.ClientProduct == "" {
			out.ClientProduct = d.Version.Product()
		}
	}
	return out
}
