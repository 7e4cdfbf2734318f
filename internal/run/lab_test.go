package run

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

// table reads a tab separated file with a head line into one map a row.
func table(t *testing.T, path string) []map[string]string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	head := strings.Split(lines[0], "\t")
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range strings.Split(line, "\t") {
			row[head[i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

// interfaceLabels are the short names of CONNECTIONS.tsv.
var interfaceLabels = map[string]string{
	"e1af8308-5d1f-11c9-91a4-08002b14a0fa": "EPM", "a4f1db00-ca47-1067-b31f-00dd010662da": "EMSMDB",
	"12345778-1234-abcd-ef00-0123456789ac": "SAMR", "12345778-1234-abcd-ef00-0123456789ab": "LSARPC",
	"12345678-1234-abcd-ef00-01234567cffb": "NETLOGON", "e3514235-4b06-11d1-ab04-00c04fc2dcd2": "DRSUAPI",
	"f5cc5a18-4264-101a-8c59-08002b2f8426": "NSPI",
}

var authLabels = map[string]string{"ntlm": "NTLMSSP", "spnego": "SPNEGO", "kerberos": "KRB5", "netlogon": "NETLOGON"}

// labRow is a connection in the words of CONNECTIONS.tsv.
func labRow(c *document.Connection) map[string]string {
	row := map[string]string{
		"client": fmt.Sprintf("%s:%d", c.Client.IP, c.Client.Port), "server": fmt.Sprintf("%s:%d", c.Server.IP, c.Server.Port),
		"packets":               fmt.Sprint(c.Packets.Client + c.Packets.Server),
		"payload_bytes_c2s/s2c": fmt.Sprintf("%d/%d", c.Bytes.Client, c.Bytes.Server),
		"assoc_requested":       "-",
		"assoc_granted":         "-",
		"requests_by_opnum":     "-",
		"auth_type/level":       "none",
		"fault_or_nak":          "-",
		"ack_results":           "-",
	}
	if c.AssocGroup.Requested != nil {
		row["assoc_requested"] = fmt.Sprintf("0x%08x", *c.AssocGroup.Requested)
	}
	if c.AssocGroup.Granted != nil {
		row["assoc_granted"] = fmt.Sprintf("0x%08x", *c.AssocGroup.Granted)
	}
	auth := map[string]bool{}
	for _, a := range c.Auth {
		if a.Type != 0 {
			auth[fmt.Sprintf("%s/%d", authLabels[a.TypeName], a.Level)] = true
		}
	}
	if len(auth) > 0 {
		row["auth_type/level"] = strings.Join(slices.Sorted(maps.Keys(auth)), ",")
	}
	if acks := ackResults(c); acks != "" {
		row["ack_results"] = acks
	}
	failed := map[string]bool{}
	for _, f := range c.Faults {
		failed[fmt.Sprintf("0x%x", f.Status)] = true
	}
	for _, n := range c.BindNaks {
		failed[fmt.Sprintf("nak=%d", n.Reason)] = true
	}
	if len(failed) > 0 {
		row["fault_or_nak"] = strings.Join(slices.Sorted(maps.Keys(failed)), ",")
	}
	calls := map[uint16]int64{}
	for _, o := range c.Operations {
		if o.Opnum != nil && o.Requests > 0 {
			calls[*o.Opnum] += o.Requests
		}
	}
	var ops []string
	for _, op := range slices.Sorted(maps.Keys(calls)) {
		ops = append(ops, fmt.Sprintf("op%d:%d", op, calls[op]))
	}
	if len(ops) > 0 {
		row["requests_by_opnum"] = strings.Join(ops, ",")
	}
	return row
}

// ackResults lists the results of each bind_ack and alter_context_resp, by the
// packet of the offer that they answer.
func ackResults(c *document.Connection) string {
	var b strings.Builder
	for i := range c.Interfaces {
		x := &c.Interfaces[i]
		if x.Result == nil {
			continue
		}
		if b.Len() > 0 {
			if c.Interfaces[i-1].Packet == x.Packet {
				b.WriteByte(',')
			} else {
				b.WriteByte(' ')
			}
		}
		for number, name := range resultNames {
			if name == *x.Result {
				fmt.Fprint(&b, number)
			}
		}
	}
	return b.String()
}

// labLenient lists where CONNECTIONS.tsv says something else than we do, and
// why: file, connection, column.
var labLenient = map[[3]string]string{
	{"gm_samr_assoc_mixed.pcap", "4", "payload_bytes_c2s/s2c"}: "the truth counts 32 retransmitted bytes again",
	{"imp_second_bind_nak.pcap", "1", "assoc_requested"}:       "two binds on one connection: the document has the first request",
}

func TestLabCapturesAgreeWithConnections(t *testing.T) {
	dir := corpus(t, "lab")
	want := map[string][]map[string]string{}
	var files []string
	for _, row := range table(t, filepath.Join(dir, "CONNECTIONS.tsv")) {
		if want[row["file"]] == nil {
			files = append(files, row["file"])
		}
		want[row["file"]] = append(want[row["file"]], row)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			doc := analyse(t, 2, filepath.Join(dir, file))
			checkLedger(t, doc)
			if got, want := len(doc.Connections), len(want[file]); got != want {
				t.Fatalf("%d connections, want %d", got, want)
			}
			ports := map[uint16]bool{}
			for _, e := range doc.Endpoints {
				if e.LearnedFrom != "bind" {
					ports[e.Port] = true
				}
			}
			for i, row := range want[file] {
				c := &doc.Connections[i]
				got, expected := labRow(c), map[string]string{}
				for key := range got {
					expected[key] = row[key]
				}
				if strings.HasPrefix(row["auth_type/level"], "(optimised") {
					expected["auth_type/level"] = "none"
				}
				for key := range got {
					if _, known := labLenient[[3]string{file, row["conn"], key}]; known {
						if got[key] == expected[key] {
							t.Errorf("connection %d: %s agrees, yet the table says that it does not", i+1, key)
						}
						delete(got, key)
						delete(expected, key)
					}
				}
				if diff := cmp.Diff(expected, got); diff != "" {
					t.Errorf("connection %d (-truth +mapiscope):\n%s", i+1, diff)
				}
				for _, port := range strings.Split(row["epm_tcp_port_answered"], ",") {
					var n uint16
					if _, err := fmt.Sscan(port, &n); err == nil && !ports[n] {
						t.Errorf("connection %d: the answered port %d is not among the endpoints", i+1, n)
					}
				}
				if row["interfaces_bound"] != "-" {
					checkInterfaces(t, c, row["interfaces_bound"])
				}
			}
		})
	}
}

func checkInterfaces(t *testing.T, c *document.Connection, want string) {
	t.Helper()
	got := map[string]bool{}
	for _, x := range c.Interfaces {
		if label, ok := interfaceLabels[x.UUID]; ok {
			got[label] = true
		}
	}
	for _, label := range strings.Split(want, ",") {
		if _, named := labelled[label]; named && !got[label] {
			t.Errorf("connection %d: %s is not among its interfaces", c.ID, label)
		}
	}
}

var labelled = func() map[string]bool {
	m := map[string]bool{}
	for _, label := range interfaceLabels {
		m[label] = true
	}
	return m
}()

// escapes of the optimizer captures, by MANIFEST.tsv: client ports.
var optimizerTruth = map[string]struct{ optimized, escaped []uint16 }{
	"wo_mapi_krb5_noescape_wan.pcap":    {optimized: []uint16{44213, 46891, 51171}},
	"wo_mapi_seal_escape_wan.pcap":      {optimized: []uint16{43911, 50313}, escaped: []uint16{40555}},
	"wo_mapi_sign_escape_wan.pcap":      {optimized: []uint16{39069, 40653, 43181, 60223}, escaped: []uint16{40413}},
	"wo_mapi_sign_escape_merged.pcapng": {optimized: []uint16{39069, 40653, 43181, 60223}, escaped: []uint16{40413}},
	"wo_samba_samr_wan.pcap":            {optimized: nil},
}

func TestOptimizerVerdictsOfTheLab(t *testing.T) {
	dir := corpus(t, "lab")
	for file, want := range optimizerTruth {
		t.Run(file, func(t *testing.T) {
			doc := analyse(t, 2, filepath.Join(dir, file))
			var optimized, escaped []uint16
			for _, c := range doc.Connections {
				if c.Optimizer.Verdict == "optimized" {
					optimized = append(optimized, c.Client.Port)
				}
				if c.Escaped != nil {
					escaped = append(escaped, c.Client.Port)
				}
			}
			for _, s := range []*[]uint16{&optimized, &escaped} {
				slices.Sort(*s)
				*s = slices.Compact(*s)
			}
			if want.optimized != nil && !slices.Equal(optimized, want.optimized) {
				t.Errorf("optimized client ports %v, want %v", optimized, want.optimized)
			}
			if !slices.Equal(escaped, want.escaped) {
				t.Errorf("escaped client ports %v, want %v", escaped, want.escaped)
			}
			if doc.Totals.EscapedConnections != int64(len(want.escaped)) {
				t.Errorf("escaped_connections = %d, want %d", doc.Totals.EscapedConnections, len(want.escaped))
			}
		})
	}
}

// TestNoFalseEscape: no capture without an escaping connection reports one.
func TestNoFalseEscape(t *testing.T) {
	for _, folder := range []string{"lab", "public"} {
		dir := corpus(t, folder)
		files, err := filepath.Glob(filepath.Join(dir, "*.*cap*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no captures in %s: %v", folder, err)
		}
		for _, path := range files {
			if len(optimizerTruth[filepath.Base(path)].escaped) > 0 {
				continue
			}
			t.Run(filepath.Base(path), func(t *testing.T) {
				doc := analyse(t, 1, path)
				for _, f := range doc.Findings {
					if f.Code == "ESCAPED_CONNECTION" || f.Code == "SPLIT_PAIR" {
						t.Errorf("%s: %s", f.Code, f.Detail)
					}
				}
			})
		}
	}
}
