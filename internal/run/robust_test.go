package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/pcaps"
)

// shipped returns the captures that the project carries.
func shipped(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "pcaps", "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no shipped captures: %v", err)
	}
	return files
}

func asJSON(t *testing.T, doc *document.Document) string {
	t.Helper()
	b, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWorkersDoNotMatter: the same input gives the same document for any
// number of shards.
func TestWorkersDoNotMatter(t *testing.T) {
	files := shipped(t)
	if public := os.Getenv("CI"); public != "" || !testing.Short() {
		for _, name := range []string{"zeek-mapi.pcap", "otrf-NEWYORK.cap", "elcabezzonn-macgyver.pcap.gz"} {
			files = append(files, filepath.Join(corpus(t, "public"), name))
		}
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want := asJSON(t, analyse(t, 1, path))
			for _, workers := range []int{2, 3, 8} {
				if diff := cmp.Diff(want, asJSON(t, analyse(t, workers, path))); diff != "" {
					t.Fatalf("%d workers differ from one:\n%s", workers, diff)
				}
			}
		})
	}
}

// survive analyses bytes that may be no capture any more.
func survive(t *testing.T, what string, at int, data []byte) {
	t.Helper()
	doc, err := Run(context.Background(), Config{Paths: []string{"-"}, Stdin: bytes.NewReader(data), Workers: 1, AllConnections: true, Events: true})
	var open *pcaps.OpenError
	switch {
	case errors.As(err, &open):
	case err != nil:
		t.Fatalf("%s at %d: %v", what, at, err)
	default:
		checkLedger(t, doc)
		if t.Failed() {
			t.Fatalf("%s at %d", what, at)
		}
	}
}

// corpora returns all captures there are: those of the project, and those of
// the corpus where it is present.
func corpora(t *testing.T) []string {
	t.Helper()
	files := shipped(t)
	for _, folder := range []string{"lab", "public"} {
		if dir, ok := corpusFolder(folder); ok {
			more, err := filepath.Glob(filepath.Join(dir, "*.*cap*"))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, more...)
		}
	}
	return files
}

// thorough reports whether the slow half of the tests of damaged captures is
// to run: CI does, in the run without the race detector.
func thorough() bool { return os.Getenv("CI") != "" && !testing.Short() }

// TestEveryPrefix cuts captures: small ones at every byte, the others at a
// sample of places; all at a sample unless the test is to be thorough.
func TestEveryPrefix(t *testing.T) {
	const small = 4096
	for i, path := range corpora(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) <= small && thorough() {
				for n := range data {
					survive(t, "cut", n, data[:n])
				}
				return
			}
			rng := rand.New(rand.NewPCG(64, uint64(i)))
			for range samples(12) {
				n := rng.IntN(len(data))
				survive(t, "cut", n, data[:n])
			}
		})
	}
}

// samples returns how many samples to take of n.
func samples(n int) int {
	if thorough() {
		return n
	}
	return n / 4
}

// TestFlippedBytes changes random bytes, with a fixed seed.
func TestFlippedBytes(t *testing.T) {
	for i, path := range corpora(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) <= 24 {
				return
			}
			rng := rand.New(rand.NewPCG(2026, uint64(i)))
			for round := range samples(4) {
				bad := append([]byte(nil), data...)
				for range 1 + len(bad)/2000 {
					bad[24+rng.IntN(len(bad)-24)] ^= byte(1 + rng.IntN(255))
				}
				survive(t, "flipped", round, bad)
			}
		})
	}
}

// TestTightBounds: with bounds that every capture hits, what was dropped is
// counted and the ledger balances.
func TestTightBounds(t *testing.T) {
	hit := map[string]bool{}
	paths := corpora(t)
	// What a shard holds in all is given up before a connection meets its own
	// bounds: they are met with the memory of the second round.
	for i := range 2 * len(paths) {
		path, memory := paths[i/2], int64(1<<14)<<(i%2*3)
		doc, err := Run(context.Background(), Config{Paths: []string{path}, Workers: 1, Bounds: tightBounds(memory), Live: true, Events: true})
		if err != nil {
			var open *pcaps.OpenError
			if !errors.As(err, &open) {
				t.Errorf("%s: %v", path, err)
			}
			continue
		}
		checkLedger(t, doc)
		if t.Failed() {
			t.Fatal(path)
		}
		raw, err := json.Marshal(doc.Limits)
		if err != nil {
			t.Fatal(err)
		}
		var limits map[string]int64
		if err := json.Unmarshal(raw, &limits); err != nil {
			t.Fatal(err)
		}
		for name, n := range limits {
			hit[name] = hit[name] || n > 0
		}
	}
	// Those that the shipped captures hit.
	for _, name := range []string{
		"calls_lost", "connections_evicted", "connections_unlisted", "contexts_dropped", "events_dropped", "exchanges_dropped", "host_pairs_dropped",
		"memory_exceeded", "operations_dropped", "reassembly_holes", "stubs_cut", "tables_dropped", "unfinished_dropped",
	} {
		if !hit[name] {
			t.Errorf("no capture hits %s", name)
		}
	}
}
