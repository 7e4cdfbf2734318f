//go:build cgo

package pcaps

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/gopacket/pcap"
)

// pcapDevice captures with libpcap.
type pcapDevice struct{ h *pcap.Handle }

// openDevice opens an interface with libpcap.
func openDevice(name string, o LiveOptions) (device, error) {
	in, err := pcap.NewInactiveHandle(name)
	if err != nil {
		return nil, liveError(name, err)
	}
	defer in.CleanUp()
	err = errors.Join(in.SetSnapLen(o.Snaplen), in.SetBufferSize(o.Buffer), in.SetPromisc(o.Promiscuous),
		in.SetImmediateMode(o.Immediate), in.SetTimeout(liveIdle))
	if err != nil {
		return nil, liveError(name, err)
	}
	h, err := in.Activate()
	if o.Promiscuous && err != nil && strings.Contains(err.Error(), "promisc") {
		o.Promiscuous = false // "any" has no such mode
		return openDevice(name, o)
	}
	if err != nil {
		return nil, liveError(name, err)
	}
	d := &pcapDevice{h}
	if o.Filter != "" {
		if err := h.SetBPFFilter(o.Filter); err != nil {
			link := d.link()
			h.Close()
			return nil, &FilterError{o.Filter, link, err}
		}
	}
	return d, nil
}

func liveError(name string, err error) error {
	text := strings.ToLower(err.Error())
	switch {
	case strings.Contains(text, "permission denied"), strings.Contains(text, "not permitted"):
		err = ErrNoRights
	case strings.Contains(text, "no such device"):
		err = ErrNoInterface
	case strings.Contains(text, "not up"):
		err = ErrDown
	default:
		err = fmt.Errorf("cannot capture: %w", err)
	}
	return &OpenError{name, err}
}

func (d *pcapDevice) read() ([]byte, int, int64, error) {
	data, ci, err := d.h.ZeroCopyReadPacketData()
	if errors.Is(err, pcap.NextErrorTimeoutExpired) {
		err = ErrIdle
	}
	if err != nil {
		return nil, 0, 0, err
	}
	return data, ci.Length, ci.Timestamp.UnixNano(), nil
}

func (d *pcapDevice) link() LinkType { return FromDLT(LinkType(d.h.LinkType())) }

// stats counts as libpcap does on Linux: what it received includes what it
// dropped.
func (d *pcapDevice) stats() (deviceStats, error) {
	s, err := d.h.Stats()
	if err != nil {
		return deviceStats{}, err
	}
	return deviceStats{int64(s.PacketsReceived), int64(s.PacketsDropped), int64(s.PacketsIfDropped)}, nil
}

func (d *pcapDevice) close() { d.h.Close() }
