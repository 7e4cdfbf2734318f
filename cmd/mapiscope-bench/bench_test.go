package main

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mapiscope/flows"
	"mapiscope/pcaps"
)

// TestMixes makes a small capture of each mix and reads it back: the size is
// what was asked for, times rise, and each copy has a host pair of its own.
func TestMixes(t *testing.T) {
	for _, m := range mixes {
		t.Run(m.name, func(t *testing.T) {
			tmpl, err := m.template()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "mix.pcap")
			const size = 3_000_000
			packets, err := multiply(path, tmpl, size, 4)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Size() < size || info.Size() > size+70_000 {
				t.Fatalf("size of %v, %v; want about %d", info, err, size)
			}
			r, err := pcaps.Open([]string{path}, pcaps.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			decoder := flows.NewDecoder(flows.DefaultLimits())
			pairs := map[[2]netip.Addr]bool{}
			var p pcaps.Packet
			var f flows.Frame
			last, n := int64(0), int64(0)
			for ; ; n++ {
				if err := r.Next(&p); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if p.Time < last {
					t.Fatalf("packet %d is older than the one before", p.Packet)
				}
				last = p.Time
				if decoder.Decode(&p, &f) == flows.TCP && f.Src.Port() > f.Dst.Port() {
					pairs[[2]netip.Addr{f.Src.Addr(), f.Dst.Addr()}] = true
				}
			}
			if n != packets || len(pairs) < 4 {
				t.Errorf("%d packets between %d host pairs, want %d packets between 4 pairs or more", n, len(pairs), packets)
			}
		})
	}
}

func TestDropped(t *testing.T) {
	whole, err := (&mix{scene: smallCalls}).template()
	if err != nil {
		t.Fatal(err)
	}
	lossy, err := (&mix{scene: smallCalls, drop: 50}).template()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(lossy.packets), len(whole.packets)-len(whole.packets)/50; got != want {
		t.Errorf("%d packets of %d stay, want %d", got, len(whole.packets), want)
	}
}

// TestRun measures two programs that are there on every machine of a
// developer.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec cat \"$5\" >/dev/null\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := bencher{size: 300_000, dir: dir, program: program, only: "sealed"}
	var out bytes.Buffer
	if err := b.table(&out, []contender{
		{"first", func(path string) []string { return []string{program, "report", "-o", "json", "-", path} }},
		{"second", func(path string) []string { return []string{"cat", path} }},
	}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[2], "| sealed | ") || !strings.Contains(lines[3], "| second | ") {
		t.Errorf("the table is\n%s", out.String())
	}
	b.program = filepath.Join(dir, "missing")
	if err := b.table(&out, []contender{{"missing", func(string) []string { return []string{b.program} }}}); err == nil {
		t.Error("a program that is not there gives no error")
	}
}
