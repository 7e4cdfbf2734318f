package compare

import "hash/maphash"

// blockSize is how much of a stream one hash stands for. Smaller blocks find
// the first difference more exactly and cost more memory while one leg is
// ahead of the other.
const blockSize = 4096

// openingSize is how much of the beginning of a stream is kept to recognise it
// at the other point: more than a header, less than any bind.
const openingSize = 64

// stream is one direction of a leg, cut into blocks by position, so that bytes
// that were not captured spoil only the block they belong to.
type stream struct {
	hash    maphash.Hash
	at      int64  // position of the next byte
	holed   bool   // a part of the current block was not captured
	cuts    uint32 // digest of where segments ended in the current block
	blocks  []block
	head    int   // blocks before this one are done with
	first   int64 // number of blocks[head]
	opening [openingSize]byte
	opened  int // bytes in opening; -1: they were not all captured
}

type block struct {
	sum  uint64
	cuts uint32
	good bool // all of it was captured
}

// write takes bytes in order; they end where a segment ended.
func (s *stream) write(pos int64, b []byte) {
	if pos > s.at {
		s.gap(pos - s.at)
	}
	if s.opened >= 0 && s.opened < openingSize {
		s.opened += copy(s.opening[s.opened:], b)
	}
	for len(b) > 0 {
		n := min(blockSize-int(s.at%blockSize), len(b))
		s.hash.Write(b[:n])
		s.at += int64(n)
		if b = b[n:]; len(b) == 0 {
			s.cuts = s.cuts*0x9e3779b1 ^ uint32(s.at)
		}
		if s.at%blockSize == 0 {
			s.close()
		}
	}
}

// gap passes over bytes that were not captured.
func (s *stream) gap(n int64) {
	if s.opened < openingSize {
		s.opened = -1
	}
	for n > 0 {
		step := min(blockSize-s.at%blockSize, n)
		s.holed = true
		s.at += step
		n -= step
		if s.at%blockSize == 0 {
			s.close()
		}
	}
}

// close files the current block.
func (s *stream) close() {
	if len(s.blocks)-s.head >= maxLead {
		s.pop()
	}
	s.blocks = append(s.blocks, block{s.hash.Sum64(), s.cuts, !s.holed})
	s.hash.Reset()
	s.holed, s.cuts = false, 0
}

func (s *stream) pop() block {
	b := s.blocks[s.head]
	s.head++
	s.first++
	if s.head >= 256 && s.head*2 >= len(s.blocks) {
		s.blocks = append(s.blocks[:0], s.blocks[s.head:]...)
		s.head = 0
	}
	return b
}

func (s *stream) ready() bool { return s.head < len(s.blocks) }

// drop forgets everything but the position.
func (s *stream) drop() {
	s.first += int64(len(s.blocks) - s.head)
	s.blocks, s.head = nil, 0
}

// Sameness is the result of comparing one direction of two legs.
type Sameness struct {
	Compared   int64 // bytes that both captures have
	Identical  int64 // of these
	Recut      int64 // identical bytes in blocks whose segments end elsewhere
	Uncompared int64 // bytes in blocks that one capture does not have whole, or that a bound dropped
	Differs    bool
	First      int64 // position of the first block that differs
	Lengths    bool  // one stream is longer than the other
}

// add compares what both legs have reached.
func (r *Sameness) add(a, b *stream) {
	for a.ready() && b.ready() {
		switch {
		case a.first < b.first:
			a.pop()
			r.Uncompared += blockSize
		case b.first < a.first:
			b.pop()
			r.Uncompared += blockSize
		default:
			at := a.first * blockSize
			r.block(a.pop(), b.pop(), at, blockSize)
		}
	}
}

func (r *Sameness) block(x, y block, at, size int64) {
	switch {
	case !x.good || !y.good:
		r.Uncompared += size
	case x.sum == y.sum:
		r.Compared += size
		r.Identical += size
		if x.cuts != y.cuts {
			r.Recut += size
		}
	default:
		r.Compared += size
		if !r.Differs {
			r.Differs, r.First = true, at
		}
	}
}

// finish compares what is left when both legs have ended.
func (r *Sameness) finish(a, b *stream) {
	r.add(a, b)
	r.Lengths = a.at != b.at
	if !r.Lengths && !a.ready() && !b.ready() {
		if rest := a.at % blockSize; rest > 0 {
			r.block(block{a.hash.Sum64(), a.cuts, !a.holed}, block{b.hash.Sum64(), b.cuts, !b.holed}, a.at-rest, rest)
		}
		return
	}
	r.Uncompared += max(a.at, b.at) - max(a.first, b.first)*blockSize
}
