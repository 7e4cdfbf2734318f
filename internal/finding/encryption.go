package finding

import (
	"net/netip"
	"slices"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
)

// Protection is what one user of one client asked of one server to protect its
// calls, what the server took, and what was really used, over time.
type Protection struct {
	Client, Server netip.Addr
	Service        assoc.Service
	User           string // DOMAIN\user where NTLM tells; Kerberos hides it

	Asked      uint8     // strongest level that was asked for
	Offered    []string  // by SPNEGO, all that ever were
	Used       uint8     // strongest level that carried calls or was established, 0 for none
	Mechanism  Mechanism // the latest that did
	SealedPDUs int64

	Conns      []*assoc.Conn
	Refused    int64 // authentications that were refused
	Unfinished int64 // and those that never ended
	// Fallback: this client was refused with Kerberos at this server, or
	// offered it first, and then used NTLM.
	Fallback bool
	Changes  []Change
	Dropped  int64 // changes past the bound

	last Change
}

// Change is a moment at which the protection was other than before.
type Change struct {
	Conn *assoc.Conn
	Auth *dcerpc.Auth
	// Accelerator is the one that the release gives an EMSMDB connection like
	// this, "" for other services and where it is not known.
	Accelerator Accelerator
}

// maxChanges bounds the changes that are listed for one row.
const maxChanges = 100

// encryption sums up the authentication contexts of all connections.
func (b *judge) encryption() {
	type key struct {
		hosts
		service assoc.Service
		user    string
	}
	type seat struct {
		row  int
		conn *assoc.Conn
	}
	rows, seated := make(map[key]int), make(map[seat]bool)
	refused := make(map[hosts]bool) // Kerberos
	for _, at := range b.byAuth() {
		d, a := at.d, at.auth
		k := key{d.hosts(), d.Service, logonName(a)}
		i, known := rows[k]
		if !known {
			i = len(b.Encryption)
			rows[k] = i
			b.Encryption = append(b.Encryption, Protection{Client: k.client, Server: k.server, Service: k.service, User: k.user})
		}
		row := &b.Encryption[i]
		row.take(d, a)
		switch mech := mechanismOf(a); {
		case mech == Kerberos && a.State == dcerpc.Rejected:
			refused[k.hosts] = true
		case mech == NTLM && (refused[k.hosts] || kerberosFirst(a)):
			row.Fallback = true
		}
		if s := (seat{i, d.Conn}); !seated[s] {
			seated[s] = true
			row.Conns = append(row.Conns, d.Conn)
			row.SealedPDUs += d.RPC.Counts.Sealed
		}
	}
}

// authAt is one authentication context with its connection.
type authAt struct {
	d    *Conn
	auth *dcerpc.Auth
}

// byAuth returns the authentication contexts of all connections in order of
// their first packets.
func (b *judge) byAuth() []authAt {
	var all []authAt
	b.each(func(d *Conn) {
		if d.RPC == nil {
			return
		}
		for i := range d.RPC.Auths {
			if a := &d.RPC.Auths[i]; a.Type != 0 {
				all = append(all, authAt{d, a})
			}
		}
	})
	slices.SortStableFunc(all, func(x, y authAt) int { return assoc.ByMark(x.auth.Mark, y.auth.Mark) })
	return all
}

// take adds one authentication context to the row.
func (r *Protection) take(d *Conn, a *dcerpc.Auth) {
	r.Asked = max(r.Asked, a.Level)
	switch a.State {
	case dcerpc.Established:
		r.Used, r.Mechanism = max(r.Used, a.Level), mechanismOf(a)
	case dcerpc.Rejected:
		r.Refused++
	case dcerpc.Incomplete:
		r.Unfinished++
	}
	for _, m := range a.Facts.Offered {
		if !slices.Contains(r.Offered, m) {
			r.Offered = append(r.Offered, m)
		}
	}
	change := Change{Conn: d.Conn, Auth: a}
	if isMAPI(d.Service) && d.Disposition.Accelerator != UnknownAccelerator {
		change.Accelerator = d.Disposition.Accelerator
	}
	switch n := len(r.Changes); {
	case n > 0 && !r.last.differs(&change):
		return
	case n >= maxChanges:
		r.Dropped++
	default:
		r.Changes = append(r.Changes, change)
	}
	r.last = change
}

// differs reports whether two moments show another protection.
func (x *Change) differs(y *Change) bool {
	a, b := x.Auth, y.Auth
	return a.Type != b.Type || a.Level != b.Level || a.State != b.State || a.Facts.Mechanism != b.Facts.Mechanism || x.Accelerator != y.Accelerator
}

// logonName says who logged on, as far as the tokens tell.
func logonName(a *dcerpc.Auth) string {
	switch f := &a.Facts; {
	case f.User == "":
		return ""
	case f.Domain == "":
		return f.User
	default:
		return f.Domain + `\` + f.User
	}
}

// kerberosFirst reports whether the client offered Kerberos before NTLM.
func kerberosFirst(a *dcerpc.Auth) bool {
	i, j := slices.Index(a.Facts.Offered, string(Kerberos)), slices.Index(a.Facts.Offered, string(NTLM))
	return i >= 0 && (j < 0 || i < j)
}
