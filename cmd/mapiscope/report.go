package main

import (
	"io"

	"github.com/spf13/cobra"

	"mapiscope/internal/document"
	"mapiscope/internal/report"
)

func newReport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "report CAPTURE...",
		Short: "One report over one or more captures, verdicts first",
		Long: `report reads captures and writes one report: the verdict of each association
group first, then what to do, then the tables. With -o json it is one document,
with -o jsonl one object a line, with -o csv the list of connections.`,
		Example: `  mapiscope report edge.pcap
  mapiscope report --at edge --at core edge.pcapng core.pcapng
  mapiscope report -f 'host 10.1.1.5' -o csv wan.pcap.zst > connections.csv
  zcat wan.pcap.gz | mapiscope report --fail-on warning -`,
		Args:              captureArgs,
		ValidArgsFunction: completeCaptures,
		RunE: func(_ *cobra.Command, args []string) error {
			doc, err := a.analyse(args, nil)
			if err != nil {
				return err
			}
			return a.deliver(doc, func(w io.Writer) error { return a.render(w, doc) })
		},
	}
}

// render writes a document in the form that -o names.
func (a *app) render(w io.Writer, doc *document.Document) error {
	switch a.flags.output.value {
	case "json":
		return report.WriteJSON(w, doc)
	case "jsonl":
		return report.WriteJSONL(w, doc)
	case "csv":
		return report.WriteCSV(w, doc)
	}
	return report.WriteText(w, doc, a.textOptions())
}
