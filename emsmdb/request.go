package emsmdb

import (
	"encoding/binary"

	"mapiscope/internal/wire"
)

// ROPs that the walk itself must know ([MS-OXCROPS] 2.2.2).
const (
	ropRelease               = 0x01
	ropGetPropertiesSpecific = 0x07
	ropSetColumns            = 0x12
	ropGetMessageStatus      = 0x1f
	ropSetMessageStatus      = 0x20
	ropNotify                = 0x2a
	ropReadStream            = 0x2c
	ropGetBuffer             = 0x4e // RopFastTransferSourceGetBuffer
	ropProgress              = 0x50
	ropPending               = 0x6e
	ropResetTable            = 0x81
	ropBackoff               = 0xf9
	ropLogon                 = 0xfe
	ropBufferTooSmall        = 0xff
)

const (
	requestHead  = 3 // RopId, LogonId, handle index
	responseHead = 6 // RopId, handle index, ReturnValue
)

// noHandle stands in a handle table for an object that is to be opened.
const noHandle = 0xffffffff

// ropBuffer is a decoded payload ([MS-OXCROPS] 2.2.1): a RopsList and the
// table of handles that the ROPs point into.
type ropBuffer struct {
	list    []byte // what is there of the RopsList
	size    int    // what its RopSize says
	handles []byte // nil: not captured
}

// splitBuffer cuts a payload. One that is not whole may end anywhere.
func splitBuffer(payload []byte, whole bool) (b ropBuffer, ok bool) {
	if len(payload) < 2 {
		return b, false
	}
	size := int(binary.LittleEndian.Uint16(payload))
	switch {
	case size < 2:
		return b, false
	case whole && (size > len(payload) || (len(payload)-size)%4 != 0):
		return b, false
	case !whole:
		return ropBuffer{list: payload[2:min(size, len(payload))], size: size - 2}, true
	}
	return ropBuffer{list: payload[2:size], size: size - 2, handles: payload[size:]}, true
}

// has reports whether the handle table has an entry. A table that was not
// captured has them all.
func (b *ropBuffer) has(index uint8) bool {
	return b.handles == nil || int(index) < len(b.handles)/4
}

// handle returns an entry of a handle table, noHandle if there is none.
func handle(table []byte, index uint8) uint32 {
	if 4*int(index)+4 > len(table) {
		return noHandle
	}
	return binary.LittleEndian.Uint32(table[4*int(index):])
}

// requests walks the RopsList of a request into p.rops and returns how many
// bytes of it were walked and why the walk ended.
//
// Two layouts depend on the kind of the logon. Where that is not known the
// private form is tried first, then the public one, and the one is taken that
// ends where the list ends.
func (w *walker) requests(p *Pending, b *ropBuffer, of *session) (walked int, why Reason) {
	walked, why, guessed := w.requestPass(p, b, of, logonPrivate)
	if why == Walked || !guessed {
		return walked, why
	}
	if walked, why, _ := w.requestPass(p, b, of, logonPublic); why == Walked {
		return walked, why
	}
	walked, why, _ = w.requestPass(p, b, of, logonPrivate)
	return walked, why
}

func (w *walker) requestPass(p *Pending, b *ropBuffer, of *session, guess logonKind) (walked int, why Reason, guessed bool) {
	p.rops, p.tags = p.rops[:0], p.tags[:0]
	for walked < len(b.list) {
		rop := b.list[walked:]
		if len(rop) < requestHead {
			return walked, Malformed, guessed
		}
		l := &layouts[rop[0]]
		if !l.request.exists {
			return walked, Unassigned, guessed
		}
		q := request{id: rop[0], logon: rop[1], index: rop[2], opens: l.output || rop[0] == ropLogon, output: rop[2]}
		kind := guess
		if of != nil && of.logons[q.logon] != logonUnknown {
			kind = of.logons[q.logon]
		} else if l.request.private {
			guessed = true
		}
		w.reset(0, kind)
		c := wire.NewCursor(rop[requestHead:], wire.LittleEndian)
		if w.run(l.request.steps, &c); !c.OK() {
			return walked, w.why(), guessed
		}
		q.start = int32(walked)
		walked += requestHead + c.Offset()
		q.end = int32(walked)
		if l.output {
			q.output = rop[requestHead]
		}
		if !b.has(q.index) || !b.has(q.output) {
			return int(q.start), Malformed, guessed
		}
		p.keepTags(&q, rop)
		p.rops = append(p.rops, q)
	}
	if b.size > len(b.list) {
		return walked, Malformed, guessed
	}
	return walked, Walked, guessed
}

// keepTags copies the PropertyTags of the two requests whose responses cannot
// be read without them. The ROP was walked, so they are all there.
func (p *Pending) keepTags(q *request, rop []byte) {
	var at int
	switch q.id {
	case ropGetPropertiesSpecific:
		at = requestHead + 4 // PropertySizeLimit, WantUnicode
	case ropSetColumns:
		at = requestHead + 1 // SetColumnsFlags
	default:
		return
	}
	n := int(binary.LittleEndian.Uint16(rop[at:]))
	q.tagged = true
	q.tags = int32(len(p.tags))
	p.tags = append(p.tags, rop[at+2:at+2+4*n]...)
	q.tagsEnd = int32(len(p.tags))
}

// columns returns the PropertyTags of a request, not nil even if there are
// none.
func (p *Pending) columns(q *request) []byte {
	if q.tags == q.tagsEnd {
		return noColumns
	}
	return p.tags[q.tags:q.tagsEnd]
}

var noColumns = []byte{}

// reset prepares the walker for a ROP.
func (w *walker) reset(returnValue uint32, kind logonKind) {
	w.regs = registers{regReturn: uint64(returnValue)}
	if kind == logonPrivate {
		w.regs[regPrivate] = 1
	}
	w.stopped = Walked
}

// why returns the reason of a program that ended with a bad cursor.
func (w *walker) why() Reason {
	if w.stopped != Walked {
		return w.stopped
	}
	return Malformed
}
