package dcerpc

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/budget"
	"mapiscope/internal/wire"
)

// program reads a script from fuzzed bytes: a byte that says the side and what
// comes, two for its length, then the bytes themselves.
//
//	bit 0 side, bit 1 gap, bits 2 and up: 0 plain
func program(b []byte) (s script) {
	for len(b) >= 3 {
		op, n := b[0], int(binary.LittleEndian.Uint16(b[1:]))
		b = b[3:]
		x := step{side: wire.Side(op & 1)}
		if op&2 != 0 {
			x.gap = int64(n) + 1
		} else {
			n = min(n, len(b))
			if n == 0 {
				continue
			}
			x.data, b = b[:n], b[n:]
		}
		s = append(s, x)
	}
	return s
}

// bytes is the program of a script.
func (s script) bytes() (b []byte) {
	for _, x := range s {
		op, n := byte(x.side), len(x.data)
		if x.gap > 0 {
			op, n = op|2, int(x.gap-1)
		}
		b = append(b, op, byte(n), byte(n>>8))
		b = append(b, x.data...)
	}
	return b
}

// seeds are recorded conversations, whole and with holes.
func seeds(f *testing.F, add func(b []byte)) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, s := range conversations(f) {
		s = s.prefix(4000)
		add(s.bytes())
		add(s.holes(r, 3).bytes())
	}
	add(busy().bytes())
}

// FuzzFramer checks that the same streams give the same result in any
// segmentation.
func FuzzFramer(f *testing.F) {
	seeds(f, func(b []byte) { f.Add(b, uint64(1), true); f.Add(b, uint64(2), false) })
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, midstream bool) {
		s := program(b)
		p := playing{midstream: midstream, limits: small()}
		one := func(s script) string {
			r := &recorder{want: 1 << 20, log: true}
			c := NewConn(p.limits, r)
			if midstream {
				c.Midstream()
			}
			for _, x := range s {
				if x.gap > 0 {
					c.Gap(x.side, 0, wire.Mark{}, x.gap)
				} else {
					c.Data(x.side, 0, wire.Mark{}, x.data)
				}
			}
			c.End(wire.Mark{})
			return outcome(c, r)
		}
		if d := cmp.Diff(one(s.merge()), one(s.cut(rand.New(rand.NewPCG(seed, 0))))); d != "" {
			t.Errorf("(-one segment +many):\n%s", d)
		}
	})
}

// small are limits that fuzzed input can hit.
func small() Limits {
	return Limits{Contexts: 8, Auths: 3, OpenCalls: 4, Operations: 5, Faults: 3, StubBytes: 4096, Scan: 2000}
}

// FuzzConn checks, after every step of any input, that memory is bounded, that
// every byte is accounted for at the end, and that every call ends once.
func FuzzConn(f *testing.F) {
	seeds(f, func(b []byte) { f.Add(b, true); f.Add(b, false) })
	f.Fuzz(func(t *testing.T, b []byte, midstream bool) {
		l := small()
		l.Budget = budget.New(0)
		r := &ender{open: map[uint32]bool{}, t: t}
		c := NewConn(l, r)
		if midstream {
			c.Midstream()
		}
		s := program(b)
		for i, x := range s {
			m := wire.Mark{Time: int64(i), Packet: int64(i) + 1}
			if x.gap > 0 {
				c.Gap(x.side, 0, m, x.gap)
			} else {
				c.Data(x.side, 0, m, x.data)
			}
			held := 0
			for i := range c.framers {
				fr := &c.framers[i]
				held += len(fr.held()) + len(fr.window.bytes())
				if len(fr.window.chunks) > maxChunks || fr.window.off > compactAt+0xffff+len(x.data) {
					t.Fatalf("a window of %d packets, %d bytes behind", len(fr.window.chunks), fr.window.off)
				}
			}
			for i := range c.partial {
				if n := len(c.partial[i].body) + len(c.partial[i].auth.token); n > maxBind {
					t.Fatalf("%d bytes of a bind", n)
				}
			}
			if held > 2*(0xffff+headerLength+1) {
				t.Fatalf("%d bytes are held", held)
			}
			if len(c.Contexts) > l.Contexts || len(c.Auths) > l.Auths || c.open > l.OpenCalls || len(c.Ops) > l.Operations ||
				len(c.Faults) > l.Faults || len(c.Naks) > l.Faults || c.stubBytes > l.StubBytes {
				t.Fatalf("past its limits: %d contexts, %d auths, %d calls, %d operations, %d faults, %d naks, %d stub bytes",
					len(c.Contexts), len(c.Auths), c.open, len(c.Ops), len(c.Faults), len(c.Naks), c.stubBytes)
			}
			if got := c.Bytes.Sum() + int64(held); got != c.Bytes.Delivered {
				t.Fatalf("step %d: %d of %d bytes are booked or held", i, got, c.Bytes.Delivered)
			}
		}
		c.End(wire.Mark{})
		if c.Bytes.Sum() != c.Bytes.Delivered || c.Bytes.Delivered != s.delivered() {
			t.Errorf("%d bytes went in, %+v", s.delivered(), c.Bytes)
		}
		if len(r.open) != 0 || l.Budget.Sum() != 0 {
			t.Errorf("%d calls are left, and %d bytes are charged for them", len(r.open), l.Budget.Sum())
		}
	})
}

// ender checks that a call whose request was handed over ends exactly once.
type ender struct {
	open map[uint32]bool
	t    *testing.T
}

func (r *ender) Want(*Call, bool) int { return 1 << 20 }

func (r *ender) Request(call *Call, _ []byte) {
	if r.open[call.ID] {
		r.t.Errorf("call %d is open twice", call.ID)
	}
	r.open[call.ID] = true
}

func (r *ender) Response(call *Call, _ []byte) {
	if call.Request.Complete != r.open[call.ID] {
		r.t.Errorf("call %d ends, its request was handed over: %v", call.ID, r.open[call.ID])
	}
	delete(r.open, call.ID)
}

func (r *ender) Lost(call *Call) { delete(r.open, call.ID) }
func (r *ender) Event(*Event)    {}
