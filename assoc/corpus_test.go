package assoc

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mapiscope/dcerpc"
	"mapiscope/flows"
	"mapiscope/pcaps"
)

// corpus returns a folder of the corpus of captures and skips the test where
// the corpus is absent.
func corpus(t *testing.T, folder string) string {
	t.Helper()
	root := os.Getenv("MAPISCOPE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "captures")
	}
	dir := filepath.Join(root, folder)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the corpus of captures is not here (%v); set MAPISCOPE_CORPUS", err)
	}
	return dir
}

// linkFile runs a capture through one Linker. How a damaged capture ends does
// not matter here.
func linkFile(t *testing.T, path string) *Result {
	t.Helper()
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cfg := DefaultConfig()
	l, d := NewLinker(cfg), flows.NewDecoder(cfg.Flows)
	var p pcaps.Packet
	var f flows.Frame
	for r.Next(&p) == nil {
		l.Frame(&f, d.Decode(&p, &f))
	}
	return l.Close()
}

// TestEveryByteOfTheCorpusIsBooked checks the ledger of every DCE/RPC
// connection: what TCP delivered is PDU parts, skipped or unfinished.
func TestEveryByteOfTheCorpusIsBooked(t *testing.T) {
	connections := 0
	for _, folder := range []string{"public", "lab"} {
		dir := corpus(t, folder)
		paths, err := filepath.Glob(filepath.Join(dir, "*.*cap*"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no captures in %s: %v", dir, err)
		}
		for _, path := range paths {
			for _, c := range linkFile(t, path).Conns {
				if c.RPC == nil {
					continue
				}
				connections++
				b, tcp := &c.RPC.Bytes, c.Flow.Sides[0].Bytes+c.Flow.Sides[1].Bytes
				if b.Sum() != b.Delivered || b.Delivered != tcp {
					t.Errorf("%s %v > %v: TCP delivered %d bytes, %+v", filepath.Base(path), c.Client(), c.Server(), tcp, *b)
				}
				if c.RPC.Stats.PDUsDamaged == 0 && b.Unfinished > 15 {
					t.Errorf("%s %v > %v: %d bytes unfinished and no PDU damaged", filepath.Base(path), c.Client(), c.Server(), b.Unfinished)
				}
			}
		}
	}
	if connections < 500 {
		t.Errorf("only %d connections carry DCE/RPC", connections)
	}
}

// TestLabPDUs compares the number of PDUs of every connection of the lab with
// what tshark counted.
func TestLabPDUs(t *testing.T) {
	dir := corpus(t, "lab")
	f, err := os.Open(filepath.Join(dir, "CONNECTIONS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := map[string]map[string]int64{}
	rows := bufio.NewScanner(f)
	rows.Scan()
	head := strings.Split(rows.Text(), "\t")
	column := func(row []string, name string) string { return row[slices.Index(head, name)] }
	for rows.Scan() {
		row := strings.Split(rows.Text(), "\t")
		var n int64
		for _, kind := range strings.Fields(column(row, "pdus")) {
			_, count, _ := strings.Cut(kind, ":")
			k, _ := strconv.ParseInt(count, 10, 64)
			n += k
		}
		file := column(row, "file")
		if want[file] == nil {
			want[file] = map[string]int64{}
		}
		want[file][column(row, "client")+" > "+column(row, "server")] += n
	}
	for file, conns := range want {
		got := map[string]int64{}
		for _, c := range linkFile(t, filepath.Join(dir, file)).Conns {
			if c.RPC != nil {
				a, b := c.Client(), c.Server()
				got[fmt.Sprintf("%v:%d > %v:%d", a.Addr(), a.Port(), b.Addr(), b.Port())] += c.RPC.Counts.PDUs
			}
		}
		for name, n := range conns {
			// Optimised streams hold stored blocks that tshark takes for PDUs;
			// the table counts none there.
			if n > 0 && got[name] != n {
				t.Errorf("%s %s: %d PDUs, tshark has %d", file, name, got[name], n)
			}
		}
	}
}

// TestMapWithoutItsBind has an ept_map whose bind was not captured.
func TestMapWithoutItsBind(t *testing.T) {
	r := linkFile(t, filepath.Join(corpus(t, "public"), "wireshark-ShortMAPI.pcapng"))
	i := slices.IndexFunc(r.Maps, func(ex Exchange) bool { return ex.Interface == dcerpc.EMSMDB })
	if i < 0 {
		t.Fatal("no ept_map for EMSMDB")
	}
	ex := r.Maps[i]
	if len(ex.Answers) != 1 || ex.Status != 0 || ex.Minor != 81 {
		t.Fatalf("%+v", ex)
	}
	if a := ex.Answers[0]; a.Address.String() != "10.1.70.4" || a.Port != 1293 {
		t.Errorf("answered %v:%d, want 10.1.70.4:1293", a.Address, a.Port)
	}
}
