package auth

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestKDC(t *testing.T) {
	const realm, tgs = "CORP.LAB.TEST", "krbtgt/CORP.LAB.TEST"
	etypes := []int32{18, 17, 20, 19, 16, 23, 25, 26}
	failed := func(e KRBError, second, usec int) KDCMessage {
		e.STime, e.SUsec = time.Date(2026, 11, 22, 3, 7, second, 0, time.UTC), usec
		return KDCMessage{Kind: "KRB-ERROR", Realm: e.Realm, SName: e.SName, CRealm: e.CRealm, CName: e.CName, Error: &e}
	}
	const nobody = "<unspecified realm>"
	messages := load(t, "kdc.txt")
	tests := map[string]KDCMessage{
		"as-req-1": {Kind: "AS-REQ", Realm: realm, SName: tgs, CName: "alice", Etypes: etypes},
		"krb-error-1": failed(KRBError{
			Code: 25, Name: "KDC_ERR_PREAUTH_REQUIRED", Realm: realm, SName: tgs, CRealm: realm, CName: "alice",
			EText: "Need to use PA-ENC-TIMESTAMP/PA-PK-AS-REQ",
		}, 29, 879842),
		"as-rep-1":    {Kind: "AS-REP", Realm: realm, SName: tgs, CRealm: realm, CName: "alice", TicketEtype: 18, Etype: 18},
		"tgs-req-1":   {Kind: "TGS-REQ", Realm: realm, SName: "host/dc1.corp.lab.test", Etypes: etypes},
		"tgs-rep-1":   {Kind: "TGS-REP", Realm: realm, SName: "host/dc1.corp.lab.test", CRealm: realm, CName: "alice", TicketEtype: 18, Etype: 18},
		"krb-error-2": failed(KRBError{Code: 37, Name: "KRB_AP_ERR_SKEW", Realm: nobody}, 30, 111185),
		"krb-error-5": failed(KRBError{Code: 13, Name: "KDC_ERR_BADOPTION", Realm: nobody}, 30, 486541),
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			c := find(t, messages, name)
			got, ok := ParseKDC(c.token)
			if d := cmp.Diff(want, got); d != "" || !ok {
				t.Errorf("%v (-want +got):\n%s", ok, d)
			}
			for n := range c.token {
				if got, ok := ParseKDC(slices.Clip(c.token[:n])); ok {
					t.Fatalf("cut to %d bytes: %+v", n, got)
				}
			}
		})
	}
}

func TestKDCBuilt(t *testing.T) {
	ticket := serviceTicket("R", encryptedData(23, 3), "cifs", "fs1")
	body := func(members ...[]byte) []byte { return der(tagASReq, sequence(member(4, sequence(members...)))) }
	var list [][]byte
	for range maxEtypes + 1 {
		list = append(list, integer(18))
	}
	full, _ := parseKRBError(krbError(fullDetails...))
	clock := KDCMessage{Kind: "KRB-ERROR", Realm: "CORP.LAB.TEST", SName: "exchangeMDB/mail1", CRealm: "CORP.LAB.TEST", CName: "alice", Error: full}
	tests := []struct {
		name string
		wire []byte
		want KDCMessage
		ok   bool
	}{
		{"AP-REQ", apReq(0, ticket), KDCMessage{Kind: "AP-REQ", Realm: "R", SName: "cifs/fs1", TicketEtype: 23, Etype: 18}, true},
		{"AP-REP", der(tagAPRep, sequence()), KDCMessage{Kind: "AP-REP"}, true},
		{"KRB-ERROR", krbError(fullDetails...), clock, true},
		{"request without a service", body(member(2, str("R"))), KDCMessage{Kind: "AS-REQ", Realm: "R"}, true},
		{"bytes after the message", append(body(member(2, str("R"))), 0, 0), KDCMessage{Kind: "AS-REQ", Realm: "R"}, true},
		{"damaged member before good ones", body(member(1, integer(1)), member(2, str("R"))), KDCMessage{Kind: "AS-REQ", Realm: "R", Malformed: true}, true},
		{"too many etypes", body(member(8, sequence(list...))), KDCMessage{
			Kind: "AS-REQ", Etypes: slices.Repeat([]int32{18}, maxEtypes), Malformed: true,
		}, true},
		{"etypes that are no list", body(member(8, integer(1))), KDCMessage{Kind: "AS-REQ", Malformed: true}, true},
		{"reply of damaged members", der(tagTGSRep, sequence(member(5, integer(1)), member(6, integer(1)))), KDCMessage{Kind: "TGS-REP", Malformed: true}, true},
		{"KRB-ERROR without a code", der(tagKRBError, sequence()), KDCMessage{}, false},
		{"other protocol", []byte("GET / HTTP/1.1\r\n"), KDCMessage{}, false},
		{"other application tag", der(0x65, sequence()), KDCMessage{}, false},
		{"no sequence inside", der(tagASReq, integer(1)), KDCMessage{}, false},
		{"empty", nil, KDCMessage{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ParseKDC(tt.wire)
			if d := cmp.Diff(tt.want, got); d != "" || ok != tt.ok {
				t.Errorf("%v (-want +got):\n%s", ok, d)
			}
		})
	}
}

// framed writes a message as on TCP.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
}

// feed cuts a stream into pieces of n bytes and returns the messages.
func feed(s *KDCStream, stream []byte, n int) []string {
	var out []string
	for piece := range slices.Chunk(stream, n) {
		s.Data(piece, func(m []byte) { out = append(out, string(m)) })
	}
	return out
}

func TestKDCStream(t *testing.T) {
	var stream []byte
	var want []string
	for _, c := range load(t, "kdc.txt") {
		stream = append(stream, framed(c.token)...)
		want = append(want, string(c.token))
	}
	for _, n := range []int{1, 2, 3, 4, 5, 7, 1460, len(stream)} {
		var s KDCStream
		if got := feed(&s, stream, n); !slices.Equal(got, want) || s.Skipped() != 0 {
			t.Errorf("pieces of %d: %d messages of %d, %d bytes skipped", n, len(got), len(want), s.Skipped())
		}
	}
}

func TestKDCStreamLosesAndFinds(t *testing.T) {
	message := string(krbError())
	whole := string(framed([]byte(message)))
	junk := "GET / HTTP/1.1"
	tests := []struct {
		name    string
		pieces  []string // "" is a gap
		want    int
		skipped int
	}{
		{"gap between messages", []string{whole, "", whole}, 2, 0},
		{"gap inside a message", []string{whole[:20], "", whole[20:], whole}, 1, len(whole)},
		{"gap inside a length", []string{whole[:2], "", whole[2:], whole}, 1, len(whole)},
		{"other protocol", []string{junk, whole}, 1, len(junk)},
		{"other protocol behind a message", []string{whole + junk, whole}, 2, len(junk)},
		{"other protocol, byte by byte", []string{"G", "ET / HTTP/1.1"}, 0, len(junk)},
		{"few bytes after a gap", []string{"", "\x00\x00\x00", "\x00", whole}, 1, 4},
		{"length above the limit", []string{"\x00\x02\x00\x01\x7e", whole}, 1, 5},
		{"length of nothing", []string{"\x00\x00\x00\x00\x7e", whole}, 1, 5},
		{"message still open", []string{whole[:30]}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s KDCStream
			got := 0
			for _, p := range tt.pieces {
				if p == "" {
					s.Gap()
					continue
				}
				s.Data([]byte(p), func(m []byte) {
					if string(m) != message {
						t.Errorf("message %x", m)
					}
					got++
				})
			}
			if got != tt.want || s.Skipped() != int64(tt.skipped) {
				t.Errorf("%d messages, %d bytes skipped; want %d, %d", got, s.Skipped(), tt.want, tt.skipped)
			}
		})
	}
}

func TestKDCStreamIsBounded(t *testing.T) {
	var s KDCStream
	head := framed(make([]byte, maxKDCMessage))
	head[4] = tagTGSReq
	piece := make([]byte, 1460)
	s.Data(head[:5], func([]byte) { t.Error("a message of five bytes") })
	for range 1000 {
		s.Data(piece, func(m []byte) {
			if len(m) != maxKDCMessage {
				t.Errorf("message of %d bytes", len(m))
			}
		})
	}
	if cap(s.buf) > 2*(maxKDCMessage+4) {
		t.Errorf("holds %d bytes", cap(s.buf))
	}
}

// FuzzKDC checks that every byte of a stream is in a message, skipped or
// waiting, and that names stay valid text.
func FuzzKDC(f *testing.F) {
	for i, c := range load(f, "kdc.txt") {
		f.Add(framed(c.token), uint16(100*i), false)
	}
	f.Add(framed(krbError(fullDetails...)), uint16(3), true)
	f.Fuzz(func(t *testing.T, stream []byte, size uint16, gap bool) {
		var s KDCStream
		total := 0
		for piece := range slices.Chunk(stream, int(size)+1) {
			s.Data(piece, func(m []byte) {
				total += 4 + len(m)
				checkMessage(t, m)
			})
			if gap {
				s.Gap()
			}
		}
		if total+int(s.Skipped())+len(s.buf) != len(stream) {
			t.Errorf("%d in messages, %d skipped, %d waiting of %d", total, s.Skipped(), len(s.buf), len(stream))
		}
		checkMessage(t, stream)
	})
}

func checkMessage(t *testing.T, b []byte) {
	t.Helper()
	m, ok := ParseKDC(b)
	if !ok && fmt.Sprint(m) != fmt.Sprint(KDCMessage{}) {
		t.Errorf("no message, but %+v", m)
	}
	if len(m.Etypes) > maxEtypes {
		t.Errorf("%d etypes", len(m.Etypes))
	}
	for field, text := range texts(m) {
		if !utf8.ValidString(text) {
			t.Errorf("%s = %q", field, text)
		}
	}
}

func BenchmarkKDCStream(b *testing.B) {
	var stream []byte
	for _, c := range load(b, "kdc.txt") {
		stream = append(stream, framed(c.token)...)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)))
	var s KDCStream
	for b.Loop() {
		for piece := range slices.Chunk(stream, 1460) {
			s.Data(piece, func(m []byte) {
				if bytes.IndexByte(m, 0x30) < 0 {
					b.Fatal("no sequence")
				}
			})
		}
	}
}
