package report

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// severities are the words and tones of findings, worst first.
var severities = []struct {
	severity document.Severity
	word     piece
}{
	{document.Error, piece{"ERROR", bad}},
	{document.Warning, piece{"WARNING", warn}},
	{document.Info, piece{"INFO", dim}},
}

// findingLabel is the width of the severity words, findingsShown how many
// findings of one code are written out.
const (
	findingLabel  = 9
	findingsShown = 6
)

// byCode is the findings of one code, in the order of the document.
type byCode struct {
	code     string
	findings []*document.Finding
}

// advice is what to do about the findings, each once.
func (b *byCode) advice() []string {
	var out []string
	for _, f := range b.findings {
		if !slices.Contains(out, f.Advice) {
			out = append(out, f.Advice)
		}
	}
	return out
}

// codes groups the findings of one severity by their code.
func (p *page) codes(s document.Severity) []byCode {
	var out []byCode
	for i := range p.doc.Findings {
		f := &p.doc.Findings[i]
		if f.Severity != s {
			continue
		}
		at := slices.IndexFunc(out, func(b byCode) bool { return b.code == f.Code })
		if at < 0 {
			out = append(out, byCode{code: f.Code})
			at = len(out) - 1
		}
		out[at].findings = append(out[at].findings, f)
	}
	return out
}

// standsOut writes the findings, worst first: the cause in a line, the
// packets that show it, and advice in the terms of the device.
func (p *page) standsOut() {
	if len(p.doc.Findings) == 0 && p.nothing() {
		return
	}
	p.section("What stands out")
	if len(p.doc.Findings) == 0 {
		p.printf("Nothing: no finding stands, within the coverage stated above.")
		return
	}
	for _, s := range severities {
		for _, b := range p.codes(s.severity) {
			p.hang(findingLabel, s.word, fmt.Sprintf("%s (%s)", b.findings[0].Title, b.code))
			for i, f := range b.findings {
				if i == findingsShown && len(b.findings) > findingsShown+1 {
					p.hang(findingLabel, piece{}, fmt.Sprintf("- %d more of this code: see findings in -o json", len(b.findings)-i))
					break
				}
				p.hang(findingLabel+2, piece{}, p.cause(f))
			}
			for _, advice := range b.advice() {
				p.hang(findingLabel, piece{}, "Advice: "+advice)
			}
		}
	}
}

// cause is what a finding says, with its evidence.
func (p *page) cause(f *document.Finding) string {
	var proof []string
	if len(f.Packets) > 0 {
		proof = append(proof, p.packets(f.Packets, 8))
	}
	if len(f.Connections) > 0 {
		name := "connection "
		if len(f.Connections) > 1 {
			name = "connections "
		}
		proof = append(proof, name+numbers(f.Connections, 8))
	}
	if len(proof) == 0 {
		return f.Detail
	}
	return fmt.Sprintf("%s [%s]", f.Detail, strings.Join(proof, "; "))
}

// actions are the first thing to do about each code, in a few words. A code
// that is not listed here gets the first sentence of its advice.
var actions = map[string]string{
	"ESCAPED_CONNECTION":    "Find out why connections left the pair: `show statistics connection pass-through` on both devices for that time.",
	"CAPTURE_PLACE":         "Check which capture was taken where, and name the points again.",
	"CAPTURES_UNRELATED":    "Compare captures of the same clients and the same time.",
	"JUMP_BLOCKED":          "Let sequence jumps of WAAS pass on firewalls between the devices: `inspect waas`, no sequence randomization.",
	"POSSIBLE_ESCAPE":       "Prove it or rule it out: capture at the client's LAN and at the server's LAN from before the client starts, and compare.",
	"SPLIT_PAIR":            "Bring all connections of a client to one server onto one pair: WCCP masks, clusters.",
	"CLIENT_ONLY_AT_EDGE":   "Find where the connection ends between the devices: `show statistics connection` on both.",
	"CLIENT_ONLY_AT_CORE":   "Find which path it took around the Edge device: routing, interception.",
	"KERBEROS_CLOCK_SKEW":   "Set the clocks right: `show clock` and `show ntp status` on the devices; Kerberos bears 5 minutes.",
	"BIND_REJECTED":         "Ask on the server which service holds the port now.",
	"ENCRYPTION_REQUIRED":   "Let these clients encrypt, and accelerate encrypted MAPI with Kerberos.",
	"EPM_NOT_REGISTERED":    "Check that the Exchange service runs on the server that was asked.",
	"ENDPOINT_UNREACHABLE":  "Look for a firewall or access list that blocks the announced port.",
	"ENCRYPTED_CONNECTION":  "Use Kerberos with a release that takes encrypted MAPI; turning encryption off gives up security.",
	"UNSUPPORTED_AUTH_NTLM": "Move these clients from NTLM to Kerberos (service principal name of the Exchange array).",
	"REPEATED_DISCONNECT":   "Look at what the server answers to the bind, and at mapiao-errorlog.",
	"KERBEROS_ERROR":        "Check the service principal name: `setspn -Q`.",
	"EPM_MISSING":           "Check that port 135 crosses the same pair: `show policy-engine application dynamic`.",
	"UNSUPPORTED_CLIENT":    "Compare the client version with the release notes of the device.",
	"OPTION_STRIPPED":       "Let TCP option 33 pass on firewalls, or find the missing peer (PT No Peer).",
	"OPTION_DROPPED":        "Let SYNs with TCP option 33 pass on firewalls, then look at the device's blacklist.",
	"ASYMMETRIC":            "Capture where both directions pass, or correct the routing.",
	"CLOCK_STEP":            "Do not trust times across the step; keep the capturing host's clock slewed.",
	"CAPTURE_ORDER":         "Nothing to repair in the network: response times of this capture are off by the difference.",
	"HTTP_TRANSPORT":        "Nothing to repair: HTTP transports are never accelerated by the MAPI accelerator.",
	"SLOW_CALLS":            "Compare with the server's own counters.",
}

// todo lists what to do, one line for each code, with the pattern that says
// where to look first.
func (p *page) todo() {
	if len(p.doc.Findings) == 0 {
		return
	}
	p.section("What to do")
	n := 0
	for _, s := range severities {
		for _, b := range p.codes(s.severity) {
			n++
			action, ok := actions[b.code]
			if !ok || p.doc.Assessment.Escape.State == "no_mapi" || b.code == "AUTH_REJECTED" || b.code == "CAPTURE_LOSS" {
				var all []string
				for _, advice := range b.advice() {
					first, _, _ := strings.Cut(advice, ". ")
					all = append(all, strings.TrimSuffix(first, ".")+".")
				}
				action = strings.Join(all, " ")
			}
			if where := p.pattern(b.findings); where != "" {
				action += " " + where
			}
			p.hang(4, piece{text: fmt.Sprintf("%d.", n)}, action)
		}
	}
}

// pattern says who is concerned out of how many, because that tells where to
// look first: at one client, at its site, at one server, or at a change in
// time.
func (p *page) pattern(findings []*document.Finding) string {
	hit := make(map[int]bool)
	clients, servers := make(map[string]bool), make(map[string]bool)
	for _, f := range findings {
		for _, id := range f.Connections {
			if c := p.conn(id); c != nil {
				hit[c.Stands()], clients[c.Client.IP], servers[c.Server.IP] = true, true, true
			}
		}
	}
	if len(hit) == 0 || findings[0].Severity == document.Info {
		return ""
	}
	// The population is what could have been concerned: the connections that
	// carry the same services.
	services := make(map[string]bool)
	for id := range hit {
		services[p.conn(id).Service] = true
	}
	allClients, allServers := make(map[string]bool), make(map[string]bool)
	lastGood, firstHit, goods, mapi := "", "", 0, true
	for _, c := range p.mains() {
		if !services[c.Service] {
			continue
		}
		allClients[c.Client.IP], allServers[c.Server.IP] = true, true
		if hit[c.ID] {
			mapi = mapi && isMAPI(c)
			if firstHit == "" || c.Start < firstHit {
				firstHit = c.Start
			}
			continue
		}
		goods++
		lastGood = max(lastGood, c.Start)
	}
	changed := mapi && len(hit) > 2 && goods > 1 && lastGood < firstHit
	var out string
	switch n, all := len(clients), len(allClients); {
	case all == 1:
	case n == 1:
		out = fmt.Sprintf("One client of %d is concerned (%s): look at that client first.", all, keys(clients, 1))
	case n == all && len(servers) == 1 && len(allServers) > 1:
		out = fmt.Sprintf("All %d clients of server %s are concerned: look at the Core side and the server first.", all, keys(servers, 1))
	case n == all:
		out = fmt.Sprintf("All %d clients are concerned: look at what they share, the Edge side or the server.", all)
	default:
		out = fmt.Sprintf("%d of %d clients are concerned (%s).", n, all, keys(clients, 4))
	}
	if changed {
		out = strings.TrimSpace(fmt.Sprintf("%s Every connection since %s is concerned, none before: look for a change at that time.", out, p.clock.day(firstHit)))
	}
	return out
}

// keys lists addresses in order.
func keys(set map[string]bool, max int) string {
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.SortFunc(out, byAddress)
	return list(out, max)
}
