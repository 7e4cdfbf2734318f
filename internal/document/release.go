package document

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

// Rule says what the release does by its rules alone with a connection of a
// document, if both devices are in its path.
func (r Release) Rule(d *Connection) Disposition {
	b := builder{rules: r}
	return b.byRule(d)
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
