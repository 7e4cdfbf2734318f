package flows

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
	"mapiscope/pcaps"
)

// fuzzLinks are the link types that a fuzzed packet can have.
var fuzzLinks = []pcaps.LinkType{
	pcaps.LinkEthernet, pcaps.LinkRaw, pcaps.LinkNull, pcaps.LinkLoop, pcaps.LinkLinuxSLL, pcaps.LinkLinuxSLL2, pcaps.LinkPPP,
	pcaps.LinkIPv4, pcaps.LinkIPv6, pcaps.LinkEnc, pcaps.LinkCiscoHDLC, pcaps.LinkFrameRelay, pcaps.LinkPPPWithDir, pcaps.LinkATM, pcaps.LinkTokenRing,
	pcaps.LinkFDDI, pcaps.LinkWiFi, pcaps.LinkRadiotap, pcaps.LinkWiFiPrism, pcaps.LinkPPI, pcaps.LinkPKTAP, pcaps.LinkPFLOG, pcaps.LinkNFLOG,
	pcaps.LinkCiscoHDLCWithDir, pcaps.LinkFrameRelayWithDir, pcaps.LinkPPPoE, pcaps.LinkWiFiAVS, 250,
}

// packets reads packets from fuzzed bytes: one for the link type, one for the
// time since the packet before, two for the length, then the packet.
func packets(b []byte) (all []pcaps.Packet) {
	now := int64(0)
	for len(b) > 4 && len(all) < 200 {
		n := min(int(binary.LittleEndian.Uint16(b[2:])), len(b)-4)
		now += int64(b[1]) * 1e9
		data := bytes.Clone(b[4 : 4+n]) // nothing can be read behind it
		all = append(all, pcaps.Packet{
			Mark: wire.Mark{Packet: int64(len(all) + 1), Time: now}, Link: fuzzLinks[int(b[0])%len(fuzzLinks)], WireLen: n, Data: data[:n:n],
		})
		b = b[4+n:]
	}
	return all
}

// FuzzDecoder: of packets of any link type, frames hold no more than was
// captured, a packet cut short tells the same or less, and what waits for
// fragments is bounded.
func FuzzDecoder(f *testing.F) {
	for _, s := range frameSeeds(f) {
		f.Add(s, uint16(50))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		limits := DefaultLimits()
		limits.Datagrams, limits.DatagramBytes = 4, 1<<17
		d := NewDecoder(limits)
		for _, p := range packets(b) {
			before := bytes.Clone(p.Data)
			var frame, again Frame
			kind := d.Decode(&p, &frame)
			if !bytes.Equal(before, p.Data) {
				t.Fatal("the packet was written to")
			}
			checkFragments(t, &d.frags)
			if kind != TCP && kind != UDP {
				continue
			}
			if len(frame.Payload) > frame.Length || len(frame.Options) > 40 || !frame.Src.IsValid() || !frame.Dst.IsValid() {
				t.Fatalf("%+v", frame)
			}
			// A Decoder of its own has no fragments.
			if NewDecoder(limits).Decode(&p, &again) != kind {
				continue
			}
			n := min(int(cut), len(p.Data))
			p.Data = p.Data[:n:n]
			var part Frame
			switch NewDecoder(limits).Decode(&p, &part) {
			case kind:
				if part.Src != again.Src || part.Dst != again.Dst || part.Seq != again.Seq || part.Flags != again.Flags ||
					part.Length > again.Length || !bytes.HasPrefix(again.Payload, part.Payload) || !bytes.HasPrefix(again.Options, part.Options) {
					t.Fatalf("cut to %d bytes:\n%+v\nwhole:\n%+v", n, part, again)
				}
			case TCP, UDP:
				t.Fatalf("cut to %d bytes it is another protocol", n)
			}
		}
	})
}

// checkFragments checks the table of fragments against its own account.
func checkFragments(t *testing.T, f *fragments) {
	t.Helper()
	sum := 0
	for _, g := range f.open {
		sum += len(g.buf)
		at := -1
		for _, h := range g.have {
			if h.from <= at || h.to <= h.from || h.to > len(g.buf) {
				t.Fatalf("extents %v of %d bytes", g.have, len(g.buf))
			}
			at = h.to
		}
	}
	if sum != f.bytes || len(f.order) != len(f.open) || len(f.open) > f.limits.Datagrams || sum > f.limits.DatagramBytes {
		t.Fatalf("%d datagrams, %d in order, %d bytes, counted %d", len(f.open), len(f.order), sum, f.bytes)
	}
}

// frameSeeds are packets of every link type and tunnel, whole and in
// fragments.
func frameSeeds(f *testing.F) (seeds [][]byte) {
	play := func(link int, play func(s *pcaptest.Scene)) {
		s := pcaptest.New(time.Unix(0, 0))
		s.Tap("eth0", fuzzLinks[link], 0)
		play(s)
		r, err := pcaps.Open([]string{"-"}, pcaps.Options{Stdin: bytes.NewReader(s.Pcap())})
		if err != nil {
			f.Fatal(err)
		}
		defer r.Close()
		var seed []byte
		var p pcaps.Packet
		for r.Next(&p) == nil {
			seed = append(seed, byte(link), 0)
			seed = binary.LittleEndian.AppendUint16(seed, uint16(len(p.Data)))
			seed = append(seed, p.Data...)
		}
		seeds = append(seeds, seed)
	}
	v4 := func(options ...pcaptest.Option) func(*pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			s.Dial("10.1.0.5:1067", "10.2.0.9:135", options...).Client(make([]byte, 100)).Close()
			s.UDP("10.1.0.5:1000", "10.2.0.9:88", []byte("kerberos"), options...)
		}
	}
	v6 := func(options ...pcaptest.Option) func(*pcaptest.Scene) {
		return func(s *pcaptest.Scene) {
			s.Dial("[fd77:1::5]:1067", "[fd77:2::9]:135", options...).Client(make([]byte, 100)).Close()
		}
	}
	for link := range 7 {
		play(link, v4())
		play(link, v6())
	}
	for _, o := range []pcaptest.Option{
		pcaptest.VLAN(100), pcaptest.VLAN(100, 200), pcaptest.MPLS(17, 18), pcaptest.GRE("192.0.2.1", "192.0.2.2"), pcaptest.WCCP("192.0.2.1", "192.0.2.2"),
		pcaptest.FragmentIP(40), pcaptest.PadFrames(), pcaptest.SegmentOptions(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1),
	} {
		play(0, v4(o))
		play(0, v6(o))
	}
	for _, e := range encapsulations {
		link := slices.Index(fuzzLinks, e.link)
		if link < 0 {
			f.Fatalf("%s: link type %v is not fuzzed", e.name, e.link)
		}
		play(link, v4(pcaptest.Wrap(e.wrap)))
	}
	return seeds
}

// FuzzReassembly: whatever part of a stream is captured, in whatever order and
// however often, what is delivered is every captured byte at its place, and
// every other byte is a gap. The model is an array of bytes.
func FuzzReassembly(f *testing.F) {
	f.Add([]byte{0, 0, 50, 100, 0, 50, 50, 0, 20}, uint32(100), true)
	f.Add([]byte{200, 0, 50, 100, 0, 200, 0, 0, 150, 90, 1, 3}, uint32(0xffffff80), true)
	f.Add([]byte{200, 0, 50, 100, 0, 200, 0, 0, 150}, uint32(0xffffff00), false)
	f.Fuzz(func(t *testing.T, script []byte, isn uint32, handshake bool) {
		const size = 6000
		stream := make([]byte, size)
		for i := range stream {
			stream[i] = byte(1 + i%251)
		}
		tap := newTap(t, DefaultLimits())
		first, end := -1, 0 // of what counts
		captured := make([]bool, size)
		if handshake {
			first = 0
			tap.send(wire.SideA, SYN, isn-1, 0, nil)
		}
		for ; len(script) >= 3 && tap.n < 250; script = script[3:] { // 256 pieces may wait
			from := int(binary.LittleEndian.Uint16(script)) % size
			to := min(from+int(script[2]), size)
			if first < 0 {
				first, end = from, from
			}
			tap.send(wire.SideA, ACK, isn+uint32(from), 0, stream[from:to])
			for i := max(from, first); i < to; i++ {
				captured[i], end = true, max(end, i+1)
			}
		}
		if tap.rec == nil {
			return
		}
		tap.flush()
		if first < 0 || end < first {
			first, end = 0, 0
		}
		want := bytes.Clone(stream[first:end])
		for i, ok := range captured[first:end] {
			if !ok {
				want[i] = 0
			}
		}
		if got := tap.rec.got[wire.SideA]; !bytes.Equal(got, want) {
			t.Fatalf("delivered %d bytes, want %d\n%x\n%x", len(got), len(want), got, want)
		}
	})
}
