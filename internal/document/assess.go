package document

import "mapiscope/internal/wire"

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

// assess writes the assessments into the document.
func (b *builder) assess() {
	e, a := b.v.Escape, &b.f.Assessment
	out := Assessment{
		Escape: EscapeAssessment{
			State: string(e.State), Quality: e.Quality, Reason: e.Reason, Todo: text(e.Todo), Groups: e.Groups, GroupsNotAssessable: e.NotAssessable,
			EscapedConnections: e.Connections, PossibleConnections: e.Possible, Clients: len(e.Clients), ClientsAffected: []string{},
		},
		Encryption: EncryptionAssessment{
			State: string(a.Encryption.State), Reason: a.Encryption.Reason, Encrypted: a.Encryption.Encrypted, Signed: a.Encryption.Signed,
			Readable: a.Encryption.Readable, Unknown: a.Encryption.Unknown, Connections: a.Encryption.Connections,
		},
		Acceleration: AccelerationAssessment{State: string(a.Acceleration.State), By: "rule", Reason: a.Acceleration.Reason},
		Capture:      CaptureAssessment{State: string(a.Capture.State), Reason: a.Capture.Reason},
		Vendor:       text(a.Vendor), Places: []string{},
	}
	for _, c := range e.Affected {
		out.Escape.ClientsAffected = append(out.Escape.ClientsAffected, c.String())
	}
	if !e.Since.IsZero() {
		out.Escape.Since = ptr(wire.Stamp(e.Since.Time))
	}
	if a.Acceleration.Observed {
		out.Acceleration.By = "observed"
	}
	for _, p := range a.Places {
		out.Places = append(out.Places, p.String())
	}
	b.doc.Assessment = out
}
