package emsmdb

import (
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
}

// Sizes describes the answers to one kind of read.
type Sizes struct {
	Requests int64 // that the server did not send back unexecuted
	Answers  int64 // successful ones; chained answers count one by one
	Min      int64 // bytes of data in an answer
	Max      int64
	Sum      int64
}

func (s *Sizes) add(n int64) {
	if s.Answers == 0 || n < s.Min {
		s.Min = n
	}
	s.Max = max(s.Max, n)
	s.Sum += n
	s.Answers++
}

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

// Figures are the EMSMDB figures of one TCP connection.
type Figures struct {
	Connects        []Connect // the first Limits.Connects
	ConnectsDropped int64     // those after them
	Sessions        int64     // successful connects
	Disconnects     int64     // EcDoDisconnect requests

	UserDN string // of the latest connect, else of the first RopLogon
	Client Version
	Server Version

	SyncGetBuffer Sizes // RopFastTransferSourceGetBuffer
	ReadStream    Sizes // RopReadStream
	Rops          []Rop // those that occurred, in order of ID

	// Bytes of RopsLists, RopSize not counted.
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

	Calls        int64 // requests whose operation is decoded
	SealedCalls  int64 // requests that are encrypted
	Unpaired     int64 // responses whose request was not captured, recognised or not
	Faults       int64
	Lost         int64 // calls dropped without an answer
	DecodeErrors int64 // stubs, payloads and lists that are not what they should be

	slots [256]uint8 // position in Rops, checked when used
}

// rop returns the counters of one ROP.
func (f *Figures) rop(id uint8) *Rop {
	if at := int(f.slots[id]); at < len(f.Rops) && f.Rops[at].ID == id {
		return &f.Rops[at]
	}
	at, _ := slices.BinarySearchFunc(f.Rops, id, func(r Rop, id uint8) int { return int(r.ID) - int(id) })
	f.Rops = slices.Insert(f.Rops, at, Rop{ID: id})
	for i := range f.Rops {
		f.slots[f.Rops[i].ID] = uint8(i)
	}
	return &f.Rops[at]
}
