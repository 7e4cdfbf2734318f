package emsmdb

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// encoder writes random instances of layouts. It reads the text of a layout
// by itself, with a table of fields instead of registers and tree walking
// instead of compiled steps, so that it is a second opinion on both.
type encoder struct {
	rng     *rand.Rand
	text    string
	pos     int
	fields  map[string]uint64
	counts  map[string]bool // fields that count something: kept small
	numbers []uint64        // constants of the text
	out     []byte
	unknown bool // the layout ends in something unknown
	rest    bool // or takes all that is left

	long        bool   // write optional parts
	req, table  []byte // columns
	depth       int
	branchTaken map[string]bool // conditions and how they came out
}

var (
	numberText = regexp.MustCompile(`0x[0-9A-Fa-f]+|\b[0-9]+\b`)
	countText  = regexp.MustCompile(`\[(\w+)\]`)
)

func newEncoder(rng *rand.Rand, text string, rv uint64, private bool) *encoder {
	e := &encoder{rng: rng, text: text, fields: map[string]uint64{"rv": rv, "ctx.private": 0}, counts: map[string]bool{}, branchTaken: map[string]bool{}}
	if private {
		e.fields["ctx.private"] = 1
	}
	for _, m := range countText.FindAllStringSubmatch(text, -1) {
		e.counts[m[1]] = true
	}
	for _, m := range numberText.FindAllString(text, -1) {
		n, _ := strconv.ParseUint(m, 0, 64)
		e.numbers = append(e.numbers, n)
	}
	e.req, e.table = e.columns(), e.columns()
	return e
}

// message writes the whole layout.
func (e *encoder) message() []byte {
	if e.text != "-" {
		e.take("nohead")
		e.statements()
	}
	return e.out
}

func (e *encoder) take(token string) bool {
	rest := strings.TrimLeft(e.text[e.pos:], " ")
	if !strings.HasPrefix(rest, token) {
		return false
	}
	e.pos = len(e.text) - len(rest) + len(token)
	return true
}

func (e *encoder) word() string {
	rest := strings.TrimLeft(e.text[e.pos:], " ")
	n := strings.IndexFunc(rest, func(r rune) bool { return strings.ContainsRune(" ;(){}[]&|=!<>,", r) })
	if n < 0 {
		n = len(rest)
	}
	e.pos = len(e.text) - len(rest) + n
	return rest[:n]
}

// inside returns the text between an opening bracket and the one that closes
// it, and moves behind it.
func (e *encoder) inside(open, shut byte) string {
	if !e.take(string(open)) {
		panic(fmt.Sprintf("%q at %d: no %c", e.text, e.pos, open))
	}
	depth := 1
	for i := e.pos; ; i++ {
		switch e.text[i] {
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				s := e.text[e.pos:i]
				e.pos = i + 1
				return s
			}
		}
	}
}

func (e *encoder) statements() {
	for more := true; more; more = e.take(";") {
		e.statement()
	}
}

// block runs statements that stand apart from the rest of the text.
func (e *encoder) block(text string) {
	whole, pos := e.text, e.pos
	e.text, e.pos = text, 0
	e.statements()
	e.text, e.pos = whole, pos
}

func (e *encoder) statement() {
	kind := e.word()
	switch kind {
	case "if":
		condition := e.inside('(', ')')
		yes, no := e.inside('{', '}'), ""
		if e.take("else") {
			no = e.inside('{', '}')
		}
		true_ := e.eval(condition) != 0
		e.branchTaken[fmt.Sprint(condition, true_)] = true
		if !true_ {
			yes = no
		}
		if yes != "" {
			e.block(yes)
		}
		return
	case "rep":
		n, body := e.eval(e.inside('[', ']')), e.inside('{', '}')
		for range n {
			e.block(body)
		}
		return
	case "opt":
		if body := e.inside('{', '}'); e.long {
			e.block(body)
		}
		return
	}
	e.field(kind)
}

func (e *encoder) field(kind string) {
	switch kind {
	case "u8":
		e.integer(1)
	case "u16":
		e.integer(2)
	case "u32", "i32", "tag":
		e.integer(4)
	case "u64":
		e.integer(8)
	case "guid":
		e.noise(16)
	case "ltid":
		e.noise(24)
	case "bytes":
		e.noise(int(e.eval(e.inside('[', ']'))))
	case "rest":
		e.rest = true
		e.noise(e.rng.IntN(9))
	case "strz":
		e.str(false)
	case "ustrz":
		e.str(true)
	case "xstrz":
		e.str(e.eval(e.inside('(', ')')) != 0)
	case "tstr":
		kind := byte(e.rng.IntN(5))
		e.out = append(e.out, kind)
		if kind >= 2 {
			e.str(kind == 4)
		}
	case "tags16":
		e.noise(4 * e.small16())
	case "ids16":
		e.noise(8 * e.small16())
	case "probs16":
		e.noise(10 * e.small16())
	case "tpvs16":
		for range e.small16() {
			e.tagged()
		}
	case "names16":
		for range e.small16() {
			e.name()
		}
	case "name":
		e.name()
	case "row":
		e.row(e.inside('(', ')'))
	case "rows":
		n, columns := e.eval(e.inside('[', ']')), e.inside('(', ')')
		for range n {
			e.row(columns)
		}
	case "unknown":
		e.unknown = true
		e.noise(3)
	default:
		panic("unknown statement " + kind)
	}
	e.word()
}

// integer writes a field of a size and remembers it. What counts is small,
// what is compared is often what it is compared with.
func (e *encoder) integer(size int) {
	rest := strings.TrimLeft(e.text[e.pos:], " ")
	name := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))]
	v := e.rng.Uint64()
	switch {
	case strings.Contains(e.text, name+"!=0xFFFF") && e.rng.IntN(3) == 0:
		v = 0xffff
	case e.counts[name]:
		v = uint64(e.rng.IntN(4))
	case e.rng.IntN(3) == 0:
		v = uint64(e.rng.IntN(3))
	case len(e.numbers) > 0 && e.rng.IntN(3) > 0:
		v = e.numbers[e.rng.IntN(len(e.numbers))]
		if e.rng.IntN(2) == 0 {
			v |= e.numbers[e.rng.IntN(len(e.numbers))]
		}
	}
	b := binary.LittleEndian.AppendUint64(nil, v)[:size]
	e.out = append(e.out, b...)
	e.fields[name] = binary.LittleEndian.Uint64(append(slices.Clone(b), make([]byte, 8)...))
}

func (e *encoder) noise(n int) {
	for range n {
		e.out = append(e.out, byte(e.rng.Uint32()))
	}
}

func (e *encoder) u16(v int) { e.out = binary.LittleEndian.AppendUint16(e.out, uint16(v)) }

func (e *encoder) small16() int {
	n := e.rng.IntN(4)
	e.u16(n)
	return n
}

func (e *encoder) str(wide bool) {
	for range e.rng.IntN(5) {
		e.out = append(e.out, byte('A'+e.rng.IntN(26)))
		if wide {
			e.out = append(e.out, byte(e.rng.IntN(2)))
		}
	}
	e.out = append(e.out, 0)
	if wide {
		e.out = append(e.out, 0)
	}
}

func (e *encoder) name() {
	kind := []byte{0xff, 0, 1}[e.rng.IntN(3)]
	e.out = append(e.out, kind)
	switch kind {
	case 0:
		e.noise(16 + 4)
	case 1:
		n := 2 * e.rng.IntN(4)
		e.noise(16)
		e.out = append(e.out, byte(n))
		e.noise(n)
	}
}

// propertyTypes has every type of [MS-OXCDATA] 2.11.1 that a value can have.
var propertyTypes = []uint16{
	0x0000, 0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0006, 0x0007, 0x000a, 0x000b, 0x000d, 0x0014, 0x001e, 0x001f,
	0x0040, 0x0048, 0x00fb, 0x00fd, 0x00fe, 0x0102, 0x1002, 0x1003, 0x1004, 0x1005, 0x1006, 0x1007, 0x1014, 0x101e,
	0x101f, 0x1040, 0x1048, 0x1102,
}

var wantSizes = map[uint16]int{
	0x0001: 0, 0x0002: 2, 0x0003: 4, 0x0004: 4, 0x0005: 8, 0x0006: 8, 0x0007: 8, 0x000a: 4, 0x000b: 1, 0x000d: 0,
	0x0014: 8, 0x0040: 8, 0x0048: 16,
}

// value writes a value of a type; in rows the real type of an unspecified one
// is already there.
func (e *encoder) value(kind uint16) {
	if size, ok := wantSizes[kind]; ok {
		e.noise(size)
		return
	}
	switch {
	case kind == 0x0000:
		real := propertyTypes[1+e.rng.IntN(len(propertyTypes)-1)]
		e.u16(int(real))
		e.value(real)
	case kind == 0x001e:
		e.str(false)
	case kind == 0x001f:
		e.str(true)
	case kind == 0x0102 || kind == 0x00fb:
		n := e.rng.IntN(6)
		e.u16(n)
		e.noise(n)
	case kind == 0x00fd:
		e.restriction()
	case kind == 0x00fe:
		for range e.small16() {
			n := e.rng.IntN(6)
			e.u16(n)
			e.noise(n)
		}
	case kind&0x1000 != 0:
		n := e.rng.IntN(4)
		e.out = binary.LittleEndian.AppendUint32(e.out, uint32(n))
		for range n {
			e.value(kind &^ 0x1000)
		}
	default:
		panic(fmt.Sprintf("no value of type %#x", kind))
	}
}

func (e *encoder) tagged() {
	kind := propertyTypes[e.rng.IntN(len(propertyTypes))]
	e.u16(int(kind))
	e.noise(2)
	e.value(kind)
}

// restriction writes one of every kind, nested a little.
func (e *encoder) restriction() {
	e.depth++
	defer func() { e.depth-- }()
	kind := e.rng.IntN(12)
	if e.depth > 3 {
		kind = 8
	}
	e.out = append(e.out, byte(kind))
	switch kind {
	case 0, 1:
		for range e.small16() {
			e.restriction()
		}
	case 2:
		e.restriction()
	case 3:
		e.noise(8)
		e.tagged()
	case 4:
		e.noise(5)
		e.tagged()
	case 5, 6, 7:
		e.noise(9)
	case 8:
		e.noise(4)
	case 9, 11:
		e.noise(4)
		e.restriction()
	case 10:
		n := e.rng.IntN(3)
		e.out = append(e.out, byte(n))
		for range n {
			e.tagged()
		}
		there := byte(e.rng.IntN(2))
		if e.out = append(e.out, there); there != 0 {
			e.restriction()
		}
	}
}

// columns makes up tags, some of them those of tables with a row for each
// value.
func (e *encoder) columns() []byte {
	out := []byte{}
	for range e.rng.IntN(6) {
		kind := propertyTypes[e.rng.IntN(len(propertyTypes))]
		if kind&0x1000 != 0 && e.rng.IntN(2) == 0 {
			kind |= 0x2000
		}
		out = binary.LittleEndian.AppendUint16(out, kind)
		out = binary.LittleEndian.AppendUint16(out, uint16(e.rng.Uint32()))
	}
	return out
}

func (e *encoder) row(source string) {
	columns := e.table
	switch {
	case source == "req.PropertyTags":
		columns = e.req
	case source != "table.columns":
		columns = nil
		for _, tag := range strings.Split(source, ",") {
			n, err := strconv.ParseUint(strings.TrimSpace(tag), 0, 32)
			if err != nil {
				panic(err)
			}
			columns = binary.LittleEndian.AppendUint32(columns, uint32(n))
		}
	}
	flagged := e.rng.IntN(2) == 1
	e.out = append(e.out, map[bool]byte{true: 1}[flagged])
	for i := 0; i < len(columns); i += 4 {
		kind := binary.LittleEndian.Uint16(columns[i:])
		if kind == 0 {
			kind = propertyTypes[1+e.rng.IntN(len(propertyTypes)-1)]
			e.u16(int(kind))
		}
		if kind&0x2000 != 0 {
			kind &= 0x0fff
		}
		state := byte(0)
		if flagged {
			state = []byte{0, 1, 0x0a}[e.rng.IntN(3)]
			e.out = append(e.out, state)
		}
		switch state {
		case 0:
			e.value(kind)
		case 0x0a:
			e.noise(4)
		}
	}
}

// eval computes an expression: precedence climbing over its text.
func (e *encoder) eval(text string) uint64 {
	x := &evaluator{text: strings.ReplaceAll(text, " ", ""), fields: e.fields}
	v := x.binary(0)
	if x.text != "" {
		panic(fmt.Sprintf("%q: %q is left over", text, x.text))
	}
	return v
}

type evaluator struct {
	text   string
	fields map[string]uint64
}

// precedence of C for the operators of layouts, except that & binds closest.
var precedence = []string{"||", "&&", "==", "!=", ">=", "<=", "&"}

func (x *evaluator) binary(least int) uint64 {
	v := x.unary()
	for {
		op := -1
		for i, sign := range precedence {
			if strings.HasPrefix(x.text, sign) && (sign != "&" || !strings.HasPrefix(x.text, "&&")) {
				op = i
			}
		}
		if op < least {
			return v
		}
		x.text = x.text[len(precedence[op]):]
		w := x.binary(op + 1)
		v = map[string]func() uint64{
			"||": func() uint64 { return bit(v != 0 || w != 0) }, "&&": func() uint64 { return bit(v != 0 && w != 0) },
			"==": func() uint64 { return bit(v == w) }, "!=": func() uint64 { return bit(v != w) },
			">=": func() uint64 { return bit(v >= w) }, "<=": func() uint64 { return bit(v <= w) },
			"&": func() uint64 { return v & w },
		}[precedence[op]]()
	}
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (x *evaluator) unary() uint64 {
	if rest, ok := strings.CutPrefix(x.text, "!"); ok {
		x.text = rest
		return bit(x.unary() == 0)
	}
	if rest, ok := strings.CutPrefix(x.text, "("); ok {
		x.text = rest
		v := x.binary(0)
		x.text = strings.TrimPrefix(x.text, ")")
		return v
	}
	n := strings.IndexAny(x.text, "|&=!<>()")
	if n < 0 {
		n = len(x.text)
	}
	word := x.text[:n]
	x.text = x.text[n:]
	if v, err := strconv.ParseUint(word, 0, 64); err == nil {
		return v
	}
	v, ok := x.fields[word]
	if !ok {
		panic("unknown name " + word)
	}
	return v
}
