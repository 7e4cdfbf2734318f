package auth

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestConversations merges all tokens of real authentications.
func TestConversations(t *testing.T) {
	tokens := load(t, "tokens.txt")
	mail1 := Facts{
		Mechanism: "ntlm", Domain: "CORP", Workstation: "WS01", Target: "CORP",
		NetBIOSDomain: "CORP", NetBIOSComputer: "MAIL1", DNSDomain: "corp.lab.test", DNSComputer: "mail1.corp.lab.test", DNSTree: "corp.lab.test",
		NTLMFlags: 0xe089b215, NTLMVersion: "NTLMv2",
	}
	quirk, plain := mail1, mail1
	quirk.User, quirk.Offered, quirk.Selected, quirk.NegState, quirk.MechListMIC = "bob", []string{"ntlm"}, "ntlm", "accept-incomplete", true
	quirk.ServerTime = time.Date(2026, 11, 22, 3, 9, 30, 356825000, time.UTC)
	quirk.Messages = []string{"NegTokenInit", "ntlm negotiate", "NegTokenResp", "ntlm challenge", "NegTokenResp", "ntlm authenticate", "NegTokenResp"}
	quirk.Malformed = true
	plain.User, plain.ServerTime = "alice", time.Date(2026, 11, 22, 3, 9, 13, 127434400, time.UTC)
	plain.Messages = []string{"ntlm negotiate", "ntlm challenge", "ntlm authenticate"}

	krb5 := Facts{
		Mechanism: "kerberos", Realm: "CORP.LAB.TEST", SPN: "host/dc1.corp.lab.test",
		TicketEtype: 18, SessionEtype: 18, TicketKVNO: 1, MutualRequired: true,
	}
	bare, wrapped, skew := krb5, krb5, krb5
	bare.Messages = []string{"AP-REQ", "AP-REP"}
	wrapped.Offered, wrapped.Selected, wrapped.NegState, wrapped.MechListMIC = []string{"ms-kerberos", "kerberos"}, "ms-kerberos", "accept-completed", true
	wrapped.Messages = []string{"NegTokenInit", "AP-REQ", "NegTokenResp", "AP-REP", "NegTokenResp", "AP-REP", "NegTokenResp"}
	skew.SPN = "DC1$"
	skew.Messages = []string{"KRB-ERROR", "AP-REQ"}
	skew.KRBErr = &KRBError{
		Code: 37, Name: "KRB_AP_ERR_SKEW", STime: time.Date(2026, 11, 22, 3, 7, 30, 0, time.UTC), SUsec: 113631,
		Realm: "CORP.LAB.TEST", SName: "DC1$",
	}

	tests := []struct {
		name   string
		tokens string
		want   Facts
	}{
		{"NTLM", "ntlm-negotiate ntlm-challenge ntlm-authenticate", plain},
		{"SPNEGO that wraps the OID and leaves negState out", "quirk-init quirk-challenge quirk-authenticate quirk-complete", quirk},
		{"NTLM in SPNEGO, Samba", "samba-init samba-challenge samba-authenticate samba-complete", Facts{
			Mechanism: "ntlm", Offered: []string{"ntlm"}, Selected: "ntlm", NegState: "accept-completed",
			Domain: "CORP", User: "bob", Workstation: "WS01", Target: "CORP",
			NetBIOSDomain: "CORP", NetBIOSComputer: "DC1", DNSDomain: "corp.lab.test", DNSComputer: "dc1.corp.lab.test",
			ServerTime: time.Date(2026, 11, 22, 3, 7, 13, 550372000, time.UTC), SPN: "host/10.77.2.10",
			NTLMFlags: 0x62088205, NTLMVersion: "NTLMv2", ClientVersion: "6.1.0", ServerVersion: "6.1.0",
			Messages: []string{"NegTokenInit", "ntlm negotiate", "NegTokenResp", "ntlm challenge", "NegTokenResp", "ntlm authenticate", "NegTokenResp"},
		}},
		{"Kerberos, DCE style", "krb5-ap-req krb5-ap-rep krb5-third-leg", bare},
		{"Kerberos in SPNEGO", "spnego-ap-req spnego-ap-rep spnego-third-leg spnego-complete", wrapped},
		{"Kerberos for Exchange", "exchange-ap-req", Facts{
			Mechanism: "kerberos", Realm: "CORP.LAB.TEST", SPN: "exchangeMDB/mail1.corp.lab.test",
			TicketEtype: 18, SessionEtype: 18, TicketKVNO: 2, Messages: []string{"AP-REQ"},
		}},
		{"clock skew, then again", "skew-error skew-retry", skew},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f Facts
			for _, name := range strings.Fields(tt.tokens) {
				c := find(t, tokens, name)
				f.Add(c.authType, c.token)
			}
			if d := cmp.Diff(tt.want, f); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestTruncation cuts real tokens at every byte: a cut token may say less,
// but nothing else, and is malformed while a name is missing.
func TestTruncation(t *testing.T) {
	for _, c := range load(t, "tokens.txt") {
		var whole Facts
		whole.Add(c.authType, c.token)
		want := texts(whole)
		for n := range c.token {
			var f Facts
			f.Add(c.authType, slices.Clip(c.token[:n]))
			missing := false
			for field, got := range texts(f) {
				if got != want[field] && got != "" {
					t.Fatalf("%s cut to %d bytes: %s = %q, whole %q", c.name, n, field, got, want[field])
				}
				missing = missing || got != want[field]
			}
			if n > 0 && missing && !f.Malformed {
				t.Fatalf("%s cut to %d bytes is not malformed: %+v", c.name, n, f)
			}
		}
	}
}

func TestAdd(t *testing.T) {
	long := bytes.Repeat([]byte{0}, maxToken+1)
	copy(long, "NEGOEXTS")
	checkRows(t, []row{
		{"empty token", 9, nil, Facts{}},
		{"unknown content", 10, []byte("\x01\x00\x00\x00signature"), Facts{Malformed: true}},
		{"schannel", 14, []byte("\x16\x03\x01"), Facts{Messages: []string{"schannel"}}},
		{"negoex", 9, []byte("NEGOEXTS\x00"), Facts{Messages: []string{"negoex"}}},
		{"longer than any token", 9, long, Facts{Messages: []string{"negoex"}, Malformed: true}},
		{"netlogon request", 68, []byte("\x00\x00\x00\x00\x17\x00\x00\x00CORP\x00WS01\x00\x04corp\x03lab\x00"), Facts{
			Domain: "CORP", Workstation: "WS01", Messages: []string{"netlogon request"},
		}},
		{"netlogon request of a computer alone", 68, []byte("\x00\x00\x00\x00\x02\x00\x00\x00WS01\x00"), Facts{
			Workstation: "WS01", Messages: []string{"netlogon request"},
		}},
		{"netlogon name without an end", 68, []byte("\x00\x00\x00\x00\x03\x00\x00\x00CORP"), Facts{
			Messages: []string{"netlogon request"}, Malformed: true,
		}},
		{"netlogon response", 68, []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), Facts{Messages: []string{"netlogon response"}}},
		{"netlogon of another kind", 68, []byte("\x02\x00\x00\x00\x00\x00\x00\x00"), Facts{Malformed: true}},
		{"netlogon cut", 68, []byte("\x00\x00\x00\x00\x01"), Facts{Malformed: true}},
	})
}

func TestMessagesAreBounded(t *testing.T) {
	tokens := load(t, "tokens.txt")
	var f Facts
	for range maxMessages {
		f.Add(9, find(t, tokens, "samba-init").token)
		f.Add(9, find(t, tokens, "samba-challenge").token)
	}
	if len(f.Messages) != maxMessages || !f.Malformed {
		t.Errorf("%d messages, Malformed %v", len(f.Messages), f.Malformed)
	}
}

func TestAddKeepsNoPartOfTheToken(t *testing.T) {
	for _, c := range load(t, "tokens.txt") {
		var want, f Facts
		want.Add(c.authType, slices.Clone(c.token))
		f.Add(c.authType, c.token)
		for i := range c.token {
			c.token[i] = 0xdb
		}
		if d := cmp.Diff(want, f); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// FuzzFacts feeds two tokens to one context: whatever they are, the facts stay
// bounded, and the second never replaces a name that the first gave.
func FuzzFacts(f *testing.F) {
	tokens := load(f, "tokens.txt")
	for i, c := range tokens {
		f.Add(c.authType, c.token, tokens[(i+1)%len(tokens)].token)
	}
	f.Add(uint8(68), []byte("\x00\x00\x00\x00\x03\x00\x00\x00CORP\x00WS01\x00"), []byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, authType uint8, a, b []byte) {
		var facts Facts
		facts.Add(authType, a)
		before := facts
		facts.Add(authType, b)
		if len(facts.Messages) > maxMessages || len(facts.Offered) > maxOffered {
			t.Errorf("%d messages, %d offered", len(facts.Messages), len(facts.Offered))
		}
		for field, got := range texts(facts) {
			if !utf8.ValidString(got) || len(got) > maxComponents*(maxName+1)*utf8.UTFMax {
				t.Errorf("%s = %.100q of %d bytes", field, got, len(got))
			}
		}
		for field, got := range map[string][2]string{
			"Target": {before.Target, facts.Target}, "Realm": {before.Realm, facts.Realm}, "SPN": {before.SPN, facts.SPN}, "User": {before.User, facts.User},
		} {
			if got[0] != "" && got[0] != got[1] {
				t.Errorf("%s was %q and is %q", field, got[0], got[1])
			}
		}
		if before.Malformed && !facts.Malformed {
			t.Error("Malformed was forgotten")
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	for _, c := range load(b, "tokens.txt") {
		switch c.name {
		case "ntlm-challenge", "ntlm-authenticate", "spnego-ap-req":
			b.Run(c.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(c.token)))
				for b.Loop() {
					var f Facts
					f.Add(c.authType, c.token)
				}
			})
		}
	}
}
