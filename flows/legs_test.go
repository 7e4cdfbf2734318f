package flows

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sighting is one captured packet of a connection, as what tells legs apart.
type sighting struct {
	at       time.Duration
	server   bool // sent by it
	flags    uint8
	seq, ack uint32
	n        int // payload bytes
	mac, ttl byte
	id       uint16
	options  string
}

// see feeds sightings to a Tracker and returns its connections.
func see(t testing.TB, sightings []sighting) ([]*Conn, *Tracker) {
	var all []*Conn
	tr := NewTracker(DefaultLimits(), func(c *Conn) Handler {
		all = append(all, c)
		return &recorder{t: t}
	})
	for i, s := range sightings {
		f := Frame{
			Src: clientEnd, Dst: serverEnd, Seq: s.seq, Ack: s.ack, Flags: s.flags, Payload: make([]byte, s.n), Length: s.n,
			TTL: s.ttl, ID: s.id, Options: []byte(s.options),
		}
		if s.server {
			f.Src, f.Dst = f.Dst, f.Src
		}
		f.SrcMAC[5] = s.mac
		f.Time, f.Packet = int64(s.at), int64(i+1)
		tr.Segment(&f)
		if l := tr.Ledger(); l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped+int64(tr.Held()) {
			t.Fatalf("packet %d: ledger out of balance: %+v", i+1, l)
		}
	}
	tr.Flush()
	return all, tr
}

// TestSights: which packets show a second segment of the path, which are the
// same packet once more, and which are retransmissions.
func TestSights(t *testing.T) {
	const (
		ms   = time.Millisecond
		us   = time.Microsecond
		jump = 1 << 31
	)
	type result struct {
		Legs                  int
		Copies, Retransmitted int64
	}
	open := []sighting{
		{flags: SYN, seq: 100, id: 1},
		{at: ms, server: true, flags: SYN | ACK, seq: 500, ack: 101, id: 51},
		{at: 2 * ms, flags: ACK, seq: 101, ack: 501, id: 2},
		{at: 3 * ms, flags: ACK, seq: 101, ack: 501, n: 10, id: 3},
	}
	after := func(more ...sighting) []sighting { return append(append([]sighting{}, open...), more...) }
	tests := []struct {
		name      string
		sightings []sighting
		want      result
	}{
		{"once", open, result{Legs: 1}},
		{"SYN comes again after a second, over another router", after(
			sighting{at: time.Second, flags: SYN, seq: 100, mac: 9, id: 7}), result{Legs: 1}},
		{"SYN comes again at once with another MAC", []sighting{
			{flags: SYN, seq: 100, id: 1}, {at: 20 * us, flags: SYN, seq: 100, mac: 9, id: 1}}, result{Legs: 2}},
		{"SYN comes again at once, mirrored", []sighting{
			{flags: SYN, seq: 100, id: 1}, {at: 20 * us, flags: SYN, seq: 100, id: 1}}, result{Legs: 1, Copies: 1}},
		{"SYN comes again at once with an option more", []sighting{
			{flags: SYN, seq: 100, id: 1}, {at: 20 * us, flags: SYN, seq: 100, id: 1, options: "\x21\x03\x00"}}, result{Legs: 2}},
		{"SYN comes again at once with another time stamp", []sighting{
			{flags: SYN, seq: 100, id: 1, options: "\x08\x0a12345678"}, {at: 20 * us, flags: SYN, seq: 100, id: 2, options: "\x08\x0a12345679"},
		}, result{Legs: 1}},
		{"SYN/ACK and its retransmission waited and come together", []sighting{
			{flags: SYN, seq: 100, id: 1},
			{at: 5 * time.Second, server: true, flags: SYN | ACK, seq: 500, ack: 101},
			{at: 5*time.Second + 100*us, server: true, flags: SYN | ACK, seq: 500, ack: 101}}, result{Legs: 1}},
		{"data comes again, mirrored", after(
			sighting{at: 3*ms + 5*us, flags: ACK, seq: 101, ack: 501, n: 10, id: 3}), result{Legs: 1, Copies: 1}},
		{"data comes again at once with another MAC", after(
			sighting{at: 3*ms + 5*us, flags: ACK, seq: 101, ack: 501, n: 10, mac: 9, id: 3}), result{Legs: 2}},
		{"data comes again with a number of its own: fast retransmission", after(
			sighting{at: 8 * ms, flags: ACK, seq: 101, ack: 501, n: 10, id: 4}), result{Legs: 1, Retransmitted: 1}},
		{"fast retransmission over another router", after(
			sighting{at: 8 * ms, flags: ACK, seq: 101, ack: 501, n: 10, mac: 9, ttl: 3, id: 4}), result{Legs: 1, Retransmitted: 1}},
		{"a timer's retransmission with the same number", after(
			sighting{at: 300 * ms, flags: ACK, seq: 101, ack: 501, n: 10, id: 3}), result{Legs: 1, Retransmitted: 1}},
		{"data comes again at once, without an identification", after(
			sighting{at: 4 * ms, flags: ACK, seq: 111, ack: 501, n: 10}, sighting{at: 4*ms + 3*us, flags: ACK, seq: 111, ack: 501, n: 10}), result{Legs: 1, Copies: 1}},
		{"three times", after(
			sighting{at: 4 * ms, flags: ACK, seq: 111, ack: 501, n: 10}, sighting{at: 4*ms + 3*us, flags: ACK, seq: 111, ack: 501, n: 10},
			sighting{at: 4*ms + 6*us, flags: ACK, seq: 111, ack: 501, n: 10}), result{Legs: 1, Copies: 2}},
		{"a tail loss probe, without an identification", after(
			sighting{at: 4 * ms, flags: ACK, seq: 111, ack: 501, n: 10}, sighting{at: 14 * ms, flags: ACK, seq: 111, ack: 501, n: 10}), result{Legs: 1, Retransmitted: 1}},
		{"with another acknowledgement, without an identification", after(
			sighting{at: 4 * ms, flags: ACK, seq: 111, ack: 501, n: 10}, sighting{at: 4*ms + 3*us, flags: ACK, seq: 111, ack: 502, n: 10}), result{Legs: 1, Retransmitted: 1}},
		{"a fast retransmission on a LAN, without an identification", after(
			sighting{at: 3*ms + 500*us, server: true, flags: ACK, seq: 501, ack: 111}, sighting{at: 4 * ms, flags: ACK, seq: 111, ack: 501, n: 10},
			sighting{at: 4*ms + 10*us, flags: ACK, seq: 121, ack: 501, n: 10}, sighting{at: 4*ms + 20*us, server: true, flags: ACK, seq: 501, ack: 111},
			sighting{at: 4*ms + 30*us, flags: ACK, seq: 111, ack: 501, n: 10}), result{Legs: 1, Retransmitted: 1}},
		{"every packet twice, without an identification", []sighting{
			{flags: SYN, seq: 100}, {at: 3 * us, flags: SYN, seq: 100},
			{at: ms, server: true, flags: SYN | ACK, seq: 500, ack: 101}, {at: ms + 3*us, server: true, flags: SYN | ACK, seq: 500, ack: 101},
			{at: 2 * ms, flags: ACK, seq: 101, ack: 501}, {at: 2*ms + 3*us, flags: ACK, seq: 101, ack: 501},
			{at: 3 * ms, flags: ACK, seq: 101, ack: 501, n: 10}, {at: 3*ms + 3*us, flags: ACK, seq: 101, ack: 501, n: 10},
			{at: 4 * ms, server: true, flags: ACK, seq: 501, ack: 111, n: 20}, {at: 4*ms + 3*us, server: true, flags: ACK, seq: 501, ack: 111, n: 20},
			{at: 5 * ms, flags: ACK, seq: 111, ack: 521}, {at: 5*ms + 3*us, flags: ACK, seq: 111, ack: 521},
			{at: 6 * ms, flags: ACK, seq: 111, ack: 521, n: 10}, {at: 6*ms + 3*us, flags: ACK, seq: 111, ack: 521, n: 10},
		}, result{Legs: 1, Copies: 5}},
		{"a host that numbers all packets alike", []sighting{
			{flags: SYN, seq: 100, id: 1}, {at: ms, flags: ACK, seq: 101, ack: 501, id: 1},
			{at: 2 * ms, flags: ACK, seq: 101, ack: 501, n: 10, id: 1}, {at: 3 * ms, flags: ACK, seq: 101, ack: 501, n: 10, id: 1},
		}, result{Legs: 1, Retransmitted: 1}},
		{"numbers the jump apart, with another MAC", after(
			sighting{at: 4 * ms, flags: ACK, seq: 101 + jump, ack: 501 + jump, n: 5, mac: 9, id: 70}), result{Legs: 2}},
		{"numbers the jump apart, alone: a stray", after(
			sighting{at: 4 * ms, flags: ACK, seq: 101 + jump, ack: 501 + jump, n: 5, id: 70}), result{Legs: 1}},
		{"numbers half a jump apart", after(
			sighting{at: 4 * ms, flags: ACK, seq: 101 + 1<<30 + 7, ack: 501, n: 5, mac: 9, id: 70}), result{Legs: 1}},
		{"another SYN with another number on another segment: a device that terminates", after(
			sighting{at: 4 * ms, flags: SYN, seq: 9000, mac: 9, id: 70}), result{Legs: 2}},
		{"the ports are used again a minute later", after(
			sighting{at: time.Minute, flags: SYN, seq: 9000, mac: 9, id: 70}), result{Legs: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, _ := see(t, tt.sightings)
			got := result{Legs: len(all)}
			for _, c := range all {
				for i := range c.Sides {
					got.Copies += c.Sides[i].Copies
					got.Retransmitted += c.Sides[i].Retransmitted
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLegsAreBounded: however many segments show a SYN, four legs are kept and
// what is on others goes to the one that is likest.
func TestLegsAreBounded(t *testing.T) {
	var all []sighting
	for mac := range byte(20) {
		all = append(all, sighting{at: time.Duration(mac) * time.Microsecond, flags: SYN, seq: 100, mac: mac, id: 1})
	}
	conns, tr := see(t, all)
	if got := tr.Stats().LegsRefused; len(conns) != maxLegs || got != 16 {
		t.Errorf("%d legs and %d packets refused, want %d and 16", len(conns), got, maxLegs)
	}
}

// FuzzLegs: whatever is captured on whatever segment, the ledger balances,
// streams are delivered in order and the legs are bounded.
func FuzzLegs(f *testing.F) {
	f.Add([]byte{0x02, 0, 0, 1, 0x02, 0, 1, 1, 0x92, 0, 0, 2, 0x10, 1, 0, 3, 0x10, 1, 1, 3, 0x18, 1, 0, 9})
	f.Add([]byte{0x02, 0, 0, 1, 0x10, 0x81, 1, 8, 0x90, 0x41, 2, 8, 0x10, 0x81, 0, 8, 0x14, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		var all []sighting
		at := time.Duration(0)
		for len(script) >= 4 && len(all) < 200 {
			b := script[:4]
			script = script[4:]
			at += time.Duration(b[3]>>5) * 7 * time.Millisecond
			s := sighting{
				at: at, server: b[0]&0x80 != 0, flags: b[0] & 0x1f, seq: 100 + uint32(b[1]&0x3f), ack: 100 + uint32(b[1]&0x0f),
				n: int(b[3] & 0x1f), mac: b[2] & 7, ttl: b[2] >> 6, id: uint16(b[2] >> 3 & 7),
			}
			if b[1]&0x80 != 0 {
				s.seq += 1 << 31
			}
			if b[1]&0x40 != 0 {
				s.ack += 1 << 31
			}
			if s.flags&SYN != 0 {
				s.n = 0
			}
			all = append(all, s)
		}
		conns, _ := see(t, all)
		legs := make(map[*Conn]int)
		for _, c := range conns {
			if !c.ended {
				t.Error("a connection was never ended")
			}
			if c.Root != nil {
				if legs[c.Root]++; legs[c.Root] > maxLegs {
					t.Errorf("%d legs", legs[c.Root])
				}
			}
		}
	})
}
