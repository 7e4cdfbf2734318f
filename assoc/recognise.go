package assoc

import "mapiscope/internal/wire"

// The EMSMDB opnums whose request stubs are telling enough to recognise the
// interface when the bind was not captured.
const (
	opRPC     = 2  // EcDoRpc
	opRPCExt2 = 11 // EcDoRpcExt2
)

// recognise reports whether a request stub can only be EMSMDB's. It asks for
// every length that the layout states twice to agree and for the stub to end
// on its last field, so that no other interface passes by chance
// ([MS-OXCRPC] 3.1.4.2 for opnum 11; opnum 2 as seen on the wire).
func recognise(opnum uint16, order wire.Order, stub []byte) bool {
	switch opnum {
	case opRPC:
		return isEcDoRPC(order, stub)
	case opRPCExt2:
		return isEcDoRPCExt2(order, stub)
	}
	return false
}

// contextHandle reads a context handle that names a session: attributes 0 and
// a UUID that is not nil ([C706] 14.3.2).
func contextHandle(c *wire.Cursor) bool {
	attributes, id := c.Uint32(), c.UUID()
	return c.OK() && attributes == 0 && !id.IsZero()
}

func isEcDoRPC(order wire.Order, stub []byte) bool {
	c := wire.NewCursor(stub, order)
	if !contextHandle(&c) {
		return false
	}
	limit, offset, n := c.Uint32(), c.Uint32(), c.Uint32()
	if limit > 0xffff || offset != 0 || n < 2 || n > 0xffff {
		return false
	}
	body := c.Bytes(int(n))
	c.Align(2)
	length, most := c.Uint16(), c.Uint16()
	if !c.OK() || uint32(length) != n || uint32(most) != limit || c.Len() > 3 {
		return false
	}
	// The array is obfuscated with 0xA5 and begins with its RopSize.
	ropSize := uint32(body[0]^0xa5) | uint32(body[1]^0xa5)<<8
	return ropSize >= 2 && ropSize <= n
}

func isEcDoRPCExt2(order wire.Order, stub []byte) bool {
	c := wire.NewCursor(stub, order)
	if !contextHandle(&c) {
		return false
	}
	flags, n := c.Uint32(), c.Uint32()
	if flags&^7 != 0 || n > 0x40000 {
		return false
	}
	body := wire.NewCursor(c.Bytes(int(n)), wire.LittleEndian)
	c.Align(4)
	if c.Uint32() != n || !c.OK() {
		return false
	}
	if n == 0 {
		return true
	}
	version, bits, size := body.Uint16(), body.Uint16(), body.Uint16()
	return body.OK() && version == 0 && bits&^7 == 0 && uint32(size)+8 <= n
}
