package report

import (
	"fmt"
	"strings"

	"mapiscope/internal/document"
)

// assessmentLabel is the width of the labels of the assessment.
const assessmentLabel = 14

// assessment writes the first lines of the page: what the document says of
// escapes, encryption, acceleration and of the captures themselves. It
// concludes nothing of its own.
func (p *page) assessment() {
	a := &p.doc.Assessment
	if a.Escape.State == "" { // a document of an older release
		return
	}
	p.hang(assessmentLabel, piece{"Escape", escapeTones[a.Escape.State]}, p.escapeWords())
	if a.Escape.State != "no_mapi" {
		p.hang(assessmentLabel, piece{"Encryption", encryptionTones[a.Encryption.State]}, encryptionWords(&a.Encryption))
		p.hang(assessmentLabel, piece{"Acceleration", accelerationTones[a.Acceleration.State]}, p.accelerationWords())
	}
	p.hang(assessmentLabel, piece{"Capture", captureTones[a.Capture.State]}, fmt.Sprintf("%s: %s.", a.Capture.State, a.Capture.Reason))
}

var (
	escapeTones       = map[string]tone{"escaped": bad, "possible": warn, "not_assessable": warn, "none": good}
	encryptionTones   = map[string]tone{"encrypted": warn, "signed": warn}
	accelerationTones = map[string]tone{"accelerated": good, "partly": warn, "not_accelerated": warn}
	captureTones      = map[string]tone{"contradictory": bad, "incomplete": warn}
)

// escapeWords answers whether connections escaped, in a sentence or two.
func (p *page) escapeWords() string {
	e := &p.doc.Assessment.Escape
	switch e.State {
	case "escaped":
		out := strings.ToUpper(e.Reason[:min(1, len(e.Reason))]) + e.Reason[min(1, len(e.Reason)):]
		if e.Quality != document.Exact {
			out += ", as inferred"
		}
		if e.Since != nil {
			out += ", since " + p.clock.day(*e.Since)
		}
		if n := len(e.ClientsAffected); n > 0 {
			out += fmt.Sprintf("; clients concerned: %s (%d of %d)", list(e.ClientsAffected, 4), n, max(n, e.Clients))
		}
		if e.PossibleConnections > 0 {
			out += fmt.Sprintf("; possibly %d more", e.PossibleConnections)
		}
		return out + "."
	case "possible":
		return fmt.Sprintf("possibly: %s.%s", e.Reason, instead(" To prove it, ", e.Todo))
	case "not_assessable":
		return fmt.Sprintf("cannot be told, because %s.%s", e.Reason, instead(" Instead, ", e.Todo))
	case "none":
		return fmt.Sprintf("no EMSMDB connection escaped: %s.", e.Reason)
	case "no_mapi":
		switch {
		case p.filtered() > 0:
			return fmt.Sprintf("nothing to judge among the packets that match the filter: %s.", e.Reason)
		case p.undecoded() > 0:
			return fmt.Sprintf("nothing to judge, as far as packets could be read: %s.", e.Reason)
		}
		return fmt.Sprintf("nothing to judge: %s.", e.Reason)
	}
	return e.Reason
}

// instead says what to capture, where the document says so.
func instead(lead string, todo *string) string {
	if todo == nil {
		return ""
	}
	return lead + *todo + "."
}

func encryptionWords(e *document.EncryptionAssessment) string {
	if e.State == "unknown" {
		return fmt.Sprintf("cannot be told, because %s.", e.Reason)
	}
	return fmt.Sprintf("%s: %s.", e.State, e.Reason)
}

func (p *page) accelerationWords() string {
	a := &p.doc.Assessment.Acceleration
	switch {
	case a.State == "not_assessable":
		return fmt.Sprintf("cannot be told, because %s.", a.Reason)
	case a.By == "rule" && a.State == "not_accelerated":
		return fmt.Sprintf("not accelerated by the rules of release %s: %s.", p.doc.WAAS, a.Reason)
	case a.By == "rule":
		return fmt.Sprintf("%s by the rules of release %s, if the devices are in the path: %s.", strings.ReplaceAll(a.State, "_", " "), p.doc.WAAS, a.Reason)
	}
	return fmt.Sprintf("%s: %s.", strings.ReplaceAll(a.State, "_", " "), a.Reason)
}

// clear reports whether the document proves of every group that nothing is
// missing from view: only then may a group that was seen to take one path be
// called whole without more.
func (p *page) clear() bool {
	e := &p.doc.Assessment.Escape
	return e.State != "not_assessable" && e.GroupsNotAssessable == 0
}

// possible reports whether the document holds an escape from a group, or calls
// of it that went elsewhere, for possible.
func (p *page) possible(g *document.AssociationGroup) *document.Finding {
	for i := range p.doc.Findings {
		if f := &p.doc.Findings[i]; f.Code == "POSSIBLE_ESCAPE" && contains(f.Groups, g.ID) {
			return f
		}
	}
	return nil
}

func contains(all []int, n int) bool {
	for _, x := range all {
		if x == n {
			return true
		}
	}
	return false
}

// Escape is what the document says of escapes, in a few words: "1 escaped",
// "2 possibly escaped", "" where there is nothing that could.
func (w Words) Escape() string {
	e := &w.p.doc.Assessment.Escape
	switch e.State {
	case "escaped":
		out := fmt.Sprintf("%d escaped", e.EscapedConnections)
		if e.PossibleConnections > 0 {
			out += fmt.Sprintf(", possibly %d more", e.PossibleConnections)
		}
		return out
	case "possible":
		if e.PossibleConnections == 0 {
			return "calls possibly escaped"
		}
		return fmt.Sprintf("%d possibly escaped", e.PossibleConnections)
	case "not_assessable":
		return "whether any escaped cannot be told"
	case "none":
		return "none escaped"
	}
	return ""
}
