package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"mapiscope/pcaps"
)

// template is a small capture that a large one is made of.
type template struct {
	packets []sample
	span    int64 // ns from the first packet to behind the last
}

type sample struct {
	at   int64 // ns after the first packet
	data []byte
}

// parse reads a capture of Ethernet frames that is in memory. keep says which
// packets stay.
func parse(capture []byte, keep func(n int) bool) (*template, error) {
	r, err := pcaps.Open([]string{"-"}, pcaps.Options{Stdin: bytes.NewReader(capture)})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t := &template{}
	var p pcaps.Packet
	var first int64
	for n := 0; ; n++ {
		if err := r.Next(&p); err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return nil, err
		}
		if p.Link != pcaps.LinkEthernet {
			return nil, fmt.Errorf("link type %v, want Ethernet", p.Link)
		}
		if len(t.packets) == 0 {
			first = p.Time
		}
		if keep(n) {
			t.packets = append(t.packets, sample{p.Time - first, slices.Clone(p.Data)})
			t.span = max(t.span, p.Time-first)
		}
	}
	if len(t.packets) == 0 {
		return nil, errors.New("no packet")
	}
	t.span += 1e6
	return t, nil
}

// start is the time of the first packet of every capture that is made here.
const start = 1_246_000_000 * int64(1e9)

// multiply writes copies of a template until the capture has size bytes.
// alive copies run at the same time, one packet of each in turn, and every
// copy has host addresses of its own, so that a capture has as many clients
// and servers as copies. Checksums are left as they were.
func multiply(path string, t *template, size int64, alive int) (packets int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	pw := pcaps.NewPcapWriter(w, pcaps.LinkEthernet, 0, true)
	var frame []byte
	written := int64(24)
	// Copies start one after the other, so that they are at different places
	// of the template.
	lag := t.span / int64(alive)
	for round := 0; written < size; round++ {
		base := start + int64(round)*(t.span+lag*int64(alive))
		// One packet of every living copy in turn: times rise inside a copy,
		// and over all of them by the order of writing.
		cursor := make([]int, alive)
		clock := base
		for left := alive; left > 0 && written < size; {
			left = 0
			for k := range alive {
				if cursor[k] == len(t.packets) {
					continue
				}
				left++
				s := &t.packets[cursor[k]]
				cursor[k]++
				frame = append(frame[:0], s.data...)
				readdress(frame, uint32(round*alive+k))
				clock = max(clock, base+s.at)
				if err := pw.WritePacket(0, clock, frame, len(frame)); err != nil {
					return packets, errors.Join(err, f.Close())
				}
				packets++
				written += int64(16 + len(frame))
			}
		}
	}
	if err := w.Flush(); err != nil {
		return packets, errors.Join(err, f.Close())
	}
	return packets, f.Close()
}

// readdress moves both addresses of an IPv4 frame to the networks of copy n.
// Addresses of one copy stay apart, those of two copies never meet.
func readdress(frame []byte, n uint32) {
	if len(frame) < 34 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return
	}
	for _, at := range [2]int{26, 30} {
		host := binary.BigEndian.Uint32(frame[at:])
		// The host keeps its last byte and one bit of its network.
		binary.BigEndian.PutUint32(frame[at:], 10<<24|(n&0x7fff)<<9|(host>>8&1)<<8|host&0xff)
	}
}
