package escape

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
)

func TestText(t *testing.T) {
	marks := strings.Repeat("\u0301", 4)
	for _, row := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"plain", "a b~", "a b~"},
		{"letters", "Zoë 日本 Ж", "Zoë 日本 Ж"},
		{"control characters", "a\x00\x1b[2J\x7f\r\n\t", `a\x00\x1b[2J\x7f\r\n\t`},
		{"C1, bidi, tags", "\u009b\u202e\u200b\U000e0041", `\u009b\u202e\u200b\ue0041`},
		{"spaces that are none", "\u2028\u00a0\u3000", `\u2028\u00a0\u3000`},
		{"invisible", "a\u200bb\ufeff", `a\u200bb\ufeff`},
		{"private use", "\ue000", `\ue000`},
		{"bell", "\x07", `\a`},
		{"no UTF-8", "a\xff\xfe\xc3", `a\xff\xfe\xc3`},
		{"the replacement character itself", "a\ufffdb", "a\ufffdb"},
		{"marks", "e" + marks + "x", "e" + marks + "x"},
		{"a run of marks", "e" + marks + "\u0301x", "e" + marks + "…x"},
		{"a long run of marks", "e" + strings.Repeat(marks, 99) + "x", "e" + marks + "…x"},
		{"marks alone", "\u0301\u0489 \u0301", `\u0301\u0489 \u0301`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := Text(row.in); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

func TestCSV(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "-": "-", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", " =1": "' =1", "＝1": "'＝1",
		"\t=1": `\t=1`, "\r=1": `\r=1`, "\n=1": `\n=1`, "1=1": "1=1", "1:a=": "1:a=", "--": "'--",
	} {
		if got := CSV(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{"eth0": "eth0", "a\x1b": `a\x1b`, "12345678é": "12345678", "\xff": `\xff`} {
		if got := Label(in, 9); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

// shown tells what is wrong with text that a terminal gets.
func shown(s string) string {
	run := 0
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return "no UTF-8"
			}
		case unicode.IsControl(r), unicode.Is(unicode.C, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return "hidden character"
		}
		if run++; !unicode.Is(unicode.M, r) {
			run = 0
		}
		if run > maxMarks || run == 1 && i == 0 {
			return "marks that paint over others"
		}
	}
	return ""
}

func TestHostileNames(t *testing.T) {
	for _, h := range pcaptest.HostileNames() {
		t.Run(h.What, func(t *testing.T) {
			check(t, h.Text)
		})
	}
}

// check holds all gates to what they promise.
func check(t *testing.T, s string) {
	t.Helper()
	for gate, got := range map[string]string{"Text": Text(s), "CSV": CSV(s), "Label": Label(s, 64)} {
		if what := shown(got); what != "" {
			t.Errorf("%s(%q) gives %q: %s", gate, s, got, what)
		}
	}
	if once := Text(s); Text(once) != once {
		t.Errorf("Text(%q) gives %q, and that %q", s, once, Text(once))
	}
	if got := CSV(s); got != "-" && strings.ContainsAny(got[:min(len(got), 1)], "=+-@\t\r") {
		t.Errorf("CSV(%q) gives %q", s, got)
	}
	if got := Label(s, 64); len(got) > 64 {
		t.Errorf("Label(%q) has %d bytes", s, len(got))
	}
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var want, got string
	if err := json.Unmarshal(encoded, &want); err != nil {
		t.Fatal(err)
	}
	out := JSON(encoded)
	if err := json.Unmarshal(out, &got); err != nil || got != want {
		t.Errorf("JSON(%q) gives %q: %v", encoded, out, err)
	}
	if what := shown(string(out)); what != "" {
		t.Errorf("JSON(%q) gives %q: %s", encoded, out, what)
	}
	setup, word := Shell(s)
	if what := shown(setup + word); what != "" {
		t.Errorf("Shell(%q) gives %q, %q: %s", s, setup, word, what)
	}
}

// TestShell gives words to a shell and looks at what the command gets.
func TestShell(t *testing.T) {
	names := []string{"a.pcap", "", "a b", "a\n", "\n\n", "-", "=x", "~", "~root", "a=b", "%41", `\101`, "a'b\x1b'c", "a\nb\n", "é\u202e", "é"}
	for _, h := range pcaptest.HostileNames() {
		names = append(names, h.Text)
	}
	tried := false
	for _, shell := range []string{"sh", "bash", "dash", "zsh"} {
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		tried = true
		for _, name := range names {
			if strings.ContainsRune(name, 0) {
				continue // no file has it
			}
			setup, word := Shell(name)
			out, err := exec.Command(shell, "-c", setup+"printf '<%s>' "+word).Output()
			want := name
			if strings.HasPrefix(name, "-") {
				want = "./" + name
			}
			if err != nil || string(out) != "<"+want+">" {
				t.Errorf("%s: %q gives the line %s%s and that %q, %v", shell, name, setup, word, out, err)
			}
		}
	}
	if !tried {
		t.Skip("no shell")
	}
	for name, want := range map[string]string{
		"a.pcap": "a.pcap", "/x/a-b_c.pcap": "/x/a-b_c.pcap", "it's": `'it'\''s'`, "-": "./-", "$(rm)": "'$(rm)'", "é": "'é'", "=a": "'=a'", "a\x1b'%": `"$(printf 'a\033\047%%')"`,
	} {
		if _, got := Shell(name); got != want {
			t.Errorf("%q gives %s, want %s", name, got, want)
		}
	}
}

func FuzzGates(f *testing.F) {
	for _, h := range pcaptest.HostileNames() {
		f.Add(h.Text)
	}
	f.Fuzz(check)
}

// TestOnePassOverMarks: text of marks alone takes time in proportion.
func TestOnePassOverMarks(t *testing.T) {
	got := Text("a" + strings.Repeat("\u0301", 1<<20))
	if diff := cmp.Diff("a\u0301\u0301\u0301\u0301…", got); diff != "" {
		t.Error(diff)
	}
}
