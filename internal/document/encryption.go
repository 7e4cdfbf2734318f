package document

import (
	"cmp"
	"slices"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
)

// Encryption is what one user of one client asked of one server to protect
// its calls, what the server took, and what was really used, over time.
type Encryption struct {
	Client  string  `json:"client"`
	Server  string  `json:"server"`
	Service string  `json:"service"`
	User    *string `json:"user"` // DOMAIN\user where NTLM tells; Kerberos hides it

	Asked      string   `json:"asked_level"`        // strongest level that was asked for
	Offered    []string `json:"mechanisms_offered"` // by SPNEGO, all that ever were
	Used       *string  `json:"used_level"`         // strongest level that carried calls or was established
	Mechanism  *string  `json:"used_mechanism"`     // the latest that did
	SealedPDUs int64    `json:"sealed_pdus"`

	Connections []int `json:"connections"`
	Refused     int64 `json:"refused"`    // authentications that were refused
	Unfinished  int64 `json:"unfinished"` // and those that never ended
	// Fallback: this client was refused with Kerberos at this server, or
	// offered it first, and then used NTLM.
	Fallback bool               `json:"fallback_to_ntlm"`
	Changes  []EncryptionChange `json:"changes"`
	Dropped  int64              `json:"changes_dropped"`
}

// EncryptionChange is a moment at which the protection was other than before.
type EncryptionChange struct {
	Time       string    `json:"time"`
	Connection int       `json:"connection"`
	Packet     PacketRef `json:"packet"`
	Type       string    `json:"type"`
	Mechanism  *string   `json:"mechanism"`
	Level      string    `json:"level"`
	State      string    `json:"state"`
	// Accelerator is the one that the release gives an EMSMDB connection like
	// this, null for other services.
	Accelerator *string `json:"accelerator"`
}

// maxChanges bounds the changes that are listed for one row.
const maxChanges = 100

// encryptionKey gathers authentication contexts into one row.
type encryptionKey struct{ client, server, service, user string }

// encryptionRow is one under construction.
type encryptionRow struct {
	Encryption
	asked, used uint8
	last        EncryptionChange
}

// encryption sums up the authentication contexts of all listed connections.
func (b *builder) encryption() {
	b.doc.Encryption = []Encryption{}
	rows := make(map[encryptionKey]*encryptionRow)
	var order []*encryptionRow
	refused := make(map[[2]string]bool) // Kerberos, by client and server
	for _, c := range b.byAuth() {
		d, a := b.row(c.conn), c.auth
		k := encryptionKey{d.Client.IP, d.Server.IP, d.Service, logonName(a)}
		row := rows[k]
		if row == nil {
			row = &encryptionRow{Encryption: Encryption{
				Client: k.client, Server: k.server, Service: k.service, User: text(k.user),
				Offered: []string{}, Connections: []int{}, Changes: []EncryptionChange{},
			}}
			rows[k], order = row, append(order, row)
		}
		hosts := [2]string{k.client, k.server}
		row.take(d, a, c.raw)
		switch mech := mechanismOf(a); {
		case mech == "kerberos" && a.State == "rejected":
			refused[hosts] = true
		case mech == "ntlm" && (refused[hosts] || kerberosFirst(a)):
			row.Fallback = true
		}
		if !slices.Contains(row.Connections, d.ID) {
			row.Connections = append(row.Connections, d.ID)
			row.SealedPDUs += c.conn.RPC.Counts.Sealed
		}
	}
	for _, row := range order {
		row.Asked = dcerpc.AuthLevelName(row.asked)
		if row.used > 0 {
			row.Used = ptr(dcerpc.AuthLevelName(row.used))
		}
		slices.Sort(row.Connections)
		b.doc.Encryption = append(b.doc.Encryption, row.Encryption)
	}
}

// authAt is one authentication context with its connection.
type authAt struct {
	conn *assoc.Conn
	auth *Auth
	raw  *dcerpc.Auth
}

// byAuth returns the authentication contexts of all listed connections in
// order of their first packets.
func (b *builder) byAuth() []authAt {
	var all []authAt
	b.each(func(c *assoc.Conn, d *Connection) {
		for i := range d.Auth {
			if d.Auth[i].Type != 0 {
				all = append(all, authAt{c, &d.Auth[i], &c.RPC.Auths[i]})
			}
		}
	})
	slices.SortStableFunc(all, func(x, y authAt) int {
		m, n := x.raw.Mark, y.raw.Mark
		return cmp.Or(cmp.Compare(m.Time, n.Time), cmp.Compare(m.Capture, n.Capture), cmp.Compare(m.Packet, n.Packet))
	})
	return all
}

// take adds one authentication context to the row.
func (r *encryptionRow) take(d *Connection, a *Auth, raw *dcerpc.Auth) {
	r.asked = max(r.asked, a.Level)
	switch a.State {
	case "established":
		r.used, r.Mechanism = max(r.used, a.Level), text(mechanismOf(a))
	case "rejected":
		r.Refused++
	case "incomplete":
		r.Unfinished++
	}
	for _, m := range a.MechanismsOffered {
		if !slices.Contains(r.Offered, m) {
			r.Offered = append(r.Offered, m)
		}
	}
	change := EncryptionChange{
		Time: stamp(raw.Mark.Time), Connection: d.ID, Packet: a.Packet,
		Type: a.TypeName, Mechanism: a.Mechanism, Level: a.LevelName, State: a.State,
	}
	if isMAPI(d) && d.Disposition.Accelerator != "unknown" {
		change.Accelerator = ptr(d.Disposition.Accelerator)
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
func (x *EncryptionChange) differs(y *EncryptionChange) bool {
	same := func(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
	return x.Type != y.Type || x.Level != y.Level || x.State != y.State || !same(x.Mechanism, y.Mechanism) || !same(x.Accelerator, y.Accelerator)
}

// logonName says who logged on, as far as the tokens tell.
func logonName(a *Auth) string {
	switch {
	case a.User == nil:
		return ""
	case a.Domain == nil:
		return *a.User
	}
	return *a.Domain + `\` + *a.User
}

// kerberosFirst reports whether the client offered Kerberos before NTLM.
func kerberosFirst(a *Auth) bool {
	i, j := slices.Index(a.MechanismsOffered, "kerberos"), slices.Index(a.MechanismsOffered, "ntlm")
	return i >= 0 && (j < 0 || i < j)
}
