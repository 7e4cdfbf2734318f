package report

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
	"mapiscope/internal/run"
	"mapiscope/pcaps"
)

// textOf prints the report of a document, whyOf the page of a connection.
func textOf(t testing.TB, d *document.Document, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteText(&b, d, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func whyOf(t testing.TB, d *document.Document, id int, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteWhy(&b, d, id, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkPage checks what holds for every page: no control characters but line
// ends, valid UTF-8, no space at the end of a line, nothing wider than the
// page but lines that are to be pasted.
func checkPage(t testing.TB, text string, width int) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Error("the page is no valid UTF-8")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.IndexFunc(line, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' }); i >= 0 {
			t.Errorf("a control character in %q", line)
		}
		if line != strings.TrimRight(line, " ") {
			t.Errorf("spaces at the end of %q", line)
		}
		paste := strings.HasPrefix(line, "  filter ") || strings.HasPrefix(line, "  shell ")
		if n := widthOf(line); n > width && !paste {
			t.Errorf("%d columns, the page has %d: %q", n, width, line)
		}
	}
}

// pages are the documents that the golden pages are made of.
func pages() map[string]func(t testing.TB) *document.Document {
	return map[string]func(t testing.TB) *document.Document{
		"plain-group":    func(t testing.TB) *document.Document { return scene(t, plainGroup(), "edge.pcap") },
		"redirected":     func(t testing.TB) *document.Document { return scene(t, redirected(), "redirected.pcap") },
		"ipv6":           func(t testing.TB) *document.Document { return scene(t, longIPv6(), "ipv6.pcapng") },
		"hostile":        func(t testing.TB) *document.Document { return scene(t, hostile(), "hostile.pcap") },
		"crowd":          func(t testing.TB) *document.Document { return scene(t, crowd(), "crowd.pcap") },
		"no-rpc":         func(t testing.TB) *document.Document { return scene(t, foreign(), "web.pcap") },
		"gap":            func(t testing.TB) *document.Document { return scene(t, gappy(), "gap.pcap") },
		"cut":            func(t testing.TB) *document.Document { return cutShort(t) },
		"escape-wan":     labPage(run.Config{}, "wo_mapi_sign_escape_wan.pcap"),
		"escape-merged":  labPage(run.Config{}, "wo_mapi_sign_escape_merged.pcapng"),
		"escape-files":   labPage(run.Config{At: []pcaps.Point{pcaps.Edge, pcaps.WAN, pcaps.Core}}, "wo_mapi_seal_escape_edge-lan.pcap", "wo_mapi_seal_escape_wan.pcap", "wo_mapi_seal_escape_core-lan.pcap"),
		"sealed":         labPage(run.Config{}, "gm_mapi_2010_ntlm_seal.pcap"),
		"sealed-4.1":     labPage(run.Config{WAAS: "4.1"}, "gm_mapi_2010_krb5_seal.pcap"),
		"three-users":    labPage(run.Config{}, "gm_mapi_three_users.pcapng"),
		"wrong-password": labPage(run.Config{}, "gm_mapi_wrong_password.pcap"),
		"clock-skew":     labPage(run.Config{}, "smb_krb5_skew.pcap"),
		"slow-server":    labPage(run.Config{}, "gm_mapi_slowserver_connect.pcap"),
	}
}

func labPage(c run.Config, names ...string) func(t testing.TB) *document.Document {
	return func(t testing.TB) *document.Document { return lab(t, c, names...) }
}

func TestPages(t *testing.T) {
	for name, make := range pages() {
		t.Run(name, func(t *testing.T) {
			text := textOf(t, make(t), TextOptions{})
			checkPage(t, text, defaultWidth)
			golden(t, name+".txt", []byte(text))
		})
	}
}

func TestWhyPages(t *testing.T) {
	for _, row := range []struct {
		name string
		id   int
	}{
		{"plain-group", 2}, {"redirected", 2}, {"ipv6", 2}, {"hostile", 2}, {"gap", 1}, {"escape-wan", 4}, {"escape-wan", 2},
		{"escape-merged", 11}, {"escape-files", 4}, {"sealed-4.1", 2}, {"wrong-password", 5}, {"clock-skew", 9},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := pages()[row.name](t)
			text := whyOf(t, d, row.id, TextOptions{})
			checkPage(t, text, defaultWidth)
			golden(t, "why-"+row.name+"-"+strconv.Itoa(row.id)+".txt", []byte(text))
		})
	}
}

// TestWidths prints every page at several widths.
func TestWidths(t *testing.T) {
	for name, make := range pages() {
		t.Run(name, func(t *testing.T) {
			d := make(t)
			for _, width := range []int{80, 100, 132, 200} {
				checkPage(t, textOf(t, d, TextOptions{Width: width}), width)
				for id := 1; id <= min(len(d.Connections), 12); id++ {
					checkPage(t, whyOf(t, d, id, TextOptions{Width: width}), width)
				}
			}
		})
	}
}

// TestColour: the page says the same with and without colour, and where text
// of the wire looks like a colour it stays text.
func TestColour(t *testing.T) {
	for name, make := range pages() {
		t.Run(name, func(t *testing.T) {
			d := make(t)
			text, coloured := textOf(t, d, TextOptions{}), textOf(t, d, TextOptions{Color: true})
			if text == coloured {
				t.Error("no colour at all")
			}
			for _, code := range append(sgr[1:], reset) {
				coloured = strings.ReplaceAll(coloured, code, "")
			}
			if diff := cmp.Diff(text, coloured); diff != "" {
				t.Errorf("the page differs by more than colour (-without +with):\n%s", diff)
			}
		})
	}
	t.Run("golden", func(t *testing.T) {
		golden(t, "escape-wan-colour.txt", []byte(textOf(t, pages()["escape-wan"](t), TextOptions{Color: true})))
	})
}

func TestLocation(t *testing.T) {
	d := scene(t, plainGroup(), "edge.pcap")
	text := textOf(t, d, TextOptions{Location: time.FixedZone("JST", 9*3600)})
	if want := "2009-06-01 17:00:00.000000 to 17:00:00."; !strings.Contains(text, want) {
		t.Errorf("no %q in the page", want)
	}
	if !strings.Contains(text, " JST (") || strings.Contains(text, "08:00:0") {
		t.Error("times of two zones in the page")
	}
}

// brokenPipe fails after some bytes.
type brokenPipe struct{ room int }

var errPipe = errors.New("nobody reads")

func (w *brokenPipe) Write(b []byte) (int, error) {
	if len(b) > w.room {
		return 0, errPipe
	}
	w.room -= len(b)
	return len(b), nil
}

// TestWriteError: wherever the writer fails, its error comes back.
func TestWriteError(t *testing.T) {
	d := scene(t, plainGroup(), "edge.pcap")
	text, reasons := len(textOf(t, d, TextOptions{})), len(whyOf(t, d, 2, TextOptions{}))
	for n := 0; n < text; n += 97 {
		if err := WriteText(&brokenPipe{n}, d, TextOptions{}); !errors.Is(err, errPipe) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
	for n := 0; n < reasons; n += 97 {
		if err := WriteWhy(&brokenPipe{n}, d, 2, TextOptions{}); !errors.Is(err, errPipe) {
			t.Fatalf("why, after %d bytes: %v", n, err)
		}
	}
	if err := WriteText(io.Discard, d, TextOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestEmptyDocument: a page about nothing is a page.
func TestEmptyDocument(t *testing.T) {
	text := textOf(t, &document.Document{Schema: document.Schema, WAAS: "5.3"}, TextOptions{})
	checkPage(t, text, defaultWidth)
	if !strings.Contains(text, "No DCE/RPC over TCP in this capture") {
		t.Errorf("the page does not say that there is nothing:\n%s", text)
	}
}

func TestFindConnection(t *testing.T) {
	d := scene(t, plainGroup(), "edge.pcap")
	six := scene(t, longIPv6(), "ipv6.pcap")
	for _, row := range []struct {
		doc  *document.Document
		spec string
		want []int
		err  string
	}{
		{d, "3", []int{3}, ""},
		{d, "10.1.0.5:1067", []int{3}, ""},
		{d, "[::ffff:10.1.0.5]:1067", []int{3}, ""},
		{d, "0", nil, "no connection 0: the report lists 1 to 4"},
		{d, "5", nil, "no connection 5: the report lists 1 to 4"},
		{d, "-1", nil, "no connection -1: the report lists 1 to 4"},
		{d, "10.1.0.5:9", nil, "no connection of client 10.1.0.5:9: the report lists 1 to 4"},
		{d, "10.2.0.9:59531", nil, "no connection of client 10.2.0.9:59531: the report lists 1 to 4"},
		{d, "alice", nil, `"alice" is no connection: give its id, or the client as 10.1.1.5:1066 or [2001:db8::5]:1066`},
		{six, "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:1111]:51066", []int{2}, ""},
		{six, "[2001:0db8:aaaa:bbbb:cccc:dddd:eeee:1111]:51066", []int{2}, ""},
		{&document.Document{}, "1", nil, "no connection 1: the report lists none"},
	} {
		t.Run(row.spec, func(t *testing.T) {
			got, err := FindConnection(row.doc, row.spec)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
			if text := errText(err); text != row.err {
				t.Errorf("error %q, want %q", text, row.err)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestWorkers: the page does not depend on the number of workers.
func TestWorkers(t *testing.T) {
	s := crowd()
	path := s.WriteFile(t, "crowd.pcap")
	var first string
	for _, n := range []int{1, 2, 7} {
		text := textOf(t, analyse(t, run.Config{Paths: []string{path}, Workers: n}), TextOptions{})
		if first == "" {
			first = text
		} else if diff := cmp.Diff(first, text); diff != "" {
			t.Errorf("with %d workers (-1 worker):\n%s", n, diff)
		}
	}
}
