package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"mapiscope/internal/report"
	engine "mapiscope/internal/run"
)

func newWhy(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "why CONNECTION CAPTURE...",
		Short: "Everything that was decided about one connection, and why",
		Long: `why tells rule by rule what was decided about one connection: what it carries,
its binds, its association group, its authentication, what each release of the
device would do with it, the evidence of an optimizer on its path, the verdict,
its calls and its losses, each with packet numbers, times and a display filter
for tshark or Wireshark.

CONNECTION is the id that mapiscope report gives it for the same captures, or
the client's address and port, an IPv6 address in brackets.`,
		Example: `  mapiscope why 4 wan.pcap
  mapiscope why 10.1.1.5:1066 edge.pcap
  mapiscope why '[2001:db8::5]:1066' edge.pcap core.pcap`,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return errors.New("no connection given: name its id, or its client as 10.1.1.5:1066")
			case 1:
				return errors.New("no capture given: name a file behind the connection, or - for standard input")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeCaptures(cmd, args, word)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.only("text"); err != nil {
				return err
			}
			doc, err := a.analyse(args[1:], func(c *engine.Config) { c.Events = true })
			if err != nil {
				return err
			}
			ids, err := report.FindConnection(doc, args[0])
			switch {
			case err != nil:
				return a.wanting(doc, "%w", err)
			case len(ids) > 1:
				return usageError("%s means several connections, give an id: %s", args[0], report.Describe(doc, ids))
			}
			return a.deliver(doc, func(w io.Writer) error { return report.WriteWhy(w, doc, ids[0], a.textOptions()) })
		},
	}
}
