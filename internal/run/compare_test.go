package run

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mapiscope/internal/account"
	"mapiscope/pcaps"
)

func TestScratch(t *testing.T) {
	dir := corpus(t, "lab")
	for _, s := range []string{"wo_mapi_sign_escape", "wo_mapi_seal_escape", "wo_mapi_krb5_noescape", "wo_samba_samr"} {
		doc, err := Run(context.Background(), Config{Paths: []string{filepath.Join(dir, s+"_edge-lan.pcap"), filepath.Join(dir, s+"_core-lan.pcap"), filepath.Join(dir, s+"_wan.pcap")},
			At: []pcaps.Point{pcaps.Edge, pcaps.Core, pcaps.WAN}, Workers: 2, Compare: true})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.MarshalIndent(doc.Comparison, "", " ")
		os.WriteFile("/tmp/cmp_"+s+".json", b, 0o644)
		x := doc.Comparison
		fmt.Println("==", s, "pairs", len(x.Pairs), "unpaired", len(x.Unpaired))
		c, _ := json.Marshal(x.Clock)
		fmt.Println(string(c))
		for _, p := range x.Pairs {
			red := -1.0
			if p.Reduction != nil {
				red = *p.Reduction
			}
			d := int64(-1)
			if p.Delay.NearFar != nil {
				d = *p.Delay.NearFar
			}
			fmt.Printf("%d %s:%d>%d %s %s %s/%s %s %s red=%.3f d=%d | %s\n", p.ID, p.Client.IP, p.Client.Port, p.Server.Port, p.Basis, p.Service, p.Verdict, p.Accelerator, p.Accel, p.Streams.Verdict, red, d, p.Reason)
			if p.Calls != nil {
				c, _ := json.Marshal(p.Calls)
				fmt.Println("   ", string(c))
			}
		}
		for _, g := range x.Groups {
			c, _ := json.Marshal(g)
			fmt.Println("  G", string(c))
		}
		for _, f := range doc.Findings {
			fmt.Println("  F", f.Code, f.Detail)
		}
		_ = account.Exact
		c, _ = json.Marshal(x.Totals)
		fmt.Println(string(c))
	}
}
