package epm

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/wire"
)

var aHandle = [20]byte{4: 0x96, 0x68, 0xdc, 0x11, 0xce, 0x19, 0xea, 0x42, 0xa9, 0xec, 0x7f, 0xaa, 0xea, 0x65, 0x80, 0xf2}

// tcp writes the tower of EMSMDB at a port of 10.0.0.1.
func tcp(port uint16) []byte {
	return octets(emsmdbID, 0, 81, at(ProtocolNCACN, "\x00\x00"), at(ProtocolTCP, string([]byte{byte(port >> 8), byte(port)})), at(ProtocolIP, "\x0a\x00\x00\x01"))
}

func mustTower(t testing.TB, b []byte) Tower {
	t.Helper()
	x, err := ParseTower(b)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// check compares a decoded message.
func check[T any](t *testing.T, want T, got T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// checkCuts checks that a stub that is cut is refused, wherever it is cut.
func checkCuts[T any](t *testing.T, stub []byte, order wire.Order, syntax ndr.Syntax, decode func([]byte, wire.Order, ndr.Syntax) (T, error)) {
	t.Helper()
	for n := range stub {
		if got, err := decode(stub[:n:n], order, syntax); err == nil {
			t.Errorf("cut to %d bytes: %+v", n, got)
		}
	}
}

func TestMapRequest(t *testing.T) {
	object := wire.MustUUID("01020304-0506-0708-090a-0b0c0d0e0f10")
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			e := encoder{order: f.order, syntax: f.syntax}
			e.size(0x20000)
			e.uuid(object)
			e.size(0x20004)
			e.tower(tcp(0))
			e.handle(aHandle)
			e.u32(500)
			want := MapRequest{Object: object, HasObject: true, Tower: mustTower(t, tcp(0)), Handle: aHandle, MaxTowers: 500}
			got, err := DecodeMapRequest(e.b, f.order, f.syntax)
			check(t, want, got, err)
			checkCuts(t, e.b, f.order, f.syntax, DecodeMapRequest)
			// A verification trailer behind the message.
			if _, err := DecodeMapRequest(append(e.b, make([]byte, 40)...), f.order, f.syntax); err != nil {
				t.Errorf("with a trailer: %v", err)
			}
		})
	}
}

func TestMapRequestWithoutPointers(t *testing.T) {
	e := encoder{}
	e.size(0)
	e.size(0)
	e.handle([20]byte{})
	e.u32(4)
	got, err := DecodeMapRequest(e.b, wire.LittleEndian, ndr.NDR32)
	check(t, MapRequest{MaxTowers: 4}, got, err)
}

func TestMapResponse(t *testing.T) {
	broken := tcp(59531)[:40]
	tests := []struct {
		name   string
		max    uint64
		status uint32
		towers [][]byte
		want   MapResponse
	}{
		{"not registered", 4, 0x16c9a0d6, nil, MapResponse{}},
		{"one", 1, 0, [][]byte{tcp(59531)}, MapResponse{Towers: []Tower{mustTower(t, tcp(59531))}}},
		{"one of a larger array", 500, 0, [][]byte{tcp(59531)}, MapResponse{Towers: []Tower{mustTower(t, tcp(59531))}}},
		{"two", 4, 0, [][]byte{tcp(1), tcp(2)}, MapResponse{Towers: []Tower{mustTower(t, tcp(1)), mustTower(t, tcp(2))}}},
		{"null between two", 4, 0, [][]byte{tcp(1), nil, tcp(2)}, MapResponse{Towers: []Tower{mustTower(t, tcp(1)), mustTower(t, tcp(2))}}},
		{"malformed between two", 4, 0, [][]byte{tcp(1), broken, tcp(2)}, MapResponse{Towers: []Tower{mustTower(t, tcp(1)), mustTower(t, tcp(2))}, Malformed: 1}},
	}
	for _, tt := range tests {
		for _, f := range forms {
			t.Run(tt.name+"/"+f.name, func(t *testing.T) {
				e := encoder{order: f.order, syntax: f.syntax}
				stub := e.mapResponse(aHandle, tt.max, tt.status, tt.towers...)
				want := tt.want
				want.Handle, want.MaxCount, want.NumTowers, want.Status = aHandle, tt.max, uint32(len(tt.towers)), tt.status
				got, err := DecodeMapResponse(stub, f.order, f.syntax)
				check(t, want, got, err)
				checkCuts(t, stub, f.order, f.syntax, DecodeMapResponse)
			})
		}
	}
}

// TestMapResponseWithBadSizes has sizes of a tower that contradict each other
// inside an intact stub, and counts that the stub cannot hold.
func TestMapResponseWithBadSizes(t *testing.T) {
	const countAt, sizeAt, lengthAt = 32, 40, 44
	good := (&encoder{}).mapResponse([20]byte{}, 1, 0, tcp(59531))
	tests := []struct {
		name      string
		at        int
		value     byte
		malformed int
		err       error
	}{
		{"length above the array", lengthAt, 0xff, 1, nil},
		{"length below the tower", lengthAt, 0x10, 1, nil},
		{"array above the stub", sizeAt, 0xff, 0, errShort},
		{"more towers than the array", countAt, 2, 0, errShort},
		{"no tower but the bytes of one", countAt, 0, 0, errLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stub := append([]byte(nil), good...)
			stub[tt.at] = tt.value
			got, err := DecodeMapResponse(stub, wire.LittleEndian, ndr.NDR32)
			if len(got.Towers) != 0 || got.Malformed != tt.malformed || err != tt.err {
				t.Errorf("%d towers, %d malformed, %v", len(got.Towers), got.Malformed, err)
			}
		})
	}
}

// TestWrongSyntax checks that an answer read in the wrong syntax is refused.
func TestWrongSyntax(t *testing.T) {
	for _, towers := range [][][]byte{{tcp(1)}, {tcp(1), tcp(2)}} {
		for syntax, other := range map[ndr.Syntax]ndr.Syntax{ndr.NDR32: ndr.NDR64, ndr.NDR64: ndr.NDR32} {
			stub := (&encoder{syntax: syntax}).mapResponse([20]byte{}, 4, 0, towers...)
			if got, err := DecodeMapResponse(stub, wire.LittleEndian, other); err == nil {
				t.Errorf("%v read as %v: %+v", syntax, other, got)
			}
		}
	}
}

func TestLookupRequest(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			e := encoder{order: f.order, syntax: f.syntax}
			e.u32(1)
			e.size(0)
			e.size(0x20000)
			e.uuid(emsmdbID)
			e.u16(0)
			e.u16(81)
			e.u32(3)
			e.handle(aHandle)
			e.u32(500)
			want := LookupRequest{InquiryType: 1, Interface: emsmdbID, Minor: 81, HasInterface: true, VersOption: 3, Handle: aHandle, MaxEntries: 500}
			got, err := DecodeLookupRequest(e.b, f.order, f.syntax)
			check(t, want, got, err)
			checkCuts(t, e.b, f.order, f.syntax, DecodeLookupRequest)
		})
	}
}

func TestLookupResponse(t *testing.T) {
	entries := []entry{
		{object: samrID, annotation: "Exchange Server STORE EMSMDB Interface", tower: tcp(1032)},
		{annotation: "", tower: []byte{9, 9, 9}},
		{annotation: "three", tower: octets(nspiID, 56, 0)},
	}
	want := LookupResponse{
		Handle: aHandle, NumEntries: 3, MaxCount: 500, Malformed: 1,
		Entries: []LookupEntry{
			{Object: samrID, Annotation: "Exchange Server STORE EMSMDB Interface", Tower: mustTower(t, tcp(1032))},
			{Annotation: "three", Tower: mustTower(t, octets(nspiID, 56, 0))},
		},
	}
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			e := encoder{order: f.order, syntax: f.syntax}
			stub := e.lookupResponse(aHandle, 500, 0, entries...)
			got, err := DecodeLookupResponse(stub, f.order, f.syntax)
			check(t, want, got, err)
			checkCuts(t, stub, f.order, f.syntax, DecodeLookupResponse)
		})
	}
}

func TestLookupResponseWithALongAnnotation(t *testing.T) {
	long := string(make([]byte, maxAnnotation))
	stub := (&encoder{}).lookupResponse([20]byte{}, 1, 0, entry{annotation: long, tower: tcp(1)})
	if got, err := DecodeLookupResponse(stub, wire.LittleEndian, ndr.NDR32); err == nil {
		t.Errorf("65 bytes of annotation: %+v", got)
	}
}

// TestCaptured decodes stubs of real programs: Samba's mapper, asked by
// impacket and by go-msrpc.
func TestCaptured(t *testing.T) {
	request, err := DecodeMapRequest(captured(t, "max-towers-request"), wire.LittleEndian, ndr.NDR32)
	if id, major, _, _ := request.Tower.Interface(); err != nil || id != samrID || major != 1 || request.MaxTowers != 4 || !request.HasObject {
		t.Errorf("request: %+v, %v", request, err)
	}
	answer, err := DecodeMapResponse(captured(t, "max-towers-response"), wire.LittleEndian, ndr.NDR32)
	if err != nil || answer.MaxCount != 4 || answer.NumTowers != 1 || len(answer.Towers) != 1 {
		t.Fatalf("answer: %+v, %v", answer, err)
	}
	want := told{
		Interface: samrID, Major: 1, Transfer: ndrID, TransferMajor: 2,
		Sequence: "ncacn_ip_tcp", TCP: 49154, HasTCP: true, Address: netip.IPv4Unspecified(),
	}
	if d := cmp.Diff(want, tell(answer.Towers[0]), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("tower (-want +got):\n%s", d)
	}
	for name, status := range map[string]string{"map-not-registered": "ept_s_not_registered", "map-response": "ok", "map-pipe-response": "ok"} {
		m, err := DecodeMapResponse(captured(t, name), wire.LittleEndian, ndr.NDR32)
		if err != nil || StatusName(m.Status) != status || len(m.Towers) != int(m.NumTowers) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestCapturedLookup(t *testing.T) {
	request, err := DecodeLookupRequest(captured(t, "lookup-request"), wire.LittleEndian, ndr.NDR32)
	check(t, LookupRequest{VersOption: 1, MaxEntries: 500}, request, err)
	m, err := DecodeLookupResponse(captured(t, "lookup-response"), wire.LittleEndian, ndr.NDR32)
	if err != nil || m.NumEntries != 53 || len(m.Entries) != 53 || m.Malformed != 0 || m.Handle != aHandle {
		t.Fatalf("%d of %d entries, %d malformed, %v", len(m.Entries), m.NumEntries, m.Malformed, err)
	}
	if got := m.Entries[0].Annotation; got != "dnsserver" {
		t.Errorf("annotation of the first entry is %q", got)
	}
	sequences := map[string]int{}
	for _, e := range m.Entries {
		sequences[e.Tower.ProtocolSequence()]++
	}
	if d := cmp.Diff(map[string]int{"ncacn_http": 2, "ncacn_ip_tcp": 16, "ncacn_np": 24, "ncalrpc": 11}, sequences); d != "" {
		t.Errorf("sequences (-want +got):\n%s", d)
	}
	end, err := DecodeLookupResponse(captured(t, "lookup-end"), wire.LittleEndian, ndr.NDR32)
	check(t, LookupResponse{MaxCount: 500, Status: 0x16c9a0d6}, end, err)
}

func FuzzMapResponse(f *testing.F) {
	f.Add(captured(f, "map-response"), false, false)
	f.Add(captured(f, "max-towers-response"), false, false)
	f.Add((&encoder{syntax: ndr.NDR64}).mapResponse(aHandle, 4, 0, tcp(1), tcp(2)), false, true)
	f.Add((&encoder{order: wire.BigEndian}).mapResponse(aHandle, 4, 0, tcp(1)), true, false)
	f.Fuzz(func(t *testing.T, stub []byte, big, wide bool) {
		syntax := fuzzSyntax(wide)
		m, err := DecodeMapResponse(stub, wire.Order(big), syntax)
		if err == nil && uint64(len(m.Towers)+m.Malformed) > m.MaxCount {
			t.Errorf("%d towers and %d malformed in an array of %d", len(m.Towers), m.Malformed, m.MaxCount)
		}
		checkSize(t, len(m.Towers)+m.Malformed, stub)
		DecodeMapRequest(stub, wire.Order(big), syntax)
	})
}

func FuzzLookupResponse(f *testing.F) {
	f.Add(captured(f, "lookup-response"), false, false)
	f.Add(captured(f, "lookup-end"), false, false)
	f.Add((&encoder{syntax: ndr.NDR64}).lookupResponse(aHandle, 9, 0, entry{annotation: "a", tower: tcp(1)}), false, true)
	f.Fuzz(func(t *testing.T, stub []byte, big, wide bool) {
		syntax := fuzzSyntax(wide)
		m, err := DecodeLookupResponse(stub, wire.Order(big), syntax)
		if err == nil && uint64(len(m.Entries)+m.Malformed) > m.MaxCount {
			t.Errorf("%d entries and %d malformed in an array of %d", len(m.Entries), m.Malformed, m.MaxCount)
		}
		checkSize(t, len(m.Entries)+m.Malformed, stub)
		DecodeLookupRequest(stub, wire.Order(big), syntax)
	})
}

func fuzzSyntax(wide bool) ndr.Syntax {
	if wide {
		return ndr.NDR64
	}
	return ndr.NDR32
}

// checkSize checks that no more was made of a stub than its bytes can hold.
func checkSize(t *testing.T, elements int, stub []byte) {
	t.Helper()
	if elements > len(stub)/4 {
		t.Errorf("%d elements of %d bytes", elements, len(stub))
	}
}

func BenchmarkMapResponse(b *testing.B) {
	stub := captured(b, "map-response")
	b.ReportAllocs()
	b.SetBytes(int64(len(stub)))
	for b.Loop() {
		if _, err := DecodeMapResponse(stub, wire.LittleEndian, ndr.NDR32); err != nil {
			b.Fatal(err)
		}
	}
}
