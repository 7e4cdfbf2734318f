package emsmdb

import (
	"bytes"
	"slices"

	"mapiscope/internal/hist"
	"mapiscope/internal/wire"
)

// Connect is one EcDoConnect or EcDoConnectEx.
type Connect struct {
	Mark     wire.Mark // of the request
	Opnum    uint16    // 0 or 10
	UserDN   string    // distinguished name of the user, as sent
	Client   Version
	Server   Version // zero until answered
	Answered bool
	Status   uint32 // return value of the answer, or status of the fault
	Fault    bool
}

// Sizes describes the requests and answers of one kind of read.
type Sizes struct {
	Requests int64 // that the server did not send back unexecuted
	Asked    Range // bytes that the requests ask for at most, as sent
	Answers  Range // bytes of data in successful answers, chained ones one by one
}

// Range sums up sizes, bytes.
type Range struct{ Count, Min, Max, Sum int64 }

// Add counts one size.
func (r *Range) Add(n int64) {
	if r.Count == 0 || n < r.Min {
		r.Min = n
	}
	r.Max = max(r.Max, n)
	r.Sum += n
	r.Count++
}

// Merge adds the sizes of o.
func (r *Range) Merge(o Range) {
	if o.Count == 0 {
		return
	}
	if r.Count == 0 || o.Min < r.Min {
		r.Min = o.Min
	}
	r.Max = max(r.Max, o.Max)
	r.Sum += o.Sum
	r.Count += o.Count
}

// Avg returns the mean size, rounded down; 0 when there is none.
func (r Range) Avg() int64 {
	if r.Count == 0 {
		return 0
	}
	return r.Sum / r.Count
}

// answer counts the data of an answer; a warning may come without any.
func (s *Sizes) answer(n int) { s.Answers.Add(int64(max(n, 0))) }

// Rop counts one remote operation on one connection.
type Rop struct {
	ID        uint8
	Requests  int64 // as sent: a request that is sent again counts again
	Responses int64 // chained and unsolicited ones too
	Failures  int64 // responses whose ReturnValue is neither 0 nor a warning
	// Bytes of the ROPs themselves with their heads. A response that could
	// be told but not walked to its end adds none.
	RequestBytes  int64
	ResponseBytes int64
	// Latency holds the response time of the call in µs, once for each
	// response in its first payload.
	Latency hist.Histogram
}

// Buffers counts the payloads behind RPC_HEADER_EXT, by how they were sent. A
// payload can be both obfuscated and compressed.
type Buffers struct {
	Plain      int64
	Xored      int64
	Compressed int64
	Chained    int64 // those after the first of an rgbOut
}

// Refusal counts the answers of one operation with one return value that is
// not 0.
type Refusal struct {
	Async bool // of AsyncEMSMDB
	Opnum uint16
	Value uint32
	Count int64
}

// maxRefusals bounds the kinds of refusals of one connection.
const maxRefusals = 32

// Figures are the EMSMDB figures of one TCP connection.
type Figures struct {
	Connects        []Connect // the first Limits.Connects
	ConnectsDropped int64     // those after them
	Sessions        int64     // successful connects
	Disconnects     int64     // EcDoDisconnect requests

	Refusals        []Refusal // answers with a return value, by kind, in order of appearance
	RefusalsDropped int64     // answers whose kind did not fit in

	UserDN string // of the latest connect, else of the first RopLogon
	Client Version
	Server Version

	SyncGetBuffer Sizes // RopFastTransferSourceGetBuffer
	ReadStream    Sizes // RopReadStream
	Rops          []Rop // those that occurred, in order of ID

	// Bytes of RopsLists, RopSize not counted. Of a payload that cannot be
	// decoded or of a stub that cannot be read all bytes count as unwalked.
	RequestWalked    int64
	RequestUnwalked  int64
	ResponseWalked   int64
	ResponseUnwalked int64
	Unwalked         [NumReasons]int64 // both directions, by reason

	Unexecuted        int64 // ROPs sent back by RopBufferTooSmall or RopBackoff
	PushNotifications int64 // EcRRegisterPushNotification requests
	AsyncWaits        int64 // EcDoAsyncWaitEx answers
	AsyncPending      int64 // those that announced a notification
	Buffers           Buffers

	Calls       int64 // requests whose operation is decoded
	SealedCalls int64 // requests that are encrypted
	Sealed      SealedCounts
	Unpaired    int64 // responses whose request was not captured, recognised or not
	Faults      int64
	Lost        int64 // calls dropped without an answer
	// RequestsForgotten counts requests whose ROPs the budget let go before
	// the answer came.
	RequestsForgotten int64
	DecodeErrors      int64 // stubs, payloads and lists that are not what they should be

	ids []uint8 // of Rops, while the connection is open
}

// SealedCounts is what the headers of encrypted calls tell.
type SealedCounts struct {
	Connects          int64 // EcDoConnect and EcDoConnectEx that were answered by no fault
	PushNotifications int64 // EcRRegisterPushNotification requests
}

// refused counts the return value of an answer.
func (f *Figures) refused(p *Pending, value uint32) {
	if value == 0 {
		return
	}
	kind := Refusal{Async: p.iface == AsyncMDB, Opnum: p.opnum, Value: value}
	for i := range f.Refusals {
		r := &f.Refusals[i]
		if r.Async == kind.Async && r.Opnum == kind.Opnum && r.Value == kind.Value {
			r.Count++
			return
		}
	}
	if len(f.Refusals) >= maxRefusals {
		f.RefusalsDropped++
		return
	}
	kind.Count = 1
	f.Refusals = append(f.Refusals, kind)
}

// rop returns the counters of one ROP. A RopId is a byte, so no other bound is
// needed.
func (c *Conn) rop(id uint8) *Rop {
	n := len(c.figures.Rops)
	r := c.figures.rop(id)
	if len(c.figures.Rops) > n {
		c.charge(ropWeight)
	}
	return r
}

func (f *Figures) rop(id uint8) *Rop {
	at := bytes.IndexByte(f.ids, id)
	if at < 0 {
		at, _ = slices.BinarySearch(f.ids, id)
		f.ids = slices.Insert(f.ids, at, id)
		f.Rops = slices.Insert(f.Rops, at, Rop{ID: id})
	}
	return &f.Rops[at]
}
