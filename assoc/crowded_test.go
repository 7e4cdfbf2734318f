package assoc

import (
	"fmt"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
)

// TestCrowded lets more connections speak in turn than there is memory for: those
// that were ended and go on are counted, and end no others, round after round.
func TestCrowded(t *testing.T) {
	const conns, rounds, words = 200, 10, 4
	s := pcaptest.New(time.Unix(1_246_000_000, 0))
	var all []*pcaptest.Conn
	for i := range conns {
		c := s.Dial(fmt.Sprintf("10.1.0.5:%d", 2000+i), "10.2.0.9:1025")
		c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes())
		c.Server(pcaptest.BindAck(7, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
		all = append(all, c)
	}
	for range rounds {
		for _, c := range all {
			for range words {
				c.Client(pcaptest.Request(0, 9, make([]byte, 40)).Call(2).Bytes())
				c.Server(pcaptest.Response(0, make([]byte, 40)).Call(2).Bytes())
			}
		}
	}
	cfg := DefaultConfig()
	cfg.Memory = 800 << 10 // room for all to be counted, and for some to be read
	r := link(t, cfg, s)
	if r.Flows.Evicted < conns/4 || r.Flows.Evicted > 3*conns {
		t.Errorf("%d connections were ended for want of memory", r.Flows.Evicted)
	}
	whole := 0
	for _, c := range r.Conns {
		if c.RPC != nil && c.RPC.Counts.Requests == rounds*words {
			whole++
		}
	}
	if whole < conns/10 {
		t.Errorf("%d of %d connections were followed to their end", whole, conns)
	}
	if l := r.Ledger; l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped {
		t.Errorf("the ledger is out of balance: %+v", l)
	}
}
