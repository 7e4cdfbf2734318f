package auth

import "encoding/asn1"

// The object identifiers of mechanisms (RFC 4178, RFC 4121, [MS-SPNG] 1.9).
var mechanisms = map[string]string{
	"1.3.6.1.5.5.2":          "spnego",
	"1.3.6.1.4.1.311.2.2.10": "ntlm",
	"1.3.6.1.4.1.311.2.2.30": "negoex",
	"1.2.840.113554.1.2.2":   "kerberos",
	"1.2.840.48018.1.2.2":    "ms-kerberos",
	"1.2.840.113554.1.2.2.3": "kerberos-user2user",
	"1.3.6.1.5.2.5":          "iakerb",
	"1.3.6.1.5.2.7":          "pku2u",
}

// maxArcs bounds the dotted form of an unknown mechanism.
const maxArcs = 32

// MechanismName returns the short name of a GSS-API mechanism: "ntlm",
// "kerberos", "ms-kerberos" (Kerberos under the identifier that Windows 2000
// got wrong), "kerberos-user2user", "negoex", "spnego"; for an unknown one
// its dotted form, as far as 32 arcs go.
func MechanismName(oid asn1.ObjectIdentifier) string {
	oid = oid[:min(len(oid), maxArcs)]
	s := oid.String()
	if name, ok := mechanisms[s]; ok {
		return name
	}
	return s
}

// mechanismOf maps the name of a mechanism to the value of Facts.Mechanism.
func mechanismOf(name string) string {
	switch name {
	case "ntlm":
		return "ntlm"
	case "kerberos", "ms-kerberos", "kerberos-user2user", "iakerb":
		return "kerberos"
	}
	return ""
}
