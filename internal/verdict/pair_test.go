package verdict

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/wire"
)

// legAt is one leg as far as the crossing looks at it. Side A is the client's.
func legAt(change ...func(f *flows.Conn)) *assoc.Conn {
	f := &flows.Conn{A: netip.MustParseAddrPort("10.1.0.5:4001"), B: netip.MustParseAddrPort(mdb), Origin: flows.Handshake, Client: wire.SideA, ClientKnown: true}
	for _, c := range change {
		c(f)
	}
	return &assoc.Conn{Flow: f}
}

func isns(client, server uint32) func(f *flows.Conn) {
	return func(f *flows.Conn) {
		f.Sides[0].ISN, f.Sides[0].HasISN, f.Sides[1].ISN, f.Sides[1].HasISN = client, true, server, true
	}
}

func acks(side int, n int64, least time.Duration) func(f *flows.Conn) {
	return func(f *flows.Conn) { f.Sides[side].AckSamples, f.Sides[side].MinAckDelay = n, least }
}

func trips(toServer, toClient time.Duration) func(f *flows.Conn) {
	return func(f *flows.Conn) { f.SynToSynAck, f.SynAckToAck = toServer, toClient }
}

func payload(f *flows.Conn) { f.Sides[0].Bytes = 100 }
func jumps(f *flows.Conn)   { f.Sides[0].Jump = &flows.Jump{} }

// TestCrossing: what two legs say, by what is known of each.
func TestCrossing(t *testing.T) {
	const d = 20 * time.Millisecond
	known := compare.Clock{Known: true, Delay: int64(d)}
	alike := func(p *compare.Pair) { p.Client.Compared, p.Client.Identical = 100, 100 }
	recut := func(p *compare.Pair) { alike(p); p.Client.Recut = 7 }
	differs := func(p *compare.Pair) { alike(p); p.Client.Differs = true }
	type want struct {
		Path     Path
		Weight   Quality
		Streams  Streams
		Reason   string
		Evidence []Kind
	}
	for _, row := range []struct {
		name      string
		near, far *assoc.Conn
		clock     compare.Clock
		pair      func(p *compare.Pair)
		want      want
	}{
		{"nothing is known", legAt(), legAt(), compare.Clock{}, nil,
			want{PathUnknown, Unavailable, UnknownStreams, "neither handshakes, streams nor acknowledgements can be compared", nil}},
		{"the same numbers", legAt(isns(1, 2)), legAt(isns(1, 2)), compare.Clock{}, nil,
			want{PassThrough, Exact, UnknownStreams, "the same sequence numbers of both sides at both points, and no byte differs", []Kind{SameSequence}}},
		{"the same numbers, and no byte behind them can be compared", legAt(isns(1, 2), payload), legAt(isns(1, 2), payload), compare.Clock{}, nil,
			want{PathUnknown, Unavailable, UnknownStreams, "both show the same handshake, and none of the bytes behind it can be compared", []Kind{SameSequence}}},
		{"the same, acknowledged end to end", legAt(isns(1, 2), payload, acks(0, 1, 36*time.Millisecond)), legAt(isns(1, 2), payload), known, nil,
			want{PassThrough, Exact, UnknownStreams, "the same sequence numbers of both sides at both points, acknowledged from end to end", []Kind{SameSequence}}},
		{"one point shows the jump", legAt(isns(1, 2), payload), legAt(isns(1, 2), payload, jumps), compare.Clock{}, nil,
			want{Optimized, Exact, UnknownStreams, "the sequence numbers jump at one point and not at the other", []Kind{SameSequence}}},
		{"near: one point shows the jump, the other no payload", legAt(isns(1, 2)), legAt(isns(1, 2), payload, jumps), compare.Clock{}, nil,
			want{PassThrough, Exact, UnknownStreams, "the same sequence numbers of both sides at both points, and no byte differs", []Kind{SameSequence}}},
		{"one number differs", legAt(isns(1, 2)), legAt(isns(1, 3)), compare.Clock{}, nil,
			want{PathUnknown, Unavailable, UnknownStreams, "neither handshakes, streams nor acknowledgements can be compared", []Kind{OtherSequence}}},
		{"the client's number alone is no proof", legAt(isns(1, 2)), legAt(func(f *flows.Conn) { f.Sides[0].ISN, f.Sides[0].HasISN = 1, true }), compare.Clock{}, nil,
			want{PathUnknown, Unavailable, UnknownStreams, "neither handshakes, streams nor acknowledgements can be compared", nil}},
		{"the same numbers, acknowledged end to end", legAt(isns(1, 2), acks(0, 1, 36*time.Millisecond)), legAt(isns(1, 2)), known, alike,
			want{PassThrough, Exact, SameStreams, "the same bytes in the same sequence space, acknowledged from end to end", []Kind{SameSequence}}},
		{"the same numbers, acknowledged a little sooner", legAt(isns(1, 2), acks(0, 1, 36*time.Millisecond-1)), legAt(isns(1, 2)), known, alike,
			want{PassThrough, Exact, SameStreams, "the same sequence numbers of both sides at both points, and no byte differs", []Kind{SameSequence}}},
		{"the same numbers, acknowledged before the way is gone", legAt(isns(1, 2), acks(0, 1, d-1)), legAt(isns(1, 2)), known, alike,
			want{Optimized, Exact, SameStreams, "TCP is terminated between the points, and the payload is the same: identical streams", []Kind{EarlyAck, SameSequence}}},
		{"just not before", legAt(isns(1, 2), acks(0, 1, d)), legAt(isns(1, 2)), known, alike,
			want{PassThrough, Exact, SameStreams, "the same sequence numbers of both sides at both points, and no byte differs", []Kind{SameSequence}}},
		{"a way of less than a millisecond tells nothing", legAt(isns(1, 2), acks(0, 1, 1)), legAt(isns(1, 2)), compare.Clock{Known: true, Delay: 999_999}, alike,
			want{PassThrough, Exact, SameStreams, "the same sequence numbers of both sides at both points, and no byte differs", []Kind{SameSequence}}},
		{"an early acknowledgement of what was sent again tells nothing", legAt(isns(1, 2), acks(0, 1, 1), func(f *flows.Conn) { f.Sides[0].Retransmitted = 1 }), legAt(isns(1, 2)), known, alike,
			want{PassThrough, Exact, SameStreams, "the same sequence numbers of both sides at both points, and no byte differs", []Kind{SameSequence}}},
		{"data of the server, acknowledged at the far point", legAt(), legAt(acks(1, 1, d-1)), known, nil,
			want{Optimized, Exact, UnknownStreams, "TCP is terminated between the points", []Kind{EarlyAck}}},
		{"just not before, at the far point", legAt(), legAt(acks(1, 1, d)), known, nil,
			want{PathUnknown, Unavailable, UnknownStreams, "neither handshakes, streams nor acknowledgements can be compared", nil}},
		{"the SYN is answered at the near point", legAt(trips(d-1, 0)), legAt(), known, nil,
			want{Optimized, Exact, UnknownStreams, "TCP is terminated between the points", []Kind{LocalHandshake}}},
		{"just not before the way is gone", legAt(trips(d, 0)), legAt(trips(0, d)), known, nil,
			want{PathUnknown, Unavailable, UnknownStreams, "neither handshakes, streams nor acknowledgements can be compared", nil}},
		{"the SYN/ACK is acknowledged at the far point", legAt(), legAt(trips(0, d-1)), known, nil,
			want{Optimized, Exact, UnknownStreams, "TCP is terminated between the points", []Kind{LocalHandshake}}},
		{"bytes differ", legAt(isns(1, 2)), legAt(isns(1, 2)), known, differs,
			want{Optimized, Exact, Differs, "the streams differ", []Kind{SameSequence}}},
		{"other segments in another sequence space", legAt(isns(1, 2)), legAt(isns(3, 4)), compare.Clock{}, recut,
			want{Optimized, Heuristic, Recut, "the same bytes in other segments and another sequence space: TCP is terminated between the points", []Kind{OtherSequence, Resegmented}}},
		{"another sequence space alone", legAt(isns(1, 2)), legAt(isns(3, 4)), compare.Clock{}, alike,
			want{PathUnknown, Unavailable, SameStreams, "the payload is the same; whether TCP is terminated between the points cannot be told", []Kind{OtherSequence}}},
		{"rewritten numbers, acknowledged end to end", legAt(isns(1, 2), acks(0, 1, 36*time.Millisecond)), legAt(isns(3, 4)), known, alike,
			want{PassThrough, Heuristic, SameStreams, "the same bytes, acknowledged from end to end, in a sequence space that was rewritten", []Kind{OtherSequence}}},
		{"bytes differ, and both ends have other addresses", legAt(isns(1, 2)), legAt(isns(3, 4), func(f *flows.Conn) {
			f.A, f.B = netip.MustParseAddrPort("10.9.0.5:4001"), netip.MustParseAddrPort("10.8.0.9:59531")
		}), known, differs,
			want{Optimized, Heuristic, Differs, "the streams differ, if they show one connection: both its ends have other addresses there", []Kind{OtherSequence}}},
		{"bytes differ, and the client has another address", legAt(isns(1, 2)), legAt(isns(3, 4), func(f *flows.Conn) {
			f.A = netip.MustParseAddrPort("10.9.0.5:4001")
		}), known, differs,
			want{Optimized, Exact, Differs, "the streams differ", []Kind{OtherSequence}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := crossing{near: row.near, far: row.far, clock: row.clock}
			if row.pair != nil {
				x.pair = &compare.Pair{Near: row.near, Far: row.far}
				row.pair(x.pair)
			}
			x.judge()
			got := want{x.out.Path, x.out.Weight, x.out.Streams, x.out.Reason, nil}
			for _, e := range x.out.Evidence {
				got.Evidence = append(got.Evidence, e.Kind)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRewritten: whether two handshakes may be one behind a firewall.
func TestRewritten(t *testing.T) {
	stamps := func(b byte) []byte { return []byte{8, 10, 0, 0, 0, b, 0, 0, 0, 0} }
	options := func(syn, ack []byte) *assoc.Conn {
		return legAt(func(f *flows.Conn) { f.Sides[0].SynOptions, f.Sides[1].SynOptions = syn, ack })
	}
	for _, row := range []struct {
		name      string
		near, far *assoc.Conn
		want      bool
	}{
		{"no options", options(nil, nil), options(nil, nil), true},
		{"the same stamps", options(stamps(1), stamps(2)), options(stamps(1), stamps(2)), true},
		{"other stamps on the SYN", options(stamps(1), stamps(2)), options(stamps(3), stamps(2)), false},
		{"other stamps on the SYN/ACK", options(stamps(1), stamps(2)), options(stamps(1), stamps(3)), false},
		{"stamps at one point alone", options(stamps(1), nil), options([]byte{2, 4, 5, 6}, stamps(3)), true},
	} {
		if got := rewritten(row.near, row.far); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

// TestStreamsOf names what a comparison of streams found.
func TestStreamsOf(t *testing.T) {
	closed := func(f *flows.Conn) {
		f.Sides[0].Fin, f.Sides[1].Fin = wire.Mark{Packet: 8, Time: 8}, wire.Mark{Packet: 9, Time: 9}
	}
	if !over(legAt(closed)) || over(legAt()) {
		t.Fatal("the legs do not end")
	}
	for _, row := range []struct {
		name   string
		rpc    bool
		ends   func(f *flows.Conn)
		change func(p *compare.Pair)
		want   Streams
	}{
		{"nothing compared", false, nil, func(p *compare.Pair) {}, UnknownStreams},
		{"DCE/RPC, nothing compared", true, nil, func(p *compare.Pair) {}, UnknownStreams},
		{"identical", false, nil, func(p *compare.Pair) { p.Server.Compared = 1 }, SameStreams},
		{"in other segments", false, nil, func(p *compare.Pair) { p.Client.Compared, p.Server.Recut = 1, 1 }, Recut},
		{"the client's differs", false, nil, func(p *compare.Pair) { p.Client.Compared, p.Client.Differs = 1, true }, Differs},
		{"the server's differs", false, nil, func(p *compare.Pair) { p.Client.Compared, p.Server.Differs = 1, true }, Differs},
		{"one is shorter and goes on", false, nil, func(p *compare.Pair) { p.Client.Compared, p.Client.Lengths = 1, true }, SameStreams},
		{"one is shorter and ended", false, closed, func(p *compare.Pair) { p.Client.Compared, p.Client.Lengths = 1, true }, Differs},
		{"the server's is shorter and ended", false, closed, func(p *compare.Pair) { p.Client.Compared, p.Server.Lengths = 1, true }, Differs},
		{"one is shorter, but a capture lost packets", false, closed, func(p *compare.Pair) { p.Client.Compared, p.Client.Lengths, p.Lossy = 1, true, true }, SameStreams},
		{"calls were answered on the way", true, nil, func(p *compare.Pair) { p.Client.Compared, p.Calls.Originated = 1, 1 }, RPCDiffers},
		{"DCE/RPC differs", true, nil, func(p *compare.Pair) { p.Client.Compared, p.Client.Differs = 1, true }, RPCDiffers},
		{"encrypted anew", true, nil, func(p *compare.Pair) {
			p.Client.Compared, p.Client.Differs, p.Sealed, p.Calls.Differing = 1, true, true, 1
		}, Reencrypted},
		{"sealed, and calls were answered on the way", true, nil, func(p *compare.Pair) {
			p.Client.Compared, p.Client.Differs, p.Sealed, p.Calls.Differing, p.Calls.Originated = 1, true, true, 1, 1
		}, RPCDiffers},
		{"the same PDUs", true, nil, func(p *compare.Pair) { p.Calls.Identical = 1 }, SamePDUs},
		{"other PDUs", true, nil, func(p *compare.Pair) { p.Calls.Differing = 1 }, RPCDiffers},
		{"other PDUs, but a capture lost packets", true, nil, func(p *compare.Pair) { p.Calls.Differing, p.Lossy = 1, true }, UnknownStreams},
		{"other sealed PDUs", true, nil, func(p *compare.Pair) { p.Calls.Differing, p.Sealed = 1, true }, Reencrypted},
		{"some other sealed PDUs", true, nil, func(p *compare.Pair) { p.Calls.Differing, p.Calls.Identical, p.Sealed = 1, 1, true }, RPCDiffers},
		{"sealed calls that stayed on the way", true, nil, func(p *compare.Pair) { p.Calls.Differing, p.Calls.Originated, p.Sealed = 1, 1, true }, RPCDiffers},
	} {
		t.Run(row.name, func(t *testing.T) {
			near, far := legAt(), legAt()
			if row.ends != nil {
				near, far = legAt(row.ends), legAt(row.ends)
			}
			if row.rpc {
				near.RPC, far.RPC = new(dcerpc.Conn), new(dcerpc.Conn)
			}
			p := &compare.Pair{Near: near, Far: far}
			row.change(p)
			if got := compared(p); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

// TestAccelerator: who took a connection, by what crossed.
func TestAccelerator(t *testing.T) {
	for _, row := range []struct {
		name    string
		path    Path
		streams Streams
		service assoc.Service
		pair    *compare.Pair
		want    string
	}{
		{"passed", PassThrough, SameStreams, assoc.MAPI, &compare.Pair{}, "pass_through"},
		{"not known", PathUnknown, SameStreams, assoc.MAPI, &compare.Pair{}, "unknown"},
		{"the endpoint mapper's", Optimized, SameStreams, assoc.EPM, &compare.Pair{}, "epm"},
		{"calls differ", Optimized, RPCDiffers, assoc.MAPI, &compare.Pair{}, "mapi"},
		{"encrypted anew", Optimized, Reencrypted, assoc.MAPIAsync, &compare.Pair{}, "mapi"},
		{"nothing differs", Optimized, SameStreams, assoc.MAPI, &compare.Pair{}, "generic"},
		{"calls differ until a hand-off", Optimized, RPCDiffers, assoc.MAPI, &compare.Pair{HandedOff: 1}, "generic"},
		{"calls differ, with loss", Optimized, RPCDiffers, assoc.MAPI, &compare.Pair{Lossy: true}, "generic"},
		{"calls differ of another service", Optimized, RPCDiffers, assoc.NSPI, &compare.Pair{}, "generic"},
		{"not compared", Optimized, UnknownStreams, assoc.MAPI, nil, "unknown"},
	} {
		x := crossing{pair: row.pair, out: Crossing{Path: row.path, Streams: row.streams}}
		if got := x.accelerator(row.service); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

// TestEnding: who ended a connection.
func TestEnding(t *testing.T) {
	at := func(n int64) wire.Mark { return wire.Mark{Time: n, Packet: n} }
	open := func(f *flows.Conn) {}
	fins := func(client, server int64) func(f *flows.Conn) {
		return func(f *flows.Conn) {
			if client > 0 {
				f.Sides[0].Fin = at(client)
			}
			if server > 0 {
				f.Sides[1].Fin = at(server)
			}
		}
	}
	rst := func(side int) func(f *flows.Conn) {
		return func(f *flows.Conn) { f.Sides[side].Rst = at(5) }
	}
	for _, row := range []struct {
		name      string
		near, far func(f *flows.Conn)
		want      Crossing
	}{
		{"open", open, open, Crossing{}},
		{"the client's FIN first", fins(3, 4), fins(3, 4), Crossing{EndedBy: "client"}},
		{"the server's FIN first", fins(4, 3), fins(4, 3), Crossing{EndedBy: "server"}},
		{"the client's FIN alone", fins(3, 0), fins(3, 0), Crossing{EndedBy: "client"}},
		{"the server's FIN alone", fins(0, 3), fins(0, 3), Crossing{EndedBy: "server"}},
		{"both at once", fins(3, 3), fins(3, 3), Crossing{EndedBy: "client"}},
		{"reset by the client", rst(0), rst(0), Crossing{EndedBy: "client"}},
		{"reset by the server", rst(1), rst(1), Crossing{EndedBy: "server"}},
		{"reset by the server at the near point alone", rst(1), open, Crossing{EndedBy: "optimizer", ResetNear: true}},
		{"reset by the client at the far point alone", open, rst(0), Crossing{EndedBy: "optimizer", ResetFar: true}},
		{"reset by the client at the near point alone", rst(0), open, Crossing{EndedBy: "client"}},
		{"reset by the server at the far point alone", open, rst(1), Crossing{EndedBy: "server"}},
	} {
		x := crossing{near: legAt(row.near), far: legAt(row.far)}
		x.ending()
		if diff := cmp.Diff(row.want, x.out); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}
