package sink

// chunkSize is how much is written at once. Chunks have some room for a last
// record beyond it.
const (
	chunkSize = 64 << 10
	chunkRoom = chunkSize + 4<<10
)

// chunk is some whole records that follow each other. A record that has no
// bytes is not in one.
type chunk struct {
	b    []byte
	ends []int // of each record, in b
	done int   // records from the start that are written
}

// start is where record i begins.
func (c *chunk) start(i int) int {
	if i == 0 {
		return 0
	}
	return c.ends[i-1]
}

// add takes the next record: b is the chunk's bytes with it appended.
func (c *chunk) add(b []byte) {
	c.b = b
	c.ends = append(c.ends, len(b))
}

func (c *chunk) full() bool    { return len(c.b) >= chunkSize }
func (c *chunk) left() int     { return len(c.ends) - c.done }
func (c *chunk) memory() int64 { return int64(cap(c.b)) + 8*int64(cap(c.ends)) }

// chunks holds emptied chunks for their next use, at most as many bytes as
// the queue in front may hold.
type chunks chan *chunk

func newChunks(bytes int64) chunks { return make(chunks, 4+bytes/chunkSize) }

func (f chunks) get() *chunk {
	select {
	case c := <-f:
		return c
	default:
		return &chunk{b: make([]byte, 0, chunkRoom)}
	}
}

func (f chunks) put(c *chunk) {
	if cap(c.b) > 4*chunkSize {
		return
	}
	c.b, c.ends, c.done = c.b[:0], c.ends[:0], 0
	select {
	case f <- c:
	default:
	}
}

// spool is a line of chunks, oldest first.
type spool struct {
	line  []*chunk
	limit int64 // bytes of memory, but for one chunk, which it always may have
	free  chunks
}

func (s *spool) empty() bool { return len(s.line) == 0 }

// records counts those that are not written.
func (s *spool) records() int64 {
	var n int
	for _, c := range s.line {
		n += c.left()
	}
	return int64(n)
}

// room tells whether the spool takes another record.
func (s *spool) room() bool {
	if s.empty() || !s.line[len(s.line)-1].full() {
		return true
	}
	var held int64
	for _, c := range s.line {
		held += c.memory()
	}
	return held+chunkRoom <= s.limit
}

// tail is the chunk that takes the next record, when there is room.
func (s *spool) tail() *chunk {
	if s.empty() || s.line[len(s.line)-1].full() {
		s.line = append(s.line, s.free.get())
	}
	return s.line[len(s.line)-1]
}

// pop removes the oldest chunk and leaves it to the caller.
func (s *spool) pop() *chunk {
	c := s.line[0]
	n := copy(s.line, s.line[1:])
	s.line[n] = nil
	s.line = s.line[:n]
	return c
}
