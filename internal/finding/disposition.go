package finding

import (
	"fmt"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/internal/compare"
	"mapiscope/internal/verdict"
	"mapiscope/internal/wire"
)

// Accelerator is what of the device takes a connection.
type Accelerator string

// The accelerators, and what is none.
const (
	MAPIAccelerator    Accelerator = "mapi"
	EPMAccelerator     Accelerator = "epm"
	Generic            Accelerator = "generic"
	PassThrough        Accelerator = "pass_through"
	UnknownAccelerator Accelerator = "unknown"
)

// Disposition is what the device would have done, or did, with a connection.
type Disposition struct {
	Accelerator Accelerator
	Accel       string // letters of the device's Accel column, "-" for none
	Quality     Quality
	Reason      string
}

// dispose says what the device of the chosen release would do with a
// connection, or did when the packets show it.
func (b *judge) dispose(d *Conn) Disposition {
	x := b.v.Of(d.Conn)
	if x != nil && x.Pair != nil {
		if out, ok := b.pairDisposition(x.Pair); ok {
			return out
		}
	}
	switch d.Leg.Path {
	case verdict.PassThrough:
		return Disposition{PassThrough, "-", Heuristic, "the packets show that it passed no optimizer"}
	case verdict.Optimized:
		if d.RPC == nil {
			return Disposition{UnknownAccelerator, "-", Unavailable, "optimized, and unreadable here: which accelerator took it shows only on the LAN"}
		}
	}
	if d.Unseen {
		return Disposition{UnknownAccelerator, "-", Unavailable, "DCE/RPC of an interface that was not seen: its bind is not in this capture"}
	}
	return b.Release.Rule(d.Traits)
}

// pairDisposition says what became of a connection that was captured on both
// sides, if that tells.
func (b *judge) pairDisposition(p *compare.Pair) (Disposition, bool) {
	v := b.Crossing(p)
	if v.Path == verdict.PathUnknown || Accelerator(v.Accelerator) == UnknownAccelerator {
		return Disposition{}, false
	}
	why := "captured on both sides: " + v.Reason
	if p.HandedOff != 0 {
		why += fmt.Sprintf("; handed over to the generic accelerator at %s", wire.Stamp(p.HandedOff))
	}
	return Disposition{Accelerator(v.Accelerator), b.Accel(p), v.Weight, why}, true
}

// Crossing returns the verdict on a pair; unknown where nothing may be said.
func (f *Findings) Crossing(p *compare.Pair) *verdict.Crossing {
	if x := f.Facts.Verdicts.Of(p.Near); x != nil && x.Pair == p && x.Crossing != nil {
		return x.Crossing
	}
	return &verdict.Crossing{Path: verdict.PathUnknown, Weight: verdict.Unavailable, Streams: verdict.UnknownStreams, Accelerator: string(UnknownAccelerator),
		Reason: "the packets contradict what was said of the capture points"}
}

// Accel gives the letters of the device's Accel column as far as a pair tells
// them. DRE and LZ show only between the devices: payload that is not the same
// there.
func (f *Findings) Accel(p *compare.Pair) string {
	v := f.Crossing(p)
	if v.Path != verdict.Optimized {
		return "-"
	}
	letters := "T"
	switch Accelerator(v.Accelerator) {
	case MAPIAccelerator:
		letters += "M"
	case Generic:
		letters += "G"
	case EPMAccelerator:
		letters += "E"
	}
	if w := p.Between(); w != nil && w.RPC == nil && p.Original().RPC != nil {
		letters += "DL"
	}
	return letters
}

// PairService names what a leg of a pair carries by the leg that tells most.
func (f *Findings) PairService(c *assoc.Conn) assoc.Service {
	if x := f.Facts.Verdicts.Of(c); x != nil {
		return x.Service
	}
	s, _ := f.Facts.Dir.Service(c)
	return s
}

// Mechanism is how an authentication is carried out.
type Mechanism string

// The mechanisms that Outlook and Exchange use.
const (
	NTLM     Mechanism = "ntlm"
	Kerberos Mechanism = "kerberos"
)

// mechanismOf names what an authentication context really used: what SPNEGO
// carried, or the bare type; "" where nothing tells.
func mechanismOf(a *dcerpc.Auth) Mechanism {
	if a.Facts.Mechanism != "" {
		return Mechanism(a.Facts.Mechanism)
	}
	switch m := Mechanism(dcerpc.AuthTypeName(a.Type)); m {
	case NTLM, Kerberos:
		return m
	}
	return ""
}

// securedAuth returns the strongest authentication context that asks for
// signing or privacy, nil when there is none. One that was not refused counts
// before one that was: the device decides by what a client asks, and after a
// refusal by what it asks next.
func securedAuth(c *assoc.Conn) *dcerpc.Auth {
	var found *dcerpc.Auth
	if c.RPC == nil {
		return nil
	}
	better := func(a *dcerpc.Auth) bool {
		if refused := found.State == dcerpc.Rejected; refused != (a.State == dcerpc.Rejected) {
			return refused
		}
		return a.Level > found.Level
	}
	for i := range c.RPC.Auths {
		a := &c.RPC.Auths[i]
		if a.Level >= dcerpc.LevelIntegrity && (found == nil || better(a)) {
			found = a
		}
	}
	return found
}

func secured(c *assoc.Conn) Secured {
	if a := securedAuth(c); a != nil {
		return Secured{a.Level, mechanismOf(a)}
	}
	return Secured{}
}
