package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	engine "mapiscope/internal/run"

	"mapiscope/internal/escape"
	"mapiscope/internal/live"
	"mapiscope/internal/report"
	"mapiscope/pcaps"
)

func newLive(a *app) *cobra.Command {
	f := newLiveFlags()
	c := &cobra.Command{
		Use:   "live -i IFACE[:POINT]... | -r FILE",
		Short: "The same analysis on live interfaces or a pipe, for as long as you like",
		Long: `live captures on one or more interfaces and analyses what it sees as it comes.
On a terminal it shows a screen (? lists its keys); elsewhere it prints a line
for each interval. The report follows at the end: on an interrupt, after
--duration, after --count packets, or with the pipe. With -o jsonl each record is printed as
soon as it is final.

A capture point behind the name of an interface says where it is: eth1:edge,
eth2:wan, eth3:core. Capturing needs root, or the capabilities cap_net_raw and
cap_net_admin.

A full-duplex tap shows each direction on an interface of its own: -i eth1+eth2
makes the two one capture point. Packets of several interfaces are analysed in
order of time; for that they wait up to --holdback for each other.

-r takes packets from a pipe as they come, in the place of interfaces: - is the
standard input, FILE a FIFO (or a file that is there). Whoever captures should
not keep packets back: tcpdump -U, dumpcap. Packets count from 1 as they come.

--log keeps records in rotated files: events.jsonl and records.jsonl, and the
logs of the device with --log-style. --write keeps the packets themselves. Both
go on while their disk is full or gone: what is due waits in memory (--spool)
and is written when the disk is back. SIGHUP begins new files. One job writes a
log; a second one in the same folder refuses.

It uses 1 GiB of memory at most unless --max-memory says otherwise; what has to
go then is counted under limits.

The first SIGINT or SIGTERM stops the capture, writes what is due and prints the
report; the second ends at once.`,
		Example: `  mapiscope live --list
  mapiscope live -i eth1
  mapiscope live -i eth1:edge -i eth2:wan -f 'tcp' --duration 1h -o json > doc.json
  mapiscope live -i eth1+eth2:wan
  ssh tap tcpdump -i eth1 -U -s 0 -w - | mapiscope live -r -
  mapiscope live -i eth1 --log /var/log/mapiscope --rotate 1h --keep 168 --metrics :9847
  mapiscope live -i eth1 --write ring.pcapng --write-size 100MB --write-files 20`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.list:
				return a.listInterfaces()
			case f.read != "":
				if err := f.piped(c.Flags().Changed); err != nil {
					return err
				}
				return a.follow(f)
			}
			return a.live(f)
		},
	}
	f.register(c)
	return c
}

// live captures and analyses until the job ends.
func (a *app) live(f *liveFlags) error {
	interfaces, err := f.taps(a.flags.at)
	if err != nil {
		return err
	}
	job, err := a.liveConfig(f, f.interfaces, len(interfaces))
	if err != nil {
		return err
	}
	src, err := pcaps.OpenLive(interfaces, pcaps.LiveOptions{
		Snaplen: f.snaplen, Buffer: int(f.buffer), Promiscuous: f.promiscuous, Immediate: f.immediate, Filter: a.flags.filter,
		Holdback: f.holdback, Now: time.Now,
	})
	if errors.Is(err, pcaps.ErrNoBPF) {
		return usageError("-f: %w", err)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	return a.watch(src, f, job)
}

// follow analyses what comes through a pipe until the job ends.
func (a *app) follow(f *liveFlags) error {
	paths := []string{f.read}
	job, err := a.liveConfig(f, paths, 1)
	if err != nil {
		return err
	}
	src, err := pcaps.OpenStream(f.read, pcaps.Options{
		At: a.flags.at, Filter: a.flags.filter, Stdin: a.stdin, Hold: engine.InputMemory(int64(a.flags.maxMemory)),
	})
	if errors.Is(err, pcaps.ErrNoBPF) {
		return usageError("-f: %w", err)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	return a.watch(src, f, job)
}

// watch runs a live job over a source.
func (a *app) watch(src live.Source, f *liveFlags, job engine.Config) error {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	o, err := a.openOutputs(f, src.Capture(), stop)
	if err != nil {
		return err
	}
	// Who waits for a place in a full queue must not wait for ever.
	context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, func() { _ = o.close() }) })
	defer a.signals(o, stop)()
	hide := a.showScreen(ctx, o, stop)
	a.say("%s; interrupt to stop", capturing(f, src))

	doc, ended := live.Run(ctx, src, live.Config{
		Analysis: job,
		Interval: f.every(o.screen != nil), Keep: f.keepConnections, Duration: f.duration, Count: f.count,
		Now: time.Now, View: o.view, Log: o.take, Packet: o.packet(src), Queue: o.queue, MemoryLimit: int64(a.flags.maxMemory),
	})
	stop(nil)
	hide()
	unread := unreadable(ended)
	if ended != nil && unread == nil {
		a.complain(ended)
	}
	lost := o.close()
	switch {
	case unread != nil:
		return unread
	case o.failed != nil:
		return o.failed
	case a.flags.output.value == jsonLines:
		a.doubt(doc)
		a.status = a.flags.statusOf(doc)
	default:
		if err := a.deliver(doc, func(w io.Writer) error { return a.render(w, doc) }); err != nil {
			return err
		}
	}
	if ended != nil {
		a.status = statusDamaged
	}
	if lost != nil {
		return &failure{statusInput, lost}
	}
	return nil
}

// unreadable returns the error of a pipe that brought no capture at all: it tells
// late, when somebody has written to it.
func unreadable(err error) error {
	var open *pcaps.OpenError
	var filter *pcaps.FilterError
	switch {
	case errors.As(err, &open):
		return open
	case errors.As(err, &filter):
		return filter
	}
	return nil
}

// capturing says what a job does.
func capturing(f *liveFlags, src live.Source) string {
	switch f.read {
	case "":
		return "capturing on " + src.Capture().Path
	case "-":
		return "reading standard input"
	}
	return "reading " + f.read
}

// liveMemory is --max-memory of a live job that does not say.
const liveMemory = 1 << 30

// liveConfig describes the analysis. It may use what --max-memory leaves beside
// the packets that wait for it and what waits to be written.
func (a *app) liveConfig(f *liveFlags, paths []string, interfaces int) (engine.Config, error) {
	if f.screen.value == "always" && !a.interactive(f) {
		return engine.Config{}, usageError("--screen always: input and output must be a terminal")
	}
	if a.flags.maxMemory == 0 {
		a.flags.maxMemory = liveMemory
	}
	beside := f.memory(int64(a.flags.maxMemory), interfaces)
	if least := engine.MinMemory + beside; int64(a.flags.maxMemory) < least {
		return engine.Config{}, usageError("--max-memory: a job with these outputs needs at least %s", humanize.IBytes(uint64(least)))
	}
	c, err := a.config(paths)
	c.MaxMemory -= beside
	c.Events, c.Live = f.log != "", true
	c.Connections, c.Idle, c.HalfOpen, c.Linger = f.maxConnections, f.idle, f.halfOpen, f.linger
	return c, err
}

// signals takes interrupts and hang-ups until the function that it returns is
// called.
func (a *app) signals(o *outputs, stop context.CancelCauseFunc) func() {
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-ch:
				if s == syscall.SIGHUP && o.rotate() {
					continue
				}
				stop(fmt.Errorf("signal: %v", s))
				a.say("stopping: what is due is written and the report follows; interrupt again to end at once")
				time.Sleep(sameSignal)
				signal.Reset(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
				return
			}
		}
	}()
	return func() {
		signal.Stop(ch)
		close(done)
	}
}

// showScreen starts the screen, if there is to be one, and returns what gives the
// terminal back.
func (a *app) showScreen(ctx context.Context, o *outputs, stop context.CancelCauseFunc) (hide func()) {
	if o.screen == nil {
		return func() {}
	}
	ctx, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	a.stderr.hold() // messages would tear the picture: they come when it is gone
	go func() {
		err := o.screen.Run(ctx, o.keys, a.stdout)
		switch {
		case ctx.Err() != nil:
			err = nil
		case err == nil:
			stop(errQuit)
		case o.log == nil && o.ring == nil: // nobody would ever see what is found
			stop(err)
		}
		ended <- err
	}()
	return func() {
		end()
		err := <-ended
		a.stderr.release()
		if err != nil {
			a.say("the screen failed: %v", err)
		}
	}
}

var errQuit = errors.New("the user quit")

// listInterfaces prints the interfaces of this machine.
func (a *app) listInterfaces() error {
	if err := a.only("text", "json"); err != nil {
		return err
	}
	all, err := pcaps.HostInterfaces()
	if err != nil {
		return &failure{statusInput, err}
	}
	return a.write(func(w io.Writer) error {
		if a.flags.output.value == "json" {
			return report.WriteObject(w, interfaceRows(all))
		}
		for _, i := range all {
			state := "down"
			if i.Up {
				state = "up"
			}
			line := fmt.Sprintf("%-16s %-5s %-17s %s", escape.Text(i.Name), state, cmp.Or(i.Hardware, "-"), strings.Join(i.Addresses, " "))
			if i.Point != pcaps.Unknown {
				line += fmt.Sprintf(" (taken for the %v)", i.Point)
			}
			if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
				return err
			}
		}
		return nil
	})
}

// interfaceRow is an interface in -o json.
type interfaceRow struct {
	Name      string   `json:"name"`
	Up        bool     `json:"up"`
	Loopback  bool     `json:"loopback"`
	Hardware  *string  `json:"hardware_address"`
	Addresses []string `json:"addresses"`
	At        string   `json:"at"`
}

func interfaceRows(all []pcaps.HostInterface) []interfaceRow {
	rows := []interfaceRow{}
	for _, i := range all {
		r := interfaceRow{Name: i.Name, Up: i.Up, Loopback: i.Loopback, Addresses: append([]string{}, i.Addresses...), At: i.Point.String()}
		if i.Hardware != "" {
			r.Hardware = &i.Hardware
		}
		rows = append(rows, r)
	}
	return rows
}
