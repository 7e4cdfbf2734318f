package run

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// labFindings are the exact codes of the findings of every lab capture under
// the rules of release 5.3. Captures that are not listed give none. Why each
// is right, by MANIFEST.tsv:
var labFindings = map[string][]string{
	// EMSMDB at integrity with NTLM inside SPNEGO: no release accelerates it,
	// and only privacy has a finding of its own for NTLM.
	"gm_mapi_2007_spnego_sign.pcap":       {"ENCRYPTED_CONNECTION"},
	"gm_mapi_chained_sign.pcap":           {"ENCRYPTED_CONNECTION"},
	"gm_mapi_two_sessions.pcap":           {"ENCRYPTED_CONNECTION"},
	"wo_mapi_sign_escape_core-lan.pcap":   {"ENCRYPTED_CONNECTION"},
	"wo_mapi_sign_escape_edge-lan.pcap":   {"ENCRYPTED_CONNECTION", "POSSIBLE_ESCAPE"},
	"wo_mapi_sign_escape_wan.pcap":        {"ENCRYPTED_CONNECTION", "ESCAPED_CONNECTION"},
	"wo_mapi_sign_escape_merged.pcapng":   {"ENCRYPTED_CONNECTION", "ESCAPED_CONNECTION"},
	"gm_mapi_2010_ntlm_seal.pcap":         {"ENCRYPTED_CONNECTION", "UNSUPPORTED_AUTH_NTLM"},
	"wo_mapi_seal_escape_core-lan.pcap":   {"ENCRYPTED_CONNECTION", "UNSUPPORTED_AUTH_NTLM"},
	"wo_mapi_seal_escape_edge-lan.pcap":   {"ENCRYPTED_CONNECTION", "POSSIBLE_ESCAPE", "UNSUPPORTED_AUTH_NTLM"},
	"wo_mapi_seal_escape_wan.pcap":        {"ENCRYPTED_CONNECTION", "ESCAPED_CONNECTION", "UNSUPPORTED_AUTH_NTLM"},
	"wo_mapi_krb5_noescape_edge-lan.pcap": nil, // Kerberos privacy is what 5.3 accelerates
	"wo_mapi_krb5_noescape_core-lan.pcap": nil,
	"wo_mapi_krb5_noescape_wan.pcap":      nil, // every EMSMDB connection passed the pair
	"gm_mapi_2010_krb5_seal.pcap":         nil,
	"gm_mapi_2007_krb5_seal_aes.pcap":     nil,
	"gm_mapi_three_users.pcapng":          {"ENCRYPTED_CONNECTION", "ENCRYPTED_CONNECTION", "UNSUPPORTED_AUTH_NTLM", "UNSUPPORTED_AUTH_NTLM"}, // sealed and signed; bare NTLM and inside SPNEGO
	"gm_mapi_slowserver_connect.pcap":     {"SLOW_CALLS"},                                                                                     // 150 ms of think time, the network takes under 1 ms

	// Three logons with a wrong password. Two of them ask for privacy with
	// NTLM, which the device refuses before it knows the password.
	"gm_mapi_wrong_password.pcap": {"AUTH_REJECTED", "AUTH_REJECTED", "AUTH_REJECTED", "ENCRYPTED_CONNECTION", "UNSUPPORTED_AUTH_NTLM", "UNSUPPORTED_AUTH_NTLM"},
	"smb_wrong_password.pcap":     {"AUTH_REJECTED", "AUTH_REJECTED", "AUTH_REJECTED", "AUTH_REJECTED"}, // NTLM and SPNEGO, each twice; the last logon works
	"imp_wrong_password.pcap":     {"AUTH_REJECTED"},                                                    // at privacy; at connect the server answers all the same

	// Two sessions fail for a clock 600 s ahead; the KDC's refusals of the
	// tickets for delegation beside them are no cause.
	"smb_krb5_skew.pcap": {"AUTH_REJECTED", "KERBEROS_CLOCK_SKEW"},

	// Access denied as the answer to the first call: by level, and for LSARPC
	// over TCP at any level.
	"smb_ntlm_connect_denied.pcap": {"AUTH_REJECTED"},
	"smb_krb5_levels.pcap":         {"AUTH_REJECTED"},
	"smb_ntlm_levels.pcap":         {"AUTH_REJECTED", "AUTH_REJECTED", "AUTH_REJECTED", "AUTH_REJECTED"},
	"smb_spnego_ntlm_levels.pcap":  {"AUTH_REJECTED", "AUTH_REJECTED", "AUTH_REJECTED"},
	"wo_samba_samr_core-lan.pcap":  {"AUTH_REJECTED", "AUTH_REJECTED"},
	"wo_samba_samr_edge-lan.pcap":  {"AUTH_REJECTED", "AUTH_REJECTED"},

	"imp_second_bind_nak.pcap":  {"BIND_REJECTED"},
	"smb_bigendian_ndr64.pcap":  {"BIND_REJECTED"},                                                                     // NDR64 alone was offered
	"imp_unknown_iface.pcap":    {"BIND_REJECTED", "BIND_REJECTED", "BIND_REJECTED", "BIND_REJECTED", "BIND_REJECTED"}, // four interfaces and one transfer syntax; EMSMDB that is not served is no EMSMDB connection
	"imp_epm_lookup_map.pcap":   {"EPM_NOT_REGISTERED"},
	"imp_multictx.pcap":         nil, // of each bind one context is accepted
	"imp_samr_levels.pcap":      nil, // fault 1 does not say that access was denied
	"gm_samr_assoc_mixed.pcap":  nil,
	"gm_mapi_spnego_quirk.pcap": nil,
	"gm_mapi_nodisconnect.pcap": nil,
}

func TestFindingsOfTheLab(t *testing.T) {
	dir := corpus(t, "lab")
	files, err := filepath.Glob(filepath.Join(dir, "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no lab captures: %v", err)
	}
	for file := range labFindings {
		if !slices.Contains(files, filepath.Join(dir, file)) {
			t.Errorf("%s is in the table and not in the lab set", file)
		}
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			doc := analyse(t, 1, path)
			if diff := cmp.Diff(labFindings[filepath.Base(path)], codesOf(doc)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%s", diff, explain(doc))
			}
		})
	}
}

// TestLabAsDeviceCapture reads the three points of an optimizer scenario as
// one capture that does not say where its packets are from.
func TestLabAsDeviceCapture(t *testing.T) {
	dir := corpus(t, "lab")
	for _, points := range [][]string{{"edge-lan", "wan"}, {"wan", "core-lan"}, {"edge-lan", "wan", "core-lan"}} {
		for scenario, want := range map[string]struct{ optimized, escaped []uint16 }{
			"wo_mapi_sign_escape": optimizerTruth["wo_mapi_sign_escape_wan.pcap"],
			"wo_mapi_seal_escape": optimizerTruth["wo_mapi_seal_escape_wan.pcap"],
		} {
			t.Run(scenario+" "+points[0]+" "+points[len(points)-1], func(t *testing.T) {
				var paths []string
				for _, p := range points {
					paths = append(paths, filepath.Join(dir, scenario+"_"+p+".pcap"))
				}
				doc := analyse(t, 2, paths...)
				checkLedger(t, doc)
				var optimized, escaped []uint16
				for _, c := range doc.Connections {
					if c.Retransmitted.Client+c.Retransmitted.Server > 0 {
						t.Errorf("connection %d: %+v retransmissions, the files have none", c.ID, c.Retransmitted)
					}
					if c.Optimizer.Verdict == "optimized" {
						optimized = append(optimized, c.Client.Port)
					}
					if c.Escaped != nil {
						escaped = append(escaped, c.Client.Port)
					}
				}
				slices.Sort(optimized)
				slices.Sort(escaped)
				if diff := cmp.Diff(want.optimized, slices.Compact(optimized)); diff != "" {
					t.Errorf("optimized (-want +got):\n%s\n%s", diff, explain(doc))
				}
				if diff := cmp.Diff(want.escaped, slices.Compact(escaped)); diff != "" {
					t.Errorf("escaped (-want +got):\n%s\n%s", diff, explain(doc))
				}
				if got := doc.Totals.EscapedConnections; got != int64(len(want.escaped)) {
					t.Errorf("escaped_connections = %d", got)
				}
			})
		}
	}
}
