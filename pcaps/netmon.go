package pcaps

import (
	"fmt"
	"io"
	"math"
	"time"

	"mapiscope/internal/wire"
)

// Network Monitor files: a header of 128 bytes, then frames, found through a
// table of their offsets that follows them. The help of Network Monitor 3
// documents version 2; version 1 differs in the frame header. Everything is
// little endian.
const (
	netmonHeaderLen = 128
	netmonMagic1    = "RTSS" // version 1.x
	netmonMagic2    = "GMBU" // version 2.x
)

// Media types of frames that are no packets. A reassembled payload, the list
// of adapters of older versions and the DNS cache have no number in tshark.
const (
	mediaNetEvent      = 0xffe0 // event tracing
	mediaNetworkInfoEx = 0xfffb // list of adapters
	mediaPayloadHeader = 0xfffc
	mediaNetworkInfo   = 0xfffd
	mediaDNSCache      = 0xfffe
	mediaFilter        = 0xffff // text of a filter
	mediaPcap          = 0xe000 // plus a LINKTYPE value: converted from pcap
)

type netmonDecoder struct {
	s            *source
	frames       *rangeReader
	table        *rangeReader
	size         int64
	broken       error
	major, minor byte
	media        uint16 // of all frames, before version 2.1
	start        int64  // capture start in ns; local time of the capturing host before version 2.3
	ifaces       map[LinkType]int32

	tableAt, tableEnd int64
	scanAt            int64 // without a frame table: where the next frame is
	scan              bool
	seen              int64 // bytes of all frames so far
}

func isNetMon(b []byte) bool {
	if len(b) < netmonHeaderLen {
		return false
	}
	magic := string(b[:4])
	return magic == netmonMagic1 && b[5] == 1 || magic == netmonMagic2 && b[5] == 2
}

// newNetMon reads the header, which isNetMon has seen. If the file is not
// whole since its input broke off, broken says why.
func newNetMon(s *source, r io.ReaderAt, size int64, broken error, chunk int) (*netmonDecoder, error) {
	d := &netmonDecoder{
		s:      s,
		broken: broken,
		frames: &rangeReader{r: r, size: size, limit: chunk, err: broken},
		table:  &rangeReader{r: r, size: size, limit: 64 << 10, err: broken},
		size:   size,
		ifaces: map[LinkType]int32{},
	}
	s.capture.Format = "netmon"
	b := d.frames.at(0, netmonHeaderLen)
	if len(b) < netmonHeaderLen {
		return nil, notCapture(d.frames.cause())
	}
	c := wire.NewCursor(b[4:], wire.LittleEndian)
	d.minor, d.major = c.Uint8(), c.Uint8()
	d.media = c.Uint16()
	year, month := c.Uint16(), c.Uint16()
	c.Uint16() // day of the week
	day, hour, minute, second, ms := c.Uint16(), c.Uint16(), c.Uint16(), c.Uint16(), c.Uint16()
	t := time.Date(int(year), time.Month(month), int(day), int(hour), int(minute), int(second), int(ms)*1e6, time.UTC)
	d.start = clampTime(t.Unix(), int64(t.Nanosecond()))

	d.tableAt = int64(c.Uint32())
	d.tableEnd = d.tableAt + int64(c.Uint32())
	// A capture that was cut off has lost its table or the end of it; frames
	// usually lie one after the other.
	d.scan = d.tableEnd > size
	d.scanAt = netmonHeaderLen
	return d, nil
}

func (d *netmonDecoder) next(rec *record) error {
	for {
		at, err := d.frame()
		if err != nil {
			return err
		}
		numbered, err := d.read(at, rec)
		if numbered || err != nil {
			return err
		}
	}
}

// frame returns the offset of the next frame.
func (d *netmonDecoder) frame() (int64, error) {
	damage := func(reason string) (int64, error) {
		return 0, &DamageError{Reason: reason, Offset: d.tableAt, Err: d.table.cause()}
	}
	if d.scan {
		if d.scanAt < d.tableAt {
			return d.scanAt, nil
		}
		return damage("frame table is cut off")
	}
	if d.tableEnd-d.tableAt < 4 {
		if d.broken != nil {
			return damage("input failed")
		}
		return 0, io.EOF
	}
	b := d.table.at(d.tableAt, 4)
	if len(b) < 4 {
		return damage("frame table cannot be read")
	}
	d.tableAt += 4
	return int64(wire.LittleEndian.Uint32(b)), nil
}

// read reads the frame at an offset and reports whether tshark gives it a
// number.
func (d *netmonDecoder) read(at int64, rec *record) (bool, error) {
	damage := func(format string, args ...any) (bool, error) {
		return false, &DamageError{Reason: fmt.Sprintf(format, args...), Offset: at}
	}
	cut := func() (bool, error) {
		return false, &DamageError{Reason: "cut off", Offset: at, Err: d.frames.cause()}
	}
	headLen := 16
	if d.major == 1 {
		headLen = 8
	}
	b := d.frames.at(at, headLen)
	if len(b) < headLen {
		return cut()
	}
	var delta, capLen, wireLen int64
	if c := wire.NewCursor(b, wire.LittleEndian); d.major == 1 {
		delta = int64(c.Uint32()) * 1e6 // ms
		wireLen, capLen = int64(c.Uint16()), int64(c.Uint16())
	} else {
		// Microseconds; frames from before the start have values that are
		// negative after a multiplication by 10 that loses the top bits.
		delta = saturatingMul(int64(c.Uint64()*10), 100)
		wireLen, capLen = int64(c.Uint32()), int64(c.Uint32())
	}
	if capLen > maxRecord {
		return damage("record length %d is absurd", capLen)
	}
	n := headLen + int(capLen) + d.trailerLen()
	if b = d.frames.at(at, n); len(b) < n {
		return cut()
	}
	// Frames that share their bytes would let a small file be endless.
	if d.seen += int64(n); d.seen > d.size {
		return damage("frames overlap")
	}
	d.scanAt = at + int64(n)

	*rec = record{timed: true, packet: true, wireLen: uint32(wireLen), data: b[headLen : headLen+int(capLen) : headLen+int(capLen)]}
	rec.time = saturatingAdd(d.start, delta)
	media := d.media
	if trailer := wire.NewCursor(b[headLen+int(capLen):], wire.LittleEndian); trailer.Len() > 0 {
		media = trailer.Uint16()
		trailer.Skip(4) // process
		if t := trailer.Uint64(); trailer.OK() {
			const epoch = 11644473600 // seconds from 1601 to 1970
			rec.time = clampTime(int64(t/1e7)-epoch, int64(t%1e7)*100)
		}
	}
	switch media {
	case mediaPayloadHeader, mediaNetworkInfo, mediaDNSCache:
		return false, nil
	case mediaNetEvent, mediaNetworkInfoEx, mediaFilter:
		*rec = record{}
		return true, nil
	}
	rec.iface = d.iface(netmonLink(media))
	return true, nil
}

// trailerLen is the size of what follows the bytes of each frame: media type
// from version 2.1, process index from 2.2, FILETIME and time zone from 2.3.
func (d *netmonDecoder) trailerLen() int {
	if d.major == 1 {
		return 0
	}
	switch d.minor {
	case 0:
		return 0
	case 1:
		return 2
	case 2:
		return 6
	}
	return 15
}

func (d *netmonDecoder) iface(link LinkType) int32 {
	i, ok := d.ifaces[link]
	if !ok {
		i = d.s.addInterface("", "", link, 0)
		d.ifaces[link] = i
	}
	return i
}

// netmonLink maps NDIS media types. Type 0 occurs in captures of VPN
// adapters that hold Ethernet frames.
func netmonLink(media uint16) LinkType {
	switch {
	case media == 0 || media == 1:
		return LinkEthernet
	case media == 2:
		return LinkTokenRing
	case media == 3:
		return LinkFDDI
	case media == 7 || media == 8 || media == 9: // tunnel, wireless WAN, raw IP
		return LinkRaw
	case media&0xf000 == mediaPcap && (media < 0xe080 || media > 0xe08a): // those have a meaning of their own
		return FromDLT(LinkType(media & 0xfff))
	}
	return NetMonMedia + LinkType(media)
}

func saturatingMul(a, b int64) int64 {
	switch {
	case a > math.MaxInt64/b:
		return math.MaxInt64
	case a < math.MinInt64/b:
		return math.MinInt64
	}
	return a * b
}

func saturatingAdd(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
