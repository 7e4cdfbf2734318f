package pcaps

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Reader gives out the packets of its captures in order of time. Packets of
// one capture keep the order they have there, also where their times do not
// ascend; at equal times the capture that was named first comes first.
//
// A Reader belongs to one goroutine.
type Reader struct {
	sources []*source
	parked  []*source // closed until the time of their first packet comes, in that order
	queue   queue     // sources that have a packet
	last    *source   // whose packet was given out last
	primed  bool
	closed  bool
	options Options
	filter  *filter
	chunk   int
	meter   meter
	joiner
}

// Buffers of all captures together; each gets its share, the one that is
// looked at and those that are read ahead, of 64 to 256 KiB each.
const (
	bufferTotal = 16 << 20
	chunkMin    = 64 << 10
	chunkMax    = 1 << 18
)

// maxOpen is how many of many captures are open at once, those that overlap in
// time excepted.
const maxOpen = 64

// Open opens captures and reads their headers. The path "-" is the standard
// input and may occur once. A folder stands for the files in it, a pattern of
// path/filepath that names no file for those that it matches, in order of their
// first packets.
//
// The error is an *OpenError where an input cannot be opened, or where none is
// a capture that can be read (then it may wrap ErrNotCapture). Where one of
// several is none, it has its Err set and no packets. The error is a
// *FilterError where the filter does not compile for the first link type, and
// ErrNoBPF where this build has no filters at all.
func Open(paths []string, o Options) (*Reader, error) {
	if n := len(o.At); n > 1 && n != len(paths) {
		return nil, fmt.Errorf("%d capture points for %d captures: give none, one or one for each", n, len(paths))
	}
	if n := len(o.Sites); n > 1 && n != len(paths) {
		return nil, fmt.Errorf("%d sites for %d captures: give none, one or one for each", n, len(paths))
	}
	r := &Reader{meter: meter{report: o.Progress}, options: o}
	if err := r.open(paths); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(paths []string) error {
	o := &r.options
	var err error
	if r.filter, err = newFilter(o.Filter); err != nil {
		return err
	}
	groups := make([][]string, len(paths))
	n, stdin := 0, false
	for i, path := range paths {
		if path == "-" {
			if stdin {
				return &OpenError{path, errors.New("the standard input can be read only once")}
			}
			stdin = true
		}
		if groups[i], err = expand(path); err != nil {
			return &OpenError{path, err}
		}
		n += len(groups[i])
	}
	r.chunk = min(max(bufferTotal/(max(min(n, maxOpen), 1)*(1+aheadBlocks)), chunkMin), chunkMax)
	for i, group := range groups {
		from := len(r.sources)
		for _, path := range group {
			s := &source{capture: Capture{Path: path}, filter: r.filter, several: n > 1}
			s.at, s.site = each(o.At, i), each(o.Sites, i)
			r.sources = append(r.sources, s)
			switch err := openSource(s, &r.meter, o, r.chunk); {
			case err != nil && (s.stopped() || errors.Is(err, ErrStopped)):
				s.dec, s.capture.Format, s.capture.Err = ended{}, "unknown", ErrStopped
			case err != nil:
				if n == 1 || !s.opened {
					return &OpenError{path, err}
				}
				s.fail(err)
			}
			// Their order has to be known, and they cannot all stay open.
			if len(group) > 1 || n > maxOpen && !s.alone {
				s.prime()
			}
			if s.ready && n > maxOpen && !s.alone {
				s.park()
				r.parked = append(r.parked, s)
			}
		}
		slices.SortStableFunc(r.sources[from:], func(a, b *source) int {
			switch one, other := a.ready || a.parked, b.ready || b.parked; {
			case one && other:
				return cmp.Compare(a.first, b.first)
			case one:
				return -1
			case other:
				return 1
			}
			return 0
		})
	}
	for i, s := range r.sources {
		s.index, s.head.Capture = int32(i), int32(i)
	}
	if n > 0 && !slices.ContainsFunc(r.sources, func(s *source) bool { return s.dec != nil || s.parked }) {
		return &OpenError{r.sources[0].capture.Path, r.sources[0].capture.Err}
	}
	slices.SortStableFunc(r.parked, func(a, b *source) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.index, b.index))
	})
	filter := r.filter
	if filter == nil {
		return nil
	}
	// Where no header tells a link type, Ethernet stands in: what matters is
	// that a bad expression is refused before anything is read.
	link := LinkEthernet
	for _, s := range r.sources {
		if len(s.capture.Interfaces) > 0 {
			link = s.capture.Link
			break
		}
	}
	_, err = filter.forLink(link)
	return err
}

// each returns what options give for a path: nothing, one for all, or one for
// each.
func each[T any](given []T, i int) T {
	var none T
	switch len(given) {
	case 0:
		return none
	case 1:
		return given[0]
	}
	return given[i]
}

// Next reads the next packet into p. It returns io.EOF when all captures are
// at their end; damage to a capture is found in Captures and is no error
// here. p.Data is valid until the next Next.
func (r *Reader) Next(p *Packet) error {
	if r.closed {
		return os.ErrClosed
	}
	if r.look.empty() {
		s := r.pull()
		if s == nil {
			r.meter.tell()
			return io.EOF
		}
		st := s.strands[s.head.Interface]
		if st.tap != 0 || r.obvious(st) {
			*p = s.head
			r.give(p, st)
			return nil
		}
		r.look.keep(s)
	}
	seen := r.look.first()
	st := seen.src.strands[seen.head.Interface]
	if st.tap == 0 {
		r.lookAhead(st) // may move what it holds
		seen = r.look.first()
		r.begin(st, seen.head.Time)
	}
	*p = seen.head
	r.look.drop()
	r.give(p, st)
	return nil
}

// pull reads the next packet of all captures into the head of its source, nil
// when there is none.
func (r *Reader) pull() *source {
	switch {
	case !r.primed:
		r.primed = true
		for _, s := range r.sources {
			if s.parked {
				s.start = s.first
				continue
			}
			if s.ready || s.advance() {
				s.start = s.head.Time
				r.queue = append(r.queue, s)
			} else {
				s.done = true
			}
		}
		heap.Init(&r.queue)
		r.expect()
	case r.last != nil:
		if r.last.advance() {
			heap.Fix(&r.queue, 0)
		} else {
			r.last.done = true
			heap.Pop(&r.queue)
			// What is read no longer is closed, so that many files do not stay open
			// together. The rest of an input is of no interest.
			_ = r.last.close()
			r.ended()
		}
	}
	r.last = nil
	for len(r.parked) > 0 && (len(r.queue) == 0 || r.parked[0].first <= r.queue[0].head.Time) {
		s := r.parked[0]
		r.parked = r.parked[1:]
		if s.unpark(&r.meter, &r.options, r.chunk) {
			s.start = s.head.Time
			heap.Push(&r.queue, s)
		} else {
			s.done = true
		}
	}
	if len(r.queue) == 0 {
		return nil
	}
	s := r.queue[0]
	r.last = s
	st := s.strands[s.head.Interface]
	st.read = max(st.read, s.head.Time)
	return s
}

// give counts a packet that is given out now and says where it was captured.
func (r *Reader) give(p *Packet, st *strand) {
	st.src.capture.count(p)
	p.Tap = st.tap
	r.mark(p, st)
	r.meter.tick()
}

// Stop ends the reading: Next returns io.EOF from here on, and every capture
// that was not at its end, or whose wait Options.Done ended, carries cause as
// its Err.
func (r *Reader) Stop(cause error) {
	left := slices.Concat(r.queue, r.parked)
	if !r.primed {
		left = r.sources
	}
	for _, s := range append(left, r.look.sources()...) {
		if s.capture.Err == nil {
			s.capture.Err = cause
		}
	}
	for _, s := range r.sources {
		if s.capture.Err == ErrStopped {
			s.capture.Err = cause
		}
	}
	r.queue, r.parked, r.last, r.primed = nil, nil, nil, true
	r.look = look{}
}

// Captures returns what is known of each capture, in the order of the paths.
// It may be called at any time; after io.EOF it is final.
func (r *Reader) Captures() []Capture {
	all := make([]Capture, len(r.sources))
	for i, s := range r.sources {
		all[i] = s.capture
		all[i].Interfaces = slices.Clone(s.capture.Interfaces)
		for k := range all[i].Interfaces {
			if f := &all[i].Interfaces[k]; f.Tap != 0 {
				f.Same = slices.Clone(r.taps[f.Tap-1].same)
			}
		}
	}
	return all
}

// Close closes the inputs. The standard input stays open.
func (r *Reader) Close() error {
	r.closed = true
	var err error
	for _, s := range r.sources {
		err = errors.Join(err, s.close())
	}
	return err
}

// queue is a heap of sources by the time of their next packet.
type queue []*source

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := &q[i].head, &q[j].head
	if a.Time != b.Time {
		return a.Time < b.Time
	}
	return a.Capture < b.Capture
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*source)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	*q = (*q)[:last]
	return s
}
