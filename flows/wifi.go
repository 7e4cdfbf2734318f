package flows

import "encoding/binary"

// wifi reads an 802.11 data frame (IEEE 802.11 9.3.2). Frames that manage and
// control the medium carry no packets. pad says to what the header is padded,
// 0 for nothing.
func (d *Decoder) wifi(b []byte, pad int, f *Frame) Kind {
	const (
		kindData                 = 2
		toSystem, fromSystem     = 0x01, 0x02
		more, protected, ordered = 0x04, 0x40, 0x80
		quality, null            = 0x80, 0x40 // of the subtype, in the first byte
	)
	if len(b) < 2 {
		return d.ends(hdrWiFi)
	}
	kind, flags := b[0]>>2&3, b[1]
	if kind != kindData || b[0]&null != 0 {
		return Other
	}
	n := 24
	if flags&(toSystem|fromSystem) == toSystem|fromSystem {
		n += 6
	}
	control := n
	if b[0]&quality != 0 {
		if n += 2; flags&ordered != 0 {
			n += 4
		}
	}
	if len(b) < n {
		return d.ends(hdrWiFi)
	}
	switch flags & (toSystem | fromSystem) {
	case 0:
		copy(f.DstMAC[:], b[4:10])
		copy(f.SrcMAC[:], b[10:16])
	case fromSystem:
		copy(f.DstMAC[:], b[4:10])
		copy(f.SrcMAC[:], b[16:22])
	case toSystem:
		copy(f.DstMAC[:], b[16:22])
		copy(f.SrcMAC[:], b[10:16])
	default:
		copy(f.DstMAC[:], b[16:22])
		copy(f.SrcMAC[:], b[24:30])
	}
	switch {
	case flags&protected != 0:
		return d.fail(hidden, uint32(hdrWiFi))
	case flags&more != 0 || b[22]&15 != 0:
		return d.fail(divided, uint32(hdrWiFi))
	}
	several := b[0]&quality != 0 && b[control]&0x80 != 0
	if pad > 0 {
		n = (n + pad - 1) / pad * pad
	}
	if len(b) < n {
		return d.ends(hdrWiFi)
	}
	if b = b[n:]; several {
		return d.aggregate(b, f)
	}
	return d.llc(b, f)
}

// aggregate reads an A-MSDU of one packet (IEEE 802.11 9.3.2.2): addresses and
// a length, as of Ethernet.
func (d *Decoder) aggregate(b []byte, f *Frame) Kind {
	if len(b) < 14 {
		return d.ends(hdrWiFi)
	}
	n := int(binary.BigEndian.Uint16(b[12:]))
	const checkSequence = 4
	if next := (14 + n + 3) &^ 3; len(b) > next+checkSequence {
		return d.fail(divided, uint32(hdrWiFi))
	}
	return d.ethernet(b, f)
}

// radiotap reads the header that radiotap.org describes, for whether the
// 802.11 header behind it is padded: of its fields, flags is the second, behind
// a time of 8 bytes.
func (d *Decoder) radiotap(b []byte, f *Frame) Kind {
	const (
		hasTime, hasFlags, goesOn = 1 << 0, 1 << 1, 1 << 31
		padded                    = 0x20
	)
	if len(b) < 8 {
		return d.ends(hdrLink)
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	switch {
	case n < 8:
		return d.damaged(hdrLink)
	case n > len(b):
		return d.ends(hdrLink)
	}
	head := b[:n]
	present := binary.LittleEndian.Uint32(head[4:])
	at := 8
	for word := present; word&goesOn != 0 && at+4 <= n && d.step(); at += 4 {
		word = binary.LittleEndian.Uint32(head[at:])
	}
	if present&hasTime != 0 {
		at = (at+7)&^7 + 8
	}
	pad := 0
	if present&hasFlags != 0 && at < n && head[at]&padded != 0 {
		pad = 4
	}
	return d.wifi(b[n:], pad, f)
}

// prism skips the header of a Prism card, or that of AVS, which begins with a
// version.
func (d *Decoder) prism(b []byte, f *Frame) Kind {
	const avs = 0x80211
	if len(b) < 8 {
		return d.ends(hdrLink)
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if binary.BigEndian.Uint32(b)>>12 == avs || n > 1<<16 {
		n = binary.BigEndian.Uint32(b[4:])
	}
	switch {
	case n < 8 || n > 1<<16:
		return d.damaged(hdrLink)
	case int(n) > len(b):
		return d.ends(hdrLink)
	}
	return d.wifi(b[n:], 0, f)
}
