package pcaps

import (
	"fmt"

	"mapiscope/internal/wire"
)

// The classic format: a header of 24 bytes, then records of a header and the
// packet, all integers in the byte order of the writer
// (draft-ietf-opsawg-pcap).
const (
	pcapHeaderLen   = 24
	pcapMicro       = 0xa1b2c3d4 // times in µs
	pcapNano        = 0xa1b23c4d // times in ns
	pcapKuznetzov   = 0xa1b2cd34 // µs, records with 8 bytes more: interface, protocol, packet type
	pcapRecordLen   = 16
	kuznetzovRecLen = 24
)

type pcapDecoder struct {
	w         *window
	order     wire.Order
	frac      int64 // ns per unit of the fraction field
	recordLen int
	minor     uint16
}

// pcapMagic returns the magic number in the byte order that makes it one.
func pcapMagic(b []byte) (magic uint32, order wire.Order, ok bool) {
	if len(b) < pcapHeaderLen {
		return 0, order, false
	}
	for _, order := range []wire.Order{wire.LittleEndian, wire.BigEndian} {
		switch magic := order.Uint32(b); magic {
		case pcapMicro, pcapNano, pcapKuznetzov:
			return magic, order, true
		}
	}
	return 0, order, false
}

func isPcap(b []byte) bool { _, _, ok := pcapMagic(b); return ok }

// newPcap reads the file header, which isPcap has seen.
func newPcap(s *source, w *window) (*pcapDecoder, error) {
	b := w.peek(pcapHeaderLen)
	magic, order, _ := pcapMagic(b)
	d := &pcapDecoder{w: w, order: order, frac: 1000, recordLen: pcapRecordLen, minor: order.Uint16(b[6:])}
	switch magic {
	case pcapNano:
		d.frac = 1
	case pcapKuznetzov:
		d.recordLen = kuznetzovRecLen
	}
	if major := order.Uint16(b[4:]); major != 2 {
		return nil, fmt.Errorf("pcap version %d.%d is not supported", major, d.minor)
	}
	s.capture.Format = "pcap"
	// The upper bits of the link type tell the length of a frame check
	// sequence at the end of each packet; IP lengths make it unimportant.
	link := LinkType(order.Uint32(b[20:]) & 0x03ffffff)
	s.addInterface("", "", FromDLT(link), int64(order.Uint32(b[16:])))
	w.advance(pcapHeaderLen)
	return d, nil
}

func (d *pcapDecoder) next(rec *record) error {
	b := d.w.peek(d.recordLen)
	if len(b) < d.recordLen {
		return d.w.end(len(b))
	}
	sec, frac := d.order.Uint32(b), d.order.Uint32(b[4:])
	capLen, wireLen := d.order.Uint32(b[8:]), d.order.Uint32(b[12:])
	// Before version 2.3 the two lengths stood the other way round, and some
	// writers of 2.3 did not know.
	if d.minor < 3 || d.minor == 3 && capLen > wireLen {
		capLen, wireLen = wireLen, capLen
	}
	if capLen > maxRecord {
		return d.w.absurd("record", capLen)
	}
	n := d.recordLen + int(capLen)
	if b = d.w.peek(n); len(b) < n {
		return d.w.end(len(b))
	}
	*rec = record{
		time:    int64(sec)*1e9 + int64(frac)*d.frac,
		timed:   true,
		packet:  true,
		wireLen: wireLen,
		data:    b[d.recordLen:n:n],
	}
	d.w.advance(n)
	return nil
}
