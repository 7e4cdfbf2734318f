package main

import (
	"net/netip"
	"time"

	"mapiscope/internal/pcaptest"
)

// The two hosts of the scenes.
const (
	client   = "10.1.0.5"
	exchange = "10.2.0.9"
)

// scenes are the captures that the scripts ask for by name.
var scenes = map[string]func() *pcaptest.Scene{
	// An Outlook in plaintext that asked the endpoint mapper first.
	"plain": outlook,
	// The same from another client, an hour later.
	"later": later,
	// A client that uses NTLM privacy.
	"sealed": sealed,
	// A server that rejects the bind.
	"rejected": rejected,
	// TCP connections of no interest.
	"foreign": foreign,
	// One connection, captured at three places.
	"places": places,
}

var morning = time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC)

const (
	portEPM  = "135"
	portMAPI = "1032"
	group    = 0x0001e240
	session  = pcaptest.UUID("0d5e6a1c-7f0b-4e0e-9c7d-3b1f5c2a9e41")
)

// lookup asks the endpoint mapper for EMSMDB.
func lookup(s *pcaptest.Scene) {
	c := s.Dial(client+":1065", exchange+":"+portEPM, pcaptest.RTT(2*time.Millisecond))
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(0x0001e100, portEPM, pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	c.Client(pcaptest.Request(0, pcaptest.OpEptMap, pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4)).Call(2).Bytes())
	c.Server(pcaptest.Response(0, pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0,
		pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Addr: netip.MustParseAddr(exchange), Port: 1032})).Call(2).Bytes())
	c.Close()
}

// bound opens an EMSMDB connection without authentication.
func bound(s *pcaptest.Scene) *pcaptest.Conn {
	c := s.Dial(client+":1066", exchange+":"+portMAPI, pcaptest.RTT(2*time.Millisecond))
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(group, portMAPI, pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	return c
}

func outlook() *pcaptest.Scene {
	s := pcaptest.New(morning)
	lookup(s)
	c := bound(s)
	c.Client(pcaptest.Request(0, pcaptest.OpEcDoConnectEx, pcaptest.ConnectEx{UserDN: "/o=Corp/ou=HQ/cn=Recipients/cn=alice", Client: pcaptest.Outlook2007}.Request(pcaptest.NDR{})).Call(2).Bytes())
	c.Server(pcaptest.Response(0, pcaptest.ConnectExResult{
		Handle: session, Index: 1, DNPrefix: "/o=Corp", DisplayName: "Alice <1>", Server: pcaptest.Outlook2007, Best: pcaptest.Outlook2007,
	}.Response(pcaptest.NDR{})).Call(2).Bytes())
	c.Client(pcaptest.Request(0, pcaptest.OpEcDoDisconnect, pcaptest.DisconnectRequest(pcaptest.NDR{}, session)).Call(3).Bytes())
	c.Server(pcaptest.Response(0, pcaptest.DisconnectResponse(pcaptest.NDR{}, 0)).Call(3).Bytes())
	c.Close()
	return s
}

func later() *pcaptest.Scene {
	s := pcaptest.New(morning.Add(time.Hour))
	for _, port := range []string{"135", "1032"} {
		s.Dial("10.1.0.6:1070", exchange+":"+port).Close()
	}
	return s
}

func sealed() *pcaptest.Scene {
	const ntlm, privacy = 10, 6
	s := pcaptest.New(morning)
	lookup(s)
	c := s.Dial(client+":1066", exchange+":"+portMAPI, pcaptest.RTT(2*time.Millisecond))
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Auth(ntlm, privacy, 1, pcaptest.NTLMNegotiate()).Bytes())
	c.Server(pcaptest.BindAck(group, portMAPI, pcaptest.Accept(pcaptest.NDR32)).Call(1).Auth(ntlm, privacy, 1, pcaptest.NTLMChallenge("CORP", "MAIL1", [8]byte{1, 2, 3})).Bytes())
	c.Client(pcaptest.Auth3().Call(1).Auth(ntlm, privacy, 1, pcaptest.NTLMAuthenticate("CORP", "alice", "PC7")).Bytes())
	for call := range uint32(3) {
		c.Client(pcaptest.Request(0, pcaptest.OpEcDoRpcExt2, make([]byte, 256)).Call(2+call).Auth(ntlm, privacy, 1, make([]byte, 16)).Bytes())
		c.Server(pcaptest.Response(0, make([]byte, 512)).Call(2+call).Auth(ntlm, privacy, 1, make([]byte, 16)).Bytes())
	}
	c.Close()
	return s
}

func rejected() *pcaptest.Scene {
	s := pcaptest.New(morning)
	lookup(s)
	c := s.Dial(client+":1066", exchange+":"+portMAPI)
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1).Bytes())
	c.Server(pcaptest.BindNak(4).Call(1).Bytes())
	c.Close()
	return s
}

func foreign() *pcaptest.Scene {
	s := pcaptest.New(morning)
	s.Dial(client+":2000", "10.3.0.1:80").Client([]byte("GET / HTTP/1.0\r\n\r\n")).Server([]byte("HTTP/1.0 200 OK\r\n\r\nhello")).Close()
	s.Dial(client+":2001", "10.3.0.1:22").Server([]byte("SSH-2.0-OpenSSH_5.1\r\n")).Close()
	return s
}

func places() *pcaptest.Scene {
	s := pcaptest.New(morning)
	s.Tap("edge-lan", 1, 0)
	s.Tap("wan", 1, 300*time.Microsecond)
	s.Tap("core-lan", 1, 600*time.Microsecond)
	lookup(s)
	bound(s).Close()
	return s
}
