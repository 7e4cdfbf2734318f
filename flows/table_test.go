package flows

import (
	"fmt"
	"net/netip"
	"testing"
	"unsafe"

	"mapiscope/pcaps"
)

// TestTable enters connections that differ in one thing each, many of them in
// one chain, finds each by both directions, and takes them out again.
func TestTable(t *testing.T) {
	end := func(i int) netip.AddrPort {
		if i%3 == 0 {
			return netip.MustParseAddrPort(fmt.Sprintf("[::ffff:10.0.0.%d]:%d", i%200, 1000+i))
		}
		return netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:%d", i%200, 1000+i))
	}
	server := netip.MustParseAddrPort("10.0.0.1:135")
	for _, tt := range []struct {
		name string
		hash func(tb *table, a netip.AddrPort) uint64
	}{
		{"hashes as they come", func(tb *table, a netip.AddrPort) uint64 { return tb.hash(a, server) }},
		{"few hashes", func(_ *table, a netip.AddrPort) uint64 { return uint64(a.Port() % 5) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tb := newTable()
			var all []*Conn
			for i := range 5 * tableSize {
				for leg := range uint8(2) {
					c := &Conn{A: end(i), B: server, Tap: pcaps.Tap(i % 2), leg: leg, live: &live{hash: tt.hash(&tb, end(i))}}
					tb.enter(c)
					all = append(all, c)
				}
			}
			for n, c := range all {
				if tb.find(c.hash, c.A, c.B, c.Tap, c.leg) != c || tb.find(c.hash, c.B, c.A, c.Tap, c.leg) != c {
					t.Fatalf("connection %d is not found", n)
				}
				if tb.find(c.hash, c.A, c.B, c.Tap+2, c.leg) != nil || tb.find(c.hash, c.A, c.B, c.Tap, c.leg+2) != nil {
					t.Fatalf("connection %d is found under another name", n)
				}
			}
			for n, c := range all {
				if len(tb.all()) != len(all)-n || tb.n != len(all)-n {
					t.Fatalf("%d and %d connections are left, want %d", len(tb.all()), tb.n, len(all)-n)
				}
				tb.remove(c)
				if tb.find(c.hash, c.A, c.B, c.Tap, c.leg) != nil {
					t.Fatalf("connection %d is still there", n)
				}
			}
		})
	}
}

// TestHash wants the same hash for both directions and others for other ends.
func TestHash(t *testing.T) {
	tb := newTable()
	seen := make(map[uint64]netip.AddrPort)
	server := netip.MustParseAddrPort("192.0.2.1:59531")
	for host := range 64 {
		for port := range 64 {
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(host)}), uint16(50000+port))
			h := tb.hash(a, server)
			if h != tb.hash(server, a) {
				t.Fatalf("%v: the other direction has another hash", a)
			}
			if other, twice := seen[h]; twice {
				t.Fatalf("%v and %v have one hash", a, other)
			}
			seen[h] = a
		}
	}
}

// TestWeights holds the estimates near to what the compiler says.
func TestWeights(t *testing.T) {
	const options = 2 * 24
	for _, tt := range []struct {
		name   string
		weight int
		size   uintptr
	}{
		{"open", Weight, unsafe.Sizeof(Conn{}) + unsafe.Sizeof(live{}) + options + 16},
		{"record", RecordWeight, unsafe.Sizeof(Conn{}) + options},
		{"piece", pieceWeight, unsafe.Sizeof(piece{})},
	} {
		if size := int(tt.size); tt.weight < size || tt.weight > size*2 {
			t.Errorf("%s: weighs %d, takes %d", tt.name, tt.weight, size)
		}
	}
}
