package document

import (
	"fmt"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/internal/verdict"
)

// dispose says what the device of the chosen release would do with a
// connection, or did when the packets show it. The letters are those of the
// device's Accel column: T TCP, M MAPI, E EPM, G generic, D DRE, L LZ.
func (b *builder) dispose(c *assoc.Conn, d *Connection) Disposition {
	x := b.v.Of(c)
	if x != nil && x.Pair != nil {
		if out, ok := b.pairDisposition(x.Pair); ok {
			return out
		}
	}
	switch b.v.Leg(c).Path {
	case verdict.PassThrough:
		return Disposition{"pass_through", "-", Heuristic, "the packets show that it passed no optimizer"}
	case verdict.Optimized:
		if c.RPC == nil {
			return Disposition{"unknown", "-", Unavailable, "optimized, and unreadable here: which accelerator took it shows only on the LAN"}
		}
	}
	if d.Unseen != nil {
		return Disposition{"unknown", "-", Unavailable, "DCE/RPC of an interface that was not seen: its bind is not in this capture"}
	}
	return b.byRule(d)
}

// byRule says what the release does with a connection that crosses the pair.
func (b *builder) byRule(d *Connection) Disposition {
	switch d.Service {
	case "epm":
		return Disposition{"epm", "TEDL", Heuristic, "by rule: port 135 goes to the EPM accelerator"}
	case "rfr", "nspi":
		return Disposition{"pass_through", "-", Heuristic, "by rule: the default policy passes RFR and NSPI through"}
	case "mapi", "mapi_async":
		if why := b.refusal(d); why != "" {
			return Disposition{"generic", "TGDL", Heuristic, why}
		}
		return Disposition{"mapi", "TMDL", Heuristic, b.acceptance(d)}
	case "dcerpc":
		return Disposition{"generic", "TGDL", Heuristic, "by rule: no accelerator for this interface"}
	case "rpc_http", "mapi_http":
		return Disposition{"generic", "TGDL", Heuristic, "by rule: the MAPI accelerator does not handle HTTP transports"}
	}
	return Disposition{"unknown", "-", Unavailable, "nothing tells what it carries"}
}

// refusal says why the release would hand an EMSMDB connection to the generic
// accelerator, "" when it would not.
func (b *builder) refusal(d *Connection) string {
	if a := secured(d); a != nil {
		switch {
		case !b.rules.Encrypted:
			return fmt.Sprintf("secured connection (level %s): not accelerated before 5.0.3", a.LevelName)
		case mechanismOf(a) == "ntlm":
			return "Unsupported Auth Type :NTLM"
		}
	}
	if d.MAPI != nil && d.MAPI.major != nil {
		if why := b.unsupported(*d.MAPI.major, *d.MAPI.build); why != "" {
			return why
		}
	}
	return ""
}

// acceptance says why the release takes an EMSMDB connection.
func (b *builder) acceptance(d *Connection) string {
	switch a := secured(d); {
	case a == nil:
		return "by rule: readable EMSMDB of a supported client"
	case mechanismOf(a) == "":
		return fmt.Sprintf("by rule: level %s; whether Kerberos protects it was not captured, and release %s refuses NTLM", a.LevelName, b.rules.Name)
	}
	return fmt.Sprintf("by rule: release %s accelerates encrypted MAPI with Kerberos (on by default from 5.0.3)", b.rules.Name)
}

// unsupported says why a client version is not accelerated, "" when it is.
func (b *builder) unsupported(major, build uint16) string {
	switch {
	case major < oldestMajor || major == oldestMajor && build < oldestBuild:
		return "client older than Outlook 2000"
	case major > b.rules.NewestMajor:
		return fmt.Sprintf("client newer than release %s knows", b.rules.Name)
	}
	return ""
}

// secured returns the strongest authentication context that asks for signing
// or privacy, nil when there is none. One that was not refused counts before
// one that was: the device decides by what a client asks, and after a refusal
// by what it asks next.
func secured(d *Connection) *Auth {
	var found *Auth
	better := func(a *Auth) bool {
		if refused := found.State == "rejected"; refused != (a.State == "rejected") {
			return refused
		}
		return a.Level > found.Level
	}
	for i := range d.Auth {
		a := &d.Auth[i]
		if a.Level >= dcerpc.LevelIntegrity && (found == nil || better(a)) {
			found = a
		}
	}
	return found
}

// mechanismOf names what an authentication context really used: what SPNEGO
// carried, or the bare type.
func mechanismOf(a *Auth) string {
	if a.Mechanism != nil {
		return *a.Mechanism
	}
	switch a.TypeName {
	case "ntlm", "kerberos":
		return a.TypeName
	}
	return ""
}
