package pcaps

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// Writer writes a pcap or pcapng file, little endian. Its first error is
// returned by all later calls of WritePacket and by Err.
type Writer struct {
	w     io.Writer
	ng    bool
	units []uint64 // per second, of each interface
	out   []byte   // the record that is being built
	err   error
}

// NewPcapWriter starts a pcap file; times are in ns if nanosecond is set,
// else in µs. A snaplen of 0 stands for 262144. It has one interface, 0.
func NewPcapWriter(w io.Writer, link LinkType, snaplen int64, nanosecond bool) *Writer {
	p := &Writer{w: w, units: []uint64{1e6}}
	magic := uint32(pcapMicro)
	if nanosecond {
		magic, p.units[0] = pcapNano, 1e9
	}
	if snaplen == 0 {
		snaplen = 262144
	}
	le := binary.LittleEndian
	b := le.AppendUint32(nil, magic)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...) // time zone and accuracy, always 0
	b = le.AppendUint32(b, uint32(snaplen))
	p.write(le.AppendUint32(b, uint32(link)))
	return p
}

// NewPcapngWriter starts a pcapng file of one section.
func NewPcapngWriter(w io.Writer) *Writer {
	p := &Writer{w: w, ng: true}
	p.write(appendSection(nil))
	return p
}

// AddInterface describes an interface and returns its index. tsresol is
// if_tsresol of the format: 6 for µs, 9 for ns, 0x80+n for units of 2^-n s.
// A pcap file has its interface already: there it does nothing.
func (p *Writer) AddInterface(name string, link LinkType, snaplen int64, tsresol uint8) int {
	if !p.ng {
		return 0
	}
	p.write(appendInterface(nil, name, "", link, snaplen, tsresol))
	p.units = append(p.units, unitsPerSecond(tsresol))
	return len(p.units) - 1
}

// WritePacket writes one packet. Times before 1970 become 1970; a wireLen
// less than len(data) becomes len(data).
func (p *Writer) WritePacket(ifindex int, timeNs int64, data []byte, wireLen int) error {
	if p.err == nil && (ifindex < 0 || ifindex >= len(p.units)) {
		p.err = fmt.Errorf("capture has no interface %d", ifindex)
	}
	if p.err != nil {
		return p.err
	}
	wireLen, timeNs = max(wireLen, len(data)), max(timeNs, 0)
	units := p.units[ifindex]
	sec, frac := uint64(timeNs/1e9), scale(uint64(timeNs%1e9), units)
	if p.ng {
		p.out = appendEnhanced(p.out[:0], ifindex, sec*units+frac, data, wireLen)
	} else {
		le := binary.LittleEndian
		b := le.AppendUint32(p.out[:0], uint32(sec))
		b = le.AppendUint32(b, uint32(frac))
		b = le.AppendUint32(b, uint32(len(data)))
		b = le.AppendUint32(b, uint32(wireLen))
		p.out = append(b, data...)
	}
	p.write(p.out)
	return p.err
}

// Err returns the first error of the underlying writer.
func (p *Writer) Err() error { return p.err }

func (p *Writer) write(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(b)
	}
}

// scale turns nanoseconds of a second into units of which a second has so
// many.
func scale(ns, units uint64) uint64 {
	hi, lo := bits.Mul64(ns, units)
	q, _ := bits.Div64(hi, lo, 1e9)
	return q
}
