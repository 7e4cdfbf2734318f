package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	engine "mapiscope/internal/run"

	"github.com/spf13/cobra"

	"mapiscope/internal/document"
	"mapiscope/internal/report"
	"mapiscope/pcaps"
)

// sides are the flags that name captures by where they were taken.
type sides struct{ edge, wan, core []string }

func newCompare(a *app) *cobra.Command {
	var p sides
	cmd := &cobra.Command{
		Use:   "compare --edge CAPTURE... --core CAPTURE... [--wan CAPTURE...]",
		Short: "The same connections captured in two or three sides",
		Long: `compare pairs the connections of captures from the clients' side (--edge) with
those from the servers' side (--core), and with those from between the devices
(--wan), and says of each connection and group whether it was optimized or
passed through, who ended it, how much it shrank, and what became of its calls:
answered by the server or by an accelerator. The clocks of the captures may
differ and drift; addresses and ports may be rewritten on the way. NAME=CAPTURE
names the site of a capture, unless a file of that whole name exists: captures
of two sites are never taken for one capture point.

A pcapng file whose interfaces are the capture points, or captures with --at,
do as well. Two documents of -o json are compared figure by figure.`,
		Example: `  mapiscope compare --edge branch.pcap --core dc.pcap
  mapiscope compare --edge b1.pcap b2.pcap --core dc.pcap.gz --wan wan.pcap
  mapiscope compare --edge paris=p.pcap rome=r.pcap --core dc.pcap
  mapiscope compare merged.pcapng
  mapiscope compare --fail-on error -o json --edge branch.pcap --core dc.pcap
  mapiscope compare before.json after.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args)+len(p.edge)+len(p.wan)+len(p.core) == 0 {
				return errors.New("no capture given: name the sides with --edge and --core")
			}
			return nil
		},
		ValidArgsFunction: completeCaptures,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 && len(p.edge)+len(p.wan)+len(p.core) == 0 && isDocument(args[0]) && isDocument(args[1]) {
				return a.compareDocuments(args[0], args[1])
			}
			return a.comparePoints(&p, args)
		},
	}
	s := cmd.Flags()
	s.SortFlags = false
	s.StringArrayVar(&p.edge, "edge", nil, "a `CAPTURE` from between the clients and the edge device, or SITE=CAPTURE; more may follow")
	s.StringArrayVar(&p.core, "core", nil, "a `CAPTURE` from between the core device and the servers")
	s.StringArrayVar(&p.wan, "wan", nil, "a `CAPTURE` from between the two devices")
	return cmd
}

// placeFlags are the flags that take all names up to the next flag.
var placeFlags = []string{"--edge", "--core", "--wan"}

// spread turns "--edge A B" into "--edge=A --edge=B" in the arguments of the
// command compare.
func spread(args []string) []string {
	if len(args) == 0 || args[0] != "compare" {
		return args
	}
	var out []string
	flag := ""
	for i, arg := range args {
		switch {
		case arg == "--":
			return append(out, args[i:]...)
		case slices.Contains(placeFlags, arg):
			flag = arg
			if i+1 == len(args) || strings.HasPrefix(args[i+1], "-") && args[i+1] != "-" {
				out = append(out, arg+"=") // without a name: refused below
			}
		case strings.HasPrefix(arg, "-") && arg != "-":
			out, flag = append(out, arg), ""
			if name, _, ok := strings.Cut(arg, "="); ok && slices.Contains(placeFlags, name) {
				flag = name
			}
		case flag != "":
			out = append(out, flag+"="+arg)
		default:
			out = append(out, arg)
		}
	}
	return out
}

// siteOf takes the name of a site off a capture: NAME=CAPTURE. A file of the
// whole name comes first, and what has a slash before the sign is a path.
func siteOf(arg string) (site, path string) {
	site, path, named := strings.Cut(arg, "=")
	if !named || site == "" || path == "" || strings.ContainsAny(site, `/\`) {
		return "", arg
	}
	if _, err := os.Stat(arg); err == nil {
		return "", arg
	}
	return site, path
}

// comparePoints compares captures.
func (a *app) comparePoints(p *sides, args []string) error {
	named := len(p.edge)+len(p.wan)+len(p.core) > 0
	switch {
	case named && len(args) > 0:
		return usageError("%q stands behind no --edge, --core or --wan", args[0])
	case named && len(a.flags.at) > 0:
		return usageError("--at is for captures without --edge, --core and --wan")
	}
	if named {
		args = nil
		for _, side := range []struct {
			paths []string
			at    pcaps.Point
		}{{p.edge, pcaps.Edge}, {p.wan, pcaps.WAN}, {p.core, pcaps.Core}} {
			for _, path := range side.paths {
				if path == "" {
					return usageError("--%s names no capture", side.at)
				}
				site, path := siteOf(path)
				args = append(args, path)
				a.flags.at, a.flags.sites = append(a.flags.at, side.at), append(a.flags.sites, site)
			}
		}
	}
	doc, err := a.analyse(args, func(c *engine.Config) { c.Compare = true })
	if err != nil {
		return err
	}
	if missing := missingPoint(doc); missing != "" {
		for i := range doc.Captures {
			if c := &doc.Captures[i]; c.Format == "" && c.Error != nil {
				return &failure{statusInput, fmt.Errorf("%s: %s", c.Path, *c.Error)}
			}
		}
		return a.wanting(doc, "nothing to compare: no packet was captured at the %s; name the sides with --edge and --core, or with --at", missing)
	}
	return a.deliver(doc, func(w io.Writer) error { return a.renderComparison(w, doc) })
}

// missingPoint names the capture point that a comparison has no packet of.
func missingPoint(doc *document.Document) string {
	seen := make(map[string]bool)
	for i := range doc.Captures {
		for _, f := range doc.Captures[i].Interfaces {
			seen[f.At] = seen[f.At] || f.Packets > 0
		}
	}
	for _, p := range []string{doc.Comparison.Near, doc.Comparison.Far} {
		if !seen[p] {
			return p
		}
	}
	return ""
}

// renderComparison writes a comparison in the form that -o names.
func (a *app) renderComparison(w io.Writer, doc *document.Document) error {
	switch a.flags.output.value {
	case "text":
		return report.WriteComparison(w, doc, a.textOptions())
	case "csv":
		return report.WritePairs(w, doc)
	}
	return a.render(w, doc)
}
