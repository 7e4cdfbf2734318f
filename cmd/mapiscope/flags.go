package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"mapiscope/internal/document"
	"mapiscope/internal/report"
	"mapiscope/pcaps"
)

// commonFlags are the flags that every command over captures knows.
type commonFlags struct {
	output         choice
	filter         string
	at             points
	sites          []string // one for each capture, or none; "" is no name
	waas           choice
	color          choice
	progress       choice
	workers        workers
	maxMemory      byteSize
	failOn         choice
	failOnUnknown  bool
	time           choice
	allConnections bool
}

// register adds the flags to the root, so that they may stand before, between
// and after the words of a command.
func (f *commonFlags) register(root *cobra.Command) {
	*f = commonFlags{
		output:   choice{"text", []string{"text", "json", "jsonl", "csv"}},
		waas:     choice{"5.3", document.Releases()},
		color:    choice{"auto", []string{"auto", "always", "never"}},
		progress: choice{"auto", []string{"auto", "always", "never"}},
		failOn:   choice{"none", []string{"none", "info", "warning", "error"}},
		time:     choice{"utc", []string{"utc", "local"}},
	}
	s := root.PersistentFlags()
	s.SortFlags = false
	f.choice(root, &f.output, "output", "o", "form of the result")
	s.StringVarP(&f.filter, "filter", "f", "", "read only packets that match a `BPF` filter, as tcpdump takes it")
	s.Var(&f.at, "at", "where the captures were taken; once for all, or once for each in order (default: worked out and said)")
	complete(root, "at", pointChoices)
	f.choice(root, &f.waas, "waas", "", "release whose rules decide what the accelerator takes")
	s.BoolVar(&f.allConnections, "all-connections", false, "list every TCP connection, not only what the report talks about")
	f.choice(root, &f.failOn, "fail-on", "", "exit with status 1 when a finding of this severity or a higher one stands")
	s.BoolVar(&f.failOnUnknown, "fail-on-unknown", false, "exit with status 1 also when escapes are possible or cannot be told, or the captures are incomplete or contradict what was said of them")
	f.choice(root, &f.time, "time", "", "time zone of text output; machine-readable output is always UTC")
	f.choice(root, &f.color, "color", "", "colour text output; auto: on a terminal, unless NO_COLOR is set")
	f.choice(root, &f.progress, "progress", "", "progress of long jobs on standard error; auto: on a terminal")
	s.Var(&f.workers, "workers", "how many processors to use (default: all)")
	s.Var(&f.maxMemory, "max-memory", "how much memory to use, such as 512MB or 2GiB; at least 64MB (default: what the traffic needs)")
}

func (f *commonFlags) choice(root *cobra.Command, c *choice, name, short, usage string) {
	root.PersistentFlags().VarP(c, name, short, usage)
	complete(root, name, c.of)
}

// complete lets the shell offer the values of a flag.
func complete(cmd *cobra.Command, name string, values []string) {
	err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag was registered a moment ago
	}
}

// location is the time zone of text output.
func (f *commonFlags) location() *time.Location {
	if f.time.value == "local" {
		return time.Local
	}
	return time.UTC
}

// colored decides whether text for the result gets colours.
func (a *app) colored() bool {
	switch a.flags.color.value {
	case "always":
		return true
	case "never":
		return false
	}
	_, tty := terminal(a.stdout)
	return tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// textOptions are the options of text for people. Width is 0 where the
// result does not go to a terminal.
func (a *app) textOptions() report.TextOptions {
	o := report.TextOptions{Color: a.colored(), Location: a.flags.location()}
	if f, tty := terminal(a.stdout); tty {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.Width = width
		}
	}
	return o
}

// only refuses an output form that a command does not have.
func (a *app) only(forms ...string) error {
	if slices.Contains(forms, a.flags.output.value) {
		return nil
	}
	return usageError("-o %s: this command writes %s", a.flags.output.value, list(forms))
}

// choice is the value of a flag that takes one of several words.
type choice struct {
	value string
	of    []string
}

var (
	_ pflag.Value = (*choice)(nil)
	_ pflag.Value = (*points)(nil)
	_ pflag.Value = (*workers)(nil)
)

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.of, "|") }
func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("it must be %s", list(c.of))
	}
	c.value = s
	return nil
}

var pointChoices = []string{"edge", "wan", "core"}

// points is the value of --at, which may be repeated.
type points []pcaps.Point

func (p *points) String() string {
	names := make([]string, len(*p))
	for i, at := range *p {
		names[i] = at.String()
	}
	return strings.Join(names, ",")
}
func (p *points) Type() string { return strings.Join(pointChoices, "|") }
func (p *points) Set(s string) error {
	for _, word := range strings.Split(s, ",") {
		at, err := pcaps.ParsePoint(word)
		if err != nil {
			return fmt.Errorf("it must be %s, or unknown to have it worked out", list(pointChoices))
		}
		*p = append(*p, at)
	}
	return nil
}

// maxWorkers bounds what --workers may ask for; each has tables of its own.
const maxWorkers = 256

// workers is the value of --workers; 0 is one for each processor.
type workers int

func (n *workers) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.Itoa(int(*n))
}
func (n *workers) Type() string { return "N" }
func (n *workers) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil || v < 1 || v > maxWorkers {
		return fmt.Errorf("it must be a number from 1 to %d", maxWorkers)
	}
	*n = workers(v)
	return nil
}

func (n workers) count() int {
	if n == 0 {
		return min(runtime.GOMAXPROCS(0), maxWorkers)
	}
	return int(n)
}

// list joins words as a sentence does: "a, b or c".
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
}

// count writes a number of things.
func count[T int | int64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// captureArgs asks for at least one capture.
func captureArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("no capture given: name a file, or - for standard input")
	}
	return nil
}

// completeCaptures lets the shell offer capture files.
func completeCaptures(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"pcap", "pcapng", "cap", "gz", "zst"}, cobra.ShellCompDirectiveFilterFileExt
}
