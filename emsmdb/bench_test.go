package emsmdb

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// job is a step of decoding on prepared input, with the bytes that it takes.
type job struct {
	name  string
	bytes int
	run   func()
}

// jobs are the steps of decoding in their steady state: tables and figures
// that a first call makes are there.
func jobs(t testing.TB) []job {
	clear := words(rand.New(rand.NewPCG(4, 4)), 30000)
	packed := pcaptest.Compress(clear[:8000])
	array := pcaptest.Xored(clear)
	h, sent, err := parseHeader(array)
	if err != nil {
		t.Fatal(err)
	}
	text := new(clearText)

	list := openTable + setColumns + queryRows + strings.Repeat("02 00 00 01 0100000000001234 00 07 00 00 0000 0000 0200 0300fe0f 1e003700 ", 40)
	answers := openedTable + columnsSet + rows + strings.Repeat("02 01 00000000 00 00 07 00 00000000 00 05000000 48656c6c6f00 ", 40) + "2a 30000000 00 00c1 0500 " + zeros(20+20) + "0000 6e f500"
	request, response := buffer(t, asked, list), buffer(t, answered, answers)
	b, _ := splitBuffer(request)
	out, _ := splitBuffer(response)
	s := NewStore(Limits{})
	c := s.NewConn()
	of := s.session(aKey)
	var w walker
	p := new(Pending)
	var a answer

	jobs := []job{
		{"header", headerSize, func() { _, _, err = parseHeader(array) }},
		{"deobfuscate", len(sent), func() { _, err = text.open(h, sent) }},
		{"decompress", 8000, func() { _, err = decompress(text.expanded[:8000], packed) }},
		{"walk requests", len(b.list), func() {
			if n, why := w.requests(p, &b, of); n != len(b.list) {
				t.Fatalf("walked %d of %d bytes: %v", n, len(b.list), why)
			}
			p.handles = append(p.handles[:0], b.handles...)
		}},
		{"walk responses", len(out.list), func() {
			a.begin(c, p, of, 1000)
			if n, why := a.responses(&out); n != len(out.list) {
				t.Fatalf("walked %d of %d bytes: %v", n, len(out.list), why)
			}
			a.finish()
		}},
	}
	for _, opnum := range []uint16{opRPC, opRPCExt2} {
		ask, tell := ropStubs(opnum, func() *stub { return &stub{order: binary.LittleEndian} }, request, response, 0)
		jobs = append(jobs, job{map[uint16]string{opRPC: "call EcDoRpc", opRPCExt2: "call EcDoRpcExt2"}[opnum], len(ask) + len(tell), func() {
			p := c.Request(MDB, opnum, wire.LittleEndian, ndr.NDR32, wire.Mark{}, ask, false)
			c.Response(p, wire.LittleEndian, tell, false, 1000)
		}})
	}
	for _, j := range jobs {
		j.run()
	}
	if f := c.Figures(); err != nil || f.RequestUnwalked+f.ResponseUnwalked+f.DecodeErrors != 0 {
		t.Fatalf("%v; unwalked %v, %d errors", err, f.Unwalked, f.DecodeErrors)
	}
	return jobs
}

// TestNoAllocations: nothing is allocated for a call in the steady state.
func TestNoAllocations(t *testing.T) {
	if poolsForget {
		t.Skip("built with the race detector")
	}
	for _, j := range jobs(t) {
		if n := testing.AllocsPerRun(200, j.run); n > 0 {
			t.Errorf("%s: %v allocations", j.name, n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, j := range jobs(b) {
		b.Run(j.name, func(b *testing.B) {
			b.SetBytes(int64(j.bytes))
			b.ReportAllocs()
			for b.Loop() {
				j.run()
			}
		})
	}
}
