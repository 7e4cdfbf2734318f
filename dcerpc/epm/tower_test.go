package epm

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

var (
	emsmdbID = wire.MustUUID("a4f1db00-ca47-1067-b31f-00dd010662da")
	nspiID   = wire.MustUUID("f5cc5a18-4264-101a-8c59-08002b2f8426")
	samrID   = wire.MustUUID("12345778-1234-abcd-ef00-0123456789ac")
	ndrID    = wire.MustUUID("8a885d04-1ceb-11c9-9fe8-08002b104860")
)

// floor writes one floor: protocol and left hand side, right hand side.
func floor(b []byte, protocol uint8, lhs, rhs string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(1+len(lhs)))
	b = append(append(b, protocol), lhs...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(rhs)))
	return append(b, rhs...)
}

// octets writes a tower for an interface with floors below the transfer
// syntax, each a protocol and its right hand side.
func octets(id wire.UUID, major, minor uint16, below ...Floor) []byte {
	syntax := func(u wire.UUID, major, minor uint16) (lhs, rhs string) {
		e := encoder{}
		e.uuid(u)
		e.u16(major)
		return string(e.b), string(binary.LittleEndian.AppendUint16(nil, minor))
	}
	b := binary.LittleEndian.AppendUint16(nil, uint16(2+len(below)))
	lhs, rhs := syntax(id, major, minor)
	b = floor(b, ProtocolUUID, lhs, rhs)
	lhs, rhs = syntax(ndrID, 2, 0)
	b = floor(b, ProtocolUUID, lhs, rhs)
	for _, f := range below {
		b = floor(b, f.Protocol, string(f.LHS), string(f.RHS))
	}
	return b
}

func at(protocol uint8, rhs string) Floor { return Floor{Protocol: protocol, RHS: []byte(rhs)} }

// told is everything that a Tower tells.
type told struct {
	Interface              wire.UUID
	Major, Minor           uint16
	Transfer               wire.UUID
	TransferMajor          uint16
	Sequence               string
	TCP, UDP, HTTP         uint16
	Address                netip.Addr
	Pipe                   string
	HasTCP, HasUDP, HasWeb bool
	HasPipe                bool
}

func tell(x Tower) told {
	var t told
	t.Interface, t.Major, t.Minor, _ = x.Interface()
	t.Transfer, t.TransferMajor, _, _ = x.Transfer()
	t.Sequence = x.ProtocolSequence()
	t.TCP, t.HasTCP = x.TCPPort()
	t.UDP, t.HasUDP = x.UDPPort()
	t.HTTP, t.HasWeb = x.HTTPPort()
	t.Address, _ = x.IPv4()
	t.Pipe, t.HasPipe = x.Pipe()
	return t
}

func TestTower(t *testing.T) {
	co, dg, local := at(ProtocolNCACN, "\x00\x00"), at(ProtocolNCADG, "\x00\x00"), at(ProtocolNCALRPC, "\x00\x00")
	emsmdb := func(below ...Floor) []byte { return octets(emsmdbID, 0, 81, below...) }
	// base is what the rows share: interface and transfer syntax.
	base := func(change func(*told)) told {
		w := told{Interface: emsmdbID, Minor: 81, Transfer: ndrID, TransferMajor: 2}
		change(&w)
		return w
	}
	tests := []struct {
		name string
		wire []byte
		want told
	}{
		{"tcp", emsmdb(co, at(ProtocolTCP, "\x04\x08"), at(ProtocolIP, "\x0a\x00\x00\x01")), base(func(w *told) {
			w.Sequence, w.TCP, w.HasTCP, w.Address = "ncacn_ip_tcp", 1032, true, netip.MustParseAddr("10.0.0.1")
		})},
		{"version 56.0 is little endian", octets(nspiID, 56, 0, co, at(ProtocolTCP, "\x13\x85"), at(ProtocolIP, "\x00\x00\x00\x00")), told{
			Interface: nspiID, Major: 56, Transfer: ndrID, TransferMajor: 2,
			Sequence: "ncacn_ip_tcp", TCP: 4997, HasTCP: true, Address: netip.IPv4Unspecified(),
		}},
		{"udp", emsmdb(dg, at(ProtocolUDP, "\x00\x87"), at(ProtocolIP, "\x7f\x00\x00\x01")), base(func(w *told) {
			w.Sequence, w.UDP, w.HasUDP, w.Address = "ncadg_ip_udp", 135, true, netip.MustParseAddr("127.0.0.1")
		})},
		{"http", emsmdb(co, at(ProtocolHTTP, "\x17\x71"), at(ProtocolIP, "\x0a\x00\x00\x01")), base(func(w *told) {
			w.Sequence, w.HTTP, w.HasWeb, w.Address = "ncacn_http", 6001, true, netip.MustParseAddr("10.0.0.1")
		})},
		{"pipe", emsmdb(co, at(ProtocolSMB, "\\PIPE\\x\x00"), at(ProtocolNetBIOS, "MAIL1\x00")), base(func(w *told) {
			w.Sequence, w.Pipe, w.HasPipe = "ncacn_np", `\PIPE\x`, true
		})},
		{"local", emsmdb(local, at(ProtocolNamedPipe, "LRPC-1\x00")), base(func(w *told) {
			w.Sequence, w.Pipe, w.HasPipe = "ncalrpc", "LRPC-1", true
		})},
		{"local without an end point", emsmdb(local), base(func(w *told) { w.Sequence = "ncalrpc" })},
		{"unknown transport", emsmdb(co, at(0x99, "")), base(func(*told) {})},
		{"port of a wrong size", emsmdb(co, at(ProtocolTCP, "\x00\x00\x87"), at(ProtocolIP, "\x0a\x00\x00")), base(func(w *told) {
			w.Sequence = "ncacn_ip_tcp"
		})},
		{"interface alone", octets(emsmdbID, 0, 81), base(func(*told) {})},
		{"bytes after the last floor", append(emsmdb(), 0, 0, 0), base(func(*told) {})},
		{"first floor is no interface", floor([]byte{1, 0}, ProtocolTCP, "", "\x00\x87"), told{}},
		{"interface without room for a version", floor([]byte{1, 0}, ProtocolUUID, "0123456789abcdef", ""), told{}},
		{"no floor", []byte{0, 0}, told{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := ParseTower(tt.wire)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, tell(x), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestMalformedTower(t *testing.T) {
	whole := octets(emsmdbID, 0, 81, at(ProtocolNCACN, "\x00\x00"), at(ProtocolTCP, "\x04\x08"), at(ProtocolIP, "\x0a\x00\x00\x01"))
	for n := range whole {
		if x, err := ParseTower(whole[:n]); err == nil {
			t.Errorf("cut to %d bytes: %+v", n, x)
		}
	}
	tests := []struct{ name, wire string }{
		{"more floors than octets", "\xff\x00" + "\x01\x00\x0b\x00\x00"},
		{"more floors than any tower has", "\x21\x00" + strings.Repeat("\x01\x00\x0b\x00\x00", 0x21)},
		{"left hand side without a protocol", "\x01\x00" + "\x00\x00" + "\x00\x00"},
		{"left hand side behind the end", "\x01\x00" + "\x09\x00\x0d" + "\x00\x00"},
		{"right hand side behind the end", "\x01\x00" + "\x01\x00\x07" + "\x03\x00\x00\x87"},
	}
	for _, tt := range tests {
		if x, err := ParseTower([]byte(tt.wire)); err == nil {
			t.Errorf("%s: %+v", tt.name, x)
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct{ got, want string }{
		{StatusName(0), "ok"},
		{StatusName(5), "access_denied"},
		{StatusName(0x16c9a0d6), "ept_s_not_registered"},
		{StatusName(0x16c9a0cd), "ept_s_cant_perform_op"},
		{StatusName(0x57), "0x00000057"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// FuzzTower checks that nothing of a tower lies outside its octets and that
// what is told agrees with itself.
func FuzzTower(f *testing.F) {
	f.Add(octets(emsmdbID, 0, 81, at(ProtocolNCACN, "\x00\x00"), at(ProtocolTCP, "\x04\x08"), at(ProtocolIP, "\x0a\x00\x00\x01")))
	f.Add(octets(nspiID, 56, 0, at(ProtocolNCALRPC, "\x00\x00"), at(ProtocolNamedPipe, "LRPC-1\x00")))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ParseTower(b)
		if err != nil {
			if len(x.Floors) != 0 {
				t.Error("floors of a malformed tower")
			}
			return
		}
		size := 2
		for _, floor := range x.Floors {
			size += 5 + len(floor.LHS) + len(floor.RHS)
		}
		if size > len(b) || len(x.Floors) > maxFloors {
			t.Errorf("%d floors of %d octets in %d", len(x.Floors), size, len(b))
		}
		w := tell(x)
		if w.TCP != 0 && !w.HasTCP || w.Sequence == "ncacn_ip_tcp" && len(x.Floors) < 4 {
			t.Errorf("%+v", w)
		}
	})
}

func BenchmarkParseTower(b *testing.B) {
	wire := octets(emsmdbID, 0, 81, at(ProtocolNCACN, "\x00\x00"), at(ProtocolTCP, "\x04\x08"), at(ProtocolIP, "\x0a\x00\x00\x01"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseTower(wire); err != nil {
			b.Fatal(err)
		}
	}
}
