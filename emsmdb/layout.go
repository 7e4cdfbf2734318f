package emsmdb

import (
	_ "embed"
	"encoding/binary"
	"strconv"
	"strings"
)

// layouts.tsv has one row for every assigned ROP: id, name, certainty and the
// layouts of request, of response with ReturnValue 0 and of other responses.
//
// A layout is a list of statements separated by semicolons. They begin after
// the head, which is 3 bytes in requests and 6 in responses, or after RopId
// when they start with "nohead".
//
//   - nothing follows
//     none                     there is no such message
//     unknown                  cannot be walked
//     u8 u16 u32 u64 i32 tag   integers, little endian
//     guid ltid                16 and 24 bytes
//     bytes[e]  rest           e bytes; all bytes that are left
//     strz ustrz xstrz(e)      8-bit string, UTF-16 string, with their NUL; ustrz if e else strz
//     tstr                     string behind a byte that says how it is encoded
//     tags16 ids16 probs16     u16 count, elements of 4, 8, 10 bytes
//     tpvs16 names16 name      u16 count of property values; of names; one name
//     row(C) rows[e](C)        one property row, e rows, over the columns C
//     if(e){..}else{..}        condition
//     rep[e]{..}               e times
//     opt{..}                  documented, but some servers leave it out
//
// Expressions have C operators, numbers, names of fields before them, rv for
// ReturnValue and ctx.private for the kind of the logon. Columns are those of
// the paired request (req.PropertyTags), of the table (table.columns) or
// literal tags.
//
//go:embed layouts.tsv
var layoutsTSV string

// opcode is the kind of a step.
type opcode uint8

const (
	opSkip     opcode = iota // size bytes
	opField                  // integer of size bytes into register reg
	opCounted                // u16 count, count elements of size bytes
	opBytes                  // arg elements of size bytes
	opRest                   // all bytes left
	opString                 // 8-bit string, UTF-16 if arg is set
	opTyped                  // string behind its kind
	opValues                 // u16 count, tagged property values
	opNames                  // u16 count, property names
	opName                   // one property name
	opRows                   // arg property rows over columns
	opIf                     // body when arg, else other
	opRepeat                 // body arg times
	opOptional               // body, when the walker takes the long form
	opUnknown                // no step further
)

// source says where the columns of property rows come from.
type source uint8

const (
	fromTable   source = iota // the last RopSetColumns on the table
	fromRequest               // the PropertyTags of the request
	fromLayout                // the layout itself
)

// step is one instruction of a layout program.
type step struct {
	op      opcode
	size    int
	reg     int
	arg     expr
	body    program
	other   program
	source  source
	columns []byte // of fromLayout: tags as on the wire
}

type program []step

// message is one compiled layout.
type message struct {
	exists   bool // such a message exists
	bare     bool // begins after RopId
	optional bool // has an optional part
	private  bool // depends on the kind of the logon
	steps    program
}

// layout is what is known about one ROP.
type layout struct {
	name      string
	uncertain bool
	output    bool // byte 3 of the request is an OutputHandleIndex
	request   message
	success   message
	failure   message
}

// layouts holds the assigned ROPs by id; others have no name.
var layouts = compileLayouts(layoutsTSV)

func compileLayouts(tsv string) *[256]layout {
	var all [256]layout
	for row := range strings.Lines(tsv) {
		if strings.HasPrefix(row, "#") {
			continue
		}
		col := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		id, err := strconv.ParseUint(col[0], 0, 8)
		if err != nil || len(col) != 6 {
			panic("emsmdb: bad row in layouts.tsv: " + row)
		}
		all[id] = layout{
			name: col[1], uncertain: col[2] == "?",
			output:  strings.HasPrefix(col[3], "u8 OutputHandleIndex"),
			request: compile(col[3]), success: compile(col[4]), failure: compile(col[5]),
		}
	}
	return &all
}

func compile(text string) message {
	if text == "none" {
		return message{}
	}
	m := message{exists: true}
	if text == "-" {
		return m
	}
	s := newScanner(text)
	m.bare = s.take("nohead")
	m.steps = s.fuse(s.statements())
	m.private = s.private
	m.optional = strings.Contains(text, "opt{")
	if s.pos != len(text) {
		s.fail("text after the last statement")
	}
	return m
}

// statements compiles up to the end of the text or a closing brace.
func (s *scanner) statements() program {
	var p program
	for {
		p = append(p, s.statement())
		if !s.take(";") {
			return p
		}
	}
}

func (s *scanner) block() program {
	s.need("{")
	p := s.statements()
	s.need("}")
	return p
}

func (s *scanner) bracket() expr {
	s.need("[")
	e := s.expression()
	s.need("]")
	return e
}

func (s *scanner) parens() expr {
	s.need("(")
	e := s.expression()
	s.need(")")
	return e
}

var fixedSizes = map[string]int{"u8": 1, "u16": 2, "u32": 4, "i32": 4, "tag": 4, "u64": 8, "guid": 16, "ltid": 24}

var countedSizes = map[string]int{"tags16": 4, "ids16": 8, "probs16": 10}

// statement compiles one statement. Those that read something end with the
// name of the field.
func (s *scanner) statement() step {
	kind := s.word()
	switch kind {
	case "if":
		st := step{op: opIf, arg: s.parens(), body: s.block()}
		if s.take("else") {
			st.other = s.block()
		}
		return st
	case "rep":
		return step{op: opRepeat, arg: s.bracket(), body: s.block()}
	case "opt":
		return step{op: opOptional, body: s.block()}
	}
	st := s.field(kind)
	name := s.word()
	if name == "" {
		s.fail("want the name of a field")
	}
	if st.op == opField {
		st.reg = s.declare(name)
	}
	return st
}

func (s *scanner) field(kind string) step {
	if size := fixedSizes[kind]; size > 8 {
		return step{op: opSkip, size: size}
	} else if size > 0 {
		return step{op: opField, size: size}
	}
	if size := countedSizes[kind]; size > 0 {
		return step{op: opCounted, size: size}
	}
	switch kind {
	case "bytes":
		return step{op: opBytes, size: 1, arg: s.bracket()}
	case "rest":
		return step{op: opRest}
	case "strz":
		return step{op: opString, arg: constant(0)}
	case "ustrz":
		return step{op: opString, arg: constant(1)}
	case "xstrz":
		return step{op: opString, arg: s.parens()}
	case "tstr":
		return step{op: opTyped}
	case "tpvs16":
		return step{op: opValues}
	case "names16":
		return step{op: opNames}
	case "name":
		return step{op: opName}
	case "row":
		return s.rows(constant(1))
	case "rows":
		return s.rows(s.bracket())
	case "unknown":
		return step{op: opUnknown}
	}
	s.fail("unknown statement " + kind)
	return step{}
}

func constant(n uint64) expr { return func(*registers) uint64 { return n } }

func (s *scanner) rows(count expr) step {
	st := step{op: opRows, arg: count}
	s.need("(")
	switch {
	case s.take("table.columns"):
		st.source = fromTable
	case s.take("req.PropertyTags"):
		st.source = fromRequest
	default:
		st.source = fromLayout
		for more := true; more; more = s.take(",") {
			tag, err := strconv.ParseUint(s.word(), 0, 32)
			if err != nil {
				s.fail("bad column")
			}
			st.columns = binary.LittleEndian.AppendUint32(st.columns, uint32(tag))
		}
	}
	s.need(")")
	return st
}

// fuse gives fields their registers and joins what needs no look at single
// fields: integers that no expression reads become skips, neighbouring skips
// one skip, and a repeated skip a run of bytes.
func (s *scanner) fuse(p program) program {
	var out program
	for _, st := range p {
		st.body, st.other = s.fuse(st.body), s.fuse(st.other)
		if st.op == opField {
			if st.reg = s.regs[st.reg]; st.reg < 0 {
				st = step{op: opSkip, size: st.size}
			}
		}
		if st.op == opRepeat && len(st.body) == 1 && st.body[0].op == opSkip {
			st = step{op: opBytes, size: st.body[0].size, arg: st.arg}
		}
		if last := len(out) - 1; st.op == opSkip && last >= 0 && out[last].op == opSkip {
			out[last].size += st.size
			continue
		}
		out = append(out, st)
	}
	return out
}

// RopName returns the name of a ROP ([MS-OXCROPS] 2.2.2), "" for ids that are
// not assigned.
func RopName(id uint8) string { return layouts[id].name }
