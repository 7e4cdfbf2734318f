package finding

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/internal/verdict"
)

// The versions of clients at the bounds of releases.
var (
	outlook97   = emsmdb.Version{5, 0, 2999, 0}
	outlook2000 = emsmdb.Version{5, 0, 3000, 0}
	exchange4   = emsmdb.Version{4, 5, 9999, 0}
	outlook2007 = emsmdb.Version{12, 0, 6504, 5000}
	compat2007  = emsmdb.Version{13, 0, 0, 1}
	outlook2010 = emsmdb.Version{14, 0, 4760, 1000}
	outlook2013 = emsmdb.Version{15, 0, 4420, 1017}
	outlook2016 = emsmdb.Version{16, 0, 4266, 1001}
)

// TestRule shows what each release does with each kind of connection.
func TestRule(t *testing.T) {
	const (
		plain   = "by rule: readable EMSMDB of a supported client"
		old     = "client older than Outlook 2000"
		ntlm    = "Unsupported Auth Type :NTLM"
		secured = "secured connection (level privacy): not accelerated before 5.0.3"
		signed  = "secured connection (level integrity): not accelerated before 5.0.3"
	)
	mapi := func(why string) Disposition { return Disposition{MAPIAccelerator, "TMDL", Heuristic, why} }
	generic := func(why string) Disposition { return Disposition{Generic, "TGDL", Heuristic, why} }
	all := func(d Disposition) [4]Disposition { return [4]Disposition{d, d, d, d} }
	newer := func(release string) Disposition { return generic("client newer than release " + release + " knows") }
	kerberos := func(release string) Disposition {
		return mapi("by rule: release " + release + " accelerates encrypted MAPI with Kerberos (on by default from 5.0.3)")
	}
	untold := func(release string) Disposition {
		return mapi("by rule: level privacy; whether Kerberos protects it was not captured, and release " + release + " refuses NTLM")
	}
	for _, row := range []struct {
		name   string
		traits Traits
		want   [4]Disposition // of 4.1, 4.5, 5.0, 5.3
	}{
		{"endpoint mapper", Traits{Service: assoc.EPM}, all(Disposition{EPMAccelerator, "TEDL", Heuristic, "by rule: port 135 goes to the EPM accelerator"})},
		{"RFR", Traits{Service: assoc.RFR}, all(Disposition{PassThrough, "-", Heuristic, "by rule: the default policy passes RFR and NSPI through"})},
		{"NSPI", Traits{Service: assoc.NSPI}, all(Disposition{PassThrough, "-", Heuristic, "by rule: the default policy passes RFR and NSPI through"})},
		{"other RPC", Traits{Service: assoc.OtherRPC}, all(generic("by rule: no accelerator for this interface"))},
		{"RPC over HTTP", Traits{Service: assoc.OverHTTP}, all(generic("by rule: the MAPI accelerator does not handle HTTP transports"))},
		{"MAPI over HTTP", Traits{Service: assoc.MAPIHTTPSvc}, all(generic("by rule: the MAPI accelerator does not handle HTTP transports"))},
		{"nothing known", Traits{Service: assoc.Unknown}, all(Disposition{UnknownAccelerator, "-", Unavailable, "nothing tells what it carries"})},
		{"readable", Traits{Service: assoc.MAPI}, all(mapi(plain))},
		{"readable, asynchronous", Traits{Service: assoc.MAPIAsync}, all(mapi(plain))},
		{"before Outlook 2000", Traits{Service: assoc.MAPI, Version: outlook97}, all(generic(old))},
		{"long before", Traits{Service: assoc.MAPI, Version: exchange4}, all(generic(old))},
		{"Outlook 2000", Traits{Service: assoc.MAPI, Version: outlook2000}, all(mapi(plain))},
		{"Outlook 2007", Traits{Service: assoc.MAPI, Version: outlook2007}, all(mapi(plain))},
		{"the newest of 4.x", Traits{Service: assoc.MAPI, Version: compat2007}, all(mapi(plain))},
		{"Outlook 2010", Traits{Service: assoc.MAPI, Version: outlook2010}, [4]Disposition{newer("4.1"), newer("4.5"), mapi(plain), mapi(plain)}},
		{"Outlook 2013", Traits{Service: assoc.MAPI, Version: outlook2013}, [4]Disposition{newer("4.1"), newer("4.5"), newer("5.0"), mapi(plain)}},
		{"Outlook 2016", Traits{Service: assoc.MAPI, Version: outlook2016}, [4]Disposition{newer("4.1"), newer("4.5"), newer("5.0"), newer("5.3")}},
		{"privacy with Kerberos", Traits{Service: assoc.MAPI, Secured: Secured{dcerpc.LevelPrivacy, Kerberos}},
			[4]Disposition{generic(secured), generic(secured), kerberos("5.0"), kerberos("5.3")}},
		{"integrity with Kerberos", Traits{Service: assoc.MAPI, Secured: Secured{dcerpc.LevelIntegrity, Kerberos}},
			[4]Disposition{generic(signed), generic(signed), kerberos("5.0"), kerberos("5.3")}},
		{"privacy with NTLM", Traits{Service: assoc.MAPI, Secured: Secured{dcerpc.LevelPrivacy, NTLM}},
			[4]Disposition{generic(secured), generic(secured), generic(ntlm), generic(ntlm)}},
		{"privacy with what nobody saw", Traits{Service: assoc.MAPI, Secured: Secured{Level: dcerpc.LevelPrivacy}},
			[4]Disposition{generic(secured), generic(secured), untold("5.0"), untold("5.3")}},
		{"Kerberos of a client that is too new", Traits{Service: assoc.MAPI, Version: outlook2016, Secured: Secured{dcerpc.LevelPrivacy, Kerberos}},
			[4]Disposition{generic(secured), generic(secured), newer("5.0"), newer("5.3")}},
		{"protection of another service", Traits{Service: assoc.NSPI, Secured: Secured{dcerpc.LevelPrivacy, NTLM}}, all(Disposition{PassThrough, "-", Heuristic, "by rule: the default policy passes RFR and NSPI through"})},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got [4]Disposition
			for i, name := range Releases() {
				got[i] = ReleaseOf(name).Rule(row.traits)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReleaseOf(t *testing.T) {
	if diff := cmp.Diff([]string{"4.1", "4.5", "5.0", "5.3"}, Releases()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"": "5.3", "4.1": "4.1", "5.0": "5.0", "6.9": "5.3"} {
		if got := ReleaseOf(name).Name; got != want {
			t.Errorf("%q gives the rules of %s, want %s", name, got, want)
		}
	}
}

// TestDispose shows that what packets show comes before what rules say.
func TestDispose(t *testing.T) {
	bound := &assoc.Conn{RPC: &dcerpc.Conn{}}
	for _, row := range []struct {
		name string
		d    Conn
		want Disposition
	}{
		{"by rule", Conn{Conn: bound, Leg: &verdict.Leg{Path: verdict.PathUnknown}, Traits: Traits{Service: assoc.EPM}},
			Disposition{EPMAccelerator, "TEDL", Heuristic, "by rule: port 135 goes to the EPM accelerator"}},
		{"passed through", Conn{Conn: bound, Leg: &verdict.Leg{Path: verdict.PassThrough}, Traits: Traits{Service: assoc.EPM}},
			Disposition{PassThrough, "-", Heuristic, "the packets show that it passed no optimizer"}},
		{"optimized and readable", Conn{Conn: bound, Leg: &verdict.Leg{Path: verdict.Optimized}, Traits: Traits{Service: assoc.EPM}},
			Disposition{EPMAccelerator, "TEDL", Heuristic, "by rule: port 135 goes to the EPM accelerator"}},
		{"optimized and hidden", Conn{Conn: &assoc.Conn{}, Leg: &verdict.Leg{Path: verdict.Optimized}, Traits: Traits{Service: assoc.MAPI}},
			Disposition{UnknownAccelerator, "-", Unavailable, "optimized, and unreadable here: which accelerator took it shows only on the LAN"}},
		{"of an interface that was not seen", Conn{Conn: bound, Leg: &verdict.Leg{Path: verdict.PathUnknown}, Unseen: true, Traits: Traits{Service: assoc.OtherRPC}},
			Disposition{UnknownAccelerator, "-", Unavailable, "DCE/RPC of an interface that was not seen: its bind is not in this capture"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, job(facts{release: "4.1"}).dispose(&row.d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSecured shows which of several authentications a release decides by.
func TestSecured(t *testing.T) {
	auth := func(level, kind uint8, state dcerpc.AuthState) dcerpc.Auth {
		return dcerpc.Auth{Level: level, Type: kind, State: state}
	}
	const ntlm, kerberos, netlogon = 10, 16, 68
	for _, row := range []struct {
		name  string
		auths []dcerpc.Auth
		want  Secured
	}{
		{"none", nil, Secured{}},
		{"connect only", []dcerpc.Auth{auth(dcerpc.LevelIntegrity-3, ntlm, dcerpc.Established)}, Secured{}},
		{"integrity", []dcerpc.Auth{auth(dcerpc.LevelIntegrity, ntlm, dcerpc.Established)}, Secured{dcerpc.LevelIntegrity, NTLM}},
		{"the stronger one", []dcerpc.Auth{auth(dcerpc.LevelIntegrity, ntlm, dcerpc.Established), auth(dcerpc.LevelPrivacy, kerberos, dcerpc.Offered)}, Secured{dcerpc.LevelPrivacy, Kerberos}},
		{"the first of equals", []dcerpc.Auth{auth(dcerpc.LevelPrivacy, kerberos, dcerpc.Offered), auth(dcerpc.LevelPrivacy, ntlm, dcerpc.Offered)}, Secured{dcerpc.LevelPrivacy, Kerberos}},
		{"not the refused one", []dcerpc.Auth{auth(dcerpc.LevelPrivacy, kerberos, dcerpc.Rejected), auth(dcerpc.LevelIntegrity, ntlm, dcerpc.Established)}, Secured{dcerpc.LevelIntegrity, NTLM}},
		{"nor a refused one that comes later", []dcerpc.Auth{auth(dcerpc.LevelIntegrity, ntlm, dcerpc.Established), auth(dcerpc.LevelPrivacy, kerberos, dcerpc.Rejected)}, Secured{dcerpc.LevelIntegrity, NTLM}},
		{"unless there is no other", []dcerpc.Auth{auth(dcerpc.LevelPrivacy, kerberos, dcerpc.Rejected)}, Secured{dcerpc.LevelPrivacy, Kerberos}},
		{"of another provider", []dcerpc.Auth{auth(dcerpc.LevelPrivacy, netlogon, dcerpc.Established)}, Secured{Level: dcerpc.LevelPrivacy}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := secured(&assoc.Conn{RPC: &dcerpc.Conn{Auths: row.auths}}); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
	if got := secured(&assoc.Conn{}); got != (Secured{}) {
		t.Errorf("without DCE/RPC %+v", got)
	}
}
