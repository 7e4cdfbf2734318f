package emsmdb

import (
	"bytes"
	"encoding/binary"

	"mapiscope/internal/wire"
)

// Reason says why bytes of a RopsList could not be walked.
type Reason uint8

// The reasons.
const (
	Walked     Reason = iota // no reason: everything was walked
	Malformed                // fields contradict each other or run past the list
	Unassigned               // a RopId that no document names
	Opaque                   // a ROP whose layout is not known
	NoColumns                // property rows whose columns were set outside of the capture
	NoRequest                // a response whose request was not captured
	Unexpected               // a response that does not belong to the requests
	Ambiguous                // several readings fit, or none of those that are documented
	Cut                      // the stub is longer than what is kept of stubs
	Encoding                 // the payload cannot be decoded
	NumReasons               // number of reasons
)

var reasonNames = [NumReasons]string{
	"walked", "malformed", "unassigned ROP", "unknown layout", "columns not captured", "request not captured",
	"unexpected response", "ambiguous layout", "stub cut", "payload not decodable",
}

// String returns a few words for reports.
func (r Reason) String() string {
	if r >= NumReasons {
		return "unknown"
	}
	return reasonNames[r]
}

// walker runs layout programs. It is reused from ROP to ROP.
type walker struct {
	regs    registers
	columns [3][]byte // by source; nil: not known
	long    bool      // optional parts are there
	values  int       // how many more values of rows the list may have
	stopped Reason    // why a program could not go on, unless it ran out of bytes
}

// maxValues bounds the values of property rows in one RopsList. A list has
// 64 KiB at most, but values of type null take no bytes.
const maxValues = 1 << 18

// maxNesting bounds restrictions in restrictions ([MS-OXCDATA] 2.12).
const maxNesting = 16

// run executes a program; c is bad afterwards unless all of it could be read.
func (w *walker) run(p program, c *wire.Cursor) {
	for i := range p {
		if !c.OK() {
			return
		}
		w.step(&p[i], c)
	}
}

func (w *walker) step(s *step, c *wire.Cursor) {
	switch s.op {
	case opSkip:
		c.Skip(s.size)
	case opField:
		w.regs[s.reg] = unsigned(c, s.size)
	case opCounted:
		c.Skip(int(c.Uint16()) * s.size)
	case opBytes:
		skipElements(c, s.arg(&w.regs), s.size)
	case opRest:
		c.Rest()
	case opString:
		skipString(c, s.arg(&w.regs) != 0)
	case opTyped:
		skipTyped(c)
	case opValues:
		skipTagged(c, int(c.Uint16()), 0)
	case opNames:
		for n := c.Uint16(); n > 0 && c.OK(); n-- {
			skipName(c)
		}
	case opName:
		skipName(c)
	case opRows:
		w.rows(s, c)
	case opIf:
		if s.arg(&w.regs) != 0 {
			w.run(s.body, c)
		} else {
			w.run(s.other, c)
		}
	case opRepeat:
		// Every repeated layout reads at least one byte, so that bytes and
		// not the count of the wire bound the loop.
		for n := s.arg(&w.regs); n > 0 && c.OK(); n-- {
			w.run(s.body, c)
		}
	case opOptional:
		if w.long {
			w.run(s.body, c)
		}
	case opUnknown:
		w.stop(c, Opaque)
	}
}

func (w *walker) stop(c *wire.Cursor, why Reason) {
	w.stopped = why
	c.Fail()
}

func (w *walker) rows(s *step, c *wire.Cursor) {
	n := s.arg(&w.regs)
	if n == 0 {
		return
	}
	columns := s.columns
	if s.source != fromLayout {
		columns = w.columns[s.source]
	}
	if columns == nil {
		why := NoColumns
		if s.source == fromRequest {
			why = NoRequest
		}
		w.stop(c, why)
		return
	}
	for ; n > 0 && c.OK(); n-- {
		if w.values -= len(columns) / 4; w.values < 0 {
			c.Fail()
			return
		}
		skipRow(c, columns)
	}
}

func unsigned(c *wire.Cursor, size int) uint64 {
	switch size {
	case 1:
		return uint64(c.Uint8())
	case 2:
		return uint64(c.Uint16())
	case 4:
		return uint64(c.Uint32())
	}
	return c.Uint64()
}

func skipElements(c *wire.Cursor, n uint64, size int) {
	if n > uint64(c.Len()/size) {
		c.Fail()
		return
	}
	c.Skip(int(n) * size)
}

func skipString(c *wire.Cursor, utf16 bool) {
	rest := *c
	b := rest.Rest()
	if !utf16 {
		n := bytes.IndexByte(b, 0)
		if n < 0 {
			c.Fail()
		}
		c.Skip(n + 1)
		return
	}
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			c.Skip(i + 2)
			return
		}
	}
	c.Fail()
}

// skipTyped passes over a TypedString ([MS-OXCDATA] 2.11.7).
func skipTyped(c *wire.Cursor) {
	switch c.Uint8() {
	case 0, 1: // none, empty
	case 2, 3: // 8-bit, UTF-16 without its high bytes
		skipString(c, false)
	case 4:
		skipString(c, true)
	default:
		c.Fail()
	}
}

// skipName passes over a PropertyName ([MS-OXCDATA] 2.6.1).
func skipName(c *wire.Cursor) {
	kind := c.Uint8()
	if kind == 0xff {
		return
	}
	c.Skip(16)
	switch kind {
	case 0:
		c.Skip(4)
	case 1:
		c.Skip(int(c.Uint8()))
	default:
		c.Fail()
	}
}

// skipTagged passes over n TaggedPropertyValues ([MS-OXCDATA] 2.11.4).
func skipTagged(c *wire.Cursor, n, depth int) {
	for ; n > 0 && c.OK(); n-- {
		skipValue(c, uint16(c.Uint32()), depth)
	}
}

// Property types whose values have no fixed size ([MS-OXCDATA] 2.11.1).
const (
	typeUnspecified = 0x0000
	typeString8     = 0x001e
	typeString      = 0x001f
	typeServerID    = 0x00fb
	typeRestriction = 0x00fd
	typeRuleActions = 0x00fe
	typeBinary      = 0x0102
	typeMultiple    = 0x1000 // and several values of the type in the other bits
	typeInstance    = 0x2000 // a table with one row for each of them
)

// valueSize returns the size of the values of a type that has a fixed one,
// else a negative number.
func valueSize(kind uint16) int {
	switch kind {
	case 0x0001, 0x000d: // null, object
		return 0
	case 0x000b: // boolean
		return 1
	case 0x0002:
		return 2
	case 0x0003, 0x0004, 0x000a: // integer, float, error
		return 4
	case 0x0005, 0x0006, 0x0007, 0x0014, 0x0040: // double, currency, date, integer, time
		return 8
	case 0x0048: // GUID
		return 16
	}
	return -1
}

// skipValue passes over one property value.
func skipValue(c *wire.Cursor, kind uint16, depth int) {
	if kind &^= typeInstance; kind == typeUnspecified {
		if kind = c.Uint16() &^ typeInstance; kind == typeUnspecified {
			c.Fail()
			return
		}
	}
	if size := valueSize(kind); size >= 0 {
		c.Skip(size)
		return
	}
	switch kind {
	case typeString8, typeString:
		skipString(c, kind == typeString)
	case typeBinary, typeServerID:
		c.Skip(int(c.Uint16()))
	case typeRestriction:
		skipRestriction(c, depth+1)
	case typeRuleActions:
		for n := c.Uint16(); n > 0 && c.OK(); n-- {
			c.Skip(int(c.Uint16()))
		}
	default:
		skipMultiple(c, kind)
	}
}

func skipMultiple(c *wire.Cursor, kind uint16) {
	element := kind &^ typeMultiple
	if kind&typeMultiple == 0 || element == typeUnspecified {
		c.Fail()
		return
	}
	n := uint64(c.Uint32())
	if size := valueSize(element); size > 0 {
		skipElements(c, n, size)
		return
	}
	if element != typeString8 && element != typeString && element != typeBinary {
		c.Fail()
	}
	for ; n > 0 && c.OK(); n-- {
		skipValue(c, element, 0)
	}
}

// skipRestriction passes over a restriction inside a property value
// ([MS-OXCDATA] 2.12).
func skipRestriction(c *wire.Cursor, depth int) {
	if depth > maxNesting {
		c.Fail()
		return
	}
	switch c.Uint8() {
	case 0, 1: // and, or
		for n := c.Uint16(); n > 0 && c.OK(); n-- {
			skipRestriction(c, depth+1)
		}
	case 2: // not
		skipRestriction(c, depth+1)
	case 3: // content: fuzzy level, tag, value
		c.Skip(8)
		skipTagged(c, 1, depth)
	case 4: // property: operator, tag, value
		c.Skip(5)
		skipTagged(c, 1, depth)
	case 5, 6, 7: // compare, bit mask, size: operator, tag, tag or integer
		c.Skip(9)
	case 8: // exist: tag
		c.Skip(4)
	case 9, 11: // of a sub-object, count: tag or integer, restriction
		c.Skip(4)
		skipRestriction(c, depth+1)
	case 10: // comment: values, whether a restriction follows
		skipTagged(c, int(c.Uint8()), depth)
		if c.Uint8() != 0 {
			skipRestriction(c, depth+1)
		}
	default:
		c.Fail()
	}
}

// Flags of rows and of the values of flagged rows ([MS-OXCDATA] 2.8.1, 2.11.5).
const (
	rowStandard  = 0x00
	rowFlagged   = 0x01
	valueThere   = 0x00
	valueMissing = 0x01
	valueError   = 0x0a
)

// skipRow passes over one PropertyRow with the given columns, tags as they
// stand on the wire ([MS-OXCDATA] 2.8.1).
func skipRow(c *wire.Cursor, columns []byte) {
	flag := c.Uint8()
	if flag > rowFlagged {
		c.Fail()
	}
	for ; len(columns) >= 4 && c.OK(); columns = columns[4:] {
		kind := binary.LittleEndian.Uint16(columns)
		if kind == typeUnspecified {
			if kind = c.Uint16(); kind == typeUnspecified {
				c.Fail()
			}
		}
		// With MultivalueInstance the table has one row for each value and a
		// row has that one, in the type without the two bits.
		if kind&typeInstance != 0 {
			kind &^= typeInstance | typeMultiple
		}
		state := uint8(valueThere)
		if flag == rowFlagged {
			state = c.Uint8()
		}
		switch state {
		case valueThere:
			skipValue(c, kind, 0)
		case valueError:
			c.Skip(4)
		case valueMissing:
		default:
			c.Fail()
		}
	}
}
