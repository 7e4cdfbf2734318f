package sink

// Log keeps records of text, one or more lines each. Its methods may be called
// from any goroutine.
type Log[T any] struct {
	core
	format func([]byte, T) ([]byte, error)
	items  []T // a ring
	head   int // of the oldest
	n      int
}

// Open begins a Log: it makes the folder, takes up what lies there and begins
// the first file; what is wrong with the place is the error.
//
// format appends a record, whole lines, to dst. It is called from one
// goroutine, with items in the order of Put, and owns the item. What it
// appended when it returns an error is dropped, and the record counts as
// Unformatted; one for which it appends nothing counts as Written.
func Open[T any](config Config, format func(dst []byte, item T) ([]byte, error)) (*Log[T], error) {
	return open(config, format, nil)
}

func open[T any](config Config, format func([]byte, T) ([]byte, error), d disk) (*Log[T], error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	l := &Log[T]{format: format, items: make([]T, config.Queue)}
	l.config = config
	l.spool.free = newChunks(0)
	s := series{config.Name, config.Ext}
	if d == nil {
		d = newFolder(l.config.Dir, s.name+"."+s.ext)
	}
	k := &keeper{config: &l.config, disk: d, series: s}
	if err := l.start(l, &files{config: &l.config, disk: d, series: s, keeper: k}); err != nil {
		return nil, err
	}
	return l, nil
}

// Put hands a record over and reports whether it has a place. Where the queue
// is full it waits for one, or the record is lost and counted, as configured.
func (l *Log[T]) Put(item T) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse() {
		return false
	}
	for l.n == len(l.items) {
		if !l.wait() {
			return false
		}
	}
	i := l.head + l.n
	if i >= len(l.items) {
		i -= len(l.items)
	}
	l.items[i] = item
	l.n++
	l.arrived()
	return true
}

// Stats tells how the log is doing.
func (l *Log[T]) Stats() Stats {
	upkeep := l.files.keeper.trouble()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Upkeep = upkeep
	s.Waiting, s.Capacity = int64(l.n), int64(len(l.items))
	return s
}

// fill formats records. Their places are not given to others before release,
// so it needs no lock to read them.
func (l *Log[T]) fill(s *spool) taken {
	l.mu.Lock()
	head, n := l.head, l.n
	l.mu.Unlock()
	var t taken
	if n == 0 || !s.room() {
		return t
	}
	c := s.tail()
	for ; t.records < int64(n) && !c.full(); t.records++ {
		before := len(c.b)
		b, err := l.format(c.b, l.items[(head+int(t.records))%len(l.items)])
		switch {
		case err != nil:
			t.unformatted++
			t.err = err
		case len(b) == before:
			t.empty++
		default:
			if b[len(b)-1] != '\n' {
				b = append(b, '\n')
			}
			c.add(b)
		}
	}
	return t
}

func (l *Log[T]) release(n int64) int64 {
	var none T
	for range n {
		l.items[l.head] = none
		if l.head++; l.head == len(l.items) {
			l.head = 0
		}
	}
	l.n -= int(n)
	return int64(l.n)
}
