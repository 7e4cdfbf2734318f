package wire

import (
	"encoding/hex"
	"fmt"
)

// UUID is a DCE universal unique identifier in the byte order of its text
// form, whatever order it had on the wire ([C706] appendix A).
type UUID [16]byte

// UUID reads a UUID: the first three fields are integers in the cursor's
// order, the other eight bytes stand as they are ([C706] 14.2).
func (c *Cursor) UUID() UUID {
	var u UUID
	b := c.Bytes(16)
	if b == nil {
		return u
	}
	copy(u[:], b)
	if c.order == LittleEndian {
		u[0], u[1], u[2], u[3] = b[3], b[2], b[1], b[0]
		u[4], u[5] = b[5], b[4]
		u[6], u[7] = b[7], b[6]
	}
	return u
}

// IsZero reports whether u is the nil UUID.
func (u UUID) IsZero() bool { return u == UUID{} }

// String returns the lower case text form with dashes.
func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// ParseUUID reads the text form, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("wire: %q is not a UUID", s)
	}
	raw, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	if err != nil {
		return u, fmt.Errorf("wire: %q is not a UUID", s)
	}
	return UUID(raw), nil
}

// MustUUID is ParseUUID for constants; it panics when s is no UUID.
func MustUUID(s string) UUID {
	u, err := ParseUUID(s)
	if err != nil {
		panic(err)
	}
	return u
}

// Side is one end of a TCP connection. Which side is the client is a
// question of its own; a connection that was captured from its middle has
// sides before it has a client.
type Side uint8

// The two sides: A sent the first packet that was captured.
const (
	SideA Side = 0
	SideB Side = 1
)

// Other returns the opposite side.
func (s Side) Other() Side { return s ^ 1 }
