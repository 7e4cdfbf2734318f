//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/pcaptest"
)

// samba is a real DCE/RPC server on the loopback of the caller's network
// namespace: an endpoint mapper, SAMR, LSARPC and others, with NTLM.
type samba struct{ config string }

// sambaDaemon is where Debian puts it: it is no program for users.
const sambaDaemon = "/usr/libexec/samba/samba-dcerpcd"

// startSamba skips the test where Samba is not installed, but not in CI.
func startSamba(t *testing.T) *samba {
	t.Helper()
	for _, need := range []string{sambaDaemon, "smbpasswd", "rpcclient"} {
		if _, err := exec.LookPath(need); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skipf("Samba is not installed (%v)", err)
		}
	}
	dir := t.TempDir()
	s := &samba{filepath.Join(dir, "smb.conf")}
	var config strings.Builder
	config.WriteString("[global]\nworkgroup = CORP\nnetbios name = MAIL1\nserver role = standalone server\ninterfaces = lo\n" +
		"bind interfaces only = yes\nrpc start on demand helpers = no\ndisable spoolss = yes\n")
	for _, name := range []string{"private dir", "state directory", "cache directory", "lock directory", "pid directory", "ncalrpc dir"} {
		folder := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&config, "%s = %s\n", name, folder)
	}
	fmt.Fprintf(&config, "log file = %s\n", filepath.Join(dir, "log"))
	if err := os.WriteFile(s.config, []byte(config.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	password := exec.Command("smbpasswd", "-c", s.config, "-s", "-a", "root")
	password.Stdin = strings.NewReader("a-password\na-password\n")
	if out, err := password.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	daemon := exec.Command(sambaDaemon, "-F", "-s", s.config, "--libexec-rpcds")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		time.AfterFunc(5*time.Second, func() { _ = daemon.Process.Kill() })
		_ = daemon.Wait() // its status tells nothing of the test
	})
	for give := time.Now().Add(30 * time.Second); s.call("sign") != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(give) {
			t.Fatal("Samba does not answer: ", s.call("sign"))
		}
	}
	return s
}

// call asks for the users of the domain: a lookup at the endpoint mapper, a
// bind, authentication, and a few calls at the given protection.
func (s *samba) call(protection string) error {
	out, err := exec.Command("rpcclient", "-s", s.config, "-U", "root%a-password", "ncacn_ip_tcp:127.0.0.1["+protection+"]", "-c", "enumdomusers").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "user:[root]") {
		return fmt.Errorf("rpcclient: %w\n%s", err, out)
	}
	return nil
}

// TestLiveSamba watches a real client talk to a real server: what the client
// asked for is what the report says, and the report is that of the packets.
func TestLiveSamba(t *testing.T) {
	pcaptest.Namespace(t)
	s := startSamba(t)
	kept := filepath.Join(t.TempDir(), "kept.pcapng")
	j := startLive(t, "-i", "lo", "-o", "json", "--all-connections", "--interval", "100ms", "--write", kept)
	for _, protection := range []string{"packet", "sign", "seal"} {
		if err := s.call(protection); err != nil {
			t.Fatal(err)
		}
	}
	// The close of the last connection has come when two lines count alike.
	for before, now := "", ""; before == "" || before != now; {
		before, now = now, packetsIn(j.await(t, " packets ("))
	}
	j.interrupt(t)
	j.end(t, 0)
	doc := analysis(t, j.stdout.Bytes())
	if diff := cmp.Diff(offline(t, kept), doc); diff != "" {
		t.Errorf("the documents (-offline +live):\n%s", diff)
	}
	services, levels := make(map[string]int), make(map[string]int)
	for _, x := range doc["connections"].([]any) {
		c := x.(map[string]any)
		services[c["service"].(string)]++
		for _, a := range c["auth"].([]any) {
			a := a.(map[string]any)
			levels[fmt.Sprintf("%v %v %v", a["level_name"], a["mechanism"], a["state"])]++
		}
		if n := c["calls"].(map[string]any); n["requests"] != n["responses"] || n["faults"] != 0.0 {
			t.Errorf("calls of connection %v: %v", c["id"], n)
		}
	}
	want := map[string]int{"packet ntlm established": 1, "integrity ntlm established": 1, "privacy ntlm established": 1}
	if diff := cmp.Diff(want, levels); diff != "" {
		t.Errorf("authentication (-want +got):\n%s", diff)
	}
	if services["epm"] != 3 || services["dcerpc"] != 3 {
		t.Errorf("services are %v", services)
	}
	learned := false
	for _, x := range doc["endpoints"].([]any) {
		e := x.(map[string]any)
		learned = learned || e["learned_from"] == "ept_map" && e["interface"] == "SAMR"
	}
	if !learned {
		t.Errorf("no answer of the endpoint mapper for SAMR among %v", doc["endpoints"])
	}
}

// packetsIn returns the number of packets in a status line.
func packetsIn(line string) string {
	n, _, _ := strings.Cut(line, " packets (")
	return n[strings.LastIndexByte(n, ' ')+1:]
}
