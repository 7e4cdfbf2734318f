package main

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"mapiscope/internal/pcaptest"
)

// hostile is a capture with a name in every place where the wire has one, at
// two capture points whose interfaces have it too.
func hostile(evil string) *pcaptest.Scene {
	const ntlm, kerberos, connect = 10, 16, 2
	s := pcaptest.New(morning)
	s.Tap(evil, 1, 0)
	s.Tap(evil+"2", 1, time.Millisecond)
	epm := s.Dial(client+":1065", exchange+":"+portEPM)
	epm.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
	epm.Server(pcaptest.BindAck(0x0001e100, evil, pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	epm.Client(pcaptest.Request(0, pcaptest.OpEptLookup, pcaptest.EptLookupRequest(pcaptest.NDR{}, 4)).Call(2).Bytes())
	epm.Server(pcaptest.Response(0, pcaptest.EptLookupResponse(pcaptest.NDR{}, 4, 0, evil[:min(len(evil), 63)],
		pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Addr: netip.MustParseAddr(exchange), Port: 1032})).Call(2).Bytes())
	epm.Close()

	kdc := s.Dial(client+":1070", exchange+":88")
	kdc.Client(pcaptest.KRBOverTCP(pcaptest.APReq(evil, "exchangeMDB/"+evil)))
	kdc.Server(pcaptest.KRBOverTCP(pcaptest.KRBError{Code: 37, STime: morning, Realm: evil, Server: "exchangeMDB/" + evil}.Bytes()))
	kdc.Close()

	c := s.Dial(client+":1066", exchange+":"+portMAPI)
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(ntlm, connect, 1, pcaptest.NTLMNegotiate()).Bytes())
	c.Server(pcaptest.BindAck(group, evil, pcaptest.Accept(pcaptest.NDR32)).Call(1).Auth(ntlm, connect, 1, pcaptest.NTLMChallenge(evil, evil, [8]byte{})).Bytes())
	c.Client(pcaptest.Auth3().Call(1).Auth(ntlm, connect, 1, pcaptest.NTLMAuthenticate(evil, evil, evil)).Bytes())
	c.Client(pcaptest.Request(0, pcaptest.OpEcDoConnectEx, pcaptest.ConnectEx{UserDN: evil, Client: pcaptest.Outlook2007}.Request(pcaptest.NDR{})).Call(2).Bytes())
	c.Server(pcaptest.Response(0, pcaptest.ConnectExResult{
		Handle: session, DNPrefix: evil, DisplayName: evil, Server: pcaptest.Outlook2007, Best: pcaptest.Outlook2007,
	}.Response(pcaptest.NDR{})).Call(2).Bytes())
	c.Close()

	k := s.Dial(client+":1067", exchange+":"+portMAPI)
	k.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(kerberos, 6, 1, pcaptest.APReq(evil, "exchangeMDB/"+evil)).Bytes())
	k.Server(pcaptest.BindAck(group, evil, pcaptest.Accept(pcaptest.NDR32)).Call(1).
		Auth(kerberos, 6, 1, pcaptest.KRBError{Code: 37, STime: morning, Realm: evil, Server: evil}.Token()).Bytes())
	k.Close()
	return s
}

// commented puts a comment into the section header of a pcapng file ([pcapng]
// 4.1, opt_comment 1).
func commented(file []byte, comment string) []byte {
	le := binary.LittleEndian
	old := le.Uint32(file[4:])
	comment = comment[:min(len(comment), 1000)]
	block := slices.Clone(file[:24])
	block = le.AppendUint16(block, 1)
	block = le.AppendUint16(block, uint16(len(comment)))
	block = append(block, comment...)
	block = append(block, make([]byte, -len(comment)&3+4)...) // padding, opt_endofopt
	le.PutUint32(block[4:], uint32(len(block)+4))
	block = le.AppendUint32(block, uint32(len(block)+4))
	return append(block, file[old:]...)
}

// fileName makes a name of a text that a file may have.
func fileName(evil, ext string) string {
	name := strings.NewReplacer("\x00", "", "/", "_").Replace(evil)
	return strings.ToValidUTF8(name[:min(len(name), 200)], "") + name[len(name)-min(len(name), 3):] + ext
}

// view is a command and what its standard output is.
type view struct {
	form string // "text", "lines" of text whose number no name changes, "json", "jsonl", "csv"
	args []string
}

// evidence writes what the commands read, with a text in every name, and
// returns the commands.
func evidence(t *testing.T, evil string) []view {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, fileName(evil, name))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := hostile(evil)
	all := put(".pcapng", commented(s.Pcapng(0), evil))
	far := put("-far.pcapng", commented(s.Pcapng(1), evil))
	file := s.Pcapng(0)
	cut := put("-cut.pcapng", file[:len(file)-5])
	var document, device bytes.Buffer
	run([]string{"report", "-o", "json", all}, nil, &document, &device)
	before := put(".json", document.Bytes())
	after := put("-after.json", bytes.ReplaceAll(document.Bytes(), []byte("CAPTURE"), []byte("OTHER")))
	device.Reset()
	run([]string{"show", "statistics", "connection", "optimized", "mapi", "--plain", all}, nil, &device, &device)
	printed := put(".txt", append(device.Bytes(), "\nConnID Source IP:Port Dest IP:Port PeerID Accel RR\n9 1.2.3.4:5 6.7.8.9:10 "+evil+" TMDL 1%\n"...))
	return []view{
		{"text", []string{"report", all}},
		{"text", []string{"report", "--color", "never", "--all-connections", all, far}},
		{"json", []string{"report", "-o", "json", all}},
		{"jsonl", []string{"report", "-o", "jsonl", all}},
		{"csv", []string{"report", "-o", "csv", all}},
		{"text", []string{"report", cut}},
		{"text", []string{"report", filepath.Join(dir, fileName(evil, "-not-there"))}},
		{"text", []string{"report", printed}},
		{"text", []string{fileName(evil, "")}},
		{"text", []string{"report", "-o", evil, all}},
		{"text", []string{"why", evil, all}},
		{"text", []string{"why", "2", all}},
		{"text", []string{"why", "3", all}},
		{"text", []string{"why", "4", all, far}},
		{"lines", []string{"log", "--style", "transaction", all}},
		{"lines", []string{"log", "--style", "syslog", "--host", evil, all}},
		{"lines", []string{"log", "--style", "errorlog", all}},
		{"jsonl", []string{"log", "--style", "jsonl", all}},
		{"lines", []string{"show", "statistics", "connection", "optimized", "mapi", all}},
		{"lines", []string{"show", "statistics", "connection", "optimized", "mapi", "detail", all}},
		{"lines", []string{"show", "statistics", "connection", "optimized", "mapi", "detail", "--plain", all}},
		{"json", []string{"show", "statistics", "connection", "optimized", "mapi", "detail", "-o", "json", all}},
		{"lines", []string{"show", "statistics", "accelerator", "mapi", all}},
		{"lines", []string{"show", "statistics", "accelerator", "epm", all}},
		{"lines", []string{"show", "policy-engine", "application", "dynamic", all}},
		{"text", []string{"show", "statistics", "connection", "optimized", "mapi", "--diff-device", printed, all}},
		{"json", []string{"show", "statistics", "connection", "optimized", "mapi", "--diff-device", printed, "-o", "json", all}},
		{"text", []string{"compare", "--edge", all, "--core", far}},
		{"json", []string{"compare", "-o", "json", "--edge", all, "--core", far}},
		{"jsonl", []string{"compare", "-o", "jsonl", "--edge", all, "--core", far}},
		{"csv", []string{"compare", "-o", "csv", "--edge", all, "--core", far}},
		{"text", []string{"compare", before, after}},
		{"json", []string{"compare", "-o", "json", before, after}},
		{"jsonl", []string{"compare", "-o", "jsonl", before, after}},
	}
}

// TestHostileNames: no name does anything in any output but stand there, and
// none adds a line, a record or a cell.
func TestHostileNames(t *testing.T) {
	type result struct{ status, lines int }
	look := func(t *testing.T, o view) result {
		var stdout, stderr bytes.Buffer
		status := run(append([]string{"--progress", "never"}, o.args...), strings.NewReader(""), &stdout, &stderr)
		harmless(t, "standard output", stdout.String())
		harmless(t, "standard error", stderr.String())
		for line := range strings.Lines(stderr.String()) {
			if !strings.HasPrefix(line, "mapiscope: ") || !strings.HasSuffix(line, "\n") {
				t.Errorf("standard error has the line %q", line)
			}
		}
		r := result{status: status}
		if o.form != "text" {
			r.lines = strings.Count(stdout.String(), "\n")
		}
		whole(t, o.form, stdout.Bytes())
		return r
	}
	var usual []result
	for _, o := range evidence(t, "alice") {
		usual = append(usual, look(t, o))
	}
	for _, h := range pcaptest.HostileNames() {
		t.Run(h.What, func(t *testing.T) {
			t.Parallel()
			for i, o := range evidence(t, h.Text) {
				t.Run(strings.Join(o.args[:min(len(o.args), 3)], " "), func(t *testing.T) {
					if got := look(t, o); got != usual[i] {
						t.Errorf("%q: status and lines are %v, with a usual name %v", o.args, got, usual[i])
					}
				})
			}
		})
	}
}

// harmless complains of characters that a terminal would act on.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is no UTF-8", what)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		marks := 0
		for i, r := range strings.TrimSuffix(line, "\n") {
			bad := ""
			if marks++; !unicode.Is(unicode.M, r) {
				marks = 0
			}
			switch {
			case unicode.IsControl(r), unicode.Is(unicode.C, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
				bad = "hidden characters"
			case marks > 4, marks == 1 && i == 0:
				bad = "combining marks"
			}
			if bad != "" && !seen[bad] {
				seen[bad] = true
				t.Errorf("%s has %s in the line %.200q", what, bad, line)
			}
		}
	}
}

// whole parses an output.
func whole(t *testing.T, form string, b []byte) {
	t.Helper()
	switch form {
	case "json":
		if !json.Valid(b) {
			t.Errorf("no JSON: %.200s", b)
		}
	case "jsonl":
		for line := range bytes.Lines(b) {
			if !json.Valid(line) {
				t.Errorf("no JSON: %.200s", line)
			}
		}
	case "csv":
		rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll() // all of one length
		if err != nil {
			t.Error(err)
		}
		for _, row := range rows {
			for i, cell := range row {
				first, _ := utf8.DecodeRuneInString(strings.TrimLeft(cell, " "))
				_, notNumber := netip.ParseAddr(cell)
				if cell != "-" && notNumber != nil && strings.ContainsRune("=+-@\t\r＝＋－＠", first) && !number(cell) {
					t.Errorf("the cell %s is the formula %q", rows[0][i], cell)
				}
			}
		}
	}
}

// number tells whether a cell is a number.
func number(cell string) bool { return json.Valid([]byte(cell)) }

// TestShellLine: the line of why that is to be pasted into a shell names the
// capture, whatever it is called.
func TestShellLine(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell")
	}
	for _, h := range pcaptest.HostileNames() {
		for _, ext := range []string{"", "\n"} {
			t.Run(h.What, func(t *testing.T) {
				t.Chdir(t.TempDir())
				path := fileName(h.Text, ext)
				if err := os.WriteFile(path, hostile("alice").Pcapng(0), 0o600); err != nil {
					t.Fatal(err)
				}
				var stdout, stderr bytes.Buffer
				if status := run([]string{"--progress", "never", "why", "2", "--", path}, nil, &stdout, &stderr); status != statusDone {
					t.Fatalf("status %d: %s", status, &stderr)
				}
				_, line, _ := strings.Cut(stdout.String(), "\n  shell         ")
				line, _, _ = strings.Cut(line, "\n")
				out, err := exec.Command("sh", "-c", "tshark() { printf '%s' \"$2\"; }; "+line).CombinedOutput()
				if got := strings.TrimPrefix(string(out), "./"); err != nil || got != strings.TrimPrefix(path, "./") {
					t.Errorf("%q: the line %s names %q, %v", path, line, out, err)
				}
			})
		}
	}
}
