package epm

import (
	"net/netip"

	"mapiscope/internal/wire"
)

// Source says how the place of an interface was learned.
type Source string

// The sources, as the report names them.
const (
	FromMap    Source = "ept_map"
	FromLookup Source = "ept_lookup"
	FromBind   Source = "bind"
)

// Answer is one place of an interface and how it was learned.
type Answer struct {
	Server       netip.Addr // the host that answered, or that accepted the bind
	Client       netip.Addr // the host that asked
	Address      netip.Addr // what the tower said: may be invalid, 0.0.0.0, or another interface of the server
	Port         uint16
	Interface    wire.UUID
	Major, Minor uint16
	Annotation   string
	From         Source
	Mark         wire.Mark
}
