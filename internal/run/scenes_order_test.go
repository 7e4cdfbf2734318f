package run

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/internal/pcaptest"
)

// record is one packet of a pcap file.
type record struct {
	at     time.Duration // since the first
	server bool          // sent by the mail server
	frame  []byte
}

// retell writes a scene as a capture whose records were changed: their times,
// their order, how often each comes.
func retell(t *testing.T, build func(s *pcaptest.Scene), change func(all []record) []record) string {
	t.Helper()
	s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
	build(s)
	b := s.Pcap()
	le := binary.LittleEndian
	unit := time.Microsecond
	if le.Uint32(b) == 0xa1b23c4d {
		unit = time.Nanosecond
	}
	head, from := b[:24], netip.MustParseAddr(exchange).AsSlice()
	var all []record
	var first time.Duration
	for b = b[24:]; len(b) > 0; {
		n := int(le.Uint32(b[8:]))
		at := time.Duration(le.Uint32(b))*time.Second + time.Duration(le.Uint32(b[4:]))*unit
		if len(all) == 0 {
			first = at
		}
		frame := b[16 : 16+n]
		all = append(all, record{at - first, bytes.Equal(frame[26:30], from), frame})
		b = b[16+n:]
	}
	out := slices.Clone(head)
	for _, r := range change(all) {
		at := first + r.at
		out = le.AppendUint32(out, uint32(at/time.Second))
		out = le.AppendUint32(out, uint32(at%time.Second/unit))
		out = le.AppendUint32(out, uint32(len(r.frame)))
		out = append(le.AppendUint32(out, uint32(len(r.frame))), r.frame...)
	}
	path := filepath.Join(t.TempDir(), "retold.pcap")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// offset moves the server's packets in time and puts all in order of time, as a
// tap does that has a clock for each direction.
func offset(by time.Duration) func(all []record) []record {
	return func(all []record) []record {
		for i := range all {
			all[i].at += time.Second
			if all[i].server {
				all[i].at += by
			}
		}
		slices.SortStableFunc(all, func(a, b record) int { return int(a.at - b.at) })
		return all
	}
}

// stepped sets the clock back from the nth record on.
func stepped(n int, by time.Duration) func(all []record) []record {
	return func(all []record) []record {
		for i := range all {
			if all[i].at += 48 * time.Hour; i >= n {
				all[i].at -= by
			}
		}
		return all
	}
}

// TestOrderAndClocks: whatever the capture did to the order and the times of
// the packets, each answer finds its question, and no figure is below zero.
func TestOrderAndClocks(t *testing.T) {
	mailbox := func(s *pcaptest.Scene) {
		mapper(s, 4000, onWAN())
		mail(dial(s, 4001, mdb, onWAN()), 0, 0x2000).polls(3).c.Close()
	}
	same := func(all []record) []record { return all }
	plain := analyse(t, 1, retell(t, mailbox, same))
	tests := []struct {
		name   string
		change func(all []record) []record
		codes  []string
	}{
		{"as it was", same, nil},
		{"server 4 ms early: in order all the same", offset(-4 * time.Millisecond), nil},
		{"server 60 ms early", offset(-60 * time.Millisecond), []string{"CAPTURE_ORDER"}},
		{"server 900 ms early", offset(-900 * time.Millisecond), []string{"CAPTURE_ORDER"}},
		{"server late", offset(50 * time.Millisecond), []string{"CAPTURE_ORDER"}},
		{"set back by 2 s", stepped(26, 2*time.Second), []string{"CLOCK_STEP"}},
		{"set back by a day", stepped(26, 24*time.Hour), []string{"CLOCK_STEP"}},
		{"set forth by a day", stepped(26, -24*time.Hour), nil},
		{"every packet twice", func(all []record) (twice []record) {
			for _, r := range all {
				twice = append(twice, r, record{r.at + 3*time.Microsecond, r.server, r.frame})
			}
			return twice
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := analyse(t, 2, retell(t, mailbox, tt.change))
			if d := cmp.Diff(tt.codes, codesOf(doc)); d != "" {
				t.Errorf("findings (-want +got):\n%s%s", d, explain(doc))
			}
			for i, c := range doc.Connections {
				want := plain.Connections[i]
				if d := cmp.Diff([]any{want.Service, want.AssocGroup, want.State}, []any{c.Service, c.AssocGroup, c.State}); d != "" {
					t.Errorf("connection %d (-want +got):\n%s", c.ID, d)
				}
				if want.Calls.Responses != c.Calls.Responses || c.Calls.Unanswered != 0 || c.Retransmitted != (document.PerSide{}) {
					t.Errorf("connection %d: calls %+v, retransmitted %+v", c.ID, c.Calls, c.Retransmitted)
				}
				for _, op := range c.Operations {
					if m := op.ResponseTime.Min; m != nil && *m < 0 {
						t.Errorf("connection %d: response time %d", c.ID, *m)
					}
				}
			}
			m := doc.Accelerators.MAPI
			for name, f := range map[string]document.Figure{"local": m.LocalResponseAvg, "remote": m.RemoteResponseAvg} {
				if f.Value != nil && *f.Value < 0 {
					t.Errorf("%s responses after %v µs", name, *f.Value)
				}
			}
			if n := m.LocalResponseCount.Value; n != nil && *n > 0 {
				t.Errorf("%v local answers without an accelerator", *n)
			}
		})
	}
}
