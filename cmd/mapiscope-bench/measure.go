package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

type bencher struct {
	size, large   int64
	dir           string
	program, only string
	real          string // capture that is one more mix, "" for none
}

// cost is what one run of a program took.
type cost struct {
	wall time.Duration
	cpu  time.Duration
	peak int64 // resident memory, bytes; 0 where the system does not tell
}

// rounds is how often each program runs; the fastest run counts.
const rounds = 3

// measure runs a program and throws its output away. Slow programs run once.
func measure(name string, args ...string) (best cost, err error) {
	for i := range rounds {
		cmd := exec.Command(name, args...)
		out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			return best, err
		}
		cmd.Stdout = out
		begin := time.Now()
		err = cmd.Run()
		c := cost{wall: time.Since(begin)}
		out.Close()
		if err != nil {
			return best, fmt.Errorf("%s: %w", name, err)
		}
		c.peak = peakOf(cmd.ProcessState)
		c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if i == 0 || c.wall < best.wall {
			best = c
		}
		if c.wall > 10*time.Second {
			break
		}
	}
	return best, nil
}

// contender is a program that reads a capture.
type contender struct {
	name string
	args func(path string) []string
}

// contenders returns what is measured, ours first. Programs that are not
// installed are left out.
func (b *bencher) contenders() ([]contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	report := func(workers int) func(string) []string {
		return func(path string) []string {
			return []string{b.program, "report", "-o", "json", "--workers", fmt.Sprint(workers), path}
		}
	}
	all := []contender{
		{"mapiscope, 2 workers", report(2)},
		{"mapiscope, 1 worker", report(1)},
		{"gopacket read", func(path string) []string { return []string{self, "baseline", path} }},
	}
	for _, c := range []contender{
		{"tshark conv,tcp", func(path string) []string { return []string{"tshark", "-q", "-z", "conv,tcp", "-r", path} }},
		{"tshark fields", func(path string) []string {
			return []string{"tshark", "-r", path, "-Y", "dcerpc", "-T", "fields", "-e", "frame.number", "-e", "dcerpc.pkt_type", "-e", "dcerpc.cn_call_id", "-e", "dcerpc.opnum", "-e", "dcerpc.cn_frag_len"}
		}},
		{"tcptrace", func(path string) []string { return []string{"tcptrace", "-n", "-b", path} }},
	} {
		if _, err := exec.LookPath(c.args("")[0]); err == nil {
			all = append(all, c)
		}
	}
	return all, nil
}

func (b *bencher) run(w io.Writer) error {
	if err := os.MkdirAll(b.dir, 0o777); err != nil {
		return err
	}
	all, err := b.contenders()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %d processors, %s\n\n", processor(), runtime.NumCPU(), runtime.Version())
	if err := b.table(w, all); err != nil {
		return err
	}
	if b.large > 0 && b.only == "" {
		return b.memory(w)
	}
	return nil
}

// table measures all contenders on all mixes, the first of them against each
// of the others.
func (b *bencher) table(w io.Writer, all []contender) error {
	fmt.Fprintln(w, "| traffic | packets | program | seconds | processor s | packets/s | peak MB | first is so many times as fast | by processor time |")
	fmt.Fprintln(w, "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	mixes := slices.Clone(mixes)
	if b.real != "" {
		mixes = append(mixes, mix{name: "real " + filepath.Base(b.real), what: "a real capture, multiplied", alive: 64, file: b.real})
	}
	for _, m := range mixes {
		if !strings.Contains(m.name, b.only) {
			continue
		}
		if err := b.compare(w, &m, all); err != nil {
			return err
		}
	}
	return nil
}

// compare measures all contenders on one mix.
func (b *bencher) compare(w io.Writer, m *mix, all []contender) error {
	path, packets, err := b.capture(m, b.size)
	if err != nil {
		return err
	}
	var ours cost
	for i, c := range all {
		args := c.args(path)
		got, err := measure(args[0], args[1:]...)
		if err != nil {
			return err
		}
		wall, cpu := "", ""
		if i == 0 {
			ours = got
		} else {
			wall = fmt.Sprintf("%.2f", got.wall.Seconds()/ours.wall.Seconds())
			cpu = fmt.Sprintf("%.2f", got.cpu.Seconds()/ours.cpu.Seconds())
		}
		fmt.Fprintf(w, "| %s | %d | %s | %.2f | %.2f | %.0f | %d | %s | %s |\n", m.name, packets, c.name,
			got.wall.Seconds(), got.cpu.Seconds(), float64(packets)/got.wall.Seconds(), got.peak>>20, wall, cpu)
	}
	return nil
}

// memory measures the peak memory on captures of rising length with 10,000
// live connections, without a bound and with bounds.
func (b *bencher) memory(w io.Writer) error {
	fmt.Fprintln(w, "\n| small calls, 10,000 live connections | packets | --max-memory | seconds | processor s | peak MB |")
	fmt.Fprintln(w, "| ---: | ---: | ---: | ---: | ---: | ---: |")
	m := mixes[0]
	m.name, m.alive = "live", 3334
	for _, size := range []int64{b.large / 10, b.large} {
		path, packets, err := b.capture(&m, size)
		if err != nil {
			return err
		}
		for _, limit := range []string{"", "96MB", "384MB"} {
			args := []string{"report", "-o", "json", path}
			if limit != "" {
				args = append(args, "--max-memory", limit)
			}
			got, err := measure(b.program, args...)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "| %.1f GB | %d | %s | %.2f | %.2f | %d |\n",
				float64(size)/1e9, packets, cmp.Or(limit, "none"), got.wall.Seconds(), got.cpu.Seconds(), got.peak>>20)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// capture makes the capture of a mix, if it is not there yet, reads it once so
// that it lies in memory, and counts its packets.
func (b *bencher) capture(m *mix, size int64) (path string, packets int64, err error) {
	path = filepath.Join(b.dir, fmt.Sprintf("%s-%d.pcap", slug(m.name), size))
	count := path + ".packets"
	if raw, err := os.ReadFile(count); err == nil {
		if _, err := fmt.Sscan(string(raw), &packets); err == nil {
			if _, err := os.Stat(path); err == nil {
				return path, packets, warm(path)
			}
		}
	}
	t, err := m.template()
	if err != nil {
		return "", 0, err
	}
	if packets, err = multiply(path, t, size, m.alive); err != nil {
		return "", 0, err
	}
	if err := os.WriteFile(count, []byte(fmt.Sprintln(packets)), 0o666); err != nil {
		return "", 0, err
	}
	return path, packets, warm(path)
}

func warm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// processor names the processor where the system tells.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, ok := strings.CutPrefix(s.Text(), "model name"); ok {
			return strings.TrimLeft(name, "\t :")
		}
	}
	return runtime.GOARCH
}
