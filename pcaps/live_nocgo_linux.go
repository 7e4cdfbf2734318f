//go:build linux && !cgo

package pcaps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// packetDevice captures with a packet socket, packet(7). The kernel takes
// VLAN tags off and tells them beside the packet; read puts them back.
type packetDevice struct {
	fd       int
	kind     LinkType
	buf      []byte
	oob      []byte
	tagged   []byte // a packet with its tag
	received int64  // the kernel counts from zero after each question
	dropped  int64
}

// ARP hardware types ([RFC 826], <linux/if_arp.h>) and the link types that
// their packets have here.
const (
	hardwareEthernet = 1
	hardwareLoopback = 772
	hardwareNone     = 0xfffe // tunnels: bare IP
)

// openDevice opens an interface with a packet socket.
func openDevice(name string, o LiveOptions) (device, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, &OpenError{name, ErrNoInterface}
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			return nil, &OpenError{name, ErrNoRights}
		}
		return nil, &OpenError{name, fmt.Errorf("cannot capture: %w", err)}
	}
	d := &packetDevice{fd: fd, buf: make([]byte, o.Snaplen), oob: make([]byte, 256)}
	if err := d.setUp(iface, o); err != nil {
		unix.Close(fd)
		return nil, &OpenError{name, err}
	}
	return d, nil
}

func (d *packetDevice) setUp(iface *net.Interface, o LiveOptions) error {
	wait := unix.NsecToTimeval(int64(liveIdle))
	set := func(option, value int) error { return unix.SetsockoptInt(d.fd, unix.SOL_SOCKET, option, value) }
	if set(unix.SO_RCVBUFFORCE, o.Buffer) != nil {
		_ = set(unix.SO_RCVBUF, o.Buffer) // without the right to exceed it, up to the system's limit
	}
	if err := errors.Join(
		set(unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(d.fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.SetsockoptTimeval(d.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
	); err != nil {
		return fmt.Errorf("cannot capture: %w", err)
	}
	if o.Promiscuous {
		m := unix.PacketMreq{Ifindex: int32(iface.Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(d.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("cannot capture promiscuously: %w", err)
		}
	}
	all := binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)
	address := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all), Ifindex: iface.Index}
	if err := unix.Bind(d.fd, address); err != nil {
		return fmt.Errorf("cannot capture: %w", err)
	}
	own, err := unix.Getsockname(d.fd)
	if err != nil {
		return fmt.Errorf("cannot capture: %w", err)
	}
	switch hardware := own.(*unix.SockaddrLinklayer).Hatype; hardware {
	case hardwareEthernet, hardwareLoopback:
		d.kind = LinkEthernet
	case hardwareNone:
		d.kind = LinkRaw
	default:
		return fmt.Errorf("cannot capture: hardware type %d needs the build with libpcap", hardware)
	}
	return nil
}

func (d *packetDevice) read() ([]byte, int, int64, error) {
	for {
		n, oobn, _, _, err := unix.Recvmsg(d.fd, d.buf, d.oob, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil, 0, 0, ErrIdle
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, 0, 0, err
		}
		data := d.buf[:min(n, len(d.buf))]
		at, tag, tagged := d.beside(d.oob[:oobn])
		if tagged && len(data) >= 12 {
			d.tagged = append(d.tagged[:0], data[:12]...)
			d.tagged = append(d.tagged, tag[:]...)
			d.tagged = append(d.tagged, data[12:]...)
			data, n = d.tagged, n+len(tag)
		}
		return data, n, at, nil
	}
}

// beside reads what the kernel tells beside a packet: its time, ns, and its
// VLAN tag. Structures of the kernel are in the byte order of the machine.
func (d *packetDevice) beside(oob []byte) (at int64, tag [4]byte, tagged bool) {
	const (
		auxLength    = 20 // struct tpacket_auxdata
		statusAt     = 0
		tciAt        = 16
		protocolAt   = 18
		defaultEther = 0x8100
	)
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		ne := binary.NativeEndian
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= 16:
			at = int64(ne.Uint64(data))*1e9 + int64(ne.Uint64(data[8:]))
		case h.Level == unix.SOL_PACKET && h.Type == unix.PACKET_AUXDATA && len(data) >= auxLength:
			status := ne.Uint32(data[statusAt:])
			if status&unix.TP_STATUS_VLAN_VALID != 0 {
				ether := uint16(defaultEther)
				if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
					ether = ne.Uint16(data[protocolAt:])
				}
				binary.BigEndian.PutUint16(tag[:], ether)
				binary.BigEndian.PutUint16(tag[2:], ne.Uint16(data[tciAt:]))
				tagged = true
			}
		}
		oob = rest
	}
	if at == 0 {
		at = time.Now().UnixNano()
	}
	return at, tag, tagged
}

func (d *packetDevice) link() LinkType { return d.kind }

func (d *packetDevice) stats() (received, dropped, ifDropped int64, err error) {
	s, err := unix.GetsockoptTpacketStats(d.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, 0, 0, err
	}
	d.received += int64(s.Packets)
	d.dropped += int64(s.Drops)
	return d.received, d.dropped, 0, nil
}

func (d *packetDevice) close() { unix.Close(d.fd) }
