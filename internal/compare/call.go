package compare

import (
	"math"
	"slices"

	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
)

// call is what is remembered of one call at one point, until its counterpart
// at the other point is known.
type call struct {
	id          uint32
	leg         *leg
	state       callState
	sealed      bool
	reads       bool
	writes      bool
	certain     bool   // it must reach the server, whatever accelerates
	key         uint64 // what finds its counterpart
	ask, answer uint64 // digests of the PDUs as they were on the wire
	asked, done int64  // last packet of the request, first of the answer, ns of this point's clock
	data        int64  // bytes of streams and FastTransfers in the answer
	twin        *call
}

type callState uint8

const (
	pending callState = iota
	answered
	unanswered
)

// never is later than every capture time.
const never = math.MaxInt64 / 4

// keyOf returns what a request has in common with its counterpart at the other
// point. An accelerator numbers calls and handles its own way, and what it
// encrypts anew keeps the operation alone.
func keyOf(in *dcerpc.Call, d emsmdb.Digest) uint64 {
	k := (uint64(in.Opnum) + 1) * 0x9e3779b97f4a7c15
	switch {
	case in.Request.Sealed:
		return k
	case d.Sum != 0:
		return k ^ d.Sum
	}
	return k ^ uint64(in.Request.Stub+1)*0xbf58476d1ce4e5b9
}

// Tally counts calls and sums a time of theirs.
type Tally struct {
	Count int64
	Sum   int64 // µs
}

func (t *Tally) add(ns int64) {
	t.Count++
	t.Sum += max(ns, 0) / 1e3
}

func (t *Tally) plus(o Tally) {
	t.Count += o.Count
	t.Sum += o.Sum
}

// Calls says what became of the calls of a pair. Times are response times at
// the client unless said otherwise.
type Calls struct {
	Answered   int64 // answered requests at the near point, EcDoAsyncWaitEx apart
	Unanswered int64 // that the near point saw no answer to

	Remote Tally // asked and answered at the server in the time between

	// The four kinds of local answers.
	Unforwarded Tally // the server never saw the question
	Prefetched  Tally // the server had answered before the client asked
	Waited      Tally // the server had been asked, but not answered, before the client asked
	Deferred    Tally // the client was answered before the server was

	Server Tally // of the remote calls: response times at the far point

	Originated      int64 // calls at the far point that no client asked for
	OriginatedBytes int64 // of streams and FastTransfers in their answers

	// Undecided calls were answered, but what became of them cannot be told:
	// one of the captures may not hold what would tell.
	Undecided int64
	// Uncertain calls were decided although the clocks are not known well
	// enough to be sure.
	Uncertain int64

	Identical int64 // matched calls whose PDUs are the same bytes
	Differing int64 // matched calls whose PDUs are not
}

// Local sums the local answers.
func (c *Calls) Local() Tally {
	var t Tally
	for _, part := range []Tally{c.Unforwarded, c.Prefetched, c.Waited, c.Deferred} {
		t.plus(part)
	}
	return t
}

// Matched counts the calls that were found at both points.
func (c *Calls) Matched() int64 { return c.Identical + c.Differing }

// Add adds o.
func (c *Calls) Add(o *Calls) {
	c.Answered += o.Answered
	c.Unanswered += o.Unanswered
	c.Remote.plus(o.Remote)
	c.Unforwarded.plus(o.Unforwarded)
	c.Prefetched.plus(o.Prefetched)
	c.Waited.plus(o.Waited)
	c.Deferred.plus(o.Deferred)
	c.Server.plus(o.Server)
	c.Originated += o.Originated
	c.OriginatedBytes += o.OriginatedBytes
	c.Undecided += o.Undecided
	c.Uncertain += o.Uncertain
	c.Identical += o.Identical
	c.Differing += o.Differing
}

// remove takes one element out of a list.
func remove[T comparable](list []T, c T) []T {
	if i := slices.Index(list, c); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}
