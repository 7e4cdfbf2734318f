package emsmdb

import (
	"strings"
	"testing"

	"mapiscope/internal/wire"
)

// TestMalformedValues: contents that contradict their documents end the walk.
// Each case passes without its last change.
func TestMalformedValues(t *testing.T) {
	columns := unhex(t, "0300fe0f")
	for _, x := range []struct {
		name, layout string
		good, bad    string
	}{
		{"kind of a typed string", "tstr S", "04 4100 0000", "05 4100 0000"},
		{"string without an end", "strz S", "4100", "4141"},
		{"UTF-16 string without an end", "ustrz S", "4100 0000", "4100 0001 00"},
		{"kind of a name", "name N", "01 " + zeros(16) + "02 4100", "02 " + zeros(16) + "02 4100"},
		{"flag of a row", "row(table.columns) R", "00 05000000", "02 05000000"},
		{"state of a value in a flagged row", "row(table.columns) R", "01 01", "01 02"},
		{"type that no document has", "tpvs16 V", "0100 0300fe0f 05000000", "0100 0800fe0f 05000000"},
		{"several values of type null", "tpvs16 V", "0100 0310fe0f 00000000", "0100 0110fe0f 01000000"},
		{"several values of no type", "tpvs16 V", "0100 0210fe0f 00000000", "0100 0010fe0f 00000000"},
		{"unspecified type twice", "tpvs16 V", "0100 0000fe0f 0b00 01", "0100 0000fe0f 0000 01"},
		{"more values than bytes", "tpvs16 V", "0100 0310fe0f 01000000 05000000", "0100 0310fe0f ffffffff 05000000"},
		{"more strings than bytes", "tpvs16 V", "0100 1e10fe0f 01000000 6100", "0100 1e10fe0f ffffffff 6100"},
		{"kind of a restriction", "tpvs16 V", "0100 fd00fe0f 08 0300fe0f", "0100 fd00fe0f 0c 0300fe0f"},
		{"restrictions in restrictions", "tpvs16 V", "0100 fd00fe0f " + strings.Repeat("02", maxNesting-1) + "08 0300fe0f", "0100 fd00fe0f " + strings.Repeat("02", maxNesting) + "08 0300fe0f"},
		{"count of elements", "u16 N; bytes[N] B", "0200 aabb", "ffff aabb"},
		{"count of repetitions", "u32 N; rep[N]{u8 A; strz S}", "01000000 01 4100", "ffffffff 01 4100"},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := compile(x.layout)
			for text, want := range map[string]bool{x.good: true, x.bad: false} {
				w := walker{values: maxValues}
				w.columns[fromTable] = columns
				w.reset(0, logonUnknown)
				c := wire.NewCursor(unhex(t, text), wire.LittleEndian)
				if w.run(m.steps, &c); c.OK() != want || want && c.Len() != 0 {
					t.Errorf("%s: read %v, %d bytes left", text, c.OK(), c.Len())
				}
			}
		})
	}
}

// TestValuesAreBounded: rows of columns that take no bytes do not make the
// walk longer than a list can be.
func TestValuesAreBounded(t *testing.T) {
	m := compile("u32 N; rows[N](table.columns) R")
	w := walker{values: maxValues}
	w.columns[fromTable] = []byte(strings.Repeat("\x01\x00\x00\x00", 1024)) // null, 1024 times
	rows := maxValues/1024 + 1
	body := append(wire32(rows), make([]byte, rows)...)
	w.reset(0, logonUnknown)
	c := wire.NewCursor(body, wire.LittleEndian)
	if w.run(m.steps, &c); c.OK() {
		t.Error("more values than a list may have were walked")
	}
}

func wire32(n int) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)} }

// TestOperators: conditions have C's precedence, but for the bit test.
func TestOperators(t *testing.T) {
	for condition, want := range map[string]uint64{
		"A": 6, "!A": 0, "!B": 1, "A&2": 2, "A&8": 0, "A==6": 1, "A!=6": 0, "A>=6": 1, "A>=7": 0, "A<=6": 1, "A<=5": 0,
		"A&&B": 0, "A||B": 1, "B||A&&A": 1, "A==6&&B==0||B": 1, "!(A&1)": 1, "(A&6)==6": 1, "A&6==6": 1, "0x06==A": 1,
		"rv": 9, "ctx.private": 1,
	} {
		s := newScanner(condition)
		s.declare("A")
		s.declare("B")
		e := s.expression()
		r := registers{regReturn: 9, regPrivate: 1}
		for i, name := range s.fields {
			if name == "A" && s.regs[i] >= 0 {
				r[s.regs[i]] = 6
			}
		}
		if got := e(&r); got != want {
			t.Errorf("%s = %d, want %d", condition, got, want)
		}
	}
}
