package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSiteOf(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "x=a.pcap")
	if err := os.WriteFile(there, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, row := range []struct{ arg, site, path string }{
		{"a.pcap", "", "a.pcap"},
		{"paris=a.pcap", "paris", "a.pcap"},
		{"paris=dir/a=b.pcap", "paris", "dir/a=b.pcap"},
		{"x=a.pcap", "", "x=a.pcap"},
		{there, "", there},
		{"dir/x=b.pcap", "", "dir/x=b.pcap"},
		{"=a.pcap", "", "=a.pcap"},
		{"paris=", "", "paris="},
		{"-", "", "-"},
		{"paris=-", "paris", "-"},
	} {
		t.Run(row.arg, func(t *testing.T) {
			if site, path := siteOf(row.arg); site != row.site || path != row.path {
				t.Errorf("%q, %q; want %q, %q", site, path, row.site, row.path)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	for _, row := range []struct{ name, args, want string }{
		{"sites", "compare --edge x=a y=b --core c", "compare --edge=x=a --edge=y=b --core=c"},
		{"another command", "report --edge a b", "report --edge a b"},
		{"one each", "compare --edge a --core b", "compare --edge=a --core=b"},
		{"several", "compare --edge a b --core c d --wan e", "compare --edge=a --edge=b --core=c --core=d --wan=e"},
		{"with =", "compare --edge=a b --core c", "compare --edge=a --edge=b --core=c"},
		{"a flag between", "compare --edge a b -o json --core c", "compare --edge=a --edge=b -o json --core=c"},
		{"standard input", "compare --edge - b --core c", "compare --edge=- --edge=b --core=c"},
		{"behind --", "compare --edge a -- b", "compare --edge=a -- b"},
		{"no name", "compare --edge --core c", "compare --edge= --core=c"},
		{"no flag", "compare a b", "compare a b"},
		{"nothing", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := strings.Join(spread(strings.Fields(row.args)), " "); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}
