package pcaps

import (
	"io"
	"time"
)

// Packets of several interfaces come in batches, and a batch of one interface
// may hold packets that were captured behind those that another has yet to
// hand over. The earliest packet at hand is given out when every interface has
// one, when it or one that was read before has waited for the holdback, or when
// an interface has no room for more.

// first waits for the tap that has the next packet.
func (l *Live) first() (*tap, error) {
	if one := l.taps[0]; len(l.taps) == 1 && one.batch != nil && one.at < len(one.batch.packets) {
		return one, nil // there is nothing to choose from
	}
	t, wait, err := l.choose()
	if t != nil || err != nil {
		return t, err
	}
	l.timer.Reset(min(wait, liveIdle))
	select {
	case <-l.wake:
	case <-l.timer.C:
	}
	if t, _, err = l.choose(); t == nil && err == nil {
		err = ErrIdle
	}
	return t, err
}

// choose returns the tap with the next packet, or how long to wait for it if
// nothing comes, or io.EOF.
func (l *Live) choose() (*tap, time.Duration, error) {
	var first *tap
	missing := false
	for _, t := range l.taps {
		switch {
		case !l.fill(t):
			missing = missing || !t.over
		case first == nil || t.batch.packets[t.at].at < first.batch.packets[first.at].at:
			first = t
		}
	}
	switch {
	case first == nil && missing:
		return nil, liveIdle, nil
	case first == nil:
		l.ended = true
		return nil, 0, io.EOF
	case missing && l.holdback > 0:
		if wait := l.held(); wait > 0 {
			return nil, wait, nil
		}
	}
	return first, 0, nil
}

// fill reports whether a tap has a packet at hand, taking its next batch if
// need be.
func (l *Live) fill(t *tap) bool {
	if t.batch != nil {
		if t.at < len(t.batch.packets) {
			return true
		}
		select {
		case l.free <- t.batch:
		default:
		}
		t.batch = nil
	}
	t.at = 0
	select {
	case b, open := <-t.full:
		t.batch, t.over = b, !open
	default:
	}
	return t.batch != nil
}

// held returns how long the packets at hand have to wait for an interface that
// has none, 0 where they need not.
func (l *Live) held() time.Duration {
	now := l.now()
	wait, crowded := l.holdback, false
	for _, t := range l.taps {
		b := t.batch
		if b == nil {
			continue
		}
		if !b.due {
			left := l.holdback - now.Sub(b.read)
			wait, b.due = min(wait, left), left <= 0
		}
		if b.due {
			return 0
		}
		crowded = crowded || len(t.full) == cap(t.full)
	}
	if crowded {
		l.capture.HoldbackExceeded++
		return 0
	}
	return wait
}
