package pcaptest

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// CableNear and CableFar are the ends of the cable in a Namespace.
const (
	CableNear = "near0"
	CableFar  = "edge0"
)

// Namespace moves the calling test, and every program that it starts, into a
// network namespace of its own with a loopback and a cable between CableNear and
// CableFar, on which nobody speaks but the test. The goroutine stays on its thread
// until the test ends; other goroutines are not moved. It needs root: where
// that is missing the test is skipped, but not in CI.
func Namespace(t testing.TB) {
	t.Helper()
	miss := t.Skip
	if os.Getenv("CI") != "" {
		miss = t.Fatal
	}
	if os.Geteuid() != 0 {
		miss("capturing needs root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		miss("no network namespace can be made: ", err)
	}
	// Neighbour discovery would put packets of its own on the cable.
	for _, path := range []string{"/proc/sys/net/ipv6/conf/all/disable_ipv6", "/proc/sys/net/ipv6/conf/default/disable_ipv6"} {
		if err := os.WriteFile(path, []byte("1"), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", CableNear, "mtu", "65000", "type", "veth", "peer", "name", CableFar, "mtu", "65000"},
		{"link", "set", CableNear, "arp", "off", "up"},
		{"link", "set", CableFar, "arp", "off", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			miss("ip ", args, ": ", err, " ", string(out))
		}
	}
	for _, name := range []string{CableNear, CableFar} {
		awaitRunning(t, name)
	}
}

// tapEnd begins the name of the end of a Tap on which frames are sent.
const tapEnd = "to"

// Tap adds an interface to the Namespace on which nobody speaks but who sends
// on the one that it returns, for NewSender.
func Tap(t testing.TB, name string) string {
	t.Helper()
	end := tapEnd + name
	for _, args := range [][]string{
		{"link", "add", name, "mtu", "65000", "type", "veth", "peer", "name", end, "mtu", "65000"},
		{"link", "set", name, "arp", "off", "up"},
		{"link", "set", end, "arp", "off", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatal("ip ", args, ": ", err, " ", string(out))
		}
	}
	awaitRunning(t, name)
	awaitRunning(t, end)
	return end
}

// awaitRunning waits until an interface carries frames: the kernel makes it so
// some time after it was set up.
func awaitRunning(t testing.TB, name string) {
	t.Helper()
	for give := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		i, err := net.InterfaceByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if i.Flags&net.FlagRunning != 0 {
			return
		}
		if time.Now().After(give) {
			t.Fatalf("%s does not come up: %v", name, i.Flags)
		}
	}
}

// Sender puts frames on an interface, no faster than they arrive at the other
// end: the kernel drops what it has no room for between the two.
type Sender struct {
	fd, watch     int
	sent, arrived int64
}

// sendWindow is how many frames may be under way; the kernel has room for 1,000
// on each processor.
const sendWindow = 256

// NewSender opens an interface of the caller's network namespace: one end of
// the cable, the loopback, or what Tap returned.
func NewSender(t testing.TB, iface string) *Sender {
	t.Helper()
	other := map[string]string{CableNear: CableFar, CableFar: CableNear, "lo": "lo"}[iface]
	if other == "" {
		other = strings.TrimPrefix(iface, tapEnd)
	}
	return &Sender{fd: packetSocket(t, iface), watch: packetSocket(t, other)}
}

func packetSocket(t testing.TB, iface string) int {
	t.Helper()
	i, err := net.InterfaceByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		t.Fatal(err)
	}
	all := binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all), Ifindex: i.Index}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// Send sends a frame.
func (s *Sender) Send(t testing.TB, frame []byte) {
	t.Helper()
	for {
		_, err := unix.Write(s.fd, frame)
		if errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINTR) {
			runtime.Gosched()
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if s.sent++; s.sent-s.arrived >= sendWindow {
		s.wait(t, sendWindow/2)
	}
}

// Flush waits until all frames have arrived.
func (s *Sender) Flush(t testing.TB) {
	t.Helper()
	s.wait(t, 0)
}

// wait waits until so many frames at most are under way. The kernel counts for
// a socket that nobody reads, too, and from zero after each question.
func (s *Sender) wait(t testing.TB, left int64) {
	t.Helper()
	for give := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Microsecond) {
		n, err := unix.GetsockoptTpacketStats(s.watch, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err != nil {
			t.Fatal(err)
		}
		if s.arrived += int64(n.Packets); s.sent-s.arrived <= left {
			return
		}
		if time.Now().After(give) {
			t.Fatalf("%d of %d frames arrived", s.arrived, s.sent)
		}
	}
}
