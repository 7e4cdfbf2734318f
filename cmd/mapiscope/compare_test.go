package main

import (
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, row := range []struct{ name, args, want string }{
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
