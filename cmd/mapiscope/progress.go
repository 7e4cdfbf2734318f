package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// barDelay is how long a job runs before it shows its progress.
const barDelay = 500 * time.Millisecond

// lineStep is the time between two lines of progress off a terminal.
const lineStep = 5 * time.Second

// meter shows how far the reading of a job has come: a bar on a terminal,
// lines elsewhere.
type meter struct {
	a           *app
	mu          sync.Mutex // the reader tells, an interrupt closes
	show, bar   bool
	started     time.Time
	lined       time.Time
	on          *progressbar.ProgressBar
	read, total int64
}

func (a *app) meter() *meter {
	_, tty := terminal(a.stderr)
	mode := a.flags.progress.value
	return &meter{a: a, show: mode == "always" || mode == "auto" && tty, bar: tty, started: time.Now(), lined: time.Now()}
}

// tell takes the bytes read so far and the sum of the inputs' sizes, 0 when
// unknown.
func (m *meter) tell(read, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read, m.total = read, total
	switch now := time.Now(); {
	case !m.show:
	case !m.bar:
		if now.Sub(m.lined) >= lineStep {
			m.lined = now
			m.line()
		}
	case m.on == nil && now.Sub(m.started) >= barDelay:
		size := total
		if size == 0 {
			size = -1
		}
		m.on = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(m.a.stderr), progressbar.OptionSetDescription("mapiscope: reading"),
			progressbar.OptionSetWidth(30), progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		fallthrough
	case m.on != nil:
		_ = m.on.Set64(read) // the bar is decoration: its errors matter to nobody
	}
}

func (m *meter) line() {
	if m.total > 0 {
		m.a.say("read %s of %s (%d %%)", size(m.read), size(m.total), 100*m.read/m.total)
		return
	}
	m.a.say("read %s", size(m.read))
}

// close takes the bar off the screen and ends the showing.
func (m *meter) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.show:
	case m.on != nil:
		_ = m.on.Clear()
	case !m.bar:
		m.line()
	}
	m.show = false
}

// size writes bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.95 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}
