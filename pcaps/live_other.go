//go:build !linux && !cgo

package pcaps

import "errors"

// openDevice says that this build cannot capture.
func openDevice(name string, _ LiveOptions) (device, error) {
	return nil, &OpenError{name, errors.New("this build cannot capture: it needs cgo and libpcap, or Linux")}
}
