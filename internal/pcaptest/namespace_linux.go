package pcaptest

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"

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
}

// Sender puts frames on an interface.
type Sender struct{ fd int }

// NewSender opens an interface of the caller's network namespace.
func NewSender(t testing.TB, iface string) *Sender {
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
	all := binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all), Ifindex: i.Index}); err != nil {
		t.Fatal(err)
	}
	return &Sender{fd}
}

// Send sends a frame; the kernel may make it wait, and loses none.
func (s *Sender) Send(t testing.TB, frame []byte) {
	for {
		_, err := unix.Write(s.fd, frame)
		if errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINTR) {
			runtime.Gosched()
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}
