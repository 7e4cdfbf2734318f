package dcerpc

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/wire"
)

// unhex reads hex with comments: what follows a "#" up to the end of the line
// says what the bytes before it are.
func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

const headerLittle = `
	05 00        # version 5.0
	0b           # bind
	07           # first and last fragment, header signing
	10 00 00 00  # little endian, ASCII, IEEE
	74 00        # frag_length 116
	20 00        # auth_length 32
	2a 00 00 00  # call_id 42
`

const headerBig = `
	05 01        # version 5.1
	00           # request
	81           # first fragment, object UUID
	01 03 00 00  # big endian, EBCDIC, IBM floats
	16 d0        # frag_length 5840
	00 10        # auth_length 16
	00 00 00 2a  # call_id 42
`

func TestParseHeader(t *testing.T) {
	tests := []struct {
		name string
		hex  string
		want Header
	}{
		{"little endian", headerLittle, Header{Type: TypeBind, Flags: 7, FragLength: 116, AuthLength: 32, CallID: 42}},
		{"big endian", headerBig, Header{Minor: 1, Type: TypeRequest, Flags: 0x81, Order: wire.BigEndian, FragLength: 5840, AuthLength: 16, CallID: 42}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.hex)
			got, ok := ParseHeader(append(b, 0xff))
			if !ok || !got.plausible() {
				t.Errorf("ok %v, plausible %v", ok, got.plausible())
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for n := range b {
				if got, ok := ParseHeader(b[:n]); ok || got != (Header{}) {
					t.Errorf("%d bytes: %+v, %v", n, got, ok)
				}
				if !mayBegin(b[:n]) {
					t.Errorf("%d bytes may not begin a header", n)
				}
			}
		})
	}
}

// TestHeaderRefused changes one field of a good header. What cannot be a header
// at all is refused everywhere, what is only unlikely where a header is searched.
func TestHeaderRefused(t *testing.T) {
	tests := []struct {
		name      string
		at        int
		value     string
		ok        bool // may stand where a header must be
		plausible bool // may be found
	}{
		{"unchanged", 0, "05", true, true},
		{"version 4", 0, "04", false, false},
		{"minor version 1", 1, "01", true, true},
		{"minor version 2", 1, "02", false, false},
		{"type 21", 2, "15", false, false},
		{"type ping of the connectionless protocol", 2, "01", true, false},
		{"type cancel_ack of the connectionless protocol", 2, "0a", true, false},
		{"reserved flag", 3, "0b", true, false},
		{"object flag on a bind", 3, "83", true, false},
		{"integers of a third kind", 4, "20", false, false},
		{"characters of a third kind", 4, "12", false, false},
		{"floats of a fifth kind", 5, "04", false, false},
		{"first reserved byte", 6, "01", false, false},
		{"second reserved byte", 7, "01", false, false},
		{"frag_length 0", 8, "0000", false, false},
		{"frag_length below the header", 8, "0f00", false, false},
		{"frag_length below the body", 8, "1b00", true, false},
		{"frag_length 65535", 8, "ffff", true, true},
		{"auth_length that fills the PDU", 10, "7400", true, false},
		{"auth_length into the body", 10, "5100", true, false},
		{"largest auth_length", 10, "5000", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, headerLittle)
			copy(b[tt.at:], unhex(t, tt.value))
			h, ok := ParseHeader(b)
			if ok != tt.ok || ok && h.plausible() != tt.plausible {
				t.Errorf("ok %v, plausible %v; want %v, %v", ok, ok && h.plausible(), tt.ok, tt.plausible)
			}
			if !ok && tt.at < 8 {
				if mayBegin(b[:tt.at+1]) {
					t.Errorf("the first %d bytes are not refused", tt.at+1)
				}
				if !mayBegin(b[:tt.at]) {
					t.Errorf("the first %d bytes are refused", tt.at)
				}
			}
		})
	}
}

func TestTypeNames(t *testing.T) {
	want := []string{
		"request", "ping", "response", "fault", "working", "nocall", "reject", "ack", "cl_cancel", "fack", "cancel_ack", "bind",
		"bind_ack", "bind_nak", "alter_context", "alter_context_resp", "auth3", "shutdown", "co_cancel", "orphaned", "rts", "type 21",
	}
	for i, name := range want {
		if got := PType(i).String(); got != name {
			t.Errorf("type %d is %q, want %q", i, got, name)
		}
	}
	if got := PType(255).String(); got != "type 255" {
		t.Errorf("type 255 is %q", got)
	}
}

func TestWhoSendsWhat(t *testing.T) {
	const clients, servers = "request bind alter_context auth3 co_cancel orphaned", "response fault bind_ack bind_nak alter_context_resp shutdown"
	for i := range types {
		name := PType(i).String()
		client, ok := PType(i).fromClient()
		wantClient, wantServer := contains(clients, name), contains(servers, name)
		if ok != (wantClient || wantServer) || client != wantClient {
			t.Errorf("%s: client %v, known %v", name, client, ok)
		}
	}
}

func contains(words, word string) bool {
	for _, w := range strings.Fields(words) {
		if w == word {
			return true
		}
	}
	return false
}

func TestParseHeaderAllocatesNothing(t *testing.T) {
	b := unhex(t, headerLittle)
	if n := testing.AllocsPerRun(100, func() {
		if h, ok := ParseHeader(b); !ok || !h.plausible() {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParseHeader(b *testing.B) {
	raw := unhex(b, headerLittle)
	b.SetBytes(headerLength)
	b.ReportAllocs()
	for b.Loop() {
		ParseHeader(raw)
	}
}
