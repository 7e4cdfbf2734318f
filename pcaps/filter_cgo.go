//go:build cgo

package pcaps

import (
	"errors"
	"math"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcap"
)

// HaveBPF reports whether this build can filter packets.
const HaveBPF = true

// compileBPF compiles a filter with libpcap. A packet without any byte
// matches nothing.
func compileBPF(expr string, link LinkType) (matchFunc, error) {
	dlt := link
	if dlt == LinkRaw {
		dlt = 12 // libpcap calls it DLT_RAW
	}
	if dlt > math.MaxUint8 {
		return nil, errors.New("packets of this link type cannot be filtered")
	}
	const snaplen = 262144 // what libpcap takes for unlimited
	bpf, err := pcap.NewBPF(layers.LinkType(dlt), snaplen, expr)
	if err != nil {
		return nil, err
	}
	return func(wireLen int, data []byte) bool {
		if len(data) == 0 {
			return false
		}
		return bpf.Matches(gopacket.CaptureInfo{CaptureLength: len(data), Length: wireLen}, data)
	}, nil
}
