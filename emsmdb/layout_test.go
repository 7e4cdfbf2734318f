package emsmdb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mapiscope/internal/wire"
)

// layoutRow is a row of layouts.tsv as text.
type layoutRow struct {
	id                        uint8
	name                      string
	request, success, failure string
}

func layoutRows(t testing.TB) []layoutRow {
	t.Helper()
	var rows []layoutRow
	for line := range strings.Lines(layoutsTSV) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		col := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		var id uint8
		if _, err := fmt.Sscanf(col[0], "0x%02X", &id); err != nil || len(col) != 6 {
			t.Fatalf("row %q: %v", line, err)
		}
		rows = append(rows, layoutRow{id: id, name: col[1], request: col[3], success: col[4], failure: col[5]})
	}
	return rows
}

// instance is one random instance of a layout.
type instance struct {
	body    []byte
	columns [3][]byte
	rv      uint32
	private bool
	long    bool
	unknown bool
	rest    bool
}

func encode(rng *rand.Rand, text string, rv uint32, branches map[string]bool) instance {
	x := instance{rv: rv, private: rng.IntN(2) == 1, long: rng.IntN(2) == 1}
	e := newEncoder(rng, text, uint64(rv), x.private)
	e.long, e.branchTaken = x.long, branches
	x.body = e.message()
	x.columns = [3][]byte{fromTable: e.table, fromRequest: e.req}
	x.unknown, x.rest = e.unknown, e.rest
	return x
}

// walk runs the compiled layout over b and returns how many bytes it read.
func (x *instance) walk(m *message, b []byte) (n int, ok bool, why Reason) {
	w := walker{columns: x.columns, long: x.long, values: maxValues}
	kind := logonPublic
	if x.private {
		kind = logonPrivate
	}
	w.reset(x.rv, kind)
	c := wire.NewCursor(b, wire.LittleEndian)
	w.run(m.steps, &c)
	return c.Offset(), c.OK(), w.stopped
}

// returnValues are those that failure layouts tell apart, and others.
var returnValues = []uint32{0x8004010f, 0x503, 0x480, 0x478, 0x40380}

// TestEveryLayout writes instances of every layout of the table, reads them
// back to their last byte and not further, and cuts them at every byte.
func TestEveryLayout(t *testing.T) {
	const rounds = 300
	for _, row := range layoutRows(t) {
		l := &layouts[row.id]
		for _, kind := range []struct {
			name, text string
			m          *message
			rv         []uint32
		}{
			{"request", row.request, &l.request, []uint32{0}},
			{"success", row.success, &l.success, []uint32{0}},
			{"failure", row.failure, &l.failure, returnValues},
		} {
			t.Run(fmt.Sprintf("%#02x %s %s", row.id, row.name, kind.name), func(t *testing.T) {
				if kind.m.exists != (kind.text != "none") {
					t.Fatalf("exists = %v for %q", kind.m.exists, kind.text)
				}
				if kind.text == "none" {
					return
				}
				rng := rand.New(rand.NewPCG(uint64(row.id), uint64(len(kind.text))))
				branches := map[string]bool{}
				for round := range rounds {
					x := encode(rng, kind.text, kind.rv[round%len(kind.rv)], branches)
					checkInstance(t, kind.m, &x)
				}
				if want := branchesOf(kind.text); len(branches) != want {
					t.Errorf("%d of %d branches were met: %v", len(branches), want, branches)
				}
			})
		}
	}
}

// branchesOf returns how many ways the conditions of a layout can go: two
// each, equal ones counted once.
func branchesOf(text string) int {
	conditions := map[string]bool{}
	for i := range text {
		if !strings.HasPrefix(text[i:], "if(") {
			continue
		}
		e := encoder{text: text[i+2:]}
		conditions[e.inside('(', ')')] = true
	}
	return 2 * len(conditions)
}

func checkInstance(t *testing.T, m *message, x *instance) {
	t.Helper()
	if x.unknown {
		if _, ok, why := x.walk(m, x.body); ok || why != Opaque {
			t.Errorf("an unknown layout was walked: %v, %v", ok, why)
		}
		return
	}
	if n, ok, why := x.walk(m, x.body); !ok || n != len(x.body) {
		t.Fatalf("read %d of %d bytes, %v, %v: % x", n, len(x.body), ok, why, x.body)
	}
	if x.rest {
		return
	}
	more := append(bytes.Clone(x.body), 0x55, 0x55, 0x55, 0x55)
	if n, ok, _ := x.walk(m, more); !ok || n != len(x.body) {
		t.Errorf("with more behind it: read %d of %d bytes, %v", n, len(x.body), ok)
	}
	for cut := range x.body {
		if n, ok, _ := x.walk(m, x.body[:cut:cut]); ok || n > cut {
			t.Fatalf("cut to %d of %d bytes: read %d, %v: % x", cut, len(x.body), n, ok, x.body)
		}
	}
}

// TestUncertainLayouts: the rows that one implementation or disagreeing
// documents stand behind are marked, and no others.
func TestUncertainLayouts(t *testing.T) {
	got := []string{}
	for id := range layouts {
		if layouts[id].uncertain {
			got = append(got, layouts[id].name)
		}
	}
	want := "[RopNotify RopModifyRules RopSynchronizationOpenAdvisor RopOpenPublicFolderByName RopSetSyncNotificationGuid]"
	if fmt.Sprint(got) != want {
		t.Errorf("uncertain layouts %v, want %v", got, want)
	}
}

// TestUnassigned: ids without a row have no layout in any direction.
func TestUnassigned(t *testing.T) {
	assigned := map[uint8]bool{}
	for _, row := range layoutRows(t) {
		assigned[row.id] = true
	}
	if len(assigned) != 135 {
		t.Errorf("%d ids are assigned, want 135", len(assigned))
	}
	for id := range layouts {
		l := &layouts[id]
		if !assigned[uint8(id)] && (l.name != "" || l.request.exists || l.success.exists || l.failure.exists) {
			t.Errorf("%#02x is not assigned, yet it has a layout", id)
		}
	}
}

func TestBadLayoutsPanic(t *testing.T) {
	for _, text := range []string{
		"u9 X", "u8", "if(Y){u8 X}", "u8 X; bytes[X Y", "u8 X u8 Y", "rep[2]{u8 X", "row(nothing) R",
		"u8 A; u8 B; u8 C; u8 D; u8 E; u8 F; u8 G; u8 H; u8 I; if(A&&B&&C&&D&&E&&F&&G&&H&&I){u8 Z}",
	} {
		t.Run(text, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it compiled")
				}
			}()
			compile(text)
		})
	}
}
