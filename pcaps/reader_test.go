package pcaps

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

// file writes bytes into a folder of the test.
func file(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// ethernet is a small pcap file with a packet at each second.
func ethernet(seconds ...uint32) []byte {
	b := pcapHead(le, pcapMicro, 4, 1)
	for _, s := range seconds {
		b = append(b, pcapRec(le, s, 0, "frame", 5)...)
	}
	return b
}

func TestOpenErrors(t *testing.T) {
	good := file(t, "good.pcap", ethernet(1))
	bad, empty := file(t, "bad.pcap", []byte("hello")), t.TempDir()
	tests := []struct {
		name  string
		paths []string
		stdin []byte
		o     Options
		text  string
		is    error
	}{
		{name: "no such file", paths: []string{"/nonexistent/x.pcap"}, text: "/nonexistent/x.pcap: no such file or directory", is: fs.ErrNotExist},
		{name: "no such file among others", paths: []string{good, "/nonexistent/x.pcap"}, text: "/nonexistent/x.pcap: no such file or directory", is: fs.ErrNotExist},
		{name: "empty folder", paths: []string{empty}, text: empty + ": is a folder without files"},
		{name: "pattern without files", paths: []string{empty + "/*.pcap"}, text: empty + "/*.pcap: no file matches the pattern"},
		{name: "pattern that is none", paths: []string{empty + "/[.pcap"}, text: empty + "/[.pcap: syntax error in pattern"},
		{name: "empty", paths: []string{"-"}, text: "-: not a packet capture: it is empty", is: ErrNotCapture},
		{name: "text", paths: []string{"-"}, stdin: []byte("hello, this is no capture at all"), text: "-: not a packet capture", is: ErrNotCapture},
		{name: "header of pcap cut", paths: []string{"-"}, stdin: ethernet()[:23], text: "-: not a packet capture", is: ErrNotCapture},
		{name: "header of pcapng cut", paths: []string{"-"}, stdin: sectionBlock(le)[:27], text: "-: not a packet capture: unexpected EOF", is: ErrNotCapture},
		{name: "pcap of another version", paths: []string{"-"}, stdin: join(u32(le, pcapMicro), u16(le, 3, 4), make([]byte, 16)), text: "-: pcap version 3.4 is not supported"},
		{name: "pcapng of another version", paths: []string{"-"}, stdin: block(be, blockSection, u32(be, byteOrderMagic), u16(be, 9, 1), u32(be, 0, 0)), text: "-: pcapng version 9.1 is not supported"},
		{name: "gzip of text", paths: []string{"-"}, stdin: gzipped(t, []byte("hello")), text: "-: not a packet capture", is: ErrNotCapture},
		{name: "zstd of nothing", paths: []string{"-"}, stdin: zstded(t, nil), text: "-: not a packet capture: it is empty", is: ErrNotCapture},
		{name: "gzip header cut", paths: []string{"-"}, stdin: []byte{0x1f, 0x8b, 8}, text: "-: not a packet capture: unexpected EOF", is: ErrNotCapture},
		{name: "gzip of a bad kind", paths: []string{"-"}, stdin: append([]byte{0x1f, 0x8b, 9}, make([]byte, 9)...), text: "-: not a packet capture: gzip: invalid header", is: ErrNotCapture},
		{name: "none of two", paths: []string{"-", bad}, text: "-: not a packet capture: it is empty", is: ErrNotCapture},
		{name: "standard input twice", paths: []string{"-", "-"}, stdin: ethernet(1), text: "-: the standard input can be read only once"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Stdin = bytes.NewReader(tt.stdin)
			r, err := Open(tt.paths, tt.o)
			var open *OpenError
			if r != nil || !errors.As(err, &open) || !strings.HasPrefix(tt.text, open.Path+":") {
				t.Fatalf("Open = %v, %v; want an *OpenError", r, err)
			}
			if err.Error() != tt.text {
				t.Errorf("text %q, want %q", err, tt.text)
			}
			if errors.Is(err, ErrNotCapture) != (tt.is == ErrNotCapture) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v: want %v", err, tt.is)
			}
		})
	}
}

func TestOpenRefusesPointsThatDoNotFit(t *testing.T) {
	good := file(t, "good.pcap", ethernet(1))
	if _, err := Open([]string{good, good, good}, Options{At: []Point{Edge, WAN}}); err == nil {
		t.Error("two points for three captures: want an error")
	}
}

func TestMergeIsOrderedAndStable(t *testing.T) {
	// The second capture runs backwards once; it keeps its order.
	paths := []string{
		file(t, "a.pcap", ethernet(1, 4, 4, 9)),
		file(t, "b.pcap", ethernet(2, 5, 3, 4)),
		file(t, "c.pcapng", join(sectionBlock(le), ifaceBlock(le, 101, 0), enhanced(le, 0, 4e6, "ng", 2))),
		file(t, "d.pcap", ethernet()),
	}
	r := open(t, Options{}, paths...)
	var marks []wire.Mark
	captures := drain(t, r, func(p *Packet) { marks = append(marks, p.Mark) })
	want := []wire.Mark{
		mark(1e9, 1, 0), mark(2e9, 1, 1),
		mark(4e9, 2, 0), mark(4e9, 3, 0), mark(4e9, 1, 2),
		mark(5e9, 2, 1), mark(3e9, 3, 1), mark(4e9, 4, 1),
		mark(9e9, 4, 0),
	}
	if diff := cmp.Diff(want, marks); diff != "" {
		t.Error(diff)
	}
	var counts []int64
	for i, c := range captures {
		if c.Path != paths[i] || c.Err != nil {
			t.Errorf("capture %d is %s, %v", i, c.Path, c.Err)
		}
		counts = append(counts, c.Packets)
	}
	if diff := cmp.Diff([]int64{4, 4, 1, 0}, counts); diff != "" {
		t.Error(diff)
	}
}

// TestDataLivesUntilTheNextNext holds while other captures move on.
func TestDataLivesUntilTheNextNext(t *testing.T) {
	build := func(c byte) []byte {
		b := pcapHead(le, pcapMicro, 4, 1)
		for i := range uint32(3000) {
			data := string(bytes.Repeat([]byte{c + byte(i%10)}, 1000))
			b = append(b, pcapRec(le, i, 0, data, 1000)...)
		}
		return b
	}
	r := open(t, Options{}, file(t, "a.pcap", build('a')), file(t, "b.pcap", build('A')))
	drain(t, r, func(p *Packet) {
		want := "aA"[p.Capture] + byte((p.Packet-1)%10)
		if len(p.Data) != 1000 || bytes.Count(p.Data, []byte{want}) != 1000 {
			t.Fatalf("packet %d of capture %d holds %q", p.Packet, p.Capture, p.Data[:8])
		}
	})
}

func TestPointOption(t *testing.T) {
	named := file(t, "edge.pcapng", join(sectionBlock(le), ifaceBlock(le, 1, 0, option(le, 2, "edge-lan")), enhanced(le, 0, 1, "x", 1)))
	plain := file(t, "plain.pcap", ethernet(1))
	tests := []struct {
		name  string
		at    []Point
		want  []Point
		basis []string
	}{
		{"none", nil, []Point{Edge, Unknown}, []string{"interface name", ""}},
		{"one for all", []Point{Core}, []Point{Core, Core}, []string{"option", "option"}},
		{"one for each", []Point{Unknown, WAN}, []Point{Edge, WAN}, []string{"interface name", "option"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen := make([]Point, 2)
			captures := drain(t, open(t, Options{At: tt.at}, named, plain), func(p *Packet) { seen[p.Capture] = p.Point })
			if diff := cmp.Diff(tt.want, seen); diff != "" {
				t.Errorf("packets: %s", diff)
			}
			for i, c := range captures {
				if c.Point != tt.want[i] || c.PointBasis != tt.basis[i] || c.Interfaces[0].Point != tt.want[i] {
					t.Errorf("capture %d is at %v by %q", i, c.Point, c.PointBasis)
				}
			}
		})
	}
}

func TestCapturesWhileReading(t *testing.T) {
	r := open(t, Options{}, file(t, "a.pcap", ethernet(1, 2, 3)), file(t, "b.pcap", ethernet(4)))
	var p Packet
	for want := range int64(3) {
		c := r.Captures()
		if c[0].Packets != want || c[1].Packets != 0 {
			t.Fatalf("%d and %d packets after %d", c[0].Packets, c[1].Packets, want)
		}
		c[0].Interfaces[0].Name = "scribble"
		if err := r.Next(&p); err != nil {
			t.Fatal(err)
		}
	}
	if name := r.Captures()[0].Interfaces[0].Name; name != "" {
		t.Errorf("Captures shares its interfaces: %q", name)
	}
}

func TestClose(t *testing.T) {
	r := open(t, Options{}, file(t, "a.pcap", zstded(t, ethernet(1))))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Next(new(Packet)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestNoCaptures(t *testing.T) {
	if got := drain(t, open(t, Options{}), nil); len(got) != 0 {
		t.Errorf("%d captures of no paths", len(got))
	}
}

func TestProgress(t *testing.T) {
	big := pcapHead(le, pcapMicro, 4, 1)
	for i := range uint32(5 << 20 / 1000) {
		big = append(big, pcapRec(le, i, 0, string(make([]byte, 1000)), 1000)...)
	}
	size := int64(len(big))
	path := file(t, "big.pcap", big)
	tests := []struct {
		name  string
		paths []string
		total int64
		read  int64
	}{
		{"file", []string{path}, size, size},
		{"two files", []string{path, path}, 2 * size, 2 * size},
		{"standard input", []string{"-"}, 0, size},
		{"network monitor", []string{file(t, "a.cap", netmonFile(2, 0, 1, false, nmFrame{data: string(make([]byte, 3<<20))}))}, 3<<20 + 128 + 16 + 4, 3 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var last int64
			calls := 0
			r := open(t, Options{Stdin: bytes.NewReader(big), Progress: func(read, total int64) {
				if read <= last || total != tt.total {
					t.Fatalf("Progress(%d, %d) after %d", read, total, last)
				}
				last = read
				calls++
			}}, tt.paths...)
			drain(t, r, nil)
			if last < tt.read || calls < int(tt.read>>21) || calls > int(tt.read>>20)+2 {
				t.Errorf("%d calls up to %d, want up to %d", calls, last, tt.read)
			}
		})
	}
}

// slow gives one byte at a time, with empty reads in between.
type slow struct {
	r     io.Reader
	empty bool
}

func (s *slow) Read(b []byte) (int, error) {
	if s.empty = !s.empty; s.empty {
		return 0, nil
	}
	return s.r.Read(b[:min(1, len(b))])
}

// broken never gives anything once its bytes are gone.
type broken struct{ r io.Reader }

func (s broken) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func TestOddInputs(t *testing.T) {
	whole := ethernet(1, 2, 3)
	failure := errors.New("disk on fire")
	padding := make([]byte, 2*sniffLen) // so that the start is read whole
	whole = append(whole, pcapRec(le, 4, 0, string(padding), 256)...)
	tests := []struct {
		name    string
		in      io.Reader
		packets int64
		err     error
	}{
		{"one byte at a time", &slow{r: bytes.NewReader(whole)}, 4, nil},
		{"reader that never ends", broken{bytes.NewReader(whole)}, 4, io.ErrNoProgress},
		{"read error", io.MultiReader(bytes.NewReader(whole), failed{failure}), 4, failure},
		{"early read error", io.MultiReader(bytes.NewReader(whole[:70]), failed{failure}), 2, failure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := drain(t, open(t, Options{Stdin: tt.in}, "-"), nil)[0]
			if c.Packets != tt.packets || !errors.Is(c.Err, tt.err) {
				t.Errorf("%d packets, %v; want %d, %v", c.Packets, c.Err, tt.packets, tt.err)
			}
		})
	}
}

func TestStop(t *testing.T) {
	cause := errors.New("enough")
	// By the number of packets read before: the packets and errors of a
	// capture of seconds 1, 3, 5 and of one of second 2 only.
	tests := []struct {
		name  string
		reads int
		n     [2]int64
		errs  [2]error
	}{
		{"before the first packet", 0, [2]int64{0, 0}, [2]error{cause, cause}},
		{"both going on", 1, [2]int64{1, 0}, [2]error{cause, cause}},
		{"one at its end", 3, [2]int64{2, 1}, [2]error{cause, nil}},
		{"both at their end", 5, [2]int64{3, 1}, [2]error{nil, nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Open([]string{file(t, "a.pcap", ethernet(1, 3, 5)), file(t, "b.pcap", ethernet(2))}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var p Packet
			for range tt.reads {
				if err := r.Next(&p); err != nil && err != io.EOF {
					t.Fatal(err)
				}
			}
			r.Stop(cause)
			for range 2 {
				if err := r.Next(&p); err != io.EOF {
					t.Errorf("Next after Stop: %v", err)
				}
			}
			for i, c := range r.Captures() {
				if c.Packets != tt.n[i] || c.Err != tt.errs[i] {
					t.Errorf("capture %d: %d packets, %v; want %d, %v", i, c.Packets, c.Err, tt.n[i], tt.errs[i])
				}
			}
		})
	}
}
