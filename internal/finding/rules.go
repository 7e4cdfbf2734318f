package finding

import (
	"fmt"
	"net/netip"
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
)

// Code names a kind of finding, by the names of the contract.
type Code string

// The codes.
const (
	EscapedConnection   Code = "ESCAPED_CONNECTION"
	CapturePlace        Code = "CAPTURE_PLACE"
	CapturesUnrelated   Code = "CAPTURES_UNRELATED"
	JumpBlocked         Code = "JUMP_BLOCKED"
	SplitPair           Code = "SPLIT_PAIR"
	ClientOnlyAtEdge    Code = "CLIENT_ONLY_AT_EDGE"
	ClientOnlyAtCore    Code = "CLIENT_ONLY_AT_CORE"
	KerberosClockSkew   Code = "KERBEROS_CLOCK_SKEW"
	BindRejected        Code = "BIND_REJECTED"
	AuthRejected        Code = "AUTH_REJECTED"
	EncryptionRequired  Code = "ENCRYPTION_REQUIRED"
	EPMNotRegistered    Code = "EPM_NOT_REGISTERED"
	EndpointUnreachable Code = "ENDPOINT_UNREACHABLE"
	PossibleEscape      Code = "POSSIBLE_ESCAPE"
	EncryptedConnection Code = "ENCRYPTED_CONNECTION"
	UnsupportedAuthNTLM Code = "UNSUPPORTED_AUTH_NTLM"
	RepeatedDisconnect  Code = "REPEATED_DISCONNECT"
	KerberosError       Code = "KERBEROS_ERROR"
	EPMMissing          Code = "EPM_MISSING"
	UnsupportedClient   Code = "UNSUPPORTED_CLIENT"
	OptionStripped      Code = "OPTION_STRIPPED"
	OptionDropped       Code = "OPTION_DROPPED"
	Asymmetric          Code = "ASYMMETRIC"
	CaptureLoss         Code = "CAPTURE_LOSS"
	ClockStep           Code = "CLOCK_STEP"
	HTTPTransport       Code = "HTTP_TRANSPORT"
	SlowCalls           Code = "SLOW_CALLS"
	CaptureOrder        Code = "CAPTURE_ORDER"
)

// rule is one kind of finding: its fixed words, and the test that finds it.
type rule struct {
	code     Code
	severity Severity
	title    string
	advice   string
	find     func(b *judge, add func(detail Text) *Finding)
}

// rules are all findings of the contract that one job can give, in the order
// in which they are tried.
var rules = []rule{
	{EscapedConnection, Error, "A connection escaped its optimizer pair",
		"Compare `show statistics connection pass-through` on both devices at that time with `show statistics tfo detail`; look for overload, asymmetric routing, WCCP bucket moves and serial clusters. Until then the user may see duplicate mails and a hanging Outlook.",
		(*judge).findEscapes},
	{CapturePlace, Error, "A capture was not taken where it was said to be",
		"Check which file was taken where, and name the points again with --edge, --core and --wan, or --at. Until then nothing that rests on the place is judged.",
		(*judge).findPlaces},
	{CapturesUnrelated, Error, "The captures have no connection in common",
		"Compare captures of the same clients and the same time, one from each side of the devices.",
		(*judge).findUnrelated},
	{JumpBlocked, Error, "A sequence jump does not reach the other device",
		"Something on the path drops or rewrites sequence numbers that jump by about 2^31: allow WAAS on the firewall (`inspect waas` on an ASA, no sequence randomization between the devices).",
		(*judge).findBlockedJumps},
	{SplitPair, Error, "One group passed different optimizer pairs",
		"Make all connections of a client to one server take the same devices: check WCCP masks and clusters, and do not run the MAPI accelerator on a serial inline cluster.",
		(*judge).findSplits},
	{ClientOnlyAtEdge, Error, "A connection that never reaches the servers' side",
		"It leaves the path that the optimizers stand on: compare routing, WCCP redirection and policy-based routing of that client with those of its other connections (`show statistics connection pass-through`, `show ip wccp`).",
		(*judge).findOnlyNear},
	{ClientOnlyAtCore, Error, "A connection that never crossed the clients' side",
		"It reaches the servers past the edge device: look for a second link, a default route of the client or site, or a cluster member whose traffic is not captured.",
		(*judge).findOnlyFar},
	{KerberosClockSkew, Error, "Kerberos refuses because clocks differ",
		"Compare the clocks of client, server, KDC and Core device (`show clock`, `show ntp status`); they must agree within 5 minutes.",
		(*judge).findSkew},
	{BindRejected, Error, "The server rejected a bind",
		"Check that the port still belongs to the interface (`rpcdump`, service restart) and that client and server agree on version and transfer syntax.",
		(*judge).findRejectedBinds},
	{AuthRejected, Error, "The server refused the authentication",
		"Check the account, the password and the protection level that the server demands; for encrypted MAPI see `accelerator mapi verify encryption-settings`.",
		(*judge).findRejectedAuth},
	{EncryptionRequired, Error, "The server refuses mailboxes to clients that do not encrypt",
		"Turn on \"Encrypt data between Microsoft Outlook and Microsoft Exchange\" in Outlook or by group policy, and let the devices accelerate it as encrypted MAPI with Kerberos (`accelerator mapi encryption`). The server demands it by `Set-RpcClientAccess -EncryptionRequired` or `Set-MailboxServer -MAPIEncryptionRequired`; to turn that off is a loss of security.",
		(*judge).findUnencrypted},
	{EPMNotRegistered, Error, "The endpoint mapper does not know EMSMDB",
		"Check on the server that the Exchange RPC Client Access or Information Store service runs, and that the client asked the right server.",
		(*judge).findNotRegistered},
	{EndpointUnreachable, Error, "An announced port does not answer",
		"A firewall or access list between client and server may block dynamic RPC ports; check it for the port named here.",
		(*judge).findUnreachable},
	{PossibleEscape, Warning, "A connection possibly escaped its optimizer pair",
		"The packets hint at it and do not prove it. To prove it, capture at the client's LAN and at the server's LAN from before the client starts, and compare.",
		(*judge).findPossibleEscapes},
	{EncryptedConnection, Warning, "Signed or encrypted MAPI that the accelerator does not take",
		"Use Kerberos and a release that accelerates encrypted MAPI (`accelerator mapi encryption`). To turn off \"Encrypt data between Microsoft Outlook and Microsoft Exchange\" in Outlook or by group policy is a loss of security: mail then crosses the network in clear, and the server may refuse it (`Set-RpcClientAccess -EncryptionRequired`, `Set-MailboxServer -MAPIEncryptionRequired`).",
		(*judge).findEncrypted},
	{UnsupportedAuthNTLM, Warning, "Encrypted MAPI with NTLM instead of Kerberos",
		"Encrypted MAPI is accelerated with Kerberos only. Set Outlook to Negotiate or Kerberos, give the Exchange array name its `exchangeMDB/...` service principal name, and check `accelerator mapi verify encryption-settings`.",
		(*judge).findNTLM},
	{RepeatedDisconnect, Warning, "A client was disconnected again and again",
		"After four such disconnects the device sends the client to the generic accelerator: see mapiao-errorlog for \"disconnected more than four consecutive times\", and look at what the server answers to the bind.",
		(*judge).findDisconnects},
	{KerberosError, Warning, "Kerberos failed",
		"Look for a missing service principal name (`setspn -Q exchangeMDB/<name>`), for the domain of the account, and for name resolution on the devices (`dnslookup`).",
		(*judge).findKerberosErrors},
	{EPMMissing, Warning, "EMSMDB on a port that no captured endpoint mapper answer announced",
		"The device classifies MAPI by the endpoint mapper alone: check `show policy-engine application dynamic` for the port, and that port 135 crosses the same pair (`show statistics accelerator epm`).",
		(*judge).findUnannounced},
	{UnsupportedClient, Warning, "A client version that the release does not accelerate",
		"Compare the Outlook version with the release notes of the device; `show statistics accelerator mapi` counts it under lower or higher sessions.",
		(*judge).findClients},
	{OptionStripped, Warning, "The discovery option was not answered",
		"No peer device, or something on the path clears TCP option 33: allow it on firewalls (`inspect waas` on an ASA), then check `show statistics pass-through` (PT No Peer).",
		(*judge).findStripped},
	{OptionDropped, Warning, "SYNs with the discovery option vanish",
		"Something on the path drops SYNs with TCP option 33, and the device has its blacklist for such servers: it tries without the option, and for a while every connection to them passes through. Allow the option on firewalls (`inspect waas` on an ASA), then look at `show statistics auto-discovery blacklist` and `show auto-discovery blacklist`.",
		(*judge).findDropped},
	{Asymmetric, Warning, "Only one direction was captured",
		"Capture where both directions pass, or check the routing: a device that sees one direction passes the connection through (PT Asym Client or Server).",
		(*judge).findAsymmetric},
	{CaptureLoss, Warning, "The capture is incomplete",
		"Capture again with a larger buffer, and do not filter on parts of a connection; of a span port, see whether it is overloaded.",
		(*judge).findLoss},
	{ClockStep, Warning, "A clock was set back while capturing",
		"Times before and behind the step do not fit together: let the capturing host keep its time by slewing (`chronyc tracking`), and capture again.",
		(*judge).findClockSteps},
	{HTTPTransport, Info, "Outlook over HTTP",
		"RPC over HTTP and MAPI over HTTP are never accelerated by the MAPI accelerator; use the SSL accelerator or plain RPC.",
		(*judge).findHTTP},
	{SlowCalls, Info, "EMSMDB calls take far longer than the network",
		"Compare with the counters of the server (RPC averaged latency) and, where the network may take the time, with a capture at the server's LAN.",
		(*judge).findSlow},
	{CaptureOrder, Info, "Answers were captured before their questions",
		"They are paired by their acknowledgements, but times between the two directions are wrong: capture both on one clock and one queue (a tap that aggregates, or hardware time stamps).",
		(*judge).findCaptureOrder},
}

// Severities returns the severity of every code that a finding can have.
func Severities() map[Code]Severity {
	all := make(map[Code]Severity, len(rules))
	for _, r := range rules {
		all[r.code] = r.severity
	}
	return all
}

func (b *judge) findings() {
	for _, r := range rules {
		r.find(b, func(detail Text) *Finding {
			b.All = append(b.All, Finding{Code: r.code, Severity: r.severity, Quality: Exact, Title: r.title, Detail: detail, Advice: r.advice})
			return &b.All[len(b.All)-1]
		})
	}
	for i := range b.All {
		f := &b.All[i]
		f.bound()
		if advice, ok := plainAdvice[f.Code]; ok && b.v.Escape.State == verdict.StateNoMAPI {
			f.Advice = advice
		}
	}
	slices.SortStableFunc(b.All, func(x, y Finding) int { return x.Severity.Rank() - y.Severity.Rank() })
}

// plainAdvice stands for advice that talks of the devices, where there is no
// EMSMDB that they could accelerate.
var plainAdvice = map[Code]string{
	KerberosClockSkew: "Compare the clocks of client, server and KDC; they must agree within 5 minutes.",
	Asymmetric:        "Capture where both directions pass, or check the routing.",
}

// maxMarks bounds the packets that one finding names.
const maxMarks = 20

// bound leaves the first of the packets, each once.
func (f *Finding) bound() {
	seen := make(map[wire.Mark]bool, len(f.Marks))
	f.Marks = slices.DeleteFunc(f.Marks, func(m wire.Mark) bool {
		again := seen[m]
		seen[m] = true
		return again
	})
	if len(f.Marks) > maxMarks {
		f.Marks = f.Marks[:maxMarks]
	}
}

// concerns enters a connection into a finding, with the packet that shows it.
func (f *Finding) concerns(d *Conn, m wire.Mark) {
	f.Conns = append(f.Conns, d.Conn)
	f.between(d.hosts())
	if d.Group != nil {
		f.Groups = append(f.Groups, d.Group)
	}
	f.proves(m)
}

// between enters two hosts into a finding.
func (f *Finding) between(h hosts) {
	f.Clients, f.Servers = append(f.Clients, h.client), append(f.Servers, h.server)
}

// proves enters a packet that shows what a finding says.
func (f *Finding) proves(m wire.Mark) {
	if !m.IsZero() {
		f.Marks = append(f.Marks, m)
	}
}

// hosts are the two ends of a connection.
type hosts struct{ client, server netip.Addr }

// byReason collects connections under the reason that they share, so that a
// finding is one line for many connections, in order of first appearance.
type byReason struct {
	reasons []string
	members map[string][]member
}

type member struct {
	d *Conn
	m wire.Mark
}

func (r *byReason) add(reason string, d *Conn, m wire.Mark) {
	if r.members == nil {
		r.members = make(map[string][]member)
	}
	if _, ok := r.members[reason]; !ok {
		r.reasons = append(r.reasons, reason)
	}
	r.members[reason] = append(r.members[reason], member{d, m})
}

func (r *byReason) report(add func(Text) *Finding) {
	for _, reason := range r.reasons {
		ms := r.members[reason]
		f := add(say(describe(ms), ": ", reason))
		for _, x := range ms {
			f.concerns(x.d, x.m)
		}
	}
}

// describe names the connections of a finding in words.
func describe(ms []member) Text {
	d := ms[0].d
	from := fmt.Sprintf(" (%v to %v)", ends(d.Client()), ends(d.Server()))
	// A connection that several capture points saw counts once.
	seen := make(map[*assoc.Conn]bool)
	for _, x := range ms {
		seen[x.d.main()] = true
	}
	n := len(seen)
	if n == 1 {
		return say("connection ", d.Conn, from)
	}
	return say(n, " connections, first ", d.Conn, from)
}

// ends prints an end of a connection as address:port, without brackets.
func ends(a netip.AddrPort) string { return fmt.Sprintf("%s:%d", a.Addr(), a.Port()) }
