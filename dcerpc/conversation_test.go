package dcerpc

import (
	"bufio"
	"encoding/hex"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// conversations reads the recorded conversations of testdata: their segments in
// hex, in the order of the capture.
func conversations(tb testing.TB) map[string]script {
	tb.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no conversations: %v", err)
	}
	all := map[string]script{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			tb.Fatal(err)
		}
		defer f.Close()
		var s script
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			if strings.HasPrefix(line, "#") {
				continue
			}
			b, err := hex.DecodeString(line[2:])
			if err != nil {
				tb.Fatalf("%s: %v", path, err)
			}
			side := wire.SideA
			if line[0] == '<' {
				side = wire.SideB
			}
			s = append(s, step{side: side, data: b})
		}
		all[strings.TrimSuffix(filepath.Base(path), ".txt")] = s
	}
	return all
}

func TestConversations(t *testing.T) {
	for name, s := range conversations(t) {
		t.Run(name, func(t *testing.T) {
			c, r := play(t, s)
			got := outcome(c, r) + "\n"
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if c.Stats.PDUsDamaged != 0 || c.Bytes.Skipped != 0 || c.Bytes.Unfinished != 0 {
				t.Errorf("%+v %+v", c.Stats, c.Bytes)
			}
		})
	}
}

// TestAnySegmentation cuts recorded conversations into segments of all sizes,
// whole, from their middle, and with holes in them.
func TestAnySegmentation(t *testing.T) {
	tries := 20
	if testing.Short() {
		tries = 4
	}
	for name, s := range conversations(t) {
		t.Run(name, func(t *testing.T) {
			playing{}.anySegmentation(t, s, tries)
			playing{midstream: true}.anySegmentation(t, s, tries)
			r := rand.New(rand.NewPCG(7, 7))
			for range tries {
				playing{midstream: r.IntN(2) == 0}.anySegmentation(t, s.holes(r, 1+r.IntN(4)), 3)
			}
		})
	}
}

// holes puts gaps into a script: bytes that were on the wire and are missing.
func (s script) holes(r *rand.Rand, n int) script {
	s = append(script(nil), s...)
	for range n {
		i := r.IntN(len(s))
		x := s[i]
		if len(x.data) < 2 {
			continue
		}
		from := r.IntN(len(x.data))
		to := from + 1 + r.IntN(len(x.data)-from)
		out := append(script(nil), s[:i]...)
		if from > 0 {
			out = append(out, step{side: x.side, data: x.data[:from]})
		}
		out = append(out, step{side: x.side, gap: int64(to - from)})
		if to < len(x.data) {
			out = append(out, step{side: x.side, data: x.data[to:]})
		}
		s = append(out, s[i+1:]...)
	}
	return s
}

// TestEveryPrefix ends conversations after every byte.
func TestEveryPrefix(t *testing.T) {
	for name, s := range conversations(t) {
		t.Run(name, func(t *testing.T) {
			pace := 1
			if n := int(s.delivered()); testing.Short() || n > 4000 {
				pace = 1 + n/400
			}
			pdus := int64(0)
			for n := 0; n <= int(s.delivered()); n += pace {
				c, _ := play(t, s.prefix(n))
				if c.Counts.PDUs < pdus {
					t.Fatalf("%d bytes: fewer PDUs than before", n)
				}
				pdus = c.Counts.PDUs
			}
		})
	}
}

// prefix returns the first n bytes of a script.
func (s script) prefix(n int) (out script) {
	for _, x := range s {
		if n <= len(x.data) {
			return append(out, step{side: x.side, data: x.data[:n]})
		}
		out = append(out, x)
		n -= len(x.data)
	}
	return out
}

// TestEveryStart begins conversations in their middle, at every byte of the
// client's half, with all of the server's: the PDUs behind the first boundary
// are all found, and nothing else is.
func TestEveryStart(t *testing.T) {
	for name, s := range conversations(t) {
		t.Run(name, func(t *testing.T) {
			for _, side := range []wire.Side{wire.SideA, wire.SideB} {
				bounds := s.bounds(side)
				pace := 1
				if testing.Short() || bounds[len(bounds)-1] > 4000 {
					pace = 1 + bounds[len(bounds)-1]/400
				}
				for n := 1; n < bounds[len(bounds)-1]; n += pace {
					var want int64
					for _, b := range bounds[:len(bounds)-1] {
						if b >= n {
							want++
						}
					}
					c, _ := playing{midstream: true}.play(t, s.without(side, n))
					other := int64(len(s.bounds(side.Other())) - 1)
					if c.Counts.PDUs != want+other {
						t.Fatalf("side %d from byte %d on: %d PDUs, want %d and %d", side, n, c.Counts.PDUs, want, other)
					}
				}
			}
		})
	}
}

// bounds returns where the PDUs of a side begin, and where the last one ends.
func (s script) bounds(side wire.Side) []int {
	at, next, all := 0, 0, []byte(nil)
	for _, x := range s {
		if x.side == side {
			all = append(all, x.data...)
		}
	}
	out := []int{}
	for at = 0; at < len(all); at = next {
		h, _ := ParseHeader(all[at:])
		out = append(out, at)
		next = at + int(h.FragLength)
	}
	return append(out, at)
}

// without drops the first n bytes of a side.
func (s script) without(side wire.Side, n int) (out script) {
	for _, x := range s {
		if x.side == side {
			k := min(n, len(x.data))
			x.data, n = x.data[k:], n-k
		}
		if len(x.data) > 0 {
			out = append(out, x)
		}
	}
	return out
}
