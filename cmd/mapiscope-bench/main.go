// Command bench makes large captures and measures `mapiscope report` on them
// against other programs, each pair in the same run: what counts is the ratio,
// which hardly depends on the machine. `make bench` runs it.
//
//	bench [-size BYTES] [-dir FOLDER] [-mapiscope PROGRAM] [-only MIX] [-large BYTES] [-real CAPTURE]
//
// It prints a table in Markdown. Captures are made once and kept in the folder.
// A capture named with -real is multiplied too, each copy with addresses of its
// own.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "baseline" {
		if err := baseline(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var b bencher
	flag.Int64Var(&b.size, "size", 500_000_000, "bytes of each capture")
	flag.Int64Var(&b.large, "large", 5_000_000_000, "bytes of the capture that memory is measured on, 0 for none")
	flag.StringVar(&b.dir, "dir", filepath.Join(os.TempDir(), "mapiscope-bench"), "folder of the captures")
	flag.StringVar(&b.program, "mapiscope", "./mapiscope", "program to measure")
	flag.StringVar(&b.only, "only", "", "measure only mixes whose name contains this")
	flag.StringVar(&b.real, "real", "", "capture of Ethernet frames to multiply, measured as one more mix")
	flag.Parse()
	if err := b.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// slug makes a file name of the name of a mix.
func slug(name string) string { return strings.ReplaceAll(name, " ", "-") }
