package samples

import (
	"time"

	"mapiscope/internal/pcaptest"
)

// discovery is option 33 as the devices of these captures write it: two bytes
// of unknown content, the id of the device, two bytes of padding.
func discovery(device byte) []byte {
	return []byte{0x21, 12, 0x01, 0x08, 0x02, 0x4d, 0x09, 0, 0, device, 0, 0}
}

// demo is seen on the WAN between an edge and a core device. Alice's group has
// three connections: two pass the devices, which
// compress them, and the third, opened while the edge device was full for a
// second mailbox, does not and is readable. Bob sits in a branch that has no device and seals what
// he sends with NTLM.
func demo() []byte {
	const alice, bob = "10.10.1.21", "10.10.2.34"
	s := scene()
	wan := pcaptest.RTT(40 * time.Millisecond)
	optimized := []pcaptest.Option{
		wan, pcaptest.SynOptions(discovery(1)...), pcaptest.SynAckOptions(discovery(2)...), pcaptest.Jump(1 << 31),
	}
	lookup := func(client string) {
		c := s.Dial(client+":49201", exchange+":135", wan)
		bind(c, 0, 0x9c41, "135", pcaptest.EPM).lookup(pcaptest.EMSMDB, 59531)
		c.Close()
	}
	lookup(alice)
	first := s.Dial(alice+":49202", exchange+":"+mdbPort, optimized...)
	tunnel(first, 640, 420, 11)
	tunnel(first, 510, 2900, 12)
	second := s.Sleep(300*time.Millisecond).Dial(alice+":49203", exchange+":"+mdbPort, optimized...)
	tunnel(second, 380, 5200, 13)

	third := s.Sleep(2*time.Second).Dial(alice+":49204", exchange+":"+mdbPort, wan)
	r := bind(third, 0x000212d4, 0x000212d4, mdbPort, pcaptest.EMSMDB)
	r.connect("alice")
	r.logon("alice")
	r.folder()
	r.stream(16384, 16384, 7232)
	r.sync(31000, 12000)
	tunnel(first, 420, 3100, 14)

	lookup(bob)
	sealed := s.Dial(bob+":49202", exchange+":"+mdbPort, wan)
	q := bindNTLM(sealed, 0, 0x000212e9, mdbPort, pcaptest.EMSMDB, 6, "bob")
	for i := range uint32(5) {
		q.do(pcaptest.OpEcDoRpcExt2, filler(180+int(i)*20, i+30), filler(1500+int(i)*700, i+40))
	}
	for _, c := range []*pcaptest.Conn{third, second, first, sealed} {
		c.Close()
	}
	return s.Pcap()
}

// tunnel is an exchange on a connection that the devices compress.
func tunnel(c *pcaptest.Conn, asked, answered int, seed uint32) {
	c.Client(filler(asked, seed)).Server(filler(answered, seed+100))
}

// outlookStart is a healthy start, seen at the client.
func outlookStart() []byte {
	const client = "10.10.1.21"
	s := scene()
	lan := pcaptest.RTT(2 * time.Millisecond)
	c := s.Dial(client+":1066", exchange+":135", lan)
	mapper := bind(c, 0, 0x51a7, "135", pcaptest.EPM)
	mapper.lookup(pcaptest.RFR, 59532)
	mapper.lookup(pcaptest.NSPI, 59532)
	mapper.lookup(pcaptest.EMSMDB, 59531)
	c.Close()

	c = s.Dial(client+":1067", exchange+":"+nspiPort, lan)
	referral := bind(c, 0, 0x00031001, nspiPort, pcaptest.RFR)
	referral.do(0, filler(64, 50), filler(56, 51)) // RfrGetNewDSA
	c.Close()
	c = s.Dial(client+":1068", exchange+":"+nspiPort, lan)
	book := bindNTLM(c, 0, 0x00031002, nspiPort, pcaptest.NSPI, 2, "alice")
	book.do(0, filler(68, 52), filler(44, 53))   // NspiBind
	book.do(3, filler(120, 54), filler(900, 55)) // NspiQueryRows
	book.do(1, filler(24, 56), filler(24, 57))   // NspiUnbind
	c.Close()

	one := s.Dial(client+":1069", exchange+":"+mdbPort, lan)
	r := bindNTLM(one, 0, 0x000212d4, mdbPort, pcaptest.EMSMDB, 2, "alice")
	r.connect("alice")
	r.logon("alice")
	r.folder()
	two := s.Dial(client+":1070", exchange+":"+mdbPort, lan)
	q := bindNTLM(two, 0x000212d4, 0x000212d4, mdbPort, pcaptest.EMSMDB, 2, "alice")
	q.sync(20000, 9000)
	r.stream(16384, 2048)
	r.disconnect()
	two.Close()
	one.Close()
	return s.Pcap()
}

// epmDown is a server whose Exchange services are stopped.
func epmDown() []byte {
	const client = "10.10.1.21"
	s := scene()
	c := s.Dial(client+":1066", exchange+":135")
	mapper := bind(c, 0, 0x51a7, "135", pcaptest.EPM)
	mapper.lookup(pcaptest.NSPI, 59532)
	mapper.lookup(pcaptest.EMSMDB, 0)
	c.Close()
	refused := s.Dial(client+":1067", exchange+":"+nspiPort, pcaptest.NoHandshake())
	refused.Segment(pcaptest.Client, -1, nil, pcaptest.SYN)
	refused.Segment(pcaptest.Server, -1, nil, pcaptest.RST|pcaptest.ACK)
	return s.Pcap()
}

// twoPoints is one connection on both sides of an edge device that passes it
// through: 2 ms lie between the two places.
func twoPoints() []byte {
	s := scene()
	s.Tap("edge", 1, 0)
	s.Tap("wan", 1, 2*time.Millisecond)
	c := s.Dial("10.10.1.21:1069", exchange+":"+mdbPort, pcaptest.RTT(30*time.Millisecond))
	r := bind(c, 0, 0x000212d4, mdbPort, pcaptest.EMSMDB)
	r.connect("alice")
	r.logon("alice")
	c.Close()
	return s.Pcapng()
}
