package pcaps

import "encoding/binary"

// AppendPcapngHead appends the head of a pcapng file: a section of unknown
// length, little endian, and its interfaces with times in ns. A Reader derives
// the same capture points from it, but for interfaces of an Unknown point whose
// names tell one.
func AppendPcapngHead(dst []byte, interfaces []Interface) []byte {
	dst = appendSection(dst)
	for _, i := range interfaces {
		name, description := i.Name, ""
		if i.Point != Unknown {
			description = i.Point.String()
			if told := pointOfName(name); told != Unknown && told != i.Point {
				name, description = description, name // the name is what counts first
			}
		}
		dst = appendInterface(dst, name, description, i.Link, i.Snaplen, 9)
	}
	return dst
}

// AppendPcapngPacket appends a packet of an interface of the head, times in
// ns, as one enhanced packet block. Times before 1970 become 1970; a WireLen
// less than len(Data) becomes len(Data).
func AppendPcapngPacket(dst []byte, ifindex int, p *Packet) []byte {
	return appendEnhanced(dst, ifindex, uint64(max(p.Time, 0)), p.Data, max(p.WireLen, len(p.Data)))
}

// PcapngPacketLen is how many bytes AppendPcapngPacket appends.
func PcapngPacketLen(p *Packet) int { return 32 + (len(p.Data)+3)&^3 }

// appendSection appends a section header block of unknown length.
func appendSection(dst []byte) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = le.AppendUint32(openBlock(dst, blockSection), byteOrderMagic)
	dst = le.AppendUint16(dst, 1)
	dst = le.AppendUint16(dst, 0)
	return closeBlock(le.AppendUint64(dst, 1<<64-1), start)
}

// appendInterface appends an interface description block.
func appendInterface(dst []byte, name, description string, link LinkType, snaplen int64, tsresol uint8) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = le.AppendUint32(openBlock(dst, blockInterface), uint32(link)) // and 16 reserved bits
	dst = le.AppendUint32(dst, uint32(snaplen))
	if name != "" {
		dst = appendOption(dst, 2, []byte(name))
	}
	if description != "" {
		dst = appendOption(dst, 3, []byte(description))
	}
	dst = appendOption(dst, 9, []byte{tsresol})
	return closeBlock(appendOption(dst, 0, nil), start)
}

// appendEnhanced appends an enhanced packet block.
func appendEnhanced(dst []byte, ifindex int, ticks uint64, data []byte, wireLen int) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = le.AppendUint32(openBlock(dst, blockEnhanced), uint32(ifindex))
	dst = le.AppendUint32(dst, uint32(ticks>>32))
	dst = le.AppendUint32(dst, uint32(ticks))
	dst = le.AppendUint32(dst, uint32(len(data)))
	dst = le.AppendUint32(dst, uint32(wireLen))
	return closeBlock(append(dst, data...), start)
}

// openBlock appends the type of a block and room for its length.
func openBlock(dst []byte, kind uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, kind)
	return append(dst, 0, 0, 0, 0)
}

// closeBlock pads the block that starts at start and fills in its length.
func closeBlock(dst []byte, start int) []byte {
	for (len(dst)-start)&3 != 0 {
		dst = append(dst, 0)
	}
	size := uint32(len(dst) - start + 4)
	binary.LittleEndian.PutUint32(dst[start+4:], size)
	return binary.LittleEndian.AppendUint32(dst, size)
}

func appendOption(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}
