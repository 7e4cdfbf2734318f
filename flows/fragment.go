package flows

import (
	"net/netip"
	"slices"
	"sort"
)

// maxDatagram is the largest IP payload (RFC 791 3.1, RFC 8200 4.5).
const maxDatagram = 65535

// maxExtents bounds the runs of a datagram that do not touch: one that came in
// the smallest fragments of common links, every second of them lost, has 60.
const maxExtents = 256

// maxSpareBuffers bounds the buffers that wait for the next datagram.
const maxSpareBuffers = 16

// origin is where packets were captured: what was captured at another place
// is no part of the same datagram, though it may have its name.
type origin struct {
	capture, iface int32
}

// fragmentKey names a fragmented datagram.
type fragmentKey struct {
	at       origin
	src, dst netip.Addr
	id       uint32
	proto    uint8
}

// fragments joins IP fragments. The first arrival of a byte wins, as it does
// for TCP.
type fragments struct {
	limits  Limits
	open    map[fragmentKey]*datagram
	order   []*datagram // by first fragment
	bytes   int
	dropped int64    // fragments given up, for a bound, for time, or as nonsense
	given   [][]byte // buffers of the datagrams that the latest packet completed
	spare   [][]byte // buffers for the next datagrams
}

type datagram struct {
	key     fragmentKey
	started int64
	pieces  int64
	buf     []byte
	have    []extent // sorted, not touching
	end     int      // length once the last fragment came, else -1
}

type extent struct{ from, to int }

func newFragments(l Limits) fragments {
	return fragments{limits: l, open: make(map[fragmentKey]*datagram)}
}

// add takes a fragment and returns the whole payload once all of it is there,
// else nil; it is valid until takeBack. A fragment that the capture cut short
// cannot complete a datagram.
func (t *fragments) add(key fragmentKey, offset int, body []byte, length int, more bool, now int64) []byte {
	t.expire(now)
	if offset+length > maxDatagram || len(body) < length || more && length%8 != 0 || length == 0 {
		t.dropped++
		return nil
	}
	g := t.open[key]
	if g == nil {
		g = &datagram{key: key, started: now, end: -1}
		if n := len(t.spare) - 1; n >= 0 {
			g.buf, t.spare = t.spare[n], t.spare[:n]
		}
		t.open[key] = g
		t.order = append(t.order, g)
		if len(t.open) > t.limits.Datagrams {
			t.drop(t.order[0])
		}
	}
	g.pieces++
	if !more {
		g.end = offset + length
	}
	t.bytes += g.put(offset, body[:length])
	if len(g.have) > maxExtents {
		t.drop(g)
		return nil
	}
	if g.end >= 0 && len(g.have) == 1 && g.have[0] == (extent{0, g.end}) {
		t.forget(g)
		t.given = append(t.given, g.buf)
		return g.buf[:g.end]
	}
	for t.bytes > t.limits.DatagramBytes && len(t.order) > 0 {
		t.drop(t.order[0])
	}
	return nil
}

// put copies what is new of b to its place and returns by how much the buffer
// grew.
func (g *datagram) put(offset int, b []byte) int {
	grown := 0
	if need := offset + len(b); need > len(g.buf) {
		grown = need - len(g.buf)
		// What is not in have is never read, so that old bytes may stay.
		g.buf = slices.Grow(g.buf, grown)[:need]
	}
	at := offset
	for _, h := range g.have {
		if h.from >= offset+len(b) {
			break
		}
		if h.from > at {
			copy(g.buf[at:h.from], b[at-offset:])
		}
		at = max(at, h.to)
	}
	if at < offset+len(b) {
		copy(g.buf[at:], b[at-offset:])
	}
	i := sort.Search(len(g.have), func(i int) bool { return g.have[i].from >= offset })
	g.have = slices.Insert(g.have, i, extent{offset, offset + len(b)})
	out := g.have[:1]
	for _, h := range g.have[1:] {
		if last := &out[len(out)-1]; h.from <= last.to {
			last.to = max(last.to, h.to)
		} else {
			out = append(out, h)
		}
	}
	g.have = out
	return grown
}

func (t *fragments) expire(now int64) {
	for len(t.order) > 0 && now-t.order[0].started > int64(t.limits.DatagramTime) {
		t.drop(t.order[0])
	}
}

func (t *fragments) drop(g *datagram) {
	t.dropped += g.pieces
	t.forget(g)
	t.recycle(g.buf)
}

// takeBack ends the use of what add returned. A packet may complete several
// datagrams, one inside the other.
func (t *fragments) takeBack() {
	for i, b := range t.given {
		t.recycle(b)
		t.given[i] = nil
	}
	t.given = t.given[:0]
}

// recycle keeps the buffer of a datagram for the next ones.
func (t *fragments) recycle(b []byte) {
	if b != nil && len(t.spare) < maxSpareBuffers {
		t.spare = append(t.spare, b[:0])
	}
}

func (t *fragments) forget(g *datagram) {
	delete(t.open, g.key)
	t.bytes -= len(g.buf)
	if i := slices.Index(t.order, g); i >= 0 {
		t.order = slices.Delete(t.order, i, i+1)
	}
}
