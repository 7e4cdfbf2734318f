package dcerpc

import (
	"bytes"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/budget"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// TestWeights holds the estimates near to what the compiler says.
func TestWeights(t *testing.T) {
	for _, tt := range []struct {
		name   string
		weight int
		size   uintptr
	}{
		{"Conn", Weight, unsafe.Sizeof(Conn{}) + unsafe.Sizeof(live{})},
		{"record", RecordWeight, unsafe.Sizeof(Conn{})},
		{"Context", contextWeight, unsafe.Sizeof(Context{})},
		{"Syntax", syntaxWeight, unsafe.Sizeof(Syntax{})},
		{"Auth", authWeight, unsafe.Sizeof(Auth{})},
		{"Call", callWeight, unsafe.Sizeof(Call{}) + 24}, // and its place in the table
		{"Operation", operationWeight, unsafe.Sizeof(Operation{}) + 48},
		{"Fault", faultWeight, unsafe.Sizeof(Fault{}) + 2},
		{"chunk", chunkWeight, unsafe.Sizeof(chunk{})},
	} {
		if size := int(tt.size); tt.weight < size || tt.weight > size*2 {
			t.Errorf("%s: weighs %d, takes %d", tt.name, tt.weight, size)
		}
	}
}

// TestEverythingIsRefunded ends conversations wherever they can be cut: nothing
// stays charged.
func TestEverythingIsRefunded(t *testing.T) {
	var client []byte
	for _, b := range [][]byte{
		pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(10, 5, 0, pcaptest.NTLMNegotiate()).Bytes(),
		pcaptest.Request(0, 11, make([]byte, 9000)).Call(2).Fragmented(2000),
		pcaptest.Request(0, 11, make([]byte, 90)).Call(3).Bytes(),
	} {
		client = append(client, b...)
	}
	for _, midstream := range []bool{false, true} {
		for n := 0; n < len(client); n += 7 {
			a := budget.New(1 << 30)
			limits := DefaultLimits()
			limits.Budget = a
			c := NewConn(limits, &quiet{})
			if midstream {
				c.Midstream()
			}
			for piece := range slices.Chunk(client[:n], 501) {
				c.Data(wire.SideA, 0, wire.Mark{Packet: 1}, piece)
			}
			if held, _ := c.Unfinished(); a.Used(budget.Unfinished) < int64(held) || held > 0 != (a.Used(budget.Unfinished) > 0) || a.Used(budget.Detail) != int64(c.Weight()) {
				t.Fatalf("%d bytes: %d and %d are charged, the connection says %d and %d", n, a.Used(budget.Unfinished), a.Used(budget.Detail), held, c.Weight())
			}
			c.End(wire.Mark{Packet: 2})
			if a.Sum() != 0 {
				t.Fatalf("midstream %v, %d bytes: %d bytes stay charged: %d unfinished", midstream, n, a.Sum(), a.Used(budget.Unfinished))
			}
		}
	}
}

// TestGiveUp lets go of what is unfinished in mid-conversation: calls after it
// are read as ever, and every byte is in one bin.
func TestGiveUp(t *testing.T) {
	big := pcaptest.Request(0, 11, bytes.Repeat([]byte{7}, 4000)).Call(2)
	next := pcaptest.Request(0, 11, bytes.Repeat([]byte{9}, 40)).Call(3).Bytes()
	fragments := big.Fragmented(1000)
	first := int(wire.LittleEndian.Uint16(fragments[8:])) // frag_length
	tests := []struct {
		name       string
		sent, rest []byte // before and after
		midstream  bool
		want       Stats
		requests   int64 // seen by the handler, with their stubs
		stubs      int
	}{
		{"in a PDU", big.Bytes()[:1000], slices.Concat(big.Bytes()[1000:], next), false, Stats{PDUsDamaged: 1, UnfinishedDropped: 1}, 2, 40},
		{"in a header", big.Bytes()[:10], slices.Concat(big.Bytes()[10:], next), false, Stats{}, 2, 4040},
		{"between fragments", fragments[:first], slices.Concat(fragments[first:], next), false, Stats{StubsCut: 1}, 2, 40},
		{"in a search", slices.Concat(make([]byte, 50), next[:30]), slices.Concat(next[30:], next, next), true, Stats{UnfinishedDropped: 1, Resynchronised: 1}, 2, 80},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := budget.New(1 << 30)
			limits := DefaultLimits()
			limits.Budget = a
			h := &quiet{}
			c := NewConn(limits, h)
			if tt.midstream {
				c.Midstream()
			}
			c.Data(wire.SideA, 0, wire.Mark{Packet: 1}, tt.sent)
			if n, since := c.Unfinished(); n == 0 || since.Packet != 1 {
				t.Fatalf("%d bytes are unfinished, since packet %d", n, since.Packet)
			}
			c.GiveUp()
			if n := a.Used(budget.Unfinished); n > headerLength {
				t.Errorf("%d bytes are still held", n)
			}
			c.Data(wire.SideA, 0, wire.Mark{Packet: 2}, tt.rest)
			c.End(wire.Mark{Packet: 2})
			if diff := cmp.Diff(tt.want, c.Stats); diff != "" {
				t.Errorf("stats (-want +got):\n%s", diff)
			}
			if c.Counts.Requests != tt.requests || h.bytes != tt.stubs {
				t.Errorf("%d requests with %d stub bytes, want %d with %d", c.Counts.Requests, h.bytes, tt.requests, tt.stubs)
			}
			if c.Bytes.Sum() != c.Bytes.Delivered {
				t.Errorf("%d bytes in bins of %d", c.Bytes.Sum(), c.Bytes.Delivered)
			}
		})
	}
}

// TestTablesGrowAsGranted fills the tables of a connection in a shard whose
// others hold all there is: up to the floor rows are kept, then counted.
func TestTablesGrowAsGranted(t *testing.T) {
	var client []byte
	for i := range 200 {
		offers := []pcaptest.Context{pcaptest.Offer(uint16(i), pcaptest.EMSMDB)}
		client = append(client, pcaptest.AlterContext(7, offers...).Call(uint32(i)).Auth(10, 5, uint32(i), pcaptest.NTLMNegotiate()).Bytes()...)
	}
	for i := range 600 {
		client = append(client, pcaptest.Request(0, uint16(i), nil).Call(uint32(1000+i)).Bytes()...)
	}
	a := budget.New(1 << 20)
	a.Add(budget.Detail, 1<<20)
	limits := DefaultLimits()
	limits.Budget = a
	c := NewConn(limits, &quiet{})
	c.Data(wire.SideA, 0, wire.Mark{Packet: 1}, client)
	if c.Weight() > budget.Floor+callWeight || c.Weight() < budget.Floor-authWeight {
		t.Errorf("the tables weigh %d", c.Weight())
	}
	c.End(wire.Mark{Packet: 1})
	s := c.Stats
	if s.ContextsDropped == 0 || s.AuthsDropped == 0 || s.OperationsDropped == 0 || s.CallsLost == 0 || c.Counts.Requests != 600 {
		t.Errorf("%d requests, %+v", c.Counts.Requests, s)
	}
}

// TestDiscard lets go of one connection: the account goes on for the others of
// its shard, and nothing of the one stays charged.
func TestDiscard(t *testing.T) {
	limits := DefaultLimits()
	limits.Budget = budget.New(1 << 30)
	pool := NewPool(limits)
	foreign, other := pool.NewConn(&quiet{}), pool.NewConn(&quiet{})
	foreign.Midstream()
	foreign.Data(wire.SideA, 0, wire.Mark{Packet: 1}, make([]byte, limits.Scan))
	foreign.Data(wire.SideB, 0, wire.Mark{Packet: 2}, []byte{5, 0})
	if foreign.Verdict() != NotRPC || limits.Budget.Used(budget.Unfinished) == 0 {
		t.Fatalf("verdict %v, %d bytes are charged", foreign.Verdict(), limits.Budget.Used(budget.Unfinished))
	}
	foreign.Discard()
	if n := limits.Budget.Sum(); n != 0 || foreign.Verdict() != NotRPC {
		t.Errorf("%d bytes stay charged, verdict %v", n, foreign.Verdict())
	}
	other.Data(wire.SideA, 0, wire.Mark{Packet: 3}, pcaptest.Request(0, 11, nil).Call(2).Bytes())
	if limits.Budget.Used(budget.Detail) == 0 {
		t.Error("the other connection charges nothing")
	}
}
