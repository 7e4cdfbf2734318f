package dcerpc

import (
	"testing"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

func TestLimits(t *testing.T) {
	var calls, operations, faults script
	for id := uint32(10); id < 20; id++ {
		calls = join(calls, client(request(id, "ask")))
		operations = join(operations, client(pcaptest.Request(0, uint16(id), nil).Call(id).Bytes()), server(response(id, "")))
		faults = join(faults, client(request(id, "ask")), server(pcaptest.Fault(0, 5).Call(id).Bytes(), pcaptest.BindNak(0).Call(id).Bytes()))
	}
	offers := make([]pcaptest.Context, 10)
	for i := range offers {
		offers[i] = pcaptest.Offer(uint16(i+10), pcaptest.EMSMDB)
	}
	var auths script
	for id := uint32(10); id < 20; id++ {
		auths = join(auths, client(pcaptest.Request(0, 11, nil).Call(id).Auth(10, 5, id, make([]byte, 16)).Bytes()), server(response(id, "")))
	}
	stub := make([]byte, 100)
	stubs := join(
		client(pcaptest.Request(0, 11, stub).Call(10).Fragments(40)[:2]...), client(pcaptest.Request(0, 11, stub).Call(11).Fragmented(40)),
		client(pcaptest.Request(0, 11, stub).Call(10).Fragments(40)[2]), client(pcaptest.Request(0, 11, stub).Call(12).Fragmented(40)),
	)
	tests := []struct {
		name  string
		set   func(l *Limits)
		s     script
		check func(c *Conn) (kept, dropped int64)
		kept  int64
		drops int64
	}{
		{"contexts", func(l *Limits) { l.Contexts = 4 }, client(pcaptest.Bind(0, offers...).Call(5).Bytes()),
			func(c *Conn) (int64, int64) { return int64(len(c.Contexts)), c.Stats.ContextsDropped }, 4, 7},
		{"open calls", func(l *Limits) { l.OpenCalls = 4 }, calls,
			func(c *Conn) (int64, int64) { return c.Counts.Unanswered, c.Stats.CallsLost }, 4, 6},
		{"open calls are lost", func(l *Limits) { l.OpenCalls = 4 }, calls,
			func(c *Conn) (int64, int64) { return c.Counts.Requests, c.Counts.Lost }, 10, 6},
		{"auth contexts", func(l *Limits) { l.Auths = 4 }, auths,
			func(c *Conn) (int64, int64) { return int64(len(c.Auths)), c.Stats.AuthsDropped }, 4, 6},
		{"operations", func(l *Limits) { l.Operations = 4 }, operations,
			func(c *Conn) (int64, int64) { return int64(len(c.Ops)), c.Stats.OperationsDropped }, 4, 6},
		{"operations are counted in all", func(l *Limits) { l.Operations = 4 }, operations,
			func(c *Conn) (int64, int64) { return c.Counts.Responses, c.Counts.Lost }, 10, 0},
		{"faults", func(l *Limits) { l.Faults = 4 }, faults,
			func(c *Conn) (int64, int64) { return int64(len(c.Faults)), c.Stats.FaultsDropped }, 4, 6 + 6},
		{"faults are counted", func(l *Limits) { l.Faults = 4 }, faults,
			func(c *Conn) (int64, int64) { return c.Counts.Faults, int64(len(c.Naks)) }, 10, 4},
		{"stub bytes", func(l *Limits) { l.StubBytes = 150 }, stubs,
			func(c *Conn) (int64, int64) { return int64(c.weight), c.Stats.StubsCut }, contextWeight + syntaxWeight + operationWeight, 1},
		{"nothing is dropped", func(l *Limits) {}, join(calls, operations, faults, auths, stubs),
			func(c *Conn) (int64, int64) {
				return 0, c.Stats.ContextsDropped + c.Stats.AuthsDropped + c.Stats.OperationsDropped + c.Stats.FaultsDropped + c.Stats.CallsLost + c.Stats.StubsCut
			}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := DefaultLimits()
			tt.set(&l)
			c, _ := playing{limits: l}.play(t, join(opening(), tt.s))
			if kept, dropped := tt.check(c); kept != tt.kept || dropped != tt.drops {
				t.Errorf("kept %d, dropped %d; want %d and %d", kept, dropped, tt.kept, tt.drops)
			}
			playing{limits: l}.anySegmentation(t, join(opening(), tt.s), 5)
		})
	}
}

// TestOldestCallIsLost checks who has to go when the table of calls is full.
func TestOldestCallIsLost(t *testing.T) {
	l := DefaultLimits()
	l.OpenCalls = 3
	_, r := playing{limits: l}.play(t, client(request(9, ""), request(2, ""), request(7, ""), request(4, ""), request(1, "")))
	lines(t, r, `
		request 9 context 0 opnum 11 ""
		request 2 context 0 opnum 11 ""
		request 7 context 0 opnum 11 ""
		lost 9
		request 4 context 0 opnum 11 ""
		lost 2
		request 1 context 0 opnum 11 ""
		lost 7
		lost 4
		lost 1`)
}

// TestTransferSyntaxesAreBounded offers more than are kept.
func TestTransferSyntaxesAreBounded(t *testing.T) {
	many := make([]pcaptest.Syntax, 200)
	for i := range many {
		many[i] = pcaptest.NDR32
	}
	c, _ := play(t, client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB, many...), pcaptest.Offer(1, pcaptest.NSPI)).Call(1).Bytes()))
	if len(c.Contexts) != 2 || len(c.Contexts[0].Transfers) != maxTransfers || c.Contexts[1].Interface.UUID != NSPI {
		t.Errorf("%d contexts, %d transfer syntaxes", len(c.Contexts), len(c.Contexts[0].Transfers))
	}
}

func TestClientIsWhoSendsItsPDUs(t *testing.T) {
	tests := []struct {
		name string
		s    script
		want wire.Side
		ok   bool
	}{
		{"request", client(request(1, "")), wire.SideA, true},
		{"response", client(response(1, "")), wire.SideB, true},
		{"bind of the second side", server(pcaptest.Bind(0).Call(1).Bytes()), wire.SideB, true},
		{"shutdown", server(pcaptest.Shutdown().Bytes()), wire.SideA, true},
		{"nothing", client([]byte("GET / HTTP/1.1")), 0, false},
	}
	for _, tt := range tests {
		c, _ := play(t, tt.s)
		if got, ok := c.Client(); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: side %d, %v", tt.name, got, ok)
		}
	}
}
