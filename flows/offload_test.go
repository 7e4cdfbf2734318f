package flows

import (
	"encoding/binary"
	"testing"

	"mapiscope/pcaps"
)

// TestLengthZero: frames that a host captured before its network card cut them
// have 0 for the length of IP. The frame has it, also where the capture cut it
// short.
func TestLengthZero(t *testing.T) {
	packet := func(v6 bool, payload int) []byte {
		tcp := make([]byte, 20+payload)
		tcp[12], tcp[13] = 5<<4, ACK
		var ip []byte
		if v6 {
			ip = make([]byte, 40)
			ip[0], ip[6] = 6<<4, protoTCP
		} else {
			ip = make([]byte, 20)
			ip[0], ip[9] = 4<<4|5, protoTCP
		}
		b := binary.BigEndian.AppendUint16(make([]byte, 12), 0x0800)
		if v6 {
			b[12], b[13] = 0x86, 0xdd
		}
		return append(append(b, ip...), tcp...)
	}
	for _, tt := range []struct {
		name         string
		v6           bool
		payload, cut int
	}{
		{"IPv4", false, 5000, 0}, {"IPv6", true, 5000, 0}, {"IPv4, cut", false, 5000, 4000}, {"IPv6, cut", true, 70000, 69000}, {"no payload", false, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := packet(tt.v6, tt.payload)
			var f Frame
			p := pcaps.Packet{Link: pcaps.LinkEthernet, Data: b[:len(b)-tt.cut], WireLen: len(b)}
			if kind := NewDecoder(DefaultLimits()).Decode(&p, &f); kind != TCP || f.Length != tt.payload || len(f.Payload) != tt.payload-tt.cut || f.Cut != (tt.cut > 0) {
				t.Errorf("kind %v: %d bytes of payload, %d captured, cut %v", kind, f.Length, len(f.Payload), f.Cut)
			}
		})
	}
}
