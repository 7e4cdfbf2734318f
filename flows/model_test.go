package flows

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"mapiscope/internal/wire"
)

var (
	clientEnd = netip.MustParseAddrPort("10.0.0.1:40000")
	serverEnd = netip.MustParseAddrPort("10.0.0.2:135")
)

// recorder is a handler that checks that calls are consecutive and keeps the
// bytes, with zeros for gaps.
type recorder struct {
	t    testing.TB
	got  [2][]byte
	pos  [2]int64
	gaps [2]int64
	ends int
}

func (r *recorder) Data(side wire.Side, pos int64, _ wire.Mark, b []byte) {
	if pos != r.pos[side] || r.ends > 0 {
		r.t.Fatalf("Data at %d, want %d (after End: %d)", pos, r.pos[side], r.ends)
	}
	r.pos[side] += int64(len(b))
	r.got[side] = append(r.got[side], b...)
}

func (r *recorder) Gap(side wire.Side, pos int64, _ wire.Mark, n int64) {
	if pos != r.pos[side] || n <= 0 || r.ends > 0 {
		r.t.Fatalf("Gap of %d at %d, want %d", n, pos, r.pos[side])
	}
	r.pos[side] += n
	r.gaps[side] += n
	if n <= 1<<22 {
		r.got[side] = append(r.got[side], make([]byte, n)...)
	}
}

func (r *recorder) End(wire.Mark) { r.ends++ }

// wireTap feeds a Tracker with segments of one connection and checks the
// ledger after each.
type wireTap struct {
	t       testing.TB
	tracker *Tracker
	rec     *recorder
	conn    *Conn
	conns   []*Conn
	n, now  int64
	payload int64
}

func newTap(t testing.TB, l Limits) *wireTap {
	tap := &wireTap{t: t}
	tap.tracker = NewTracker(l, func(c *Conn) Handler {
		tap.conn, tap.rec = c, &recorder{t: t}
		tap.conns = append(tap.conns, c)
		return tap.rec
	})
	return tap
}

// send is one segment; ack 0 means none.
func (w *wireTap) send(side wire.Side, flags uint8, seq, ack uint32, payload []byte) {
	w.sendCut(side, flags, seq, ack, payload, len(payload))
}

func (w *wireTap) sendCut(side wire.Side, flags uint8, seq, ack uint32, payload []byte, length int) {
	w.n++
	w.now += 1e6
	f := Frame{Src: clientEnd, Dst: serverEnd, Seq: seq, Ack: ack, Flags: flags, Window: 1000, Payload: payload, Length: length}
	f.Time, f.Packet = w.now, w.n
	if side == wire.SideB {
		f.Src, f.Dst = f.Dst, f.Src
	}
	w.payload += int64(len(payload))
	w.tracker.Segment(&f)
	w.balance(int64(w.tracker.Held()))
}

func (w *wireTap) balance(held int64) {
	l := w.tracker.Ledger()
	if l.CapturedPayload != w.payload || l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped+held {
		w.t.Fatalf("packet %d: ledger out of balance: %+v, held %d, sent %d", w.n, l, held, w.payload)
	}
}

func (w *wireTap) flush() {
	w.tracker.Flush()
	w.balance(0)
	for _, r := range []*recorder{w.rec} {
		if r.ends != 1 {
			w.t.Fatalf("End was called %d times", r.ends)
		}
	}
}

// TestAgainstModel sends random segments of a known stream, with loss,
// reordering, overlaps and repetition, across the wrap of sequence numbers,
// and compares with a plain array of bytes.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 7))
		limits := DefaultLimits()
		if seed%3 == 0 {
			limits.HoldBytes, limits.HoldPieces = 300, 4
		}
		tap := newTap(t, limits)
		isn := rng.Uint32()
		if seed%2 == 0 {
			isn = 0xffffffff - uint32(rng.IntN(500))
		}
		stream := make([]byte, 1000+rng.IntN(3000))
		for i := range stream {
			stream[i] = byte(1 + rng.IntN(255))
		}
		tap.send(0, SYN, isn, 0, nil)
		captured := make([]bool, len(stream))
		order := segments(rng, len(stream))
		for _, s := range order {
			if rng.IntN(10) == 0 {
				continue // lost in the capture
			}
			tap.send(0, ACK, isn+1+uint32(s.from), 1, stream[s.from:s.to])
			for i := s.from; i < s.to; i++ {
				captured[i] = true
			}
		}
		tap.send(0, ACK|FIN, isn+1+uint32(len(stream)), 1, nil)
		tap.flush()
		compare(t, seed, tap, stream, captured)
	}
}

type span struct{ from, to int }

// segments cuts a stream into overlapping pieces and shuffles them locally.
func segments(rng *rand.Rand, n int) []span {
	var out []span
	for at := 0; at < n; {
		to := min(at+1+rng.IntN(120), n)
		out = append(out, span{max(at-rng.IntN(20)*rng.IntN(2), 0), to})
		at = to
	}
	for i := range out {
		j := min(i+rng.IntN(6), len(out)-1)
		out[i], out[j] = out[j], out[i]
	}
	for range len(out) / 4 {
		out = append(out, out[rng.IntN(len(out))])
	}
	return out
}

func compare(t *testing.T, seed uint64, tap *wireTap, stream []byte, captured []bool) {
	t.Helper()
	got := tap.rec.got[0]
	if len(got) != len(stream) {
		t.Fatalf("seed %d: stream of %d bytes, want %d", seed, len(got), len(stream))
	}
	missing := int64(0)
	for i := range stream {
		switch {
		case got[i] == 0:
			missing++
			if captured[i] && tap.tracker.Stats().ReassemblyHoles == 0 {
				t.Fatalf("seed %d: byte %d was captured and is a gap", seed, i)
			}
		case got[i] != stream[i]:
			t.Fatalf("seed %d: byte %d is %d, want %d", seed, i, got[i], stream[i])
		}
	}
	if missing != tap.rec.gaps[0] || missing != tap.conn.Sides[0].GapBytes {
		t.Fatalf("seed %d: %d bytes missing, gaps say %d, stats %d", seed, missing, tap.rec.gaps[0], tap.conn.Sides[0].GapBytes)
	}
	if tap.conn.Sides[0].Bytes+missing != int64(len(stream)) {
		t.Fatalf("seed %d: Bytes %d + gap %d != %d", seed, tap.conn.Sides[0].Bytes, missing, len(stream))
	}
}

// TestServerAnswersAgain: a SYN/ACK with another number replaces the first one
// until the client has acknowledged that.
func TestServerAnswersAgain(t *testing.T) {
	const first, second = 5000, 3_000_000_000
	tests := []struct {
		name string
		ack  uint32 // of the client, between the two; 0 for no packet
		from uint32 // number of the server's data
	}{
		{"before the client acknowledged any", 0, second + 1},
		{"the client acknowledged the first", first + 1, first + 1},
		{"the client acknowledged what was not captured", second + 1, second + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tap := newTap(t, DefaultLimits())
			tap.send(wire.SideA, SYN, 100, 0, nil)
			tap.send(wire.SideB, SYN|ACK, first, 101, nil)
			if tt.ack != 0 {
				tap.send(wire.SideA, ACK, 101, tt.ack, nil)
			}
			tap.send(wire.SideB, SYN|ACK, second, 101, nil)
			tap.send(wire.SideB, ACK, tt.from, 101, []byte("data"))
			tap.flush()
			if got := string(tap.rec.got[wire.SideB]); got != "data" {
				t.Errorf("the server sent %q, gaps %d", got, tap.rec.gaps[wire.SideB])
			}
		})
	}
}

func FuzzTracker(f *testing.F) {
	f.Add([]byte{0, SYN, 0, 0, 1, SYN | ACK, 0, 0, 0, ACK, 1, 10, 1, ACK, 1, 200})
	f.Add(bytes.Repeat([]byte{0, ACK, 5, 20, 0, ACK, 90, 30}, 10))
	f.Add([]byte{0, ACK | FIN, 9, 9, 1, RST, 3, 3, 0, SYN, 200, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		limits := DefaultLimits()
		limits.HoldBytes, limits.HoldPieces, limits.Connections = 500, 5, 2
		tap := newTap(t, limits)
		payload := bytes.Repeat([]byte{0xaa}, 256)
		for i := 0; i+4 <= len(script); i += 4 {
			op, flags, at, n := script[i], script[i+1], uint32(script[i+2]), int(script[i+3])
			seq := at * 7
			if op&4 != 0 {
				seq += uint32(op) << 24
			}
			cut := n
			if op&8 != 0 {
				cut = n / 2
			}
			tap.sendCut(wire.Side(op&1), flags, seq, at*11, payload[:cut], n)
			if op&16 != 0 {
				tap.now += 600e9
			}
		}
		tap.tracker.Flush()
		tap.balance(0)
	})
}

func BenchmarkSegmentInOrder(b *testing.B) {
	tracker := NewTracker(DefaultLimits(), func(*Conn) Handler { return nil })
	payload := make([]byte, 1460)
	f := Frame{Src: clientEnd, Dst: serverEnd, Flags: ACK, Window: 1000, Payload: payload, Length: len(payload)}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f.Packet, f.Time = int64(i+1), int64(i)*1000
		tracker.Segment(&f)
		f.Seq += uint32(len(payload))
	}
}
