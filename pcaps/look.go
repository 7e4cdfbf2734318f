package pcaps

import "time"

// Where a file begins while others are still being read, packets are read
// ahead to see whether it shows what another shows: until the newcomer has
// shown lookPackets, at most lookAll packets or lookBytes together, and of a pipe
// that is followed for lookTime.
const (
	lookPackets = 64
	lookAll     = 2048
	lookBytes   = 4 << 20
	lookTime    = time.Second
)

// look holds packets that were read ahead, in the order in which they are
// given out.
type look struct {
	packets []early
	pos     int // of the next to be given out
	bytes   int // of those that were not
	chunk   []byte
}

// early is one packet that was read ahead.
type early struct {
	head  Packet
	src   *source
	print fingerprint
	known bool // print was taken
}

func (l *look) empty() bool   { return l.pos == len(l.packets) }
func (l *look) first() *early { return &l.packets[l.pos] }
func (l *look) full() bool    { return len(l.packets)-l.pos >= lookAll || l.bytes >= lookBytes }

// rest are the packets that were not given out.
func (l *look) rest() []early { return l.packets[l.pos:] }

// keep copies the packet of a source.
func (l *look) keep(s *source) {
	h := s.head
	if len(h.Data) > cap(l.chunk)-len(l.chunk) {
		// Chunks go when the last of their packets was given out.
		l.chunk = make([]byte, 0, max(chunkMin, len(h.Data)))
	}
	from := len(l.chunk)
	l.chunk = append(l.chunk, h.Data...)
	h.Data = l.chunk[from:len(l.chunk):len(l.chunk)]
	l.bytes += len(h.Data)
	s.held++
	l.packets = append(l.packets, early{head: h, src: s})
}

// drop takes out the first packet. Its data stays valid.
func (l *look) drop() {
	p := l.first()
	l.bytes -= len(p.head.Data)
	p.src.held--
	*p = early{}
	l.pos++
	switch {
	case l.empty():
		*l = look{packets: l.packets[:0]}
	case l.pos >= lookAll:
		n := copy(l.packets, l.rest())
		clear(l.packets[n:])
		l.packets, l.pos = l.packets[:n], 0
	}
}

// sources lists the captures of the packets that were not given out.
func (l *look) sources() []*source {
	var all []*source
	for i := range l.rest() {
		if s := l.rest()[i].src; len(all) == 0 || all[len(all)-1] != s {
			all = append(all, s)
		}
	}
	return all
}

// patient reports whether to read ahead on. Where somebody follows a pipe,
// packets that were read ahead do not wait for long.
func (r *Reader) patient(over <-chan time.Time) bool {
	if over == nil {
		return true
	}
	for _, s := range r.sources {
		atHand := s.pipe == nil || s.window != nil && s.window.tail > s.window.head
		if !atHand && !s.pipe.await(over) {
			return false
		}
	}
	select {
	case <-over:
		return false
	default:
		return true
	}
}
