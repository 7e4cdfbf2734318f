package auth

import (
	"encoding/binary"
	"strconv"
	"time"
	"unicode/utf16"

	"mapiscope/internal/wire"
)

// NegotiateFlags that this package goes by ([MS-NLMP] 2.2.2.5).
const (
	flagUnicode          = 0x00000001
	flagDomainSupplied   = 0x00001000
	flagStationSupplied  = 0x00002000
	flagExtendedSecurity = 0x00080000
	flagVersion          = 0x02000000
)

// The offsets of the fields of the three messages ([MS-NLMP] 2.2.1). Old
// implementations leave fields at the end of the fixed part out: the payload
// then begins where they would be, and offsets in the message show it.
const (
	negotiateFlags, negotiateDomain, negotiateStation, negotiateVersion = 12, 16, 24, 32

	challengeTarget, challengeFlags, challengeInfo, challengeVersion = 12, 20, 40, 48

	authLM, authNT, authDomain, authUser, authStation = 12, 20, 28, 36, 44
	authFlags, authVersion                            = 60, 64
)

// The AvId of AV pairs ([MS-NLMP] 2.2.2.1).
const (
	avEOL = iota
	avNetBIOSComputer
	avNetBIOSDomain
	avDNSComputer
	avDNSDomain
	avDNSTree
	avFlags
	avTimestamp
	avSingleHost
	avTargetName
)

// ntlmMessage reads fields of one NTLMSSP message; those that lie outside it
// make it malformed and read as empty.
type ntlmMessage struct {
	b         []byte
	fixed     int // where the fixed part ends: the lowest payload, at most len(b)
	malformed bool
}

func (m *ntlmMessage) uint32(at int) uint32 {
	if len(m.b) < at+4 {
		m.malformed = true
		return 0
	}
	return binary.LittleEndian.Uint32(m.b[at:])
}

// payload reads the Len and Offset of a field at the given place and returns
// the bytes that it points to.
func (m *ntlmMessage) payload(at int) []byte {
	if len(m.b) < at+8 {
		m.malformed = true
		return nil
	}
	n := int(binary.LittleEndian.Uint16(m.b[at:]))
	if n == 0 {
		return nil
	}
	off := binary.LittleEndian.Uint32(m.b[at+4:])
	if uint64(off)+uint64(n) > uint64(len(m.b)) {
		m.malformed = true
		return nil
	}
	m.fixed = min(m.fixed, int(off))
	return m.b[off : int(off)+n]
}

// has reports whether the fixed part reaches up to end. To be asked when the
// payloads are read.
func (m *ntlmMessage) has(end int) bool { return m.fixed >= end }

// version reads a VERSION ([MS-NLMP] 2.2.2.10) as "major.minor.build".
func (m *ntlmMessage) version(at int, flags uint32) string {
	if flags&flagVersion == 0 || !m.has(at+8) {
		return ""
	}
	v := m.b[at:]
	if v[0] == 0 {
		return "" // the flag is set, the structure left empty
	}
	return strconv.Itoa(int(v[0])) + "." + strconv.Itoa(int(v[1])) + "." + strconv.Itoa(int(binary.LittleEndian.Uint16(v[2:])))
}

// name decodes a name in UTF-16LE or the OEM character set, which is not
// known: ASCII and UTF-8 come out right.
func (m *ntlmMessage) name(b []byte, unicode bool) string {
	if !unicode {
		m.malformed = m.malformed || len(b) > maxName
		return text(b)
	}
	if len(b)%2 != 0 && plainly(b) {
		return text(b)
	}
	if len(b)%2 != 0 || len(b) > 2*maxName {
		m.malformed = true
	}
	return utf16Text(b)
}

// fewLetters is how many bytes of ASCII in an even number may also be the
// UTF-16 of a name in Han script: two characters have four.
const fewLetters = 6

// plainly reports whether the names of one message are in ASCII whatever its
// flags say, as some implementations send them. Names of which one has a zero
// byte, an even number of bytes beyond ASCII, or too few bytes, are taken for
// what the flags say.
func plainly(names ...[]byte) bool {
	odd, n := false, 0
	for _, b := range names {
		odd = odd || len(b)%2 != 0
		n += len(b)
		for _, v := range b {
			if v < ' ' || v > '~' {
				return false
			}
		}
	}
	return odd || n >= fewLetters
}

// utf16Text decodes at most maxName UTF-16LE units.
func utf16Text(b []byte) string {
	units := make([]uint16, min(len(b)/2, maxName))
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// ntlm reads an NTLMSSP message ([MS-NLMP] 2.2.1).
func (f *Facts) ntlm(b []byte) {
	f.Mechanism = "ntlm"
	m := ntlmMessage{b: b, fixed: len(b)}
	switch m.uint32(8) {
	case 1:
		f.ntlmNegotiate(&m)
	case 2:
		f.ntlmChallenge(&m)
	case 3:
		f.ntlmAuthenticate(&m)
	default:
		m.malformed = true
	}
	f.Malformed = f.Malformed || m.malformed
}

// ntlmNegotiate reads NEGOTIATE_MESSAGE, whose names are in the OEM character
// set ([MS-NLMP] 2.2.1.1).
func (f *Facts) ntlmNegotiate(m *ntlmMessage) {
	f.message("ntlm negotiate")
	flags := m.uint32(negotiateFlags)
	f.NTLMFlags = flags
	if flags&flagDomainSupplied != 0 {
		first(&f.Domain, m.name(m.payload(negotiateDomain), false))
	}
	if flags&flagStationSupplied != 0 {
		first(&f.Workstation, m.name(m.payload(negotiateStation), false))
	}
	first(&f.ClientVersion, m.version(negotiateVersion, flags))
}

// ntlmChallenge reads CHALLENGE_MESSAGE ([MS-NLMP] 2.2.1.2).
func (f *Facts) ntlmChallenge(m *ntlmMessage) {
	f.message("ntlm challenge")
	target := m.payload(challengeTarget)
	flags := m.uint32(challengeFlags)
	f.NTLMFlags = flags
	first(&f.Target, m.name(target, flags&flagUnicode != 0 && !plainly(target)))
	if m.has(challengeInfo + 8) {
		f.avPairs(m, m.payload(challengeInfo))
	}
	first(&f.ServerVersion, m.version(challengeVersion, flags))
}

// avPairs reads a sequence of AV_PAIR, always in Unicode ([MS-NLMP] 2.2.2.1).
// An empty one is legal.
func (f *Facts) avPairs(m *ntlmMessage, b []byte) {
	c := wire.NewCursor(b, wire.LittleEndian)
	for c.Len() > 0 {
		id, n := c.Uint16(), c.Uint16()
		if c.OK() && id == avEOL {
			return
		}
		value := c.Bytes(int(n))
		if !c.OK() {
			m.malformed = true
			return
		}
		switch id {
		case avNetBIOSComputer:
			first(&f.NetBIOSComputer, m.name(value, true))
		case avNetBIOSDomain:
			first(&f.NetBIOSDomain, m.name(value, true))
		case avDNSComputer:
			first(&f.DNSComputer, m.name(value, true))
		case avDNSDomain:
			first(&f.DNSDomain, m.name(value, true))
		case avDNSTree:
			first(&f.DNSTree, m.name(value, true))
		case avTimestamp:
			if f.ServerTime.IsZero() && len(value) == 8 {
				f.ServerTime = fileTime(binary.LittleEndian.Uint64(value))
			}
		case avTargetName:
			first(&f.SPN, m.name(value, true))
		}
	}
}

// fileTime converts 100 ns units since 1601 ([MS-DTYP] 2.3.3).
func fileTime(t uint64) time.Time {
	const epoch = 116444736000000000 // 1970
	const second = 10_000_000
	return time.Unix(int64(t/second)-epoch/second, int64(t%second)*100).UTC()
}

// ntlmAuthenticate reads AUTHENTICATE_MESSAGE ([MS-NLMP] 2.2.1.3). Its names
// replace those of the NEGOTIATE, which tell about the machine.
func (f *Facts) ntlmAuthenticate(m *ntlmMessage) {
	if !f.seen("ntlm authenticate") {
		f.Domain, f.Workstation = "", ""
	}
	f.message("ntlm authenticate")
	lm, nt := m.payload(authLM), m.payload(authNT)
	domain, user, station := m.payload(authDomain), m.payload(authUser), m.payload(authStation)
	// NT 3 and Windows 9x end before the flags: those agreed on hold.
	if m.has(authFlags + 4) {
		f.NTLMFlags = m.uint32(authFlags)
	}
	unicode := f.NTLMFlags&flagUnicode != 0 && !plainly(domain, user, station)
	first(&f.Domain, m.name(domain, unicode))
	first(&f.User, m.name(user, unicode))
	first(&f.Workstation, m.name(station, unicode))
	first(&f.ClientVersion, m.version(authVersion, f.NTLMFlags))
	if m.malformed {
		return // a response that is missing is not an empty one
	}
	f.Anonymous = len(user) == 0 && len(nt) == 0 && len(lm) <= 1
	first(&f.NTLMVersion, ntlmResponse(lm, nt, f.NTLMFlags))
	// NTLMv2_RESPONSE: 16 bytes of proof, 28 of the client challenge, then
	// the server's AV pairs with the client's additions ([MS-NLMP] 2.2.2.7).
	if len(nt) > 44 {
		f.avPairs(m, nt[44:])
	}
}

// ntlmResponse names the kind of the response ([MS-NLMP] 2.2.2.3 to 2.2.2.8).
func ntlmResponse(lm, nt []byte, flags uint32) string {
	switch {
	case len(nt) > 24:
		return "NTLMv2"
	case len(nt) == 24 && flags&flagExtendedSecurity != 0:
		return "NTLMv1 session security"
	case len(nt) == 24:
		return "NTLMv1"
	case len(nt) == 0 && len(lm) == 24:
		return "LM"
	case len(nt) == 0 && len(lm) <= 1:
		return "anonymous"
	}
	return ""
}
