package auth

import (
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// captured is one line of a file in testdata.
type captured struct {
	name     string
	authType uint8
	token    []byte
}

// load reads the tokens or messages of a file in testdata.
func load(t testing.TB, file string) []captured {
	t.Helper()
	all, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var out []captured
	for line := range strings.Lines(string(all)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var c captured
		if _, err := fmt.Sscanf(line, "%s %d %x", &c.name, &c.authType, &c.token); err != nil {
			t.Fatalf("%.40q: %v", line, err)
		}
		out = append(out, c)
	}
	return out
}

func find(t testing.TB, all []captured, name string) captured {
	t.Helper()
	for _, c := range all {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no %q in testdata", name)
	return captured{}
}

// row is a test of one token, and what it shall say.
type row struct {
	name     string
	authType uint8
	token    []byte
	want     Facts
}

func checkRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			var f Facts
			f.Add(r.authType, r.token)
			if d := cmp.Diff(r.want, f); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// The rest of this file writes tokens.

// ntlmBuilder writes an NTLMSSP message: a fixed part and payloads behind it.
type ntlmBuilder struct {
	fixed   []byte
	payload []byte
}

func newNTLM(kind uint32, fixed int) *ntlmBuilder {
	b := &ntlmBuilder{fixed: make([]byte, fixed)}
	copy(b.fixed, "NTLMSSP\x00")
	binary.LittleEndian.PutUint32(b.fixed[8:], kind)
	return b
}

func (b *ntlmBuilder) uint32(at int, v uint32) *ntlmBuilder {
	binary.LittleEndian.PutUint32(b.fixed[at:], v)
	return b
}

func (b *ntlmBuilder) field(at int, value []byte) *ntlmBuilder {
	binary.LittleEndian.PutUint16(b.fixed[at:], uint16(len(value)))
	binary.LittleEndian.PutUint16(b.fixed[at+2:], uint16(len(value)))
	binary.LittleEndian.PutUint32(b.fixed[at+4:], uint32(len(b.fixed)+len(b.payload)))
	b.payload = append(b.payload, value...)
	return b
}

func (b *ntlmBuilder) bytes() []byte { return append(append([]byte(nil), b.fixed...), b.payload...) }

func wide(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func av(id uint16, value []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// der writes one element.
func der(tag casn1.Tag, content ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, c := range content {
			b.AddBytes(c)
		}
	})
	return b.BytesOrPanic()
}

// member writes member n of a structure of SPNEGO or Kerberos.
func member(n int, content ...[]byte) []byte { return der(casn1.Tag(0xa0|n), content...) }

func sequence(content ...[]byte) []byte { return der(casn1.SEQUENCE, content...) }

func integer(n int64) []byte {
	var b cryptobyte.Builder
	b.AddASN1Int64(n)
	return b.BytesOrPanic()
}

func oid(dotted string) []byte {
	var b cryptobyte.Builder
	var id asn1.ObjectIdentifier
	for _, arc := range strings.Split(dotted, ".") {
		var n int
		fmt.Sscan(arc, &n)
		id = append(id, n)
	}
	b.AddASN1ObjectIdentifier(id)
	return b.BytesOrPanic()
}

const generalString casn1.Tag = 27

func str(s string) []byte { return der(generalString, []byte(s)) }

func octetString(b []byte) []byte { return der(casn1.OCTET_STRING, b) }

func principal(parts ...string) []byte {
	var list [][]byte
	for _, p := range parts {
		list = append(list, str(p))
	}
	return sequence(member(0, integer(2)), member(1, sequence(list...)))
}

func moment(t time.Time) []byte {
	return der(casn1.GeneralizedTime, []byte(t.Format("20060102150405Z")))
}

// texts returns the string fields of a struct by name.
func texts(v any) map[string]string {
	out := map[string]string{}
	r := reflect.ValueOf(v)
	for i := range r.NumField() {
		if r.Field(i).Kind() == reflect.String {
			out[r.Type().Field(i).Name] = r.Field(i).String()
		}
	}
	return out
}
