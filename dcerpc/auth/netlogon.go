package auth

import (
	"bytes"

	"mapiscope/internal/wire"
)

// The flags of an NL_AUTH_MESSAGE that say which names follow, each in its
// own form ([MS-NRPC] 2.2.1.3.1).
const (
	nlNetBIOSDomain   = 0x01 // OEM, NUL terminated
	nlNetBIOSComputer = 0x02 // OEM, NUL terminated
)

// netlogon reads the NL_AUTH_MESSAGE of the netlogon secure channel. The DNS
// names after the NetBIOS names repeat them and are not read.
func (f *Facts) netlogon(b []byte) {
	c := wire.NewCursor(b, wire.LittleEndian)
	kind, flags := c.Uint32(), c.Uint32()
	if !c.OK() || kind > 1 {
		f.Malformed = true
		return
	}
	if kind == 1 {
		f.message("netlogon response")
		return
	}
	f.message("netlogon request")
	rest := c.Rest()
	name := func(flag uint32, field *string) {
		if flags&flag == 0 {
			return
		}
		s, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			f.Malformed = true
			rest = nil
			return
		}
		first(field, text(s))
		rest = after
	}
	name(nlNetBIOSDomain, &f.Domain)
	name(nlNetBIOSComputer, &f.Workstation)
}
