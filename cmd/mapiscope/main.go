// Command mapiscope reads packet captures of Outlook and Exchange traffic and
// says which connections a pair of WAN optimizers accelerates, which ones
// escape it, and why.
package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A reader that went away is met as an error of the write, so that the
	// exit status stays that of the job.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole command: it returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: &syncWriter{w: stderr}}
	root := newRoot(a)
	args, err := expand(root, args)
	if err == nil {
		root.SetArgs(spread(args))
		err = root.Execute()
	}
	if err != nil {
		a.complain(err)
		return statusOf(err)
	}
	return a.status
}
