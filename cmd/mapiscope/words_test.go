package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// words builds a tree of commands like that of the device.
func words() *cobra.Command {
	add := func(parent *cobra.Command, name string) *cobra.Command {
		c := &cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}}
		parent.AddCommand(c)
		return c
	}
	root := &cobra.Command{Use: "mapiscope", RunE: incomplete}
	root.PersistentFlags().StringP("output", "o", "", "")
	root.PersistentFlags().Bool("all", false, "")
	show := add(root, "show")
	stat := add(show, "statistics")
	add(add(stat, "connection"), "mapi").Flags().BoolP("long", "l", false, "")
	add(add(stat, "connection-limits"), "tcp")
	add(add(show, "status"), "now")
	add(root, "log").Flags().String("style", "", "")
	add(root, "live")
	hidden := add(root, "lock")
	hidden.Hidden = true
	return root
}

func TestExpand(t *testing.T) {
	tests := []struct {
		name string
		args string
		want string // or what the error says, behind "error: "
	}{
		{"full words", "show statistics connection mapi a.pcap", "show statistics connection mapi a.pcap"},
		{"every word short", "sh stati connection m a.pcap b.pcap", "show statistics connection mapi a.pcap b.pcap"},
		{"an exact word wins over a longer one", "sh stati connection mapi", "show statistics connection mapi"},
		{"a prefix of two words", "sh stat conn mapi a.pcap", `error: ambiguous command "show stat": it may be statistics or status`},
		{"a prefix of two words further down", "sh stati conn mapi", `error: ambiguous command "show statistics conn": it may be connection or connection-limits`},
		{"a prefix of two words in front", "l a.pcap", `error: ambiguous command "l": it may be live or log`},
		{"a hidden command is only for those who know it", "loc a.pcap", `error: unknown command "loc": did you mean log?`},
		{"a hidden command in full", "lock a.pcap", "lock a.pcap"},
		{"unknown word", "sh frob a.pcap", `error: unknown command "show frob": the next word is statistics or status`},
		{"unknown first word", "frobnicate", `error: unknown command "frobnicate": see "mapiscope help"`},
		{"nearly a word", "shwo stati", `error: unknown command "shwo": did you mean show?`},
		{"standard input alone", "-", `error: unknown command "-": to read a capture type "mapiscope report -"`},
		{"arguments that look like words", "log show statistics log", "log show statistics log"},
		{"flags between words", "-o json sh --all stati --output=csv connection mapi -l a.pcap", "show statistics connection mapi -o json --all --output=csv -l a.pcap"},
		{"flag of a command before it", "--style show lo a.pcap", "log --style show a.pcap"},
		{"bool flag of a command before it", "-l sh stati connection m", "show statistics connection mapi -l"},
		{"value glued to its flag", "-ojson log a.pcap", "log -ojson a.pcap"},
		{"value that is a word", "-o log log a.pcap", "log -o log a.pcap"},
		{"unknown flag", "--frob log a.pcap", "log --frob a.pcap"},
		{"end of flags", "log -- -o", "log -- -o"},
		{"end of flags before the words", "-- log", "-- log"},
		{"flag without its value", "log -o", "log -o"},
		{"flag without its value in front", "-o", "-o"},
		{"nothing", "", ""},
		{"incomplete", "sh stati", "show statistics"},
		{"the shell asks", "__complete sh stati con", "__complete show statistics con"},
		{"the shell asks about nonsense", "__complete frob x", "__complete frob x"},
		{"the shell asks about flags", "__complete sh -o js", "__complete show -o js"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args, err := expand(words(), strings.Fields(tt.args))
			got := strings.Join(args, " ")
			if err != nil {
				got = "error: " + err.Error()
				if statusOf(err) != statusUsage {
					t.Errorf("status %d", statusOf(err))
				}
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestLeaves holds the rule that no capture can be taken for a word: a
// command has either further words or arguments.
func TestLeaves(t *testing.T) {
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &syncWriter{w: io.Discard}}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if strings.ContainsAny(cmd.Use, "[") && cmd.HasSubCommands() {
			t.Errorf("%s has arguments and further words", cmd.CommandPath())
		}
		if !cmd.HasSubCommands() {
			if cmd.RunE == nil {
				t.Errorf("%s does nothing", cmd.CommandPath())
			}
			if strings.Contains(cmd.Use, "CAPTURE...") && (cmd.Args == nil || cmd.ValidArgsFunction == nil) {
				t.Errorf("%s does not check or complete its captures", cmd.CommandPath())
			}
			if cmd.Example == "" && strings.Contains(cmd.Use, " ") && cmd.Name() != "help" {
				t.Errorf("%s has no example", cmd.CommandPath())
			}
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short help %q", cmd.CommandPath(), cmd.Short)
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(newRoot(a))
}

func TestKeyword(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"det", "detail", "edge.pcap"} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name  string
		args  []string
		found bool
		rest  []string
	}{
		{"in full", []string{"detail", "edge.pcap"}, true, []string{"edge.pcap"}},
		{"shortened", []string{"d", "edge.pcap"}, true, []string{"edge.pcap"}},
		{"absent", []string{"edge.pcap"}, false, []string{"edge.pcap"}},
		{"a file of a shortened name", []string{"det", "edge.pcap"}, false, []string{"det", "edge.pcap"}},
		{"a file of the name, alone", []string{"detail"}, false, []string{"detail"}},
		{"the word and a file of its name", []string{"detail", "detail"}, true, []string{"detail"}},
		{"a file by its path", []string{"./detail", "edge.pcap"}, false, []string{"./detail", "edge.pcap"}},
		{"shortened, no capture", []string{"deta"}, true, []string{}},
		{"longer", []string{"details", "edge.pcap"}, false, []string{"details", "edge.pcap"}},
		{"empty", []string{"", "edge.pcap"}, false, []string{"", "edge.pcap"}},
		{"nothing", nil, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, rest := keyword(tt.args, "detail")
			if diff := cmp.Diff(tt.rest, rest); found != tt.found || diff != "" {
				t.Errorf("%v, rest (-want +got):\n%s", found, diff)
			}
		})
	}
}

func TestPick(t *testing.T) {
	words := []string{"transaction", "syslog", "errorlog", "error"}
	tests := []struct{ prefix, want, err string }{
		{"transaction", "transaction", ""},
		{"t", "transaction", ""},
		{"error", "error", ""},
		{"errorl", "errorlog", ""},
		{"err", "", `ambiguous word "err": it may be errorlog or error`},
		{"x", "", `unknown word "x": it must be transaction, syslog, errorlog or error`},
		{"", "", `unknown word "": it must be transaction, syslog, errorlog or error`},
	}
	for _, tt := range tests {
		got, err := pick(tt.prefix, words)
		if text := ""; err != nil {
			if text = err.Error(); text != tt.err {
				t.Errorf("pick(%q): %s", tt.prefix, text)
			}
		} else if got != tt.want || tt.err != "" {
			t.Errorf("pick(%q) = %q, %v", tt.prefix, got, err)
		}
	}
}
