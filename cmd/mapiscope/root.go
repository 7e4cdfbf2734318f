package main

import (
	"github.com/spf13/cobra"
)

// newRoot builds the tree of commands. A command is a file of its own with
// one constructor that is listed here.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "mapiscope",
		Short:         "See which MAPI connections a pair of WAN optimizers accelerates, which escape, and why",
		Long:          rootHelp,
		Example:       rootExample,
		RunE:          incomplete,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version().String(),
	}
	a.flags.register(root)
	root.AddCommand(
		newReport(a),
		newWhy(a),
		newShow(a),
		newLog(a),
		newCompare(a),
		newLive(a),
		newVersion(a),
		newCompletion(a),
	)
	root.SetHelpCommand(newHelp(root))
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { a.explain(cmd) })
	root.SetVersionTemplate("{{.Version}}\n")
	root.InitDefaultHelpCmd()
	return root
}

const rootHelp = `mapiscope reads packet captures of Outlook and Exchange traffic (MAPI over
DCE/RPC), groups connections into association groups, and says which ones a
pair of WAN optimizers accelerates, which ones escape it or are encrypted,
and why.

Captures are pcap, pcapng and Network Monitor files, plain or compressed with
gzip, zstd, xz, bzip2 or lz4, or - for standard input. Several captures are one
job, read in time order; a folder, or a pattern in quotes, stands for its files. Every word of a command may be shortened while it stays unique.`

const rootExample = `  mapiscope report edge.pcap
  mapiscope report --at edge --at core edge.pcapng.gz core.pcapng.gz
  tcpdump -r big.pcap -w - 'host 10.1.1.5' | mapiscope report -
  mapiscope report -o json wan.pcap | jq '.findings[].code'
  mapiscope report --fail-on error wan.pcap || echo "somebody escaped"`

const exitStatus = `
Exit status:
  0  done
  1  done, and a finding at or above --fail-on stands
  2  wrong usage
  3  an input cannot be opened, none is a capture, or the result cannot be written
  4  done, but an input ended early, was damaged, no capture or interrupted: what
     was read is reported; this outranks 1
`
