package device_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"mapiscope/internal/device"
	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/report"
	"mapiscope/internal/run"
	"mapiscope/pcaps"
)

var update = flag.Bool("update", false, "rewrite golden files")

// jobs are the captures whose views are golden files.
var jobs = []struct {
	name  string
	waas  string
	at    []pcaps.Point
	paths func(t *testing.T) []string
}{
	{"demo", "", nil, shipped("demo.pcap")},
	{"demo-4.5", "4.5", nil, shipped("demo.pcap")},
	{"outlook-start", "", nil, shipped("outlook-start.pcap")},
	{"two-points", "", nil, shipped("two-points.pcapng")},
	{"seal-escape", "4.5", []pcaps.Point{pcaps.Edge, pcaps.WAN, pcaps.Core},
		shipped("wo_mapi_seal_escape_edge-lan.pcap", "wo_mapi_seal_escape_wan.pcap", "wo_mapi_seal_escape_core-lan.pcap")},
	{"krb5-seal", "", nil, shipped("gm_mapi_2010_krb5_seal.pcap")},
	{"epm-down", "", nil, shipped("epm-down.pcap")},
	{"disconnects", "", nil, disconnects},
}

func shipped(names ...string) func(*testing.T) []string {
	return func(*testing.T) []string {
		paths := make([]string, len(names))
		for i, n := range names {
			paths[i] = filepath.Join("..", "..", "pcaps", n)
		}
		return paths
	}
}

// disconnects is a client whose connections end five times in a row before a
// call is answered, then one that stays: it asks in vain for a session, then
// gets one.
func disconnects(t *testing.T) []string {
	s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
	bound := func(port int) *pcaptest.Conn {
		c := s.Dial(fmt.Sprintf("10.1.0.5:%d", port), "10.2.0.9:1146", pcaptest.RTT(40*time.Millisecond), pcaptest.ISNs(uint32(port)<<8, uint32(port)<<9))
		c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Flags(0x17).Bytes())
		return c.Server(pcaptest.BindAck(uint32(port), "1146", pcaptest.Accept(pcaptest.NDR32)).Call(1).Flags(0x17).Bytes())
	}
	for port := 2001; port <= 2005; port++ {
		bound(port).Reset(pcaptest.Server)
		s.Sleep(time.Second)
	}
	c := bound(2006)
	for call, handle := range []pcaptest.UUID{"", "0d5e6a1c-7f0b-4e0e-9c7d-3b1f5c2a9e41"} {
		status := uint32(0)
		if handle == "" {
			status = 0x478
		}
		c.Client(pcaptest.Request(0, pcaptest.OpEcDoConnectEx, pcaptest.ConnectEx{UserDN: "/o=Corp/cn=alice", Client: pcaptest.Outlook2007}.Request(pcaptest.NDR{})).Call(uint32(call + 2)).Bytes())
		c.Server(pcaptest.Response(0, pcaptest.ConnectExResult{Handle: handle, Server: pcaptest.Outlook2007, Status: status}.Response(pcaptest.NDR{})).Call(uint32(call + 2)).Bytes())
	}
	return []string{s.WriteFile(t, "disconnects.pcap")}
}

func analyse(t *testing.T, waas string, at []pcaps.Point, paths ...string) *document.Document {
	t.Helper()
	doc, err := run.Run(context.Background(), run.Config{Paths: paths, At: at, WAAS: waas, Workers: 2, Events: true})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// view is a part of a golden file.
type view struct {
	name  string
	write func(b *strings.Builder) error
}

func viewsOf(v *device.Views, doc *document.Document) []view {
	var out []view
	for _, plain := range []bool{false, true} {
		mark := ""
		if plain {
			mark = " --plain"
		}
		out = append(out,
			view{"show statistics connection optimized mapi" + mark, func(b *strings.Builder) error { return v.ConnectionList().WriteText(b, plain) }},
			view{"show statistics connection optimized mapi detail" + mark, func(b *strings.Builder) error { return v.ConnectionDetail().WriteText(b, plain) }},
			view{"show statistics accelerator mapi detail" + mark, func(b *strings.Builder) error { return v.MAPI(true).WriteText(b, plain) }},
			view{"show statistics accelerator epm" + mark, func(b *strings.Builder) error { return v.EPM(false).WriteText(b, plain) }},
			view{"show policy-engine application dynamic" + mark, func(b *strings.Builder) error { return v.DynamicRules().WriteText(b, plain) }})
	}
	for _, style := range device.Styles() {
		out = append(out, view{"log --style " + style, func(b *strings.Builder) error { _, err := v.WriteLog(b, style, "mapiscope"); return err }})
	}
	return append(out, view{"log --style jsonl", func(b *strings.Builder) error { return report.WriteEvents(b, doc.MainEvents()) }})
}

func TestGolden(t *testing.T) {
	for _, job := range jobs {
		t.Run(job.name, func(t *testing.T) {
			doc := analyse(t, job.waas, job.at, job.paths(t)...)
			v := device.New(doc, device.Options{})
			got := new(txtar.Archive)
			for _, x := range viewsOf(v, doc) {
				var b strings.Builder
				if err := x.write(&b); err != nil {
					t.Fatal(err)
				}
				got.Files = append(got.Files, txtar.File{Name: x.name, Data: []byte(b.String())})
			}
			path := filepath.Join("testdata", "golden", job.name+".txtar")
			if *update {
				if err := os.WriteFile(path, txtar.Format(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" {
				t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlainIsTheSameWithoutMarks: --plain takes the quality column and the
// footnotes away and nothing else.
func TestPlainIsTheSameWithoutMarks(t *testing.T) {
	for _, job := range jobs {
		doc := analyse(t, job.waas, job.at, job.paths(t)...)
		v := device.New(doc, device.Options{})
		views := viewsOf(v, doc)
		for i := range views[:5] {
			var marked, plain strings.Builder
			if err := views[i].write(&marked); err != nil {
				t.Fatal(err)
			}
			if err := views[i+5].write(&plain); err != nil {
				t.Fatal(err)
			}
			body, _, _ := strings.Cut(marked.String(), "\nQuality: ")
			long, short := strings.Split(body, "\n"), strings.Split(strings.TrimSuffix(plain.String(), "\n"), "\n")
			if len(long)-1 != len(short) && len(long) != len(short) {
				t.Errorf("%s: %s: %d lines, plain %d", job.name, views[i].name, len(long), len(short))
				continue
			}
			for n := range short {
				if !strings.HasPrefix(long[n], short[n]) {
					t.Errorf("%s: %s: line %q becomes %q", job.name, views[i].name, long[n], short[n])
				}
			}
		}
	}
}

// TestOwnOutputAgrees: every plain view, laid beside the captures that it is
// made of, agrees with them.
func TestOwnOutputAgrees(t *testing.T) {
	for _, job := range jobs {
		doc := analyse(t, job.waas, job.at, job.paths(t)...)
		v := device.New(doc, device.Options{})
		var all strings.Builder
		for _, x := range viewsOf(v, doc)[5:11] {
			if err := x.write(&all); err != nil {
				t.Fatal(err)
			}
		}
		p, err := device.ParsePrinted([]byte(all.String()))
		if err != nil {
			t.Fatalf("%s: %v", job.name, err)
		}
		for name, compare := range map[string]func() (*device.Comparison, error){
			"connections": func() (*device.Comparison, error) { return v.CompareConnections(p) },
			"mapi":        func() (*device.Comparison, error) { return v.CompareAccelerator(v.MAPI(false), p) },
			"epm":         func() (*device.Comparison, error) { return v.CompareAccelerator(v.EPM(false), p) },
		} {
			c, err := compare()
			if err != nil {
				t.Fatalf("%s: %s: %v", job.name, name, err)
			}
			for _, r := range c.Rows {
				if r.Result != device.Agree && r.Result != device.NotComparable {
					t.Errorf("%s: %s: %+v", job.name, name, r)
				}
			}
		}
	}
}

// TestLabRatios: the reduction ratio of each optimized connection of the lab's
// merged capture is that of the payload bytes which the lab counted.
func TestLabRatios(t *testing.T) {
	root := os.Getenv("MAPISCOPE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "captures")
	}
	path := filepath.Join(root, "lab", "wo_mapi_sign_escape_merged.pcapng")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the corpus of captures is not here (%v); set MAPISCOPE_CORPUS", err)
	}
	for _, role := range []device.Role{device.Edge, device.Core} {
		v := device.New(analyse(t, "", nil, path), device.Options{Role: role})
		raw, err := json.Marshal(v.ConnectionList())
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Connections []struct {
				Source document.Host
				PeerID struct{ Value string } `json:"peer_id"`
				RR     struct{ Value, Quality string }
			}
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		peer := map[device.Role]string{device.Edge: "2:4d:9:0:0:2", device.Core: "2:4d:9:0:0:1"}[role]
		// Payload of CONNECTIONS.tsv: LAN client/server, WAN client/server.
		want := map[uint16]device.Counters{
			43181: {OriginalRead: 2574, OriginalWritten: 224012, OptimizedRead: 31924, OptimizedWritten: 1176},
			39069: {OriginalRead: 1614, OriginalWritten: 67404, OptimizedRead: 10105, OptimizedWritten: 825},
			40653: {OriginalRead: 798, OriginalWritten: 604, OptimizedRead: 359, OptimizedWritten: 579},
		}
		if len(got.Connections) != len(want) {
			t.Errorf("%s: %d connections, want %d (the escaped one is not listed)", role, len(got.Connections), len(want))
		}
		for _, c := range got.Connections {
			n, ok := want[c.Source.Port]
			if !ok {
				t.Errorf("%s: client port %d is listed", role, c.Source.Port)
				continue
			}
			percent, _ := n.ReductionRatio()
			if c.RR.Value != device.ListRatio(percent) || c.RR.Quality != "exact" || c.PeerID.Value != peer {
				t.Errorf("%s: client port %d: RR %s (%s), peer %s, want %s, exact, %s", role, c.Source.Port, c.RR.Value, c.RR.Quality, c.PeerID.Value, device.ListRatio(percent), peer)
			}
		}
	}
}
