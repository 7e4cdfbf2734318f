package auth

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The tags of Kerberos messages, [APPLICATION n] of RFC 4120 5.10, and the
// token identifiers of the GSS-API (RFC 4121 4.1; user to user:
// draft-swift-win2k-krb-user2user-03).
const (
	tagTicket   = 0x61
	tagASReq    = 0x6a
	tagASRep    = 0x6b
	tagTGSReq   = 0x6c
	tagTGSRep   = 0x6d
	tagAPReq    = 0x6e
	tagAPRep    = 0x6f
	tagKRBError = 0x7e

	tokTGTReq = 0x0400
	tokTGTRep = 0x0401
)

// maxComponents bounds the components of a principal name.
const maxComponents = 16

// KRBError is a KRB-ERROR (RFC 4120 5.9.1): why a server or a KDC refused.
type KRBError struct {
	Code int32
	Name string // e.g. "KRB_AP_ERR_SKEW", or the number of an unknown code
	// STime and SUsec are the clock of the server that refused, UTC, to the
	// second and the microseconds in it. With the capture time of the message
	// they give its skew.
	STime time.Time
	SUsec int
	// CTime and CUsec are the clock of the client if the server echoes them,
	// nil and 0 if not.
	CTime *time.Time
	CUsec int

	Realm, SName  string // the service
	CRealm, CName string // the client, often absent
	EText         string // additional text
	Status        uint32 // NTSTATUS in a KERB-EXT-ERROR ([MS-KILE] 2.2.2), 0 without
}

// size returns how many bytes the error takes.
func (e *KRBError) size() int {
	const itself = 208
	return itself + len(e.Name) + len(e.Realm) + len(e.SName) + len(e.CRealm) + len(e.CName) + len(e.EText)
}

// ErrorName returns the name of a Kerberos error code, e.g.
// "KRB_AP_ERR_SKEW" for 37 (RFC 4120 7.5.9), or "" if unknown.
func ErrorName(code int32) string {
	// Lookup gives "(37) KRB_AP_ERR_SKEW Clock skew too great".
	if f := strings.Fields(errorcode.Lookup(code)); len(f) > 1 && strings.HasPrefix(f[0], "(") {
		return f[1]
	}
	return ""
}

// gssKerberos reads what follows the mechanism in a Kerberos token: a two
// byte token identifier, and the message.
func (f *Facts) gssKerberos(s cryptobyte.String) {
	var id uint16
	f.Mechanism = "kerberos"
	if !s.ReadUint16(&id) || s.Empty() {
		f.Malformed = true
		return
	}
	switch id {
	case tokTGTReq:
		f.message("TGT-REQ")
	case tokTGTRep:
		f.message("TGT-REP")
	default:
		f.kerberos(s)
	}
}

// kerberos reads a bare Kerberos message, as Windows sends after the first
// token and for DCE style authentication from the start.
func (f *Facts) kerberos(b []byte) {
	s := cryptobyte.String(b)
	var body cryptobyte.String
	var ok bool
	switch asn1.Tag(b[0]) {
	case tagAPReq:
		f.message("AP-REQ")
		ok = s.ReadASN1(&body, tagAPReq) && f.apReq(body)
	case tagAPRep:
		f.message("AP-REP")
		ok = s.ReadASN1(&body, tagAPRep) && body.PeekASN1Tag(asn1.SEQUENCE)
	case tagKRBError:
		f.message("KRB-ERROR")
		var e *KRBError
		if e, ok = parseKRBError(b); e != nil {
			f.krbError(e)
		}
	default:
		f.salvage(b)
		return
	}
	f.Mechanism = "kerberos"
	if !ok {
		f.Malformed = true
	}
}

func (f *Facts) krbError(e *KRBError) {
	f.KRBErr = e
	first(&f.Realm, e.Realm)
	first(&f.SPN, e.SName)
	first(&f.ClientRealm, e.CRealm)
	first(&f.User, e.CName)
}

// apReq reads AP-REQ (RFC 4120 5.5.1).
func (f *Facts) apReq(body cryptobyte.String) bool {
	return members(body, func(n int, v cryptobyte.String) bool {
		switch n {
		case 2:
			var options []byte
			if !v.ReadASN1BitStringAsBytes(&options) || len(options) == 0 {
				return false
			}
			f.UserToUser = options[0]&0x40 != 0
			f.MutualRequired = options[0]&0x20 != 0
		case 3:
			t, ok := readTicket(v)
			first(&f.Realm, t.realm)
			first(&f.SPN, t.sname)
			if f.TicketEtype == 0 {
				f.TicketEtype, f.TicketKVNO = t.enc.etype, t.enc.kvno
			}
			return ok
		case 4:
			enc, ok := readEncrypted(v)
			if f.SessionEtype == 0 {
				f.SessionEtype = enc.etype
			}
			return ok
		}
		return true
	})
}

// encrypted is the clear part of an EncryptedData (RFC 4120 5.2.9).
type encrypted struct {
	etype int32
	kvno  uint32
}

func readEncrypted(v cryptobyte.String) (e encrypted, ok bool) {
	ok = members(v, func(n int, v cryptobyte.String) bool {
		switch n {
		case 0:
			return readInt(v, &e.etype)
		case 1:
			// Read-only domain controllers put their number into the upper
			// half, and some libraries then encode a negative number.
			var kvno int64
			if !v.ReadASN1Integer(&kvno) {
				return false
			}
			e.kvno = uint32(kvno)
		}
		return true
	})
	return e, ok
}

// ticket is the clear part of a Ticket (RFC 4120 5.3).
type ticket struct {
	realm, sname string
	enc          encrypted
}

func readTicket(v cryptobyte.String) (t ticket, ok bool) {
	var body cryptobyte.String
	ok = v.ReadASN1(&body, tagTicket) && members(body, func(n int, v cryptobyte.String) bool {
		switch n {
		case 1:
			return readText(v, &t.realm)
		case 2:
			return readPrincipal(v, &t.sname)
		case 3:
			var ok bool
			t.enc, ok = readEncrypted(v)
			return ok
		}
		return true
	})
	return t, ok
}

// readPrincipal reads a PrincipalName (RFC 4120 5.2.2) as "service/host".
func readPrincipal(v cryptobyte.String, out *string) bool {
	return members(v, func(n int, v cryptobyte.String) bool {
		var list cryptobyte.String
		if n != 1 {
			return true
		}
		if !v.ReadASN1(&list, asn1.SEQUENCE) {
			return false
		}
		var parts []string
		for !list.Empty() {
			var element cryptobyte.String
			var tag asn1.Tag
			if !list.ReadAnyASN1(&element, &tag) || len(parts) == maxComponents {
				return false
			}
			parts = append(parts, text(element))
		}
		*out = strings.Join(parts, "/")
		return true
	})
}

// parseKRBError reads KRB-ERROR (RFC 4120 5.9.1). It returns what it could
// read, nil when not even the error code.
func parseKRBError(b []byte) (*KRBError, bool) {
	s := cryptobyte.String(b)
	var body cryptobyte.String
	if !s.ReadASN1(&body, tagKRBError) {
		return nil, false
	}
	var e KRBError
	var coded bool
	ok := members(body, func(n int, v cryptobyte.String) bool {
		switch n {
		case 2:
			var t time.Time
			if !readTime(v, &t) {
				return false
			}
			e.CTime = &t
		case 3:
			return readInt(v, &e.CUsec)
		case 4:
			return readTime(v, &e.STime)
		case 5:
			return readInt(v, &e.SUsec)
		case 6:
			coded = readInt(v, &e.Code)
			return coded
		case 7:
			return readText(v, &e.CRealm)
		case 8:
			return readPrincipal(v, &e.CName)
		case 9:
			return readText(v, &e.Realm)
		case 10:
			return readPrincipal(v, &e.SName)
		case 11:
			return readText(v, &e.EText)
		case 12:
			e.Status = extendedStatus(v)
		}
		return true
	})
	if !coded {
		return nil, false
	}
	if e.Name = ErrorName(e.Code); e.Name == "" {
		e.Name = strconv.Itoa(int(e.Code))
	}
	return &e, ok
}

// extendedStatus returns the NTSTATUS that a Windows KDC adds to an error: a
// TYPED-DATA of type 3 whose value is a KERB-EXT-ERROR ([MS-KILE] 2.2.2).
// Other e-data, such as the METHOD-DATA of a pre-authentication, gives 0.
func extendedStatus(v cryptobyte.String) (status uint32) {
	var data cryptobyte.String
	if !v.ReadASN1(&data, asn1.OCTET_STRING) {
		return 0
	}
	var kind int32
	var value cryptobyte.String
	ok := members(data, func(n int, v cryptobyte.String) bool {
		switch n {
		case 1:
			return readInt(v, &kind)
		case 2:
			return v.ReadASN1(&value, asn1.OCTET_STRING)
		}
		return true
	})
	if !ok || kind != 3 || len(value) < 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(value)
}
