// Package scripts has no code: its tests run the scripts on machines that lack
// something.
package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine is a search path with stand-ins for the programs that tell what a
// machine is. pcap and lists are there when a file of that name is.
type machine struct {
	dir string
}

func newMachine(t *testing.T, user, aptGet string) *machine {
	t.Helper()
	m := &machine{t.TempDir()}
	for name, body := range map[string]string{
		// The compiler finds libpcap when it is there; all else compiles.
		"cc":      `for w; do [ "$w" != -lpcap ] || [ -e $here/pcap ] || exit 1; done`,
		"id":      `echo ` + user,
		"apt-get": aptGet,
		"go":      `echo cc`,
	} {
		if body == "" {
			continue
		}
		script := "#!/bin/sh\nhere=" + m.dir + "\n" + body + "\n"
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"sh", "mktemp", "rm", "touch", "dirname", "env"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Skip(err)
		}
		if err := os.Symlink(path, filepath.Join(m.dir, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// has makes a file of the machine.
func (m *machine) has(t *testing.T, name string) *machine {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs a script and returns what it prints on both streams.
func (m *machine) run(t *testing.T, env string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command("./"+args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + m.dir, env}
	var out, msg strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), msg.String(), cmd.ProcessState.ExitCode()
}

// calls returns what apt-get was asked to do.
func (m *machine) calls(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(m.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(raw))
}

// The stand-ins for apt-get keep its commands in the file calls.
const (
	keepCall = `for w; do case $w in install | update) echo $w >>$here/calls; verb=$w ;; esac; done
`
	// fresh installs once it has lists, which update brings.
	fresh  = keepCall + `if [ $verb = update ]; then touch $here/lists; elif [ -e $here/lists ]; then touch $here/pcap; else exit 100; fi`
	broken = keepCall + `exit 100`
)

func TestDeps(t *testing.T) {
	for _, row := range []struct {
		name    string
		machine func(t *testing.T) *machine
		calls   []string
		status  int
		says    string
	}{
		{"there", func(t *testing.T) *machine { return newMachine(t, "0", fresh).has(t, "pcap") }, nil, 0, ""},
		{"missing, lists are there", func(t *testing.T) *machine { return newMachine(t, "0", fresh).has(t, "lists") },
			[]string{"install"}, 0, "installing gcc libc6-dev libpcap-dev"},
		{"missing, lists too", func(t *testing.T) *machine { return newMachine(t, "0", fresh) },
			[]string{"install", "update", "install"}, 0, "installing gcc libc6-dev libpcap-dev"},
		{"cannot be installed", func(t *testing.T) *machine { return newMachine(t, "0", broken) },
			[]string{"install", "update"}, 1, "could not install gcc libc6-dev libpcap-dev"},
		{"not root", func(t *testing.T) *machine { return newMachine(t, "1000", fresh) },
			nil, 1, "missing: gcc libc6-dev libpcap-dev (as root on Debian: apt-get install gcc libc6-dev libpcap-dev)"},
		{"no apt-get", func(t *testing.T) *machine { return newMachine(t, "0", "") },
			nil, 1, "missing: gcc libc6-dev libpcap-dev"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := row.machine(t)
			stdout, stderr, status := m.run(t, "X=", "deps.sh", "pcap")
			if status != row.status || stdout != "" || !strings.Contains(stderr, row.says) || row.says == "" && stderr != "" {
				t.Errorf("status %d, want %d; standard output %q, standard error %q", status, row.status, stdout, stderr)
			}
			if calls := m.calls(t); !slices.Equal(calls, row.calls) {
				t.Errorf("apt-get was asked to %q, want %q", calls, row.calls)
			}
			m.run(t, "X=", "deps.sh", "pcap")
			if row.status == 0 && !slices.Equal(m.calls(t), row.calls) {
				t.Errorf("the second time apt-get was asked to %q", m.calls(t)[len(row.calls):])
			}
		})
	}
	if _, _, status := newMachine(t, "0", fresh).run(t, "X=", "deps.sh", "pcap", "nonsense"); status != 2 {
		t.Errorf("an unknown need gives status %d, want 2", status)
	}
}

func TestWithLibpcap(t *testing.T) {
	for _, row := range []struct {
		name    string
		machine func(t *testing.T) *machine
		env     string
		want    string // what CGO_ENABLED is for the command
		calls   []string
	}{
		{"there", func(t *testing.T) *machine { return newMachine(t, "0", fresh).has(t, "pcap") }, "X=", "unset", nil},
		{"installed", func(t *testing.T) *machine { return newMachine(t, "0", fresh) }, "X=", "unset", []string{"install", "update", "install"}},
		{"missing", func(t *testing.T) *machine { return newMachine(t, "1000", fresh) }, "X=", "0", nil},
		{"not wanted", func(t *testing.T) *machine { return newMachine(t, "0", fresh) }, "CGO_ENABLED=0", "0", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := row.machine(t)
			stdout, stderr, status := m.run(t, row.env, "with-libpcap.sh", "sh", "-c", "echo ${CGO_ENABLED-unset}; exit 7")
			if status != 7 || strings.TrimSpace(stdout) != row.want {
				t.Errorf("status %d, want that of the command, 7; CGO_ENABLED is %q, want %q; said %q", status, stdout, row.want, stderr)
			}
			if calls := m.calls(t); !slices.Equal(calls, row.calls) {
				t.Errorf("apt-get was asked to %q, want %q", calls, row.calls)
			}
		})
	}
}
