package pcaptest

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// UUID is a UUID in its text form.
type UUID string

// append writes the UUID: three integers in the byte order of the PDU, then
// eight bytes as they stand ([C706] appendix A).
func (u UUID) append(b []byte, big bool) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(string(u), "-", ""))
	if err != nil || len(raw) != 16 {
		panic("pcaptest: " + string(u) + " is no UUID")
	}
	order := binary.AppendByteOrder(binary.LittleEndian)
	if big {
		order = binary.BigEndian
	}
	b = order.AppendUint32(b, be.Uint32(raw))
	b = order.AppendUint16(b, be.Uint16(raw[4:]))
	b = order.AppendUint16(b, be.Uint16(raw[6:]))
	return append(b, raw[8:]...)
}

// Syntax names an interface or a transfer syntax.
type Syntax struct {
	UUID    UUID
	Version uint32 // major in the low 16 bits, minor in the high ones
}

func (s Syntax) append(n *NDR) { n.UUID(s.UUID).U32(s.Version) }

// Interfaces and transfer syntaxes.
var (
	EPM         = Syntax{"e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3}
	EMSMDB      = Syntax{"a4f1db00-ca47-1067-b31f-00dd010662da", 81 << 16}
	AsyncEMSMDB = Syntax{"5261574a-4572-206e-b268-6b199213b4e4", 1 << 16}
	NSPI        = Syntax{"f5cc5a18-4264-101a-8c59-08002b2f8426", 56}
	RFR         = Syntax{"1544f5e0-613c-11d1-93df-00c04fd7bd09", 1}

	NDR32 = Syntax{"8a885d04-1ceb-11c9-9fe8-08002b104860", 2}
	NDR64 = Syntax{"71710533-beba-4937-8319-b5dbef9ccc36", 1}
	// Features is the bind-time feature negotiation of [MS-RPCE] 3.3.1.5.3,
	// offering security context multiplexing and keeping connections on
	// orphaned calls.
	Features = Syntax{"6cb71c2c-9812-4540-0300-000000000000", 1}
)
