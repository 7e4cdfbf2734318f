package flows

import "encoding/binary"

// Service access points of LLC, and organisations of SNAP.
const (
	sapIP   = 0x06
	sapSNAP = 0xaa

	organisation8021Bridge = 0x0000f8 // ethertypes, IEEE 802.1H
	organisation8021       = 0x0080c2 // RFC 2684 5.2
	organisationCisco      = 0x00000c
)

// llc reads an LLC header (IEEE 802.2 3.2).
func (d *Decoder) llc(b []byte, f *Frame) Kind {
	const (
		unnumbered = 3
		xid, test  = 0xaf, 0xe3
		poll       = 0x10
	)
	if !d.step() {
		return d.tooDeep()
	}
	if len(b) < 3 {
		return d.ends(hdrLLC)
	}
	sap, control := b[0], b[2]
	n := 3
	if control&unnumbered != unnumbered {
		n = 4
	} else if c := control &^ poll; c == xid || c == test {
		return Other
	}
	if len(b) < n {
		return d.ends(hdrLLC)
	}
	switch sap {
	case sapSNAP, sapSNAP | 1:
		return d.snap(b[n:], f)
	case sapIP:
		return d.rawIP(b[n:], f)
	case 0x00, 0x04, 0x42, 0x98, 0xe0, 0xf0, 0xf4, 0xfc, 0xfe, 0xff: // no service, SNA, STP, ARP, IPX, NetBIOS, management, RPL, OSI, IPX without LLC
		return Other
	}
	return d.fail(unreadLLC, uint32(sap))
}

// snap reads an organisation and its protocol.
func (d *Decoder) snap(b []byte, f *Frame) Kind {
	if len(b) < 5 {
		return d.ends(hdrLLC)
	}
	organisation := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	kind := binary.BigEndian.Uint16(b[3:])
	b = b[5:]
	switch organisation {
	case 0, organisation8021Bridge:
		if kind >= smallestType {
			return d.ether(kind, b, f)
		}
	case organisation8021:
		switch kind {
		case 1, 7: // Ethernet with and without its check sequence
			return d.bridged(b, f)
		case 0x0e: // BPDU
			return Other
		}
	case organisationCisco:
		switch kind {
		case 0x0102, 0x0104, 0x0105, 0x010b, 0x010c, 0x0111, 0x2000, 0x2003, 0x2004: // DRiP, PAgP, MLSP, PVST+, VLAN bridge, UDLD, CDP, VTP, DTP
			return Other
		}
	}
	return d.fail(unreadSNAP, organisation>>8<<16|uint32(kind))
}

// bridged reads an Ethernet frame behind padding of 2 bytes, which ATM has and
// frame relay has not.
func (d *Decoder) bridged(b []byte, f *Frame) Kind {
	if len(b) < 16 {
		return d.ends(hdrEthernet)
	}
	if b[0] == 0 && b[1] == 0 && !commonType(b[12:]) {
		b = b[2:]
	}
	return d.ethernet(b, f)
}

// tokenRing reads access and frame control, addresses, and the route where the
// first bit of the source says that there is one.
func (d *Decoder) tokenRing(b []byte, f *Frame) Kind {
	if len(b) < 14 {
		return d.ends(hdrLink)
	}
	if b[1]&0xc0 != 0x40 {
		return Other // of the ring itself
	}
	copy(f.DstMAC[:], b[2:8])
	copy(f.SrcMAC[:], b[8:14])
	routed := b[8]&0x80 != 0
	f.SrcMAC[0] &^= 0x80
	if b = b[14:]; routed {
		if len(b) < 2 || len(b) < int(b[0]&0x1f) {
			return d.ends(hdrLink)
		}
		b = b[b[0]&0x1f:]
	}
	return d.llc(b, f)
}

// fddi reads frame control and addresses.
func (d *Decoder) fddi(b []byte, f *Frame) Kind {
	if len(b) < 13 {
		return d.ends(hdrLink)
	}
	if b[0]&0xf0 != 0x50 {
		return Other // of the ring itself
	}
	copy(f.DstMAC[:], b[1:7])
	copy(f.SrcMAC[:], b[7:13])
	return d.llc(b[13:], f)
}
