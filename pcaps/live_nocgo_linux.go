//go:build linux && !cgo

package pcaps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ringDevice captures with a packet socket and the ring of blocks that it
// shares with the kernel (TPACKET_V3, packet(7)). The kernel takes VLAN tags
// off and tells them beside the packet; read puts them back.
type ringDevice struct {
	fd      int
	ring    []byte
	block   int // that is being read
	left    int // packets in it
	at      int // of the next packet, in the ring; 0: no block is open
	snaplen int
	kind    LinkType
	tagged  []byte      // a packet with its tag
	counts  deviceStats // the kernel counts from zero after each question
}

// Structures of <linux/if_packet.h>, in the byte order of the machine.
const (
	ringBlock = 1 << 20 // bytes; no packet is larger

	// struct tpacket_block_desc with its struct tpacket_hdr_v1.
	blockStatusAt = 8
	blockCountAt  = 12
	blockFirstAt  = 16

	// struct tpacket3_hdr.
	packetNextAt   = 0
	packetSecAt    = 4
	packetNsecAt   = 8
	packetCapLenAt = 12
	packetLenAt    = 16
	packetStatusAt = 20
	packetMACAt    = 24
	packetTCIAt    = 32
	packetTPIDAt   = 36
)

// ARP hardware types (<linux/if_arp.h>) of the interfaces that this build
// knows.
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
	if iface.Flags&net.FlagUp == 0 {
		return nil, &OpenError{name, ErrDown}
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, &OpenError{name, ErrNoRights}
	}
	if err != nil {
		return nil, &OpenError{name, fmt.Errorf("cannot capture: %w", err)}
	}
	d := &ringDevice{fd: fd, snaplen: o.Snaplen, block: -1}
	if err := d.setUp(iface, o); err != nil {
		d.close()
		return nil, &OpenError{name, fmt.Errorf("cannot capture: %w", err)}
	}
	return d, nil
}

func (d *ringDevice) setUp(iface *net.Interface, o LiveOptions) error {
	if err := unix.SetsockoptInt(d.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return err
	}
	blocks := max(o.Buffer/ringBlock, 2)
	keep := liveIdle
	if o.Immediate {
		keep = time.Millisecond
	}
	req := unix.TpacketReq3{
		Block_size: ringBlock, Block_nr: uint32(blocks), Frame_size: 2048, Frame_nr: uint32(blocks) * (ringBlock / 2048),
		Retire_blk_tov: uint32(keep / time.Millisecond),
	}
	if err := unix.SetsockoptTpacketReq3(d.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("no ring of %d MiB: %w", blocks*ringBlock>>20, err)
	}
	var err error
	if d.ring, err = unix.Mmap(d.fd, 0, blocks*ringBlock, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	if o.Promiscuous {
		m := unix.PacketMreq{Ifindex: int32(iface.Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(d.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("promiscuous: %w", err)
		}
	}
	if iface.Flags&net.FlagLoopback != 0 { // else every packet comes twice, as it goes out and as it comes in
		if err := unix.SetsockoptInt(d.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return err
		}
	}
	all := binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)
	if err := unix.Bind(d.fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all), Ifindex: iface.Index}); err != nil {
		return err
	}
	own, err := unix.Getsockname(d.fd)
	if err != nil {
		return err
	}
	address, ok := own.(*unix.SockaddrLinklayer)
	if !ok {
		return errors.New("the socket has no link-layer address")
	}
	switch address.Hatype {
	case hardwareEthernet, hardwareLoopback:
		d.kind = LinkEthernet
	case hardwareNone:
		d.kind = LinkRaw
	default:
		return fmt.Errorf("hardware type %d needs the build with libpcap", address.Hatype)
	}
	return nil
}

// status is the word of a block by which kernel and program hand it to each
// other.
func (d *ringDevice) status(block int) *uint32 {
	return (*uint32)(unsafe.Pointer(&d.ring[block*ringBlock+blockStatusAt]))
}

func (d *ringDevice) read() ([]byte, int, int64, error) {
	ne := binary.NativeEndian
	for {
		if d.left == 0 {
			if err := d.nextBlock(); err != nil {
				return nil, 0, 0, err
			}
			continue
		}
		h := d.ring[d.at:]
		d.left--
		d.at += int(ne.Uint32(h[packetNextAt:]))
		mac, n := int(ne.Uint16(h[packetMACAt:])), int(ne.Uint32(h[packetLenAt:]))
		data := h[mac : mac+int(ne.Uint32(h[packetCapLenAt:]))]
		if status := ne.Uint32(h[packetStatusAt:]); status&unix.TP_STATUS_VLAN_VALID != 0 && len(data) >= 12 && d.kind == LinkEthernet {
			ether := uint16(unix.ETH_P_8021Q)
			if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
				ether = ne.Uint16(h[packetTPIDAt:])
			}
			d.tagged = append(d.tagged[:0], data[:12]...)
			d.tagged = binary.BigEndian.AppendUint16(d.tagged, ether)
			d.tagged = binary.BigEndian.AppendUint16(d.tagged, uint16(ne.Uint32(h[packetTCIAt:])))
			d.tagged = append(d.tagged, data[12:]...)
			data, n = d.tagged, n+4
		}
		at := int64(ne.Uint32(h[packetSecAt:]))*1e9 + int64(ne.Uint32(h[packetNsecAt:]))
		return data[:min(len(data), d.snaplen)], n, at, nil
	}
}

// nextBlock gives the block that was read back to the kernel and waits a short
// while for the next one.
func (d *ringDevice) nextBlock() error {
	next := 0
	if d.block >= 0 {
		next = (d.block + 1) % (len(d.ring) / ringBlock)
	}
	if d.at != 0 {
		atomic.StoreUint32(d.status(d.block), unix.TP_STATUS_KERNEL)
		d.at = 0
	}
	if atomic.LoadUint32(d.status(next))&unix.TP_STATUS_USER == 0 {
		poll := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN | unix.POLLERR}}
		if _, err := unix.Poll(poll, int(liveIdle/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if atomic.LoadUint32(d.status(next))&unix.TP_STATUS_USER == 0 {
			return d.quiet()
		}
	}
	ne, at := binary.NativeEndian, next*ringBlock
	d.block, d.left = next, int(ne.Uint32(d.ring[at+blockCountAt:]))
	d.at = at + int(ne.Uint32(d.ring[at+blockFirstAt:]))
	return nil
}

// quiet tells a quiet interface from one that went down or away.
func (d *ringDevice) quiet() error {
	code, err := unix.GetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return err
	case code != 0:
		return unix.Errno(code)
	}
	return ErrIdle
}

func (d *ringDevice) link() LinkType { return d.kind }

func (d *ringDevice) stats() (deviceStats, error) {
	s, err := unix.GetsockoptTpacketStatsV3(d.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return deviceStats{}, err
	}
	d.counts.received += int64(s.Packets)
	d.counts.dropped += int64(s.Drops)
	return d.counts, nil
}

func (d *ringDevice) close() {
	if d.ring != nil {
		_ = unix.Munmap(d.ring) // nothing can be done about it
	}
	unix.Close(d.fd)
}
