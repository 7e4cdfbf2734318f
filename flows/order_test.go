package flows

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

// said records which side was heard, in order.
type said struct {
	recorder
	log string
}

func (s *said) Data(side wire.Side, pos int64, m wire.Mark, b []byte) {
	s.recorder.Data(side, pos, m, b)
	s.log += string(b) + " "
}

func (s *said) Gap(side wire.Side, pos int64, m wire.Mark, n int64) {
	s.recorder.Gap(side, pos, m, n)
	s.log += "- "
}

// packet is one segment of TestOrder and TestPadding; from is 'c' or 's'.
type packet struct {
	from     byte
	at       time.Duration
	flags    uint8
	seq, ack uint32
	data     string
}

// hear plays packets and returns what a handler was told, and the connections.
func hear(t *testing.T, packets []packet) (log string, conns []*Conn, tr *Tracker) {
	t.Helper()
	var all []*said
	tr = NewTracker(DefaultLimits(), func(c *Conn) Handler {
		conns = append(conns, c)
		all = append(all, &said{recorder: recorder{t: t}})
		return all[len(all)-1]
	})
	for i, p := range packets {
		f := Frame{Src: clientEnd, Dst: serverEnd, Seq: p.seq, Ack: p.ack, Flags: p.flags, Window: 100, Payload: []byte(p.data), Length: len(p.data), ID: uint16(i + 1)}
		if p.from == 's' {
			f.Src, f.Dst = f.Dst, f.Src
		}
		f.Time, f.Packet = int64(time.Hour+p.at), int64(i+1)
		tr.Segment(&f)
		if l := tr.Ledger(); l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped+int64(tr.Held()) {
			t.Fatalf("packet %d: ledger out of balance: %+v, held %d", i+1, l, tr.Held())
		}
	}
	tr.Flush()
	if l := tr.Ledger(); tr.Held() != 0 || l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped {
		t.Fatalf("at the end: ledger out of balance: %+v, held %d", l, tr.Held())
	}
	for i, s := range all {
		if i > 0 {
			log += "| "
		}
		log += s.log
	}
	return log, conns, tr
}

const (
	pa  = PSH | ACK
	fa  = FIN | ACK
	ms  = time.Millisecond
	us  = time.Microsecond
	sec = time.Second
)

func handshake(more ...packet) []packet {
	return append([]packet{
		{'c', 0, SYN, 100, 0, ""}, {'s', 10 * ms, SYN | ACK, 500, 101, ""}, {'c', 20 * ms, ACK, 101, 501, ""},
	}, more...)
}

// TestOrder: an answer waits for the question that it acknowledges, no longer
// than anything says that the question will not come.
func TestOrder(t *testing.T) {
	early := func(n int64, by time.Duration, packet int64) *Early {
		return &Early{Segments: n, By: by, Mark: wire.Mark{Packet: packet}}
	}
	tests := []struct {
		name    string
		packets []packet
		log     string
		server  *Early
	}{
		{"in order", handshake(packet{'c', 30 * ms, pa, 101, 501, "ask-1"}, packet{'s', 40 * ms, pa, 501, 106, "answer-1"}), "ask-1 answer-1 ", nil},
		{"answer first", handshake(packet{'s', 30 * ms, pa, 501, 106, "answer-1"}, packet{'c', 30*ms + 4*us, pa, 101, 501, "ask-1"}),
			"ask-1 answer-1 ", early(1, 4*us, 4)},
		{"answer first, in two segments", handshake(
			packet{'s', 30 * ms, ACK, 501, 106, "an-answer-without-push-"}, packet{'s', 31 * ms, pa, 524, 106, "end"}, packet{'c', 33 * ms, pa, 101, 501, "ask-1"}),
			"ask-1 an-answer-without-push- end ", early(2, 3*ms, 4)},
		{"two questions and answers, both answers first", handshake(
			packet{'s', 30 * ms, pa, 501, 106, "answer-1"}, packet{'s', 32 * ms, pa, 509, 111, "answer-2"},
			packet{'c', 33 * ms, pa, 101, 501, "ask-1"}, packet{'c', 35 * ms, pa, 106, 509, "ask-2"}),
			"ask-1 answer-1 ask-2 answer-2 ", early(2, 3*ms, 4)},
		{"question never captured: the next one shows it", handshake(
			packet{'s', 30 * ms, pa, 501, 106, "answer-1"}, packet{'c', 33 * ms, pa, 106, 509, "ask-2"}, packet{'s', 40 * ms, pa, 509, 111, "answer-2"}),
			"answer-1 answer-2 - ask-2 ", nil},
		{"question never captured: the acknowledgement of the answer shows it", handshake(
			packet{'s', 30 * ms, pa, 501, 106, "answer-1"}, packet{'c', 33 * ms, ACK, 106, 509, ""}, packet{'s', 33 * ms, pa, 509, 106, "more"}),
			"answer-1 more - ", nil},
		{"question never captured: time shows it", handshake(
			packet{'s', 30 * ms, pa, 501, 106, "answer-1"}, packet{'s', 6 * sec, pa, 509, 106, "more"}),
			"answer-1 more - ", nil},
		{"question never captured, and later one captured behind its answer", handshake(
			packet{'s', 30 * ms, pa, 501, 106, "answer-1"}, packet{'s', 6 * sec, pa, 509, 106, "more"}, packet{'s', 6 * sec, ACK, 513, 106, ""},
			packet{'c', 6 * sec, pa, 101, 513, "ask-1"}, packet{'s', 7 * sec, pa, 513, 111, "answer-2"}, packet{'c', 7*sec + ms, pa, 106, 513, "ask-2"}),
			"answer-1 more ask-1 ask-2 answer-2 ", early(1, ms, 8)},
		{"before anything of the client", []packet{
			{'s', 0, SYN | ACK, 500, 101, ""}, {'s', ms, ACK, 501, 101, ""}, {'s', 2 * ms, pa, 501, 106, "answer-1"},
			{'c', 5 * ms, SYN, 100, 0, ""}, {'c', 6 * ms, ACK, 101, 501, ""}, {'c', 7 * ms, pa, 101, 501, "ask-1"}},
			"ask-1 answer-1 ", early(1, 5*ms, 3)},
		{"only the server was captured", []packet{
			{'s', 0, SYN | ACK, 500, 101, ""}, {'s', 2 * ms, pa, 501, 106, "answer-1"}, {'s', 8 * ms, pa, 509, 111, "answer-2"}},
			"answer-1 answer-2 ", nil},
		{"a FIN is no question", handshake(packet{'s', 30 * ms, pa, 501, 102, "bye"}), "bye ", nil},
		{"only order, the times are right", handshake(packet{'s', 30 * ms, pa, 501, 106, "answer-1"}, packet{'c', 29 * ms, pa, 101, 501, "ask-1"}),
			"ask-1 answer-1 ", early(1, 0, 4)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, conns, _ := hear(t, tt.packets)
			if log != tt.log {
				t.Errorf("heard %q, want %q", log, tt.log)
			}
			got := conns[0].Sides[conns[0].Client.Other()].Early
			if got != nil {
				got.Mark = wire.Mark{Packet: got.Mark.Packet}
			}
			if d := cmp.Diff(tt.server, got); d != "" {
				t.Errorf("early (-want +got):\n%s", d)
			}
		})
	}
}

// TestPadding: the padding of short frames that IP counts is no data, and data
// that looks like it is.
func TestPadding(t *testing.T) {
	const six = "\x00\x00\x00\x00\x00\x00"
	tests := []struct {
		name    string
		packets []packet
		log     string
		padding int32
	}{
		{"handshake's acknowledgement", []packet{
			{'c', 0, SYN, 100, 0, ""}, {'s', ms, SYN | ACK, 500, 101, ""}, {'c', 2 * ms, ACK, 101, 501, six}, {'c', 3 * ms, pa, 101, 501, "a question"},
			{'s', 4 * ms, pa, 501, 111, "an answer"}}, "a question an answer ", 6},
		{"every acknowledgement", handshake(
			packet{'c', 30 * ms, pa, 101, 501, "a question"}, packet{'s', 40 * ms, pa, 501, 111, "an answer"}, packet{'c', 41 * ms, ACK, 111, 510, six},
			packet{'c', 42 * ms, ACK, 111, 510, six}, packet{'c', 43 * ms, pa, 111, 510, "another"}, packet{'s', 44 * ms, pa, 510, 118, "answered"}),
			"a question an answer another answered ", 6},
		{"garbage", handshake(packet{'c', 30 * ms, ACK, 101, 501, "junk!!"}, packet{'c', 31 * ms, pa, 101, 501, "a question"}), "a question ", 6},
		{"on a FIN", handshake(packet{'c', 30 * ms, fa, 101, 501, six}, packet{'s', 31 * ms, ACK, 501, 102, ""}), "", 6},
		{"data that goes on behind it", handshake(packet{'c', 30 * ms, ACK, 101, 501, "small"}, packet{'c', 31 * ms, pa, 106, 501, "a question"}), "small a question ", 0},
		{"data that is acknowledged", handshake(packet{'c', 30 * ms, ACK, 101, 501, six}, packet{'s', 31 * ms, pa, 501, 107, "ok"}), six + " ok ", 0},
		{"data that is sent again with more", handshake(packet{'c', 30 * ms, ACK, 101, 501, "small"}, packet{'c', 31 * ms, pa, 101, 501, "smaller"}), "small er ", 0},
		{"data at the end of the capture", handshake(packet{'c', 30 * ms, ACK, 101, 501, "small"}), "small ", 0},
		{"zeros at the end of the capture", handshake(packet{'c', 30 * ms, ACK, 101, 501, six}), "", 6},
		{"zeros that were written", handshake(packet{'c', 30 * ms, pa, 101, 501, six}), six + " ", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, conns, _ := hear(t, tt.packets)
			if log != tt.log {
				t.Errorf("heard %q, want %q", log, tt.log)
			}
			if got := conns[0].Sides[0].Padding; got != tt.padding {
				t.Errorf("%d bytes of padding, want %d", got, tt.padding)
			}
			if n := conns[0].Sides[0].GapBytes + conns[0].Sides[1].GapBytes; n != 0 {
				t.Errorf("%d bytes missing", n)
			}
		})
	}
}

// TestEnds: what opens a new connection between the same ports, and how one
// ends behind a RST.
func TestEnds(t *testing.T) {
	closed := []packet{{'c', 50 * ms, fa, 106, 509, ""}, {'s', 60 * ms, fa, 509, 107, ""}, {'c', 70 * ms, ACK, 107, 510, ""}}
	talk := []packet{{'c', 20 * ms, ACK, 101, 501, ""}, {'c', 30 * ms, pa, 101, 501, "ask-1"}, {'s', 40 * ms, pa, 501, 106, "answer-1"}}
	join := func(parts ...[]packet) (all []packet) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	one := func(p packet) []packet { return []packet{p} }
	tests := []struct {
		name    string
		packets []packet
		states  []State
		origin  Origin
		ignored int32
	}{
		{"SYN behind its FINs", join(talk, closed, one(packet{'c', 71 * ms, SYN, 100, 0, ""})), []State{Closed}, Handshake, 0},
		{"SYN behind its RST", join(talk, one(packet{'s', 50 * ms, RST, 509, 0, ""}), one(packet{'c', 71 * ms, SYN, 100, 0, ""})), []State{ResetByServer}, Handshake, 0},
		{"SYN/ACK behind its FINs", join(talk, closed, one(packet{'s', 71 * ms, SYN | ACK, 500, 101, ""})), []State{Closed}, Handshake, 0},
		{"both behind their FINs", join(talk, closed, []packet{{'c', 71 * ms, SYN, 100, 0, ""}, {'s', 71 * ms, SYN | ACK, 500, 101, ""}}), []State{Closed}, Handshake, 0},
		{"ports used again behind FINs", join(talk, closed, one(packet{'c', sec, SYN, 5000, 0, ""})), []State{Closed, Unanswered}, Midstream, 0},
		{"ports used again, known numbers", handshake(join(talk[1:], closed, one(packet{'c', sec, SYN, 5000, 0, ""}))...), []State{Closed, Unanswered}, Handshake, 0},
		{"the same SYN again", handshake(join(talk[1:], closed, one(packet{'c', sec, SYN, 100, 0, ""}))...), []State{Closed}, Handshake, 0},
		{"RST that ends", handshake(join(talk[1:], one(packet{'s', 50 * ms, RST, 509, 0, ""}))...), []State{ResetByServer}, Handshake, 0},
		{"RST, and what was on its way", handshake(join(talk[1:], []packet{
			{'s', 50 * ms, RST, 509, 0, ""}, {'c', 51 * ms, ACK, 106, 509, ""}, {'c', 52 * ms, pa, 106, 509, "ask-2"}})...), []State{ResetByServer}, Handshake, 0},
		{"RST that nobody took, ends with FINs", handshake(join(talk[1:], one(packet{'s', 41 * ms, RST, 509, 0, ""}),
			[]packet{{'c', 42 * ms, pa, 106, 509, "ask-2"}, {'s', 43 * ms, pa, 509, 111, "answer-2"}, {'c', 44 * ms, fa, 111, 517, ""}, {'s', 45 * ms, fa, 517, 112, ""}})...), []State{Closed}, Handshake, 1},
		{"RST of each side that nobody took, goes on", handshake(join(talk[1:], []packet{
			{'s', 41 * ms, RST, 509, 0, ""}, {'c', 41 * ms, RST, 106, 0, ""}, {'c', 42 * ms, pa, 106, 509, "ask-2"}, {'s', 43 * ms, pa, 509, 111, "answer-2"}})...), []State{Open}, Handshake, 2},
		{"RST that nobody took, and one that was", handshake(join(talk[1:], []packet{
			{'s', 41 * ms, RST, 509, 0, ""}, {'c', 42 * ms, pa, 106, 509, "ask-2"}, {'s', 43 * ms, pa, 509, 111, "answer-2"}, {'c', 44 * ms, RST, 111, 0, ""}})...), []State{ResetByClient}, Handshake, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, conns, _ := hear(t, tt.packets)
			var states []State
			for _, c := range conns {
				states = append(states, c.State())
			}
			if d := cmp.Diff(tt.states, states); d != "" {
				t.Errorf("states (-want +got):\n%s", d)
			}
			if conns[0].Origin != tt.origin {
				t.Errorf("origin %v", conns[0].Origin)
			}
			if n := conns[0].Sides[0].RstsIgnored + conns[0].Sides[1].RstsIgnored; n != tt.ignored {
				t.Errorf("%d RSTs were ignored, want %d", n, tt.ignored)
			}
		})
	}
}

// TestClockSteps: times that step back are told where one stream proves it, and
// nothing is measured across.
func TestClockSteps(t *testing.T) {
	ask := func(at time.Duration, n uint32) packet { return packet{'c', at, pa, 101 + 5*n, 501, "ask-n"} }
	step := func(streams int64, by time.Duration, first, at int64) []ClockStep {
		return []ClockStep{{Streams: streams, By: by, First: wire.Mark{Packet: first}, At: wire.Mark{Packet: at}}}
	}
	tests := []struct {
		name    string
		packets []packet
		want    []ClockStep
	}{
		{"none", handshake(ask(30*ms, 0), ask(40*ms, 1)), nil},
		{"2 s back", handshake(ask(30*ms, 0), ask(40*ms-2*sec, 1), ask(50*ms-2*sec, 2)), step(1, 2*sec-10*ms, 5, 5)},
		{"a day back, then 2 s", handshake(ask(30*ms, 0), ask(40*ms-24*time.Hour, 1), ask(38*ms-24*time.Hour, 2)), step(2, 24*time.Hour-10*ms, 5, 5)},
		{"2 s, then a day", handshake(ask(30*ms, 0), ask(40*ms-2*sec, 1), ask(41*ms-24*time.Hour, 2)), step(2, 24*time.Hour-2*sec-ms, 5, 6)},
		{"a day forth and back", handshake(ask(30*ms, 0), ask(24*time.Hour, 1), ask(40*ms, 2)), step(1, 24*time.Hour-40*ms, 6, 6)},
		{"1 ms back", handshake(ask(30*ms, 0), ask(29*ms, 1)), step(1, ms, 5, 5)},
		{"stamped a little out of order", handshake(ask(30*ms, 0), ask(30*ms-100*us, 1)), nil},
		{"a segment captured late", handshake(ask(30*ms, 1), ask(20*ms, 0)), nil},
		{"sent again", handshake(ask(30*ms, 0), ask(20*ms, 0)), nil},
		{"two clocks, one for each direction", handshake(ask(30*ms, 0), packet{'s', 5 * ms, pa, 501, 106, "answer"}, ask(40*ms, 1)), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, conns, tr := hear(t, tt.packets)
			got := tr.Steps()
			for i := range got {
				got[i].First, got[i].At = wire.Mark{Packet: got[i].First.Packet}, wire.Mark{Packet: got[i].At.Packet}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for _, s := range conns[0].Sides {
				if s.MinAckDelay < 0 {
					t.Errorf("acknowledged after %v", s.MinAckDelay)
				}
			}
		})
	}
	// A step in the handshake leaves it unmeasured.
	_, conns, _ := hear(t, []packet{{'c', sec, SYN, 100, 0, ""}, {'s', 2 * sec, SYN | ACK, 500, 101, ""}, {'c', 0, ACK, 101, 501, ""}, {'c', 3 * sec, pa, 101, 501, "ask"}})
	if rtt, ok := conns[0].RTT(); ok {
		t.Errorf("round trip %v", rtt)
	}
	a := []ClockStep{{Capture: 1, Streams: 1, By: 5, First: wire.Mark{Packet: 9}, At: wire.Mark{Packet: 9}}}
	b := []ClockStep{{Capture: 0, Streams: 1, By: 1}, {Capture: 1, Streams: 2, By: 7, First: wire.Mark{Packet: 4}, At: wire.Mark{Packet: 20}}}
	want := []ClockStep{{Capture: 0, Streams: 1, By: 1}, {Capture: 1, Streams: 3, By: 7, First: wire.Mark{Packet: 4}, At: wire.Mark{Packet: 20}}}
	for _, got := range [][]ClockStep{MergeSteps(a, b), MergeSteps(b, a)} {
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("merged (-want +got):\n%s", d)
		}
	}
}

// TestStrangers: numbers that fit neither stream are another connection once
// something proves it, and a gap in none.
func TestStrangers(t *testing.T) {
	const c2, s2 = 3_000_000_101, 900_000_501 // numbers of the second connection
	talk := handshake(packet{'c', 30 * ms, pa, 101, 501, "ask-1"}, packet{'s', 40 * ms, pa, 501, 106, "answer-1"})
	closed := []packet{{'c', 50 * ms, fa, 106, 509, ""}, {'s', 60 * ms, fa, 509, 107, ""}, {'c', 70 * ms, ACK, 107, 510, ""}}
	join := func(parts ...[]packet) (all []packet) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	run := func(n int, seq, ack uint32) (all []packet) {
		for i := range n {
			all = append(all, packet{'c', sec + time.Duration(i)*ms, pa, seq + 5*uint32(i), ack, "ask-n"})
		}
		return all
	}
	second := []packet{{'c', sec, pa, c2, s2, "ask-2"}, {'s', sec + ms, pa, s2, c2 + 5, "answer-2"}, {'c', sec + 2*ms, pa, c2 + 5, s2 + 8, "ask-3"}}
	tests := []struct {
		name    string
		packets []packet
		log     string
		outside int64
	}{
		{"behind the end, the SYN lost", join(talk, closed, second), "ask-1 answer-1 | ask-2 answer-2 ask-3 ", 0},
		{"the end lost too: both ends agree", join(talk, second), "ask-1 answer-1 | answer-2 ask-3 ", 5},
		{"the end lost too, SYN/ACK captured", join(talk, []packet{{'s', sec, SYN | ACK, s2 - 1, c2, ""}, {'c', sec, ACK, c2, s2, ""}}, second), "ask-1 answer-1 | ask-2 answer-2 ask-3 ", 0},
		{"one end alone", join(talk, run(4, c2, s2)), "ask-1 answer-1 | ask-n ask-n ", 10},
		{"one segment is nothing", join(talk, run(1, c2, s2), []packet{{'c', 2 * sec, pa, 106, 509, "ask-2"}}), "ask-1 answer-1 ask-2 ", 5},
		{"an old segment again and again", join(talk, run(1, c2, s2), run(1, c2, s2), run(1, c2, s2), []packet{{'c', 2 * sec, pa, 106, 509, "ask-2"}}), "ask-1 answer-1 ask-2 ", 15},
		{"backwards, and no acknowledgement tells", join(talk, run(10, 1<<32+101-1_200_000_000, 509)), "ask-1 answer-1 | ask-n ask-n ", 40},
		{"a hole in the capture", join(talk, []packet{{'s', sec, pa, 509 + 1<<25, 106, "answer-2"}, {'c', sec, pa, 106, 517 + 1<<25, "ask-2"}}), "ask-1 answer-1 ask-2 - answer-2 ", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, conns, tr := hear(t, tt.packets)
			if log != tt.log {
				t.Errorf("heard %q, want %q", log, tt.log)
			}
			if n := tr.Ledger().OutOfWindow; n != tt.outside {
				t.Errorf("%d bytes out of window, want %d", n, tt.outside)
			}
			for _, c := range conns {
				if n := c.Sides[0].GapBytes + c.Sides[1].GapBytes; n > 1<<25 {
					t.Errorf("%d bytes missing", n)
				}
			}
		})
	}
}

// causal checks that no byte is delivered before what its packet acknowledges.
type causal struct {
	recorder
	acks [2]map[int64]int64 // by packet: what it acknowledges of the other stream
}

func (r *causal) Data(side wire.Side, pos int64, m wire.Mark, b []byte) {
	if need := r.acks[side][m.Packet]; r.pos[side.Other()] < need {
		r.t.Fatalf("packet %d: %d bytes of the other side acknowledged, %d delivered", m.Packet, need, r.pos[side.Other()])
	}
	r.recorder.Data(side, pos, m, b)
}

// FuzzDirections: a conversation whose directions were captured each in order,
// with any of their packets first, is heard as it was held: all bytes, no gap,
// no answer before its question. Bare acknowledgements may be padded.
func FuzzDirections(f *testing.F) {
	f.Add([]byte{10, 20, 30, 40, 50}, []byte{0x00}, uint32(100))
	f.Add([]byte{10, 20, 30, 40, 50}, []byte{0xff}, uint32(0xffffffe0))
	f.Add([]byte{90, 91, 92, 93, 94, 95, 10, 11, 12, 13}, []byte{0x5a, 0x33}, uint32(7))
	f.Add([]byte{130, 140, 150, 30, 200, 210}, []byte{0xaa, 0x0f}, uint32(1<<31))
	f.Fuzz(func(t *testing.T, turns, order []byte, isn uint32) {
		if len(turns) > 100 || len(order) == 0 {
			return
		}
		// The conversation: turns of one end and the other.
		type segment struct {
			flags    uint8
			from, to int // of its stream
			ack      int // of the other
			pad      bool
		}
		var all [2][]segment
		var sent [2]int
		for i, n := range turns {
			side := i % 2
			if n >= 128 { // acknowledge first
				all[side] = append(all[side], segment{ACK, sent[side], sent[side], sent[1-side], n&1 != 0})
			}
			size := 8 + int(n%64)
			all[side] = append(all[side], segment{PSH | ACK, sent[side], sent[side] + size, sent[1-side], false})
			sent[side] += size
		}
		rec := &causal{recorder: recorder{t: t}, acks: [2]map[int64]int64{{}, {}}}
		tr := NewTracker(DefaultLimits(), func(*Conn) Handler { return rec })
		packet, payload := int64(0), int64(0)
		start := [2]uint32{isn, isn*3 + 5}
		send := func(side int, s segment, stream byte) {
			packet++
			b := make([]byte, s.to-s.from)
			for i := range b {
				b[i] = byte(1 + (s.from+i+int(stream))%200)
			}
			if s.pad {
				b = make([]byte, 6)
			}
			f := Frame{Src: clientEnd, Dst: serverEnd, Flags: s.flags, Seq: start[side] + uint32(s.from), Ack: start[1-side] + uint32(s.ack), Payload: b, Length: len(b), ID: uint16(packet)}
			if side == 1 {
				f.Src, f.Dst = f.Dst, f.Src
			}
			f.Time, f.Packet = packet*1e6, packet
			if s.flags&PSH != 0 {
				rec.acks[side][packet] = int64(s.ack) - 1 // one byte may be a FIN
			}
			payload += int64(len(b))
			tr.Segment(&f)
			if l := tr.Ledger(); l.CapturedPayload != payload || payload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped+int64(tr.Held()) {
				t.Fatalf("packet %d: ledger out of balance: %+v, held %d, sent %d", packet, l, tr.Held(), payload)
			}
		}
		send(0, segment{SYN, -1, -1, 0, false}, 0)
		send(1, segment{SYN | ACK, -1, -1, 0, false}, 0)
		for i := 0; len(all[0])+len(all[1]) > 0; i++ {
			side := int(order[i/8%len(order)] >> (i % 8) & 1)
			if len(all[side]) == 0 {
				side = 1 - side
			}
			send(side, all[side][0], byte(side))
			all[side] = all[side][1:]
		}
		tr.Flush()
		for side, n := range sent {
			if rec.gaps[side] != 0 || len(rec.got[side]) != n {
				t.Fatalf("side %d: %d bytes and %d missing, want %d", side, len(rec.got[side]), rec.gaps[side], n)
			}
			for i, b := range rec.got[side] {
				if b != byte(1+(i+side)%200) {
					t.Fatalf("side %d: byte %d is %d", side, i, b)
				}
			}
		}
	})
}
