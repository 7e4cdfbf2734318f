package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"mapiscope/internal/live"
	"mapiscope/internal/report"
)

// news are the lines that a live job prints where there is no screen: what was
// found since the last time, and how it does.
func news(b *live.Batch) []string {
	var lines []string
	if !b.Final {
		for _, f := range b.Findings {
			lines = append(lines, fmt.Sprintf("found %s (%s): %s", f.Code, f.Severity, f.Detail))
		}
	}
	return append(lines, statusLine(&b.Status, report.NewWords(b.Doc, nil).Escape()))
}

// statusLine says in one line how a job does. escape is what its document says
// of escapes now; what ever escaped counts beside it.
func statusLine(s *live.Status, escape string) string {
	var packets int64
	var perSecond, bits float64
	for i := range s.Interfaces {
		f := &s.Interfaces[i]
		packets += f.Packets
		perSecond += f.PacketsPerSecond
		bits += f.BitsPerSecond
	}
	n := &s.Counts
	parts := []string{
		fmt.Sprintf("%v: %s packets (%s/s, %s), %s", s.Running.Round(time.Second), humanize.Comma(packets),
			humanize.Comma(int64(perSecond)), strings.ReplaceAll(humanize.SIWithDigits(bits, 1, "bit/s"), " ", " "), dropped(s)),
		fmt.Sprintf("%s connections, %s open", humanize.Comma(n.Connections), humanize.Comma(n.OpenConnections)),
		fmt.Sprintf("%s EMSMDB, %s encrypted", humanize.Comma(n.MAPIConnections), humanize.Comma(n.EncryptedMAPI)),
	}
	if n.EscapedConnections > 0 {
		escape = humanize.Comma(n.EscapedConnections) + " escaped"
	}
	if escape != "" {
		parts[len(parts)-1] += ", " + escape
	}
	if q := &s.Log; q.Failing != "" || q.Lost > 0 || q.Spooled > 0 {
		log := fmt.Sprintf("log: %s waiting, %s lost", humanize.Comma(q.Waiting+q.Spooled), humanize.Comma(q.Lost))
		if q.Failing != "" {
			log += ", failing: " + q.Failing
		}
		parts = append(parts, log)
	}
	for i := range s.Interfaces {
		if f := &s.Interfaces[i]; f.Err != "" {
			parts = append(parts, fmt.Sprintf("%s ended: %s", f.Name, f.Err))
		}
	}
	return strings.Join(parts, "; ")
}

// dropped counts packets that were lost before we saw them.
func dropped(s *live.Status) string {
	told := false
	var n int64
	for i := range s.Interfaces {
		for _, d := range [...]*int64{s.Interfaces[i].KernelDropped, s.Interfaces[i].DriverDropped} {
			if d != nil {
				told = true
				n += *d
			}
		}
	}
	if !told {
		return "drops n/a"
	}
	return humanize.Comma(n) + " dropped"
}
