package auth

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxEtypes bounds the list of encryption types of a request.
const maxEtypes = 32

// KDCMessage is the clear part of a message between a client and a KDC, or of
// an AP-REQ (RFC 4120 5.4, 5.5, 5.9). It shares nothing with the payload.
type KDCMessage struct {
	Kind string // "AS-REQ", "AS-REP", "TGS-REQ", "TGS-REP", "AP-REQ", "AP-REP", "KRB-ERROR"
	// Realm and SName are the service asked for, or that of the ticket.
	Realm, SName string
	// CRealm and CName are the client. A TGS-REQ does not tell its client.
	CRealm, CName string
	// Etypes are the encryption types that a request accepts, best first.
	Etypes []int32
	// TicketEtype is that of the ticket in an answer or in an AP-REQ, Etype
	// that of the encrypted part for the client; 0 if unknown.
	TicketEtype, Etype int32
	Error              *KRBError // of a KRB-ERROR, else nil
	// Malformed tells that some member was not what it should be; what could
	// be read stands.
	Malformed bool
}

// kdcKinds are the messages by tag.
var kdcKinds = map[asn1.Tag]string{
	tagASReq: "AS-REQ", tagASRep: "AS-REP", tagTGSReq: "TGS-REQ", tagTGSRep: "TGS-REP",
	tagAPReq: "AP-REQ", tagAPRep: "AP-REP", tagKRBError: "KRB-ERROR",
}

// Size returns how many bytes the message keeps beside the struct itself.
func (m *KDCMessage) Size() int {
	n := len(m.Realm) + len(m.SName) + len(m.CRealm) + len(m.CName) + 4*cap(m.Etypes)
	if m.Error != nil {
		n += m.Error.size()
	}
	return n
}

// ParseKDC reads one message: a UDP datagram from or to port 88, or what a
// KDCStream gives. It returns false when b is no such message; a whole one
// with a damaged member is returned with Malformed set.
func ParseKDC(b []byte) (KDCMessage, bool) {
	var m KDCMessage
	s := cryptobyte.String(b)
	var body cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&body, &tag) || !body.PeekASN1Tag(asn1.SEQUENCE) {
		return m, false
	}
	if m.Kind = kdcKinds[tag]; m.Kind == "" {
		return m, false
	}
	var ok bool
	switch tag {
	case tagASReq, tagTGSReq:
		ok = m.request(body)
	case tagASRep, tagTGSRep:
		ok = m.reply(body)
	case tagAPReq:
		var f Facts
		ok = f.apReq(body)
		m.Realm, m.SName, m.TicketEtype, m.Etype = f.Realm, f.SPN, f.TicketEtype, f.SessionEtype
	case tagKRBError:
		if m.Error, ok = parseKRBError(b); m.Error == nil {
			return KDCMessage{}, false
		}
		m.Realm, m.SName, m.CRealm, m.CName = m.Error.Realm, m.Error.SName, m.Error.CRealm, m.Error.CName
	default:
		ok = true
	}
	m.Malformed = !ok
	return m, true
}

// request reads KDC-REQ (RFC 4120 5.4.1).
func (m *KDCMessage) request(body cryptobyte.String) bool {
	return members(body, func(n int, v cryptobyte.String) bool {
		if n != 4 {
			return true
		}
		return members(v, func(n int, v cryptobyte.String) bool {
			switch n {
			case 1:
				return readPrincipal(v, &m.CName)
			case 2:
				return readText(v, &m.Realm)
			case 3:
				return readPrincipal(v, &m.SName)
			case 8:
				return m.etypes(v)
			}
			return true
		})
	})
}

func (m *KDCMessage) etypes(v cryptobyte.String) bool {
	var list cryptobyte.String
	if !v.ReadASN1(&list, asn1.SEQUENCE) {
		return false
	}
	for !list.Empty() {
		var e int64
		if !list.ReadASN1Integer(&e) || len(m.Etypes) == maxEtypes {
			return false
		}
		m.Etypes = append(m.Etypes, int32(e))
	}
	return true
}

// reply reads KDC-REP (RFC 4120 5.4.2).
func (m *KDCMessage) reply(body cryptobyte.String) bool {
	return members(body, func(n int, v cryptobyte.String) (ok bool) {
		switch n {
		case 3:
			return readText(v, &m.CRealm)
		case 4:
			return readPrincipal(v, &m.CName)
		case 5:
			var t ticket
			t, ok = readTicket(v)
			m.Realm, m.SName, m.TicketEtype = t.realm, t.sname, t.enc.etype
			return ok
		case 6:
			var e encrypted
			e, ok = readEncrypted(v)
			m.Etype = e.etype
			return ok
		}
		return true
	})
}

// maxKDCMessage bounds one message over TCP: tickets of Windows reach 64 KiB.
const maxKDCMessage = 128 << 10

// KDCStream cuts one direction of a TCP connection to a KDC into messages
// (RFC 4120 7.2.2): each has four bytes of length, big endian, before it. The
// zero value is ready. It holds at most one message of up to 128 KiB.
//
// Where the stream makes no sense, or after a gap, it skips until a message
// begins with a call of Data, as it does when a segment begins with it.
type KDCStream struct {
	buf     []byte // the start of a message that is not complete yet
	lost    bool
	skipped int64
}

// Data takes the next bytes of the stream and calls emit with each message
// that is complete. The message is valid only during the call.
func (s *KDCStream) Data(b []byte, emit func(message []byte)) {
	for len(b) > 0 {
		if len(s.buf) > 0 {
			b = s.fill(b, emit)
			continue
		}
		n, state := kdcHeader(b)
		switch {
		case state == headerBad:
			s.lost = true
			s.skipped += int64(len(b))
			return
		case state == headerShort && s.lost:
			s.skipped += int64(len(b))
			return
		case state == headerShort, len(b) < 4+n:
			s.lost = false
			s.buf = append(s.buf, b...)
			return
		}
		s.lost = false
		emit(b[4 : 4+n])
		b = b[4+n:]
	}
}

// fill completes the message that was begun, as far as b goes, and returns
// what is left of b.
func (s *KDCStream) fill(b []byte, emit func([]byte)) []byte {
	n, state := kdcHeader(s.buf)
	want := 4 + n
	if state == headerShort {
		want = headerLength
	}
	take := min(want-len(s.buf), len(b))
	s.buf = append(s.buf, b[:take]...)
	if len(s.buf) < want {
		return nil
	}
	if state == headerShort {
		if _, state = kdcHeader(s.buf); state == headerBad {
			s.Gap()
			s.skipped += int64(len(b) - take)
			return nil
		}
		return b[take:]
	}
	emit(s.buf[4:])
	s.buf = s.buf[:0]
	return b[take:]
}

// Gap says that bytes of the stream are missing here.
func (s *KDCStream) Gap() {
	s.skipped += int64(len(s.buf))
	s.buf = s.buf[:0]
	s.lost = true
}

// Size returns how many bytes the KDCStream keeps.
func (s *KDCStream) Size() int { return cap(s.buf) }

// Forget is Gap and keeps no bytes.
func (s *KDCStream) Forget() {
	s.Gap()
	s.buf = nil
}

// Skipped returns the bytes that were given and belong to no message that was
// emitted, without those of a message that may still be completed.
func (s *KDCStream) Skipped() int64 { return s.skipped }

// headerLength is what kdcHeader needs: the length and the tag.
const headerLength = 5

type headerState uint8

const (
	headerOK headerState = iota
	headerShort
	headerBad
)

// kdcHeader returns the length of the message at the start of b.
func kdcHeader(b []byte) (int, headerState) {
	if len(b) < headerLength {
		return 0, headerShort
	}
	n := binary.BigEndian.Uint32(b)
	if n < 2 || n > maxKDCMessage || kdcKinds[asn1.Tag(b[4])] == "" {
		return 0, headerBad
	}
	return int(n), headerOK
}
