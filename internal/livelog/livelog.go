// Package livelog writes what a live job finds into rotated files: events and
// records as JSON lines, and the logs of a device.
package livelog

import (
	"bytes"
	"context"
	"errors"
	"time"

	"mapiscope/internal/device"
	"mapiscope/internal/live"
	"mapiscope/internal/report"
	"mapiscope/internal/sink"
)

// Options say what is written, and where.
type Options struct {
	// Sink says where and how; Name, Ext and Location of times are each
	// file's own.
	Sink   sink.Config
	Styles []string // logs of the device, as device.Styles names them, beside the JSON lines
	Role   device.Role
	Host   string         // that the system log names
	Times  *time.Location // of the device's logs; nil is UTC
}

// Log writes the batches of a live job into the files events and records, and
// one for each style.
type Log struct {
	options Options
	events  *sink.Log[entry]
	records *sink.Log[entry]
	styles  []*style
	device  settling
}

// entry writes one or more lines; it is called behind the queue.
type entry func(*report.Records) error

// Open begins the log.
func Open(o Options) (*Log, error) {
	l := &Log{options: o}
	for _, part := range []struct {
		name string
		log  **sink.Log[entry]
	}{{"events", &l.events}, {"records", &l.records}} {
		opened, err := openEntries(o.Sink, part.name)
		if err != nil {
			return nil, errors.Join(err, l.abandon())
		}
		*part.log = opened
	}
	for _, name := range o.Styles {
		s, err := openStyle(o.Sink, name)
		if err != nil {
			return nil, errors.Join(err, l.abandon())
		}
		l.styles = append(l.styles, s)
	}
	return l, nil
}

// openEntries opens a log of JSON lines.
func openEntries(c sink.Config, name string) (*sink.Log[entry], error) {
	c.Name, c.Ext = name, "jsonl"
	var line bytes.Buffer
	out := report.NewRecords(&line)
	return sink.Open(c, func(dst []byte, write entry) ([]byte, error) {
		line.Reset()
		err := write(out)
		return append(dst, line.Bytes()...), err
	})
}

// abandon ends what was opened, with nothing in it.
func (l *Log) abandon() error { return l.Close(context.Background()) }

// Take writes what became final with a view. Where a queue is full it waits or
// loses records, as Options.Sink says.
func (l *Log) Take(b *live.Batch) {
	events := b.Doc.MainEvents()
	for i := range events {
		e := &events[i]
		l.events.Put(func(r *report.Records) error { return r.Write("event", e) })
	}
	Records(b, func(write func(*report.Records) error) { l.records.Put(write) })
	if len(l.styles) > 0 {
		l.device.take(b, l.styles, device.Options{Role: l.options.Role, Location: l.options.Times}, l.options.Host)
	}
}

// Records gives each record of a batch, events left out, to put, in the order
// in which they are to be written. Numbers of connections and groups are those
// of the whole job.
func Records(b *live.Batch, put func(write func(*report.Records) error)) {
	all(put, "endpoint", b.Endpoints)
	all(put, "kerberos_error", b.Kerberos)
	all(put, "connection", b.Connections)
	all(put, "association_group", b.Groups)
	all(put, "finding", b.Findings)
	status := statusOf(&b.Status)
	put(func(r *report.Records) error { return r.Write("status", status) })
	if b.Final {
		put(func(r *report.Records) error { return r.Summary(b.Doc) })
	}
}

func all[T any](put func(func(*report.Records) error), kind string, items []*T) {
	for _, item := range items {
		put(func(r *report.Records) error { return r.Write(kind, item) })
	}
}

// sinks are all files of the log.
func (l *Log) sinks() []file {
	var all []file
	if l.events != nil {
		all = append(all, l.events)
	}
	if l.records != nil {
		all = append(all, l.records)
	}
	for _, s := range l.styles {
		all = append(all, s.log)
	}
	return all
}

// file is what the files have in common.
type file interface {
	Stats() sink.Stats
	Rotate()
	Close(context.Context) error
}

// Queue tells how the log is doing, all files together.
func (l *Log) Queue() live.Queue {
	var q live.Queue
	for _, f := range l.sinks() {
		s := f.Stats()
		q.Waiting += s.Waiting
		q.Capacity += s.Capacity
		q.Written += s.Written
		q.Lost += s.Lost + s.Unformatted
		q.Spooled += s.Spooled
		for _, why := range [...]string{s.Failing, s.FormatError, s.Upkeep} {
			if q.Failing == "" {
				q.Failing = why
			}
		}
	}
	return q
}

// Rotate finishes the files that are being written.
func (l *Log) Rotate() {
	for _, f := range l.sinks() {
		f.Rotate()
	}
}

// Close writes what waits and finishes the files. It goes on trying until ctx
// ends; the error says what was lost then.
func (l *Log) Close(ctx context.Context) error {
	var errs []error
	for _, f := range l.sinks() {
		errs = append(errs, f.Close(ctx))
	}
	return errors.Join(errs...)
}
