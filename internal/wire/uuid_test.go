package wire

import "testing"

func TestUUID(t *testing.T) {
	const text = "a4f1db00-ca47-1067-b31f-00dd010662da"
	want := MustUUID(text)
	tests := []struct {
		name  string
		order Order
		wire  []byte
	}{
		{"little endian", LittleEndian, []byte{0x00, 0xdb, 0xf1, 0xa4, 0x47, 0xca, 0x67, 0x10, 0xb3, 0x1f, 0, 0xdd, 1, 6, 0x62, 0xda}},
		{"big endian", BigEndian, []byte{0xa4, 0xf1, 0xdb, 0x00, 0xca, 0x47, 0x10, 0x67, 0xb3, 0x1f, 0, 0xdd, 1, 6, 0x62, 0xda}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCursor(tt.wire, tt.order)
			if got := c.UUID(); got != want || got.String() != text {
				t.Errorf("UUID = %v, want %v", got, want)
			}
			for n := range 16 {
				c := NewCursor(tt.wire[:n], tt.order)
				if got := c.UUID(); !got.IsZero() || c.OK() {
					t.Errorf("%d bytes: UUID = %v, OK %v", n, got, c.OK())
				}
			}
		})
	}
}

func TestParseUUIDRefuses(t *testing.T) {
	for _, s := range []string{"", "a4f1db00ca471067b31f00dd010662da", "a4f1db00-ca47-1067-b31f-00dd010662d", "a4f1db00-ca47-1067-b31f-00dd010662dg", "a4f1db00-ca47-1067-b31f-00dd010662da "} {
		if u, err := ParseUUID(s); err == nil {
			t.Errorf("ParseUUID(%q) = %v, want an error", s, u)
		}
	}
}
