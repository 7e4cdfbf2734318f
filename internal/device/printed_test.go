package device

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

// spellings are the ways in which one text of a device reaches us.
var spellings = []struct {
	name string
	of   func(string) string
}{
	{"as printed", func(s string) string { return s }},
	{"flattened", func(s string) string { return strings.Join(strings.Fields(s), " ") }},
	{"widened", func(s string) string { return strings.ReplaceAll(s, " ", "   ") }},
	{"carriage returns", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }},
	{"tabs", func(s string) string { return strings.ReplaceAll(s, "  ", "\t") }},
	{"between prompts", func(s string) string { return "WAE674#show something\n" + s + "\nWAE674#\n" }},
	{"lower case", strings.ToLower},
}

func host(ip string, port uint16) document.Host { return document.Host{IP: ip, Port: port} }

func readings(pairs ...string) []Reading {
	var out []Reading
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Reading{pairs[i], pairs[i+1]})
	}
	return out
}

// wantSamples are the vendor's samples as they are understood.
var wantSamples = map[string]*Printed{
	"connection-list.txt": {
		Head: readings(headOptimized, "2", headPlus, "1", headOnly, "1", headPreposition, "0", headDiscovery, "0", headReserved, "12",
			headPass, "0", headHistorical, "161"),
		Connections: []PrintedRow{{ConnID: 342, Source: host("10.56.94.101", 4506), Dest: host("10.10.100.100", 1456),
			PeerID: "00:1a:64:d3:2f:b8", Accel: "TMDL", RR: "61.0%"}},
	},
	"connection-detail.txt": {
		Details: []PrintedDetail{{
			ConnID: 1830, Source: host("10.10.10.10", 3774), Dest: host("10.10.100.101", 1146),
			Fields: readings(labelPeer, "00:14:5e:84:24:5f", labelType, "EXTERNAL CLIENT", labelStart, "Thu Jun 25 06:32:27 2009",
				labelApp, "Email-and-Messaging", labelClassifier, "**Map Default**", labelMap, "uuida4f1db00-ca47-1067-b31f-00dd010662da",
				labelDirected, "FALSE", labelPreposed, "FALSE"),
			Policy: readings("Configured", "TCP_OPTIMIZE + DRE + LZ", "Derived", "TCP_OPTIMIZE + DRE + LZ", "Peer", "TCP_OPTIMIZE + DRE + LZ",
				"Negotiated", "TCP_OPTIMIZE + DRE + LZ", "Applied", "TCP_OPTIMIZE + DRE + LZ"),
			Accelerator: readings("Configured", "MAPI", "Derived", "MAPI", "Applied", "MAPI", "Hist", "None"),
			Read:        [2]string{"4612", "1973"},
			Written:     [2]string{"4086", "2096"},
			RR:          "53.219%",
			MAPI: readings(labelReset, "Thu Jun 25 06:32:27 2009", "Total Bytes Read", "46123985", "Total Bytes Written", "40864046",
				"Number of Synch Get Buffer Requests", "0", "Minimum Synch Get Buffer Size (bytes)", "0", "Maximum Synch Get Buffer Size (bytes)", "0",
				"Average Synch Get Buffer Size (bytes)", "0", "Number of Read Stream Requests", "0", "Minimum Read Stream Buffer Size (bytes)", "0",
				"Maximum Read Stream Buffer Size (bytes)", "0", "Average Read Stream Buffer Size (bytes)", "0", labelAheadMin, "0", labelAheadMax, "0",
				labelAheadAvg, "0", labelLocalCount, "0", labelLocalAvg, "0", labelRemoteCount, "19", labelRemoteAvg, "89005"),
		}},
	},
	"accelerator-mapi.txt": {
		MAPI: readings(labelStarted, "Thu Nov  5 19:45:19 2009", labelReset, "Thu Nov  5 19:45:19 2009", labelHandled, "8615", labelOptimized, "8614",
			labelHandedOff, "0", labelDropped, "1", labelActive, "20", labelPending, "0", labelMaximum, "512",
			"Number of Synch Get Buffer Requests", "1052", "Minimum Synch Get Buffer Size (bytes)", "31680", "Maximum Synch Get Buffer Size (bytes)", "31680",
			"Average Synch Get Buffer Size (bytes)", "31680", "Number of Read Stream Requests", "3844", "Minimum Read Stream Buffer Size (bytes)", "19",
			"Maximum Read Stream Buffer Size (bytes)", "31744", "Average Read Stream Buffer Size (bytes)", "14556", labelAheadMin, "0",
			labelAheadMax, "1172480", labelAheadAvg, "594385", labelLocalCount, "20827", labelLocalAvg, "250895", labelRemoteCount, "70486",
			labelRemoteAvg, "277036", "Current 2000 Accelerated Sessions", "0", "Current 2003 Accelerated Sessions", "1",
			"Current 2007 Accelerated Sessions", "0", "Secured Connections", "1", "Lower than 2000 Sessions", "0", "Higher than 2007 Sessions", "0"),
	},
	"accelerator-epm.txt": {
		EPM: readings(labelStarted, "", labelReset, "", labelHandled, "", labelOptimized, "", labelHandedOff, "", labelDropped, "", labelActive, "",
			labelPending, "", labelMaximum, "", "Total Requests", "", "Total Requests Successfully Parsed", "", "Total Request Errors", "",
			"Total Responses", "", "Total Responses Successfully Parsed", "", "Total Service-unavailable Responses", "",
			"Total Requests for UUID not in Policy Engine Map", "", "Total Response Errors", ""),
	},
	"policy-dynamic.txt": {
		Rules: []PrintedRule{{Dst: host("10.10.100.101", 1146), MapName: "uuida4f1db00-ca47-1067-b31f-00dd010662da", Hits: "13", Flowed: "7"}},
	},
	"transaction.txt": {
		Transactions: []Transaction{
			otEnd(2289, 3740, "822", "634", "556", "706"), sodreEnd(2289, 3740, "730", "605", "556", "706"),
			otEnd(2290, 3738, "4758", "15914", "6436", "2006"), sodreEnd(2290, 3738, "4550", "15854", "6436", "2006"),
			otEnd(2284, 3739, "1334", "12826", "8981", "1031"),
		},
	},
}

func otEnd(id int64, port uint16, bytes ...string) Transaction {
	return Transaction{Time: "Wed Jul 15 19:12:35 2009", ConnID: id, Source: host("10.10.10.10", port), Dest: host("10.10.100.101", 1146),
		Kind: "OT", Log: "END", ConnType: "EXTERNAL CLIENT", Accelerator: "MAPI", Bytes: [4]string(bytes)}
}

func sodreEnd(id int64, port uint16, bytes ...string) Transaction {
	return Transaction{Time: "Wed Jul 15 19:12:35 2009", ConnID: id, Source: host("10.10.10.10", port), Dest: host("10.10.100.101", 1146),
		Kind: "SODRE", Log: "END", Bytes: [4]string(bytes), CloseState: "0"}
}

func TestParseSamples(t *testing.T) {
	for name, want := range wantSamples {
		for _, s := range spellings {
			if s.name == "lower case" && name == "transaction.txt" || s.name == "widened" && name == "transaction.txt" {
				continue // the separator of this log is a space and a colon, its words are those of a program
			}
			t.Run(name+"/"+s.name, func(t *testing.T) {
				got, err := ParsePrinted([]byte(s.of(sample(t, name))))
				if err != nil {
					t.Fatal(err)
				}
				same := cmp.Comparer(func(a, b string) bool { return a == b || s.name == "lower case" && strings.EqualFold(a, b) })
				if diff := cmp.Diff(want, got, same); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestParseSeveral: one file may hold the output of all commands.
func TestParseSeveral(t *testing.T) {
	var all strings.Builder
	want := new(Printed)
	for _, name := range []string{"connection-list.txt", "connection-detail.txt", "accelerator-mapi.txt", "policy-engine.txt", "accelerator-epm.txt", "policy-dynamic.txt", "transaction.txt"} {
		all.WriteString("WAE#show\n" + sample(t, name))
		if w := wantSamples[name]; w != nil {
			want.Head, want.Connections = append(want.Head, w.Head...), append(want.Connections, w.Connections...)
			want.Details, want.Rules = append(want.Details, w.Details...), append(want.Rules, w.Rules...)
			want.MAPI, want.EPM = append(want.MAPI, w.MAPI...), append(want.EPM, w.EPM...)
			want.Transactions = append(want.Transactions, w.Transactions...)
		}
	}
	got, err := ParsePrinted([]byte(all.String()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseRows(t *testing.T) {
	a, b := host("10.0.0.1", 1024), host("10.0.0.2", 59531)
	tests := []struct {
		name, text string
		want       []PrintedRow
	}{
		{"4.x, id without leading zeros", "342 10.0.0.1:1024 10.0.0.2:59531 0:1a:64:d3:2f:b8 TMDL 61.0%",
			[]PrintedRow{{342, a, b, "00:1a:64:d3:2f:b8", "TMDL", "61.0%"}}},
		{"id with leading zeros and capitals", "342 10.0.0.1:1024 10.0.0.2:59531 00:1A:64:D3:2F:B8 TMDL 61.0%",
			[]PrintedRow{{342, a, b, "00:1a:64:d3:2f:b8", "TMDL", "61.0%"}}},
		{"id in three groups", "342 10.0.0.1:1024 10.0.0.2:59531 001a.64d3.2fb8 TMDL 61.0%",
			[]PrintedRow{{342, a, b, "00:1a:64:d3:2f:b8", "TMDL", "61.0%"}}},
		{"5.x with WAN Secure", "9 10.0.0.1:1024 10.0.0.2:59531 0:1:2:3:4:5 TWMDL 00.0%",
			[]PrintedRow{{9, a, b, "00:01:02:03:04:05", "TMWDL", "00.0%"}}},
		{"pass-through list", "9 10.0.0.1:1024 10.0.0.2:59531 N/A PT No Peer",
			[]PrintedRow{{9, a, b, "", "PT", ""}}},
		{"no ratio", "9 10.0.0.1:1024 10.0.0.2:59531 N/A TG n/a 10 10.0.0.1:1024 10.0.0.2:59531 - - -",
			[]PrintedRow{{9, a, b, "", "TG", ""}, {10, a, b, "", "", ""}}},
		{"two rows in one line", "1 10.0.0.1:1024 10.0.0.2:59531 N/A TG 5.0% 2 10.0.0.2:59531 10.0.0.1:1024 N/A TCDL 7.1%",
			[]PrintedRow{{1, a, b, "", "TG", "5.0%"}, {2, b, a, "", "TCDL", "7.1%"}}},
		{"IPv6", "1 [fd77:1::10]:1024 [fd77:2::30]:59531 N/A TMDL 5.0%",
			[]PrintedRow{{1, host("fd77:1::10", 1024), host("fd77:2::30", 59531), "", "TMDL", "5.0%"}}},
		{"cut row", "1 10.0.0.1:1024 10.0.0.2:59531", []PrintedRow{{1, a, b, "", "", ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParsePrinted([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, p.Connections); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseTransaction(t *testing.T) {
	tests := []struct {
		name, line string
		want       Transaction
		ok         bool
	}{
		{"BP has no id", "Wed Jul 15 19:12:35 2009 :10.10.10.10 :3740 :10.10.100.101 :1146 :BP :PT No Peer :a :b :c :d :e :f :g",
			Transaction{Time: "Wed Jul 15 19:12:35 2009", Source: host("10.10.10.10", 3740), Dest: host("10.10.100.101", 1146), Kind: "BP", Reason: "PT No Peer",
				Rest: []string{"a", "b", "c", "d", "e", "f", "g"}}, true},
		{"restart", "Wed Jul  1 19:12:35 2009 :0 :0 :0 :0 :0 :RESTART", Transaction{Time: "Wed Jul  1 19:12:35 2009", Kind: "RESTART"}, true},
		{"start", "Wed Jul 15 19:12:35 2009 :7 :10.10.10.10 :3740 :10.10.100.101 :1146 :OT :START :EXTERNAL SERVER :00:14:5e:84:24:5f :uuid",
			Transaction{Time: "Wed Jul 15 19:12:35 2009", ConnID: 7, Source: host("10.10.10.10", 3740), Dest: host("10.10.100.101", 1146),
				Kind: "OT", Log: "START", ConnType: "EXTERNAL SERVER", Rest: []string{"00:14:5e:84:24:5f", "uuid"}}, true},
		{"a field too few", "Wed Jul 15 19:12:35 2009 :7 :10.10.10.10 :3740 :10.10.100.101 :1146 :OT :END :EXTERNAL CLIENT :(MAPI) :1 :2 :3", Transaction{}, false},
		{"no time", "Wed :7 :10.10.10.10 :3740 :10.10.100.101 :1146 :OT :END :EXTERNAL CLIENT :(MAPI) :1 :2 :3 :4", Transaction{}, false},
		{"no address", "Wed Jul 15 19:12:35 2009 :7 :10.10.10 :3740 :10.10.100.101 :1146 :OT :END :EXTERNAL CLIENT :(MAPI) :1 :2 :3 :4", Transaction{}, false},
		{"empty", "", Transaction{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTransaction(tt.line)
			if !tt.ok {
				if !errors.Is(err, errTransaction) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseNothing(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "prose": "Dear colleague, please find the output attached. Regards", "binary": "\xd4\xc3\xb2\xa1\x02\x00\x04\x00",
		"another command": "WAE#show version\nCisco Wide Area Application Services Software (WAAS)\n",
	} {
		if _, err := ParsePrinted([]byte(in)); !errors.Is(err, errNothing) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := ParsePrinted(make([]byte, MaxPrinted+1)); err == nil {
		t.Error("a text over the limit was read")
	}
}

// TestOwnTextReadsBack: what we print plain is read like a device's, and then
// never disagrees with itself.
func TestOwnTextReadsBack(t *testing.T) {
	v := New(twoSides(), Options{})
	list := text(t, func(b *strings.Builder) error { return v.ConnectionList().WriteText(b, true) })
	detail := text(t, func(b *strings.Builder) error { return v.ConnectionDetail().WriteText(b, true) })
	mapi := text(t, func(b *strings.Builder) error { return v.MAPI(true).WriteText(b, true) })
	epm := text(t, func(b *strings.Builder) error { return v.EPM(true).WriteText(b, true) })
	rules := text(t, func(b *strings.Builder) error { return v.DynamicRules().WriteText(b, true) })
	log := text(t, func(b *strings.Builder) error { _, err := v.WriteLog(b, "transaction", ""); return err })
	p, err := ParsePrinted([]byte(list + detail + mapi + epm + rules + log))
	if err != nil {
		t.Fatal(err)
	}
	var all []*Comparison
	for _, compare := range []func() (*Comparison, error){
		func() (*Comparison, error) { return v.CompareConnections(p) },
		func() (*Comparison, error) { return v.CompareAccelerator(v.MAPI(false), p) },
		func() (*Comparison, error) { return v.CompareAccelerator(v.EPM(false), p) },
		func() (*Comparison, error) { return v.CompareRules(v.DynamicRules(), p) },
	} {
		c, err := compare()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if c.Summary.Agree == 0 {
			t.Errorf("%s: nothing agrees", c.View)
		}
		for _, r := range c.Rows {
			if r.Result != Agree && r.Result != NotComparable {
				t.Errorf("%s: %+v", c.View, r)
			}
		}
	}
}

func FuzzParsePrinted(f *testing.F) {
	files, err := filepath.Glob("testdata/waas/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add([]byte(strings.Join(strings.Fields(string(b)), " ")))
	}
	v := New(twoSides(), Options{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePrinted(b)
		if err != nil {
			return
		}
		// Nothing is made out of nothing: every row has words of its own.
		if n := len(p.Head) + len(p.Connections) + len(p.Details) + len(p.Rules) + len(p.Transactions); n > len(b)/2 {
			t.Errorf("%d rows out of %d bytes", n, len(b))
		}
		for _, compare := range []func() (*Comparison, error){
			func() (*Comparison, error) { return v.CompareConnections(p) },
			func() (*Comparison, error) { return v.CompareAccelerator(v.MAPI(false), p) },
			func() (*Comparison, error) { return v.CompareRules(v.DynamicRules(), p) },
		} {
			c, err := compare()
			if err != nil {
				continue
			}
			for _, r := range c.Rows {
				if (r.Device == unavailable || r.Packets == unavailable) && (r.Result == Disagree || r.Result == Differ) {
					t.Errorf("n/a disagrees: %+v", r)
				}
			}
		}
	})
}
