package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"mapiscope/internal/document"
	"mapiscope/internal/report"
)

// isDocument reports whether a file looks like a JSON document; captures begin
// with bytes that are no text.
func isDocument(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false // what is read of a pipe is gone
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for range 64 {
		switch b, err := r.ReadByte(); {
		case err != nil:
			return false
		case b == '{':
			return true
		case b != ' ' && b != '\t' && b != '\r' && b != '\n':
			return false
		}
	}
	return false
}

// compareDocuments says what changed between two documents.
func (a *app) compareDocuments(before, after string) error {
	if err := a.only("text", "json", "jsonl"); err != nil {
		return err
	}
	var docs [2]*document.Document
	for i, path := range []string{before, after} {
		f, err := os.Open(path)
		if err == nil {
			docs[i], err = document.ReadDocument(f)
			f.Close()
		}
		if err != nil {
			return &failure{statusInput, fmt.Errorf("%s: %w", path, err)}
		}
	}
	c := document.ChangesBetween(docs[0], docs[1])
	err := a.write(func(w io.Writer) error {
		switch a.flags.output.value {
		case "json":
			return report.WriteChangesJSON(w, c)
		case "jsonl":
			return report.WriteChangesJSONL(w, c)
		}
		return report.WriteChanges(w, before, after, c, a.textOptions())
	})
	if err == nil {
		a.status = statusOfChanges(c, a.flags.failOn.value)
		if a.status == statusDone && a.flags.failOnUnknown && unknown(docs[1]) {
			a.status = statusFinding
		}
	}
	return err
}

// statusOfChanges is 1 where a finding at or above a severity is new, or
// stands more often than before.
func statusOfChanges(c *document.Changes, failOn string) int {
	var n document.SeverityTally
	for _, f := range c.Findings {
		if f.Change == "gone" || f.Change == "fewer" {
			continue
		}
		switch f.Severity {
		case document.Info:
			n.Info++
		case document.Warning:
			n.Warning++
		case document.Error:
			n.Error++
		}
	}
	return statusOfDocument(&document.Document{Totals: document.Totals{Findings: n}}, failOn)
}
