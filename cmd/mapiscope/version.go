package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"mapiscope/internal/document"
	"mapiscope/pcaps"
)

// release is set by the linker for released binaries:
// -ldflags "-X main.release=v1.2.3".
var release string

// buildInfo says which build this is.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	BPF      bool   `json:"bpf"` // packet filters are built in
	Schema   string `json:"schema"`
}

func version() buildInfo {
	v := buildInfo{
		Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		BPF: pcaps.HaveBPF, Schema: document.Schema,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if m := info.Main.Version; m != "" && m != "(devel)" {
			v.Version = m
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if release != "" {
		v.Version = release
	}
	return v
}

// String is the version in one line.
func (v buildInfo) String() string {
	s := "mapiscope " + v.Version
	if v.Revision != "" {
		s += " (" + v.Revision[:min(12, len(v.Revision))]
		if v.Modified {
			s += ", modified"
		}
		s += ")"
	}
	filters := "with packet filters"
	if !v.BPF {
		filters = "without packet filters"
	}
	return fmt.Sprintf("%s, %s, %s, %s, schema %s", s, v.Go, v.Platform, filters, v.Schema)
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version of the program",
		Args:              cobra.NoArgs,
		Annotations:       bare(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if err := a.only("text", "json"); err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if a.flags.output.value == "json" {
					return json.NewEncoder(w).Encode(version())
				}
				_, err := fmt.Fprintln(w, version())
				return err
			})
		},
	}
}
