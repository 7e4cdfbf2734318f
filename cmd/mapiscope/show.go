package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mapiscope/internal/device"
	"mapiscope/internal/document"
	"mapiscope/internal/report"
)

// showFlags are the flags of the show commands.
type showFlags struct {
	plain bool
	role  choice
	diff  string // file with what a device printed
}

// shown is one output of a show command.
type shown interface {
	WriteText(w io.Writer, plain bool) error
}

// newShow builds the commands that print what a device would.
func newShow(a *app) *cobra.Command {
	f := &showFlags{role: roleChoice()}
	show := wordGroup("show", "Print the lists and counters of a WAAS device, from packets", `
show prints what the device's own show commands print, worked out from packets:
the same labels in the same order. A column behind the device's own says how far
each figure can be trusted, and footnotes say why; --plain leaves both out, so
that the text can be laid beside a device's. What packets do not give is n/a,
never 0. The ids are those of mapiscope report.

--diff-device reads what a device printed and names each disagreement. The file
may hold the output of several commands, of any release and any width.`[1:],
		wordGroup("statistics", "Connections and counters", "",
			wordGroup("connection", "Connections", "",
				wordGroup("optimized", "Connections that an accelerator took", "", newShowConnections(a, f))),
			wordGroup("accelerator", "The counters of an accelerator", "",
				newShowAccelerator(a, f, "mapi", "MAPI", (*device.Views).MAPI),
				newShowAccelerator(a, f, "epm", "EPM", (*device.Views).EPM))),
		wordGroup("policy-engine", "The policy engine", "",
			wordGroup("application", "Rules for applications", "", newShowRules(a, f))))
	s := show.PersistentFlags()
	s.SortFlags = false
	s.BoolVar(&f.plain, "plain", false, "print the device's own columns only")
	s.Var(&f.role, "device", roleUsage)
	complete(show, "device", f.role.of)
	s.StringVar(&f.diff, "diff-device", "", "lay what a device printed, kept in `FILE`, beside what the packets say")
	return show
}

const roleUsage = "whose view; auto: the edge device's, or the core device's when only the servers' side was captured"

func roleChoice() choice { return choice{"auto", []string{"auto", "edge", "core"}} }

// roleOf turns the value of --device into a role.
func roleOf(c choice) device.Role {
	if c.value == "auto" {
		return device.Auto
	}
	return device.Role(c.value)
}

// wordGroup is a command that has only further words behind it.
func wordGroup(use, short, long string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, RunE: incomplete, Args: cobra.ArbitraryArgs}
	c.AddCommand(children...)
	return c
}

func newShowConnections(a *app, f *showFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "mapi [detail] CAPTURE...",
		Short: "The EMSMDB connections under the MAPI accelerator, or the detail block of each",
		Example: `  mapiscope show statistics connection optimized mapi edge.pcap
  mapiscope show stat conn opt mapi detail --at edge,wan edge.pcap wan.pcap
  mapiscope show stat conn opt mapi --diff-device show.txt edge.pcap`,
		Args:              captureArgs,
		ValidArgsFunction: completeCaptures,
		RunE: func(_ *cobra.Command, args []string) error {
			detail, args := keyword(args, "detail")
			return a.show(f, args, func(v *device.Views) (shown, comparer) {
				if detail {
					return v.ConnectionDetail(), v.CompareConnections
				}
				return v.ConnectionList(), v.CompareConnections
			})
		},
	}
}

func newShowAccelerator(a *app, f *showFlags, name, title string, of func(*device.Views, bool) *device.Accelerator) *cobra.Command {
	return &cobra.Command{
		Use:   name + " [detail] CAPTURE...",
		Short: "The counters of the " + title + " accelerator",
		Example: fmt.Sprintf(`  mapiscope show statistics accelerator %[1]s edge.pcap
  mapiscope show stat acc %[1]s --plain edge.pcap | diff -b - device.txt`, name),
		Args:              captureArgs,
		ValidArgsFunction: completeCaptures,
		RunE: func(_ *cobra.Command, args []string) error {
			detail, args := keyword(args, "detail")
			return a.show(f, args, func(v *device.Views) (shown, comparer) {
				view := of(v, detail)
				return view, func(p *device.Printed) (*device.Comparison, error) { return v.CompareAccelerator(view, p) }
			})
		},
	}
}

func newShowRules(a *app, f *showFlags) *cobra.Command {
	return &cobra.Command{
		Use:               "dynamic CAPTURE...",
		Short:             "The match rules that endpoint mapper answers create",
		Example:           `  mapiscope show policy-engine application dynamic edge.pcap`,
		Args:              captureArgs,
		ValidArgsFunction: completeCaptures,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.show(f, args, func(v *device.Views) (shown, comparer) {
				view := v.DynamicRules()
				return view, func(p *device.Printed) (*device.Comparison, error) { return v.CompareRules(view, p) }
			})
		},
	}
}

// comparer lays what a device printed beside a view.
type comparer = func(*device.Printed) (*device.Comparison, error)

// show reads captures and prints one view of them, or compares it with what a
// device printed.
func (a *app) show(f *showFlags, captures []string, of func(*device.Views) (shown, comparer)) error {
	if err := a.only("text", "json"); err != nil {
		return err
	}
	if err := captureArgs(nil, captures); err != nil {
		return err
	}
	var printed *device.Printed
	if f.diff != "" {
		var err error
		if printed, err = readPrinted(f.diff); err != nil {
			return err
		}
	}
	doc, err := a.analyse(captures, nil)
	if err != nil {
		return err
	}
	view, compare := of(device.New(doc, device.Options{Role: roleOf(f.role), Location: a.flags.location()}))
	if printed == nil {
		return a.deliver(doc, func(w io.Writer) error {
			if a.flags.output.value == "json" {
				return report.WriteObject(w, view)
			}
			return view.WriteText(w, f.plain)
		})
	}
	c, err := compare(printed)
	if err != nil {
		return &failure{statusInput, fmt.Errorf("%s: %w", f.diff, err)}
	}
	c.DeviceFile = f.diff
	return a.deliverComparison(doc, c)
}

// deliverComparison writes a comparison. A disagreement counts as an error for
// --fail-on, everything else that one side has alone as a warning.
func (a *app) deliverComparison(doc *document.Document, c *device.Comparison) error {
	err := a.deliver(doc, func(w io.Writer) error {
		if a.flags.output.value == "json" {
			return report.WriteObject(w, c)
		}
		return c.WriteText(w)
	})
	s, worst := &c.Summary, ""
	switch {
	case s.Disagree > 0:
		worst = "error"
	case s.Differ+s.DeviceOnly+s.PacketsOnly > 0:
		worst = "warning"
	}
	if rank := severities[a.flags.failOn.value]; err == nil && a.status == statusDone && rank > 0 && severities[worst] >= rank {
		a.status = statusFinding
	}
	return err
}

// severities ranks what --fail-on names.
var severities = map[string]int{"info": 1, "warning": 2, "error": 3}

// readPrinted reads what a device printed from a file.
func readPrinted(path string) (*device.Printed, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, &failure{statusInput, err}
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, device.MaxPrinted+1))
	if err != nil {
		return nil, &failure{statusInput, err}
	}
	p, err := device.ParsePrinted(text)
	if err != nil {
		return nil, &failure{statusInput, fmt.Errorf("%s: %w", path, err)}
	}
	return p, nil
}
