package main

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"mapiscope/internal/device"
	"mapiscope/internal/report"
	engine "mapiscope/internal/run"
)

// jsonLines is the style that is none of a device's.
const jsonLines = "jsonl"

func newLog(a *app) *cobra.Command {
	style, role, host := choice{"transaction", append(slices.Clone(device.Styles()), jsonLines)}, roleChoice(), ""
	c := &cobra.Command{
		Use:   "log CAPTURE...",
		Short: "What happened, as log lines in time order",
		Long: `log writes what happened in time order, in the style of one of the device's logs:

  transaction  the transaction log: a line for the start and two for the end of
               each optimized connection, one for each that passed through
  syslog       the system log lines that packets can prove (132104)
  errorlog     the lines of mapiao-errorlog that packets can prove; where the
               device names its source file, the capture and the packet stand
  jsonl        every event as a JSON object a line, its time in UTC

What packets do not give is n/a. Times of the device's styles are in the zone
that --time names.`,
		Example: `  mapiscope log --style transaction --at edge,wan edge.pcap wan.pcap
  mapiscope log --style errorlog edge.pcap | grep 'Unsupported Auth Type'
  mapiscope log --style jsonl edge.pcap | jq -c 'select(.event == "escape")'`,
		Args:              captureArgs,
		ValidArgsFunction: completeCaptures,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.only("text", "jsonl"); err != nil {
				return err
			}
			name := style.value
			if a.flags.output.value == jsonLines {
				name = jsonLines
			}
			doc, err := a.analyse(args, func(c *engine.Config) { c.Events = true })
			if err != nil {
				return err
			}
			v := device.New(doc, device.Options{Role: roleOf(role), Location: a.flags.location()})
			note := ""
			err = a.deliver(doc, func(w io.Writer) (err error) {
				if name == jsonLines {
					return report.WriteEvents(w, doc.MainEvents())
				}
				note, err = v.WriteLog(w, name, host)
				return err
			})
			if note != "" {
				a.say("%s", note)
			}
			if n := doc.Limits.EventsDropped; n > 0 {
				a.say("%d events are left out: the job has more than the log keeps", n)
			}
			return err
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.Var(&style, "style", "which log")
	f.Var(&role, "device", roleUsage)
	f.StringVar(&host, "host", "mapiscope", "`NAME` of the device in the system log")
	complete(c, "style", style.of)
	complete(c, "device", role.of)
	return c
}
