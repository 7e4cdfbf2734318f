package samples

import (
	"net/netip"
	"time"

	"mapiscope/internal/pcaptest"
)

const (
	exchange = "10.20.0.25"
	mdbPort  = "59531"
	nspiPort = "59532"
	handle   = pcaptest.UUID("5f3a1c00-7be1-4c11-9d8a-0a1b2c3d4e5f")
)

// session is the RPC on one connection.
type session struct {
	c    *pcaptest.Conn
	call uint32
	seal func(pcaptest.PDU) pcaptest.PDU
}

// bind opens the RPC on a connection without authentication.
func bind(c *pcaptest.Conn, asked, granted uint32, port string, iface pcaptest.Syntax) *session {
	s := &session{c: c, call: 1, seal: func(p pcaptest.PDU) pcaptest.PDU { return p }}
	c.Client(pcaptest.Bind(asked, pcaptest.Offer(0, iface)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(granted, port, pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	return s
}

// bindNTLM opens it with NTLM at a level.
func bindNTLM(c *pcaptest.Conn, asked, granted uint32, port string, iface pcaptest.Syntax, level byte, user string) *session {
	const ntlm = 10
	s := &session{c: c, call: 1, seal: func(p pcaptest.PDU) pcaptest.PDU {
		return p.Auth(ntlm, level, 0, filler(16, uint32(level)))
	}}
	c.Client(pcaptest.Bind(asked, pcaptest.Offer(0, iface)).Call(1).Auth(ntlm, level, 0, pcaptest.NTLMNegotiate()).Bytes())
	c.Server(pcaptest.BindAck(granted, port, pcaptest.Accept(pcaptest.NDR32)).Call(1).
		Auth(ntlm, level, 0, pcaptest.NTLMChallenge("CORP", "MAIL1", [8]byte{1, 2, 3, 4, 5, 6, 7, 8})).Bytes())
	c.Client(pcaptest.Auth3().Call(1).Auth(ntlm, level, 0, pcaptest.NTLMAuthenticate("CORP", user, "PC-"+user)).Bytes())
	return s
}

// do calls an operation. The server thinks about some longer than about
// others.
func (s *session) do(opnum uint16, request, response []byte) {
	s.call++
	s.c.Client(s.seal(pcaptest.Request(0, opnum, request).Call(s.call)).Fragmented(4096))
	s.c.Sleep(time.Duration(400+s.call*s.call*7919%9000) * time.Microsecond)
	s.c.Server(s.seal(pcaptest.Response(0, response).Call(s.call)).Fragmented(4096))
}

// connect is EcDoConnectEx.
func (s *session) connect(user string) {
	s.do(pcaptest.OpEcDoConnectEx,
		pcaptest.ConnectEx{UserDN: "/o=Corp/ou=Sales/cn=Recipients/cn=" + user, Client: pcaptest.Outlook2007}.Request(pcaptest.NDR{}),
		pcaptest.ConnectExResult{
			Handle: handle, Index: 1, DNPrefix: "/o=Corp/ou=Sales/cn=Recipients/cn=", DisplayName: user,
			Server: pcaptest.Version{8 << 8, 0x8000 | 240, 5}, Best: pcaptest.Outlook2007,
		}.Response(pcaptest.NDR{}))
}

// rops is EcDoRpcExt2 with ROPs and the table of handles.
func (s *session) rops(requests, responses []byte, handles ...uint32) {
	s.do(pcaptest.OpEcDoRpcExt2,
		pcaptest.RpcExt2{Handle: handle, Flags: 1, In: pcaptest.Xored(pcaptest.ROPs(handles, requests)), MaxOut: 0x8000}.Request(pcaptest.NDR{}),
		pcaptest.RpcExt2Result{Handle: handle, Flags: 1, Out: pcaptest.Xored(pcaptest.ROPs(handles, responses)), TransTime: 2}.Response(pcaptest.NDR{}))
}

// pair is rops with a function that makes one request and its response.
func (s *session) pair(request, response []byte) { s.rops(request, response, 1, 2, 3) }

// logon opens the mailbox.
func (s *session) logon(user string) {
	s.rops(logonRequest("/o=Corp/ou=Sales/cn=Recipients/cn="+user), logonResponse(), 1)
}

// folder reads the head of a folder.
func (s *session) folder() {
	request, response := openFolder()
	table, rows := contentsTable(42)
	s.pair(append(request, table...), append(response, rows...))
	s.pair(append(release(2), release(1)...), nil)
}

// stream reads a body in pieces of some bytes.
func (s *session) stream(sizes ...int) {
	s.pair(openStream(40000))
	for _, n := range sizes {
		s.pair(readStream(16384, n))
	}
}

// sync transfers the contents of a folder in pieces of some bytes.
func (s *session) sync(sizes ...int) {
	s.pair(openFolder())
	s.pair(synchronize())
	for i, n := range sizes {
		s.pair(getBuffer(n, uint16(i+1), uint16(len(sizes))))
	}
}

// disconnect is EcDoDisconnect.
func (s *session) disconnect() {
	s.do(pcaptest.OpEcDoDisconnect, pcaptest.DisconnectRequest(pcaptest.NDR{}, handle), pcaptest.DisconnectResponse(pcaptest.NDR{}, 0))
}

// lookup asks the endpoint mapper for an interface and gets a port, or the
// status that it is not registered.
func (s *session) lookup(iface pcaptest.Syntax, port uint16) {
	const notRegistered = 0x16c9a0d6
	answer := pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0, pcaptest.Endpoint{Interface: iface, Addr: netip.MustParseAddr(exchange), Port: port})
	if port == 0 {
		answer = pcaptest.EptMapResponse(pcaptest.NDR{}, 4, notRegistered)
	}
	s.do(pcaptest.OpEptMap, pcaptest.EptMapRequest(pcaptest.NDR{}, iface, 4), answer)
}
