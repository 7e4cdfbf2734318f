package pcaps_test

import (
	"bytes"
	"fmt"
	"io"
	"log"

	"mapiscope/pcaps"
)

func Example() {
	var file bytes.Buffer
	w := pcaps.NewPcapngWriter(&file)
	lan := w.AddInterface("edge-lan", pcaps.LinkEthernet, 0, 9)
	wan := w.AddInterface("wan0", pcaps.LinkRaw, 96, 9)
	w.WritePacket(lan, 1_000_000_000, make([]byte, 60), 60)
	w.WritePacket(wan, 1_000_200_000, make([]byte, 96), 1500)

	r, err := pcaps.Open([]string{"-"}, pcaps.Options{Stdin: &file})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for {
		var p pcaps.Packet
		if err := r.Next(&p); err == io.EOF {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Println(p.Packet, p.When().Format("15:04:05.0000"), p.Point, p.Link, len(p.Data), p.WireLen)
	}
	for _, c := range r.Captures() {
		fmt.Println(c.Format, c.Packets, c.Truncated, c.Err)
	}
	// Output:
	// 1 00:00:01.0000 edge ETHERNET 60 60
	// 2 00:00:01.0002 wan RAW 96 1500
	// pcapng 2 1 <nil>
}
