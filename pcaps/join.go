package pcaps

import (
	"hash/maphash"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// strand is an interface of a capture, the unit that taps are made of.
type strand struct {
	src   *source
	iface int32
	place int   // among the interfaces of its section of the file
	first int64 // time of its first packet
	read  int64 // latest time of a packet of it that was read
	tap   Tap   // 0 until its first packet is given out
	ahead int64 // how far its clock is ahead of its tap's, ns
	bit   uint8 // its number among the strands of its tap
}

// point is a tap in the making.
type point struct {
	tap    Tap
	where  Interface // its first interface, as it was when it began
	same   []Tap     // that show the same packets and were said to be elsewhere
	open   []*strand // that may show more
	tail   *strand   // of those that ended, the one that ended last
	count  int       // strands so far
	copies *copies   // where several strands show the same packets
	until  int64     // by the clock of the tap, when the last copy may come
	hosts  *hosts    // where other captures may continue it
}

// maxTaps bounds the capture points of a job; the last one stands for all
// further ones.
const maxTaps = 1024

// Files of a ring, and those that several queues feed, may overlap by
// overlapSlack and still follow each other. What was given out within
// watchTime before an interface begins is remembered, so that the start of a
// copy whose clock is late finds its like.
const (
	overlapSlack = int64(time.Millisecond)
	watchTime    = int64(time.Second)
)

// joiner gives taps to interfaces.
type joiner struct {
	seed   maphash.Seed
	taps   []*point
	look   look
	recent recent
	begins int64 // when the next capture begins, ns
	watch  int64 // interfaces of captures that have begun are waited for until then
	more   bool  // some capture has not begun
}

// obvious gives a tap to the first interface of the job, with which nothing
// need be compared, and reports whether st is that.
func (r *Reader) obvious(st *strand) bool {
	if len(r.taps) > 0 {
		return false
	}
	r.seed = maphash.MakeSeed()
	r.begin(st, st.src.head.Time)
	return true
}

// lookAhead reads on until a newcomer has shown enough to be compared.
func (r *Reader) lookAhead(st *strand) {
	shown := 0
	for i := range r.look.rest() {
		if p := &r.look.rest()[i]; p.src == st.src && p.head.Interface == st.iface {
			shown++
		}
	}
	var over <-chan time.Time
	if r.options.waits != nil {
		timer := time.NewTimer(lookTime)
		defer timer.Stop()
		over = timer.C
	}
	for shown < lookPackets && !r.look.full() && r.patient(over) {
		s := r.pull()
		if s == nil {
			return
		}
		r.look.keep(s)
		if s == st.src && s.head.Interface == st.iface {
			shown++
		}
	}
}

// begin gives a tap to an interface whose first packet, of the time at, is
// given out next.
func (r *Reader) begin(st *strand, at int64) {
	st.first = at
	st.src.begun++
	defer r.expect()
	r.retire(at)
	twin, ahead := r.twin(st)
	if twin != nil && r.taps[twin.tap-1].holds(st) {
		t := r.taps[twin.tap-1]
		r.join(st, t, SeenTwice, twin)
		st.ahead = twin.ahead + ahead
		t.until = math.MaxInt64
		if t.copies == nil {
			t.copies = newCopies()
			r.recent.replay(t)
		}
		return
	}
	if tail := r.continued(st); tail != nil {
		r.join(st, r.taps[tail.tap-1], Continues, tail)
		st.ahead = tail.ahead
	} else if other := r.otherHalf(st); other != nil {
		r.join(st, r.taps[other.tap-1], OtherHalf, other)
	} else {
		r.alone(st)
	}
	if twin != nil && twin.tap != st.tap {
		a, b := r.taps[twin.tap-1], r.taps[st.tap-1]
		a.same, b.same = with(a.same, b.tap), with(b.same, a.tap)
	}
}

func with(all []Tap, t Tap) []Tap {
	if slices.Contains(all, t) {
		return all
	}
	return append(all, t)
}

// alone gives an interface a tap of its own.
func (r *Reader) alone(st *strand) {
	if len(r.taps) == maxTaps {
		r.join(st, r.taps[maxTaps-1], Crowded, st)
		return
	}
	t := &point{tap: Tap(len(r.taps) + 1), where: *st.of()}
	r.taps = append(r.taps, t)
	r.join(st, t, Alone, st)
}

// join enters an interface at a tap.
func (r *Reader) join(st *strand, t *point, how Joined, of *strand) {
	st.tap, st.bit = t.tap, uint8(t.count%64)
	t.count++
	t.open = append(t.open, st)
	f := st.of()
	f.Tap, f.Joined = st.tap, how
	if of != st {
		f.Of = InterfaceRef{of.src.index, of.iface}
	}
}

func (st *strand) of() *Interface { return &st.src.capture.Interfaces[st.iface] }

// holds reports whether an interface was said to be where the tap is.
func (t *point) holds(st *strand) bool {
	f := st.of()
	return t.where.Point == f.Point && t.where.Site == f.Site
}

// ended reports whether an interface shows nothing more.
func (st *strand) ended() bool { return st.src.done || int(st.iface) < st.src.section }

// retire takes the interfaces that had ended by the time at out of those that
// may show more.
func (r *Reader) retire(at int64) {
	for _, t := range r.taps {
		t.open = slices.DeleteFunc(t.open, func(st *strand) bool {
			over := st.ended() && st.read <= at+overlapSlack
			if over && (t.tail == nil || t.tail.read <= st.read) {
				t.tail = st
			}
			return over
		})
	}
}

// ended looks after a capture has come to its end which taps have no more
// copies to expect.
func (r *Reader) ended() {
	for _, t := range r.taps {
		if t.copies == nil {
			continue
		}
		going, last := 0, int64(math.MinInt64)
		for _, st := range t.open {
			if st.ended() {
				last = max(last, st.read-st.ahead)
			} else {
				going++
			}
		}
		if going < 2 && last > math.MinInt64 {
			t.until = last + copySpan
		}
	}
}

// continued returns the interface that st goes on from: the last of a tap at
// the same place where nothing is captured any more, of several the one with
// the most similar file name, then the one that ended last.
func (r *Reader) continued(st *strand) *strand {
	var shown [][hostsKinds]uint64
	for i := range r.look.rest() {
		if p := &r.look.rest()[i]; p.src == st.src && p.head.Interface == st.iface {
			shown = append(shown, hostsOf(&p.head))
		}
	}
	var best *strand
	bestLike := 0
	for _, t := range r.taps {
		if len(t.open) > 0 || t.tail == nil || !t.holds(st) || !st.follows(t.tail) {
			continue
		}
		like, numbered := alike(st.src.capture.Path, t.tail.src.capture.Path)
		common := func(kind int) bool {
			return t.hosts != nil && slices.ContainsFunc(shown, func(n [hostsKinds]uint64) bool { return t.hosts.has(n[kind]) })
		}
		known := st.src == t.tail.src || t.where.Site != "" || common(pairIP) || numbered && common(pairMAC)
		if common(openSYN) {
			known = false // the same connections, by another clock
		}
		if known && (best == nil || like > bestLike || like == bestLike && t.tail.read > best.read) {
			best, bestLike = t.tail, like
		}
	}
	return best
}

// follows reports whether two interfaces may be one in two files: they have
// one link type and one name, or where they have no names one place in the
// file.
func (st *strand) follows(tail *strand) bool {
	a, b := st.of(), tail.of()
	switch {
	case a.Link != b.Link:
		return false
	case a.Name != "" && b.Name != "":
		return a.Name == b.Name
	}
	return st.place == tail.place
}

// alike says how similar two file names are: those that differ in numbers
// only, as the names of a ring do, come first, then what they begin with in
// common counts.
func alike(a, b string) (like int, numbered bool) {
	if filepath.Dir(a) == filepath.Dir(b) {
		like = 1 << 10
	}
	a, b = filepath.Base(a), filepath.Base(b)
	if numbered = strings.Join(strings.FieldsFunc(a, unicode.IsDigit), "#") == strings.Join(strings.FieldsFunc(b, unicode.IsDigit), "#"); numbered {
		like += 1 << 20
	}
	for i := 0; i < min(len(a), len(b)) && a[i] == b[i]; i++ {
		like++
	}
	return like, numbered
}

// expect works out when packets have to be remembered, since an interface may
// be about to begin.
func (r *Reader) expect() {
	r.begins, r.watch, r.more = math.MaxInt64, math.MinInt64, false
	for _, s := range r.sources {
		switch {
		case s.done && s.held == 0 && s.begun == 0:
		case s.begun == 0:
			r.begins, r.more = min(r.begins, s.start), true
		case s.begun < len(s.strands) && !s.done:
			r.watch = max(r.watch, s.start+watchTime)
		}
	}
}

// mark remembers a packet that is given out, where an interface may begin
// soon, and tells the copy of one that its tap has shown before.
func (r *Reader) mark(p *Packet, st *strand) {
	t := r.taps[st.tap-1]
	if r.more {
		if t.hosts == nil {
			t.hosts = new(hosts)
		}
		t.hosts.add(p)
	}
	twice := t.copies != nil && p.Time-st.ahead <= t.until
	soon := p.Time >= r.begins-watchTime || p.Time < r.watch
	if !soon {
		r.recent.on = false
	}
	if !soon && !twice {
		return
	}
	f := fingerprintOf(r.seed, p)
	if soon {
		r.recent.add(f, p.Time, st)
	}
	if twice && f.ok {
		copied, drift := t.copies.show(&f, p.Time-st.ahead, st.bit)
		if copied {
			p.Copy = true
			st.ahead += drift
			st.of().Copies++
		}
	}
}
