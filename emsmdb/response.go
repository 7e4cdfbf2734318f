package emsmdb

import (
	"encoding/binary"

	"mapiscope/internal/wire"
)

// answer walks the payloads of one response against the requests of its call.
type answer struct {
	walker
	conn *Conn
	p    *Pending // nil: the request was not captured
	of   *session // nil: none
	// touched says what became of the object behind a handle index since
	// the list began: 0 nothing, -1 its columns are not known, else they are
	// those of p.rops[touched-1].
	touched [256]int32
	handles []byte // handle table of the latest payload
	next    int    // position in p.rops of the next request to be answered
	ended   bool   // the server said that it did not carry out the rest
	chained bool
	latency int64
}

func (a *answer) begin(c *Conn, p *Pending, of *session, latency int64) {
	*a = answer{conn: c, p: p, of: of, latency: latency}
}

// end lets go of the call, so that a pooled answer keeps nothing alive.
func (a *answer) end() { a.walker, a.conn, a.p, a.of, a.handles = walker{}, nil, nil, nil, nil }

// expected returns the request that the next response belongs to, nil when
// there is none. Requests without a response are passed over.
func (a *answer) expected() *request {
	if a.p == nil || a.ended {
		return nil
	}
	for ; a.next < len(a.p.rops); a.next++ {
		q := &a.p.rops[a.next]
		if q.id != ropRelease {
			return q
		}
		a.forget(q.index)
	}
	return nil
}

// forget drops what is known of the object behind a handle index.
func (a *answer) forget(index uint8) {
	a.touched[index] = -1
	a.conn.store.forget(a.of, handle(a.p.handles, index))
	a.conn.store.forget(a.of, handle(a.handles, index))
}

// chain prepares for a chained payload, which answers the last request again
// ([MS-OXCRPC] 3.1.4.2.1.2).
func (a *answer) chain() {
	a.chained = true
	if a.p == nil || a.ended {
		return
	}
	a.giveUp()
	for i := len(a.p.rops) - 1; i >= 0; i-- {
		if a.p.rops[i].id != ropRelease {
			a.next = i
			return
		}
	}
}

// finish drops what the session knew of tables that requests without a known
// outcome may have changed.
func (a *answer) finish() {
	if a.p == nil || a.p.partial {
		a.conn.store.forgetTables(a.of)
		return
	}
	a.giveUp()
}

// giveUp passes over the requests that are left without a readable response.
func (a *answer) giveUp() {
	for q := a.expected(); q != nil; q = a.expected() {
		a.clear(q)
		a.next++
	}
}

// clear forgets the columns of the table that q opens, sets or resets.
func (a *answer) clear(q *request) {
	switch {
	case q.opens:
		a.forget(q.output)
	case q.id == ropSetColumns, q.id == ropResetTable:
		a.forget(q.index)
	}
}

// responses walks one RopsList and returns how many bytes of it were walked
// and why the walk ended.
func (a *answer) responses(b *ropBuffer) (walked int, why Reason) {
	a.values, a.handles = maxValues, b.handles
	for walked < len(b.list) {
		n, why := a.response(b, b.list[walked:])
		if why != Walked {
			return walked, why
		}
		walked += n
	}
	return walked, Walked
}

// response walks the first ROP of list and returns its size.
func (a *answer) response(b *ropBuffer, list []byte) (int, Reason) {
	id := list[0]
	l := &layouts[id]
	if l.success.bare {
		return a.unsolicited(id, l, list)
	}
	if !l.success.exists {
		return 0, Unassigned
	}
	q := a.expected()
	if a.p != nil && (!a.p.partial || q != nil) && !answers(q, id) {
		return 0, Unexpected
	}
	if len(list) < responseHead || !b.has(list[1]) {
		return 0, Malformed
	}
	if q != nil {
		a.next++
	}
	value := binary.LittleEndian.Uint32(list[2:])
	a.columns = [3][]byte{fromTable: a.tableColumns(q)}
	if q != nil && q.tagged {
		a.columns[fromRequest] = a.p.columns(q)
	}
	n, why := a.body(l, value, list)
	switch why {
	case Walked:
		a.count(id, value, n)
		a.learn(q, list[:n], value)
		return n, Walked
	case NoColumns, NoRequest, Opaque, Ambiguous:
		a.count(id, value, 0) // told by its head
	}
	if q != nil {
		a.clear(q)
	}
	return 0, why
}

// answers reports whether a response with this id can answer q. Some servers
// answer RopGetMessageStatus with the id of its sibling; long operations are
// answered by their progress, and a question for it by their result.
func answers(q *request, id uint8) bool {
	if q == nil {
		return false
	}
	return q.id == id ||
		q.id == ropGetMessageStatus && id == ropSetMessageStatus ||
		id == ropProgress && asynchronous(q.id) ||
		q.id == ropProgress && asynchronous(id)
}

// asynchronous reports whether a ROP may be answered by RopProgress
// ([MS-OXCROPS] 2.2.8.13).
func asynchronous(id uint8) bool {
	switch id {
	case 0x1d, 0x1e, 0x33, 0x35, 0x36, 0x39, 0x58, 0x66, 0x67, 0x91, 0x92:
		return true
	}
	return false
}

// unsolicited walks a response that answers no single request.
func (a *answer) unsolicited(id uint8, l *layout, list []byte) (int, Reason) {
	a.reset(0, logonUnknown)
	c := wire.NewCursor(list[1:], wire.LittleEndian)
	if a.run(l.success.steps, &c); !c.OK() {
		return 0, a.why()
	}
	n := 1 + c.Offset()
	if l.uncertain && !a.plausible(list[n:]) {
		a.count(id, 0, 0)
		return 0, Opaque
	}
	a.count(id, 0, n)
	if id == ropBufferTooSmall || id == ropBackoff {
		a.unexecuted()
	}
	return n, Walked
}

// unexecuted takes back what was counted for requests that the server did not
// carry out; the client will send them again.
func (a *answer) unexecuted() {
	f := &a.conn.figures
	for q := a.expected(); q != nil; q = a.expected() {
		f.Unexecuted++
		switch q.id {
		case ropGetBuffer:
			f.SyncGetBuffer.Requests--
		case ropReadStream:
			f.ReadStream.Requests--
		}
		a.next++
	}
	a.ended = true
}

// body walks the part behind the head of a response and returns the size of
// the whole ROP. Where several readings are documented, the first is taken
// after which the list can go on: a failure may come with or without the part
// that some servers leave out, a warning with what success brings or alone.
func (a *answer) body(l *layout, value uint32, list []byte) (int, Reason) {
	warned := value>>16 == warning
	switch {
	case value == 0:
		return a.try(&l.success, true, value, list)
	case !warned && !l.failure.optional:
		return a.try(&l.failure, true, value, list)
	}
	reason := Malformed
	for _, form := range [3]struct {
		m          *message
		long, used bool
	}{
		{&l.success, true, warned}, {&l.failure, true, true}, {&l.failure, false, l.failure.optional},
	} {
		if !form.used {
			continue
		}
		n, why := a.try(form.m, form.long, value, list)
		switch {
		case why == Walked && a.plausible(list[n:]):
			return n, Walked
		case why == Walked:
			reason = Ambiguous
		case reason == Malformed:
			reason = why
		}
	}
	return 0, reason
}

// warning is the upper half of a ReturnValue that is a warning, not a failure.
const warning = 0x0004

func (a *answer) try(m *message, long bool, value uint32, list []byte) (int, Reason) {
	a.reset(value, logonUnknown)
	a.long = long
	c := wire.NewCursor(list[responseHead:], wire.LittleEndian)
	if a.run(m.steps, &c); !c.OK() {
		return 0, a.why()
	}
	return responseHead + c.Offset(), Walked
}

// plausible reports whether the bytes after a ROP can be the rest of the list.
func (a *answer) plausible(rest []byte) bool {
	if len(rest) == 0 {
		return true
	}
	if a.p == nil || a.p.partial {
		return layouts[rest[0]].success.exists
	}
	return layouts[rest[0]].success.bare || answers(a.expected(), rest[0])
}

// tableColumns returns the columns of the table that q works on.
func (a *answer) tableColumns(q *request) []byte {
	if q == nil {
		return nil
	}
	switch at := a.touched[q.index]; {
	case at < 0:
		return nil
	case at > 0:
		return a.p.columns(&a.p.rops[at-1])
	}
	h := handle(a.p.handles, q.index)
	if h == noHandle {
		h = handle(a.handles, q.index)
	}
	return a.conn.store.columns(a.of, h)
}

// count adds one response of n bytes to the figures; n is 0 when its end is
// not known.
func (a *answer) count(id uint8, value uint32, n int) {
	r := a.conn.rop(id)
	r.Responses++
	r.ResponseBytes += int64(n)
	if value != 0 && value>>16 != warning {
		r.Failures++
	}
	if a.p != nil && !a.chained && id != ropNotify && id != ropPending {
		if a.latency >= 0 {
			a.conn.charge(r.Latency.Add(a.latency))
		}
	}
	if a.conn.OnCall != nil {
		a.conn.store.answered = append(a.conn.store.answered, id)
	}
}

// learn takes from a walked response what later ones need, and the figures of
// reads.
func (a *answer) learn(q *request, rop []byte, value uint32) {
	if value != 0 && value>>16 != warning {
		return
	}
	f := &a.conn.figures
	switch rop[0] {
	case ropReadStream:
		f.ReadStream.answer(len(rop) - responseHead - 2) // DataSize
	case ropGetBuffer:
		f.SyncGetBuffer.answer(len(rop) - responseHead - 9) // status, progress, TransferBufferSize
	}
	if q == nil {
		return
	}
	a.clear(q)
	if q.id == ropSetColumns && value == 0 {
		h := handle(a.handles, q.index)
		if h == noHandle {
			h = handle(a.p.handles, q.index)
		}
		a.touched[q.index] = int32(a.next) // q is p.rops[next-1]
		a.conn.store.setColumns(a.of, h, a.p.columns(q))
	}
	if q.id == ropLogon && a.of != nil && len(rop) > responseHead {
		a.of.logons[q.logon] = logonPublic
		if rop[responseHead]&1 != 0 {
			a.of.logons[q.logon] = logonPrivate
		}
	}
}
