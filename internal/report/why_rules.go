package report

import (
	"fmt"
	"slices"
	"strings"

	"mapiscope/internal/document"
)

// transport tells what TCP shows: start, end and round trip.
func (y *why) transport() {
	c := y.c
	y.section("TCP")
	first := "the first captured packet; the handshake came before, so round trip, options and a sequence jump cannot be told"
	if c.Origin == "handshake" {
		first = "SYN: the connection was captured from its start"
	}
	last := "the last captured packet: " + stateText(c.State)
	y.facts(fact{first, c.FirstPacket}, fact{last, c.LastPacket})
	if c.RTT != nil {
		y.say("round trip", "%s from SYN to the ACK of the client, at the capture point", span(*c.RTT))
	} else {
		y.say("round trip", "n/a: the handshake was not captured in full")
	}
	if c.ClientISN != nil {
		y.say("client ISN", "%d, the same wherever the connection is captured", *c.ClientISN)
	}
	y.say("DSCP", "%d from the client, %d from the server", c.DSCP.Client, c.DSCP.Server)
	y.say("sent", "client %s in %s, server %s in %s", size(c.Bytes.Client), count(c.Packets.Client, "packet"), size(c.Bytes.Server), count(c.Packets.Server, "packet"))
}

// stateText says in words how a connection ended.
func stateText(s string) string {
	switch s {
	case "open":
		return "it was still open"
	case "closed":
		return "closed, FIN both ways"
	case "half_closed":
		return "half closed, FIN one way"
	case "reset_by_client":
		return "reset by the client"
	case "reset_by_server":
		return "reset from the server's side"
	case "unanswered":
		return "the SYN was never answered"
	case "refused":
		return "the SYN was answered with RST"
	}
	return s
}

// service tells what the connection carries and how that is known.
func (y *why) service() {
	c := y.c
	y.section("What it carries")
	how := "nothing tells"
	switch {
	case c.Service == "unknown":
	case c.ServiceBasis == "bind":
		how = "by its own bind, below"
	case c.ServiceBasis == "epm":
		how = "by an endpoint mapper answer for the port; its own bind was not captured"
	case c.Unseen != nil && c.Unseen.MayBeMAPI:
		how = "an interface that was not seen: its bind is not in this capture; no call contradicts EMSMDB"
	case c.Unseen != nil:
		how = "an interface that was not seen: its bind is not in this capture; its calls are not those of EMSMDB"
	default:
		how = "by its siblings, its port or its traffic; its own bind was not captured"
	}
	y.say("service", "%s, %s", y.serviceName(c), how)
	var facts []fact
	for i := range y.doc.Endpoints {
		e := &y.doc.Endpoints[i]
		if e.Server != c.Server.IP || e.Port != c.Server.Port {
			continue
		}
		name := e.InterfaceUUID
		if e.Interface != nil {
			name = *e.Interface
		}
		text := fmt.Sprintf("%s says that %s serves %s %s", e.LearnedFrom, endpoint(c.Server), name, e.InterfaceVersion)
		if e.Until != nil {
			text += ", until another server took the port at " + y.clock.second(*e.Until)
		}
		facts = append(facts, fact{text, e.Packet})
	}
	if len(facts) > maxFacts {
		y.facts(facts[:maxFacts]...)
		y.note(fmt.Sprintf("%d more endpoints at this port: endpoints in -o json", len(facts)-maxFacts))
		return
	}
	y.facts(facts...)
}

// maxFacts is how many facts of one kind are listed.
const maxFacts = 20

// transferNames are the transfer syntaxes that every server knows.
var transferNames = map[string]string{
	"8a885d04-1ceb-11c9-9fe8-08002b104860": "NDR",
	"71710533-beba-4937-8319-b5dbef9ccc36": "NDR64",
}

// binds tells what was offered and what the server made of it.
func (y *why) binds() {
	c := y.c
	if len(c.Interfaces) == 0 && len(c.BindNaks) == 0 {
		return
	}
	y.section("Binds")
	t := table{columns: []col{{head: "time"}, {head: "packet", wrap: 2}, {head: "call", right: true}, {head: "context", right: true}, {head: "interface", wrap: 1}, {head: "transfer", wrap: 1}, {head: "result", wrap: 1}, {head: "display filter", drop: 1}}}
	for i := range cutAt(&t, len(c.Interfaces), "context", "interfaces of the connection in -o json") {
		x := &c.Interfaces[i]
		name := x.UUID
		if x.Name != nil {
			name = *x.Name
		}
		transfer := x.TransferSyntax
		if n, ok := transferNames[transfer]; ok {
			transfer = n
		}
		// [MS-RPCE] 3.3.1.5.3: the low bytes of this syntax are a bit mask.
		if strings.HasPrefix(transfer, "6cb71c2c-9812-4540-") {
			transfer = "bind time features"
		}
		result := piece{"no answer captured", dim}
		if x.Result != nil {
			result = piece{text: strings.ReplaceAll(*x.Result, "_", " ")}
			if x.Reason != nil {
				result = piece{result.text + ": " + *x.Reason, bad}
			}
		}
		t.row(y.when(x.Packet), y.ref(x.Packet), x.CallID, x.ContextID, name+" "+x.Version, transfer, result, packetFilter(x.Packet))
	}
	y.table(&t)
	var naks []fact
	for _, n := range c.BindNaks {
		naks = append(naks, fact{fmt.Sprintf("bind_nak for call %d: reason %d, %s", n.CallID, n.Reason, n.ReasonText), n.Packet})
	}
	y.facts(naks...)
	if c.Multiplexed {
		y.say("", "concurrent multiplexing was granted")
	}
}

// cutAt is cut for loops over indices.
func cutAt(t *table, n int, what, where string) int {
	if n <= maxFacts {
		return n
	}
	t.note("%d more of %d %s: see %s", n-maxFacts, n, plural(what), where)
	return maxFacts
}

// group tells which association group it belongs to and by which rule.
func (y *why) group() {
	c := y.c
	y.section("Association group")
	asked := func(n *uint32) string {
		if n == nil {
			return notAvailable
		}
		return fmt.Sprintf("0x%08x", *n)
	}
	if c.AssocGroup.Requested != nil || c.AssocGroup.Granted != nil {
		rule := "it asks to join a group"
		if r := c.AssocGroup.Requested; r != nil && *r == 0 {
			rule = "0 asks for a new group"
		}
		y.say("bind", "asked for %s, got %s: %s", asked(c.AssocGroup.Requested), asked(c.AssocGroup.Granted), rule)
	} else {
		y.say("bind", "not captured in readable form")
	}
	g := y.groupOf()
	if g == nil {
		y.say("group", "none is known")
		return
	}
	how := "by the id that was granted, at this server and in its time"
	if slices.Contains(g.Inferred, c.Stands()) {
		how = "by inference: same client and server, open at the same time as a readable member whose group nobody readable opened"
	}
	members := "connections " + numbers(g.Connections, 20)
	if len(g.Connections) == 1 {
		members = "its one connection"
	}
	y.say("group", "group %d, id 0x%08x at %s, %s: %s", g.ID, g.AssocGroupID, endpoint(g.Server), members, how)
}

func (y *why) groupOf() *document.AssociationGroup {
	if y.c.AssocGroup.Group == nil {
		return nil
	}
	for i := range y.doc.AssociationGroups {
		if g := &y.doc.AssociationGroups[i]; g.ID == *y.c.AssocGroup.Group {
			return g
		}
	}
	return nil
}

// authentication tells what was asked, offered, accepted and used.
func (y *why) authentication() {
	c := y.c
	y.section("Authentication and encryption")
	if len(c.Auth) == 0 {
		if len(c.Interfaces) == 0 {
			y.say("", "n/a: no bind was captured in readable form")
		} else {
			y.say("", "none: the bind carries no authentication")
		}
		return
	}
	for i := range c.Auth {
		a := &c.Auth[i]
		y.facts(fact{fmt.Sprintf("authentication context %d: asked %s at level %s (%d)", a.ContextID, a.TypeName, a.LevelName, a.Level), a.Packet})
		if len(a.MechanismsOffered) > 0 {
			y.say("offered", "%s (SPNEGO, in the client's order)", strings.Join(a.MechanismsOffered, ", "))
		}
		y.say("accepted", "%s", accepted(a))
		y.say("used", "%s%s", used(a), map[bool]string{true: ", PDU headers are signed too"}[a.HeaderSigning && a.State == "established"])
		y.names(a)
	}
	for _, k := range y.doc.Kerberos {
		if k.Connection != nil && *k.Connection == c.ID {
			y.facts(fact{fmt.Sprintf("KRB-ERROR %d %s%s", k.Code, k.Name, map[bool]string{true: ", server clock minus capture clock " + spanOf(k.Skew)}[k.Skew != nil]+map[bool]string{true: ", minus client clock " + spanOf(k.ClientSkew)}[k.ClientSkew != nil]), k.Packet})
		}
	}
	switch {
	case !slices.ContainsFunc(c.Auth, func(a document.Auth) bool { return a.State == "established" }):
		y.say("payload", "no context was accepted in this capture")
	case c.Encrypted:
		y.say("payload", "encrypted: an accepted context runs at level privacy")
	case c.Signed:
		y.say("payload", "signed and readable: an accepted context runs at level integrity")
	default:
		y.say("payload", "readable: no accepted context signs or encrypts it")
	}
}

// accepted says what became of an authentication context.
func accepted(a *document.Auth) string {
	out := "not finished in this capture"
	switch a.State {
	case "established":
		out = "yes"
	case "rejected":
		out = "no"
	}
	if a.Error != nil {
		out += ": " + *a.Error
	}
	return out
}

// names tells who authenticated against what.
func (y *why) names(a *document.Auth) {
	var words []string
	for _, x := range []struct {
		name string
		text string
	}{{"user", userOf(a)}, {"workstation", orEmpty(a.Workstation)}, {"target", orEmpty(a.Target)}, {"realm", orEmpty(a.Realm)}, {"service name", orEmpty(a.SPN)}} {
		if x.text != "" {
			words = append(words, x.name+" "+x.text)
		}
	}
	if len(words) > 0 {
		y.say("names", "%s", strings.Join(words, ", "))
	}
}

// releases tells what each release would do with the connection by its rules.
func (y *why) releases() {
	y.section("What each WAAS release does with it, if the pair is in the path")
	if isMAPI(y.c) && len(y.c.Interfaces) == 0 && y.c.Calls.Requests+y.c.Calls.Responses == 0 {
		y.say("", "n/a: its binds are unreadable here, so what it asks for shows only on the LAN")
		return
	}
	t := table{columns: []col{{head: "release"}, {head: "accelerator"}, {head: "accel"}, {head: "why", wrap: 1}}}
	for _, name := range document.Releases() {
		d := y.c.ByRule(name)
		label := piece{text: name}
		if name == y.doc.WAAS {
			label = piece{name + " *", head}
		}
		letters := d.Accel
		if d.Quality == document.Unavailable {
			letters = notAvailable
		}
		t.row(label, strings.ReplaceAll(d.Accelerator, "_", "-"), letters, d.Reason)
	}
	t.note("*  the release that --waas names; letters: T TCP, M MAPI, E EPM, G generic, D DRE, L LZ")
	y.table(&t)
}

// optimizer lists the evidence of an optimizer on the path.
func (y *why) optimizer() {
	o := &y.c.Optimizer
	y.section("Optimizer on the path")
	vendor := "no maker shows"
	if o.Vendor != nil {
		vendor = *o.Vendor
		if v, ok := vendors[vendor]; ok {
			vendor = v
		}
	}
	y.say("path", "%s; %s", strings.ReplaceAll(o.Verdict, "_", "-"), vendor)
	if o.EdgeDevice != nil || o.CoreDevice != nil {
		y.say("devices", "edge %s, core %s (candidates, read from option bytes whose layout is not public)", orDash(o.EdgeDevice), orDash(o.CoreDevice))
	}
	if len(o.Evidence) == 0 {
		y.say("evidence", "none for it and none against it")
		return
	}
	t := table{columns: []col{{head: "time"}, {head: "packet", wrap: 2}, {head: "evidence"}, {head: "quality"}, {head: "detail", wrap: 1}, {head: "display filter", drop: 1}}}
	for _, e := range o.Evidence {
		filter := ""
		if e.Packet.Packet != 0 {
			filter = packetFilter(e.Packet)
		}
		t.row(y.when(e.Packet), y.ref(e.Packet), strings.ReplaceAll(e.Kind, "_", " "), strings.ReplaceAll(string(e.Quality), "_", " "), e.Detail, filter)
	}
	y.table(&t)
}

// verdict tells what follows for the group and for this connection.
func (y *why) verdict() {
	y.section("Verdict")
	c := y.c
	g := y.groupOf()
	switch {
	case g != nil && isMAPI(c):
		y.say("group", "%s: %s", strings.ReplaceAll(g.Verdict, "_", " "), g.VerdictReason)
		if g.MixedSince != nil && g.Proof != nil {
			y.facts(fact{"from here on some connections of the group pass the pair and some do not, or they pass different pairs", *g.Proof})
		}
	case g != nil:
		y.say("group", "not judged: only EMSMDB connections can escape, all else passes through by default policy")
	default:
		y.say("group", "not judged: no group is known")
	}
	y.escaped(g)
	d := &c.Disposition
	y.say("disposition", "%s (%s): %s", strings.TrimSuffix(strings.ReplaceAll(d.Accelerator, "_", "-")+" "+d.Accel, " -"), strings.ReplaceAll(string(d.Quality), "_", " "), d.Reason)
}

// escaped says whether the connection escaped, or why that cannot be told.
func (y *why) escaped(g *document.AssociationGroup) {
	c, e := y.c, &y.doc.Assessment.Escape
	switch {
	case c.Escaped != nil:
		y.hang(whyLabel, piece{"escaped", bad}, c.Escaped.Reason)
	case c.PossibleEscape != nil:
		y.hang(whyLabel, piece{"escaped", warn}, "possibly: "+c.PossibleEscape.Reason)
	case !isMAPI(c) && !(c.Unseen != nil && c.Unseen.MayBeMAPI) && c.Service != "unknown":
		y.say("escaped", "no: only EMSMDB connections can")
	case c.Optimizer.Verdict == "optimized":
		y.say("escaped", "no: it passed an optimizer")
	case e.State == "none", e.State == "no_mapi":
		y.say("escaped", "no")
	case g != nil:
		y.say("escaped", "cannot be told: %s", g.VerdictReason)
	default:
		y.say("escaped", "cannot be told: its group is not known")
	}
}

// answer repeats what the whole job says of escapes, which one connection
// never tells.
func (y *why) answer() {
	if isMAPI(y.c) || y.c.Unseen != nil {
		y.say("of all", "%s", y.escapeWords())
	}
}
