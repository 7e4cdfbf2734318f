package pcaps

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

// sent is a packet as a file of these tests holds it: an IP datagram in
// Ethernet.
type sent struct {
	at      int64 // ns
	ip      string
	forward bool
	keep    int // bytes of the frame that were captured, 0 for all
}

const tapsStart = int64(1_700_000_000_000_000_000)

// datagramOf is an IPv4 packet with TCP between two hosts of 10.net.0.0.
func datagramOf(net byte, n int, forward bool, ttl byte, flags byte) string {
	src, dst := []byte{10, net, 0, 1}, []byte{10, net, 0, 2}
	sport, dport := []byte{4, 210}, []byte{0, 135}
	if !forward {
		src, dst, sport, dport = dst, src, dport, sport
	}
	payload := fmt.Sprintf("packet %d of a conversation", n)
	ip := join([]byte{0x45, 0}, be.AppendUint16(nil, uint16(40+len(payload))), be.AppendUint16(nil, uint16(n)), []byte{0, 0, ttl, 6, 0, 0}, src, dst)
	tcp := join(sport, dport, u32(be, uint32(1000*n)), u32(be, 0), []byte{0x50, flags, 1, 0, 0, 0, 0, 0})
	return string(join(ip, tcp, []byte(payload)))
}

// talk is a conversation of n packets, every third one by the server, from a
// time on.
func talk(net byte, n int, from time.Duration) []sent {
	var all []sent
	for i := range n {
		forward := i%3 != 2
		flags := byte(0x10)
		if i == 0 {
			flags = 0x02
		}
		all = append(all, sent{at: tapsStart + int64(from) + int64(i)*1_100_000 + int64(i*i%7)*10_000, ip: datagramOf(net, i, forward, 64, flags), forward: forward})
	}
	return all
}

func adjusted(all []sent, f func(i int, p *sent)) []sent {
	out := slices.Clone(all)
	for i := range out {
		f(i, &out[i])
	}
	return out
}

func later(all []sent, d time.Duration) []sent {
	return adjusted(all, func(_ int, p *sent) { p.at += int64(d) })
}

func mixed(parts ...[]sent) []sent {
	all := slices.Concat(parts...)
	slices.SortStableFunc(all, func(a, b sent) int { return cmp.Compare(a.at, b.at) })
	return all
}

func part(all []sent, from, to float64) []sent {
	return all[int(from*float64(len(all))):int(to*float64(len(all)))]
}

// lossy leaves out about every tenth packet.
func thinned(all []sent) []sent {
	var out []sent
	for i, p := range all {
		if i%10 != 7 {
			out = append(out, p)
		}
	}
	return out
}

func oneWay(all []sent, forward bool) []sent {
	return slices.DeleteFunc(slices.Clone(all), func(p sent) bool { return p.forward != forward })
}

func (p *sent) frame(mac byte) string {
	dst, src := []byte{2, 0, 0, 0, mac, 1}, []byte{2, 0, 0, 0, mac, 2}
	if !p.forward {
		dst, src = src, dst
	}
	return string(join(dst, src, []byte{8, 0}, []byte(p.ip)))
}

// pcapOf is a file of one interface; mac numbers its wire.
func pcapOf(mac byte, all []sent) []byte {
	b := pcapHead(le, pcapNano, 4, 1)
	for i := range all {
		frame := all[i].frame(mac)
		kept := frame
		if all[i].keep > 0 {
			kept = frame[:min(all[i].keep, len(frame))]
		}
		b = append(b, pcapRec(le, uint32(all[i].at/1e9), uint32(all[i].at%1e9), kept, uint32(len(frame)))...)
	}
	return b
}

// namedIface is an interface of a pcapng file.
type namedIface struct {
	name string
	link uint16
	all  []sent
}

func pcapngOf(ifaces ...namedIface) []byte {
	b := sectionBlock(le)
	type packet struct {
		iface int
		sent
	}
	var all []packet
	for i, f := range ifaces {
		b = append(b, ifaceBlock(le, f.link, 0, option(le, 2, f.name), option(le, 9, "\x09"))...)
		for _, p := range f.all {
			all = append(all, packet{i, p})
		}
	}
	slices.SortStableFunc(all, func(a, b packet) int { return cmp.Compare(a.at, b.at) })
	for _, p := range all {
		data := p.ip
		if ifaces[p.iface].link == 1 {
			data = p.frame(1)
		}
		b = append(b, enhanced(le, uint32(p.iface), uint64(p.at), data, uint32(len(data)))...)
	}
	return b
}

func TestTaps(t *testing.T) {
	type files []struct {
		name string
		data []byte
	}
	whole := talk(1, 200, 0)
	long := talk(1, 600, 0)
	random := rand.New(rand.NewPCG(1, 2))
	loose := mixed(adjusted(whole, func(_ int, p *sent) { p.at += random.Int64N(1_000_000) }))
	// As a point on the other side of a path sees it that is d long.
	across := func(all []sent, d time.Duration) []sent {
		return mixed(adjusted(all, func(_ int, p *sent) {
			if p.forward {
				p.at += int64(d)
			} else {
				p.at -= int64(d)
			}
		}))
	}
	broadcasts := adjusted(whole, func(_ int, p *sent) { b := []byte(p.ip); copy(b[16:20], []byte{10, 1, 255, 255}); p.ip = string(b) })
	tests := []struct {
		name  string
		files files
		o     Options
		want  []string // of each interface: tap, how it was joined and to which, copies; =n for the same taps
	}{
		{"one file", files{{"a.pcap", pcapOf(1, whole)}}, Options{}, []string{"1 alone"}},
		{"an empty file beside it", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, nil)}}, Options{}, []string{"1 alone", "0 alone"}},
		{"one file named twice", files{{"a.pcap", pcapOf(1, whole)}, {"a.pcap", nil}}, Options{}, []string{"1 alone", "1 seen twice 0.0, 200 copies"}},
		{"a file of one packet named twice", files{{"a.pcap", pcapOf(1, whole[:1])}, {"a.pcap", nil}}, Options{}, []string{"1 alone", "1 seen twice 0.0, 1 copies"}},
		{"three copies", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, whole)}, {"c.pcap", pcapOf(1, whole)}}, Options{},
			[]string{"1 alone", "1 seen twice 0.0, 200 copies", "1 seen twice 0.0, 200 copies"}},
		{"another wire header and a clock that is late", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(2, later(whole, 3*time.Millisecond))}}, Options{},
			[]string{"1 alone", "1 seen twice 0.0, 200 copies"}},
		{"a clock that is early", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, later(whole, -3*time.Millisecond))}}, Options{},
			[]string{"1 seen twice 1.0, 200 copies", "1 alone"}},
		{"a clock that drifts", files{{"a.pcap", pcapOf(1, long)}, {"b.pcap", pcapOf(1, adjusted(long, func(_ int, p *sent) { p.at += (p.at - tapsStart) / 10_000 }))}}, Options{},
			[]string{"1 alone", "1 seen twice 0.0, 600 copies"}},
		{"a copy with losses", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, thinned(whole))}}, Options{}, []string{"1 alone", "1 seen twice 0.0, 180 copies"}},
		{"a copy of some connections", files{{"a.pcap", pcapOf(1, mixed(whole, talk(2, 200, 300*time.Microsecond)))}, {"b.pcap", pcapOf(1, whole)}}, Options{},
			[]string{"1 alone", "1 seen twice 0.0, 200 copies"}},
		{"a copy that was cut", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, adjusted(whole, func(_ int, p *sent) { p.keep = 68 }))}}, Options{},
			[]string{"1 alone", "1 seen twice 0.0, 200 copies"}},
		{"a copy of which little was kept", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, adjusted(whole, func(_ int, p *sent) { p.keep = 60 }))}}, Options{},
			[]string{"1 alone", "2 alone"}}, // 46 bytes of a datagram are too few to tell
		{"interfaces with the same packets", files{{"a.pcapng", pcapngOf(namedIface{"a", 1, whole}, namedIface{"b", 101, later(whole, 2*time.Microsecond)})}}, Options{},
			[]string{"1 alone", "1 seen twice 0.0, 200 copies"}},
		{"interfaces with others", files{{"a.pcapng", pcapngOf(namedIface{"a", 1, whole}, namedIface{"b", 1, talk(2, 200, 0)})}}, Options{}, []string{"1 alone", "2 alone"}},
		{"a ring whose files overlap", files{{"a1.pcap", pcapOf(1, part(long, 0, 0.6))}, {"a2.pcap", pcapOf(1, part(long, 0.4, 1))}}, Options{},
			[]string{"1 alone", "1 seen twice 0.0, 120 copies"}},
		{"a ring", files{{"a1.pcap", pcapOf(1, part(long, 0, 0.3))}, {"a3.pcap", pcapOf(1, part(long, 0.6, 1))}, {"a2.pcap", pcapOf(1, part(long, 0.3, 0.6))}}, Options{},
			[]string{"1 alone", "1 continues 2.0", "1 continues 0.0"}},
		{"halves by other names", files{{"morning.pcap", pcapOf(1, part(long, 0, 0.5))}, {"evening.pcap", pcapOf(1, part(long, 0.5, 1))}}, Options{},
			[]string{"1 alone", "1 continues 0.0"}},
		{"two rings side by side", files{
			{"a1.pcap", pcapOf(1, part(long, 0, 0.5))}, {"a2.pcap", pcapOf(1, part(long, 0.5, 1))},
			{"b1.pcap", pcapOf(1, part(across(long, 9*time.Millisecond), 0, 0.5))}, {"b2.pcap", pcapOf(1, part(across(long, 9*time.Millisecond), 0.53, 1))}}, Options{},
			[]string{"2 alone", "2 continues 0.0", "1 alone", "1 continues 2.0"}},
		{"another site later", files{{"a1.pcap", pcapOf(1, whole)}, {"a2.pcap", pcapOf(2, talk(2, 200, time.Hour))}}, Options{}, []string{"1 alone", "2 alone"}},
		{"another site later, one by name", files{{"a1.pcap", pcapOf(1, whole)}, {"a2.pcap", pcapOf(2, talk(2, 200, time.Hour))}}, Options{Sites: []string{"x"}},
			[]string{"1 alone", "1 continues 0.0"}},
		{"other hosts of one wire later", files{{"a1.pcap", pcapOf(1, whole)}, {"a2.pcap", pcapOf(1, talk(2, 200, time.Hour))}}, Options{}, []string{"1 alone", "1 continues 0.0"}},
		{"two sites by name", files{{"a1.pcap", pcapOf(1, part(long, 0, 0.5))}, {"a2.pcap", pcapOf(1, part(long, 0.5, 1))}}, Options{Sites: []string{"x", "y"}},
			[]string{"1 alone", "2 alone"}},
		{"the same connections by a clock of another hour", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, later(whole, time.Hour))}}, Options{}, []string{"1 alone", "2 alone"}},
		{"another interface later", files{{"a.pcapng", pcapngOf(namedIface{"eth0", 1, part(long, 0, 0.5)})}, {"b.pcapng", pcapngOf(namedIface{"eth1", 1, part(long, 0.5, 1)})}}, Options{},
			[]string{"1 alone", "2 alone"}},
		{"files one behind the other in one", files{{"a.pcapng", join(pcapngOf(namedIface{"eth0", 1, part(long, 0, 0.5)}), pcapngOf(namedIface{"eth0", 1, part(long, 0.5, 1)}))}}, Options{},
			[]string{"1 alone", "1 continues 0.0"}},
		{"behind a router", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, adjusted(whole, func(_ int, p *sent) { b := []byte(p.ip); b[8]--; p.ip = string(b) }))}}, Options{},
			[]string{"1 alone", "2 alone"}},
		{"behind a bridge that takes 50 us", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, across(whole, 50*time.Microsecond))}}, Options{}, []string{"1 alone", "2 alone"}},
		{"behind a bridged WAN", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, across(whole, 9*time.Millisecond))}}, Options{}, []string{"2 alone", "1 alone"}},
		{"behind a bridged WAN, one direction", files{{"a.pcap", pcapOf(1, oneWay(whole, true))}, {"b.pcap", pcapOf(1, oneWay(loose, true))}}, Options{}, []string{"1 alone", "2 alone"}},
		{"the two directions of one wire", files{{"a.pcap", pcapOf(1, oneWay(whole, true))}, {"b.pcap", pcapOf(1, oneWay(whole, false))}}, Options{}, []string{"1 alone", "1 other direction 0.0"}},
		{"two directions with other numbers", files{{"a.pcap", pcapOf(1, oneWay(whole, true))}, {"b.pcap", pcapOf(1, adjusted(oneWay(whole, false), func(_ int, p *sent) { b := []byte(p.ip); b[28] = 0x80; p.ip = string(b) }))}}, Options{},
			[]string{"1 alone", "2 alone"}},
		{"two directions at two places", files{{"a.pcap", pcapOf(1, oneWay(whole, true))}, {"b.pcap", pcapOf(1, oneWay(whole, false))}}, Options{At: []Point{Edge, Core}}, []string{"1 alone", "2 alone"}},
		{"one direction twice", files{{"a.pcap", pcapOf(1, oneWay(whole, true))}, {"b.pcap", pcapOf(1, oneWay(whole, true))}}, Options{}, []string{"1 alone", "1 seen twice 0.0, 134 copies"}},
		{"a spacing that is not constant", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, loose)}}, Options{}, []string{"1 alone", "2 alone"}},
		{"broadcasts alone", files{{"a.pcap", pcapOf(1, broadcasts)}, {"b.pcap", pcapOf(2, broadcasts)}}, Options{}, []string{"1 alone", "2 alone"}},
		{"said to be at two places", files{{"a.pcap", pcapOf(1, whole)}, {"a.pcap", nil}}, Options{At: []Point{Edge, Core}}, []string{"1 alone =2", "2 alone =1"}},
		{"said to be at one place", files{{"a.pcap", pcapOf(1, whole)}, {"b.pcap", pcapOf(1, talk(2, 200, 0))}}, Options{At: []Point{Edge}}, []string{"1 alone", "2 alone"}},
		{"said to be two sites", files{{"a.pcap", pcapOf(1, whole)}, {"a.pcap", nil}}, Options{Sites: []string{"x", "y"}}, []string{"1 alone =2", "2 alone =1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var paths []string
			for _, f := range tt.files {
				path := filepath.Join(dir, f.name)
				if f.data != nil {
					if err := os.WriteFile(path, f.data, 0o666); err != nil {
						t.Fatal(err)
					}
				}
				paths = append(paths, path)
			}
			if diff := gocmp.Diff(separately(t, tt.o, paths), together(t, tt.o, paths)); diff != "" {
				t.Errorf("packets (-each file by itself, merged +together):\n%s", diff)
			}
			r := open(t, tt.o, paths...)
			copied := int64(0)
			captures := drain(t, r, func(p *Packet) {
				if p.Copy {
					copied++
				}
				if p.Tap != r.Captures()[p.Capture].Interfaces[p.Interface].Tap {
					t.Fatalf("packet %d of capture %d has tap %d", p.Packet, p.Capture, p.Tap)
				}
			})
			var got []string
			for i := range captures {
				for k := range captures[i].Interfaces {
					f := &captures[i].Interfaces[k]
					copied -= f.Copies
					got = append(got, describe(f))
				}
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" || copied != 0 {
				t.Errorf("%d copies that no interface counts; interfaces (-want +got):\n%s", copied, diff)
			}
		})
	}
}

func describe(f *Interface) string {
	s := fmt.Sprintf("%d %v", f.Tap, f.Joined)
	if f.Joined.ToAnother() {
		s += fmt.Sprintf(" %d.%d", f.Of.Capture, f.Of.Interface)
	}
	if f.Copies > 0 {
		s += fmt.Sprintf(", %d copies", f.Copies)
	}
	for _, t := range f.Same {
		s += fmt.Sprintf(" =%d", t)
	}
	return s
}

// seenPacket is what comparing must not change of a packet.
type seenPacket struct {
	wire.Mark
	Data string
}

// together reads captures in one job.
func together(t *testing.T, o Options, paths []string) []seenPacket {
	var all []seenPacket
	drain(t, open(t, o, paths...), func(p *Packet) { all = append(all, seenPacket{p.Mark, string(p.Data)}) })
	return all
}

// separately reads each by itself, and puts their packets in order.
func separately(t *testing.T, o Options, paths []string) []seenPacket {
	var all []seenPacket
	for i, path := range paths {
		drain(t, open(t, Options{}, path), func(p *Packet) {
			p.Capture = int32(i)
			all = append(all, seenPacket{p.Mark, string(p.Data)})
		})
	}
	slices.SortStableFunc(all, func(a, b seenPacket) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Capture, b.Capture))
	})
	return all
}

// TestTapsAreBounded has more interfaces than taps.
func TestTapsAreBounded(t *testing.T) {
	var ifaces []namedIface
	for i := range maxTaps + 20 {
		p := talk(byte(i), 1, time.Duration(i)*time.Millisecond)
		ifaces = append(ifaces, namedIface{fmt.Sprint("eth", i), 1, p})
	}
	r := open(t, Options{}, file(t, "a.pcapng", pcapngOf(ifaces...)))
	c := drain(t, r, func(*Packet) {})[0]
	crowded := 0
	for i := range c.Interfaces {
		if c.Interfaces[i].Joined == Crowded {
			crowded++
		}
	}
	if n := len(r.Taps()); n != maxTaps || crowded != 20 {
		t.Errorf("%d taps, %d interfaces share the last one; want %d and 20", n, crowded, maxTaps)
	}
}

// TestLookAheadIsBounded has an interface that shows one packet beside a busy
// one.
func TestLookAheadIsBounded(t *testing.T) {
	var busy []sent
	for i := range 3 * lookAll {
		busy = append(busy, sent{at: tapsStart + int64(i)*1000, ip: datagramOf(1, i, true, 64, 0x10)})
	}
	quiet := []sent{{at: tapsStart + 500_000, ip: datagramOf(2, 0, true, 64, 0x10)}}
	r := open(t, Options{}, file(t, "a.pcap", pcapOf(1, busy)), file(t, "b.pcap", pcapOf(2, quiet)))
	most := 0
	drain(t, r, func(*Packet) { most = max(most, len(r.look.rest())) })
	if most == 0 || most > lookAll {
		t.Errorf("%d packets were read ahead, want up to %d", most, lookAll)
	}
}

func TestTapsOf(t *testing.T) {
	whole := talk(1, 200, 0)
	path := file(t, "a.pcap", pcapOf(1, whole))
	ng := file(t, "edge.pcapng", pcapngOf(namedIface{"edge-lan", 1, talk(2, 9, 0)}, namedIface{"none", 1, nil}))
	r := open(t, Options{}, path, ng, path)
	drain(t, r, func(*Packet) {})
	one, two, three := InterfaceRef{0, 0}, InterfaceRef{1, 0}, InterfaceRef{2, 0}
	want := []TapInfo{
		{Tap: 1, Link: LinkEthernet, Parts: []TapPart{{one, Alone, one}, {three, SeenTwice, one}}},
		{Tap: 2, Point: Edge, PointBasis: "interface name", Link: LinkEthernet, Parts: []TapPart{{two, Alone, two}}},
	}
	if diff := gocmp.Diff(want, r.Taps()); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkTaps(b *testing.B) {
	long := talk(1, 20000, 0)
	one := file(b, "a.pcap", pcapOf(1, long))
	half := file(b, "b1.pcap", pcapOf(1, part(long, 0, 0.5)))
	other := file(b, "b2.pcap", pcapOf(1, part(long, 0.5, 1)))
	for _, bb := range []struct {
		name  string
		paths []string
	}{{"one file", []string{one}}, {"ring of two", []string{half, other}}, {"seen twice", []string{one, one}}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				r, err := Open(bb.paths, Options{})
				if err != nil {
					b.Fatal(err)
				}
				var p Packet
				for r.Next(&p) == nil {
				}
				r.Close()
			}
		})
	}
}
