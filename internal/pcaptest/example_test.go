package pcaptest_test

import (
	"fmt"
	"time"

	"mapiscope/internal/pcaptest"
)

// A bind whose answer was lost once, captured in front of an optimizer.
func Example() {
	s := pcaptest.New(time.Date(2009, 6, 1, 8, 0, 0, 0, time.UTC))
	c := s.Dial("10.1.0.5:1066", "10.2.0.9:135", pcaptest.VLAN(100), pcaptest.RTT(40*time.Millisecond))
	c.Client(pcaptest.Bind(0, pcaptest.Offer(0, pcaptest.EPM)).Call(1).Bytes())
	c.Drop(1).Server(pcaptest.BindAck(0x1234, "135", pcaptest.Accept(pcaptest.NDR32)).Call(1).Bytes())
	c.Sleep(200 * time.Millisecond).Retransmit().Close()
	fmt.Println(s.Len(), "packets,", len(s.Pcap()), "bytes")
	// Output: 11 packets, 978 bytes
}
