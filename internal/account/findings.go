package account

import (
	"cmp"
	"fmt"
	"slices"

	"mapiscope/assoc"
	"mapiscope/internal/verdict"
)

// rule is one kind of finding: its fixed words, and the test that finds it.
type rule struct {
	code     string
	severity Severity
	title    string
	advice   string
	find     func(b *builder, add func(detail string) *Finding)
}

// rules are all findings of the contract that one job can give, in the order
// in which they are tried.
var rules = []rule{
	{"ESCAPED_CONNECTION", Error, "A connection escaped its optimizer pair",
		"Compare `show statistics connection pass-through` on both devices at that time with `show statistics tfo detail`; look for overload, asymmetric routing, WCCP bucket moves and serial clusters. Until then the user may see duplicate mails and a hanging Outlook.",
		(*builder).findEscapes},
	{"CAPTURE_PLACE", Error, "A capture was not taken where it was said to be",
		"Check which file was taken where, and name the points again with --edge, --core and --wan, or --at. Until then nothing that rests on the place is judged.",
		(*builder).findPlaces},
	{"CAPTURES_UNRELATED", Error, "The captures have no connection in common",
		"Compare captures of the same clients and the same time, one from each side of the devices.",
		(*builder).findUnrelated},
	{"JUMP_BLOCKED", Error, "A sequence jump does not reach the other device",
		"Something on the path drops or rewrites sequence numbers that jump by about 2^31: allow WAAS on the firewall (`inspect waas` on an ASA, no sequence randomization between the devices).",
		(*builder).findBlockedJumps},
	{"SPLIT_PAIR", Error, "One group passed different optimizer pairs",
		"Make all connections of a client to one server take the same devices: check WCCP masks and clusters, and do not run the MAPI accelerator on a serial inline cluster.",
		(*builder).findSplits},
	{"CLIENT_ONLY_AT_EDGE", Error, "A connection that never reaches the servers' side",
		"It leaves the path that the optimizers stand on: compare routing, WCCP redirection and policy-based routing of that client with those of its other connections (`show statistics connection pass-through`, `show ip wccp`).",
		(*builder).findOnlyNear},
	{"CLIENT_ONLY_AT_CORE", Error, "A connection that never crossed the clients' side",
		"It reaches the servers past the edge device: look for a second link, a default route of the client or site, or a cluster member whose traffic is not captured.",
		(*builder).findOnlyFar},
	{"KERBEROS_CLOCK_SKEW", Error, "Kerberos refuses because clocks differ",
		"Compare the clocks of client, server, KDC and Core device (`show clock`, `show ntp status`); they must agree within 5 minutes.",
		(*builder).findSkew},
	{"BIND_REJECTED", Error, "The server rejected a bind",
		"Check that the port still belongs to the interface (`rpcdump`, service restart) and that client and server agree on version and transfer syntax.",
		(*builder).findRejectedBinds},
	{"AUTH_REJECTED", Error, "The server refused the authentication",
		"Check the account, the password and the protection level that the server demands; for encrypted MAPI see `accelerator mapi verify encryption-settings`.",
		(*builder).findRejectedAuth},
	{"EPM_NOT_REGISTERED", Error, "The endpoint mapper does not know EMSMDB",
		"Check on the server that the Exchange RPC Client Access or Information Store service runs, and that the client asked the right server.",
		(*builder).findNotRegistered},
	{"ENDPOINT_UNREACHABLE", Error, "An announced port does not answer",
		"A firewall or access list between client and server may block dynamic RPC ports; check it for the port named here.",
		(*builder).findUnreachable},
	{"POSSIBLE_ESCAPE", Warning, "A connection possibly escaped its optimizer pair",
		"The packets hint at it and do not prove it. To prove it, capture at the client's LAN and at the server's LAN from before the client starts, and compare.",
		(*builder).findPossibleEscapes},
	{"ENCRYPTED_CONNECTION", Warning, "Signed or encrypted MAPI that the accelerator does not take",
		"Use Kerberos and a release that accelerates encrypted MAPI (`accelerator mapi encryption`). To turn off \"Encrypt data between Microsoft Outlook and Microsoft Exchange\" in Outlook or by group policy is a loss of security: mail then crosses the network in clear, and the server may refuse it (`Set-RpcClientAccess -EncryptionRequired`, `Set-MailboxServer -MAPIEncryptionRequired`).",
		(*builder).findEncrypted},
	{"UNSUPPORTED_AUTH_NTLM", Warning, "Encrypted MAPI with NTLM instead of Kerberos",
		"Encrypted MAPI is accelerated with Kerberos only. Set Outlook to Negotiate or Kerberos, give the Exchange array name its `exchangeMDB/...` service principal name, and check `accelerator mapi verify encryption-settings`.",
		(*builder).findNTLM},
	{"REPEATED_DISCONNECT", Warning, "A client was disconnected again and again",
		"After four such disconnects the device sends the client to the generic accelerator: see mapiao-errorlog for \"disconnected more than four consecutive times\", and look at what the server answers to the bind.",
		(*builder).findDisconnects},
	{"KERBEROS_ERROR", Warning, "Kerberos failed",
		"Look for a missing service principal name (`setspn -Q exchangeMDB/<name>`), for the domain of the account, and for name resolution on the devices (`dnslookup`).",
		(*builder).findKerberosErrors},
	{"EPM_MISSING", Warning, "EMSMDB on a port that no captured endpoint mapper answer announced",
		"The device classifies MAPI by the endpoint mapper alone: check `show policy-engine application dynamic` for the port, and that port 135 crosses the same pair (`show statistics accelerator epm`).",
		(*builder).findUnannounced},
	{"UNSUPPORTED_CLIENT", Warning, "A client version that the release does not accelerate",
		"Compare the Outlook version with the release notes of the device; `show statistics accelerator mapi` counts it under lower or higher sessions.",
		(*builder).findClients},
	{"OPTION_STRIPPED", Warning, "The discovery option was not answered",
		"No peer device, or something on the path clears TCP option 33: allow it on firewalls (`inspect waas` on an ASA), then check `show statistics pass-through` (PT No Peer).",
		(*builder).findStripped},
	{"ASYMMETRIC", Warning, "Only one direction was captured",
		"Capture where both directions pass, or check the routing: a device that sees one direction passes the connection through (PT Asym Client or Server).",
		(*builder).findAsymmetric},
	{"CAPTURE_LOSS", Warning, "The capture is incomplete",
		"Capture again with a larger buffer, and do not filter on parts of a connection; of a span port, see whether it is overloaded.",
		(*builder).findLoss},
	{"CLOCK_STEP", Warning, "A clock was set back while capturing",
		"Times before and behind the step do not fit together: let the capturing host keep its time by slewing (`chronyc tracking`), and capture again.",
		(*builder).findClockSteps},
	{"HTTP_TRANSPORT", Info, "Outlook over HTTP",
		"RPC over HTTP and MAPI over HTTP are never accelerated by the MAPI accelerator; use the SSL accelerator or plain RPC.",
		(*builder).findHTTP},
	{"SLOW_CALLS", Info, "EMSMDB calls take far longer than the network",
		"Compare with the counters of the server (RPC averaged latency) and, where the network may take the time, with a capture at the server's LAN.",
		(*builder).findSlow},
	{"CAPTURE_ORDER", Info, "Answers were captured before their questions",
		"They are paired by their acknowledgements, but times between the two directions are wrong: capture both on one clock and one queue (a tap that aggregates, or hardware time stamps).",
		(*builder).findCaptureOrder},
}

// FindingSeverities returns the severity of every code that a finding can
// have.
func FindingSeverities() map[string]Severity {
	all := make(map[string]Severity, len(rules))
	for _, r := range rules {
		all[r.code] = r.severity
	}
	return all
}

var severityRank = map[Severity]int{Error: 0, Warning: 1, Info: 2}

func (b *builder) findings() {
	b.doc.Findings = []Finding{}
	for _, r := range rules {
		r.find(b, func(detail string) *Finding {
			b.doc.Findings = append(b.doc.Findings, Finding{
				Code: r.code, Severity: r.severity, Quality: Exact, Title: r.title, Detail: detail, Advice: r.advice,
				Connections: []int{}, Groups: []int{}, Clients: []string{}, Servers: []string{}, Packets: []PacketRef{},
			})
			return &b.doc.Findings[len(b.doc.Findings)-1]
		})
	}
	for i := range b.doc.Findings {
		f := &b.doc.Findings[i]
		f.tidy()
		if advice, ok := plainAdvice[f.Code]; ok && b.v.Escape.State == verdict.StateNoMAPI {
			f.Advice = advice
		}
	}
	slices.SortStableFunc(b.doc.Findings, func(x, y Finding) int {
		return cmp.Compare(severityRank[x.Severity], severityRank[y.Severity])
	})
}

// plainAdvice stands for advice that talks of the devices, where there is no
// EMSMDB that they could accelerate.
var plainAdvice = map[string]string{
	"KERBEROS_CLOCK_SKEW": "Compare the clocks of client, server and KDC; they must agree within 5 minutes.",
	"ASYMMETRIC":          "Capture where both directions pass, or check the routing.",
}

// maxFindingPackets bounds the packets that one finding names.
const maxFindingPackets = 20

func (f *Finding) tidy() {
	slices.Sort(f.Connections)
	f.Connections = slices.Compact(f.Connections)
	slices.Sort(f.Groups)
	f.Groups = slices.Compact(f.Groups)
	slices.Sort(f.Clients)
	f.Clients = slices.Compact(f.Clients)
	slices.Sort(f.Servers)
	f.Servers = slices.Compact(f.Servers)
	seen := make(map[PacketRef]bool, len(f.Packets))
	f.Packets = slices.DeleteFunc(f.Packets, func(p PacketRef) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
	if len(f.Packets) > maxFindingPackets {
		f.Packets = f.Packets[:maxFindingPackets]
	}
}

// concerns enters a connection into a finding, with the packet that shows it.
func (f *Finding) concerns(d *Connection, p PacketRef) {
	f.Connections = append(f.Connections, d.ID)
	f.Clients = append(f.Clients, d.Client.IP)
	f.Servers = append(f.Servers, d.Server.IP)
	if d.AssocGroup.Group != nil {
		f.Groups = append(f.Groups, *d.AssocGroup.Group)
	}
	if p.Packet != 0 {
		f.Packets = append(f.Packets, p)
	}
}

// byReason collects connections under the reason that they share, so that a
// finding is one line for many connections, in order of first appearance.
type byReason struct {
	reasons []string
	members map[string][]member
}

type member struct {
	d *Connection
	p PacketRef
}

func (r *byReason) add(reason string, d *Connection, p PacketRef) {
	if r.members == nil {
		r.members = make(map[string][]member)
	}
	if _, ok := r.members[reason]; !ok {
		r.reasons = append(r.reasons, reason)
	}
	r.members[reason] = append(r.members[reason], member{d, p})
}

func (r *byReason) report(add func(detail string) *Finding) {
	for _, reason := range r.reasons {
		ms := r.members[reason]
		f := add(fmt.Sprintf("%s: %s", describe(ms), reason))
		for _, m := range ms {
			f.concerns(m.d, m.p)
		}
	}
}

// describe names the connections of a finding in words.
func describe(ms []member) string {
	d := ms[0].d
	from := fmt.Sprintf("%s:%d to %s:%d", d.Client.IP, d.Client.Port, d.Server.IP, d.Server.Port)
	// A connection that several capture points saw counts once.
	seen := make(map[int]bool)
	for _, m := range ms {
		seen[m.d.Stands()] = true
	}
	n := len(seen)
	if n == 1 {
		return fmt.Sprintf("connection %d (%s)", d.ID, from)
	}
	return fmt.Sprintf("%d connections, first %d (%s)", n, d.ID, from)
}

// isMAPI reports whether a connection counts as EMSMDB.
func isMAPI(d *Connection) bool { return d.Service == "mapi" || d.Service == "mapi_async" }

// each calls f for every listed connection; of one that was captured at
// several compared points only for the leg closest to the client.
func (b *builder) each(f func(c *assoc.Conn, d *Connection)) {
	b.eachLeg(func(c *assoc.Conn, d *Connection) {
		if b.counts(c) {
			f(c, d)
		}
	})
}

// eachLeg calls f for every listed connection at every point.
func (b *builder) eachLeg(f func(c *assoc.Conn, d *Connection)) {
	for i, c := range b.listed {
		f(c, &b.doc.Connections[i])
	}
}
