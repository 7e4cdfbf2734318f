// Package emsmdb decodes the calls of Outlook to an Exchange store: EMSMDB and
// AsyncEMSMDB ([MS-OXCRPC]) down to the single remote operation, the ROP
// ([MS-OXCROPS]). It works on stubs, that is on what remains of a request or
// response when DCE/RPC headers and verifiers are off and the fragments are
// joined, and knows nothing of packets but the marks it is given.
//
// A Store holds the EMSMDB sessions of one host pair, because Outlook spreads
// the calls of one session over several TCP connections; a Conn holds the
// figures of one TCP connection. Both belong to one goroutine.
//
// The layouts of all ROPs stand in layouts.tsv, which is compiled to small
// programs when the package is initialised. What the walk cannot read is
// counted as unwalked bytes with a reason; nothing is guessed and nothing is
// skipped in search of the next plausible ROP.
//
// Integers inside ROP buffers are little endian whatever the byte order of
// the PDU ([MS-OXCRPC] 2.2.2).
package emsmdb

import (
	"mapiscope/dcerpc"
	"mapiscope/internal/wire"
)

// Interfaces of Exchange.
var (
	MDB      = dcerpc.EMSMDB      // EMSMDB 0.81
	AsyncMDB = dcerpc.AsyncEMSMDB // AsyncEMSMDB 0.1
	NSPI     = dcerpc.NSPI        // address book 56.0
	RFR      = dcerpc.RFR         // directory referral 1.0
)

// Opnums of EMSMDB that are decoded ([MS-OXCRPC] 3.1.4; those below 10 that
// the specification reserves are as seen on the wire).
const (
	opConnect      = 0
	opDisconnect   = 1
	opRPC          = 2
	opRegisterPush = 4
	opRPCExt       = 9
	opConnectEx    = 10
	opRPCExt2      = 11
	opAsyncConnect = 14

	opAsyncWait = 0 // of AsyncEMSMDB, [MS-OXCRPC] 3.3.4.1
)

// Bounds of the interface definition ([MS-OXCRPC] 6) and of what is kept.
const (
	maxIn     = 0x40000 // rgbIn
	maxOut    = 1 << 20 // rgbOut: newer servers go past the 0x40000 of older ones
	maxAux    = 0x1008  // rgbAuxIn and rgbAuxOut
	maxLegacy = 0x10000 // array of EcDoRpc, whose length has 16 bits
	maxDN     = 4096    // szUserDN, names of the connect answer
	overhead  = 256     // all other fields, padding and NDR64 counts
)

// Want returns how many bytes of a stub are worth keeping, 0 where nothing
// of the stub is decoded.
func Want(iface wire.UUID, opnum uint16, response bool) int {
	switch {
	case iface == AsyncMDB && opnum == opAsyncWait && response:
		return overhead
	case iface != MDB:
		return 0
	}
	switch opnum {
	case opRPCExt, opRPCExt2:
		if response {
			return maxOut + maxAux + overhead
		}
		return maxIn + maxAux + overhead
	case opRPC:
		return maxLegacy + overhead
	case opConnect, opConnectEx:
		return 2*maxDN + maxAux + overhead
	case opDisconnect, opRegisterPush, opAsyncConnect:
		return overhead
	}
	return 0
}
