package run

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
)

// TestInterrupted: a job whose context ends gives the document of what was
// read until then.
func TestInterrupted(t *testing.T) {
	s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
	for range 3000 {
		s.Dial("10.1.0.5:1066", "10.2.0.9:135").Close()
	}
	path := s.WriteFile(t, "long.pcap")
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	doc, err := Run(ctx, Config{Paths: []string{path}, Workers: 2, Progress: func(int64, int64) { cancel(errors.New("enough")) }})
	if err != nil {
		t.Fatal(err)
	}
	c := doc.Captures[0]
	if c.Packets == 0 || c.Packets >= int64(s.Len()) || doc.Totals.Packets != c.Packets || doc.Totals.TCPConnections == 0 {
		t.Errorf("%d of %d packets read, totals %+v", c.Packets, s.Len(), doc.Totals)
	}
	if c.Error == nil || !strings.HasSuffix(*c.Error, "enough") {
		t.Errorf("error %v, want one that names the cause", c.Error)
	}
	checkLedger(t, doc)
}
