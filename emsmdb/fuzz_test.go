package emsmdb

import (
	"testing"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// seeds are the hand-written lists, as buffers with their handle tables.
func seeds(f *testing.F, add func(request, response []byte)) {
	for _, x := range ropCases {
		add(pcaptest.ROPs(fourHandles, unhex(f, x.request)), pcaptest.ROPs(fourHandles, unhex(f, x.response)))
	}
	add(buffer(f, asked, openTable+setColumns+queryRows), buffer(f, answered, openedTable+columnsSet+rows))
	add(buffer(f, known, readFlagPublic), buffer(f, known, ""))
}

// FuzzRequests: a walk of any payload ends, counts each byte of the list once
// and keeps ROPs that lie side by side.
func FuzzRequests(f *testing.F) {
	seeds(f, func(request, _ []byte) { f.Add(request) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		b, ok := splitBuffer(payload)
		if !ok {
			return
		}
		var w walker
		p := new(Pending)
		walked, why := w.requests(p, &b, nil)
		if walked < 0 || walked > len(b.list) || (why == Walked) != (walked == len(b.list)) {
			t.Fatalf("walked %d of %d bytes, %v", walked, len(b.list), why)
		}
		at := int32(0)
		for _, q := range p.rops {
			if q.start != at || q.end <= q.start || !b.has(q.index) || q.tagged && (q.tags > q.tagsEnd || int(q.tagsEnd) > len(p.tags)) {
				t.Fatalf("ROP %+v at %d", q, at)
			}
			at = q.end
		}
		if int(at) != walked {
			t.Fatalf("the ROPs end at %d, the walk at %d", at, walked)
		}
	})
}

// FuzzResponses: a call with any two payloads leaves every byte of the answer
// walked or unwalked, and the store within its limits.
func FuzzResponses(f *testing.F) {
	seeds(f, func(request, response []byte) { f.Add(request, response) })
	f.Fuzz(func(t *testing.T, request, response []byte) {
		if len(request) > 0x7fff || len(response) > 0x7fff {
			return
		}
		s := NewStore(Limits{Tables: 3, Columns: 4})
		c := newClient(t, s)
		c.call(request, response)
		figures := c.conn.Figures()
		want := int64(len(response) + 8) // of a payload that is no ROP buffer, with its header
		if b, ok := splitBuffer(response); ok {
			want = int64(len(b.list))
		}
		if got := figures.ResponseWalked + figures.ResponseUnwalked; got != want {
			t.Fatalf("%d walked + %d unwalked bytes of %d", figures.ResponseWalked, figures.ResponseUnwalked, want)
		}
		if figures.SyncGetBuffer.Requests < 0 || figures.ReadStream.Requests < 0 {
			t.Fatalf("%+v, %+v", figures.SyncGetBuffer, figures.ReadStream)
		}
		for _, of := range s.sessions {
			if len(of.tables) > 3 {
				t.Fatalf("%d tables", len(of.tables))
			}
			for _, table := range of.tables {
				if len(table.columns) > 4*4 {
					t.Fatalf("%d bytes of columns", len(table.columns))
				}
			}
		}
	})
}

// FuzzStubs: any two stubs of any operation, in any form.
func FuzzStubs(f *testing.F) {
	write := func() *stub { return &stub{order: forms[0].order} }
	f.Add(uint8(opConnectEx), uint8(0), write().connectRequest(true, [3]uint16{12, 6206, 1000}), write().connectResponse(true, aKey, [3]uint16{8, 1, 1}, 0))
	request, response := someRops(f)
	for i, form := range forms {
		for _, opnum := range []uint16{opRPC, opRPCExt, opRPCExt2} {
			ask, tell := ropStubs(opnum, func() *stub { return &stub{order: form.order, syntax: form.syntax} }, request, response, 0)
			f.Add(uint8(opnum), uint8(i), ask, tell)
		}
	}
	f.Fuzz(func(t *testing.T, opnum, form uint8, ask, tell []byte) {
		x := forms[form%4]
		c := NewStore(Limits{Sessions: 2}).NewConn()
		for _, iface := range []wire.UUID{MDB, AsyncMDB} {
			c.Response(c.Request(iface, uint16(opnum), x.wire, x.syntax, wire.Mark{}, ask, false), x.wire, tell, false, 1)
		}
		c.Response(nil, x.wire, tell, false, 0)
		c.Drop(c.Request(MDB, uint16(opnum), x.wire, ndr.NDR32, wire.Mark{}, ask, true))
		sum := int64(0)
		for _, n := range c.Figures().Unwalked {
			sum += n
		}
		if f := c.Figures(); sum != f.RequestUnwalked+f.ResponseUnwalked {
			t.Fatalf("reasons sum up to %d, unwalked are %d and %d", sum, f.RequestUnwalked, f.ResponseUnwalked)
		}
	})
}
