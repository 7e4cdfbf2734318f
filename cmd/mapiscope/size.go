package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"
)

// byteSize is the value of a flag that takes a number of bytes: 500000, 64M, 2GB
// (powers of 1000) or 64MiB, 2GiB (powers of 1024).
type byteSize int64

var _ pflag.Value = (*byteSize)(nil)

func (n *byteSize) Type() string { return "SIZE" }

// String writes whole binary units as such.
func (n *byteSize) String() string {
	if *n == 0 {
		return "" // no limit, which flags say in words
	}
	return strings.ReplaceAll(humanize.IBytes(uint64(*n)), " ", "")
}

func (n *byteSize) Set(s string) error {
	v, err := humanize.ParseBytes(s)
	if err != nil || v == 0 || v > math.MaxInt64 {
		return fmt.Errorf("it must be a size such as 500000, 64MB or 2GiB")
	}
	*n = byteSize(v)
	return nil
}
