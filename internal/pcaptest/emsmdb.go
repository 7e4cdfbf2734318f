package pcaptest

import "encoding/binary"

// Opnums of EMSMDB ([MS-OXCRPC] 3.1.4).
const (
	OpEcDoConnect        = 0
	OpEcDoDisconnect     = 1
	OpEcDoRpc            = 2
	OpEcDummyRpc         = 6
	OpEcDoConnectEx      = 10
	OpEcDoRpcExt2        = 11
	OpEcDoAsyncConnectEx = 14
)

// Flags of RPC_HEADER_EXT ([MS-OXCRPC] 2.2.2.1).
const (
	ExtCompressed = 1
	ExtXorMagic   = 2
	ExtLast       = 4
)

// Version is the three words of a client or server version.
type Version [3]uint16

// Outlook2007 is 12.0.6425.1000 in the form of four numbers.
var Outlook2007 = Version{12 << 8, 6425 | 0x8000, 1000}

// Outlook2003 is 11.0.5608.5606 in the form of three.
var Outlook2003 = Version{11, 5608, 5606}

// ConnectEx are the arguments of EcDoConnectEx that vary.
type ConnectEx struct {
	UserDN string
	Client Version
	AuxIn  []byte // RPC_HEADER_EXT and auxiliary blocks, or nothing
}

// Request is the request stub of EcDoConnectEx.
func (c ConnectEx) Request(n NDR) []byte {
	n.String(c.UserDN)
	n.U32(0, 0x11223344, 0, 1252, 0x409, 0x409, 0xffffffff) // flags, hash, limit, code page, two locales, no link
	n.U16(1).U16(c.Client[:]...)                            // can convert code pages
	n.U32(0)                                                // time stamp
	n.Array(c.AuxIn)
	return n.U32(uint32(len(c.AuxIn)), 0x1008).Bytes()
}

// ConnectExResult are the results of EcDoConnectEx that vary.
type ConnectExResult struct {
	Handle      UUID // nil UUID, the empty string, for a failure
	Index       uint16
	DNPrefix    string
	DisplayName string
	Server      Version
	Best        Version
	AuxOut      []byte
	Status      uint32
}

// Response is the response stub of EcDoConnectEx.
func (r ConnectExResult) Response(n NDR) []byte {
	if r.Handle == "" {
		r.Handle = nilUUID
	}
	n.Handle(r.Handle).U32(60000, 6, 10000).U16(r.Index) // poll interval, retries, delay in ms
	n.U32(0x20000).String(r.DNPrefix)
	n.U32(0x20004).String(r.DisplayName)
	n.U16(r.Server[:]...).U16(r.Best[:]...)
	n.U32(0x55667788) // time stamp
	n.VaryingArray(r.AuxOut)
	return n.U32(uint32(len(r.AuxOut)), r.Status).Bytes()
}

// RpcExt2 are the arguments of EcDoRpcExt2 that vary.
type RpcExt2 struct {
	Handle UUID
	Flags  uint32 // 1 no compression, 2 no XOR, 4 chain, all of the answer
	In     []byte // what HeaderExt returns
	MaxOut uint32
	AuxIn  []byte
}

// Request is the request stub of EcDoRpcExt2.
func (c RpcExt2) Request(n NDR) []byte {
	n.Handle(c.Handle).U32(c.Flags)
	n.Array(c.In).U32(uint32(len(c.In)), c.MaxOut)
	n.Array(c.AuxIn)
	return n.U32(uint32(len(c.AuxIn)), 0x1008).Bytes()
}

// RpcExt2Result are the results of EcDoRpcExt2 that vary.
type RpcExt2Result struct {
	Handle    UUID
	Flags     uint32
	Out       []byte // what HeaderExt returns, once or more
	AuxOut    []byte
	TransTime uint32 // ms
	Status    uint32
}

// Response is the response stub of EcDoRpcExt2.
func (r RpcExt2Result) Response(n NDR) []byte {
	n.Handle(r.Handle).U32(r.Flags)
	n.VaryingArray(r.Out).U32(uint32(len(r.Out)))
	n.VaryingArray(r.AuxOut).U32(uint32(len(r.AuxOut)))
	return n.U32(r.TransTime, r.Status).Bytes()
}

// DisconnectRequest and DisconnectResponse are the stubs of EcDoDisconnect.
func DisconnectRequest(n NDR, handle UUID) []byte { return n.Handle(handle).Bytes() }

// DisconnectResponse is the response stub of EcDoDisconnect.
func DisconnectResponse(n NDR, status uint32) []byte {
	return n.Handle(nilUUID).U32(status).Bytes()
}

// RpcRequest is the request stub of the legacy EcDoRpc around a ROP buffer,
// which it obfuscates.
func RpcRequest(n NDR, handle UUID, rops []byte, maxOut uint16) []byte {
	n.Handle(handle).U32(uint32(maxOut), 0).Array(xor(rops))
	return n.U16(uint16(len(rops)), maxOut).Bytes()
}

// RpcResponse is the response stub of the legacy EcDoRpc.
func RpcResponse(n NDR, handle UUID, rops []byte, maxOut uint16, status uint32) []byte {
	n.Handle(handle).U32(uint32(maxOut), 0).Array(xor(rops))
	return n.U16(uint16(len(rops))).U32(status).Bytes()
}

// HeaderExt puts RPC_HEADER_EXT in front of a payload, which it obfuscates
// if the flags say so. For a compressed one give what compression made of it
// and its size before.
func HeaderExt(flags uint16, payload []byte, sizeActual int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, 0)
	b = le.AppendUint16(b, flags)
	b = le.AppendUint16(b, uint16(len(payload)))
	b = le.AppendUint16(b, uint16(sizeActual))
	if flags&ExtXorMagic != 0 {
		payload = xor(payload)
	}
	return append(b, payload...)
}

// Plain is HeaderExt for one payload as it is.
func Plain(payload []byte) []byte { return HeaderExt(ExtLast, payload, len(payload)) }

// Xored is HeaderExt for one obfuscated payload.
func Xored(payload []byte) []byte { return HeaderExt(ExtLast|ExtXorMagic, payload, len(payload)) }

func xor(b []byte) []byte {
	out := make([]byte, len(b))
	for i, v := range b {
		out[i] = v ^ 0xa5
	}
	return out
}

// ROPs is a ROP buffer ([MS-OXCRPC] 2.2.2): its size, the ROPs and the table
// of handles.
func ROPs(handles []uint32, rops ...[]byte) []byte {
	le := binary.LittleEndian
	b := []byte{0, 0}
	for _, r := range rops {
		b = append(b, r...)
	}
	le.PutUint16(b, uint16(len(b)))
	for _, h := range handles {
		b = le.AppendUint32(b, h)
	}
	return b
}
