package pcaps

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"

	"mapiscope/internal/wire"
)

// Block types of draft-ietf-opsawg-pcapng. All others are skipped.
const (
	blockSection   = 0x0a0d0d0a // 4.1; the same in both byte orders
	blockInterface = 1          // 4.2
	blockPacket    = 2          // appendix A, obsolete
	blockSimple    = 3          // 4.4
	blockNames     = 4          // 4.5
	blockStats     = 5          // 4.6
	blockEnhanced  = 6          // 4.3
	blockJournal   = 9          // systemd journal export
	blockSecrets   = 10         // 4.7
	blockSysdig    = 0x204      // sysdig event, and its later forms
	blockSysdigF   = 0x208
	blockSysdig2   = 0x216
	blockSysdig2L  = 0x221
	blockSysdig2F  = 0x222
	blockCustom    = 0xbad // 4.8
	blockCustomRO  = 0x40000bad
)

const (
	byteOrderMagic = 0x1a2b3c4d
	// maxInterfaces bounds a table that a file could fill with nothing else.
	maxInterfaces = 1 << 16
	maxNameLen    = 256
)

// ngInterface is what an interface description block says about times.
type ngInterface struct {
	index   int32
	snaplen uint32
	units   uint64 // per second; 0 when a second has more than 64 bits of them
	offset  int64  // seconds
}

type pcapngDecoder struct {
	s      *source
	w      *window
	order  wire.Order
	ifaces []ngInterface // of this section
	err    error         // met before the first packet
}

func isPcapng(b []byte) bool {
	return len(b) >= 12 && wire.BigEndian.Uint32(b) == blockSection &&
		(wire.BigEndian.Uint32(b[8:]) == byteOrderMagic || wire.LittleEndian.Uint32(b[8:]) == byteOrderMagic)
}

// newPcapng reads up to the first interface, so that its link type is known.
func newPcapng(s *source, w *window) (*pcapngDecoder, error) {
	d := &pcapngDecoder{s: s, w: w}
	s.capture.Format = "pcapng"
	b := w.peek(28)
	if len(b) < 28 {
		return nil, notCapture(io.ErrUnexpectedEOF)
	}
	order := d.orderOf(b)
	if major := order.Uint16(b[12:]); major != 1 {
		return nil, fmt.Errorf("pcapng version %d.%d is not supported", major, order.Uint16(b[14:]))
	}
	d.describe()
	return d, nil
}

// describe reads up to the first interface description, unless a record
// comes before.
func (d *pcapngDecoder) describe() {
	for len(d.s.capture.Interfaces) == 0 && d.err == nil {
		b := d.w.peek(12)
		if len(b) < 12 || isRecord(d.orderOf(b).Uint32(b)) {
			return
		}
		_, d.err = d.block(nil)
	}
}

// isRecord reports whether blocks of a kind have a number in tshark: packets
// and a few others.
func isRecord(kind uint32) bool {
	switch kind {
	case blockPacket, blockSimple, blockEnhanced,
		blockCustom, blockCustomRO, blockJournal, blockSysdig, blockSysdigF, blockSysdig2, blockSysdig2L, blockSysdig2F:
		return true
	}
	return false
}

// orderOf returns the byte order of a section header block, else of the
// section that is being read.
func (d *pcapngDecoder) orderOf(b []byte) wire.Order {
	if wire.BigEndian.Uint32(b) != blockSection {
		return d.order
	}
	return wire.Order(wire.BigEndian.Uint32(b[8:]) == byteOrderMagic)
}

func (d *pcapngDecoder) next(rec *record) error {
	if d.err != nil {
		return d.err
	}
	for {
		found, err := d.block(rec)
		if found || err != nil {
			return err
		}
	}
}

// block reads one block and reports whether it was a record.
func (d *pcapngDecoder) block(rec *record) (bool, error) {
	b := d.w.peek(12)
	if len(b) < 12 {
		return false, d.w.end(len(b))
	}
	order := d.orderOf(b)
	kind, size := order.Uint32(b), order.Uint32(b[4:])
	if size < 12 {
		return false, d.w.absurd("block", size)
	}
	padded := (int64(size) + 3) &^ 3 // some writers forget the padding
	switch kind {
	case blockSection, blockInterface, blockPacket, blockSimple, blockEnhanced, blockStats:
	default:
		return d.skip(kind, padded, rec)
	}
	if padded > maxRecord {
		return false, d.w.absurd("block", size)
	}
	n := int(padded)
	if b = d.w.peek(n); len(b) < n {
		return false, d.w.end(len(b))
	}
	if tail := order.Uint32(b[n-4:]); tail != size {
		return false, d.w.damage(fmt.Sprintf("block length is %d at its start and %d at its end", size, tail), nil)
	}
	c := wire.NewCursor(b[8:n-4], order)
	found := false
	var fault string
	switch kind {
	case blockSection:
		fault = d.section(&c, order)
	case blockInterface:
		fault = d.iface(&c)
	case blockStats:
		fault = d.statistics(&c)
	default:
		found = true
		fault = d.packet(kind, &c, rec)
	}
	if fault != "" {
		return false, d.w.damage(fault, nil)
	}
	d.w.advance(n)
	return found, nil
}

// skip passes over a block of no interest. Names of hosts and secrets are of
// none; what another kind may hold is not known, so it counts.
func (d *pcapngDecoder) skip(kind uint32, n int64, rec *record) (bool, error) {
	start := d.w.off
	if d.w.skip(n) < n {
		return false, d.w.endOf(start)
	}
	if kind != blockNames && kind != blockSecrets {
		d.s.capture.Skipped++
	}
	if !isRecord(kind) {
		return false, nil
	}
	*rec = record{}
	return true, nil
}

// section starts a section: byte order, version, a length that may be
// unknown and is not used, options of no interest.
func (d *pcapngDecoder) section(c *wire.Cursor, order wire.Order) string {
	magic := c.Uint32()
	major, minor := c.Uint16(), c.Uint16()
	c.Uint64()
	switch {
	case !c.OK():
		return "section header is too short"
	case magic != byteOrderMagic:
		return fmt.Sprintf("byte order magic is %#x", magic)
	case major != 1:
		return fmt.Sprintf("pcapng version %d.%d is not supported", major, minor)
	}
	d.order, d.ifaces = order, d.ifaces[:0]
	d.s.section = len(d.s.capture.Interfaces)
	return ""
}

// iface reads an interface description block: link type, reserved, snaplen,
// options.
func (d *pcapngDecoder) iface(c *wire.Cursor) string {
	link := LinkType(c.Uint16())
	c.Uint16()
	i := ngInterface{snaplen: c.Uint32(), units: 1e6}
	if !c.OK() {
		return "interface description is too short"
	}
	if len(d.s.capture.Interfaces) >= maxInterfaces {
		return fmt.Sprintf("more than %d interfaces", maxInterfaces)
	}
	var name, description string
	if !options(c, func(code uint16, value []byte) {
		switch {
		case code == 2: // if_name
			name = optionText(value)
		case code == 3: // if_description
			description = optionText(value)
		case code == 9 && len(value) == 1: // if_tsresol
			i.units = unitsPerSecond(value[0])
		case code == 14 && len(value) == 8: // if_tsoffset
			i.offset = int64(c.Order().Uint64(value))
		}
	}) {
		return "interface option is too long"
	}
	i.index = d.s.addInterface(name, description, FromDLT(link), int64(i.snaplen))
	d.ifaces = append(d.ifaces, i)
	return ""
}

// options calls f for each option up to the end of the list. It returns false
// when one is longer than its block.
func options(c *wire.Cursor, f func(code uint16, value []byte)) bool {
	for c.Len() >= 4 {
		code, size := c.Uint16(), int(c.Uint16())
		value := c.Bytes(size)
		c.Skip(min(-size&3, c.Len()))
		if code == 0 { // opt_endofopt
			break
		}
		if !c.OK() {
			return false
		}
		f(code, value)
	}
	return true
}

// statistics reads an interface statistics block: interface, time, options.
// Its counters are those since the start of the capture.
func (d *pcapngDecoder) statistics(c *wire.Cursor) string {
	id := c.Uint32()
	c.Skip(8)
	if !c.OK() {
		return "interface statistics are too short"
	}
	if uint64(id) >= uint64(len(d.ifaces)) {
		return fmt.Sprintf("interface %d is not described", id)
	}
	f := &d.s.capture.Interfaces[d.ifaces[id].index]
	if !options(c, func(code uint16, value []byte) {
		if len(value) != 8 {
			return
		}
		n := new(int64(min(c.Order().Uint64(value), math.MaxInt64)))
		switch code {
		case 4: // isb_ifrecv
			f.Received = n
		case 5: // isb_ifdrop
			f.DriverDropped = n
		case 7: // isb_osdrop
			f.Dropped = n
		}
	}) {
		return "option of interface statistics is too long"
	}
	return ""
}

func optionText(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return strings.ToValidUTF8(string(b[:min(len(b), maxNameLen)]), "\uFFFD")
}

// unitsPerSecond reads if_tsresol: the negative power of 10 or, with the top
// bit set, of 2.
func unitsPerSecond(resol byte) uint64 {
	n := resol & 0x7f
	if resol&0x80 != 0 {
		if n > 63 {
			return 0
		}
		return 1 << n
	}
	if n > 19 {
		return 0
	}
	units := uint64(1)
	for range n {
		units *= 10
	}
	return units
}

// packet reads the three kinds of packet blocks.
func (d *pcapngDecoder) packet(kind uint32, c *wire.Cursor, rec *record) string {
	var id, capLen uint32
	var ticks, drops uint64 // drops counts packets that were lost since the one before, of the interface
	told := false
	*rec = record{packet: true}
	switch kind {
	case blockEnhanced: // interface, time, captured, original, data, options
		id = c.Uint32()
		ticks = uint64(c.Uint32())<<32 | uint64(c.Uint32())
		capLen, rec.wireLen = c.Uint32(), c.Uint32()
	case blockPacket: // the same with a 16-bit interface and a drop count
		id = uint32(c.Uint16())
		if n := c.Uint16(); n != math.MaxUint16 { // else not known
			drops, told = uint64(n), true
		}
		ticks = uint64(c.Uint32())<<32 | uint64(c.Uint32())
		capLen, rec.wireLen = c.Uint32(), c.Uint32()
	case blockSimple: // original, data; always the first interface, no time
		rec.wireLen = c.Uint32()
		capLen = min(rec.wireLen, uint32(c.Len()))
	}
	if uint64(id) >= uint64(len(d.ifaces)) {
		return fmt.Sprintf("interface %d is not described", id)
	}
	i := &d.ifaces[id]
	if kind == blockSimple {
		if i.snaplen > 0 {
			capLen = min(capLen, i.snaplen)
		}
	} else {
		rec.time, rec.timed = i.nanoseconds(ticks), true
	}
	if rec.data = c.Bytes(int(min(capLen, math.MaxInt32))); !c.OK() {
		return fmt.Sprintf("packet length %d is more than its block holds", capLen)
	}
	rec.iface = i.index
	if kind == blockEnhanced && c.Len() > 4 {
		c.Skip(min(-int(capLen)&3, c.Len()))
		// Options that are damaged tell nothing; the packet stands.
		options(c, func(code uint16, value []byte) {
			if code == 4 && len(value) == 8 { // epb_dropcount
				drops, told = c.Order().Uint64(value), true
			}
		})
	}
	if told {
		f := &d.s.capture.Interfaces[i.index]
		if f.Lost == nil {
			f.Lost = new(int64)
		}
		*f.Lost += int64(min(drops, uint64(math.MaxInt64-*f.Lost)))
	}
	return ""
}

// nanoseconds turns ticks of the interface into ns since the Unix epoch.
func (i *ngInterface) nanoseconds(ticks uint64) int64 {
	if i.units == 0 {
		return clampTime(i.offset, 0)
	}
	sec := ticks / i.units
	hi, lo := bits.Mul64(ticks%i.units, 1e9)
	ns, _ := bits.Div64(hi, lo, i.units)
	if sec > math.MaxInt64/4 || i.offset > math.MaxInt64/4 {
		return math.MaxInt64
	}
	return clampTime(int64(sec)+i.offset, int64(ns))
}

// clampTime joins seconds since the Unix epoch with less than a second. A
// time beyond the years 1677 to 2262 becomes the nearest there is.
func clampTime(sec, ns int64) int64 {
	const last = math.MaxInt64/1_000_000_000 - 1
	switch {
	case sec > last:
		return math.MaxInt64
	case sec < -last:
		return math.MinInt64
	}
	return sec*1e9 + ns
}
