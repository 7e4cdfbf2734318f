package document

import (
	"cmp"
	"slices"
	"time"

	"mapiscope/assoc"
	"mapiscope/dcerpc/auth"
	"mapiscope/internal/wire"
)

// Kerberos error codes that the findings treat apart (RFC 4120 7.5.9).
const (
	krbClockSkew       = 37 // KRB_AP_ERR_SKEW
	krbPreauthRequired = 25 // part of every logon
	krbResponseTooBig  = 52 // the client asks again over TCP
)

// telling reports whether a KRB-ERROR code says that something went wrong;
// some are steps of an ordinary exchange.
func telling(code int32) bool {
	return code != 0 && code != krbPreauthRequired && code != krbResponseTooBig
}

// krbError is one KRB-ERROR, from a KDC or from an authentication trailer.
type krbError struct {
	KerberosError
	mark wire.Mark
	conn *assoc.Conn // the DCE/RPC connection whose trailer carried it, or nil
	code int32
}

// kerberosErrors lists every KRB-ERROR of the capture in time order.
func (b *builder) kerberosErrors() {
	b.doc.Kerberos = []KerberosError{}
	for _, e := range b.krbErrors() {
		b.doc.Kerberos = append(b.doc.Kerberos, e.KerberosError)
	}
}

func (b *builder) krbErrors() []krbError {
	var out []krbError
	for i := range b.res.Kerberos {
		k := &b.res.Kerberos[i]
		if k.Message.Error == nil {
			continue
		}
		e := errorOf(k.Message.Error, k.Mark)
		e.Client, e.Server = k.Client.String(), k.KDC.String()
		if k.Conn != nil && b.ids[k.Conn] != 0 {
			e.Connection = ptr(b.ids[k.Conn])
		}
		out = append(out, e)
	}
	for _, c := range b.listed {
		if c.RPC == nil {
			continue
		}
		for i := range c.RPC.Auths {
			a := &c.RPC.Auths[i]
			if a.Facts.KRBErr == nil {
				continue
			}
			e := errorOf(a.Facts.KRBErr, a.KerberosMark)
			e.conn, e.Connection = c, ptr(b.ids[c])
			e.Client, e.Server = c.Client().Addr().String(), c.Server().Addr().String()
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(x, y krbError) int {
		return cmp.Or(cmp.Compare(x.mark.Time, y.mark.Time), cmp.Compare(x.mark.Capture, y.mark.Capture), cmp.Compare(x.mark.Packet, y.mark.Packet))
	})
	return out
}

// errorOf puts a KRB-ERROR into the form of the document.
func errorOf(k *auth.KRBError, m wire.Mark) krbError {
	return krbError{mark: m, code: k.Code, KerberosError: KerberosError{
		Time: stamp(m.Time), Code: k.Code, Name: k.Name, Realm: text(k.Realm), SPN: text(k.SName),
		Skew: skew(k.STime, k.SUsec, m.Time), ClientSkew: clientSkew(k), Packet: ref(m),
	}}
}

// skew is the server's clock minus the capture's, µs, nil when the error
// carries no time.
func skew(stime time.Time, usec int, captured int64) *int64 {
	if stime.IsZero() {
		return nil
	}
	return ptr((stime.UnixNano()-captured)/1e3 + int64(usec))
}

// clientSkew is the server's clock minus the client's, µs, nil when the server
// did not echo the client's.
func clientSkew(k *auth.KRBError) *int64 {
	if k.CTime == nil || k.CTime.IsZero() || k.STime.IsZero() {
		return nil
	}
	return ptr(k.STime.Sub(*k.CTime).Microseconds() + int64(k.SUsec-k.CUsec))
}
