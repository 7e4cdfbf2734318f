package pcaps

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"mapiscope/internal/wire"
)

// LiveInterface is a network interface to capture on, and where that is.
type LiveInterface struct {
	Name  string
	Point Point // Unknown: by its name, as for interfaces of a file
}

// LiveOptions say how packets are captured. Zero values are the defaults.
type LiveOptions struct {
	Snaplen     int    // bytes kept of each packet (default 262144)
	Buffer      int    // bytes that the kernel holds for each interface (default 64 MiB)
	Promiscuous bool   // also packets for other hosts
	Immediate   bool   // hand on each packet at once, not in batches of the kernel
	Filter      string // BPF expression
}

// The defaults of LiveOptions.
const (
	LiveSnaplen = 262144
	LiveBuffer  = 64 << 20
)

// ErrIdle is returned by Live.Next when no packet came for a while; the next
// call waits again.
var ErrIdle = errors.New("no packet")

// liveIdle is how long Next waits for a packet.
const liveIdle = 100 * time.Millisecond

// LiveStats counts the packets of one interface since it was opened.
type LiveStats struct {
	Interface string
	Received  int64 // by the kernel, also those that it dropped
	Dropped   int64 // for want of room in its buffer
	IfDropped int64 // by the interface or its driver, where the system tells
}

// A device captures on one interface. One goroutine reads; Stats may be asked
// by another.
type device interface {
	// read returns the next packet, valid until the next read, or errIdle
	// after a short while without one.
	read() (data []byte, wireLen int, at int64, err error)
	link() LinkType
	stats() (received, dropped, ifDropped int64, err error)
	close()
}

// Live captures on interfaces of this machine. Packets come in the order in
// which the interfaces gave them; those of one interface keep their order.
// Next belongs to one goroutine; Stop and Stats may be called by others.
type Live struct {
	captures []Capture
	devices  []device
	full     chan *liveBatch
	free     chan *liveBatch
	batch    *liveBatch
	at       int
	timer    *time.Timer
	stopping atomic.Bool
	readers  sync.WaitGroup
	errs     []error // of each interface, set before its reader ends
	counted  []LiveStats
	mu       sync.Mutex // guards counted and devices once closed
	closed   bool
}

// liveBatch carries packets of one interface from its reader.
type liveBatch struct {
	device  int
	packets []livePacket
	buf     []byte
}

type livePacket struct {
	at      int64
	wireLen int
	data    []byte
}

const (
	liveBatchPackets = 512
	liveBatchBytes   = 512 << 10
	liveBatches      = 64 // on the way, all interfaces together
)

// OpenLive opens interfaces for capture. The error is an *OpenError that says
// what to do, a *FilterError, or ErrNoBPF.
func OpenLive(interfaces []LiveInterface, o LiveOptions) (*Live, error) {
	if o.Filter != "" && !HaveBPF {
		return nil, ErrNoBPF
	}
	if o.Snaplen <= 0 {
		o.Snaplen = LiveSnaplen
	}
	if o.Buffer <= 0 {
		o.Buffer = LiveBuffer
	}
	l := &Live{full: make(chan *liveBatch, liveBatches), free: make(chan *liveBatch, liveBatches+1), timer: time.NewTimer(liveIdle)}
	for _, i := range interfaces {
		d, err := openDevice(i.Name, o)
		if err != nil {
			l.closeDevices()
			return nil, err
		}
		point, basis := i.Point, ""
		switch {
		case point != Unknown:
			basis = "option"
		default:
			if point = pointOfName(i.Name); point != Unknown {
				basis = "interface name"
			}
		}
		l.devices = append(l.devices, d)
		l.captures = append(l.captures, Capture{
			Path: i.Name, Format: "live", Link: d.link(), Snaplen: int64(o.Snaplen), Point: point, PointBasis: basis,
			Interfaces: []Interface{{Name: i.Name, Link: d.link(), Snaplen: int64(o.Snaplen), Point: point}},
		})
		l.counted = append(l.counted, LiveStats{Interface: i.Name})
	}
	l.errs = make([]error, len(l.devices))
	for i := range l.devices {
		l.readers.Add(1)
		go l.read(i)
	}
	go func() {
		l.readers.Wait()
		close(l.full)
	}()
	return l, nil
}

// read is the reader of one interface: it fills batches until Stop or an error
// of the interface.
func (l *Live) read(i int) {
	defer l.readers.Done()
	d := l.devices[i]
	b := l.empty(i)
	for !l.stopping.Load() {
		data, wireLen, at, err := d.read()
		if err != nil && !errors.Is(err, ErrIdle) {
			l.errs[i] = err
			break
		}
		if err == nil {
			b.add(data, wireLen, at)
		}
		// A batch goes on when it is full, when nothing comes, and when the
		// analysis has nothing else to do.
		if len(b.packets) > 0 && (err != nil || b.isFull() || len(l.full) == 0) {
			l.full <- b
			b = l.empty(i)
		}
	}
	l.full <- b
}

func (l *Live) empty(i int) *liveBatch {
	select {
	case b := <-l.free:
		b.device, b.packets, b.buf = i, b.packets[:0], b.buf[:0]
		return b
	default:
		return &liveBatch{device: i, buf: make([]byte, 0, liveBatchBytes)}
	}
}

func (b *liveBatch) add(data []byte, wireLen int, at int64) {
	from := len(b.buf)
	b.buf = append(b.buf, data...) // grows for one packet larger than the batch only
	b.packets = append(b.packets, livePacket{at, wireLen, b.buf[from:len(b.buf):len(b.buf)]})
}

func (b *liveBatch) isFull() bool {
	return len(b.packets) >= liveBatchPackets || len(b.buf) > liveBatchBytes-64<<10
}

// Next waits for the next packet. It returns ErrIdle when none came for a
// while and io.EOF after Stop, when all that was captured before has been
// given out, or when no interface captures any more. p.Data is valid until
// the next Next.
func (l *Live) Next(p *Packet) error {
	for l.batch == nil || l.at == len(l.batch.packets) {
		if l.batch != nil {
			select {
			case l.free <- l.batch:
			default:
			}
			l.batch = nil
		}
		select {
		case b, ok := <-l.full:
			if !ok {
				return l.end()
			}
			l.batch, l.at = b, 0
			continue
		default:
		}
		l.timer.Reset(liveIdle)
		select {
		case b, ok := <-l.full:
			if !ok {
				return l.end()
			}
			l.batch, l.at = b, 0
		case <-l.timer.C:
			return ErrIdle
		}
	}
	q := &l.batch.packets[l.at]
	l.at++
	c := &l.captures[l.batch.device]
	c.Packets++
	c.Interfaces[0].Packets++
	c.BytesWire += int64(q.wireLen)
	c.BytesCaptured += int64(len(q.data))
	if q.wireLen > len(q.data) {
		c.Truncated++
	}
	if c.Packets == 1 {
		c.First, c.Last = q.at, q.at
	}
	c.First, c.Last = min(c.First, q.at), max(c.Last, q.at)
	*p = Packet{
		Mark: wire.Mark{Time: q.at, Packet: c.Packets, Capture: int32(l.batch.device)},
		Data: q.data, WireLen: q.wireLen, Link: c.Link, Point: c.Point,
	}
	return nil
}

// end closes the interfaces and says why they ended.
func (l *Live) end() error {
	l.Close()
	for i, err := range l.errs {
		if err != nil && l.captures[i].Err == nil {
			l.captures[i].Err = fmt.Errorf("capture ended: %w", err)
		}
	}
	return io.EOF
}

// Stop ends the capture: Next gives out what was captured before.
func (l *Live) Stop() { l.stopping.Store(true) }

// Captures describes the interfaces and what was read from them so far. It is
// for the goroutine that calls Next.
func (l *Live) Captures() []Capture { return l.captures }

// Stats returns the counters of the kernel for each interface; after the end
// those of the end.
func (l *Live) Stats() []LiveStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.count()
	}
	return append([]LiveStats(nil), l.counted...)
}

func (l *Live) count() {
	for i, d := range l.devices {
		if received, dropped, ifDropped, err := d.stats(); err == nil {
			s := &l.counted[i]
			s.Received, s.Dropped, s.IfDropped = received, dropped, ifDropped
		}
	}
}

// Close stops the capture and gives the interfaces back.
func (l *Live) Close() error {
	l.Stop()
	go func() { // readers may wait for room
		for range l.full {
		}
	}()
	l.readers.Wait()
	l.closeDevices()
	return nil
}

func (l *Live) closeDevices() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if len(l.counted) == len(l.devices) {
		l.count()
	}
	l.closed = true
	for _, d := range l.devices {
		d.close()
	}
}
