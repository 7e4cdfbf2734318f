package assoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/flows"
	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// link runs a scene through one Linker.
func link(t *testing.T, cfg Config, s *pcaptest.Scene) *Result {
	t.Helper()
	r, err := pcaps.Open([]string{"-"}, pcaps.Options{Stdin: bytes.NewReader(s.Pcap())})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, d := NewLinker(cfg), flows.NewDecoder(cfg.Flows)
	var p pcaps.Packet
	var f flows.Frame
	for {
		if err := r.Next(&p); errors.Is(err, io.EOF) {
			return l.Close()
		} else if err != nil {
			t.Fatal(err)
		}
		l.Frame(&f, d.Decode(&p, &f))
	}
}

// TestListed ends more connections than are listed: those past the bound are
// counted by what they carried.
func TestListed(t *testing.T) {
	s := pcaptest.New(time.Unix(1_246_000_000, 0))
	dial := func(client int, iface pcaptest.Syntax, level byte) {
		c := s.Dial(fmt.Sprintf("10.1.0.5:%d", client), "10.2.0.9:1025")
		c.Client(pcaptest.Bind(0, pcaptest.Offer(0, iface)).Call(1).Auth(10, level, 1, pcaptest.NTLMNegotiate()).Bytes())
		c.Server(pcaptest.BindAck(7, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes()).Close()
	}
	dial(2000, pcaptest.EPM, 2)
	dial(2001, pcaptest.EMSMDB, 2)
	dial(2002, pcaptest.EPM, 2)
	dial(2003, pcaptest.EMSMDB, 6)
	dial(2004, pcaptest.NSPI, 2)
	tests := []struct {
		name   string
		listed int
		conns  int
		want   Unlisted
	}{
		{"room for all", 5, 5, Unlisted{}},
		{"room for two: the oldest go", 2, 2, Unlisted{RPC: 3, EPM: 2, MAPI: 1}},
		{"room for none", 0, 0, Unlisted{RPC: 5, EPM: 2, MAPI: 2, EncryptedMAPI: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Listed = tt.listed
			r := link(t, cfg, s)
			if diff := cmp.Diff(tt.want, r.Unlisted); diff != "" {
				t.Errorf("unlisted (-want +got):\n%s", diff)
			}
			if len(r.Conns) != tt.conns || r.TCPConnections != 5 || r.Stats.ConnsUnlisted != int64(5-tt.conns) {
				t.Errorf("%d connections listed of %d, %d counted only", len(r.Conns), r.TCPConnections, r.Stats.ConnsUnlisted)
			}
		})
	}
}
