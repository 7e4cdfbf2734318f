package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/pcaps"
)

// TestReadme runs the commands in the console blocks of the README and
// compares what they print; -update writes the outputs anew. A command may end
// with "| head -n N" or "| tail -n N".
func TestReadme(t *testing.T) {
	t.Chdir("../..")
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	inside, commands := false, 0
	for line := range strings.Lines(string(raw)) {
		command, ok := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console\n"
		case inside && ok:
			commands++
			out.WriteString(line)
			out.WriteString(readmeOutput(t, strings.TrimSpace(command)))
			continue
		case inside:
			continue
		}
		out.WriteString(line)
	}
	if commands == 0 {
		t.Fatal("no commands")
	}
	if !pcaps.HaveBPF {
		t.Skip("the README shows a build with packet filters")
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(raw), out.String()); diff != "" {
		t.Errorf("the README does not show what the commands print (-README +now); make golden writes it anew:\n%s", diff)
	}
}

// readmeOutput runs a command of the README in this process.
func readmeOutput(t *testing.T, command string) string {
	t.Helper()
	command, filter, filtered := strings.Cut(command, " | ")
	args := readmeWords(command)
	if args[0] != "mapiscope" {
		t.Fatalf("the README runs %q", command)
	}
	var stdout, stderr bytes.Buffer
	if status := run(args[1:], strings.NewReader(""), &stdout, &stderr); status != statusDone {
		if !pcaps.HaveBPF {
			return ""
		}
		t.Errorf("%s: exit status %d: %s", command, status, &stderr)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(stdout.String(), "\n"), "\n")
	if filtered {
		words := strings.Fields(filter)
		n, err := strconv.Atoi(words[len(words)-1])
		if err != nil || len(words) != 3 || words[1] != "-n" {
			t.Fatalf("the README filters by %q", filter)
		}
		if n = min(n, len(lines)); words[0] == "tail" {
			lines = lines[len(lines)-n:]
		} else {
			lines = lines[:n]
		}
	}
	return strings.TrimSuffix(strings.Join(lines, ""), "\n") + "\n"
}

// readmeWords splits a command at spaces outside of single quotes.
func readmeWords(command string) []string {
	var words []string
	for i, part := range strings.Split(command, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}
