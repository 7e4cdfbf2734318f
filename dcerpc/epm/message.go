package epm

import (
	"errors"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/wire"
)

// The opnums of the endpoint mapper.
const (
	OpInsert           uint16 = 0
	OpDelete           uint16 = 1
	OpLookup           uint16 = 2
	OpMap              uint16 = 3
	OpLookupHandleFree uint16 = 4
	OpInqObject        uint16 = 5
	OpMgmtDelete       uint16 = 6
)

// The ways in which a stub is not the message that it was decoded as.
var (
	errShort = errors.New("epm: stub does not hold the message")
	errLong  = errors.New("epm: stub holds more than the message")
)

// maxPadding is what may stand behind a message: some implementations round
// stubs up to 8 or 16 bytes.
const maxPadding = 15

// complete is the error of a response that was read to its end. A stub of the
// other transfer syntax seldom ends where it should, which is what tells them
// apart when the bind was not captured.
func complete(r *ndr.Reader) error {
	if r.Len() > maxPadding {
		return errLong
	}
	return outcome(r)
}

// outcome is the error of a request. What stands behind one is not looked at:
// it may be a verification trailer ([MS-RPCE] 2.2.2.13).
func outcome(r *ndr.Reader) error {
	if !r.OK() {
		return errShort
	}
	return nil
}

// MapRequest is the [in] part of ept_map ([MS-RPCE] 2.2.1.2.5).
type MapRequest struct {
	Object    wire.UUID // of HasObject, else zero
	HasObject bool
	Tower     Tower // the interface asked for and the transport wanted; its port and address say nothing
	Handle    [20]byte
	MaxTowers uint32
}

// MapResponse is the [out] part of ept_map.
type MapResponse struct {
	Handle    [20]byte
	NumTowers uint32 // what the server says
	MaxCount  uint64 // size of the array, MaxTowers of the request
	Towers    []Tower
	Malformed int    // towers that could not be read and are left out
	Status    uint32 // 0 is success, see StatusName
}

// LookupRequest is the [in] part of ept_lookup ([MS-RPCE] 2.2.1.2.4).
type LookupRequest struct {
	InquiryType  uint32 // 0 all, 1 by interface, 2 by object, 3 by both
	Object       wire.UUID
	HasObject    bool
	Interface    wire.UUID
	Major, Minor uint16
	HasInterface bool
	VersOption   uint32
	Handle       [20]byte
	MaxEntries   uint32
}

// LookupEntry is one ept_entry_t: an element of the endpoint map.
type LookupEntry struct {
	Object     wire.UUID
	Tower      Tower
	Annotation string // what the server program calls itself
}

// LookupResponse is the [out] part of ept_lookup.
type LookupResponse struct {
	Handle     [20]byte
	NumEntries uint32
	MaxCount   uint64
	Entries    []LookupEntry
	Malformed  int // entries whose tower could not be read and that are left out
	Status     uint32
}

// maxAnnotation is ept_max_annotation_size.
const maxAnnotation = 64

// DecodeMapRequest reads the stub of an ept_map request. The tower shares the
// stub. An unreadable tower leaves Tower empty and is no error; a stub that
// ends too early is one, and what was read until then is returned with it.
func DecodeMapRequest(stub []byte, order wire.Order, syntax ndr.Syntax) (MapRequest, error) {
	var m MapRequest
	r := ndr.NewReader(stub, order, syntax)
	m.Object, m.HasObject = object(&r)
	if r.Pointer() != 0 {
		m.Tower, _ = tower(&r)
	}
	m.Handle = r.ContextHandle()
	m.MaxTowers = r.Uint32()
	return m, outcome(&r)
}

// DecodeMapResponse reads the stub of an ept_map response. Towers share the
// stub. A tower that is malformed in itself is counted and left out. A stub
// that ends too early, or goes on after the message, is an error and returned
// with what was read until then; so is nearly always one of the other transfer
// syntax. Who has not seen the bind may try NDR32 and then NDR64.
func DecodeMapResponse(stub []byte, order wire.Order, syntax ndr.Syntax) (MapResponse, error) {
	var m MapResponse
	r := ndr.NewReader(stub, order, syntax)
	m.Handle = r.ContextHandle()
	m.NumTowers = r.Uint32()
	extent := r.ConformantVarying(4)
	m.MaxCount = extent.MaxCount
	present := 0
	for range extent.Count {
		if r.Pointer() != 0 {
			present++
		}
	}
	for range present {
		t, ok := tower(&r)
		if !r.OK() {
			break
		}
		if !ok {
			m.Malformed++
			continue
		}
		m.Towers = append(m.Towers, t)
	}
	m.Status = r.Uint32()
	return m, complete(&r)
}

// DecodeLookupRequest reads the stub of an ept_lookup request.
func DecodeLookupRequest(stub []byte, order wire.Order, syntax ndr.Syntax) (LookupRequest, error) {
	var m LookupRequest
	r := ndr.NewReader(stub, order, syntax)
	m.InquiryType = r.Uint32()
	m.Object, m.HasObject = object(&r)
	if m.HasInterface = r.Pointer() != 0; m.HasInterface {
		m.Interface, m.Major, m.Minor = r.UUID(), r.Uint16(), r.Uint16()
	}
	m.VersOption = r.Uint32()
	m.Handle = r.ContextHandle()
	m.MaxEntries = r.Uint32()
	return m, outcome(&r)
}

// DecodeLookupResponse reads the stub of an ept_lookup response; errors and
// ownership are those of DecodeMapResponse. An entry without a tower stands
// with an empty one.
func DecodeLookupResponse(stub []byte, order wire.Order, syntax ndr.Syntax) (LookupResponse, error) {
	var m LookupResponse
	r := ndr.NewReader(stub, order, syntax)
	m.Handle = r.ContextHandle()
	m.NumEntries = r.Uint32()
	// UUID, referent, offset and count: the least that an entry takes.
	extent := r.ConformantVarying(28)
	m.MaxCount = extent.MaxCount
	entries := make([]LookupEntry, 0, extent.Count)
	towers := make([]bool, 0, extent.Count)
	for range extent.Count {
		r.AlignPointer()
		e := LookupEntry{Object: r.UUID()}
		towers = append(towers, r.Pointer() != 0)
		e.Annotation = text(r.VaryingBytes(maxAnnotation))
		r.AlignPointer()
		if !r.OK() {
			return m, errShort
		}
		entries = append(entries, e)
	}
	for i, e := range entries {
		if towers[i] {
			t, ok := tower(&r)
			if !r.OK() {
				break
			}
			if !ok {
				m.Malformed++
				continue
			}
			e.Tower = t
		}
		m.Entries = append(m.Entries, e)
	}
	m.Status = r.Uint32()
	return m, complete(&r)
}

// object reads a pointer to a UUID.
func object(r *ndr.Reader) (wire.UUID, bool) {
	if r.Pointer() == 0 {
		return wire.UUID{}, false
	}
	return r.UUID(), r.OK()
}

// tower reads a twr_t: a conformant structure of a length and the tower's
// octets ([C706] appendix L). false without a bad reader is a tower that is
// malformed in itself.
func tower(r *ndr.Reader) (Tower, bool) {
	size := r.Size()
	length := r.Uint32()
	if size > uint64(r.Len()) {
		r.Fail()
		return Tower{}, false
	}
	b := r.Bytes(int(size))
	if uint64(length) > size {
		return Tower{}, false
	}
	t, err := ParseTower(b[:length])
	return t, err == nil
}
