package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"mapiscope/internal/pcaptest"
)

// mix is a kind of traffic that a benchmark capture holds.
type mix struct {
	name  string
	what  string // one line for the table
	alive int    // copies of the template that run at the same time
	scene func() *pcaptest.Scene
	drop  int    // every drop-th packet is not captured; 0 drops none
	file  string // capture that stands in for the scene
}

var mixes = []mix{
	{"small calls", "many small MAPI calls, 3 connections a client", 64, smallCalls, 0, ""},
	{"downloads", "FastTransfer answers of 31 KB, XOR", 64, downloads, 0, ""},
	{"sealed", "calls under Kerberos privacy", 64, sealed, 0, ""},
	{"foreign", "mostly other TCP, one client in twenty speaks MAPI", 64, foreign, 0, ""},
	{"short connections", "connections of one EPM lookup or one bind", 512, shortConnections, 0, ""},
	{"loss", "small calls with 2 % of the packets missing", 64, smallCalls, 50, ""},
}

// session is one Outlook with its connections to one Exchange server.
type session struct {
	s      *pcaptest.Scene
	conns  []*pcaptest.Conn
	handle pcaptest.UUID
	callID uint32
	seal   bool
	rng    *rand.Rand
}

const (
	clientHost = "10.0.1.10"
	serverHost = "10.0.0.30"
	mapiPort   = 59531
	kerberos   = 16
	privacy    = 6
)

func newScene() *pcaptest.Scene { return pcaptest.New(time.Unix(0, start)) }

// open looks EMSMDB up, opens n connections of one group and connects.
func open(s *pcaptest.Scene, n int, seal bool) *session {
	x := &session{s: s, handle: "0e1d2c3b-4a59-6877-8695-a4b3c2d1e0f0", seal: seal, rng: rand.New(rand.NewPCG(7, 7))}
	lookup(s, 40000)
	for i := range n {
		c := s.Dial(fmt.Sprintf("%s:%d", clientHost, 50000+i), fmt.Sprintf("%s:%d", serverHost, mapiPort))
		group := uint32(0)
		if i > 0 {
			group = 0x12345
		}
		bind := pcaptest.Bind(group, pcaptest.Offer(0, pcaptest.EMSMDB)).Call(1)
		ack := pcaptest.BindAck(0x12345, fmt.Sprint(mapiPort), pcaptest.Accept(pcaptest.NDR32)).Call(1)
		if seal {
			bind, ack = bind.Auth(kerberos, privacy, 1, make([]byte, 1200)), ack.Auth(kerberos, privacy, 1, make([]byte, 150))
		}
		c.Client(bind.Bytes()).Server(ack.Bytes())
		x.conns = append(x.conns, c)
	}
	x.call(0, pcaptest.OpEcDoConnectEx,
		pcaptest.ConnectEx{UserDN: "/o=org/ou=site/cn=recipients/cn=user", Client: pcaptest.Outlook2007}.Request(pcaptest.NDR{}),
		pcaptest.ConnectExResult{Handle: x.handle, Server: pcaptest.Version{8 << 8, 240 | 0x8000, 5}}.Response(pcaptest.NDR{}))
	return x
}

func lookup(s *pcaptest.Scene, port int) {
	c := s.Dial(fmt.Sprintf("%s:%d", clientHost, port), serverHost+":135")
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
	c.Server(pcaptest.BindAck(0x99, "135", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	c.Client(pcaptest.Request(0, 3, pcaptest.EptMapRequest(pcaptest.NDR{}, pcaptest.EMSMDB, 4)).Call(2).Bytes())
	c.Server(pcaptest.Response(0, pcaptest.EptMapResponse(pcaptest.NDR{}, 4, 0,
		pcaptest.Endpoint{Interface: pcaptest.EMSMDB, Addr: netip.MustParseAddr(serverHost), Port: mapiPort})).Call(2).Bytes())
	c.Close()
}

// call makes one call on one connection.
func (x *session) call(conn int, opnum uint16, request, response []byte) {
	x.callID++
	q, r := pcaptest.Request(0, opnum, request).Call(x.callID+1), pcaptest.Response(0, response).Call(x.callID+1)
	if x.seal {
		for _, stub := range [2][]byte{request, response} {
			for i := 0; i+8 <= len(stub); i += 8 {
				binary.LittleEndian.PutUint64(stub[i:], x.rng.Uint64())
			}
		}
		q, r = q.Auth(kerberos, privacy, 1, make([]byte, 60)), r.Auth(kerberos, privacy, 1, make([]byte, 60))
	}
	x.conns[conn].Client(q.Bytes())
	x.s.Sleep(2 * time.Millisecond)
	const fragment = 5680
	if len(response) > fragment {
		x.conns[conn].Server(r.Fragments(fragment)...)
	} else {
		x.conns[conn].Server(r.Bytes())
	}
}

// rops makes one EcDoRpcExt2 call.
func (x *session) rops(conn int, request, response []byte) {
	x.call(conn, pcaptest.OpEcDoRpcExt2,
		pcaptest.RpcExt2{Handle: x.handle, In: pcaptest.Xored(request), MaxOut: 0x8007}.Request(pcaptest.NDR{}),
		pcaptest.RpcExt2Result{Handle: x.handle, Out: pcaptest.Xored(response)}.Response(pcaptest.NDR{}))
}

// The ROPs of the mixes ([MS-OXCROPS] 2.2).
var (
	openFolder     = []byte{0x02, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0}                                                 // RopOpenFolder
	openFolderDone = []byte{0x02, 1, 0, 0, 0, 0, 0, 0}                                                                // success, no rules, not ghosted
	getProps       = []byte{0x07, 0, 1, 0, 0, 1, 0, 3, 0, 0x03, 0, 0x17, 0, 0x14, 0, 0x08, 0x0e, 0x0b, 0, 0x0a, 0x36} // RopGetPropertiesSpecific of a long, a long long and a boolean
	getPropsDone   = []byte{0x07, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 1}
	release        = []byte{0x01, 0, 1} // RopRelease
	getBuffer      = []byte{0x4e, 0, 0, 0xc0, 0x7b}
)

func smallCalls() *pcaptest.Scene {
	s := newScene()
	x := open(s, 3, false)
	handles := []uint32{0x55, 0xffffffff}
	for i := range 900 {
		x.rops(i%3, pcaptest.ROPs(handles, openFolder, getProps, release), pcaptest.ROPs([]uint32{0x55, 0x66}, openFolderDone, getPropsDone))
	}
	return s
}

func downloads() *pcaptest.Scene {
	s := newScene()
	x := open(s, 2, false)
	const size = 31680
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(x.rng.Uint32())
	}
	// TransferStatus 1, progress 2 of 9, reserved, size, data.
	done := append([]byte{0x4e, 0, 0, 0, 0, 0, 1, 0, 2, 0, 9, 0, 0, size & 0xff, size >> 8}, data...)
	for i := range 60 {
		x.rops(i%2, pcaptest.ROPs([]uint32{0x77}, getBuffer), pcaptest.ROPs([]uint32{0x77}, done))
	}
	return s
}

func sealed() *pcaptest.Scene {
	s := newScene()
	x := open(s, 3, true)
	for i := range 600 {
		x.call(i%3, pcaptest.OpEcDoRpcExt2, make([]byte, 160), make([]byte, 200+(i%7)*300))
	}
	return s
}

func foreign() *pcaptest.Scene {
	s := newScene()
	body := make([]byte, 20000)
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range body {
		body[i] = byte(rng.Uint32())
	}
	for i := range 19 {
		c := s.Dial(fmt.Sprintf("%s:%d", clientHost, 30000+i), fmt.Sprintf("%s:%d", serverHost, 80+i%3*363))
		for range 5 {
			c.Client([]byte("GET /index.html HTTP/1.1\r\nHost: www\r\n\r\n")).Server(body)
		}
		c.Close()
	}
	x := open(s, 1, false)
	for range 20 {
		x.rops(0, pcaptest.ROPs([]uint32{0x55, 0xffffffff}, openFolder, getProps, release), pcaptest.ROPs([]uint32{0x55, 0x66}, openFolderDone, getPropsDone))
	}
	return s
}

func shortConnections() *pcaptest.Scene {
	s := newScene()
	for i := range 20 {
		lookup(s, 40000+i)
	}
	return s
}

// template turns a scene into what multiply wants.
func (m *mix) template() (*template, error) {
	keep := func(int) bool { return true }
	if m.drop > 0 {
		keep = func(n int) bool { return n%m.drop != m.drop-1 }
	}
	if m.file != "" {
		capture, err := os.ReadFile(m.file)
		if err != nil {
			return nil, err
		}
		return parse(capture, keep)
	}
	return parse(m.scene().Pcap(), keep)
}
