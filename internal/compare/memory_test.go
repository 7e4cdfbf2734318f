package compare

import (
	"net/netip"
	"runtime"
	"testing"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// twoLegs opens both legs of one connection with a handshake that goes all the
// way, 20 ms there and back.
func twoLegs(s *Shard) (near, far *leg) {
	legs := [2]*leg{}
	for i, point := range []pcaps.Point{pcaps.Edge, pcaps.Core} {
		f := &flows.Conn{
			Point: point, Tap: pcaps.Tap(i + 1), Origin: flows.Handshake, ClientKnown: true, SynToSynAck: 40e6, SynAckToAck: 1e3,
			A: netip.MustParseAddrPort("10.1.0.5:3774"), B: netip.MustParseAddrPort("10.2.0.9:59531"),
		}
		if i == 1 {
			f.SynToSynAck = 1e5
		}
		syn := int64(1e9) + int64(i)*20e6
		for side := range f.Sides {
			f.Sides[side].ISN, f.Sides[side].HasISN, f.Sides[side].Packets = uint32(100+side), true, 10
			f.Sides[side].Syn = wire.Mark{Time: syn + int64(side)*int64(f.SynToSynAck), Packet: 1}
		}
		f.First, f.Last = f.Sides[0].Syn, wire.Mark{Time: 1e18, Packet: 1e9}
		legs[i] = s.Open(&assoc.Conn{Flow: f}).(*leg)
	}
	return legs[0], legs[1]
}

// call lets a leg see a call.
func (l *leg) see(id uint32, asked, answered int64, sum uint64) {
	c := &dcerpc.Call{ID: id, Opnum: 11, OpnumKnown: true}
	c.Request.Last.Time, c.Request.Digest = asked, sum
	l.Asked(c, emsmdb.MDB, emsmdb.Digest{Sum: sum})
	c.Response.First.Time, c.Response.Digest = answered, sum
	l.Answered(c, 0)
}

// TestALongPairKeepsItsMemory: what is remembered belongs to what is going on,
// not to what is over, whatever an accelerator does and however far the clocks
// differ.
func TestALongPairKeepsItsMemory(t *testing.T) {
	for _, row := range []struct {
		name         string
		local, ahead int // of a hundred calls
		most         int // calls remembered at the end
	}{
		{"everything remote", 0, 0, 2},
		{"half answered locally", 50, 0, maxLoose},
		{"calls that nobody asked for", 0, 50, maxLoose},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := NewJob(pcaps.Edge, pcaps.Core).Shard()
			near, far := twoLegs(s)
			segment := make([]byte, 1000)
			var pos, farPos int64
			heap := func() uint64 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			const rounds = 200_000
			var early uint64
			now := int64(2e9)
			for i := range rounds {
				now += 100e6
				near.Data(wire.SideA, pos, segment)
				far.Data(wire.SideA, pos, segment)
				pos += int64(len(segment))
				n := i % 100
				if n >= row.local {
					far.see(uint32(i), now+20e6, now+21e6, uint64(i))
					far.Data(wire.SideB, farPos, segment)
					near.Data(wire.SideB, farPos, segment)
					farPos += int64(len(segment))
				}
				near.see(uint32(i), now, now+41e6, uint64(i))
				if n < row.ahead {
					far.see(uint32(i)+1<<30, now+50e6, now+51e6, uint64(i)|1<<40)
				}
				if i == rounds/10 {
					early = heap()
				}
			}
			late := heap()
			if near.pair == nil {
				t.Fatal("the legs were not paired")
			}
			if n := len(near.loose) + len(far.loose) + len(near.open) + len(far.open); n > row.most {
				t.Errorf("%d calls are remembered, at most %d may be", n, row.most)
			}
			if late > early+256<<10 {
				t.Errorf("the heap grew from %d to %d bytes over %d calls", early, late, rounds*9/10)
			}
			near.End()
			far.End()
			p := near.pair
			local := int64(rounds / 100 * row.local)
			if got := p.Calls.Unforwarded.Count; got != local {
				t.Errorf("%d calls answered locally, want %d", got, local)
			}
			if got, want := p.Calls.Originated, int64(rounds/100*row.ahead); got != want {
				t.Errorf("%d calls of nobody, want %d", got, want)
			}
			if p.Calls.Remote.Count != rounds-local || p.Calls.Undecided != 0 {
				t.Errorf("%+v", p.Calls)
			}
			if s.held != 0 || len(near.loose) != 0 {
				t.Error("something is remembered of what is over")
			}
		})
	}
}

// TestALegWithoutAPartnerIsBounded: one that waits for its partner stops
// remembering at a bound, and says so.
func TestALegWithoutAPartnerIsBounded(t *testing.T) {
	s := NewJob(pcaps.Edge, pcaps.Core).Shard()
	near, _ := twoLegs(s)
	for i := range 3 * maxLoose {
		at := int64(2e9) + int64(i)*1e6
		near.see(uint32(i), at, at+41e6, uint64(i))
	}
	if len(near.loose) != maxLoose || near.dropped != 2*maxLoose {
		t.Errorf("%d calls remembered, %d dropped", len(near.loose), near.dropped)
	}
	if len(near.open) != 0 {
		t.Errorf("%d calls wait for an answer that came", len(near.open))
	}
}

// BenchmarkPairedCall measures what watching one call on both sides costs.
func BenchmarkPairedCall(b *testing.B) {
	s := NewJob(pcaps.Edge, pcaps.Core).Shard()
	near, far := twoLegs(s)
	near.Data(wire.SideA, 0, []byte{1})
	far.Data(wire.SideA, 0, []byte{1})
	c := &dcerpc.Call{Opnum: 11, OpnumKnown: true}
	now := int64(2e9)
	b.ReportAllocs()
	for i := range b.N {
		now += 1e6
		c.ID = uint32(i)
		for _, l := range []*leg{near, far} {
			d := int64(0)
			if l == far {
				d = 20e6
			}
			c.Request.Last.Time, c.Request.Digest = now+d, uint64(i)
			l.Asked(c, emsmdb.MDB, emsmdb.Digest{Sum: uint64(i)})
		}
		c.Response.First.Time = now + 21e6
		far.Answered(c, 0)
		c.Response.First.Time = now + 41e6
		near.Answered(c, 0)
	}
}

var _ assoc.Observer = (*leg)(nil)
