package document

import (
	"mapiscope/dcerpc"
	"mapiscope/internal/finding"
	"mapiscope/internal/wire"
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

// encryption writes what protects the calls into the document.
func (b *builder) encryption() {
	b.doc.Encryption = make([]Encryption, 0, len(b.f.Encryption))
	for i := range b.f.Encryption {
		p := &b.f.Encryption[i]
		row := Encryption{
			Client: p.Client.String(), Server: p.Server.String(), Service: string(p.Service), User: text(p.User),
			Asked: dcerpc.AuthLevelName(p.Asked), Offered: append([]string{}, p.Offered...), Mechanism: text(string(p.Mechanism)), SealedPDUs: p.SealedPDUs,
			Connections: b.idsOf(p.Conns), Refused: p.Refused, Unfinished: p.Unfinished, Fallback: p.Fallback, Changes: []EncryptionChange{}, Dropped: p.Dropped,
		}
		if p.Used > 0 {
			row.Used = ptr(dcerpc.AuthLevelName(p.Used))
		}
		for _, x := range p.Changes {
			row.Changes = append(row.Changes, b.change(x))
		}
		b.doc.Encryption = append(b.doc.Encryption, row)
	}
}

func (b *builder) change(x finding.Change) EncryptionChange {
	a := x.Auth
	return EncryptionChange{
		Time: wire.Stamp(a.Mark.Time), Connection: b.ids[x.Conn], Packet: ref(a.Mark), Type: dcerpc.AuthTypeName(a.Type),
		Mechanism: text(a.Facts.Mechanism), Level: dcerpc.AuthLevelName(a.Level), State: a.State.String(), Accelerator: text(string(x.Accelerator)),
	}
}
