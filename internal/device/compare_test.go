package device

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

// outcome is a row of a comparison in one line.
func outcome(r CompareRow) string {
	return strings.TrimSpace(string(r.Result) + " " + strings.TrimSpace(r.Item+" "+r.Field) + ": " + r.Device + " / " + r.Packets)
}

func outcomes(c *Comparison, skip ...Result) []string {
	var out []string
	for _, r := range c.Rows {
		wanted := true
		for _, s := range skip {
			wanted = wanted && r.Result != s
		}
		if wanted {
			out = append(out, outcome(r))
		}
	}
	return out
}

func printed(t *testing.T, text string) *Printed {
	t.Helper()
	p, err := ParsePrinted([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompareConnections(t *testing.T) {
	const open, closed, escaped = "10.10.10.10:3772 10.10.100.101:1146", "10.10.10.10:3773 10.10.100.101:1146", "10.10.10.10:3774 10.10.100.101:1146"
	tests := []struct {
		name, device string
		want         []string // without what agrees
	}{
		{"all agrees, the closed one is not on the device", "7 " + open + " 2:4d:9:0:0:2 TMDL 53.2%", []string{
			"not_comparable 10.10.10.10:3773 > 10.10.100.101:1146 Accel: n/a / TMDL",
		}},
		{"the escaped connection", "7 " + open + " 2:4d:9:0:0:2 TMDL 53.2% 8 " + escaped + " 2:4d:9:0:0:2 TMDL 0.0% 9 " + closed + " 2:4d:9:0:0:2 TMDL 13.3%", []string{
			"disagree 10.10.10.10:3774 > 10.10.100.101:1146 Accel: TMDL / pass-through",
			"not_comparable 10.10.10.10:3774 > 10.10.100.101:1146 PeerID: 02:4d:09:00:00:02 / n/a",
		}},
		{"the device says that it passed through", "8 " + escaped + " N/A PT No Peer 7 " + open + " 2:4d:9:0:0:2 TMDL 53.2% 9 " + closed + " N/A TMDL 13.3%", []string{
			"not_comparable 10.10.10.10:3774 > 10.10.100.101:1146 PeerID: n/a / n/a",
			"not_comparable 10.10.10.10:3774 > 10.10.100.101:1146 RR: n/a / 0.0%",
			"not_comparable 10.10.10.10:3773 > 10.10.100.101:1146 PeerID: n/a / 02:4d:09:00:00:02",
		}},
		{"the device says PT of an optimized one", "7 " + open + " N/A PT Overload", []string{
			"disagree 10.10.10.10:3772 > 10.10.100.101:1146 Accel: pass-through / TMDL",
			"not_comparable 10.10.10.10:3772 > 10.10.100.101:1146 PeerID: n/a / 02:4d:09:00:00:02",
			"not_comparable 10.10.10.10:3772 > 10.10.100.101:1146 RR: n/a / 53.2%",
			"not_comparable 10.10.10.10:3773 > 10.10.100.101:1146 Accel: n/a / TMDL",
		}},
		{"pushed down, another peer, another ratio", "7 " + open + " 0:1a:64:d3:2f:b8 TGDL 61.0%", []string{
			"disagree 10.10.10.10:3772 > 10.10.100.101:1146 RR: 61.0% / 53.2%",
			"differ 10.10.10.10:3772 > 10.10.100.101:1146 Accel: TGDL / TMDL",
			"differ 10.10.10.10:3772 > 10.10.100.101:1146 PeerID: 00:1a:64:d3:2f:b8 / 02:4d:09:00:00:02",
			"not_comparable 10.10.10.10:3773 > 10.10.100.101:1146 Accel: n/a / TMDL",
		}},
		{"letters beside the accelerator do not count", "7 " + open + " 2:4d:9:0:0:2 TWM 53.2%", []string{
			"not_comparable 10.10.10.10:3773 > 10.10.100.101:1146 Accel: n/a / TMDL",
		}},
		{"one that the captures do not hold, and one that the device does not", "1 10.9.9.9:1 10.10.100.101:1146 N/A TMDL 5.0%", []string{
			"device_only 10.9.9.9:1 > 10.10.100.101:1146 Accel: TMDL / n/a",
			"packets_only 10.10.10.10:3772 > 10.10.100.101:1146 Accel: n/a / TMDL",
			"not_comparable 10.10.10.10:3773 > 10.10.100.101:1146 Accel: n/a / TMDL",
		}},
		{"head block", headOptimized + ": 2 " + headReserved + ": 12 " + headHistorical + ": 2", []string{
			"differ Current Active Optimized Flows: 2 / 1",
			"not_comparable Current Reserved Flows: 12 / n/a",
		}},
		{"transaction log", "Wed Jul 15 19:12:35 2009 :9 :10.10.10.10 :3773 :10.10.100.101 :1146 :OT :END :EXTERNAL CLIENT :(MAPI) :822 :634 :556 :700\n" +
			"Wed Jul 15 19:12:35 2009 :9 :10.10.10.10 :3773 :10.10.100.101 :1146 :SODRE :END :730 :605 :556 :706 :0\n" +
			"Wed Jul 15 19:12:35 2009 :10.10.10.10 :3772 :10.10.100.101 :1146 :BP :PT Overload :a :b :c :d :e :f :g\n", []string{
			"disagree 10.10.10.10:3773 > 10.10.100.101:1146 Optimized_bytes_written: 700 / 706",
			"disagree 10.10.10.10:3772 > 10.10.100.101:1146 BP: BP PT Overload / optimized",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := New(twoSides(), Options{}).CompareConnections(printed(t, tt.device))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outcomes(c, Agree)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareDetail(t *testing.T) {
	v := New(twoSides(), Options{})
	device := text(t, func(b *strings.Builder) error {
		return (&ConnectionDetail{Connections: []Detail{v.detail(v.flows[1])}}).WriteText(b, true)
	})
	device = strings.NewReplacer("4612", "4613", "EXTERNAL CLIENT", "EXTERNAL SERVER", "Applied:     MAPI", "Applied:     GENERIC",
		"Thu Jun 25 06:32:03", "Thu Jun 25 06:32:34").Replace(device)
	c, err := v.CompareConnections(printed(t, device))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"disagree 10.10.10.10:3772 > 10.10.100.101:1146 Connection Type: EXTERNAL SERVER / EXTERNAL CLIENT",
		"disagree 10.10.10.10:3772 > 10.10.100.101:1146 Original Bytes Read: 4613 / 4612",
		"differ 10.10.10.10:3772 > 10.10.100.101:1146 Start Time: Thu Jun 25 06:32:34 2009 / Thu Jun 25 06:32:03 2009",
		"differ 10.10.10.10:3772 > 10.10.100.101:1146 Accelerator Applied: GENERIC / MAPI",
	}
	if diff := cmp.Diff(want, outcomes(c, Agree, NotComparable)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCompareAccelerator: an exact figure disagrees, an inferred one differs,
// one that is not available does neither.
func TestCompareAccelerator(t *testing.T) {
	const began = labelReset + ": Thu Jun 25 06:32:00 2009 "
	tests := []struct {
		name, device string
		want         []string
	}{
		{"same period", began + labelHandled + ": 4 " + labelOptimized + ": 4 " + labelDropped + ": 0 " + labelPending + ": 5 Maximum Synch Get Buffer Size (bytes): 31680", []string{
			"disagree Total Handled Connections: 4 / 3",
			"disagree Total Dropped Connections: 0 / 1",
			"differ Total Optimized Connections: 4 / 2",
		}},
		{"a lower bound is kept", began + labelDropped + ": 9", nil},
		{"the device counts longer", labelReset + ": Thu Jun 25 06:00:00 2009 " + labelHandled + ": 8615 " + labelDropped + ": 9 " +
			"Minimum Synch Get Buffer Size (bytes): 19 Maximum Synch Get Buffer Size (bytes): 31744 Average Synch Get Buffer Size (bytes): 31000", []string{
			"differ Total Handled Connections: 8615 / 3",
			"differ Total Dropped Connections: 9 / 1",
			"differ Minimum Synch Get Buffer Size (bytes): 19 / 30088",
			"differ Maximum Synch Get Buffer Size (bytes): 31744 / 31680",
			"differ Average Synch Get Buffer Size (bytes): 31000 / 31428",
		}},
		{"longer, and yet it saw less", labelReset + ": Thu Jun 25 06:00:00 2009 " + labelHandled + ": 2 " +
			"Minimum Synch Get Buffer Size (bytes): 31000 Maximum Synch Get Buffer Size (bytes): 31000", []string{
			"disagree Total Handled Connections: 2 / 3",
			"disagree Minimum Synch Get Buffer Size (bytes): 31000 / 30088",
			"disagree Maximum Synch Get Buffer Size (bytes): 31000 / 31680",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := New(twoSides(), Options{})
			c, err := v.CompareAccelerator(v.MAPI(false), printed(t, "MAPI: "+tt.device))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outcomes(c, Agree, NotComparable)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareRules(t *testing.T) {
	v := New(twoSides(), Options{})
	const rule = "Number: 1 Type: Any->Host (6) User Id: EPM (3) Src: ANY:ANY Dst: %s Map Name: uuid" + emsmdb + " Hits: %h Flows: %f "
	of := func(dst, hits, flows string) string {
		return strings.NewReplacer("%s", dst, "%h", hits, "%f", flows).Replace(rule)
	}
	tests := []struct {
		name, device string
		want         []string
	}{
		{"same", of("10.10.100.101:1146", "3", "2"), nil},
		{"an older rule has more hits", of("10.10.100.101:1146", "13", "7"), []string{
			"differ 10.10.100.101:1146 Hits: 13 / 3", "differ 10.10.100.101:1146 Flows: 7 / 2"}},
		{"fewer hits than the packets show", of("10.10.100.101:1146", "1", "2"), []string{"disagree 10.10.100.101:1146 Hits: 1 / 3"}},
		{"another rule", of("10.10.100.102:1146", "1", "1"), []string{
			"device_only 10.10.100.102:1146 Map Name: uuid" + emsmdb + " / n/a",
			"packets_only 10.10.100.101:1146 Map Name: n/a / uuid" + emsmdb}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := v.CompareRules(v.DynamicRules(), printed(t, tt.device))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outcomes(c, Agree, NotComparable)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompareOtherOutput: a text that holds another command's output than the
// one that is compared is refused in one line.
func TestCompareOtherOutput(t *testing.T) {
	v := New(twoSides(), Options{})
	p := printed(t, sample(t, "accelerator-mapi.txt"))
	if _, err := v.CompareConnections(p); err == nil {
		t.Error("connections were compared with counters")
	}
	if _, err := v.CompareAccelerator(v.EPM(false), p); err == nil {
		t.Error("EPM was compared with MAPI")
	}
	if _, err := v.CompareRules(v.DynamicRules(), p); err == nil {
		t.Error("rules were compared with counters")
	}
}

// TestComparisonText: the summary first, then what does not agree.
func TestComparisonText(t *testing.T) {
	c := (&Comparison{View: "show x", DeviceFile: "d.txt", Rows: []CompareRow{
		{Item: "a > b", Field: "Accel", Device: "TMDL", Packets: "TMDL", Result: Agree},
		{Field: "Total", Device: "4", Packets: "3", Quality: document.Exact, Result: Differ, Why: "later"},
		{Item: "c > d", Field: "Accel", Device: "TMDL", Packets: "pass-through", Result: Disagree},
	}}).ended()
	got := text(t, func(b *strings.Builder) error { return c.WriteText(b) })
	want := `show x, d.txt beside the packets: 1 agree, 1 disagree, 1 differ, 0 only on the device, 0 only in the packets, 0 not comparable

disagree     c > d  Accel  device: TMDL, packets: pass-through
differ       Total  device: 4, packets: 3  (later)
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
