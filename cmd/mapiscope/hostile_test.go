package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"mapiscope/internal/pcaptest"
)

// hostile is a capture whose names would take over a terminal.
func hostile() *pcaptest.Scene {
	const ntlm, connect = 10, 2
	evil := "\x1b[2J\r\n\x07\u009b31m\u202egnp\x00"
	s := pcaptest.New(morning)
	lookup(s)
	c := s.Dial(client+":1066", exchange+":"+portMAPI)
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(ntlm, connect, 1, pcaptest.NTLMNegotiate()).Bytes())
	c.Server(pcaptest.BindAck(group, evil, pcaptest.Accept(pcaptest.NDR32)).Call(1).Auth(ntlm, connect, 1, pcaptest.NTLMChallenge(evil, evil, [8]byte{})).Bytes())
	c.Client(pcaptest.Auth3().Call(1).Auth(ntlm, connect, 1, pcaptest.NTLMAuthenticate(evil, evil, evil)).Bytes())
	c.Client(pcaptest.Request(0, pcaptest.OpEcDoConnectEx, pcaptest.ConnectEx{UserDN: "/o=" + evil, Client: pcaptest.Outlook2007}.Request(pcaptest.NDR{})).Call(2).Bytes())
	c.Server(pcaptest.Response(0, pcaptest.ConnectExResult{
		Handle: session, DNPrefix: evil, DisplayName: evil, Server: pcaptest.Outlook2007, Best: pcaptest.Outlook2007,
	}.Response(pcaptest.NDR{})).Call(2).Bytes())
	c.Close()
	return s
}

// TestNoControlCharacters: names from the wire never reach a terminal as
// they are, whatever command prints them.
func TestNoControlCharacters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hostile.pcapng")
	s := hostile()
	s.Tap("eth0\x1b[2J", 1, 0)
	if err := os.WriteFile(path, s.Pcapng(), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"report"}, {"report", "-o", "csv"}, {"report", "-o", "json"}, {"report", "-o", "jsonl"},
		{"log", "--style", "transaction"}, {"log", "--style", "syslog"}, {"log", "--style", "errorlog"}, {"log", "--style", "jsonl"},
		{"show", "statistics", "connection", "optimized", "mapi"}, {"show", "statistics", "connection", "optimized", "mapi", "detail"},
		{"show", "statistics", "accelerator", "mapi"}, {"show", "statistics", "accelerator", "epm"},
		{"show", "policy-engine", "application", "dynamic"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if status := run(append(args, path), strings.NewReader(""), &stdout, &stderr); status != statusDone {
				t.Fatalf("status %d: %s", status, &stderr)
			}
			for name, b := range map[string][]byte{"standard output": stdout.Bytes(), "standard error": stderr.Bytes()} {
				if !utf8.Valid(b) {
					t.Errorf("%s is no UTF-8", name)
				}
				seen := map[string]bool{}
				for line := range strings.Lines(string(b)) {
					for _, r := range strings.TrimSuffix(line, "\n") {
						if what := fmt.Sprintf("%U", r); (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) && !seen[what] {
							seen[what] = true
							t.Errorf("%s has %s in the line %q", name, what, line)
						}
					}
				}
			}
		})
	}
}
