package dcerpc

import (
	"testing"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

// TestManyAtATime has more calls open, and uses more operations, than are
// found without a table: answers come in the other order, and each operation
// counts its own twice.
func TestManyAtATime(t *testing.T) {
	const n = 3 * max(fewCalls, fewOperations)
	var s script
	for round := range uint32(2) {
		for i := range uint32(n) {
			s = join(s, client(pcaptest.Request(0, uint16(i), nil).Call(10+round*n+i).Bytes()))
		}
		for i := range uint32(n) {
			s = join(s, server(response(9+(round+1)*n-i, "")))
		}
	}
	c, _ := play(t, join(opening(), s))
	if len(c.Ops) != n || c.Counts.Responses != 2*n || c.Counts.Lost+c.Counts.Unanswered != 0 {
		t.Errorf("%d operations, %+v", len(c.Ops), c.Counts)
	}
	for _, o := range c.Ops {
		if o.Requests != 2 || o.Responses != 2 || o.Latency.Count() != 2 {
			t.Errorf("operation %d: %d requests, %d responses, %d times", o.Opnum, o.Requests, o.Responses, o.Latency.Count())
		}
	}
}

// TestPool ends a connection amid everything that it can have begun. The next
// one is as if it were the first.
func TestPool(t *testing.T) {
	unfinished := join(opening(),
		client(pcaptest.Request(0, 11, make([]byte, 90)).Call(10).Fragments(40)[0], request(11, "ask"), request(12, "ask")[:20]),
		server(pcaptest.BindAck(7, "1", pcaptest.Accept(pcaptest.NDR32)).Call(77).Bytes()[:30]))
	p := NewPool(DefaultLimits())
	run := func(s script) string {
		r := &recorder{want: 1 << 20, log: true}
		c := p.NewConn(r)
		for _, x := range s {
			c.Data(x.side, 0, wire.Mark{Packet: 1}, x.data)
		}
		c.End(wire.Mark{Packet: 1})
		return outcome(c, r)
	}
	want := run(join(opening(), client(request(10, "")), server(response(10, ""))))
	run(unfinished)
	if got := run(join(opening(), client(request(10, "")), server(response(10, "")))); got != want {
		t.Errorf("after another connection:\n%s\nfirst:\n%s", got, want)
	}
	if len(p.spare) != 1 {
		t.Errorf("%d parts are kept for reuse, want the one that all used", len(p.spare))
	}
}
