package main

import (
	"os"
	"syscall"
)

// peakOf returns the most memory that a program that ended had resident, bytes.
func peakOf(p *os.ProcessState) int64 {
	if u, ok := p.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}
