package document

import (
	"fmt"
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/verdict"
)

// Assessment is the answer to the questions that a report is read for.
type Assessment struct {
	Escape       EscapeAssessment       `json:"escape"`
	Encryption   EncryptionAssessment   `json:"encryption"`
	Acceleration AccelerationAssessment `json:"acceleration"`
	Capture      CaptureAssessment      `json:"capture"`
	Vendor       *string                `json:"vendor"`
	Places       []string               `json:"places"`
}

// EscapeAssessment says whether EMSMDB connections escaped: "escaped",
// "possible", "not_assessable", "none", or "no_mapi". "none" needs proof for
// every group.
type EscapeAssessment struct {
	State               string   `json:"state"`
	Quality             Quality  `json:"quality"`
	Reason              string   `json:"reason"`
	Todo                *string  `json:"todo"` // what to capture instead where it cannot be told
	Groups              int      `json:"groups"`
	GroupsNotAssessable int      `json:"groups_not_assessable"`
	EscapedConnections  int      `json:"escaped_connections"`
	PossibleConnections int      `json:"possible_connections"`
	Clients             int      `json:"clients"`
	ClientsAffected     []string `json:"clients_affected"`
	Since               *string  `json:"since"`
}

// EncryptionAssessment says how the worst protected EMSMDB connection is sent:
// "encrypted", "signed", "readable", or "unknown".
type EncryptionAssessment struct {
	State       string `json:"state"`
	Reason      string `json:"reason"`
	Encrypted   int    `json:"encrypted_connections"`
	Signed      int    `json:"signed_connections"`
	Readable    int    `json:"readable_connections"`
	Unknown     int    `json:"unknown_connections"`
	Connections int    `json:"connections"`
}

// AccelerationAssessment says whether the MAPI accelerator takes the
// connections: "accelerated", "partly", "not_accelerated", "not_assessable".
// By is "observed" where packets show an optimizer and "rule" where only the
// rules of the release decide.
type AccelerationAssessment struct {
	State  string `json:"state"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// CaptureAssessment says whether the captures hold what they should:
// "complete", "incomplete", or "contradictory".
type CaptureAssessment struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
}

// assess sums up the document.
func (b *builder) assess() {
	a := &b.doc.Assessment
	e := b.v.Escape
	a.Escape = EscapeAssessment{
		State: string(e.State), Quality: Quality(e.Quality), Reason: e.Reason, Todo: text(e.Todo), Groups: e.Groups, GroupsNotAssessable: e.NotAssessable,
		EscapedConnections: e.Connections, PossibleConnections: e.Possible, Clients: len(e.Clients), ClientsAffected: []string{},
	}
	for _, c := range e.Affected {
		a.Escape.ClientsAffected = append(a.Escape.ClientsAffected, c.String())
	}
	if !e.Since.IsZero() {
		a.Escape.Since = ptr(stamp(e.Since.Time))
	}
	b.assessEncryption(&a.Encryption)
	b.assessAcceleration(&a.Acceleration)
	b.assessCapture(&a.Capture)
	a.Places = []string{}
	for _, c := range b.listed {
		leg := b.v.Leg(c)
		if leg.Vendor != "" && a.Vendor == nil {
			a.Vendor = ptr(leg.Vendor)
		}
		if p := leg.Place.String(); !slices.Contains(a.Places, p) {
			a.Places = append(a.Places, p)
		}
	}
	slices.Sort(a.Places)
}

// eachMAPI calls f for every EMSMDB conversation with the row of its main leg.
func (b *builder) eachMAPI(f func(x *verdict.Conversation, d *Connection)) {
	for _, x := range b.v.Conversations {
		if x.MAPI() && b.ids[x.Main] != 0 {
			f(x, b.row(x.Main))
		}
	}
}

func (b *builder) assessEncryption(a *EncryptionAssessment) {
	b.eachMAPI(func(x *verdict.Conversation, _ *Connection) {
		a.Connections++
		encrypted, signed, known := false, false, false
		for _, l := range x.Legs {
			if d := b.row(l); b.ids[l] != 0 {
				encrypted, signed = encrypted || d.Encrypted, signed || d.Signed
				known = known || len(d.Interfaces) > 0
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
		a.State, a.Reason = "unknown", "no EMSMDB connection"
	case a.Encrypted > 0:
		a.State, a.Reason = "encrypted", countOf(a.Encrypted, a.Connections)+" at level privacy"
	case a.Signed > 0:
		a.State, a.Reason = "signed", countOf(a.Signed, a.Connections)+" at level integrity"
	case a.Unknown > 0:
		a.State, a.Reason = "unknown", "the bind of "+countOf(a.Unknown, a.Connections)+" was not captured or is hidden"
	default:
		a.State, a.Reason = "readable", "no EMSMDB connection asks for signing or encryption"
	}
}

func countOf(n, all int) string {
	if all == 1 {
		return "the one EMSMDB connection"
	}
	return fmt.Sprintf("%d of %d EMSMDB connections", n, all)
}

func (b *builder) assessAcceleration(a *AccelerationAssessment) {
	taken, left, unknown := 0, 0, 0
	a.By = "rule"
	b.eachMAPI(func(x *verdict.Conversation, d *Connection) {
		if x.Path != verdict.PathUnknown {
			a.By = "observed"
		}
		switch d.Disposition.Accelerator {
		case "mapi":
			taken++
		case "unknown":
			unknown++
		default:
			left++
		}
	})
	all := taken + left + unknown
	switch {
	case all == 0 || unknown == all:
		a.State, a.Reason = "not_assessable", "nothing tells which accelerator takes the connections"
	case taken == all:
		a.State, a.Reason = "accelerated", "release "+b.rules.Name+" takes all of them"
	case taken > 0:
		a.State, a.Reason = "partly", countOf(taken, all)+" under the MAPI accelerator"
	case unknown > 0:
		a.State, a.Reason = "not_assessable", "of "+countOf(unknown, all)+" nothing tells which accelerator took it"
	default:
		a.State, a.Reason = "not_accelerated", "none of them is under the MAPI accelerator"
	}
}

func (b *builder) assessCapture(a *CaptureAssessment) {
	a.State, a.Reason = "complete", "both directions, from the handshakes on, without a gap"
	if c := b.v.Contradictions(); len(c) > 0 {
		a.State, a.Reason = "contradictory", c[0].Detail
		return
	}
	incomplete := func(why string) {
		if a.State == "complete" {
			a.State, a.Reason = "incomplete", why
		}
	}
	for i := range b.doc.Captures {
		c := &b.doc.Captures[i]
		switch {
		case c.Error != nil:
			incomplete(*c.Error)
		case c.TruncatedPackets > 0:
			incomplete("packets were cut by the snap length")
		case c.DroppedPackets != nil && *c.DroppedPackets > 0:
			incomplete("packets were lost while capturing")
		}
	}
	for _, c := range b.listed {
		d := b.row(c)
		if c.RPC == nil && b.service[c] == assoc.Unknown {
			continue
		}
		switch {
		case d.GapBytes != (PerSide{}):
			incomplete("bytes of connections were never captured")
		case d.Directions != "both" && d.State != "unanswered" && d.State != "refused":
			incomplete("only one direction of some connections was captured")
		case d.Origin != "handshake":
			incomplete("some connections began before the capture")
		}
	}
}
