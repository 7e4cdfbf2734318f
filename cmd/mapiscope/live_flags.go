package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mapiscope/internal/device"
	"mapiscope/internal/sink"
	"mapiscope/pcaps"
)

// liveFlags are the flags of live.
type liveFlags struct {
	interfaces      []string
	read            string
	tty             *os.File // opened for the keys, where the standard input is read
	list            bool
	snaplen         int
	buffer          byteSize
	promiscuous     bool
	immediate       bool
	holdback        time.Duration
	duration        time.Duration
	count           int64
	interval        time.Duration
	screen          choice
	keepConnections int
	maxConnections  int
	idle            time.Duration
	halfOpen        time.Duration
	linger          time.Duration

	log        string
	styles     choices
	role       choice
	host       string
	rotate     time.Duration
	rotateSize byteSize
	keep       int
	zstd       bool
	queue      int
	whenFull   choice
	spool      byteSize

	write      string
	writeSize  byteSize
	writeFiles int

	metrics string
}

func newLiveFlags() *liveFlags {
	return &liveFlags{
		buffer: pcaps.LiveBuffer, role: roleChoice(),
		screen: choice{"auto", []string{"auto", "always", "never"}}, whenFull: choice{"block", []string{"block", "drop"}},
		styles: choices{of: device.Styles()},
	}
}

func (f *liveFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.SortFlags = false
	s.StringArrayVarP(&f.interfaces, "interface", "i", nil, "capture on `IFACE[+IFACE][:POINT]`; may be repeated, POINT is edge, wan or core; + joins the two directions of a tap")
	s.StringVarP(&f.read, "read", "r", "", "take the packets of `FILE` as they come, in the place of interfaces: a FIFO, a file, or - for standard input")
	s.BoolVar(&f.list, "list", false, "list the interfaces of this machine")
	s.IntVar(&f.snaplen, "snaplen", pcaps.LiveSnaplen, "`BYTES` to keep of each packet")
	s.Var(&f.buffer, "buffer", "memory in which the kernel holds packets of each interface")
	s.BoolVar(&f.promiscuous, "promiscuous", true, "take packets that are for others, too")
	s.BoolVar(&f.immediate, "immediate", false, "take each packet at once; without it up to 100 ms later, at less cost")
	s.DurationVar(&f.holdback, "holdback", pcaps.LiveHoldback, "`TIME` for which packets of several interfaces wait for earlier ones of another; 0: as they come")
	s.DurationVar(&f.duration, "duration", 0, "stop after this `TIME`, such as 90s or 8h (default: never)")
	s.Int64VarP(&f.count, "count", "c", 0, "stop after `N` packets (default: never)")
	s.DurationVar(&f.interval, "interval", 0, "`TIME` between two looks at what was found (default 10s, 2s with the screen)")
	s.Var(&f.screen, "screen", "show the screen; auto: where input and output are a terminal")
	s.IntVar(&f.keepConnections, "keep-connections", 20000, "ended connections that stay in the report, `N` in all; older ones only count")
	s.IntVar(&f.maxConnections, "max-connections", 0, "follow `N` open connections at once; past it closed, half-open, then the longest silent ones end (default: 65536 for each worker)")
	s.DurationVar(&f.idle, "idle", 135*time.Minute, "`TIME` of silence after which an open connection ends")
	s.DurationVar(&f.halfOpen, "half-open", 5*time.Minute, "`TIME` of silence after which one ends that showed nothing but SYNs")
	s.DurationVar(&f.linger, "linger", 2*time.Minute, "`TIME` for which a closed one waits for late packets")
	s.StringVar(&f.log, "log", "", "keep records in rotated files in the folder `DIR`")
	s.Var(&f.styles, "log-style", "logs of the device to keep there, too; may be repeated")
	s.Var(&f.role, "device", roleUsage)
	s.StringVar(&f.host, "host", "mapiscope", "`NAME` of the device in the system log")
	s.DurationVar(&f.rotate, "rotate", time.Hour, "begin new log files each `TIME`, by the clock; 0: never")
	s.Var(&f.rotateSize, "rotate-size", "begin a new log file before it grows past this (default: no limit)")
	s.IntVar(&f.keep, "keep", 0, "keep the latest `N` finished files of each log (default: all)")
	s.BoolVar(&f.zstd, "zstd", false, "compress finished files")
	s.IntVar(&f.queue, "queue", 1<<16, "`RECORDS` of each log that may wait to be written")
	s.Var(&f.whenFull, "when-full", "what happens when that many wait: block slows the capture, drop loses records and counts them")
	s.Var(&f.spool, "spool", "memory for what cannot be written while a disk is full or gone, of each log and of the packets (default: a 32nd of --max-memory, at most 64MiB)")
	s.StringVar(&f.write, "write", "", "keep the packets that were analysed in `FILE` (pcapng)")
	s.Var(&f.writeSize, "write-size", "begin another such file before it grows past this (default: one file)")
	s.IntVar(&f.writeFiles, "write-files", 0, "keep the latest `N` finished ones of these (default: all)")
	s.StringVar(&f.metrics, "metrics", "", "serve metrics for Prometheus, and /healthz, at `ADDR`; without a host on the loopback")
	complete(c, "screen", f.screen.of)
	complete(c, "log-style", f.styles.of)
	complete(c, "device", f.role.of)
	complete(c, "when-full", f.whenFull.of)
	must(c.MarkFlagDirname("log"))
	must(c.RegisterFlagCompletionFunc("interface", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		all, _ := pcaps.HostInterfaces() // nothing to offer without
		for _, i := range all {
			names = append(names, i.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
}

// must is for errors of registering what was declared a line before.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// taps returns the interfaces with their points: behind the name, else from
// --at, given once for all or once for each.
func (f *liveFlags) taps(at points) ([]pcaps.LiveInterface, error) {
	switch n := len(f.interfaces); {
	case n == 0:
		return nil, usageError("no interface given: name one with -i (`mapiscope live --list` names them), or a pipe with -r")
	case len(at) > 1 && len(at) != n:
		return nil, usageError("--at is given %d times for %s: give it once for all, or once for each", len(at), count(n, "interface"))
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	var out []pcaps.LiveInterface
	for i, text := range f.interfaces {
		tap := pcaps.LiveInterface{Name: text}
		switch {
		case len(at) == 1:
			tap.Point = at[0]
		case len(at) > 1:
			tap.Point = at[i]
		}
		if k := strings.LastIndexByte(text, ':'); k >= 0 && !isInterface(text) { // names may have colons of their own
			p, err := pcaps.ParsePoint(text[k+1:])
			if err != nil {
				return nil, usageError("-i %s: %w", text, err)
			}
			tap.Name, tap.Point = text[:k], p
		}
		for k, name := range halves(tap.Name) {
			if name == "" {
				return nil, usageError("-i %s: a + stands between the names of two interfaces", text)
			}
			if slices.ContainsFunc(out, func(o pcaps.LiveInterface) bool { return o.Name == name }) {
				return nil, usageError("-i: %s is given twice", name)
			}
			out = append(out, pcaps.LiveInterface{Name: name, Point: tap.Point, OtherHalf: k > 0})
		}
	}
	return out, nil
}

// onInterfaces are flags that say how packets are taken from an interface.
var onInterfaces = [...]string{"interface", "snaplen", "buffer", "promiscuous", "immediate", "holdback"}

// piped finds what makes no sense with --read.
func (f *liveFlags) piped(given func(flag string) bool) error {
	for _, flag := range onInterfaces {
		if given(flag) {
			return usageError("--%s and --read exclude each other: packets come from interfaces, or from a pipe", flag)
		}
	}
	return f.check()
}

// halves splits the interfaces of one tap. Names may have a + of their own.
func halves(text string) []string {
	if !strings.Contains(text, "+") || isInterface(text) {
		return []string{text}
	}
	return strings.Split(text, "+")
}

// isInterface reports whether this machine has an interface of a name.
func isInterface(name string) bool {
	all, _ := pcaps.HostInterfaces() // without a list there is none
	return slices.ContainsFunc(all, func(h pcaps.HostInterface) bool { return h.Name == name })
}

// check finds what makes no sense.
func (f *liveFlags) check() error {
	for _, number := range []struct {
		flag  string
		wrong bool
		want  string
	}{
		{"snaplen", f.snaplen < 1 || f.snaplen > pcaps.LiveSnaplen, fmt.Sprintf("from 1 to %d", pcaps.LiveSnaplen)},
		{"buffer", f.buffer < 1<<20 || f.buffer > 1<<30, "from 1MiB to 1GiB"},
		{"holdback", f.holdback < 0 || f.holdback > maxHoldback, "from 0 to 10s"},
		{"duration", f.duration < 0, "a time such as 90s or 8h"},
		{"count", f.count < 0, "1 or more"},
		{"interval", f.interval < 0 || f.interval > 0 && f.interval < 100*time.Millisecond, "100ms or more"},
		{"keep-connections", f.keepConnections < 0, "0 or more"},
		{"max-connections", f.maxConnections < 0, "1 or more"},
		{"idle", f.idle <= 0, "a time such as 90s or 8h"},
		{"half-open", f.halfOpen <= 0, "a time such as 90s or 8h"},
		{"linger", f.linger <= 0, "a time such as 90s or 8h"},
		{"rotate", f.rotate < 0 || f.rotate > 0 && f.rotate < time.Second, "1s or more, or 0"},
		{"keep", f.keep < 0, "0 or more"},
		{"queue", f.queue < 1 || f.queue > 1<<24, fmt.Sprintf("from 1 to %d", 1<<24)},
		{"write-files", f.writeFiles < 0, "0 or more"},
	} {
		if number.wrong {
			return usageError("--%s: it must be %s", number.flag, number.want)
		}
	}
	for _, part := range []struct {
		flag, needs string
		wrong       bool
	}{
		{"write-size", "--write", f.writeSize > 0 && f.write == ""},
		{"write-files", "--write-size: one file is never finished", f.writeFiles > 0 && f.writeSize == 0},
		{"log-style", "--log", len(f.styles.values) > 0 && f.log == ""},
		{"rotate-size", "--log", f.rotateSize > 0 && f.log == ""},
		{"keep", "--log", f.keep > 0 && f.log == ""},
		{"zstd", "--log", f.zstd && f.log == ""},
	} {
		if part.wrong {
			return usageError("--%s needs %s", part.flag, part.needs)
		}
	}
	if f.metrics == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(f.metrics)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return usageError("--metrics: it must be host:port or :port, with a port up to 65535")
	}
	return nil
}

// maxHoldback bounds --holdback: what is held back takes room.
const maxHoldback = 10 * time.Second

// every is the time between two views.
func (f *liveFlags) every(screened bool) time.Duration {
	switch {
	case f.interval > 0:
		return f.interval
	case screened:
		return 2 * time.Second
	}
	return 10 * time.Second
}

// maxSpool bounds the default of --spool.
const maxSpool = 64 << 20

// memory returns what the job may hold beside its analysis, of a limit, and
// settles --spool.
func (f *liveFlags) memory(limit int64, interfaces int) int64 {
	if f.spool == 0 {
		f.spool = byteSize(min(limit/32, maxSpool))
	}
	n := pcaps.LiveWaiting(interfaces)
	if f.log != "" {
		n += int64(f.spool) * int64(2+len(f.styles.values))
	}
	if f.write != "" {
		n += int64(f.spool) + packetQueue
	}
	return n
}

// packetQueue are the bytes of packets that may wait to be written.
const packetQueue = 16 << 20

// sink is how logs are written.
func (f *liveFlags) sink() sink.Config {
	return sink.Config{
		Dir: f.log, Rotate: f.rotate, RotateSize: int64(f.rotateSize), Keep: f.keep, Zstd: f.zstd,
		Queue: f.queue, WhenFull: f.full(), SpoolBytes: int64(f.spool), Now: time.Now,
	}
}

// ring is how packets are kept.
func (f *liveFlags) ring(c pcaps.Capture) sink.RingConfig {
	return sink.RingConfig{
		Path: f.write, Captures: []pcaps.Capture{c}, RotateSize: int64(f.writeSize), Keep: f.writeFiles,
		QueueBytes: packetQueue, WhenFull: f.full(), SpoolBytes: int64(f.spool), Now: time.Now,
	}
}

func (f *liveFlags) full() sink.WhenFull {
	if f.whenFull.value == "drop" {
		return sink.Drop
	}
	return sink.Block
}

// choices is the value of a flag that takes some of several words.
type choices struct {
	values []string
	of     []string
}

var _ pflag.Value = (*choices)(nil)

func (w *choices) String() string { return strings.Join(w.values, ",") }
func (w *choices) Type() string   { return strings.Join(w.of, "|") }
func (w *choices) Set(s string) error {
	for _, word := range strings.Split(s, ",") {
		if !slices.Contains(w.of, word) {
			return fmt.Errorf("it must be %s", list(w.of))
		}
		if !slices.Contains(w.values, word) {
			w.values = append(w.values, word)
		}
	}
	return nil
}
