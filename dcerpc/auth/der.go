package auth

import (
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// members calls each with the number and content of every explicitly tagged
// member of the SEQUENCE at the start of s, the shape of every structure of
// SPNEGO and Kerberos. It goes on when each returns false and then returns
// false itself; a member that does not fit ends it.
func members(s cryptobyte.String, each func(n int, v cryptobyte.String) bool) bool {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return false
	}
	ok := true
	for !seq.Empty() {
		var v cryptobyte.String
		var tag asn1.Tag
		if !seq.ReadAnyASN1(&v, &tag) {
			return false
		}
		if tag&0xe0 != 0xa0 || !each(int(tag&0x1f), v) {
			ok = false
		}
	}
	return ok
}

// text makes a printable name of bytes from the wire: valid UTF-8 of bounded
// length.
func text(b []byte) string {
	if len(b) > maxName {
		b = b[:maxName]
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// readText reads a character string of any type (KerberosString is a
// GeneralString that holds UTF-8 in practice).
func readText(v cryptobyte.String, out *string) bool {
	var b cryptobyte.String
	var tag asn1.Tag
	if !v.ReadAnyASN1(&b, &tag) || tag&0xe0 != 0 {
		return false
	}
	*out = text(b)
	return true
}

func readTime(v cryptobyte.String, out *time.Time) bool {
	return v.ReadASN1GeneralizedTime(out)
}

// readInt reads an Int32 or UInt32 of Kerberos.
func readInt[T int | int32 | uint32](v cryptobyte.String, out *T) bool {
	var n int64
	if !v.ReadASN1Integer(&n) || int64(T(n)) != n {
		return false
	}
	*out = T(n)
	return true
}
