package pcaps

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"mapiscope/internal/wire"
)

// LiveInterface is a network interface to capture on, and where that is.
type LiveInterface struct {
	Name  string
	Point Point // Unknown: by its name, as for interfaces of a file
	// OtherHalf says that it shows the other direction of what the interface
	// before it shows, as a full-duplex tap has it: they are one capture point.
	OtherHalf bool
}

// LiveOptions say how packets are captured. Zero values are the defaults.
type LiveOptions struct {
	Snaplen     int    // bytes kept of each packet (default LiveSnaplen)
	Buffer      int    // bytes that the kernel holds for each interface (default LiveBuffer)
	Promiscuous bool   // also packets for other hosts
	Immediate   bool   // hand on each packet at once, not in blocks of the kernel
	Filter      string // BPF expression
	// Holdback is how long packets of several interfaces wait for those that
	// another one captured before, by Now; 0 gives them out as they come.
	Holdback time.Duration
	Now      func() time.Time // nil where nothing is held back
}

// The defaults of LiveOptions.
const (
	LiveSnaplen = 262144
	LiveBuffer  = 64 << 20
)

// LiveHoldback is as long as a packet may be on its way here: the kernel and
// the reader keep one back for liveIdle each where little comes.
const LiveHoldback = 2 * liveIdle

// ErrIdle is returned by Live.Next when no packet came for a while; the next
// call waits again.
var ErrIdle = errors.New("no packet")

// liveIdle is how long Next waits for a packet, and how long the kernel may
// keep one back in a block that is not full.
const liveIdle = 100 * time.Millisecond

// A device captures on one interface. All calls come from one goroutine.
type device interface {
	// read returns the next packet, valid until the next read, or ErrIdle
	// after a short while without one.
	read() (data []byte, wireLen int, at int64, err error)
	link() LinkType
	stats() (deviceStats, error)
	close()
}

// deviceStats counts packets since the interface was opened. received are
// those that passed the filter, dropped ones included.
type deviceStats struct{ received, dropped, driver int64 }

// Live captures on interfaces of this machine; together they are one capture,
// whose interfaces are in the order in which they were given. Packets of one
// interface keep their order; those of several come in order of time, which is
// one clock. Next and Capture belong to one goroutine; Stop may be called by
// others.
type Live struct {
	capture  Capture
	taps     []*tap
	free     chan *liveBatch
	wake     chan struct{} // some tap has a batch, or has ended
	timer    *time.Timer
	holdback time.Duration
	now      func() time.Time
	stopping atomic.Bool
	ended    bool
}

// tap is one interface with its reader.
type tap struct {
	device device
	counts atomic.Pointer[deviceStats] // the latest
	err    error                       // why it ended; set before the reader ends

	full  chan *liveBatch // closed by the reader
	batch *liveBatch      // whose packets are given out, nil for none
	at    int             // of the next one in it
	over  bool            // full is closed and empty
	index int32
}

// liveBatch carries packets of one interface from its reader.
type liveBatch struct {
	packets []livePacket
	buf     []byte
	read    time.Time // when its last packet was read
	due     bool      // its packets were held back long enough
}

type livePacket struct {
	at      int64
	wireLen int
	data    []byte
}

const (
	liveBatchPackets = 512
	liveBatchBytes   = 512 << 10
	liveBatches      = 32  // on the way, of one interface
	heldBatches      = 128 // of several, which are held back, all together
)

// liveBatchesOf is how many batches of each of n interfaces may be on the way.
func liveBatchesOf(n int) int {
	if n < 2 {
		return liveBatches
	}
	return max(heldBatches/n, 4)
}

// LiveWaiting is how many bytes of packets, of n interfaces together, may wait
// for the analysis beside those in the kernel.
func LiveWaiting(n int) int64 { return int64(max(n, 1)) * int64(liveBatchesOf(n)) * liveBatchBytes }

// OpenLive opens interfaces for capture. The error is an *OpenError that says
// what to do, a *FilterError, or ErrNoBPF.
func OpenLive(interfaces []LiveInterface, o LiveOptions) (*Live, error) {
	return openLive(interfaces, o, openDevice)
}

func openLive(interfaces []LiveInterface, o LiveOptions, open func(string, LiveOptions) (device, error)) (*Live, error) {
	if o.Filter != "" && !HaveBPF {
		return nil, ErrNoBPF
	}
	if o.Snaplen <= 0 {
		o.Snaplen = LiveSnaplen
	}
	if o.Buffer <= 0 {
		o.Buffer = LiveBuffer
	}
	if o.Now == nil {
		o.Holdback = 0
	}
	n := liveBatchesOf(len(interfaces))
	l := &Live{
		free: make(chan *liveBatch, (n+1)*len(interfaces)), wake: make(chan struct{}, 1), timer: time.NewTimer(liveIdle),
		holdback: o.Holdback, now: o.Now, capture: Capture{Format: "live"},
	}
	var names []string
	for k, i := range interfaces {
		d, err := open(i.Name, o)
		if err != nil {
			for _, t := range l.taps {
				t.device.close()
			}
			return nil, err
		}
		l.taps = append(l.taps, &tap{device: d, full: make(chan *liveBatch, n), index: int32(k)})
		l.capture.addLive(i, d.link(), int64(o.Snaplen))
		names = append(names, i.Name)
	}
	l.capture.Path = strings.Join(names, ",")
	for _, t := range l.taps {
		go l.read(t)
	}
	return l, nil
}

// addLive describes an interface of a live capture.
func (c *Capture) addLive(i LiveInterface, link LinkType, snaplen int64) {
	point, basis := i.Point, "option"
	if point == Unknown {
		if point, basis = pointOfName(i.Name), "interface name"; point == Unknown {
			basis = ""
		}
	}
	f := Interface{Name: i.Name, Link: link, Snaplen: snaplen, Point: point, Tap: 1}
	if n := len(c.Interfaces); n == 0 {
		c.Link, c.Snaplen, c.Point, c.PointBasis = link, snaplen, point, basis
	} else {
		before := &c.Interfaces[n-1]
		if i.OtherHalf {
			f.Tap, f.Joined, f.Of = before.Tap, OtherHalf, before.Of
			if before.Joined != OtherHalf {
				f.Of = InterfaceRef{Interface: int32(n - 1)}
			}
		} else {
			f.Tap = before.Tap + 1
		}
		if c.Point != point {
			c.Point = Unknown
		}
	}
	c.Interfaces = append(c.Interfaces, f)
}

// statsEvery is how many packets pass between two looks at the counters of a
// device that is never idle.
const statsEvery = 1 << 14

// lastIdle is how often a device may say that there is nothing before it is
// believed against its own counters: a block of the kernel may just be late.
const lastIdle = 3

// read is the reader of one interface: it fills batches until Stop or an error
// of the interface. What the kernel had received when Stop came is still read.
func (l *Live) read(t *tap) {
	defer l.tell()
	defer close(t.full)
	defer t.device.close()
	b := l.empty()
	last, idle := int64(-1), 0 // packets to read, once the end was asked for
	for n := int64(0); last < 0 || n < last; {
		if last < 0 && l.stopping.Load() {
			c := t.count()
			if last = c.received - c.dropped; n >= last {
				break
			}
		}
		data, wireLen, at, err := t.device.read()
		switch {
		case err == nil:
			n++
			b.add(data, wireLen, at)
		case !errors.Is(err, ErrIdle):
			t.err = err
			t.count()
		case last >= 0:
			idle++
		}
		// A batch goes on when it is full, when nothing comes, and when the
		// analysis has nothing else to do.
		if len(b.packets) > 0 && (err != nil || b.isFull() || len(t.full) == 0) {
			l.hand(t, b)
			b = l.empty()
		}
		if t.err != nil || idle == lastIdle {
			break
		}
		if last < 0 && (err != nil || n%statsEvery == 0) {
			t.count()
		}
	}
	if len(b.packets) > 0 {
		l.hand(t, b)
	}
}

// hand gives a batch to Next, when there is room.
func (l *Live) hand(t *tap, b *liveBatch) {
	if l.holdback > 0 {
		b.read = l.now()
	}
	t.full <- b
	l.tell()
}

// tell wakes Next, if it waits.
func (l *Live) tell() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// count asks the kernel for its counters and keeps them.
func (t *tap) count() deviceStats {
	if c, err := t.device.stats(); err == nil {
		t.counts.Store(&c)
		return c
	}
	return deviceStats{}
}

func (l *Live) empty() *liveBatch {
	select {
	case b := <-l.free:
		b.packets, b.buf, b.due = b.packets[:0], b.buf[:0], false
		return b
	default:
		return &liveBatch{buf: make([]byte, 0, liveBatchBytes)}
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
	t, err := l.first()
	if err != nil {
		return err
	}
	q := &t.batch.packets[t.at]
	t.at++
	f := &l.capture.Interfaces[t.index]
	*p = Packet{
		Mark: wire.Mark{Time: q.at, Packet: l.capture.Packets + 1},
		Data: q.data, WireLen: q.wireLen, Link: f.Link, Point: f.Point, Tap: f.Tap, Interface: t.index,
	}
	l.capture.count(p)
	return nil
}

// Stop ends the capture: Next gives out what had been captured before.
func (l *Live) Stop() { l.stopping.Store(true) }

// Capture describes the capture and what was read from it so far, with the
// latest counters of the kernel; after the end those of the end.
func (l *Live) Capture() Capture {
	c := l.capture
	c.Interfaces = append([]Interface(nil), c.Interfaces...)
	for i, t := range l.taps {
		f := &c.Interfaces[i]
		if n := t.counts.Load(); n != nil {
			f.Received, f.Dropped, f.DriverDropped = &n.received, &n.dropped, &n.driver
		}
		if l.ended && t.err != nil {
			f.Err = t.err
			c.Err = errors.Join(c.Err, fmt.Errorf("capture on %s ended: %w", f.Name, t.err))
		}
	}
	return c
}

// Close stops the capture and gives the interfaces back. Packets that were not
// asked for yet are lost.
func (l *Live) Close() error {
	l.Stop()
	for _, t := range l.taps {
		for range t.full { // its reader may wait for room
		}
	}
	l.ended = true
	return nil
}
