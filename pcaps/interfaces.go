package pcaps

import (
	"fmt"
	"net"
)

// HostInterface describes an interface of this machine that may be captured
// on.
type HostInterface struct {
	Name      string
	Up        bool
	Loopback  bool
	Hardware  string   // address, "" for none
	Addresses []string // with the length of their prefix
	Point     Point    // that its name tells
}

// HostInterfaces lists the interfaces of this machine in the system's order.
func HostInterfaces() ([]HostInterface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("the interfaces cannot be listed: %w", err)
	}
	out := make([]HostInterface, 0, len(all))
	for _, i := range all {
		h := HostInterface{
			Name: i.Name, Up: i.Flags&net.FlagUp != 0, Loopback: i.Flags&net.FlagLoopback != 0, Hardware: i.HardwareAddr.String(),
			Point: pointOfName(i.Name),
		}
		// One that goes away meanwhile has no addresses.
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			h.Addresses = append(h.Addresses, a.String())
		}
		out = append(out, h)
	}
	return out, nil
}
