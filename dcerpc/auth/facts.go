// Package auth reads the authentication tokens of DCE/RPC: the auth_value of
// the verifier in bind, alter_context, their answers and auth3 ([MS-RPCE]
// 2.2.2.11). It knows SPNEGO (RFC 4178, [MS-SPNG]), NTLMSSP ([MS-NLMP]),
// Kerberos with and without the GSS-API header (RFC 4121, [MS-KILE]) and the
// NETLOGON negotiation ([MS-NRPC] 2.2.1.3.1); and, since a refused logon is
// often explained there, the messages between a client and its KDC (RFC 4120).
//
// It tells who asks for what and what was answered, all from the clear. It
// decrypts nothing and verifies nothing.
package auth

import (
	"bytes"
	"slices"
	"time"
)

// Values of auth_type ([MS-RPCE] 2.2.1.1.7) that Add treats by number; the
// tokens of all others are recognised by what they hold.
const (
	typeSchannel = 14
	typeNetlogon = 68
)

// Limits of one Facts. What goes beyond them is dropped and Malformed is set.
const (
	maxToken    = 64 << 10 // bytes of a token; auth_length has 16 bits
	maxDepth    = 4        // mechanisms inside each other
	maxOffered  = 16       // mechanisms in one list
	maxMessages = 16       // names of messages that are kept
	maxName     = 512      // bytes of a name
)

// Facts is what the tokens of one authentication context say. Fields that no
// token filled are empty. A later token never replaces a name that an earlier
// one gave, except where a comment says so. Nothing in it shares a token.
type Facts struct {
	// Mechanism is "ntlm", "kerberos" or empty while nothing tells: the one
	// whose messages were seen or that SPNEGO selected, the latest of these.
	Mechanism string
	// Offered lists the mechanisms of the first NegTokenInit, best first, by
	// MechanismName.
	Offered []string
	// Selected is the supportedMech of the latest NegTokenResp that has one.
	Selected string
	// NegState is the latest negState: "accept-completed",
	// "accept-incomplete", "reject" or "request-mic".
	NegState string
	// MechListMIC tells that a mechListMIC was seen: the list of mechanisms
	// was protected against downgrading.
	MechListMIC bool

	// Domain, User and Workstation are those of the NTLM AUTHENTICATE, before
	// it the domain and workstation of the NEGOTIATE; or the NetBIOS names of
	// a NETLOGON token. User is also the client name of a KRB-ERROR.
	Domain, User, Workstation string
	// Anonymous tells that an NTLM AUTHENTICATE had neither user nor response.
	Anonymous bool

	// Target is the target name of the NTLM CHALLENGE, the names after it
	// come from its AV pairs; ServerTime is their timestamp, zero if absent.
	Target                          string
	NetBIOSDomain, NetBIOSComputer  string
	DNSDomain, DNSComputer, DNSTree string
	ServerTime                      time.Time
	// NTLMFlags are the NegotiateFlags of the latest NTLM message.
	NTLMFlags uint32
	// NTLMVersion names the response of the AUTHENTICATE: "NTLMv2",
	// "NTLMv1", "NTLMv1 session security", "LM" or "anonymous".
	NTLMVersion string
	// ClientVersion and ServerVersion are the VERSION structures of the NTLM
	// messages, e.g. "6.1.7601", which is the version of Windows.
	ClientVersion, ServerVersion string

	// Realm and SPN are those of the service ticket in the AP-REQ, or of the
	// service that a KRB-ERROR names; SPN is also the target name that an
	// NTLMv2 response carries. Components of the SPN are joined with "/".
	Realm, SPN string
	// ClientRealm is known from a KRB-ERROR only: elsewhere it is encrypted.
	ClientRealm string
	// TicketEtype and TicketKVNO say what the ticket is encrypted with; the
	// etype of the AP-REQ's authenticator is that of the session key.
	TicketEtype, SessionEtype int32
	TicketKVNO                uint32
	// MutualRequired and UserToUser are ap-options of the AP-REQ.
	MutualRequired, UserToUser bool
	// KRBErr is the latest KRB-ERROR.
	KRBErr *KRBError

	// Messages names the messages in their order, without repeating one that
	// came just before: "NegTokenInit", "NegTokenResp", "ntlm negotiate",
	// "ntlm challenge", "ntlm authenticate", "AP-REQ", "AP-REP", "KRB-ERROR",
	// "TGT-REQ", "TGT-REP", "negoex", "netlogon request", "netlogon response",
	// "schannel".
	Messages []string
	// Malformed tells that a token was not what it should be, or went beyond
	// a limit; what could be read of it stands.
	Malformed bool
}

// Add merges what token says. authType is the auth_type of its verifier: 9
// SPNEGO, 10 NTLM, 16 Kerberos, 14 schannel, 68 NETLOGON; the first three are
// told apart by their content, since peers send a mechanism's tokens bare
// where SPNEGO belongs. Only tokens of bind, alter_context, their answers and
// auth3 may be given: the verifier of a call holds a signature. An empty
// token says nothing. Add keeps no part of token.
func (f *Facts) Add(authType uint8, token []byte) {
	if len(token) == 0 {
		return
	}
	if len(token) > maxToken {
		f.Malformed = true
		token = token[:maxToken]
	}
	switch authType {
	case typeSchannel:
		f.message("schannel")
	case typeNetlogon:
		f.netlogon(token)
	default:
		f.token(token, 0)
	}
}

// Begins returns the name, as in Messages, of a token that begins an exchange,
// "" for one that goes on with it.
func Begins(authType uint8, token []byte) string {
	var f Facts
	f.Add(authType, token)
	if len(f.Messages) == 0 {
		return ""
	}
	switch name := f.Messages[0]; name {
	case "NegTokenInit", "ntlm negotiate", "AP-REQ", "TGT-REQ", "netlogon request":
		return name
	}
	return ""
}

// Size returns how many bytes the Facts keep beside the struct itself.
func (f *Facts) Size() int {
	n := 16 * (cap(f.Offered) + cap(f.Messages))
	for _, s := range [...]string{
		f.Selected, f.Domain, f.User, f.Workstation, f.Target, f.NetBIOSDomain, f.NetBIOSComputer, f.DNSDomain, f.DNSComputer,
		f.DNSTree, f.ClientVersion, f.ServerVersion, f.Realm, f.SPN, f.ClientRealm,
	} {
		n += len(s)
	}
	for _, s := range f.Offered {
		n += len(s)
	}
	if k := f.KRBErr; k != nil {
		n += k.size()
	}
	return n
}

var (
	ntlmSignature   = []byte("NTLMSSP\x00")
	negoexSignature = []byte("NEGOEXTS")
)

// token reads a token by its content. Tokens inside it are one deeper.
func (f *Facts) token(b []byte, depth int) {
	switch {
	case len(b) == 0:
		return
	case depth > maxDepth:
		f.Malformed = true
	case bytes.HasPrefix(b, ntlmSignature):
		f.ntlm(b)
	case bytes.HasPrefix(b, negoexSignature):
		f.message("negoex")
	case b[0] == tagGSS:
		f.gss(b, depth)
	case b[0] == tagNegTokenInit, b[0] == tagNegTokenResp:
		f.spnego(b, depth)
	default:
		f.kerberos(b)
	}
}

// message notes that a message of this name was seen.
func (f *Facts) message(name string) {
	if n := len(f.Messages); n > 0 && f.Messages[n-1] == name {
		return
	}
	if len(f.Messages) == maxMessages {
		f.Malformed = true
		return
	}
	f.Messages = append(f.Messages, name)
}

// seen reports whether a message of this name was noted.
func (f *Facts) seen(name string) bool { return slices.Contains(f.Messages, name) }

// first stores value in field unless the field has one.
func first(field *string, value string) {
	if *field == "" {
		*field = value
	}
}
