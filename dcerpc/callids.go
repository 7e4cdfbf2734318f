package dcerpc

import "mapiscope/internal/wire"

// CallIDs says which call ids the client used on a connection. Windows clients
// count them per association, that is over all connections of an association
// group, and the PDUs that make a connection ready for a call (bind,
// alter_context, auth3) carry the id of that call; others count per connection
// and give a bind an id of its own. [C706] 12.6.3.1 leaves both open.
type CallIDs struct {
	Requests IDSet // of requests
	Others   IDSet // of the client's other PDUs, and of answers whose request was not captured
	Lost     IDSet // that PDUs of the client may have had which were not captured: between the ids before and behind them

	// Torn says that bytes of the client behind the highest id were not
	// captured: higher ids may have been among them.
	Torn bool
	// Disorder is how far an id came below the highest before it. The ids of
	// what was not captured may lie as far outside Lost.
	Disorder uint32
	// Bind is the id of the first bind, nil when that was not captured.
	Bind *uint32

	high  uint32 // highest of the client's PDUs so far
	spoke bool   // there is one
}

// idRangeWeight is what a range of an IDSet takes, bytes.
const idRangeWeight = 8

// noteIDs takes the id of a PDU that tells one.
func (c *Conn) noteIDs(h *Header, side wire.Side) {
	ids := &c.CallIDs
	switch {
	case side != c.client:
		return
	case h.Type == TypeRequest:
		// The usual next one, in short.
		if r := &ids.Requests; r.some && !ids.Torn && h.CallID > ids.high && h.CallID-1 == r.top.Last {
			r.top.Last, ids.high = h.CallID, h.CallID
			return
		}
		c.addIDs(&ids.Requests, h.CallID, h.CallID)
	case h.Type == TypeBind && ids.Bind == nil:
		id := h.CallID
		ids.Bind = &id
		c.addIDs(&ids.Others, id, id)
	case h.Type == TypeBind, h.Type == TypeAlterContext, h.Type == TypeAuth3:
		c.addIDs(&ids.Others, h.CallID, h.CallID)
	case h.Type == TypeCoCancel, h.Type == TypeOrphaned: // of a call of any age
		c.addIDs(&ids.Others, h.CallID, h.CallID)
		return
	default:
		return
	}
	switch {
	case ids.spoke && h.CallID <= ids.high:
		ids.Disorder = max(ids.Disorder, ids.high-h.CallID)
		return
	case ids.Torn && ids.spoke:
		c.addIDs(&ids.Lost, ids.high+1, h.CallID-1)
	case ids.Torn && h.CallID > 0:
		c.addIDs(&ids.Lost, 0, h.CallID-1)
	}
	ids.high, ids.spoke, ids.Torn = h.CallID, true, false
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
