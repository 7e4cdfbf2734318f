package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// baseline reads a capture with gopacket's pure Go reader and decodes every
// packet in place to its TCP header, with one thread and without keeping
// anything: what a program that does this and nothing else costs.
func baseline(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := pcapgo.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return err
	}
	var (
		eth     layers.Ethernet
		ip      layers.IPv4
		tcp     layers.TCP
		payload gopacket.Payload
		found   []gopacket.LayerType
		segs    int64
	)
	p := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip, &tcp, &payload)
	p.IgnoreUnsupported = true // gopacket names what ports 443 and others carry
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := p.DecodeLayers(data, &found); err != nil {
			return err
		}
		segs++
	}
	fmt.Println(segs)
	return nil
}
