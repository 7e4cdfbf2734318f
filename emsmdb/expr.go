package emsmdb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Registers of a layout program. The first two hold what is known before the
// ROP is read, the others the fields that expressions name.
const (
	regReturn  = 0 // ReturnValue
	regPrivate = 1 // 1: the logon is of a private mailbox
	maxRegs    = 10
)

type registers [maxRegs]uint64

// expr computes a value from the fields that were read so far.
type expr func(r *registers) uint64

// scanner reads the text of a layout. The texts are part of the program, so
// whatever is wrong with them is a defect and panics.
type scanner struct {
	text    string
	pos     int
	fields  []string // names that may stand in an expression
	regs    []int    // by field: its register, negative when no expression reads it
	next    int      // first free register
	private bool     // some expression reads ctx.private
}

func newScanner(text string) *scanner {
	return &scanner{text: text, fields: []string{"rv", "ctx.private"}, regs: []int{regReturn, regPrivate}, next: regPrivate + 1}
}

func (s *scanner) fail(what string) {
	panic(fmt.Sprintf("emsmdb: layout %q, at %d: %s", s.text, s.pos, what))
}

func (s *scanner) space() {
	for s.pos < len(s.text) && s.text[s.pos] == ' ' {
		s.pos++
	}
}

// take passes over token if it comes next.
func (s *scanner) take(token string) bool {
	s.space()
	if !strings.HasPrefix(s.text[s.pos:], token) {
		return false
	}
	s.pos += len(token)
	return true
}

func (s *scanner) need(token string) {
	if !s.take(token) {
		s.fail("want " + token)
	}
}

// word reads a name or number.
func (s *scanner) word() string {
	s.space()
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte(" ;(){}[]&|=!<>,", s.text[s.pos]) < 0 {
		s.pos++
	}
	return s.text[start:s.pos]
}

// operators are the binary ones by rising precedence, as in C. In a level the
// longer come first, so that < does not match <=.
var operators = [][]struct {
	sign  string
	apply func(a, b uint64) bool
}{
	{{"||", func(a, b uint64) bool { return a != 0 || b != 0 }}},
	{{"&&", func(a, b uint64) bool { return a != 0 && b != 0 }}},
	{
		{"==", func(a, b uint64) bool { return a == b }},
		{"!=", func(a, b uint64) bool { return a != b }},
	},
	{
		{">=", func(a, b uint64) bool { return a >= b }},
		{"<=", func(a, b uint64) bool { return a <= b }},
	},
}

// expression compiles a condition or a count.
func (s *scanner) expression() expr { return s.binary(0) }

func (s *scanner) binary(level int) expr {
	if level == len(operators) {
		return s.mask()
	}
	left := s.binary(level + 1)
next:
	for {
		for _, o := range operators[level] {
			if s.take(o.sign) {
				l, right, apply := left, s.binary(level+1), o.apply
				left = func(r *registers) uint64 {
					if apply(l(r), right(r)) {
						return 1
					}
					return 0
				}
				continue next
			}
		}
		return left
	}
}

// mask compiles the bit test. Unlike in C it binds closer than a comparison;
// the layouts put it in parentheses where that matters.
func (s *scanner) mask() expr {
	left := s.unary()
	if s.space(); strings.HasPrefix(s.text[s.pos:], "&&") || !s.take("&") {
		return left
	}
	right := s.unary()
	return func(r *registers) uint64 { return left(r) & right(r) }
}

func (s *scanner) unary() expr {
	switch {
	case s.take("!"):
		e := s.unary()
		return func(r *registers) uint64 {
			if e(r) == 0 {
				return 1
			}
			return 0
		}
	case s.take("("):
		e := s.expression()
		s.need(")")
		return e
	}
	word := s.word()
	if n, err := strconv.ParseUint(word, 0, 64); err == nil {
		return func(*registers) uint64 { return n }
	}
	i := slices.Index(s.fields, word)
	if i < 0 {
		s.fail("unknown name " + word)
	}
	if s.regs[i] < 0 {
		s.regs[i] = s.next
		s.next++
	}
	reg := s.regs[i]
	if reg >= maxRegs {
		s.fail("too many names in expressions")
	}
	s.private = s.private || reg == regPrivate
	return func(r *registers) uint64 { return r[reg] }
}

// declare makes name known to expressions and returns its index. Fields of
// the same name in two branches share it.
func (s *scanner) declare(name string) int {
	if i := slices.Index(s.fields, name); i >= 0 {
		return i
	}
	s.fields = append(s.fields, name)
	s.regs = append(s.regs, -1)
	return len(s.fields) - 1
}
