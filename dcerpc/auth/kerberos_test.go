package auth

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// encryptedData writes an EncryptedData; a negative kvno is left out.
func encryptedData(etype, kvno int64) []byte {
	version := []byte(nil)
	if kvno >= 0 {
		version = member(1, integer(kvno))
	}
	return sequence(member(0, integer(etype)), version, member(2, octetString([]byte("cipher"))))
}

func serviceTicket(realm string, enc []byte, name ...string) []byte {
	return der(tagTicket, sequence(member(0, integer(5)), member(1, str(realm)), member(2, principal(name...)), member(3, enc)))
}

func apReq(options byte, ticket []byte) []byte {
	return der(tagAPReq, sequence(
		member(0, integer(5)), member(1, integer(14)), member(2, der(casn1.BIT_STRING, []byte{0, options, 0, 0, 0})),
		member(3, ticket), member(4, encryptedData(18, -1)),
	))
}

// extError writes the e-data of a Windows KDC.
func extError(kind int64, status uint32) []byte {
	value := binary.LittleEndian.AppendUint32(nil, status)
	return sequence(member(1, integer(kind)), member(2, octetString(append(value, 0, 0, 0, 0, 1, 0, 0, 0))))
}

var (
	aTime       = time.Date(2026, 11, 22, 3, 7, 30, 0, time.UTC)
	krbError    = func(extra ...[]byte) []byte { return krbErrorOf(37, extra...) }
	fullDetails = [][]byte{
		member(7, str("CORP.LAB.TEST")), member(8, principal("alice")), member(9, str("CORP.LAB.TEST")),
		member(10, principal("exchangeMDB", "mail1")), member(11, str("too late")), member(12, octetString(extError(3, 0xc0000133))),
	}
)

// krbErrorOf writes a KRB-ERROR with both times and what is added.
func krbErrorOf(code int64, extra ...[]byte) []byte {
	fixed := [][]byte{
		member(0, integer(5)), member(1, integer(30)), member(2, moment(aTime.Add(-time.Hour))), member(3, integer(7)),
		member(4, moment(aTime)), member(5, integer(113631)), member(6, integer(code)),
	}
	return der(tagKRBError, sequence(append(fixed, extra...)...))
}

func TestKerberos(t *testing.T) {
	ticket := serviceTicket("CORP.LAB.TEST", encryptedData(23, 3), "exchangeMDB", "mail1.corp.lab.test")
	asked := Facts{
		Mechanism: "kerberos", Realm: "CORP.LAB.TEST", SPN: "exchangeMDB/mail1.corp.lab.test",
		TicketEtype: 23, TicketKVNO: 3, SessionEtype: 18, Messages: []string{"AP-REQ"},
	}
	mutual, user2user, readOnly, damaged := asked, asked, asked, asked
	mutual.MutualRequired, user2user.UserToUser, readOnly.TicketKVNO = true, true, 0x8fee0003
	damaged.TicketEtype, damaged.TicketKVNO, damaged.Malformed = 0, 0, true
	clock := aTime.Add(-time.Hour)
	small := &KRBError{Code: 37, Name: "KRB_AP_ERR_SKEW", STime: aTime, SUsec: 113631, CTime: &clock, CUsec: 7}
	full := *small
	full.CRealm, full.CName, full.Realm, full.SName, full.EText, full.Status = "CORP.LAB.TEST", "alice", "CORP.LAB.TEST", "exchangeMDB/mail1", "too late", 0xc0000133
	number := *small
	number.Code, number.Name = 4711, "4711"
	refused := func(e *KRBError) Facts {
		return Facts{
			Mechanism: "kerberos", KRBErr: e, Realm: e.Realm, SPN: e.SName, ClientRealm: e.CRealm, User: e.CName,
			Messages: []string{"KRB-ERROR"},
		}
	}
	only := func(message string) Facts { return Facts{Mechanism: "kerberos", Messages: []string{message}} }
	broken := func(f Facts) Facts {
		f.Malformed = true
		return f
	}
	checkRows(t, []row{
		{"AP-REQ, bare", 16, apReq(0, ticket), asked},
		{"AP-REQ, GSS framed", 16, gssWrap(oidKerberos, []byte{1, 0}, apReq(0, ticket)), asked},
		{"AP-REQ under the other identifier", 16, gssWrap(oidMSKerberos, []byte{1, 0}, apReq(0, ticket)), asked},
		{"AP-REQ where SPNEGO belongs", 9, apReq(0, ticket), asked},
		{"mutual authentication", 16, apReq(0x20, ticket), mutual},
		{"user to user", 16, gssWrap(oidUser2User, []byte{1, 0}, apReq(0x40, ticket)), user2user},
		{"key of a read-only domain controller", 16, apReq(0, serviceTicket("CORP.LAB.TEST", encryptedData(23, 0x8fee0003), "exchangeMDB", "mail1.corp.lab.test")), readOnly},
		{"AP-REP", 16, gssWrap(oidKerberos, []byte{2, 0}, der(tagAPRep, sequence())), only("AP-REP")},
		{"TGT-REQ", 16, gssWrap(oidUser2User, []byte{4, 0}, []byte("x")), only("TGT-REQ")},
		{"TGT-REP", 16, gssWrap(oidUser2User, []byte{4, 1}, []byte("x")), only("TGT-REP")},
		{"KRB-ERROR with the least", 16, gssWrap(oidKerberos, []byte{3, 0}, krbError()), refused(small)},
		{"KRB-ERROR with all", 16, krbError(fullDetails...), refused(&full)},
		{"KRB-ERROR with other e-data", 16, krbError(member(12, octetString(extError(1, 5)))), refused(small)},
		{"KRB-ERROR of an unknown code", 16, krbErrorOf(4711), refused(&number)},

		{"ticket without an encrypted part", 16, apReq(0, der(tagTicket, sequence(
			member(1, str("CORP.LAB.TEST")), member(2, principal("exchangeMDB", "mail1.corp.lab.test")), member(3, octetString(nil))))), damaged},
		{"KRB-ERROR without a code", 16, der(tagKRBError, sequence(member(0, integer(5)))), broken(only("KRB-ERROR"))},
		{"KRB-ERROR with a code beyond 32 bits", 16, krbErrorOf(1 << 40), broken(only("KRB-ERROR"))},
		{"KRB-ERROR with a time that is none", 16, der(tagKRBError, sequence(member(4, str("now")), member(6, integer(37)))),
			broken(refused(&KRBError{Code: 37, Name: "KRB_AP_ERR_SKEW"}))},
		{"AP-REP without content", 16, der(tagAPRep), broken(only("AP-REP"))},
		{"GSS header alone", 16, gssWrap(oidKerberos), broken(Facts{Mechanism: "kerberos"})},
		{"token identifier alone", 16, gssWrap(oidKerberos, []byte{1, 0}), broken(Facts{Mechanism: "kerberos"})},
		{"principal of too many components", 16, apReq(0, serviceTicket("R", encryptedData(18, -1), make([]string, maxComponents+1)...)), broken(Facts{
			Mechanism: "kerberos", Realm: "R", TicketEtype: 18, SessionEtype: 18, Messages: []string{"AP-REQ"},
		})},
	})
}

func TestErrorName(t *testing.T) {
	got := map[int32]string{}
	for _, code := range []int32{0, 7, 25, 37, 41, 52, 68, -1, 4711} {
		got[code] = ErrorName(code)
	}
	want := map[int32]string{
		0: "KDC_ERR_NONE", 7: "KDC_ERR_S_PRINCIPAL_UNKNOWN", 25: "KDC_ERR_PREAUTH_REQUIRED", 37: "KRB_AP_ERR_SKEW",
		41: "KRB_AP_ERR_MODIFIED", 52: "KRB_ERR_RESPONSE_TOO_BIG", 68: "KDC_ERR_WRONG_REALM", -1: "", 4711: "",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
