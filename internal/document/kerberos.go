package document

import (
	"time"

	"mapiscope/internal/wire"
)

// kerberosErrors writes every KRB-ERROR into the document.
func (b *builder) kerberosErrors() {
	b.doc.Kerberos = make([]KerberosError, 0, len(b.f.Kerberos))
	for i := range b.f.Kerberos {
		e := &b.f.Kerberos[i]
		out := KerberosError{
			Time: wire.Stamp(e.Mark.Time), Client: e.Client.String(), Server: e.Server.String(), Code: e.Code, Name: e.Name,
			Realm: text(e.Realm), SPN: text(e.SPN), Skew: micros(e.Skew), ClientSkew: micros(e.ClientSkew), Packet: ref(e.Mark),
		}
		if e.Conn != nil {
			out.Connection = ptr(b.ids[e.Conn])
		}
		b.doc.Kerberos = append(b.doc.Kerberos, out)
	}
}

func micros(d *time.Duration) *int64 {
	if d == nil {
		return nil
	}
	return ptr(d.Microseconds())
}
