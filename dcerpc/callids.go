package dcerpc

import "mapiscope/internal/wire"

// CallIDs says which call ids the client used on a connection. Windows clients
// count them per association, that is over all connections of an association
// group, and the PDUs that make a connection ready for a call (bind,
// alter_context, auth3) carry the id of that call; others count per connection
// and give a bind an id of its own. [C706] 12.6.3.1 leaves both open.
type CallIDs struct {
	Calls  IDSet // of requests, and of answers whose request was not captured
	Others IDSet // of the client's other PDUs
	Lost   IDSet // that PDUs of the client may have had which were not captured: between the ids before and behind them

	// Spoke says that a PDU of the client was captured, whatever it was. If
	// not, only answers told ids, and calls without one are not known.
	Spoke bool
	// Torn says that bytes of the client behind the highest id were not
	// captured: higher ids may have been among them.
	Torn bool
	// Disorder is how far an id came below the highest before it. The ids of
	// what was not captured may lie as far outside Lost.
	Disorder uint32
	// Bind is the id of the first bind, nil when that was not captured.
	Bind *uint32

	high uint32 // highest that a PDU of the client had
}

// idRangeWeight is what a range of an IDSet takes, bytes.
const idRangeWeight = 8

// noteIDs takes the id of a PDU of the client.
func (c *Conn) noteIDs(kind PType, id uint32) {
	ids := &c.CallIDs
	switch kind {
	case TypeRequest:
		c.addIDs(&ids.Calls, id, id)
	case TypeBind, TypeAlterContext, TypeAuth3:
		c.addIDs(&ids.Others, id, id)
		if kind == TypeBind && ids.Bind == nil {
			first := id
			ids.Bind = &first
		}
	case TypeCoCancel, TypeOrphaned: // of a call of any age
		c.addIDs(&ids.Others, id, id)
		return
	default:
		return
	}
	switch {
	case ids.Spoke && id <= ids.high:
		ids.Disorder = max(ids.Disorder, ids.high-id)
		return
	case ids.Torn && ids.Spoke:
		c.addIDs(&ids.Lost, ids.high+1, id-1)
	case ids.Torn && id > 0:
		c.addIDs(&ids.Lost, 0, id-1)
	}
	ids.high, ids.Spoke, ids.Torn = id, true, false
}

// next takes the id that is next to the latest request's, and reports whether
// it is: the usual case, in short.
func (ids *CallIDs) next(id uint32) bool {
	if id-1 != ids.high || id-1 != ids.Calls.top.Last || !ids.Spoke || !ids.Calls.some || ids.Torn || id == 0 {
		return false
	}
	ids.high, ids.Calls.top.Last = id, id
	return true
}

// addIDs adds ids to a set. When it is full, or the budget gives no more, it
// joins ranges.
func (c *Conn) addIDs(s *IDSet, first, last uint32) {
	if s.add(first, last) {
		return
	}
	n := cap(s.low)
	if more := min(max(4, n), c.limits.CallIDs-n); more > 0 && c.grow(more*idRangeWeight) {
		low := make([]IDRange, len(s.low), n+more)
		copy(low, s.low)
		s.low = low
	} else if n > 0 {
		c.Stats.CallIDsJoined += int64(s.join())
	} else { // not even one range more
		s.top, s.joined = IDRange{min(s.top.First, first), max(s.top.Last, last)}, true
		c.Stats.CallIDsJoined++
		return
	}
	s.add(first, last)
}

// tearIDs says that bytes of a direction are missing that may have held PDUs.
func (c *Conn) tearIDs(side wire.Side) {
	if !c.hasClient || side == c.client {
		c.CallIDs.Torn = true
	}
}
