package continuity_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/continuity"
	"mapiscope/pcaps"
)

// The corpus of captures, and all that their call ids say: every other group
// of several members counts per connection, and nothing else joins a group.
// Each row was looked at by hand.
var corpus = []struct {
	file string
	says []string
}{
	// One connection with ids 2, 9, 12 and 57 to 68.
	{"exchange/trex-avl-exchange.pcap", []string{"0xcc75: 1 members, 2 to 68, 52 missing"}},
	{"exchange/trex-delay_10_exchange_0.pcap", []string{"0xcc75: 1 members, 2 to 68, 52 missing"}},
	{"public/zeek-mapi.pcap", []string{"0x2a46c81: 2 members, 1 to 2, 0 missing"}},
	// Two connections that were open before the capture began, one id each.
	{"public/corelight-PatchedDCAuthenticatedTryWithRpcEncryptFileSrv.pcapng", []string{
		"0x4af9: 192.168.0.85:57210 belongs to it", "0x2979: 192.168.0.80:60229 belongs to it"}},
	{"public/corelight-packetcapture_2.pcap", []string{"0x93f8: 4 members, 2 to 30, 0 missing"}},
	{"public/elcabezzonn-macgyver.pcap.gz", []string{"0x3f98: 2 members, 2 to 6, 0 missing"}},
	{"public/elcabezzonn-wmi_query.pcap.gz", []string{"0x38ca: 3 members, 2 to 5, 0 missing"}},
	{"public/otrf-NEWYORK.cap", []string{"0x4af2: 2 members, 2 to 6, 0 missing", "0x2f4d: 2 members, 2 to 21, 0 missing"}},
	{"public/suricata-dcerpc-ctxids-input.pcap", []string{"0xd68: 2 members, 2 to 3, 0 missing", "0x55a8c: 2 members, 2 to 214, 0 missing"}},
	// One connection of 5349 to 5377 without 5351, 5356, 5363, 5367, 5370,
	// 5373 and 5375; no segment is missing.
	{"public/suricata-truncate-applayer-test-01-input.pcap", []string{"0xf33358: 1 members, 5349 to 5377, 7 missing"}},
	// Binds of 27 and 29; 28 and 31 went over a connection that was open before.
	// Binds of 28 and 33; 30 to 32 and 35 did.
	{"public/wireshark-dcerpc_witness.pcapng", []string{
		"0x26aab: 2 members, 27 to 30, 0 missing", "0x26aab: 10.0.2.15:51164 belongs to it",
		"0x656c93b: 2 members, 28 to 34, 0 missing", "0x656c93b: 10.0.2.15:50874 belongs to it"}},
}

// TestCorpus holds what is said of every capture to the table.
func TestCorpus(t *testing.T) {
	root := os.Getenv("MAPISCOPE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "captures")
	}
	want := map[string][]string{}
	for _, row := range corpus {
		want[row.file] = row.says
	}
	for _, folder := range []string{"exchange", "public", "lab", "sealed", "twin", "hunt1"} {
		paths, err := filepath.Glob(filepath.Join(root, folder, "*.*cap*"))
		if err != nil || len(paths) == 0 {
			t.Skipf("the corpus of captures is not here (%v); set MAPISCOPE_CORPUS", err)
		}
		for _, path := range paths {
			name := folder + "/" + filepath.Base(path)
			if diff := cmp.Diff(want[name], says(t, path)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

// hosts are a client and a server as one capture point sees them.
type hosts struct {
	client, server netip.Addr
	point          pcaps.Point
}

func hostsOf(c *assoc.Conn) hosts { return hosts{c.Client().Addr(), c.Server().Addr(), c.Where()} }

// says returns what the call ids of a capture say.
func says(t *testing.T, path string) (lines []string) {
	r, err := pcaps.Open([]string{path}, pcaps.Options{})
	if err != nil {
		return nil // damaged on purpose
	}
	defer r.Close()
	cfg := assoc.DefaultConfig()
	l, d := assoc.NewLinker(cfg), flows.NewDecoder(cfg.Flows)
	var p pcaps.Packet
	var f flows.Frame
	for r.Next(&p) == nil {
		l.Frame(&f, d.Decode(&p, &f))
	}
	result := assoc.Merge([]*assoc.Result{l.Close()})
	type group struct {
		AGID   uint32
		Server netip.AddrPort
		Conns  []*assoc.Conn
	}
	var groups []*group
	bound := map[*assoc.Conn]bool{}
	at := map[string]*group{}
	for _, c := range result.Conns {
		id := c.GroupID()
		if id == 0 {
			continue
		}
		key := fmt.Sprint(hostsOf(c), id)
		if at[key] == nil {
			at[key] = &group{AGID: id, Server: c.Server()}
			groups = append(groups, at[key])
		}
		at[key].Conns = append(at[key].Conns, c)
		bound[c] = true
	}
	others := map[hosts][]*assoc.Conn{}
	for _, c := range result.Conns {
		if c.RPC != nil && !bound[c] {
			others[hostsOf(c)] = append(others[hostsOf(c)], c)
		}
	}
	for _, g := range groups {
		members, elsewhere := membersOf(g.Conns), others[hostsOf(g.Conns[0])]
		v := continuity.Judge(members, continuity.Explain(membersOf(elsewhere)))
		if v.Counting == continuity.PerAssociation {
			lines = append(lines, fmt.Sprintf("%#x: %d members, %d to %d, %d missing", g.AGID, len(members), v.Lowest, v.Highest, v.Missing))
		}
		for i, to := range continuity.Join([][]continuity.Member{members}, membersOf(elsewhere)) {
			if to == 0 && elsewhere[i].Server() == g.Server {
				lines = append(lines, fmt.Sprintf("%#x: %v belongs to it", g.AGID, elsewhere[i].Client()))
			}
		}
	}
	return lines
}

func membersOf(conns []*assoc.Conn) []continuity.Member {
	members := make([]continuity.Member, len(conns))
	for i, c := range conns {
		asked := c.RPC.Requested
		members[i] = continuity.Member{IDs: &c.RPC.CallIDs, Joined: asked != nil && *asked != 0,
			Start: c.RPC.FirstPDU().Time, End: c.Flow.Last.Time}
	}
	return members
}
