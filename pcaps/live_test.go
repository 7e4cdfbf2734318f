//go:build linux

package pcaps_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// frames returns the packets of a shipped capture.
func frames(t testing.TB, name string) (out [][]byte) {
	t.Helper()
	r, err := pcaps.Open([]string{name}, pcaps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p pcaps.Packet
	for {
		if err := r.Next(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, bytes.Clone(p.Data))
	}
}

// take reads packets until n came, or until the end with n < 0.
func take(t testing.TB, l *pcaps.Live, n int) (out [][]byte, last pcaps.Packet) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for len(out) != n {
		switch err := l.Next(&last); {
		case err == nil:
			out = append(out, bytes.Clone(last.Data))
		case errors.Is(err, io.EOF):
			if n >= 0 {
				t.Fatalf("the capture ended after %d packets of %d", len(out), n)
			}
			return out, last
		case !errors.Is(err, pcaps.ErrIdle):
			t.Fatal(err)
		case time.Now().After(deadline):
			t.Fatalf("%d packets of %d came", len(out), n)
		}
	}
	return out, last
}

func openLive(t testing.TB, o pcaps.LiveOptions, interfaces ...pcaps.LiveInterface) *pcaps.Live {
	t.Helper()
	l, err := pcaps.OpenLive(interfaces, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestLive sends every shipped capture over a cable: the packets come out as
// they went in, in order, and the kernel counted as many.
func TestLive(t *testing.T) {
	pcaptest.Namespace(t)
	sender := pcaptest.NewSender(t, pcaptest.CableNear)
	for _, immediate := range []bool{false, true} {
		l := openLive(t, pcaps.LiveOptions{Immediate: immediate, Promiscuous: true}, pcaps.LiveInterface{Name: pcaptest.CableFar})
		var sent [][]byte
		for _, name := range []string{"demo.pcap", "outlook-start.pcap", "tcp-wrap.pcap"} {
			sent = append(sent, frames(t, name)...)
		}
		for _, f := range sent {
			sender.Send(t, f)
		}
		sender.Flush(t)
		before := time.Now()
		got, last := take(t, l, len(sent))
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Errorf("packets (-sent +got):\n%s", diff)
		}
		if d := before.Sub(time.Unix(0, last.Time)); last.Packet != int64(len(sent)) || last.Link != pcaps.LinkEthernet || last.Point != pcaps.Edge || d < -time.Minute || d > time.Minute {
			t.Errorf("the last packet is %+v, %v ago", last, d)
		}
		l.Stop()
		if rest, _ := take(t, l, -1); len(rest) != 0 {
			t.Errorf("%d packets more", len(rest))
		}
		c := l.Capture()
		f := c.Interfaces[0]
		if c.Packets != int64(len(sent)) || f.Packets != c.Packets || *f.Received != c.Packets || *f.Dropped != 0 || c.Point != pcaps.Edge ||
			c.PointBasis != "interface name" || c.Path != pcaptest.CableFar || c.Format != "live" || c.Err != nil {
			t.Errorf("capture is %+v", c)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLiveStop stops with packets still in the kernel: all that were received
// until then come out.
func TestLiveStop(t *testing.T) {
	pcaptest.Namespace(t)
	sender := pcaptest.NewSender(t, pcaptest.CableNear)
	l := openLive(t, pcaps.LiveOptions{}, pcaps.LiveInterface{Name: pcaptest.CableFar, Point: pcaps.WAN})
	sent := frames(t, "demo.pcap")
	for _, f := range sent {
		sender.Send(t, f)
	}
	sender.Flush(t)
	l.Stop()
	got, _ := take(t, l, -1)
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("packets (-sent +got):\n%s", diff)
	}
	if c := l.Capture(); c.Point != pcaps.WAN || c.PointBasis != "option" {
		t.Errorf("taken at %v by %q", c.Point, c.PointBasis)
	}
}

// TestLiveFlood sends faster than a small buffer can bear while nobody reads:
// what came and what the kernel says it dropped are what was sent.
func TestLiveFlood(t *testing.T) {
	pcaptest.Namespace(t)
	sender := pcaptest.NewSender(t, pcaptest.CableNear)
	l := openLive(t, pcaps.LiveOptions{Buffer: 2 << 20}, pcaps.LiveInterface{Name: pcaptest.CableFar})
	frame := make([]byte, 60_000)
	copy(frame, frames(t, "demo.pcap")[0])
	const n = 3000 // 180 MB: more than all buffers on the way
	for range n {
		sender.Send(t, frame)
	}
	sender.Flush(t)
	l.Stop()
	got, _ := take(t, l, -1)
	c := l.Capture()
	f := c.Interfaces[0]
	if len(got) == 0 || *f.Dropped == 0 || *f.Received != n || int64(len(got))+*f.Dropped != n {
		t.Errorf("%d packets of %d came, the kernel received %d and dropped %d", len(got), n, *f.Received, *f.Dropped)
	}
}

// TestLiveInterfaces captures both ends of the cable and the loopback at once.
func TestLiveInterfaces(t *testing.T) {
	pcaptest.Namespace(t)
	l := openLive(t, pcaps.LiveOptions{},
		pcaps.LiveInterface{Name: pcaptest.CableNear, Point: pcaps.Core}, pcaps.LiveInterface{Name: pcaptest.CableFar}, pcaps.LiveInterface{Name: "lo"})
	sent := frames(t, "tcp-wrap.pcap")
	sender, loop := pcaptest.NewSender(t, pcaptest.CableNear), pcaptest.NewSender(t, "lo")
	for _, f := range sent {
		sender.Send(t, f)
	}
	sender.Flush(t)
	for _, f := range sent[:5] {
		loop.Send(t, f)
	}
	take(t, l, 2*len(sent)+5)
	c := l.Capture()
	var got []string
	for _, f := range c.Interfaces {
		got = append(got, fmt.Sprintf("%s %v %v %d", f.Name, f.Link, f.Point, f.Packets))
	}
	want := []string{"near0 ETHERNET core 20", "edge0 ETHERNET edge 20", "lo ETHERNET unknown 5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
	if c.Point != pcaps.Unknown || c.Path != "near0,edge0,lo" {
		t.Errorf("capture of %s at %v", c.Path, c.Point)
	}
}

// TestLiveSnaplen cuts packets and says so; tags of VLANs stay.
func TestLiveSnaplen(t *testing.T) {
	pcaptest.Namespace(t)
	sender := pcaptest.NewSender(t, pcaptest.CableNear)
	l := openLive(t, pcaps.LiveOptions{Snaplen: 60}, pcaps.LiveInterface{Name: pcaptest.CableFar})
	tagged := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0x20, 7, 8, 0}, bytes.Repeat([]byte{0x45}, 46)...)
	sender.Send(t, tagged)
	got, last := take(t, l, 1)
	if want := [][]byte{tagged[:60]}; !cmp.Equal(want, got) || last.WireLen != len(tagged) {
		t.Errorf("% x, %d bytes on the wire", got, last.WireLen)
	}
	if c := l.Capture(); c.Truncated != 1 || c.Snaplen != 60 {
		t.Errorf("%d truncated at %d", c.Truncated, c.Snaplen)
	}
}

// TestLiveGone takes the interface away.
func TestLiveGone(t *testing.T) {
	pcaptest.Namespace(t)
	l := openLive(t, pcaps.LiveOptions{}, pcaps.LiveInterface{Name: pcaptest.CableFar})
	if out, err := exec.Command("ip", "link", "del", pcaptest.CableNear).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	if got, _ := take(t, l, -1); len(got) != 0 {
		t.Errorf("%d packets", len(got))
	}
	c := l.Capture()
	if c.Err == nil || c.Interfaces[0].Err == nil || !strings.HasPrefix(c.Err.Error(), "capture on "+pcaptest.CableFar+" ended: ") {
		t.Errorf("errors are %v and %v", c.Err, c.Interfaces[0].Err)
	}
}

// TestOpenLive: what cannot be captured on, and what is said then.
func TestOpenLive(t *testing.T) {
	before := runtime.NumGoroutine()
	tests := []struct {
		name       string
		interfaces []string
		filter     string
		want       string
		is         error
	}{
		{"no such interface", []string{"eth77"}, "", "eth77: no such interface (`mapiscope live --list` names them)", pcaps.ErrNoInterface},
		{"the second one", []string{pcaptest.CableFar, "eth77"}, "", "eth77: no such interface (`mapiscope live --list` names them)", pcaps.ErrNoInterface},
		{"an interface that is down", []string{"down0"}, "", "down0: the interface is down", pcaps.ErrDown},
		{"a filter that is none", []string{pcaptest.CableFar}, "tcp port", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pcaptest.Namespace(t)
			if out, err := exec.Command("ip", "link", "add", "down0", "type", "veth").CombinedOutput(); err != nil {
				t.Fatal(err, string(out))
			}
			var is []pcaps.LiveInterface
			for _, name := range tt.interfaces {
				is = append(is, pcaps.LiveInterface{Name: name})
			}
			_, err := pcaps.OpenLive(is, pcaps.LiveOptions{Filter: tt.filter})
			switch filter := new(pcaps.FilterError); {
			case err == nil:
				t.Error("no error")
			case tt.is != nil && (!errors.Is(err, tt.is) || err.Error() != tt.want):
				t.Errorf("error %v, want %s", err, tt.want)
			case tt.is == nil && pcaps.HaveBPF && !errors.As(err, &filter):
				t.Errorf("error %v (%T)", err, err)
			case tt.is == nil && !pcaps.HaveBPF && !errors.Is(err, pcaps.ErrNoBPF):
				t.Errorf("error %v", err)
			}
		})
	}
	// Goroutines of other tests may just end, too.
	for give := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(give) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestLiveFilter captures what matches only, and the kernel counts only that.
func TestLiveFilter(t *testing.T) {
	if !pcaps.HaveBPF {
		t.Skip("this build has no packet filter")
	}
	pcaptest.Namespace(t)
	sender := pcaptest.NewSender(t, pcaptest.CableNear)
	l := openLive(t, pcaps.LiveOptions{Filter: "tcp port 135"}, pcaps.LiveInterface{Name: pcaptest.CableFar})
	for _, f := range frames(t, "demo.pcap") {
		sender.Send(t, f)
	}
	r, err := pcaps.Open([]string{filepath.Join(".", "demo.pcap")}, pcaps.Options{Filter: "tcp port 135"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p pcaps.Packet
	for r.Next(&p) == nil {
	}
	want := int(r.Captures()[0].Packets)
	take(t, l, want)
	l.Stop()
	if rest, _ := take(t, l, -1); len(rest) != 0 || want == 0 {
		t.Errorf("%d packets beside the %d that match", len(rest), want)
	}
	if f := l.Capture().Interfaces[0]; *f.Received != int64(want) {
		t.Errorf("the kernel received %d, want %d", *f.Received, want)
	}
}

// TestHostInterfaces lists the ends of the cable and the loopback.
func TestHostInterfaces(t *testing.T) {
	pcaptest.Namespace(t)
	got, err := pcaps.HostInterfaces()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]pcaps.HostInterface)
	for _, h := range got {
		byName[h.Name] = h
	}
	if lo := byName["lo"]; !lo.Loopback || !lo.Up || len(lo.Addresses) == 0 || lo.Addresses[0] != "127.0.0.1/8" {
		t.Errorf("the loopback is %+v", lo)
	}
	if far := byName[pcaptest.CableFar]; !far.Up || far.Loopback || far.Hardware == "" || far.Point != pcaps.Edge {
		t.Errorf("the far end is %+v", far)
	}
}
