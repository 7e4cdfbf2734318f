package finding

import (
	"testing"
	"time"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/dcerpc/auth"
	"mapiscope/internal/wire"
)

func TestTelling(t *testing.T) {
	for code, want := range map[int32]bool{0: false, 25: false, 52: false, 7: true, 37: true} {
		if telling(code) != want {
			t.Errorf("%d is telling: %v", code, !want)
		}
	}
}

// TestErrorOf measures clocks by what a KRB-ERROR carries.
func TestErrorOf(t *testing.T) {
	server := time.Unix(1000, 0).UTC()
	client := time.Unix(700, 0).UTC()
	d := func(v time.Duration) *time.Duration { return &v }
	for _, row := range []struct {
		name         string
		krb          auth.KRBError
		skew, client *time.Duration
	}{
		{"no time", auth.KRBError{CTime: &client}, nil, nil},
		{"the server's", auth.KRBError{STime: server, SUsec: 5}, d(10*time.Second + 5*time.Microsecond), nil},
		{"both", auth.KRBError{STime: server, SUsec: 5, CTime: &client, CUsec: 2}, d(10*time.Second + 5*time.Microsecond), d(300*time.Second + 3*time.Microsecond)},
		{"an empty one of the client", auth.KRBError{STime: server, CTime: new(time.Time{})}, d(10 * time.Second), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := errorOf(&row.krb, wire.Mark{Time: 990e9}, hosts{})
			check(t, row.skew, e.Skew)
			check(t, row.client, e.ClientSkew)
		})
	}
}

func TestSkewText(t *testing.T) {
	d := func(v time.Duration) *time.Duration { return &v }
	for _, row := range []struct {
		name   string
		errors []KRBError
		want   string
	}{
		{"nothing tells", []KRBError{{}}, ""},
		{"the client's clock", []KRBError{{Skew: d(time.Hour)}, {ClientSkew: d(-6*time.Minute + 40*time.Millisecond)}}, "; its clock is 6m0s behind the client's"},
		{"the capture's clock", []KRBError{{}, {Skew: d(5 * time.Minute)}}, "; its clock is 5m0s ahead of the capture's"},
		{"the client must be off", []KRBError{{Skew: d(5*time.Minute - time.Second)}}, "; its clock is 4m59s ahead of the capture's, so the clock that is off is the client's, by more than the tolerance (5m0s by default)"},
		{"equal", []KRBError{{Skew: d(-900 * time.Millisecond)}}, "; its clock is equal to the capture's within a second, so the clock that is off is the client's, by more than the tolerance (5m0s by default)"},
		{"a second", []KRBError{{ClientSkew: d(time.Second)}}, "; its clock is 1s ahead of the client's"},
	} {
		if got := skewText(row.errors); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// TestAfterAKerberosError shows what counts as the consequence of an error.
func TestAfterAKerberosError(t *testing.T) {
	logon := func(mech string, state dcerpc.AuthState) shape {
		return func(d *Conn) {
			d.RPC.Auths = []dcerpc.Auth{{Type: 9, State: state, Facts: auth.Facts{Mechanism: mech}, Mark: d.Flow.First}}
		}
	}
	own := func(d *Conn) { d.RPC.Auths[0].Facts.KRBErr = &auth.KRBError{} }
	// An error of second 5; connection n begins in second n.
	e := KRBError{Mark: wire.Mark{Time: 5e9, Packet: 50}, Client: conn(1).Client().Addr(), Server: conn(1).Server().Addr(), Code: 7, Name: "KDC_ERR_S_PRINCIPAL_UNKNOWN", SPN: "exchangeMDB/x"}
	const head = "10.2.0.9 answers 10.1.0.5 with KDC_ERR_S_PRINCIPAL_UNKNOWN for exchangeMDB/x, "
	for _, row := range []struct {
		name  string
		conns []*Conn
		want  []told
	}{
		{"nothing", nil, nil},
		{"NTLM", []*Conn{conn(6, logon("ntlm", dcerpc.Established))}, []told{{Detail: head + "then connection 6 logs on with NTLM", Conns: "6 ", Marks: 2}}},
		{"Kerberos all the same", []*Conn{conn(6, logon("kerberos", dcerpc.Established)), conn(7, logon("kerberos", dcerpc.Rejected))}, nil},
		{"NTLM after all", []*Conn{conn(6, logon("kerberos", dcerpc.Established)), conn(7, logon("ntlm", dcerpc.Established))}, []told{{Detail: head + "then connection 7 logs on with NTLM", Conns: "7 ", Marks: 2}}},
		{"no session", []*Conn{conn(6, logon("kerberos", dcerpc.Rejected))}, []told{{Detail: head + "then connection 6 has no session", Conns: "6 ", Marks: 2}}},
		{"never finished", []*Conn{conn(6, logon("kerberos", dcerpc.Incomplete))}, []told{{Detail: head + "then connection 6 has no session", Conns: "6 ", Marks: 2}}},
		{"failed for an error of its own", []*Conn{conn(6, logon("kerberos", dcerpc.Rejected), own)}, nil},
		{"before the error", []*Conn{conn(4, logon("ntlm", dcerpc.Established))}, nil},
		{"a minute later", []*Conn{conn(65, logon("ntlm", dcerpc.Established))}, []told{{Detail: head + "then connection 65 logs on with NTLM", Conns: "65 ", Marks: 2}}},
		{"more than a minute later", []*Conn{conn(66, logon("ntlm", dcerpc.Established))}, nil},
		{"another client", []*Conn{conn(6, logon("ntlm", dcerpc.Established), client("10.1.0.6"))}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := job(facts{conns: row.conns})
			b.Kerberos = []KRBError{e}
			b.byClient()
			check(t, row.want, apply(b, (*judge).findKerberosErrors))
		})
	}
	t.Run("in a trailer", func(t *testing.T) {
		b, d := job(facts{}), conn(1)
		in := e
		in.Conn, in.Trailer = d.Conn, true
		b.Kerberos = []KRBError{in, in}
		b.byClient()
		check(t, []told{{Detail: head + "and no session follows", Conns: "1 1 ", Marks: 2}}, apply(b, (*judge).findKerberosErrors))
	})
	t.Run("clock skew is another finding", func(t *testing.T) {
		b, skew := job(facts{conns: []*Conn{conn(6, logon("ntlm", dcerpc.Established))}}), e
		skew.Code, skew.Name = 37, "KRB_AP_ERR_SKEW"
		b.Kerberos = []KRBError{skew, e}
		b.byClient()
		check(t, []told{{Detail: "10.2.0.9 answers 10.1.0.5 with KRB_AP_ERR_SKEW", Marks: 1}}, apply(b, (*judge).findSkew))
		check(t, []told{{Detail: head + "then connection 6 logs on with NTLM", Conns: "6 ", Marks: 2}}, apply(b, (*judge).findKerberosErrors))
	})
	t.Run("before NTLM", func(t *testing.T) {
		b := job(facts{})
		b.Kerberos = []KRBError{e}
		b.byClient()
		for n, want := range map[uint16]string{4: "", 5: "; before that 10.2.0.9 answered with KDC_ERR_S_PRINCIPAL_UNKNOWN for exchangeMDB/x", 65: "; before that 10.2.0.9 answered with KDC_ERR_S_PRINCIPAL_UNKNOWN for exchangeMDB/x", 66: ""} {
			if got := b.failedBefore(conn(n)); got != want {
				t.Errorf("connection %d: %q, want %q", n, got, want)
			}
		}
		if got := b.failedBefore(conn(6, client("10.1.0.6"))); got != "" {
			t.Errorf("another client: %q", got)
		}
	})
}

// TestProtection sums up authentications over time.
func TestProtection(t *testing.T) {
	var auths []dcerpc.Auth
	add := func(level, kind uint8, mech string, state dcerpc.AuthState, offered ...string) {
		n := int64(len(auths) + 1)
		auths = append(auths, dcerpc.Auth{Level: level, Type: kind, State: state, Facts: auth.Facts{Mechanism: mech, Offered: offered, Domain: "D", User: "u"}, Mark: wire.Mark{Packet: n, Time: n}})
	}
	add(2, 9, "kerberos", dcerpc.Rejected, "kerberos", "ntlm")
	add(2, 9, "kerberos", dcerpc.Rejected, "kerberos", "ntlm")
	add(6, 10, "ntlm", dcerpc.Incomplete)
	add(5, 10, "ntlm", dcerpc.Established)
	d := conn(1, func(d *Conn) { d.RPC.Auths = auths; d.RPC.Counts.Sealed = 7 })
	b := job(facts{conns: []*Conn{d}})
	b.encryption()
	a := d.RPC.Auths
	check(t, []Protection{{
		Client: d.Client().Addr(), Server: d.Server().Addr(), Service: assoc.MAPI, User: `D\u`, Asked: 6, Offered: []string{"kerberos", "ntlm"}, Used: 5, Mechanism: NTLM,
		SealedPDUs: 7, Conns: []*assoc.Conn{d.Conn}, Refused: 2, Unfinished: 1, Fallback: true,
		Changes: []Change{{d.Conn, &a[0], MAPIAccelerator}, {d.Conn, &a[2], MAPIAccelerator}, {d.Conn, &a[3], MAPIAccelerator}},
	}}, b.Encryption, samePointers)
}

func TestChangesAreBounded(t *testing.T) {
	var p Protection
	for i := range maxChanges + 2 {
		p.take(conn(1), &dcerpc.Auth{Level: uint8(1 + i%2)})
	}
	if len(p.Changes) != maxChanges || p.Dropped != 2 {
		t.Errorf("%d changes, %d dropped", len(p.Changes), p.Dropped)
	}
}

func TestFallback(t *testing.T) {
	for _, row := range []struct {
		offered []string
		want    bool
	}{
		{nil, false}, {[]string{"ntlm"}, false}, {[]string{"kerberos"}, true}, {[]string{"kerberos", "ntlm"}, true}, {[]string{"ntlm", "kerberos"}, false},
	} {
		if got := kerberosFirst(&dcerpc.Auth{Facts: auth.Facts{Offered: row.offered}}); got != row.want {
			t.Errorf("%v: %v", row.offered, got)
		}
	}
}
