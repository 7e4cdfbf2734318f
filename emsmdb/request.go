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
	list    []byte // RopsList
	handles []byte
}

// splitBuffer cuts a payload.
func splitBuffer(payload []byte) (b ropBuffer, ok bool) {
	if len(payload) < 2 {
		return b, false
	}
	size := int(binary.LittleEndian.Uint16(payload))
	if size < 2 || size > len(payload) || (len(payload)-size)%4 != 0 {
		return b, false
	}
	return ropBuffer{list: payload[2:size], handles: payload[size:]}, true
}

// maxHandles is how many bytes of a handle table an index, one byte, can point
// into.
const maxHandles = 4 << 8

// has reports whether the handle table has an entry.
func (b *ropBuffer) has(index uint8) bool { return int(index) < len(b.handles)/4 }

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
// ends where the list ends. If none does, the walk stops before the first ROP
// of two forms.
func (w *walker) requests(p *Pending, b *ropBuffer, of *session) (walked int, why Reason) {
	walked, why, guessed := w.requestPass(p, b, of, logonPrivate)
	if why == Walked || !guessed {
		return walked, why
	}
	if walked, why, _ := w.requestPass(p, b, of, logonPublic); why == Walked {
		return walked, why
	}
	walked, why, _ = w.requestPass(p, b, of, logonUnknown)
	return walked, why
}

// requestPass walks the list once. guess stands for logons whose kind is not
// known; with logonUnknown the walk stops where that matters.
func (w *walker) requestPass(p *Pending, b *ropBuffer, of *session, guess logonKind) (walked int, why Reason, guessed bool) {
	p.rops, p.tags = p.rops[:0], p.tags[:0]
	doubt := -1 // position in p.rops of the first ROP with an uncertain layout
	for walked < len(b.list) {
		kind := guess
		rop := b.list[walked:]
		l := &layouts[rop[0]]
		if known := of.logon(rop); known != logonUnknown {
			kind = known
		} else if l.request.private {
			guessed = true
			if guess == logonUnknown {
				return walked, Ambiguous, guessed
			}
		}
		n, why := w.request(p, l, rop, kind, b)
		if why == Walked {
			if l.uncertain && doubt < 0 {
				doubt = len(p.rops) - 1
			}
			walked += n
			continue
		}
		if doubt >= 0 {
			// An uncertain layout counts only in a list that ends well.
			walked, why = int(p.rops[doubt].start), Opaque
			p.rops = p.rops[:doubt]
		}
		return walked, why, guessed
	}
	return walked, Walked, guessed
}

// request walks the first ROP of list, enters it into p.rops and returns its
// size.
func (w *walker) request(p *Pending, l *layout, list []byte, kind logonKind, b *ropBuffer) (int, Reason) {
	if !l.request.exists {
		return 0, Unassigned
	}
	if len(list) < requestHead {
		return 0, Malformed
	}
	w.reset(0, kind)
	c := wire.NewCursor(list[requestHead:], wire.LittleEndian)
	if w.run(l.request.steps, &c); !c.OK() {
		return 0, w.why()
	}
	n := requestHead + c.Offset()
	start := len(b.list) - len(list)
	q := request{
		id: list[0], logon: list[1], index: list[2], output: list[2],
		opens: l.output || list[0] == ropLogon, start: int32(start), end: int32(start + n),
	}
	if l.output {
		q.output = list[requestHead]
	}
	if !b.has(q.index) || !b.has(q.output) {
		return 0, Malformed
	}
	p.keepTags(&q, list)
	p.rops = append(p.rops, q)
	return n, Walked
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
