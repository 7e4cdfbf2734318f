package finding

import (
	"fmt"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
)

// Release is what one generation of the device takes under its MAPI
// accelerator.
type Release struct {
	Name string
	// Encrypted: Kerberos-protected connections are accelerated (encrypted
	// MAPI came with 5.0.1, on by default from 5.0.3). NTLM never is.
	Encrypted bool
	// NewestMajor is the newest Outlook generation that the release knows, by
	// major version: up to 4.x that is 2007, which 12 and 13 stand for.
	NewestMajor uint16
}

// releases are those that --waas names, oldest first.
var releases = []Release{
	{Name: "4.1", NewestMajor: 13},
	{Name: "4.5", NewestMajor: 13},
	{Name: "5.0", Encrypted: true, NewestMajor: 14},
	{Name: "5.3", Encrypted: true, NewestMajor: 15},
}

// ReleaseOf returns the rules of a release; any other name, and none, gives
// the newest.
func ReleaseOf(name string) Release {
	for _, r := range releases {
		if r.Name == name {
			return r
		}
	}
	return releases[len(releases)-1]
}

// Releases returns the names that ReleaseOf knows.
func Releases() []string {
	names := make([]string, len(releases))
	for i, r := range releases {
		names[i] = r.Name
	}
	return names
}

// oldestMajor and oldestBuild bound the clients that any release takes:
// Outlook 2000 announces its provider's version 5.0.3xxx.
const (
	oldestMajor = 5
	oldestBuild = 3000
)

// Traits is what a release decides by.
type Traits struct {
	Service assoc.Service
	Secured Secured        // the strongest protection that was asked for
	Version emsmdb.Version // zero where no connect could be read
}

// Secured is an authentication that asks for signing or privacy; the zero
// value is none.
type Secured struct {
	Level     uint8     // dcerpc.LevelIntegrity or more
	Mechanism Mechanism // "" where nothing tells
}

// Rule says what the release does by its rules alone with a connection that
// crosses the pair. The letters are those of the device's Accel column: T TCP,
// M MAPI, E EPM, G generic, D DRE, L LZ.
func (r Release) Rule(t Traits) Disposition {
	switch t.Service {
	case assoc.EPM:
		return Disposition{EPMAccelerator, "TEDL", Heuristic, "by rule: port 135 goes to the EPM accelerator"}
	case assoc.RFR, assoc.NSPI:
		return Disposition{PassThrough, "-", Heuristic, "by rule: the default policy passes RFR and NSPI through"}
	case assoc.MAPI, assoc.MAPIAsync:
		if why := r.refusal(t); why != "" {
			return Disposition{Generic, "TGDL", Heuristic, why}
		}
		return Disposition{MAPIAccelerator, "TMDL", Heuristic, r.acceptance(t.Secured)}
	case assoc.OtherRPC:
		return Disposition{Generic, "TGDL", Heuristic, "by rule: no accelerator for this interface"}
	case assoc.OverHTTP, assoc.MAPIHTTPSvc:
		return Disposition{Generic, "TGDL", Heuristic, "by rule: the MAPI accelerator does not handle HTTP transports"}
	}
	return Disposition{UnknownAccelerator, "-", Unavailable, "nothing tells what it carries"}
}

// refusal says why the release would hand an EMSMDB connection to the generic
// accelerator, "" when it would not.
func (r Release) refusal(t Traits) string {
	switch {
	case t.Secured.Level == 0:
	case !r.Encrypted:
		return fmt.Sprintf("secured connection (level %s): not accelerated before 5.0.3", dcerpc.AuthLevelName(t.Secured.Level))
	case t.Secured.Mechanism == NTLM:
		return "Unsupported Auth Type :NTLM"
	}
	return r.unsupported(t.Version)
}

// acceptance says why the release takes an EMSMDB connection.
func (r Release) acceptance(s Secured) string {
	switch {
	case s.Level == 0:
		return "by rule: readable EMSMDB of a supported client"
	case s.Mechanism == "":
		return fmt.Sprintf("by rule: level %s; whether Kerberos protects it was not captured, and release %s refuses NTLM", dcerpc.AuthLevelName(s.Level), r.Name)
	}
	return fmt.Sprintf("by rule: release %s accelerates encrypted MAPI with Kerberos (on by default from 5.0.3)", r.Name)
}

// unsupported says why a client version is not accelerated, "" when it is or
// is not known.
func (r Release) unsupported(v emsmdb.Version) string {
	switch major, build := v[0], v[2]; {
	case !v.Known():
	case major < oldestMajor || major == oldestMajor && build < oldestBuild:
		return "client older than Outlook 2000"
	case major > r.NewestMajor:
		return fmt.Sprintf("client newer than release %s knows", r.Name)
	}
	return ""
}
