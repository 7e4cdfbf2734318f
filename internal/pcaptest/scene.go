// Package pcaptest builds packet captures from a script of hosts,
// connections, PDUs and TCP mishaps:
//
//	s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
//	c := s.Dial("10.1.0.5:1066", "10.2.0.9:135")
//	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
//	c.Drop(1).Server(pcaptest.BindAck(0x1234, "135", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
//	c.Retransmit().Close()
//	path := s.WriteFile(t, "drop.pcap")
//
// It is an independent second opinion: every byte is written here by hand
// from the specifications, none by the decoders under test. Bytes are right
// (lengths, checksums, sequence numbers) unless the script asks otherwise.
//
// A script that makes no sense panics; nothing here is for use outside of
// tests and the making of samples.
package pcaptest

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mapiscope/pcaps"
)

// Scene is a network under capture, with a clock.
type Scene struct {
	start   time.Time
	now     time.Time
	taps    []tap
	packets []packet
	snaplen int
	ipID    uint16
}

// tap is a place of capture; it becomes an interface.
type tap struct {
	name  string
	link  pcaps.LinkType
	delay time.Duration
}

type packet struct {
	tap  int
	time time.Time
	data []byte
}

// step is the time between two packets that nothing keeps apart.
const step = 10 * time.Microsecond

// New starts a scene. Without Tap it is captured at one place, as Ethernet.
func New(start time.Time) *Scene { return &Scene{start: start, now: start} }

// Now returns the time of the next packet.
func (s *Scene) Now() time.Time { return s.now }

// Sleep lets time pass.
func (s *Scene) Sleep(d time.Duration) *Scene { s.now = s.now.Add(d); return s }

// At sets the clock to a time after the start, also an earlier one.
func (s *Scene) At(d time.Duration) *Scene { s.now = s.start.Add(d); return s }

// Tap adds a place of capture at a distance from the clients, which sees their
// packets with a delay and those of servers earlier by the same time, and
// returns its number, which is the index of its interface. Connections are captured
// at all taps unless they say On.
func (s *Scene) Tap(name string, link pcaps.LinkType, delay time.Duration) int {
	s.taps = append(s.taps, tap{name, link, delay})
	return len(s.taps) - 1
}

// Snaplen lets all captures keep only n bytes of each packet; 0 keeps all.
func (s *Scene) Snaplen(n int) *Scene { s.snaplen = n; return s }

// Frame captures raw link-layer bytes at a tap.
func (s *Scene) Frame(tap int, data []byte) *Scene {
	s.tapTable()
	s.packets = append(s.packets, packet{tap, s.now.Add(s.taps[tap].delay), data})
	s.now = s.now.Add(step)
	return s
}

// Len returns the number of packets captured so far, at all taps.
func (s *Scene) Len() int { return len(s.packets) }

func (s *Scene) tapTable() []tap {
	if len(s.taps) == 0 {
		s.Tap("", pcaps.LinkEthernet, 0)
	}
	return s.taps
}

// emit captures an IP packet at some taps, all if none is named.
func (s *Scene) emit(e *encap, ip []byte) {
	for i, t := range s.tapTable() {
		if len(e.taps) == 0 || slices.Contains(e.taps, i) {
			delay := t.delay
			if e.from == Server {
				delay = -delay
			}
			s.packets = append(s.packets, packet{i, s.now.Add(delay + e.lag), e.frame(t.link, ip)})
		}
	}
	s.now = s.now.Add(step)
}

// Pcap returns a pcap file, in ns, of some taps, all if none is named. They
// must have the same link type.
func (s *Scene) Pcap(taps ...int) []byte {
	var b bytes.Buffer
	all := s.tapTable()
	link := all[0].link
	if len(taps) > 0 {
		link = all[taps[0]].link
	}
	w := pcaps.NewPcapWriter(&b, link, int64(s.snaplen), true)
	s.write(w, taps, func(i int) int {
		if all[i].link != link {
			panic("pcaptest: a pcap file has one link type")
		}
		return 0
	})
	return b.Bytes()
}

// Pcapng returns a pcapng file of some taps, all if none is named, each of
// them an interface.
func (s *Scene) Pcapng(taps ...int) []byte {
	var b bytes.Buffer
	w := pcaps.NewPcapngWriter(&b)
	index := map[int]int{}
	for i, t := range s.tapTable() {
		if len(taps) == 0 || slices.Contains(taps, i) {
			index[i] = w.AddInterface(t.name, t.link, int64(s.snaplen), 9)
		}
	}
	s.write(w, taps, func(i int) int { return index[i] })
	return b.Bytes()
}

// write writes the packets of some taps in order of time.
func (s *Scene) write(w *pcaps.Writer, taps []int, iface func(tap int) int) {
	sorted := slices.Clone(s.packets)
	slices.SortStableFunc(sorted, func(a, b packet) int { return a.time.Compare(b.time) })
	for _, p := range sorted {
		if len(taps) > 0 && !slices.Contains(taps, p.tap) {
			continue
		}
		data := p.data[:min(len(p.data), cmp.Or(s.snaplen, len(p.data)))]
		if err := w.WritePacket(iface(p.tap), p.time.UnixNano(), data, len(p.data)); err != nil {
			panic(err)
		}
	}
}

// WriteFile writes the capture of some taps, all if none is named, into a
// folder of the test and returns its path: pcapng if the name ends so, else
// pcap.
func (s *Scene) WriteFile(t testing.TB, name string, taps ...int) string {
	t.Helper()
	data := s.Pcap
	if strings.HasSuffix(name, ".pcapng") {
		data = s.Pcapng
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data(taps...), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
