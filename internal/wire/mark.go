// Package wire holds the few things every decoder needs: a bounds-checked
// cursor over captured bytes and the mark that ties a decoded fact to the
// packet that carried it.
package wire

import "time"

// Mark says which captured packet carried something and when.
// It is the unit of evidence: every fact in a report can name one.
type Mark struct {
	Time    int64 // capture time, nanoseconds since the Unix epoch
	Packet  int64 // 1-based number of the packet in its capture; 0 is no mark
	Capture int32 // index of the capture in the job
	// Untimed says that the packet has no capture time of its own: Time is that
	// of the packet before it in the capture, 0 without one, and orders it.
	Untimed bool
}

// IsZero reports whether the mark names no packet.
func (m Mark) IsZero() bool { return m.Packet == 0 }

// When returns the capture time of the marked packet in UTC.
func (m Mark) When() time.Time { return time.Unix(0, m.Time).UTC() }

// Before orders marks by time, then by capture and packet number.
func (m Mark) Before(o Mark) bool {
	if m.Time != o.Time {
		return m.Time < o.Time
	}
	if m.Capture != o.Capture {
		return m.Capture < o.Capture
	}
	return m.Packet < o.Packet
}

// Stamp prints a capture time as RFC 3339 UTC with nanoseconds.
func Stamp(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z")
}
