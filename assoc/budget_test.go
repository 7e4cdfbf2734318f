package assoc

import (
	"net/netip"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"mapiscope/dcerpc/epm"
	"mapiscope/flows"
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
		{"Conn", connWeight, unsafe.Sizeof(Conn{})},
		{"pair", pairWeight, unsafe.Sizeof(pair{}) + unsafe.Sizeof(pairKey{}) + 8},
		{"port", portWeight, unsafe.Sizeof(portKey{}) + unsafe.Sizeof(wire.UUID{})},
		{"Exchange", exchangeWeight, unsafe.Sizeof(Exchange{})},
		{"Answer", answerWeight, unsafe.Sizeof(epm.Answer{})},
		{"KDCMessage", messageWeight, unsafe.Sizeof(KDCMessage{})},
		{"Event", eventWeight, unsafe.Sizeof(Event{})},
		{"EventContext", contextWeight, unsafe.Sizeof(EventContext{}) + 60},
	} {
		if size := int(tt.size); tt.weight < size || tt.weight > size*2 {
			t.Errorf("%s: weighs %d, takes %d", tt.name, tt.weight, size)
		}
	}
}

// wires feeds a Linker segment by segment.
type wires struct {
	l   *Linker
	now int64
}

// talk is one connection.
type talk struct {
	w    *wires
	ends [2]netip.AddrPort
	next [2]uint32
}

func (w *wires) frame(f flows.Frame) {
	w.now++
	f.Mark = wire.Mark{Time: w.now * 1e6, Packet: w.now}
	f.Length = len(f.Payload)
	w.l.Frame(&f, flows.TCP)
}

func (w *wires) dial(port uint16) *talk {
	server := netip.MustParseAddrPort("10.2.0.9:1025")
	c := &talk{w, [2]netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("10.1.0.5"), port), server}, [2]uint32{1, 1}}
	w.frame(flows.Frame{Src: c.ends[0], Dst: c.ends[1], Flags: flows.SYN})
	w.frame(flows.Frame{Src: c.ends[1], Dst: c.ends[0], Ack: 1, Flags: flows.SYN | flows.ACK})
	return c
}

func (c *talk) send(side int, b []byte) *talk {
	c.w.frame(flows.Frame{Src: c.ends[side], Dst: c.ends[1-side], Seq: c.next[side], Ack: c.next[1-side], Flags: flows.ACK, Payload: b})
	c.next[side] += uint32(len(b))
	return c
}

// bind joins or opens an association group.
func (c *talk) bind(asked, granted uint32) *talk {
	c.send(0, pcaptest.Bind(asked, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes())
	return c.send(1, pcaptest.BindAck(granted, "1025", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
}

// reset ends the connection, and a SYN to the same port takes it off the table.
func (c *talk) reset() {
	c.w.frame(flows.Frame{Src: c.ends[0], Dst: c.ends[1], Seq: c.next[0], Ack: c.next[1], Flags: flows.RST | flows.ACK})
	c.w.l.tracker.Evict() // closed ones go first
}

// TestOrderOfDegradation lets others take the budget, a little more each time,
// and sees what goes.
func TestOrderOfDegradation(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Memory = 16 << 20
	w := &wires{l: NewLinker(cfg)}
	a := w.l.account
	for i := range 500 {
		w.dial(uint16(2000+i)).bind(0, uint32(i+1)).reset()
	}
	hole := w.dial(3000).bind(0, 100)
	hole.next[0]++
	for range 12 {
		hole.send(0, make([]byte, 60_000))
	}
	big := pcaptest.Request(0, 11, make([]byte, 60_000)).Call(2).Bytes()
	for i := range 10 {
		w.dial(uint16(4000+i)).bind(0, uint32(1000+i)).send(0, big[:50_000])
	}
	for i := range 500 {
		w.dial(uint16(5000+i)).bind(0, uint32(2000+i))
	}

	// state is what there is of each thing that can go, and whether a new row
	// of a table was granted when it had to go.
	type state struct{ Ended, Holes, Unfinished, Granted, Open string }
	before := w.l.tracker.Stats()
	look := func(granted bool) state {
		amount := func(n, all int) string {
			switch n {
			case 0:
				return "none"
			case all:
				return "all"
			}
			return "some"
		}
		s := state{Ended: amount(len(w.l.conns), 500), Holes: "kept", Unfinished: "kept", Granted: "no", Open: amount(len(w.l.open), 511)}
		if w.l.tracker.Stats().ReassemblyHoles > before.ReassemblyHoles {
			s.Holes = "given up"
		}
		if a.Used(budget.Unfinished) < cfg.Memory/64 {
			s.Unfinished = "given up"
		}
		if granted {
			s.Granted = "yes"
		}
		return s
	}
	// press lets others take all that is left, and a byte more.
	press := func() state {
		a.Add(budget.Events, int(cfg.Memory-a.Sum()+1))
		granted := a.Room(budget.Detail, 1)
		w.l.relieve()
		return look(granted)
	}
	got := []state{look(true), press(), press(), press(), press(), press()}
	want := []state{
		{"all", "kept", "kept", "yes", "all"},
		{"some", "kept", "kept", "yes", "all"},
		{"none", "kept", "kept", "yes", "all"},
		{"none", "given up", "kept", "no", "all"},
		{"none", "given up", "given up", "no", "all"},
		{"some", "given up", "given up", "no", "some"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what goes (-want +got):\n%s", diff)
	}
	if w.l.stats.MemoryExceeded != 5 {
		t.Errorf("the memory was exceeded %d times", w.l.stats.MemoryExceeded)
	}
	if left := w.l.open[0].Flow.A.Port(); left < 4000 {
		t.Errorf("the connection from port %d, silent for longest, is still open", left)
	}

	r := w.l.Close()
	if n := r.Unlisted.RPC + int64(len(r.Conns)); n != 1011 || r.TCPConnections != 1011 {
		t.Errorf("%d of %d connections are listed or counted", n, r.TCPConnections)
	}
	if l := r.Ledger; l.CapturedPayload != l.Delivered+l.Duplicate+l.OutOfWindow+l.Skipped {
		t.Errorf("ledger %+v", l)
	}
}

// TestNothingStaysCharged ends everything: what is left is what the Result
// holds, and the pairs.
func TestNothingStaysCharged(t *testing.T) {
	w := &wires{l: NewLinker(DefaultConfig())}
	for i := range 20 {
		c := w.dial(uint16(2000+i)).bind(0, uint32(i+1))
		c.send(0, pcaptest.Request(0, 11, make([]byte, 3000)).Call(2).Fragmented(1000)[:2100])
		c.next[0]++
		c.send(0, make([]byte, 500))
	}
	a := w.l.account
	for _, k := range []budget.Kind{budget.Open, budget.Detail, budget.Held, budget.Unfinished, budget.Shared} {
		if a.Used(k) == 0 {
			t.Errorf("nothing of kind %d is charged", k)
		}
	}
	w.l.tracker.Flush()
	if a.Used(budget.Open)+a.Used(budget.Detail)+a.Used(budget.Held)+a.Used(budget.Unfinished) != 0 || a.Used(budget.Ended) == 0 {
		t.Errorf("after the end: %+v", *a)
	}
	w.l.Trim(0)
	w.l.dropPairs()
	if a.Sum() != 0 {
		t.Errorf("%d bytes stay charged: %+v", a.Sum(), *a)
	}
}

// TestTrimKeepsGroups trims the list while one of two groups has an open
// member: its ended members stay, so that its verdict stands on all of them.
func TestTrimKeepsGroups(t *testing.T) {
	w := &wires{l: NewLinker(DefaultConfig())}
	for i := range 3 {
		w.dial(uint16(2000+i)).bind(7, 7).reset()
		w.dial(uint16(3000+i)).bind(8, 8).reset()
	}
	last := w.dial(2100).bind(7, 7)
	ports := func() (all []uint16) {
		for _, c := range w.l.conns {
			all = append(all, c.Flow.A.Port())
		}
		return all
	}
	for _, tt := range []struct {
		name string
		do   func()
		want []uint16
	}{
		{"room for all", func() { w.l.Trim(6) }, []uint16{2000, 3000, 2001, 3001, 2002, 3002}},
		{"room for one beside the group", func() { w.l.Trim(1) }, []uint16{2000, 2001, 2002, 3002}},
		{"no room beside the group", func() { w.l.Trim(0) }, []uint16{2000, 2001, 2002}},
		{"the bound of the list", func() {
			w.l.cfg.Listed = 2
			w.dial(4000).bind(9, 9).reset()
		}, []uint16{2001, 2002}},
		{"the group is over", func() { last.reset(); w.l.Trim(0) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.do()
			if diff := cmp.Diff(tt.want, ports()); diff != "" {
				t.Errorf("ports of the list (-want +got):\n%s", diff)
			}
		})
	}
	if u := w.l.unlisted; u.RPC != 8 || u.MAPI != 8 {
		t.Errorf("unlisted: %+v", u)
	}
}
