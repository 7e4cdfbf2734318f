package livelog

import (
	"time"

	"mapiscope/internal/device"
	"mapiscope/internal/document"
	"mapiscope/internal/live"
	"mapiscope/internal/sink"
)

// settleTime is how long, in time of the capture, a line of the device waits
// before it is written: what a connection is, and what it passed, shows with
// its first calls, and from the connections beside it.
const settleTime = 30 * time.Second

// maxSettling bounds the events that wait; past it the oldest are taken as they
// are.
const maxSettling = 1 << 16

// settling holds back what lines of the device would say too early.
type settling struct {
	events []document.Event
}

// style is one of the device's logs.
type style struct {
	name string
	log  *sink.Log[string]
	told map[int]map[string]bool // what was said of each connection and is said once
}

func openStyle(c sink.Config, name string) (*style, error) {
	c.Name, c.Ext = name, "log"
	log, err := sink.Open(c, func(dst []byte, line string) ([]byte, error) {
		return append(append(dst, line...), '\n'), nil
	})
	if err != nil {
		return nil, err
	}
	return &style{name: name, log: log, told: make(map[int]map[string]bool)}, nil
}

// take writes the lines that can be written with a batch.
func (s *settling) take(b *live.Batch, styles []*style, o device.Options, host string) {
	doc := *b.Doc
	settled := settledBy(b)
	s.events = append(s.events, doc.Events...)
	excess := len(s.events) - maxSettling
	doc.Events = nil
	var waiting []document.Event
	for i := range s.events {
		if e := &s.events[i]; i < excess || settled(e.Connection, instant(e.Time)) {
			doc.Events = append(doc.Events, *e)
		} else {
			waiting = append(waiting, *e)
		}
	}
	s.events = waiting
	v := device.New(&doc, o)
	for _, st := range styles {
		st.write(v, &doc, host, settled)
	}
}

// settledBy returns what tells whether a line about a connection and a time
// stays as it is.
func settledBy(b *live.Batch) func(connection int, at time.Time) bool {
	var now time.Time
	for i := range b.Doc.Captures {
		if last := b.Doc.Captures[i].Last; last != nil {
			now = instant(*last)
		}
	}
	ended := make(map[int]bool)
	for _, c := range b.Connections {
		ended[c.ID] = true // they may be forgotten before the next batch
	}
	return func(connection int, at time.Time) bool {
		return b.Final || ended[connection] || now.Sub(at) >= settleTime
	}
}

// instant reads a time of a document.
func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err) // package document wrote it
	}
	return t
}

func (s *style) write(v *device.Views, doc *document.Document, host string, settled func(int, time.Time) bool) {
	lines, _, err := v.Lines(s.name, host)
	if err != nil {
		panic(err) // styles are checked where they are chosen
	}
	told := make(map[int]map[string]bool)
	for i := range doc.Connections {
		id := doc.Connections[i].ID
		if was := s.told[id]; was != nil {
			told[id] = was
		}
	}
	for _, line := range lines {
		if line.Once != "" {
			if told[line.Connection][line.Once] || !settled(line.Connection, line.Time) {
				continue
			}
			if told[line.Connection] == nil {
				told[line.Connection] = make(map[string]bool)
			}
			told[line.Connection][line.Once] = true
		}
		s.log.Put(line.Text)
	}
	s.told = told
}
